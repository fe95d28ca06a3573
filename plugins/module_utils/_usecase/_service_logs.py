# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last lines of what the tasks of a service have written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, SwarmError
from ansible_collections.shoal.swarm.plugins.module_utils._logs import (
    STREAMS,
    LogLine,
    log_query,
    read_log,
    why_unreadable,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._tasks import container_of, task_name
from ansible_collections.shoal.swarm.plugins.module_utils._units import engine_time
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import name_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Run,
    patiently,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_info import find

# For who has more to say than the log.
BRIEFLY = 5.0
# So much of an ID the CLI shows.
SHORT_ID = 12

Document = Mapping[str, Any]


def gather(engine: Engine, params: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """The lines, and in `warnings` what is missing from them and why."""
    info = engine.info()
    require_manager(membership(info))
    now = engine_time(info["SystemTime"])
    query = log_query(params["tail"], params["since"], params["streams"], now)
    driver = info["LoggingDriver"]
    return patiently(lambda: _read(engine, params, query, driver, run), run.clock)


def last_lines(engine: Engine, task_id: str, count: int) -> list[str]:
    """What a task has written last, for a message about its end: within 5 s, and never an error."""
    query = log_query(count, None, STREAMS, datetime.now(timezone.utc))
    try:
        answer, _is_all = engine.task_logs(task_id, query, BRIEFLY)
    except SwarmError:
        return []
    lines, _problems = read_log([answer])
    return [line.message for line in lines[-count:]]


def _subject(engine: Engine, params: Mapping[str, Any]) -> tuple[str, list[Document]]:
    """The service's name and its tasks, or the one task, that are asked for."""
    reference = params["name"] or params["task"]
    if params["name"]:
        service = find(engine, reference)
        if service is None:
            raise InvalidOption(f"there is no service {reference}")
        return service["Spec"]["Name"], list(engine.tasks({"service": [service["ID"]]}))
    tasks = engine.tasks({"id": [reference]})
    if len(tasks) != 1:
        raise InvalidOption(
            f"{len(tasks) or 'no'} tasks have an ID that begins with {reference}: "
            "shoal.swarm.service_info with tasks: all lists them"
        )
    service = find(engine, tasks[0]["ServiceID"])
    return (service["Spec"]["Name"] if service else tasks[0]["ServiceID"]), list(tasks)


def _read(
    engine: Engine,
    params: Mapping[str, Any],
    query: Mapping[str, Any],
    default_driver: str,
    run: Run,
) -> dict[str, Any]:
    service_name, tasks = _subject(engine, params)
    nodes = {node["ID"]: node for node in engine.nodes()}
    node_names = {node_id: name_of(node) for node_id, node in nodes.items()}
    names = {task["ID"]: task_name(task, service_name) for task in tasks}
    writers = [task for task in tasks if container_of(task)]
    present = [task for task in writers if _state(nodes, task) == "ready"]
    warnings = list(_losses(writers, nodes, names))
    if not writers:
        warnings += [_never_ran(task, names) for task in tasks]

    # For a node that is gone the engine would wait without end, so then only the others are asked.
    whole = params["name"] and len(present) == len(writers)
    requests = [partial(engine.task_logs, task["ID"], query) for task in present]
    if whole and present:
        requests = [partial(engine.service_logs, present[0]["ServiceID"], query)]
    deadline = run.clock.now() + params["timeout"]
    replies = [request(max(0.1, deadline - run.clock.now())) for request in requests]
    lines, problems = read_log(answer for answer, _is_all in replies)
    warnings += problems
    heard = {line.task_id for line in lines}
    silent = [task for task in present if task["ID"] not in heard]
    if not all(is_all for _answer, is_all in replies):
        quiet = {node_names[task["NodeID"]] for task in silent}
        warnings.append(
            f"the engine has not sent the whole log within {params['timeout']} s (timeout), and "
            f"nothing from {', '.join(sorted(quiet)) or 'some task'}"
        )
    for task in silent:
        warnings += why_unreadable(task["Spec"].get("LogDriver"), default_driver)
    shown = [_shown(line, names, node_names) for line in lines]
    return {
        "lines": shown,
        "stdout": "\n".join(_text(line, params["timestamps"]) for line in shown),
        "complete": not warnings,
        # Each once, in their order.
        "warnings": list(dict.fromkeys(warnings)),
    }


def _state(nodes: Mapping[str, Document], task: Document) -> str:
    node = nodes.get(task["NodeID"])
    return str(node["Status"]["State"]) if node else "no longer in the swarm"


def _losses(
    writers: Iterable[Document], nodes: Mapping[str, Document], names: Mapping[str, str]
) -> Iterator[str]:
    by_node: dict[str, list[Document]] = defaultdict(list)
    for task in writers:
        if _state(nodes, task) != "ready":
            by_node[task["NodeID"]].append(task)
    for node_id, tasks in by_node.items():
        node = name_of(nodes[node_id]) if node_id in nodes else node_id
        missing = ", ".join(sorted({names[task["ID"]] for task in tasks}))
        yield f"node {node} is {_state(nodes, tasks[0])}: what {missing} wrote there is missing"


def _never_ran(task: Document, names: Mapping[str, str]) -> str:
    status = task["Status"]
    error = f": {status['Err']}" if status.get("Err") else ""
    return f"{names[task['ID']]} has not run and has no log, it is {status['State']}{error}"


def _shown(
    line: LogLine, names: Mapping[str, str], node_names: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "timestamp": line.timestamp,
        "task": names.get(line.task_id, line.task_id),
        "task_id": line.task_id,
        "node": node_names.get(line.node_id, line.node_id),
        "stream": line.stream,
        "message": line.message,
    }


def _text(line: Mapping[str, str], timestamps: bool) -> str:
    """As `docker service logs` prints it."""
    when = f"{line['timestamp']} " if timestamps else ""
    writer = f"{line['task']}.{line['task_id'][:SHORT_ID]}@{line['node']}"
    return f"{when}{writer} | {line['message']}"
