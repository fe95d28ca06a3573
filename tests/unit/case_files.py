# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the case files: what is observed, with which options a task comes, what it plans.

A case of `cases/MODULE.yml` or `cases/MODULE-SUBJECT.yml`:

    name       a sentence
    observed   a name under `observed` of the file, or what is said there itself:
                 hosts        name -> manager, worker or outside; the task runs on the first
                 swarm        parts of the swarm's spec that are not the defaults
                 root_ca      PEM text of the root CA
                 rotating_to  PEM text of the one that is to come
                 nodes        name -> parts of the node's spec
                 ghosts       name -> parts of the spec of the node that the host was before it left
                              and joined again
                 services     specs
                 updates      specs that come after them, over the service of the name
                 rolled_back  names of services that were rolled back by hand then
                 networks, secrets, configs
                              names, or bodies as the API takes them
                 registry     image -> digest; or down
                 login        user name and password that the registry asks for
                 state        locked, pending, error: what has become of the first host
                 gone         hosts that were switched off
                 api_version  what the client speaks
    params     the task's options; `<name>` in a text is the node ID of that host, `<ghost name>`
               that of the node it was before, `<worker token>` and `<manager token>` are the join
               tokens of the first host's swarm, `<unlock key>` is its unlock key, and
               `<network NAME>`, `<secret NAME>` and `<config NAME>` are IDs
    plan       the actions in order, of `arguments` only what matters; [] where there is nothing
    again      changes: where the same task changes something again
    warns      a text in a warning; without it there is none, where a registry is observed
    refused    instead of a plan: a text in the error
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    Registry,
    World,
    laid_over,
)

FOLDER = Path(__file__).parent / "cases"
# What a secret or config holds of which only the name is said, in Base64.
SOME_DATA = "eA=="


@dataclass(frozen=True)
class Case:
    module: str
    name: str
    observed: Mapping[str, Any]
    params: Mapping[str, Any] = field(default_factory=dict)
    plan: tuple[Mapping[str, Any], ...] = ()
    refused: str = ""
    changes_again: bool = False
    warns: str = ""


def cases() -> list[Case]:
    return [case for file in sorted(FOLDER.glob("*.yml")) for case in _of(file)]


def _of(file: Path) -> list[Case]:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    known = document["observed"]
    found, unused = [], set(known)
    for case in document["cases"]:
        unknown = set(case) - {"name", "observed", "params", "plan", "refused", "again", "warns"}
        assert not unknown, f"{file.name}: {case['name']}: {unknown}"
        assert ("plan" in case) != ("refused" in case), f"{file.name}: {case['name']}"
        observed = case["observed"]
        if isinstance(observed, str):
            unused.discard(observed)
            observed = known[observed]
        found.append(
            Case(
                module=file.stem.partition("-")[0],
                name=case["name"],
                observed=observed,
                params=case.get("params", {}),
                plan=tuple(case.get("plan", ())),
                refused=case.get("refused", ""),
                changes_again=case.get("again") == "changes",
                warns=case.get("warns", ""),
            )
        )
    assert not unused, f"{file.name}: {unused}"
    return found


def build(observed: Mapping[str, Any]) -> tuple[World, list[Daemon]]:
    """The hosts that a case speaks of, in that state, with nothing counted as written yet."""
    world = World()
    hosts = [
        world.host(name, f"10.0.0.{number}", observed.get("api_version", "1.41"))
        for number, name in enumerate(observed["hosts"], 11)
    ]
    roles = list(observed["hosts"].values())
    founder = next((h for h, role in zip(hosts, roles) if role == "manager"), None)
    if founder:
        founder.engine.swarm_init({"Spec": {}})
        _settle_in(founder, hosts, roles, observed)
    for host in hosts:
        if host.name in observed.get("gone", ()):
            host.power_off()
    _befall(hosts[0], observed.get("state", ""))
    world.writes.clear()
    return world, hosts


def _settle_in(
    founder: Daemon, hosts: list[Daemon], roles: list[str], observed: Mapping[str, Any]
) -> None:
    swarm = founder.swarm_or_fail()
    members = {host.name: (host, role) for host, role in zip(hosts, roles) if role != "outside"}

    def join(name: str) -> None:
        host, role = members[name]
        token = swarm.tokens()[role.capitalize()]
        address = f"{founder.address}:2377"
        host.engine.swarm_join({"RemoteAddrs": [address], "JoinToken": token})

    for name in members:
        if name != founder.name:
            join(name)
    swarm.spec = laid_over(swarm.spec, observed.get("swarm", {}))
    swarm.rotated_for = swarm.spec["CAConfig"].get("ForceRotate", 0)
    swarm.after_settings(swarm.spec)
    if "root_ca" in observed:
        swarm.root_ca = swarm.issuer = observed["root_ca"]
    if "rotating_to" in observed:
        swarm.world.delays.rotation = 60
        swarm.rotate_to(observed["rotating_to"])
    for name, spec in observed.get("ghosts", {}).items():
        ghost = swarm.node(name)
        ghost.spec = laid_over(ghost.spec, spec)
        members[name][0].engine.swarm_leave(force=True)
        swarm.world.sleep(swarm.world.delays.down)
        join(name)
    for name, spec in observed.get("nodes", {}).items():
        node = next(n for n in swarm.nodes if n.hostname == name and n.daemon)
        node.spec = laid_over(node.spec, spec)
    for network in observed.get("networks", ()):
        swarm.create_network({"Driver": "overlay", **_body(network)})
    for kind in swarm.files:
        for file in observed.get(f"{kind.lower()}s", ()):
            swarm.add_file(kind, {"Data": SOME_DATA, **_body(file)})
    _set_up_registry(swarm.world.registry, observed)
    for spec in observed.get("services", ()):
        founder.engine.service_create(with_names_resolved(spec, hosts))
    for spec in observed.get("updates", ()):
        service = founder.engine.service(spec["Name"])
        founder.engine.service_update(service["ID"], service["Version"]["Index"], spec)
    for name in observed.get("rolled_back", ()):
        service = founder.engine.service(name)
        version = service["Version"]["Index"]
        founder.engine.service_rollback(service["ID"], version, service["Spec"])


def _body(given: Any) -> dict[str, Any]:
    return {"Name": given} if isinstance(given, str) else given


def _set_up_registry(registry: Registry, observed: Mapping[str, Any]) -> None:
    known = observed.get("registry", {})
    if known == "down":
        registry.is_down = True
    else:
        registry.digests.update(known)
    if "login" in observed:
        registry.login = tuple(observed["login"])


def _befall(host: Daemon, state: str) -> None:
    if state == "locked":
        host.power_off()
        host.power_on()
    elif state == "error":
        host.fail("Swarm certificates have expired.")
    elif state == "pending":
        host.state, host.joining = "pending", "10.0.0.99:2377"


def with_names_resolved(value: Any, hosts: list[Daemon]) -> Any:
    """`<name>` in the case's texts as the ID that the host's node got."""
    if isinstance(value, Mapping):
        return {name: with_names_resolved(part, hosts) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_names_resolved(part, hosts) for part in value]
    if not isinstance(value, str):
        return value
    for host in hosts:
        if host.node:
            value = value.replace(f"<{host.name}>", host.node.id)
    swarms = [host.swarm for host in hosts if host.swarm]
    if swarms:
        for node in swarms[0].nodes:
            if node.daemon is None:
                value = value.replace(f"<ghost {node.hostname}>", node.id)
        for network in swarms[0].networks:
            value = value.replace(f"<network {network['Name']}>", network["Id"])
        for kind, files in swarms[0].files.items():
            for file in files:
                value = value.replace(f"<{kind.lower()} {file.spec['Name']}>", file.id)
        tokens = swarms[0].tokens()
        value = value.replace("<worker token>", tokens["Worker"])
        value = value.replace("<manager token>", tokens["Manager"])
        value = value.replace("<unlock key>", swarms[0].unlock_key)
    return value
