#!/usr/bin/env python3
"""A server of SSH version 1, as far as the client's session key: ssh1.py HOST PORT.

No server speaks version 1 any more, and OpenSSH 7.5 (openssh-client-ssh1) still does: what it says after these few
lines is real. Sources: draft-ylonen-ssh-protocol-00 (packets, SSH_SMSG_PUBLIC_KEY, SSH_CMSG_SESSION_KEY).
"""
import os
import socketserver
import struct
import subprocess
import sys
import zlib

PUBLIC_KEY, SESSION_KEY, SUCCESS = 2, 3, 14


def modulus(bits):
    key = subprocess.run(["openssl", "genrsa", str(bits)], capture_output=True, check=True).stdout
    words = subprocess.run(["openssl", "rsa", "-noout", "-modulus"], input=key, capture_output=True, check=True).stdout
    return int(words.decode().strip().split("=")[1], 16)


def mpint(number):
    return struct.pack(">H", number.bit_length()) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def packet(kind, data):
    padding = bytes(8 - (len(data) + 5) % 8)
    body = padding + bytes([kind]) + data
    check = zlib.crc32(body, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return struct.pack(">I", len(data) + 5) + body + struct.pack(">I", check)


class Server(socketserver.StreamRequestHandler):
    keys = [(768, modulus(768)), (1024, modulus(1024))]

    def handle(self):
        self.wfile.write(b"SSH-1.5-office\n")
        self.rfile.readline()
        keys = b"".join(struct.pack(">I", bits) + mpint(65537) + mpint(number) for bits, number in self.keys)
        masks = struct.pack(">III", 0, 1 << 3, 1 << 3)  # 3DES; logins by password
        self.wfile.write(packet(PUBLIC_KEY, os.urandom(8) + keys + masks))
        length = struct.unpack(">I", self.rfile.read(4))[0]
        self.rfile.read(length + 8 - length % 8)
        # What comes next would be encrypted with the session key; to the client this is a packet under it.
        self.wfile.write(struct.pack(">I", 5) + os.urandom(8))
        self.wfile.flush()
        self.connection.settimeout(2)
        try:
            self.rfile.read(1)
        except OSError:
            pass


socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer((sys.argv[1], int(sys.argv[2])), Server).serve_forever()
