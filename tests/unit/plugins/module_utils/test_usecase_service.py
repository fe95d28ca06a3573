# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    InvalidOption,
    NotConverged,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import Seen, ensure
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    World,
    answer_lost,
    conflict,
)
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params


@pytest.fixture
def host() -> Daemon:
    """A manager, with one worker beside it."""
    world = World()
    manager, worker = (world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2))
    manager.engine.swarm_init({"Spec": {}})
    token = manager.swarm_or_fail().tokens()["Worker"]
    worker.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    world.writes.clear()
    return manager


def web(
    host: Daemon, check_mode: bool = False, **given: Any
) -> tuple[Outcome[Seen], dict[str, Any]]:
    run = Run(check_mode=check_mode, clock=host.world.clock)
    return ensure(host.engine, params("service", {"name": "web", **given}), run)


def test_it_waits_until_the_tasks_have_kept_running(host: Daemon) -> None:
    host.world.delays.task = 30
    _outcome, facts = web(host, image="web:1", replicas=2)
    assert [task["state"] for task in facts["tasks"]] == ["running", "running"]
    assert host.world.now() >= 35


def test_without_wait_it_ends_when_the_swarm_has_accepted(host: Daemon) -> None:
    host.world.delays.task = 30
    _outcome, facts = web(host, image="web:1", wait=False)
    assert [task["state"] for task in facts["tasks"]] == ["preparing"]
    assert host.world.now() < 30


def test_a_service_that_cannot_run_fails_at_the_deadline_with_the_tasks_reason(
    host: Daemon,
) -> None:
    host.world.broken_images["web:9"] = "No such image: web:9"
    with pytest.raises(NotConverged) as caught:
        web(host, image="web:9", wait_timeout=60)
    assert "did not happen within 60 s: 0 of 1 tasks are running" in str(caught.value)
    assert "No such image: web:9" in str(caught.value)
    assert 60 <= host.world.now() < 62


def test_an_update_that_is_rolled_back_fails_at_once(host: Daemon) -> None:
    web(host, image="web:1")
    started = host.world.now()
    host.world.broken_images["web:9"] = "No such image: web:9"
    with pytest.raises(NotConverged, match="the update failed and was rolled back"):
        web(host, image="web:9", update_config={"failure_action": "rollback"})
    assert host.world.now() - started < 5
    # The image that the rollback went back to is as asked, and no failure.
    assert not web(host, image="web:1")[0].changed


def test_an_update_that_is_paused_fails_at_once_and_again_at_the_next_run(host: Daemon) -> None:
    web(host, image="web:1")
    host.world.broken_images["web:9"] = "No such image: web:9"
    for _run in range(2):
        with pytest.raises(NotConverged, match=r"the update was paused; .*No such image: web:9"):
            web(host, image="web:9")


def test_a_drained_node_is_not_waited_for(host: Daemon) -> None:
    web(host, image="web:1", mode="global")
    swarm = host.swarm_or_fail()
    swarm.nodes[1].spec["Availability"] = "drain"
    swarm.place_tasks()
    outcome, facts = web(host, image="web:1", mode="global")
    assert not outcome.changed
    assert [task["node"] for task in facts["tasks"]] == ["node1"]


def test_nothing_is_written_when_nothing_differs(host: Daemon) -> None:
    given: dict[str, Any] = {"image": "web:1", "replicas": 2, "env": {"A": 1}, "labels": {"b": 2}}
    web(host, **given)
    service = host.swarm_or_fail().service("web")
    before = (service.version, service.previous, [task["ID"] for task in service.tasks])
    host.world.writes.clear()
    outcome, _facts = web(host, **given)
    assert not outcome.changed
    assert host.world.writes == []
    assert (service.version, service.previous, [t["ID"] for t in service.tasks]) == before


def test_defaults_that_a_task_names_restart_no_task(host: Daemon) -> None:
    web(host, image="web:1")
    service = host.swarm_or_fail().service("web")
    before = [task["ID"] for task in service.tasks]
    web(host, replicas=2, env=[], publish=[], limits={"cpus": 0}, placement={"constraints": []})
    assert [task["ID"] for task in service.tasks[:1]] == before
    assert service.tasks[0]["DesiredState"] == "running"


def test_a_conflict_keeps_what_the_other_writer_changed(host: Daemon) -> None:
    web(host, image="web:1", labels={"team": "ops"})

    def scaled_by_another(daemon: Daemon, perform: Any) -> Any:
        service = daemon.swarm_or_fail().service("web")
        spec = {**service.spec, "Mode": {"Replicated": {"Replicas": 4}}}
        daemon.swarm_or_fail().update_service("web", {"version": str(service.version)}, spec)
        return perform()

    host.world.at_write(1, scaled_by_another)
    web(host, labels={"team": "dev"})
    spec = host.swarm_or_fail().service("web").spec
    assert spec["Labels"] == {"team": "dev"}
    assert spec["Mode"] == {"Replicated": {"Replicas": 4}}


def test_a_race_that_is_lost_once_is_won_at_the_second_attempt(host: Daemon) -> None:
    web(host, image="web:1")
    host.world.at_write(1, conflict)
    assert web(host, replicas=2)[0].changed
    assert host.swarm_or_fail().service("web").spec["Mode"] == {"Replicated": {"Replicas": 2}}


def test_a_creation_whose_answer_was_lost_makes_one_service_and_counts_as_changed(
    host: Daemon,
) -> None:
    host.world.at_write(1, answer_lost)
    outcome, facts = web(host, image="web:1")
    assert outcome.changed
    assert [service.id for service in host.swarm_or_fail().services] == [facts["service_id"]]


def test_a_service_that_somebody_else_creates_meanwhile_is_brought_to_the_options(
    host: Daemon,
) -> None:
    def faster(daemon: Daemon, perform: Any) -> Any:
        spec = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "web:0"}}}
        daemon.swarm_or_fail().create_service(spec)
        return perform()

    host.world.at_write(1, faster)
    web(host, image="web:1")
    (service,) = host.swarm_or_fail().services
    assert service.spec["TaskTemplate"]["ContainerSpec"]["Image"] == "web:1"


def test_a_removal_waits_until_the_tasks_have_stopped(host: Daemon) -> None:
    web(host, image="web:1")
    host.world.delays.stop = 25
    started = host.world.now()
    web(host, state="absent")
    assert 25 <= host.world.now() - started < 27


def test_tasks_that_do_not_stop_are_a_failure_that_says_so(host: Daemon) -> None:
    web(host, image="web:1", replicas=2)
    host.world.delays.stop = 600
    with pytest.raises(NotConverged, match=r"the end of all tasks .*: 2 tasks have not stopped"):
        web(host, state="absent")
    # Run again it has nothing to do, and nothing to wait by: the service is not there any more.
    assert web(host, state="absent")[0].changed is False


def test_a_service_whose_name_begins_alike_is_another_one(host: Daemon) -> None:
    web(host, image="web:1", name="web2")
    assert web(host, state="absent")[0].changed is False
    assert [service.spec["Name"] for service in host.swarm_or_fail().services] == ["web2"]


def test_check_mode_creates_and_waits_for_nothing(host: Daemon) -> None:
    outcome, facts = web(host, check_mode=True, image="web:1")
    assert outcome.changed
    assert (facts["service_id"], facts["tasks"]) == ("", [])
    assert host.world.writes == []
    assert host.world.now() == 0


def test_a_worker_cannot_manage_services(host: Daemon) -> None:
    with pytest.raises(WrongState, match="node2 is a worker of a swarm"):
        web(host.world.daemons[1], image="web:1")


def test_what_cannot_be_is_refused_before_anything_is_read(host: Daemon) -> None:
    with pytest.raises(InvalidOption, match="'soon' is not a duration"):
        web(host.world.daemons[1], image="web:1", update_config={"delay": "soon"})
