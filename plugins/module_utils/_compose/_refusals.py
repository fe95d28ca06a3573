# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the engine would refuse of a stack, said before any of it is made.

The rules are those of swarmkit manager/controlapi (service.go, config.go, common.go),
manager/constraint and api/validation, and of distribution/reference for images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import Document
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import JOBS, mode_of
from ansible_collections.shoal.swarm.plugins.module_utils._units import NANOSECONDS, duration

# Services and networks have names that DNS takes.
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?\Z")
_NAME_LENGTH = 63
# Networks of every node, and of no swarm (moby runconfig.IsPreDefinedNetwork).
_OF_EVERY_NODE = ("bridge", "default", "host", "none")
_FILE_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?\Z")
_FILE_NAME_LENGTH = 64
# Data has to be shorter than this, in bytes.
_SIZES = {"secrets": 512_000, "configs": 1_024_000}

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:(?:[a-zA-Z0-9.-]+|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?"
    rf"{_PART}(?:/{_PART})*"
    r"(?::\w[\w.-]{0,127})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?\Z",
    re.ASCII,
)
_CONSTRAINT = re.compile(
    r"\s*[a-z_][a-z0-9\-_.]+\s*(?:==|!=)\s*[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+\Z", re.IGNORECASE
)

_LEAST_CPUS = 10**6
_LEAST_MEMORY = 4 * 1024**2
_LEAST_DURATION = NANOSECONDS["ms"]


def refuse_service(key: str, spec: Document) -> None:
    """Refuse a service whose spec the engine would not take, whatever else is in the swarm."""
    wrong = [f"services.{key}{path}: {why}" for path, why in _wrong_with_service(spec)]
    if wrong:
        raise InvalidOption("; ".join(wrong))


def _wrong_with_service(spec: Document) -> Iterator[tuple[str, str]]:
    name, task = spec["Name"], spec["TaskTemplate"]
    if not _is_name(name):
        yield "", _wrong_name(name)
    yield from _wrong_with_container(task["ContainerSpec"])
    for kind, amounts in task["Resources"].items():
        path = f".deploy.resources.{kind.lower()}"
        if amounts.get("NanoCPUs", _LEAST_CPUS) < _LEAST_CPUS:
            yield f"{path}.cpus", "is at least 0.001"
        if amounts.get("MemoryBytes", _LEAST_MEMORY) < _LEAST_MEMORY:
            yield f"{path}.memory", "is at least 4M"
    for number, constraint in enumerate(task["Placement"].get("Constraints", [])):
        if not _CONSTRAINT.match(constraint):
            yield (
                f".deploy.placement.constraints.{number}",
                f"is written as node.labels.zone == east or with !=, not '{constraint}'",
            )
    if mode_of(spec) in JOBS and "UpdateConfig" in spec:
        yield ".deploy.update_config", "a job has none"
    for key in ("UpdateConfig", "RollbackConfig"):
        if not 0 <= spec.get(key, {}).get("MaxFailureRatio", 0) <= 1:
            yield f".deploy.{key[:-6].lower()}_config.max_failure_ratio", "is from 0 to 1"
    yield from _wrong_with_ports(spec["EndpointSpec"])


def _is_name(name: str) -> bool:
    return bool(_NAME.match(name)) and len(name) <= _NAME_LENGTH


def _wrong_name(name: str) -> str:
    return (
        f"its name in the swarm is '{name}', and the engine takes letters, digits, and '-' and '_' "
        f"between them, {_NAME_LENGTH} of them at most"
    )


def refuse_network(path: str, name: str) -> None:
    """Refuse a network with a name that the engine would not take."""
    if name in _OF_EVERY_NODE:
        raise InvalidOption(f"{path}: '{name}' is a network of every node: give it another name")
    if not _is_name(name):
        raise InvalidOption(f"{path}: {_wrong_name(name)}")


def _wrong_with_container(container: Document) -> Iterator[tuple[str, str]]:
    if not _IMAGE.match(container["Image"]):
        yield ".image", f"'{container['Image']}' is not the name of an image"
    targets = [mount.get("Target") for mount in container.get("Mounts", [])]
    for number, target in enumerate(targets):
        if target in targets[:number]:
            yield f".volumes.{number}", f"another mount of this service has the target {target}"
    options = {
        "Interval": "interval",
        "Timeout": "timeout",
        "StartPeriod": "start_period",
        "StartInterval": "start_interval",
    }
    for field, option in options.items():
        value = container.get("Healthcheck", {}).get(field, _LEAST_DURATION)
        if value < _LEAST_DURATION:
            yield f".healthcheck.{option}", f"is at least 1ms, not {duration(value)}"


def _wrong_with_ports(endpoint: Document) -> Iterator[tuple[str, str]]:
    seen = set()
    for port in endpoint.get("Ports", []):
        if endpoint.get("Mode") == "dnsrr" and _is_ingress(port):
            yield ".ports", "with endpoint_mode dnsrr a port is published in mode host only"
        published = _published(port)
        if published in seen:
            yield ".ports", f"port {published} is published twice"
        if port.get("PublishedPort"):
            seen.add(published)


def refuse_shared_ports(specs: Sequence[Document]) -> None:
    """Refuse two services on one port of the swarm; on the nodes' own ports there may be two."""
    taken: dict[str, tuple[str, bool]] = {}
    for spec in specs:
        name = spec["Name"]
        for port in spec["EndpointSpec"].get("Ports", []):
            if not port.get("PublishedPort"):
                continue
            published, is_ingress = _published(port), _is_ingress(port)
            other, other_is_ingress = taken.setdefault(published, (name, is_ingress))
            if other != name and (is_ingress or other_is_ingress):
                raise InvalidOption(
                    f"services: {other} and {name} both publish port {published}: one of them "
                    "needs another one"
                )


def _is_ingress(port: Document) -> bool:
    return port.get("PublishMode", "ingress") == "ingress"


def _published(port: Document) -> str:
    return f"{port.get('PublishedPort', 0)}/{port.get('Protocol', 'tcp')}"


def refuse_file(path: str, name: str, data: bytes) -> None:
    """Refuse a secret or config with a name or a size that the engine would not take."""
    noun = path.partition(".")[0]
    if not _FILE_NAME.match(name) or len(name) > _FILE_NAME_LENGTH:
        raise InvalidOption(
            f"{path}: its name in the swarm is '{name}', and the engine takes letters, digits, "
            f"'-', '_' and '.' between them, {_FILE_NAME_LENGTH} of them at most"
        )
    if not 0 < len(data) < _SIZES[noun]:
        raise InvalidOption(
            f"{path}: has {len(data)} bytes, and the engine takes from 1 to {_SIZES[noun] - 1}"
        )
