"""Writes damaged copies of captures for the comparison with tshark: damage.py FOLDER COPIES CAPTURE...

COPIES of each capture, up to the six kinds of damage, which take turns. Each copy is an ordinary pcap file of at most 400 frames, changed in one way. What both programs have to agree on in all of
them: how many frames and bytes there are, and to which conversation each belongs.
"""

import pathlib
import random
import struct
import subprocess
import sys

FRAMES = 400


def frames(path):
    """Link type, and (time, original length, bytes) of the first frames, pcapng by way of tshark's own reader."""
    data = pathlib.Path(path).read_bytes()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        data = subprocess.run(["tshark", "-r", path, "-c", str(FRAMES), "-F", "pcap", "-w", "-"],
                              check=True, capture_output=True).stdout
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    records, at = [], 24
    while at + 16 <= len(data) and len(records) < FRAMES:
        seconds, fraction, captured, original = struct.unpack_from(order + "IIII", data, at)
        records.append((seconds, fraction, original, data[at + 16:at + 16 + captured]))
        at += 16 + captured
    return data[:24], order, records


def dropped(records, noise):
    return [record for record in records if noise.random() > 0.1]


def duplicated(records, noise):
    return [record for record in records for _ in range(1 + (noise.random() < 0.1))]


def reordered(records, noise):
    places = sorted(range(len(records)), key=lambda at: at + noise.random() * 6)
    return [records[at] for at in places]


def jumping(records, noise):
    return [((seconds + noise.choice([0, 0, 0, 4000, -4000])) % 2**32, *rest) for seconds, *rest in records]


def flipped(records, noise):
    """One bit behind the headers of some frames: what belongs to which conversation stays as it was."""
    out = []
    for seconds, fraction, original, data in records:
        if len(data) > 80 and noise.random() < 0.2:
            at = noise.randrange(80, len(data))
            data = data[:at] + bytes([data[at] ^ 1 << noise.randrange(8)]) + data[at + 1:]
        out.append((seconds, fraction, original, data))
    return out


def snapped(records, noise):
    length = noise.randrange(100, 400)
    return [(seconds, fraction, original, data[:length]) for seconds, fraction, original, data in records]


def main():
    folder, copies, *paths = sys.argv[1:]
    kinds = (dropped, duplicated, reordered, jumping, flipped, snapped)
    for turn, path in enumerate(paths):
        header, order, records = frames(path)
        for copy in range(min(int(copies), len(kinds))):
            change = kinds[(turn + copy) % len(kinds)]
            noise = random.Random(f"{pathlib.Path(path).name} {change.__name__}")
            out = bytearray(header)
            for seconds, fraction, original, data in change(records, noise):
                out += struct.pack(order + "IIII", seconds, fraction, len(data), original) + data
            (pathlib.Path(folder) / f"{pathlib.Path(path).name}.{change.__name__}.damaged.pcap").write_bytes(out)


main()
