# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a service is what its spec says: pure, from one look at the service, tasks and nodes.

The rules are those by which `docker service` shows progress (docker/cli
cli/command/service/progress), but a rollback is not a success, and every wait ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    MODES,
    REPLICATED,
    monitor_seconds,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict

RUNNING = "running"
TERMINAL = ("complete", "shutdown", "failed", "rejected", "orphaned", "remove")
_ORDER = (
    "new",
    "allocated",
    "pending",
    "assigned",
    "accepted",
    "preparing",
    "ready",
    "starting",
    RUNNING,
    *TERMINAL,
)

# UpdateStatus.State, where it ends the wait.
ROLLED_BACK = "rollback_completed"
_FAILED_UPDATES = {
    "paused": "the update was paused",
    "rollback_paused": "the rollback was paused",
    ROLLED_BACK: "the update failed and was rolled back",
}

Document = Mapping[str, Any]


def service_converged(
    service: Document,
    tasks: Sequence[Document],
    nodes: Sequence[Document],
    now: datetime,
    has_written: bool,
) -> Look:
    """Every slot runs an up-to-date task and has done so for the monitor window.

    `tasks` are the up-to-date ones only; `now` is the engine's own time. Only for who has written
    the spec is a rollback the end of that update: it stays in the status until the next one, and
    to ask for what it went back to is no failure.
    """
    update = service.get("UpdateStatus") or {}
    state = update.get("State")
    errors = task_errors(tasks, nodes)
    if state in _FAILED_UPDATES and (has_written or state != ROLLED_BACK):
        return Look(
            Verdict.FAILED, _joined(_FAILED_UPDATES[state], update.get("Message", ""), errors)
        )
    running, wanted = _counts(service["Spec"], tasks, nodes)
    if len(running) != wanted:
        return Look(Verdict.WAIT, _joined(f"{len(running)} of {wanted} tasks are running", errors))
    if wanted == 0 and MODES[REPLICATED] not in service["Spec"]["Mode"]:
        return Look(Verdict.WAIT, _joined("no node has a task of it", errors))
    if state in ("updating", "rollback_started"):
        return Look(Verdict.WAIT, _joined(f"the update is in state {state}", errors))
    youngest = max((engine_time(task["Status"]["Timestamp"]) for task in running), default=None)
    monitor = monitor_seconds(service["Spec"])
    if state != "completed" and youngest and (now - youngest).total_seconds() < monitor:
        return Look(Verdict.WAIT, f"all tasks run, but not yet for {monitor:g} s")
    return Look(Verdict.DONE)


def _counts(
    spec: Document, tasks: Sequence[Document], nodes: Sequence[Document]
) -> tuple[list[Document], int]:
    """The running task of each slot, and how many there shall be."""
    down = {node["ID"] for node in nodes if node["Status"]["State"] == "down"}
    replicated = spec["Mode"].get(MODES[REPLICATED])
    slots: dict[Any, Document] = {}
    for task in sorted(tasks, key=_liveliness):
        if task.get("NodeID") in down and replicated is not None:
            continue
        slots.setdefault(task.get("Slot") or task.get("NodeID"), task)
    running = [
        task
        for task in slots.values()
        if task["Status"]["State"] == RUNNING
        and task["DesiredState"] == RUNNING
        and task.get("NodeID") not in down
    ]
    if replicated is not None:
        replicas = replicated.get("Replicas")
        return running, 1 if replicas is None else replicas
    # A node that was drained, or lost a label, keeps its last task, which shall not run any more.
    meant = {task.get("NodeID") for task in tasks if task["DesiredState"] not in TERMINAL}
    return running, len(meant - down - {None})


def _liveliness(task: Document) -> tuple[int, int]:
    return _rank(task["DesiredState"]), _rank(task["Status"]["State"])


def _rank(state: str) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


def tasks_gone(tasks: Sequence[Document]) -> Look:
    """No task of a removed service is alive on any node."""
    alive = [task for task in tasks if task["Status"]["State"] not in TERMINAL]
    if alive:
        return Look(Verdict.WAIT, f"{len(alive)} tasks have not stopped yet")
    return Look(Verdict.DONE)


def task_errors(tasks: Sequence[Document], nodes: Sequence[Document]) -> str:
    """What the newest troubled tasks say, each reason once."""
    names = {node["ID"]: (node.get("Description") or {}).get("Hostname", "") for node in nodes}
    reasons: dict[str, str] = {}
    for task in sorted(tasks, key=lambda task: task["Status"]["Timestamp"], reverse=True):
        reason = task["Status"].get("Err")
        if reason and reason not in reasons:
            where = names.get(task.get("NodeID"), "")
            reasons[reason] = (
                f"{task['Status']['State']}{' on ' + where if where else ''}: {reason}"
            )
    return "; ".join(list(reasons.values())[:3])


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def engine_time(text: str) -> datetime:
    """RFC 3339 with nanoseconds, which Python 3.9 does not read by itself."""
    match = re.match(r"(\d+-\d+-\d+T\d+:\d+:\d+)(?:\.(\d{1,6})\d*)?(Z|[+-]\d+:\d+)\Z", text)
    if not match:
        return datetime.fromtimestamp(0, timezone.utc)
    seconds, fraction, zone = match.groups()
    zone = "+00:00" if zone == "Z" else zone
    return datetime.fromisoformat(f"{seconds}.{(fraction or '0').ljust(6, '0')}{zone}")
