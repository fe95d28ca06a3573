# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, WrongState
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    NodeState,
    Quorum,
    Role,
    membership,
    quorum,
    require_manager,
    root_ca_digest,
    token_digest,
)

# The root CA and the tokens of a swarm that Engine 20.10 made for this test.
ROOT_CA = b"""\
-----BEGIN CERTIFICATE-----
MIIBazCCARCgAwIBAgIUJo8j0QQx6lB94PGpAqs2BK5+h10wCgYIKoZIzj0EAwIw
EzERMA8GA1UEAxMIc3dhcm0tY2EwHhcNMjYxMTIxMDU0NTAwWhcNNDYxMTE2MDU0
NTAwWjATMREwDwYDVQQDEwhzd2FybS1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABKRz1N9tjL0Fxqdm5rmk0Wrs0wqNfxKQomWtZj6F0f2lUI+1chi8E+/lRcOh
rO/yRw0vmV0GmQuuZ5qAIlv1jpmjQjBAMA4GA1UdDwEB/wQEAwIBBjAPBgNVHRMB
Af8EBTADAQH/MB0GA1UdDgQWBBRkthFpUzZcrH0R3LCG7NFB4Gt8SzAKBggqhkjO
PQQDAgNJADBGAiEAx0PfXg5NmPMrntNt7SuphVviVHHQBed0I/YQYCxYyr8CIQDB
U01rXFxXGUJzQ0zGjNc7CiGj7kgY33aYglB0UouW/w==
-----END CERTIFICATE-----
"""
DIGEST = "2wuyuqto6jfwsjlepgicnvnx2dwl1mwh196mpg2h4w061hvgns"
TOKENS = (
    f"SWMTKN-1-{DIGEST}-4yzwut2wpqqdkjc08j14tgr1d",
    f"SWMTKN-1-{DIGEST}-epdqbhsjwbpygbbe1858igt4j",
)

# Tokens


def test_the_digest_in_a_token_is_that_of_the_root_ca() -> None:
    assert root_ca_digest(ROOT_CA) == DIGEST
    for token in TOKENS:
        assert token_digest("join_token", token) == DIGEST


def test_the_token_of_an_engine_in_fips_mode_is_read_as_well() -> None:
    assert token_digest("join_token", TOKENS[0].replace("SWMTKN-1-", "SWMTKN-2-1-")) == DIGEST


def test_a_digest_has_fifty_digits_however_small_its_number_is() -> None:
    digests = {text: root_ca_digest(text) for text in (b"%d" % number for number in range(50))}
    assert {len(digest) for digest in digests.values()} == {50}
    assert any(digest.startswith("0") for digest in digests.values())
    for text, digest in digests.items():
        assert int(digest, 36) == int(hashlib.sha256(text).hexdigest(), 16)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        TOKENS[0][:-1],
        TOKENS[0] + "1",
        TOKENS[0] + "\n",
        TOKENS[0].upper(),
        TOKENS[0].replace("SWMTKN-1", "SWMTKN-3"),
        TOKENS[0].replace("-4yz", "4yz"),
        "SWMKEY-1-9JYx7OIkrI39nfjfp/4UNM0oPIZOIMSSBN9Mt1EEfF8",
    ],
)
def test_what_is_no_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        token_digest("join_token", token)
    text = str(caught.value)
    assert text.startswith("join_token is not a join token: it must look like SWMTKN-1-")
    assert f"this text of {len(token)} characters does not" in text
    assert not token.strip() or token not in text


# Quorum


@pytest.mark.parametrize(
    ("managers", "needed", "tolerates"),
    [
        (1, 1, 0),
        (2, 2, 0),
        (3, 2, 1),
        (4, 3, 1),
        (5, 3, 2),
        (6, 4, 2),
        (7, 4, 3),
        (8, 5, 3),
        (9, 5, 4),
    ],
)
def test_more_than_half_of_the_managers_must_answer(
    managers: int, needed: int, tolerates: int
) -> None:
    healthy = Quorum(managers, managers)
    assert (healthy.needed, healthy.tolerates, healthy.holds) == (needed, tolerates, True)
    at_the_edge = Quorum(managers, managers - tolerates)
    assert (at_the_edge.tolerates, at_the_edge.holds) == (0, True)
    lost = Quorum(managers, managers - tolerates - 1)
    assert (lost.tolerates, lost.holds) == (0, False)


@pytest.mark.parametrize(
    ("managers", "reachable", "holds"),
    [
        # One that answers is demoted ...
        (2, 2, True),
        (3, 3, True),
        (3, 2, False),
        (5, 4, True),
        (5, 3, False),
        (4, 3, True),
        (7, 4, False),
    ],
)
def test_a_demotion_counts_one_manager_less_on_both_sides(
    managers: int, reachable: int, holds: bool
) -> None:
    assert Quorum(managers, reachable).without_one(reachable=True).holds is holds
    assert Quorum(managers, reachable).spares_one(reachable=True) is holds


def test_where_there_is_no_quorum_no_manager_can_be_spared() -> None:
    # Afterwards it would be one, but nobody can write that down.
    lost = Quorum(3, 1)
    assert lost.without_one(reachable=False).without_one(reachable=False).holds
    assert not Quorum(2, 1).spares_one(reachable=False)


def test_a_manager_that_is_down_can_be_demoted_without_a_loss() -> None:
    assert Quorum(3, 2).without_one(reachable=False) == Quorum(2, 2)


def test_a_quorum_says_its_arithmetic() -> None:
    assert str(Quorum(3, 1)) == "1 of 3 managers reachable, 2 needed"
    assert Quorum(3, 2).told_without_one(reachable=True) == (
        "now 2 of 3 managers reachable, 2 needed; without it 1 of 2 managers reachable, 2 needed"
    )


def test_a_promotion_counts_one_manager_more_on_both_sides() -> None:
    assert Quorum(3, 2).with_one() == Quorum(4, 3)


def test_the_managers_are_counted_by_what_raft_says_not_by_their_role() -> None:
    nodes: list[dict[str, Any]] = [
        {"Spec": {"Role": "manager"}, "ManagerStatus": {"Reachability": "reachable"}},
        {"Spec": {"Role": "manager"}, "ManagerStatus": {"Reachability": "unreachable"}},
        {"Spec": {"Role": "manager"}, "ManagerStatus": {"Reachability": "unknown"}},
        # Just promoted, and cut off by a forced new cluster.
        {"Spec": {"Role": "manager"}},
        {"Spec": {"Role": "manager"}, "ManagerStatus": None},
        {"Spec": {"Role": "worker"}},
    ]
    assert quorum(nodes) == Quorum(managers=3, reachable=1)


# Membership


def test_what_the_engine_says_of_a_manager() -> None:
    info = {
        "Name": "node1",
        "DockerRootDir": "/var/lib/docker",
        "ServerVersion": "26.1.5",
        "Swarm": {
            "LocalNodeState": "active",
            "ControlAvailable": True,
            "NodeID": "n1",
            "NodeAddr": "10.0.0.11",
            "Error": "",
            "RemoteManagers": [{"Addr": "10.0.0.12:2377"}, {"Addr": "10.0.0.11:2377"}],
            "Cluster": {"ID": "c1"},
        },
    }
    member = membership(info)
    assert member == Membership(
        state=NodeState.ACTIVE,
        node_id="n1",
        node_addr="10.0.0.11",
        role=Role.MANAGER,
        cluster_id="c1",
        managers=("10.0.0.11:2377", "10.0.0.12:2377"),
        error="",
        hostname="node1",
        root_dir="/var/lib/docker",
        engine_version="26.1.5",
    )
    assert member.is_manager


@pytest.mark.parametrize(
    ("swarm", "state", "role"),
    [
        ({}, NodeState.INACTIVE, None),
        ({"LocalNodeState": ""}, NodeState.INACTIVE, None),
        ({"LocalNodeState": "inactive", "RemoteManagers": None}, NodeState.INACTIVE, None),
        ({"LocalNodeState": "active"}, NodeState.ACTIVE, Role.WORKER),
        ({"LocalNodeState": "locked", "NodeID": ""}, NodeState.LOCKED, None),
        ({"LocalNodeState": "error", "NodeID": "n1", "Error": "expired"}, NodeState.ERROR, None),
        ({"LocalNodeState": "error", "NodeID": "", "Error": ""}, NodeState.ERROR, None),
        ({"LocalNodeState": "pending", "NodeID": ""}, NodeState.PENDING, None),
        # It was let in before, and finds too few of the others after a restart.
        (
            {"LocalNodeState": "pending", "NodeID": "n1", "ControlAvailable": True},
            NodeState.PENDING,
            Role.MANAGER,
        ),
    ],
)
def test_only_a_member_has_a_role(
    swarm: dict[str, Any], state: NodeState, role: Role | None
) -> None:
    member = membership({"Swarm": swarm})
    assert (member.state, member.role) == (state, role)
    assert member.is_manager is False
    assert membership({}).state is NodeState.INACTIVE


@pytest.mark.parametrize("manages", [True, False])
def test_an_engine_that_has_failed_once_and_is_back_is_no_failure(manages: bool) -> None:
    swarm = {"LocalNodeState": "error", "NodeID": "n1", "ControlAvailable": manages, "Error": ""}
    member = membership({"Swarm": swarm})
    assert (member.state, member.is_manager) == (NodeState.ACTIVE, manages)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (Membership(NodeState.LOCKED), "is locked (autolock): unlock it with its unlock key"),
        (Membership(NodeState.PENDING), "is still joining a swarm"),
        (Membership(NodeState.PENDING, node_id="n1"), "it cannot reach (no manager answers)"),
        (Membership(NodeState.ERROR, error="expired"), "whose state is in error: expired"),
        (Membership(NodeState.INACTIVE), "is not in a swarm"),
        (
            Membership(NodeState.ACTIVE, role=Role.WORKER, managers=("10.0.0.11:2377",)),
            "is a worker of a swarm, and only managers can change it: run the task on a manager "
            "(delegate_to; 10.0.0.11:2377)",
        ),
    ],
)
def test_what_is_in_the_way_of_a_manager_is_called_by_name(member: Membership, reason: str) -> None:
    with pytest.raises(WrongState) as caught:
        require_manager(member)
    assert reason in str(caught.value)
    require_manager(Membership(NodeState.ACTIVE, role=Role.MANAGER))
