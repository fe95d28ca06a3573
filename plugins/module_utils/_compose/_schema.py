# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every key of a compose file, said once: where it stands, how it is read, what a swarm does.

The keys of the schemas 3.0 to 3.13 are taken in every file, whatever its `version`, and with them
those of the Compose Specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._reading import (
    Kind,
    Place,
    Row,
    described,
    forbidden,
    ignored,
    listed,
    mapping_of,
    named,
    nullable,
    section,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._short_forms import (
    absolute,
    ports,
    volume,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._values import (
    boolean,
    choice,
    command,
    cpus,
    duration,
    file_mode,
    health_test,
    hosts,
    integer,
    leaf,
    options,
    pairs,
    port_number,
    ratio,
    scalar_text,
    signed,
    size,
    size_text,
    text,
    text_or_texts,
    text_set,
    texts,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

TEXT = leaf(text)
TEXTS = leaf(texts)
TEXT_SET = leaf(text_set)
TEXT_OR_TEXTS = leaf(text_or_texts)
INTEGER = leaf(integer)
SIGNED = leaf(signed)
BOOLEAN = leaf(boolean)
DURATION = leaf(duration)
COMMAND = leaf(command)
OPTIONS = leaf(options)
LABELS = pairs()
ENVIRONMENT = pairs(bare=None)


# Of services


def _or_text(key: str, long: Kind) -> Kind:
    """An entry that may be the text of its one important key."""

    def read_entry(value: Any, place: Place) -> Any:
        return long(value, place) if isinstance(value, Mapping) else {key: text(value)}

    return read_entry


_FILE_REFERENCE = _or_text(
    "source",
    section(
        "services.NAME.configs and .secrets",
        Row("source", TEXT, required=True),
        Row("target", TEXT),
        Row("uid", TEXT),
        Row("gid", TEXT),
        Row("mode", leaf(file_mode), zero=True),
    ),
)

_PORT = section(
    "services.NAME.ports",
    Row("target", leaf(lambda value: integer(value, 1, 65535)), required=True),
    Row("published", nullable(lambda v, _place: 0 if v == "" else port_number(v), 0)),
    Row("protocol", TEXT),
    Row("mode", TEXT),
    *ignored("host_ip", "a swarm listens on all addresses of each node"),
    *ignored("name app_protocol", "docker stack does not pass it on"),
)

_VOLUME = section(
    "services.NAME.volumes",
    Row("type", TEXT, required=True),
    Row("source", TEXT),
    Row("target", TEXT, required=True),
    Row("read_only", BOOLEAN),
    Row("consistency", TEXT),
    Row(
        "bind",
        section(
            "services.NAME.volumes.bind",
            Row("propagation", TEXT),
            *ignored("create_host_path", "a swarm never makes the host's folder"),
            *ignored("selinux recursive", "docker stack does not pass it on"),
        ),
        zero=True,
    ),
    Row(
        "volume",
        section(
            "services.NAME.volumes.volume",
            Row("nocopy", BOOLEAN),
            Row("subpath", TEXT),
            *ignored("labels", "labels stand under the volume's top-level definition"),
        ),
        zero=True,
    ),
    Row(
        "tmpfs",
        section(
            "services.NAME.volumes.tmpfs",
            Row("size", leaf(size)),
            *ignored("mode", "docker stack does not pass it on"),
        ),
        zero=True,
    ),
    Row("image", section("services.NAME.volumes.image", Row("subpath", TEXT)), zero=True),
    Row("cluster", section("services.NAME.volumes.cluster"), zero=True),
)


_ULIMIT_RANGE = section(
    "services.NAME.ulimits.NAME",
    Row("soft", SIGNED, required=True),
    Row("hard", SIGNED, required=True),
)


def _ulimit(value: Any, place: Place) -> Any:
    # The CLI prints 0, which to it is "not given", as an empty mapping.
    return _ULIMIT_RANGE(value, place) if isinstance(value, Mapping) else signed(value) or {}


_NETWORK_OPTIONS = section(
    "services.NAME.networks.NAME",
    Row("aliases", TEXT_SET),
    Row("driver_opts", OPTIONS),
    *ignored("ipv4_address ipv6_address", "a swarm chooses the addresses of tasks itself"),
    *ignored("link_local_ips mac_address priority gw_priority interface_name"),
)
_NETWORK_MAPPING = named(nullable(_NETWORK_OPTIONS, {}))


def _networks(value: Any, place: Place) -> Any:
    """One without options is nothing, as the CLI prints it."""
    if isinstance(value, (list, tuple)):
        return dict.fromkeys(text_set(value))
    given = mapping_of(value)
    return {
        name: None if given[name] is None else found
        for name, found in _NETWORK_MAPPING(given, place).items()
    }


_ENV_FILE = _or_text(
    "path",
    section(
        "services.NAME.env_file",
        Row("path", TEXT, required=True),
        Row("required", BOOLEAN, zero=True),
        Row("format", choice("raw")),
    ),
)


def _env_files(value: Any, place: Place) -> Any:
    """Each with the path at which its content is found."""
    entries = listed(_ENV_FILE)(value if isinstance(value, (list, tuple)) else [value], place)
    return [
        {
            "path": absolute(entry["path"], place.folder),
            "required": entry.get("required", True),
            "place": place,
        }
        for entry in entries
        if "path" in entry
    ]


def _no_file(value: Any, _place: Place) -> Any:
    raise InvalidOption("cannot be in another file here: write the service in this file")


def _extends(value: Any, place: Place) -> Any:
    return _EXTENDS(value, place).get("service")


_EXTENDS = _or_text(
    "service",
    section("services.NAME.extends", Row("service", TEXT, required=True), Row("file", _no_file)),
)


def _restart(value: Any, _place: Place) -> str:
    # YAML 1.1 reads an unquoted `no` as false.
    return "no" if value is False else text(value)


_HEALTHCHECK = section(
    "services.NAME.healthcheck",
    Row("test", leaf(health_test)),
    Row("interval", DURATION, zero=True),
    Row("timeout", DURATION, zero=True),
    Row("retries", INTEGER, zero=True),
    Row("start_period", DURATION, zero=True),
    Row("start_interval", DURATION, zero=True),
    Row("disable", BOOLEAN),
)

_LOGGING = section("services.NAME.logging", Row("driver", TEXT), Row("options", OPTIONS))


def _non_zero_duration(value: Any, _place: Place) -> str:
    # To the CLI, 0s is here the same as not given.
    found = duration(value)
    return "" if found == "0s" else found


def _roll_out(key: str, *actions: str) -> Kind:
    return section(
        f"services.NAME.deploy.{key}",
        Row("parallelism", INTEGER, zero=True),
        Row("delay", _non_zero_duration),
        Row("failure_action", choice(*actions)),
        Row("monitor", _non_zero_duration),
        Row("max_failure_ratio", leaf(ratio)),
        Row("order", choice("start-first", "stop-first")),
    )


_GENERIC_RESOURCE = section(
    "services.NAME.deploy.resources.reservations.generic_resources",
    Row(
        "discrete_resource_spec",
        section(
            "services.NAME.deploy.resources.reservations.generic_resources.discrete_resource_spec",
            Row("kind", TEXT),
            Row("value", INTEGER),
        ),
        zero=True,
    ),
)

_RESOURCES = section(
    "services.NAME.deploy.resources",
    Row(
        "limits",
        section(
            "services.NAME.deploy.resources.limits",
            Row("cpus", leaf(cpus)),
            Row("memory", leaf(size_text)),
            Row("pids", SIGNED),
        ),
        zero=True,
    ),
    Row(
        "reservations",
        section(
            "services.NAME.deploy.resources.reservations",
            Row("cpus", leaf(cpus)),
            Row("memory", leaf(size_text)),
            Row("generic_resources", listed(_GENERIC_RESOURCE)),
            *ignored("devices", "a swarm reserves devices as generic_resources"),
            *ignored("pids", "a swarm limits processes, and reserves none"),
        ),
        zero=True,
    ),
)

_DEPLOY = section(
    "services.NAME.deploy",
    Row("mode", TEXT),
    Row("replicas", INTEGER, zero=True),
    Row("labels", LABELS),
    Row("update_config", _roll_out("update_config", "continue", "pause", "rollback"), zero=True),
    Row("rollback_config", _roll_out("rollback_config", "continue", "pause"), zero=True),
    Row("resources", _RESOURCES),
    Row(
        "restart_policy",
        section(
            "services.NAME.deploy.restart_policy",
            Row("condition", choice("none", "on-failure", "any")),
            Row("delay", DURATION, zero=True),
            Row("max_attempts", INTEGER, zero=True),
            Row("window", DURATION, zero=True),
        ),
        zero=True,
    ),
    Row(
        "placement",
        section(
            "services.NAME.deploy.placement",
            Row("constraints", TEXTS),
            Row(
                "preferences",
                listed(section("services.NAME.deploy.placement.preferences", Row("spread", TEXT))),
            ),
            Row("max_replicas_per_node", INTEGER),
        ),
    ),
    Row("endpoint_mode", TEXT),
)

SERVICE = section(
    "services.NAME",
    Row("image", TEXT),
    Row("command", COMMAND),
    Row("entrypoint", COMMAND),
    Row("environment", ENVIRONMENT),
    Row("env_file", _env_files),
    Row("labels", LABELS),
    Row("hostname", TEXT),
    Row("user", TEXT),
    Row("working_dir", TEXT),
    Row("tty", BOOLEAN),
    Row("stdin_open", BOOLEAN),
    Row("read_only", BOOLEAN),
    Row("init", BOOLEAN, zero=True),
    Row("isolation", TEXT),
    Row("stop_signal", TEXT),
    Row("stop_grace_period", DURATION, zero=True),
    Row("healthcheck", _HEALTHCHECK, zero=True),
    Row("logging", _LOGGING, zero=True),
    Row("extra_hosts", leaf(hosts)),
    Row("dns", TEXT_OR_TEXTS),
    Row("dns_search", TEXT_OR_TEXTS),
    Row("cap_add", TEXT_SET),
    Row("cap_drop", TEXT_SET),
    Row("sysctls", LABELS),
    Row("ulimits", named(_ulimit)),
    Row("oom_score_adj", leaf(lambda value: integer(value, -1000, 1000))),
    Row(
        "credential_spec",
        section(
            "services.NAME.credential_spec",
            Row("config", TEXT),
            Row("file", TEXT),
            Row("registry", TEXT),
        ),
    ),
    Row("ports", ports(_PORT)),
    Row("volumes", listed(volume(_VOLUME))),
    Row("networks", _networks),
    Row("secrets", listed(_FILE_REFERENCE)),
    Row("configs", listed(_FILE_REFERENCE)),
    Row("restart", _restart),
    Row("deploy", nullable(_DEPLOY, {})),
    Row("extends", _extends),
    Row("profiles", TEXT_SET),
    *ignored("build develop pull_policy platform", "a swarm pulls the image, and builds none"),
    *ignored("container_name", "a swarm names the containers of tasks itself"),
    *ignored("depends_on", "a swarm starts all services at once"),
    *ignored("expose", "services of one network reach each other on all ports"),
    *ignored("links external_links", "services of one network find each other by their names"),
    *ignored("network_mode", "name networks under 'networks'; the host's own is called host"),
    *ignored("tmpfs", "write an entry of type tmpfs under 'volumes'"),
    *ignored("privileged security_opt group_add dns_opt", "docker stack does not pass it on"),
    *ignored("device_cgroup_rules devices gpus"),
    *ignored("cgroup cgroup_parent cgroupns_mode ipc pid userns_mode uts domainname mac_address"),
    *ignored("annotations attach blkio_config shm_size storage_opt runtime use_api_socket"),
    *ignored("cpu_count cpu_percent cpu_period cpu_rt_period cpu_rt_runtime"),
    *ignored("mem_swappiness oom_kill_disable post_start pre_stop"),
    *forbidden("cpus cpu_quota cpu_shares", "write deploy.resources.limits.cpus"),
    *forbidden("cpuset", "limit CPUs by deploy.resources.limits.cpus"),
    *forbidden("mem_limit memswap_limit", "write deploy.resources.limits.memory"),
    *forbidden("mem_reservation", "write deploy.resources.reservations.memory"),
    *forbidden("pids_limit", "write deploy.resources.limits.pids"),
    *forbidden("scale", "write deploy.replicas"),
    *forbidden(
        "volumes_from", "define a volume under the top-level 'volumes', and mount it in each"
    ),
    *forbidden("volume_driver", "write the driver of the volume under the top-level 'volumes'"),
    *forbidden("label_file", "write the labels under 'labels'"),
    *forbidden("models provider", "a swarm has nothing like it"),
)


# Of networks, volumes, secrets and configs


def _external(value: Any, place: Place) -> Any:
    """True, or the mapping in which older files wrote the name."""
    if isinstance(value, Mapping):
        return _EXTERNAL_NAME(value, place)
    return boolean(value)


_EXTERNAL_NAME = section("top-level external", Row("name", TEXT, required=True))


def _finish_external(definition: dict[str, Any], place: Place) -> dict[str, Any]:
    """The name that an external object has in the swarm: its own, or that in the file."""
    external = definition.get("external")
    if not external:
        return definition
    name = definition.get("name")
    if isinstance(external, Mapping):
        if name:
            raise InvalidOption("has a name twice: remove 'external.name'")
        name = external.get("name")
    return {**definition, "name": name or place.path.partition(".")[2], "external": True}


def _finish_volume(definition: dict[str, Any], place: Place) -> dict[str, Any]:
    for key in ("driver", "driver_opts", "labels"):
        if definition.get("external") and key in definition:
            raise InvalidOption(f"is external, and cannot have '{key}'")
    return _finish_external(definition, place)


_SOURCES = ("file", "content", "environment")


def _finish_file(definition: dict[str, Any], place: Place) -> dict[str, Any]:
    """What is in a secret or a config: a file with its full path, or the content itself."""
    if definition.get("external"):
        return _finish_external(definition, place)
    sources = [key for key in (*_SOURCES, "driver") if key in definition]
    if len(sources) > 1:
        raise InvalidOption(f"has one source, not {' and '.join(sources)}")
    variable = definition.pop("environment", None)
    if "file" in definition:
        definition["file"] = absolute(definition["file"], place.folder)
    elif variable is not None:
        if variable not in place.environment:
            raise InvalidOption(f"is the value of the variable {variable}, which is not set")
        definition["content"] = place.environment[variable]
    return definition


_NETWORK = section(
    "networks.NAME",
    Row("name", TEXT),
    Row("driver", TEXT),
    Row("driver_opts", OPTIONS),
    Row(
        "ipam",
        section(
            "networks.NAME.ipam",
            Row("driver", TEXT),
            Row(
                "config",
                listed(
                    section(
                        "networks.NAME.ipam.config",
                        Row("subnet", TEXT),
                        *ignored(
                            "gateway ip_range aux_addresses", "docker stack does not pass it on"
                        ),
                    )
                ),
            ),
            *ignored("options", "docker stack does not pass it on"),
        ),
    ),
    Row("external", _external),
    Row("internal", BOOLEAN),
    Row("attachable", BOOLEAN),
    Row("labels", LABELS),
    *ignored("enable_ipv4 enable_ipv6", "docker stack does not pass it on"),
    finish=_finish_external,
)

_VOLUME_DEFINITION = section(
    "volumes.NAME",
    Row("name", TEXT),
    Row("driver", TEXT),
    Row("driver_opts", OPTIONS),
    Row("external", _external),
    Row("labels", LABELS),
    *ignored("x-cluster-spec", "docker stack does not create cluster volumes"),
    finish=_finish_volume,
)


def _file_object(home: str, *rows: Row) -> Kind:
    return section(
        f"{home}.NAME",
        Row("name", TEXT),
        Row("file", TEXT),
        Row("environment", TEXT),
        Row("external", _external),
        Row("labels", LABELS),
        Row("template_driver", TEXT),
        *rows,
        finish=_finish_file,
    )


_SECRET = _file_object("secrets", Row("driver", TEXT), Row("driver_opts", OPTIONS))
_CONFIG = _file_object("configs", Row("content", leaf(scalar_text), zero=True))


LATEST = "3.13"
_VERSIONS = tuple(f"3.{minor}" for minor in range(14))


def _version(value: Any) -> str:
    found = str(value) if isinstance(value, float) else text(value)
    if found in ("", "3"):
        return LATEST
    if found not in _VERSIONS:
        raise InvalidOption(f"is 3.0 to {LATEST}, or left out, and not {described(found)}")
    return found


DOCUMENT = section(
    "the top level",
    Row("version", leaf(_version)),
    Row("name", TEXT),
    Row("services", named(SERVICE), zero=True),
    Row("networks", named(nullable(_NETWORK, {}))),
    Row("volumes", named(nullable(_VOLUME_DEFINITION, {}))),
    Row("secrets", named(_SECRET)),
    Row("configs", named(_CONFIG)),
    *forbidden("include", "name the files to be merged one after the other"),
    *forbidden("models", "a swarm has nothing like it"),
)
