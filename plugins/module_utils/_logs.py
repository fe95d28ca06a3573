# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs of services and tasks: what to ask the engine for, and how to read its answer. All pure.

The answer is a row of frames (moby api/pkg/stdcopy): one byte for the stream, three that are
zero, four for the length, then as many bytes of text. With a terminal (`tty`) it is the text alone.
Each line begins with its time and with details, of which the engine writes where it came from:

    2026-11-21T08:06:05.797973690Z com.docker.swarm.node.id=…,com.docker.swarm.task.id=… message
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._units import NANOSECONDS, nanoseconds

STDOUT, STDERR = "stdout", "stderr"
STREAMS = (STDOUT, STDERR)

# The drivers that the engine can read from without a copy.
_READABLE = ("json-file", "journald", "local")

_HEADER = 8
_OF_TASK = "com.docker.swarm.task.id"
_OF_NODE = "com.docker.swarm.node.id"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?\Z")
# How the engine and gRPC begin an error that they put into the stream.
_ERROR_PREFIX = re.compile(r"(Error grabbing logs: |rpc error: code = \w+ desc = )*")


@dataclass(frozen=True)
class LogLine:
    """A line of a log: when, by which task on which node, to which stream it was written."""

    timestamp: str
    task_id: str
    node_id: str
    stream: str
    message: str


def log_query(
    tail: int, since: str | None, streams: Collection[str], now: datetime
) -> dict[str, Any]:
    """The query of the API for the last lines of each task; `now` is the engine's own time."""
    if tail < 1:
        raise InvalidOption(f"tail: {tail} lines are none: write 1 or more")
    if not streams:
        raise InvalidOption("streams: name stdout, stderr or both")
    return {
        "tail": tail,
        "details": "true",
        "timestamps": "true",
        **{stream: "true" for stream in STREAMS if stream in streams},
        **({"since": unix_time(since, now)} if since else {}),
    }


def unix_time(text: str, now: datetime) -> str:
    """Seconds since 1970, from a duration before `now`, a time of RFC 3339, or such seconds."""
    if re.fullmatch(r"\d+(\.\d{1,9})?", text):
        return text
    match = _TIME.match(text)
    try:
        if not match:
            ago = timedelta(microseconds=nanoseconds(text) / NANOSECONDS["us"])
            return f"{(now - ago).timestamp():.6f}"
        day, time, fraction, zone = match.groups()
        zone = "+00:00" if zone in (None, "Z") else zone
        # Nanoseconds are too fine for a datetime.
        return f"{int(datetime.fromisoformat(f'{day}T{time}{zone}').timestamp())}{fraction or ''}"
    except (InvalidOption, ValueError, OverflowError):
        raise InvalidOption(
            f"since: '{text}' is no time: write a duration such as 10m, a time such as "
            "2026-11-21T08:00:00Z, or seconds since 1970"
        ) from None


def read_log(answers: Iterable[bytes]) -> tuple[list[LogLine], list[str]]:
    """The lines of the engine's answers, sorted by time, and what it says could not be read.

    A frame that was cut off is left out.
    """
    lines: list[LogLine] = []
    problems: list[str] = []
    for answer in answers:
        # task and stream -> index of a line that has not ended: a long one comes in pieces.
        unfinished: dict[tuple[str, str], int] = {}
        for stream, text in _texts(answer):
            line = _line(stream, text)
            if line is None:
                problems.append(_ERROR_PREFIX.sub("", " ".join(text.split()), count=1))
                continue
            writer = (line.task_id, line.stream)
            index = unfinished.pop(writer, len(lines))
            if index == len(lines):
                lines.append(line)
            else:
                message = lines[index].message + line.message
                lines[index] = replace(lines[index], message=message)
            if not text.endswith("\n"):
                unfinished[writer] = index
    # Nodes write into one answer as they like. The times have all their digits.
    return sorted(lines, key=lambda line: line.timestamp), problems


def why_unreadable(driver: Mapping[str, Any] | None, default: str) -> list[str]:
    """Why the engine cannot read a log back, if so; `default` is the engine's own driver."""
    name = (driver or {}).get("Name") or default
    options = (driver or {}).get("Options") or {}
    # Beside every other driver the engine keeps a copy that it can read, since 20.10.
    if name == "none":
        return ["the logging driver none keeps nothing that could be read"]
    if name not in _READABLE and str(options.get("cache-disabled")).lower() in ("true", "t", "1"):
        return [f"the logging driver {name} with cache-disabled keeps nothing that could be read"]
    return []


def _texts(data: bytes) -> Iterator[tuple[str, str]]:
    # No line begins with a byte so small, for it begins with a time.
    is_framed = data[:1] in (b"\0", b"\1", b"\2", b"\3")
    if not is_framed:
        for text in data.decode("utf-8", "replace").split("\n"):
            if text:
                yield STDOUT, f"{text}\n"
        return
    start = 0
    while start + _HEADER <= len(data):
        end = start + _HEADER + int.from_bytes(data[start + 4 : start + _HEADER], "big")
        if end > len(data):
            return
        text = data[start + _HEADER : end].decode("utf-8", "replace")
        yield (STDOUT if data[start] == 1 else STDERR), text
        start = end


def _line(stream: str, text: str) -> LogLine | None:
    timestamp, _space, rest = text.partition(" ")
    details, _space, message = rest.partition(" ")
    origin = _details(details)
    if _OF_TASK not in origin:
        return None
    return LogLine(
        timestamp=timestamp,
        task_id=origin[_OF_TASK],
        node_id=origin.get(_OF_NODE, ""),
        stream=stream,
        message=message.rstrip("\r\n"),
    )


def _details(text: str) -> Mapping[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {unquote_plus(key): unquote_plus(value) for key, _equals, value in pairs}
