"""tlscov on Spark: plan -> one task a link -> parts and Parquet flows -> tree merge.

    spark-submit cluster/spark_job.py SOURCE OUT [--program tlscov] [options of `tlscov scan`]

SOURCE and OUT are folders that fsspec knows: file:///captures, s3://bucket/captures, hdfs://, gs://, abfs:// ... Executors need the
program (built with Parquet) and fsspec. No capture is copied or held: its bytes go through a pipe into the program.

OUT/report.json is the report of everything. OUT/links/KEY/ has a report and the flows of each file; what is there is whole. When a
task is lost the next attempt goes on behind the last file that is finished, and so does the next run of the job. Folders of links
that are no part of SOURCE any more are removed. While a link is read, its folder holds addresses and first bytes of flows (state).
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor

import fsspec
from pyspark.sql import SparkSession

PIECE = 1 << 20  # bytes that are in memory at a time; as many at each end of a file are enough for a plan


def run(*command, cwd=None):
    """What the program prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=cwd, check=True).stdout


def plan(job):
    """One item a link, the largest first. Of large files only the two ends are fetched, into files that are empty between."""
    fs, root = fsspec.url_to_fs(job.source)
    with tempfile.TemporaryDirectory() as folder:
        mirror = pathlib.Path(folder).resolve()

        def mirrored(path):
            size, local = fs.size(path), mirror / os.path.relpath(path, root)
            local.parent.mkdir(parents=True, exist_ok=True)
            with open(local, "wb") as out:
                for start in sorted({0, max(0, size - PIECE)}):
                    out.seek(start)
                    out.write(fs.cat_file(path, start=start, end=min(start + PIECE, size)))

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(mirrored, fs.find(root)))
        items = [json.loads(line) for line in run(job.program, "plan", ".", "--by", "link", cwd=mirror).splitlines()]
        for item in items:
            item["link"] = os.path.relpath(item["link"], mirror)
            files = [(os.path.normpath(file["path"]), file["bytes"]) for file in item["files"]]
            item["files"] = [(path, size, fs.ukey(f"{root}/{path}")) for path, size in files]
    return sorted(items, key=lambda item: -item["bytes"])


def key(job, item):
    """The name of a link's folder: another one when its files, the options or the program are others."""
    known = json.dumps([item["link"], item["files"], job.options, job.version])
    return hashlib.sha256(known.encode()).hexdigest()[:32]


def stream(job, path, size, command, folder):
    """Runs the program in `folder` on a file that is not there: the name leads to its standard input."""
    fs, root = fsspec.url_to_fs(job.source)
    name = pathlib.Path(folder, path)
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to("/dev/stdin")
    sent = 0
    with open(f"{folder}/stderr", "w+b") as said, fs.open(f"{root}/{path}", "rb", block_size=PIECE) as capture:
        program = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stderr=said)
        with contextlib.suppress(BrokenPipeError), program:  # a broken pipe: it has ended, and says why
            while piece := capture.read(PIECE):
                sent += program.stdin.write(piece)
        if program.returncode != 0 or sent != size:
            said.seek(0)
            raise RuntimeError(f"{path}: {sent} of {size} bytes were read. {said.read().decode(errors='replace')}")


def scan_link(job, item):
    """The report of one link, as JSON: its files one after the other, what is open at the end of one carried into the next."""
    fs, out = fsspec.url_to_fs(f"{job.out}/links/{key(job, item)}")
    fs.makedirs(out, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:

        def publish(name):  # under another name first: what is there under its right name is whole
            temporary = f"{out}/{name}.{uuid.uuid4().hex}.tmp"
            fs.put_file(f"{folder}/{name}", temporary)
            fs.mv(temporary, f"{out}/{name}")

        parts = [f"{number:06}" for number in range(len(item["files"]))]
        for number, (part, (path, size, _)) in enumerate(zip(parts, item["files"])):
            if fs.exists(f"{out}/{part}.json"):
                fs.get_file(f"{out}/{part}.json", f"{folder}/{part}.json")
                continue
            before = parts[number - 1] if number else None
            if before and not os.path.exists(f"{folder}/{before}.state"):
                fs.get_file(f"{out}/{before}.state", f"{folder}/{before}.state")
            command = [job.program, "scan", path, "--link", item["link"], "--quiet", *job.options]
            command += ["--partial", f"{part}.json", "--flows", f"{part}.parquet"]
            command += ["--state-in", f"{before}.state"] if before else []
            command += ["--state-out", f"{part}.state"] if part != parts[-1] else []
            stream(job, path, size, command, folder)
            publish(f"{part}.parquet")
            if part != parts[-1]:
                publish(f"{part}.state")
            publish(f"{part}.json")  # the last: where it is, this file is finished, and no state before it is needed
            if before:
                fs.rm_file(f"{out}/{before}.state")
        for name in fs.ls(out, detail=False):
            if not name.endswith((".json", ".parquet")):
                fs.rm_file(name)
        return run(job.program, "merge", *(f"{part}.json" for part in parts), "--format", "json", cwd=folder)


def merge(job, one, other):
    """The report of both."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "one").write_text(one)
        pathlib.Path(folder, "other").write_text(other)
        return run(job.program, "merge", "one", "other", "--format", "json", cwd=folder)


def main():
    parser = argparse.ArgumentParser(description="tlscov on Spark; other options go to `tlscov scan`")
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--program", default="tlscov")
    job, job.options = parser.parse_known_args()
    job.version = run(job.program, "--version")
    items = plan(job) or parser.error(f"no capture in {job.source}")
    fs, out = fsspec.url_to_fs(job.out)
    fs.makedirs(f"{out}/links", exist_ok=True)
    known = {key(job, item) for item in items}
    for folder in fs.ls(f"{out}/links", detail=False):
        if os.path.basename(folder.rstrip("/")) not in known:
            fs.rm(folder, recursive=True)
    spark = SparkSession.builder.appName("tlscov").getOrCreate()
    links = spark.sparkContext.parallelize(items, len(items)).map(lambda item: scan_link(job, item))
    report = links.treeReduce(lambda one, other: merge(job, one, other))
    fs.pipe_file(f"{out}/report.json.tmp", report.encode())
    fs.mv(f"{out}/report.json.tmp", f"{out}/report.json")
    spark.stop()


if __name__ == "__main__":
    main()
