# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stack is made of. It is converted on the controller, and carried out on a manager."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import given

Document = Mapping[str, Any]
# The name and the ID of a secret or config in the swarm; it has no ID as long as it is to be made.
Target = tuple[str, str]


@dataclass(frozen=True)
class Stack:
    """Bodies for the API by full name, and what has to be there already.

    The specs of services name networks, secrets and configs, see `resolved`. A network that is
    external is one of the swarm's own; those that each node has are not among them. `newer` has
    what engines did not always know, and the API version that brought it.
    """

    name: str
    services: Mapping[str, dict[str, Any]]
    networks: Mapping[str, dict[str, Any]]
    secrets: Mapping[str, dict[str, Any]]
    configs: Mapping[str, dict[str, Any]]
    external_networks: tuple[str, ...] = ()
    external_secrets: tuple[str, ...] = ()
    external_configs: tuple[str, ...] = ()
    newer: tuple[tuple[str, str], ...] = ()


def packed(stack: Stack) -> str:
    """The stack as it travels to the module: one text, of which nothing can be read by accident."""
    return base64.b64encode(zlib.compress(json.dumps(vars(stack)).encode())).decode()


def unpacked(text: str) -> Stack:
    return Stack(**json.loads(zlib.decompress(base64.b64decode(text))))


def resolved(
    spec: Document,
    networks: Mapping[str, str],
    secrets: Mapping[str, Target],
    configs: Mapping[str, Target],
) -> dict[str, Any]:
    """The service's spec with the IDs of the networks, secrets and configs that it names.

    What is not known here keeps the ID that it has, or none.
    """
    task = spec["TaskTemplate"]
    container = dict(task["ContainerSpec"])
    for kind, targets in (("Secret", secrets), ("Config", configs)):
        if f"{kind}s" in container:
            container[f"{kind}s"] = [
                _reference(kind, reference, targets) for reference in container[f"{kind}s"]
            ]
    credentials = (container.get("Privileges") or {}).get("CredentialSpec")
    if credentials:
        config = credentials.get("Config", "")
        name, config_id = configs.get(config, (config, ""))
        container["Privileges"] = {
            **container["Privileges"],
            "CredentialSpec": {**credentials, "Config": config_id or name},
        }
    attachments = [
        {**attachment, "Target": networks.get(attachment["Target"], attachment["Target"])}
        for attachment in task.get("Networks") or []
    ]
    task = {**task, "ContainerSpec": container, "Networks": attachments}
    return {**spec, "TaskTemplate": task}


def _reference(kind: str, reference: Document, targets: Mapping[str, Target]) -> dict[str, Any]:
    given_name = reference[f"{kind}Name"]
    name, object_id = targets.get(given_name, (given_name, ""))
    known = object_id or reference.get(f"{kind}ID")
    return given({**reference, f"{kind}Name": name, f"{kind}ID": known})
