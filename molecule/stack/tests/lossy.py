# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A way to an engine on which the answers to writes are lost."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from types import TracebackType

WRITES = ("POST", "DELETE")
# Of so many writes one does not even arrive.
ARRIVES_NOT = 3


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class LossyEngine:
    """Hands all requests to the engine behind it. The first time that something is written, it
    breaks the connection instead of an answer; the second time it lets it pass."""

    def __init__(self, engine: Path) -> None:
        self.socket = engine.with_suffix(".lossy")
        # Each by its method, its path and the name in its body.
        self.lost: list[tuple[str, str, str]] = []
        self._seen: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()
        self._server = _Server(str(self.socket), self._handler(engine))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> LossyEngine:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.socket.unlink()

    def _loses(self, method: str, path: str, body: bytes) -> tuple[bool, bool]:
        """Whether the answer is lost, and whether the request is."""
        if method not in WRITES:
            return False, False
        write = (method, path, json.loads(body)["Name"] if body else "")
        with self._lock:
            if write in self._seen:
                return False, False
            self._seen.add(write)
            self.lost.append(write)
            return True, len(self.lost) % ARRIVES_NOT == 0

    def _handler(self, engine: Path) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

            def hand_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                loses_answer, loses_request = proxy._loses(self.command, self.path, body)
                self.close_connection = loses_answer
                if loses_request:
                    return
                connection = _Connection(engine)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                data = answer.read()
                connection.close()
                if loses_answer:
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_HEAD = do_POST = do_DELETE = hand_on

        return Handler
