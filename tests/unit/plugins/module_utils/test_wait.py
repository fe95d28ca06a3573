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
    Section,
    Verdict,
    View,
    Waited,
    Watch,
    fingerprint,
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


# Somebody watches


def view(text: str) -> View:
    return (Section("service web", text, (("slot 1", "running on node1"),)),)


def watched(
    looks: list[Look | Exception], clock: Clock, watch: Watch, timeout: float = 60
) -> Waited:
    """One slice over these looks, one each half second, the last of them again and again."""
    started = clock.now()

    def look() -> Look:
        seen = looks[min(int((clock.now() - started) / 0.5), len(looks) - 1)]
        if isinstance(seen, Exception):
            raise seen
        return seen

    return wait_until("the service being ready", look, timeout, clock, watch)


ONE = Look(Verdict.WAIT, "1 of 3", view("1 of 3"))
TWO = Look(Verdict.WAIT, "2 of 3", view("2 of 3"))
THREE = Look(Verdict.DONE, "", view("3 of 3"))


def test_what_is_done_at_once_is_one_slice(clock: Clock) -> None:
    assert watched([THREE], clock, Watch()) == Waited(True, 60, THREE.view)
    assert clock.now() == 0


def test_the_first_slice_ends_with_a_picture_after_a_second(clock: Clock) -> None:
    assert watched([ONE], clock, Watch()) == Waited(False, 59, ONE.view)


def test_a_slice_ends_when_there_is_something_new_but_not_before_a_second_is_over(
    clock: Clock,
) -> None:
    shown = Watch(30, fingerprint(ONE.view))
    assert watched([TWO], clock, shown) == Waited(False, 29, TWO.view)
    assert watched([ONE, ONE, ONE, ONE, ONE, TWO], clock, shown) == Waited(False, 27.5, TWO.view)
    # What came and went meanwhile is nothing new.
    assert watched([TWO, ONE, ONE, ONE, THREE], clock, shown) == Waited(True, 28, THREE.view)


def test_a_slice_without_anything_new_ends_all_the_same(clock: Clock) -> None:
    shown = Watch(30, fingerprint(ONE.view))
    assert watched([ONE], clock, shown) == Waited(False, 20, ONE.view)


def test_the_deadline_is_that_of_the_whole_wait(clock: Clock) -> None:
    with pytest.raises(NotConverged, match=r"did not happen within 60 s: 1 of 3$"):
        watched([ONE], clock, Watch(3, fingerprint(ONE.view)))
    assert clock.now() == 3
    with pytest.raises(NotConverged, match="within 60 s"):
        watched([ONE], clock, Watch(0.0))
    assert watched([THREE], clock, Watch(0.0)).done


def test_a_failure_ends_a_slice_with_the_message_of_an_unwatched_wait(clock: Clock) -> None:
    with pytest.raises(NotConverged, match=r"^the service being ready: rolled back$"):
        watched([Look(Verdict.FAILED, "rolled back", ONE.view)], clock, Watch())


def test_an_election_is_something_to_see(clock: Clock) -> None:
    seen = watched([AmbiguousWrite("no leader")], clock, Watch(30, fingerprint(ONE.view)))
    assert seen == Waited(False, 29, (Section("the swarm", "no leader"),))


def test_nobody_who_watches_is_an_uncut_wait(clock: Clock) -> None:
    looks = iter([*[ONE] * 100, THREE])
    waited = wait_until("the service being ready", lambda: next(looks), 60, clock)
    assert waited == Waited(True, 10, THREE.view)
    assert clock.now() == 50


@pytest.mark.parametrize(
    "other",
    [
        (),
        view("2 of 3"),
        (*view("1 of 3"), Section("service db", "no tasks")),
        (Section("service web", "1 of 3", (("slot 2", "running on node1"),)),),
    ],
)
def test_views_that_differ_have_other_fingerprints(other: View) -> None:
    assert fingerprint(view("1 of 3")) == fingerprint(view("1 of 3"))
    assert fingerprint(view("1 of 3")) != fingerprint(other)
