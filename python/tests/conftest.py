"""What the tests share: the program that the package is held against (TLSCOV), and the test captures."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "testdata"


class Program:
    """The program, run in the root of the repository."""

    def __init__(self):
        self.path = pathlib.Path(os.environ.get("TLSCOV", ROOT / "target/release/tlscov")).resolve()

    def run(self, *arguments):
        return subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)

    def __call__(self, *arguments):
        """What it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def error(self, *arguments):
        """What is wrong, in its words."""
        done = self.run(*arguments)
        assert done.returncode == 2, done.stdout
        return done.stderr.splitlines()[0].removeprefix("tlscov: error: ").removesuffix("; see --help")


@pytest.fixture(scope="session")
def program():
    return Program()


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    """Reports name captures as they were given."""
    monkeypatch.chdir(ROOT)
