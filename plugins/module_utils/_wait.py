# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one waiting loop: a deadline, a pure verdict, and the last thing that was seen.

A wait that somebody watches is cut into slices. Each ends when there is something new to see, and
the controller, which shows it, begins the next one (plugin_utils/_watch.py).
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    NotConverged,
    Unreachable,
)

# How a `Watch` comes from the controller: as JSON in the environment, as it is no option of a task.
WATCH_VARIABLE = "SHOAL_SWARM_WATCH"
# What of the result goes back to it.
WATCHED = "_watched"

# A watched wait shows what is new at most this often, and lets the controller know that it is
# still there at least that often. In seconds.
PACE = 1.0
SLICE = 10.0


class Verdict(Enum):
    """What one look at the swarm means for the wait."""

    DONE = "done"
    WAIT = "wait"
    FAILED = "failed"


@dataclass(frozen=True)
class Section:
    """What people see of one thing that is waited for: how far it is as a whole, and its parts.

    Each row is a part's name and what it does now.
    """

    title: str
    text: str
    rows: tuple[tuple[str, str], ...] = ()


View = tuple[Section, ...]


@dataclass(frozen=True)
class Look:
    """The result of one look: the verdict and, for people, the reason for it and the picture."""

    verdict: Verdict
    reason: str = ""
    view: View = ()


@dataclass(frozen=True)
class Clock:
    """Time as the loops see it; tests put their own in its place."""

    now: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], Any] = field(default=time.sleep)


@dataclass(frozen=True)
class Watch:
    """Somebody watches. The first slice has nothing of this, a later one what the last one left.

    `remaining` are the seconds until the deadline, `shown` says which view was shown last, and
    `subject` names what is waited for, in the use case's own terms.
    """

    remaining: float | None = None
    shown: int | None = None
    subject: Mapping[str, Any] = field(default_factory=dict)

    def until(self, timeout: float) -> float:
        return timeout if self.remaining is None else self.remaining


@dataclass(frozen=True)
class Waited:
    """How a wait, or a slice of one, has ended: all done, or the rest left for the next slice."""

    done: bool
    remaining: float
    view: View
    subject: Mapping[str, Any] = field(default_factory=dict)


def fingerprint(view: View) -> int:
    """Tells one view from another, so that it need not travel back to be compared."""
    return zlib.crc32(json.dumps([asdict(section) for section in view]).encode())


def wait_until(
    what: str,
    look: Callable[[], Look],
    timeout: float,
    clock: Clock,
    watch: Watch | None = None,
    interval: float = 0.5,
) -> Waited:
    """Look again until done; failed ends it early, and the deadline is a failure with its reason.

    A manager that changes its leader answers with errors for a few seconds: that is one more
    state to wait out, not the end.
    """
    started = clock.now()
    deadline = started + (timeout if watch is None else watch.until(timeout))
    while True:
        try:
            seen = look()
        except (AmbiguousWrite, Unreachable) as error:
            seen = Look(Verdict.WAIT, str(error), (Section("the swarm", str(error)),))
        now = clock.now()
        if seen.verdict is Verdict.DONE:
            return Waited(True, deadline - now, seen.view)
        if seen.verdict is Verdict.FAILED:
            raise NotConverged(f"{what}: {seen.reason}")
        if now >= deadline:
            raise NotConverged(f"{what} did not happen within {timeout:g} s: {seen.reason}")
        if watch is not None and now - started >= (
            SLICE if fingerprint(seen.view) == watch.shown else PACE
        ):
            return Waited(False, deadline - now, seen.view)
        clock.sleep(min(interval, max(0.0, deadline - now)))
