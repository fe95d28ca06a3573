# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the engine keeps of a service's spec: what GET shows of what was POSTed.

It goes through Go's types and swarmkit's: what they do not know is dropped, most of what is empty
is left out, and some defaults are written (moby daemon/cluster/convert, api/types/swarm).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

Document = dict[str, Any]


class Unacceptable(Exception):
    """The conversion itself refuses it."""


def kept(body: Mapping[str, Any], api_version: str = "1.52") -> Document:
    """The whole spec, on an engine that speaks this version."""
    api = tuple(int(part) for part in api_version.split("."))
    return {
        "Name": body.get("Name") or "",
        "Labels": body.get("Labels") or {},
        "TaskTemplate": _template(body["TaskTemplate"], api),
        "Mode": _mode(body.get("Mode") or {}),
        **_pointers(body, UpdateConfig=_update, RollbackConfig=_update, EndpointSpec=_endpoint),
    }


def _given(document: Mapping[str, Any], *names: str) -> Document:
    """These fields, as far as they are not empty."""
    return {name: copy.deepcopy(document[name]) for name in names if document.get(name)}


def _pointers(document: Mapping[str, Any], **parts: Callable[[Any], Any]) -> Document:
    """These fields where they are there, be it empty."""
    return {
        name: part(document[name]) for name, part in parts.items() if document.get(name) is not None
    }


def _lists(document: Mapping[str, Any], **parts: Callable[[Any], Any]) -> Document:
    return {
        name: [part(item) for item in document[name]]
        for name, part in parts.items()
        if document.get(name)
    }


def _same(value: Any) -> Any:
    return value


def _mode(mode: Mapping[str, Any]) -> Document:
    for name in ("Global", "GlobalJob"):
        if mode.get(name) is not None:
            return {name: {}}
    job = mode.get("ReplicatedJob")
    if job is not None:
        at_once = job.get("MaxConcurrent", 1)
        total = job.get("TotalCompletions", at_once)
        return {"ReplicatedJob": {"MaxConcurrent": at_once, "TotalCompletions": total}}
    replicas = (mode.get("Replicated") or {}).get("Replicas")
    return {"Replicated": {"Replicas": 1 if replicas is None else replicas}}


def _update(config: Mapping[str, Any]) -> Document:
    return {
        "Parallelism": config.get("Parallelism") or 0,
        **_given(config, "Delay", "Monitor"),
        "FailureAction": config.get("FailureAction") or "pause",
        "MaxFailureRatio": config.get("MaxFailureRatio") or 0,
        "Order": config.get("Order") or "stop-first",
    }


def _endpoint(endpoint: Mapping[str, Any]) -> Document:
    return {"Mode": endpoint.get("Mode") or "vip", **_lists(endpoint, Ports=_port)}


def _port(port: Mapping[str, Any]) -> Document:
    return {
        **_given(port, "Name", "TargetPort", "PublishedPort"),
        "Protocol": port.get("Protocol") or "tcp",
        "PublishMode": port.get("PublishMode") or "ingress",
    }


# The task


def _template(template: Mapping[str, Any], api: tuple[int, ...]) -> Document:
    return {
        "ContainerSpec": _container(template.get("ContainerSpec") or {}, api),
        **_pointers(
            template,
            Resources=lambda resources: _resources(resources, api),
            RestartPolicy=_restart,
            Placement=_placement,
            LogDriver=_driver,
        ),
        **_lists(template, Networks=lambda n: _given(n, "Target", "Aliases", "DriverOpts")),
        "ForceUpdate": template.get("ForceUpdate") or 0,
        "Runtime": "container",
    }


def _resources(resources: Mapping[str, Any], api: tuple[int, ...]) -> Document:
    swap = _pointers(resources, SwapBytes=_same, MemorySwappiness=_same) if api >= (1, 52) else {}
    if "SwapBytes" in swap and not (resources.get("Limits") or {}).get("MemoryBytes"):
        raise Unacceptable("memory swap provided, but no memory-limit was set")
    return {
        **_pointers(
            resources,
            Limits=lambda limits: _given(limits, "NanoCPUs", "MemoryBytes", "Pids"),
            Reservations=lambda r: _given(r, "NanoCPUs", "MemoryBytes", "GenericResources"),
        ),
        **swap,
    }


def _restart(policy: Mapping[str, Any]) -> Document:
    return {
        "Condition": policy.get("Condition") or "any",
        **_pointers(policy, Delay=_same, Window=_same),
        "MaxAttempts": policy.get("MaxAttempts") or 0,
    }


def _placement(placement: Mapping[str, Any]) -> Document:
    return {
        **_given(placement, "Constraints", "Preferences", "MaxReplicas"),
        **_lists(placement, Platforms=lambda platform: _given(platform, "Architecture", "OS")),
    }


def _driver(driver: Mapping[str, Any]) -> Document:
    return _given(driver, "Name", "Options")


# The container


def _container(container: Mapping[str, Any], api: tuple[int, ...]) -> Document:
    return {
        **_given(container, "Image", "Labels", "Command", "Args", "Hostname", "Env", "Dir", "User"),
        **_given(container, "Groups", "StopSignal", "TTY", "OpenStdin", "ReadOnly", "Hosts"),
        **_given(container, "Sysctls", "CapabilityAdd", "CapabilityDrop"),
        **(_given(container, "OomScoreAdj") if api >= (1, 46) else {}),
        **_pointers(
            container,
            Init=_same,
            StopGracePeriod=_same,
            Privileges=lambda privileges: _privileges(privileges, api),
            Healthcheck=lambda health: _health(health, api),
            DNSConfig=lambda dns: _given(dns, "Nameservers", "Search", "Options"),
        ),
        **_lists(
            container,
            Mounts=lambda mount: _mount(mount, api),
            Secrets=_reference,
            Configs=_reference,
            Ulimits=lambda u: {
                "Name": u["Name"],
                "Hard": u.get("Hard", 0),
                "Soft": u.get("Soft", 0),
            },
        ),
        "Isolation": container.get("Isolation") or "default",
    }


def _health(health: Mapping[str, Any], api: tuple[int, ...]) -> Document:
    newer = ("StartInterval",) if api >= (1, 44) else ()
    return _given(health, "Test", "Interval", "Timeout", "StartPeriod", "Retries", *newer)


def _privileges(privileges: Mapping[str, Any], api: tuple[int, ...]) -> Document:
    result: Document = {"CredentialSpec": None, "SELinuxContext": None}
    result.update(_pointers(privileges, CredentialSpec=_credentials, SELinuxContext=_selinux))
    if api >= (1, 44):
        result.update(_pointers(privileges, Seccomp=_profiled, AppArmor=_profiled))
        result["NoNewPrivileges"] = bool(privileges.get("NoNewPrivileges"))
    return result


def _profiled(options: Mapping[str, Any]) -> Document:
    return {"Mode": options.get("Mode") or "default", **_given(options, "Profile")}


def _selinux(context: Mapping[str, Any]) -> Document:
    texts = {name: context.get(name) or "" for name in ("User", "Role", "Type", "Level")}
    return {"Disable": bool(context.get("Disable")), **texts}


def _credentials(spec: Mapping[str, Any]) -> Document:
    given = [name for name in ("Config", "File", "Registry") if spec.get(name)]
    if not given:
        raise Unacceptable(
            'invalid CredentialSpec: must either provide "file", "registry", or "config" for '
            "credential spec"
        )
    if len(given) > 1:
        named = " and ".join(f'"{name.lower()}"' for name in given)
        raise Unacceptable(f"invalid CredentialSpec: cannot specify both {named} credential specs")
    return {name: spec.get(name) or "" for name in ("Config", "File", "Registry")}


def _reference(reference: Mapping[str, Any]) -> Document:
    names = ("SecretID", "SecretName", "ConfigID", "ConfigName")
    return {
        **_given(reference, *names),
        **_pointers(reference, File=_file, Runtime=lambda _runtime: {}),
    }


def _file(file: Mapping[str, Any]) -> Document:
    texts = {name: file.get(name) or "" for name in ("Name", "UID", "GID")}
    return {**texts, "Mode": file.get("Mode") or 0}


def _mount(mount: Mapping[str, Any], api: tuple[int, ...]) -> Document:
    result = {"Type": "bind", **_given(mount, "Type", "Source", "Target", "ReadOnly")}
    bind = mount.get("BindOptions")
    if bind and (bind.get("Propagation") or bind.get("NonRecursive")):
        result["BindOptions"] = {
            "Propagation": bind.get("Propagation") or "rprivate",
            **_given(bind, "NonRecursive"),
        }
    newer = ("Subpath",) if api >= (1, 45) else ()
    options = ("Options",) if api >= (1, 46) else ()
    return {
        **result,
        **_pointers(
            mount,
            VolumeOptions=lambda volume: {
                **_given(volume, "NoCopy", "Labels", *newer),
                **_pointers(volume, DriverConfig=_driver),
            },
            TmpfsOptions=lambda tmpfs: _given(tmpfs, "SizeBytes", "Mode", *options),
        ),
    }
