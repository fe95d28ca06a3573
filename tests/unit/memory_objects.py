# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What services of the memory swarm refer to: secrets, configs, networks and a host's volumes.

The rules and texts are those of swarmkit (manager/controlapi: secret.go, config.go, network.go),
of moby (daemon/cluster/convert, daemon/volume/service), and of the allocator of networks.
"""

from __future__ import annotations

import base64
import copy
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.shoal.swarm.tests.unit.memory_store import (
    ALREADY_EXISTS,
    INVALID,
    PRECONDITION,
    Document,
    Refusal,
    Thing,
)

if TYPE_CHECKING:
    from ansible_collections.shoal.swarm.tests.unit.memory_service import Service
    from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Swarm

# Data has to be shorter than this, in bytes.
SIZES = {"Secret": 512_000, "Config": 1_024_000}
NAME_CONFLICT = "rpc error: code = Unknown desc = name conflicts with an existing object"
VXLAN_IDS = "com.docker.network.driver.overlay.vxlanid_list"
FIRST_VXLAN_ID = 4096
DRIVERS = ("overlay", "macvlan", "ipvlan", "bridge")
PREDEFINED = ("bridge", "host", "none")
# What a task may not have reached any more, so that it does not hold its networks.
_OVER = ("complete", "shutdown", "failed", "rejected", "remove", "orphaned")


# Secrets and configs


@dataclass(eq=False)
class File(Thing):
    """A secret, of which nobody sees the data again, or a config."""

    kind: str = "Config"
    created: str = ""
    updated: str = ""

    @property
    def noun(self) -> str:
        return self.kind.lower()

    def touch(self) -> None:
        super().touch()
        self.updated = self.swarm.world.timestamp()

    def document(self) -> Document:
        document = copy.deepcopy(super().document())
        if self.kind == "Secret":
            document["Spec"].pop("Data", None)
        return {**document, "CreatedAt": self.created, "UpdatedAt": self.updated}

    def update(self, version: str | None, body: Document) -> None:
        data = body.get("Data")
        if body.get("Name") != self.spec["Name"] or data not in (None, self.spec.get("Data")):
            raise Refusal(400, f"{INVALID}only updates to Labels are allowed")
        self.write(version, {**self.spec, "Labels": body.get("Labels") or {}})

    def users(self) -> list[str]:
        """Names of the services whose specs refer to it; what their tasks have does not count."""
        return [
            service.spec["Name"]
            for service in self.swarm.services
            if any(
                reference.get(f"{self.kind}ID") == self.id
                for reference in _container(service.spec["TaskTemplate"]).get(f"{self.kind}s", ())
            )
        ]

    def refuse_removal(self) -> None:
        users = self.users()
        if users:
            noun = "service" if len(users) == 1 else "services"
            raise Refusal(
                400,
                f"{INVALID}{self.noun} '{self.spec['Name']}' is in use by the following {noun}: "
                f"{', '.join(users)}",
            )


def make_file(swarm: Swarm, kind: str, body: Mapping[str, Any]) -> File:
    noun, name = kind.lower(), body.get("Name") or ""
    for reason in _wrong_with_file(noun, SIZES[kind], name, body):
        raise Refusal(400, INVALID + reason)
    if any(file.spec["Name"].lower() == name.lower() for file in swarm.files[kind]):
        raise Refusal(409, f"{ALREADY_EXISTS}{noun} {name} already exists")
    drivers = {part: body[part] for part in ("Driver", "Templating") if body.get(part)}
    if kind == "Config":
        drivers.pop("Driver", None)
    data = {"Data": body["Data"]} if body.get("Data") else {}
    spec = {"Name": name, "Labels": body.get("Labels") or {}, **data, **drivers}
    file = File(swarm, swarm.world.identifier(), spec, kind=kind, created=swarm.world.timestamp())
    file.touch()
    return file


def _wrong_with_file(noun: str, size: int, name: str, body: Mapping[str, Any]) -> Iterator[str]:
    if not name:
        yield "name must be provided"
    if len(name) > 64 or not re.fullmatch(r"[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?", name):
        yield (
            "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end "
            "character must be [a-zA-Z0-9]"
        )
    driver = body.get("Driver")
    if driver and noun == "secret":
        if not driver.get("Name"):
            yield "secret driver must have a name"
    elif not 0 < len(base64.b64decode(body.get("Data") or "")) < size:
        yield f"{noun} data must be larger than 0 and less than {size} bytes"


def find_file(swarm: Swarm, kind: str, reference: str) -> File:
    """By ID, by name, or by the beginning of an ID, as the engine does."""
    tests: tuple[Callable[[File], bool], ...] = (
        lambda file: file.id == reference,
        lambda file: file.spec["Name"] == reference,
        lambda file: file.id.startswith(reference),
    )
    for test in tests:
        found = [file for file in swarm.files[kind] if test(file)]
        if len(found) > 1:
            text = f"{kind.lower()} {reference} is ambiguous ({len(found)} matches found)"
            raise Refusal(400, text)
        if found:
            return found[0]
    raise Refusal(404, f"{kind.lower()} {reference} not found")


def _container(template: Mapping[str, Any]) -> Mapping[str, Any]:
    return template.get("ContainerSpec") or {}


# Networks


def network(network_id: str, name: str, scope: str = "swarm", **more: Any) -> Document:
    """As the engine shows it; one of the swarm before the allocator has seen it."""
    return {
        "Name": name,
        "Id": network_id,
        "Created": "2026-01-01T00:00:00Z",
        "Scope": scope,
        "Driver": "" if scope == "swarm" else name,
        "EnableIPv6": False,
        "IPAM": {"Driver": "", "Options": None, "Config": None},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": None,
        "Options": None,
        "Labels": None,
        **more,
    }


LOCAL_NETWORKS = tuple(
    network(name[0] * 64, name, "local", Driver=driver)
    for name, driver in {
        "host": "host",
        "bridge": "bridge",
        "none": "null",
        "docker_gwbridge": "bridge",
    }.items()
)


def make_network(swarm: Swarm, body: Mapping[str, Any]) -> Document:
    """A network of the swarm, as it was asked for; `allocate` gives it what it needs to be used."""
    name = body.get("Name") or ""
    if name in PREDEFINED:
        raise Refusal(403, f"operation is not permitted on predefined {name} network ")
    if any(other["Name"] == name for other in swarm.networks):
        raise Refusal(409, f"network with name {name} already exists")
    for reason in _wrong_with_network(name, body):
        raise Refusal(400, INVALID + reason)
    if body.get("Driver") not in DRIVERS:
        raise Refusal(404, f'plugin "{body.get("Driver")}" not found')
    if any(other["Name"].lower() == name.lower() for other in swarm.networks):
        raise Refusal(500, NAME_CONFLICT)
    for other in swarm.networks:
        if body.get("Ingress") and other["Ingress"]:
            raise Refusal(
                409, f"{ALREADY_EXISTS}ingress network ({other['Id']}) is already present"
            )
    flags: Document = {
        flag: bool(body.get(flag)) for flag in ("Internal", "Attachable", "Ingress", "EnableIPv6")
    }
    return network(
        swarm.world.identifier(),
        name,
        Created=swarm.world.timestamp(),
        ConfigFrom=body.get("ConfigFrom") or {"Network": ""},
        Labels=body.get("Labels"),
        **flags,
    )


def _wrong_with_network(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("Attachable") and body.get("Ingress"):
        yield "ingress network cannot be attachable"
    if not name:
        yield "meta: name must be provided"
    if not re.fullmatch(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*", name):
        yield "name must be valid as a DNS name component"
    if len(name) > 63:
        yield "name must be 63 characters or fewer"
    for pool in (body.get("IPAM") or {}).get("Config") or ():
        try:
            subnet = ipaddress.ip_network(pool.get("Subnet") or "", strict=False)
        except ValueError:
            yield f"ipam configuration: invalid subnet {pool.get('Subnet') or ''}"
            continue
        ranges, gateway = pool.get("IPRange"), pool.get("Gateway")
        if ranges and ipaddress.ip_network(ranges, strict=False)[0] not in subnet:
            yield f"ipam configuration: subnet {subnet} does not contain range {ranges}"
        if gateway and ipaddress.ip_address(gateway) not in subnet:
            yield f"ipam configuration: subnet {subnet} does not contain gateway {gateway}"


def allocate(swarm: Swarm, stored: Document, body: Mapping[str, Any]) -> None:
    """Give it driver, options and addresses; where a subnet is taken it never gets them."""
    if stored not in swarm.networks:
        return
    ipam = body.get("IPAM") or {}
    pools = [{"Subnet": "", "Gateway": "", **pool} for pool in ipam.get("Config") or [{}]]
    taken = [
        ipaddress.ip_network(pool["Subnet"])
        for other in swarm.networks
        for pool in other["IPAM"]["Config"] or ()
    ]
    for pool in pools:
        # Auxiliary addresses never reach the swarm.
        pool.pop("AuxiliaryAddresses", None)
        address, _slash, size = (pool["Subnet"] or "0.0.0.0/24").partition("/")
        if address == "0.0.0.0":
            free = ipaddress.ip_network("10.0.0.0/8").subnets(new_prefix=int(size))
            pool["Subnet"] = str(next(s for s in free if not any(s.overlaps(t) for t in taken)))
        subnet = ipaddress.ip_network(pool["Subnet"], strict=False)
        if any(subnet.overlaps(other) for other in taken if other.version == subnet.version):
            return
        pool["Subnet"] = str(subnet)
        pool["Gateway"] = pool["Gateway"] or str(subnet[1])
        taken.append(subnet)
    numbers = [int(other["Options"][VXLAN_IDS]) for other in swarm.networks if other["Options"]]
    number = str(max(numbers, default=FIRST_VXLAN_ID - 1) + 1)
    stored["Driver"] = body.get("Driver") or "overlay"
    stored["Options"] = {**(body.get("Options") or {}), VXLAN_IDS: number}
    driver, options = ipam.get("Driver") or "default", ipam.get("Options")
    stored["IPAM"] = {"Driver": driver, "Options": options, "Config": pools}


def refuse_network_removal(swarm: Swarm, stored: Document) -> None:
    if stored["Ingress"]:
        for service in swarm.services:
            ports = (service.spec.get("EndpointSpec") or {}).get("Ports") or ()
            if any(port["PublishMode"] == "ingress" for port in ports):
                raise Refusal(
                    400,
                    f"{PRECONDITION}ingress network cannot be removed because service "
                    f"{service.id} depends on it",
                )
        return
    for service in swarm.services:
        if is_on(service.spec["TaskTemplate"], stored):
            text = f"network {stored['Id']} is in use by service {service.id}"
            raise Refusal(400, PRECONDITION + text)
    tasks = [task for service in (*swarm.services, *swarm.remains) for task in service.tasks]
    for task in (*tasks, *swarm.attachments):
        alive = task["DesiredState"] in ("ready", "running")
        if alive and task["Status"]["State"] not in _OVER and is_on(task["Spec"], stored):
            text = f"network {stored['Id']} is in use by task {task['ID']}"
            raise Refusal(400, PRECONDITION + text)


def attachment(swarm: Swarm, stored: Document, node_id: str, container_id: str) -> Document:
    """The task that stands for a container which somebody has attached to a network by hand."""
    return {
        "ID": swarm.world.identifier(),
        "NodeID": node_id,
        "Spec": {
            "Runtime": "attachment",
            "Networks": [{"Target": stored["Id"]}],
            "NetworkAttachmentSpec": {"ContainerID": container_id},
        },
        "DesiredState": "running",
        "Status": {"State": "running"},
    }


def is_on(template: Mapping[str, Any], stored: Document) -> bool:
    attachments = template.get("Networks") or ()
    return any(attachment["Target"] == stored["Id"] for attachment in attachments)


# Filters


def matches(thing: Any, filters: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    for name, values in filters.items():
        if name not in known:
            raise Refusal(400, f"Invalid filter '{name}'")
        # Several labels are conditions, several of anything else are a choice.
        meets = all if name.endswith("label") else any
        if not meets(known[name](thing, value) for value in values):
            return False
    return True


def labelled(labels: Mapping[str, str] | None, text: str) -> bool:
    key, equals, value = text.partition("=")
    return key in (labels or {}) and (not equals or (labels or {})[key] == value)


# Names and IDs are matched by their beginning, those of networks and volumes anywhere.
FILE_FILTERS: dict[str, Callable[[File, str], bool]] = {
    "id": lambda file, value: file.id.startswith(value),
    "name": lambda file, value: file.spec["Name"].startswith(value),
    "label": lambda file, value: labelled(file.spec["Labels"], value),
}
NETWORK_FILTERS: dict[str, Callable[[Document, str], bool]] = {
    "driver": lambda network, value: network["Driver"] == value,
    "id": lambda network, value: value in network["Id"],
    "label": lambda network, value: labelled(network["Labels"], value),
    "name": lambda network, value: value in network["Name"],
    "scope": lambda network, value: network["Scope"] == value,
}
VOLUME_FILTERS: dict[str, Callable[[Document, str], bool]] = {
    "driver": lambda volume, value: volume["Driver"] == value,
    "label": lambda volume, value: labelled(volume["Labels"], value),
    "name": lambda volume, value: value in volume["Name"],
}


# Volumes


def volume(name: str, labels: Mapping[str, str] | None = None) -> Document:
    return {
        "CreatedAt": "2026-01-01T00:00:00Z",
        "Driver": "local",
        "Labels": dict(labels or {}),
        "Mountpoint": f"/var/lib/docker/volumes/{name}/_data",
        "Name": name,
        "Options": None,
        "Scope": "local",
    }


def volumes_of(task: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Names and labels of the named volumes that a task mounts."""
    for mount in _container(task["Spec"]).get("Mounts", ()):
        if mount.get("Type") == "volume" and mount.get("Source"):
            yield mount["Source"], (mount.get("VolumeOptions") or {}).get("Labels") or {}


def holders(services: list[Service], node_id: str, name: str) -> list[str]:
    """The containers on a node that have the volume, those that have ended included."""
    return [
        task["Status"]["ContainerStatus"]["ContainerID"]
        for service in services
        for task in service.tasks
        if task.get("NodeID") == node_id and "ContainerStatus" in task["Status"]
        if any(name == source for source, _labels in volumes_of(task))
    ]
