#!/usr/bin/env python3
"""Traffic on the loopback interface: web requests in clear and datagrams. traffic.py SECONDS"""
import http.server
import socket
import sys
import threading
import time
import urllib.request


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"a page " * 2000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as page:
        page.read()
    datagrams.sendto(b"\x00" * 100, ("127.0.0.1", server.server_port))
    time.sleep(0.01)
