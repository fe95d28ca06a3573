# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unlock this host's engine after a restart, where the swarm is autolocked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._autolock import unlock_key_bytes
from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import KeyRefused, WrongState
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    NodeState,
    membership,
    quorum,
    reachability_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import NOTHING, Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    converge,
    reconcile,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict


def ensure(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Membership], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    # From a file it comes with the end of its line.
    key = params["unlock_key"].strip()
    unlock_key_bytes(key)

    def observe() -> Membership:
        return membership(engine.info())

    outcome = reconcile(engine, observe, decide, run, {"unlock": lambda: unlock(engine, key)})
    if params["wait"]:
        outcome = converge(
            outcome,
            "this host being back in its swarm",
            observe,
            lambda member: ready(engine, member),
            params["wait_timeout"],
            run,
        )
    return outcome, {"state": outcome.observed.state.value}


def decide(member: Membership) -> Plan:
    if member.state is NodeState.INACTIVE:
        raise WrongState(f"{member.hostname} is not in a swarm: there is nothing to unlock")
    if member.state is NodeState.ERROR:
        raise WrongState(
            f"{member.hostname} is in a swarm whose state is in error, which no key mends: "
            f"{member.error}"
        )
    if member.state is not NodeState.LOCKED:
        return NOTHING
    locked, unlocked = ({"state": state.value} for state in (NodeState.LOCKED, NodeState.ACTIVE))
    return Plan((Action("unlock the manager", "unlock", {}, locked, unlocked),))


def unlock(engine: Engine, key: str) -> None:
    try:
        engine.swarm_unlock(key)
    except KeyRefused as error:
        raise KeyRefused(
            "unlock_key is not the key of this manager, which stays locked; one that was down "
            "while the key was rotated needs the key of before",
            error.status,
        ) from error


def ready(engine: Engine, member: Membership) -> Look:
    """A worker has no more to do; a manager is back when the others reach it and have a quorum."""
    if member.state is NodeState.ERROR:
        return Look(Verdict.FAILED, f"its state is in error: {member.error}")
    if member.state is not NodeState.ACTIVE:
        return Look(Verdict.WAIT, f"its state is {member.state.value} {member.error}".rstrip())
    if not member.is_manager:
        return Look(Verdict.DONE)
    nodes = engine.nodes()
    managers = quorum(nodes)
    if not managers.holds:
        return Look(Verdict.WAIT, f"no quorum: {managers}")
    reachability = reachability_of(nodes, member.node_id)
    if reachability != "reachable":
        return Look(Verdict.WAIT, f"the other managers see it as {reachability}")
    return Look(Verdict.DONE)
