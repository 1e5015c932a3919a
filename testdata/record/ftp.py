#!/usr/bin/env python3
"""FTP passive and active, and over TLS: ftp.py server|client HOST [CRT KEY FOLDER]."""
import ftplib
import json
import ssl
import sys


def serve(host, crt, key, folder):
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import TLS_FTPHandler
    from pyftpdlib.servers import FTPServer
    authorizer = DummyAuthorizer()
    authorizer.add_user("clerk", "office", folder)

    class Handler(TLS_FTPHandler):
        pass

    Handler.certfile, Handler.keyfile, Handler.authorizer = crt, key, authorizer
    FTPServer((host, 2121), Handler).serve_forever()


def client(host):
    out = {}
    for passive in (True, False):
        ftp = ftplib.FTP()
        ftp.connect(host, 2121)
        ftp.login("clerk", "office")
        ftp.set_pasv(passive)
        got = []
        ftp.retrbinary("RETR page.html", got.append)
        out["passive" if passive else "active"] = sum(map(len, got))
        ftp.quit()
    context = ssl._create_unverified_context()
    ftp = ftplib.FTP_TLS(context=context)
    ftp.connect(host, 2121)
    ftp.login("clerk", "office")
    ftp.prot_p()
    got = []
    ftp.retrbinary("RETR page.html", got.append)
    out["tls"] = {"bytes": sum(map(len, got)), "version": ftp.sock.version(), "cipher": ftp.sock.cipher()[0]}
    ftp.quit()
    print(json.dumps(out, indent=1))


if sys.argv[1] == "server":
    serve(*sys.argv[2:6])
else:
    client(sys.argv[2])
