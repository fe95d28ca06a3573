# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry out a plan. The only reader of check mode, and the only place that retries a write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AlreadyInSwarm,
    AmbiguousWrite,
    EngineError,
    Locked,
    NameTaken,
    NotConverged,
    NotFound,
    OutOfSequence,
    SwarmError,
    Unreachable,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    NodeState,
    membership,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Clock,
    Look,
    Verdict,
    Waited,
    Watch,
    wait_until,
)

# Two writers of one object's labels lose about every second race; ten in a row they do not.
ATTEMPTS = 10
# So many requests the engine answers at the same time; the SDK keeps 10 connections.
THREADS = 8
# Raft needs a few election rounds to find a new leader; reads fail until then.
SETTLE_SECONDS = 30.0

# The engine itself gives a join 20 s before it answers its client (moby daemon/cluster/swarm.go).
JOIN_SECONDS = 25.0

# After these the world may be other than we saw it: look again before judging.
# An engine that says it is locked although it is in no swarm has cleared what was left (20.10).
_LOOK_AGAIN = (OutOfSequence, AmbiguousWrite, NameTaken, NotFound, AlreadyInSwarm, Locked)

Observed = TypeVar("Observed")
Item = TypeVar("Item")
Result = TypeVar("Result")
Operation = Callable[..., Any]


@dataclass(frozen=True)
class Run:
    """How this task runs: whether it may write, by which clock it waits, and who watches.

    `written` is what it has written so far, which a failure has to tell as well.
    """

    check_mode: bool = False
    clock: Clock = field(default_factory=Clock)
    watch: Watch | None = None
    written: list[Action] = field(default_factory=list)

    @property
    def subject(self) -> Mapping[str, Any]:
        """What is waited for since an earlier execution; empty in the first."""
        return self.watch.subject if self.watch else {}


@dataclass(frozen=True)
class Outcome(Generic[Observed]):
    """What was done (or would be), what was seen last, and how the wait went, if there was one."""

    actions: tuple[Action, ...]
    warnings: tuple[str, ...]
    observed: Observed
    check_mode: bool
    waited: Waited | None = None

    @property
    def changed(self) -> bool:
        return bool(self.actions)


def reconcile(
    engine: Engine,
    observe: Callable[[], Observed],
    decide: Callable[[Observed], Plan],
    run: Run,
    operations: Mapping[str, Operation] | None = None,
    first: Observed | None = None,
) -> Outcome[Observed]:
    """Observe, decide and apply until nothing is left to do; `first` is what was just observed.

    An action names a method of the engine, or one of `operations`. When a write fails because
    somebody else was faster, or in a way that does not tell whether it was carried out, the state
    is read again and the rest is decided anew: the plan that is empty then is the proof of success.
    """
    done: list[Action] = []
    in_doubt: list[Action] = []
    failure: SwarmError | None = None

    def note(actions: Iterable[Action]) -> None:
        for action in actions:
            done.append(action)
            run.written.append(action)

    # Each attempt begins with a look, and so the last write is looked after as well.
    for attempt in range(1, ATTEMPTS + 2):
        if attempt > 1:
            observed = patiently(observe, run.clock)
        elif first is None:
            observed = first_look(observe, run.clock)
        else:
            observed = first
        plan = decide(observed)
        still_due = {action.summary for action in plan.actions}
        note(action for action in in_doubt if action.summary not in still_due)
        in_doubt = []
        if run.check_mode or not plan.changed:
            actions = (*done, *plan.actions)
            return Outcome(actions, plan.warnings, observed, run.check_mode)
        if attempt > ATTEMPTS:
            break
        failure = None
        for batch in _batches(plan.actions):
            failures = _carried_out(engine, batch, operations or {})
            note(action for action in batch if action.summary not in failures)
            if failures:
                note(_in_effect(observe, decide, batch, failures))
                failure = _worst(failures.values())
                in_doubt = [
                    action
                    for action in batch
                    if isinstance(failures.get(action.summary), AmbiguousWrite)
                ]
                run.clock.sleep(0.05 * attempt)
                break
        else:
            if not plan.continues:
                observed = patiently(observe, run.clock)
                return Outcome(tuple(done), plan.warnings, observed, False)
    raise failure or NotConverged(
        f"after {ATTEMPTS} rounds there is still something to do: {sorted(still_due)}"
    )


def _batches(actions: Sequence[Action]) -> Iterator[list[Action]]:
    """The actions in order; those that need not wait for each other together."""
    batch: list[Action] = []
    for action in actions:
        if batch and not (action.group and action.group == batch[-1].group):
            yield batch
            batch = []
        batch.append(action)
    if batch:
        yield batch


def _carried_out(
    engine: Engine, batch: Sequence[Action], operations: Mapping[str, Operation]
) -> dict[str, SwarmError]:
    """What has failed, by the action's summary."""

    def carry_out(action: Action) -> SwarmError | None:
        try:
            _operation(engine, action, operations)(**action.arguments)
        except SwarmError as error:
            return error
        return None

    errors = at_once(carry_out, batch)
    return {action.summary: error for action, error in zip(batch, errors) if error}


def _in_effect(
    observe: Callable[[], Observed],
    decide: Callable[[Observed], Plan],
    batch: Sequence[Action],
    failures: Mapping[str, SwarmError],
) -> list[Action]:
    """Those that failed in their own wait when the change was made: they are not due any more."""
    waited = [a for a in batch if isinstance(failures.get(a.summary), NotConverged)]
    try:
        due = {action.summary for action in decide(observe()).actions} if waited else set()
    except SwarmError:
        return []
    return [action for action in waited if action.summary not in due]


def _worst(failures: Iterable[SwarmError]) -> SwarmError:
    """The failure after which looking again may help; one that is final is raised."""
    failures = list(failures)
    for failure in failures:
        if not isinstance(failure, _LOOK_AGAIN):
            raise failure
    return failures[0]


def at_once(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The work done for each item, some of it at the same time; the results in the items' order."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(len(items), THREADS)) as pool:
        return list(pool.map(work, items))


def _operation(engine: Engine, action: Action, operations: Mapping[str, Operation]) -> Operation:
    operation: Operation = operations.get(action.operation) or getattr(engine, action.operation)
    return operation


def converge(
    outcome: Outcome[Observed],
    what: str,
    observe: Callable[[], Observed],
    judge: Callable[[Observed], Look],
    timeout: float,
    run: Run,
) -> Outcome[Observed]:
    """Wait until what is observed is judged done, beginning with what was seen last.

    In check mode nothing has been done that could be waited for.
    """
    if run.check_mode:
        return outcome
    seen = [outcome.observed]

    def look() -> Look:
        verdict = judge(seen[-1])
        if verdict.verdict is Verdict.WAIT:
            seen.append(observe())
            verdict = judge(seen[-1])
        return verdict

    waited = wait_until(what, look, timeout, run.clock, run.watch)
    return replace(outcome, observed=seen[-1], waited=replace(waited, subject={"what": what}))


def first_look(observe: Callable[[], Observed], clock: Clock) -> Observed:
    """Read, waiting out an election; that there is no engine is told at once."""
    return patiently(observe, clock, passing=(AmbiguousWrite,))


def patiently(
    read: Callable[[], Observed],
    clock: Clock,
    seconds: float = SETTLE_SECONDS,
    passing: tuple[type[EngineError], ...] = (AmbiguousWrite, Unreachable),
) -> Observed:
    """Read, waiting out an election or an engine that restarts."""
    deadline = clock.now() + seconds
    while True:
        try:
            return read()
        except passing as error:
            if clock.now() >= deadline:
                raise type(error)(
                    f"{error} (and so for {seconds:g} s: is the quorum lost?)", error.status
                ) from error
        clock.sleep(1.0)


def settled_membership(engine: Engine, run: Run) -> Membership:
    """This host's membership, after an init or join that somebody else has just begun.

    What is still pending when the engine's own time for it is over is a join that hangs.
    """
    deadline = run.clock.now() + JOIN_SECONDS
    while True:
        member = membership(engine.info())
        if member.state is not NodeState.PENDING or run.clock.now() >= deadline:
            return member
        run.clock.sleep(0.5)
