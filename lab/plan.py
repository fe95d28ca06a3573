# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is made of, worked out without touching anything.

Everything here is a value or a function from values to values. The docker, ssh and file edges are
in run.py, outer.py, images.py and lab.py.
"""

from __future__ import annotations

import enum
import hashlib
import ipaddress
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Debian releases that boot with systemd as a container, on cgroup v1 and v2.
BARE = ("trixie", "bookworm")
# The systemd of a newer one wants cgroup v2: its hosts come with Docker, under a small init.
WITH_DOCKER = ("forky",)
DISTRIBUTIONS = (*BARE, *WITH_DOCKER)
USER = "admin"
REGISTRY_PORT = 5000

# One /24 a lab. A host's last octet tells what it is.
LAB_RANGE = ipaddress.IPv4Network("10.98.0.0/16")
REGISTRY_OCTET = 2
OUTSIDER_OCTET = 9
FIRST_NODE_OCTET = 11
LAST_OCTET = 254

# Hosts whose label `type` is set, for services that are placed by it.
LABELLED_HOSTS = ("node3", "node4", "node5")

LABEL = "shoal.lab"

INVENTORY_FILES = ("hosts.yml", "group_vars/all.yml")


class LabError(Exception):
    """Something the user has to know or do, in one line."""


class Group(enum.Enum):
    """What a host is for; the value is the inventory group."""

    MANAGERS = "swarm_managers"
    WORKERS = "swarm_workers"
    OUTSIDERS = "lab_outsiders"
    REGISTRIES = "lab_registries"


@dataclass(frozen=True)
class Lab:
    """One lab of one checkout. Two checkouts, or two names, share nothing but images."""

    checkout: Path
    name: str

    @property
    def checkout_id(self) -> str:
        return hashlib.sha256(str(self.checkout).encode()).hexdigest()[:6]

    @property
    def prefix(self) -> str:
        return f"shoal-{self.checkout_id}-{self.name}"

    @property
    def state(self) -> Path:
        return self.checkout / ".lab" / self.name

    @property
    def private_key(self) -> Path:
        return self.state / "id_ed25519"

    @property
    def host_key(self) -> Path:
        return self.state / "host_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.state / "known_hosts"

    def container(self, host: str) -> str:
        return f"{self.prefix}-{host}"


@dataclass(frozen=True)
class Host:
    name: str
    group: Group
    distribution: str
    address: str


@dataclass(frozen=True)
class Container:
    """A host as the outer engine knows it."""

    host: Host
    state: str
    key: str


class Step(enum.Enum):
    KEEP = "keep"
    START = "start"
    CREATE = "create"
    RECREATE = "recreate"
    REMOVE = "remove"


# A host that cannot be started again is made anew.
NEED_AN_IMAGE = (Step.START, Step.CREATE, Step.RECREATE)


@dataclass(frozen=True)
class Work:
    """What to do for one host."""

    host: Host
    step: Step


def check_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise LabError(f"'{name}' cannot be a name here: use lower case letters, digits and dashes")
    return name


def check_distribution(distribution: str) -> str:
    if distribution not in DISTRIBUTIONS:
        raise LabError(f"no distribution '{distribution}': there are {', '.join(DISTRIBUTIONS)}")
    return distribution


def parse_overrides(words: Iterable[str]) -> dict[str, str]:
    """`node5=bookworm`, several to a word when separated by commas or spaces."""
    overrides = {}
    for pair in re.split(r"[\s,]+", " ".join(words).strip()):
        if not pair:
            continue
        host, separator, distribution = pair.partition("=")
        if not separator or not host:
            raise LabError(f"'{pair}' does not say which host: write it as node5=bookworm")
        overrides[host] = check_distribution(distribution)
    return overrides


def address(subnet: str, octet: int) -> str:
    return str(ipaddress.IPv4Network(subnet).network_address + octet)


def registry_address(subnet: str) -> str:
    return f"{address(subnet, REGISTRY_OCTET)}:{REGISTRY_PORT}"


def wanted_hosts(
    subnet: str,
    managers: int,
    workers: int,
    distribution: str,
    overrides: Mapping[str, str],
    registry: bool,
    outsider: bool,
    registry_distribution: str,
) -> tuple[Host, ...]:
    if managers < 1 or workers < 0:
        raise LabError("a lab has at least one manager and no negative number of workers")
    if managers + workers > LAST_OCTET - FIRST_NODE_OCTET + 1:
        raise LabError(f"{managers + workers} hosts do not fit into {subnet}")
    hosts = [
        Host(
            name=f"node{number}",
            group=Group.MANAGERS if number <= managers else Group.WORKERS,
            distribution=overrides.get(f"node{number}", distribution),
            address=address(subnet, FIRST_NODE_OCTET + number - 1),
        )
        for number in range(1, managers + workers + 1)
    ]
    unknown = sorted(set(overrides) - {host.name for host in hosts})
    if unknown:
        raise LabError(f"no host {', '.join(unknown)}: this lab has node1 to {hosts[-1].name}")
    if outsider:
        hosts.append(
            Host("outsider", Group.OUTSIDERS, distribution, address(subnet, OUTSIDER_OCTET))
        )
    if registry:
        hosts.append(
            Host(
                "registry",
                Group.REGISTRIES,
                registry_distribution,
                address(subnet, REGISTRY_OCTET),
            )
        )
    return tuple(hosts)


def free_address(subnet: str, name: str, used: Iterable[str]) -> str:
    """For one more host: the address that `up` would give to node7, or the next that is free."""
    number = re.fullmatch(r"node([1-9][0-9]{0,2})", name)
    octets = [FIRST_NODE_OCTET + int(number[1]) - 1] if number else []
    octets += range(FIRST_NODE_OCTET, LAST_OCTET + 1)
    taken = set(used)
    for octet in octets:
        candidate = address(subnet, octet)
        if octet <= LAST_OCTET and candidate not in taken:
            return candidate
    raise LabError(f"no address is left in {subnet}")


def candidate_subnets(lab: Lab, taken: Iterable[str]) -> Iterator[str]:
    """The free /24s. Each lab starts its search elsewhere: labs seldom meet, addresses recur."""
    networks = [ipaddress.IPv4Network(network) for network in taken if ":" not in network]
    subnets = list(LAB_RANGE.subnets(new_prefix=24))
    start = int(hashlib.sha256(lab.prefix.encode()).hexdigest(), 16) % len(subnets)
    for subnet in subnets[start:] + subnets[:start]:
        if not any(subnet.overlaps(network) for network in networks):
            yield str(subnet)


def check_subnet(subnet: str) -> str:
    try:
        network = ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise LabError(f"--subnet: {error}") from error
    if network.prefixlen != 24:
        raise LabError(f"--subnet {subnet}: a network with /24 is needed")
    return str(network)


def routed_networks(proc_net_route: str) -> list[str]:
    """The networks this machine already has a route to, but for the default route."""
    networks = []
    for line in proc_net_route.splitlines()[1:]:
        fields = line.split()
        destination, mask = (
            ipaddress.IPv4Address(bytes.fromhex(field)[::-1]) for field in (fields[1], fields[7])
        )
        if int(mask):
            networks.append(str(ipaddress.IPv4Network(f"{destination}/{mask}")))
    return networks


def plan_work(
    wanted: Iterable[Host], present: Mapping[str, Container], key: str
) -> tuple[Work, ...]:
    """Bring up what is wanted, and what `add` once made; clear away what nobody can use."""
    hosts = {host.name: host for host in wanted}
    addresses = {host.address: host.name for host in hosts.values()}
    work = [Work(host, step_for(host, present.get(host.name), key)) for host in hosts.values()]
    for container in present.values():
        extra = container.host
        if extra.name in hosts:
            continue
        step = step_for(extra, container, key)
        if step is Step.RECREATE:
            work.append(Work(extra, Step.REMOVE))
        elif extra.address in addresses:
            raise LabError(
                f"{extra.name} has {extra.address}, the address of {addresses[extra.address]}: "
                "run `lab/lab.py down` first"
            )
        else:
            work.append(Work(extra, step))
    return tuple(work)


def step_for(host: Host, container: Container | None, key: str) -> Step:
    """What brings this host up. A host that has booted once keeps what is on it."""
    if container is None:
        return Step.CREATE
    if container.key != key:
        # The lab's keys were lost or made anew: nobody can log in to this one any more.
        return Step.RECREATE
    if container.state not in ("running", "exited"):
        # created (its keys may be missing), dead, removing, paused.
        return Step.RECREATE
    if container.host != host:
        raise LabError(
            f"{host.name} is {describe(container.host)}, asked for is {describe(host)}: "
            "run `lab/lab.py down` first"
        )
    return Step.KEEP if container.state == "running" else Step.START


def describe(host: Host) -> str:
    return f"{host.distribution} in {host.group.value} at {host.address}"


def labels(lab: Lab) -> dict[str, str]:
    return {LABEL: lab.prefix, f"{LABEL}.checkout": lab.checkout_id, f"{LABEL}.name": lab.name}


def host_labels(lab: Lab, host: Host, key: str) -> dict[str, str]:
    return {
        **labels(lab),
        f"{LABEL}.host": host.name,
        f"{LABEL}.group": host.group.value,
        f"{LABEL}.distribution": host.distribution,
        f"{LABEL}.address": host.address,
        f"{LABEL}.key": key,
    }


def container_from(inspected: Mapping[str, Any]) -> Container:
    """The inverse of host_labels, on what `docker inspect` gives."""
    found = inspected["Config"]["Labels"]
    return Container(
        host=Host(
            name=found[f"{LABEL}.host"],
            group=Group(found[f"{LABEL}.group"]),
            distribution=found[f"{LABEL}.distribution"],
            address=found[f"{LABEL}.address"],
        ),
        state=inspected["State"]["Status"],
        key=found[f"{LABEL}.key"],
    )


# All capabilities but SYS_RESOURCE, in place of --privileged: some machines lack that one, and
# there --privileged fails ("unable to apply caps"). A private view of the control groups serves
# v1 and v2 alike; lab-init makes it writable.
HOST_OPTIONS = """
    --cap-add ALL --cap-drop SYS_RESOURCE
    --security-opt seccomp=unconfined
    --security-opt apparmor=unconfined
    --security-opt systempaths=unconfined
    --device-cgroup-rule 'a *:* rwm'
    --cgroupns private
    --tmpfs /run
"""


def create_arguments(
    lab: Lab, host: Host, key: str, image: str, kernel_modules: bool
) -> tuple[str, ...]:
    """`docker create` for one host."""
    arguments = ["create", "--name", lab.container(host.name), *shlex.split(HOST_OPTIONS)]
    arguments += ["--hostname", host.name, "--network-alias", host.name]
    arguments += ["--network", lab.prefix, "--ip", host.address]
    for name, value in host_labels(lab, host, key).items():
        arguments += ["--label", f"{name}={value}"]
    # Overlay on overlay does not work: a host's own engine needs a real file system.
    # Volumes without a name go away together with their container.
    volume_labels = "".join(f",volume-label={name}={value}" for name, value in labels(lab).items())
    for directory in ("/var/lib/docker", "/var/lib/containerd"):
        arguments += ["--mount", f"type=volume,destination={directory}{volume_labels}"]
    if kernel_modules:
        arguments += ["--mount", "type=bind,source=/lib/modules,destination=/lib/modules,readonly"]
    return (*arguments, image)


def ssh_arguments(lab: Lab, destination: str) -> list[str]:
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "IdentitiesOnly=yes"]
    options += ["-i", str(lab.private_key), *ssh_trust_options(lab)]
    return ["ssh", *options, f"{USER}@{destination}"]


def ssh_trust_options(lab: Lab) -> list[str]:
    options = ["-o", "StrictHostKeyChecking=yes", "-o", f'UserKnownHostsFile="{lab.known_hosts}"']
    # A kept connection to a host that was killed must not outlive it for long.
    return [*options, "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]


def known_hosts(subnet: str, host_public_key: str) -> str:
    """One key for all hosts of the lab, so that a host made anew is still the same host."""
    pattern = str(ipaddress.IPv4Network(subnet).network_address).rsplit(".", 1)[0] + ".*"
    kind, key = host_public_key.split()[:2]
    return f"{pattern} {kind} {key}\n"


def inventory(lab: Lab, subnet: str, hosts: Sequence[Host]) -> dict[str, str]:
    """File name → content, as Ansible reads it."""
    by_group: dict[str, Any] = {}
    for group in Group:
        members = {host.name: host_variables(host) for host in hosts if host.group is group}
        by_group[group.value] = {"hosts": members}
    everywhere: dict[str, Any] = {
        "ansible_user": USER,
        "ansible_become": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": str(lab.private_key),
        "ansible_ssh_common_args": shlex.join(ssh_trust_options(lab)),
    }
    if any(host.group is Group.REGISTRIES for host in hosts):
        registry = registry_address(subnet)
        everywhere["lab_registry"] = registry
        everywhere["engine_daemon_config"] = {"insecure-registries": [registry]}
    heading = "---\n# Written by lab/lab.py; it overwrites what you change here.\n"
    return {
        "hosts.yml": heading + to_yaml({"all": {"children": by_group}}),
        "group_vars/all.yml": heading + to_yaml(everywhere),
    }


def host_variables(host: Host) -> dict[str, Any]:
    variables: dict[str, Any] = {"ansible_host": host.address}
    if host.name in LABELLED_HOSTS:
        variables["quorum_node_labels"] = {"type": "db"}
    return variables


def to_yaml(value: Mapping[str, Any], indent: int = 0) -> str:
    """Block style for mappings; JSON, which is YAML too, for the rest."""
    lines = []
    for key, item in value.items():
        start = f"{' ' * indent}{key}:"
        if isinstance(item, Mapping) and item:
            lines.append(f"{start}\n{to_yaml(item, indent + 2)}")
        else:
            lines.append(f"{start} {json.dumps(item)}\n")
    return "".join(lines)


def summary(work: Sequence[Work]) -> str:
    """`create node1 node2, keep node3`."""
    names = {step: [each.host.name for each in work if each.step is step] for step in Step}
    return ", ".join(f"{step.value} {' '.join(found)}" for step, found in names.items() if found)
