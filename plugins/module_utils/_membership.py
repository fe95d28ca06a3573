# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's membership of a swarm, the swarm's quorum, and what tokens tell: all pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, WrongState


class NodeState(Enum):
    """`LocalNodeState` of GET /info."""

    INACTIVE = "inactive"
    PENDING = "pending"
    ACTIVE = "active"
    ERROR = "error"
    LOCKED = "locked"


class Role(Enum):
    """What a node is in the swarm."""

    MANAGER = "manager"
    WORKER = "worker"


@dataclass(frozen=True)
class Membership:
    """What the engine of a host says of its own place in a swarm."""

    state: NodeState
    node_id: str = ""
    node_addr: str = ""
    role: Role | None = None
    cluster_id: str = ""
    managers: tuple[str, ...] = ()
    error: str = ""
    hostname: str = ""
    root_dir: str = ""
    engine_version: str = ""

    @property
    def is_manager(self) -> bool:
        return self.state is NodeState.ACTIVE and self.role is Role.MANAGER


def membership(info: Mapping[str, Any]) -> Membership:
    """From the answer of GET /info."""
    swarm = info.get("Swarm") or {}
    state = NodeState(swarm.get("LocalNodeState") or NodeState.INACTIVE.value)
    # An engine whose part in the swarm has failed once and started again, as when a promotion meets
    # the demotion of the manager that it asks, says "error" without a reason as long as it runs
    # (moby daemon/cluster/noderunner.go, State).
    if state is NodeState.ERROR and swarm.get("NodeID") and not swarm.get("Error"):
        state = NodeState.ACTIVE
    role = None
    # A member that cannot reach its swarm after a restart is pending, too, but knows its node ID.
    if state is NodeState.ACTIVE or (state is NodeState.PENDING and swarm.get("NodeID")):
        role = Role.MANAGER if swarm.get("ControlAvailable") else Role.WORKER
    return Membership(
        state=state,
        node_id=swarm.get("NodeID") or "",
        node_addr=swarm.get("NodeAddr") or "",
        role=role,
        cluster_id=(swarm.get("Cluster") or {}).get("ID") or "",
        managers=tuple(sorted(m["Addr"] for m in swarm.get("RemoteManagers") or [])),
        error=swarm.get("Error") or "",
        hostname=info.get("Name") or "",
        root_dir=info.get("DockerRootDir") or "",
        engine_version=info.get("ServerVersion") or "",
    )


def require_manager(member: Membership) -> None:
    """Refuse what only managers can do, with the state that is in its way called by name."""
    host = member.hostname
    if member.state is NodeState.LOCKED:
        raise WrongState(
            f"{host} is locked (autolock): unlock it with its unlock key "
            "(shoal.swarm.swarm_unlock), then run again"
        )
    if member.state is NodeState.PENDING and member.node_id:
        raise WrongState(
            f"{host} is in a swarm that it cannot reach ({member.error or 'no manager answers'}): "
            "bring its managers back; where they are lost for good, recover on one that is left "
            "with force_new_cluster"
        )
    if member.state is NodeState.PENDING:
        raise WrongState(
            f"{host} is still joining a swarm: wait for it, or end it with "
            "shoal.swarm.swarm_join and state: absent"
        )
    if member.state is NodeState.ERROR:
        raise WrongState(
            f"{host} is in a swarm whose state is in error: {member.error}. Mend that, or leave "
            "with shoal.swarm.swarm_join, state: absent and force: true"
        )
    if member.state is NodeState.INACTIVE:
        raise WrongState(
            f"{host} is not in a swarm: run the task on a manager (delegate_to), or create a swarm "
            "with shoal.swarm.swarm_init"
        )
    if not member.is_manager:
        raise WrongState(
            f"{host} is a worker of a swarm, and only managers can change it: run the task on a "
            f"manager (delegate_to; {', '.join(member.managers) or 'none known here'})"
        )


@dataclass(frozen=True)
class Quorum:
    """The managers' arithmetic: how many there are, must and do answer."""

    managers: int
    reachable: int

    @property
    def needed(self) -> int:
        return self.managers // 2 + 1

    @property
    def tolerates(self) -> int:
        """How many of the managers that answer now can still be lost."""
        return max(0, self.reachable - self.needed)

    @property
    def holds(self) -> bool:
        return self.reachable >= self.needed

    def with_one(self) -> Quorum:
        """After one more manager was promoted, and the others reach it."""
        return Quorum(self.managers + 1, self.reachable + 1)

    def without_one(self, reachable: bool) -> Quorum:
        """After one manager was demoted or removed (not just stopped)."""
        return Quorum(self.managers - 1, self.reachable - (1 if reachable else 0))

    def spares_one(self, reachable: bool) -> bool:
        """Whether one manager can be demoted: there is a quorum before it, and one after it."""
        return self.holds and self.without_one(reachable).holds

    def told_without_one(self, reachable: bool) -> str:
        """The arithmetic of a demotion, for people."""
        return f"now {self}; without it {self.without_one(reachable)}"

    def __str__(self) -> str:
        return f"{self.reachable} of {self.managers} managers reachable, {self.needed} needed"


def quorum(nodes: Iterable[Mapping[str, Any]]) -> Quorum:
    """From the answer of GET /nodes."""
    statuses = [node["ManagerStatus"] for node in nodes if node.get("ManagerStatus")]
    return Quorum(
        managers=len(statuses),
        reachable=sum(1 for status in statuses if status.get("Reachability") == "reachable"),
    )


def reachability_of(nodes: Iterable[Mapping[str, Any]], node_id: str) -> str:
    """How the managers see one of them, from the answer of GET /nodes."""
    node = next((node for node in nodes if node["ID"] == node_id), {})
    return str((node.get("ManagerStatus") or {}).get("Reachability", "unknown"))


_TOKEN = re.compile(r"SWMTKN-(?:1|2-1)-([0-9a-z]{50})-[0-9a-z]{25}\Z")


def token_digest(option: str, token: str) -> str:
    """The digest of the swarm's root CA inside a join token; never shows the token."""
    match = _TOKEN.match(token)
    if not match:
        raise InvalidOption(
            f"{option} is not a join token: it must look like SWMTKN-1-<50 characters>-<25 "
            f"characters>, and this text of {len(token)} characters does not; read one with "
            "shoal.swarm.swarm_info (join_tokens: true) on a manager"
        )
    return match.group(1)


def root_ca_digest(pem: bytes) -> str:
    """The same digest from the root CA's own PEM file (swarmkit ca/config.go).

    SHA-256 as a number in base 36, padded to 50 digits.
    """
    number = int.from_bytes(hashlib.sha256(pem).digest(), "big")
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits.rjust(50, "0")
