#!/usr/bin/env python3
"""QUIC version 1 and 2, an exchange over one stream: quic.py server|client HOST [CRT KEY]."""
import asyncio
import json
import ssl
import sys

from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicProtocolVersion as Version


def answer(reader, writer):
    async def run():
        question = await reader.read(1000)
        writer.write(b"answer " + question * 400)
        writer.write_eof()
    asyncio.ensure_future(run())


async def server(host, crt, key):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3", "hq-interop"])
    configuration.load_cert_chain(crt, key)
    configuration.supported_versions = [Version.VERSION_1, Version.VERSION_2]
    await serve(host, 4433, configuration=configuration, stream_handler=answer)
    await asyncio.sleep(3600)


async def client(host):
    out = []
    for version, alpn, retry in ((Version.VERSION_1, "h3", False), (Version.VERSION_2, "hq-interop", False)):
        configuration = QuicConfiguration(alpn_protocols=[alpn], verify_mode=ssl.CERT_NONE, server_name="office.example")
        configuration.original_version = version
        configuration.supported_versions = [version]
        async with connect(host, 4433, configuration=configuration) as connection:
            reader, writer = await connection.create_stream()
            writer.write(b"question " * 20)
            writer.write_eof()
            size = len(await reader.read())
            out.append({"version": hex(version), "alpn": alpn, "bytes": size,
                        "cipher": connection._quic.tls.key_schedule.cipher_suite.name})
    print(json.dumps(out, indent=1))


asyncio.run(server(*sys.argv[2:5]) if sys.argv[1] == "server" else client(sys.argv[2]))
