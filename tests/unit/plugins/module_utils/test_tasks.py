# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._tasks import (
    Count,
    count,
    image_of,
    task_name,
    task_summary,
    tasks_of,
)

NODES = {"n1": "alpha", "n2": "beta", "n3": "beta"}
REPLICATED = {"Replicated": {"Replicas": 2}}
GLOBAL: dict[str, Any] = {"Global": {}}
JOB = {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 3}}
GLOBAL_JOB: dict[str, Any] = {"GlobalJob": {}}

_ids = itertools.count()


def service(mode: Mapping[str, Any], iteration: int | None = None) -> dict[str, Any]:
    document: dict[str, Any] = {"ID": "s1", "Spec": {"Name": "web", "Mode": mode}}
    if iteration is not None:
        # The API leaves out a zero.
        document["JobStatus"] = {"JobIteration": {"Index": iteration} if iteration else {}}
    return document


def task(
    state: str = "running",
    desired: str = "running",
    slot: int = 0,
    node: str = "n1",
    created: str = "2026-01-01T00:00:01.5Z",
    iteration: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ID": f"t{next(_ids)}",
        "CreatedAt": created,
        "Spec": {"ContainerSpec": {"Image": "web:1"}},
        "Status": {"State": state, **more},
        "DesiredState": desired,
    }
    # The API leaves out what is zero or empty.
    if slot:
        document["Slot"] = slot
    if node:
        document["NodeID"] = node
    if iteration is not None:
        document["JobIteration"] = {"Index": iteration} if iteration else {}
    return document


# One task


def test_a_task_is_told_in_the_words_of_docker_service_ps() -> None:
    # As Engine 20.10 and 26.1 show it.
    document = {
        "ID": "3v2evd6ag6789jxcl82ujkno5",
        "CreatedAt": "2026-11-21T08:07:24.263997297Z",
        "Spec": {"ContainerSpec": {"Image": "web:1@sha256:03eb"}},
        "ServiceID": "y2gmm2ws8vbuajkgw09oi1fc9",
        "Slot": 1,
        "NodeID": "n1",
        "Status": {
            "Timestamp": "2026-11-21T08:07:25.603749103Z",
            "State": "failed",
            "Message": "started",
            "Err": "task: non-zero exit (3)",
            "ContainerStatus": {"ContainerID": "e9786d5ba291", "PID": 0, "ExitCode": 3},
            "PortStatus": {
                "Ports": [
                    {
                        "Protocol": "tcp",
                        "TargetPort": 9090,
                        "PublishedPort": 32768,
                        "PublishMode": "host",
                    }
                ]
            },
        },
        "DesiredState": "shutdown",
    }
    assert task_summary(document, "web", NODES) == {
        "id": "3v2evd6ag6789jxcl82ujkno5",
        "name": "web.1",
        "slot": 1,
        "node": "alpha",
        "node_id": "n1",
        "state": "failed",
        "desired_state": "shutdown",
        "error": "task: non-zero exit (3)",
        "message": "started",
        "exit_code": 3,
        "container_id": "e9786d5ba291",
        "image": "web:1@sha256:03eb",
        "timestamp": "2026-11-21T08:07:25.603749103Z",
        "ports": [
            {"published_port": 32768, "target_port": 9090, "protocol": "tcp", "mode": "host"}
        ],
    }


def test_a_task_that_no_node_has_is_told_by_the_same_names() -> None:
    pending = task("pending", slot=1, node="", Err="no suitable node")
    told = task_summary(pending, "web", NODES)
    assert set(told) == set(task_summary(task(), "web", NODES))
    assert (told["node"], told["node_id"], told["container_id"]) == ("", "", "")
    assert (told["exit_code"], told["ports"], told["error"]) == (None, [], "no suitable node")


def test_a_node_that_is_gone_is_called_by_its_id() -> None:
    assert task_summary(task(node="n9"), "web", NODES)["node"] == "n9"


CONTAINER = {"ContainerID": "c1", "PID": 1, "ExitCode": 0}


@pytest.mark.parametrize(
    ("state", "container", "exit_code"),
    [
        ("running", CONTAINER, None),
        ("complete", CONTAINER, 0),
        ("shutdown", {**CONTAINER, "ExitCode": 137}, 137),
        ("failed", {**CONTAINER, "ExitCode": 3}, 3),
        ("rejected", {**CONTAINER, "ExitCode": 127}, 127),
        ("rejected", None, None),
        ("rejected", {"ContainerID": "", "PID": 0, "ExitCode": 0}, None),
        # Its node is gone: nobody knows.
        ("orphaned", CONTAINER, None),
    ],
)
def test_an_exit_code_is_told_of_who_has_exited(
    state: str, container: Mapping[str, Any] | None, exit_code: int | None
) -> None:
    document = task(state, ContainerStatus=container)
    assert task_summary(document, "web", NODES)["exit_code"] == exit_code


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (task(slot=3), "web.3"),
        (task(node="n2"), "web.n2"),
        # The first task of a job has slot 0, and the API leaves that out.
        (task(node=""), "web.0"),
    ],
)
def test_a_task_is_named_as_docker_service_ps_does(document: Any, name: str) -> None:
    assert task_name(document, "web") == name


@pytest.mark.parametrize(
    ("template", "image"),
    [
        ({"ContainerSpec": {"Image": "web:1"}}, "web:1"),
        ({"PluginSpec": {"Remote": "vendor/plugin:1"}}, "vendor/plugin:1"),
        ({"NetworkAttachmentSpec": {}}, ""),
    ],
)
def test_the_image_is_that_of_the_container_or_of_the_plugin(template: Any, image: str) -> None:
    assert image_of(template) == image


# Which tasks, in which order


def test_the_newest_of_each_slot_is_current_and_the_history_stands_behind_it() -> None:
    # Go leaves out the zeros at a fraction's end, and all of a fraction that is zero.
    first = task("failed", "shutdown", 2, created="2026-01-01T00:00:01Z")
    second = task("failed", "shutdown", 2, "n2", "2026-01-01T00:00:01.1Z")
    third = task("failed", "shutdown", 2, created="2026-01-01T00:00:01.12Z")
    newest = task("starting", "ready", 2, "n2", "2026-01-01T00:00:01.123456789Z")
    other = task(slot=1, created="2026-01-01T00:00:09Z")
    tenth = task(slot=10)
    tasks = [second, tenth, newest, first, third, other]
    web = service(REPLICATED)
    assert ids(tasks_of(web, tasks, NODES)) == ids([other, newest, tenth])
    everything = [other, newest, third, second, first, tenth]
    assert ids(tasks_of(web, tasks, NODES, history=True)) == ids(everything)


@pytest.mark.parametrize("mode", [GLOBAL, GLOBAL_JOB])
def test_global_tasks_are_sorted_by_node_and_nodes_of_one_name_kept_apart(mode: Any) -> None:
    tasks = [task(node="n3"), task(node="n2"), task(node="n1")]
    assert ids(tasks_of(service(mode), tasks, NODES)) == ids(tasks[::-1])


def test_a_job_that_was_run_again_has_the_tasks_of_the_last_run() -> None:
    first = task("complete", "complete", 1, iteration=0, created="2026-01-01T00:00:01Z")
    second = task("complete", "complete", 1, iteration=7, created="2026-01-01T00:00:02Z")
    missing = task("complete", "complete", 2, iteration=0)
    job = service(JOB, iteration=7)
    assert ids(tasks_of(job, [first, missing, second], NODES)) == ids([second])
    assert len(tasks_of(job, [first, missing, second], NODES, history=True)) == 3
    assert count(job, [first, missing, second], ()) == Count(3, 0, 1)


def test_the_first_task_of_a_job_is_one_slot_wherever_it_is_tried() -> None:
    failed = task("failed", "shutdown", node="n1", iteration=0)
    again = task("running", "complete", node="n2", iteration=0, created="2026-01-01T00:00:02Z")
    assert ids(tasks_of(service(JOB, 0), [failed, again], NODES)) == ids([again])


def ids(tasks: list[dict[str, Any]]) -> list[str]:
    return [task.get("id") or task["ID"] for task in tasks]


# How many


@pytest.mark.parametrize(
    ("mode", "tasks", "expected"),
    [
        (REPLICATED, [], Count(2, 0, 0)),
        ({"Replicated": {}}, [], Count(1, 0, 0)),
        ({"Replicated": {"Replicas": 0}}, [], Count(0, 0, 0)),
        (REPLICATED, [task(slot=1), task(slot=2)], Count(2, 2, 0)),
        # It still runs, but shall not: an update stops it.
        (REPLICATED, [task(slot=1), task(desired="shutdown", slot=1)], Count(2, 1, 0)),
        (REPLICATED, [task(slot=1), task("starting", slot=2)], Count(2, 1, 0)),
        # The manager has not heard of it since the node went down.
        (REPLICATED, [task(slot=1), task(slot=2, node="down")], Count(2, 1, 0)),
        # Who is not restarted after a good end is complete, and no job.
        (REPLICATED, [task("complete", "shutdown", slot=1)], Count(2, 0, 0)),
        # A mode that is still to come.
        ({"Elastic": {}}, [task()], Count(1, 1, 0)),
        (GLOBAL, [], Count(0, 0, 0)),
        (GLOBAL, [task(), task(node="n2"), task("failed", "shutdown")], Count(2, 2, 0)),
        # The last task of a node that was drained.
        (GLOBAL, [task(), task("shutdown", "shutdown", node="n2")], Count(1, 1, 0)),
        (JOB, [], Count(3, 0, 0)),
        ({"ReplicatedJob": {}}, [], Count(1, 0, 0)),
        ({"ReplicatedJob": {"MaxConcurrent": 2}}, [], Count(2, 0, 0)),
        ({"ReplicatedJob": {"TotalCompletions": 4}}, [], Count(4, 0, 0)),
        (
            JOB,
            [task("running", "complete", 1), task("complete", "complete", 2)],
            Count(3, 1, 1),
        ),
        (JOB, [task("failed", "shutdown", 1), task("running", "complete", 1)], Count(3, 1, 0)),
        (
            GLOBAL_JOB,
            [
                task("complete", "complete"),
                task("failed", "shutdown", node="n2"),
                task("running", "complete", node="n2"),
            ],
            Count(2, 1, 1),
        ),
    ],
)
def test_tasks_are_counted_as_docker_service_ls_does(
    mode: Any, tasks: list[dict[str, Any]], expected: Count
) -> None:
    assert count(service(mode), tasks, {"down"}) == expected
