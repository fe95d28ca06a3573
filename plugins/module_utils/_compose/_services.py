# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service of a stack as the API's spec (docker/cli cli/compose/convert/service.go).

The spec names networks, secrets and configs; their IDs come later (_stack.resolved).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._mounts import mounts
from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import (
    IMAGE,
    Document,
    filled,
    full_name,
    given,
    read,
    section,
    stack_labels,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._image import image
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    GLOBAL,
    GLOBAL_JOB,
    MODES,
    REPLICATED,
    REPLICATED_JOB,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service_kinds import CAPABILITIES
from ansible_collections.shoal.swarm.plugins.module_utils._units import bytes_of, nanoseconds

DEFAULT_NETWORK = "default"
# Networks of every node, and of no stack (moby NetworkMode.IsUserDefined).
_PREDEFINED = ("default", "bridge", "host", "none")
_FILE_MODE = 0o444
_RESTART = re.compile(r"(no|always|unless-stopped|on-failure)(?::(\d+)?)?\Z")
_CONDITIONS = {"always": "any", "unless-stopped": "any", "on-failure": "on-failure"}


def is_predefined(network: str) -> bool:
    return network in _PREDEFINED or network.startswith("container:")


def networks_of(service: Document) -> dict[str, Any]:
    """The networks that a service is on, by their keys in the file."""
    return {k: v or {} for k, v in (service.get("networks") or {DEFAULT_NETWORK: None}).items()}


def service_spec(stack: str, key: str, document: Document) -> dict[str, Any]:
    """The spec of one service of the canonical document."""
    path = f"services.{key}"
    service = document["services"][key]
    deploy = service.get("deploy") or {}
    if not service.get("image"):
        raise InvalidOption(f"{path}: there is no image, and a swarm cannot build one")
    return {
        "Name": f"{stack}_{key}",
        "Labels": {**stack_labels(stack, deploy.get("labels")), IMAGE: service["image"]},
        "TaskTemplate": {
            "ContainerSpec": _container(path, service, document, stack),
            "Resources": _resources(f"{path}.deploy.resources", deploy.get("resources") or {}),
            "Placement": _placement(deploy.get("placement") or {}),
            "Networks": _attachments(path, key, service, section(document, "networks"), stack),
            "ForceUpdate": 0,
            **given(
                {
                    "RestartPolicy": _restart_policy(path, service, deploy),
                    "LogDriver": _log_driver(service.get("logging")),
                }
            ),
        },
        "Mode": _mode(f"{path}.deploy", deploy),
        "EndpointSpec": _endpoint(deploy, service.get("ports") or []),
        **given(
            {
                "UpdateConfig": _update(f"{path}.deploy.update_config", deploy),
                "RollbackConfig": _update(f"{path}.deploy.rollback_config", deploy),
            }
        ),
    }


# The container


def _container(path: str, service: Document, document: Document, stack: str) -> dict[str, Any]:
    cap_add, cap_drop = _capabilities(service)
    secrets = section(document, "secrets")
    configs = section(document, "configs")
    return {
        **filled(
            {
                "Image": image(service["image"]).text,
                "Labels": stack_labels(stack, service.get("labels")),
                "Command": service.get("entrypoint"),
                "Args": service.get("command"),
                "Hostname": service.get("hostname"),
                "Hosts": _hosts(f"{path}.extra_hosts", service.get("extra_hosts") or []),
                "Env": _environment(service.get("environment") or {}),
                "Dir": service.get("working_dir"),
                "User": service.get("user"),
                "StopSignal": service.get("stop_signal"),
                "TTY": service.get("tty"),
                "OpenStdin": service.get("stdin_open"),
                "ReadOnly": service.get("read_only"),
                "Isolation": service.get("isolation"),
                "Sysctls": service.get("sysctls"),
                "CapabilityAdd": cap_add,
                "CapabilityDrop": cap_drop,
                "Ulimits": _ulimits(service.get("ulimits") or {}),
                "OomScoreAdj": service.get("oom_score_adj"),
                "Mounts": mounts(
                    f"{path}.volumes",
                    service.get("volumes") or [],
                    section(document, "volumes"),
                    stack,
                ),
                "Secrets": _references(path, "secret", service, secrets, stack),
                "Configs": _configs(path, service, configs, stack),
            }
        ),
        **given(
            {
                "Init": service.get("init"),
                "DNSConfig": _dns(path, service),
                "Healthcheck": _healthcheck(f"{path}.healthcheck", service.get("healthcheck")),
                "StopGracePeriod": _duration(path, service, "stop_grace_period"),
            }
        ),
        "Privileges": {
            "NoNewPrivileges": False,
            **_credential_spec(path, service, configs, stack),
        },
    }


def _environment(variables: Document) -> list[str]:
    return sorted(name if value is None else f"{name}={value}" for name, value in variables.items())


def _hosts(path: str, entries: Sequence[str]) -> list[str]:
    hosts = []
    for number, entry in enumerate(entries):
        name, colon, address = entry.partition(":")
        if not colon:
            raise InvalidOption(f"{path}.{number}: is written as host:address, not '{entry}'")
        hosts.append(f"{address} {name}")
    return hosts


def _dns(path: str, service: Document) -> dict[str, Any] | None:
    servers = service.get("dns") or []
    for number, server in enumerate(servers):
        try:
            ipaddress.ip_address(server)
        except ValueError:
            raise InvalidOption(f"{path}.dns.{number}: '{server}' is not an IP address") from None
    return filled({"Nameservers": servers, "Search": service.get("dns_search")}) or None


def _capabilities(service: Document) -> tuple[list[str], list[str]]:
    """What adding and dropping come to: adding wins."""
    add, drop = (
        CAPABILITIES.to_api([name for name in service.get(key) or [] if not _is_reset(name)])
        for key in ("cap_add", "cap_drop")
    )
    return add, [name for name in drop if name not in add]


def _is_reset(capability: str) -> bool:
    # A word for the updates of `docker service`, where something is there to be reset.
    return capability.strip().upper() == "RESET"


def _ulimits(limits: Document) -> list[dict[str, Any]]:
    return [_ulimit(name, limits[name]) for name in sorted(limits)]


def _ulimit(name: str, limit: Any) -> dict[str, Any]:
    if not isinstance(limit, Mapping):
        limit = {"soft": limit, "hard": limit}
    return {"Name": name, "Soft": limit.get("soft", 0), "Hard": limit.get("hard", 0)}


def _healthcheck(path: str, check: Document | None) -> dict[str, Any] | None:
    if check is None:
        return None
    if check.get("disable"):
        if check.get("test"):
            raise InvalidOption(f"{path}: 'test' and 'disable' cannot be set at the same time")
        return {"Test": ["NONE"]}
    return filled(
        {
            "Test": check.get("test"),
            "Interval": _duration(path, check, "interval"),
            "Timeout": _duration(path, check, "timeout"),
            "Retries": check.get("retries"),
            "StartPeriod": _duration(path, check, "start_period"),
            "StartInterval": _duration(path, check, "start_interval"),
        }
    )


def _duration(path: str, document: Document, key: str) -> int | None:
    value = document.get(key)
    return None if value is None else int(read(f"{path}.{key}", nanoseconds, value))


# Secrets, configs and credential specs


def _references(
    path: str, noun: str, service: Document, definitions: Document, stack: str
) -> list[dict[str, Any]]:
    kind = noun.capitalize()
    found: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(service.get(f"{noun}s") or []):
        where, source = f"{path}.{noun}s.{number}", entry["source"]
        name = _name(where, noun, source, definitions, stack)
        target = entry.get("target") or source
        if target in found:
            raise InvalidOption(f"{where}: another {noun} of this service has the target {target}")
        mode = entry.get("mode")
        found[target] = {
            "File": {
                "Name": target,
                "UID": entry.get("uid") or "0",
                "GID": entry.get("gid") or "0",
                "Mode": _FILE_MODE if mode is None else mode,
            },
            f"{kind}Name": name,
        }
    return _by_name(kind, found.values())


def _configs(
    path: str, service: Document, definitions: Document, stack: str
) -> list[dict[str, Any]]:
    """With the one that a credential spec reads, which is in no file of the container."""
    references = _references(path, "config", service, definitions, stack)
    config = (service.get("credential_spec") or {}).get("config")
    if config:
        name = _name(f"{path}.credential_spec.config", "config", config, definitions, stack)
        references.append({"Runtime": {}, "ConfigName": name})
    return _by_name("Config", references)


def _by_name(kind: str, references: Any) -> list[dict[str, Any]]:
    return sorted(references, key=lambda reference: str(reference[f"{kind}Name"]))


def _name(where: str, noun: str, source: str, definitions: Document, stack: str) -> str:
    if source not in definitions:
        raise InvalidOption(
            f"{where}: there is no {noun} '{source}' under the file's top-level '{noun}s'"
        )
    return full_name(stack, source, definitions[source])


def _credential_spec(path: str, service: Document, configs: Document, stack: str) -> dict[str, Any]:
    sources = filled(service.get("credential_spec") or {})
    if not sources:
        return {}
    if len(sources) > 1:
        raise InvalidOption(
            f"{path}.credential_spec: there is one source, not {' and '.join(sorted(sources))}"
        )
    if "config" in sources:
        where = f"{path}.credential_spec.config"
        sources["config"] = _name(where, "config", sources["config"], configs, stack)
    keys = ("config", "file", "registry")
    return {"CredentialSpec": {key.capitalize(): sources.get(key, "") for key in keys}}


# The task


def _resources(path: str, resources: Document) -> dict[str, Any]:
    limits, reservations = resources.get("limits"), resources.get("reservations")
    result: dict[str, Any] = {}
    if limits is not None:
        result["Limits"] = filled(
            {**_amounts(f"{path}.limits", limits), "Pids": limits.get("pids")}
        )
    if reservations is not None:
        generic = [_generic(entry) for entry in reservations.get("generic_resources") or []]
        amounts = _amounts(f"{path}.reservations", reservations)
        result["Reservations"] = filled({**amounts, "GenericResources": generic})
    return result


def _amounts(path: str, amounts: Document) -> dict[str, Any]:
    return {
        "NanoCPUs": read(f"{path}.cpus", _nano_cpus, amounts.get("cpus") or 0),
        "MemoryBytes": read(f"{path}.memory", bytes_of, amounts.get("memory") or 0),
    }


def _nano_cpus(value: Any) -> int:
    """Exactly, as the CLI reads them: what would be rounded is refused."""
    try:
        nano = Fraction(str(value)) * 10**9
    except (ValueError, ZeroDivisionError):
        raise InvalidOption(f"'{value}' is not a number of CPUs: write 0.5 or 2") from None
    if nano.denominator != 1:
        raise InvalidOption(f"'{value}' is more precise than a billionth of a CPU")
    return int(nano)


def _generic(entry: Document) -> dict[str, Any]:
    discrete = entry.get("discrete_resource_spec")
    if discrete is None:
        return {}
    spec = filled({"Kind": discrete.get("kind"), "Value": discrete.get("value")})
    return {"DiscreteResourceSpec": spec}


def _placement(placement: Document) -> dict[str, Any]:
    return filled(
        {
            "Constraints": placement.get("constraints"),
            "Preferences": [
                {"Spread": {"SpreadDescriptor": preference.get("spread", "")}}
                for preference in placement.get("preferences") or []
            ],
            "MaxReplicas": placement.get("max_replicas_per_node"),
        }
    )


def _attachments(
    path: str, key: str, service: Document, definitions: Document, stack: str
) -> list[dict[str, Any]]:
    attachments = []
    for network, options in networks_of(service).items():
        if network not in definitions and network != DEFAULT_NETWORK:
            raise InvalidOption(
                f"{path}.networks: there is no network '{network}' under the file's top-level "
                "'networks'"
            )
        target = full_name(stack, network, definitions.get(network, {}))
        aliases = list(options.get("aliases") or [])
        if not is_predefined(target):
            aliases.append(key)
        attachment = {"Aliases": aliases, "DriverOpts": options.get("driver_opts")}
        attachments.append({"Target": target, **filled(attachment)})
    return sorted(attachments, key=lambda attachment: str(attachment["Target"]))


def _restart_policy(path: str, service: Document, deploy: Document) -> dict[str, Any] | None:
    """That of `deploy`, or else the one that a container without a swarm has."""
    policy = deploy.get("restart_policy")
    if policy is None:
        return _legacy_restart(f"{path}.restart", service.get("restart") or "no")
    where = f"{path}.deploy.restart_policy"
    return {
        **filled({"Condition": policy.get("condition")}),
        **given(
            {
                "Delay": _duration(where, policy, "delay"),
                "MaxAttempts": policy.get("max_attempts"),
                "Window": _duration(where, policy, "window"),
            }
        ),
    }


def _legacy_restart(path: str, text: str) -> dict[str, Any] | None:
    match = _RESTART.match(text)
    if not match:
        raise InvalidOption(
            f"{path}: is one of no, always, unless-stopped, on-failure and on-failure:3, "
            f"not '{text}'"
        )
    name, attempts = match.groups()
    if name == "no":
        return None
    return {"Condition": _CONDITIONS[name], **filled({"MaxAttempts": int(attempts or 0)})}


def _log_driver(logging: Document | None) -> dict[str, Any] | None:
    if logging is None:
        return None
    return filled({"Name": logging.get("driver"), "Options": logging.get("options")})


# The service


def _mode(path: str, deploy: Document) -> dict[str, Any]:
    mode, replicas = deploy.get("mode") or REPLICATED, deploy.get("replicas")
    if mode not in MODES:
        raise InvalidOption(f"{path}.mode: is one of {', '.join(MODES)}, not '{mode}'")
    if mode in (GLOBAL, GLOBAL_JOB) and replicas is not None:
        raise InvalidOption(
            f"{path}.replicas: a service of mode {mode} runs once on each node, and has none"
        )
    names = ("MaxConcurrent", "TotalCompletions") if mode == REPLICATED_JOB else ("Replicas",)
    return {MODES[mode]: given(dict.fromkeys(names, replicas))}


def _endpoint(deploy: Document, ports: Sequence[Document]) -> dict[str, Any]:
    converted = [
        filled(
            {
                "Protocol": port.get("protocol"),
                "TargetPort": port.get("target"),
                "PublishedPort": port.get("published"),
                "PublishMode": port.get("mode"),
            }
        )
        for port in ports
    ]
    mode = (deploy.get("endpoint_mode") or "").lower()
    return filled({"Mode": mode, "Ports": sorted(converted, key=_port_order)})


def _port_order(port: Document) -> tuple[int, int, str, str]:
    return (
        port.get("PublishedPort", 0),
        port.get("TargetPort", 0),
        port.get("Protocol", ""),
        port.get("PublishMode", ""),
    )


def _update(path: str, deploy: Document) -> dict[str, Any] | None:
    config = deploy.get(path.rpartition(".")[2])
    if config is None:
        return None
    parallelism = config.get("parallelism")
    return {
        "Parallelism": 1 if parallelism is None else parallelism,
        "MaxFailureRatio": config.get("max_failure_ratio") or 0,
        "Order": config.get("order") or "",
        **filled(
            {
                "Delay": _duration(path, config, "delay"),
                "FailureAction": config.get("failure_action"),
                "Monitor": _duration(path, config, "monitor"),
            }
        ),
    }
