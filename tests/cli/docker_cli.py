# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `docker stack` makes of compose files: what it prints, and what it sends to an engine.

The engine is a few lines on the loopback: it has nothing, agrees to everything and writes down
what it is asked to create. Every network, secret or config that is looked for by name is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

KINDS = ("services", "networks", "secrets", "configs")
_API_VERSION = "1.49"


@dataclass(frozen=True)
class Answer:
    """Objects by kind and name; or why there are none."""

    objects: Mapping[str, Mapping[str, dict[str, Any]]]
    refused: str = ""


def id_of(kind: str, name: str) -> str:
    """The ID that the engine gives to a secret or config."""
    return f"ID of {kind} {name}"


def deployed(files: Sequence[Path], stack: str, env: Mapping[str, str] | None = None) -> Answer:
    """What `docker stack deploy` sends, without nulls."""
    with _engine() as (host, created):
        options = ["--host", host, "stack", "deploy", "--resolve-image", "never", "--detach=true"]
        done = _docker([*options, *_compose_files(files), stack], env)
    objects: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for kind, body in created:
        objects[kind][body["Name"]] = _without_nulls(body)
    return Answer(objects, done.stderr.strip() if done.returncode else "")


def canonical(files: Sequence[Path], env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What `docker stack config` prints."""
    done = _docker(["stack", "config", *_compose_files(files)], env)
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return yaml.safe_load(done.stdout)


def _compose_files(files: Sequence[Path]) -> list[str]:
    return [part for file in files for part in ("--compose-file", str(file))]


def _docker(
    arguments: Sequence[str], env: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value


@contextlib.contextmanager
def _engine() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    created: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet an answer.
        wbufsize = -1

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

        def answer(self, body: Any, status: int = 200) -> None:
            data = b"" if self.command == "HEAD" else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Api-Version", _API_VERSION)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_HEAD(self) -> None:
            self.answer(None)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            path = url.path.strip("/").split("/")
            path = path[1:] if path[0].startswith("v1.") else path
            if path == ["info"]:
                self.answer({"Swarm": {"ControlAvailable": True}})
            elif path in (["secrets"], ["configs"]):
                names = json.loads(parse_qs(url.query)["filters"][0])["name"]
                kind = path[0][:-1]
                self.answer([{"ID": id_of(kind, name), "Spec": {"Name": name}} for name in names])
            elif len(path) == 1:
                self.answer([])
            elif path[0] == "networks":
                self.answer({"Name": unquote(path[1]), "Scope": "swarm"})
            else:
                self.answer({"message": "not found"}, 404)

        def do_POST(self) -> None:
            kind = urlsplit(self.path).path.split("/")[-2]
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            created.append((kind, body))
            self.answer({"ID": body["Name"], "Id": body["Name"]}, 201)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_address[1]}", created
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
