#!/usr/bin/env bash
# Measures tlscov beside cat, tcpdump, tshark and ndpiReader, and writes a Markdown table of ratios to stdout.
#
#   benches/compare.sh [CAPTURE...]
#
# Without arguments three mixes are generated (examples/generate.rs) and removed afterwards. Every program reads every
# capture once in each round, in shuffled order; a figure is the median over the rounds of the ratio to `cat` of the same
# round, because the speed of a shared machine drifts. ROUNDS (3), SIZE_MIB (128) and LIMIT (seconds for one run, 300)
# can be set; with TLSCOV=PROGRAM that program is measured and none is built. The programs compared with come from Debian and are installed when they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for pair in tcpdump:tcpdump tshark:tshark ndpiReader:libndpi-bin python3:python3; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >&2
fi
[ -n "${TLSCOV:-}" ] || cargo build --release --quiet --bin tlscov

captures=("$@")
if [ ${#captures[@]} -eq 0 ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    for mix in office handshakes small; do
        cargo run --release --quiet --example generate -- "$folder/$mix.pcap" "${SIZE_MIB:-128}" "$mix"
        captures+=("$folder/$mix.pcap")
    done
fi

TLSCOV="${TLSCOV:-${CARGO_TARGET_DIR:-target}/release/tlscov}" python3 - "${captures[@]}" <<'PY'
import os, random, statistics, subprocess, sys, tempfile, time

captures = sys.argv[1:]
rounds, limit = int(os.environ.get("ROUNDS", 3)), float(os.environ.get("LIMIT", 300))
tlscov = os.environ["TLSCOV"]
report = os.path.join(tempfile.mkdtemp(), "report.json")
programs = {
    "cat": ["cat", "{}"],
    "tcpdump -w /dev/null": ["tcpdump", "-n", "-r", "{}", "-w", "/dev/null"],
    "tlscov scan": [tlscov, "scan", "{}", "--format", "json", "-o", report],
    "tlscov scan --jobs 1": [tlscov, "scan", "--jobs", "1", "{}", "--format", "json", "-o", report],
    "ndpiReader -q": ["ndpiReader", "-q", "-i", "{}"],
    "tshark -q -z io,stat,0": ["tshark", "-n", "-q", "-z", "io,stat,0", "-r", "{}"],
}


def run(command, capture):
    """Wall seconds, CPU seconds and peak resident KiB; None when it took longer than the limit."""
    started = time.monotonic()
    nothing = subprocess.DEVNULL
    process = subprocess.Popen([part.format(capture) for part in command], stdout=nothing, stderr=nothing)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        wall = time.monotonic() - started
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss
        if wall > limit:
            process.kill()
            os.wait4(process.pid, 0)
            return None
        time.sleep(0.002 if wall < 2 else 0.05)


results = {}
too_slow = set()
for capture in captures:
    run(programs["cat"], capture)  # into the page cache
for _ in range(rounds):
    for capture in captures:
        for name in random.sample(list(programs), len(programs)):
            if (name, capture) not in too_slow:
                measured = run(programs[name], capture)
                if measured is None:
                    too_slow.add((name, capture))
                results.setdefault((name, capture), []).append(measured)

print(f"Times are multiples of `cat FILE` in the same round (median of {rounds}, {os.cpu_count()} cores): wall / CPU, peak memory.")
print()
labels = [f"{os.path.basename(capture)} ({os.path.getsize(capture) >> 20} MiB)" for capture in captures]
print("| program | " + " | ".join(labels) + " |")
print("|---" * (len(captures) + 1) + "|")
for name in programs:
    cells = []
    for capture in captures:
        if (name, capture) in too_slow:
            cells.append(f"more than {limit:.0f} s")
            continue
        pairs = list(zip(results[name, capture], results["cat", capture]))
        wall = statistics.median(mine[0] / base[0] for mine, base in pairs)
        cpu = statistics.median(mine[1] / max(base[1], 1e-3) for mine, base in pairs)
        memory = max(mine[2] for mine, _ in pairs) / 1024
        cells.append(f"{wall:.1f} / {cpu:.1f}, {memory:.0f} MiB")
    print(f"| `{name}` | " + " | ".join(cells) + " |")
PY
