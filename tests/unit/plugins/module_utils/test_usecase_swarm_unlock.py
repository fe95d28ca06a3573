# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    KeyRefused,
    NotConverged,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_unlock import ensure
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    World,
    answer_lost,
    meanwhile,
)
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params

OTHER_KEY = "SWMKEY-1-" + "A" * 43


@pytest.fixture
def world() -> World:
    """Three managers of an autolocked swarm; the last has just been restarted."""
    world = World()
    hosts = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, 4)]
    hosts[0].engine.swarm_init({"Spec": {"EncryptionConfig": {"AutoLockManagers": True}}})
    for host in hosts[1:]:
        token = hosts[0].swarm_or_fail().tokens()["Manager"]
        host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    restart(hosts[2])
    world.writes.clear()
    return world


def restart(host: Daemon) -> None:
    host.power_off()
    host.power_on()


def unlock(host: Daemon, check_mode: bool = False, **given: Any) -> Any:
    options = {"unlock_key": host.swarm_or_fail().unlock_key, **given}
    run = Run(check_mode=check_mode, clock=host.world.clock)
    return ensure(host.engine, params("swarm_unlock", options), run)


def test_a_manager_is_back_when_the_others_reach_it(world: World) -> None:
    host = world.daemons[2]
    assert host.state == "locked"
    assert host.node is not None
    host.node.is_reachable = False
    world.later(20, lambda: setattr(host.node, "is_reachable", True))
    outcome, facts = unlock(host)
    assert (outcome.changed, facts) == (True, {"state": "active"})
    assert 20 <= world.now() < 22


def test_without_wait_it_ends_when_the_key_is_taken(world: World) -> None:
    host = world.daemons[2]
    assert host.node is not None
    host.node.is_reachable = False
    outcome, _facts = unlock(host, wait=False)
    assert (outcome.changed, world.now()) == (True, 0)


def test_a_wrong_key_is_refused_and_not_shown(world: World) -> None:
    host = world.daemons[2]
    with pytest.raises(KeyRefused) as caught:
        unlock(host, unlock_key=OTHER_KEY)
    assert str(caught.value).startswith("unlock_key is not the key of this manager")
    assert OTHER_KEY not in str(caught.value)
    assert host.state == "locked"
    assert len(world.writes) == 1


def test_check_mode_tries_no_key(world: World) -> None:
    outcome, facts = unlock(world.daemons[2], check_mode=True, unlock_key=OTHER_KEY)
    assert (outcome.changed, facts) == (True, {"state": "locked"})
    assert world.writes == []


@pytest.mark.parametrize("fault", [answer_lost, meanwhile(unlock)])
def test_whoever_is_faster_the_manager_is_unlocked(
    world: World, fault: Callable[[Daemon, Callable[[], Any]], Any]
) -> None:
    world.at_write(1, fault)
    outcome, facts = unlock(world.daemons[2])
    assert facts == {"state": "active"}
    assert outcome.changed is (fault is answer_lost)


def test_the_first_of_three_locked_managers_waits_for_the_next(world: World) -> None:
    for host in world.daemons:
        restart(host)
    world.later(30, lambda: unlock(world.daemons[1], wait=False))
    unlock(world.daemons[0])
    assert 30 <= world.now() < 32


def test_a_quorum_that_does_not_come_is_told(world: World) -> None:
    for host in world.daemons:
        restart(host)
    with pytest.raises(
        NotConverged,
        match=r"this host being back in its swarm did not happen within 60 s: its state is pending "
        r".*The swarm does not have a leader",
    ):
        unlock(world.daemons[0], wait_timeout=60)


def test_an_engine_that_fails_after_it_was_unlocked_ends_the_wait(world: World) -> None:
    host = world.daemons[2]

    def fails(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        perform()
        daemon.fail("certificate is not readable")

    world.at_write(1, fails)
    with pytest.raises(NotConverged, match="its state is in error: certificate is not readable"):
        unlock(host)
    assert world.now() < 2
