# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One label of one node, written through every fault that there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    EngineError,
    NotConverged,
    OutOfSequence,
    Unreachable,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import NOTHING, Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    ATTEMPTS,
    SETTLE_SECONDS,
    Outcome,
    Run,
    converge,
    patiently,
    reconcile,
    settled_membership,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict
from ansible_collections.shoal.swarm.tests.unit.memory_store import Refusal
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    Fault,
    World,
    answer_lost,
    conflict,
    leader_lost,
    leader_lost_committed,
    request_lost,
)

Document = dict[str, Any]


@pytest.fixture
def host() -> Daemon:
    host = World().host("node1", "10.0.0.11")
    host.engine.swarm_init({"Spec": {}})
    host.world.writes.clear()
    return host


def label(
    host: Daemon,
    check_mode: bool = False,
    value: str = "db",
    decide: Callable[[Document], Plan] | None = None,
) -> Outcome[Document]:
    """Give this host's node the label `type`."""

    def observe() -> Document:
        return host.engine.node("node1")

    def one_update(node: Document) -> Plan:
        if node["Spec"]["Labels"].get("type") == value:
            return NOTHING
        spec = {**node["Spec"], "Labels": {**node["Spec"]["Labels"], "type": value}}
        arguments = {"node_id": node["ID"], "version": node["Version"]["Index"], "spec": spec}
        return Plan((Action("label node1", "node_update", arguments),), warnings=("mind",))

    return reconcile(host.engine, observe, decide or one_update, Run(check_mode, host.world.clock))


def labels(host: Daemon) -> dict[str, str]:
    return host.swarm_or_fail().nodes[0].spec["Labels"]


# What a failure has to tell


def relabel(host: Daemon, run: Run, *operations: Callable[[], None]) -> None:
    """Carry out these operations in turn, each of which is to give the node the label 0, 1 ..."""
    names = [str(number) for number, _operation in enumerate(operations)]

    def decide(labels: dict[str, str]) -> Plan:
        return Plan(tuple(Action(f"set {n}", n) for n in names if n not in labels))

    reconcile(host.engine, lambda: dict(labels(host)), decide, run, dict(zip(names, operations)))


def test_what_was_done_before_a_failure_is_known(host: Daemon) -> None:
    def first() -> None:
        labels(host)["0"] = ""

    def second() -> None:
        raise EngineError("no", 500)

    run = Run(clock=host.world.clock)
    with pytest.raises(EngineError, match="no"):
        relabel(host, run, first, second)
    assert [action.summary for action in run.written] == ["set 0"]


@pytest.mark.parametrize("is_made", [True, False])
def test_a_change_whose_own_wait_fails_is_known_where_it_was_made(
    is_made: bool, host: Daemon
) -> None:
    def change_and_wait() -> None:
        if is_made:
            labels(host)["0"] = ""
        raise NotConverged("it did not happen")

    run = Run(clock=host.world.clock)
    with pytest.raises(NotConverged, match="it did not happen"):
        relabel(host, run, change_and_wait)
    assert [action.summary for action in run.written] == (["set 0"] if is_made else [])


# Without faults


def test_a_plan_is_carried_out_and_seen_done(host: Daemon) -> None:
    outcome = label(host)
    assert [action.summary for action in outcome.actions] == ["label node1"]
    assert outcome.changed
    assert outcome.warnings == ("mind",)
    assert outcome.observed["Spec"]["Labels"] == labels(host) == {"type": "db"}


def test_an_empty_plan_writes_nothing(host: Daemon) -> None:
    label(host)
    version = host.swarm_or_fail().nodes[0].version
    host.world.writes.clear()
    assert not label(host).changed
    assert host.world.writes == []
    assert host.swarm_or_fail().nodes[0].version == version


def test_check_mode_tells_the_plan_and_writes_nothing(host: Daemon) -> None:
    outcome = label(host, check_mode=True)
    assert (outcome.changed, outcome.check_mode) == (True, True)
    assert [action.summary for action in outcome.actions] == ["label node1"]
    assert outcome.observed["Spec"]["Labels"] == labels(host) == {}
    assert host.world.writes == []


def test_an_operation_of_the_use_case_comes_before_a_method_of_the_engine(host: Daemon) -> None:
    done: list[str] = []

    def greet(name: str) -> None:
        done.append(name)

    outcome = reconcile(
        host.engine,
        lambda: done,
        lambda seen: NOTHING if seen else Plan((Action("greet", "info", {"name": "you"}),)),
        Run(clock=host.world.clock),
        {"info": greet},
    )
    assert (done, outcome.changed) == (["you"], True)


# Somebody else is faster


@pytest.mark.parametrize("times", [1, 2, ATTEMPTS - 1])
def test_a_lost_race_is_planned_anew_from_what_is_there_then(host: Daemon, times: int) -> None:
    for number in range(1, times + 1):
        host.world.at_write(number, conflict)
    outcome = label(host)
    assert len(outcome.actions) == 1
    assert labels(host) == {"type": "db"}
    assert len(host.world.writes) == times + 1


def test_what_the_other_writer_changed_is_kept(host: Daemon) -> None:
    def labels_too(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        node = daemon.swarm_or_fail().nodes[0]
        node.write(str(node.version), {**node.spec, "Labels": {"zone": "a"}})
        return perform()

    host.world.at_write(1, labels_too)
    label(host)
    assert labels(host) == {"zone": "a", "type": "db"}


def test_what_the_other_writer_has_done_already_is_not_done_again(host: Daemon) -> None:
    def does_the_same(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        node = daemon.swarm_or_fail().nodes[0]
        node.write(str(node.version), {**node.spec, "Labels": {"type": "db"}})
        return perform()

    host.world.at_write(1, does_the_same)
    outcome = label(host)
    assert not outcome.changed
    assert len(host.world.writes) == 1


def test_the_attempts_are_bounded(host: Daemon) -> None:
    for number in range(1, ATTEMPTS + 2):
        host.world.at_write(number, conflict)
    with pytest.raises(OutOfSequence):
        label(host)
    assert len(host.world.writes) == ATTEMPTS
    assert labels(host) == {}


@pytest.mark.parametrize("fault", [answer_lost, leader_lost_committed])
def test_the_last_attempt_is_looked_after_as_well(host: Daemon, fault: Fault) -> None:
    for number in range(1, ATTEMPTS):
        host.world.at_write(number, conflict)
    host.world.at_write(ATTEMPTS, fault)
    outcome = label(host)
    assert [action.summary for action in outcome.actions] == ["label node1"]
    assert labels(host) == {"type": "db"}
    assert len(host.world.writes) == ATTEMPTS


def test_a_last_attempt_that_came_to_nothing_is_not_called_a_success(host: Daemon) -> None:
    for number in range(1, ATTEMPTS + 1):
        host.world.at_write(number, request_lost)
    with pytest.raises(AmbiguousWrite, match=r"^update node .*: no answer from Docker"):
        label(host)
    assert len(host.world.writes) == ATTEMPTS
    assert labels(host) == {}


def test_a_plan_that_never_becomes_empty_ends_as_well(host: Daemon) -> None:
    again = Plan((Action("read", "info"),), continues=True)
    with pytest.raises(NotConverged, match=rf"after {ATTEMPTS} rounds .*'read'"):
        label(host, decide=lambda _node: again)


# An answer that does not tell


@pytest.mark.parametrize("fault", [answer_lost, leader_lost_committed])
def test_a_write_that_was_committed_all_the_same_is_a_success_and_a_change(
    host: Daemon, fault: Fault
) -> None:
    host.world.at_write(1, fault)
    outcome = label(host)
    assert [action.summary for action in outcome.actions] == ["label node1"]
    assert labels(host) == {"type": "db"}
    assert len(host.world.writes) == 1


@pytest.mark.parametrize("fault", [request_lost, leader_lost])
def test_a_write_that_was_not_committed_is_written_again_and_counts_once(
    host: Daemon, fault: Fault
) -> None:
    host.world.at_write(1, fault)
    outcome = label(host)
    assert len(outcome.actions) == 1
    assert labels(host) == {"type": "db"}
    assert len(host.world.writes) == 2


def test_an_election_is_waited_out_before_it_is_judged(host: Daemon) -> None:
    host.world.at_write(1, leader_lost_committed)
    label(host)
    assert 5 <= host.world.now() < SETTLE_SECONDS


def test_an_engine_that_does_not_come_back_is_said_to_after_a_bounded_time(host: Daemon) -> None:
    def falls(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        daemon.power_off()
        return request_lost(daemon, perform)

    host.world.at_write(1, falls)
    with pytest.raises(Unreachable, match=r"and so for 30 s: is the quorum lost\?"):
        label(host)
    assert SETTLE_SECONDS <= host.world.now() <= SETTLE_SECONDS + 2


def test_a_first_look_without_an_answer_is_not_waited_for(host: Daemon) -> None:
    host.power_off()
    with pytest.raises(Unreachable):
        label(host)
    assert host.world.now() == 0


def test_a_first_look_waits_for_a_leader(host: Daemon) -> None:
    host.swarm_or_fail().elects_until = 20
    assert label(host).changed
    host.swarm_or_fail().elects_until = 600
    with pytest.raises(AmbiguousWrite, match=r"is the quorum lost\?"):
        label(host)


def test_an_answer_that_tells_is_not_repeated(host: Daemon) -> None:
    def refuses(_daemon: Daemon, _perform: Callable[[], Any]) -> Any:
        raise Refusal(400, 'invalid Role: ""')

    host.world.at_write(1, refuses)
    with pytest.raises(EngineError, match="invalid Role"):
        label(host)
    assert len(host.world.writes) == 1


def test_each_of_several_actions_is_told_once_whatever_befell_one_of_them(host: Daemon) -> None:
    engine = host.engine

    def decide(_node: Document) -> Plan:
        node, swarm = engine.node("node1"), engine.swarm()
        arguments = {
            "node_update": {"node_id": node["ID"], "version": node["Version"]["Index"]},
            "swarm_update": {"version": swarm["Version"]["Index"]},
        }
        return Plan(
            tuple(
                Action(
                    f"label by {operation}",
                    operation,
                    {**arguments[operation], "spec": {**thing["Spec"], "Labels": {"a": "b"}}},
                )
                for operation, thing in (("node_update", node), ("swarm_update", swarm))
                if thing["Spec"]["Labels"] != {"a": "b"}
            )
        )

    host.world.at_write(2, answer_lost)
    outcome = label(host, decide=decide)
    assert [action.operation for action in outcome.actions] == ["node_update", "swarm_update"]
    assert len(host.world.writes) == 2


# Waiting


def test_what_was_seen_last_is_judged_first(host: Daemon) -> None:
    outcome = Outcome((), (), observed=3, check_mode=False)
    looks: list[int] = []

    def observe() -> int:
        looks.append(3 - len(looks) - 1)
        return looks[-1]

    def judge(left: int) -> Look:
        return Look(Verdict.WAIT, f"{left} left") if left else Look(Verdict.DONE)

    run = Run(clock=host.world.clock)
    assert converge(outcome, "it", observe, judge, 10, run).observed == 0
    assert looks == [2, 1, 0]
    done = Outcome((), (), observed=0, check_mode=False)
    assert replace(converge(done, "it", observe, judge, 10, run), waited=None) == done
    assert looks == [2, 1, 0]


def test_check_mode_waits_for_nothing(host: Daemon) -> None:
    outcome = Outcome((), (), observed=3, check_mode=True)

    def never(_observed: int) -> Look:
        return Look(Verdict.FAILED)

    run = Run(check_mode=True, clock=host.world.clock)
    assert converge(outcome, "it", lambda: 3, never, 10, run) == outcome


def test_patience_ends(host: Daemon) -> None:
    host.power_off()
    with pytest.raises(Unreachable, match=r"and so for 7 s"):
        patiently(host.engine.info, host.world.clock, 7)
    assert host.world.now() == 7


def test_a_join_that_somebody_else_has_begun_is_waited_for(host: Daemon) -> None:
    other = host.world.host("node2", "10.0.0.12")
    other.state = "pending"

    def arrive() -> None:
        other.state = "active"

    host.world.later(8, arrive)
    member = settled_membership(other.engine, Run(clock=host.world.clock))
    assert member.state.value == "active"
    assert 8 <= host.world.now() < 9


def test_a_join_that_hangs_is_called_pending_after_the_engines_own_time(host: Daemon) -> None:
    other = host.world.host("node2", "10.0.0.12")
    other.state = "pending"
    member = settled_membership(other.engine, Run(clock=host.world.clock))
    assert member.state.value == "pending"
    assert 20 < host.world.now() < 30


def test_a_refusal_of_ours_goes_through(host: Daemon) -> None:
    def refuse(_node: Document) -> Plan:
        raise WrongState("node1 is locked")

    with pytest.raises(WrongState):
        label(host, decide=refuse)
    assert host.world.writes == []
