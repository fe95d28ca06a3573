# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host knows of the swarm: all of it on a manager, its own membership elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    NotManager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    NodeState,
    Role,
    membership,
    quorum,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import find, summary
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Run,
    patiently,
    settled_membership,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Look,
    Verdict,
    wait_until,
)

NO_ENGINE: dict[str, Any] = {
    "can_talk_to_docker": False,
    "docker_swarm_active": False,
    "docker_swarm_manager": False,
    "state": NodeState.INACTIVE.value,
    "error": "",
    "role": "",
    "node_id": "",
    "node_addr": "",
    "cluster_id": "",
    "managers": [],
    "hostname": "",
    "engine_version": "",
    "swarm_facts": {},
    "nodes": [],
    "quorum": {},
}


def gather(engine: Engine, params: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Facts by the same names on every host; empty where this host cannot know."""
    if params["ready"]:
        wait_until(
            "the nodes being ready",
            lambda: ready(engine.nodes(), params["ready"], membership(engine.info())),
            params["wait_timeout"],
            run.clock,
        )
    member = settled_membership(engine, run)
    facts = {
        **NO_ENGINE,
        "can_talk_to_docker": True,
        "docker_swarm_active": member.state is NodeState.ACTIVE,
        "docker_swarm_manager": member.is_manager,
        "state": member.state.value,
        "error": member.error,
        "role": member.role.value if member.role else "",
        "node_id": member.node_id,
        "node_addr": member.node_addr,
        "cluster_id": member.cluster_id,
        "managers": list(member.managers),
        "hostname": member.hostname,
        "engine_version": member.engine_version,
    }
    if not member.is_manager:
        return facts
    try:
        return {**facts, **patiently(lambda: _of_manager(engine, params), run.clock)}
    except (AmbiguousWrite, NotManager) as error:
        # Without quorum a manager answers /info and little else: that is a fact as well.
        return {**facts, "error": member.error or str(error)}


def ready(
    nodes: Sequence[Mapping[str, Any]], references: Sequence[str], member: Membership
) -> Look:
    """Each of the nodes is connected, and each manager among them is reached by the others."""
    missing = []
    for reference in references:
        node = summary(find(nodes, reference, member))
        if node["state"] != "ready":
            missing.append(f"{node['hostname']} is {node['state']} {node['message']}".rstrip())
        elif node["role"] == Role.MANAGER.value and node["reachability"] != "reachable":
            missing.append(f"manager {node['hostname']} is {node['reachability'] or 'not one yet'}")
    return Look(Verdict.WAIT, "; ".join(missing)) if missing else Look(Verdict.DONE)


def _of_manager(engine: Engine, params: Mapping[str, Any]) -> dict[str, Any]:
    swarm = dict(engine.swarm())
    tokens = swarm.pop("JoinTokens", None) or {}
    nodes = engine.nodes(filters(params["nodes_filters"]))
    managers = quorum(engine.nodes() if params["nodes_filters"] else nodes)
    facts: dict[str, Any] = {
        "cluster_id": swarm["ID"],
        "swarm_facts": swarm,
        "nodes": sorted(map(summary, nodes), key=lambda node: (node["hostname"], node["id"])),
        "quorum": {
            "managers": managers.managers,
            "reachable": managers.reachable,
            "needed": managers.needed,
            "tolerates": managers.tolerates,
            "holds": managers.holds,
        },
    }
    if params["join_tokens"]:
        facts["join_tokens"] = {"manager": tokens["Manager"], "worker": tokens["Worker"]}
    if params["unlock_key"]:
        facts["unlock_key"] = engine.unlock_key()
    return facts


def filters(given: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Filters as the engine takes them: a list of texts for each name."""
    return {
        name: [str(value) for value in (values if isinstance(values, list) else [values])]
        for name, values in (given or {}).items()
    }
