# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    InvalidOption,
    NotConverged,
    Refused,
    SwarmError,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_init import Seen, ensure
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    World,
    answer_lost,
    conflict,
    leader_lost_committed,
)
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params


def init(host: Daemon, **given: Any) -> tuple[Outcome[Seen], dict[str, Any]]:
    run = Run(clock=host.world.clock)
    return ensure(host.engine, params("swarm_init", given), run)


def managers(count: int) -> list[Daemon]:
    """That many managers of one swarm."""
    world = World()
    hosts = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, count + 1)]
    init(hosts[0])
    for host in hosts[1:]:
        token = hosts[0].swarm_or_fail().tokens()["Manager"]
        host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    return hosts


def test_an_autolocked_swarm_without_quorum_is_not_replaced_by_a_new_one() -> None:
    hosts = managers(3)
    init(hosts[0], autolock_managers=True)
    for host in hosts[1:]:
        host.power_off()
    hosts[0].world.sleep(60)
    with pytest.raises(WrongState, match="restart Docker on this host and unlock it"):
        init(hosts[0], force_new_cluster="incident")
    assert hosts[0].has_locked_state


def test_a_forced_new_cluster_keeps_the_swarm_and_is_not_forced_twice_for_its_key() -> None:
    hosts = managers(3)
    init(hosts[0], labels={"kept": "yes"})
    before = hosts[0].swarm_or_fail()
    identity = (before.id, before.tokens())
    for host in hosts[1:]:
        host.power_off()
    hosts[0].world.sleep(60)
    outcome, facts = init(hosts[0], force_new_cluster="incident")
    assert [action.operation for action in outcome.actions] == ["force_new_cluster"]
    after = hosts[0].swarm_or_fail()
    assert (after.id, after.tokens()) == identity
    assert after.spec["Labels"] == {"kept": "yes", "shoal.swarm/force_new_cluster": "incident"}
    assert facts["managers"] == ["10.0.0.11:2377"]

    # The swarm has grown again, and the task is still in the playbook.
    world = hosts[0].world
    other = world.host("node4", "10.0.0.14")
    other.engine.swarm_join(
        {"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": after.tokens()["Manager"]}
    )
    assert not init(hosts[0], force_new_cluster="incident")[0].changed
    assert len(after.managers()) == 2


def test_a_manager_that_came_up_alone_is_recovered_only_when_that_is_said() -> None:
    hosts = managers(3)
    for host in hosts:
        host.power_off()
    hosts[0].power_on()
    before = hosts[0].swarm_or_fail().id
    with pytest.raises(WrongState, match=r"node1 is in a swarm that it cannot reach \(.*leader"):
        init(hosts[0])
    outcome, facts = init(hosts[0], force_new_cluster="incident")
    assert [action.operation for action in outcome.actions] == ["force_new_cluster"]
    assert (facts["cluster_id"], facts["managers"]) == (before, ["10.0.0.11:2377"])


def test_settings_of_the_same_task_follow_a_forced_new_cluster() -> None:
    hosts = managers(3)
    for host in hosts[1:]:
        host.power_off()
    hosts[0].world.sleep(60)
    outcome, _facts = init(hosts[0], force_new_cluster="incident", election_tick=20)
    assert [action.operation for action in outcome.actions] == [
        "force_new_cluster",
        "swarm_update",
    ]
    assert hosts[0].swarm_or_fail().spec["Raft"]["ElectionTick"] == 20


@pytest.mark.parametrize(("number", "rotates"), [(None, True), (7, False), (8, True)])
def test_a_forced_new_cluster_does_not_wait_for_nodes_that_are_gone(
    number: int | None, rotates: bool
) -> None:
    hosts = managers(3)
    init(hosts[0], ca_force_rotate=7)
    for host in hosts[1:]:
        host.power_off()
    hosts[0].world.sleep(60)
    outcome, _facts = init(hosts[0], force_new_cluster="incident", ca_force_rotate=number)
    assert [action.operation for action in outcome.actions] == ["force_new_cluster"]
    assert hosts[0].swarm_or_fail().is_rotating is rotates
    assert bool(outcome.warnings) is rotates
    assert all("the root CA rotates" in warning for warning in outcome.warnings)
    # Nor does a task that has nothing to do with it.
    outcome, _facts = init(hosts[0], election_tick=20)
    assert bool(outcome.warnings) is rotates


def test_a_new_cluster_that_is_forced_in_a_whole_swarm_keeps_its_root_ca() -> None:
    hosts = managers(3)
    init(hosts[0], ca_force_rotate=7)
    init(hosts[0], force_new_cluster="move", force=True)
    assert not hosts[0].swarm_or_fail().is_rotating


def test_a_lost_quorum_is_an_error_in_bounded_time_that_says_so() -> None:
    hosts = managers(3)
    for host in hosts[1:]:
        host.power_off()
    hosts[0].world.sleep(60)
    with pytest.raises(SwarmError, match="too few managers are online"):
        init(hosts[0], election_tick=20)


def test_an_update_that_lost_the_race_is_planned_anew() -> None:
    (host,) = managers(1)
    host.world.at_write(1, conflict)
    outcome, _facts = init(host, labels={"team": "ops"})
    assert len(outcome.actions) == 1
    assert host.swarm_or_fail().spec["Labels"] == {"team": "ops"}


@pytest.mark.parametrize("fault", [answer_lost, leader_lost_committed])
def test_an_update_whose_answer_was_lost_is_done_once_and_counts_as_changed(fault: Any) -> None:
    (host,) = managers(1)
    host.world.writes.clear()
    host.world.at_write(1, fault)
    outcome, _facts = init(host, labels={"team": "ops"})
    assert outcome.changed
    assert len(host.world.writes) == 1


def test_a_creation_whose_answer_was_lost_is_done_once_and_counts_as_changed() -> None:
    world = World()
    host = world.host("node1", "10.0.0.11")
    world.at_write(1, answer_lost)
    outcome, facts = init(host)
    assert outcome.changed
    assert facts["cluster_id"] == host.swarm_or_fail().id
    assert len(world.writes) == 1


def test_a_swarm_that_somebody_else_creates_meanwhile_is_taken_as_it_is() -> None:
    world = World()
    host = world.host("node1", "10.0.0.11")

    def faster(daemon: Daemon, perform: Any) -> Any:
        daemon.init({}, {"Spec": {}})
        return perform()

    world.at_write(1, faster)
    outcome, facts = init(host)
    assert not outcome.changed
    assert facts["cluster_id"] == host.swarm_or_fail().id


def test_it_waits_for_the_rotation_of_the_root_ca_and_returns_the_new_tokens() -> None:
    (host,) = managers(1)
    host.world.delays.rotation = 30
    before = host.swarm_or_fail().tokens()
    _outcome, facts = init(host, ca_force_rotate=1, join_tokens=True)
    assert not host.swarm_or_fail().is_rotating
    assert facts["join_tokens"]["worker"] == host.swarm_or_fail().tokens()["Worker"]
    assert facts["join_tokens"]["worker"] != before["Worker"]


def test_a_rotation_that_does_not_end_names_the_node_that_holds_it_up() -> None:
    hosts = managers(3)
    hosts[2].power_off()
    hosts[0].world.sleep(60)
    with pytest.raises(NotConverged, match=r"within 120 s: the root CA rotates; .*node3 \(down\)"):
        init(hosts[0], ca_force_rotate=1)


def test_a_rotation_names_the_nodes_that_still_have_a_certificate_of_the_old_root() -> None:
    hosts = managers(3)
    hosts[0].world.delays.rotation = 600
    with pytest.raises(NotConverged, match=r"node1 \(ready\), node2 \(ready\), node3 \(ready\)"):
        init(hosts[0], ca_force_rotate=1)


def test_without_wait_the_rotation_goes_on_alone() -> None:
    (host,) = managers(1)
    host.world.delays.rotation = 600
    init(host, ca_force_rotate=1, wait=False)
    assert host.swarm_or_fail().is_rotating


def test_tokens_and_the_unlock_key_are_returned_on_request_only() -> None:
    (host,) = managers(1)
    init(host, autolock_managers=True)
    swarm = host.swarm_or_fail()
    _outcome, facts = init(host)
    for secret in (*swarm.tokens().values(), swarm.unlock_key):
        assert secret not in str(facts)
    _outcome, facts = init(host, join_tokens=True, unlock_key=True)
    assert facts["join_tokens"] == {
        "manager": swarm.tokens()["Manager"],
        "worker": swarm.tokens()["Worker"],
    }
    assert facts["unlock_key"] == swarm.unlock_key


def test_a_swarm_whose_state_is_left_on_the_disk_is_not_overwritten(tmp_path: Path) -> None:
    host = World().host("node1", "127.0.0.1")
    host.root_dir = str(tmp_path)
    certificates = tmp_path / "swarm" / "certificates"
    certificates.mkdir(parents=True)
    (certificates / "swarm-node.crt").write_text("a certificate")
    run = Run(clock=host.world.clock)
    with pytest.raises(Refused, match=r"the state of one is still in .*/swarm"):
        ensure(host.local_engine, params("swarm_init", {}), run)
    assert host.world.writes == []
    outcome, _facts = ensure(host.local_engine, params("swarm_init", {"force": True}), run)
    assert outcome.changed


def test_an_address_that_is_not_on_the_host_is_refused() -> None:
    host = World().host("node1", "127.0.0.1")
    run = Run(clock=host.world.clock)
    given = {"advertise_addr": "127.0.0.1", "data_path_addr": "192.0.2.1"}
    with pytest.raises(InvalidOption, match=r"^data_path_addr 192\.0\.2\.1 is not an address of"):
        ensure(host.local_engine, params("swarm_init", given), run)
    assert host.world.writes == []
    ensure(host.local_engine, params("swarm_init", {**given, "check_addresses": False}), run)
    assert host.state == "active"
