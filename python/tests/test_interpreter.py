"""The interpreter is free while tlscov works, and Ctrl-C ends the work."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

# The thread that writes into the pipe has to run while the main thread is inside tlscov: a lock that is held would stop both for
# ever. `flows` is read by pyarrow, which releases the lock, and by Polars, which does not.
FREE = """
import os, sys, threading
import pyarrow, polars, tlscov

def feed(pipe):
    with open("testdata/https.pcap", "rb") as capture, open(pipe, "wb", buffering=0) as out:
        while piece := capture.read(1000):
            out.write(piece)

def fed(read):
    writer = threading.Thread(target=feed, args=[sys.argv[1]])
    writer.start()
    result = read(sys.argv[1])
    writer.join()
    return result

share = tlscov.scan("testdata/https.pcap")["coverage"]
assert fed(tlscov.scan)["coverage"] == share
rows = pyarrow.table(tlscov.flows("testdata/https.pcap")).num_rows
assert fed(lambda pipe: pyarrow.table(tlscov.flows(pipe))).num_rows == rows > 0
assert fed(lambda pipe: polars.DataFrame(tlscov.flows(pipe))).height == rows
print("free")
"""

STOPPED = """
import sys
import pyarrow, polars, tlscov
print("ready", flush=True)
try:
    {call}
except BaseException as error:
    # What Arrow raises comes first; the signal follows as soon as the interpreter goes on.
    assert isinstance(error, KeyboardInterrupt) or "interrupted" in str(error), error
    try:
        for _ in range(10_000):
            pass
    except KeyboardInterrupt:
        pass
    print("stopped", flush=True)
"""


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe.pcap"
    os.mkfifo(path)
    return path


def test_other_threads_run_meanwhile(pipe):
    done = subprocess.run([sys.executable, "-c", FREE, pipe], capture_output=True, text=True, timeout=60)
    assert done.stdout == "free\n", done.stderr


@pytest.mark.parametrize(
    "call",
    [
        "tlscov.scan(sys.argv[1])",
        "pyarrow.table(tlscov.flows(sys.argv[1]))",
        "polars.DataFrame(tlscov.flows(sys.argv[1]))",
    ],
)
def test_ctrl_c_ends_the_work(pipe, call):
    program = [sys.executable, "-c", textwrap.dedent(STOPPED).format(call=call), pipe]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n", child.stderr.read()
        # A capture that goes on for ever: its header, and then nothing.
        writer = open(pipe, "wb", buffering=0)
        with open("testdata/https.pcap", "rb") as capture:
            writer.write(capture.read(50_000))
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        begun = time.monotonic()
        said = child.stdout.readline()
        took = time.monotonic() - begun
        writer.close()
        assert said == "stopped\n", child.stderr.read()
        assert took < 5, f"{took} s after Ctrl-C"
        child.wait(timeout=20)
