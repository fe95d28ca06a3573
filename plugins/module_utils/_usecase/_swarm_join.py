# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make this host a member of a swarm, or make it leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AlreadyInSwarm,
    EngineError,
    InvalidOption,
    JoinPending,
    NotConverged,
    OutOfSequence,
    Refused,
    SwarmError,
    TokenRefused,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._host import (
    may_hold_certificate,
    refuse_foreign_addresses,
    root_ca_pem,
    why_unreachable,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    NodeState,
    Role,
    membership,
    quorum,
    reachability_of,
    root_ca_digest,
    token_digest,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import NOTHING, Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import THIS_NODE
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import demote
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    converge,
    reconcile,
    settled_membership,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict, wait_until

LEAVE = "leave the swarm"
CLEAN = "clear what an earlier join left behind"
DEFAULT_PORT = 2377
ROLE_SECONDS = 10.0
OUTSIDE = {"state": "absent"}


@dataclass(frozen=True)
class Seen:
    """This host's membership; on a manager also the swarm's nodes; the trusted root CA."""

    member: Membership
    ca_digests: frozenset[str] = frozenset()
    nodes: tuple[Mapping[str, Any], ...] = ()
    # A join that no manager has answered: there is no certificate, and nothing to lose.
    half_joined: bool = False


def ensure(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    if params["state"] == "absent":
        outcome = _ensure_absent(engine, params, run)
    else:
        outcome = _ensure_present(engine, params, run)
    member = outcome.observed.member
    return outcome, {
        "node_id": member.node_id,
        "node_addr": member.node_addr,
        "role": member.role.value if member.role else "",
        "cluster_id": member.cluster_id,
        "managers": list(member.managers),
    }


def observe(engine: Engine, run: Run, forced: bool = False) -> Seen:
    """Look at this host; `forced` goes on where its swarm has no leader and cannot be read."""
    member = settled_membership(engine, run)
    digests: set[str] = set()
    nodes: tuple[Mapping[str, Any], ...] = ()
    if member.state is not NodeState.INACTIVE and engine.is_local:
        pem = root_ca_pem(member.root_dir)
        digests |= {root_ca_digest(pem)} if pem else set()
    if member.is_manager:
        try:
            tokens = engine.swarm()["JoinTokens"]
            digests.add(token_digest("the swarm's own token", tokens["Worker"]))
            nodes = tuple(engine.nodes())
        except EngineError:
            if not forced:
                raise
    return Seen(member, frozenset(digests), nodes, _is_half_joined(engine, member))


def _is_half_joined(engine: Engine, member: Membership) -> bool:
    # A member in trouble looks much the same: one whose certificate cannot be read shows no node
    # ID, and one that cannot reach its managers is pending. What it holds is not to be cleared.
    if member.node_id or member.state not in (NodeState.PENDING, NodeState.ERROR):
        return False
    if engine.is_local:
        return not may_hold_certificate(member.root_dir)
    return member.state is NodeState.PENDING


# Joining


def _ensure_present(engine: Engine, params: Mapping[str, Any], run: Run) -> Outcome[Seen]:
    digest = token_digest("join_token", params["join_token"])
    addresses = manager_addresses(params["remote_addrs"])
    if engine.is_local and params["check_addresses"]:
        refuse_foreign_addresses(
            advertise_addr=params["advertise_addr"],
            listen_addr=params["listen_addr"],
            data_path_addr=params["data_path_addr"],
        )
    role = Role(params["role"]) if params["role"] else None
    outcome = reconcile(
        engine,
        lambda: observe(engine, run, params["force"]),
        lambda seen: decide_present(seen, digest, addresses, role, params),
        run,
        {
            "join": lambda bodies: join_as(engine, bodies, role, params["wait_timeout"], run),
            "leave_for": lambda **_force: leave_for(engine, addresses),
        },
    )
    if not params["wait"]:
        return outcome
    return converge(
        outcome,
        "this host being a ready member of the swarm",
        lambda: observe(engine, run),
        lambda seen: ready(seen, role),
        params["wait_timeout"],
        run,
    )


def manager_addresses(remote_addrs: list[str]) -> tuple[str, ...]:
    """The managers' addresses, each with its port."""
    addresses = []
    for text in remote_addrs:
        bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
        with_port = f"[{text}]:{DEFAULT_PORT}" if bare_ipv6 else text
        if not with_port.rpartition("]")[2].count(":"):
            with_port = f"{with_port}:{DEFAULT_PORT}"
        port = with_port.rpartition(":")[2]
        if not port.isdecimal() or not 0 < int(port) < 65536 or not text.strip():
            raise InvalidOption(
                f"remote_addrs: '{text}' is not the address of a manager: write 10.0.0.11, "
                "10.0.0.11:2377 or [fd00::11]:2377"
            )
        addresses.append(with_port)
    if not addresses:
        raise InvalidOption("remote_addrs is empty: give the address of at least one manager")
    return tuple(addresses)


def decide_present(
    seen: Seen,
    digest: str,
    addresses: tuple[str, ...],
    role: Role | None,
    params: Mapping[str, Any],
) -> Plan:
    """What is left to do for this host to be a member of the token's swarm."""
    member = seen.member
    join = _join(addresses, params)
    if member.state is NodeState.INACTIVE:
        return Plan((join,))
    if seen.half_joined:
        return Plan((_leave(member, CLEAN, force=True), join))
    trouble = _trouble(seen, digest, addresses, role)
    if not trouble:
        return NOTHING
    if not params["force"]:
        raise WrongState(f"{trouble}, or say force: true to leave that swarm and join this one")
    return Plan((replace(_leave(member, LEAVE, force=True), operation="leave_for"), join))


def _trouble(seen: Seen, digest: str, addresses: tuple[str, ...], role: Role | None) -> str:
    """Why this member is not the wanted one, and what to do; empty where it is."""
    member = seen.member
    host = member.hostname
    if member.state is NodeState.LOCKED:
        return (
            f"{host} is locked (autolock): unlock it with its unlock key (shoal.swarm.swarm_unlock)"
        )
    if member.state is NodeState.ERROR:
        return f"{host} is in a swarm whose state is in error ({member.error}): mend that"
    if not _is_same_swarm(seen, digest, addresses):
        managers = ", ".join(member.managers) or "unknown"
        of = f"a {_name(member.role)} of another swarm (managers there: {managers})"
        if not seen.ca_digests:
            return (
                f"{host} is in a swarm, and over this connection it cannot be told whether it is "
                f"this one or {of}: run the task on {host} itself, or give remote_addrs as the "
                "swarm knows them"
            )
        return f"{host} is {of}: take it out of there first"
    if role and member.state is NodeState.ACTIVE and member.role is not role:
        change = "promote" if role is Role.MANAGER else "demote"
        return (
            f"{host} is in this swarm as {_name(member.role)}, not as {role.value}: "
            f"{change} node {member.node_id} on a manager"
        )
    return ""


def _is_same_swarm(seen: Seen, digest: str, addresses: tuple[str, ...]) -> bool:
    if digest in seen.ca_digests:
        return True
    # While a root CA rotates the digests differ for a time: a common manager tells as well.
    return bool(set(addresses) & set(seen.member.managers))


def _name(role: Role | None) -> str:
    return role.value if role else "member"


def _join(addresses: tuple[str, ...], params: Mapping[str, Any]) -> Action:
    bodies = tuple(
        {
            "ListenAddr": params["listen_addr"],
            "AdvertiseAddr": params["advertise_addr"] or "",
            "DataPathAddr": params["data_path_addr"] or "",
            "RemoteAddrs": [address],
            "JoinToken": params["join_token"],
            "Availability": params["availability"] or "active",
        }
        for address in addresses
    )
    after = {row.name: params[row.name] for row in THIS_NODE if params[row.name]}
    after["remote_addrs"] = list(addresses)
    if params["role"]:
        after["role"] = params["role"]
    summary = f"join the swarm as {params['role']}" if params["role"] else "join the swarm"
    return Action(summary, "join", {"bodies": bodies}, OUTSIDE, {"state": "present", **after})


def leave_for(engine: Engine, addresses: tuple[str, ...]) -> None:
    """Leave a swarm for another one, but not for one that nobody answers for."""
    if engine.is_local:
        reasons = {address: why_unreachable(address) for address in addresses}
        if all(reasons.values()):
            listed = "; ".join(f"{address}: {reason}" for address, reason in reasons.items())
            raise NotConverged(f"this host stays where it is, no manager can be reached; {listed}")
    engine.swarm_leave(force=True)


def join_as(
    engine: Engine,
    bodies: tuple[dict[str, Any], ...],
    role: Role | None,
    timeout: float,
    run: Run,
) -> None:
    """Join, and leave again where that made this host something else than it shall be.

    The token decides the role, and nobody can tell which before it has been used.
    """
    join_in_turn(engine, bodies, timeout, run)
    joined = _role_that_lasts(engine, role, run)
    if role is None or joined.role is role:
        return
    other = _name(joined.role)
    told = f"join_token is a token for {other}s, and role is {role.value}"
    try:
        # A manager that the others do not reach yet cannot be demoted.
        wait_until("the join", lambda: ready(observe(engine, run), None), timeout, run.clock)
        _ensure_absent(engine, {"force": False, "wait_timeout": timeout}, run)
    except SwarmError as error:
        raise WrongState(
            f"{told}: {joined.hostname} is a {other} now, and did not leave again: {error}"
        ) from error
    raise WrongState(
        f"{told}: {joined.hostname} has left the swarm again, where node {joined.node_id} is "
        f"listed as down until it is removed; use the {role.value}s' token, which "
        "shoal.swarm.swarm_info returns (join_tokens: true) on a manager"
    )


def _role_that_lasts(engine: Engine, role: Role | None, run: Run) -> Membership:
    # A new manager's engine learns that it is one at about the time at which it says it has joined;
    # what it shall not be, it does not stop being.
    deadline = run.clock.now() + ROLE_SECONDS
    while True:
        member = membership(engine.info())
        if role is not Role.MANAGER or member.role is role or run.clock.now() >= deadline:
            return member
        run.clock.sleep(0.5)


def join_in_turn(
    engine: Engine, bodies: tuple[dict[str, Any], ...], timeout: float, run: Run
) -> None:
    """Try one manager after the other: the engine itself dials only the first of a list."""
    refusals = []
    for body in bodies:
        address = body["RemoteAddrs"][0]
        reason = why_unreachable(address) if engine.is_local else ""
        if not reason:
            try:
                _join_through(engine, body, timeout, run)
                return
            except AlreadyInSwarm:
                # Somebody else has just begun to join this host: that join is not ours to end.
                raise
            except (EngineError, NotConverged) as error:
                reason = str(error)
                state = membership(engine.info()).state
                if state is NodeState.ACTIVE:
                    return
                if state is not NodeState.INACTIVE:
                    # Nothing was issued, so leaving loses nothing; it frees the way for the next.
                    engine.swarm_leave(force=True)
                if isinstance(error, TokenRefused):
                    raise TokenRefused(
                        f"the join token is not (or no longer) one of this swarm: {reason}; read "
                        "a fresh one with shoal.swarm.swarm_info (join_tokens: true) on a manager",
                        error.status,
                    ) from error
        refusals.append(f"{address}: {reason}")
    raise NotConverged("no manager let this host in; " + "; ".join(refusals))


def _join_through(engine: Engine, body: dict[str, Any], timeout: float, run: Run) -> None:
    try:
        engine.swarm_join(body)
    except JoinPending as pending:
        # The engine gave its client 20 s and goes on by itself.
        message = str(pending)

        def look() -> Look:
            member = membership(engine.info())
            if member.state is NodeState.ACTIVE:
                return Look(Verdict.DONE)
            if member.state is NodeState.PENDING:
                return Look(Verdict.WAIT, message)
            return Look(Verdict.FAILED, member.error or message)

        wait_until(f"joining through {body['RemoteAddrs'][0]}", look, timeout, run.clock)


def ready(seen: Seen, role: Role | None) -> Look:
    """A worker is ready when its agent is connected, a manager when the others reach it."""
    member = seen.member
    if member.state is not NodeState.ACTIVE:
        return Look(Verdict.WAIT, f"its state is {member.state.value} {member.error}".rstrip())
    if role and member.role is not role:
        return Look(Verdict.WAIT, f"it is a {_name(member.role)}, not a {role.value}")
    if member.is_manager:
        reachability = reachability_of(seen.nodes, member.node_id)
        if reachability != "reachable":
            return Look(Verdict.WAIT, f"the other managers see it as {reachability}")
    return Look(Verdict.DONE)


# Leaving


def _ensure_absent(engine: Engine, params: Mapping[str, Any], run: Run) -> Outcome[Seen]:
    def demote_self(node_id: str) -> None:
        try:
            demote(engine, engine.nodes, node_id, True, True, params["wait_timeout"], run)
        except NotConverged as failure:
            # The other managers may have left meanwhile, and this one is the last.
            if params["force"]:
                raise OutOfSequence(str(failure)) from failure
            raise

    return reconcile(
        engine,
        lambda: observe(engine, run, params["force"]),
        lambda seen: decide_absent(seen, params["force"]),
        run,
        {"demote": demote_self},
    )


def decide_absent(seen: Seen, forced: bool) -> Plan:
    member = seen.member
    if member.state is NodeState.INACTIVE:
        return NOTHING
    if seen.half_joined:
        return Plan((_leave(member, CLEAN, force=True),))
    # A worker that cannot reach its swarm can be spared all the same. An engine that is a manager
    # after all does not let it go without force.
    if member.state is not NodeState.ACTIVE and member.role is not Role.WORKER and not forced:
        raise Refused(
            f"{member.hostname} is in a swarm in state {member.state.value} {member.error}".rstrip()
            + ", and whether the swarm can spare it cannot be seen from here: say force: true to "
            "leave all the same"
        )
    if not member.is_manager:
        return Plan((_leave(member, LEAVE, force=forced),))
    _refuse_unsafe_leave(seen, forced)
    leave = _leave(member, LEAVE, force=True)
    managers = quorum(seen.nodes)
    if managers.managers <= 1 or not managers.spares_one(reachable=True):
        return Plan((leave,))
    # The others keep counting a manager that just leaves (moby#30847): demote it first.
    demotion = Action(
        f"demote {member.hostname}",
        "demote",
        {"node_id": member.node_id},
        {"role": Role.MANAGER.value},
        {"role": Role.WORKER.value},
    )
    return Plan((demotion, leave))


def _refuse_unsafe_leave(seen: Seen, forced: bool) -> None:
    member = seen.member
    if forced or not member.is_manager:
        return
    managers = quorum(seen.nodes)
    if managers.managers <= 1:
        raise Refused(
            f"{member.hostname} is the last manager (1 of 1, quorum 1): its leaving destroys the "
            f"swarm of {len(seen.nodes)} nodes with its services, secrets and configs; say force: "
            "true if that is meant"
        )
    if not managers.spares_one(reachable=True):
        raise Refused(
            f"{member.hostname} cannot leave without the swarm losing its quorum: "
            f"{managers.told_without_one(reachable=True)}. Bring the other managers back first, or "
            "say force: true"
        )


def _leave(member: Membership, summary: str, force: bool) -> Action:
    before = {"state": "present", "role": _name(member.role), "node_id": member.node_id}
    return Action(summary, "swarm_leave", {"force": force}, before, OUTSIDE)
