# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds whatever a stack is made of, on a real engine and with services that run.

A second run writes nothing; a check tells just what is then done; a call that fails may have been
carried out; what was acknowledged survives the leader; and the CLI and we make the same.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Engine, Lab, run, timed, until
from lossy import LossyEngine
from stacks import QUICK, Stack

pytest_plugins = ("stacks",)

MANAGERS = ("node1", "node2", "node3")
ENV = {"PASSWORD": "open sesame", "TOKEN": "a1b2c3"}


def document(engine: Engine) -> dict[str, Any]:
    """Three services that run, a job, and everything that they may refer to."""
    long = {"image": engine.web(), "stop_grace_period": "1s"}
    return {
        "services": {
            "web": {
                **long,
                "networks": ["front", "default"],
                "ports": [{"target": 8080, "mode": "host"}],
                "configs": [{"source": "site", "target": "/site.conf"}, "motd"],
                "healthcheck": {"test": "wget -q -O - http://127.0.0.1:8080/", "interval": "1s"},
                "deploy": {**QUICK, "replicas": 2, "labels": {"tier": "front"}},
            },
            "api": {
                **long,
                "networks": {"front": {"aliases": ["backend"]}, "back": None},
                "secrets": ["password", {"source": "token", "target": "/token", "mode": 0o400}],
                "environment": {"SITE": "site.example", "LEVEL": "info"},
                "volumes": ["data:/data"],
                "deploy": {**QUICK, "endpoint_mode": "dnsrr"},
            },
            "agent": {**long, "command": "sleep 1000", "deploy": {**QUICK, "mode": "global"}},
            "migrate": {
                "image": engine.web(),
                "command": "true",
                "deploy": {"mode": "replicated-job", "replicas": 2},
            },
        },
        # From outside, as the scenario has made it.
        "networks": {"front": {"external": True}, "back": {"driver": "overlay", "internal": True}},
        "volumes": {"data": {"labels": {"keep": "yes"}}},
        "configs": {"site": {"content": "listen 80;"}, "motd": {"external": True}},
        "secrets": {
            "password": {"environment": "PASSWORD"},
            "token": {"environment": "TOKEN", "labels": {"team": "a"}},
        },
    }


def changed(first: dict[str, Any], engine: Engine) -> dict[str, Any]:
    """Something else of everything: new, changed and gone."""
    second = copy.deepcopy(first)
    services = second["services"]
    services["web"]["image"] = engine.web(2)
    services["web"]["deploy"]["labels"] = {"tier": "edge"}
    services["api"]["environment"]["LEVEL"] = "debug"
    services["api"]["deploy"]["replicas"] = 2
    del services["agent"]
    services["cron"] = {"image": engine.web(), "deploy": QUICK, "networks": ["new"]}
    second["networks"]["new"] = {"attachable": True}
    second["configs"]["site"]["content"] = "listen 8080;"
    return second


def test_a_check_tells_what_is_done_and_again_it_is_nothing(stack: Stack) -> None:
    first = document(stack.engine)
    second = changed(first, stack.engine)
    steps: list[dict[str, Any]] = [
        {"compose": first, "env": ENV},
        {"compose": second, "env": {**ENV, "PASSWORD": "open barley"}},
        {"compose": second, "env": ENV, "prune": True},
    ]
    for step in steps:
        before = stack.snapshot()
        checked = stack.deploy(check_mode=True, **step)
        assert stack.snapshot() == before
        done = stack.deploy(**step)
        assert done["changed"]
        assert (checked["diff"], checked["changes"]) == (done["diff"], done["changes"])
        before = stack.snapshot()
        for resolve in ("always", "changed", "never"):
            assert stack.deploy(**step, resolve_image=resolve)["changes"] == []
        assert stack.deploy(check_mode=True, **step)["changes"] == []
        assert stack.snapshot() == before
    # The way back was left open.
    stack.engine.service("shop_web", state="rolled_back")
    assert stack.image("web") == stack.engine.web(1)


# Two services of two, and one on each of three nodes.
TASKS = 7


def test_the_cli_and_we_take_over_from_each_other(stack: Stack, tmp_path: Path) -> None:
    """No task restarts, whoever was first."""
    engine = stack.engine
    web = {"image": engine.web(), "stop_grace_period": "1s", "deploy": {**QUICK, "replicas": 2}}
    body = {
        "version": "3.8",
        "services": {
            "web": {**web, "configs": ["site"], "networks": ["back", "default"]},
            "api": {**web, "secrets": ["key"], "environment": ["A=1"], "labels": {"a": "b"}},
            "agent": {**web, "deploy": {"mode": "global"}, "volumes": ["data:/data", "/cache"]},
        },
        "networks": {"back": {}},
        "volumes": {"data": {}},
        "configs": {"site": {"file": "./site.conf"}},
        "secrets": {"key": {"file": "./key"}},
    }
    texts = {"compose.yml": yaml.safe_dump(body), "site.conf": "listen 80;", "key": "hush"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        run(*engine.ssh, f"mkdir -p {tmp_path} && cat > {tmp_path / name}", input=text)
    file = tmp_path / "compose.yml"
    ours: dict[str, Any] = {"compose": file, "resolve_image": "never"}

    stack.deploy_by_cli(str(file), {})
    # It runs as asked before anything is adopted: tasks that start come with new IDs otherwise.
    before = until(lambda: len(running(stack)) == TASKS and running(stack))
    assert not stack.deploy(**ours)["changed"]
    assert running(stack) == before
    stack.remove_by_cli()

    stack.deploy(**ours)
    before = running(stack)
    assert len(before) == TASKS
    stack.deploy_by_cli(str(file), {})
    time.sleep(3)
    assert running(stack) == before


def running(stack: Stack) -> set[str]:
    """The tasks, once all of them run."""
    tasks = [task for task in stack.tasks() if task["DesiredState"] == "running"]
    return {task["ID"] for task in tasks if all(t["Status"]["State"] == "running" for t in tasks)}


@pytest.fixture
def lossy(stack: Stack) -> Iterator[LossyEngine]:
    with LossyEngine(stack.engine.socket) as proxy:
        yield proxy


def test_a_call_that_fails_may_have_been_carried_out(stack: Stack, lossy: LossyEngine) -> None:
    """Of every write the answer is lost, and of every third one the request as well."""
    first = document(stack.engine)
    steps: list[dict[str, Any]] = [
        {"compose": first, "env": ENV},
        {"compose": changed(first, stack.engine), "env": ENV, "prune": True},
        {"state": "absent"},
    ]
    for step in steps:
        checked = stack.deploy(check_mode=True, **step)
        through_it = stack.deploy(**step, docker_host=f"unix://{lossy.socket}")
        assert lossy.lost
        lossy.lost.clear()
        assert through_it["changed"]
        assert sorted(map(str, through_it["changes"])) == sorted(map(str, checked["changes"]))
        assert stack.deploy(**step)["changes"] == []


@pytest.fixture
def removed_again(connect: Callable[[str], Engine]) -> Iterator[None]:
    yield
    # By now the host may have been killed, and its connection with it.
    Stack(connect("node1"), "shop").remove_by_cli()


@pytest.mark.faults
@pytest.mark.usefixtures("removed_again")
def test_what_was_acknowledged_survives_the_leader(
    lab: Lab, connect: Callable[[str], Engine]
) -> None:
    """The leader is killed while a follower deploys thirty services, and again in their update."""
    web = {"stop_grace_period": "1s", "deploy": {**QUICK, "replicas": 1}}
    body: dict[str, Any] = {
        "services": {f"web{n}": {**web, "networks": [f"net{n % 5}"]} for n in range(30)},
        "networks": {f"net{n}": {} for n in range(5)},
        "configs": {f"conf{n}": {"content": str(n)} for n in range(10)},
    }
    for version in (1, 2):
        leader = lab.leader(list(MANAGERS))
        follower = connect(next(host for host in MANAGERS if host != leader))
        image = follower.web(version)
        for service in body["services"].values():
            service["image"] = image
        # In a process of its own, and so without a connection of this one.
        task = Stack(follower, "shop").task
        deploy = ProcessPoolExecutor(1).submit(task, body, wait_timeout=300)
        time.sleep(2)
        lab.command("kill", leader)
        try:
            with timed(f"version {version} deployed without the leader"):
                result = deploy.result()
        finally:
            with timed("whole again"):
                lab.command("start", leader)
                until(lambda host=follower.host: ready(lab, host), 120)
        assert not result.get("failed"), result["msg"]
        there = Stack(follower, "shop")
        assert {there.image(f"web{n}") for n in range(30)} == {image}
        assert len(there.found("services")) == 30
        assert len(there.found("networks")) == 5
        assert len(there.found("configs")) == 10
        assert there.deploy(body)["changes"] == []


def ready(lab: Lab, host: str) -> bool:
    nodes = lab.nodes(host).values()
    return all(node["Status"]["State"] == "ready" for node in nodes) and len(nodes) == 3
