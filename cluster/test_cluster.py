"""Through Spark and through Ray, with a worker killed in the middle, the report is that of a scan of the whole, byte for byte."""

import json
import os
import pathlib
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python/examples"))
import offices

PROGRAM = pathlib.Path(os.environ.get("TLSCOV", HERE.parent / "target/release/tlscov")).resolve()

# Files that the captures of each link are cut into.
LINKS = {"box1": 4, "box2": 3, "box3": 1}


def tlscov(*arguments, cwd):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """Three links; the files of two of them are cut in the middle of connections."""
    root = tmp_path_factory.mktemp("captures")
    for number, (box, files) in enumerate(LINKS.items()):
        whole = root / "whole.pcap"
        offices.write(HERE.parent / "testdata", whole, offices=20 + number)
        records = list(offices.frames(whole))
        whole.unlink()
        (root / box).mkdir()
        cuts = [len(records) * cut // files + 17 * cut for cut in range(files)] + [len(records)]
        for cut in range(files):
            with open(root / box / f"{cut}.pcap", "wb") as out:
                out.write(offices.HEADER)
                for record in records[cuts[cut] : cuts[cut + 1]]:
                    out.write(offices.record(*record))
    return root


def whole(captures, names, folder):
    """The report of links that are read in one go each, and the same with the files joined to one."""
    reports = []
    for box, files in LINKS.items():
        paths = [names / box / f"{cut}.pcap" for cut in range(files)]
        report = tlscov("scan", *paths, "--continue", "--format", "json", cwd=captures)
        joined = folder / f"{box}.pcap"
        with open(joined, "wb") as out:
            out.write(offices.HEADER)
            for cut in range(files):
                out.write((captures / box / f"{cut}.pcap").read_bytes()[len(offices.HEADER) :])
        assert without_captures(report) == without_captures(tlscov("scan", joined, "--format", "json", cwd=captures))
        reports.append(folder / f"{box}.json")
        reports[-1].write_text(report)
    return tlscov("merge", *reports, "--format", "json", cwd=folder)


def without_captures(report):
    report = json.loads(report)
    del report["captures"]
    return report


def stand_in(folder, where, who):
    """The program's stand-in, which kills once."""
    path = folder / "program"
    path.write_text(
        f"#!/bin/sh\nFOLDER='{folder}' KILL_WHERE='{where}' KILL_WHO='{who}' REAL='{PROGRAM}' "
        f"exec '{sys.executable}' -S -E '{HERE / 'stand_in'}' \"$@\"\n"
    )
    path.chmod(0o755)
    return path


def asked(folder):
    """Each scan that was begun: files, whether they came through a pipe, resources of the node it ran on."""
    return [line.rstrip("\n").split("\t") for line in (folder / "asked").read_text().splitlines()]


def events(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(("appstatus", "."))]
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def spark(captures, folder, program):
    (folder / "events").mkdir(exist_ok=True)
    conf = {
        "spark.master": "local-cluster[2,1,700]",
        "spark.executor.memory": "700m",
        "spark.driver.memory": "600m",
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file://{folder}/events",
        "spark.local.dir": f"{folder}/spark",
        "spark.pyspark.python": sys.executable,
        "spark.pyspark.driver.python": sys.executable,
    }
    options = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
    command = ["spark-submit", *options, HERE / "spark_job.py", f"file://{captures}", f"file://{folder}/out"]
    command += ["--program", program, "--policy", "bcp195"]
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PATH": path, "SPARK_LOCAL_IP": "127.0.0.1"},
        timeout=480,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]


def test_spark_with_an_executor_killed(captures, tmp_path):
    program = stand_in(tmp_path, "box1/1.pcap", "CoarseGrainedExecutorBackend")
    spark(captures, tmp_path, program)

    report = (tmp_path / "out/report.json").read_text()
    assert report == whole(captures, pathlib.Path(), tmp_path)

    # The executor died, its task was tried again and went on behind the file that was finished.
    ended = [event for event in events(tmp_path / "events") if event["Event"] == "SparkListenerTaskEnd"]
    lost = [event for event in ended if event["Task End Reason"]["Reason"] == "ExecutorLostFailure"]
    again = [
        event for event in ended if event["Task End Reason"]["Reason"] == "Success" and event["Task Info"]["Attempt"] > 0
    ]
    assert lost and again, [event["Task End Reason"] for event in ended]
    scans = [files for files, _, _ in asked(tmp_path)]
    assert scans.count("box1/1.pcap") == 2, scans
    assert scans.count("box1/0.pcap") == scans.count("box1/2.pcap") == 1, scans
    assert all(piped == "piped" for _, piped, _ in asked(tmp_path)), "captures come through a pipe"

    # The flows of all parts are those of the whole; neither half a file nor a state is left.
    kept = sorted((tmp_path / "out/links").glob("*/*"))
    assert {path.suffix for path in kept} == {".json", ".parquet"}, kept
    flows = [row for path in kept if path.suffix == ".parquet" for row in pq.read_table(path).to_pylist()]
    want = []
    for box, files in LINKS.items():
        tlscov("flows", *(f"{box}/{cut}.pcap" for cut in range(files)), "--continue", "-o", tmp_path / "whole.parquet", cwd=captures)
        want += pq.read_table(tmp_path / "whole.parquet").to_pylist()
    assert len(want) > 100
    # Where a connection is cut, its record names the file that it ended in.
    for row in flows + want:
        del row["capture"]
    assert sorted(map(repr, flows)) == sorted(map(repr, want))


@pytest.fixture
def ray_cluster():
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for box in ["box1", "box2"]:
        cluster.add_node(num_cpus=1, resources={box: 1})
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


def test_ray_with_a_worker_killed(captures, tmp_path, ray_cluster):
    program = stand_in(tmp_path, "box1/1.pcap", "ray::scan_link")
    command = [HERE / "ray_job.py", tmp_path / "report.json", f"box1={captures}/box1", f"box2={captures}/box2"]
    command += [f"box2={captures}/box3", "--at-once=1", f"--program={program}", "--policy=bcp195"]
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_ADDRESS": ray_cluster},
        timeout=480,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert (tmp_path / "report.json").read_text() == whole(captures, captures, tmp_path)

    # The task was tried again, and each box read its own files.
    scans = [files for files, _, _ in asked(tmp_path)]
    assert scans.count("box1/0.pcap") == scans.count("box1/1.pcap") == 2, scans
    assert scans.count("box1/2.pcap") == scans.count("box2/2.pcap") == 1, scans
    for files, _, resources in asked(tmp_path):
        assert ("box1" if files.startswith("box1") else "box2") in resources.replace(",", " "), (files, resources)
