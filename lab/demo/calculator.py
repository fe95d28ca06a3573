# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Square roots over HTTP: GET /2 answers with that of 2, which redis remembers for the next."""

from __future__ import annotations

import json
import signal
import socket
import threading
from contextlib import suppress
from decimal import Decimal, InvalidOperation, localcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 8080


class Server(ThreadingHTTPServer):
    """Its end waits for the requests that it has taken."""

    daemon_threads = False
    digits: int
    password: str

    def root(self, number: Decimal) -> dict[str, str]:
        """The answer, and where it comes from. Without the cache all goes on, if slower."""
        key = f"{number}:{self.digits}"
        answer, source = "", "cache"
        with suppress(OSError):
            answer = self.redis("GET", key)
        if not answer:
            answer, source = self.compute(number), "computed"
            with suppress(OSError):
                self.redis("SET", key, answer)
        return {"answer": answer, "source": source, "by": socket.gethostname()}

    def compute(self, number: Decimal) -> str:
        with localcontext() as context:
            context.prec = self.digits
            return str(number.sqrt())

    def redis(self, *command: str) -> str:
        """One command in redis' inline protocol; empty where it knows no answer."""
        lines = f"AUTH {self.password}\r\n{' '.join(command)}\r\n"
        with socket.create_connection(("redis", 6379), timeout=0.5) as connection:
            connection.sendall(lines.encode())
            answers = connection.makefile("r", newline="\r\n")
            if not answers.readline().startswith("+OK"):
                raise PermissionError("redis has another password")
            line = answers.readline()
            return answers.readline().strip() if line > "$0" else ""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        try:
            status, answer = 200, self.server.root(Decimal(self.path[1:]))
        except InvalidOperation:
            status, answer = 400, {"error": "not a number that has a square root"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    server = Server(("", PORT), Handler)
    server.digits = json.loads(Path("/settings.json").read_text())["digits"]
    server.password = Path("/run/secrets/redis_password").read_text()

    def stop(*_signal: Any) -> None:
        # In a thread: it waits until serve_forever() has returned.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
