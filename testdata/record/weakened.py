#!/usr/bin/env python3
"""What weakens TLS, and for each a near miss, with tlslite-ng on both ends: weakened.py server|client HOST CASES.

CASES is `handshakes` or `certificates`. Each case has a port of its own, in the order of the table. `certificates` makes
its certificates anew, with dates around the day of the recording.
"""
import datetime
import json
import socket
import subprocess
import sys
import tempfile
import threading

from tlslite.api import HandshakeSettings, TLSConnection, X509, X509CertChain, parsePEMKey
from tlslite.keyexchange import ECDHKeyExchange
from tlslite.constants import ExtensionType
from tlslite.mathtls import RFC2409_GROUP2, RFC3526_GROUP14
from tlslite.messages import ClientHello

PORT = 4600
NAME = "office.example"
PSK = (b"printer", b"\x5a" * 32)

V10, V11, V12, V13 = (3, 1), (3, 2), (3, 3), (3, 4)

# A prime of 1024 bits that nobody else has: `openssl dhparam 1024`, made for this.
OWN = 2, int(
    "ca845b05ee9724e986d80716d0817f3ee6b25915fd414cd2993279c03b8dc01d"
    "9895e94bf5e60af5d873a0c883238f89f159616019e8e50890a12a77415433e2"
    "2cd294daa43dfb32f69852781e0cf7b53de89d376f9c3d83a4854409a417310b"
    "a3e98816d34e6e155ba6114cd3890f55ec7c7ef18f6bb1f7dc5a1574e5f71eb7", 16)

# name, what the server is told, what the client is told, connections
HANDSHAKES = [
    ("psk_ke", dict(psk=True, modes=["psk_ke"], min=V13), dict(psk=True, modes=["psk_ke"], min=V13), 1),
    ("psk_dhe_ke", dict(psk=True, modes=["psk_dhe_ke"], min=V13), dict(psk=True, modes=["psk_dhe_ke"], min=V13), 1),
    ("dh_1024_shared", dict(max=V12, kex=["dhe_rsa"], dh=RFC2409_GROUP2), dict(max=V12, kex=["dhe_rsa"]), 1),
    ("dh_1024_own", dict(max=V12, kex=["dhe_rsa"], dh="own"), dict(max=V12, kex=["dhe_rsa"]), 1),
    ("dh_2048_shared", dict(max=V12, kex=["dhe_rsa"], dh=RFC3526_GROUP14), dict(max=V12, kex=["dhe_rsa"]), 1),
    ("share_repeated_tls13", dict(min=V13, fixed=True), dict(min=V13), 3),
    ("share_repeated_tls12", dict(max=V12, kex=["ecdhe_rsa"], fixed=True), dict(max=V12, kex=["ecdhe_rsa"]), 2),
    ("share_fresh_tls13", dict(min=V13), dict(min=V13), 2),
    ("share_fresh_tls12", dict(max=V12, kex=["ecdhe_rsa"]), dict(max=V12, kex=["ecdhe_rsa"]), 2),
    ("client_behind", dict(), dict(max=V12, kex=["ecdhe_rsa"]), 1),
    ("client_and_server_behind", dict(max=V12, kex=["ecdhe_rsa"]), dict(max=V12, kex=["ecdhe_rsa"]), 1),
    ("server_behind", dict(max=V12, kex=["ecdhe_rsa"]), dict(kex=["ecdhe_rsa"]), 1),
    ("downgraded", dict(kex=["ecdhe_rsa"], strip=True), dict(kex=["ecdhe_rsa"]), 1),
    ("fallback", dict(max=V11, kex=["ecdhe_rsa"]), dict(max=V11, kex=["ecdhe_rsa"], fallback=True), 1),
    ("old_without_fallback", dict(max=V11, kex=["ecdhe_rsa"]), dict(max=V11, kex=["ecdhe_rsa"]), 1),
    ("heartbeat", dict(max=V12, kex=["ecdhe_rsa"], heartbeat=True), dict(max=V12, kex=["ecdhe_rsa"], heartbeat=True), 1),
]
# name of the case, then what its certificate is made of
CERTIFICATES = [
    ("good", {}),
    ("expired", dict(days=(-400, -30))),
    ("not_yet_valid", dict(days=(30, 400))),
    ("self_signed", dict(own=True)),
    ("rsa_1024", dict(bits=1024)),
    ("sha1", dict(hash="sha1")),
    ("other_name", dict(name="printer.example")),
]

# What a server thread is to do: a fixed private value, and a device in between that takes TLS 1.3 out of ClientHellos.
local = threading.local()
fresh = ECDHKeyExchange.get_random_private_key
parse = ClientHello.parse


def private_key(self):
    if getattr(local, "fixed", False):
        return bytearray(range(1, 33)) if self.group == 29 else 0x1234567890abcdef1234567890abcdef
    return fresh(self)


def stripped(self, parser):
    hello = parse(self, parser)
    if getattr(local, "strip", False):
        hello.extensions = [e for e in hello.extensions if e.extType != ExtensionType.supported_versions]
    return hello


ECDHKeyExchange.get_random_private_key = private_key
ClientHello.parse = stripped


def settings(psk=False, modes=None, min=V10, max=V13, kex=None, dh=None, fixed=False, strip=False, fallback=False, heartbeat=False):
    s = HandshakeSettings()
    s.minVersion, s.maxVersion = min, max
    s.versions = [v for v in (V13, V12, V11, V10) if min <= v <= max]
    s.use_heartbeat_extension = heartbeat
    s.rsaSigHashes = ["sha256"]  # a key of 1024 bits has no room for a PSS signature with SHA-512
    s.sendFallbackSCSV = fallback
    s.ticket_count = 0
    s.eccCurves, s.keyShares, s.defaultCurve = ["x25519"], ["x25519"], "x25519"
    if psk:
        s.pskConfigs, s.psk_modes = [PSK], modes
    if kex:
        s.keyExchangeNames = kex
    if dh:
        s.dhGroups = []
        s.dhParams = OWN if dh == "own" else dh
    elif kex == ["dhe_rsa"]:
        s.dhGroups = []
    return s


def make(days=(-30, 400), own=False, bits=2048, hash="sha256", name=NAME):
    """A certificate and its key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    key = rsa.generate_private_key(65537, max(bits, 1024))
    authority = key if own else rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer = subject if own else x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority.example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = (now + datetime.timedelta(days=d) for d in days)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), start, end)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    pem = builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                serialization.NoEncryption()).decode()
    if hash == "sha1":
        # The library does not sign with SHA-1 any more; openssl does.
        secret = authority.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                         serialization.NoEncryption()).decode()
        with tempfile.TemporaryDirectory() as folder:
            for file, text in (("leaf.key", private), ("authority.key", secret)):
                with open(f"{folder}/{file}", "w") as fh:
                    fh.write(text)
            run = lambda *words: subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
            run("req", "-x509", "-key", "authority.key", "-out", "authority.pem", "-subj", "/CN=authority.example")
            run("req", "-new", "-key", "leaf.key", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-out", "leaf.csr")
            run("x509", "-req", "-in", "leaf.csr", "-copy_extensions", "copy", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-sha1", "-days", "400", "-out", "sha1.pem")
            pem = open(f"{folder}/sha1.pem").read()
    return pem, private


def serve(name, host, port, chain, key, options, connections, ready):
    local.fixed, local.strip = options.get("fixed", False), options.get("strip", False)
    tls_settings = settings(**options)
    listener = socket.create_server((host, port))
    ready.release()
    for _ in range(connections):
        sock, _ = listener.accept()
        tls = TLSConnection(sock)
        try:
            tls.handshakeServer(certChain=chain, privateKey=key, settings=tls_settings)
            data = tls.recv(100)
            tls.send(b"answer " + data * 20)
            tls.close()
        except Exception as error:
            print(name, repr(error), file=sys.stderr)
        sock.close()


def server(host, cases):
    pem, private = make()
    ready = threading.Semaphore(0)
    threads = []
    if cases == "handshakes":
        rows = [(name, pem, private, options, count) for name, options, _, count in HANDSHAKES]
    else:
        rows = [(name, *make(**how), dict(max=V12, kex=["ecdhe_rsa"]), 1) for name, how in CERTIFICATES]
    for i, (name, pem, private, options, count) in enumerate(rows):
        chain, key = X509CertChain([X509().parse(pem)]), parsePEMKey(private, private=True)
        threads.append(threading.Thread(target=serve, args=(name, host, PORT + i, chain, key, options, count, ready)))
    [t.start() for t in threads]
    [t.join() for t in threads]


def client(host, cases):
    rows = HANDSHAKES if cases == "handshakes" else [(n, None, dict(max=V12, kex=["ecdhe_rsa"]), 1) for n, _ in CERTIFICATES]
    out = {}
    for i, (name, _, options, connections) in enumerate(rows):
        said = []
        for _ in range(connections):
            sock = socket.create_connection((host, PORT + i))
            tls = TLSConnection(sock)
            try:
                tls.handshakeClientCert(settings=settings(**options), serverName=NAME if cases == "certificates" else None)
                said.append({"version": tls.getVersionName(), "cipher": tls.getCipherName(), "suite": "0x%04x" % tls.session.cipherSuite})
                tls.send(b"question" * 40)
                tls.recv(10000)
                tls.close()
            except Exception as error:
                said.append({"failed": str(error)})
            sock.close()
        out[name] = {"port": PORT + i, "connections": said}
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    (server if sys.argv[1] == "server" else client)(*sys.argv[2:4])
