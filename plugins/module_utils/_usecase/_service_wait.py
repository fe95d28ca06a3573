# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until a service is what its spec says, or is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._ready import (
    engine_time,
    service_converged,
    tasks_gone,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Run
from ansible_collections.shoal.swarm.plugins.module_utils._wait import wait_until


def wait(
    engine: Engine,
    service: Mapping[str, Any],
    params: Mapping[str, Any],
    run: Run,
    has_written: bool,
) -> None:
    """Wait until `service`, as it was last seen, is as `params` ask."""
    name, service_id = params["name"], service["ID"]
    if params["state"] == "absent":
        wait_until(
            f"the end of all tasks of service {name}",
            lambda: tasks_gone(_tasks_of_removed(engine, service_id)),
            params["wait_timeout"],
            run.clock,
        )
        return
    wait_until(
        f"service {name} being as asked",
        lambda: service_converged(
            engine.service(service_id),
            engine.tasks({"service": [service_id], "_up-to-date": ["true"]}),
            engine.nodes(),
            engine_time(engine.info()["SystemTime"]),
            has_written,
        ),
        params["wait_timeout"],
        run.clock,
    )


def _tasks_of_removed(engine: Engine, service_id: str) -> list[Mapping[str, Any]]:
    # Asked for the tasks of a service that is gone, the engine answers 404 (20.10 to 26.1), though
    # they are still there until they have stopped.
    return [task for task in engine.tasks() if task.get("ServiceID") == service_id]
