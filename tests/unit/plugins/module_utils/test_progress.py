# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._progress import (
    MOST_ROWS,
    removal_progress,
    service_progress,
)

NODES = [
    {"ID": "n1", "Description": {"Hostname": "node1"}, "Status": {"State": "ready"}},
    {"ID": "n2", "Description": {"Hostname": "node2"}, "Status": {"State": "ready"}},
    {"ID": "n3", "Description": {"Hostname": "node3"}, "Status": {"State": "down"}},
    # It has just joined, and has not said anything about itself yet.
    {"ID": "n4", "Status": {"State": "unknown"}},
]
IDS = iter(range(1000))


def task(state: str, slot: int = 1, node: str = "n1", **more: Any) -> dict[str, Any]:
    """A task of the present spec, meant to run; without a slot it is one of a global service."""
    status = {"State": state, "Timestamp": f"2026-01-01T00:00:{more.pop('at', 10):02}Z"}
    if "err" in more:
        status["Err"] = more.pop("err")
    image = f"registry.example.com:5000/{more.pop('image', 'web:2')}@sha256:0123"
    return {
        "ID": f"t{next(IDS)}",
        "DesiredState": more.pop("desired", "running"),
        "Status": status,
        "Spec": {"ContainerSpec": {"Image": image}},
        **({"Slot": slot} if slot else {}),
        **({"NodeID": node} if node else {}),
        **more,
    }


def old(state: str, slot: int = 1, node: str = "n1", **more: Any) -> dict[str, Any]:
    return task(state, slot, node, image="web:1", is_old=True, **more)


def progress(
    mode: dict[str, Any], *tasks: dict[str, Any], is_done: bool = False, **service: Any
) -> tuple[str, dict[str, str]]:
    """What is told of the service as a whole, and of each slot."""
    section = service_progress(
        {"Spec": {"Name": "web", "Mode": mode}, **service},
        tasks,
        [task for task in tasks if not task.get("is_old")],
        NODES,
        is_done,
    )
    assert section.title == "service web"
    assert len(dict(section.rows)) == len(section.rows)
    return section.text, dict(section.rows)


def replicas(number: int | None) -> dict[str, Any]:
    return {"Replicated": {} if number is None else {"Replicas": number}}


GLOBAL: dict[str, Any] = {"Global": {}}
UPDATING = {"State": "updating", "StartedAt": "2026-01-01T00:00:05.5Z"}


# The whole


@pytest.mark.parametrize(
    ("mode", "tasks", "service", "text"),
    [
        (replicas(2), [], {}, "0 of 2 tasks run"),
        (replicas(2), [task("running"), task("starting", 2)], {}, "1 of 2 tasks run"),
        (replicas(None), [task("running")], {}, "1 of 1 tasks run, watched for 5 s"),
        (replicas(0), [], {}, "no tasks"),
        (replicas(2), [task("running"), task("running", 2, "n3")], {}, "1 of 2 tasks run"),
        (
            replicas(1),
            [task("running")],
            {"UpdateStatus": UPDATING},
            "1 of 1 tasks run, update in progress",
        ),
        (
            replicas(2),
            [task("running"), old("running", 2)],
            {"UpdateStatus": {"State": "rollback_started"}},
            "1 of 2 tasks run, rolling back",
        ),
        (
            replicas(1),
            [task("running")],
            {"UpdateStatus": {"State": "completed"}},
            "1 of 1 tasks run, watched for 5 s",
        ),
        (GLOBAL, [], {}, "no tasks"),
        (GLOBAL, [task("running", 0), task("preparing", 0, "n2")], {}, "1 of 2 tasks run"),
        # What runs on a node that is down, nobody knows, and it is not waited for.
        (
            GLOBAL,
            [task("running", 0), task("running", 0, "n3")],
            {},
            "1 of 1 tasks run, watched for 5 s",
        ),
        (GLOBAL, [task("running", 0), old("running", 0, "n2")], {}, "1 of 2 tasks run"),
    ],
)
def test_the_whole(
    mode: dict[str, Any], tasks: list[dict[str, Any]], service: dict[str, Any], text: str
) -> None:
    assert progress(mode, *tasks, **service)[0] == text


def test_when_the_wait_is_over_nothing_is_watched_any_more() -> None:
    assert progress(replicas(1), task("running"), is_done=True)[0] == "1 of 1 tasks run"


# Slots


@pytest.mark.parametrize(
    ("tasks", "doing"),
    [
        ([task("running")], "running on node1"),
        ([task("new", node="")], "new"),
        (
            [task("pending", node="", err="no suitable node\n(1 node not available)")],
            "pending: no suitable node (1 node not available)",
        ),
        ([task("running", node="n3")], "running on node3 (down)"),
        ([task("preparing", node="n4")], "preparing on n4"),
        # A node that has been removed from the swarm meanwhile.
        ([task("preparing", node="n5")], "preparing on n5"),
        # An update, stop-first and start-first.
        ([old("running", desired="shutdown"), task("ready", node="n2", desired="ready")],
         "ready on node2, replaces web:1 on node1"),
        ([old("running"), task("running", node="n2")], "running on node2, replaces web:1 on node1"),
        ([old("running")], "to be replaced: web:1 on node1"),
        ([old("shutdown", desired="shutdown"), task("starting")], "starting on node1"),
        # The old one's trouble is over.
        (
            [old("pending", node="", err="no suitable node"), task("preparing")],
            "preparing on node1, replaces web:1",
        ),
        # What the new one died of stays to be seen while the next one is on its way.
        (
            [
                task("rejected", desired="shutdown", err="No such image", at=8),
                task("failed", desired="shutdown", err="exit (1)", at=9),
                task("ready", node="n2", desired="ready"),
            ],
            "ready on node2: exit (1)",
        ),
        (
            [task("failed", desired="shutdown", err="exit (1)", at=9), task("running")],
            "running on node1",
        ),
        ([task("rejected", desired="shutdown", err="No such image")],
         "rejected on node1: No such image"),
        ([old("running"), task("rejected", node="n2", desired="shutdown", err="No such image")],
         "to be replaced: web:1 on node1, No such image"),
        ([task("complete", desired="shutdown")], "complete on node1"),
        # Scaled down.
        ([task("running", desired="remove")], "stopping on node1"),
        ([task("shutdown", desired="remove")], None),
        ([old("running", desired="shutdown")], "stopping on node1"),
        ([task("orphaned", desired="shutdown", node="n3")], None),
        ([], None),
    ],
)  # fmt: skip
def test_a_slot(tasks: list[dict[str, Any]], doing: str | None) -> None:
    for ordered in (tasks, tasks[::-1]):
        assert progress(replicas(1), *ordered)[1].get("slot 1") == doing


def test_slots_come_in_the_order_of_their_numbers() -> None:
    tasks = [task("running", slot) for slot in (10, 2, 1)]
    assert list(progress(replicas(3), *tasks)[1]) == ["slot 1", "slot 2", "slot 10"]


def test_in_the_global_mode_each_node_is_a_slot() -> None:
    rows = progress(
        GLOBAL,
        task("preparing", 0, "n2"),
        old("running", 0, "n2", desired="shutdown"),
        task("running", 0, "n1"),
        # A node that has been drained.
        task("shutdown", 0, "n4", desired="shutdown"),
    )[1]
    assert rows == {
        "node1": "running",
        "node2": "preparing, replaces web:1",
    }


def test_a_spec_that_comes_back_does_not_bring_its_dead_tasks_back() -> None:
    tasks = [
        task("shutdown", desired="shutdown", at=4),
        task("failed", 2, desired="shutdown", at=4, err="exit (1)"),
        task("rejected", 3, desired="shutdown", at=6, err="No such image"),
        *(old("running", slot) for slot in (1, 2, 3)),
    ]
    text, rows = progress(replicas(3), *tasks, UpdateStatus=UPDATING)
    assert text == "0 of 3 tasks run, update in progress"
    assert rows == {
        "slot 1": "to be replaced: web:1 on node1",
        "slot 2": "to be replaced: web:1 on node1",
        "slot 3": "to be replaced: web:1 on node1, No such image",
    }


def test_many_slots_are_told_in_numbers() -> None:
    few = [task("running", slot + 1) for slot in range(MOST_ROWS)]
    assert len(progress(replicas(50), *few)[1]) == MOST_ROWS
    many = [*few, task("preparing", 40), task("running", 41), old("running", 42)]
    assert progress(replicas(50), *many) == (
        f"{MOST_ROWS + 1} of 50 tasks run",
        {"preparing": "1", "running": f"{MOST_ROWS + 1}", "to be replaced": "1"},
    )


# Jobs


def job(state: str, slot: int = 0, run: int = 7, **more: Any) -> dict[str, Any]:
    more = {"desired": "complete", **more}
    return task(state, slot, JobIteration={"Index": run}, **more)


def test_a_job_counts_what_is_complete_in_its_last_run() -> None:
    tasks = [
        job("complete"),
        job("running", 1, node="n2"),
        job("failed", 2, desired="shutdown", err="exit (1)", at=9),
        job("preparing", 2),
        job("complete", 1, run=6),
    ]
    mode = {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 4}}
    assert progress(mode, *tasks, JobStatus={"JobIteration": {"Index": 7}}) == (
        "1 of 4 tasks are complete",
        {
            "slot 1": "complete on node1",
            "slot 2": "running on node2",
            "slot 3": "preparing on node1: exit (1)",
        },
    )


def test_a_job_that_is_complete_is_not_watched() -> None:
    mode = {"ReplicatedJob": {"TotalCompletions": 1}}
    text, _rows = progress(mode, job("complete"), JobStatus={"JobIteration": {"Index": 7}})
    assert text == "1 of 1 tasks are complete"


def test_a_global_job_is_told_node_by_node() -> None:
    tasks = [job("complete"), job("running", node="n2")]
    assert progress({"GlobalJob": {}}, *tasks, JobStatus={"JobIteration": {"Index": 7}}) == (
        "1 of 2 tasks are complete",
        {"node1": "complete", "node2": "running"},
    )


# Removal


def test_of_a_removed_service_the_tasks_that_have_not_stopped_are_told() -> None:
    tasks = [
        task("running", 2, "n2", desired="remove"),
        task("running", 1, desired="remove"),
        task("shutdown", 3, desired="remove"),
    ]
    section = removal_progress("service web", tasks, NODES)
    assert (section.title, section.text) == ("service web", "tasks left: 2")
    assert section.rows == (("slot 1", "stopping on node1"), ("slot 2", "stopping on node2"))
    assert removal_progress("web", tasks[2:], NODES).text == "tasks left: none"
    assert removal_progress("web", [task("running", 0)], NODES).rows == (("node1", "stopping"),)
