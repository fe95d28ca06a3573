# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one waiting loop: a deadline, a pure verdict, and the last thing that was seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    NotConverged,
    Unreachable,
)


class Verdict(Enum):
    """What one look at the swarm means for the wait."""

    DONE = "done"
    WAIT = "wait"
    FAILED = "failed"


@dataclass(frozen=True)
class Look:
    """The result of one look: the verdict and, for people, the reason for it."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Clock:
    """Time as the loops see it; tests put their own in its place."""

    now: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], Any] = field(default=time.sleep)


def wait_until(
    what: str, look: Callable[[], Look], timeout: float, clock: Clock, interval: float = 0.5
) -> None:
    """Look again until done; failed ends it early, and the deadline is a failure with its reason.

    A manager that changes its leader answers with errors for a few seconds: that is one more
    state to wait out, not the end.
    """
    deadline = clock.now() + timeout
    while True:
        try:
            seen = look()
        except (AmbiguousWrite, Unreachable) as error:
            seen = Look(Verdict.WAIT, str(error))
        if seen.verdict is Verdict.DONE:
            return
        if seen.verdict is Verdict.FAILED:
            raise NotConverged(f"{what}: {seen.reason}")
        if clock.now() >= deadline:
            raise NotConverged(f"{what} did not happen within {timeout:g} s: {seen.reason}")
        clock.sleep(min(interval, max(0.0, deadline - clock.now())))
