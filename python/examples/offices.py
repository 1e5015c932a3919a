"""Writes one capture of many offices out of the test captures, for examples and tests that need many hosts.

    python offices.py TESTDATA OUT.pcap [OFFICES]

Each office plays one of the recorded captures, with addresses of its own and a minute after the office before. Same
arguments, same bytes.
"""

import pathlib
import struct
import sys

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)


def frames(path):
    """Seconds, microseconds and bytes of the frames of a pcap file."""
    data = path.read_bytes()
    assert data[:4] == HEADER[:4], f"{path}: expected a pcap file with microseconds, little-endian"
    place = len(HEADER)
    while place + 16 <= len(data):
        seconds, fraction, captured, _ = struct.unpack_from("<IIII", data, place)
        yield seconds, fraction, data[place + 16 : place + 16 + captured]
        place += 16 + captured


def record(seconds, fraction, frame):
    """The record of a frame in a pcap file."""
    return struct.pack("<IIII", seconds, fraction, len(frame), len(frame)) + frame


def moved(frame, office):
    """The frame with other IPv4 addresses: 10.A.B.1 and 10.A.B.2 for the two hosts of the recording."""
    if frame[12:14] != b"\x08\x00":
        return frame
    network = bytes([10, office >> 8, office & 255])
    return frame[:26] + network + frame[29:30] + network + frame[33:34] + frame[34:]


def write(testdata, out, offices=200):
    """Writes the capture; returns how many frames it has."""
    # Recordings alone: no address of theirs is part of a payload that has to fit (SDP, FTP's PORT).
    played = [list(frames(pathlib.Path(testdata) / f"{name}.pcap")) for name in ("https", "http", "tls13", "ssh", "quic", "mail")]
    count = 0
    with open(out, "wb") as file:
        file.write(HEADER)
        for office in range(offices):
            # Some play one more often than others do: offices are not all alike.
            recording = played[(office * office + office // 7) % len(played)]
            first = recording[0][0]
            for seconds, fraction, frame in recording:
                time = 1_700_000_000 + 60 * office + seconds - first
                file.write(record(time, fraction, moved(frame, office)))
                count += 1
    return count


if __name__ == "__main__":
    print(write(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])), "frames")
