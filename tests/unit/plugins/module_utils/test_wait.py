# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    NotConverged,
    NotFound,
    Unreachable,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Clock,
    Look,
    Verdict,
    wait_until,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import World

DONE = Look(Verdict.DONE)
WAIT = Look(Verdict.WAIT, "2 of 3 tasks are running")


def wait(looks: list[Look | Exception], clock: Clock, timeout: float = 10) -> int:
    """Wait over these looks, the last of them again and again; how many were taken."""
    taken = 0

    def look() -> Look:
        nonlocal taken
        seen = looks[min(taken, len(looks) - 1)]
        taken += 1
        if isinstance(seen, Exception):
            raise seen
        return seen

    wait_until("the service being ready", look, timeout, clock)
    return taken


@pytest.fixture
def clock() -> Clock:
    return World().clock


def test_what_is_done_is_not_waited_for(clock: Clock) -> None:
    assert wait([DONE], clock) == 1
    assert clock.now() == 0


def test_it_looks_again_until_done(clock: Clock) -> None:
    assert wait([WAIT, WAIT, DONE], clock) == 3
    assert clock.now() == 1.0


def test_what_is_done_is_done_even_without_time(clock: Clock) -> None:
    assert wait([DONE], clock, timeout=0) == 1
    with pytest.raises(NotConverged, match="within 0 s"):
        wait([WAIT], clock, timeout=0)


def test_a_failure_ends_it_at_once(clock: Clock) -> None:
    with pytest.raises(NotConverged, match=r"^the service being ready: rolled back$"):
        wait([WAIT, Look(Verdict.FAILED, "rolled back"), DONE], clock)
    assert clock.now() == 0.5


def test_the_deadline_is_a_failure_that_shows_what_was_seen_last(clock: Clock) -> None:
    with pytest.raises(NotConverged) as caught:
        wait([WAIT, Look(Verdict.WAIT, "rejected on node1: no image")], clock, 2)
    assert str(caught.value) == (
        "the service being ready did not happen within 2 s: rejected on node1: no image"
    )
    assert clock.now() == 2


def test_it_looks_a_last_time_at_the_deadline_itself(clock: Clock) -> None:
    assert wait([WAIT, WAIT, DONE], clock, timeout=0.7) == 3
    assert clock.now() == pytest.approx(0.7)


@pytest.mark.parametrize("error", [AmbiguousWrite("no leader"), Unreachable("no answer")])
def test_an_election_is_waited_out(error: Exception, clock: Clock) -> None:
    assert wait([error, error, DONE], clock) == 3
    with pytest.raises(NotConverged, match=str(error)):
        wait([error], clock)


def test_any_other_error_ends_it(clock: Clock) -> None:
    with pytest.raises(NotFound):
        wait([NotFound("service web not found")], clock)
