# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a manager knows of services and their tasks, in few requests however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import NotFound
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import mode_of
from ansible_collections.shoal.swarm.plugins.module_utils._tasks import (
    count,
    image_of,
    ports,
    tasks_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import name_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Run,
    patiently,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_info import (
    filters,
)

CURRENT, ALL = "current", "all"
TASKS = (CURRENT, ALL)

# The endpoint mode of who names none.
VIP = "vip"

# A filter: no networks that each node has for itself.
OF_THE_SWARM = {"scope": ["swarm"]}

Document = Mapping[str, Any]


def gather(engine: Engine, params: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """The services that were asked for; of one that was named also the API's own document."""
    require_manager(membership(engine.info()))
    return patiently(lambda: _read(engine, params), run.clock)


def _read(engine: Engine, params: Mapping[str, Any]) -> dict[str, Any]:
    name, history = params["name"], params["tasks"] == ALL
    if name is None:
        services = engine.services(filters(params["filters"]))
        return {"services": summaries(engine, services, history, bool(params["filters"]))}
    service = find(engine, name)
    return {
        "exists": service is not None,
        "service": service,
        "services": summaries(engine, [service] if service else [], history),
    }


def find(engine: Engine, reference: str) -> dict[str, Any] | None:
    """The service of that name or ID; the engine would take the beginning of an ID as well."""
    try:
        service = engine.service(reference)
    except NotFound:
        return None
    return service if reference in (service["ID"], service["Spec"]["Name"]) else None


def summaries(
    engine: Engine,
    services: Sequence[Document],
    history: bool,
    is_selection: bool = True,
    networks: Sequence[Document] | None = None,
) -> list[dict[str, Any]]:
    """The services, sorted by name; without a selection they are (nearly) all that there are.

    Networks are only asked for where somebody has an address in one and they are not given.
    """
    if not services:
        return []
    tasks = _tasks(engine, services, is_selection)
    nodes = engine.nodes()
    if networks is None:
        has_addresses = any((s.get("Endpoint") or {}).get("VirtualIPs") for s in services)
        networks = engine.networks(OF_THE_SWARM) if has_addresses else []
    return [
        summary(service, tasks[service["ID"]], nodes, networks, history)
        for service in sorted(services, key=lambda service: str(service["Spec"]["Name"]))
    ]


def _tasks(
    engine: Engine, services: Sequence[Document], is_selection: bool
) -> Mapping[str, list[Document]]:
    selected = {"service": [str(service["ID"]) for service in services]} if is_selection else None
    try:
        found = engine.tasks(selected)
    except NotFound:
        # One of them has been removed meanwhile, and for that the engine refuses to answer.
        found = engine.tasks()
    by_service: dict[str, list[Document]] = defaultdict(list)
    for task in found:
        by_service[task.get("ServiceID", "")].append(task)
    return by_service


def summary(
    service: Document,
    tasks: Sequence[Document],
    nodes: Sequence[Document],
    networks: Sequence[Document],
    history: bool = False,
) -> dict[str, Any]:
    """A service in the words of `docker service ls`, with what its tasks and its update do."""
    spec = service["Spec"]
    down = {node["ID"] for node in nodes if node["Status"]["State"] == "down"}
    counted = count(service, tasks, down)
    update = service.get("UpdateStatus") or {}
    return {
        "id": service["ID"],
        "name": spec["Name"],
        "mode": mode_of(spec),
        "image": image_of(spec["TaskTemplate"]),
        "desired": counted.desired,
        "running": counted.running,
        "completed": counted.completed,
        "labels": spec.get("Labels") or {},
        "update_status": {
            "state": update.get("State", ""),
            "message": update.get("Message", ""),
            "started_at": update.get("StartedAt", ""),
            "completed_at": update.get("CompletedAt", ""),
        },
        "endpoint": _endpoint(service, networks),
        "has_previous_spec": bool(service.get("PreviousSpec")),
        "version": service["Version"]["Index"],
        "created_at": service.get("CreatedAt", ""),
        "updated_at": service.get("UpdatedAt", ""),
        "tasks": tasks_of(service, tasks, {n["ID"]: name_of(n) for n in nodes}, history),
        "service_spec": spec,
    }


def _endpoint(service: Document, networks: Sequence[Document]) -> dict[str, Any]:
    names = {network["Id"]: network["Name"] for network in networks}
    endpoint = service.get("Endpoint") or {}
    return {
        # Without ports and networks the engine leaves the endpoint empty.
        "mode": (endpoint.get("Spec") or service["Spec"].get("EndpointSpec") or {}).get(
            "Mode", VIP
        ),
        "ports": ports(endpoint.get("Ports")),
        "virtual_ips": [
            {
                "network": names.get(address["NetworkID"], address["NetworkID"]),
                "network_id": address["NetworkID"],
                "address": address.get("Addr", ""),
            }
            for address in endpoint.get("VirtualIPs") or []
        ],
    }
