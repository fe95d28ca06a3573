# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a service comes out, on real engines: each failure with the swarm's own reason."""

from __future__ import annotations

import pytest
from conftest import Engine, until

DIES = "sh -c 'echo first line; echo out of luck >&2; exit 3'"
# Lives longer than the monitor, or does not.
QUICK = {"monitor": "2s"}
# The failure of a task counts, however late it is told.
LATE = {"monitor": "30s"}


def test_nothing_suits(engine: Engine, name: str) -> None:
    said = engine.refused(
        name,
        image=engine.web(),
        replicas=2,
        placement={"constraints": ["node.labels.nowhere==1"]},
        wait_timeout=1,
    )
    assert f"service {name} being as asked did not happen within 1 s" in said
    assert "0 of 2 tasks are running" in said
    # The spec is already right, and the service is not: that is no success.
    again = engine.refused_once(name, "no suitable node", image=engine.web(), replicas=2)
    assert "0 of 2 tasks are running" in again
    assert "no suitable node (scheduling constraints not satisfied on " in again


def test_an_image_that_is_nowhere(engine: Engine, name: str) -> None:
    image = f"{engine.registry}/nowhere:1"
    said = engine.refused_once(name, "rejected", image=image)
    assert "0 of 1 tasks are running" in said
    assert f"rejected on {engine.host if engine.host == 'node4' else 'node'}" in said
    assert f"No such image: {image}" in said


def test_a_crash_loop(engine: Engine, name: str) -> None:
    restart = {"delay": "1s"}
    said = engine.refused_once(
        name, "non-zero exit", image=engine.web(), command=DIES, restart_config=restart
    )
    # The deadline falls between two tasks, or while one is alive for a moment.
    assert "0 of 1 tasks are running" in said or "all tasks run, but not yet for 5 s" in said
    assert "failed on node" in said
    assert "task: non-zero exit (3)" in said
    assert "failed with exit code 3, and its log ends: " in said
    assert "first line" in said
    assert "out of luck" in said


def test_a_crash_loop_is_none_the_better_for_an_update_that_goes_on(
    engine: Engine, running: str
) -> None:
    asked = {"command": DIES, "update_config": {"failure_action": "continue", "monitor": "5s"}}
    assert "non-zero exit (3)" in engine.refused_once(running, "non-zero exit", **asked)
    until(lambda: engine.inspect(running)["UpdateStatus"]["State"] == "completed")
    # Long enough that a look finds both tasks alive.
    assert "non-zero exit (3)" in engine.refused(running, wait_timeout=15, **asked)


def test_a_container_that_ends_well_at_once(engine: Engine, name: str) -> None:
    said = engine.refused_once(
        name,
        "complete",
        image=engine.web(),
        command="echo nothing left to do",
        restart_config={"delay": "1s"},
    )
    assert "its container has ended, with exit code 0" in said
    assert "nothing left to do" in said


def test_who_need_not_be_restarted_may_end_well(engine: Engine, name: str) -> None:
    engine.service(
        name, image=engine.web(), command="true", restart_config={"condition": "on-failure"}
    )


def test_tasks_that_the_swarm_gives_up(engine: Engine, name: str) -> None:
    """Not after the timeout: nothing will change any more."""
    said = engine.refused(
        name, image=engine.web(), command=DIES, restart_config={"condition": "none"}
    )
    assert "1 of 1 tasks have ended for good; failed on node" in said
    assert "out of luck" in said


@pytest.fixture
def running(engine: Engine, name: str) -> str:
    engine.service(name, image=engine.web(), replicas=2, update_config=QUICK)
    return name


def test_an_update_that_pauses(engine: Engine, running: str) -> None:
    said = engine.refused(running, command=DIES, update_config=LATE)
    assert (
        "the update was paused; update paused due to failure or early termination of task" in said
    )
    assert "out of luck" in said
    again = engine.refused(running, command=DIES, wait_timeout=1)
    assert "the update was paused" in again
    engine.service(running, command=[], update_config=QUICK)


def test_an_update_that_is_rolled_back(engine: Engine, running: str) -> None:
    update = {**LATE, "failure_action": "rollback"}
    said = engine.refused(running, command=DIES, update_config=update)
    assert "the update failed and was rolled back; rollback completed" in said
    assert "failed with exit code 3" in said
    assert "out of luck" in said
    assert "Command" not in engine.inspect(running)["Spec"]["TaskTemplate"]["ContainerSpec"]
    # What it went back to is what this task asks for.
    assert not engine.service(running, command=[])["changed"]
    accepted = engine.service(running, command=DIES, update_config=update, on_rollback="accept")
    assert accepted["changed"]
    assert "failed and was rolled back (rollback completed)" in str(accepted["warnings"])


def test_roll_back(engine: Engine, running: str) -> None:
    assert "no previous spec to return to" in engine.refused(running, state="rolled_back")
    engine.service(running, image=engine.web(2))
    checked = engine.service(running, check_mode=True, state="rolled_back")
    assert checked["changed"]
    done = engine.service(running, state="rolled_back")
    assert done["diff"] == checked["diff"]
    image = engine.inspect(running)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    assert image.startswith(f"{engine.web(1)}@sha256:")
    before = engine.task_ids(running)
    assert not engine.service(running, state="rolled_back")["changed"]
    assert engine.task_ids(running) == before


def test_restarts(engine: Engine, running: str) -> None:
    """With `true` at each run, with a key once for that key."""
    seen = [engine.task_ids(running)]
    for key, restarts in (("true", True), ("true", True), ("may", True), ("may", False)):
        assert engine.service(running, force_update=key)["changed"] is restarts
        seen.append(engine.task_ids(running))
        assert (seen[-1] != seen[-2]) is restarts


def test_a_job(engine: Engine, name: str) -> None:
    """It runs when it is created, not at each run of the play, and again for a key.

    The swarm may forget tasks of an earlier time at any moment, so that only new ones count.
    """
    job = {"image": engine.web(), "mode": "replicated-job", "command": "true", "replicas": 3}
    engine.service(name, **job)
    done = engine.task_ids(name)
    assert {task["Status"]["State"] for task in engine.tasks(name)} == {"complete"}
    assert not engine.service(name, **job)["changed"]
    assert engine.task_ids(name) <= done
    assert engine.service(name, **job, force_update="june")["changed"]
    again = engine.task_ids(name)
    assert again - done
    assert not engine.service(name, **job, force_update="june")["changed"]
    assert engine.task_ids(name) <= again


def test_a_job_on_every_node(engine: Engine, name: str) -> None:
    engine.service(name, image=engine.web(), mode="global-job", command="true")
    nodes = engine.cli("node ls --quiet").split()
    assert len(engine.tasks(name)) == len(nodes)


def test_a_job_that_fails(engine: Engine, name: str) -> None:
    said = engine.refused(
        name,
        image=engine.web(),
        mode="replicated-job",
        command=DIES,
        restart_config={"condition": "none"},
    )
    assert "1 of 1 tasks have failed for good" in said
    assert "out of luck" in said
