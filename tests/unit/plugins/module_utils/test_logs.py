# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._logs import (
    STREAMS,
    LogLine,
    log_query,
    read_log,
    unix_time,
    why_unreadable,
)

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=timezone.utc)

# As Engine 20.10 and 26.1 answer: two tasks on two nodes, and one that no node has.
TASK = "3v2evd6ag6789jxcl82ujkno5"
NODE = "g56bon6ekxynbyoflt8p3sogg"
OTHER_TASK = "riu4x7zp0v2lbyuxncujr5b1y"
OTHER_NODE = "nc4twzw6bc01475l9q8oinwof"
FRAMED = (
    b"\x01\x00\x00\x00\x00\x00\x00\xc02026-11-21T08:07:25.531697760Z "
    b"com.docker.swarm.node.id=g56bon6ekxynbyoflt8p3sogg,"
    b"com.docker.swarm.service.id=y2gmm2ws8vbuajkgw09oi1fc9,"
    b"com.docker.swarm.task.id=3v2evd6ag6789jxcl82ujkno5 boom\n"
    b"\x02\x00\x00\x00\x00\x00\x00\xc02026-11-21T08:07:25.531700000Z "
    b"com.docker.swarm.node.id=g56bon6ekxynbyoflt8p3sogg,"
    b"com.docker.swarm.service.id=y2gmm2ws8vbuajkgw09oi1fc9,"
    b"com.docker.swarm.task.id=3v2evd6ag6789jxcl82ujkno5 oops\n"
    b"\x01\x00\x00\x00\x00\x00\x00\xc02026-11-21T08:06:26.979285108Z "
    b"com.docker.swarm.node.id=nc4twzw6bc01475l9q8oinwof,"
    b"com.docker.swarm.service.id=y2gmm2ws8vbuajkgw09oi1fc9,"
    b"com.docker.swarm.task.id=riu4x7zp0v2lbyuxncujr5b1y boom\n"
    b"\x03\x00\x00\x00\x00\x00\x00\xc8Error grabbing logs: rpc error: code = Unknown desc = "
    b"warning: incomplete log stream. some logs could not be retrieved for the following reasons: "
    b"task otmozy6rzjwwfowfo0oatmgrj has not been scheduled\n"
)
LINES = [
    LogLine("2026-11-21T08:06:26.979285108Z", OTHER_TASK, OTHER_NODE, "stdout", "boom"),
    LogLine("2026-11-21T08:07:25.531697760Z", TASK, NODE, "stdout", "boom"),
    LogLine("2026-11-21T08:07:25.531700000Z", TASK, NODE, "stderr", "oops"),
]
PROBLEM = (
    "warning: incomplete log stream. some logs could not be retrieved for the following reasons: "
    "task otmozy6rzjwwfowfo0oatmgrj has not been scheduled"
)
TERMINAL = (
    b"2026-11-21T08:06:05.797973690Z com.docker.swarm.node.id=nc4twzw6bc01475l9q8oinwof,"
    b"com.docker.swarm.service.id=uji160omn64q6qkfi7lj7hau0,"
    b"com.docker.swarm.task.id=hrlf2iu3m41g5q9h7vmfr1ulz one\r\n"
    b"2026-11-21T08:06:05.798493232Z com.docker.swarm.node.id=nc4twzw6bc01475l9q8oinwof,"
    b"com.docker.swarm.service.id=uji160omn64q6qkfi7lj7hau0,"
    b"com.docker.swarm.task.id=hrlf2iu3m41g5q9h7vmfr1ulz 10%\r100%, done\r\n"
    b"Error grabbing logs: rpc error: code = Unknown desc = node is not available\n"
)


# The answer


def test_frames_are_read_and_sorted_by_time() -> None:
    assert read_log([FRAMED]) == (LINES, [PROBLEM])


def test_several_answers_become_one() -> None:
    start = FRAMED.index(b"\x01", 1)
    assert read_log([FRAMED[start:], FRAMED[:start]]) == (LINES, [PROBLEM])


def test_the_text_of_a_terminal_has_no_frames() -> None:
    lines, problems = read_log([TERMINAL])
    assert [(line.stream, line.message) for line in lines] == [
        ("stdout", "one"),
        ("stdout", "10%\r100%, done"),
    ]
    assert {line.task_id for line in lines} == {"hrlf2iu3m41g5q9h7vmfr1ulz"}
    assert problems == ["node is not available"]


def test_nothing_is_nothing() -> None:
    assert read_log([]) == read_log([b""]) == ([], [])


@pytest.mark.parametrize("end", range(1, len(FRAMED), 37))
def test_what_was_cut_off_keeps_the_frames_before(end: int) -> None:
    lines, problems = read_log([FRAMED[:end]])
    assert [line for line in LINES if line in lines] == lines
    whole = FRAMED[:end].count(b"\n")
    assert len(lines) + len(problems) == whole


def frame(text: str, stream: int = 1, task: str = TASK, second: int = 0) -> bytes:
    origin = f"com.docker.swarm.node.id={NODE},com.docker.swarm.task.id={task}"
    data = f"2026-11-21T08:00:{second:02}.000000000Z {origin} {text}".encode()
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_a_long_line_comes_in_pieces_of_which_others_may_be_in_between() -> None:
    answer = b"".join(
        [
            frame("a" * 16384),
            frame("other\n", task=OTHER_TASK, second=1),
            frame("error\n", stream=2, second=2),
            frame("b" * 16384, second=3),
            frame("c\n", second=4),
            frame("next\n", second=5),
            frame("unfinished", second=6),
        ]
    )
    assert [line.message for line in read_log([answer])[0]] == [
        "a" * 16384 + "b" * 16384 + "c",
        "other",
        "error",
        "next",
        "unfinished",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", ""),
        (" indented  twice \n", " indented  twice "),
        ("a=b,c=d e\n", "a=b,c=d e"),
        ("two\nlines\n", "two\nlines"),
        ("grüße 🐳\n", "grüße 🐳"),
    ],
)
def test_a_message_stays_as_it_was_written(text: str, message: str) -> None:
    assert [line.message for line in read_log([frame(text)])[0]] == [message]


def test_bytes_that_are_no_text_are_replaced() -> None:
    data = frame("caf?\n").replace(b"?", b"\xe9")
    assert [line.message for line in read_log([data])[0]] == ["caf\ufffd"]


def test_details_are_decoded_and_those_of_the_log_driver_are_no_part_of_the_message() -> None:
    data = b"2026-11-21T08:00:00.000000000Z a%2Cb=c+d,com.docker.swarm.task.id=t1 hello\n"
    header = b"\x01\x00\x00\x00" + len(data).to_bytes(4, "big")
    ((line,), problems) = read_log([header + data])
    assert (line.task_id, line.node_id, line.message) == ("t1", "", "hello")
    assert problems == []


# The question


def test_the_query_asks_for_the_origin_of_each_line() -> None:
    assert log_query(5, None, STREAMS, NOW) == {
        "tail": 5,
        "details": "true",
        "timestamps": "true",
        "stdout": "true",
        "stderr": "true",
    }
    query = log_query(1, "30s", ["stderr"], NOW)
    assert "stdout" not in query
    assert query["since"] == f"{(NOW - timedelta(seconds=30)).timestamp():.6f}"


@pytest.mark.parametrize(
    ("tail", "streams", "reason"),
    [
        (0, STREAMS, "tail: 0 lines are none"),
        (-1, STREAMS, "tail: -1 lines are none"),
        (1, (), "streams: name stdout, stderr or both"),
    ],
)
def test_a_query_for_nothing_is_refused(tail: int, streams: Any, reason: str) -> None:
    with pytest.raises(InvalidOption, match=reason):
        log_query(tail, None, streams, NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", f"{(NOW - timedelta(minutes=10)).timestamp():.6f}"),
        ("1.5s", f"{(NOW - timedelta(seconds=1.5)).timestamp():.6f}"),
        ("1763712000", "1763712000"),
        ("1763712000.5", "1763712000.5"),
        ("2026-11-21T08:00:00Z", f"{int(NOW.timestamp())}"),
        # To the nanosecond, so that the time of a line that was read can be given.
        ("2026-11-21T08:00:00.797973690Z", f"{int(NOW.timestamp())}.797973690"),
        ("2026-11-21T10:00:00+02:00", f"{int(NOW.timestamp())}"),
        # What YAML makes of a time without quotes.
        ("2026-11-21 08:00:00+00:00", f"{int(NOW.timestamp())}"),
        ("2026-11-21 08:00:00", f"{int(NOW.timestamp())}"),
    ],
)
def test_a_time_is_a_duration_ago_or_a_moment(text: str, seconds: str) -> None:
    assert unix_time(text, NOW) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-11-21", "2026-13-01T00:00:00Z", "-5", "99999999d", "1e9"]
)
def test_what_is_no_time_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(
        InvalidOption, match=r"since: '.*' is no time: write a duration such as 10m"
    ):
        unix_time(text, NOW)


@pytest.mark.parametrize(
    ("driver", "default", "reason"),
    [
        (None, "json-file", None),
        (None, "none", "driver none"),
        ({"Name": "none"}, "json-file", "driver none"),
        ({"Name": "syslog"}, "json-file", None),
        ({"Name": "", "Options": {"cache-disabled": "true"}}, "syslog", "syslog with cache-disab"),
        ({"Name": "syslog", "Options": {"cache-disabled": "1"}}, "local", "syslog with cache-disa"),
        ({"Name": "syslog", "Options": {"cache-disabled": "false"}}, "local", None),
        ({"Name": "local", "Options": {"cache-disabled": "true"}}, "local", None),
        ({"Name": "journald", "Options": None}, "none", None),
    ],
)
def test_a_driver_that_keeps_nothing_is_named(
    driver: Any, default: str, reason: str | None
) -> None:
    reasons = why_unreadable(driver, default)
    assert len(reasons) == (reason is not None)
    assert all(str(reason) in text for text in reasons)
