# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drain nodes and wait until nothing runs there, or let them have tasks again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    InvalidOption,
    NotConverged,
    SwarmError,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Plan
from ansible_collections.shoal.swarm.plugins.module_utils._units import engine_time
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._drain_plan import (
    DRAINED,
    START_FIRST,
    Seen,
    Stage,
    Task,
    begin,
    foreseen,
    judge,
    left_scaled,
    plan,
    scaled_back,
    undone,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import (
    name_of,
    references,
    summary,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    first_look,
    reconcile,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict, wait_until

# After a failure: until a service can be scaled back without losing a task that it needs.
UNDO_SECONDS = 30.0


def ensure(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    _refuse_contradictions(params)
    names = references(params["nodes"])
    member = membership(engine.info())
    require_manager(member)
    observe = _observer(engine)
    first = first_look(observe, run.clock)
    task, warnings = begin(
        first,
        names,
        member,
        params["state"],
        params["strategy"],
        params["force"],
        params["rebalance"],
    )
    actions = foreseen(first, task)
    try:
        outcome = _carried_out(engine, observe, task.stages[0], task, run, first)
    except SwarmError as failure:
        raise _with_everything_put_back(engine, observe, task, run, failure) from failure
    outcome = replace(outcome, actions=actions, warnings=warnings)
    if run.check_mode or not params["wait"] or not task.nodes:
        return outcome, facts(outcome.observed, task)
    return _finished(engine, observe, params, run, outcome, task, task.stages[0])


def wait_on(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Take up the wait of an earlier execution, and do what comes after it."""
    observe = _observer(engine)
    task, stage = Task(**run.subject["task"]), Stage(run.subject["stage"])
    # What is there is seen in the first look, which waits out an election.
    outcome = Outcome((), (), Seen(), False)
    return _finished(engine, observe, params, run, outcome, task, stage)


def _refuse_contradictions(params: Mapping[str, Any]) -> None:
    if params["strategy"] == START_FIRST and params["state"] == DRAINED and not params["wait"]:
        raise InvalidOption(
            "strategy: start_first needs wait: true, as old tasks stop when new ones run"
        )


def _observer(engine: Engine) -> Callable[[], Seen]:
    def observe() -> Seen:
        # The time comes first, so that what is seen after it has run for at least so long.
        now = engine_time(engine.info()["SystemTime"])
        return Seen(engine.nodes(), engine.services(), engine.tasks(), now)

    return observe


def _carried_out(
    engine: Engine,
    observe: Callable[[], Seen],
    stage: Stage,
    task: Task,
    run: Run,
    first: Seen | None = None,
) -> Outcome[Seen]:
    return reconcile(engine, observe, lambda seen: plan(stage, seen, task), run, first=first)


def _finished(
    engine: Engine,
    observe: Callable[[], Seen],
    params: Mapping[str, Any],
    run: Run,
    outcome: Outcome[Seen],
    task: Task,
    stage: Stage,
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Wait for each stage, and begin the next one when it is over."""
    begun, seen = [stage], outcome.observed

    def look() -> Look:
        nonlocal seen
        seen = observe()
        while True:
            verdict = judge(begun[-1], seen, task)
            following = task.stages[task.stages.index(begun[-1]) + 1 :]
            if verdict.verdict is Verdict.WAIT and begun[-1] is Stage.SURGE:
                # Somebody may have scaled a service since, and that counts.
                seen = _carried_out(engine, observe, Stage.SURGE, task, run, seen).observed
            if verdict.verdict is not Verdict.DONE or not following:
                return verdict
            seen = _carried_out(engine, observe, following[0], task, run, seen).observed
            begun.append(following[0])

    what = f"{', '.join(task.names)} being {task.state}"
    try:
        waited = wait_until(what, look, params["wait_timeout"], run.clock, run.watch)
    except SwarmError as failure:
        raise _with_everything_put_back(engine, observe, task, run, failure) from failure
    subject = {"task": asdict(task), "stage": begun[-1].value}
    outcome = replace(outcome, observed=seen, waited=replace(waited, subject=subject))
    return outcome, facts(seen, task)


def _with_everything_put_back(
    engine: Engine, observe: Callable[[], Seen], task: Task, run: Run, failure: SwarmError
) -> SwarmError:
    """The failure, when nodes and services are as they were, and what there is to say of that.

    To make nodes active or paused is no more than was asked, and stays.
    """
    if task.state != DRAINED:
        return failure

    def look() -> Look:
        def decide(seen: Seen) -> Plan:
            return scaled_back(seen, task)

        left = left_scaled(reconcile(engine, observe, decide, run).observed, task)
        return Look(Verdict.WAIT if left else Verdict.DONE, ", ".join(left))

    told = str(failure)
    try:
        put_back = reconcile(engine, observe, lambda seen: undone(seen, task), run)
        if put_back.changed:
            nodes = put_back.observed.named(task.nodes)
            again = [f"{name_of(node)} is {node['Spec']['Availability']}" for node in nodes]
            told += f". Put back as before: {', '.join(again)}"
        wait_until("scaling back", look, UNDO_SECONDS, run.clock)
    except NotConverged:
        names = left_scaled(observe(), task)
        told += (
            f". Still scaled up, as scaling back would stop tasks that run: {', '.join(names)}; "
            "run it again, or with state: active, when their new tasks can run"
        )
    except SwarmError as error:
        told += f". It could not be put back as it was: {error}"
    return NotConverged(told)


def facts(seen: Seen, task: Task) -> dict[str, Any]:
    """The nodes as they were seen last, and the services that had to move."""
    return {
        "nodes": [summary(node) for node in seen.named(task.nodes)],
        "services": list(task.affected),
    }
