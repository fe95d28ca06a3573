# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, SwarmError
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import (
    Request,
    ensure,
    summary,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    World,
    answer_lost,
    conflict,
    leader_lost,
)


@pytest.fixture
def world() -> World:
    """A manager and four workers."""
    world = World()
    hosts = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, 6)]
    hosts[0].engine.swarm_init({"Spec": {}})
    token = hosts[0].swarm_or_fail().tokens()["Worker"]
    for host in hosts[1:]:
        host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    world.writes.clear()
    return world


def request(world: World, *requests: Request) -> tuple[Outcome[Any], dict[str, Any]]:
    return ensure(world.daemons[0].engine, requests, Run(clock=world.clock))


def labels(world: World) -> dict[str, dict[str, str]]:
    nodes = world.daemons[0].swarm_or_fail().nodes
    return {node.hostname: node.spec["Labels"] for node in nodes}


ALL = tuple(Request(f"node{i}", labels={"zone": f"z{i}"}) for i in range(1, 6))


def test_five_nodes_are_labelled_in_one_go(world: World) -> None:
    outcome, facts = request(world, *ALL)
    assert labels(world) == {f"node{i}": {"zone": f"z{i}"} for i in range(1, 6)}
    assert len(outcome.actions) == len(world.writes) == 5
    assert [node["labels"] for node in facts["nodes"]] == list(labels(world).values())


@pytest.mark.parametrize("number", [1, 3, 5])
@pytest.mark.parametrize("fault", [conflict, answer_lost, leader_lost])
def test_a_fault_half_way_through_loses_no_node_and_no_change(
    world: World, fault: Any, number: int
) -> None:
    world.at_write(number, fault)
    outcome, _facts = request(world, *ALL)
    assert labels(world) == {f"node{i}": {"zone": f"z{i}"} for i in range(1, 6)}
    assert sorted(action.summary for action in outcome.actions) == sorted(
        f"update node {node.hostname} ({node.id})"
        for node in world.daemons[0].swarm_or_fail().nodes
    )


def test_two_writers_of_one_nodes_labels_lose_nothing(world: World) -> None:
    def other(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        ensure(daemon.engine, [Request("node2", labels={"b": "2"})], Run(clock=world.clock))
        return perform()

    world.at_write(1, other)
    request(world, Request("node2", labels={"a": "1"}))
    assert labels(world)["node2"] == {"a": "1", "b": "2"}


def test_an_ambiguous_name_is_refused_with_the_candidates_before_anything_is_written(
    world: World,
) -> None:
    host = world.daemons[4]
    host.engine.swarm_leave(force=False)
    token = world.daemons[0].swarm_or_fail().tokens()["Worker"]
    host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    world.sleep(60)
    world.writes.clear()
    old, new = world.daemons[0].swarm_or_fail().nodes[4:]
    with pytest.raises(InvalidOption) as caught:
        request(world, *ALL)
    assert str(caught.value) == (
        f"the name 'node5' is ambiguous, 2 nodes have it: {old.id} (down, 10.0.0.15), {new.id} "
        "(ready, 10.0.0.15); use the ID of the one that is meant"
    )
    assert world.writes == []
    request(world, Request(new.id, labels={"zone": "z5"}))
    assert (old.spec["Labels"], new.spec["Labels"]) == ({}, {"zone": "z5"})


def test_an_id_wins_over_a_name_that_looks_like_it(world: World) -> None:
    nodes = world.daemons[0].swarm_or_fail().nodes
    nodes[1].hostname = nodes[2].id
    request(world, Request(nodes[2].id, labels={"a": "1"}))
    assert (nodes[1].spec["Labels"], nodes[2].spec["Labels"]) == ({}, {"a": "1"})


def test_a_node_that_disappears_meanwhile_is_said_to_be_missing(world: World) -> None:
    def removes(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        daemon.swarm_or_fail().nodes.pop(1)
        return perform()

    world.at_write(1, removes)
    with pytest.raises(InvalidOption, match="no node of this swarm has the ID or name 'node2'"):
        request(world, Request("node2", labels={"a": "1"}))


def test_labels_and_availability_go_in_one_write(world: World) -> None:
    outcome, _facts = request(world, Request("node2", labels={"a": 1}, availability="drain"))
    assert len(world.writes) == 1
    (action,) = outcome.actions
    assert action.after == {"labels": {"a": "1"}, "availability": "drain"}


def test_a_node_is_told_in_the_words_of_docker_node_ls(world: World) -> None:
    manager, worker = world.daemons[0].engine.nodes()[:2]
    assert summary(manager) == {
        "id": manager["ID"],
        "hostname": "node1",
        "role": "manager",
        "availability": "active",
        "labels": {},
        "state": "ready",
        "message": "",
        "address": "10.0.0.11",
        "leader": True,
        "reachability": "reachable",
        "manager_address": "10.0.0.11:2377",
        "engine_version": "20.10.24",
    }
    assert (summary(worker)["leader"], summary(worker)["reachability"]) == (False, "")


def test_a_node_that_has_just_been_let_in_may_not_have_told_its_name_yet(world: World) -> None:
    node = {"ID": "n1", "Spec": {"Role": "worker", "Availability": "active"}}
    assert summary(node)["hostname"] == ""
    assert summary(node)["state"] == "unknown"


def test_a_lost_quorum_is_an_error_in_bounded_time(world: World) -> None:
    swarm = world.daemons[0].swarm_or_fail()
    for node in swarm.nodes[1:3]:
        node.is_manager = True
        node.spec["Role"] = "manager"
    for host in world.daemons[1:3]:
        host.power_off()
    with pytest.raises(SwarmError, match=r"deadline exceeded|too few managers"):
        request(world, Request("node4", labels={"a": "1"}))
    assert world.now() < 120
