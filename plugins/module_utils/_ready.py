# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a service is what its spec says: pure, from one look at the service, tasks and nodes.

The rules are those by which `docker service` shows progress (docker/cli
cli/command/service/progress), but a rollback is not a success, and every wait ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    GLOBAL,
    GLOBAL_JOB,
    JOBS,
    mode_of,
    monitor_seconds,
)
from ansible_collections.shoal.swarm.plugins.module_utils._units import engine_time
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict

RUNNING = "running"
COMPLETE = "complete"
FAILED = ("failed", "rejected")
TERMINAL = (COMPLETE, "shutdown", *FAILED, "orphaned", "remove")
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

# UpdateStatus.State
ROLLED_BACK = "rollback_completed"
ROLLBACK_PAUSED = "rollback_paused"
ROLLING_BACK = "rollback_started"
IN_PROGRESS = ("updating", ROLLING_BACK)
ROLLBACKS = (ROLLING_BACK, ROLLBACK_PAUSED, ROLLED_BACK)
_FAILED_UPDATES = {
    "paused": "the update was paused",
    ROLLBACK_PAUSED: "the rollback was paused",
    ROLLED_BACK: "the update failed and was rolled back",
}

Document = Mapping[str, Any]


def service_converged(
    service: Document,
    tasks: Sequence[Document],
    nodes: Sequence[Document],
    now: datetime,
    has_written: bool,
    accepts_rollback: bool = False,
) -> Look:
    """Every slot runs an up-to-date task and has done so for the monitor window; a job is complete.

    `tasks` are the up-to-date ones only; `now` is the engine's own time. Only for who has written
    the spec is a rollback the end of that update: it stays in the status until the next one, and
    to ask for what it went back to is no failure.
    """
    update = service.get("UpdateStatus") or {}
    state = update.get("State")
    mode = mode_of(service["Spec"])
    tasks = of_last_run(service, tasks)
    errors = task_errors(tasks, nodes, mode in JOBS)
    is_fine = state == ROLLED_BACK and (accepts_rollback or not has_written)
    if state in _FAILED_UPDATES and not is_fine:
        return Look(
            Verdict.FAILED, _joined(_FAILED_UPDATES[state], update.get("Message", ""), errors)
        )
    if mode in JOBS:
        return _job_done(service["Spec"], tasks, nodes, errors)
    return _all_running(service["Spec"], state, tasks, nodes, now, errors)


def _all_running(
    spec: Document,
    update_state: str | None,
    tasks: Sequence[Document],
    nodes: Sequence[Document],
    now: datetime,
    errors: str,
) -> Look:
    dead = _given_up(spec, tasks, nodes)
    running, finished, wanted = _counts(spec, tasks, nodes)
    if mode_of(spec) == GLOBAL:
        wanted += dead
    if len(running) + finished != wanted:
        # While an update is under way the updater decides what a failed task means.
        if dead and update_state not in IN_PROGRESS:
            return Look(
                Verdict.FAILED, _joined(f"{dead} of {wanted} tasks have ended for good", errors)
            )
        return Look(Verdict.WAIT, _joined(f"{len(running)} of {wanted} tasks are running", errors))
    if wanted == 0 and mode_of(spec) == GLOBAL:
        return Look(Verdict.WAIT, _joined("no node has a task of it", errors))
    if update_state in IN_PROGRESS:
        return Look(Verdict.WAIT, _joined(f"the update is in state {update_state}", errors))
    youngest = max(map(since, running), default=None)
    monitor = monitor_seconds(spec)
    # Also after an update: that it is completed says nothing of tasks that have failed since.
    if youngest and (now - youngest).total_seconds() < monitor:
        return Look(Verdict.WAIT, _joined(f"all tasks run, but not yet for {monitor:g} s", errors))
    return Look(Verdict.DONE)


def _job_done(
    spec: Document, tasks: Sequence[Document], nodes: Sequence[Document], errors: str
) -> Look:
    newest = _newest_of_slots(spec, tasks)
    complete = sum(1 for task in newest if task["Status"]["State"] == COMPLETE)
    job = spec["Mode"].get("ReplicatedJob")
    if job is None:
        total = len(newest)
        if not total:
            return Look(Verdict.WAIT, "no node has a task of it")
    else:
        total = _number(job.get("TotalCompletions"), _number(job.get("MaxConcurrent"), 1))
    if complete >= total:
        return Look(Verdict.DONE)
    dead = _failed_too_often(spec, tasks)
    if dead:
        return Look(
            Verdict.FAILED, _joined(f"{dead} of {total} tasks have failed for good", errors)
        )
    return Look(Verdict.WAIT, _joined(f"{complete} of {total} tasks are complete", errors))


def _number(value: int | None, default: int) -> int:
    return default if value is None else value


def of_last_run(service: Document, tasks: Sequence[Document]) -> Sequence[Document]:
    """Of a job's tasks those that it has now, of another service's all."""
    if mode_of(service["Spec"]) not in JOBS:
        return tasks
    run = _iteration(service.get("JobStatus"))
    return [task for task in tasks if _iteration(task) == run]


def _iteration(document: Document | None) -> int:
    # The first one is number 0, which the API leaves out.
    return int(((document or {}).get("JobIteration") or {}).get("Index") or 0)


def slot_of(task: Document, mode: str) -> Any:
    """What has one task at a time: a node in the global modes, else a slot, of a job from 0 on."""
    return task.get("NodeID") or "" if mode in (GLOBAL, GLOBAL_JOB) else task.get("Slot") or 0


def since(task: Document) -> datetime:
    """When the task came into the state that it is in."""
    return engine_time(task["Status"]["Timestamp"])


def _by_slot(spec: Document, tasks: Sequence[Document]) -> list[list[Document]]:
    """The tasks of each slot, the most alive one first, of several dead ones the newest."""
    mode = mode_of(spec)
    slots: dict[Any, list[Document]] = {}
    newest_first = sorted(tasks, key=since, reverse=True)
    for task in sorted(newest_first, key=_liveliness):
        slots.setdefault(slot_of(task, mode), []).append(task)
    return list(slots.values())


def _newest_of_slots(spec: Document, tasks: Sequence[Document]) -> list[Document]:
    return [slot[0] for slot in _by_slot(spec, tasks)]


def _counts(
    spec: Document, tasks: Sequence[Document], nodes: Sequence[Document]
) -> tuple[list[Document], int, int]:
    """The running task of each slot, how many slots have finished well, and how many there are."""
    down = {node["ID"] for node in nodes if node["Status"]["State"] == "down"}
    # A new leader knows of no node, until it hears of it, whether what ran there still does.
    silent = {node["ID"] for node in nodes if node["Status"]["State"] != "ready"}
    replicated = spec["Mode"].get("Replicated")
    if replicated is not None:
        tasks = [task for task in tasks if task.get("NodeID") not in down]
    newest = _newest_of_slots(spec, tasks)
    running = [
        task
        for task in newest
        if task["Status"]["State"] == RUNNING
        and task["DesiredState"] == RUNNING
        and task.get("NodeID") not in silent
    ]
    may_finish = _may_finish(spec)
    finished = sum(1 for t in newest if may_finish and t["Status"]["State"] == COMPLETE)
    if replicated is not None:
        return running, finished, _number(replicated.get("Replicas"), 1)
    # A node that was drained, or lost a label, keeps its last task, which shall not run any more.
    meant = {task.get("NodeID") for task in tasks if task["DesiredState"] not in TERMINAL}
    return running, finished, len(meant - down - {None}) + finished


def _restart_policy(spec: Document) -> Document:
    return spec["TaskTemplate"].get("RestartPolicy") or {}


def _may_finish(spec: Document) -> bool:
    """Who does not want a task started again that has ended well, has one that may end."""
    return _restart_policy(spec).get("Condition") in ("none", "on-failure")


def _given_up(spec: Document, tasks: Sequence[Document], nodes: Sequence[Document]) -> int:
    """How many slots have ended badly and will not be started again.

    The swarm makes the next task of a slot together with its decision that the last one shall not
    run any more (swarmkit manager/orchestrator/restart), so a slot without one gets none.
    """
    bad = FAILED if _may_finish(spec) else (*FAILED, COMPLETE)
    # Nor does a node without one that shall have none.
    is_global = mode_of(spec) == GLOBAL
    usable = {node["ID"] for node in nodes if _is_usable(node)}
    return sum(
        1
        for task in _newest_of_slots(spec, tasks)
        if task["Status"]["State"] in bad
        and task["DesiredState"] == "shutdown"
        and (not is_global or task.get("NodeID") in usable)
    )


def _is_usable(node: Document) -> bool:
    return node["Status"]["State"] != "down" and node["Spec"].get("Availability") != "drain"


def _failed_too_often(spec: Document, tasks: Sequence[Document]) -> int:
    """How many slots of a job have failed more often than its restart policy allows.

    The swarm gives up such a slot only until another task of the job ends, and then fills it again,
    without end (manager/orchestrator/jobs; so seen on 26.1).
    """
    policy = _restart_policy(spec)
    allowed = 0 if policy.get("Condition") == "none" else policy.get("MaxAttempts") or None
    if allowed is None or policy.get("Window"):
        return 0
    return sum(
        1
        for slot in _by_slot(spec, tasks)
        if slot[0]["Status"]["State"] != COMPLETE
        and sum(task["Status"]["State"] in FAILED for task in slot) > allowed
    )


def _liveliness(task: Document) -> tuple[int, int]:
    # All that is over is equally dead.
    desired = min(_rank(task["DesiredState"]), _rank(COMPLETE))
    return desired, min(_rank(task["Status"]["State"]), _rank(COMPLETE))


def _rank(state: str) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


def tasks_gone(tasks: Sequence[Document], nodes: Sequence[Document]) -> Look:
    """No task of a removed service is alive on a node that could tell.

    What ran on a node that is down is not waited for: it ends when the node comes back. Neither is
    a job's task that never found a node: Engine 20.10 keeps it for ever as one that waits.
    """
    down = {node["ID"] for node in nodes if node["Status"]["State"] == "down"}
    alive = [
        task
        for task in tasks
        if task["Status"]["State"] not in TERMINAL
        and task.get("NodeID") not in down
        and (task.get("NodeID") or "JobIteration" not in task)
    ]
    if alive:
        return Look(Verdict.WAIT, f"{len(alive)} tasks have not stopped yet")
    return Look(Verdict.DONE)


def task_errors(
    tasks: Sequence[Document], nodes: Sequence[Document], may_complete: bool = False
) -> str:
    """What the newest troubled tasks say, each reason once."""
    names = {node["ID"]: (node.get("Description") or {}).get("Hostname", "") for node in nodes}
    reasons: dict[str, str] = {}
    for task in sorted(tasks, key=since, reverse=True):
        reason = task["Status"].get("Err")
        if not reason and not may_complete and task["Status"]["State"] == COMPLETE:
            reason = "its container has ended, with exit code 0"
        if reason and reason not in reasons:
            where = names.get(task.get("NodeID"), "")
            reasons[reason] = (
                f"{task['Status']['State']}{' on ' + where if where else ''}: {reason}"
            )
    return "; ".join(list(reasons.values())[:3])


def newest_failure(tasks: Sequence[Document]) -> Document | None:
    """The task that failed last, and had a container: the one whose log tells why."""
    failed = [
        task
        for task in tasks
        if task["Status"]["State"] in (*FAILED, COMPLETE)
        and (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
    ]
    return max(failed, key=since, default=None)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
