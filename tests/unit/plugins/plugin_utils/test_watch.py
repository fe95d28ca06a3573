# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure

from ansible_collections.shoal.swarm.plugins.module_utils._wait import WATCHED, Clock, Section, View
from ansible_collections.shoal.swarm.plugins.plugin_utils._watch import (
    LOST,
    OF_THE_FIRST,
    change,
    picture,
    redrawn,
    watch,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import World
from ansible_collections.shoal.swarm.tests.unit.terminal import Terminal

SUBJECT = {"service_id": "abc", "has_written": True}


def view(text: str, **rows: str) -> View:
    return (Section("service web", text, tuple(rows.items())),)


def answer(view: View, remaining: float = 100, done: bool = False, **more: Any) -> dict[str, Any]:
    """What the module returns of a slice."""
    waited = {"done": done, "remaining": remaining, "subject": SUBJECT, "shown": hash(view)}
    result = {"changed": False, "diff": [], "changes": [], **more}
    written = {name: result[name] for name in OF_THE_FIRST}
    return {
        **result,
        WATCHED: {**waited, "view": [asdict(s) for s in view], "written": written},
    }


Answers = list[dict[str, Any] | Exception]


class Target:
    """Executes the module: gives one answer after another, each after five seconds."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers: Answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.shown: list[View] = []
        self.clock: Clock = World().clock

    def execute(self, state: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(state)
        self.clock.sleep(5)
        # The last one again and again.
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def watch(self) -> dict[str, Any]:
        return watch(self.execute, self.shown.append, self.clock)


ONE, TWO, THREE = view("1 of 3"), view("2 of 3"), view("3 of 3")
OFFLINE = AnsibleConnectionFailure("Connection refused")


# Executing


@pytest.mark.parametrize(
    "result",
    [
        {"changed": False, "tasks": []},
        {"failed": True, "msg": "no Docker Engine on this host"},
        answer(THREE, done=True, tasks=["c"]),
    ],
)
def test_what_needs_no_wait_is_executed_once_and_shows_nothing(result: dict[str, Any]) -> None:
    expected = {name: value for name, value in result.items() if name != WATCHED}
    target = Target(result)
    assert target.watch() == expected
    assert target.asked == [{}]
    assert target.shown == []


def test_the_result_is_as_if_there_had_been_one_execution() -> None:
    target = Target(
        answer(ONE, changed=True, diff=["d"], changes=["c"], tasks=["a"]),
        answer(TWO, diff=[], changes=[], tasks=["b"]),
        answer(THREE, done=True, diff=[], changes=[], tasks=["c"]),
    )
    assert target.watch() == {"changed": True, "diff": ["d"], "changes": ["c"], "tasks": ["c"]}
    assert target.shown == [ONE, TWO, THREE]


def test_later_executions_get_what_the_earlier_ones_left_and_the_time_that_is_left() -> None:
    target = Target(answer(ONE, 50), answer(TWO, 40), answer(THREE, done=True))
    target.watch()
    assert target.asked == [
        {},
        {"shown": hash(ONE), "subject": SUBJECT, "remaining": 50},
        # Five seconds have passed here, whatever the target thinks.
        {"shown": hash(TWO), "subject": SUBJECT, "remaining": 45},
    ]


def test_when_the_time_is_over_the_module_is_asked_to_say_why() -> None:
    failure = {"failed": True, "msg": "did not happen within 7 s: 1 of 3 tasks are running"}
    target = Target(answer(ONE, 7), answer(ONE, 2), answer(ONE, 0), failure)
    assert target.watch() == failure
    assert [state.get("remaining") for state in target.asked] == [None, 7, 2, 0]


def test_what_goes_back_when_the_time_is_over_has_the_same_time_once_more() -> None:
    failure = {"failed": True, "msg": "rolled back"}
    target = Target(answer(ONE, 7), answer(ONE, 2), answer(TWO, 7), answer(TWO, 2), failure)
    assert target.watch() == failure
    assert [state.get("remaining") for state in target.asked] == [None, 7, 2, 7, 2]


def test_a_failure_ends_it() -> None:
    failure = {"failed": True, "msg": "the update was paused"}
    target = Target(answer(ONE), failure)
    assert target.watch() == failure
    assert target.shown == [ONE]


def test_a_failure_tells_what_all_executions_have_written() -> None:
    failure: dict[str, Any] = {"failed": True, "changed": False, "msg": "the update was paused"}
    written: dict[str, Any] = {"changed": True, "diff": ["d1"], "changes": ["c1"]}
    target = Target(answer(ONE, **written), answer(TWO), failure)
    assert target.watch() == {**failure, **written}
    last = {**failure, "changed": True, "diff": ["d2"], "changes": ["c2"]}
    target = Target(answer(ONE, **written), answer(TWO), last)
    assert target.watch() == {**last, "diff": ["d1", "d2"], "changes": ["c1", "c2"]}


def test_of_a_crash_it_is_told_as_well() -> None:
    target = Target(answer(ONE, changed=True), {"failed": True, "msg": "MODULE FAILURE"})
    assert target.watch()["changed"] is True


def test_each_warning_is_told_once() -> None:
    failure = {"failed": True, "msg": "the update was paused", "warnings": ["a", "c"]}
    for last, warnings in (
        (failure, ["a", "b", "c"]),
        (answer(THREE, done=True), ["a", "b"]),
    ):
        target = Target(answer(ONE, warnings=["a", "b"]), answer(TWO, warnings=["d"]), last)
        assert target.watch()["warnings"] == warnings


def test_a_connection_that_is_lost_while_looking_is_tried_again() -> None:
    target = Target(
        answer(ONE, changed=True), OFFLINE, OFFLINE, answer(ONE), answer(THREE, done=True)
    )
    assert target.watch() == {"changed": True, "diff": [], "changes": []}
    assert target.shown == [ONE, LOST, LOST, ONE, THREE]
    # The module is to show even what is nothing new to it.
    assert [state.get("shown") for state in target.asked] == [
        None,
        hash(ONE),
        None,
        None,
        hash(ONE),
    ]


def test_a_connection_that_stays_lost_is_the_end_when_the_time_is_over() -> None:
    target = Target(answer(ONE, 30), OFFLINE)
    with pytest.raises(AnsibleConnectionFailure, match="Connection refused"):
        target.watch()
    assert 5 + 30 <= target.clock.now() <= 5 + 30 + 6


def test_a_connection_that_is_lost_while_writing_is_not_tried_again() -> None:
    target = Target(OFFLINE)
    with pytest.raises(AnsibleConnectionFailure):
        target.watch()
    assert len(target.asked) == 1


def test_a_password_is_not_tried_again() -> None:
    target = Target(answer(ONE), AnsibleAuthenticationFailure("Permission denied"))
    with pytest.raises(AnsibleAuthenticationFailure):
        target.watch()
    assert len(target.asked) == 2


# Lines


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ((), view("0 of 2", a="new", b="new"), "service web: 0 of 2; a: new; b: new"),
        (view("0 of 2", a="new", b="new"), view("0 of 2", a="new", b="new"), ""),
        (
            view("0 of 2", a="new", b="new"),
            view("1 of 2", a="running", b="new"),
            "service web: 1 of 2; a: running",
        ),
        (view("1 of 2", a="new"), view("2 of 2", a="new"), "service web: 2 of 2"),
        # What is not there any more needs no words.
        (view("1 of 1", a="new", b="stopping"), view("1 of 1", a="new"), "service web: 1 of 1"),
        (ONE, (*ONE, Section("service db", "0 of 1")), "service db: 0 of 1"),
        (ONE, (*TWO, Section("service db", "0 of 1")), "service web: 2 of 3 | service db: 0 of 1"),
        (ONE, LOST, "the connection: lost, trying again"),
        (LOST, LOST, ""),
    ],
)
def test_a_line_tells_what_is_new(before: View, after: View, line: str) -> None:
    assert change(before, after) == line


# The picture


def size(columns: int = 80, lines: int = 24) -> os.terminal_size:
    return os.terminal_size((columns, lines))


def test_the_picture_is_in_columns() -> None:
    rows = (("slot 1", "running on node1"), ("slot 10", "new"))
    assert picture((Section("service web", "1 of 10 tasks run", rows), *LOST), "node1", size()) == [
        "[node1] service web: 1 of 10 tasks run",
        "  slot 1   running on node1",
        "  slot 10  new",
        "[node1] the connection: lost, trying again",
    ]


def test_the_picture_fits_into_the_terminal() -> None:
    tall = view("1 of 30", **{f"slot{i:02}": "pending: no suitable node" for i in range(30)})
    lines = picture(tall, "node1", size(columns=20, lines=10))
    assert len(lines) == 9
    assert lines[:2] == ["[node1] service web", "  slot00  pending: "]
    assert lines[-1] == "  and 23 lines more"
    assert max(map(len, lines)) == 19


@pytest.mark.parametrize("height", [6, 24])
def test_the_picture_takes_the_place_of_the_one_before_and_nothing_elses(height: int) -> None:
    screen = Terminal(height)
    screen.write("PLAY [all] ***\n\nTASK [Run it] ***\n")
    views = [
        view("0 of 3", a="new", b="new"),
        view("1 of 3", a="running on a node with a long name", b="preparing", c="new"),
        LOST,
        view("3 of 3", a="running", b="running", c="running", d="stopping", e="stopping"),
        view("3 of 3", a="running", b="running", c="running"),
    ]
    drawn: list[str] = []
    for seen in views:
        before, drawn = len(drawn), picture(seen, "node1", size(lines=height))
        screen.write(redrawn(drawn, before) + "\n")
        assert screen.lines == ["PLAY [all] ***", "", "TASK [Run it] ***", *drawn, ""]
    screen.write("changed: [node1]\n")
    assert screen.lines[-3:] == ["  c  running", "changed: [node1]", ""]
