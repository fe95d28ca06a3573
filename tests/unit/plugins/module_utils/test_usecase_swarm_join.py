# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    InvalidOption,
    NotConverged,
    Refused,
    TokenRefused,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_join import (
    Seen,
    ensure,
    manager_addresses,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    World,
    answer_lost,
    leader_lost_committed,
)
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params

DEAD = "10.0.0.99"


@pytest.fixture
def world() -> World:
    """A swarm of one manager, and a host that is in none."""
    world = World()
    manager = world.host("node1", "10.0.0.11")
    world.host("node2", "10.0.0.12")
    manager.engine.swarm_init({"Spec": {}})
    world.writes.clear()
    return world


def tokens(world: World) -> dict[str, str]:
    return world.daemons[0].swarm_or_fail().tokens()


def run_on(host: Daemon, local: bool = False, check_mode: bool = False, **given: Any) -> Any:
    run = Run(check_mode=check_mode, clock=host.world.clock)
    engine = host.local_engine if local else host.engine
    return ensure(engine, params("swarm_join", given), run)


def join(world: World, token: str = "Worker", **given: Any) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Let node2 join, through node1 if nothing else is said."""
    way_in = {"remote_addrs": ["10.0.0.11"], "join_token": tokens(world)[token]}
    return run_on(world.daemons[1], **{**way_in, **given})


def leave(world: World, **given: Any) -> tuple[Outcome[Seen], dict[str, Any]]:
    return run_on(world.daemons[1], state="absent", **given)


def in_swarm(world: World) -> list[tuple[str, str]]:
    nodes = world.daemons[0].swarm_or_fail().nodes
    return [(node.hostname, node.spec["Role"]) for node in nodes]


# Joining


def test_a_host_that_joined_knows_where_it_is(world: World) -> None:
    outcome, facts = join(world, "Manager", role="manager")
    assert outcome.changed
    swarm = world.daemons[0].swarm_or_fail()
    assert facts == {
        "node_id": swarm.nodes[1].id,
        "node_addr": "10.0.0.12",
        "role": "manager",
        "cluster_id": swarm.id,
        "managers": ["10.0.0.11:2377", "10.0.0.12:2377"],
    }


def test_a_join_that_takes_longer_than_the_engine_waits_is_waited_for(world: World) -> None:
    world.delays.join = 35
    outcome, facts = join(world)
    assert outcome.changed
    assert facts["role"] == "worker"
    assert in_swarm(world) == [("node1", "manager"), ("node2", "worker")]
    assert len(world.writes) == 1


def test_managers_that_are_dead_or_closed_are_passed_over(world: World) -> None:
    outcome, _facts = join(world, remote_addrs=[DEAD, "10.0.0.11:1", "10.0.0.11"], wait_timeout=30)
    assert outcome.changed
    assert in_swarm(world) == [("node1", "manager"), ("node2", "worker")]


def test_where_no_manager_lets_it_in_each_one_and_its_reason_is_told(world: World) -> None:
    with pytest.raises(NotConverged) as caught:
        join(world, remote_addrs=[DEAD, "10.0.0.11:1"], wait_timeout=30)
    text = str(caught.value)
    assert text.startswith("no manager let this host in; 10.0.0.99:2377: joining through 10.0.0.99")
    assert "within 30 s" in text
    assert "; 10.0.0.11:1: join the swarm through 10.0.0.11:1: Docker answered 503:" in text
    assert world.daemons[1].state == "inactive"


@pytest.mark.parametrize("what", ["rotated", "of another swarm"])
def test_a_token_that_is_refused_by_one_is_not_tried_on_the_others(world: World, what: str) -> None:
    token = tokens(world)["Worker"]
    swarm = world.daemons[0].swarm_or_fail()
    if what == "rotated":
        swarm.secrets["Worker"] = world.identifier()
    else:
        swarm.root_ca = world.certificate()
    with pytest.raises(TokenRefused) as caught:
        join(world, remote_addrs=["10.0.0.11", "10.0.0.11:2377"], join_token=token)
    assert "the join token is not (or no longer) one of this swarm" in str(caught.value)
    assert token not in str(caught.value)
    assert [write for write in world.writes if write[2] == "/swarm/join"] == world.writes
    assert len(world.writes) == 1
    assert world.daemons[1].state == "inactive"


def test_a_new_manager_is_waited_for_until_the_others_reach_it(world: World) -> None:
    world.delays.reachable = 20
    join(world, "Manager", role="manager")
    assert world.daemons[0].swarm_or_fail().nodes[1].is_reachable
    assert 20 <= world.now() < 22


def test_a_manager_that_nobody_reaches_is_a_failure_that_says_so(world: World) -> None:
    world.delays.reachable = 600
    with pytest.raises(
        NotConverged, match=r"within 60 s: the other managers see it as unreachable"
    ):
        join(world, "Manager", role="manager", wait_timeout=60)


@pytest.mark.parametrize(
    ("role", "other", "wait", "actions"),
    [
        ("manager", "worker", True, ["join", "leave"]),
        ("manager", "worker", False, ["join", "leave"]),
        ("worker", "manager", True, ["join", "update", "leave"]),
    ],
)
def test_a_join_with_the_token_of_the_other_role_is_undone(
    world: World, role: str, other: str, wait: bool, actions: list[str]
) -> None:
    with pytest.raises(WrongState) as caught:
        join(world, other.title(), role=role, wait=wait)
    entry = world.daemons[0].swarm_or_fail().nodes[-1]
    assert str(caught.value) == (
        f"join_token is a token for {other}s, and role is {role}: node2 has left the swarm again, "
        f"where node {entry.id} is listed as down until it is removed; use the {role}s' token, "
        "which shoal.swarm.swarm_info returns (join_tokens: true) on a manager"
    )
    # Whether a manager is one is told by its engine only after a while.
    assert world.now() < (15 if role == "manager" else 5)
    assert [path.rpartition("/")[2] for _host, _method, path in world.writes] == actions
    assert world.daemons[1].state == "inactive"

    outcome, facts = join(world, role.title(), role=role)
    assert (outcome.changed, facts["role"]) == (True, role)


def test_a_manager_by_mistake_is_demoted_when_the_others_reach_it(world: World) -> None:
    world.delays.reachable = 20
    with pytest.raises(WrongState, match="node2 has left the swarm again"):
        join(world, "Manager", role="worker")
    assert [manager.hostname for manager in world.daemons[0].swarm_or_fail().managers()] == [
        "node1"
    ]


def test_a_join_by_mistake_that_cannot_be_undone_says_both(world: World) -> None:
    world.delays.reachable = 600
    with pytest.raises(WrongState) as caught:
        join(world, "Manager", role="worker", wait_timeout=10)
    assert str(caught.value).startswith(
        "join_token is a token for managers, and role is worker: node2 is a manager now, and did "
        "not leave again: the join did not happen within 10 s: the other managers see it as"
    )


def test_a_manager_that_learns_its_role_a_moment_later_has_the_right_token(world: World) -> None:
    def learns_later(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        answer = perform()
        node = daemon.swarm_or_fail().nodes[-1]
        node.is_manager = False
        world.later(1, lambda: setattr(node, "is_manager", True))
        return answer

    world.at_write(1, learns_later)
    outcome, facts = join(world, "Manager", role="manager")
    assert (outcome.changed, facts["role"]) == (True, "manager")
    assert len(world.writes) == 1


def test_without_wait_it_ends_when_the_engine_has_joined(world: World) -> None:
    world.delays.reachable = 600
    outcome, facts = join(world, "Manager", role="manager", wait=False)
    assert outcome.changed
    assert facts["node_id"]
    assert world.now() == 0


def test_a_join_whose_answer_was_lost_is_one_join_and_a_change(world: World) -> None:
    world.at_write(1, answer_lost)
    outcome, _facts = join(world)
    assert outcome.changed
    assert in_swarm(world) == [("node1", "manager"), ("node2", "worker")]


def test_a_join_that_somebody_else_has_just_begun_is_left_to_it(world: World) -> None:
    def faster(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        token = tokens(world)["Worker"]
        daemon.join({}, {"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
        return perform()

    world.at_write(1, faster)
    outcome, facts = join(world)
    assert not outcome.changed
    assert facts["role"] == "worker"
    assert in_swarm(world) == [("node1", "manager"), ("node2", "worker")]


def test_check_mode_joins_nothing(world: World) -> None:
    outcome, facts = join(world, check_mode=True)
    assert outcome.changed
    assert (facts["node_id"], facts["role"]) == ("", "")
    assert world.writes == []
    assert world.daemons[1].state == "inactive"


def test_while_the_root_ca_rotates_a_member_is_known_by_a_common_manager(world: World) -> None:
    join(world, "Manager", role="manager")
    world.daemons[0].swarm_or_fail().root_ca = world.certificate()
    old = "SWMTKN-1-" + "0" * 50 + "-" + "0" * 25
    outcome, _facts = join(world, role="manager", join_token=old)
    assert not outcome.changed


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.11", "10.0.0.11:2377"),
        ("10.0.0.11:4000", "10.0.0.11:4000"),
        ("manager1", "manager1:2377"),
        ("manager1.example.com:2377", "manager1.example.com:2377"),
        ("fd00::11", "[fd00::11]:2377"),
        ("[fd00::11]", "[fd00::11]:2377"),
        ("[fd00::11]:4000", "[fd00::11]:4000"),
    ],
)
def test_a_managers_address_gets_the_port_that_is_missing(text: str, address: str) -> None:
    assert manager_addresses([text]) == (address,)


@pytest.mark.parametrize("text", ["", " ", "10.0.0.11:", "10.0.0.11:http", "a:0", "a:65536"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="is not the address of a manager"):
        manager_addresses([text])


# Leaving


def test_a_manager_is_a_worker_to_the_others_before_it_leaves(world: World) -> None:
    world.delays.role = 10
    join(world, "Manager", role="manager")
    outcome, facts = leave(world)
    assert [action.summary for action in outcome.actions] == ["demote node2", "leave the swarm"]
    assert facts["node_id"] == ""
    swarm = world.daemons[0].swarm_or_fail()
    assert [node.hostname for node in swarm.managers()] == ["node1"]
    assert swarm.has_quorum()
    world.sleep(60)
    assert swarm.nodes[1].state == "down"


def test_a_worker_that_is_cut_off_from_its_swarm_leaves_it(world: World) -> None:
    join(world)
    world.daemons[1].state = "pending"
    outcome, facts = leave(world)
    assert [action.summary for action in outcome.actions] == ["leave the swarm"]
    assert (facts["node_id"], world.daemons[1].state) == ("", "inactive")


def test_a_manager_that_is_cut_off_from_its_swarm_needs_force_to_leave(world: World) -> None:
    join(world, "Manager", role="manager")
    world.daemons[1].state = "pending"
    with pytest.raises(Refused, match="node2 is in a swarm in state pending"):
        leave(world)
    assert leave(world, force=True)[0].changed


def test_a_demotion_that_does_not_take_effect_ends_before_the_leave(world: World) -> None:
    join(world, "Manager", role="manager")
    world.delays.role = 600
    with pytest.raises(NotConverged, match="it still acts as a manager"):
        leave(world, wait_timeout=30)
    assert world.daemons[1].state == "active"


@pytest.mark.parametrize("fault", [answer_lost, leader_lost_committed])
def test_a_demotion_whose_answer_was_lost_is_not_repeated(world: World, fault: Any) -> None:
    join(world, "Manager", role="manager")
    world.writes.clear()
    world.at_write(1, fault)
    outcome, _facts = leave(world)
    assert outcome.changed
    assert [path for _host, _method, path in world.writes] == [
        f"/nodes/{world.daemons[0].swarm_or_fail().nodes[1].id}/update",
        "/swarm/leave",
    ]


def test_a_host_that_left_and_joins_again_is_a_new_node(world: World) -> None:
    first = join(world)[1]["node_id"]
    leave(world)
    second = join(world)[1]["node_id"]
    assert first != second
    assert in_swarm(world) == [("node1", "manager"), ("node2", "worker"), ("node2", "worker")]


# On the host itself


@pytest.fixture
def local(world: World, tmp_path: Path) -> Iterator[World]:
    """The same, with node1 on a port of the loopback that really listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        node1, node2 = world.daemons
        node1.address, node1.port = listening.getsockname()
        for node in node1.swarm_or_fail().nodes:
            node.address, node.port = node1.address, node1.port
        node2.address = "127.0.0.1"
        node2.root_dir = str(tmp_path)
        # The engine makes it when it starts.
        (tmp_path / "swarm").mkdir()
        yield world


def way_in(local: World) -> dict[str, Any]:
    manager = local.daemons[0]
    return {
        "remote_addrs": [f"{manager.address}:{manager.port}"],
        "join_token": tokens(local)["Worker"],
    }


def keep_certificates(local: World, root_ca: str) -> None:
    folder = Path(local.daemons[1].root_dir) / "swarm" / "certificates"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "swarm-root-ca.crt").write_text(root_ca)
    (folder / "swarm-node.crt").write_text("a certificate")


def test_a_manager_that_listens_is_joined(local: World) -> None:
    assert run_on(local.daemons[1], local=True, **way_in(local))[0].changed
    assert len(in_swarm(local)) == 2


def test_a_manager_that_does_not_listen_is_told_without_a_word_to_the_engine(local: World) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(NotConverged) as caught:
            run_on(local.daemons[1], local=True, **{**way_in(local), "remote_addrs": [address]})
    assert str(caught.value) == f"no manager let this host in; {address}: connection refused"
    assert local.writes == []


def test_an_address_that_is_not_on_the_host_is_refused(local: World) -> None:
    foreign = {**way_in(local), "advertise_addr": "192.0.2.1"}
    with pytest.raises(InvalidOption, match=r"^advertise_addr 192\.0\.2\.1 is not an address of"):
        run_on(local.daemons[1], local=True, **foreign)
    assert local.writes == []
    run_on(local.daemons[1], local=True, check_addresses=False, **foreign)
    assert len(in_swarm(local)) == 2


def test_a_worker_is_known_by_its_root_ca_however_its_managers_are_addressed(
    local: World,
) -> None:
    run_on(local.daemons[1], local=True, **way_in(local))
    keep_certificates(local, local.daemons[0].swarm_or_fail().root_ca)
    elsewhere = {**way_in(local), "remote_addrs": ["manager1.example.com"]}
    assert not run_on(local.daemons[1], local=True, **elsewhere)[0].changed


def test_a_worker_of_another_swarm_is_known_by_its_root_ca(local: World) -> None:
    run_on(local.daemons[1], local=True, **way_in(local))
    keep_certificates(local, local.daemons[0].swarm_or_fail().root_ca)
    other: dict[str, Any] = {
        "remote_addrs": ["192.0.2.1"],
        "join_token": f"SWMTKN-1-{'0' * 50}-{'0' * 25}",
    }
    with pytest.raises(WrongState, match="node2 is a worker of another swarm"):
        run_on(local.daemons[1], local=True, **other)


def test_a_host_does_not_leave_its_swarm_for_one_that_nobody_answers_for(local: World) -> None:
    run_on(local.daemons[1], local=True, **way_in(local))
    keep_certificates(local, local.daemons[0].swarm_or_fail().root_ca)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        other: dict[str, Any] = {
            "remote_addrs": [f"127.0.0.1:{closed.getsockname()[1]}"],
            "join_token": f"SWMTKN-1-{'0' * 50}-{'0' * 25}",
            "force": True,
        }
        with pytest.raises(NotConverged, match="this host stays where it is"):
            run_on(local.daemons[1], local=True, **other)
    assert local.daemons[1].state == "active"


def test_over_the_network_a_worker_with_no_common_manager_cannot_be_told_apart(
    world: World,
) -> None:
    join(world)
    with pytest.raises(WrongState, match="it cannot be told whether it is this one or"):
        join(world, remote_addrs=["manager1.example.com"])


def test_a_join_that_nobody_answered_is_cleared_on_the_host(local: World) -> None:
    node2 = local.daemons[1]
    node2.state, node2.joining = "pending", f"{DEAD}:2377"
    outcome, _facts = run_on(node2, local=True, **way_in(local))
    assert [action.summary for action in outcome.actions] == [
        "clear what an earlier join left behind",
        "join the swarm",
    ]
    assert len(in_swarm(local)) == 2


@pytest.mark.parametrize("state", ["pending", "error"])
def test_a_member_in_trouble_is_not_cleared_while_its_certificate_is_there(
    local: World, state: str
) -> None:
    run_on(local.daemons[1], local=True, **way_in(local))
    keep_certificates(local, local.daemons[0].swarm_or_fail().root_ca)
    node2 = local.daemons[1]
    node2.state, node2.error, node2.node = state, "certificate is not readable", None
    local.writes.clear()
    if state == "error":
        with pytest.raises(WrongState, match="state is in error"):
            run_on(node2, local=True, **way_in(local))
    else:
        with pytest.raises(NotConverged, match="its state is pending"):
            run_on(node2, local=True, **way_in(local))
    assert local.writes == []
