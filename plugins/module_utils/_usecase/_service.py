# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, change or remove a service, and wait until it is what its spec says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import NOTHING, Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._ready import RUNNING
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    GLOBAL,
    KEEP_REPLICAS,
    MODES,
    REPLICATED,
    ROWS,
    mode_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    merged,
    refuse_newer,
    shown,
    wanted,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import name_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    reconcile,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_wait import wait


@dataclass(frozen=True)
class Seen:
    """The service, if it is there, and the IDs of the swarm's networks by name."""

    service: Mapping[str, Any] | None
    networks: Mapping[str, str]


def ensure(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    if params["replicas"] == KEEP_REPLICAS:
        params = {**params, "replicas": None}
    refuse_newer(ROWS, params, engine.api_version)
    values = wanted(ROWS, params)
    require_manager(membership(engine.info()))
    present = params["state"] == "present"
    before = observe(engine, params)
    outcome = reconcile(
        engine,
        lambda: observe(engine, params),
        lambda seen: decide(seen, params, values) if present else decide_absent(seen, params),
        run,
    )
    service = outcome.observed.service or (None if present else before.service)
    if params["wait"] and service and not outcome.check_mode:
        wait(engine, service, params, run, outcome.changed)
    return outcome, facts(engine, outcome.observed)


def observe(engine: Engine, params: Mapping[str, Any]) -> Seen:
    # The name filter matches prefixes as well, and the engine keeps names unique.
    found = engine.services({"name": [params["name"]]})
    service = next((s for s in found if s["Spec"]["Name"] == params["name"]), None)
    networks = engine.networks() if params["networks"] is not None else []
    return Seen(service, {network["Name"]: network["Id"] for network in networks})


def decide(seen: Seen, params: Mapping[str, Any], values: Mapping[str, Any]) -> Plan:
    """Create it, change what differs, or nothing."""
    name = params["name"]
    resolved = {**values, **_resolved_networks(values, seen.networks)}
    if seen.service is None:
        if not params["image"]:
            raise InvalidOption(f"service {name} does not exist, and image is needed to create it")
        mode = params["mode"] or REPLICATED
        _refuse_replicas(params, mode)
        spec = merged(ROWS, _empty_spec(name, mode), resolved)
        after = {"state": "present", "mode": mode, **_shown(spec, values, seen)}
        return Plan(
            (Action(f"create service {name}", "service_create", {"spec": spec}, {}, after),)
        )
    before = seen.service["Spec"]
    if params["mode"] and params["mode"] != mode_of(before):
        raise InvalidOption(
            f"service {name} runs in mode {mode_of(before)}, and the engine cannot change that to "
            f"{params['mode']}: remove the service (state: absent) and create it again"
        )
    _refuse_replicas(params, mode_of(before))
    spec = merged(ROWS, before, resolved)
    if spec == before:
        return NOTHING
    arguments = {
        "service_id": seen.service["ID"],
        "version": seen.service["Version"]["Index"],
        "spec": spec,
    }
    action = Action(
        f"update service {name}",
        "service_update",
        arguments,
        _shown(before, values, seen),
        _shown(spec, values, seen),
    )
    return Plan((action,))


def decide_absent(seen: Seen, params: Mapping[str, Any]) -> Plan:
    if seen.service is None:
        return NOTHING
    action = Action(
        f"remove service {params['name']}",
        "service_remove",
        {"service_id": seen.service["ID"]},
        {
            "state": "present",
            "image": seen.service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"],
        },
        {"state": "absent"},
    )
    return Plan((action,))


def _empty_spec(name: str, mode: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Labels": {},
        "TaskTemplate": {"ContainerSpec": {}},
        "Mode": {MODES[mode]: {}},
    }


def _refuse_replicas(params: Mapping[str, Any], mode: str) -> None:
    if params["replicas"] is not None and mode == GLOBAL:
        raise InvalidOption(
            f"service {params['name']}: replicas means nothing in mode global, which runs one task "
            "on each node: remove the option"
        )


def _resolved_networks(
    values: Mapping[str, Any], ids: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """The stored spec names networks by ID."""
    if "networks" not in values:
        return {}
    unknown = [n["Target"] for n in values["networks"] if n["Target"] not in ids]
    if unknown:
        raise InvalidOption(
            f"networks: there is no network named {', '.join(unknown)}: create it first, as an "
            "overlay network"
        )
    return {"networks": [{**n, "Target": ids[n["Target"]]} for n in values["networks"]]}


def _shown(spec: Mapping[str, Any], values: Mapping[str, Any], seen: Seen) -> dict[str, Any]:
    result = shown(ROWS, spec, list(values))
    names = {network_id: name for name, network_id in seen.networks.items()}
    for network in result.get("networks", []):
        network["name"] = names.get(network["name"], network["name"])
    result.get("networks", []).sort(key=lambda network: str(network["name"]))
    return result


def facts(engine: Engine, seen: Seen) -> dict[str, Any]:
    service = seen.service or {}
    tasks = engine.tasks({"service": [service["ID"]]}) if service else []
    names = {node["ID"]: name_of(node) for node in engine.nodes()} if tasks else {}
    return {
        "service_id": service.get("ID", ""),
        "service_spec": service.get("Spec", {}),
        "tasks": [
            task_summary(task, names)
            for task in sorted(tasks, key=lambda task: (task.get("Slot", 0), task["ID"]))
            if task["DesiredState"] == RUNNING
        ],
    }


def task_summary(task: Mapping[str, Any], node_names: Mapping[str, str]) -> dict[str, Any]:
    """A task in the words of `docker service ps`."""
    status = task["Status"]
    node_id = task.get("NodeID", "")
    return {
        "id": task["ID"],
        "slot": task.get("Slot", 0),
        "node": node_names.get(node_id, node_id),
        "state": status["State"],
        "error": status.get("Err", ""),
        "image": task["Spec"]["ContainerSpec"]["Image"],
        "ports": [
            {
                "published_port": port.get("PublishedPort", 0),
                "target_port": port.get("TargetPort", 0),
                "protocol": port.get("Protocol", "tcp"),
                "mode": port.get("PublishMode", "ingress"),
            }
            for port in (status.get("PortStatus") or {}).get("Ports") or []
        ],
    }
