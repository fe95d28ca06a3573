# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    EngineError,
    InvalidOption,
    NotConverged,
    NotManager,
    Refused,
    SwarmError,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import Role
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import (
    Request,
    ensure,
    summary,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.tests.unit.memory_store import Refusal
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    World,
    answer_lost,
    conflict,
    leader_lost,
    leader_lost_committed,
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


# Roles


@pytest.fixture
def managers() -> World:
    """Three managers and two workers; what the first is asked takes its time."""
    world = World()
    hosts = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, 6)]
    hosts[0].engine.swarm_init({"Spec": {}})
    tokens = hosts[0].swarm_or_fail().tokens()
    for host, role in zip(hosts[1:], ("Manager", "Manager", "Worker", "Worker")):
        way_in = {"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": tokens[role]}
        host.engine.swarm_join(way_in)
    world.delays.role = 3
    world.writes.clear()
    return world


def give(
    world: World, *requests: Request, on: int = 0, wait: bool = True, timeout: float = 120
) -> tuple[Outcome[Any], dict[str, Any]]:
    run = Run(clock=world.clock)
    return ensure(world.daemons[on].engine, requests, run, wait, timeout)


def manage(*numbers: int) -> tuple[Request, ...]:
    return tuple(Request(f"node{number}", role=Role.MANAGER) for number in numbers)


def work(*numbers: int) -> tuple[Request, ...]:
    return tuple(Request(f"node{number}", role=Role.WORKER) for number in numbers)


def absent(*numbers: int, force: bool = False) -> tuple[Request, ...]:
    return tuple(Request(f"node{number}", is_absent=True, force=force) for number in numbers)


def managing(world: World) -> list[str]:
    return [node.hostname for node in world.daemons[0].swarm_or_fail().managers()]


def listed(world: World) -> list[str]:
    return [node.hostname for node in world.daemons[0].swarm_or_fail().nodes]


def steps(outcome: Outcome[Any]) -> list[str]:
    return [action.summary.rpartition(" (")[0] for action in outcome.actions]


def test_a_promotion_ends_when_the_other_managers_reach_the_node(managers: World) -> None:
    swarm = managers.daemons[0].swarm_or_fail()
    node = swarm.node("node4")
    node.is_reachable = False
    managers.later(20, lambda: setattr(node, "is_reachable", True))
    _outcome, facts = give(managers, *manage(4))
    assert 20 <= managers.now() < 22
    assert facts["nodes"][0]["reachability"] == "reachable"


def test_a_promotion_that_does_not_happen_says_what_it_is_instead(managers: World) -> None:
    managers.delays.role = 600
    with pytest.raises(
        NotConverged,
        match=r"the promotion of node4 \(\w+\) did not happen within 60 s: to the other managers "
        "it is not one of them yet; its state is ready",
    ):
        give(managers, *manage(4), timeout=60)


def test_roles_change_one_after_the_other_and_the_leader_and_this_host_last(
    managers: World,
) -> None:
    swarm = managers.daemons[0].swarm_or_fail()
    least: list[int] = []

    def watch() -> None:
        least.append(len(swarm.managers()))
        assert swarm.has_quorum()
        managers.later(0.5, watch)

    watch()
    outcome, facts = give(managers, *work(1, 2, 3), *manage(4, 5), on=1)
    assert steps(outcome) == [
        "promote node node4",
        "promote node node5",
        "demote node node3",
        # The leader.
        "demote node node1",
        # The host that is asked.
        "demote node node2",
    ]
    assert managing(managers) == ["node4", "node5"]
    assert max(least) == 5
    assert {node["hostname"]: node["role"] for node in facts["nodes"]} == {
        "node1": "worker",
        "node2": "worker",
        "node3": "worker",
        "node4": "manager",
        "node5": "manager",
    }
    assert outcome.warnings == (
        "the swarm has 2 managers with this, which tolerate no more losses than 1 would: promote "
        "or demote one more",
    )


@pytest.mark.parametrize("wait", [True, False])
def test_one_demotion_is_over_before_the_next_one_begins(managers: World, wait: bool) -> None:
    swarm = managers.daemons[0].swarm_or_fail()

    def begins(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        assert len(swarm.managers()) == 2
        return perform()

    managers.at_write(2, begins)
    give(managers, *work(2, 3), wait=wait)
    assert len(managers.writes) == 2
    assert managing(managers) == (["node1"] if wait else ["node1", "node3"])
    assert (managers.now() >= 6) is wait


def test_a_demotion_that_became_unsafe_meanwhile_is_not_begun(managers: World) -> None:
    def dies(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        answer = perform()
        managers.daemons[2].power_off()
        return answer

    managers.at_write(1, dies)
    with pytest.raises(
        NotConverged,
        match=r"the demotion of node \w+ being safe did not happen within 30 s: now 2 of 3 "
        "managers reachable, 2 needed; without it 1 of 2 managers reachable, 2 needed",
    ):
        give(managers, Request("node5", availability="drain"), *work(2), timeout=30)
    assert managing(managers) == ["node1", "node2", "node3"]


def test_a_role_change_that_somebody_else_has_begun_is_waited_for(managers: World) -> None:
    managers.daemons[0].engine.node_update(
        *[(n["ID"], n["Version"]["Index"]) for n in managers.daemons[0].engine.nodes()][2],
        {"Role": "worker", "Availability": "active"},
    )
    outcome, _facts = give(managers, *work(2, 3))
    assert steps(outcome) == ["demote node node2"]
    assert managing(managers) == ["node1"]
    assert managers.now() >= 6


@pytest.mark.parametrize("fault", [conflict, answer_lost, leader_lost, leader_lost_committed])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_fault_in_the_middle_of_role_changes_ends_well(
    managers: World, fault: Any, number: int
) -> None:
    managers.at_write(number, fault)
    outcome, _facts = give(managers, *manage(4), *work(2, 1))
    assert steps(outcome) == ["promote node node4", "demote node node2", "demote node node1"]
    assert managing(managers) == ["node3", "node4"]


def test_of_all_managers_the_one_that_is_asked_would_be_the_last(managers: World) -> None:
    with pytest.raises(Refused, match=r"^node2 \(\w+\) would be the last manager \(1 of 1"):
        give(managers, *work(1, 2, 3), on=1)
    assert managers.writes == []


@pytest.mark.parametrize("wait", [True, False])
def test_a_host_that_demotes_itself_knows_what_it_is_then(managers: World, wait: bool) -> None:
    outcome, facts = give(managers, Request("", role=Role.WORKER), wait=wait)
    managers.sleep(3)
    assert steps(outcome) == ["demote node node1"]
    (node,) = facts["nodes"]
    assert (node["hostname"], node["role"]) == ("node1", "worker")
    assert node["reachability"] == ("" if wait else "reachable")
    assert managing(managers) == ["node2", "node3"]


@pytest.mark.parametrize("fault", [answer_lost, leader_lost_committed])
def test_the_own_demotion_is_one_change_though_its_answer_was_lost(
    managers: World, fault: Any
) -> None:
    managers.at_write(1, fault)
    outcome, facts = give(managers, *work(1))
    assert steps(outcome) == ["demote node node1"]
    assert facts["nodes"][0]["role"] == "worker"


@pytest.mark.parametrize("also", [(), (Request("node1", availability="active"),)])
def test_who_is_demoted_by_somebody_else_does_not_take_that_for_its_own_doing(
    managers: World, also: tuple[Request, ...]
) -> None:
    def demotes(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        perform()
        daemon.swarm_or_fail().node("node1").is_manager = False

    managers.at_write(1, demotes)
    with pytest.raises(NotManager):
        give(managers, *work(2), *also, wait=False)


def test_what_is_no_member_of_the_managers_any_more_is_told_and_can_be_removed(
    managers: World,
) -> None:
    first, second, third = managers.daemons[:3]
    for host in (second, third):
        host.power_off()
    first.engine.swarm_init({"ForceNewCluster": True})
    managers.sleep(60)
    managers.writes.clear()
    for requests in (manage(2), work(2)):
        with pytest.raises(WrongState, match=r"node2 \(\w+\) is \w+ and none of the managers"):
            give(managers, *requests)
    with pytest.raises(Refused, match=r"node1 \(\w+\) would be the last manager"):
        give(managers, *work(1))
    assert managers.writes == []
    outcome, _facts = give(managers, *absent(2, 3, force=True))
    assert steps(outcome) == ["remove node node2", "remove node node3"]
    assert listed(managers) == ["node1", "node4", "node5"]


def test_a_node_that_is_down_does_not_become_a_manager(managers: World) -> None:
    managers.daemons[3].power_off()
    managers.sleep(20)
    with pytest.raises(WrongState, match=r"node4 \(\w+\) is down and cannot become a manager"):
        give(managers, *manage(4))
    assert managers.writes == []


# Removal


@pytest.mark.parametrize("number", [3, 4])
def test_a_node_that_has_just_left_is_removed_when_it_is_called_down(
    managers: World, number: int
) -> None:
    managers.daemons[number - 1].engine.swarm_leave(force=True)
    started = managers.now()
    outcome, facts = give(managers, *absent(number))
    assert steps(outcome)[-1] == f"remove node node{number}"
    assert f"node{number}" not in listed(managers)
    assert facts["nodes"] == []
    assert 14 <= managers.now() - started < 22


def test_a_manager_is_none_any_more_before_it_is_removed(managers: World) -> None:
    def removes(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        assert managing(managers) == ["node1", "node2"]
        return perform()

    managers.at_write(2, removes)
    outcome, _facts = give(managers, *absent(3, force=True))
    assert steps(outcome) == ["demote node node3", "remove node node3"]


def test_a_node_that_is_alive_is_refused_as_soon_as_that_is_sure(managers: World) -> None:
    with pytest.raises(Refused, match=r"node4 \(\w+\) is alive \(its state is ready\)"):
        give(managers, *absent(4), *work(3))
    assert 15 < managers.now() <= 21
    assert managers.writes == []


def test_without_wait_it_is_refused_at_once(managers: World) -> None:
    with pytest.raises(Refused, match="is alive"):
        give(managers, *absent(4), wait=False)
    assert managers.now() == 0


def test_how_long_it_may_take_is_told_by_the_swarms_own_heartbeats(managers: World) -> None:
    swarm = managers.daemons[0].swarm_or_fail()
    swarm.spec["Dispatcher"]["HeartbeatPeriod"] = 20 * 10**9
    with pytest.raises(Refused, match="is alive"):
        give(managers, *absent(4))
    assert managers.now() == 80


def test_a_node_that_a_new_leader_does_not_know_yet_is_given_more_time(managers: World) -> None:
    node = managers.daemons[0].swarm_or_fail().node("node4")
    node.state, node.daemon = "unknown", None
    managers.later(30, lambda: setattr(node, "state", "down"))
    outcome, _facts = give(managers, *absent(4))
    assert steps(outcome) == ["remove node node4"]


def test_a_removal_whose_answer_was_lost_is_one_change(managers: World) -> None:
    managers.at_write(1, answer_lost)
    outcome, _facts = give(managers, *absent(4, force=True))
    assert steps(outcome) == ["remove node node4"]
    assert len(managers.writes) == 1


def test_a_node_that_somebody_else_has_just_removed_is_gone(managers: World) -> None:
    def faster(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        daemon.swarm_or_fail().remove_node("node4", force=True)
        return perform()

    managers.at_write(1, faster)
    outcome, _facts = give(managers, *absent(4, force=True))
    assert not outcome.changed


def test_check_mode_waits_for_what_is_leaving_and_changes_nothing(managers: World) -> None:
    managers.daemons[3].engine.swarm_leave(force=False)
    managers.writes.clear()
    run = Run(check_mode=True, clock=managers.clock)
    outcome, _facts = ensure(managers.daemons[0].engine, [*absent(4), *work(2)], run, True, 120)
    assert steps(outcome) == ["demote node node2", "remove node node4"]
    assert managers.writes == []


# Ghosts


def rejoin(world: World, number: int, role: str = "Worker") -> None:
    host = world.daemons[number - 1]
    token = host.swarm_or_fail().tokens()[role]
    host.engine.swarm_leave(force=True)
    host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    world.writes.clear()


def test_of_several_ghosts_the_labels_of_the_newest_win(world: World) -> None:
    for value in ("old", "new"):
        request(world, Request(own_id(world, 5), labels={"type": value, value: "yes"}))
        rejoin(world, 5)
        world.sleep(60)
    outcome, facts = give(world, Request("node5", replace_ghosts=True, availability="drain"))
    assert steps(outcome) == ["update node node5", "remove node node5", "remove node node5"]
    assert listed(world) == ["node1", "node2", "node3", "node4", "node5"]
    (node,) = facts["nodes"]
    assert node["labels"] == {"type": "new", "old": "yes", "new": "yes"}
    assert node["id"] == own_id(world, 5)


def own_id(world: World, number: int) -> str:
    node = world.daemons[number - 1].node
    assert node is not None
    return node.id


@pytest.mark.parametrize("by", ["name", "ID"])
def test_a_ghost_of_a_host_that_has_just_joined_again_is_waited_for(world: World, by: str) -> None:
    request(world, Request("node5", labels={"type": "db"}))
    rejoin(world, 5)
    started = world.now()
    reference = "node5" if by == "name" else own_id(world, 5)
    outcome, facts = give(world, Request(reference, replace_ghosts=True))
    assert steps(outcome) == ["update node node5", "remove node node5"]
    assert facts["nodes"][0]["labels"] == {"type": "db"}
    assert 14 <= world.now() - started < 16


def test_a_living_node_of_the_same_name_is_never_touched(world: World) -> None:
    world.daemons[0].swarm_or_fail().node("node4").hostname = "node5"
    outcome, _facts = give(world, Request(own_id(world, 5), replace_ghosts=True))
    assert not outcome.changed
    with pytest.raises(InvalidOption, match="the name 'node5' is ambiguous"):
        give(world, Request("node5", replace_ghosts=True))
    assert world.writes == []


def test_a_node_that_is_down_itself_has_no_ghosts(world: World) -> None:
    rejoin(world, 5)
    world.sleep(60)
    world.daemons[4].power_off()
    world.sleep(60)
    outcome, _facts = give(world, Request(own_id(world, 5), replace_ghosts=True))
    assert not outcome.changed
    with pytest.raises(InvalidOption, match="the name 'node5' is ambiguous"):
        give(world, Request("node5", replace_ghosts=True))


def test_a_removal_that_fails_has_lost_no_label(world: World) -> None:
    request(world, Request("node5", labels={"type": "db"}))
    rejoin(world, 5)
    world.sleep(60)

    def refuses(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        raise Refusal(400, "no")

    world.at_write(2, refuses)
    with pytest.raises(EngineError):
        give(world, Request("node5", replace_ghosts=True))
    outcome, facts = give(world, Request("node5", replace_ghosts=True))
    assert steps(outcome) == ["remove node node5"]
    assert facts["nodes"][0]["labels"] == {"type": "db"}
