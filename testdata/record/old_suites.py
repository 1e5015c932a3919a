#!/usr/bin/env python3
"""tlslite-ng on both ends, with what current libraries no longer speak: old_suites.py server|client HOST [CRT KEY]."""
import json
import socket
import sys
import threading

from tlslite.api import HandshakeSettings, TLSConnection, X509, X509CertChain, parsePEMKey

CASES = [
    ("rc4", (3, 1), ["rc4"], ["rsa"]),
    ("3des", (3, 1), ["3des"], ["rsa"]),
    ("ssl3", (3, 0), ["aes128"], ["rsa"]),
    ("null", (3, 3), ["null"], ["rsa"]),
    ("anonymous", (3, 3), ["aes128"], ["dh_anon"]),
]
PORT = 4500


def settings(version, ciphers, kex):
    s = HandshakeSettings()
    s.minVersion = s.maxVersion = version
    s.cipherNames = ciphers
    s.macNames = ["sha", "md5", "sha256"]
    s.minKeySize = 512
    s.keyExchangeNames = kex
    return s


def serve(case, port, host, chain, key):
    name, version, ciphers, kex = case
    listener = socket.create_server((host, port))
    sock, _ = listener.accept()
    tls = TLSConnection(sock)
    try:
        tls.handshakeServer(certChain=chain, privateKey=key, settings=settings(version, ciphers, kex), anon="anon" in kex[0])
        data = tls.recv(100)
        tls.send(b"answer " + data * 20)
        tls.close()
    except Exception as error:
        print(name, error, file=sys.stderr)
    sock.close()


def main():
    mode, host = sys.argv[1:3]
    if mode == "server":
        chain = X509CertChain([X509().parse(open(sys.argv[3]).read())])
        key = parsePEMKey(open(sys.argv[4]).read(), private=True)
        threads = [threading.Thread(target=serve, args=(c, PORT + i, host, chain, key)) for i, c in enumerate(CASES)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        return
    out = {}
    for i, (name, version, ciphers, kex) in enumerate(CASES):
        sock = socket.create_connection((host, PORT + i))
        tls = TLSConnection(sock)
        try:
            if "anon" in kex[0]:
                tls.handshakeClientAnonymous(settings=settings(version, ciphers, kex))
            else:
                tls.handshakeClientCert(settings=settings(version, ciphers, kex))
            out[name] = {"port": PORT + i, "version": tls.getVersionName(), "cipher": tls.getCipherName(),
                         "suite": "0x%04x" % tls.session.cipherSuite}
            tls.send(b"question" * 40)
            tls.recv(10000)
            tls.close()
        except Exception as error:
            out[name] = {"port": PORT + i, "failed": str(error)}
        sock.close()
    print(json.dumps(out, indent=1))


main()
