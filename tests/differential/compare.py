"""Compares tlscov with tshark on captures; see run.

Known and taken out of the comparison:
- tshark names what was negotiated in the ServerHello frame; a HelloRetryRequest looks the same to it, and is told apart
  by its random value (RFC 8446 section 4.1.3).
- tshark gives TLS 1.3 in supported_versions, the legacy version otherwise.
- A flow that ended before a ServerHello has no version and no suite in either.
"""

import collections
import json
import subprocess
import sys

RETRY = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
VERSIONS = {0x0002: "ssl2", 0x0300: "ssl3", 0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def normal(version):
    """A version as tlscov writes it, without the name of the protocol in front."""
    return None if version is None else version.lower().removeprefix("tls").strip()


def theirs(path):
    """Frames, bytes, and (server name, version, suite) of each TCP stream with a TLS handshake."""
    lengths = [int(line) for line in run("tshark", "-r", path, "-T", "fields", "-e", "frame.len").split()]
    fields = ["tcp.stream", "tls.handshake.type", "tls.handshake.random", "tls.handshake.extensions_server_name",
              "tls.handshake.version", "tls.handshake.extensions.supported_version", "tls.handshake.ciphersuite"]
    arguments = [word for field in fields for word in ("-e", field)]
    text = run("tshark", "-r", path, "-2", "-Y", "tcp && (tls.handshake.type == 1 || tls.handshake.type == 2)",
               "-T", "fields", "-E", "separator=|", "-E", "occurrence=a", *arguments)
    streams = {}
    for line in text.splitlines():
        stream, kinds, random, name, version, supported, suites = line.split("|")
        kinds = kinds.split(",")
        said = streams.setdefault(stream, [None, None, None])
        if "1" in kinds and name and said[0] is None:
            said[0] = name.split(",")[0]
        if "2" in kinds and said[2] is None and not random.replace(":", "").startswith(RETRY):
            chosen = supported.split(",")[-1] if supported else version.split(",")[-1]
            said[1] = VERSIONS.get(int(chosen, 16), chosen)
            said[2] = int(suites.split(",")[-1], 16)
    return len(lengths), sum(lengths), collections.Counter(map(tuple, streams.values()))


def ours(program, path):
    report = json.loads(run(program, "scan", "--quiet", "--format", "json", path))
    flows = [json.loads(line) for line in run(program, "flows", "--quiet", path).splitlines()]
    handshakes = collections.Counter()
    for flow in flows:
        tls = flow.get("tls")
        if flow["network"].get("transport") != "tcp" or not tls:
            continue
        if not (tls.get("offered_versions") or tls.get("cipher_code")):
            continue
        code = tls.get("cipher_code")
        handshakes[(tls.get("server_name"), normal(tls.get("version")), int(code, 16) if code else None)] += 1
    capture = report["captures"][0]
    return capture["packets"], capture["wire_bytes"], handshakes


def main():
    program, *paths = sys.argv[1:]
    failed = False
    for path in paths:
        packets, wire_bytes, handshakes = ours(program, path)
        their_packets, their_bytes, their_handshakes = theirs(path)
        lines = []
        if (packets, wire_bytes) != (their_packets, their_bytes):
            lines.append(f"frames, bytes: {packets}, {wire_bytes} here; {their_packets}, {their_bytes} by tshark")
        for said, count in sorted((handshakes - their_handshakes).items(), key=str):
            lines.append(f"only here: {count} of {said}")
        for said, count in sorted((their_handshakes - handshakes).items(), key=str):
            lines.append(f"only by tshark: {count} of {said}")
        failed |= bool(lines)
        if lines:
            print(f"{path}: DIFFERENT", *lines, sep="\n  ")
        else:
            print(f"{path}: {packets} frames, {wire_bytes} bytes, {sum(handshakes.values())} handshakes, the same")
    sys.exit(failed)


main()
