# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tasks of a service: which of them count, how many, and in the words of `docker service ps`.

All of it is pure. Documents are as the API shows them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._ready import (
    COMPLETE,
    FAILED,
    RUNNING,
    TERMINAL,
    of_last_run,
    slot_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    JOBS,
    MODES,
    REPLICATED,
    REPLICATED_JOB,
    mode_of,
)

# The container has ended, and the node has told with which code. Of an orphaned task nobody knows.
_ENDED = (COMPLETE, "shutdown", *FAILED)
# DesiredState of a task that shall not be there any more; a job's tasks shall complete.
OVER = tuple(state for state in TERMINAL if state != COMPLETE)

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Count:
    """How many tasks a service shall have, how many run, and how many of a job have completed."""

    desired: int
    running: int
    completed: int


def tasks_of(
    service: Document,
    tasks: Sequence[Document],
    node_names: Mapping[str, str],
    history: bool = False,
) -> list[dict[str, Any]]:
    """A service's tasks in the words and the order of `docker service ps`.

    Of each slot (in the global modes: of each node) the newest, of a job those of its last run;
    with `history` also what the swarm remembers of earlier ones, each behind its successor.
    """
    mode = mode_of(service["Spec"])
    if not history:
        tasks = of_last_run(service, tasks)
    ordered = sorted(tasks, key=_created, reverse=True)
    ordered.sort(key=lambda task: _place(task, mode, node_names))
    if not history:
        newest: dict[Any, Document] = {}
        for task in ordered:
            newest.setdefault(_place(task, mode, node_names), task)
        ordered = list(newest.values())
    return [task_summary(task, service["Spec"]["Name"], node_names) for task in ordered]


def task_summary(
    task: Document, service_name: str, node_names: Mapping[str, str]
) -> dict[str, Any]:
    """One task; its exit code is None until the container has ended."""
    status = task["Status"]
    container_id = container_of(task)
    has_ended = container_id and status["State"] in _ENDED
    node_id = task.get("NodeID") or ""
    return {
        "id": task["ID"],
        "name": task_name(task, service_name),
        "slot": task.get("Slot") or 0,
        "node": node_names.get(node_id, node_id),
        "node_id": node_id,
        "state": status["State"],
        "desired_state": task["DesiredState"],
        "error": status.get("Err") or "",
        "message": status.get("Message") or "",
        "exit_code": status["ContainerStatus"].get("ExitCode", 0) if has_ended else None,
        "container_id": container_id,
        "image": image_of(task["Spec"]),
        "timestamp": status.get("Timestamp") or "",
        "ports": ports((status.get("PortStatus") or {}).get("Ports")),
    }


def container_of(task: Document) -> str:
    """The ID of its container; empty where there has been none."""
    return str((task["Status"].get("ContainerStatus") or {}).get("ContainerID") or "")


def task_name(task: Document, service_name: str) -> str:
    """`web.1`, or with the node's ID where there is no slot; the first of a job has slot 0."""
    return f"{service_name}.{task.get('Slot') or task.get('NodeID') or 0}"


def image_of(template: Document) -> str:
    """The image of a container, or of an engine's plugin."""
    container, plugin = template.get("ContainerSpec"), template.get("PluginSpec")
    return str((container or {}).get("Image") or (plugin or {}).get("Remote") or "")


def ports(stored: Iterable[Document] | None) -> list[dict[str, Any]]:
    """Published ports in the words of the option `publish`."""
    return [
        {
            "published_port": port.get("PublishedPort", 0),
            "target_port": port.get("TargetPort", 0),
            "protocol": port.get("Protocol", "tcp"),
            "mode": port.get("PublishMode", "ingress"),
        }
        for port in stored or []
    ]


def count(service: Document, tasks: Sequence[Document], down: Collection[str]) -> Count:
    """As `docker service ls` counts, but a task does not run on a node that is down.

    `down` are the IDs of those nodes. A job shall have as many tasks as shall complete, and a
    global service one on each node that has got one.
    """
    spec = service["Spec"]
    mode = mode_of(spec)
    tasks = list(of_last_run(service, tasks))
    alive = [task for task in tasks if task["DesiredState"] not in OVER]
    stored = spec["Mode"].get(MODES.get(mode, mode)) or {}
    if mode == REPLICATED:
        desired = stored.get("Replicas", 1)
    elif mode == REPLICATED_JOB:
        desired = stored.get("TotalCompletions", stored.get("MaxConcurrent", 1))
    else:
        desired = len({task.get("NodeID") for task in alive})
    states = [task["Status"]["State"] for task in alive if task.get("NodeID") not in down]
    return Count(
        desired=desired,
        running=states.count(RUNNING),
        completed=sum(task["Status"]["State"] == COMPLETE for task in tasks) if mode in JOBS else 0,
    )


def _place(task: Document, mode: str, node_names: Mapping[str, str]) -> tuple[int, str, str]:
    slot = slot_of(task, mode)
    return (0, node_names.get(slot, ""), slot) if isinstance(slot, str) else (slot, "", "")


def _created(task: Document) -> tuple[str, str]:
    # Go leaves out the zeros at a fraction's end, so the texts alone do not sort.
    seconds, _dot, fraction = str(task.get("CreatedAt", "")).rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")
