# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates while somebody uses the service, and while things go wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import pytest
from conftest import Engine, Lab, timed, until

# It answers for a while after it was told to stop, to those who looked its address up before.
SERVE = """sh -c 'serve & server=$!; trap "sleep 5; kill $server" TERM; wait; wait'"""
ASK = "sh -c 'while sleep 0.1; do wget -q -T 10 -O - http://web:8080/ || echo lost; done'"
MANAGERS = ["node1", "node2", "node3"]
WEB: dict[str, Any] = {
    "command": SERVE,
    "replicas": 5,
    "networks": ["front"],
    # Traffic to a virtual address needs ip_vs, which the lab's hosts do not have.
    "endpoint_mode": "dnsrr",
    "healthcheck": {"test": "wget -q -O /dev/null http://127.0.0.1:8080/", "interval": "1s"},
    "update_config": {"parallelism": 2, "order": "start-first", "monitor": "2s"},
}


@pytest.fixture
def client(swarm: Engine) -> Iterator[Callable[[], list[str]]]:
    """Asks ten times a second; gives the answers so far."""
    swarm.service("client", image=swarm.web(), command=ASK, networks=["front"], wait=False)
    yield lambda: swarm.cli("service logs --raw client").splitlines()
    swarm.cli("service rm client")


def test_no_request_is_lost(swarm: Engine, name: str, client: Callable[[], list[str]]) -> None:
    swarm.service(name, image=swarm.web(1), **WEB)
    until(lambda: any(line.endswith(" 1") for line in client()))
    before = len(client())
    swarm.service(name, image=swarm.web(2))
    until(lambda: all(line.endswith(" 2") for line in client()[-20:]))
    answers = client()[before:]
    assert len(answers) > 30
    assert {line.rpartition(" ")[2] for line in answers} == {"1", "2"}


def in_background(engine: Engine, name: str, **options: Any) -> Future[dict[str, Any]]:
    """The module in a process of its own."""
    return ProcessPoolExecutor(1).submit(engine.module, "service", name=name, **options)


def test_two_who_scale(swarm: Engine, connect: Callable[[str], Engine], name: str) -> None:
    """One of them wins, and the other is told."""
    swarm.service(name, image=swarm.web())
    other = connect("node2")
    tries = {
        2: in_background(swarm, name, replicas=2),
        3: in_background(other, name, replicas=3),
    }
    results = {replicas: future.result() for replicas, future in tries.items()}
    now = swarm.inspect(name)["Spec"]["Mode"]["Replicated"]["Replicas"]
    winner, loser = results.pop(now), *results.values()
    assert not winner.get("failed"), winner["msg"]
    assert len(winner["tasks"]) == now
    assert "somebody else has changed service web while this task waited" in loser["msg"]
    assert "not with the replicas of this task" in loser["msg"]


SLOWLY = {"parallelism": 1, "delay": "3s", "monitor": "2s", "failure_action": "continue"}


@pytest.fixture
def follower(swarm: Engine, lab: Lab, connect: Callable[[str], Engine]) -> Engine:
    """A manager that does not lead."""
    leader = lab.leader(MANAGERS)
    return connect(next(host for host in MANAGERS if host != leader))


@pytest.mark.faults
def test_the_leader_is_killed(swarm: Engine, lab: Lab, follower: Engine, name: str) -> None:
    leader = lab.leader(MANAGERS)
    follower.service(name, image=swarm.web(1), replicas=4, update_config=SLOWLY)
    update = in_background(follower, name, image=swarm.web(2), wait_timeout=300)
    time.sleep(4)
    lab.command("kill", leader)
    try:
        with timed("updated without the leader"):
            result = update.result()
        assert not result.get("failed"), result["msg"]
        assert [task["state"] for task in result["tasks"]] == ["running"] * 4
        assert {task["image"].partition("@")[0] for task in result["tasks"]} == {swarm.web(2)}
        assert leader not in {task["node"] for task in result["tasks"]}
    finally:
        with timed("whole again"):
            lab.command("start", leader)
            until(lambda: lab.nodes(follower.host)[leader]["Status"]["State"] == "ready", 120)


@pytest.mark.faults
def test_an_engine_is_restarted(swarm: Engine, lab: Lab, follower: Engine, name: str) -> None:
    victim = next(host for host in MANAGERS if host not in (follower.host, lab.leader(MANAGERS)))
    follower.service(name, image=swarm.web(1), replicas=4, update_config=SLOWLY)
    update = in_background(follower, name, image=swarm.web(2), wait_timeout=300)
    time.sleep(4)
    lab.on(victim, "sudo systemctl restart docker")
    with timed("updated after the restart"):
        result = update.result()
    assert not result.get("failed"), result["msg"]
    assert [task["state"] for task in result["tasks"]] == ["running"] * 4
    assert {task["image"].partition("@")[0] for task in result["tasks"]} == {swarm.web(2)}
