# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the canonical compose document to the objects that `docker stack deploy` makes of it.

Where we differ from the CLI on purpose:

- `oom_score_adj` is honoured; the CLI reads it and loses it.
- A name server that is no IP address, a subnet that is none and an extra host without an address
  are errors; the CLI leaves them out without a word.
- Two secrets, configs or networks of one name are refused; the CLI takes the last of them.
- A credential spec finds a config that has a `name` of its own; the CLI says that there is none.
- What cannot be converted is an error before anything is made; the CLI has by then made networks,
  secrets and configs.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import (
    Document,
    filled,
    full_name,
    section,
    stack_labels,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._reading import Findings
from ansible_collections.shoal.swarm.plugins.module_utils._compose._refusals import (
    refuse_file,
    refuse_network,
    refuse_service,
    refuse_shared_ports,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._services import (
    is_predefined,
    networks_of,
    service_spec,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import Stack
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    JOBS,
    JOBS_SINCE,
    mode_of,
    rows_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    equal,
    leaves,
    stored,
)

_DRIVER = "overlay"
_TEMPLATES_SINCE = "1.37"
_DRIVERS_SINCE = "1.31"


def convert(document: Document, stack: str, files: Mapping[str, bytes]) -> Stack:
    """The objects of the stack; `files` holds what is in the files of secrets and configs.

    InvalidOption says what is wrong with each of them.
    """
    findings = Findings()
    services = section(document, "services")
    networks = {
        key: section(document, "networks").get(key, {})
        for service in services.values()
        for key in networks_of(service)
    }
    specs = []
    for key in services:
        with findings.collected():
            specs.append(service_spec(stack, key, document))
            refuse_service(key, specs[-1])
    with findings.collected():
        refuse_shared_ports(specs)
    make_file = partial(_file, stack, files)
    own_networks, secrets, configs = (
        _made("networks", networks, stack, partial(_network, stack), findings),
        _made("secrets", section(document, "secrets"), stack, make_file, findings),
        _made("configs", section(document, "configs"), stack, make_file, findings),
    )
    findings.raise_errors()
    made = Stack(
        stack,
        {spec["Name"]: spec for spec in specs},
        own_networks,
        secrets,
        configs,
        tuple(name for name in _external(networks, stack) if not is_predefined(name)),
        _external_files("Secret", document, specs, stack),
        _external_files("Config", document, specs, stack),
    )
    return replace(made, newer=tuple(_newer(made)))


def _made(
    noun: str,
    definitions: Mapping[str, Document],
    stack: str,
    body: Callable[[str, str, Document], dict[str, Any]],
    findings: Findings,
) -> dict[str, dict[str, Any]]:
    """Those that the stack makes itself."""
    made: dict[str, dict[str, Any]] = {}
    for key, definition in sorted(definitions.items()):
        if definition.get("external"):
            continue
        name = full_name(stack, key, definition)
        with findings.collected():
            if name in made:
                raise InvalidOption(f"{noun}.{key}: another one of the {noun} is called {name}")
            made[name] = body(f"{noun}.{key}", name, definition)
    return made


def _external(definitions: Mapping[str, Document], stack: str) -> list[str]:
    return sorted(
        {
            full_name(stack, key, definition)
            for key, definition in definitions.items()
            if definition.get("external")
        }
    )


def _external_files(
    kind: str, document: Document, specs: Sequence[Document], stack: str
) -> tuple[str, ...]:
    """Those that a service uses; the others may be missing, as for the CLI."""
    used = {
        reference[f"{kind}Name"]
        for spec in specs
        for reference in spec["TaskTemplate"]["ContainerSpec"].get(f"{kind}s", [])
    }
    external = _external(section(document, f"{kind.lower()}s"), stack)
    return tuple(name for name in external if name in used)


def _network(stack: str, path: str, name: str, definition: Document) -> dict[str, Any]:
    refuse_network(path, name)
    body = {
        "Name": name,
        "Driver": definition.get("driver") or _DRIVER,
        "Labels": stack_labels(stack, definition.get("labels")),
        "Internal": bool(definition.get("internal")),
        "Attachable": bool(definition.get("attachable")),
        **filled({"Options": definition.get("driver_opts")}),
    }
    ipam = definition.get("ipam") or {}
    pools = ipam.get("config") or []
    if ipam.get("driver") or pools:
        subnets = [_pool(f"{path}.ipam.config.{n}", pool) for n, pool in enumerate(pools)]
        body["IPAM"] = {"Driver": ipam.get("driver") or "", **filled({"Config": subnets})}
    return body


def _pool(path: str, pool: Document | None) -> dict[str, Any]:
    subnet = (pool or {}).get("subnet") or ""
    try:
        if subnet:
            ipaddress.ip_network(subnet if "/" in subnet else "", strict=False)
    except ValueError:
        raise InvalidOption(f"{path}: '{subnet}' is not a subnet: write 10.0.9.0/24") from None
    return filled({"Subnet": subnet})


def _file(
    stack: str, files: Mapping[str, bytes], path: str, name: str, definition: Document
) -> dict[str, Any]:
    """A secret or a config. One of a secrets driver has no data here."""
    spec: dict[str, Any] = {"Name": name, "Labels": stack_labels(stack, definition.get("labels"))}
    driver, template_driver = definition.get("driver"), definition.get("template_driver")
    if driver:
        spec["Driver"] = filled({"Name": driver, "Options": definition.get("driver_opts")})
    else:
        data = _data(path, definition, files)
        refuse_file(path, name, data)
        spec["Data"] = base64.b64encode(data).decode()
    if template_driver:
        spec["Templating"] = {"Name": template_driver}
    return spec


def _data(path: str, definition: Document, files: Mapping[str, bytes]) -> bytes:
    if definition.get("content") is not None:
        return str(definition["content"]).encode()
    file = definition.get("file")
    if not file:
        raise InvalidOption(f"{path}: needs a 'file', or 'external: true' where it exists already")
    if file not in files:
        raise InvalidOption(f"{path}: file {file} has not been read")
    return files[file]


def _newer(stack: Stack) -> Iterator[tuple[str, str]]:
    """What the stack has that engines did not always know: what it is, and since which API."""
    for name, spec in stack.services.items():
        for what, since in _newer_in_service(spec):
            yield f"service {name}: {what}", since
    for noun, specs in (("secret", stack.secrets), ("config", stack.configs)):
        for name, spec in specs.items():
            if "Templating" in spec:
                yield f"{noun} {name}: template_driver", _TEMPLATES_SINCE
            if "Driver" in spec:
                yield f"{noun} {name}: driver", _DRIVERS_SINCE


def _newer_in_service(spec: Document) -> Iterator[tuple[str, str]]:
    mode = mode_of(spec)
    if mode in JOBS:
        yield f"mode {mode}", JOBS_SINCE
    for name, row in leaves(rows_of(mode)):
        value = stored(spec, row)
        if equal(row, value, stored({}, row)):
            continue
        yield name, row.since
        for part, since in row.newer(row.kind.to_user(row.kind.canonical(value))):
            yield f"{name}: {part}", since
