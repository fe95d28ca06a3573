# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of a wait: run the module slice by slice, and show what each one saw.

The module carries out the task in its first execution and only looks in the later ones
(module_utils/_wait.py), so one of those that is lost with its connection is simply run again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible import constants
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    WATCH_VARIABLE,
    WATCHED,
    Clock,
    Section,
    View,
)

Document = dict[str, Any]

# What the first execution tells for all of them.
OF_THE_FIRST = ("changed", "diff", "changes")
RETRY_SECONDS = 1.0
LOST: View = (Section("the connection", "lost, trying again"),)


# Waiting


class WatchedAction(ActionBase):
    """The whole of an action plugin whose module takes its arguments as they are."""

    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: Document | None = None) -> Document:
        result = super().run(tmp, task_vars)
        return {**result, **run_watched(self, self._task.args, task_vars or {})}


def run_watched(action: ActionBase, arguments: Mapping[str, Any], task_vars: Document) -> Document:
    """Run the action's module with these arguments, and show how its wait goes.

    With async nobody sees it, and with no_log nobody may: then the module waits by itself.
    """
    task = action._task
    # As ansible.builtin's own actions do it.
    wrap_async = bool(task.async_val) and not action._connection.has_native_async

    def execute() -> Document:
        return action._execute_module(
            module_args=dict(arguments), task_vars=task_vars, wrap_async=wrap_async
        )

    def execute_slice(state: Document) -> Document:
        variable = {WATCH_VARIABLE: json.dumps(state)}
        task.environment.append(variable)
        try:
            return execute()
        finally:
            task.environment.remove(variable)

    if task.async_val or task.no_log:
        return execute()
    return watch(execute_slice, Screen(action, task_vars).show, Clock())


def watch(
    execute: Callable[[Document], Document], show: Callable[[View], None], clock: Clock
) -> Document:
    """Execute until nothing is left to wait for; the result is as if that had been one execution.

    Time runs here: what a connection takes, or a lost one, counts as waiting.
    """
    first = result = execute({})
    waited = result.pop(WATCHED, None)
    if waited is None or waited["done"]:
        return first
    deadline = clock.now() + waited["remaining"]
    view, written = _view(waited), [waited["written"]]
    while not waited["done"]:
        show(view)
        state = {name: waited[name] for name in ("shown", "subject")}
        try:
            result = execute({**state, "remaining": max(0.0, deadline - clock.now())})
        except AnsibleAuthenticationFailure:
            raise
        except AnsibleConnectionFailure:
            if clock.now() >= deadline:
                raise
            view, waited = LOST, {**waited, "shown": None}
            clock.sleep(RETRY_SECONDS)
            continue
        waited = result.pop(WATCHED, None)
        if waited is None:
            return {**result, **_all_of([*written, result]), **_warnings(first, result)}
        written.append(waited["written"])
        # What goes back after its time is over gets the same time once more.
        deadline = max(deadline, clock.now() + waited["remaining"])
        view = _view(waited)
    show(view)
    planned = {name: first[name] for name in OF_THE_FIRST if name in first}
    return {**result, **planned, **_warnings(first, result)}


def _all_of(written: Sequence[Document]) -> Document:
    """What the executions have written together, to be told by the last one, which has failed."""
    if not any(part.get("changed") for part in written):
        return {}
    return {
        "changed": True,
        "diff": [entry for part in written for entry in part.get("diff", [])],
        "changes": [entry for part in written for entry in part.get("changes", [])],
    }


def _warnings(first: Document, last: Document) -> Document:
    """Every execution deprecates the same, but the first alone has something else to warn of."""
    warnings = first.get("warnings", [])
    warnings = [*warnings, *(w for w in last.get("warnings", []) if w not in warnings)]
    return {"warnings": warnings} if warnings else {}


def _view(waited: Document) -> View:
    return tuple(
        Section(part["title"], part["text"], tuple((name, doing) for name, doing in part["rows"]))
        for part in waited["view"]
    )


# Showing


def _terminal() -> os.terminal_size | None:
    if not (os.isatty(1) and os.isatty(2)) or os.environ.get("TERM", "dumb") == "dumb":
        return None
    size = os.get_terminal_size(2)
    return size if all(size) and not os.environ.get("CI") else None


# Ansible loads an action plugin before it starts the worker that runs it, and which has no terminal
# any more (executor/process/worker.py). A strategy that does not would just get lines.
TERMINAL = _terminal()
# Which callback leaves the terminal to itself while a task runs.
CALLBACKS = ("default", "ansible.builtin.default")
# From -vvv on, each connection has something to say.
LOUD = 3


class Screen:
    """Shows one wait: as a picture that changes, or as a line for each change.

    It goes to standard error, as what is printed on standard output may be read by a program, and
    comes late where that is no terminal. A picture needs the terminal for itself, so it is drawn
    only where one host alone runs the task.
    """

    def __init__(self, action: ActionBase, task_vars: Mapping[str, Any]) -> None:
        task = action._task
        host = str(task_vars["inventory_hostname"])
        self._host = f"{host} -> {task.delegate_to}" if task.delegate_to else host
        self._display = Display()
        is_alone = task.run_once or len(task_vars["ansible_play_batch"]) == 1
        is_quiet = self._display.verbosity < LOUD
        is_ours = constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK") in CALLBACKS
        self._terminal = TERMINAL if is_alone and is_quiet and is_ours else None
        self._seen: View = ()
        self._height = 0

    def show(self, view: View) -> None:
        line = change(self._seen, view)
        if not line:
            return
        self._seen = view
        if self._terminal is None:
            self._display.display(f"[{self._host}] {line}", stderr=True)
            return
        drawn = picture(view, self._host, self._terminal)
        # Nothing of a terminal's control belongs into a log.
        self._display.display(redrawn(drawn, self._height), stderr=True, screen_only=True)
        self._display.display(f"[{self._host}] {line}", log_only=True)
        self._height = len(drawn)


def change(before: View, after: View) -> str:
    """What is new, in one line."""
    old = {section.title: section for section in before}
    return " | ".join(
        "; ".join(
            [
                f"{section.title}: {section.text}",
                *(f"{name}: {doing}" for name, doing in _new_rows(old.get(section.title), section)),
            ]
        )
        for section in after
        if section != old.get(section.title)
    )


def _new_rows(before: Section | None, after: Section) -> Sequence[tuple[str, str]]:
    known = dict(before.rows) if before else {}
    return [(name, doing) for name, doing in after.rows if known.get(name) != doing]


def picture(view: View, host: str, terminal: os.terminal_size) -> list[str]:
    """The lines of the picture, each within the terminal's width, and no more than its height."""
    lines = []
    for section in view:
        width = max((len(name) for name, _doing in section.rows), default=0)
        lines.append(f"[{host}] {section.title}: {section.text}")
        lines += [f"  {name:<{width}}  {doing}" for name, doing in section.rows]
    # The last line of the terminal is the cursor's.
    room = terminal.lines - 1
    if len(lines) > room:
        lines = [*lines[: room - 1], f"  and {len(lines) - room + 1} lines more"]
    return [line[: terminal.columns - 1] for line in lines]


def redrawn(lines: Sequence[str], height: int) -> str:
    """The control sequences that put the picture in the place of one with so many lines."""
    up = f"\x1b[{height}A" if height else ""
    return f"{up}\r\x1b[J" + "\n".join(lines)
