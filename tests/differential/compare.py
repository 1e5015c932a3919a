"""Compares tlscov with tshark on captures; see run.

Compared for every capture, and equal or the run fails: frames and bytes of the file, and frames and bytes of each TCP
and UDP conversation (two addresses, two ports).

Compared for captures as they were recorded, and equal or the run fails: server name, version and suite of each TLS
handshake over TCP. For damaged copies the differences are listed and counted by their explanation, since the two programs
do different things about bytes that are missing:
- "tshark reads on behind a gap": it dissects any segment that looks like a record; tlscov reads messages only where the
  bytes before them are there, so it says less.
- "tlscov knows more": tshark gives a message up when a segment of it came twice, late or cut; tlscov puts it in order.
- "read differently": both see a handshake, and one of its fields was overwritten.

Known and taken out of the comparison:
- tshark names what was negotiated in the ServerHello frame; a HelloRetryRequest looks the same to it, and is told apart
  by its random value (RFC 8446 section 4.1.3).
- tshark gives TLS 1.3 in supported_versions, the legacy version otherwise.
- A flow that ended before a ServerHello has no version and no suite in either.
- Conversations inside tunnels, in fragments and in ICMP errors, where the innermost layer is a matter of taste.
"""

import collections
import concurrent.futures
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
    """What tshark says: frames, bytes, (server name, version, suite) of each TCP stream with a TLS handshake, and frames and
    bytes by (transport, ends), without frames that have several layers of addresses. One run: starting it takes longest."""
    fields = ["frame.len", "tcp.stream", "tls.handshake.type", "tls.handshake.random",
              "tls.handshake.extensions_server_name", "tls.handshake.version", "tls.handshake.extensions.supported_version",
              "tls.handshake.ciphersuite", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport",
              "udp.srcport", "udp.dstport", "icmp.type", "icmpv6.type", "ip.flags.mf", "ip.frag_offset"]
    arguments = [word for field in fields for word in ("-e", field)]
    text = run("tshark", "-n", "-r", path, "-2", "-T", "fields", "-E", "separator=|", "-E", "occurrence=a", *arguments)
    frames, wire_bytes = 0, 0
    streams, sums = {}, collections.defaultdict(lambda: [0, 0])
    for line in text.splitlines():
        length, stream, kinds, random, name, version, supported, suites, *ends, icmp, icmpv6, more, offset = line.split("|")
        frames += 1
        wire_bytes += int(length)
        kinds = kinds.split(",")
        if stream and ("1" in kinds or "2" in kinds):
            said = streams.setdefault(stream, [None, None, None])
            if "1" in kinds and name and said[0] is None:
                said[0] = name.split(",")[0]
            if "2" in kinds and said[2] is None and suites and not random.replace(":", "").startswith(RETRY):
                chosen = supported.split(",")[-1] if supported else version.split(",")[-1]
                said[1] = VERSIONS.get(int(chosen, 16), chosen)
                said[2] = int(suites.split(",")[-1], 16)
        fragment = more in ("1", "True") or offset not in ("", "0")
        if icmp or icmpv6 or fragment or any("," in end for end in ends):
            continue
        from4, to4, from6, to6, tcp_from, tcp_to, udp_from, udp_to = ends
        if tcp_from or udp_from:
            pair = sorted([(from4 or from6, int(tcp_from or udp_from)), (to4 or to6, int(tcp_to or udp_to))])
            total = sums["tcp" if tcp_from else "udp", *pair]
            total[0] += 1
            total[1] += int(length)
    return frames, wire_bytes, collections.Counter(map(tuple, streams.values())), sums


def our_conversations(flows):
    sums = collections.defaultdict(lambda: [0, 0])
    for flow in flows:
        transport = flow["network"].get("transport")
        if transport not in ("tcp", "udp") or flow.get("tunnel"):
            continue
        client, server = flow["client"], flow["server"]
        total = sums[transport, *sorted([(side["ip"], side["port"]) for side in (client, server)])]
        total[0] += client["packets"] + server["packets"]
        total[1] += client["bytes"] + server["bytes"]
    return sums


def explain(here, there):
    """Why the handshakes of a damaged copy differ, by count."""
    mine, tshark = sum((here - there).values()), sum((there - here).values())
    both = min(mine, tshark)
    return {"read differently": both, "tlscov knows more": mine - both, "tshark reads on behind a gap": tshark - both}


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
    return capture["packets"], capture["wire_bytes"], handshakes, our_conversations(flows)


def compare(program, path):
    """Lines about differences that fail the run, and the explained ones by count."""
    packets, wire_bytes, handshakes, conversations = ours(program, path)
    their_packets, their_bytes, their_handshakes, by_tshark = theirs(path)
    lines = []
    if (packets, wire_bytes) != (their_packets, their_bytes):
        lines.append(f"frames, bytes: {packets}, {wire_bytes} here; {their_packets}, {their_bytes} by tshark")
    for key, total in by_tshark.items():
        if conversations.get(key) != total:
            lines.append(f"{key}: {conversations.get(key)} here, {total} by tshark")
    explained = {}
    if ".damaged." in path:
        explained = explain(handshakes, their_handshakes)
    else:
        lines += [f"only here: {count} of {said}" for said, count in sorted((handshakes - their_handshakes).items(), key=str)]
        lines += [f"only by tshark: {count} of {said}" for said, count in sorted((their_handshakes - handshakes).items(), key=str)]
    summary = f"{packets} frames, {wire_bytes} bytes, {len(by_tshark)} conversations, {sum(handshakes.values())} handshakes"
    return path, summary, lines, explained


def main():
    program, *paths = sys.argv[1:]
    failed = False
    explained = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for path, summary, lines, found in pool.map(lambda path: compare(program, path), paths):
            failed |= bool(lines)
            explained.update(found)
            if lines:
                print(f"{path}: DIFFERENT", *lines, sep="\n  ")
            elif ".damaged." not in path:
                print(f"{path}: {summary}, the same")
    damaged = sum(".damaged." in path for path in paths)
    if damaged:
        print(f"{damaged} damaged copies: frames, bytes and conversations as by tshark" if not failed else f"{damaged} damaged copies")
        for why, count in sorted(explained.items()):
            print(f"  {why}: {count} handshakes")
    sys.exit(failed)


main()
