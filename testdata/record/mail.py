#!/usr/bin/env python3
"""SMTP with and without STARTTLS, and refused: mail.py server|client HOST [CRT KEY]."""
import asyncio
import json
import smtplib
import ssl
import sys

TEXT = "Subject: minutes\r\nFrom: a@office.example\r\nTo: b@office.example\r\n\r\n" + "The minutes of the meeting.\r\n" * 60


async def serve(host, crt, key):
    from aiosmtpd.handlers import Sink
    from aiosmtpd.smtp import SMTP
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(crt, key)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(Sink(), tls_context=context, hostname="office.example"), host, 2525)
    await loop.create_server(lambda: SMTP(Sink(), hostname="office.example"), host, 2526)
    await asyncio.sleep(3600)


def client(host):
    context = ssl._create_unverified_context()
    out = {}
    with smtplib.SMTP(host, 2525) as s:
        s.starttls(context=context)
        s.sendmail("a@office.example", ["b@office.example"], TEXT)
        out["used"] = {"version": s.sock.version(), "cipher": s.sock.cipher()[0]}
    with smtplib.SMTP(host, 2525) as s:
        s.sendmail("a@office.example", ["b@office.example"], TEXT)
        out["offered"] = {}
    with smtplib.SMTP(host, 2526) as s:
        s.ehlo()
        out["refused"] = {"answer": s.docmd("STARTTLS")[0]}
        s.sendmail("a@office.example", ["b@office.example"], TEXT)
    print(json.dumps(out, indent=1))


if sys.argv[1] == "server":
    asyncio.run(serve(*sys.argv[2:5]))
else:
    client(sys.argv[2])
