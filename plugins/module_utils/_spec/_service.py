# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service as options: the rows of the ServiceSpec."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    CPUS,
    DURATION,
    INTEGER,
    NUMBER,
    SIZE,
    TEXT,
    TEXT_SET,
    TEXTS,
    Kind,
    Row,
    labels_beside,
    text_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._units import NANOSECONDS

# What `docker stack` and our own stacks remember in a service's labels is not the task's to clear.
STACK_LABELS = "com.docker.stack."

REPLICATED = "replicated"
GLOBAL = "global"
MODES = {REPLICATED: "Replicated", GLOBAL: "Global"}
# As in docker_swarm_service: leave the number alone.
KEEP_REPLICAS = -1


def _command(value: Any) -> list[str]:
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError as error:
            raise InvalidOption(f"cannot be split as a shell would: {error}") from None
    if isinstance(value, Sequence):
        return [text_of(part) for part in value]
    raise InvalidOption(f"must be a text or a list of texts, not {type(value).__name__}")


def _environment(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return sorted(f"{name}={text_of(item)}" for name, item in value.items())
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, Sequence):
        return sorted(str(item) for item in value)
    raise InvalidOption("must be a mapping, or a list of NAME=value")


def _same_image(before: str, image: str) -> bool:
    """A digest that the swarm has pinned is no difference where the task gives only a tag.

    Neither is the tag `latest`, which `docker service create` writes out.
    """
    if "@" in image:
        return before == image
    return _with_tag(before.partition("@")[0]) == _with_tag(image)


def _with_tag(image: str) -> str:
    return image if not image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def _ports(value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "Protocol": port["protocol"],
            "TargetPort": port["target_port"],
            "PublishedPort": port["published_port"] or 0,
            "PublishMode": port["mode"],
        }
        for port in value
    ]


def _ports_canonical(value: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    ports = [
        {
            "Protocol": port.get("Protocol") or "tcp",
            "TargetPort": port.get("TargetPort") or 0,
            "PublishedPort": port.get("PublishedPort") or 0,
            "PublishMode": port.get("PublishMode") or "ingress",
        }
        for port in value or []
    ]
    return sorted(ports, key=lambda port: tuple(str(part) for part in port.values()))


def _ports_shown(value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "published_port": port["PublishedPort"],
            "target_port": port["TargetPort"],
            "protocol": port["Protocol"],
            "mode": port["PublishMode"],
        }
        for port in value
    ]


def _networks(value: Sequence[Any]) -> list[dict[str, Any]]:
    networks = []
    for given in value:
        network: Any = {"name": given} if isinstance(given, str) else given
        if (
            not isinstance(network, Mapping)
            or set(network) - {"name", "aliases", "options"}
            or not isinstance(network.get("name"), str)
            or not network["name"]
        ):
            raise InvalidOption(
                f"a network is a name, or a mapping of name, aliases and options, not {given!r}"
            )
        entry: dict[str, Any] = {"Target": network["name"]}
        if network.get("aliases"):
            entry["Aliases"] = list(network["aliases"])
        if network.get("options"):
            entry["DriverOpts"] = {k: text_of(v) for k, v in network["options"].items()}
        networks.append(entry)
    return networks


def _networks_canonical(value: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    networks = [
        {
            "Target": network.get("Target"),
            "Aliases": sorted(network.get("Aliases") or []),
            "DriverOpts": network.get("DriverOpts") or {},
        }
        for network in value or []
    ]
    return sorted(networks, key=lambda network: str(network["Target"]))


def _networks_shown(value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": network["Target"],
            "aliases": network.get("Aliases") or [],
            "options": network.get("DriverOpts") or {},
        }
        for network in value
    ]


def _preferences(value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if any(set(preference) != {"spread"} for preference in value):
        raise InvalidOption("each preference is written as spread: node.labels.NAME")
    return [{"Spread": {"SpreadDescriptor": item["spread"]}} for item in value]


def _preferences_shown(value: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"spread": item["Spread"]["SpreadDescriptor"]} for item in value]


IMAGE = Kind("str", matches=_same_image, empty="")
COMMAND = Kind("raw", to_api=_command, canonical=lambda v: list(v or []), empty=[])
ENVIRONMENT = Kind("raw", to_api=_environment, canonical=lambda v: sorted(v or []), empty=[])
PORTS = Kind(
    "list",
    elements="dict",
    to_api=_ports,
    to_user=_ports_shown,
    canonical=_ports_canonical,
    empty=[],
)
NETWORKS = Kind(
    "list",
    elements="raw",
    to_api=_networks,
    to_user=_networks_shown,
    canonical=_networks_canonical,
    empty=[],
)
PREFERENCES = Kind(
    "list",
    elements="dict",
    to_api=_preferences,
    to_user=_preferences_shown,
    canonical=lambda value: list(value or []),
    empty=[],
)

_PORT_ARGUMENTS = {
    "published_port": {"type": "int"},
    "target_port": {"type": "int", "required": True},
    "protocol": {"type": "str", "default": "tcp", "choices": ["tcp", "udp"]},
    "mode": {"type": "str", "choices": ["ingress", "host"], "default": "ingress"},
}

_GROUP = Kind("dict")
_TASK = ("TaskTemplate",)
_CONTAINER = (*_TASK, "ContainerSpec")
_PLACEMENT = (*_TASK, "Placement")
_LIMITS = (*_TASK, "Resources", "Limits")

# Defaults: swarmkit api/defaults/service.go, which the engine applies where nothing is stored.
ROWS: tuple[Row, ...] = (
    Row("image", IMAGE, (*_CONTAINER, "Image")),
    Row("replicas", INTEGER, ("Mode", "Replicated", "Replicas"), default=1),
    Row("command", COMMAND, (*_CONTAINER, "Command")),
    Row("args", TEXTS, (*_CONTAINER, "Args")),
    Row("env", ENVIRONMENT, (*_CONTAINER, "Env")),
    Row("labels", labels_beside(STACK_LABELS), ("Labels",)),
    Row("publish", PORTS, ("EndpointSpec", "Ports"), argument={"options": _PORT_ARGUMENTS}),
    Row("networks", NETWORKS, (*_TASK, "Networks")),
    Row(
        "placement",
        _GROUP,
        rows=(
            Row("constraints", TEXT_SET, (*_PLACEMENT, "Constraints")),
            Row("preferences", PREFERENCES, (*_PLACEMENT, "Preferences")),
            Row("replicas_max_per_node", INTEGER, (*_PLACEMENT, "MaxReplicas"), since="1.40"),
        ),
    ),
    Row(
        "update_config",
        _GROUP,
        rows=(
            Row("parallelism", INTEGER, ("UpdateConfig", "Parallelism"), default=1),
            Row("delay", DURATION, ("UpdateConfig", "Delay")),
            Row(
                "failure_action",
                TEXT,
                ("UpdateConfig", "FailureAction"),
                default="pause",
                argument={"choices": ["continue", "pause", "rollback"]},
            ),
            Row("monitor", DURATION, ("UpdateConfig", "Monitor"), default=5 * NANOSECONDS["s"]),
            Row("max_failure_ratio", NUMBER, ("UpdateConfig", "MaxFailureRatio")),
            Row(
                "order",
                TEXT,
                ("UpdateConfig", "Order"),
                default="stop-first",
                argument={"choices": ["start-first", "stop-first"]},
            ),
        ),
    ),
    Row(
        "limits",
        _GROUP,
        rows=(
            Row("cpus", CPUS, (*_LIMITS, "NanoCPUs")),
            Row("memory", SIZE, (*_LIMITS, "MemoryBytes")),
        ),
    ),
)


def mode_of(spec: Mapping[str, Any]) -> str:
    """The mode of a stored spec, in the words of the option."""
    stored = spec.get("Mode") or {}
    return next((mode for mode, key in MODES.items() if key in stored), ", ".join(stored))


def monitor_seconds(spec: Mapping[str, Any]) -> float:
    """How long a new task must keep running to count as a success."""
    monitor = (spec.get("UpdateConfig") or {}).get("Monitor")
    return (monitor or 5 * NANOSECONDS["s"]) / NANOSECONDS["s"]
