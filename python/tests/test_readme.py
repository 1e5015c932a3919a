"""What the README of the package shows does what it says."""

import pathlib
import re

import duckdb
import polars
import pyarrow
import tlscov

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"
TESTDATA = README.parents[1] / "testdata"


def test_the_readme_runs(tmp_path, monkeypatch):
    (tmp_path / "captures").mkdir()
    for name in ["https.pcap", "tls13.pcap"]:
        (tmp_path / "captures" / name).symlink_to(TESTDATA / name)
    monkeypatch.chdir(tmp_path)
    for day, name in [("monday", "mail"), ("tuesday", "ssh")]:
        pathlib.Path(f"{day}.json").write_text(tlscov.scan(TESTDATA / f"{name}.pcap").to_json())
    shown = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(shown) == 1
    names = {"duckdb": duckdb, "polars": polars, "pyarrow": pyarrow}
    lines = 0
    for line in shown[0].splitlines():
        # Each on its own, so that what is lazy is asked for.
        if re.match(r"\w+ = |import ", line) or not line:
            exec(line, names)
        else:
            result = eval(line, names)
            assert result is not None, line
            getattr(result, "fetchall", lambda: None)()
        lines += bool(line)
    assert lines > 9 and names["flows"].columns
