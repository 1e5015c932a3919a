"""tlscov on Spark: plan -> one task a link -> parts and Parquet flows -> tree merge.

    spark-submit cluster/spark_job.py SOURCE OUT [--program tlscov] [options of `tlscov scan`]

SOURCE and OUT are folders that fsspec knows: file:///captures, s3://bucket/captures, hdfs://, gs://, abfs:// ... Executors need the
program (built with Parquet) and fsspec. No capture is copied or held: its bytes go through a pipe into the program.

OUT/report.json is the report of everything. OUT/links/KEY/ has, of each file of a link, a report and its flows (Parquet); a file
there is whole or not there. When a task is lost the next attempt goes on behind the last file that is finished; so does the next
run of the job. Folders of links that are not part of SOURCE any more are removed. While a link is read its folder holds a state
file with addresses and first bytes of flows.
"""

import argparse
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

PIECE = 1 << 20  # bytes that are in memory at a time
END = 1 << 20  # bytes at each end of a file that are enough for a plan


def run(*command, cwd=None):
    """What the program prints."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])}: {done.stderr.strip()}")
    return done.stdout


def plan(job):
    """One item a link, the largest first. Of large files only the two ends are fetched, into files that are empty between."""
    fs, root = fsspec.url_to_fs(job.source)
    with tempfile.TemporaryDirectory() as mirror:
        mirror = pathlib.Path(mirror).resolve()

        def mirrored(path):
            size, local = fs.size(path), mirror / os.path.relpath(path, root)
            local.parent.mkdir(parents=True, exist_ok=True)
            with open(local, "wb") as out:
                out.write(fs.cat_file(path, start=0, end=min(size, END)))
                if size > END:
                    out.seek(max(END, size - END))
                    out.write(fs.cat_file(path, start=max(END, size - END), end=size))

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(mirrored, fs.find(root)))
        lines = run(job.program, "plan", ".", "--by", "link", cwd=mirror).splitlines()
        items = [json.loads(line) for line in lines]
        for item in items:
            item["link"] = os.path.relpath(item["link"], mirror)
            item["files"] = [[os.path.normpath(file["path"]), file["bytes"]] for file in item["files"]]
    return sorted(items, key=lambda item: -item["bytes"])


def key(job, item):
    """The name of a link's folder: another one when its files, or the options, are others."""
    known = [item["link"], item["files"], job.options]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]


def stream(job, path, size, command, folder):
    """Runs the program in `folder` on a file that is not there: the name leads to its standard input."""
    fs, root = fsspec.url_to_fs(job.source)
    name = pathlib.Path(folder, path)
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to("/dev/stdin")
    sent = 0
    with open(f"{folder}/stderr", "w+b") as said, fs.open(f"{root}/{path}", "rb", block_size=PIECE) as capture:
        with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stderr=said, bufsize=0) as program:
            try:
                while piece := memoryview(capture.read(PIECE)):
                    sent += len(piece)
                    while piece:
                        piece = piece[program.stdin.write(piece) :]
            except BrokenPipeError:
                pass  # it has ended, and says why
        said.seek(0)
        if program.returncode != 0:
            raise RuntimeError(f"{path}: {said.read().decode(errors='replace').strip()}")
    if sent != size:
        raise RuntimeError(f"{path}: {sent} bytes were read, {size} were planned")


def scan_link(job, item):
    """The report of one link, as JSON: its files one after the other, what is open at the end of one carried into the next."""
    fs, out = fsspec.url_to_fs(f"{job.out}/links/{key(job, item)}")
    fs.makedirs(out, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:

        def publish(name):
            """Under a name of its own first: what is there under its right name is whole."""
            temporary = f"{out}/{name}.{uuid.uuid4().hex}.tmp"
            fs.put_file(f"{folder}/{name}", temporary)
            fs.mv(temporary, f"{out}/{name}")

        parts = [f"{number:06}" for number in range(len(item["files"]))]
        for number, (part, (path, size)) in enumerate(zip(parts, item["files"])):
            if fs.exists(f"{out}/{part}.json"):
                fs.get_file(f"{out}/{part}.json", f"{folder}/{part}.json")
                continue
            command = [job.program, "scan", path, "--link", item["link"], "--quiet", *job.options]
            command += ["--partial", f"{part}.json", "--flows", f"{part}.parquet"]
            before, goes_on = parts[number - 1] if number else None, part != parts[-1]
            if before:
                if not os.path.exists(f"{folder}/{before}.state"):
                    fs.get_file(f"{out}/{before}.state", f"{folder}/{before}.state")
                command += ["--state-in", f"{before}.state"]
            if goes_on:
                command += ["--state-out", f"{part}.state"]
            stream(job, path, size, command, folder)
            # The report last: where it is, this file is finished.
            for name in [f"{part}.parquet", *([f"{part}.state"] if goes_on else []), f"{part}.json"]:
                publish(name)
            if before:
                fs.rm_file(f"{out}/{before}.state")
        return run(job.program, "merge", *(f"{part}.json" for part in parts), "--format", "json", cwd=folder)


def merge(job, one, other):
    """The report of both."""
    with tempfile.TemporaryDirectory() as folder:
        for name, report in [("one", one), ("other", other)]:
            pathlib.Path(folder, name).write_text(report)
        return run(job.program, "merge", "one", "other", "--format", "json", cwd=folder)


def main():
    parser = argparse.ArgumentParser(description="tlscov on Spark; other options go to `tlscov scan`")
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--program", default="tlscov")
    job, job.options = parser.parse_known_args()
    items = plan(job)
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
