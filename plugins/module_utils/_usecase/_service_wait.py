# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until services are what their specs say, or are gone, and show how it goes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import NAMESPACE
from ansible_collections.shoal.swarm.plugins.module_utils._errors import NotConverged, SwarmError
from ansible_collections.shoal.swarm.plugins.module_utils._progress import (
    removal_progress,
    service_progress,
)
from ansible_collections.shoal.swarm.plugins.module_utils._ready import (
    newest_failure,
    service_converged,
    tasks_gone,
)
from ansible_collections.shoal.swarm.plugins.module_utils._units import engine_time
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import name_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Run,
    patiently,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_logs import last_lines
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Look,
    Verdict,
    Waited,
    wait_until,
)

Document = Mapping[str, Any]

# So much of the log stands in an error.
LOG_LINES = 10


def wait(
    engine: Engine, service_id: str, params: Mapping[str, Any], run: Run, has_written: bool
) -> Waited:
    """Wait until the service is as `params` ask. It may not be there any more.

    Every request for the sake of the picture alone is made only where somebody watches.
    """
    name, watched = params["name"], run.watch is not None
    # Asked once: of all requests it costs the engine the most. How long the answer takes is not
    # added to how long a task has run.
    info = patiently(engine.info, run.clock)
    engine_then, read_at = engine_time(info["SystemTime"]), run.clock.now()

    def converged() -> Look:
        # First, so that what is seen after it has run for at least so long.
        now = engine_then + timedelta(seconds=run.clock.now() - read_at)
        service = engine.service(service_id)
        tasks = engine.tasks({"service": [service_id]}) if watched else []
        up_to_date = engine.tasks({"service": [service_id], "_up-to-date": ["true"]})
        nodes = engine.nodes()
        accepts_rollback = params["state"] == "rolled_back" or params["on_rollback"] == "accept"
        look = service_converged(service, up_to_date, nodes, now, has_written, accepts_rollback)
        is_done = look.verdict is Verdict.DONE
        return replace(look, view=(service_progress(service, tasks, up_to_date, nodes, is_done),))

    def gone() -> Look:
        tasks = _tasks_of_removed(engine, service_id)
        nodes = engine.nodes()
        view = (removal_progress(f"service {name}", tasks, nodes),)
        return replace(tasks_gone(tasks, nodes), view=view)

    is_absent = params["state"] == "absent"
    try:
        waited = wait_until(
            f"the end of all tasks of service {name}"
            if is_absent
            else f"service {name} being as asked",
            gone if is_absent else converged,
            params["wait_timeout"],
            run.clock,
            run.watch,
        )
    except NotConverged as failure:
        if is_absent:
            raise
        raise NotConverged(f"{failure}{_last_words(engine, service_id)}") from failure
    return replace(waited, subject={"service_id": service_id, "has_written": has_written})


def wait_for_stack(
    engine: Engine,
    stack: str,
    names: Collection[str],
    timeout: float,
    run: Run,
    written: Collection[str],
    accepts_rollback: bool,
) -> Waited:
    """Wait until all these services of the stack are as asked; the first that cannot be is the end.

    However many there are, a look at them is four requests. `written` has the names of those that
    the task has written.
    """
    watched = run.watch is not None
    of_stack = {"label": [f"{NAMESPACE}={stack}"]}
    info = patiently(engine.info, run.clock)
    engine_then, read_at = engine_time(info["SystemTime"]), run.clock.now()
    failed: dict[str, str] = {}

    def converged() -> Look:
        now = engine_then + timedelta(seconds=run.clock.now() - read_at)
        services = {s["Spec"]["Name"]: s for s in engine.services(of_stack)}
        tasks = _by_service(engine.tasks(of_stack)) if watched else {}
        up_to_date = _by_service(engine.tasks({**of_stack, "_up-to-date": ["true"]}))
        nodes = engine.nodes()
        looks = {}
        for name in sorted(names):
            service = services.get(name)
            if service is None:
                looks[name] = Look(Verdict.FAILED, "somebody else has removed it")
                continue
            current = up_to_date.get(service["ID"], [])
            look = service_converged(
                service, current, nodes, now, name in written, accepts_rollback
            )
            is_done = look.verdict is Verdict.DONE
            shown = service_progress(service, tasks.get(service["ID"], []), current, nodes, is_done)
            # Where all is well, the number of tasks tells enough.
            looks[name] = replace(look, view=(replace(shown, rows=()) if is_done else shown,))
        troubled = _troubled(looks)
        failed.clear()
        failed.update({name: services[name]["ID"] for name in troubled if name in services})
        reasons = [f"service {name}: {look.reason}" for name, look in troubled.items()]
        verdict = next((look.verdict for look in troubled.values()), Verdict.DONE)
        view = tuple(section for look in looks.values() for section in look.view)
        return Look(verdict, "; ".join(reasons), view)

    try:
        return wait_until(f"stack {stack} being as asked", converged, timeout, run.clock, run.watch)
    except NotConverged as failure:
        words = "".join(
            _last_words(engine, service_id, f"a task of {name}")
            for name, service_id in failed.items()
        )
        raise NotConverged(f"{failure}{words}") from failure


def _troubled(looks: Mapping[str, Look]) -> dict[str, Look]:
    """Those that have failed, and where none has those that are not done yet."""
    for verdict in (Verdict.FAILED, Verdict.WAIT):
        found = {name: look for name, look in looks.items() if look.verdict is verdict}
        if found:
            return found
    return {}


def _by_service(tasks: Iterable[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {}
    for task in tasks:
        found.setdefault(task.get("ServiceID", ""), []).append(task)
    return found


def wait_for_end_of_stack(engine: Engine, stack: str, timeout: float, run: Run) -> Waited:
    """Wait until no task of the stack runs any more."""

    def gone() -> Look:
        tasks = engine.tasks({"label": [f"{NAMESPACE}={stack}"]})
        nodes = engine.nodes()
        view = (removal_progress(f"stack {stack}", tasks, nodes),)
        return replace(tasks_gone(tasks, nodes), view=view)

    what = f"the end of all tasks of stack {stack}"
    return wait_until(what, gone, timeout, run.clock, run.watch)


def _last_words(engine: Engine, service_id: str, whose: str = "its task") -> str:
    """What the container of the task that failed last has written: it tells more than a code."""
    try:
        task = newest_failure(engine.tasks({"service": [service_id]}))
        names = {node["ID"]: name_of(node) for node in engine.nodes()} if task else {}
    except SwarmError:
        return ""
    if task is None:
        return ""
    status = task["Status"]
    code = (status.get("ContainerStatus") or {}).get("ExitCode") or 0
    lines = last_lines(engine, task["ID"], LOG_LINES)
    return (
        f"; {whose} on {names.get(task.get('NodeID'), 'a node that is gone')} {status['State']} "
        f"with exit code {code}" + (f", and its log ends: {' | '.join(lines)}" if lines else "")
    )


def _tasks_of_removed(engine: Engine, service_id: str) -> list[Mapping[str, Any]]:
    # Asked for the tasks of a service that is gone, the engine answers 404 (20.10 to 26.1), though
    # they are still there until they have stopped.
    return [task for task in engine.tasks() if task.get("ServiceID") == service_id]
