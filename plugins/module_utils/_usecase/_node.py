# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring labels, availability and roles of nodes to what is asked, and remove nodes: many in one go.

Roles change one after the other, and each change is carried out only where the managers keep their
quorum without it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    InvalidOption,
    NotManager,
    Refused,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    NodeState,
    Quorum,
    Role,
    membership,
    quorum,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._spec._node import (
    AVAILABILITY,
    LABELS,
    MERGE,
    ROLE,
    labels_after,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import shown
from ansible_collections.shoal.swarm.plugins.module_utils._units import NANOSECONDS, engine_time
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    converge,
    first_look,
    patiently,
    reconcile,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict, wait_until

Node = Mapping[str, Any]
Nodes = Sequence[Node]

READY = "ready"
DOWN = "down"
REACHABLE = "reachable"

# A node that is silent is called down after three heartbeats, and after six where the leader is new
# (swarmkit manager/dispatcher); one more, so that we see it.
SILENT_HEARTBEATS = {READY: 4}
SILENT_HEARTBEATS_OF_OTHERS = 7
HEARTBEAT = 5 * NANOSECONDS["s"]


@dataclass(frozen=True)
class Request:
    """What one node shall be; `None` leaves that part of it alone."""

    node: str
    labels: Mapping[str, Any] | None = None
    labels_state: str = MERGE
    labels_to_remove: Sequence[str] | None = None
    availability: str | None = None
    role: Role | None = None
    # Whether entries go that an earlier life of the node's host has left behind.
    replace_ghosts: bool = False
    is_absent: bool = False
    # Whether it may be removed although it is alive.
    force: bool = False


def ensure(
    engine: Engine,
    requests: Sequence[Request],
    run: Run,
    wait: bool = False,
    timeout: float = 0.0,
) -> tuple[Outcome[Nodes], dict[str, Any]]:
    """Carry out the task; `requests` name their nodes by ID, by name, or "" for this host."""
    member = membership(engine.info())
    require_manager(member)
    observe = _observer(engine, requests, member)
    outcome = reconcile(
        engine,
        observe,
        lambda nodes: decide(nodes, requests, member),
        run,
        {
            "promote": lambda node_id: promote(engine, observe, node_id, wait, timeout, run),
            "demote": lambda node_id: demote(
                engine, observe, node_id, node_id == member.node_id, wait, timeout, run
            ),
        },
        _once_down(engine, observe, requests, member, timeout if wait else 0.0, run),
    )
    if wait:
        outcome = converge(
            outcome,
            "the nodes having their roles",
            observe,
            lambda nodes: _roles_taken(nodes, requests, member),
            timeout,
            run,
        )
    found = (_meant(outcome.observed, request, member) for request in requests)
    ids = {node["ID"] for node in found if node is not None}
    return outcome, {"nodes": [summary(node) for node in outcome.observed if node["ID"] in ids]}


# Observing


def _observer(
    engine: Engine, requests: Sequence[Request], member: Membership
) -> Callable[[], Nodes]:
    """Read the nodes; a host that this task has demoted knows what it saw before, and itself."""
    seen: list[Nodes] = []

    def observe() -> Nodes:
        try:
            seen.append(engine.nodes())
        except NotManager as error:
            own = [request for request in requests if seen and _is_own(seen[-1], request, member)]
            if not own or own[0].role is not Role.WORKER:
                raise
            if _own_demotion(engine).verdict is not Verdict.DONE:
                # It is on its way, and is asked again.
                raise AmbiguousWrite(str(error), error.status) from error
            seen.append([_demoted(n) if n["ID"] == member.node_id else n for n in seen[-1]])
        return seen[-1]

    return observe


def _is_own(nodes: Nodes, request: Request, member: Membership) -> bool:
    node = _meant(nodes, request, member)
    return node is not None and node["ID"] == member.node_id


def _demoted(node: Node) -> Node:
    spec = {**node["Spec"], "Role": Role.WORKER.value}
    return {**{key: node[key] for key in node if key != "ManagerStatus"}, "Spec": spec}


def _once_down(
    engine: Engine,
    observe: Callable[[], Nodes],
    requests: Sequence[Request],
    member: Membership,
    timeout: float,
    run: Run,
) -> Nodes:
    """The nodes, after those that must be down have had the time to be called so.

    A node that has just left looks like one that is alive until its heartbeats are missed.
    """
    started = run.clock.now()
    nodes = first_look(observe, run.clock)
    period = 0.0
    while True:
        alive = [node for request in requests for node in _should_be_down(nodes, request, member)]
        if not alive:
            return nodes
        if not period:
            dispatcher = engine.swarm()["Spec"].get("Dispatcher") or {}
            period = (dispatcher.get("HeartbeatPeriod") or HEARTBEAT) / NANOSECONDS["s"]
        beats = max(
            SILENT_HEARTBEATS.get(_state(node), SILENT_HEARTBEATS_OF_OTHERS) for node in alive
        )
        if run.clock.now() - started >= min(timeout, beats * period):
            return nodes
        run.clock.sleep(1.0)
        nodes = patiently(observe, run.clock)


def _should_be_down(nodes: Nodes, request: Request, member: Membership) -> Nodes:
    """What this request can only remove once it is down, and is not yet."""
    if request.replace_ghosts:
        alive = [node for node in _of_same_name(nodes, request, member) if _state(node) != DOWN]
        return alive if len(alive) > 1 else ()
    node = _meant(nodes, request, member)
    if node is None or not request.is_absent or request.force or node["ID"] == member.node_id:
        return ()
    return () if _state(node) == DOWN else (node,)


def _state(node: Node) -> str:
    return str(node["Status"]["State"])


# Which nodes


def references(given: Sequence[str] | None) -> Sequence[str]:
    """The nodes that a task names; only where it names none it means its own host, as "".

    An empty text is a variable without a value, of a host that has not joined for one: it must not
    come to mean the node of the manager that the task is delegated to.
    """
    if given is None:
        return [""]
    if not all(reference.strip() for reference in given):
        raise InvalidOption(
            "a name is empty, and so means no node; leave the whole option out for the node of the "
            "host that the task runs on (in check mode, a host that would join has no node_id yet)"
        )
    return given


def find(nodes: Nodes, reference: str, member: Membership) -> Node:
    """The one node of that ID or name; the whole ID wins, a part of it does not count."""
    wanted = reference or member.node_id
    found = _named(nodes, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        candidates = ", ".join(
            f"{node['ID']} ({node['Status']['State']}, {node['Status'].get('Addr', '')})"
            for node in found
        )
        raise InvalidOption(
            f"the name '{wanted}' is ambiguous, {len(found)} nodes have it: {candidates}; use the "
            "ID of the one that is meant"
        )
    known = ", ".join(sorted(name_of(node) for node in nodes))
    raise InvalidOption(f"no node of this swarm has the ID or name '{wanted}'; its nodes: {known}")


def _named(nodes: Nodes, wanted: str) -> Nodes:
    return [node for node in nodes if node["ID"] == wanted] or [
        node for node in nodes if name_of(node) == wanted
    ]


def _of_same_name(nodes: Nodes, request: Request, member: Membership) -> Nodes:
    names = {name_of(node) for node in _named(nodes, request.node or member.node_id)} - {""}
    return [node for node in nodes if name_of(node) in names]


def _meant(nodes: Nodes, request: Request, member: Membership) -> Node | None:
    """The node of a request; None where it shall be absent, and is."""
    found = _named(nodes, request.node or member.node_id)
    if request.replace_ghosts:
        alive = [node for node in found if _state(node) != DOWN]
        if len(alive) == 1:
            return alive[0]
    if request.is_absent and not found:
        return None
    return find(nodes, request.node, member)


def _ghosts(nodes: Nodes, node: Node, request: Request, member: Membership) -> Nodes:
    """What an earlier life of a living node's host has left behind, the newest first."""
    if not request.replace_ghosts or _state(node) == DOWN:
        return []
    ghosts = [twin for twin in _of_same_name(nodes, request, member) if _state(twin) == DOWN]
    return sorted(ghosts, key=lambda ghost: engine_time(ghost["UpdatedAt"]), reverse=True)


def name_of(node: Node) -> str:
    return (node.get("Description") or {}).get("Hostname") or ""


def _called(node: Node) -> str:
    return f"{name_of(node)} ({node['ID']})"


# Deciding


def decide(nodes: Nodes, requests: Sequence[Request], member: Membership) -> Plan:
    """What is left to do, in an order in which nothing is lost that a later step needs.

    Settings come first, among them the labels of ghosts, then roles, then removals; this host's own
    demotion is last, as it cannot do anything after that.
    """
    updates: list[Action] = []
    roles: dict[str, Role] = {}
    removals: list[Action] = []
    seen: dict[str, str] = {}
    for request in requests:
        node = _meant(nodes, request, member)
        if node is None:
            continue
        ghosts = _ghosts(nodes, node, request, member)
        for named in (node, *ghosts):
            if named["ID"] in seen:
                raise InvalidOption(
                    f"'{seen[named['ID']]}' and '{request.node}' are the same node "
                    f"({named['ID']}): name each node once"
                )
            seen[named["ID"]] = request.node
        if request.is_absent:
            _refuse_removal(node, request, member)
        else:
            _refuse_role(node, request)
            updates += _updates(node, request, ghosts)
            if request.role and request.role is not _role(node):
                roles[node["ID"]] = request.role
        for leaving in (node, *ghosts) if request.is_absent else ghosts:
            removals.append(_removal(leaving))
            if _role(leaving) is Role.MANAGER and leaving.get("ManagerStatus"):
                roles[leaving["ID"]] = Role.WORKER
    changes, managers = _role_changes(nodes, roles, member)
    own = [action for action in changes if action.arguments["node_id"] == member.node_id]
    others = [action for action in changes if action not in own]
    speaks_of_roles = roles or any(request.role for request in requests)
    warnings = _even(managers) if speaks_of_roles else ()
    return Plan((*updates, *others, *removals, *own), warnings)


def _updates(node: Node, request: Request, ghosts: Nodes) -> list[Action]:
    # The whole stored spec goes back: the update replaces it, the node's name included.
    spec = copy.deepcopy(dict(node["Spec"]))
    managed = []
    carried = [ghost["Spec"].get("Labels") for ghost in ghosts if ghost["Spec"].get("Labels")]
    if request.labels is not None or request.labels_to_remove or carried:
        managed.append(LABELS.name)
        before = spec.get("Labels") or {}
        inherited: dict[str, str] = {}
        for labels in (before, *carried):
            inherited = {**labels, **inherited}
        after = labels_after(
            inherited, request.labels, request.labels_state, request.labels_to_remove
        )
        if after != before:
            spec["Labels"] = after
    if request.availability is not None:
        managed.append(AVAILABILITY.name)
        spec["Availability"] = request.availability
    if spec == node["Spec"]:
        return []
    rows = (LABELS, AVAILABILITY)
    action = Action(
        f"update node {_called(node)}",
        "node_update",
        {"node_id": node["ID"], "version": node["Version"]["Index"], "spec": spec},
        shown(rows, node["Spec"], managed),
        shown(rows, spec, managed),
    )
    return [action]


def _removal(node: Node) -> Action:
    rows = (ROLE, AVAILABILITY, LABELS)
    return Action(
        f"remove node {_called(node)}",
        "node_remove",
        # The engine insists on force for a node that is alive, and else it tells whether it is.
        {"node_id": node["ID"], "force": _state(node) != DOWN},
        {"state": "present", **shown(rows, node["Spec"], [row.name for row in rows])},
        {"state": "absent"},
    )


def _refuse_removal(node: Node, request: Request, member: Membership) -> None:
    if node["ID"] == member.node_id:
        raise Refused(
            f"{_called(node)} is the node of the host that this task runs on: let it leave with "
            "shoal.swarm.swarm_join and state: absent, and remove it on another manager"
        )
    if _state(node) != DOWN and not request.force:
        raise Refused(
            f"{_called(node)} is alive (its state is {_state(node)}): let its host leave with "
            "shoal.swarm.swarm_join and state: absent, or use the playbook "
            "shoal.swarm.remove_node; where that cannot be done, say force: true"
        )


def _refuse_role(node: Node, request: Request) -> None:
    if request.role is None:
        return
    if _role(node) is Role.MANAGER:
        if not node.get("ManagerStatus") and _state(node) != READY:
            raise WrongState(
                f"{_called(node)} is {_state(node)} and none of the managers, although its role "
                "says so, as after a forced new cluster: remove it with state: absent, and let "
                "its host join again"
            )
    elif request.role is Role.MANAGER and _state(node) == DOWN:
        raise WrongState(
            f"{_called(node)} is down and cannot become a manager: bring its host back first"
        )


# Roles


def _role_changes(
    nodes: Nodes, roles: Mapping[str, Role], member: Membership
) -> tuple[list[Action], Quorum]:
    """The changes in a safe order, and the managers that there are after them.

    The demotion of a manager that does not answer makes the quorum easier to reach, and a promotion
    makes room for the demotions that follow; the leader's costs an election.
    """
    managers = _to_be_expected(nodes)
    actions = []
    for node in sorted(
        (node for node in nodes if node["ID"] in roles),
        key=lambda node: (
            node["ID"] == member.node_id,
            bool((node.get("ManagerStatus") or {}).get("Leader")),
            roles[node["ID"]] is Role.WORKER and _is_reachable(node),
            roles[node["ID"]] is Role.MANAGER,
        ),
    ):
        if roles[node["ID"]] is Role.MANAGER:
            managers = managers.with_one()
            actions.append(_role_change("promote", node, Role.MANAGER))
        else:
            _refuse_demotion(node, managers)
            managers = managers.without_one(_is_reachable(node))
            actions.append(_role_change("demote", node, Role.WORKER))
    return actions, managers


def _role_change(operation: str, node: Node, role: Role) -> Action:
    return Action(
        f"{operation} node {_called(node)}",
        operation,
        {"node_id": node["ID"]},
        {ROLE.name: node["Spec"]["Role"]},
        {ROLE.name: role.value},
    )


def _to_be_expected(nodes: Nodes) -> Quorum:
    """The managers as they are when the role changes are over that are under way."""
    managers = [
        node
        for node in nodes
        if _role(node) is Role.MANAGER and (node.get("ManagerStatus") or _state(node) == READY)
    ]
    return Quorum(len(managers), sum(map(_is_reachable, managers)))


def _refuse_demotion(node: Node, managers: Quorum) -> None:
    if managers.managers <= 1:
        raise Refused(
            f"{_called(node)} would be the last manager (1 of 1, quorum 1), and a swarm needs one: "
            "promote another node first"
        )
    reachable = _is_reachable(node)
    if not managers.spares_one(reachable):
        raise Refused(
            f"{_called(node)} cannot be demoted without the swarm losing its quorum: "
            f"{managers.told_without_one(reachable)}. Bring the other managers back, or promote "
            "other nodes first"
        )


def _even(managers: Quorum) -> tuple[str, ...]:
    count = managers.managers
    if count % 2:
        return ()
    return (
        f"the swarm has {count} managers with this, which tolerate no more losses than {count - 1} "
        "would: promote or demote one more",
    )


def _role(node: Node) -> Role:
    return Role(node["Spec"]["Role"])


def _is_reachable(node: Node) -> bool:
    """Whether the other managers reach it; one that is just being promoted is about to be."""
    status = node.get("ManagerStatus")
    return not status or status.get("Reachability") == REACHABLE


# Carrying it out


def promote(
    engine: Engine,
    observe: Callable[[], Nodes],
    node_id: str,
    wait: bool,
    timeout: float,
    run: Run,
) -> None:
    """Make a node a manager, and wait until the other managers reach it."""

    def look() -> Look:
        node = engine.node(node_id)
        if node.get("ManagerStatus") and _is_reachable(node):
            return Look(Verdict.DONE)
        reachability = (node.get("ManagerStatus") or {}).get("Reachability", "not one of them yet")
        return Look(
            Verdict.WAIT, f"to the other managers it is {reachability}; its state is {_state(node)}"
        )

    _await_other_changes(observe, node_id, Role.MANAGER, timeout, run)
    called = _give_role(engine, node_id, Role.MANAGER)
    if wait:
        wait_until(f"the promotion of {called}", look, timeout, run.clock)


def demote(
    engine: Engine,
    observe: Callable[[], Nodes],
    node_id: str,
    is_own: bool,
    wait: bool,
    timeout: float,
    run: Run,
) -> None:
    """Make a node a worker, and wait until it is none of the managers any more.

    This host itself only learns from its own engine that it is one.
    """

    def look() -> Look:
        if is_own:
            return _own_demotion(engine)
        if engine.node(node_id).get("ManagerStatus"):
            return Look(Verdict.WAIT, "it is still one of the managers")
        return Look(Verdict.DONE)

    _await_other_changes(observe, node_id, Role.WORKER, timeout, run)
    called = _give_role(engine, node_id, Role.WORKER)
    if wait:
        wait_until(f"the demotion of {called}", look, timeout, run.clock)


def _own_demotion(engine: Engine) -> Look:
    member = membership(engine.info())
    if member.is_manager:
        return Look(Verdict.WAIT, "it still acts as a manager")
    if member.state is not NodeState.ACTIVE:
        return Look(Verdict.WAIT, f"its state is {member.state.value} {member.error}".rstrip())
    return Look(Verdict.DONE)


def _await_other_changes(
    observe: Callable[[], Nodes], node_id: str, role: Role, timeout: float, run: Run
) -> None:
    """One role change at a time, and a demotion only while there is a quorum without the manager.

    What was planned was seen some changes ago.
    """

    def look() -> Look:
        nodes = observe()
        under_way = [text for text in map(_role_under_way, nodes) if text]
        if under_way:
            return Look(Verdict.WAIT, "; ".join(under_way))
        managers = quorum(nodes)
        node = next((node for node in nodes if node["ID"] == node_id), {})
        if role is Role.WORKER and node.get("ManagerStatus"):
            reachable = _is_reachable(node)
            if not managers.spares_one(reachable):
                # For the last one nobody can be waited for.
                verdict = Verdict.FAILED if managers.managers == 1 else Verdict.WAIT
                return Look(verdict, managers.told_without_one(reachable))
        return Look(Verdict.DONE)

    change = "promotion" if role is Role.MANAGER else "demotion"
    wait_until(f"the {change} of node {node_id} being safe", look, timeout, run.clock)


def _give_role(engine: Engine, node_id: str, role: Role) -> str:
    node = engine.node(node_id)
    spec = {**node["Spec"], "Role": role.value}
    if spec != node["Spec"]:
        engine.node_update(node_id, node["Version"]["Index"], spec)
    return _called(node)


def _role_under_way(node: Node) -> str:
    """Raft follows the role in the spec, some time later."""
    manages = bool(node.get("ManagerStatus"))
    if _role(node) is Role.WORKER and manages:
        return f"{_called(node)} is still being demoted"
    if _role(node) is Role.MANAGER and not manages and _state(node) == READY:
        return f"{_called(node)} is still being promoted"
    return ""


def _roles_taken(nodes: Nodes, requests: Sequence[Request], member: Membership) -> Look:
    asked = [_meant(nodes, request, member) for request in requests if request.role]
    under_way = [_role_under_way(node) for node in asked if node is not None]
    if any(under_way):
        return Look(Verdict.WAIT, "; ".join(text for text in under_way if text))
    return Look(Verdict.DONE)


# Telling


def summary(node: Node) -> dict[str, Any]:
    """A node in the words of `docker node ls`."""
    status = node.get("Status") or {}
    manager = node.get("ManagerStatus") or {}
    description = node.get("Description") or {}
    return {
        "id": node["ID"],
        "hostname": name_of(node),
        "role": node["Spec"]["Role"],
        "availability": node["Spec"]["Availability"],
        "labels": node["Spec"].get("Labels") or {},
        "state": status.get("State", "unknown"),
        "message": status.get("Message", ""),
        "address": status.get("Addr", ""),
        "leader": bool(manager.get("Leader")),
        "reachability": manager.get("Reachability", ""),
        "manager_address": manager.get("Addr", ""),
        "engine_version": (description.get("Engine") or {}).get("EngineVersion", ""),
    }
