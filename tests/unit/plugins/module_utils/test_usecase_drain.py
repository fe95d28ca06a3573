# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    NotConverged,
    Refused,
    SwarmError,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._drain import ensure, wait_on
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._drain_plan import (
    SURGE_LABEL,
    Seen,
    Stage,
    Task,
    judge,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Clock,
    Look,
    Verdict,
    View,
    Watch,
    fingerprint,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    World,
    answer_lost,
    conflict,
    leader_lost,
    leader_lost_committed,
    meanwhile,
    request_lost,
)
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params

GRACE = 25.0
SECOND = 10**9


@pytest.fixture
def world() -> World:
    """A manager that takes no tasks, and three workers with a service of three replicas."""
    world = World()
    hosts = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, 5)]
    engine = hosts[0].engine
    engine.swarm_init({"Spec": {}, "Availability": "drain"})
    token = hosts[0].swarm_or_fail().tokens()["Worker"]
    for host in hosts[1:]:
        host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    deploy(world, "web", 3)
    world.delays.stop, world.delays.task = GRACE, 3
    world.writes.clear()
    return world


def deploy(world: World, name: str, replicas: int, **template: Any) -> None:
    container = {"Image": f"{name}:1", "StopGracePeriod": int(GRACE * SECOND)}
    world.daemons[0].engine.service_create(
        {
            "Name": name,
            "Labels": {"team": "a"},
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": container, **template},
        }
    )
    world.sleep(10)


def only_on(*nodes: str) -> dict[str, Any]:
    names = {f"node{i}" for i in range(2, 5)} - {*nodes}
    return {"Constraints": [f"node.hostname!={name}" for name in sorted(names)]}


def move_to(world: World, name: str, *nodes: str) -> None:
    """Let a service be where it would not be by itself, with nothing that binds it there."""
    swarm = world.daemons[0].swarm_or_fail()
    ids = [swarm.node(node).id for node in nodes]
    for number, task in enumerate(swarm.service(name).tasks):
        task["NodeID"] = ids[number % len(ids)]


def drain(
    world: World, clock: Clock | None = None, watch: Watch | None = None, **given: Any
) -> tuple[Outcome[Any], dict[str, Any]]:
    run = Run(clock=clock or world.clock, watch=watch)
    carry_out = wait_on if run.subject else ensure
    return carry_out(world.daemons[0].engine, params("drain", {"nodes": ["node2"], **given}), run)


def availability(world: World, node: str = "node2") -> str:
    return str(world.daemons[0].swarm_or_fail().node(node).spec["Availability"])


def set_availability(world: World, node: str, value: str) -> None:
    engine = world.daemons[0].engine
    found = engine.node(node)
    spec = {**found["Spec"], "Availability": value}
    engine.node_update(found["ID"], found["Version"]["Index"], spec)


def scale(world: World, name: str, replicas: int) -> None:
    engine = world.daemons[0].engine
    found = engine.service(name)
    spec = {**found["Spec"], "Mode": {"Replicated": {"Replicas": replicas}}}
    engine.service_update(found["ID"], found["Version"]["Index"], spec)


def spec_of(world: World, name: str = "web") -> dict[str, Any]:
    return world.daemons[0].swarm_or_fail().service(name).spec


def running(world: World, name: str = "web", not_on: str = "") -> int:
    """How many tasks run and shall run: one that is told to stop is as good as gone."""
    swarm = world.daemons[0].swarm_or_fail()
    excluded = swarm.node(not_on).id if not_on else ""
    return sum(
        task["Status"]["State"] == task["DesiredState"] == "running" and task["NodeID"] != excluded
        for task in swarm.service(name).tasks
    )


def left_on(world: World, node: str) -> list[str]:
    swarm = world.daemons[0].swarm_or_fail()
    return [
        f"{service.spec['Name']}.{task.get('Slot', 0)}"
        for service in swarm.services
        for task in service.tasks
        if task.get("NodeID") == swarm.node(node).id
        and task["Status"]["State"] in ("preparing", "ready", "running")
    ]


class Witness:
    """Counts the tasks that run, in every second of a wait."""

    def __init__(self, world: World, name: str) -> None:
        self.least, self.most = running(world, name), 0

        def sleep(seconds: float) -> None:
            until = world.now() + seconds
            while world.now() < until:
                world.sleep(min(0.25, until - world.now()))
                self.least = min(self.least, running(world, name))
                self.most = max(self.most, running(world, name))

        self.clock = Clock(world.now, sleep)


# Stop first


def test_it_ends_when_nothing_runs_there_and_all_runs_elsewhere(world: World) -> None:
    began = world.now()
    outcome, facts = drain(world)
    assert world.now() - began >= GRACE
    assert (left_on(world, "node2"), running(world, not_on="node2")) == ([], 3)
    assert [action.after for action in outcome.actions] == [{"availability": "drain"}]
    assert facts["services"] == ["web"]
    assert [(n["hostname"], n["availability"]) for n in facts["nodes"]] == [("node2", "drain")]


def test_a_second_run_writes_nothing(world: World) -> None:
    drain(world)
    world.writes.clear()
    for strategy in ("stop_first", "start_first"):
        outcome, facts = drain(world, strategy=strategy)
        assert (outcome.changed, world.writes, facts["services"]) == (False, [], [])


def test_a_second_run_waits_for_what_is_still_stopping(world: World) -> None:
    drain(world, wait=False)
    assert left_on(world, "node2") == ["web.3"]
    outcome, facts = drain(world)
    assert (outcome.changed, left_on(world, "node2"), running(world)) == (False, [], 3)
    assert facts["services"] == ["web"]


def test_a_timeout_names_what_holds_it_up_and_puts_the_node_back(world: World) -> None:
    with pytest.raises(NotConverged) as caught:
        drain(world, wait_timeout=10)
    assert str(caught.value) == (
        "node2 being drained did not happen within 10 s: service web: web.3 on node2 is running "
        "and has 25s to stop; service web: 2 of 3 tasks run on other nodes. Put back as "
        "before: node2 is active"
    )
    assert availability(world) == "active"


def test_a_node_that_was_paused_is_paused_again_after_a_failure(world: World) -> None:
    set_availability(world, "node2", "pause")
    with pytest.raises(NotConverged, match="Put back as before: node2 is pause"):
        drain(world, wait_timeout=5)
    assert availability(world) == "pause"


def test_what_finds_no_other_node_is_refused_and_forced_it_is_not_waited_for(world: World) -> None:
    deploy(world, "db", 1, Placement=only_on("node2"))
    with pytest.raises(Refused, match="service db: no other node can take its task: constraints"):
        drain(world)
    outcome, facts = drain(world, force=True)
    assert facts["services"] == ["db", "web"]
    assert running(world, "db") == 0
    assert len(outcome.warnings) == 1
    assert availability(world) == "drain"


def test_what_finds_no_node_any_more_is_told_with_the_swarms_own_reason(world: World) -> None:
    deploy(world, "db", 2, Placement=only_on("node2", "node3"))

    def leave_it_none(_daemon: Daemon) -> None:
        set_availability(world, "node3", "pause")

    world.at_write(1, meanwhile(leave_it_none))
    with pytest.raises(NotConverged, match=r"service db: 1 of 2 .* no suitable node \(scheduling"):
        drain(world, wait_timeout=60)


def test_tasks_of_a_node_that_is_down_are_not_waited_for(world: World) -> None:
    world.daemons[1].power_off()
    world.sleep(30)
    outcome, facts = drain(world, wait_timeout=5)
    assert (outcome.changed, facts["services"]) == (True, [])


def test_two_nodes_at_once(world: World) -> None:
    deploy(world, "agents", 4)
    _outcome, facts = drain(world, nodes=["node2", "node3"])
    assert left_on(world, "node2") == left_on(world, "node3") == []
    assert facts["services"] == ["agents", "web"]
    assert (running(world), running(world, "agents")) == (3, 4)


def test_global_services_and_jobs_leave_as_well(world: World) -> None:
    engine = world.daemons[0].engine
    template = {"ContainerSpec": {"Image": "agent:1"}}
    engine.service_create({"Name": "agent", "Mode": {"Global": {}}, "TaskTemplate": template})
    world.sleep(5)
    assert "agent.0" in left_on(world, "node2")
    _outcome, facts = drain(world)
    assert left_on(world, "node2") == []
    assert facts["services"] == ["agent", "web"]


def test_who_sets_the_node_active_meanwhile_ends_the_wait(world: World) -> None:
    world.schedule(4, lambda: set_availability(world, "node2", "active"))
    with pytest.raises(NotConverged, match="somebody else has set node2 to active meanwhile"):
        drain(world)


def test_a_node_that_leaves_meanwhile_is_said_to(world: World) -> None:
    nodes = world.daemons[0].swarm_or_fail().nodes
    world.schedule(4, lambda: nodes.remove(nodes[1]))
    with pytest.raises(NotConverged, match="1 of the nodes are not in the swarm any more"):
        drain(world)


# Start first


def alone(world: World, name: str = "single", **template: Any) -> None:
    deploy(world, name, 1, **template)
    move_to(world, name, "node2")


def test_a_single_task_never_stops_before_another_one_runs(world: World) -> None:
    alone(world)
    before = spec_of(world, "single")
    witness = Witness(world, "single")
    outcome, facts = drain(world, witness.clock, strategy="start_first")
    assert (witness.least, witness.most) == (1, 2)
    assert (left_on(world, "node2"), running(world, "single", not_on="node2")) == ([], 1)
    assert spec_of(world, "single") == before
    assert availability(world) == "drain"
    assert facts["services"] == ["single", "web"]
    assert [action.summary.partition(" (")[0] for action in outcome.actions] == [
        "update node node2",
        "scale up service web",
        "scale up service single",
        "update node node2",
        "scale back service web",
        "scale back service single",
    ]


@pytest.mark.parametrize(("replicas", "nodes"), [(2, ["node2"]), (5, ["node2", "node3"])])
def test_as_many_run_as_shall_all_the_time(world: World, replicas: int, nodes: list[str]) -> None:
    deploy(world, "many", replicas)
    move_to(world, "many", *nodes)
    witness = Witness(world, "many")
    drain(world, witness.clock, nodes=nodes, strategy="start_first")
    assert witness.least == replicas
    assert (running(world, "many"), left_on(world, nodes[0])) == (replicas, [])


def test_a_task_that_has_no_room_besides_its_replacement_is_the_one_that_is_given_up(
    world: World,
) -> None:
    deploy(world, "edge", 2, Placement={"MaxReplicas": 1})
    move_to(world, "edge", "node2", "node3")
    witness = Witness(world, "edge")
    drain(world, witness.clock, strategy="start_first")
    assert witness.least == 2
    assert running(world, "edge", not_on="node2") == 2
    assert SURGE_LABEL not in spec_of(world, "edge")["Labels"]


def test_replacements_that_cannot_start_leave_everything_as_it_was(world: World) -> None:
    alone(world)
    before = spec_of(world, "single")
    world.broken_images["single:1"] = "No such image: single:1"
    witness = Witness(world, "single")
    with pytest.raises(NotConverged) as caught:
        drain(world, witness.clock, strategy="start_first", wait_timeout=60)
    assert "node2 being drained did not happen within 60 s: service single: 0 of 1" in str(
        caught.value
    )
    assert "No such image: single:1" in str(caught.value)
    assert str(caught.value).endswith("Put back as before: node2 is active")
    assert (availability(world), spec_of(world, "single")) == ("active", before)
    assert (witness.least, running(world, "single")) == (1, 1)


def test_scaling_back_waits_for_the_moment_that_costs_no_task_that_runs(world: World) -> None:
    deploy(world, "pair", 2)
    move_to(world, "pair", "node2")
    before = spec_of(world, "pair")
    world.broken_images["pair:1"] = "No such image: pair:1"
    witness = Witness(world, "pair")
    with pytest.raises(NotConverged, match=r"Put back as before: node2 is active\Z"):
        drain(world, witness.clock, strategy="start_first", wait_timeout=60)
    assert witness.least == 2
    assert spec_of(world, "pair") == before


def test_no_task_that_runs_is_given_up_for_one_that_does_not(world: World) -> None:
    deploy(world, "pair", 2)
    move_to(world, "pair", "node2")
    before = spec_of(world, "pair")
    # A large image, or a slow registry.
    world.delays.task = 600
    witness = Witness(world, "pair")
    with pytest.raises(NotConverged) as caught:
        drain(world, witness.clock, strategy="start_first", wait_timeout=60)
    assert "Still scaled up, as scaling back would stop tasks that run: pair;" in str(caught.value)
    assert availability(world) == "active"
    assert spec_of(world, "pair")["Mode"] == {"Replicated": {"Replicas": 4}}
    drain(world, witness.clock, state="active", wait_timeout=1000)
    assert (witness.least, witness.most) == (2, 4)
    assert spec_of(world, "pair") == before


class Killed(Exception):
    """The process is gone."""


def killed(_daemon: Daemon, _perform: Callable[[], Any]) -> Any:
    raise Killed


def killed_after(_daemon: Daemon, perform: Callable[[], Any]) -> Any:
    perform()
    raise Killed


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("fault", [killed, killed_after])
def test_an_interrupted_run_is_finished_by_the_next_and_nothing_is_scaled_twice(
    world: World, fault: Any, number: int
) -> None:
    alone(world)
    before = {name: spec_of(world, name) for name in ("web", "single")}
    witness = Witness(world, "single")
    world.writes.clear()
    world.at_write(number, fault)
    with pytest.raises(Killed):
        drain(world, witness.clock, strategy="start_first")
    drain(world, witness.clock, strategy="start_first")
    assert (witness.least, witness.most) == (1, 2)
    assert {name: spec_of(world, name) for name in before} == before
    assert (availability(world), left_on(world, "node2")) == ("drain", [])
    assert (running(world), running(world, "single")) == (3, 1)
    # Six, and the one that was killed.
    assert len(world.writes) <= 7


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize(
    "fault", [conflict, answer_lost, request_lost, leader_lost, leader_lost_committed]
)
def test_a_fault_at_any_write_is_looked_at_again(world: World, fault: Any, number: int) -> None:
    alone(world)
    before = {name: spec_of(world, name) for name in ("web", "single")}
    witness = Witness(world, "single")
    world.writes.clear()
    world.at_write(number, fault)
    drain(world, witness.clock, strategy="start_first")
    assert witness.least == 1
    assert {name: spec_of(world, name) for name in before} == before
    assert (availability(world), left_on(world, "node2")) == ("drain", [])


@pytest.mark.parametrize("number", range(2, 7))
def test_who_scales_the_service_meanwhile_is_not_overruled(world: World, number: int) -> None:
    alone(world)
    world.writes.clear()
    world.at_write(number, meanwhile(lambda _daemon: scale(world, "single", 4)))
    drain(world, strategy="start_first")
    assert spec_of(world, "single")["Mode"] == {"Replicated": {"Replicas": 4}}
    assert spec_of(world, "single")["Labels"] == {"team": "a"}
    assert left_on(world, "node2") == []
    for _second in range(60):
        world.sleep(1)
    assert running(world, "single") == 4


def test_what_else_is_changed_meanwhile_stays(world: World) -> None:
    alone(world)

    def label(daemon: Daemon) -> None:
        found = daemon.engine.service("single")
        spec = {**found["Spec"], "Labels": {**found["Spec"]["Labels"], "new": "1"}}
        daemon.engine.service_update(found["ID"], found["Version"]["Index"], spec)

    world.writes.clear()
    world.at_write(6, meanwhile(label))
    drain(world, strategy="start_first")
    assert spec_of(world, "single")["Labels"] == {"team": "a", "new": "1"}
    assert spec_of(world, "single")["Mode"] == {"Replicated": {"Replicas": 1}}


def test_a_drain_of_another_node_waits_its_turn(world: World) -> None:
    alone(world)
    world.at_write(4, killed)
    with pytest.raises(Killed):
        drain(world, strategy="start_first")
    with pytest.raises(Refused, match="service single: it is just being moved away from node2"):
        drain(world, nodes=["node3"], strategy="start_first")


def test_a_service_whose_update_is_paused_is_not_set_going_again(world: World) -> None:
    alone(world)
    service = world.daemons[0].swarm_or_fail().service("single")
    service.update_status = {"State": "paused", "Message": "update paused"}
    world.writes.clear()
    with pytest.raises(Refused, match="service single: its update is paused"):
        drain(world, strategy="start_first")
    assert world.writes == []
    drain(world, strategy="start_first", force=True)
    assert service.update_status["State"] == "paused"
    assert running(world, "single", not_on="node2") == 1


# From one look


def looked_at(stage: Stage, replicas: int, *tasks: tuple[int, str, str, str]) -> Look:
    """The verdict on a service that had two tasks, now with these slots, nodes and states."""
    spec = {"Name": "web", "Mode": {"Replicated": {"Replicas": replicas}}, "TaskTemplate": {}}
    nodes = [
        {
            "ID": node_id,
            "Spec": {"Availability": availability},
            "Status": {"State": "ready"},
            "Description": {"Hostname": node_id},
        }
        for node_id, availability in (("n1", "drain"), ("n2", "active"))
    ]
    documents = [
        {
            "ID": f"t{number}",
            "ServiceID": "s1",
            "Slot": slot,
            "NodeID": node_id,
            "Spec": {},
            "DesiredState": desired,
            "Status": {"State": state, "Timestamp": "2026-01-01T00:00:00Z"},
        }
        for number, (slot, node_id, desired, state) in enumerate(tasks)
    ]
    now = datetime(2026, 1, 2, tzinfo=timezone.utc)
    seen = Seen(nodes, [{"ID": "s1", "Spec": spec}], documents, now)
    return judge(stage, seen, Task(["n1"], ["n1"], "drained", moved={"s1": 2}))


STAYED = (2, "n2", "running", "running")


@pytest.mark.parametrize(
    ("stage", "replicas", "tasks", "reason"),
    [
        (Stage.DRAIN, 2, [(1, "n2", "running", "running"), STAYED], ""),
        (Stage.DRAIN, 2, [(1, "n2", "running", "starting"), STAYED], "1 of 2 tasks run on other"),
        (Stage.DRAIN, 2, [STAYED], "1 of 2 tasks run on other"),
        # The restart policy lets it have no more.
        (Stage.DRAIN, 2, [(1, "n1", "shutdown", "shutdown"), STAYED], ""),
        # Somebody wants only one of them by now.
        (Stage.DRAIN, 1, [STAYED], ""),
        (Stage.RETURN, 1, [(1, "n2", "running", "running"), STAYED], "is still being scaled"),
        (Stage.RETURN, 1, [(1, "n2", "remove", "running"), STAYED], ""),
    ],
)
def test_what_is_waited_for(
    stage: Stage, replicas: int, tasks: list[tuple[int, str, str, str]], reason: str
) -> None:
    look = looked_at(stage, replicas, *tasks)
    assert look.verdict is (Verdict.WAIT if reason else Verdict.DONE)
    assert reason in look.reason


# Coming back


def test_a_node_that_comes_back_gets_tasks_once(world: World) -> None:
    drain(world)
    outcome, facts = drain(world, state="active", rebalance=True)
    assert facts["services"] == ["web"]
    assert [action.summary.partition(" (")[0] for action in outcome.actions] == [
        "update node node2",
        "update service web",
    ]
    assert left_on(world, "node2") != []
    world.writes.clear()
    outcome, facts = drain(world, state="active", rebalance=True)
    assert (outcome.changed, world.writes, facts["services"]) == (False, [], [])


@pytest.mark.parametrize("fault", [answer_lost, leader_lost_committed, conflict])
def test_a_restart_whose_answer_is_lost_is_not_done_twice(world: World, fault: Any) -> None:
    drain(world)
    world.writes.clear()
    world.at_write(2, fault)
    drain(world, state="active", rebalance=True)
    assert spec_of(world)["TaskTemplate"]["ForceUpdate"] == 1
    assert len(world.writes) == (3 if fault is conflict else 2)


def test_a_service_whose_update_is_paused_is_not_spread(world: World) -> None:
    drain(world)
    service = world.daemons[0].swarm_or_fail().service("web")
    service.update_status = {"State": "paused"}
    outcome, facts = drain(world, state="active", rebalance=True)
    assert facts["services"] == []
    assert "service web is not spread again: its update is paused" in outcome.warnings[0]
    assert spec_of(world)["TaskTemplate"]["ForceUpdate"] == 0


def test_an_active_node_stays_active_where_spreading_fails(world: World) -> None:
    drain(world)
    world.broken_images["web:1"] = "No such image: web:1"
    with pytest.raises(NotConverged, match="service web: 0 of 3 tasks"):
        drain(world, state="active", rebalance=True)
    assert availability(world) == "active"


# Slices


def sliced(world: World, **given: Any) -> tuple[Outcome[Any], dict[str, Any], list[View]]:
    """As the action plugin does it; the first execution's actions, the last one's facts."""
    watch, views = Watch(), []
    first, facts = drain(world, watch=watch, **given)
    outcome = first
    while outcome.waited and not outcome.waited.done:
        waited = outcome.waited
        views.append(waited.view)
        watch = Watch(waited.remaining, fingerprint(waited.view), plain(waited.subject))
        outcome, facts = drain(world, watch=watch, **given)
    assert outcome.waited
    views.append(outcome.waited.view)
    return replace(outcome, actions=first.actions), facts, views


def plain(subject: Mapping[str, Any]) -> Any:
    """As it comes back from the controller."""
    return json.loads(json.dumps(subject))


def test_slices_come_to_the_same_as_one_execution(world: World) -> None:
    alone(world)
    before = spec_of(world, "single")
    outcome, facts, views = sliced(world, strategy="start_first")
    assert facts["services"] == ["single", "web"]
    assert len(outcome.actions) == 6
    assert len(views) > 3
    assert (spec_of(world, "single"), left_on(world, "node2")) == (before, [])
    told = [f"{section.title}: {section.text}" for view in views for section in view]
    assert "node node2: tasks left: 2" in told
    assert "service single: 1 of 2 tasks run" in told
    assert told[-3] == "node node2: tasks left: none"
    rows = {row for view in views for section in view for row in section.rows}
    assert ("single.1", "running and has 25s to stop") in rows


def test_a_timeout_in_a_later_slice_puts_everything_back(world: World) -> None:
    alone(world)
    before = spec_of(world, "single")
    with pytest.raises(NotConverged, match="Put back as before: node2 is active"):
        sliced(world, strategy="start_first", wait_timeout=20)
    assert (availability(world), spec_of(world, "single")) == ("active", before)


def test_a_lost_quorum_is_an_error_in_bounded_time(world: World) -> None:
    swarm = world.daemons[0].swarm_or_fail()
    for node in swarm.nodes[1:3]:
        node.is_manager = True
        node.spec["Role"] = "manager"
    for host in world.daemons[1:3]:
        host.power_off()
    with pytest.raises(SwarmError):
        drain(world, nodes=["node4"])
    assert world.now() < 240
