# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real client and the real SDK, against an engine that is served on the loopback."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from ansible_collections.shoal.swarm.plugins.module_utils import _client
from ansible_collections.shoal.swarm.plugins.module_utils._client import (
    Connection,
    connect,
    version_tuple,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    EngineError,
    InvalidOption,
    MissingLibrary,
    NotFound,
    NotManager,
    SwarmError,
    Unreachable,
)
from ansible_collections.shoal.swarm.tests.unit.engine_server import serve
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    Fault,
    World,
    answer_lost,
    request_lost,
)


@pytest.fixture
def daemon() -> Daemon:
    return World().host("node1", "10.0.0.11")


@pytest.fixture
def host(daemon: Daemon) -> Iterator[str]:
    with serve(daemon) as docker_host:
        yield docker_host


def refusal(connection: Connection) -> str:
    """The one line with which this connection is refused."""
    with pytest.raises(SwarmError) as caught:
        connect(connection)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The connection


def test_it_speaks_the_newest_version_that_the_engine_knows(daemon: Daemon, host: str) -> None:
    engine = connect(Connection(docker_host=host))
    assert engine.api_version == "1.41"
    assert engine.info()["Name"] == "node1"
    assert engine.is_local is False


def test_it_speaks_the_version_that_it_is_told(host: str) -> None:
    assert connect(Connection(docker_host=host, api_version="1.38")).api_version == "1.38"


def test_an_engine_behind_a_socket_is_on_this_host_if_it_says_so(
    daemon: Daemon, tmp_path: Path
) -> None:
    with serve(daemon, str(tmp_path / "docker.sock")) as docker_host:
        assert connect(Connection(docker_host=docker_host)).is_local is False
        daemon.name = os.uname().nodename
        assert connect(Connection(docker_host=docker_host)).is_local is True


@pytest.mark.parametrize(
    ("docker_host", "is_socket"),
    [
        ("unix:///var/run/docker.sock", True),
        ("http+unix:///var/run/docker.sock", True),
        ("/var/run/docker.sock", True),
        ("tcp://127.0.0.1:2375", False),
        ("ssh://admin@node1", False),
    ],
)
def test_only_a_socket_can_be_on_this_host(docker_host: str, is_socket: bool) -> None:
    assert Connection(docker_host=docker_host).is_socket is is_socket


def test_versions_are_compared_by_their_numbers() -> None:
    assert version_tuple("1.9") < version_tuple("1.41") < version_tuple("2.0")


# Connections that cannot be


def test_a_host_without_docker_is_told_what_to_do(tmp_path: Path) -> None:
    text = refusal(Connection(docker_host=f"unix://{tmp_path}/docker.sock"))
    assert text.startswith(f"no Docker Engine on this host: the socket {tmp_path}/docker.sock is")
    assert "shoal.swarm.engine" in text


def test_a_socket_that_nobody_listens_on_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    text = refusal(Connection(docker_host=f"unix://{path}"))
    assert text.startswith(f"the Docker Engine at unix://{path} does not answer: ")
    assert "refused" in text


def test_a_closed_port_does_not_answer() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        docker_host = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        text = refusal(Connection(docker_host=docker_host))
    assert text.startswith(f"the Docker Engine at {docker_host} does not answer: ")


def test_what_is_no_engine_does_not_answer() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def talk_something_else() -> None:
            connection, _address = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        thread = threading.Thread(target=talk_something_else)
        thread.start()
        docker_host = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        text = refusal(Connection(docker_host=docker_host, timeout=60))
        thread.join()
    assert text.startswith(f"the Docker Engine at {docker_host} does not answer: ")


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (Connection(api_version="newest"), "api_version 'newest' is not a version"),
        (Connection(api_version="1"), "api_version '1' is not a version"),
        (Connection(docker_host="tcp://127.0.0.1:99999"), "127.0.0.1:99999"),
        (Connection(docker_host="tcp://127.0.0.1"), "port is required"),
        (Connection(docker_host="gopher://127.0.0.1"), "Invalid bind address protocol"),
        (
            Connection(tls=True, client_cert="/nowhere/cert.pem", client_key="/nowhere/key.pem"),
            "TLS options: Path to a certificate and key files must be provided",
        ),
        (
            Connection(validate_certs=True, ca_path="/nowhere/ca.pem"),
            "TLS options: Invalid CA certificate provided",
        ),
    ],
)
def test_a_connection_that_cannot_be_is_refused_in_one_line(
    connection: Connection, reason: str
) -> None:
    assert reason in refusal(connection)


def test_a_version_without_the_swarm_that_we_know_is_refused(host: str) -> None:
    text = refusal(Connection(docker_host=host, api_version="1.29"))
    assert text == "api_version 1.29 is too old: write auto, or 1.30 or newer"


@pytest.mark.skipif(version_tuple(docker.__version__) < (7,), reason="the SDK still has it")
def test_a_host_name_for_tls_is_refused_where_the_sdk_would_drop_it() -> None:
    text = refusal(Connection(docker_host="tcp://127.0.0.1:1", tls=True, tls_hostname="node1"))
    assert text.startswith("tls_hostname cannot be used with version 7 or newer of the Docker SDK")


def test_with_tls_the_port_is_spoken_to_by_https(host: str) -> None:
    text = refusal(Connection(docker_host=host, tls=True))
    assert "SSL" in text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """One certificate for the engine, for its client and for the root CA of both, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    usage = "keyUsage=critical,keyCertSign,digitalSignature"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=engine", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", usage),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
def over_tls(daemon: Daemon, certificate: tuple[str, str]) -> Iterator[Connection]:
    """The way to an engine that only talks to whom its CA knows."""
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(cert)
    context.verify_mode = ssl.CERT_REQUIRED
    with serve(daemon, tls=context) as docker_host:
        yield Connection(docker_host=docker_host, ca_path=cert, client_cert=cert, client_key=key)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "UNUSED"])
@pytest.mark.parametrize("validates", [False, True])
def test_both_ends_show_their_certificates(
    monkeypatch: pytest.MonkeyPatch, over_tls: Connection, variable: str, validates: bool
) -> None:
    """Whatever other CAs the host is told to trust."""
    monkeypatch.setenv(variable, "/etc/hostname")
    engine = connect(replace(over_tls, tls=True, validate_certs=validates))
    assert engine.info()["Name"] == "node1"


def test_an_engine_of_another_ca_is_refused(over_tls: Connection) -> None:
    text = refusal(replace(over_tls, validate_certs=True, ca_path=None))
    assert "certificate verify failed" in text


def test_a_host_without_the_sdk_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_client, "SDK_ERROR", "No module named 'docker'")
    with pytest.raises(MissingLibrary) as caught:
        connect(Connection())
    assert "the Docker SDK for Python is missing on this host (No module named" in str(caught.value)
    assert "python3-docker" in str(caught.value)


# Requests


def test_an_error_of_the_engine_is_ours(daemon: Daemon, host: str) -> None:
    engine = connect(Connection(docker_host=host))
    with pytest.raises(NotManager) as caught:
        engine.swarm()
    assert str(caught.value).startswith("read the swarm: Docker answered 503: This node is not a")
    assert caught.value.status == 503


def test_what_a_request_says_arrives(daemon: Daemon, host: str) -> None:
    engine = connect(Connection(docker_host=host))
    node_id = engine.swarm_init({"Spec": {"Labels": {"ü": "é"}}})
    assert engine.swarm()["Spec"]["Labels"] == {"ü": "é"}
    node = engine.node(node_id)
    spec = {**node["Spec"], "Labels": {"a": "b"}}
    engine.node_update(node_id, node["Version"]["Index"], spec)
    assert [n["ID"] for n in engine.nodes({"node.label": ["a=b"], "role": ["manager"]})]
    assert engine.nodes({"node.label": ["a=c"]}) == []
    before = engine.swarm()["JoinTokens"]
    version = engine.swarm()["Version"]["Index"]
    engine.swarm_update(version, engine.swarm()["Spec"], ("WorkerToken",))
    after = engine.swarm()["JoinTokens"]
    assert (after["Worker"] == before["Worker"], after["Manager"] == before["Manager"]) == (
        False,
        True,
    )
    with pytest.raises(EngineError, match="Removing the last manager"):
        engine.swarm_leave(force=False)
    engine.swarm_leave(force=True)
    assert daemon.state == "inactive"


@pytest.mark.parametrize("reference", ["no body", "50%", "ñode", "?", "#"])
def test_a_name_is_part_of_the_path_whatever_it_is(host: str, reference: str) -> None:
    engine = connect(Connection(docker_host=host))
    engine.swarm_init({"Spec": {}})
    with pytest.raises(NotFound, match="not found"):
        engine.node(reference)
    with pytest.raises(NotFound) as caught:
        engine.service(reference)
    assert f"service {reference} not found" in str(caught.value)


def test_a_read_without_an_answer_says_so(daemon: Daemon, host: str) -> None:
    engine = connect(Connection(docker_host=host))
    daemon.power_off()
    with pytest.raises(Unreachable, match="read the state of this engine: no answer from Docker"):
        engine.info()


@pytest.mark.parametrize("fault", [answer_lost, request_lost])
def test_a_write_without_an_answer_may_have_been_carried_out(
    daemon: Daemon, host: str, fault: Fault
) -> None:
    engine = connect(Connection(docker_host=host))
    daemon.world.at_write(1, fault)
    with pytest.raises(AmbiguousWrite, match="create the swarm: no answer from Docker"):
        engine.swarm_init({"Spec": {}})
    assert (daemon.state == "active") is (fault is answer_lost)


def test_an_error_page_of_something_between_is_shown_in_one_line() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def answer_like_a_proxy() -> None:
            connection, _address = listening.accept()
            with connection:
                connection.recv(1000)
                page = b"<html>\n<h1>Bad gateway</h1>\n</html>"
                connection.sendall(
                    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)
                )

        thread = threading.Thread(target=answer_like_a_proxy)
        thread.start()
        docker_host = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        connection = Connection(docker_host=docker_host, api_version="1.41")
        with pytest.raises(EngineError) as caught:
            connect(replace(connection, timeout=60)).info()
        thread.join()
    assert str(caught.value) == (
        "read the state of this engine: Docker answered 502: <html> <h1>Bad gateway</h1> </html>"
    )


# Images


def test_credentials_go_in_a_header_and_a_name_in_the_path(daemon: Daemon, host: str) -> None:
    engine = connect(Connection(docker_host=host))
    registry = daemon.world.registry
    registry.digests["registry:5000/ann/app:1"] = "sha256:111"
    registry.login = ("ann", "s3cret")
    with pytest.raises(EngineError) as caught:
        engine.distribution("registry:5000/ann/app:1")
    assert str(caught.value) == (
        "ask the registry for registry:5000/ann/app:1: Docker answered 401: unauthorized: "
        "authentication required"
    )
    auth = engine.registry_auth("registry:5000", {"username": "ann", "password": "s3cret"})
    for name in ("registry:5000/ann/app:1", "registry:5000/ann/app:1@sha256:111"):
        answer = engine.distribution(name, auth)
        assert answer["Descriptor"]["digest"] == "sha256:111"
    assert registry.asked[-1] == "registry:5000/ann/app:1@sha256:111"


def test_an_update_without_credentials_keeps_those_of_the_service(
    daemon: Daemon, host: str
) -> None:
    engine = connect(Connection(docker_host=host))
    engine.swarm_init({"Spec": {}})
    spec = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}}}
    first, second = (
        engine.registry_auth("registry:5000", {"username": "ann", "password": password})
        for password in ("one", "two")
    )
    service_id = engine.service_create(spec, first)
    service = daemon.swarm_or_fail().service("web")
    assert service.auth == first
    engine.service_update(service_id, service.version, spec)
    assert service.auth == first
    engine.service_update(service_id, service.version, spec, second)
    assert service.auth == second


def test_credentials_are_found_in_dockers_own_configuration(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = base64.b64encode(b"ann:s3cret").decode()
    known = {
        "auths": {"registry:5000": {"auth": auth}, "https://index.docker.io/v1/": {"auth": auth}}
    }
    (tmp_path / "config.json").write_text(json.dumps(known), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    engine = connect(Connection(docker_host=host))
    for registry in ("registry:5000", "docker.io"):
        header = json.loads(base64.urlsafe_b64decode(engine.registry_auth(registry, None)))
        assert (header["username"], header["password"]) == ("ann", "s3cret")
    assert engine.registry_auth("other.example.com", None) == ""


@pytest.mark.filterwarnings("ignore:docker-credential-no-such-helper not installed")
def test_a_helper_for_credentials_that_is_not_there_is_told(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"credHelpers": {"registry:5000": "no-such-helper"}}
    (tmp_path / "config.json").write_text(json.dumps(known), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    engine = connect(Connection(docker_host=host))
    with pytest.raises(InvalidOption) as caught:
        engine.registry_auth("registry:5000", None)
    assert str(caught.value).startswith("the credentials for registry:5000 cannot be read: ")
    assert "docker-credential-no-such-helper" in str(caught.value)


# Logs


@contextlib.contextmanager
def answering(*parts: bytes, then: str) -> Iterator[str]:
    """An engine that sends these parts of a log, and then ends it, breaks off or falls silent."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        is_over = threading.Event()

        def answer() -> None:
            connection, _address = listening.accept()
            with connection:
                connection.recv(10000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for part in parts:
                    connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
                if then == "ends":
                    connection.sendall(b"0\r\n\r\n")
                if then != "breaks":
                    is_over.wait(60)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        is_over.set()
        thread.join()


@pytest.mark.parametrize(
    ("then", "seconds", "is_all"),
    [("ends", 60, True), ("breaks", 60, False), ("hangs", 3, False)],
)
def test_of_a_log_that_does_not_end_we_have_what_came_in_time(
    then: str, seconds: float, is_all: bool
) -> None:
    with answering(b"one", b"two", then=then) as docker_host:
        engine = connect(Connection(docker_host=docker_host, api_version="1.41"))
        started = time.monotonic()
        assert engine.task_logs("t1", {"tail": 1}, seconds) == (b"onetwo", is_all)
        took = time.monotonic() - started
    assert (seconds if then == "hangs" else 0) <= took < 30


def test_a_log_that_there_is_not_is_an_error_of_ours(daemon: Daemon, host: str) -> None:
    engine = connect(Connection(docker_host=host))
    engine.swarm_init({"Spec": {}})
    query = {"tail": 1, "stdout": "true"}
    with pytest.raises(NotFound, match="read the log of service web: Docker answered 404"):
        engine.service_logs("web", query, 5)
    with pytest.raises(NotFound, match="read the log of task t1: Docker answered 404"):
        engine.task_logs("t1", query, 5)
    daemon.power_off()
    with pytest.raises(Unreachable, match="read the log of task t1: no answer from Docker"):
        engine.task_logs("t1", query, 5)
