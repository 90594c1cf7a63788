#!/usr/bin/env python3
"""Receives the program of the worker from the control plane, over mutual TLS, and installs it.

Only the standard library is used. It ends when the program is installed; the worker then takes over the port.
"""
import argparse
import hashlib
import hmac
import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading

CHUNK = 1 << 18
LARGEST = 2 << 30

arguments = argparse.ArgumentParser()
arguments.add_argument("--tls", default="/etc/inventiv/tls")
arguments.add_argument("--program", default="/usr/local/bin/inventiv")
arguments.add_argument("--listen", default="")
arguments.add_argument("--port", type=int, default=8443)
arguments.add_argument("--then", default="systemctl start --no-block inventiv-worker.service")
options = arguments.parse_args()

tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.minimum_version = ssl.TLSVersion.TLSv1_2
tls.load_cert_chain(options.tls + "/certificate.pem", options.tls + "/key.pem")
tls.load_verify_locations(options.tls + "/authority.pem")
tls.verify_mode = ssl.CERT_REQUIRED

installing = threading.Lock()
installed = threading.Event()


class Refused(Exception):
    """The program cannot be installed: the message says why."""


def install(source, length, sha256):
    """Writes the program beside its place, checks it, and moves it there in one step."""
    os.makedirs(os.path.dirname(options.program), exist_ok=True)
    new = options.program + ".new"
    digest, left = hashlib.sha256(), length
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755), "wb") as file:
        while left > 0:
            chunk = source.read(min(CHUNK, left))
            if not chunk:
                raise Refused("the program is incomplete")
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if not hmac.compare_digest(digest.hexdigest(), sha256):
        raise Refused("the program does not have the announced SHA-256")
    os.chmod(new, 0o755)
    os.rename(new, options.program)
    folder = os.open(os.path.dirname(options.program), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers who is here, and takes the program."""

    protocol_version = "HTTP/1.1"
    server_version = "inventiv-bootstrap"
    sys_version = ""

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.split("?")[0] == "/status":
            self.answer(200, '{"bootstrap": 1}')
        else:
            self.answer(404, "there is no worker yet")

    def do_PUT(self):
        self.close_connection = True
        length, sha256 = self.headers.get("Content-Length", ""), self.headers.get("X-Sha256", "")
        if self.path != "/binary":
            self.answer(404, "there is no worker yet")
        elif not length.isdigit() or not 0 < int(length) <= LARGEST or len(sha256) != 64:
            self.answer(400, "needs Content-Length and X-Sha256")
        elif not installing.acquire(blocking=False):
            self.answer(409, "the program is being installed already")
        else:
            try:
                install(self.rfile, int(length), sha256)
            except (OSError, Refused) as error:
                self.answer(500, str(error))
            else:
                self.answer(200, "{}")
                installed.set()
            finally:
                installing.release()


class Server(http.server.ThreadingHTTPServer):
    """One thread for each connection, so that a silent one delays nobody."""

    daemon_threads = True
    allow_reuse_address = True

    def finish_request(self, request, client_address):
        request.settimeout(60)
        with tls.wrap_socket(request, server_side=True) as stream:
            self.RequestHandlerClass(stream, client_address, self)

    def handle_error(self, request, client_address):
        print("refused", client_address[0], sys.exc_info()[1], file=sys.stderr, flush=True)


def listen():
    """Listens on every address, of both families where the system has both."""
    if not options.listen and socket.has_dualstack_ipv6():
        Server.address_family = socket.AF_INET6
        server = Server(("::", options.port), Handler, bind_and_activate=False)
        server.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.server_bind()
        server.server_activate()
        return server
    return Server((options.listen, options.port), Handler)


server = listen()
threading.Thread(target=server.serve_forever, daemon=True).start()
print("waits for the program on port", options.port, flush=True)
installed.wait()
server.shutdown()
server.server_close()
sys.exit(subprocess.call(options.then, shell=True))
