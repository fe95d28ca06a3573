# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks that are set up late, that tasks hold on to, and that others work on as well."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    EngineError,
    InvalidOption,
    NotConverged,
    Refused,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._network import ensure
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.tests.unit import memory_objects
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

FAULTS = (conflict, answer_lost, request_lost, leader_lost, leader_lost_committed)
BODY = {"Name": "net", "Driver": "overlay"}


@pytest.fixture
def host() -> Daemon:
    world = World()
    host = world.host("node1", "10.0.0.11")
    host.engine.swarm_init({"Spec": {}})
    world.writes.clear()
    return host


def ask(
    host: Daemon, check_mode: bool = False, **given: Any
) -> tuple[Outcome[Any], dict[str, Any]]:
    how = Run(check_mode=check_mode, clock=host.world.clock)
    return ensure(host.engine, params("network", {"name": "net", **given}), how)


def there(host: Daemon) -> list[dict[str, Any]]:
    return [network for network in host.swarm_or_fail().networks if network["Name"] == "net"]


def run_on_it(host: Daemon) -> None:
    host.engine.service_create(
        {
            "Name": "web",
            "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}, "Networks": [{"Target": "net"}]},
        }
    )


# The set-up


def test_a_new_network_is_waited_for(host: Daemon) -> None:
    host.world.delays.network = 3
    _outcome, facts = ask(host)
    assert facts["network"] == there(host)[0]
    assert facts["network"]["IPAM"]["Config"]
    assert host.world.now() >= 3


def test_without_the_wait_it_is_only_made(host: Daemon) -> None:
    host.world.delays.network = 3
    _outcome, facts = ask(host, wait=False)
    assert (facts["network"]["Driver"], host.world.now()) == ("", 0)


def test_a_network_that_the_swarm_never_sets_up_is_a_failure_each_time(host: Daemon) -> None:
    host.world.delays.network = 1000
    for _run in range(2):
        with pytest.raises(NotConverged) as caught:
            ask(host, wait_timeout=5)
        assert str(caught.value) == (
            "the set-up of network net did not happen within 5 s: the swarm has given it no "
            "addresses. Where its subnet is in use, or the swarm's address pools are used up, "
            "remove it (state: absent) and create it with another ipam_config"
        )
    assert len(host.world.writes) == 1


def test_one_that_is_removed_while_it_is_waited_for_is_a_failure(host: Daemon) -> None:
    host.world.delays.network = 10
    host.world.schedule(2, lambda: host.engine.network_remove("net"))
    with pytest.raises(NotConverged, match="somebody has removed it"):
        ask(host)


# The end


def test_a_network_is_gone_when_this_host_has_no_task_on_it_any_more(host: Daemon) -> None:
    host.engine.network_create(BODY)
    run_on_it(host)
    host.world.delays.stop = 8
    host.engine.service_remove("web")
    _outcome, facts = ask(host, state="absent")
    assert (facts["network"], host.world.now() >= 8) == (None, True)
    assert host.engine.networks({"name": ["net"]}) == []


def test_without_the_wait_it_is_only_removed(host: Daemon) -> None:
    host.engine.network_create(BODY)
    run_on_it(host)
    host.world.delays.stop = 8
    host.engine.service_remove("web")
    _outcome, facts = ask(host, state="absent", wait=False)
    assert (there(host), facts["network"], host.world.now()) == ([], None, 0)


def test_tasks_that_do_not_stop_in_time_are_told(host: Daemon) -> None:
    host.engine.network_create(BODY)
    run_on_it(host)
    host.world.delays.stop = 60
    host.engine.service_remove("web")
    with pytest.raises(NotConverged) as caught:
        ask(host, state="absent", wait_timeout=5)
    assert str(caught.value) == (
        "the end of network net did not happen within 5 s: tasks on this host that have it are "
        "still stopping"
    )
    # It is removed, and the next run waits for the rest.
    outcome, _facts = ask(host, state="absent")
    assert (outcome.changed, host.engine.networks({"name": ["net"]})) == (False, [])


def test_a_network_that_only_this_host_still_shows_is_none(host: Daemon) -> None:
    host.engine.network_create(BODY)
    run_on_it(host)
    host.world.delays.stop = 8
    host.engine.service_remove("web")
    host.engine.network_remove("net")
    outcome, facts = ask(host)
    assert ([action.summary for action in outcome.actions], host.world.now() >= 8) == (
        ["create network net"],
        True,
    )
    assert facts["network"] == there(host)[0]


def test_one_in_the_place_of_another_comes_when_that_has_gone(host: Daemon) -> None:
    host.engine.network_create(BODY)
    run_on_it(host)
    host.world.delays.stop = 8
    host.engine.service_remove("web")
    ask(host, attachable=True, force=True, wait=False)
    (network,) = there(host)
    assert (network["Attachable"], host.world.now() >= 8) == (True, True)


def test_an_old_task_of_a_service_that_has_left_is_waited_for(host: Daemon) -> None:
    network_id = host.engine.network_create(BODY)
    run_on_it(host)
    service = host.swarm_or_fail().service("web")
    (task,) = service.tasks
    # The service has left the network, and an update that takes its time still has a task on it.
    service.spec["TaskTemplate"].pop("Networks")
    task["Spec"]["Networks"] = [{"Target": network_id}]
    host.world.schedule(4, lambda: task["Spec"].pop("Networks"))
    _outcome, facts = ask(host, state="absent")
    assert (facts["network"], host.world.now() >= 4) == (None, True)


def test_a_container_that_was_attached_by_hand_is_named_before_anything_is_changed(
    host: Daemon,
) -> None:
    swarm = host.swarm_or_fail()
    network = swarm.create_network({**BODY, "Attachable": True})
    container = "0123456789abcdef" * 4
    node = swarm.nodes[0]
    swarm.attachments.append(memory_objects.attachment(swarm, network, node.id, container))
    ways: list[dict[str, Any]] = [{"state": "absent"}, {"attachable": False, "force": True}]
    for given in ways:
        with pytest.raises(Refused, match="container 0123456789ab on node1"):
            ask(host, **given)
    assert host.world.writes == []
    swarm.attachments.clear()
    ask(host, state="absent")
    assert there(host) == []


def test_a_driver_that_there_is_none_of_is_told_at_once(host: Daemon) -> None:
    with pytest.raises(InvalidOption, match='plugin "nosuch" not found'):
        ask(host, driver="nosuch")
    assert len(host.world.writes) == 1


# Answers that are lost, and others at work


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_is_replaced_once_whatever_answer_is_lost(
    host: Daemon, fault: Any, number: int
) -> None:
    host.engine.network_create(BODY)
    host.world.at_write(number, fault)
    given: dict[str, Any] = {"attachable": True, "force": True}
    planned, _facts = ask(host, True, **given)
    outcome, _facts = ask(host, **given)
    (network,) = there(host)
    assert network["Attachable"]
    assert outcome.actions == planned.actions
    assert not ask(host, **given)[0].changed


@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_is_removed_whatever_answer_is_lost(host: Daemon, fault: Any) -> None:
    host.engine.network_create(BODY)
    run_on_it(host)
    host.world.delays.stop = 8
    host.engine.service_remove("web")
    host.world.at_write(1, fault)
    outcome, _facts = ask(host, state="absent")
    assert [action.summary for action in outcome.actions] == ["remove network net"]
    assert there(host) == []


def test_two_who_create_the_same_make_one(host: Daemon) -> None:
    host.world.at_write(1, meanwhile(ask))
    outcome, _facts = ask(host)
    assert (len(there(host)), outcome.changed) == (1, False)


def test_a_network_that_a_service_begins_to_use_is_not_removed(host: Daemon) -> None:
    host.engine.network_create(BODY)
    host.world.at_write(1, meanwhile(run_on_it))
    with pytest.raises(Refused, match="in use by service web"):
        ask(host, state="absent")
    assert len(there(host)) == 1


def test_two_networks_of_one_name_are_told(host: Daemon) -> None:
    host.engine.network_create(BODY)
    other = {**there(host)[0], "Id": "other"}
    host.swarm_or_fail().networks.append(other)
    with pytest.raises(InvalidOption, match="the swarm has 2 networks of the name net"):
        ask(host)


def test_that_the_swarm_has_no_leader_is_no_reason_to_think_that_it_has_no_networks(
    host: Daemon,
) -> None:
    host.engine.network_create(BODY)
    host.world.writes.clear()
    host.swarm_or_fail().elects_until = 1000
    for state in ("present", "absent"):
        with pytest.raises(EngineError, match="does not have a leader"):
            ask(host, state=state)
    assert host.world.writes == []
