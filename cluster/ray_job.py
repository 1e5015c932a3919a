"""tlscov on Ray: every box reads the captures on its own disks; only reports travel.

    python cluster/ray_job.py OUT.json box1=/captures box2=/captures [--program tlscov] [options of `tlscov scan`]

Each box joins the cluster with a resource of its name: `ray start --address=HEAD:6379 --resources='{"box1": 1000}'`. What reads the
captures of a box needs one thousandth of it, so it runs there and nowhere else; `--num-cpus` bounds how many do so at a time. A task
whose process dies is started again, from the beginning of its link.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import ray

AT_ONCE = 500  # files of one call of the program
FAN_IN = 16  # reports that are merged by one task


def run(*command, cwd=None):
    """What the program prints."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])}: {done.stderr.strip()}")
    return done.stdout


@ray.remote(max_retries=3)
def plan(job, folder):
    """The links of a box, each with its files in order."""
    return [json.loads(line) for line in run(job.program, "plan", folder, "--by", "link").splitlines()]


@ray.remote(max_retries=3)
def scan_link(job, box, item):
    """The report of one link, as JSON."""
    paths = [os.path.abspath(file["path"]) for file in item["files"]]
    groups = [paths[start : start + job.at_once] for start in range(0, len(paths), job.at_once)]
    with tempfile.TemporaryDirectory() as folder:
        for number, group in enumerate(groups):
            command = [job.program, "scan", *group, "--link", f"{box}:{item['link']}", "--quiet", *job.options]
            command += ["--partial", f"{number}.json"]
            if number > 0:
                command += ["--state-in", f"{number - 1}.state"]
            if number < len(groups) - 1:
                command += ["--state-out", f"{number}.state"]
            run(*command, cwd=folder)
        return run(job.program, "merge", *(f"{number}.json" for number in range(len(groups))), "--format", "json", cwd=folder)


@ray.remote(max_retries=3)
def merge(job, *reports):
    """The report of all of these."""
    with tempfile.TemporaryDirectory() as folder:
        for number, report in enumerate(reports):
            pathlib.Path(folder, str(number)).write_text(report)
        return run(job.program, "merge", *map(str, range(len(reports))), "--format", "json", cwd=folder)


def report_of(job):
    """The report of all boxes."""
    pinned = {box: {"resources": {box: 0.001}} for box, _ in job.boxes}
    plans = [(box, plan.options(**pinned[box]).remote(job, folder)) for box, folder in job.boxes]
    reports = [
        scan_link.options(**pinned[box]).remote(job, box, item) for box, items in plans for item in ray.get(items)
    ]
    if not reports:
        raise SystemExit("no capture in any of the folders")
    while len(reports) > 1:
        reports = [merge.remote(job, *reports[start : start + FAN_IN]) for start in range(0, len(reports), FAN_IN)]
    return ray.get(reports[0])


def main():
    parser = argparse.ArgumentParser(description="tlscov on Ray; other options go to `tlscov scan`")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("boxes", nargs="+", metavar="BOX=FOLDER", type=lambda text: text.split("=", 1))
    parser.add_argument("--program", default="tlscov")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="files of one call of the program")
    job, job.options = parser.parse_known_args()
    ray.init(address="auto", log_to_driver=False)
    temporary = job.out.with_name(job.out.name + ".tmp")
    temporary.write_text(report_of(job))
    temporary.replace(job.out)


if __name__ == "__main__":
    main()
