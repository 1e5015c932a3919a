#!/usr/bin/env python3
"""More of what weakens encryption, and near misses: findings.py server|client HOST SCENARIO [KEY...].

`mail`: STARTTLS overwritten by a device in between, agreed and not followed, used. `renegotiation`: tlslite-ng as a server
that knows nothing of RFC 5746, and one that does. `ssh`: AsyncSSH 2.13.2, which is older than strict key exchange.
`telnet`: telnetlib3. Each case has a port of its own.

findings.py ech_client HOST PORT CASE: curl_cffi, once.
"""
import asyncio
import json
import smtplib
import socket
import ssl
import sys
import threading
import time

MAIL = {"stripped": 2601, "not_followed": 2602, "used": 2603, "never_offered": 2604}
RENEGOTIATION = {"unprotected": 4801, "protected": 4802}
SSH = {"chacha": 2301, "cbc_etm": 2302, "ctr": 2303}
TEXT = "Subject: minutes\r\nFrom: a@office.example\r\nTo: b@office.example\r\n\r\n" + "The minutes of the meeting.\r\n" * 10


def overwrite(host, port, behind):
    """A device that strips STARTTLS as some firewalls do: it puts X in the place of the letters."""
    def pass_on(source, target):
        while data := source.recv(4096):
            target.sendall(data.replace(b"STARTTLS", b"XXXXXXXA"))
        target.close()

    listener = socket.create_server((host, port))
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", behind))
        threading.Thread(target=pass_on, args=(client, server), daemon=True).start()
        threading.Thread(target=pass_on, args=(server, client), daemon=True).start()


async def mail_server(host, crt, key):
    from aiosmtpd.handlers import Sink
    from aiosmtpd.smtp import SMTP
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(crt, key)
    loop = asyncio.get_running_loop()
    for address, port, tls in (("127.0.0.1", 2600, context), (host, MAIL["not_followed"], context), (host, MAIL["used"], context), (host, MAIL["never_offered"], None)):
        await loop.create_server(lambda tls=tls: SMTP(Sink(), tls_context=tls, hostname="office.example"), address, port)
    threading.Thread(target=overwrite, args=(host, MAIL["stripped"], 2600), daemon=True).start()
    await asyncio.sleep(3600)


def mail_client(host):
    out = {}
    for case, port in MAIL.items():
        with smtplib.SMTP(host, port) as smtp:
            smtp.ehlo()
            said = {"offered": smtp.has_extn("starttls")}
            if case == "used":
                smtp.starttls(context=ssl._create_unverified_context())
                said["version"] = smtp.sock.version()
            if case == "not_followed":
                said["answer"] = smtp.docmd("STARTTLS")[0]
                # A client that forgets to switch: it goes on in clear.
                smtp.sock.sendall(b"EHLO client.example\r\nMAIL FROM:<a@office.example>\r\n")
                time.sleep(0.3)
                smtp.close()
            else:
                smtp.sendmail("a@office.example", ["b@office.example"], TEXT)
        out[case] = {"port": port, "connections": [said]}
    return out


def renegotiation_server(host, crt, key):
    from tlslite.api import HandshakeSettings, TLSConnection, X509, X509CertChain, parsePEMKey
    from tlslite.constants import CipherSuite, ExtensionType
    from tlslite.messages import ClientHello
    local = threading.local()
    parse = ClientHello.parse

    def forgetful(self, parser):
        hello = parse(self, parser)
        if local.forgets:
            hello.extensions = [e for e in hello.extensions or [] if e.extType != ExtensionType.renegotiation_info]
            hello.cipher_suites = [s for s in hello.cipher_suites if s != CipherSuite.TLS_EMPTY_RENEGOTIATION_INFO_SCSV]
        return hello

    ClientHello.parse = forgetful
    chain = X509CertChain([X509().parse(open(crt).read())])
    private = parsePEMKey(open(key).read(), private=True)

    def serve(case, port):
        local.forgets = case == "unprotected"
        settings = HandshakeSettings()
        settings.maxVersion = (3, 3)
        sock, _ = socket.create_server((host, port)).accept()
        tls = TLSConnection(sock)
        tls.handshakeServer(certChain=chain, privateKey=private, settings=settings)
        tls.send(b"answer " + tls.recv(100) * 20)
        tls.close()

    for case, port in RENEGOTIATION.items():
        threading.Thread(target=serve, args=(case, port)).start()


def renegotiation_client(host):
    out = {}
    for case, port in RENEGOTIATION.items():
        context = ssl._create_unverified_context()
        context.options |= 0x4  # SSL_OP_LEGACY_SERVER_CONNECT
        with socket.create_connection((host, port)) as sock, context.wrap_socket(sock) as tls:
            tls.sendall(b"question" * 40)
            tls.recv(10000)
            out[case] = {"port": port, "connections": [{"version": tls.version(), "cipher": tls.cipher()[0]}]}
    return out


async def ssh_server(host):
    import asyncssh

    class Open(asyncssh.SSHServer):
        def begin_auth(self, username):
            return False

    async def work(process):
        process.stdout.write("The minutes of the meeting.\n" * 20)
        process.exit(0)

    ciphers = {"chacha": ["chacha20-poly1305@openssh.com"], "cbc_etm": ["aes128-cbc"], "ctr": ["aes128-ctr"]}
    for case, port in SSH.items():
        macs = ["hmac-sha2-256-etm@openssh.com"] if case == "cbc_etm" else ["hmac-sha2-256"]
        await asyncssh.listen(host, port, server_factory=Open, process_factory=work, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
                              encryption_algs=ciphers[case], mac_algs=macs)
    await asyncio.sleep(3600)


async def telnet_server(host):
    import telnetlib3

    async def shell(reader, writer):
        writer.write("login: ")
        name = await reader.readline()
        writer.write("Password: ")
        await reader.readline()
        writer.write("\r\nwelcome " + name + "\r\n" + "The minutes of the meeting.\r\n" * 10)
        await asyncio.sleep(0.3)
        writer.close()

    await telnetlib3.create_server(host=host, port=2323, shell=shell, connect_maxwait=0.5)
    await asyncio.sleep(3600)


async def telnet_client(host):
    import telnetlib3
    reader, writer = await telnetlib3.open_connection(host, 2323, connect_minwait=0.2, connect_maxwait=0.5)
    await reader.readuntil(b"login: ")
    writer.write("clerk\r\n")
    await reader.readuntil(b"Password: ")
    writer.write("office\r\n")
    await asyncio.sleep(0.6)
    writer.close()
    return {"login": {"port": 2323, "connections": [{}]}}


def ech(host, port, case):
    """curl with the TLS of Chrome, which pretends to offer ECH; or with a configuration for an invented server, really."""
    import base64
    import os
    from curl_cffi import Curl, CurlOpt
    curl = Curl()
    curl.setopt(CurlOpt.URL, f"https://office.example:{port}/short.html".encode())
    curl.setopt(CurlOpt.RESOLVE, [f"office.example:{port}:{host}"])
    curl.setopt(CurlOpt.SSL_VERIFYPEER, 0), curl.setopt(CurlOpt.SSL_VERIFYHOST, 0), curl.setopt(CurlOpt.TIMEOUT, 5)
    if case == "real_asked_twice":
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        key = X25519PrivateKey.generate().public_key().public_bytes_raw()
        name = b"front.example"
        # RFC 9849 section 4: config_id, X25519, key, HKDF-SHA256 with AES-128-GCM, longest name, public name, no extensions.
        inner = b"\x07\0\x20\0\x20" + key + b"\0\x04\0\x01\0\x01" + b"\x20" + bytes([len(name)]) + name + b"\0\0"
        config = b"\xfe\x0d" + len(inner).to_bytes(2) + inner
        curl.setopt(CurlOpt.ECH, b"ecl:" + base64.b64encode(len(config).to_bytes(2) + config))
        curl.setopt(CurlOpt.SSLVERSION, 7)
    else:
        curl.impersonate("chrome120")
    curl.setopt(CurlOpt.WRITEFUNCTION, lambda data: len(data))
    curl.perform()


def main():
    if sys.argv[1] == "ech_client":
        return ech(*sys.argv[2:5])
    role, host, scenario = sys.argv[1:4]
    work = globals()[f"{scenario}_{role}"]
    done = work(host, *sys.argv[4:])
    out = asyncio.run(done) if asyncio.iscoroutine(done) else done
    if out:
        print(json.dumps(out, indent=1))


main()
