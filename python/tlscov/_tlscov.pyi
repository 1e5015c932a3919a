"""The native part: what the functions of ``tlscov`` call, and the objects that they give."""

from collections.abc import Iterable, KeysView
from os import PathLike
from typing import Any, final

__all__ = [
    "CaptureWarning",
    "Error",
    "Flows",
    "InputError",
    "Report",
    "UsageError",
    "flows",
    "grade",
    "merge",
    "scan",
]

class Error(Exception):
    """What can be put right by who called: a file, a policy, an option."""

class InputError(Error):
    """A file cannot be read, or is not what it should be."""

class UsageError(Error):
    """An option or argument has a value that cannot be used."""

class CaptureWarning(UserWarning):
    """A capture was cut short, left out, or the like."""

@final
class Report:
    """A report: what ``tlscov scan`` writes.

    Parts of it are read like those of a dictionary: ``report["coverage"]["encrypted_share"]["value"]``.
    """

    @classmethod
    def from_json(cls, json: str) -> Report:
        """The report that was written as this JSON."""
    def to_json(self) -> str:
        """The report as JSON, byte for byte what ``tlscov scan --format json`` writes."""
    def to_dict(self) -> dict[str, Any]:
        """The report as a dictionary of its own."""
    def render(self, format: str) -> str:
        """The report in another format: text, markdown, html, csv, prometheus, cbom, benchmark, bmf or json."""
    def keys(self) -> KeysView[str]:
        """Names of its parts, in order."""
    def __getitem__(self, key: str, /) -> Any: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Flows:
    """The flows of captures as a table, for whatever takes the Arrow PyCapsule interface.

    Nothing is read before a table is asked for. Each time it is asked for the captures are read anew, in record batches.
    """

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...

def scan(arguments: list[str]) -> tuple[Report, list[str]]:
    """What ``tlscov scan`` reports, and its warnings."""

def flows(arguments: list[str]) -> Flows:
    """The flows that ``tlscov flows`` writes."""

def merge(reports: Iterable[Report | str | PathLike[str]]) -> Report:
    """The report of all ``reports`` together; each is a report, or a path to one."""

def grade(arguments: list[str]) -> str:
    """What ``tlscov grade`` answers, as text."""
