# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create the swarm on this host, or bring the one it manages to the settings given."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    InvalidOption,
    Locked,
    Refused,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._host import (
    is_locked,
    may_hold_certificate,
    refuse_foreign_addresses,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    Membership,
    NodeState,
    Role,
    quorum,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import NOTHING, Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import (
    AT_CREATION,
    SETTINGS,
    THIS_NODE,
    der,
    fixed_differences,
    refuse_hasty_elections,
    validate,
    validate_expiry,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    CHANGED_SECRET,
    OWN_LABELS,
    merged,
    one_shot,
    refuse_newer,
    shown,
    wanted,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import name_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    converge,
    patiently,
    reconcile,
    settled_membership,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Look,
    Section,
    Verdict,
    wait_until,
)

CREATE = "create the swarm"
FORCE_NEW_CLUSTER = "force a new cluster with this node as its only manager"

# option -> the query parameter of POST /swarm/update
ROTATIONS = {
    "rotate_worker_token": "WorkerToken",
    "rotate_manager_token": "ManagerToken",
    "rotate_unlock_key": "ManagerUnlockKey",
}
ONE_SHOTS = (*ROTATIONS, "force_new_cluster")


@dataclass(frozen=True)
class Seen:
    """This host's membership and, on a manager, the swarm as GET /swarm shows it."""

    member: Membership
    swarm: Mapping[str, Any] | None = None
    nodes: tuple[Mapping[str, Any], ...] = ()
    # On disk lies the state of a swarm that the engine does not act in.
    left_behind: bool = False
    # Whether the manager's key on the disk is locked; none where that is not known.
    is_locked: bool | None = None


def ensure(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    validate(params)
    refuse_newer((*SETTINGS, *AT_CREATION, *THIS_NODE), params, engine.api_version)
    values = wanted(SETTINGS, params)
    validate_expiry(values.get("node_cert_expiry"))
    if engine.is_local and params["check_addresses"]:
        refuse_foreign_addresses(
            advertise_addr=params["advertise_addr"],
            listen_addr=params["listen_addr"],
            data_path_addr=params["data_path_addr"],
        )
    outcome = reconcile(
        engine,
        lambda: observe(engine, run, bool(one_shot(params, "force_new_cluster"))),
        lambda seen: decide(seen, params, values),
        run,
        {"force_new_cluster": lambda body: force_new_cluster(engine, body, params, run)},
    )
    if params["wait"]:
        return wait_on(engine, params, run, outcome)
    return _told(engine, outcome, params)


def wait_on(
    engine: Engine, params: Mapping[str, Any], run: Run, outcome: Outcome[Seen] | None = None
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Wait until the swarm is ready; without an outcome it is the wait of an earlier execution."""

    def look() -> Seen:
        return observe(engine, run)

    outcome = converge(
        outcome or Outcome((), (), patiently(look, run.clock), False),
        "the swarm being ready",
        look,
        lambda seen: ready(seen, _asks_for_rotation(params)),
        params["wait_timeout"],
        run,
    )
    return _told(engine, outcome, params)


def observe(engine: Engine, run: Run, quorum_may_be_lost: bool = False) -> Seen:
    member = settled_membership(engine, run)
    if not member.is_manager:
        idle = member.state is NodeState.INACTIVE and engine.is_local
        return Seen(member, left_behind=idle and may_hold_certificate(member.root_dir))
    # Only a forced new cluster asks for it.
    locked = is_locked(member.root_dir) if quorum_may_be_lost and engine.is_local else None
    try:
        return Seen(member, engine.swarm(), tuple(engine.nodes()), is_locked=locked)
    except AmbiguousWrite:
        # Without a leader nothing can be read; that is what a forced new cluster is for.
        if quorum_may_be_lost:
            return Seen(member, is_locked=locked)
        raise


def decide(seen: Seen, params: Mapping[str, Any], values: Mapping[str, Any]) -> Plan:
    """What is left to do."""
    member = seen.member
    if member.state is NodeState.INACTIVE:
        if seen.left_behind and not params["force"]:
            raise Refused(
                f"{member.hostname} is in no swarm now, but the state of one is still in "
                f"{member.root_dir}/swarm, and a new swarm would overwrite it: restart Docker "
                "there, and unlock it if it asks for the key, to have that swarm back; or say "
                "force: true to lose it"
            )
        return Plan((_create(params, values),))
    force_key = one_shot(params, "force_new_cluster")
    if not (force_key and _is_cut_off(member)):
        require_manager(member)
    if force_key and _due(force_key, "force_new_cluster", seen):
        if seen.swarm is None or quorum(seen.nodes).managers > 1:
            _refuse_needless_force(seen, params)
            return Plan((_force_new_cluster(params, seen.swarm),), continues=True)
    if seen.swarm is None:
        return NOTHING
    differences = fixed_differences(seen.swarm, member.node_addr, params)
    if differences:
        raise InvalidOption(
            "settings that are fixed when a swarm is created differ: "
            + "; ".join(differences)
            + ". Remove them from the task, or create a new swarm"
        )
    return _update(seen.swarm, params, values)


def _is_cut_off(member: Membership) -> bool:
    """A manager that came up again and finds too few of the others."""
    return member.state is NodeState.PENDING and member.role is Role.MANAGER


# Creating


def _create(params: Mapping[str, Any], values: Mapping[str, Any]) -> Action:
    spec = merged(SETTINGS, {}, values)
    refuse_hasty_elections(spec, values)
    spec.setdefault("Labels", {}).update(_notes(params))
    if params["signing_ca_cert"] is not None:
        spec.setdefault("CAConfig", {}).update(_signing_ca(params))
    body = {
        "ListenAddr": params["listen_addr"],
        "AdvertiseAddr": params["advertise_addr"] or "",
        "DataPathAddr": params["data_path_addr"] or "",
        "DataPathPort": params["data_path_port"] or 0,
        "DefaultAddrPool": params["default_addr_pool"] or [],
        "SubnetSize": params["subnet_size"] or 0,
        "Availability": params["availability"] or "active",
        # Both are needed: with the first alone the swarm is not locked, without a word.
        "AutoLockManagers": bool(params["autolock_managers"]),
        "Spec": spec,
    }
    after = shown(SETTINGS, spec, list(values))
    for row in (*AT_CREATION, *THIS_NODE):
        if params[row.name] not in (None, []):
            after[row.name] = params[row.name]
    if params["signing_ca_cert"] is not None:
        after["signing_ca_cert"] = params["signing_ca_cert"].strip()
    return Action(CREATE, "swarm_init", {"body": body}, {}, {"state": "present", **after})


# Changing


def _update(swarm: Mapping[str, Any], params: Mapping[str, Any], values: Mapping[str, Any]) -> Plan:
    before_spec = swarm["Spec"]
    spec = merged(SETTINGS, before_spec, values)
    refuse_hasty_elections(spec, values)
    labels = before_spec.get("Labels") or {}
    before = shown(SETTINGS, before_spec, list(values))
    after = shown(SETTINGS, spec, list(values))

    rotate = [option for option in ROTATIONS if _rotation_due(option, params, labels)]
    for option in rotate:
        if option == "rotate_unlock_key" and not _is_locking(spec):
            raise InvalidOption(
                "rotate_unlock_key: this swarm has no unlock key, autolock is off; set "
                "autolock_managers: true"
            )
        before[option], after[option] = "(secret)", CHANGED_SECRET
    notes = {k: v for k, v in _notes(params).items() if labels.get(k) != v}
    if notes:
        spec["Labels"] = {**(spec.get("Labels") or {}), **notes}
    if _note("force_new_cluster") in notes:
        # Not needed now, and not to be done later for the same key either.
        before["force_new_cluster"] = labels.get(_note("force_new_cluster"), "")
        after["force_new_cluster"] = notes[_note("force_new_cluster")]

    if params["signing_ca_cert"] is not None:
        before["signing_ca_cert"] = (swarm.get("TLSInfo") or {}).get("TrustRoot", "").strip()
        after["signing_ca_cert"] = params["signing_ca_cert"].strip()
        if not _is_trusted(swarm, params["signing_ca_cert"]):
            spec = copy.deepcopy(spec)
            spec.setdefault("CAConfig", {}).update(_signing_ca(params))

    if spec == before_spec and not rotate:
        return NOTHING
    arguments = {
        "version": swarm["Version"]["Index"],
        "spec": spec,
        "rotate": tuple(ROTATIONS[option] for option in rotate),
    }
    return Plan((Action("update the swarm", "swarm_update", arguments, before, after),))


def _is_trusted(swarm: Mapping[str, Any], certificate: str) -> bool:
    """Whether the swarm's root CA is this one, or is just becoming it.

    While it rotates, the root is still the old one and the issuer's key already the new one's.
    """
    tls = swarm.get("TLSInfo") or {}
    if tls.get("TrustRoot", "").strip() == certificate.strip():
        return True
    issuer_key = base64.b64decode(_issuer_key(swarm))
    return bool(swarm.get("RootRotationInProgress")) and issuer_key in der(certificate)


def _signing_ca(params: Mapping[str, Any]) -> dict[str, str]:
    return {
        "SigningCACert": params["signing_ca_cert"],
        "SigningCAKey": params["signing_ca_key"] or "",
    }


def _is_locking(spec: Mapping[str, Any]) -> bool:
    return bool((spec.get("EncryptionConfig") or {}).get("AutoLockManagers"))


def _note(option: str) -> str:
    return f"{OWN_LABELS}{option}"


def _notes(params: Mapping[str, Any]) -> dict[str, str]:
    """The labels that remember which keys have been used."""
    keys = {option: one_shot(params, option) for option in ONE_SHOTS}
    return {_note(option): key for option, key in keys.items() if isinstance(key, str)}


def _rotation_due(option: str, params: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key = one_shot(params, option)
    return key is True or (isinstance(key, str) and labels.get(_note(option)) != key)


def _due(key: str | bool, option: str, seen: Seen) -> bool:
    labels = (seen.swarm or {}).get("Spec", {}).get("Labels") or {}
    return key is True or labels.get(_note(option)) != key


# Recovery


def _refuse_needless_force(seen: Seen, params: Mapping[str, Any]) -> None:
    # Without a leader the engine does not tell, but the disk does.
    locked = seen.is_locked
    if locked is None:
        locked = seen.swarm is not None and _is_locking(seen.swarm["Spec"])
    if locked:
        raise Refused(
            "force_new_cluster: this swarm is autolocked, and the engine loses the swarm when it "
            "is forced in that state (moby#36852). The playbook shoal.swarm.recover takes the lock "
            "off first, with maintenance_unlock_key (shoal.swarm.swarm_unlock_state)"
        )
    managers = quorum(seen.nodes)
    healthy = seen.swarm is not None and managers.holds and not seen.member.error
    if healthy and not params["force"]:
        raise Refused(
            f"force_new_cluster: this swarm has its quorum ({managers}), and a new cluster would "
            f"cut off {managers.managers - 1} managers: mend the swarm instead, or say force: true"
        )


def _force_new_cluster(params: Mapping[str, Any], swarm: Mapping[str, Any] | None) -> Action:
    # Of the spec the engine keeps what the body leaves out, but this it takes as it comes, and
    # another number rotates the root CA (moby daemon/cluster/convert/swarm.go).
    rotated_for = params["ca_force_rotate"]
    if rotated_for is None and swarm:
        rotated_for = swarm["Spec"].get("CAConfig", {}).get("ForceRotate")
    body = {
        "ForceNewCluster": True,
        "ListenAddr": params["listen_addr"],
        "AdvertiseAddr": params["advertise_addr"] or "",
        "Spec": {"CAConfig": {"ForceRotate": rotated_for}} if rotated_for else {},
    }
    return Action(
        FORCE_NEW_CLUSTER,
        "force_new_cluster",
        {"body": body},
        {"managers": "those it had"},
        {"managers": "this node"},
    )


def force_new_cluster(
    engine: Engine, body: dict[str, Any], params: Mapping[str, Any], run: Run
) -> None:
    """Force it, wait until the new cluster can be read, and note the key: never force it again."""
    try:
        engine.swarm_init(body)
    except Locked as error:
        # The engine says now that it is in no swarm, and its next init clears what is on the disk.
        raise WrongState(
            "force_new_cluster: this swarm is autolocked, and the engine has set it aside "
            "(moby#36852). Before anything else restart Docker on this host and unlock it "
            "(shoal.swarm.swarm_unlock), which brings it back; then bring the other managers back"
        ) from error

    def look() -> Look:
        seen = observe(engine, run, quorum_may_be_lost=True)
        if seen.swarm is None or quorum(seen.nodes).managers > 1:
            return Look(Verdict.WAIT, "its state cannot be read yet")
        return Look(Verdict.DONE)

    wait_until("the new cluster being ready", look, params["wait_timeout"], run.clock)
    key = one_shot(params, "force_new_cluster")
    if isinstance(key, str):
        swarm = engine.swarm()
        labels = {**(swarm["Spec"].get("Labels") or {}), _note("force_new_cluster"): key}
        engine.swarm_update(swarm["Version"]["Index"], {**swarm["Spec"], "Labels": labels})


# Waiting and telling


def _asks_for_rotation(params: Mapping[str, Any]) -> bool:
    """Whether the task wants a root CA, and so waits for it.

    Where a new cluster is forced nobody can wait: the nodes of the old one hold a rotation up until
    they have joined anew.
    """
    wants = params["ca_force_rotate"] is not None or params["signing_ca_cert"] is not None
    return wants and not one_shot(params, "force_new_cluster")


def ready(seen: Seen, asks_for_rotation: bool) -> Look:
    if seen.swarm is None:
        return _not_yet(f"the engine's swarm state is {seen.member.state.value}")
    managers = quorum(seen.nodes)
    if not managers.holds:
        return _not_yet(f"no quorum: {managers}")
    if seen.swarm.get("RootRotationInProgress") and asks_for_rotation:
        return _rotating(seen)
    return Look(Verdict.DONE, view=(Section("the swarm", "ready"),))


def _not_yet(reason: str) -> Look:
    return Look(Verdict.WAIT, reason, (Section("the swarm", reason),))


def _rotating(seen: Seen) -> Look:
    """Rotation ends when every node has a new certificate, down nodes included."""
    issuer = _issuer_key(seen.swarm or {})
    waiting = {
        name_of(node): node["Status"]["State"]
        for node in seen.nodes
        if _issuer_key(node["Description"]) != issuer or node["Status"]["State"] != "ready"
    }
    names = ", ".join(f"{name} ({state})" for name, state in waiting.items()) or "none known"
    has = len(seen.nodes) - len(waiting)
    rotation = Section(
        "the root CA",
        f"{has} of {len(seen.nodes)} nodes have a new certificate",
        tuple((name, f"waits for it ({state})") for name, state in waiting.items()),
    )
    reason = f"the root CA rotates; nodes without a new certificate: {names}"
    return Look(Verdict.WAIT, reason, (rotation,))


def _told(
    engine: Engine, outcome: Outcome[Seen], params: Mapping[str, Any]
) -> tuple[Outcome[Seen], dict[str, Any]]:
    seen = outcome.observed
    if (seen.swarm or {}).get("RootRotationInProgress") and not _asks_for_rotation(params):
        outcome = replace(outcome, warnings=(*outcome.warnings, _rotating(seen).reason))
    return outcome, facts(engine, seen, params)


def _issuer_key(document: Mapping[str, Any]) -> str:
    # Not the issuer's name: all the root CAs that a swarm makes for itself have the same.
    return (document.get("TLSInfo") or {}).get("CertIssuerPublicKey") or ""


def facts(engine: Engine, seen: Seen, params: Mapping[str, Any]) -> dict[str, Any]:
    swarm = dict(seen.swarm or {})
    tokens = swarm.pop("JoinTokens", None) or {}
    result: dict[str, Any] = {
        "swarm_facts": swarm,
        "cluster_id": swarm.get("ID", ""),
        "node_id": seen.member.node_id,
        "managers": list(seen.member.managers),
    }
    if params["join_tokens"] and tokens:
        result["join_tokens"] = {"manager": tokens["Manager"], "worker": tokens["Worker"]}
    if params["unlock_key"] and seen.swarm is not None:
        result["unlock_key"] = engine.unlock_key()
    return result
