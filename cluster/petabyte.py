#!/usr/bin/env python3
"""Plans a petabyte: measures what one core does, and simulates clusters that read captures from object storage.

    cluster/petabyte.py                       prints the tables of docs/petabyte.md
    cluster/petabyte.py --check docs/petabyte.md    exit status 1 when the page shows others
    cluster/petabyte.py --write docs/petabyte.md    puts them there
    cluster/petabyte.py --measure TLSCOV GENERATE   measures this machine, and keeps it in cluster/petabyte.json

TLSCOV and GENERATE are release builds of the program and of `examples/generate.rs`. The simulation has no clock and no
chance but a seeded one: the same figures give the same tables.

What is simulated: links of very different size, each a chain of files that one process reads in order with carried state;
nodes with so many cores and so fast a network; a store with a bound of its own; nodes that fail, whose links go back to the
last part that was written, and go on elsewhere. Links are started the largest first.
"""

import heapq
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIGURES = Path(__file__).with_suffix(".json")
PETABYTE = 10**15
FILE_BYTES = 10**9
BEGIN, END = "<!-- tables -->", "<!-- end -->"

# Cores of a node that one link may use: reading is parallel within a process, but for the walk over record headers.
JOBS = 4
CLUSTERS = [
    # name, nodes, cores, network of a node (GB/s), store (GB/s), share of stored bytes after compression
    ("10 boxes with the files on their own disks", 10, 16, 2.0, 20.0, 1.0),
    ("25 nodes, 10 Gbit/s each", 25, 16, 1.25, 50.0, 1.0),
    ("100 nodes, 10 Gbit/s each", 100, 16, 1.25, 50.0, 1.0),
    ("100 nodes, files in zstd at half the size", 100, 16, 1.25, 50.0, 0.5),
    ("100 nodes, store of 10 GB/s", 100, 16, 1.25, 10.0, 1.0),
    ("400 nodes, 10 Gbit/s each", 400, 16, 1.25, 50.0, 1.0),
]
LINKS = 800
FAILURES_A_NODE_DAY = 0.05
RESTART_SECONDS = 120.0


def links(seed):
    """Sizes of the links (bytes): log-normal, as links of a network are; together a petabyte."""
    chance = random.Random(seed)
    sizes = [chance.lognormvariate(0.0, 1.0) for _ in range(LINKS)]
    scale = PETABYTE / sum(sizes)
    return sorted((size * scale for size in sizes), reverse=True)


def simulate(cluster, sizes, rate, speedup, seed, failures=FAILURES_A_NODE_DAY):
    """Wall time of all links (s), and what held them up: shares of the reading time by bound.

    `rate` is what one core reads (bytes/s, uncompressed). Between two events every running link goes at the least of what its
    cores do, its share of its node's network, and its share of the store.
    """
    _, nodes, cores, network, store, stored = cluster
    network, store = network * 1e9, store * 1e9
    chance = random.Random(seed)
    slots = max(1, cores // JOBS)
    free = [slots] * nodes
    waiting = [(-size, number, size) for number, size in enumerate(sizes)]
    heapq.heapify(waiting)
    running = {}  # link: [node, bytes left]
    now, held, lost = 0.0, {"cores": 0.0, "network": 0.0, "store": 0.0}, 0.0
    busy = 0.0
    failure = chance.expovariate(failures * nodes / 86400)
    down = []  # when failed nodes are back
    while waiting or running:
        while waiting and max(free) > 0:
            node = max(range(nodes), key=lambda at: (free[at], -at))
            _, number, left = heapq.heappop(waiting)
            running[number] = [node, left]
            free[node] -= 1
        on_node = [0] * nodes
        for node, _ in running.values():
            on_node[node] += 1
        by_cores = rate * speedup
        # Bytes over a network are stored bytes; rates are of bytes as the capture has them.
        rates = {n: min(by_cores, network / stored / on_node[node]) for n, (node, _) in running.items()}
        asked = sum(rates.values())
        squeezed = min(1.0, store / stored / asked) if asked else 1.0
        events = [left / (rates[n] * squeezed) for n, (_, left) in running.items()]
        step = min(events, default=float("inf"))
        step = min(step, failure - now, *(back - now for back, _ in down)) if down else min(step, failure - now)
        step = max(step, 0.0)
        for n, state in running.items():
            state[1] -= rates[n] * squeezed * step
            bound = "store" if squeezed < 1.0 else "cores" if rates[n] == by_cores else "network"
            held[bound] += step
        busy += step * len(running)
        now += step
        for n in [n for n, (_, left) in running.items() if left <= 1.0]:
            node, _ = running.pop(n)
            free[node] += 1
        for entry in [entry for entry in down if entry[0] <= now]:
            down.remove(entry)
            free[entry[1]] = slots
        if now >= failure:
            failure = now + chance.expovariate(failures * nodes / 86400)
            node = chance.randrange(nodes)
            if any(broken == node for _, broken in down):
                continue
            for n in [n for n, (at, _) in running.items() if at == node]:
                _, left = running.pop(n)
                # Back to the last file that was read whole: its state and its partial report are in the store.
                again = -(-left // FILE_BYTES) * FILE_BYTES
                lost += again - left
                heapq.heappush(waiting, (-again, n, again))
            free[node] = 0
            down.append((now + RESTART_SECONDS, node))
    total = sum(held.values())
    return now, {bound: value / total for bound, value in held.items()}, lost, busy / (now * nodes * slots)


def floors_of(cluster, sizes, link_rate):
    """Times (s) that no order of work goes below, by what sets them; `link_rate` is what the cores of a link read (bytes/s)."""
    _, nodes, cores, network, store, stored = cluster
    return {
        "store": PETABYTE * stored / (store * 1e9),
        "network": PETABYTE * stored / (nodes * network * 1e9),
        "cores": PETABYTE / (nodes * (cores // JOBS) * link_rate),
        "largest link": sizes[0] / min(link_rate, network * 1e9 / stored),
    }


def checked():
    """The simulation where the answer is known: one link, two links on one network, and a store for all."""
    never = 1e-12
    for cluster, sizes, want in [
        (("", 1, JOBS, 1.0, 9.0, 1.0), [1e12], 1e12 / 4e8),
        (("", 1, 2 * JOBS, 0.5, 9.0, 1.0), [1e12, 1e12], 2e12 / 5e8),
        (("", 2, JOBS, 9.0, 0.6, 0.5), [1e12, 5e11], 5e11 / 4e8 + 1e12 / 4e8 - 5e11 / 4e8),
        (("", 2, JOBS, 9.0, 0.2, 1.0), [1e12, 1e12], 2e12 / 2e8),
    ]:
        wall = simulate(cluster, sizes, 1e8, 4.0, 1, never)[0]
        assert abs(wall - want) < 1, (cluster, wall, want)


def hours(seconds):
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def amount(count):
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def tables(figures):
    out = [
        f"Measured on {figures['date']}: {figures['machine']}, version {figures['version']}, {figures['capture_mib']} MiB of each "
        "mix of `examples/generate.rs`, one thread, processor time (user and system).",
        "",
        "| mix | bytes a packet | packets a flow | MB/s a core | packets/s | flows/s | beside `cat` | state, per 1,000 open flows | partial report |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, mix in figures["mixes"].items():
        cpu = mix["cpu_seconds"]
        out.append(
            f"| {name} | {mix['bytes'] / mix['packets']:.0f} | {mix['packets'] / mix['flows']:.1f} | {mix['bytes'] / cpu / 1e6:.0f} "
            f"| {mix['packets'] / cpu:,.0f} | {mix['flows'] / cpu:,.0f} | {cpu / mix['cat_seconds']:.1f} times "
            f"| {amount(1000 * mix['state_bytes'] / max(1, mix['open_flows']))} | {amount(mix['partial_bytes'])} |"
        )
    merge = figures["merge"]
    out += [
        "",
        f"Merging {merge['partials']:,} partial reports: {1000 * merge['cpu_seconds'] / merge['partials']:.2f} ms of processor time "
        f"each, {amount(merge['peak_bytes'])} of memory in all. {JOBS} threads on one link bring {figures['speedup']:.1f} times the speed of one.",
        "",
    ]
    sizes = links(1)
    out += [
        f"A petabyte of {LINKS} links, the largest {amount(sizes[0])}, the median {amount(sizes[LINKS // 2])}; "
        f"{JOBS} cores for a link, {FAILURES_A_NODE_DAY} failures a node and day:",
        "",
        "| cluster | mix | not below | simulated | reading held up by | slots busy | read again |",
        "|---|---|---|---|---|---|---|",
    ]
    for cluster in CLUSTERS:
        for name, mix in figures["mixes"].items():
            rate = mix["bytes"] / mix["cpu_seconds"]
            wall, held, lost, busy = simulate(cluster, sizes, rate, figures["speedup"], 7)
            floors = floors_of(cluster, sizes, rate * figures["speedup"])
            floor, why = max((floor, why) for why, floor in floors.items())
            assert wall >= 0.999 * floor, (cluster, name, wall, floors)
            bounds = ", ".join(f"{bound} {share:.0%}" for bound, share in held.items() if share >= 0.005)
            out.append(
                f"| {cluster[0]} | {name} | {hours(floor)} ({why}) | {hours(wall)} | {bounds} | {busy:.0%} | {amount(lost)} |"
            )
    files = PETABYTE // FILE_BYTES
    mix = figures["mixes"]["office"]
    out += [
        "",
        f"With files of {amount(FILE_BYTES)}: {files:,} parts, {amount(files * mix['partial_bytes'])} of partial reports, "
        f"{hours(files * merge['cpu_seconds'] / merge['partials'])} of processor time to merge them, which "
        f"{LINKS} links do side by side before {LINKS} reports are left.",
    ]
    return "\n".join(out)


def flows_of(report):
    totals = report["coverage"]["totals"]
    return sum(totals[name]["flows"] for name in ("encrypted", "plaintext", "unknown", "control"))


def processor(command, **more):
    """Processor time of a command, user and system (s): the least of three runs."""
    best = float("inf")
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, **more)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def wall(command):
    best = float("inf")
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(command, check=True)
        best = min(best, time.monotonic() - started)
    return best


def measure(tlscov, generate, mebibytes):
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    figures = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores of {model}",
        "version": subprocess.run([tlscov, "--version"], check=True, capture_output=True, text=True).stdout.split()[1],
        "capture_mib": mebibytes,
        "mixes": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        for mix in ("office", "handshakes", "small"):
            capture = path(f"{mix}.pcap")
            subprocess.run([generate, capture, str(mebibytes), mix], check=True)
            scan = [tlscov, "scan", capture, "--quiet", "-j"]
            cpu = processor([*scan, "1", "-o", path("report.json")])
            report = json.loads(Path(path("report.json")).read_text())
            part = ["1", "--partial", path("part.json"), "--state-out", path("state")]
            subprocess.run([*scan, *part], check=True)
            flows = flows_of(report)
            closed = flows_of(json.loads(Path(path("part.json")).read_text()))
            with open(os.devnull, "wb") as nowhere:
                cat = processor(["cat", capture], stdout=nowhere)
            figures["mixes"][mix] = {
                "bytes": os.path.getsize(capture),
                "packets": report["captures"][0]["packets"],
                "flows": flows,
                "cpu_seconds": round(cpu, 3),
                "cat_seconds": round(cat, 4),
                "open_flows": flows - closed,
                "state_bytes": os.path.getsize(path("state")),
                "partial_bytes": os.path.getsize(path("part.json")),
            }
            if mix == "office":
                alone = wall([*scan, "1", "-o", path("x.json")])
                cores = min(JOBS, os.cpu_count())
                together = wall([*scan, str(cores), "-o", path("x.json")])
                # On a machine with fewer cores: the same gain for every further one.
                gain = max(0.0, alone / together - 1.0) / max(1, cores - 1)
                figures["speedup"] = round(1.0 + min(gain, 1.0) * (JOBS - 1), 2)
            os.remove(capture)
        partials = []
        part = Path(path("part.json")).read_text()
        for number in range(1000):
            partials.append(path(f"{number}.json"))
            Path(partials[-1]).write_text(part.replace("small.pcap", f"small{number}.pcap"))
        cpu = processor([tlscov, "merge", *partials, "-o", path("merged.json")])
        peak = subprocess.run(
            [sys.executable, "-c", "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)", tlscov, "merge", *partials, "-o", path("merged.json")],
            check=True, capture_output=True, text=True,
        )
        figures["merge"] = {"partials": len(partials), "cpu_seconds": round(cpu, 3), "peak_bytes": int(peak.stdout)}
    return figures


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--measure"]:
        figures = measure(arguments[1], arguments[2], int(arguments[3]) if len(arguments) > 3 else 256)
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
        return 0
    checked()
    text = tables(json.loads(FIGURES.read_text()))
    if not arguments:
        print(text)
        return 0
    page = Path(arguments[1])
    before, rest = page.read_text().split(BEGIN + "\n", 1)
    shown, behind = rest.split(END, 1)
    if arguments[0] == "--write":
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{behind}")
        return 0
    if shown.strip() != text.strip():
        print(f"{page} does not show what cluster/petabyte.py says; cluster/petabyte.py --write {page}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
