#!/usr/bin/env python3
"""IMAP, POP3 and ManageSieve with their upgrade used, ignored and (IMAP after a login) refused: upgrades.py HOST."""
import imaplib
import json
import poplib
import socket
import ssl
import sys

host = sys.argv[1]
context = ssl._create_unverified_context()
context.set_alpn_protocols(["imap"])
said = {}

imap = imaplib.IMAP4(host, 143)
imap.starttls(context)
said["imap_used"] = imap.sock.version()
imap.login("clerk", "office")
imap.logout()
imap = imaplib.IMAP4(host, 143)
imap.login("clerk", "office")
said["imap_ignored"] = imap.select()[0]
imap.logout()

pop3 = poplib.POP3(host, 110)
pop3.capa()
pop3.stls(context)
said["pop3_used"] = pop3.sock.version()
pop3.quit()
pop3 = poplib.POP3(host, 110)
pop3.capa()
pop3.user("clerk")
said["pop3_ignored"] = pop3.pass_("office").decode().split()[0]
pop3.quit()


def sieve():
    link = socket.create_connection((host, 4190))
    until_ok(link)
    return link


def until_ok(link):
    text = b""
    while not any(line.startswith((b"OK", b"NO")) for line in text.split(b"\r\n")):
        text += link.recv(4096)
    return text


link = sieve()
link.sendall(b"STARTTLS\r\n")
until_ok(link)
link = context.wrap_socket(link)
said["managesieve_used"] = link.version()
link.sendall(b"LOGOUT\r\n")
link.close()
link = sieve()
link.sendall(b'AUTHENTICATE "PLAIN" "AGNsZXJrAG9mZmljZQ=="\r\n')
said["managesieve_ignored"] = until_ok(link).decode().split()[0]
link.sendall(b"LISTSCRIPTS\r\n")
until_ok(link)
link.sendall(b"LOGOUT\r\n")
link.close()
print(json.dumps(said, indent=1))
