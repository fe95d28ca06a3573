# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people see of a service that is waited for: pure, from one look at it, its tasks and nodes.

It tells what `docker service` shows (docker/cli cli/command/service/progress): how many tasks of
how many, what each slot does, and what is being replaced. Whether that is enough is not decided
here, but in _ready.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._ready import (
    COMPLETE,
    RUNNING,
    TERMINAL,
    of_last_run,
    since,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    JOBS,
    REPLICATED,
    REPLICATED_JOB,
    mode_of,
    monitor_seconds,
)
from ansible_collections.shoal.swarm.plugins.module_utils._tasks import (
    OVER,
    count,
    image_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._units import engine_time
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Section

# More slots than these are told in numbers, as the CLI does it.
MOST_ROWS = 20

_STOPPED = ("shutdown", "remove", "orphaned")
_UPDATES = {"updating": "update in progress", "rollback_started": "rolling back"}

Document = Mapping[str, Any]
# The number of the replica, or 0, and what the slot is called.
Slot = tuple[int, str]
# The state of a slot, and more about it.
Doing = tuple[str, str]
Where = Callable[[Document], str]


def service_progress(
    service: Document,
    tasks: Sequence[Document],
    up_to_date: Sequence[Document],
    nodes: Sequence[Document],
    is_done: bool = False,
) -> Section:
    """How many tasks are where they shall be, and what each slot does.

    `tasks` are all tasks of the service, `up_to_date` those of its present spec; `is_done` says
    that nothing is waited for any more. In the global modes a node is a slot.
    """
    spec, names = service["Spec"], _names(nodes)
    down = {node["ID"] for node in nodes if node["Status"]["State"] == "down"}
    update = service.get("UpdateStatus") or {}
    # A spec that comes back makes those of its tasks up to date that ended when it went.
    began = engine_time(update.get("StartedAt", ""))
    new = [
        task for task in of_last_run(service, up_to_date) if _is_meant(task) or since(task) >= began
    ]
    known = {task["ID"] for task in new}
    old = [task for task in tasks if task["ID"] not in known and _is_alive(task)]
    mode = mode_of(spec)
    has_slots = mode in (REPLICATED, REPLICATED_JOB)
    slots: dict[Slot, list[Document]] = {}
    for task in sorted((*new, *old), key=lambda task: _telling(task, known), reverse=True):
        slots.setdefault(_slot(task, has_slots, names), []).append(task)
    where = _places(names) if has_slots else _nowhere
    doing = {slot: _doing(found, known, where) for slot, found in slots.items()}

    counted = count(service, new, down)
    leading = [found[0] for found in slots.values()]
    hosts = sum(_is_meant(task) and task.get("NodeID") not in down for task in leading)
    wanted = counted.desired if has_slots else hosts
    reached, what = (
        (counted.completed, "are complete") if mode in JOBS else (counted.running, "run")
    )
    text = f"{reached} of {wanted} tasks {what}" if wanted else "no tasks"
    if update.get("State") in _UPDATES:
        text += f", {_UPDATES[update['State']]}"
    elif 0 < wanted == reached and mode not in JOBS and not is_done:
        text += f", watched for {monitor_seconds(spec):g} s"
    return Section(f"service {spec['Name']}", text, _rows(doing))


def removal_progress(title: str, tasks: Sequence[Document], nodes: Sequence[Document]) -> Section:
    """Which tasks of what was removed have not stopped yet."""
    names = _names(nodes)
    alive = [task for task in tasks if _is_alive(task)]
    has_slots = any(task.get("Slot") for task in alive)
    where = _places(names) if has_slots else _nowhere
    text = f"tasks left: {len(alive) or 'none'}"
    doing = {_slot(task, has_slots, names): ("stopping", where(task)) for task in alive}
    return Section(title, text, _rows(doing))


def _slot(task: Document, has_slots: bool, names: Mapping[str, str]) -> Slot:
    if has_slots:
        # Those of a job are counted from 0.
        number = task.get("Slot", 0) + ("JobIteration" in task)
        return number, f"slot {number}"
    return 0, names.get(task.get("NodeID", ""), "no node")


def _telling(task: Document, known: Collection[str]) -> tuple[Any, ...]:
    """Of the tasks of a slot, the greatest is the one to tell of."""
    is_known = task["ID"] in known
    return is_known and _is_meant(task), not is_known, since(task)


def _doing(found: Sequence[Document], known: Collection[str], where: Where) -> Doing:
    """What a slot does, by its tasks; nothing where it is to be empty and is so."""
    task, others = found[0], found[1:]
    state, place = task["Status"]["State"], where(task)
    if not _is_meant(task):
        if _is_alive(task):
            return "stopping", place
        if state in _STOPPED:
            return "", ""
    error = next((_error(t) for t in found if t["ID"] in known and _error(t)), "")
    if task["ID"] not in known:
        return "to be replaced", f": {_image(task)}{place}" + (f", {error}" if error else "")
    trouble = f": {error}" if error and state not in (RUNNING, COMPLETE) else ""
    before = next((other for other in others if other["ID"] not in known), None)
    replaced = f", replaces {_image(before)}{where(before)}" if before else ""
    return state, place + trouble + replaced


def _rows(doing: Mapping[Slot, Doing]) -> tuple[tuple[str, str], ...]:
    told = {slot: told for slot, told in doing.items() if any(told)}
    if len(told) > MOST_ROWS:
        states = Counter(state for state, _more in told.values())
        return tuple((state, str(count)) for state, count in sorted(states.items()))
    return tuple((name, "".join(told[number, name])) for number, name in sorted(told))


def _is_alive(task: Document) -> bool:
    return task["Status"]["State"] not in TERMINAL


def _is_meant(task: Document) -> bool:
    return task["DesiredState"] not in OVER


def _places(names: Mapping[str, str]) -> Where:
    def where(task: Document) -> str:
        node = task.get("NodeID")
        return f" on {names.get(node, node)}" if node else ""

    return where


def _nowhere(_task: Document) -> str:
    """Where the slot is the node, there is nothing to add."""
    return ""


def _image(task: Document) -> str:
    """Its image as short as people call it."""
    return image_of(task["Spec"]).partition("@")[0].rpartition("/")[2]


def _error(task: Document) -> str:
    return " ".join(task["Status"].get("Err", "").split())


def _names(nodes: Sequence[Document]) -> dict[str, str]:
    """What the nodes are called, by ID; one that is down is said to be."""
    names = {}
    for node in nodes:
        name = (node.get("Description") or {}).get("Hostname") or node["ID"]
        names[node["ID"]] = f"{name} (down)" if node["Status"]["State"] == "down" else name
    return names
