# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until a service is what its spec says, or is gone, and show how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import NotConverged, SwarmError
from ansible_collections.shoal.swarm.plugins.module_utils._progress import (
    removal_progress,
    service_progress,
)
from ansible_collections.shoal.swarm.plugins.module_utils._ready import (
    engine_time,
    newest_failure,
    service_converged,
    tasks_gone,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import name_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_logs import last_lines
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Look,
    Verdict,
    Waited,
    wait_until,
)

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
    engine_then, read_at = engine_time(engine.info()["SystemTime"]), run.clock.now()

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
        nodes = engine.nodes() if watched else []
        return replace(tasks_gone(tasks), view=(removal_progress(name, tasks, nodes),))

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


def _last_words(engine: Engine, service_id: str) -> str:
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
        f"; its task on {names.get(task.get('NodeID'), 'a node that is gone')} {status['State']} "
        f"with exit code {code}" + (f", and its log ends: {' | '.join(lines)}" if lines else "")
    )


def _tasks_of_removed(engine: Engine, service_id: str) -> list[Mapping[str, Any]]:
    # Asked for the tasks of a service that is gone, the engine answers 404 (20.10 to 26.1), though
    # they are still there until they have stopped.
    return [task for task in engine.tasks() if task.get("ServiceID") == service_id]
