# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serve a host of the memory swarm over HTTP, so that the SDK and a whole module can talk to it."""

from __future__ import annotations

import contextlib
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import requests.exceptions

from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def serve(
    daemon: Daemon, socket_path: str | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve on a port of the loopback, or on a socket; gives the `docker_host`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet an answer; two of them would wait for each other's acknowledgement.
        wbufsize = -1

        def address_string(self) -> str:
            return "client"

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

        def answer(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            try:
                query, headers = dict(parse_qsl(url.query)), dict(self.headers.items())
                answer = daemon.request(self.command, url.path, query, body, headers)
            except requests.exceptions.ConnectionError:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_DELETE = answer

    server: socketserver.BaseServer
    if socket_path:
        server = _UnixServer(socket_path, Handler)
        docker_host = f"unix://{socket_path}"
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        docker_host = f"tcp://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield docker_host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
