# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create and remove a network of the swarm. The engine changes nothing of one that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._compose._refusals import refuse_network
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    EngineError,
    InUse,
    InvalidOption,
    NotFound,
    OutOfSequence,
    Refused,
    tells_absence,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._networks import (
    OVERLAY,
    SWARM_SCOPE,
    body_of,
    differences,
    is_leftover,
    is_set_up,
    overlapping,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import NOTHING, Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._spec._network import ROWS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import references
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    merged,
    refuse_newer,
    shown,
    wanted,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import name_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    converge,
    first_look,
    reconcile,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Look, Verdict, wait_until

PRESENT, ABSENT = "present", "absent"
STATES = (PRESENT, ABSENT)
# The runtime of a task that stands for a container outside any service.
_ATTACHMENT = "attachment"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """The network, if the swarm has it, who uses it, and all others.

    `leftover` is one of its name that has been removed and that this host still shows, `replaced`
    the one that was removed for another one to come in its place.
    """

    network: Document | None
    users: Sequence[str] = ()
    others: Sequence[Document] = ()
    leftover: Document | None = None
    replaced: Document | None = None


def ensure(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    name, is_wanted = params["name"], params["state"] == PRESENT
    if is_wanted:
        refuse_network("name", name)
        refuse_newer(ROWS, params, engine.api_version)
    values = wanted(ROWS, params) if is_wanted else {}
    require_manager(membership(engine.info()))
    first = first_look(lambda: _look(engine, name), run.clock)

    def observe() -> Seen:
        seen = _look(engine, name)
        return seen if seen.network else replace(seen, replaced=first.network)

    def decide(seen: Seen) -> Plan:
        return decide_present(seen, params, values) if is_wanted else decide_absent(seen, params)

    outcome = reconcile(engine, observe, decide, run, _operations(engine, params, run), first)
    if params["wait"]:
        what, judge = ("set-up", _set_up) if is_wanted else ("end", _gone)
        timeout = params["wait_timeout"]
        outcome = converge(outcome, f"the {what} of network {name}", observe, judge, timeout, run)
    return outcome, {"network": outcome.observed.network}


# Looking


def _look(engine: Engine, name: str) -> Seen:
    known = engine.networks()
    # Without a leader the engine leaves out the swarm's networks without a word, and refuses this.
    services = engine.services()
    networks = [network for network in known if not is_leftover(network)]
    leftovers = [n for n in known if n not in networks and n["Name"] == name]
    found = [n for n in networks if n["Name"] == name and n["Scope"] == SWARM_SCOPE]
    if len(found) > 1:
        ids = ", ".join(network["Id"] for network in found)
        raise InvalidOption(
            f"the swarm has {len(found)} networks of the name {name} ({ids}): remove all but one "
            "with `docker network rm ID`"
        )
    network = found[0] if found else None
    return Seen(
        network,
        _users(engine, network, services) if network else (),
        [other for other in networks if other is not network],
        leftovers[0] if leftovers else None,
    )


def _users(engine: Engine, network: Document, services: Sequence[Document]) -> list[str]:
    """The services whose specs refer to the network, and the containers attached to it by hand."""
    names = sorted(
        service["Spec"]["Name"] for service in services if _uses(service["Spec"], network)
    )
    tasks = [
        task
        for task in engine.tasks({"runtime": [_ATTACHMENT], "desired-state": ["running"]})
        if network["Id"] in references({"TaskTemplate": task["Spec"]})
    ]
    nodes = {node["ID"]: name_of(node) for node in engine.nodes()} if tasks else {}
    return [
        *(f"service {name}" for name in names),
        *sorted(
            f"container {_container(task)} on {nodes.get(task.get('NodeID', ''), 'no node')}"
            for task in tasks
        ),
    ]


def _uses(spec: Document, network: Document) -> bool:
    if not network.get("Ingress"):
        return network["Id"] in references(spec)
    ports = (spec.get("EndpointSpec") or {}).get("Ports") or ()
    return any((port.get("PublishMode") or "ingress") == "ingress" for port in ports)


def _container(task: Document) -> str:
    return str((task["Spec"].get("NetworkAttachmentSpec") or {}).get("ContainerID", ""))[:12]


# Deciding


def decide_present(seen: Seen, params: Mapping[str, Any], values: Mapping[str, Any]) -> Plan:
    """Create it, or nothing. What differs is refused, or with `force` the network replaced."""
    if seen.network is None:
        return Plan((_creation(seen, params["name"], values),))
    before, after = _differing(seen.network, params["name"], values)
    if not after:
        return NOTHING
    told = ", ".join(
        f"{option} is {before[option]} and shall be {after[option]}" for option in after
    )
    if seen.users or not params["force"]:
        way_out = "give the new one another name"
        if not params["force"]:
            way_out = f"set force: true to remove it and create it anew, or {way_out}"
        if seen.users:
            way_out = f"take it off {', '.join(seen.users)} first, or {way_out}"
        raise Refused(
            f"network {params['name']} cannot be changed, and its {told}. Nothing has been "
            f"changed: {way_out}"
        )
    removal = _removal(seen.network, before)
    return Plan((removal, _creation(seen, params["name"], values)))


def decide_absent(seen: Seen, params: Mapping[str, Any]) -> Plan:
    if seen.network is None:
        return NOTHING
    if seen.users:
        raise Refused(
            f"network {params['name']} cannot be removed, for it is in use by "
            f"{', '.join(seen.users)}. Nothing has been changed: take it off them first, or remove "
            "them"
        )
    return Plan((_removal(seen.network),))


def _differing(
    network: Document, name: str, values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the task that the network does not meet: what they are, and shall be."""
    base = {"Name": name, "Labels": network.get("Labels") or {}}
    pairs = differences(merged(ROWS, base, values, is_new=True), network)
    have, want = ({part: pair[side] for part, pair in pairs.items()} for side in (1, 0))
    before, after = shown(ROWS, have, [*values]), shown(ROWS, want, [*values])
    differing = [option for option in after if before[option] != after[option]]
    return ({o: before[o] for o in differing}, {o: after[o] for o in differing})


def _creation(seen: Seen, name: str, values: Mapping[str, Any]) -> Action:
    """With what the task says; beside that a network in whose place it comes stays what it was."""
    replaced = seen.network or seen.replaced
    base = body_of(replaced) if replaced else {"Name": name}
    body = merged(ROWS, base, values, is_new=True)
    body.setdefault("Driver", OVERLAY)
    if not (body.get("ConfigFrom") or {}).get("Network"):
        body.pop("ConfigFrom", None)
    if body["Driver"] != OVERLAY:
        # Other drivers are each node's own where nothing else is said.
        body["Scope"] = SWARM_SCOPE
    _refuse_clash(seen, name, body)
    view = shown(ROWS, body, ["driver", *values])
    return Action(
        f"create network {name}", "network_create", {"body": body}, {}, {"state": PRESENT, **view}
    )


def _refuse_clash(seen: Seen, name: str, body: Document) -> None:
    for other in seen.others:
        is_of_swarm = other["Scope"] == SWARM_SCOPE
        if other["Name"] == name and not is_of_swarm:
            raise InvalidOption(
                f"this host has a network {name} of its own ({other['Driver']}, scope "
                f"{other['Scope']}): choose another name, or remove that one"
            )
        if other["Name"].lower() == name.lower() and is_of_swarm:
            raise InvalidOption(
                f"there is a network {other['Name']}, and for the engine that is the same name as "
                f"{name}: write it as it is there"
            )
    for subnet, network in overlapping(body, seen.others).items():
        raise InvalidOption(
            f"ipam_config: subnet {subnet} overlaps with that of network {network}, so the swarm "
            "would give the network no addresses: choose another one"
        )


def _removal(network: Document, before: Mapping[str, Any] | None = None) -> Action:
    return Action(
        f"remove network {network['Name']}",
        "network_remove",
        {"network_id": network["Id"]},
        {"state": PRESENT, **(before or {})},
        {"state": ABSENT},
    )


# Writing, and waiting


def _operations(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> dict[str, Callable[..., Any]]:
    name = params["name"]

    def remove(network_id: str) -> None:
        """Tasks of a service that has left the network may still be on it for a while."""

        def look() -> Look:
            try:
                engine.network_remove(network_id)
            except InUse as error:
                services = engine.services()
                if any(network_id in references(service["Spec"]) for service in services):
                    # It was faster than we: look again, and decide with it in view.
                    raise OutOfSequence(str(error), error.status) from error
                return Look(Verdict.WAIT, str(error))
            except EngineError as error:
                if not tells_absence(error):
                    raise
            return Look(Verdict.DONE)

        timeout = params["wait_timeout"] if params["wait"] else 0
        wait_until(f"the removal of network {name}", look, timeout, run.clock)

    def create(body: dict[str, Any]) -> str:
        """Some engines take no network while they still show an old one of its name."""
        what, timeout = f"the end of the old network {name}", params["wait_timeout"]
        wait_until(what, lambda: _gone(_look(engine, name)), timeout, run.clock)
        try:
            return engine.network_create(body)
        except NotFound as error:
            # A driver, or a network of `config_from`: looking again would not help.
            raise InvalidOption(str(error)) from error

    return {"network_remove": remove, "network_create": create}


def _gone(seen: Seen) -> Look:
    if seen.leftover:
        return Look(Verdict.WAIT, "tasks on this host that have it are still stopping")
    return Look(Verdict.DONE)


def _set_up(seen: Seen) -> Look:
    if seen.network is None:
        return Look(Verdict.FAILED, "somebody has removed it")
    if is_set_up(seen.network):
        return Look(Verdict.DONE)
    return Look(
        Verdict.WAIT,
        "the swarm has given it no addresses. Where its subnet is in use, or the swarm's address "
        "pools are used up, remove it (state: absent) and create it with another ipam_config",
    )
