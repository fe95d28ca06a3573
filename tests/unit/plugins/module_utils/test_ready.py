# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._ready import (
    newest_failure,
    service_converged,
    task_errors,
    tasks_gone,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def node(number: int, state: str = "ready", availability: str = "active") -> dict[str, Any]:
    return {
        "ID": f"n{number}",
        "Spec": {"Availability": availability},
        "Status": {"State": state},
        "Description": {"Hostname": f"node{number}"},
    }


NODES = [
    node(1),
    node(2),
    node(3, state="down"),
    node(4, availability="drain"),
    node(5, state="unknown"),
]


def task(
    state: str,
    slot: int | None = 1,
    node: str = "n1",
    desired: str = "running",
    age: float = 60,
    error: str = "",
    run: int = 0,
) -> dict[str, Any]:
    moment = NOW - timedelta(seconds=age)
    status = {"State": state, "Timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z"}
    if error:
        status["Err"] = error
    document = {"ID": "t", "DesiredState": desired, "NodeID": node, "Status": status}
    # The API leaves out what is zero.
    document["JobIteration"] = {"Index": run} if run else {}
    return {**document, "Slot": slot} if slot else document


def look(
    tasks: list[dict[str, Any]],
    replicas: int | None = 1,
    update: str = "",
    monitor: int | None = None,
    has_written: bool = True,
    accepts_rollback: bool = False,
    restart: dict[str, Any] | None = None,
) -> Look:
    """At a service of so many replicas, or at a global one where that is None."""
    mode = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    spec: dict[str, Any] = {"Name": "web", "Mode": mode, "TaskTemplate": {}}
    if restart is not None:
        spec["TaskTemplate"]["RestartPolicy"] = restart
    if monitor is not None:
        spec["UpdateConfig"] = {"Monitor": monitor}
    service: dict[str, Any] = {"ID": "s", "Spec": spec}
    if update:
        service["UpdateStatus"] = {"State": update, "Message": "says the engine"}
    return service_converged(service, tasks, NODES, NOW, has_written, accepts_rollback)


def look_at_job(
    tasks: list[dict[str, Any]],
    total: int | None = 1,
    run: int = 0,
    restart: dict[str, Any] | None = None,
) -> Look:
    """At a job that shall complete so often, or once on each node where that is None."""
    mode = {"GlobalJob": {}} if total is None else {"ReplicatedJob": {"TotalCompletions": total}}
    template = {} if restart is None else {"RestartPolicy": restart}
    service = {
        "ID": "s",
        "Spec": {"Name": "job", "Mode": mode, "TaskTemplate": template},
        "JobStatus": {"JobIteration": {"Index": run} if run else {}},
    }
    return service_converged(service, tasks, NODES, NOW, has_written=True)


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
            "a task on a node that a new leader has not heard of yet is waited for",
            look([task("running", node="n5")]),
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
        # Months ago perhaps, and the task is one that dies again and again.
        (1, None, "completed", waits("all tasks run, but not yet for 5 s")),
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


@pytest.mark.parametrize(("accepts", "verdict"), [(True, Verdict.DONE), (False, Verdict.FAILED)])
def test_a_rollback_is_a_success_where_the_task_accepts_it(accepts: bool, verdict: Verdict) -> None:
    tasks = [task("running")]
    assert look(tasks, update="rollback_completed", accepts_rollback=accepts).verdict is verdict


@pytest.mark.parametrize("update", ["paused", "rollback_paused"])
def test_a_pause_is_no_rollback_that_could_be_accepted(update: str) -> None:
    seen = look([task("running")], update=update, accepts_rollback=True)
    assert seen.verdict is Verdict.FAILED


def test_a_rollback_that_is_accepted_must_run_as_well() -> None:
    tasks = [task("failed", desired="shutdown", error="exit 1"), task("starting")]
    assert look(tasks, update="rollback_completed", accepts_rollback=True) == waits(
        "0 of 1 tasks are running; failed on node1: exit 1"
    )


# Tasks that end


NONE, ON_FAILURE, ANY = ({"Condition": name} for name in ("none", "on-failure", "any"))
ENDED = "its container has ended, with exit code 0"


@pytest.mark.parametrize(
    ("what", "seen", "verdict"),
    [
        (
            "a task that may end has ended well",
            look([task("complete", desired="shutdown")], restart=ON_FAILURE),
            DONE,
        ),
        (
            "and one that is never started again, too",
            look([task("complete", desired="shutdown"), task("running", 2)], 2, restart=NONE),
            DONE,
        ),
        (
            "one that shall run for ever has no business to end",
            look([task("complete", desired="shutdown"), task("ready", desired="ready")]),
            waits(f"0 of 1 tasks are running; complete on node1: {ENDED}"),
        ),
        (
            "nor where that is said",
            look([task("complete", desired="shutdown"), task("starting")], restart=ANY),
            waits(f"0 of 1 tasks are running; complete on node1: {ENDED}"),
        ),
        (
            "it is not started again any more",
            look([task("complete", desired="shutdown")] * 2, restart={**ANY, "MaxAttempts": 1}),
            fails(f"1 of 1 tasks have ended for good; complete on node1: {ENDED}"),
        ),
        (
            "one has failed, and shall not be started again",
            look(
                [task("failed", desired="shutdown", error="exit 7"), task("running", 2)],
                2,
                restart=NONE,
            ),
            fails("1 of 2 tasks have ended for good; failed on node1: exit 7"),
        ),
        (
            "an image that is not there, tried as often as asked",
            look(
                [task("rejected", desired="shutdown", error="No such image: web:9")],
                restart={**ON_FAILURE, "MaxAttempts": 1},
            ),
            fails("1 of 1 tasks have ended for good; rejected on node1: No such image: web:9"),
        ),
        (
            "the task of one of two nodes has failed for good",
            look(
                [
                    task("failed", None, desired="shutdown", error="exit 7"),
                    task("running", None, "n2"),
                ],
                None,
                restart=NONE,
            ),
            fails("1 of 2 tasks have ended for good; failed on node1: exit 7"),
        ),
        (
            "a node is down or drained: what has failed there does not matter any more",
            look(
                [
                    task("failed", None, "n3", desired="shutdown"),
                    task("failed", None, "n4", desired="shutdown"),
                    task("running", None),
                ],
                None,
                restart=NONE,
            ),
            DONE,
        ),
        (
            "what a failed task means to an update, the updater decides",
            look(
                [task("failed", desired="shutdown", error="exit 7")],
                update="updating",
                restart=NONE,
            ),
            waits("0 of 1 tasks are running; failed on node1: exit 7"),
        ),
    ],
)
def test_a_task_that_has_ended_is_what_the_restart_policy_says(
    what: str, seen: Look, verdict: Look
) -> None:
    assert seen == verdict, what


@pytest.mark.parametrize(
    ("what", "seen", "verdict"),
    [
        ("nothing is there yet", look_at_job([]), waits("0 of 1 tasks are complete")),
        ("its task runs", look_at_job([task("running", 0)]), waits("0 of 1 tasks are complete")),
        (
            "the first of two is done",
            look_at_job([task("complete", 0), task("running", 1)], 2),
            waits("1 of 2 tasks are complete"),
        ),
        (
            "all are done, on whatever node, the monitor window does not matter",
            look_at_job([task("complete", 0, age=0), task("complete", 1, "n3", age=0)], 2),
            DONE,
        ),
        (
            "what an earlier run has done does not count",
            look_at_job([task("complete", 0), task("running", 0, run=1)], run=1),
            waits("0 of 1 tasks are complete"),
        ),
        (
            "a task has failed, and the next one is there on another node",
            look_at_job(
                [
                    task("failed", 0, desired="shutdown", error="exit 1"),
                    task("running", 0, "n2", desired="complete"),
                ],
                restart=ON_FAILURE,
            ),
            waits("0 of 1 tasks are complete; failed on node1: exit 1"),
        ),
        (
            "a task has failed, and the next one has done it",
            look_at_job(
                [
                    task("failed", 0, desired="shutdown", error="exit 1", age=9),
                    task("complete", 0, "n2", desired="complete", age=5),
                ],
                restart=NONE,
            ),
            DONE,
        ),
        (
            "a task has failed, and none should have been the next one",
            look_at_job(
                [
                    task("failed", 0, desired="shutdown", error="exit 1", age=9),
                    task("running", 0, "n2", desired="complete", age=5),
                    task("complete", 1),
                ],
                2,
                restart=NONE,
            ),
            fails("1 of 2 tasks have failed for good; failed on node1: exit 1"),
        ),
        (
            "it may fail twice",
            look_at_job(
                [task("failed", 0, desired="shutdown", error="exit 1")] * 2,
                restart={**ON_FAILURE, "MaxAttempts": 2},
            ),
            waits("0 of 1 tasks are complete; failed on node1: exit 1"),
        ),
        (
            "it has failed three times",
            look_at_job(
                [task("failed", 0, desired="shutdown", error="exit 1")] * 3,
                restart={**ON_FAILURE, "MaxAttempts": 2},
            ),
            fails("1 of 1 tasks have failed for good; failed on node1: exit 1"),
        ),
        (
            "three slots have failed once each",
            look_at_job(
                [task("failed", slot, desired="shutdown", error="exit 1") for slot in range(3)],
                3,
                restart={**ON_FAILURE, "MaxAttempts": 2},
            ),
            waits("0 of 3 tasks are complete; failed on node1: exit 1"),
        ),
        (
            "a job on each node, and none of them has it yet",
            look_at_job([], None),
            waits("no node has a task of it"),
        ),
        (
            "a job on each node, and one of two is done",
            look_at_job([task("complete", 0), task("running", 0, "n2")], None),
            waits("1 of 2 tasks are complete"),
        ),
        (
            "a job on each node is done",
            look_at_job([task("complete", 0), task("complete", 0, "n2")], None),
            DONE,
        ),
        (
            "a job on each node has failed on one",
            look_at_job(
                [
                    task("complete", 0),
                    task("failed", 0, "n2", desired="shutdown", error="exit 4"),
                ],
                None,
                restart=NONE,
            ),
            fails("1 of 2 tasks have failed for good; failed on node2: exit 4"),
        ),
    ],
)
def test_a_job_is_what_its_last_run_has_completed(what: str, seen: Look, verdict: Look) -> None:
    assert seen == verdict, what


def test_of_failures_the_newest_that_had_a_container_tells_most() -> None:
    def with_container(state: str, age: float, container: str = "c1") -> dict[str, Any]:
        found = task(state, age=age)
        found["Status"]["ContainerStatus"] = {"ContainerID": container, "ExitCode": 1}
        return found

    older, newer = with_container("failed", 20), with_container("complete", 10)
    others = [
        task("rejected", age=1),
        with_container("running", 2),
        with_container("failed", 3, ""),
    ]
    assert newest_failure([older, newer, *others]) == newer
    assert newest_failure(others) is None
    assert newest_failure([]) is None


def test_a_removed_service_is_gone_when_no_task_is_alive() -> None:
    assert tasks_gone([], []) == DONE
    assert tasks_gone([task("shutdown"), task("failed"), task("complete")], []) == DONE
    two = [task("running", desired="shutdown"), task("preparing"), task("rejected")]
    assert tasks_gone(two, NODES) == waits("2 tasks have not stopped yet")


def test_what_ran_on_a_node_that_is_down_is_not_waited_for() -> None:
    assert tasks_gone([task("running", node="n3", desired="remove")], NODES) == DONE
    assert tasks_gone([task("running", node="n5")], NODES) == waits("1 tasks have not stopped yet")


def test_a_task_of_a_removed_job_that_never_found_a_node_is_not_waited_for() -> None:
    waiting = task("pending", node="")
    assert tasks_gone([waiting], NODES) == DONE
    del waiting["JobIteration"]
    assert tasks_gone([waiting], NODES) == waits("1 tasks have not stopped yet")


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
