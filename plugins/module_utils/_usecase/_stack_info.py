# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a manager knows of stacks, in few requests however many there are.

A stack is no object of the engine. What belongs to it says so in a label, as the CLI has it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import NAMESPACE
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import references
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Run,
    patiently,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_info import (
    ALL,
    OF_THE_SWARM,
    summaries,
)
from ansible_collections.shoal.swarm.plugins.module_utils._versions import (
    base_of,
    number_of,
    shared_labels,
)

Document = Mapping[str, Any]
Part = list[dict[str, Any]]


def gather(engine: Engine, params: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """The stack that was asked for, or all of them."""
    require_manager(membership(engine.info()))
    return patiently(lambda: _read(engine, params), run.clock)


def _read(engine: Engine, params: Mapping[str, Any]) -> dict[str, Any]:
    name = params["name"]
    belongs = {"label": [NAMESPACE if name is None else f"{NAMESPACE}={name}"]}
    # All of them: another stack's service can use a secret of this one.
    services = engine.services()
    used = {used_id for service in services for used_id in references(service["Spec"])}
    mine = [service for service in services if _is_of(name, service["Spec"])]
    networks = engine.networks(OF_THE_SWARM)
    history = params["tasks"] == ALL
    stacks = grouped(
        {
            "services": summaries(engine, mine, history, name is not None, networks),
            "networks": sorted(map(_network, networks), key=lambda network: str(network["name"])),
            "secrets": _versions(engine.secrets(belongs), used),
            "configs": _versions(engine.configs(belongs), used),
        }
    )
    if name is not None:
        stacks = [stack for stack in stacks if stack["name"] == name]
    return {
        **({} if name is None else {"exists": bool(stacks)}),
        "stacks": stacks,
        "results": [
            {"Name": stack["name"], "Services": str(len(stack["services"]))}
            for stack in stacks
            if stack["services"]
        ],
    }


def grouped(parts: Mapping[str, Part]) -> list[dict[str, Any]]:
    """The stacks, sorted by name, each with its share of all parts and the sums of its services."""
    stacks: dict[str, dict[str, Part]] = {}
    for part, items in parts.items():
        for item in items:
            name = item["labels"].get(NAMESPACE)
            if name:
                stacks.setdefault(name, {each: [] for each in parts})[part].append(item)
    return [
        {
            "name": name,
            **{
                count: sum(service[count] for service in stack["services"])
                for count in ("desired", "running", "completed")
            },
            **stack,
        }
        for name, stack in sorted(stacks.items())
    ]


def _is_of(name: str | None, spec: Document) -> bool:
    namespace = (spec.get("Labels") or {}).get(NAMESPACE)
    return bool(namespace) and name in (None, namespace)


def _network(network: Document) -> dict[str, Any]:
    return {
        "id": network["Id"],
        "name": network["Name"],
        "driver": network["Driver"],
        "labels": shared_labels(network),
    }


def _versions(objects: Sequence[Document], used: Collection[str]) -> Part:
    """Secrets or configs, the versions of each in their order; never what is in them."""
    return sorted(
        (
            {
                "id": item["ID"],
                "name": item["Spec"]["Name"],
                "labels": shared_labels(item["Spec"]),
                "version_of": base_of(item["Spec"]),
                "version": number_of(item["Spec"]),
                "in_use": item["ID"] in used,
            }
            for item in objects
        ),
        key=lambda item: (item["version_of"], item["version"], item["name"]),
    )
