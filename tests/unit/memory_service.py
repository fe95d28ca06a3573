# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service of the memory swarm, and what its orchestrator makes of its tasks.

The rules are swarmkit's (manager/orchestrator), but tasks that differ from the spec are replaced
all at once.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from ansible_collections.shoal.swarm.tests.unit.memory_objects import volumes_of
from ansible_collections.shoal.swarm.tests.unit.memory_store import Document, Thing

if TYPE_CHECKING:
    from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Node, Swarm

SECOND = 10**9
# States in which a task has come to its end.
FAILED = ("failed", "rejected")
ENDED = ("complete", "shutdown", *FAILED)
# DesiredState of a task that may yet do something.
MEANT = ("ready", "running", "complete")


@dataclass(frozen=True)
class Ending:
    """A container that ends by itself: so many seconds after its start, with these exit codes.

    Each task of a slot takes the next code; the last one stays.
    """

    codes: tuple[int, ...] = (0,)
    after: float = 1.0


Place = tuple[int, str]


class Service(Thing):
    """A service and its tasks."""

    def __init__(self, swarm: Swarm, service_id: str, spec: Document, auth: str = "") -> None:
        super().__init__(swarm, service_id, spec)
        self.previous: Document | None = None
        self.update_status: Document | None = None
        self.tasks: list[Document] = []
        # The registry's credentials, which no answer ever holds.
        self.auth = auth
        # How often a job has been run before.
        self.iteration = 0
        self.run_at = swarm.world.timestamp()

    def document(self) -> Document:
        document = {
            **super().document(),
            "CreatedAt": "2026-01-01T00:00:00.000000000Z",
            "UpdatedAt": "2026-01-01T00:00:00.000000000Z",
            "Endpoint": {"Spec": self.spec.get("EndpointSpec") or {}},
        }
        if self.previous is not None:
            document["PreviousSpec"] = self.previous
        if self.update_status is not None:
            document["UpdateStatus"] = self.update_status
        if self.is_job():
            document["JobStatus"] = {
                "JobIteration": _version(self.iteration),
                "LastExecution": self.run_at,
            }
        return document

    # What kind it is, and where its tasks may be

    def is_job(self) -> bool:
        return not {"ReplicatedJob", "GlobalJob"}.isdisjoint(self.spec["Mode"])

    def is_global(self) -> bool:
        return not {"Global", "GlobalJob"}.isdisjoint(self.spec["Mode"])

    def place_of(self, task: Document) -> Place:
        return (0, task.get("NodeID", "")) if self.is_global() else (task.get("Slot", 0), "")

    def meets(self, node: Node) -> bool:
        constraints = (self.spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or []
        return all(_meets(node, constraint) for constraint in constraints)

    def eligible(self) -> list[Node]:
        return [
            node
            for node in self.swarm.nodes
            if node.state == "ready" and node.spec["Availability"] == "active" and self.meets(node)
        ]

    def paused(self) -> list[Node]:
        """Nodes that take no tasks, and have one of this service."""
        held = {task.get("NodeID") for task in self.tasks if task["DesiredState"] in MEANT}
        return [
            node
            for node in self.swarm.nodes
            if node.state == "ready" and node.spec["Availability"] == "pause" and node.id in held
        ]

    def active_on(self, node: Node) -> int:
        return sum(
            task.get("NodeID") == node.id and task["DesiredState"] in MEANT for task in self.tasks
        )

    def candidates(self) -> list[Node]:
        """Where another task could be."""
        placement = self.spec["TaskTemplate"].get("Placement") or {}
        most = placement.get("MaxReplicas") or len(self.tasks) + 1
        return [node for node in self.eligible() if self.active_on(node) < most]

    def wanted_places(self) -> list[Place]:
        if self.is_global():
            # A paused node keeps the task that it has.
            return [(0, node.id) for node in (*self.eligible(), *self.paused())]
        if "ReplicatedJob" in self.spec["Mode"]:
            total = self.spec["Mode"]["ReplicatedJob"]["TotalCompletions"]
            return [(slot, "") for slot in range(total)]
        return [(slot, "") for slot in self.wanted_slots()]

    def wanted_slots(self) -> list[int]:
        """Those that there are, and the lowest free numbers; or of too many the best ones.

        The first ones on their nodes, of several such those that run, of those the lower numbers;
        those without a node come last (orchestrator/replicated/services.go).
        """
        replicas = self.spec["Mode"]["Replicated"]["Replicas"]
        slots: dict[int, Document] = {}
        for task in self.tasks:
            if task["DesiredState"] in MEANT or self.has_given_up(task):
                slots[task["Slot"]] = task
        if len(slots) <= replicas:
            free = (slot for slot in count(1) if slot not in slots)
            return sorted([*slots, *islice(free, replicas - len(slots))])
        on_node: Counter[str] = Counter()
        ranks = {}
        for slot in sorted(slots, key=lambda slot: (not _is_running(slots[slot]), slot)):
            node_id = slots[slot].get("NodeID", "")
            on_node[node_id] += 1
            ranks[slot] = (not node_id, on_node[node_id], not _is_running(slots[slot]), slot)
        return sorted(sorted(slots, key=ranks.__getitem__)[:replicas])

    # Which tasks are as the spec says

    def key(self) -> Document:
        """What makes a task dirty when it differs; written defaults count (task.go)."""
        return {"Task": self.spec["TaskTemplate"], "Endpoint": self.spec.get("EndpointSpec")}

    def is_current(self, task: Document) -> bool:
        key, its_key = self.key(), task["key"]
        if key == its_key:
            return True
        # A placement that its node meets is no reason to replace it.
        node = self.swarm.node_of(task)
        return _without_placement(key) == _without_placement(its_key) and bool(
            node and self.meets(node)
        )

    def can_stay(self, task: Document) -> bool:
        node = self.swarm.node_of(task)
        if node is None:
            return not self.candidates()
        return node.state == "ready" and node.spec["Availability"] != "drain"

    def has_given_up(self, task: Document) -> bool:
        """It has ended by itself, and the restart policy makes no other in its place."""
        return task["DesiredState"] == "shutdown" and task.get("gave_up", False)

    # The orchestrators

    def place_tasks(self) -> None:
        if self.is_job():
            self.place_job()
            return
        wanted = self.wanted_places()
        missing = list(wanted)
        for task in list(self.tasks):
            place = self.place_of(task)
            stays = place in missing and self.is_current(task)
            if task["DesiredState"] not in MEANT:
                if stays and self.has_given_up(task) and not self.is_rolling_back():
                    missing.remove(place)
            elif stays and self.can_stay(task):
                missing.remove(place)
            else:
                self.stop(task, "shutdown" if place in wanted or self.is_global() else "remove")
        for place in missing:
            self.start(place)

    def place_job(self) -> None:
        """Each place shall complete once in this run; one that was given up is filled again."""
        for task in list(self.tasks):
            is_old = task["JobIteration"] != _version(self.iteration)
            if is_old and task["Status"]["State"] not in ENDED:
                self.stop(task, "remove")
        tasks = self.tasks_of_run()
        complete = [task for task in tasks if task["Status"]["State"] == "complete"]
        alive = [t for t in tasks if t not in complete and t["DesiredState"] in MEANT]
        taken = {self.place_of(task) for task in (*complete, *alive)}
        missing = [place for place in self.wanted_places() if place not in taken]
        if not self.is_global():
            at_once = self.spec["Mode"]["ReplicatedJob"]["MaxConcurrent"]
            missing = missing[: max(0, at_once - len(alive))]
        for place in missing:
            self.start(place)

    def tasks_of_run(self) -> list[Document]:
        return [task for task in self.tasks if task["JobIteration"] == _version(self.iteration)]

    # A task's life

    def start(self, place: Place, desired: str = "") -> Document:
        world = self.swarm.world
        slot, node_id = place
        self.swarm.index += 1
        task: Document = {
            "ID": world.identifier(),
            "Version": {"Index": self.swarm.index},
            "CreatedAt": world.timestamp(),
            "ServiceID": self.id,
            "Spec": copy.deepcopy(self.spec["TaskTemplate"]),
            "DesiredState": desired or ("complete" if self.is_job() else "running"),
            "key": copy.deepcopy(self.key()),
            "labels": dict(self.spec["Labels"]),
            "log": [],
        }
        if slot:
            task["Slot"] = slot
        if self.is_job():
            task["JobIteration"] = _version(self.iteration)
        earlier = [other for other in self.tasks if self.place_of(other) == place]
        candidates = self.candidates()
        self.tasks.append(task)
        if not candidates and not node_id:
            count = len(self.swarm.nodes)
            nodes = "node" if count == 1 else "nodes"
            self.become(
                task,
                "pending",
                f"no suitable node (scheduling constraints not satisfied on {count} {nodes})",
            )
            return task
        # The scheduler prefers a node where it has not failed yet, and of those the one with the
        # fewest tasks of the service.
        failed_on = {t.get("NodeID") for t in earlier if t["Status"]["State"] in FAILED}
        turn = (slot + len(earlier)) % len(candidates) if candidates else 0
        in_turn = [*candidates[turn:], *candidates[:turn]]
        best = min(in_turn, key=lambda n: (n.id in failed_on, self.active_on(n)), default=None)
        task["NodeID"] = node_id or (best.id if best else "")
        stopping = [other for other in earlier if other["Status"]["State"] not in ENDED]
        if stopping and not desired:
            # It waits, ready, until the one before it has stopped (orchestrator/restart).
            task["DesiredState"] = "ready"
            stopping[-1]["next"] = task
        if task["DesiredState"] == "ready":
            self.become(task, "ready")
        else:
            # Not endlessly often in no time.
            has_failed = any(other["Status"]["State"] in FAILED for other in earlier)
            self.prepare(task, 0.5 if has_failed else 0.0)
        return task

    def prepare(self, task: Document, after: float = 0.0) -> None:
        world = self.swarm.world
        self.become(task, "preparing")
        world.schedule(max(world.delays.task, after), lambda: self.run(task))

    def run(self, task: Document) -> None:
        world = self.swarm.world
        if task["Status"]["State"] != "preparing":
            return
        image = task["Spec"]["ContainerSpec"]["Image"].partition("@")[0]
        if image in world.broken_images:
            self.end(task, "rejected", world.broken_images[image])
            return
        self.become(task, "running")
        node = self.swarm.node_of(task)
        if node and node.daemon:
            for name, labels in volumes_of(task):
                node.daemon.add_volume(name, labels)
        for stream, text in world.output.get(image, ()):
            task["log"].append((world.timestamp(), stream, text))
        ending = world.endings.get(image)
        if ending:
            tasks = self.tasks_of_run() if self.is_job() else self.tasks
            before = sum(
                1
                for other in tasks
                if self.place_of(other) == self.place_of(task) and other["Status"]["State"] in ENDED
            )
            code = ending.codes[min(before, len(ending.codes) - 1)]
            world.schedule(ending.after, lambda: self.exit(task, code))

    def exit(self, task: Document, code: int) -> None:
        if task["Status"]["State"] != "running":
            return
        task["Status"]["ContainerStatus"].update({"PID": 0, "ExitCode": code})
        if code:
            self.end(task, "failed", f"task: non-zero exit ({code})")
        else:
            self.end(task, "complete")

    def become(self, task: Document, state: str, error: str = "") -> None:
        container = task.get("Status", {}).get("ContainerStatus")
        if state == "running":
            container = {"ContainerID": self.swarm.world.identifier(64), "PID": 1, "ExitCode": 0}
        task["Status"] = {"Timestamp": self.swarm.world.timestamp(), "State": state}
        if container:
            task["Status"]["ContainerStatus"] = container
        if error:
            task["Status"]["Err"] = error

    def stop(self, task: Document, desired: str) -> None:
        """At once in what it shall do; in what it does when its grace period is over."""
        task["DesiredState"] = desired
        grace = self.swarm.world.delays.stop
        if grace and task["Status"]["State"] == "running":
            self.swarm.world.schedule(grace, lambda: self.stopped(task))
        else:
            self.stopped(task)

    def stopped(self, task: Document) -> None:
        if task["Status"]["State"] not in ENDED:
            self.become(task, "shutdown")
        if task["DesiredState"] == "remove" and task in self.tasks:
            self.tasks.remove(task)
        if "next" in task:
            self.restart(task.pop("next"))

    # What has ended, and what comes after it (orchestrator/restart)

    def end(self, task: Document, state: str, error: str = "") -> None:
        self.become(task, state, error)
        self.fail_update(task)
        if self.is_job():
            # It looks at all places before it thinks of this one, and fills again what the policy
            # has given up.
            self.place_job()
        if task["DesiredState"] not in MEANT or (self.is_job() and state == "complete"):
            return
        task["DesiredState"] = "shutdown"
        if self.restarts(task):
            after = self.start(self.place_of(task), "ready")
            after["restarts"] = task.get("restarts", 0) + 1
            delay = self.policy(task).get("Delay", 5 * SECOND)
            self.swarm.world.schedule(delay / SECOND, lambda: self.restart(after))
        else:
            task["gave_up"] = True

    def restart(self, task: Document) -> None:
        if task["DesiredState"] == "ready":
            task["DesiredState"] = "complete" if self.is_job() else "running"
            if task["Status"]["State"] == "ready":
                self.prepare(task, 0.5)

    def policy(self, task: Document) -> Document:
        return task["Spec"].get("RestartPolicy") or {}

    def restarts(self, task: Document) -> bool:
        condition = self.policy(task).get("Condition", "any")
        if condition == "none":
            return False
        if condition == "on-failure" and task["Status"]["State"] == "complete":
            return False
        attempts = self.policy(task).get("MaxAttempts", 0)
        return not attempts or task.get("restarts", 0) < attempts

    # Updates and rollbacks

    def update(self, version: str | None, spec: Document, auth: str) -> None:
        before = self.spec
        self.write(version, spec)
        # Even when nothing differs: the target of a rollback is gone, and so is the last verdict.
        self.previous = before
        self.update_status = None
        self.auth = auth or self.auth
        self.begin("updating", "update in progress")

    def roll_back(self, version: str | None) -> None:
        """As asked by hand: the two specs change places."""
        assert self.previous is not None
        before = self.spec
        self.write(version, self.previous)
        self.previous = before
        self.begin("rollback_started", "manually requested rollback")

    def is_rolling_back(self) -> bool:
        return (self.update_status or {}).get("State") == "rollback_started"

    def begin(self, state: str, message: str) -> None:
        """The spec has changed: tasks that differ from it are replaced."""
        if self.is_job():
            self.iteration += 1
            self.run_at = self.swarm.world.timestamp()
            self.place_tasks()
            return
        is_rollback = state == "rollback_started"
        live = [task for task in self.tasks if task["DesiredState"] in MEANT]
        dirty = not all(self.is_current(task) for task in live)
        world = self.swarm.world
        if dirty or is_rollback:
            now = world.timestamp()
            self.update_status = {"State": state, "StartedAt": now, "Message": message}
        under_way = self.update_status

        def complete() -> None:
            if self.update_status is under_way and under_way is not None:
                self.update_status = {
                    **under_way,
                    "State": "rollback_completed" if is_rollback else "completed",
                    "CompletedAt": world.timestamp(),
                    "Message": f"{'rollback' if is_rollback else 'update'} completed",
                }
                self.touch()

        self.place_tasks()
        if under_way:
            config = self.config("RollbackConfig" if is_rollback else "UpdateConfig")
            monitor = (config.get("Monitor") or 5 * SECOND) / SECOND
            world.schedule(world.delays.task + monitor if dirty else 0, complete)

    def config(self, name: str) -> Document:
        return self.spec.get(name) or {}

    def fail_update(self, task: Document) -> None:
        """What the updater does when a new task ends while it watches."""
        state = (self.update_status or {}).get("State")
        if state not in ("updating", "rollback_started") or not self.is_current(task):
            return
        assert self.update_status is not None
        what = "update" if state == "updating" else "rollback"
        config = self.config("UpdateConfig" if what == "update" else "RollbackConfig")
        action = config.get("FailureAction") or "pause"
        reason = f"due to failure or early termination of task {task['ID']}"
        if action == "rollback" and self.previous is not None:
            self.spec, self.previous = self.previous, None
            self.touch()
            self.begin("rollback_started", f"update rolled back {reason}")
        elif action == "pause":
            state = "paused" if what == "update" else "rollback_paused"
            message = f"{what} paused {reason}"
            self.update_status = {**self.update_status, "State": state, "Message": message}
            self.touch()


def _version(index: int) -> Document:
    # Zero is left out.
    return {"Index": index} if index else {}


def _without_placement(key: Document) -> Document:
    return {**key, "Task": {**key["Task"], "Placement": None}}


def _meets(node: Node, constraint: str) -> bool:
    key, operator, value = re.split(r"\s*(==|!=)\s*", constraint.strip())
    actual: Any = {
        "node.role": "manager" if node.is_manager else "worker",
        "node.hostname": node.hostname,
        "node.id": node.id,
    }.get(key)
    if key.startswith("node.labels."):
        actual = node.spec["Labels"].get(key[len("node.labels.") :], "")
    return (actual == value) is (operator == "==")


def _is_running(task: Document) -> bool:
    return task["Status"]["State"] == "running"


def shown(task: Document) -> Document:
    """A task as the API shows it, without what only this file knows of it."""
    notes = ("key", "labels", "log", "restarts", "gave_up", "next")
    return {name: part for name, part in task.items() if name not in notes}
