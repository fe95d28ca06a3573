# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wait for a service, slice by slice, as an action plugin runs the module."""

from __future__ import annotations

import json
import os
from typing import Any
from unittest import mock

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import NotConverged, SwarmError
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import (
    Seen,
    ensure,
    wait_on,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    SLICE,
    WATCH_VARIABLE,
    WATCHED,
    Waited,
    Watch,
    fingerprint,
)
from ansible_collections.shoal.swarm.tests.unit.engine_server import serve
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params, run

Slice = tuple[Outcome[Seen], dict[str, Any]]


@pytest.fixture
def host() -> Daemon:
    """A manager whose tasks take three seconds to start."""
    world = World()
    host = world.host("node1", "10.0.0.11")
    host.engine.swarm_init({"Spec": {}})
    world.delays.task = 3
    return host


def first(host: Daemon, **given: Any) -> Slice:
    how = Run(clock=host.world.clock, watch=Watch())
    return ensure(host.engine, params("service", {"name": "web", **given}), how)


def later(host: Daemon, waited: Waited, **given: Any) -> Slice:
    watch = Watch(waited.remaining, fingerprint(waited.view), waited.subject)
    how = Run(clock=host.world.clock, watch=watch)
    return wait_on(host.engine, params("service", {"name": "web", **given}), how)


def waited(outcome: Outcome[Seen]) -> Waited:
    assert outcome.waited is not None
    return outcome.waited


def slices(host: Daemon, **given: Any) -> list[Slice]:
    done = [first(host, **given)]
    host.world.writes.clear()
    while not waited(done[-1][0]).done:
        done.append(later(host, waited(done[-1][0]), **given))
    # The first has written all that there is to write.
    assert host.world.writes == []
    return done


def texts(done: list[Slice]) -> list[str]:
    return [section.text for outcome, _facts in done for section in waited(outcome).view]


def test_the_first_slice_writes_and_the_others_look(host: Daemon) -> None:
    done = slices(host, image="web:1", replicas=2)
    assert [outcome.changed for outcome, _facts in done] == [True, False, False]
    assert texts(done) == [
        "0 of 2 tasks run",
        "2 of 2 tasks run, watched for 5 s",
        "2 of 2 tasks run",
    ]
    _outcome, facts = done[-1]
    assert [task["state"] for task in facts["tasks"]] == ["running", "running"]
    assert facts["service_spec"]["Mode"] == {"Replicated": {"Replicas": 2}}


def test_what_is_as_asked_is_one_slice(host: Daemon) -> None:
    slices(host, image="web:1")
    assert len(slices(host, image="web:1")) == 1


def test_the_slot_that_is_replaced_shows_what_it_had(host: Daemon) -> None:
    slices(host, image="web:1")
    service = host.swarm_or_fail().service("web")
    done = slices(host, image="web:2")
    assert texts(done)[0] == "0 of 1 tasks run, update in progress"
    assert waited(done[0][0]).view[0].rows == (("slot 1", "preparing on node1"),)
    # What has to stop first and does not.
    host.world.delays.task = 60
    outcome, _facts = first(host, image="web:3")
    service.tasks[-2]["Status"]["State"] = "running"
    outcome, _facts = later(host, waited(outcome), image="web:3")
    assert waited(outcome).view[0].rows == (
        ("slot 1", "preparing on node1, replaces web:2 on node1"),
    )


def test_a_removal_is_shown_until_the_last_task_has_stopped(host: Daemon) -> None:
    slices(host, image="web:1", replicas=2)
    host.world.delays.stop = SLICE + 5
    done = slices(host, state="absent")
    assert texts(done) == ["tasks left: 2", "tasks left: 2", "tasks left: none"]
    assert done[-1][1] == {"service_id": "", "service_spec": {}, "tasks": []}


def test_where_nothing_is_waited_for_there_is_no_slice(host: Daemon) -> None:
    for given in ({"image": "web:1", "wait": False}, {"state": "absent", "name": "db"}):
        assert first(host, **given)[0].waited is None
    how = Run(check_mode=True, clock=host.world.clock, watch=Watch())
    outcome, _facts = ensure(host.engine, params("service", {"name": "web", "replicas": 3}), how)
    assert (outcome.changed, outcome.waited) == (True, None)


@pytest.mark.parametrize(
    "given",
    [
        {"image": "web:9", "wait_timeout": 20},
        {"image": "web:1", "wait_timeout": 20, "placement": {"constraints": ["node.role==x"]}},
    ],
)
def test_a_failure_has_the_message_of_a_wait_in_one_piece(
    given: dict[str, Any], host: Daemon
) -> None:
    messages = set()
    for wait in (lambda: slices(host, **given), lambda: whole(host, **given)):
        host.world.broken_images["web:9"] = "No such image: web:9"
        started = host.world.now()
        with pytest.raises(NotConverged) as caught:
            wait()
        assert host.world.now() - started < 22
        messages.add(str(caught.value))
        whole(host, state="absent")
    assert len(messages) == 1
    assert "did not happen within 20 s: 0 of 1 tasks are running" in messages.pop()


def whole(host: Daemon, **given: Any) -> Slice:
    how = Run(clock=host.world.clock)
    return ensure(host.engine, params("service", {"name": "web", **given}), how)


def test_a_service_that_vanishes_is_a_failure(host: Daemon) -> None:
    outcome, _facts = first(host, image="web:1")
    host.engine.service_remove(waited(outcome).subject["service_id"])
    with pytest.raises(SwarmError, match="not found"):
        later(host, waited(outcome), image="web:1")


# As the module's input and output


def test_what_one_execution_prints_is_what_the_next_one_takes() -> None:
    # Its time stands still, however long the module takes.
    world = World()
    host = world.host("node1", "10.0.0.11")
    with serve(host) as docker_host:
        run("swarm_init", docker_host)
        world.delays.task = 20
        given = {"name": "web", "image": "web:1", "update_config": {"monitor": "0s"}}

        def execute(state: dict[str, Any]) -> dict[str, Any]:
            with mock.patch.dict(os.environ, {WATCH_VARIABLE: json.dumps(state)}):
                return run("service", docker_host, **given)

        result = execute({})
        assert result["changed"] is True
        seen = result[WATCHED]
        assert seen["done"] is False
        assert 0 < seen["remaining"] < 120
        assert seen["view"] == [
            {
                "title": "service web",
                "text": "0 of 1 tasks run",
                "rows": [["slot 1", "preparing on node1"]],
            }
        ]
        state = {part: seen[part] for part in ("remaining", "shown", "subject")}

        # An engine that restarts between two of them.
        host.is_up = False
        result = execute(state)
        assert (result["changed"], result[WATCHED]["done"]) == (False, False)
        assert result[WATCHED]["subject"] == state["subject"]
        (section,) = result[WATCHED]["view"]
        assert (section["title"], "does not answer" in section["text"]) == ("the engine", True)
        result = execute({**state, "remaining": 0})
        assert result["failed"] is True
        assert "does not answer" in result["msg"]
        host.is_up = True

        # Its task starts, and then runs for longer than it is watched.
        world.sleep(20)
        world.sleep(20)
        result = execute(state)
        assert result[WATCHED]["done"] is True
        assert (result["changed"], result["changes"]) == (False, [])
        assert [task["state"] for task in result["tasks"]] == ["running"]
        # Without the action plugin the module waits by itself, and says nothing of it.
        assert WATCHED not in run("service", docker_host, **given)
