"""How much of a packet capture is encrypted, how well, and why.

``scan`` gives the report of captures, ``flows`` their flows as an Arrow table, ``merge`` joins reports exactly, ``grade`` says
what policies make of a cipher suite. All give what the program ``tlscov`` gives, with the same options and messages.

Work is done without the interpreter lock, on all cores, and Ctrl-C ends it.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any, Union

from . import _tlscov
from ._tlscov import CaptureWarning, Error, Flows, InputError, Report, UsageError

__all__ = ["CaptureWarning", "Error", "Flows", "InputError", "Report", "UsageError", "flows", "grade", "merge", "scan"]
__version__ = version("tlscov")

Path = Union[str, "os.PathLike[str]"]
Paths = Union[Path, Sequence[Path]]
Words = Union[str, Sequence[str]]

# Options that take several values in one word.
LISTS = ("by", "local")


def scan(
    paths: Paths,
    *,
    policy: Words = "bcp195",
    as_of: str | None = None,
    interval: str | None = None,
    by: Words = (),
    local: Words = (),
    labels: Path | None = None,
    asn: Path | None = None,
    country: Path | None = None,
    names: bool = False,
    continued: bool = False,
    strict: bool = True,
    jobs: int | None = None,
    max_memory: str | int = "1G",
) -> Report:
    """Read captures and report how much of them is encrypted, and how well.

    Args:
        paths: Captures: files, folders, globs; one or several.
        policy: Grade under these policies: built-in names or policy files, with ``@DATE`` by the rules of that day.
        as_of: Grade by the rules in force on this day (``"2026-07-01"``).
        interval: Length of the intervals of the timeline: ``"30s"``, ``"15m"``, ``"1h"``, ``"1d"``.
        by: Break the totals down by ``"service"``, ``"vlan"``, or both.
        local: Break the totals down by direction, seen from these networks (``"10.0.0.0/8"``).
        labels: Break the totals down by the names in this CSV file: a network or domain, a comma, a name.
        asn: MaxMind database to break the totals down by autonomous system of the server.
        country: MaxMind database to break the totals down by country of the server.
        names: Break the totals down by domain of the server names; the report then holds names.
        continued: Read the captures, in time order, as one rotated capture of one link: flows go on across files.
        strict: Raise when one capture cannot be read. Otherwise it is left out, with a ``CaptureWarning``.
        jobs: Threads to work with; all cores when it is not given.
        max_memory: Memory to stay below, in bytes or as ``"512M"``; flows are closed early, and counted, when it is reached.

    Raises:
        InputError: A file cannot be read, or is no capture.
        UsageError: An option has a value that cannot be used.
    """
    report, told = _tlscov.scan(_arguments(locals()))
    for warning in told:
        warnings.warn(warning, CaptureWarning, stacklevel=2)
    return report


def flows(
    paths: Paths,
    *,
    policy: Words = "bcp195",
    as_of: str | None = None,
    anonymize: Path | None = None,
    continued: bool = False,
    strict: bool = True,
    jobs: int | None = None,
    max_memory: str | int = "1G",
) -> Flows:
    """Read captures as a table of flows, one row each, with the columns of ``tlscov flows -o FILE.parquet``.

    The table is read when something asks for it, in record batches, and never held as a whole here::

        pyarrow.table(tlscov.flows("day.pcap"))
        polars.DataFrame(tlscov.flows("day.pcap"))
        pyarrow.RecordBatchReader.from_stream(tlscov.flows("captures/"))  # batch by batch
        flows = tlscov.flows("day.pcap"); duckdb.sql('SELECT class, sum("server.bytes") FROM flows GROUP BY class')

    Args:
        paths: Captures: files, folders, globs; one or several.
        policy: Grade under these policies; each has two columns, ``strength.NAME.level`` and ``strength.NAME.rules``.
        as_of: Grade by the rules in force on this day (``"2026-07-01"``).
        anonymize: Put other addresses into the table, which keep common prefixes (Crypto-PAn), by this file of 32 secret
            bytes; server names are left out.
        continued: Read the captures, in time order, as one rotated capture of one link: flows go on across files.
        strict: Raise when one capture cannot be read. Otherwise it is left out, with a ``CaptureWarning``.
        jobs: Threads to work with; all cores when it is not given.
        max_memory: Memory to stay below while reading, in bytes or as ``"512M"``.

    Raises:
        InputError: A file cannot be read, or is no capture. What goes wrong after the first batch is told through Arrow.
        UsageError: An option has a value that cannot be used.
    """
    return _tlscov.flows(_arguments(locals()))


def merge(reports: Iterable[Report | Path]) -> Report:
    """Join reports of different captures, or of the parts of one, exactly as if the captures had been read together.

    Args:
        reports: Reports, and paths to reports that ``tlscov scan`` wrote. They are read one at a time; their order changes nothing.

    Raises:
        InputError: A file cannot be read, or is no report.
    """
    return _tlscov.merge(reports)


def grade(
    suites: Words, *, policy: Words = (), as_of: str | None = None, tls: str | None = None
) -> list[dict[str, Any]]:
    """Say how policies judge cipher suites taken alone, with the rules and their sources.

    Args:
        suites: IANA names, OpenSSL names, or code points (``"0x1301"``).
        policy: Built-in names or policy files; all built-in policies when none is given.
        as_of: Grade by the rules in force on this day (``"2026-07-01"``).
        tls: Version that negotiates the suite: ``"1.0"`` to ``"1.3"`` or ``"ssl3"``; the highest that can when not given.

    Raises:
        UsageError: A suite, a policy or an option is not known.
    """
    suites = [suites] if isinstance(suites, str) else list(suites)
    options = {"policy": policy, "as_of": as_of, "tls": tls, "format": "json"}
    graded: list[dict[str, Any]] = json.loads(_tlscov.grade([*_options(options), "--", *suites]))
    return graded


def _arguments(given: dict[str, Any]) -> list[str]:
    """The arguments of the command for these arguments of a function."""
    paths = given.pop("paths")
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    given["continue"] = given.pop("continued")
    return [*_options(given), "--", *map(os.fspath, paths)]


def _options(given: dict[str, Any]) -> list[str]:
    found = []
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            found.append(option)
        elif value is not None and value is not False:
            several = [value] if isinstance(value, (str, int, os.PathLike)) else list(value)
            texts = [os.fspath(one) if isinstance(one, os.PathLike) else str(one) for one in several]
            if name in LISTS and texts:
                texts = [",".join(texts)]
            # In one word, so that no value is taken for an option.
            found.extend(f"{option}={text}" for text in texts)
    return found
