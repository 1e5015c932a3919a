#!/usr/bin/env python3
"""Logins that can be read, and logins that cannot, to small mail servers: passwords.py server|client HOST."""
import imaplib
import json
import poplib
import smtplib
import socketserver
import sys
import threading

PORTS = {"smtp": 2527, "pop3": 2110, "imap": 2143}


class Lines(socketserver.StreamRequestHandler):
    """Says a greeting, then answers line by line."""

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say(self.greeting)
        for line in self.rfile:
            if self.answer(line.decode().strip()) is False:
                return


class Smtp(Lines):
    greeting = "220 office.example ESMTP"

    def answer(self, line):
        word = line.split(" ")[0].upper()
        if word == "EHLO":
            self.say("250-office.example")
            self.say("250 AUTH PLAIN CRAM-MD5")
        elif line.upper().startswith("AUTH CRAM-MD5"):
            self.say("334 PDEyMzRAb2ZmaWNlLmV4YW1wbGU+")
            self.rfile.readline()
            self.say("235 welcome")
        elif word == "AUTH":
            self.say("235 welcome")
        elif word == "QUIT":
            self.say("221 bye")
            return False
        else:
            self.say("250 fine")


class Pop3(Lines):
    greeting = "+OK office.example <1234@office.example>"

    def answer(self, line):
        self.say("+OK 0 0")
        return line.upper() != "QUIT"


class Imap(Lines):
    greeting = "* OK office.example IMAP4rev1"

    def answer(self, line):
        tag, command = (line + " ").split(" ")[:2]
        if command.upper() == "CAPABILITY":
            self.say("* CAPABILITY IMAP4rev1")
        if command.upper() == "LOGOUT":
            self.say("* BYE")
        self.say(f"{tag} OK done")
        return command.upper() != "LOGOUT"


def server(host):
    for name, handler in (("smtp", Smtp), ("pop3", Pop3), ("imap", Imap)):
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        listener = socketserver.ThreadingTCPServer((host, PORTS[name]), handler)
        threading.Thread(target=listener.serve_forever).start()


def client(host):
    out = {"http": {"port": 8080, "basic": 1, "none": 1}}
    for method in ("PLAIN", "CRAM-MD5"):
        with smtplib.SMTP(host, PORTS["smtp"]) as smtp:
            smtp.ehlo()
            smtp.user, smtp.password = "clerk", "office"
            auth = smtp.auth_plain if method == "PLAIN" else smtp.auth_cram_md5
            smtp.auth(method, auth, initial_response_ok=method == "PLAIN")
    out["smtp"] = {"port": PORTS["smtp"], "plain": 1, "cram-md5": 1}
    pop = poplib.POP3(host, PORTS["pop3"])
    pop.user("clerk"), pop.pass_("office"), pop.stat(), pop.quit()
    pop = poplib.POP3(host, PORTS["pop3"])
    pop.apop("clerk", "office"), pop.stat(), pop.quit()
    out["pop3"] = {"port": PORTS["pop3"], "pass": 1, "apop": 1}
    imap = imaplib.IMAP4(host, PORTS["imap"])
    imap.login("clerk", "office"), imap.logout()
    imap = imaplib.IMAP4(host, PORTS["imap"])
    imap.noop(), imap.logout()
    out["imap"] = {"port": PORTS["imap"], "login": 1, "none": 1}
    print(json.dumps(out, indent=1))


(server if sys.argv[1] == "server" else client)(sys.argv[2])
