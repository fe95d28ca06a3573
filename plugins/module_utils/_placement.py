# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes could take a service's task: the filters of the swarm's scheduler, pure.

Sources: swarmkit manager/scheduler/filter.go and manager/constraint/constraint.go. What a network's
driver, a log driver or a cluster volume needs is not looked at.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._ready import COMPLETE, TERMINAL

Document = Mapping[str, Any]
# What a node holds: of each task its service's ID, its template, and the ports of its host.
Held = tuple[str, Document, Collection[tuple[str, int]]]

# Of a task that shall not run any more; a job's shall complete.
_OVER = tuple(state for state in TERMINAL if state != COMPLETE)
_KEY = re.compile(r"[a-z_][a-z0-9_.-]+\Z", re.IGNORECASE)
_NODE_LABEL, _ENGINE_LABEL = "node.labels.", "engine.labels."
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Homeless:
    """How many tasks of a service find no node, and why."""

    count: int
    reason: str


def takes_tasks(node: Document) -> bool:
    """Whether the scheduler gives new tasks to the node at all."""
    return bool(node["Status"]["State"] == "ready" and node["Spec"].get("Availability") == "active")


def homeless(
    moves: Mapping[str, int],
    services: Sequence[Document],
    tasks: Sequence[Document],
    nodes: Sequence[Document],
    names: Mapping[str, str],
) -> dict[str, Homeless]:
    """Of so many tasks of each service (by ID) those that none of these nodes could take.

    Each one that could be placed takes its room from the next. `tasks` are all that there are, and
    `names` what the nodes are called.
    """
    specs = {service["ID"]: service["Spec"] for service in services}
    held = held_by(nodes, services, tasks)
    found = {}
    for service_id, count in moves.items():
        spec = specs[service_id]
        placed: Held = (service_id, spec["TaskTemplate"], _host_ports(spec))
        for left in range(count, 0, -1):
            reasons = {n["ID"]: why_not(service_id, spec, n, held[n["ID"]]) for n in nodes}
            free = [node_id for node_id, reason in reasons.items() if not reason]
            if not free:
                found[service_id] = Homeless(left, _explained(reasons, names))
                break
            emptiest = min(free, key=lambda node_id: sum(h[0] == placed[0] for h in held[node_id]))
            held[emptiest].append(placed)
    return found


def held_by(
    nodes: Sequence[Document], services: Sequence[Document], tasks: Sequence[Document]
) -> dict[str, list[Held]]:
    """What each of the nodes (by ID) has. What is about to stop still has its ports and resources,
    but is none of its service's tasks any more."""
    ports = {service["ID"]: _host_ports(service["Spec"]) for service in services}
    held: dict[str, list[Held]] = {node["ID"]: [] for node in nodes}
    for task in tasks:
        node_id, service_id = task.get("NodeID") or "", task.get("ServiceID") or ""
        if node_id in held and task["Status"]["State"] not in TERMINAL:
            owner = "" if task["DesiredState"] in _OVER else service_id
            held[node_id].append((owner, task.get("Spec") or {}, ports.get(service_id, ())))
    return held


def _explained(reasons: Mapping[str, str], names: Mapping[str, str]) -> str:
    """Each reason with the nodes that it is true of."""
    nodes: dict[str, list[str]] = {}
    for node_id, reason in reasons.items():
        nodes.setdefault(reason, []).append(names[node_id])
    told = [f"{reason} on {', '.join(sorted(where))}" for reason, where in nodes.items()]
    return "; ".join(told) or "no other node takes tasks"


def why_not(service_id: str, spec: Document, node: Document, held: Sequence[Held] = ()) -> str:
    """Why the node cannot take one more task of the service; empty where it can.

    `spec` is the service's, `held` what the node has already.
    """
    template = spec["TaskTemplate"]
    placement = template.get("Placement") or {}
    if not has_resources(template, node, [template for _id, template, _ports in held]):
        return "too few resources"
    if not has_volume_drivers(template, node):
        return "no such volume driver"
    if not meets(placement.get("Constraints") or (), node):
        return "constraints not satisfied"
    if not runs_platform(placement.get("Platforms") or (), node):
        return "another platform"
    used = {port for _id, _template, ports in held for port in ports}
    if used & _host_ports(spec):
        return "host port in use"
    most = placement.get("MaxReplicas") or 0
    if most and sum(holder == service_id for holder, _template, _ports in held) >= most:
        return f"{most} of its tasks already, and no more may be"
    return ""


# Constraints


def meets(constraints: Sequence[str], node: Document) -> bool:
    """Whether the node satisfies all of them. Values are compared without regard to case."""
    parsed = [_parsed(constraint) for constraint in constraints]
    # As the scheduler does: what cannot be read rules nobody out.
    if None in parsed:
        return True
    return all(constraint is None or _meets(*constraint, node) for constraint in parsed)


def _parsed(constraint: str) -> tuple[str, bool, str] | None:
    """Key, whether it shall be equal, value; none where it is no constraint."""
    for operator in ("==", "!="):
        key, found, value = constraint.partition(operator)
        if found:
            valid = _KEY.match(key.strip()) and value.strip()
            return (key.strip(), operator == "==", value.strip()) if valid else None
    return None


def _meets(key: str, is_equal: bool, value: str, node: Document) -> bool:
    lowered = key.lower()
    if lowered == "node.ip":
        return _is_address(value, (node.get("Status") or {}).get("Addr") or "") is is_equal
    description = node.get("Description") or {}
    platform = description.get("Platform") or {}
    engine = description.get("Engine") or {}
    known = {
        "node.id": node["ID"],
        "node.hostname": description.get("Hostname"),
        # The role that it has by now, not the one that it shall have.
        "node.role": "manager" if node.get("ManagerStatus") else "worker",
        "node.platform.os": platform.get("OS"),
        "node.platform.arch": platform.get("Architecture"),
    }
    if lowered in known:
        actual = known[lowered]
    elif lowered.startswith(_NODE_LABEL):
        # The key of a label is compared to the letter.
        actual = (node["Spec"].get("Labels") or {}).get(key[len(_NODE_LABEL) :])
    elif lowered.startswith(_ENGINE_LABEL):
        actual = (engine.get("Labels") or {}).get(key[len(_ENGINE_LABEL) :])
    else:
        return False
    return ((actual or "").casefold() == value.casefold()) is is_equal


def _is_address(value: str, address: str) -> bool | None:
    """Whether it is that address or in that subnet; none, and so no match, where it is neither."""
    try:
        subnet = ipaddress.ip_network(value, strict=False)
        return ipaddress.ip_address(address) in subnet
    except ValueError:
        return None


# The other filters


def runs_platform(platforms: Sequence[Document], node: Document) -> bool:
    """Whether the node runs one of them; none named is any."""
    if not platforms:
        return True
    actual = (node.get("Description") or {}).get("Platform") or {}

    def fits(wanted: Document) -> bool:
        architecture = _architecture(wanted)
        return architecture in ("", _architecture(actual)) and (wanted.get("OS") or "") in (
            "",
            actual.get("OS"),
        )

    return any(fits(platform) for platform in platforms)


def _architecture(platform: Document) -> str:
    name = str(platform.get("Architecture") or "")
    return _ARCHITECTURES.get(name, name)


def has_resources(template: Document, node: Document, held: Sequence[Document]) -> bool:
    """Whether what the task reserves is left on the node beside what others have reserved."""
    wanted = _reserved(template)
    if not any(wanted.values()):
        return True
    left = _amounts((node.get("Description") or {}).get("Resources") or {})
    for other in held:
        left.subtract(_reserved(other))
    return all(amount <= left[kind] for kind, amount in wanted.items())


def _reserved(template: Document) -> Counter[str]:
    return _amounts((template.get("Resources") or {}).get("Reservations") or {})


def _amounts(resources: Document) -> Counter[str]:
    amounts: Counter[str] = Counter(
        {name: resources.get(name) or 0 for name in ("NanoCPUs", "MemoryBytes")}
    )
    for resource in resources.get("GenericResources") or ():
        discrete = resource.get("DiscreteResourceSpec")
        if discrete:
            amounts[f"generic {discrete['Kind']}"] += discrete.get("Value") or 0
        else:
            amounts[f"generic {resource['NamedResourceSpec']['Kind']}"] += 1
    return amounts


def has_volume_drivers(template: Document, node: Document) -> bool:
    """Whether the node has the plugins of the volumes that the task mounts."""
    engine = (node.get("Description") or {}).get("Engine")
    if engine is None:
        return True
    plugins = {
        plugin["Name"] for plugin in engine.get("Plugins") or () if plugin["Type"] == "Volume"
    }
    return all(
        driver in plugins or f"{driver}:latest" in plugins for driver in _volume_drivers(template)
    )


def _volume_drivers(template: Document) -> set[str]:
    mounts = (template.get("ContainerSpec") or {}).get("Mounts") or ()
    drivers = {
        ((mount.get("VolumeOptions") or {}).get("DriverConfig") or {}).get("Name")
        for mount in mounts
        if mount.get("Type") == "volume"
    }
    return {driver for driver in drivers if driver and driver != "local"}


def _host_ports(spec: Document) -> set[tuple[str, int]]:
    """The ports that each task takes of its host."""
    return {
        (port.get("Protocol") or "tcp", port["PublishedPort"])
        for port in (spec.get("EndpointSpec") or {}).get("Ports") or ()
        if port.get("PublishMode") == "host" and port.get("PublishedPort")
    }


# Spreading


def could_be_better_spread(
    spec: Document, node: Document, nodes: Sequence[Document], counts: Mapping[str, int]
) -> bool:
    """Whether the scheduler, asked anew, would give the node one of the service's tasks.

    It has none, while another of these `nodes`, of which it is one, has two more. Where the service
    prefers to be spread over labels, the same is asked first of the nodes of each label value.
    """
    if counts.get(node["ID"]):
        return False
    preferences = (spec["TaskTemplate"].get("Placement") or {}).get("Preferences") or ()
    near = list(nodes)
    for preference in preferences:
        descriptor = (preference.get("Spread") or {}).get("SpreadDescriptor") or ""
        groups: dict[str, list[Document]] = {}
        for other in near:
            groups.setdefault(_value_of(descriptor, other), []).append(other)
        near = groups.pop(_value_of(descriptor, node))
        if not _total(near, counts):
            return any(_total(group, counts) > 1 for group in groups.values())
    return any(counts.get(other["ID"], 0) > 1 for other in near)


def _value_of(descriptor: str, node: Document) -> str:
    lowered = descriptor.lower()
    if lowered.startswith(_NODE_LABEL):
        labels = node["Spec"].get("Labels") or {}
        return str(labels.get(descriptor[len(_NODE_LABEL) :]) or "")
    if lowered.startswith(_ENGINE_LABEL):
        engine = (node.get("Description") or {}).get("Engine") or {}
        return str((engine.get("Labels") or {}).get(descriptor[len(_ENGINE_LABEL) :]) or "")
    return ""


def _total(nodes: Sequence[Document], counts: Mapping[str, int]) -> int:
    return sum(counts.get(node["ID"], 0) for node in nodes)
