#!/usr/bin/env python3
"""Writes docs/accuracy.md: what tlscov says of testdata/, against what the recording scripts are known to have sent.

usage: testdata/accuracy.py [TLSCOV]      (default target/release/tlscov)

testdata/truth.json names, for each capture, the services that the scripts started: transport, server port (0: any other),
class, protocol. A class of two words is a service that upgrades; there either is right. The program never sees ports.
"""
import collections
import json
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
tlscov = sys.argv[1] if len(sys.argv) > 1 else str(root / "target/release/tlscov")
truth = json.loads((root / "testdata/truth.json").read_text())
confusion, protocols = collections.Counter(), collections.defaultdict(collections.Counter)
for name, services in sorted(truth.items()):
    out = subprocess.run([tlscov, "flows", "--quiet", str(root / f"testdata/{name}.pcap")], capture_output=True, check=True)
    for line in out.stdout.splitlines():
        flow = json.loads(line)
        got, bytes_ = flow["class"], flow["client"]["bytes"] + flow["server"]["bytes"]
        if got == "control" and flow["client"]["payload_bytes"] + flow["server"]["payload_bytes"] == 0:
            confusion["control", got, "flows"] += 1
            confusion["control", got, "bytes"] += bytes_
            continue
        ports = (flow["server"]["port"], flow["client"]["port"])
        fits = [s for s in services if s[0] == flow["network"]["transport"] and s[1] in ports] or [s for s in services if s[1] == 0]
        want, protocol = (fits[0][2], fits[0][3]) if fits else ("unknown", "?")
        right = got in want.split(" or ")
        confusion[want, got, "flows"] += 1
        confusion[want, got, "bytes"] += bytes_
        protocols[protocol]["right" if right else "wrong"] += 1
wants = sorted({want for want, _, _ in confusion})
gots = ["encrypted", "plaintext", "unknown", "control"]
page = ["# Accuracy on the captures of `testdata/`", "",
        "Made by `testdata/accuracy.py`; the truth is what the recording scripts started, and the endpoints' own words.", "",
        "## Classes: flows (wire bytes)", "", "| sent | " + " | ".join(f"said {got}" for got in gots) + " |",
        "|---|" + "---|" * len(gots)]
for want in wants:
    cells = [f"{confusion[want, got, 'flows']} ({confusion[want, got, 'bytes']:,})" for got in gots]
    page.append(f"| {want} | " + " | ".join(cells) + " |")
page += ["", "## By protocol: flows in the right class", "", "| protocol | right | wrong |", "|---|---|---|"]
page += [f"| {name} | {count['right']} | {count['wrong']} |" for name, count in sorted(protocols.items())]
page += ["", "## Known to be hard", "",
         "- RTP that no SDP announced has the header of SRTP: unknown unless its payload cannot be cipher output.",
         "- QUIC whose first packets are missing: short headers say nothing; unknown.",
         "- TLS in mid-stream with fewer than three records in a row: unknown.",
         "- A proxied or tunnelled stream (SOCKS, CONNECT) around something unknown: unknown.",
         "- Vendor encryption without a published description (RealVNC's own types, TeamViewer): unknown.",
         "- Protocols with short headers in one direction only (asymmetric captures): unknown more often.", ""]
(root / "docs/accuracy.md").write_text("\n".join(page))
print("\n".join(page[:14]))
