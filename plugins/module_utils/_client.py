# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one seam to Docker: raw API documents through the SDK's session.

The SDK gives the connection (socket, TLS, SSH) and the version; its own types lack half of the
ServiceSpec and drop `Availability` of init and join, so requests and answers are plain dicts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from ansible_collections.shoal.swarm.plugins.module_utils._libraries import look_in_venv

try:
    look_in_venv("docker")
    import docker
    import docker.auth
    import docker.errors
    import docker.tls
    import requests.exceptions
except ImportError as error:
    SDK_ERROR: str | None = str(error)
else:
    SDK_ERROR = None

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    ContentDiffers,
    InvalidOption,
    MissingLibrary,
    OutOfSequence,
    Unreachable,
    from_engine,
)
from ansible_collections.shoal.swarm.plugins.module_utils._host import is_this_machine

Document = dict[str, Any]

# Swarm facts that every module needs (Placement, configs, rollback config) came with 1.30.
OLDEST_API = "1.30"


@dataclass(frozen=True)
class Connection:
    """How to reach the engine: the options of the connection fragment, by the same names."""

    docker_host: str = "unix:///var/run/docker.sock"
    api_version: str = "auto"
    timeout: int = 60
    tls: bool = False
    validate_certs: bool = False
    tls_hostname: str | None = None
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    use_ssh_client: bool = False

    @property
    def is_socket(self) -> bool:
        """Whether the way to the engine is a socket of the machine that runs this code."""
        return self.docker_host.startswith(("unix://", "http+unix://", "/"))


def connect(connection: Connection) -> Engine:
    """Open the session and settle the API version, or say what is missing on the host."""
    if SDK_ERROR is not None:
        raise MissingLibrary(
            f"the Docker SDK for Python is missing on this host ({SDK_ERROR}): install the "
            "package python3-docker, or `pip install docker`, or apply the role shoal.swarm.engine"
        )
    if not re.fullmatch(r"auto|\d+\.\d+", connection.api_version):
        raise InvalidOption(
            f"api_version '{connection.api_version}' is not a version: write auto, or 1.41"
        )
    host = connection.docker_host
    if connection.tls or connection.validate_certs:
        host = host.replace("tcp://", "https://", 1)
        if connection.ca_path or not connection.validate_certs:
            # requests prefers these over what its session was told (psf/requests#3829).
            for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                os.environ.pop(name, None)
    # One client only: SDK 5 takes its version from the first answer when asked for "auto".
    try:
        session = docker.APIClient(
            base_url=host,
            version=connection.api_version,
            timeout=connection.timeout,
            tls=_tls(connection),
            use_ssh_client=connection.use_ssh_client,
        )
    except _connection_errors() as error:
        raise Unreachable(_why_unreachable(connection, error)) from error
    except ValueError as error:
        raise InvalidOption(f"docker_host '{connection.docker_host}': {error}") from error
    if version_tuple(session.api_version) < version_tuple(OLDEST_API):
        raise InvalidOption(
            f"api_version {session.api_version} is too old: write auto, or {OLDEST_API} or newer"
        )
    return Engine(session, connection.is_socket)


def _connection_errors() -> tuple[type[Exception], ...]:
    # paramiko's only where the SDK has loaded it, for ssh://.
    paramiko = sys.modules.get("paramiko")
    ours = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)
    return (*ours, paramiko.SSHException) if paramiko else ours


def _tls(connection: Connection) -> Any:
    if not (connection.tls or connection.validate_certs):
        return False
    options: dict[str, Any] = {"verify": connection.validate_certs}
    if connection.client_cert and connection.client_key:
        options["client_cert"] = (connection.client_cert, connection.client_key)
    if connection.ca_path and connection.validate_certs:
        options["ca_cert"] = connection.ca_path
    if connection.tls_hostname is not None:
        # SDK 7 removed it, and the certificate's own names are all it compares since then.
        if int(docker.__version__.split(".")[0]) >= 7:
            raise InvalidOption(
                "tls_hostname cannot be used with version 7 or newer of the Docker SDK for "
                f"Python (this host has {docker.__version__}): put the name that the "
                "certificate carries into docker_host"
            )
        options["assert_hostname"] = connection.tls_hostname
    try:
        return docker.tls.TLSConfig(**options)
    except docker.errors.TLSParameterError as error:
        raise InvalidOption(f"TLS options: {' '.join(str(error).split())}") from error


def _why_unreachable(connection: Connection, error: Exception) -> str:
    host = connection.docker_host
    path = host.partition("://")[2] if connection.is_socket else ""
    if path and not os.path.exists(path):
        return (
            f"no Docker Engine on this host: the socket {path} is not there; install and start "
            "Docker (the role shoal.swarm.engine does), or set docker_host"
        )
    if path and not os.access(path, os.R_OK | os.W_OK):
        return f"no permission to use the Docker socket {path}: run the task with become: true"
    return f"the Docker Engine at {host} does not answer: {' '.join(str(error).split())}"


class Engine:
    """The engine's API, one method a request. Errors are ours, answers are plain dicts."""

    def __init__(self, session: Any, is_socket: bool) -> None:
        self._session = session
        self._is_socket = is_socket
        self.api_version: str = session.api_version

    @cached_property
    def is_local(self) -> bool:
        """Whether it runs on the machine that runs this code; a socket can lead to another one."""
        return self._is_socket and is_this_machine(self.info())

    # The engine

    def info(self) -> Document:
        return self._get("/info", "read the state of this engine")

    # The swarm

    def swarm(self) -> Document:
        return self._get("/swarm", "read the swarm")

    def swarm_init(self, body: Document) -> str:
        return self._write("POST", "/swarm/init", "create the swarm", body=body)

    def swarm_join(self, body: Document) -> None:
        addresses = ", ".join(body["RemoteAddrs"])
        self._write("POST", "/swarm/join", f"join the swarm through {addresses}", body=body)

    def swarm_leave(self, force: bool) -> None:
        self._write("POST", "/swarm/leave", "leave the swarm", query={"force": _flag(force)})

    def swarm_update(self, version: int, spec: Document, rotate: tuple[str, ...] = ()) -> None:
        query = {"version": version, **{f"rotate{secret}": "true" for secret in rotate}}
        self._write("POST", "/swarm/update", "update the swarm", query=query, body=spec)

    def unlock_key(self) -> str:
        return self._get("/swarm/unlockkey", "read the unlock key").get("UnlockKey", "")

    def swarm_unlock(self, key: str) -> None:
        self._write("POST", "/swarm/unlock", "unlock the manager", body={"UnlockKey": key})

    # Nodes

    def nodes(self, filters: Mapping[str, list[str]] | None = None) -> list[Document]:
        return self._get("/nodes", "list the nodes", _filters(filters))

    def node(self, node_id: str) -> Document:
        return self._get(f"/nodes/{quote(node_id)}", f"read node {node_id}")

    def node_update(self, node_id: str, version: int, spec: Document) -> None:
        path = f"/nodes/{quote(node_id)}/update"
        doing = f"update node {node_id}"
        self._write("POST", path, doing, query={"version": version}, body=spec)

    def node_remove(self, node_id: str, force: bool) -> None:
        path = f"/nodes/{quote(node_id)}"
        self._write("DELETE", path, f"remove node {node_id}", query={"force": _flag(force)})

    # Services and their tasks

    def services(self, filters: Mapping[str, list[str]] | None = None) -> list[Document]:
        return self._get("/services", "list the services", _filters(filters))

    def service(self, service_id: str) -> Document:
        return self._get(f"/services/{quote(service_id)}", f"read service {service_id}")

    def service_create(self, spec: Document, auth: str = "") -> str:
        doing = f"create service {spec['Name']}"
        return self._write("POST", "/services/create", doing, body=spec, auth=auth)["ID"]

    def service_update(self, service_id: str, version: int, spec: Document, auth: str = "") -> None:
        path = f"/services/{quote(service_id)}/update"
        # Without credentials of its own an update keeps those that the service has.
        query = {"version": version, **({} if auth else {"registryAuthFrom": "spec"})}
        doing = f"update service {spec['Name']}"
        self._write("POST", path, doing, query=query, body=spec, auth=auth)

    def service_rollback(self, service_id: str, version: int, spec: Document) -> None:
        path = f"/services/{quote(service_id)}/update"
        query = {"version": version, "rollback": "previous"}
        self._write("POST", path, f"roll back service {spec['Name']}", query=query, body=spec)

    def service_remove(self, service_id: str) -> None:
        self._write("DELETE", f"/services/{quote(service_id)}", f"remove service {service_id}")

    def tasks(self, filters: Mapping[str, list[str]] | None = None) -> list[Document]:
        return self._get("/tasks", "list the tasks", _filters(filters))

    # Logs, as raw bytes: what came within so many seconds, and whether that is all of it

    def service_logs(
        self, service_id: str, query: Mapping[str, Any], seconds: float
    ) -> tuple[bytes, bool]:
        path = f"/services/{quote(service_id)}/logs"
        return self._stream(path, f"read the log of service {service_id}", query, seconds)

    def task_logs(
        self, task_id: str, query: Mapping[str, Any], seconds: float
    ) -> tuple[bytes, bool]:
        path = f"/tasks/{quote(task_id)}/logs"
        return self._stream(path, f"read the log of task {task_id}", query, seconds)

    # Images

    def distribution(self, image: str, auth: str = "") -> Document:
        path = f"/distribution/{quote(image, safe='/:@')}/json"
        return self._get(path, f"ask the registry for {image}", auth=auth)

    def registry_auth(self, registry: str, login: Mapping[str, str] | None) -> str:
        """Credentials as the engine takes them: from `login`, or from this host's Docker
        configuration (with its credential helpers); empty where that has none."""
        try:
            if login:
                header: Any = docker.auth.encode_header({**login, "serveraddress": registry})
            else:
                header = docker.auth.get_config_header(self._session, registry)
        except docker.errors.DockerException as error:
            raise InvalidOption(
                f"the credentials for {registry} cannot be read: {error}"
            ) from error
        return header.decode() if isinstance(header, bytes) else header or ""

    # Secrets and configs

    def secrets(self, filters: Mapping[str, list[str]] | None = None) -> list[Document]:
        return self._get("/secrets", "list the secrets", _filters(filters))

    def secret_create(self, spec: Document) -> str:
        return self._write("POST", "/secrets/create", f"create secret {spec['Name']}", body=spec)[
            "ID"
        ]

    def secret_update(self, secret_id: str, version: int, spec: Document) -> None:
        path = f"/secrets/{quote(secret_id)}/update"
        doing = f"update secret {spec['Name']}"
        self._write("POST", path, doing, query={"version": version}, body=spec)

    def secret_holds(self, secret_id: str, spec: Document) -> bool:
        """Whether the secret has the data of this spec, which nobody can read back.

        Nothing is written: the engine compares the data first and then the version, and no object
        has version 0 (swarmkit manager/controlapi/secret.go, UpdateSecret).
        """
        try:
            self.secret_update(secret_id, 0, spec)
        except OutOfSequence:
            return True
        except ContentDiffers:
            return False
        return True

    def secret_remove(self, secret_id: str) -> None:
        self._write("DELETE", f"/secrets/{quote(secret_id)}", f"remove secret {secret_id}")

    def configs(self, filters: Mapping[str, list[str]] | None = None) -> list[Document]:
        return self._get("/configs", "list the configs", _filters(filters))

    def config_create(self, spec: Document) -> str:
        return self._write("POST", "/configs/create", f"create config {spec['Name']}", body=spec)[
            "ID"
        ]

    def config_update(self, config_id: str, version: int, spec: Document) -> None:
        path = f"/configs/{quote(config_id)}/update"
        doing = f"update config {spec['Name']}"
        self._write("POST", path, doing, query={"version": version}, body=spec)

    def config_remove(self, config_id: str) -> None:
        self._write("DELETE", f"/configs/{quote(config_id)}", f"remove config {config_id}")

    # Networks, and the volumes of this engine

    def networks(self, filters: Mapping[str, list[str]] | None = None) -> list[Document]:
        return self._get("/networks", "list the networks", _filters(filters))

    def swarm_network(self, name: str) -> Document:
        """Also one that each node has by itself: the swarm lists none of these, but knows them."""
        path = f"/networks/{quote(name)}"
        return self._get(path, f"read network {name} of the swarm", {"scope": "swarm"})

    def network_create(self, body: Document) -> str:
        return self._write("POST", "/networks/create", f"create network {body['Name']}", body=body)[
            "Id"
        ]

    def network_remove(self, network_id: str) -> None:
        self._write("DELETE", f"/networks/{quote(network_id)}", f"remove network {network_id}")

    def volumes(self, filters: Mapping[str, list[str]] | None = None) -> list[Document]:
        return self._get("/volumes", "list the volumes", _filters(filters)).get("Volumes") or []

    def volume_remove(self, name: str) -> None:
        self._write("DELETE", f"/volumes/{quote(name)}", f"remove volume {name}")

    # The wire

    def _get(
        self, path: str, doing: str, query: Mapping[str, Any] | None = None, auth: str = ""
    ) -> Any:
        try:
            return self._send("GET", path, doing, query, None, auth)
        except requests.exceptions.RequestException as error:
            raise Unreachable(f"{doing}: no answer from Docker: {error}") from error

    def _write(
        self,
        method: str,
        path: str,
        doing: str,
        query: Mapping[str, Any] | None = None,
        body: Document | None = None,
        auth: str = "",
    ) -> Any:
        try:
            return self._send(method, path, doing, query, body, auth)
        except requests.exceptions.RequestException as error:
            # The request may have arrived before the connection broke.
            raise AmbiguousWrite(f"{doing}: no answer from Docker: {error}") from error

    def _stream(
        self, path: str, doing: str, query: Mapping[str, Any], seconds: float
    ) -> tuple[bytes, bool]:
        """Read an answer that may never end: the engine waits for nodes that are gone."""
        url = f"{self._session.base_url}/v{self.api_version}{path}"
        try:
            response = self._session.request("GET", url, params=query, timeout=seconds, stream=True)
        except requests.exceptions.RequestException as error:
            raise Unreachable(f"{doing}: no answer from Docker: {error}") from error
        if response.status_code >= 400:
            raise from_engine(doing, response.status_code, _message(response))
        return _received(response, seconds)

    def _send(
        self,
        method: str,
        path: str,
        doing: str,
        query: Mapping[str, Any] | None,
        body: Document | None,
        auth: str,
    ) -> Any:
        response = self._session.request(
            method,
            f"{self._session.base_url}/v{self.api_version}{path}",
            params=query,
            json=body,
            headers={"X-Registry-Auth": auth} if auth else None,
            timeout=self._session.timeout,
        )
        if response.status_code >= 400:
            raise from_engine(doing, response.status_code, _message(response))
        return response.json() if response.content else None


def _received(response: Any, seconds: float) -> tuple[bytes, bool]:
    """In a thread: not every transport of the SDK can break off a read by itself."""
    chunks: list[bytes] = []
    ended: list[bool] = []

    def receive() -> None:
        # A connection that breaks leaves what has come by then.
        with contextlib.suppress(*_connection_errors()):
            for chunk in response.iter_content(None):
                chunks.append(chunk)
            ended.append(True)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    thread.join(seconds)
    return b"".join(chunks), bool(ended)


def _message(response: Any) -> str:
    try:
        return response.json()["message"]
    except (ValueError, KeyError, TypeError):
        return response.text or response.reason


def _filters(filters: Mapping[str, list[str]] | None) -> dict[str, str]:
    return {"filters": json.dumps(filters)} if filters else {}


def _flag(value: bool) -> str:
    return "true" if value else "false"


def version_tuple(api_version: str) -> tuple[int, ...]:
    """`1.41` as numbers, so that 1.9 comes before 1.41."""
    return tuple(int(part) for part in api_version.split("."))
