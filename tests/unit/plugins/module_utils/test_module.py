# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.shoal.swarm.plugins.module_utils import _module
from ansible_collections.shoal.swarm.tests.unit.engine_server import serve
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import run

VARIABLES = [
    *(f"DOCKER_{name}" for name in ("HOST", "TLS", "TLS_HOSTNAME", "TLS_VERIFY", "TIMEOUT")),
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
]


@pytest.fixture(autouse=True)
def _no_docker_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def daemon() -> Daemon:
    return World(pace=3600).host("node1", "10.0.0.11")


@pytest.fixture
def host(daemon: Daemon) -> Iterator[str]:
    with serve(daemon) as docker_host:
        yield docker_host


# What comes out


def test_a_change_comes_with_its_diff_and_the_facts(host: str) -> None:
    result = run("swarm_init", host, labels={"a": 1})
    assert result["changed"] is True
    (entry,) = result["diff"]
    assert entry["after"]["labels"] == {"a": "1"}
    (change,) = result["changes"]
    assert change["action"] == "create the swarm"
    assert result["cluster_id"]


def test_a_failure_is_one_line_and_nothing_of_python(host: str) -> None:
    result = run("swarm_init", host, node_cert_expiry="soon")
    assert result["failed"] is True
    assert result["msg"].startswith("node_cert_expiry: 'soon' is not a duration")
    assert "\n" not in result["msg"]
    assert "Traceback" not in str(result)


def test_a_failure_tells_what_was_changed_before_it(daemon: Daemon, host: str) -> None:
    run("swarm_init", host)
    daemon.world.broken_images["web:9"] = "No such image: web:9"
    web = {"name": "web", "image": "web:9", "wait_timeout": 0, "resolve_image": "never"}
    result = run("service", host, **web)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["diff"][0]["after"]["image"] == "web:9"
    assert [change["action"] for change in result["changes"]] == ["create service web"]
    again = run("service", host, **web)
    assert again["failed"] is True
    assert "changed" not in again


def test_a_secret_is_in_nothing_that_is_printed(daemon: Daemon, host: str) -> None:
    result = run("swarm_init", host, signing_ca_cert="not a certificate", signing_ca_key="s3cret")
    assert result["failed"] is True
    assert "s3cret" not in str(result)
    token = f"SWMTKN-1-{'1' * 50}-{'2' * 25}"
    daemon.world.host("node2", "10.0.0.12")
    way_in = {"remote_addrs": ["10.0.0.12"], "join_token": token}
    result = run("swarm_join", host, **way_in)
    assert result["failed"] is True
    assert token not in str(result)
    result = run("swarm_join", host, True, **way_in)
    assert result["changed"] is True
    assert token not in str(result)


# What is missing


@pytest.mark.parametrize(
    ("module", "given"),
    [
        ("swarm_init", {}),
        ("swarm_join", {"state": "absent"}),
        ("node", {"nodes": []}),
        ("node_label", {"labels": {"a": "b"}}),
        ("service", {"name": "web", "state": "absent"}),
    ],
)
def test_a_host_without_docker_or_without_a_library_is_told_what_to_do(
    module: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = f"unix://{tmp_path}/docker.sock"
    result = run(module, missing, **given)
    assert result["failed"] is True
    assert result["msg"].startswith("no Docker Engine on this host")
    monkeypatch.setattr(_module, "HAS_JSONDIFF", False)
    result = run(module, missing, **given)
    assert result["msg"].startswith("the Python library jsondiff is missing on this host")
    assert "python3-jsondiff" in result["msg"]


def test_swarm_info_answers_without_docker_and_needs_no_jsondiff(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_module, "HAS_JSONDIFF", False)
    result = run("swarm_info", f"unix://{tmp_path}/docker.sock")
    assert (result["can_talk_to_docker"], result["state"]) == (False, "inactive")
    assert result["error"].startswith("no Docker Engine on this host")
    assert run("swarm_info", host)["can_talk_to_docker"] is True


@pytest.mark.parametrize("module", ["service_info", "service_logs"])
def test_what_only_a_manager_can_tell_fails_without_docker(
    module: str, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_module, "HAS_JSONDIFF", False)
    result = run(module, f"unix://{tmp_path}/docker.sock", name="web")
    assert result["failed"] is True
    assert result["msg"].startswith("no Docker Engine on this host")
    result = run(module, host, name="web")
    assert result["msg"].startswith("node1 is not in a swarm: run the task on a manager")


def test_what_is_missing_from_an_answer_is_a_warning(
    daemon: Daemon, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    # In a process that has loaded an action plugin Ansible prints warnings instead.
    monkeypatch.setattr(AnsibleModule, "warn", lambda _self, warning: told.append(warning))
    daemon.engine.swarm_init({"Spec": {}})
    template = {"ContainerSpec": {"Image": "web:1"}, "LogDriver": {"Name": "none"}}
    daemon.engine.service_create({"Name": "web", "TaskTemplate": template})
    result = run("service_logs", host, name="web")
    assert (result["lines"], result["complete"]) == ([], False)
    assert told == ["the logging driver none keeps nothing that could be read"]
    assert "warnings" not in result


# What is given as null


def test_a_group_of_nulls_is_not_managed_and_an_empty_one_is_cleared(
    daemon: Daemon, host: str
) -> None:
    run("swarm_init", host)
    web = {"name": "web", "resolve_image": "never", "wait": False}
    run("service", host, **web, image="web:1", limits={"cpus": 0.5, "memory": "64M"})
    for limits in ({"cpus": None}, {"cpus": None, "memory": None}, {"cpus": None, "memory": "64M"}):
        result = run("service", host, **web, limits=limits)
        assert result["changed"] is False, limits
    resources = daemon.swarm_or_fail().service("web").spec["TaskTemplate"]["Resources"]
    assert resources["Limits"] == {"NanoCPUs": 500000000, "MemoryBytes": 67108864}
    assert run("service", host, **web, limits={})["changed"] is True


@pytest.mark.parametrize(
    ("module", "given"),
    [("service", {"name": "web", "image": "web:1"}), ("swarm_init", {}), ("swarm_info", {})],
)
def test_no_wait_ends_before_it_begins(module: str, given: dict[str, Any], host: str) -> None:
    result = run(module, host, **given, wait_timeout=-5)
    assert result["failed"] is True
    assert result["msg"] == "wait_timeout is a number of seconds from 0 up"


# Which engine


def test_the_environment_of_the_docker_cli_is_understood(
    daemon: Daemon, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setenv("DOCKER_API_VERSION", "1.38")
    result = run("swarm_info", None)
    assert result["hostname"] == "node1"
    assert result["invocation"]["module_args"]["docker_host"] == host
    assert result["invocation"]["module_args"]["api_version"] == "1.38"


def test_an_option_wins_over_the_environment(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert run("swarm_info", host)["hostname"] == "node1"


def test_the_folder_of_certificates_fills_in_what_is_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", "/etc/docker/certs")
    defaults = dict.fromkeys(_module.CONNECTION_ARGUMENTS)
    given = SimpleNamespace(params={**defaults, "client_key": "/elsewhere/key.pem"})
    connection = _module.connection(given)  # type: ignore[arg-type]
    assert connection.ca_path == "/etc/docker/certs/ca.pem"
    assert connection.client_cert == "/etc/docker/certs/cert.pem"
    assert connection.client_key == "/elsewhere/key.pem"
    monkeypatch.delenv("DOCKER_CERT_PATH")
    assert _module.connection(given).ca_path is None  # type: ignore[arg-type]


def test_the_alias_of_an_option_is_the_option(host: str) -> None:
    result = run("swarm_info", None, docker_url=host)
    assert result["hostname"] == "node1"


# Rules between options


@pytest.mark.parametrize(
    ("module", "given", "reason"),
    [
        ("swarm_join", {}, "state is present but all of the following are missing: remote_addrs"),
        ("node_label", {}, "one of the following is required: nodes, labels, labels_to_remove"),
        (
            "node_label",
            {"hostname": ["a"], "nodes": [], "labels": {}},
            "parameters are mutually exclusive: nodes|hostname",
        ),
        ("node", {}, "missing required arguments: nodes"),
        ("service", {}, "missing required arguments: name"),
        ("swarm_init", {"client_cert": "/cert.pem"}, "parameters are required together"),
        ("swarm_init", {"default_pool": []}, "Unsupported parameters"),
        ("service_info", {"name": "web", "filters": {}}, "parameters are mutually exclusive"),
        ("service_logs", {"name": "web", "task": "a"}, "parameters are mutually exclusive"),
        ("service_logs", {}, "one of the following is required: name, task"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_asked(
    module: str, given: dict[str, Any], reason: str, daemon: Daemon, host: str
) -> None:
    result = run(module, host, **given)
    assert result["failed"] is True
    assert reason in result["msg"]
    assert daemon.world.writes == []
