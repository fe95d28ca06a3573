# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._ready import (
    engine_time,
    service_converged,
    task_errors,
    tasks_gone,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
NODES = [
    {"ID": "n1", "Status": {"State": "ready"}, "Description": {"Hostname": "node1"}},
    {"ID": "n2", "Status": {"State": "ready"}, "Description": {"Hostname": "node2"}},
    {"ID": "n3", "Status": {"State": "down"}, "Description": {"Hostname": "node3"}},
]


def task(
    state: str,
    slot: int | None = 1,
    node: str = "n1",
    desired: str = "running",
    age: float = 60,
    error: str = "",
) -> dict[str, Any]:
    moment = NOW - timedelta(seconds=age)
    status = {"State": state, "Timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z"}
    if error:
        status["Err"] = error
    document = {"ID": "t", "DesiredState": desired, "NodeID": node, "Status": status}
    return document if slot is None else {**document, "Slot": slot}


def look(
    tasks: list[dict[str, Any]],
    replicas: int | None = 1,
    update: str = "",
    monitor: int | None = None,
    has_written: bool = True,
) -> Look:
    """At a service of so many replicas, or at a global one where that is None."""
    mode = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    spec: dict[str, Any] = {"Name": "web", "Mode": mode, "TaskTemplate": {}}
    if monitor is not None:
        spec["UpdateConfig"] = {"Monitor": monitor}
    service: dict[str, Any] = {"ID": "s", "Spec": spec}
    if update:
        service["UpdateStatus"] = {"State": update, "Message": "says the engine"}
    return service_converged(service, tasks, NODES, NOW, has_written)


DONE = Look(Verdict.DONE)


def waits(reason: str) -> Look:
    return Look(Verdict.WAIT, reason)


def fails(reason: str) -> Look:
    return Look(Verdict.FAILED, reason)


@pytest.mark.parametrize(
    ("what", "seen", "verdict"),
    [
        ("every slot runs", look([task("running"), task("running", 2)], 2), DONE),
        ("nothing shall run", look([], 0), DONE),
        ("nothing is there yet", look([], 1), waits("0 of 1 tasks are running")),
        (
            "one of two runs",
            look([task("running"), task("preparing", 2)], 2),
            waits("1 of 2 tasks are running"),
        ),
        (
            "one too many runs",
            look([task("running"), task("running", 2)], 1),
            waits("2 of 1 tasks are running"),
        ),
        (
            "a slot restarted: the newest task counts, not the failed one",
            look([task("failed", desired="shutdown", error="exit 1"), task("running")]),
            DONE,
        ),
        (
            "a slot crashes again and again",
            look(
                [
                    task("failed", desired="shutdown", error="task: non-zero exit (1)"),
                    task("ready", desired="ready"),
                ]
            ),
            waits("0 of 1 tasks are running; failed on node1: task: non-zero exit (1)"),
        ),
        (
            "the image is not there",
            look([task("rejected", error="No such image: web:9")]),
            waits("0 of 1 tasks are running; rejected on node1: No such image: web:9"),
        ),
        (
            "no node fits",
            look([task("pending", node="", error="no suitable node (1 node not available)")]),
            waits("0 of 1 tasks are running; pending: no suitable node (1 node not available)"),
        ),
        (
            "a task on a node that is down does not count",
            look([task("running", node="n3")]),
            waits("0 of 1 tasks are running"),
        ),
        (
            "a task that runs but shall stop does not count",
            look([task("running", desired="shutdown")]),
            waits("0 of 1 tasks are running"),
        ),
    ],
)
def test_a_replicated_service_is_what_its_slots_are(what: str, seen: Look, verdict: Look) -> None:
    assert seen == verdict, what


@pytest.mark.parametrize(
    ("what", "seen", "verdict"),
    [
        (
            "each node runs its own",
            look([task("running", None), task("running", None, "n2")], None),
            DONE,
        ),
        ("no node has one", look([], None), waits("no node has a task of it")),
        (
            "one of two nodes runs it",
            look([task("running", None), task("starting", None, "n2")], None),
            waits("1 of 2 tasks are running"),
        ),
        (
            "a node that is down is not waited for",
            look([task("running", None), task("running", None, "n3")], None),
            DONE,
        ),
        (
            "a node that was drained is not waited for",
            look([task("running", None), task("shutdown", None, "n2", "shutdown")], None),
            DONE,
        ),
    ],
)
def test_a_global_service_is_what_its_nodes_have(what: str, seen: Look, verdict: Look) -> None:
    assert seen == verdict, what


@pytest.mark.parametrize(
    ("age", "monitor", "update", "verdict"),
    [
        (60, None, "", DONE),
        (4.9, None, "", waits("all tasks run, but not yet for 5 s")),
        (5, None, "", DONE),
        (4.9, 0, "", waits("all tasks run, but not yet for 5 s")),
        (9, 10**10, "", waits("all tasks run, but not yet for 10 s")),
        (0.6, 5 * 10**8, "", DONE),
        # The engine itself has watched for as long.
        (1, None, "completed", DONE),
    ],
)
def test_a_task_must_have_kept_running_for_the_monitor_window(
    age: float, monitor: int | None, update: str, verdict: Look
) -> None:
    assert look([task("running", age=age)], monitor=monitor, update=update) == verdict


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        ("paused", "the update was paused; says the engine"),
        ("rollback_paused", "the rollback was paused; says the engine"),
        ("rollback_completed", "the update failed and was rolled back; says the engine"),
    ],
)
def test_an_update_that_ended_badly_is_a_failure_although_all_tasks_run(
    update: str, reason: str
) -> None:
    assert look([task("running")], update=update) == fails(reason)


def test_a_failure_says_what_the_tasks_say() -> None:
    assert look([task("failed", error="exit 1")], update="paused") == fails(
        "the update was paused; says the engine; failed on node1: exit 1"
    )


@pytest.mark.parametrize("update", ["updating", "rollback_started"])
def test_an_update_that_goes_on_is_waited_for_although_all_tasks_run(update: str) -> None:
    assert look([task("running")], update=update) == waits(f"the update is in state {update}")


def test_a_rollback_that_is_history_is_no_failure_of_a_task_that_wrote_nothing() -> None:
    assert look([task("running")], update="rollback_completed", has_written=False) == DONE


def test_an_update_that_is_paused_stays_a_failure_when_the_task_is_run_again() -> None:
    assert look([task("running")], update="paused", has_written=False).verdict is Verdict.FAILED


def test_a_removed_service_is_gone_when_no_task_is_alive() -> None:
    assert tasks_gone([]) == DONE
    assert tasks_gone([task("shutdown"), task("failed"), task("complete")]) == DONE
    two = [task("running", desired="shutdown"), task("preparing"), task("rejected")]
    assert tasks_gone(two) == waits("2 tasks have not stopped yet")


def test_errors_are_told_once_each_the_newest_first_and_three_at_most() -> None:
    tasks = [
        task("failed", node="n1", age=10, error="exit 1"),
        task("failed", node="n2", age=5, error="exit 2"),
        task("failed", node="n2", age=20, error="exit 1"),
        task("rejected", node="gone", age=1, error="no image"),
        task("failed", node="n2", age=30, error="exit 3"),
        task("running"),
    ]
    assert task_errors(tasks, NODES) == (
        "rejected: no image; failed on node2: exit 2; failed on node1: exit 1"
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T12:00:00Z", NOW),
        ("2026-01-01T12:00:00.5Z", NOW + timedelta(seconds=0.5)),
        ("2026-01-01T12:00:00.123456789Z", NOW + timedelta(microseconds=123456)),
        ("2026-01-01T14:00:00.000000001+02:00", NOW),
        ("0001-01-01 some day", datetime.fromtimestamp(0, timezone.utc)),
    ],
)
def test_the_engines_time_is_read_to_the_microsecond(text: str, moment: datetime) -> None:
    assert engine_time(text) == moment
