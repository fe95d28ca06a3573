# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a drain does at each stage, whether that has come about, and what speaks against it.

All of it is pure, from what is seen and the little that a `Task` remembers. What has to be known
beyond the end of this process is in the swarm itself: a service that runs more tasks than it had,
for the time of a drain, has a label that says so.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import Refused
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    NodeState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._placement import (
    Homeless,
    could_be_better_spread,
    held_by,
    homeless,
    takes_tasks,
    why_not,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._progress import service_progress
from ansible_collections.shoal.swarm.plugins.module_utils._ready import (
    IN_PROGRESS,
    ROLLBACK_PAUSED,
    RUNNING,
    TERMINAL,
    service_converged,
    task_errors,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    REPLICATED,
    force_count,
    mode_of,
    monitor_seconds,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import OWN_LABELS
from ansible_collections.shoal.swarm.plugins.module_utils._tasks import OVER, task_name
from ansible_collections.shoal.swarm.plugins.module_utils._units import (
    NANOSECONDS,
    duration,
    engine_time,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import (
    Request,
    find,
    name_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import (
    decide as decide_nodes,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Section, Verdict

DRAINED, ACTIVE, PAUSED = "drained", "active", "paused"
STATES = (DRAINED, ACTIVE, PAUSED)
STOP_FIRST, START_FIRST = "stop_first", "start_first"
STRATEGIES = (STOP_FIRST, START_FIRST)
# Availability, in the words of the API.
DRAIN, PAUSE = "drain", "pause"
AVAILABILITY = {DRAINED: DRAIN, ACTIVE: "active", PAUSED: PAUSE}

# On a service that runs more tasks for a while: how many it had, has, and for which nodes' sake.
SURGE_LABEL = f"{OWN_LABELS}surge"
_SURGE = re.compile(r"from (\d+) to (\d+) for (.+)")

# Any write of the service takes up again what was paused (swarmkit manager/controlapi/service.go).
_UNDER_WAY = (*IN_PROGRESS, "paused", ROLLBACK_PAUSED)
# Of a task in these states its node knows nothing yet.
_NOT_THERE_YET = ("new", "allocated", "pending")
# swarmkit api/defaults/service.go
_GRACE = 10 * NANOSECONDS["s"]
# So many slots are sorted by every version of Go without a change in the order of equal ones.
_SORTED_STABLY = 6

NEVER = engine_time("")

Document = Mapping[str, Any]


class Stage(Enum):
    """What is done and then waited for, one after the other."""

    # The nodes take no new tasks, and the replacements of those that they have are started.
    SURGE = "surge"
    # The nodes give up their tasks.
    DRAIN = "drain"
    # The nodes become active or paused, and services are spread again.
    SET = "set"
    # The tasks stop that were too many for the time being.
    RETURN = "return"


@dataclass(frozen=True)
class Seen:
    """The swarm at one moment of its engine's own clock."""

    nodes: Sequence[Document] = ()
    services: Sequence[Document] = ()
    tasks: Sequence[Document] = ()
    now: datetime = NEVER

    def service(self, service_id: str) -> Document | None:
        return next((s for s in self.services if s["ID"] == service_id), None)

    def tasks_of(self, service_id: str) -> list[Document]:
        return [task for task in self.tasks if task.get("ServiceID") == service_id]

    def named(self, node_ids: Collection[str]) -> list[Document]:
        return [node for node in self.nodes if node["ID"] in node_ids]

    def names(self) -> dict[str, str]:
        return {node["ID"]: name_of(node) or node["ID"] for node in self.nodes}


@dataclass(frozen=True)
class Task:
    """What is asked for, and what was so when it began; services go by their IDs.

    `before` is each node's availability, `moved` how many tasks of each service shall run on other
    nodes in the end, `surging` how many more it shall run meanwhile, `forced` the number that
    forces its update, and `affected` are the names of the services.
    """

    nodes: Sequence[str]
    names: Sequence[str]
    state: str
    strategy: str = STOP_FIRST
    before: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, int] = field(default_factory=dict)
    surging: Mapping[str, int] = field(default_factory=dict)
    forced: Mapping[str, int] = field(default_factory=dict)
    affected: Sequence[str] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        if self.state != DRAINED:
            return (Stage.SET, Stage.RETURN)
        first = (Stage.SURGE,) if self.strategy == START_FIRST else ()
        return (*first, Stage.DRAIN, Stage.RETURN)


# More tasks for a while


@dataclass(frozen=True)
class Surge:
    """A service runs `meanwhile` tasks instead of `before`, for a drain of these nodes."""

    before: int
    meanwhile: int
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        return f"from {self.before} to {self.meanwhile} for {' '.join(self.nodes)}"


def surge_of(service: Document) -> Surge | None:
    match = _SURGE.fullmatch((service["Spec"].get("Labels") or {}).get(SURGE_LABEL, ""))
    if not match:
        return None
    return Surge(int(match.group(1)), int(match.group(2)), tuple(match.group(3).split()))


def _in_effect(service: Document) -> Surge | None:
    """Where somebody has scaled the service since, the label alone is left of it."""
    surge = surge_of(service)
    return surge if surge and surge.meanwhile == _replicas(service["Spec"]) else None


def _ours(seen: Seen, task: Task) -> list[Document]:
    """The services that run more tasks, or did, for the sake of these nodes."""
    return [
        service
        for service in seen.services
        if not {*task.nodes}.isdisjoint((surge_of(service) or Surge(0, 0, ())).nodes)
    ]


def _replicas(spec: Document) -> int:
    stored = (spec.get("Mode") or {}).get("Replicated") or {}
    replicas = stored.get("Replicas")
    return 1 if replicas is None else int(replicas)


def _wanted(service: Document) -> int:
    """How many tasks it shall have, without those for the time being."""
    surge = _in_effect(service)
    return surge.before if surge else _replicas(service["Spec"])


# What runs where


def _busy(seen: Seen, node_ids: Collection[str]) -> list[Document]:
    """The services' tasks that are on these nodes now, whatever they shall do.

    A node that is down cannot tell, and what it had is running elsewhere by now.
    """
    down = {node["ID"] for node in seen.nodes if node["Status"]["State"] == "down"}
    return [
        task
        for task in seen.tasks
        if task.get("NodeID") in node_ids
        and task["NodeID"] not in down
        and task.get("ServiceID")
        and task["Status"]["State"] not in (*TERMINAL, *_NOT_THERE_YET)
    ]


def _is_meant(task: Document) -> bool:
    return task["DesiredState"] not in OVER


def _slots(tasks: Iterable[Document]) -> set[int]:
    return {task.get("Slot") or 0 for task in tasks}


def _running(seen: Seen, service_id: str, not_on: Collection[str], seconds: float = 0) -> set[int]:
    """The slots that run, on other nodes that answer, and have done so for so long."""
    answering = {node["ID"] for node in seen.nodes if node["Status"]["State"] == "ready"}
    return _slots(
        task
        for task in seen.tasks_of(service_id)
        if task["Status"]["State"] == RUNNING
        and task["DesiredState"] == RUNNING
        and task.get("NodeID") in answering.difference(not_on)
        and (
            not seconds
            or (seen.now - engine_time(task["Status"]["Timestamp"])).total_seconds() >= seconds
        )
    )


def _without_successor(seen: Seen, service_id: str) -> int:
    """How many slots the restart policy has given up: their last task gets no other.

    The next task of a slot is made together with the decision that the last one shall not run.
    """
    tasks = seen.tasks_of(service_id)
    ended = _slots(task for task in tasks if task["DesiredState"] == "shutdown")
    return len(ended - _slots(task for task in tasks if _is_meant(task)))


def _is_replaced(service: Document) -> bool:
    """Whether its tasks are started again elsewhere; those of other modes move in their own way."""
    policy = service["Spec"]["TaskTemplate"].get("RestartPolicy") or {}
    return mode_of(service["Spec"]) == REPLICATED and policy.get("Condition") != "none"


def _update_under_way(service: Document) -> str:
    state = str((service.get("UpdateStatus") or {}).get("State") or "")
    return state if state in _UNDER_WAY else ""


# Beginning


def begin(
    seen: Seen,
    references: Sequence[str],
    member: Membership,
    state: str,
    strategy: str = STOP_FIRST,
    force: bool = False,
    rebalance: bool = False,
) -> tuple[Task, tuple[str, ...]]:
    """The task and warnings, unless it would do harm that it is not forced to do."""
    # This refuses a node that is not there, or is named twice.
    decide_nodes(seen.nodes, [Request(name, availability=DRAIN) for name in references], member)
    ids = tuple(str(find(seen.nodes, name, member)["ID"]) for name in references)
    before = {node["ID"]: node["Spec"]["Availability"] for node in seen.named(ids)}
    names = [name_of(node) for node in seen.named(ids)]
    task = Task(ids, names, state, strategy, before)
    if state != DRAINED:
        return _with_spreading(seen, task) if rebalance and state == ACTIVE else (task, ())
    leaving = [node_id for node_id, availability in before.items() if availability != DRAIN]
    held = Counter(t["ServiceID"] for t in _busy(seen, leaving) if _is_meant(t))
    stranded = _stranded(seen, ids, held)
    reasons = _reasons_against(seen, task, leaving, held, stranded)
    if reasons and not force:
        raise Refused(
            f"{', '.join(names)} cannot be drained without harm: {'; '.join(reasons)}. Nothing was "
            "changed; force: true drains all the same"
        )
    affected = {task["ServiceID"] for task in _busy(seen, ids)}
    services = [service for service in seen.services if service["ID"] in affected]
    replaced = {s["ID"]: s for s in services if _is_replaced(s)}
    task = replace(
        task,
        moved={
            service_id: max(
                0, _alive(seen, s) - (stranded[service_id].count if service_id in stranded else 0)
            )
            for service_id, s in replaced.items()
        },
        surging={
            service_id: held[service_id]
            for service_id, s in replaced.items()
            if strategy == START_FIRST
            and held[service_id]
            and service_id not in stranded
            and not _update_under_way(s)
        },
        affected=sorted(service["Spec"]["Name"] for service in services),
    )
    return task, tuple(f"forced although {reason}" for reason in reasons)


def _alive(seen: Seen, service: Document) -> int:
    """How many of its slots run now, those that are about to stop included."""
    everywhere = {node["ID"] for node in seen.nodes}
    running = (t for t in _busy(seen, everywhere) if t["ServiceID"] == service["ID"])
    slots = _slots(task for task in running if task["Status"]["State"] == RUNNING)
    return min(_wanted(service), len(slots))


def _stranded(seen: Seen, ids: Collection[str], held: Mapping[str, int]) -> Mapping[str, Homeless]:
    """Of the tasks that have to move, those that nobody else could take."""
    moves = {}
    for service in seen.services:
        if held.get(service["ID"]) and _is_replaced(service):
            elsewhere = _slots(
                task
                for task in seen.tasks_of(service["ID"])
                if _is_meant(task) and task.get("NodeID") and task["NodeID"] not in ids
            )
            missing = max(0, _wanted(service) - len(elsewhere))
            moves[service["ID"]] = min(held[service["ID"]], missing)
    staying = [n for n in seen.nodes if takes_tasks(n) and n["ID"] not in ids]
    return homeless(moves, seen.services, seen.tasks, staying, seen.names())


def _reasons_against(
    seen: Seen,
    task: Task,
    leaving: Collection[str],
    held: Mapping[str, int],
    stranded: Mapping[str, Homeless],
) -> list[str]:
    taking = [node for node in seen.nodes if takes_tasks(node)]
    if any(node["ID"] in leaving for node in taking) and all(
        node["ID"] in task.nodes for node in taking
    ):
        return [
            "no other node takes tasks: make another one active first, or drain fewer at a time"
        ]
    reasons = []
    for service in seen.services:
        if held.get(service["ID"]) and mode_of(service["Spec"]) == REPLICATED:
            reason = _reason_against(seen, task, service, stranded.get(service["ID"]))
            if reason:
                reasons.append(f"service {service['Spec']['Name']}: {reason}")
    return reasons


def _reason_against(seen: Seen, task: Task, service: Document, stranded: Homeless | None) -> str:
    if not _is_replaced(service):
        return (
            "its restart policy is none, so that nothing takes the place of its tasks (scale it "
            "up elsewhere, or give it another restart_policy)"
        )
    if stranded:
        tasks = "its task" if _wanted(service) == 1 else f"{stranded.count} of its tasks"
        return (
            f"no other node can take {tasks}: {stranded.reason} (let another node take it, or "
            "change its placement)"
        )
    if task.strategy == START_FIRST:
        state = _update_under_way(service)
        if state:
            return (
                f"its update is {state}, and to start more of its tasks would take that up again "
                "(let the update end, or roll it back)"
            )
        surge = surge_of(service)
        others = seen.named(surge.nodes if surge else ())
        if others and {*task.nodes}.isdisjoint(node["ID"] for node in others):
            names = ", ".join(name_of(node) for node in others)
            return (
                f"it is just being moved away from {names} (wait for that; where it was "
                "interrupted, run it again)"
            )
        return ""
    if _running(seen, service["ID"], ()) and not _running(seen, service["ID"], task.nodes):
        return "all its running tasks are there, and none would run (use strategy: start_first)"
    return ""


def _with_spreading(seen: Seen, task: Task) -> tuple[Task, tuple[str, ...]]:
    """With the services that would have tasks on these nodes if they were placed anew."""
    nodes = [
        {**node, "Spec": {**node["Spec"], "Availability": AVAILABILITY[ACTIVE]}}
        if node["ID"] in task.nodes
        else node
        for node in seen.nodes
    ]
    nodes = [node for node in nodes if takes_tasks(node)]
    held = held_by(nodes, seen.services, seen.tasks)
    forced, names, warnings = {}, [], []
    for service in seen.services:
        service_id, spec = service["ID"], service["Spec"]
        if mode_of(spec) != REPLICATED:
            continue
        counts = {
            node_id: sum(owner == service_id for owner, _template, _ports in tasks)
            for node_id, tasks in held.items()
        }
        if not any(
            could_be_better_spread(spec, node, nodes, counts)
            and not why_not(service_id, spec, node, held[node["ID"]])
            for node in nodes
            if node["ID"] in task.nodes
        ):
            continue
        state = _update_under_way(service)
        if state:
            warnings.append(
                f"service {spec['Name']} is not spread again: its update is {state}, and that "
                "would be taken up again"
            )
            continue
        forced[service_id] = force_count(spec) + 1
        names.append(spec["Name"])
    return replace(task, forced=forced, affected=sorted(names)), tuple(warnings)


# Doing


def plan(stage: Stage, seen: Seen, task: Task) -> Plan:
    """The writes of a stage; none where all of it is so already."""
    if stage is Stage.SURGE:
        active = AVAILABILITY[ACTIVE]
        nodes = seen.named(task.nodes)
        ids = [node["ID"] for node in nodes if node["Spec"]["Availability"] == active]
        return Plan((*_availability(seen, ids, PAUSE), *_surges(seen, task)))
    if stage is Stage.DRAIN:
        return Plan(_availability(seen, task.nodes, DRAIN))
    if stage is Stage.SET:
        asked_for = _availability(seen, task.nodes, AVAILABILITY[task.state])
        return Plan((*asked_for, *_updates(seen, task)))
    return Plan(tuple(_scaled_back(service) for service in _ours(seen, task)))


def _availability(seen: Seen, ids: Iterable[str], availability: str) -> tuple[Action, ...]:
    requests = [Request(node_id, availability=availability) for node_id in ids]
    return decide_nodes(seen.nodes, requests, Membership(NodeState.ACTIVE)).actions


def _surges(seen: Seen, task: Task) -> Iterable[Action]:
    for service_id, number in task.surging.items():
        service = seen.service(service_id)
        if service is None:
            continue
        wanted = _wanted(service)
        surge = Surge(wanted, wanted + number, tuple(task.nodes))
        known = _in_effect(service)
        if known and known.meanwhile >= surge.meanwhile:
            continue
        name = service["Spec"]["Name"]
        yield _scaled(service, f"scale up service {name}", surge.meanwhile, str(surge))


def _scaled_back(service: Document) -> Action:
    name, surge = service["Spec"]["Name"], _in_effect(service)
    if surge:
        return _scaled(service, f"scale back service {name}", surge.before, "")
    return _scaled(service, f"clear the label of service {name}", None, "")


def _scaled(service: Document, summary: str, replicas: int | None, label: str) -> Action:
    """With so many replicas and that label, and all else as it is."""
    before = service["Spec"]
    spec = copy.deepcopy(dict(before))
    if replicas is not None:
        spec["Mode"]["Replicated"]["Replicas"] = replicas
    labels = {**(spec.get("Labels") or {}), SURGE_LABEL: label}
    spec["Labels"] = {key: text for key, text in labels.items() if key != SURGE_LABEL or text}
    return _update(service, summary, spec, _told)


def _told(spec: Document) -> dict[str, Any]:
    label = (spec.get("Labels") or {}).get(SURGE_LABEL)
    told: dict[str, Any] = {"replicas": _replicas(spec)}
    return {**told, "labels": {SURGE_LABEL: label}} if label else told


def _updates(seen: Seen, task: Task) -> Iterable[Action]:
    for service_id, number in task.forced.items():
        service = seen.service(service_id)
        # Counted from what was there first: one whose answer was lost is not done twice.
        if service is None or force_count(service["Spec"]) >= number:
            continue
        spec = copy.deepcopy(dict(service["Spec"]))
        spec["TaskTemplate"]["ForceUpdate"] = number
        name = spec["Name"]
        yield _update(
            service, f"update service {name}", spec, lambda s: {"force_update": force_count(s)}
        )


def _update(
    service: Document,
    summary: str,
    spec: dict[str, Any],
    told: Callable[[Document], dict[str, Any]],
) -> Action:
    arguments = {
        "service_id": service["ID"],
        "version": service["Version"]["Index"],
        "spec": spec,
    }
    return Action(
        summary, "service_update", arguments, told(service["Spec"]), told(spec), group="services"
    )


def foreseen(seen: Seen, task: Task) -> tuple[Action, ...]:
    """All the writes of all stages, as far as nobody else writes meanwhile."""
    actions: list[Action] = []
    for stage in task.stages:
        planned = plan(stage, seen, task).actions
        actions += planned
        seen = _imagined(seen, planned)
    return tuple(actions)


def _imagined(seen: Seen, actions: Iterable[Action]) -> Seen:
    specs = {
        action.arguments.get("service_id") or action.arguments["node_id"]: action.arguments["spec"]
        for action in actions
    }
    nodes = [{**node, "Spec": specs.get(node["ID"], node["Spec"])} for node in seen.nodes]
    services = [{**s, "Spec": specs.get(s["ID"], s["Spec"])} for s in seen.services]
    return replace(seen, nodes=nodes, services=services)


# Judging


def judge(stage: Stage, seen: Seen, task: Task) -> Look:
    """Whether what the stage has begun has come about."""
    look = _judged(stage, seen, task)
    return replace(look, view=_view(seen, task, look.verdict is Verdict.DONE))


def _judged(stage: Stage, seen: Seen, task: Task) -> Look:
    foreign = _set_by_others(stage, seen, task)
    if foreign:
        return Look(Verdict.FAILED, foreign)
    if stage is Stage.SET:
        looks = [*_spreading(seen, task), *_settling(seen, task, ())]
    elif stage is Stage.SURGE:
        looks = list(_replacing(seen, task))
    elif stage is Stage.DRAIN:
        looks = [
            *_leaving(seen, task),
            *_moving(seen, task),
            *_settling(seen, task, task.nodes),
        ]
    else:
        looks = list(_moving(seen, task))
    reasons = [look.reason for look in looks]
    verdict = Verdict.FAILED if any(x.verdict is Verdict.FAILED for x in looks) else Verdict.WAIT
    return Look(verdict, "; ".join(reasons)) if looks else Look(Verdict.DONE)


def _set_by_others(stage: Stage, seen: Seen, task: Task) -> str:
    for node in seen.named(task.nodes):
        availability = node["Spec"]["Availability"]
        allowed = {
            Stage.SURGE: (PAUSE, DRAIN),
            Stage.DRAIN: (DRAIN,),
        }.get(stage, (AVAILABILITY[task.state],))
        if availability not in allowed:
            return f"somebody else has set {name_of(node)} to {availability} meanwhile"
    gone = len(task.nodes) - len(seen.named(task.nodes))
    return f"{gone} of the nodes are not in the swarm any more" if gone else ""


def _waits(reason: str) -> Look:
    return Look(Verdict.WAIT, reason)


def _leaving(seen: Seen, task: Task) -> Iterable[Look]:
    """What is on the nodes still."""
    names = seen.names()
    for busy in _busy(seen, task.nodes):
        yield _waits(
            f"service {_service_name(seen, busy)}: {_task_name(seen, busy)} on "
            f"{names[busy['NodeID']]} is {busy['Status']['State']}{_stopping(busy)}"
        )


def _stopping(task: Document) -> str:
    if _is_meant(task):
        return ""
    container = (task.get("Spec") or {}).get("ContainerSpec") or {}
    grace = container.get("StopGracePeriod")
    return f" and has {duration(_GRACE if grace is None else grace)} to stop"


def _moving(seen: Seen, task: Task) -> Iterable[Look]:
    """Services that do not run elsewhere as often as they ran before."""
    for service_id, number in task.moved.items():
        service = seen.service(service_id)
        if service is None:
            continue
        most = max(0, _wanted(service) - _without_successor(seen, service_id))
        due, running = min(number, most), len(_running(seen, service_id, task.nodes))
        meant = _slots(filter(_is_meant, seen.tasks_of(service_id)))
        if running < due:
            yield _waits(_few(seen, service, running, due))
        elif len(meant) > _replicas(service["Spec"]):
            yield _waits(f"service {service['Spec']['Name']} is still being scaled")


def _replacing(seen: Seen, task: Task) -> Iterable[Look]:
    """Services of which not enough tasks run elsewhere to let go of those on the nodes."""
    for service in _ours(seen, task):
        surge = _in_effect(service)
        if surge:
            steady = _running(seen, service["ID"], task.nodes, monitor_seconds(service["Spec"]))
            if len(steady) < surge.before:
                running = len(_running(seen, service["ID"], task.nodes))
                yield _waits(_few(seen, service, running, surge.before))


def _settling(seen: Seen, task: Task, not_on: Collection[str]) -> Iterable[Look]:
    """Services that cannot be scaled back yet: a slot that does not run could be kept instead of
    one that does. Only one without a node is surely given up first."""
    for service in _ours(seen, task):
        surge = _in_effect(service)
        if surge:
            meant = [t for t in seen.tasks_of(service["ID"]) if _is_meant(t)]
            placed = _slots(t for t in meant if t.get("NodeID"))
            seconds = monitor_seconds(service["Spec"])
            steady = _running(seen, service["ID"], not_on, seconds)
            homeless_ones = _slots(t for t in meant if t["Status"].get("Err"))
            waiting = _slots(meant) - placed - homeless_ones
            if len(steady) < surge.before or placed - steady or waiting:
                running = len(_running(seen, service["ID"], not_on))
                yield _waits(_few(seen, service, running, surge.meanwhile))


def _few(seen: Seen, service: Document, running: int, due: int) -> str:
    name, tasks = service["Spec"]["Name"], seen.tasks_of(service["ID"])
    if running >= due:
        seconds = monitor_seconds(service["Spec"])
        return f"service {name}: its new tasks run, but not yet for {seconds:g} s"
    errors = task_errors([task for task in tasks if _is_meant(task)], seen.nodes)
    errors = errors or task_errors(tasks, seen.nodes)
    why = f" ({errors})" if errors else ""
    return f"service {name}: {running} of {due} tasks run on other nodes{why}"


def _spreading(seen: Seen, task: Task) -> Iterable[Look]:
    for service_id, number in task.forced.items():
        service = seen.service(service_id)
        if service is None:
            continue
        new = [
            t
            for t in seen.tasks_of(service_id)
            if force_count({"TaskTemplate": t["Spec"]}) >= number
        ]
        look = service_converged(service, new, seen.nodes, seen.now, has_written=True)
        if look.verdict is not Verdict.DONE:
            yield replace(look, reason=f"service {service['Spec']['Name']}: {look.reason}")


# Undoing


def undone(seen: Seen, task: Task) -> Plan:
    """The nodes as they were, where they are as this task has made them."""
    ids = [node["ID"] for node in seen.named(task.nodes) if node["ID"] in task.before]
    actions: list[Action] = []
    for node in seen.named(ids):
        if node["Spec"]["Availability"] in (PAUSE, DRAIN):
            actions += _availability(seen, [node["ID"]], task.before[node["ID"]])
    return Plan(tuple(actions))


def scaled_back(seen: Seen, task: Task) -> Plan:
    """Of the services that run more tasks for a while those that lose none that is needed."""
    return Plan(
        tuple(
            _scaled_back(service) for service in _ours(seen, task) if _loses_nothing(seen, service)
        )
    )


def left_scaled(seen: Seen, task: Task) -> list[str]:
    return [service["Spec"]["Name"] for service in _ours(seen, task)]


def _loses_nothing(seen: Seen, service: Document) -> bool:
    """Whether scaling back keeps as many tasks running as the service shall have.

    The swarm keeps those slots that are the first ones on their nodes, of several such those that
    run, of those the lower numbers, and last the ones that have no node (swarmkit
    manager/orchestrator/replicated/services.go).
    """
    surge = _in_effect(service)
    if surge is None:
        return True
    running = _running(seen, service["ID"], ())
    slots: dict[int, list[Document]] = {}
    for task in seen.tasks_of(service["ID"]):
        if _is_meant(task):
            slots.setdefault(task.get("Slot") or 0, []).append(task)
    on_node: Counter[str] = Counter()
    ranks = {}
    for slot in sorted(slots, key=lambda slot: (slot not in running, slot)):
        node_id = slots[slot][0].get("NodeID") if len(slots[slot]) == 1 else None
        if node_id:
            on_node[node_id] += 1
        ranks[slot] = on_node[node_id] if node_id else len(slots) + 1
    is_stable = len(slots) <= _SORTED_STABLY
    kept = sorted(slots, key=lambda slot: (ranks[slot], (slot not in running) is is_stable, slot))[
        : surge.before
    ]
    return len(running.intersection(kept)) >= min(surge.before, len(running))


# Showing


def _view(seen: Seen, task: Task, is_done: bool) -> tuple[Section, ...]:
    sections = []
    if task.state == DRAINED:
        for node in seen.named(task.nodes):
            rows = {
                _task_name(seen, busy): busy["Status"]["State"] + _stopping(busy)
                for busy in _busy(seen, [node["ID"]])
            }
            sections.append(
                Section(
                    f"node {name_of(node)}",
                    f"tasks left: {len(rows) or 'none'}",
                    tuple(sorted(rows.items())),
                )
            )
    for service_id in {**task.moved, **task.surging, **task.forced}:
        service = seen.service(service_id)
        if service is not None:
            tasks = seen.tasks_of(service_id)
            sections.append(service_progress(service, tasks, tasks, seen.nodes, is_done))
    return tuple(sections)


def _service_name(seen: Seen, task: Document) -> str:
    service = seen.service(task["ServiceID"])
    return str(service["Spec"]["Name"] if service else task["ServiceID"])


def _task_name(seen: Seen, task: Document) -> str:
    return task_name(task, _service_name(seen, task))
