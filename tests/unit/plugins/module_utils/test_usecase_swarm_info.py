# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    EngineError,
    InvalidOption,
    NotConverged,
    NotManager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_info import (
    NO_ENGINE,
    gather,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params


@pytest.fixture
def world() -> World:
    """Three managers, a worker, and a host outside."""
    world = World()
    hosts = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, 6)]
    hosts[0].engine.swarm_init({"Spec": {"Labels": {"team": "ops"}}})
    tokens = hosts[0].swarm_or_fail().tokens()
    for host, role in zip(hosts[1:], ("Manager", "Manager", "Worker")):
        host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": tokens[role]})
    world.writes.clear()
    return world


def info(host: Daemon, **given: Any) -> dict[str, Any]:
    return gather(host.engine, params("swarm_info", given), Run(clock=host.world.clock))


def test_every_host_answers_by_the_same_names_and_nothing_is_written(world: World) -> None:
    for host in world.daemons:
        assert set(info(host)) == set(NO_ENGINE)
    assert world.writes == []


def test_a_manager_knows_the_swarm_its_nodes_and_its_quorum(world: World) -> None:
    facts = info(world.daemons[1])
    swarm = world.daemons[0].swarm_or_fail()
    assert facts["cluster_id"] == facts["swarm_facts"]["ID"] == swarm.id
    assert facts["swarm_facts"]["Spec"]["Labels"] == {"team": "ops"}
    assert (facts["role"], facts["state"], facts["error"]) == ("manager", "active", "")
    assert (facts["docker_swarm_active"], facts["docker_swarm_manager"]) == (True, True)
    assert facts["node_id"] == swarm.nodes[1].id
    assert facts["managers"] == ["10.0.0.11:2377", "10.0.0.12:2377", "10.0.0.13:2377"]
    assert [node["hostname"] for node in facts["nodes"]] == ["node1", "node2", "node3", "node4"]
    assert facts["quorum"] == {
        "managers": 3,
        "reachable": 3,
        "needed": 2,
        "tolerates": 1,
        "holds": True,
    }


def test_a_worker_knows_its_own_place_only(world: World) -> None:
    facts = info(world.daemons[3])
    assert (facts["role"], facts["docker_swarm_active"]) == ("worker", True)
    assert facts["docker_swarm_manager"] is False
    assert facts["managers"] == ["10.0.0.11:2377", "10.0.0.12:2377", "10.0.0.13:2377"]
    assert (facts["nodes"], facts["quorum"], facts["swarm_facts"]) == ([], {}, {})


def test_a_host_outside_is_inactive_and_no_error(world: World) -> None:
    facts = info(world.daemons[4], join_tokens=True, unlock_key=True)
    assert facts == {
        **NO_ENGINE,
        "can_talk_to_docker": True,
        "hostname": "node5",
        "engine_version": "20.10.24",
    }


def test_tokens_and_the_unlock_key_are_told_on_request_only(world: World) -> None:
    swarm = world.daemons[0].swarm_or_fail()
    swarm.unlock_key = "SWMKEY-1-secret"
    for secret in (*swarm.tokens().values(), swarm.unlock_key):
        assert secret not in str(info(world.daemons[0]))
    facts = info(world.daemons[0], join_tokens=True, unlock_key=True)
    assert facts["join_tokens"]["worker"] == swarm.tokens()["Worker"]
    assert facts["join_tokens"]["manager"] == swarm.tokens()["Manager"]
    assert facts["unlock_key"] == "SWMKEY-1-secret"
    assert "join_tokens" not in info(world.daemons[3], join_tokens=True)


@pytest.mark.parametrize(
    "filters", [{"role": "worker"}, {"role": ["worker"]}, {"name": "node4"}, {"id": "<id>"}]
)
def test_filters_choose_nodes_and_the_quorum_counts_all_managers(
    world: World, filters: dict[str, Any]
) -> None:
    if "id" in filters:
        filters = {"id": world.daemons[0].swarm_or_fail().nodes[3].id}
    facts = info(world.daemons[0], nodes_filters=filters)
    assert [node["hostname"] for node in facts["nodes"]] == ["node4"]
    assert facts["quorum"]["managers"] == 3


def test_a_lost_quorum_is_a_fact_and_not_a_failure(world: World) -> None:
    for host in world.daemons[1:3]:
        host.power_off()
    world.sleep(60)
    facts = info(world.daemons[0])
    assert facts["docker_swarm_manager"] is True
    assert "too few managers are online" in facts["error"]
    assert (facts["nodes"], facts["quorum"]) == ([], {})


def test_an_election_is_waited_out(world: World) -> None:
    world.daemons[0].swarm_or_fail().elects_until = 6
    facts = info(world.daemons[0])
    assert facts["quorum"]["holds"]
    assert 6 <= world.now() < 8


def test_locked_and_broken_hosts_are_called_by_name(world: World) -> None:
    world.daemons[3].fail("Swarm certificates have expired.")
    facts = info(world.daemons[3])
    assert (facts["state"], facts["error"]) == ("error", "Swarm certificates have expired.")
    assert facts["docker_swarm_active"] is False
    world.daemons[0].swarm_or_fail().unlock_key = "SWMKEY-1-secret"
    world.daemons[1].power_off()
    world.daemons[1].power_on()
    facts = info(world.daemons[1])
    assert (facts["state"], facts["docker_swarm_manager"]) == ("locked", False)


def test_nodes_are_waited_for_until_they_are_ready(world: World) -> None:
    node = world.daemons[0].swarm_or_fail().nodes[3]
    node.state = "down"

    def comes_back() -> None:
        node.state = "ready"

    world.later(30, comes_back)
    facts = info(world.daemons[0], ready=["node1", "node4"])
    assert facts["nodes"][3]["state"] == "ready"
    assert 30 <= world.now() < 32


def test_a_node_that_does_not_become_ready_is_named_at_the_deadline(world: World) -> None:
    world.daemons[3].power_off()
    world.daemons[2].power_off()
    world.sleep(60)
    with pytest.raises(NotConverged) as caught:
        info(world.daemons[0], ready=["node2", "node3", "node4"], wait_timeout=10)
    assert str(caught.value) == (
        "the nodes being ready did not happen within 10 s: node3 is down heartbeat failure; "
        "node4 is down heartbeat failure"
    )


def test_a_manager_is_ready_when_the_others_reach_it(world: World) -> None:
    swarm = world.daemons[0].swarm_or_fail()
    swarm.nodes[1].is_reachable = False
    with pytest.raises(NotConverged, match="manager node2 is unreachable"):
        info(world.daemons[0], ready=["node2"], wait_timeout=10)
    swarm.nodes[1].is_manager = False
    with pytest.raises(NotConverged, match="manager node2 is not one yet"):
        info(world.daemons[0], ready=["node2"], wait_timeout=10)


def test_a_node_that_is_not_there_is_not_waited_for(world: World) -> None:
    with pytest.raises(InvalidOption, match="no node of this swarm has the ID or name 'node9'"):
        info(world.daemons[0], ready=["node9"])


def test_only_a_manager_can_wait_for_nodes(world: World) -> None:
    with pytest.raises(NotManager):
        info(world.daemons[3], ready=["node1"])


def test_a_filter_that_the_engine_does_not_know_is_told() -> None:
    world = World()
    host = world.host("node1", "10.0.0.11")
    host.engine.swarm_init({"Spec": {}})
    with pytest.raises(EngineError, match="Invalid filter 'colour'"):
        info(host, nodes_filters={"colour": "red"})
