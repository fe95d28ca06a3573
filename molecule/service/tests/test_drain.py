# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are drained while somebody uses their services, and while things go wrong."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import Process
from typing import Any

import pytest
from conftest import Engine, timed, until

VICTIM = "node2"
# It answers for a while after it was told to stop, to those who looked its address up before.
SERVE = """sh -c 'serve & server=$!; trap "sleep 5; kill $server" TERM; wait; wait'"""
ASK = "sh -c 'while sleep 0.1; do wget -q -T 10 -O - http://web:8080/ || echo lost; done'"
SINGLE: dict[str, Any] = {
    "command": SERVE,
    "replicas": 1,
    "networks": ["front"],
    # Traffic to a virtual address needs ip_vs, which the lab's hosts do not have.
    "endpoint_mode": "dnsrr",
    "healthcheck": {"test": "wget -q -O /dev/null http://127.0.0.1:8080/", "interval": "1s"},
    "update_config": {"monitor": "2s"},
}
# It does not hear that it shall stop.
DEAF = "sh -c 'trap \"\" TERM; while :; do sleep 1; done'"
SURGE = "shoal.swarm/surge"


@pytest.fixture(autouse=True)
def active(swarm: Engine) -> Iterator[None]:
    yield
    for node in ("node1", "node2", "node3"):
        swarm.cli(f"node update --availability active {node}")


@pytest.fixture
def client(swarm: Engine) -> Iterator[Callable[[], list[str]]]:
    """Asks ten times a second, on a node that stays; gives the answers so far."""
    here = {"constraints": ["node.hostname==node1"]}
    options: dict[str, Any] = {"networks": ["front"], "placement": here, "wait": False}
    swarm.service("client", image=swarm.web(), command=ASK, **options)
    yield lambda: swarm.cli("service logs --raw client").splitlines()
    swarm.cli("service rm client")


def only_there(swarm: Engine, name: str, **options: Any) -> None:
    """A service whose tasks are on the victim, with nothing that binds them there."""
    others = ("node1", "node3")
    for node in others:
        swarm.cli(f"node update --availability pause {node}")
    swarm.service(name, image=swarm.web(), **options)
    for node in others:
        swarm.cli(f"node update --availability active {node}")
    assert places(swarm, name) == {VICTIM}


def places(swarm: Engine, name: str) -> set[str]:
    """Where its containers run, by what the nodes tell."""
    shown = swarm.cli(f"service ps {name} --format '{{{{json .}}}}'").splitlines()
    tasks = [json.loads(line) for line in shown]
    return {task["Node"] for task in tasks if task["CurrentState"].startswith("Running")}


def containers(connect: Callable[[str], Engine], node: str, name: str) -> list[str]:
    found = connect(node).cli(f"ps --quiet --filter label=com.docker.swarm.service.name={name}")
    return found.split()


def drain(swarm: Engine, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return swarm.module("drain", check_mode, **{"nodes": [VICTIM], **options})


def availability(swarm: Engine) -> str:
    return swarm.cli(f"node inspect {VICTIM} --format '{{{{.Spec.Availability}}}}'").strip()


def test_a_single_task_moves_and_no_request_is_lost(
    swarm: Engine,
    connect: Callable[[str], Engine],
    name: str,
    client: Callable[[], list[str]],
) -> None:
    only_there(swarm, name, **SINGLE)
    until(lambda: client() and client()[-1].endswith(" 1"))
    spec, before = swarm.inspect(name)["Spec"], len(client())
    refused = drain(swarm)
    assert "service web: all its running tasks are there" in refused["msg"]
    told = drain(swarm, check_mode=True, strategy="start_first")
    done = drain(swarm, strategy="start_first")
    assert not done.get("failed"), done["msg"]
    assert done["changes"] == told["changes"]
    assert containers(connect, VICTIM, name) == []
    assert VICTIM not in places(swarm, name)
    assert swarm.inspect(name)["Spec"] == spec
    # What was too many has gone as well.
    until(lambda: len(places(swarm, name)) == 1 and len(swarm.tasks(name)) <= 3)
    by_then = len(client())
    until(lambda: len(client()) > by_then + 30)
    answers = client()[before:]
    assert {line.rpartition(" ")[2] for line in answers} == {"1"}
    # The containers that answered: the old one, the new ones.
    assert len({line.partition(" ")[0] for line in answers}) >= 2
    assert not drain(swarm, strategy="start_first")["changed"]


def test_it_ends_when_the_last_container_has_stopped(
    swarm: Engine, connect: Callable[[str], Engine], name: str
) -> None:
    swarm.service(
        name, image=swarm.web(), command=DEAF, replicas=3, stop_grace_period="25s", update_config=Q
    )
    on_it = containers(connect, VICTIM, name)
    assert on_it
    began = time.monotonic()
    hasty = drain(swarm, wait_timeout=8)
    assert "is running and has 25s to stop" in hasty["msg"]
    assert "Put back as before: node2 is active" in hasty["msg"]
    assert availability(swarm) == "active"
    done = drain(swarm)
    assert not done.get("failed"), done["msg"]
    assert time.monotonic() - began >= 24
    assert containers(connect, VICTIM, name) == []
    assert len(places(swarm, name)) == 2
    swarm.service(name, replicas=4)
    back = drain(swarm, state="active", rebalance=True)
    assert back["services"] == [name]
    assert VICTIM in places(swarm, name)
    version = swarm.inspect(name)["Version"]["Index"]
    again = drain(swarm, state="active", rebalance=True)
    assert (again["changed"], again["services"]) == (False, [])
    assert swarm.inspect(name)["Version"]["Index"] == version


Q = {"monitor": "1s", "parallelism": 0}


def test_what_must_run_there(swarm: Engine, connect: Callable[[str], Engine], name: str) -> None:
    pinned = {"constraints": [f"node.hostname=={VICTIM}"]}
    swarm.service(name, image=swarm.web(), placement=pinned, update_config=Q)
    refused = drain(swarm, strategy="start_first")
    assert (
        "service web: no other node can take its task: constraints not satisfied on node1, node3"
        in refused["msg"]
    )
    assert availability(swarm) == "active"
    forced = drain(swarm, force=True)
    assert not forced.get("failed"), forced["msg"]
    assert containers(connect, VICTIM, name) == []
    back = drain(swarm, state="active")
    assert not back.get("failed"), back["msg"]
    until(lambda: places(swarm, name) == {VICTIM})


def test_replacements_that_cannot_start(swarm: Engine, name: str) -> None:
    only_there(swarm, name, command="sh -c 'test $(cat /etc/host.name) = node2 && serve'", **MOUNT)
    spec = swarm.inspect(name)["Spec"]
    failed = drain(swarm, strategy="start_first", wait_timeout=15)
    # The deadline falls between two tasks, or while one is alive for a moment.
    assert (
        "service web: 0 of 1 tasks run on other nodes (" in failed["msg"]
        or "service web: its new tasks run, but not yet for 5 s" in failed["msg"]
    )
    assert availability(swarm) == "active"
    assert swarm.inspect(name)["Spec"] == spec
    until(lambda: places(swarm, name) == {VICTIM})


MOUNT: dict[str, Any] = {
    "mounts": [{"type": "bind", "source": "/etc/hostname", "target": "/etc/host.name"}],
    # Longer than it takes to tell that a task has died at once.
    "update_config": {"monitor": "5s"},
}


def drained_elsewhere(swarm: Engine) -> None:
    drain(swarm, strategy="start_first")


@pytest.mark.faults
@pytest.mark.parametrize("stage", ["surge", "drain", "return"])
def test_a_run_that_is_killed_is_finished_by_the_next(
    swarm: Engine, connect: Callable[[str], Engine], name: str, stage: str
) -> None:
    healthcheck = {"test": "true", "interval": "1s"}
    only_there(swarm, name, **{**SINGLE, "command": DEAF, "healthcheck": healthcheck})
    spec = swarm.inspect(name)["Spec"]
    process = Process(target=drained_elsewhere, args=(swarm,))
    process.start()

    def reached() -> bool:
        if stage == "surge":
            return SURGE in swarm.inspect(name)["Spec"]["Labels"]
        if stage == "drain":
            return availability(swarm) == "drain"
        there = [task for task in swarm.tasks(name) if task["Status"]["State"] == "running"]
        return len(there) == 2 and VICTIM not in places(swarm, name)

    until(reached, pause=0.1)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert swarm.inspect(name)["Spec"]["Mode"] == {"Replicated": {"Replicas": 2}}
    with timed("finished by the next run"):
        done = drain(swarm, strategy="start_first")
    assert not done.get("failed"), done["msg"]
    assert swarm.inspect(name)["Spec"] == spec
    assert containers(connect, VICTIM, name) == []
    assert availability(swarm) == "drain"
