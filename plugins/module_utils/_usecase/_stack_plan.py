# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a stack what its compose file says, and what ends it: pure, from one look.

Each is done in two steps, with a wait between them. A deploy makes networks, secrets, configs and
services, and what is old goes when the new runs. A removal ends the services first, and what their
tasks use when those have stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import (
    IMAGE,
    NAMESPACE,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import (
    Stack,
    Target,
    resolved,
)
from ansible_collections.shoal.swarm.plugins.module_utils._diff import differing
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, Refused
from ansible_collections.shoal.swarm.plugins.module_utils._networks import (
    SWARM_SCOPE,
    differences,
    overlapping,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    mode_of,
    references,
    rows_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    CHANGED_SECRET,
    SECRET,
    equal,
    labels_beside,
    leaves,
    shown,
    stored,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._image import Pinned
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import (
    fingerprint,
    rollback,
)
from ansible_collections.shoal.swarm.plugins.module_utils._versions import (
    ASSUME_SAME,
    VERSION_OF,
    Choice,
    Content,
    choose,
    new_version,
    outdated,
    shared_labels,
    versions,
)

SECRETS, CONFIGS = "secret", "config"
# Groups of actions that need not wait for each other.
OBJECTS, SERVICES, HEIRS, LEFTOVERS = "objects", "services", "heirs", "leftovers"

_LABELS = labels_beside()

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """All of the swarm that a stack may touch, or clash with; of images what the registry says.

    `pins` and `logins` are by the names of services. `other_secrets` are the IDs of secrets that
    are known not to hold what is asked.
    """

    services: Sequence[Document] = ()
    networks: Sequence[Document] = ()
    secrets: Sequence[Document] = ()
    configs: Sequence[Document] = ()
    volumes: Sequence[Document] = ()
    pins: Mapping[str, Pinned] = field(default_factory=dict)
    logins: Mapping[str, str] = field(default_factory=dict)
    other_secrets: Collection[str] = ()

    def services_of(self, stack: str) -> dict[str, Document]:
        """The stack's services by name."""
        return {
            service["Spec"]["Name"]: service
            for service in self.services
            if stack_of(service["Spec"]) == stack
        }

    def files(self, kind: str) -> Sequence[Document]:
        return self.secrets if kind == SECRETS else self.configs


Choices = Mapping[str, Choice]


def stack_of(spec: Document) -> str:
    """The stack that an object belongs to; empty where it belongs to none."""
    return str((spec.get("Labels") or {}).get(NAMESPACE) or "")


# Deploying


def decide(seen: Seen, stack: Stack, params: Mapping[str, Any]) -> Plan:
    """Make what is missing and change what differs; refuse first what cannot be."""
    secrets = _choices(SECRETS, seen, stack.secrets)
    configs = _choices(CONFIGS, seen, stack.configs)
    surplus = surplus_services(seen, stack) if params["prune"] else {}
    problems = list(_problems(seen, stack, surplus))
    if problems:
        raise InvalidOption("; ".join(problems))
    targets = _Targets(
        _network_ids(seen, stack),
        {**_found(seen.secrets, stack.external_secrets), **_chosen(secrets)},
        {**_found(seen.configs, stack.external_configs), **_chosen(configs)},
    )
    in_the_way = [
        service for service in surplus.values() if _shared_ports(service["Spec"], stack.services)
    ]
    there = seen.services_of(stack.name)
    services = _in_order(_services(seen, stack, targets), there, stack.services)
    warnings = [
        *_network_warnings(seen, stack),
        *_assumptions(secrets, params["adopt_secrets"]),
        *dict.fromkeys(pin.warning for pin in seen.pins.values() if pin.warning),
    ]
    actions = (
        *(_network(name, body) for name, body in _missing_networks(seen, stack)),
        *_files(SECRETS, secrets),
        *_files(CONFIGS, configs),
        *(_removal("service", service, SERVICES) for service in in_the_way),
        *services,
    )
    return Plan(actions, tuple(warnings))


def decide_clean_up(
    seen: Seen, stack: Stack, params: Mapping[str, Any], services_only: bool = False
) -> Plan:
    """Remove what the deploy has left over: services that are not asked for any more, old versions
    of secrets and configs, and with `prune` what else of the stack nothing uses."""
    surplus = surplus_services(seen, stack) if params["prune"] else {}
    actions = [_removal("service", service, SERVICES) for service in surplus.values()]
    if services_only:
        return Plan(tuple(actions))
    keep = params["keep_versions"]
    used = _used(seen, surplus)
    # Old versions are kept for the way back, and above all those that it leads to.
    held = used | _used(seen, surplus, "PreviousSpec") if keep else used
    for kind, specs in ((SECRETS, stack.secrets), (CONFIGS, stack.configs)):
        stale = [
            item
            for choice in _choices(kind, seen, specs).values()
            for item in outdated(choice, seen.files(kind), keep, held)
        ]
        if params["prune"]:
            stale += _forgotten(kind, seen, stack, held)
        actions += [_removal(kind, item, LEFTOVERS) for item in stale]
    if params["prune"]:
        actions += [
            _removal("network", network, LEFTOVERS)
            for network in _forgotten_networks(seen, stack, used)
        ]
    return Plan(tuple(actions))


def foreseen(seen: Seen, actions: Iterable[Action]) -> Seen:
    """What check mode takes for the look after a deploy: its services are updated and removed.

    What the deploy makes is not there: it is in use, and nothing of it is left over.
    """
    actions = list(actions)
    updates = {
        action.arguments["service_id"]: action.arguments["spec"]
        for action in actions
        if action.operation == "service_update"
    }
    removed = {
        action.arguments["service_id"] for action in actions if action.operation == "service_remove"
    }
    services = [
        {**service, "Spec": updates[service["ID"]], "PreviousSpec": service["Spec"]}
        if service["ID"] in updates
        else service
        for service in seen.services
        if service["ID"] not in removed
    ]
    return replace(seen, services=services)


def surplus_services(seen: Seen, stack: Stack) -> dict[str, Document]:
    """The stack's services that its file does not have any more."""
    return {
        name: service
        for name, service in seen.services_of(stack.name).items()
        if name not in stack.services
    }


# Going back


def decide_back(
    seen: Seen, stack: str, created: Collection[str], updated: Mapping[str, int]
) -> Plan:
    """Remove the services that a deploy has created, and roll back those that it has updated.

    `updated` has the fingerprints of the specs that they had. What has that spec again stays: the
    swarm may have rolled it back by itself. So does what would go back to another one, as somebody
    else has changed it since.
    """
    there = seen.services_of(stack)
    show = _shower(seen)
    previous = {
        name: there[name]["PreviousSpec"]
        for name, before in updated.items()
        if name in there
        and fingerprint(there[name]["Spec"]) != before
        and fingerprint(there[name].get("PreviousSpec") or {}) == before
    }
    removals = [_removal("service", there[name], SERVICES) for name in created if name in there]
    rollbacks = (
        (name, rollback(there[name], *differing(show(there[name]["Spec"]), show(spec)), SERVICES))
        for name, spec in previous.items()
    )
    return Plan((*removals, *_in_order(rollbacks, there, previous)))


# Removing


def decide_end(seen: Seen, name: str) -> Plan:
    """Remove the services of the stack, unless others use what would have to go with them."""
    services = seen.services_of(name)
    problems = list(_used_by_others(seen, name))
    if problems:
        raise Refused(f"stack {name} cannot be removed: {'; '.join(problems)}")
    return Plan(tuple(_removal("service", service, SERVICES) for service in services.values()))


def decide_end_of_the_rest(seen: Seen, name: str) -> Plan:
    """Remove what the services have used; the volumes that were seen as well."""
    networks = [network for network in seen.networks if stack_of(network) == name]
    return Plan(
        (
            *(
                _removal(kind, item, LEFTOVERS)
                for kind in (SECRETS, CONFIGS)
                for item in seen.files(kind)
                if stack_of(item["Spec"]) == name
            ),
            *(_removal("network", network, LEFTOVERS) for network in networks),
            *(_removal("volume", v, LEFTOVERS) for v in seen.volumes if stack_of(v) == name),
        )
    )


def _used_by_others(seen: Seen, name: str) -> Iterator[str]:
    objects = {
        item["ID"]: (kind, item["Spec"]["Name"])
        for kind in (SECRETS, CONFIGS)
        for item in seen.files(kind)
        if stack_of(item["Spec"]) == name
    }
    networks = {n["Id"]: ("network", n["Name"]) for n in seen.networks if stack_of(n) == name}
    objects.update(networks)
    for service in seen.services:
        spec = service["Spec"]
        if stack_of(spec) == name:
            continue
        for object_id in sorted(references(spec).intersection(objects)):
            noun, called = objects[object_id]
            yield f"its {noun} {called} is in use by service {spec['Name']}"


# What is wrong


def _problems(seen: Seen, stack: Stack, surplus: Mapping[str, Document]) -> Iterator[str]:
    yield from _missing(seen, stack)
    yield from _taken(seen, stack)
    yield from _overlapping(seen, stack)
    yield from _unchangeable(seen, stack)
    yield from _clashing_ports(seen, stack, surplus)


def _missing(seen: Seen, stack: Stack) -> Iterator[str]:
    """The CLI's rule: an external network is one of the swarm."""
    networks = {network["Name"]: network for network in seen.networks}
    for name in stack.external_networks:
        scope = networks.get(name, {}).get("Scope")
        if scope is None:
            yield f"networks: the external network {name} does not exist: create it first"
        elif scope != SWARM_SCOPE:
            yield f"networks: the external network {name} is not one of the swarm (scope {scope})"
    for kind, names in (
        (SECRETS, stack.external_secrets),
        (CONFIGS, stack.external_configs),
    ):
        there = {item["Spec"]["Name"] for item in seen.files(kind)}
        for name in names:
            if name not in there:
                yield f"{kind}s: the external {kind} {name} does not exist: create it first"


def _taken(seen: Seen, stack: Stack) -> Iterator[str]:
    """Names that somebody else's objects have."""
    for network in seen.networks:
        name = network["Name"]
        if name in stack.networks and stack_of(network) != stack.name:
            yield (
                f"networks: there is a network {name} that is not of this stack "
                f"({_owner(network)}): give the stack's own another name, or use that one with "
                "external: true"
            )
    for service in seen.services:
        name = service["Spec"]["Name"]
        if name in stack.services and stack_of(service["Spec"]) != stack.name:
            yield (
                f"services: there is a service {name} that is not of this stack "
                f"({_owner(service['Spec'])}): remove or rename one of the two"
            )
    for kind, specs in ((SECRETS, stack.secrets), (CONFIGS, stack.configs)):
        names = {name.lower(): name for name in specs}
        for item in seen.files(kind):
            spec = item["Spec"]
            name = names.get(spec["Name"].lower())
            # What belongs to nobody is taken over, as the CLI does.
            if name and (name != spec["Name"] or stack_of(spec) not in ("", stack.name)):
                yield (
                    f"{kind}s: there is a {kind} {spec['Name']} that is not of this stack "
                    f"({_owner(spec)}): give the stack's own another name, or use that one with "
                    "external: true"
                )


def _owner(spec: Document) -> str:
    owner = stack_of(spec)
    return f"it is of stack {owner}" if owner else "it is of none"


def _overlapping(seen: Seen, stack: Stack) -> Iterator[str]:
    others: list[Document] = [
        network for network in seen.networks if network["Scope"] == SWARM_SCOPE
    ]
    for name, body in _missing_networks(seen, stack):
        for subnet, other in overlapping(body, others).items():
            yield (
                f"networks: subnet {subnet} of {name} overlaps with that of network {other}, so "
                "the swarm would give it no addresses: choose another one"
            )
        others.append(body)


def _unchangeable(seen: Seen, stack: Stack) -> Iterator[str]:
    for name, (body, network) in _own_networks(seen, stack).items():
        found = {
            part: pair for part, pair in differences(body, network).items() if part != "Labels"
        }
        if found:
            told = ", ".join(
                f"{part} is {have!r} and shall be {want!r}" for part, (want, have) in found.items()
            )
            yield (
                f"networks: {name} cannot be changed: {told}. Give it another name in the file, "
                "and the services move to a new network; or remove the stack and deploy it again"
            )
    for name, service in seen.services_of(stack.name).items():
        if name in stack.services:
            have, want = mode_of(service["Spec"]), mode_of(stack.services[name])
            if have != want:
                yield (
                    f"services: {name} runs in mode {have}, and the engine cannot change that to "
                    f"{want}: remove the service first (shoal.swarm.service, state: absent)"
                )


def _clashing_ports(seen: Seen, stack: Stack, surplus: Mapping[str, Document]) -> Iterator[str]:
    for service in seen.services:
        spec = service["Spec"]
        name = spec["Name"]
        if name in stack.services or name in surplus:
            continue
        for port, ours in _shared_ports(spec, stack.services).items():
            is_of_stack = stack_of(spec) == stack.name
            advice = "remove it with prune: true" if is_of_stack else "one needs another one"
            yield f"services: {ours} would publish port {port}, which service {name} has: {advice}"


def _shared_ports(spec: Document, others: Mapping[str, Document]) -> dict[str, str]:
    """The ports of a service that one of the others publishes as well, and which of them.

    Ports of the nodes themselves (mode host) may be shared: the scheduler sees to it.
    """
    ports = dict(_ports(spec))
    shared: dict[str, str] = {}
    for name, other in others.items():
        for port, is_ingress in _ports(other):
            if port in ports and (is_ingress or ports[port]):
                shared.setdefault(port, name)
    return shared


def _ports(spec: Document) -> Iterator[tuple[str, bool]]:
    for port in (spec.get("EndpointSpec") or {}).get("Ports") or []:
        if port.get("PublishedPort"):
            yield (
                f"{port['PublishedPort']}/{port.get('Protocol') or 'tcp'}",
                (port.get("PublishMode") or "ingress") == "ingress",
            )


# Networks


def _own_networks(seen: Seen, stack: Stack) -> dict[str, tuple[Document, Document]]:
    """The networks of the stack that are there: what they shall be, and what they are."""
    return {
        network["Name"]: (stack.networks[network["Name"]], network)
        for network in seen.networks
        if network["Name"] in stack.networks and stack_of(network) == stack.name
    }


def _missing_networks(seen: Seen, stack: Stack) -> list[tuple[str, Document]]:
    there = _own_networks(seen, stack)
    return [(name, body) for name, body in stack.networks.items() if name not in there]


def _network(name: str, body: Document) -> Action:
    after = {key: part for key, part in body.items() if key not in ("Name", "Labels")}
    return Action(
        f"create network {name}",
        "network_create",
        {"body": body},
        {},
        {"state": "present", **after},
        OBJECTS,
    )


def _network_warnings(seen: Seen, stack: Stack) -> Iterator[str]:
    for name, (body, network) in _own_networks(seen, stack).items():
        if "Labels" in differences(body, network):
            yield f"networks: the labels of {name} cannot be changed, and stay as they are"


def attached(stack: Stack) -> set[str]:
    """The names of the networks that the stack's services are on."""
    return {
        attachment["Target"]
        for spec in stack.services.values()
        for attachment in spec["TaskTemplate"]["Networks"]
    }


def _network_ids(seen: Seen, stack: Stack) -> dict[str, str]:
    names = attached(stack)
    return {
        network["Name"]: network["Id"]
        for network in seen.networks
        if network["Name"] in names and network["Scope"] == SWARM_SCOPE
    }


# Secrets and configs


@dataclass(frozen=True)
class _Targets:
    """What the names in the specs of services mean."""

    networks: Mapping[str, str]
    secrets: Mapping[str, Target]
    configs: Mapping[str, Target]


def _choices(kind: str, seen: Seen, specs: Mapping[str, Document]) -> dict[str, Choice]:
    """The version to use of each, by the name of the first one."""
    objects = seen.files(kind)
    chosen = {}
    for name, spec in specs.items():
        choice = choose(spec, objects)
        if choice.stored and choice.stored["ID"] in seen.other_secrets:
            choice = new_version(spec, objects)
        chosen[name] = choice
    return chosen


def _chosen(choices: Choices) -> dict[str, Target]:
    return {
        name: (choice.name, choice.stored["ID"] if choice.stored else "")
        for name, choice in choices.items()
    }


def _found(objects: Iterable[Document], names: Collection[str]) -> dict[str, Target]:
    return {
        item["Spec"]["Name"]: (item["Spec"]["Name"], item["ID"])
        for item in objects
        if item["Spec"]["Name"] in names
    }


def _assumptions(secrets: Choices, adopt: str) -> Iterator[str]:
    names = [choice.name for choice in secrets.values() if choice.content is Content.UNKNOWN]
    if names and adopt == ASSUME_SAME:
        yield (
            f"nobody can read what {', '.join(names)} hold, which this module has not made: it is "
            "taken to be what the files say (adopt_secrets: verify asks the engine)"
        )


def _files(kind: str, choices: Choices) -> Iterator[Action]:
    for choice in choices.values():
        if choice.stored is None:
            yield _creation(kind, choice)
        elif choice.relabelled:
            before = choice.stored["Spec"]
            spec = {**before, "Labels": choice.spec["Labels"]}
            yield Action(
                f"update {kind} {choice.name}",
                f"{kind}_update",
                {
                    f"{kind}_id": choice.stored["ID"],
                    "version": choice.stored["Version"]["Index"],
                    "spec": spec,
                },
                {"labels": shared_labels(before)},
                {"labels": shared_labels(spec)},
                OBJECTS,
            )


def _creation(kind: str, choice: Choice) -> Action:
    base = (choice.spec["Labels"] or {}).get(VERSION_OF)
    before = {"version_of": base, "content": SECRET} if base else {}
    return Action(
        f"create {kind} {choice.name}",
        f"{kind}_create",
        {"spec": choice.spec},
        before,
        {
            "state": "present",
            **({"version_of": base, "content": CHANGED_SECRET} if base else {}),
            "labels": shared_labels(choice.spec),
        },
        OBJECTS,
    )


def _used(seen: Seen, surplus: Mapping[str, Document], which: str = "Spec") -> set[str]:
    """The IDs of what the services that stay use, or would by another of their specs."""
    return {
        reference
        for service in seen.services
        if service["Spec"]["Name"] not in surplus
        for reference in references(service.get(which) or {})
    }


def _forgotten(kind: str, seen: Seen, stack: Stack, used: Collection[str]) -> list[Document]:
    """The stack's secrets or configs that its file does not have any more, in no version."""
    specs = stack.secrets if kind == SECRETS else stack.configs
    external = stack.external_secrets if kind == SECRETS else stack.external_configs
    known = {item["ID"] for name in specs for item in versions(name, seen.files(kind))}
    return [
        item
        for item in seen.files(kind)
        if stack_of(item["Spec"]) == stack.name
        and item["Spec"]["Name"] not in external
        and item["ID"] not in {*known, *used}
    ]


def _forgotten_networks(seen: Seen, stack: Stack, used: Collection[str]) -> list[Document]:
    return [
        network
        for network in seen.networks
        if stack_of(network) == stack.name
        and network["Name"] not in {*stack.networks, *stack.external_networks}
        and network["Id"] not in used
    ]


# Services


def _services(seen: Seen, stack: Stack, targets: _Targets) -> Iterator[tuple[str, Action]]:
    there = seen.services_of(stack.name)
    show = _shower(seen)
    for name, body in stack.services.items():
        wanted = resolved(body, targets.networks, targets.secrets, targets.configs)
        auth = seen.logins.get(name, "")
        pinned = seen.pins.get(name, Pinned())
        service = there.get(name)
        if service is None:
            spec = _with_image(wanted, pinned, None)
            action = Action(
                f"create service {name}",
                "service_create",
                {"spec": spec, "auth": auth},
                {},
                {"state": "present", "mode": mode_of(spec), **_not_default(spec, show(spec))},
                SERVICES,
            )
            yield name, action
            continue
        before = service["Spec"]
        spec = updated(before, _with_image(wanted, pinned, before))
        if spec == before:
            continue
        shown_before, shown_after = differing(show(before), show(spec))
        action = Action(
            f"update service {name}",
            "service_update",
            {
                "service_id": service["ID"],
                "version": service["Version"]["Index"],
                "spec": spec,
                "auth": auth,
            },
            shown_before,
            shown_after,
            SERVICES,
        )
        yield name, action


def _in_order(
    actions: Iterable[tuple[str, Action]],
    there: Mapping[str, Document],
    wanted: Mapping[str, Document],
) -> Iterator[Action]:
    """All at once, and after them those that take over a port that one of them gives up.

    By the names of services: what there is of the stack, and the specs that the actions give them.
    """
    late = []
    for name, action in actions:
        others = {other: service["Spec"] for other, service in there.items() if other != name}
        if _shared_ports(wanted[name], others):
            late.append(replace(action, group=HEIRS))
        else:
            yield action
    yield from late


def updated(before: Document, wanted: Document) -> dict[str, Any]:
    """The stored spec made the wanted one.

    A part in which nothing differs stays just as it is stored, for a default that is written out
    is a difference for the engine, and restarts tasks. The others become what the CLI would write.
    """
    rows = rows_of(mode_of(before))
    changed = {
        row.path[0]
        for _name, row in leaves(rows)
        if not equal(row, stored(before, row), stored(wanted, row))
    }
    # Those of the stack itself are no option of a service, and so in no row.
    labels = _LABELS.combine(before.get("Labels") or {}, wanted["Labels"])
    if labels != (before.get("Labels") or {}):
        changed.add("Labels")
    if _container(before).get("Labels") != _container(wanted).get("Labels"):
        changed.add("TaskTemplate")
    result = {key: part for key, part in before.items() if key not in changed}
    result.update({key: part for key, part in wanted.items() if key in changed})
    if "Labels" in changed:
        result["Labels"] = labels
    if "TaskTemplate" in changed:
        forced = before["TaskTemplate"].get("ForceUpdate") or 0
        result["TaskTemplate"] = {**wanted["TaskTemplate"], "ForceUpdate": forced}
    return result


def _with_image(wanted: Document, pinned: Pinned, before: Document | None) -> dict[str, Any]:
    """The wanted spec with the digest that its image has, or keeps."""
    task = wanted["TaskTemplate"]
    container, placement = dict(task["ContainerSpec"]), dict(task["Placement"])
    platforms = list(pinned.platforms)
    if pinned.image:
        container["Image"] = pinned.image
    elif before is not None:
        row = next(row for name, row in leaves(rows_of(mode_of(before))) if name == "image")
        if equal(row, stored(before, row), stored(wanted, row)):
            container["Image"] = stored(before, row)
            platforms = (before["TaskTemplate"].get("Placement") or {}).get("Platforms") or []
    if platforms:
        placement["Platforms"] = platforms
    return {**wanted, "TaskTemplate": {**task, "ContainerSpec": container, "Placement": placement}}


def _container(spec: Document) -> Document:
    container: Document = spec["TaskTemplate"].get("ContainerSpec") or {}
    return container


def _shower(seen: Seen) -> Any:
    """How a service's spec is shown: all its options, in the user's words."""
    names = {network["Id"]: network["Name"] for network in seen.networks}

    def show(spec: Document) -> dict[str, Any]:
        rows = rows_of(mode_of(spec))
        result = shown(rows, spec, [name for name, _row in leaves(rows)])
        for network in result["networks"]:
            network["name"] = names.get(network["name"], network["name"])
        result["networks"].sort(key=lambda network: str(network["name"]))
        for kind in (SECRETS, CONFIGS):
            for reference in result[f"{kind}s"]:
                reference.pop(f"{kind}_id", None)
        result["labels"] = shared_labels(spec)
        result["container_labels"] = dict(_container(spec).get("Labels") or {})
        return result

    return show


def _not_default(spec: Document, view: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a new service that say something."""
    defaults = {
        name: equal(row, stored(spec, row), stored({}, row))
        for name, row in leaves(rows_of(mode_of(spec)))
    }
    return {name: value for name, value in view.items() if not defaults.get(name)}


def written_image(spec: Document) -> str:
    """The image of a service of a stack as its file has it."""
    return str(spec["Labels"][IMAGE])


def _removal(noun: str, item: Document, group: str) -> Action:
    name = item["Spec"]["Name"] if "Spec" in item else item["Name"]
    if noun == "volume":
        arguments = {"name": name}
    else:
        arguments = {f"{noun}_id": item.get("ID") or item["Id"]}
    return Action(
        f"remove {noun} {name}",
        f"{noun}_remove",
        arguments,
        {"state": "present"},
        {"state": "absent"},
        group,
    )
