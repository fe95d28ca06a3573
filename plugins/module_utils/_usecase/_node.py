# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring labels and availability of nodes to what is asked, many nodes in one go."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._spec._node import (
    AVAILABILITY,
    LABELS,
    MERGE,
    labels_after,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import shown
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    reconcile,
)


@dataclass(frozen=True)
class Request:
    """What one node shall be; `None` leaves that part of it alone."""

    node: str
    labels: Mapping[str, Any] | None = None
    labels_state: str = MERGE
    labels_to_remove: Sequence[str] | None = None
    availability: str | None = None


def ensure(
    engine: Engine, requests: Sequence[Request], run: Run
) -> tuple[Outcome[list[dict[str, Any]]], dict[str, Any]]:
    """Carry out the task; `requests` name their nodes by ID, by name, or "" for this host."""
    member = membership(engine.info())
    require_manager(member)
    outcome = reconcile(engine, engine.nodes, lambda nodes: decide(nodes, requests, member), run)
    ids = {find(outcome.observed, request.node, member)["ID"] for request in requests}
    return outcome, {"nodes": [summary(node) for node in outcome.observed if node["ID"] in ids]}


def decide(
    nodes: Sequence[Mapping[str, Any]], requests: Sequence[Request], member: Membership
) -> Plan:
    """One update for each node that differs."""
    actions = []
    seen: dict[str, str] = {}
    for request in requests:
        node = find(nodes, request.node, member)
        if node["ID"] in seen:
            raise InvalidOption(
                f"'{seen[node['ID']]}' and '{request.node}' are the same node ({node['ID']}): "
                "name each node once"
            )
        seen[node["ID"]] = request.node
        action = _update(node, request)
        if action:
            actions.append(action)
    return Plan(tuple(actions))


def _update(node: Mapping[str, Any], request: Request) -> Action | None:
    # The whole stored spec goes back: the update replaces it, the node's name included.
    spec = copy.deepcopy(dict(node["Spec"]))
    managed = []
    if request.labels is not None or request.labels_to_remove:
        managed.append(LABELS.name)
        before = spec.get("Labels") or {}
        after = labels_after(before, request.labels, request.labels_state, request.labels_to_remove)
        if after != before:
            spec["Labels"] = after
    if request.availability is not None:
        managed.append(AVAILABILITY.name)
        spec["Availability"] = request.availability
    if spec == node["Spec"]:
        return None
    rows = (LABELS, AVAILABILITY)
    return Action(
        f"update node {name_of(node)} ({node['ID']})",
        "node_update",
        {"node_id": node["ID"], "version": node["Version"]["Index"], "spec": spec},
        shown(rows, node["Spec"], managed),
        shown(rows, spec, managed),
    )


def find(
    nodes: Sequence[Mapping[str, Any]], reference: str, member: Membership
) -> Mapping[str, Any]:
    """The one node of that ID or name; the whole ID wins, a part of it does not count."""
    wanted = reference or member.node_id
    for node in nodes:
        if node["ID"] == wanted:
            return node
    found = [node for node in nodes if wanted == name_of(node)]
    if len(found) == 1:
        return found[0]
    if found:
        candidates = ", ".join(
            f"{node['ID']} ({node['Status']['State']}, {node['Status'].get('Addr', '')})"
            for node in found
        )
        raise InvalidOption(
            f"the name '{wanted}' is ambiguous, {len(found)} nodes have it: {candidates}; use the "
            "ID of the one that is meant"
        )
    known = ", ".join(sorted(name_of(node) for node in nodes))
    raise InvalidOption(f"no node of this swarm has the ID or name '{wanted}'; its nodes: {known}")


def name_of(node: Mapping[str, Any]) -> str:
    return (node.get("Description") or {}).get("Hostname") or ""


def summary(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node in the words of `docker node ls`."""
    status = node.get("Status") or {}
    manager = node.get("ManagerStatus") or {}
    description = node.get("Description") or {}
    return {
        "id": node["ID"],
        "hostname": name_of(node),
        "role": node["Spec"]["Role"],
        "availability": node["Spec"]["Availability"],
        "labels": node["Spec"].get("Labels") or {},
        "state": status.get("State", "unknown"),
        "message": status.get("Message", ""),
        "address": status.get("Addr", ""),
        "leader": bool(manager.get("Leader")),
        "reachability": manager.get("Reachability", ""),
        "manager_address": manager.get("Addr", ""),
        "engine_version": (description.get("Engine") or {}).get("EngineVersion", ""),
    }
