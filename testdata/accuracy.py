#!/usr/bin/env python3
"""Writes docs/accuracy.md: what tlscov says of testdata/, against what the recording scripts are known to have sent.

usage: testdata/accuracy.py [--check] [TLSCOV]      (default target/release/tlscov)

With --check nothing is written: the exit status is 1 when the page is not what this program would give.

testdata/truth.json names, for each capture, the services that the scripts started: transport, server port (0: any other),
class, protocol. A list of classes is that of the connections in the order in which they were opened. The program never
sees the truth, and no port decides a class in it.
"""
import collections
import json
import math
import pathlib
import subprocess
import sys

CLASSES = ["encrypted", "plaintext", "unknown", "control"]
root = pathlib.Path(__file__).resolve().parent.parent
arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
tlscov = arguments[0] if arguments else str(root / "target/release/tlscov")
truth = json.loads((root / "testdata/truth.json").read_text())
recorded = {path.stem for path in (root / "testdata").glob("*.pcap")}
if recorded != set(truth):
    sys.exit(f"testdata/truth.json and the captures differ: {sorted(recorded ^ set(truth))}")

confusion = collections.Counter()
protocols = collections.defaultdict(collections.Counter)
names = collections.Counter()
wrong = []


def service_of(services, flow):
    """The row of truth that fits a flow: by transport and either port, else the row for any port."""
    ports = (flow["server"]["port"], flow["client"]["port"])
    same = [row for row in services if row[0] == flow["network"]["transport"]]
    fits = [row for row in same if row[1] in ports] or [row for row in same if row[1] == 0]
    if len(fits) != 1:
        sys.exit(f"{len(fits)} rows of truth.json fit a flow of {ports}")
    return fits[0]


for name, services in sorted(truth.items()):
    command = [tlscov, "flows", "--quiet", str(root / f"testdata/{name}.pcap")]
    out = subprocess.run(command, capture_output=True, check=True)
    opened = collections.Counter()
    for line in out.stdout.splitlines():
        flow = json.loads(line)
        got, bytes_ = flow["class"], flow["client"]["bytes"] + flow["server"]["bytes"]
        if flow["client"]["payload_bytes"] + flow["server"]["payload_bytes"] == 0:
            confusion["control", got, "flows"] += 1
            confusion["control", got, "bytes"] += bytes_
            continue
        row = service_of(services, flow)
        want, protocol = row[2], row[3]
        if isinstance(want, list):
            place = opened[id(row)]
            opened[id(row)] += 1
            if place >= len(want):
                sys.exit(f"{name}: more connections to {row[1]} than truth.json knows")
            want = want[place]
        confusion[want, got, "flows"] += 1
        confusion[want, got, "bytes"] += bytes_
        outcome = "right" if got == want else "unknown" if got == "unknown" else "wrong"
        protocols[protocol][outcome] += 1
        protocols[protocol]["bytes"] += bytes_
        said = flow["network"].get("upgraded_from") or flow["network"]["protocol"]
        if said != protocol:
            print(f"{name}: {said} for {protocol}", file=sys.stderr)
        names["right" if said == protocol else "unknown" if said == "unknown" else "other"] += 1
        if outcome != "right":
            wrong.append(f"`{name}`: {protocol}, sent {want}, said {got} ({bytes_:,} bytes)")


def wilson(count, whole):
    """95% interval of a share (Wilson 1927)."""
    z = 1.959964
    middle = (count + z * z / 2) / (whole + z * z)
    half = z / (whole + z * z) * math.sqrt(count * (whole - count) / whole + z * z / 4)
    return f"{100 * max(0, middle - half):.1f}% to {100 * min(1, middle + half):.1f}%"


def sum_of(unit, test):
    return sum(count for (want, got, by), count in confusion.items() if by == unit and test(want, got))


def rate(title, test, among):
    flows, all_flows = sum_of("flows", test), sum_of("flows", among)
    octets, all_octets = sum_of("bytes", test), sum_of("bytes", among)
    share = f"{100 * flows / all_flows:.1f}%"
    return f"| {title} | {flows} of {all_flows} | {share} | {wilson(flows, all_flows)} | {100 * octets / all_octets:.2f}% |"


wants = [want for want in CLASSES if any(key[0] == want for key in confusion)]
page = [
    "# Accuracy on the captures of `testdata/`",
    "",
    "Made by `testdata/accuracy.py`. The truth is what the recording scripts started (`testdata/truth.json`) and what the endpoints said",
    f"of themselves (`*.said.json`): {len(truth)} captures of real programs that talk to each other, with the programs' own clients.",
    "",
    "## Error rate",
    "",
    "| | flows | share | 95% interval | share of wire bytes |",
    "|---|---|---|---|---|",
    rate("wrong class", lambda want, got: got != want and got != "unknown", lambda want, got: want != "control"),
    rate("said encrypted, sent in clear", lambda want, got: (want, got) == ("plaintext", "encrypted"), lambda want, got: want == "plaintext"),
    rate("said plaintext, sent encrypted", lambda want, got: (want, got) == ("encrypted", "plaintext"), lambda want, got: want == "encrypted"),
    rate("left unknown", lambda want, got: got == "unknown", lambda want, got: want != "control"),
    "",
    "The intervals (Wilson) take flows for independent draws, which recorded flows are not, and these captures are not the traffic of any",
    "network: they show that each recogniser knows the real thing, not how often it errs where you are.",
    "",
    "## Classes: flows (wire bytes)",
    "",
    "| sent | " + " | ".join(f"said {got}" for got in CLASSES) + " |",
    "|---|" + "---|" * len(CLASSES),
]
for want in wants:
    cells = [f"{confusion[want, got, 'flows']} ({confusion[want, got, 'bytes']:,})" for got in CLASSES]
    page.append(f"| {want} | " + " | ".join(cells) + " |")
page += ["", "## By protocol: flows", "", "| protocol | right class | unknown | wrong class | wire bytes |", "|---|---|---|---|---|"]
page += [
    f"| {name} | {count['right']} | {count['unknown']} | {count['wrong']} | {count['bytes']:,} |" for name, count in sorted(protocols.items())
]
total = sum(names.values())
page += ["", f"The protocol itself was named right for {names['right']} of {total} flows, another was named for {names['other']}, none for {names['unknown']}."]
page += ["", "## Every flow that is not right", ""]
page += [f"- {line}" for line in wrong] or ["None."]
page += [
    "",
    "## Known to be hard",
    "",
    "- RTP that no SDP announced has the header of SRTP: unknown unless its payload cannot be cipher output.",
    "- What a TURN server relays has no header of its own: unknown unless it is recognised by itself.",
    "- QUIC whose first packets are missing: short headers say nothing; unknown unless the connection was seen elsewhere.",
    "- TLS in mid-stream with fewer than three records in a row: unknown.",
    "- A proxied or tunnelled stream (SOCKS, CONNECT) around something unknown: unknown.",
    "- Vendor encryption without a published description (RealVNC's own types, TeamViewer): unknown.",
    "- Protocols with short headers in one direction only (asymmetric captures): unknown more often.",
    "- TLS 1.3 hides the types of its records: a handshake that no application data follows counts as established there.",
    "",
]
target, text = root / "docs/accuracy.md", "\n".join(page)
if "--check" in sys.argv:
    if target.read_text() != text:
        sys.exit("docs/accuracy.md is stale: run testdata/accuracy.py")
    print("docs/accuracy.md is up to date")
else:
    target.write_text(text)
    print("\n".join(page[6:22]))
