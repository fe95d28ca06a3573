# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, WrongState
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_logs import (
    gather,
    last_lines,
)
from ansible_collections.shoal.swarm.tests.unit.memory_service import Ending
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import module, params

OUTPUT = [("stdout", "one\n"), ("stderr", "two\n"), ("stdout", "three\n")]


@pytest.fixture
def world() -> World:
    """A manager and two workers."""
    world = World()
    world.delays.down = 14
    hosts = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, 4)]
    hosts[0].engine.swarm_init({"Spec": {}})
    token = hosts[0].swarm_or_fail().tokens()["Worker"]
    for host in hosts[1:]:
        host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    world.output["web:1"] = OUTPUT
    return world


@pytest.fixture
def manager(world: World) -> Daemon:
    return world.daemons[0]


def create(manager: Daemon, replicas: int = 1, name: str = "web", **template: Any) -> None:
    manager.engine.service_create(
        {
            "Name": name,
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}, **template},
        }
    )


def logs(host: Daemon, **given: Any) -> dict[str, Any]:
    return gather(host.engine, params("service_logs", given), Run(clock=host.world.clock))


def messages(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [(line["task"], line["message"]) for line in facts["lines"]]


def task_id(manager: Daemon, index: int = 0) -> str:
    return str(manager.engine.tasks()[index]["ID"])


def test_each_line_says_who_wrote_it_where_and_when(manager: Daemon) -> None:
    create(manager)
    (task,) = manager.engine.tasks()
    facts = logs(manager, name="web")
    assert [(line["stream"], line["message"]) for line in facts["lines"]] == [
        ("stdout", "one"),
        ("stderr", "two"),
        ("stdout", "three"),
    ]
    assert facts["lines"][0] == {
        "timestamp": facts["lines"][0]["timestamp"],
        "task": "web.1",
        "task_id": task["ID"],
        "node": "node2",
        "stream": "stdout",
        "message": "one",
    }
    returned = yaml.safe_load(module("service_logs").RETURN)["lines"]["contains"]
    assert set(facts["lines"][0]) == set(returned)
    assert facts["lines"][0]["timestamp"].startswith("2026-01-01T00:00:00.")
    assert (facts["complete"], facts["warnings"]) == (True, [])


def test_the_text_is_what_docker_service_logs_prints(manager: Daemon) -> None:
    create(manager)
    writer = f"web.1.{task_id(manager)[:12]}@node2"
    facts = logs(manager, name="web", tail=2)
    assert facts["stdout"] == f"{writer} | two\n{writer} | three"
    facts = logs(manager, name="web", tail=1, timestamps=True)
    assert facts["stdout"] == f"{facts['lines'][0]['timestamp']} {writer} | three"


def test_the_lines_of_all_tasks_are_sorted_by_time(manager: Daemon) -> None:
    create(manager)
    manager.world.sleep(10)
    service = manager.engine.service("web")
    spec = {**service["Spec"], "Mode": {"Replicated": {"Replicas": 2}}}
    manager.engine.service_update("web", service["Version"]["Index"], spec)
    facts = logs(manager, name="web", tail=1)
    assert messages(facts) == [("web.1", "three"), ("web.2", "three")]
    facts = logs(manager, name="web", since="5s", streams=["stderr"])
    assert messages(facts) == [("web.2", "two")]


def test_a_task_is_asked_for_by_its_id_or_by_its_beginning(manager: Daemon) -> None:
    create(manager, replicas=3)
    reference = task_id(manager, 1)
    for given in (reference, reference[:12]):
        facts = logs(manager, task=given, tail=1)
        assert messages(facts) == [("web.2", "three")]


def test_a_service_that_crashes_has_the_lines_of_each_of_its_tasks(manager: Daemon) -> None:
    manager.world.endings["web:1"] = Ending(codes=(3,), after=1)
    create(manager)
    for _second in range(30):
        manager.world.sleep(1)
    facts = logs(manager, name="web", tail=1)
    writers = [line["task_id"] for line in facts["lines"]]
    assert len(writers) == len(set(writers)) > 2
    assert {line["task"] for line in facts["lines"]} == {"web.1"}
    assert facts["complete"] is True
    assert last_lines(manager.engine, writers[0], 1) == ["three"]


def test_a_terminal_writes_without_frames(manager: Daemon) -> None:
    create(manager, ContainerSpec={"Image": "web:1", "TTY": True})
    facts = logs(manager, name="web")
    assert messages(facts) == [("web.1", "one"), ("web.1", "two"), ("web.1", "three")]
    assert {line["stream"] for line in facts["lines"]} == {"stdout"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "nothing"}, "there is no service nothing"),
        ({"task": "nothing"}, "no tasks have an ID that begins with nothing"),
        ({"task": ""}, "3 tasks have an ID that begins with"),
        ({"name": "web", "tail": 0}, "tail: 0 lines are none"),
        ({"name": "web", "since": "soon"}, "since: 'soon' is no time"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    manager: Daemon, given: dict[str, Any], reason: str
) -> None:
    create(manager, replicas=3)
    with pytest.raises(InvalidOption, match=reason):
        logs(manager, **given)


def test_only_a_manager_can_read_logs_and_the_others_say_so(world: World) -> None:
    with pytest.raises(WrongState, match="node2 is a worker of a swarm, and only managers"):
        logs(world.daemons[1], name="web")


# What is missing


def test_a_service_without_tasks_has_no_log_and_nothing_is_missing(manager: Daemon) -> None:
    create(manager, replicas=0)
    facts = logs(manager, name="web")
    assert facts == {"lines": [], "stdout": "", "complete": True, "warnings": []}


@pytest.mark.parametrize("by", ["name", "task"])
def test_a_task_that_never_ran_says_why(manager: Daemon, by: str) -> None:
    create(manager, Placement={"Constraints": ["node.labels.no==where"]})
    facts = logs(manager, **{by: "web" if by == "name" else task_id(manager)})
    assert facts["warnings"] == [
        "web.1 has not run and has no log, it is pending: no suitable node (scheduling constraints "
        "not satisfied on 3 nodes)"
    ]
    assert (facts["lines"], facts["complete"]) == ([], False)


def test_a_driver_that_keeps_nothing_is_named_once(manager: Daemon) -> None:
    create(manager, replicas=3, LogDriver={"Name": "none"})
    facts = logs(manager, name="web")
    assert facts["warnings"] == ["the logging driver none keeps nothing that could be read"]
    assert (facts["lines"], facts["complete"]) == ([], False)


def test_a_service_that_is_silent_is_complete(manager: Daemon) -> None:
    manager.world.output.clear()
    create(manager)
    facts = logs(manager, name="web")
    assert facts == {"lines": [], "stdout": "", "complete": True, "warnings": []}


@pytest.mark.parametrize("silently", [True, False])
def test_a_node_that_is_known_to_be_down_is_not_waited_for(world: World, silently: bool) -> None:
    manager = world.daemons[0]
    create(manager, replicas=3)
    world.daemons[1].power_off(silently)
    world.sleep(20)
    before = world.now()
    facts = logs(manager, name="web", tail=1)
    assert facts["warnings"] == ["node node2 is down: what web.1 wrote there is missing"]
    # Another task has taken its place.
    assert sorted(messages(facts)) == [(f"web.{slot}", "three") for slot in (1, 2, 3)]
    assert world.now() == before


def test_a_node_that_has_left_is_not_waited_for(world: World) -> None:
    manager = world.daemons[0]
    create(manager, replicas=3)
    swarm = manager.swarm_or_fail()
    gone = swarm.nodes.pop(1)
    facts = logs(manager, name="web", tail=1)
    assert facts["warnings"] == [
        f"node {gone.id} is no longer in the swarm: what web.1 wrote there is missing"
    ]
    assert sorted(messages(facts)) == [("web.2", "three"), ("web.3", "three")]


def test_a_node_that_has_just_fallen_silent_is_waited_for_until_the_deadline(
    world: World,
) -> None:
    manager = world.daemons[0]
    create(manager, replicas=3)
    world.daemons[1].power_off(silently=True)
    before = world.now()
    facts = logs(manager, name="web", tail=1, timeout=9)
    assert facts["warnings"] == [
        "the engine has not sent the whole log within 9 s (timeout), and nothing from node2"
    ]
    assert sorted(messages(facts)) == [("web.2", "three"), ("web.3", "three")]
    assert world.now() == before + 9


def test_a_node_that_has_just_hung_up_is_named_by_the_engine(world: World) -> None:
    manager = world.daemons[0]
    create(manager, replicas=3)
    world.daemons[1].power_off()
    facts = logs(manager, name="web", tail=1)
    (warning,) = facts["warnings"]
    assert warning.startswith("warning: incomplete log stream. some logs could not be retrieved")
    assert warning.endswith(" is not available")


def test_an_election_is_waited_out(manager: Daemon) -> None:
    create(manager)
    manager.swarm_or_fail().elects_until = 6
    assert len(logs(manager, name="web")["lines"]) == 3
    assert 6 <= manager.world.now() < 8


# For the messages of others


def test_the_last_lines_of_a_task_are_its_bare_messages(manager: Daemon) -> None:
    create(manager, replicas=2)
    assert last_lines(manager.engine, task_id(manager), 2) == ["two", "three"]


def test_the_last_lines_come_within_five_seconds_and_without_an_error(world: World) -> None:
    manager = world.daemons[0]
    create(manager)
    task = task_id(manager)
    assert last_lines(manager.engine, "nothing", 5) == []
    assert last_lines(world.daemons[2].engine, task, 5) == []
    world.daemons[1].power_off(silently=True)
    assert last_lines(manager.engine, task, 5) == []
    assert world.now() == 5
    manager.power_off()
    assert last_lines(manager.engine, task, 5) == []
