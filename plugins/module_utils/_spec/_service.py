# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service as options: the rows of the ServiceSpec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._spec._service_kinds import (
    CAPABILITIES,
    COMMAND,
    CONFIGS,
    COUNT,
    ENVIRONMENT,
    GENERIC_RESOURCES,
    HEALTH_TEST,
    HOSTS,
    IMAGE,
    MOUNT_OPTIONS,
    MOUNTS,
    NETWORKS,
    PLATFORMS,
    PORTS,
    PREFERENCES,
    RATIO,
    SECCOMP_PROFILE,
    SECRETS,
    SWAP,
    TRISTATE,
    ULIMITS,
    configs_newer,
    mounts_newer,
    ports_newer,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    BOOLEAN,
    CPUS,
    DURATION,
    INTEGER,
    MAPPING,
    OWN_LABELS,
    SIZE,
    TEXT,
    TEXT_SET,
    TEXTS,
    Kind,
    Row,
    labels_beside,
)
from ansible_collections.shoal.swarm.plugins.module_utils._units import NANOSECONDS

# What `docker stack` and our own stacks remember in a service's labels is not the task's to clear.
STACK_LABELS = "com.docker.stack."
FORCED_BY = f"{OWN_LABELS}force_update"

REPLICATED = "replicated"
GLOBAL = "global"
REPLICATED_JOB = "replicated-job"
GLOBAL_JOB = "global-job"
MODES = {
    REPLICATED: "Replicated",
    GLOBAL: "Global",
    REPLICATED_JOB: "ReplicatedJob",
    GLOBAL_JOB: "GlobalJob",
}
JOBS = (REPLICATED_JOB, GLOBAL_JOB)
JOBS_SINCE = "1.41"
# As in docker_swarm_service: leave the number alone.
KEEP_REPLICAS = -1

_SECOND = NANOSECONDS["s"]
# swarmkit api/defaults/service.go
_UPDATE_DEFAULTS: dict[str, Any] = {
    "Parallelism": 1,
    "FailureAction": "pause",
    "Monitor": 5 * _SECOND,
    "MaxFailureRatio": 0,
    "Order": "stop-first",
}
_RESTART_DEFAULTS: dict[str, Any] = {"Condition": "any", "Delay": 5 * _SECOND, "MaxAttempts": 0}

_GROUP = Kind("dict")
_TASK = ("TaskTemplate",)
_CONTAINER = (*_TASK, "ContainerSpec")
_PLACEMENT = (*_TASK, "Placement")
_RESOURCES = (*_TASK, "Resources")
_LIMITS = (*_RESOURCES, "Limits")
_RESERVATIONS = (*_RESOURCES, "Reservations")
_RESTART = (*_TASK, "RestartPolicy")
_LOGGING = (*_TASK, "LogDriver")
_HEALTH = (*_CONTAINER, "Healthcheck")
_DNS = (*_CONTAINER, "DNSConfig")
_PRIVILEGES = (*_CONTAINER, "Privileges")
_SELINUX = (*_PRIVILEGES, "SELinuxContext")
_SECCOMP = (*_PRIVILEGES, "Seccomp")
_CREDENTIALS = (*_PRIVILEGES, "CredentialSpec")


def _choices(*choices: str) -> dict[str, Any]:
    return {"choices": list(choices)}


def _update_rows(key: str, *failure_actions: str) -> tuple[Row, ...]:
    return (
        Row("parallelism", COUNT, (key, "Parallelism"), default=1),
        Row("delay", DURATION, (key, "Delay")),
        Row(
            "failure_action",
            TEXT,
            (key, "FailureAction"),
            default=_UPDATE_DEFAULTS["FailureAction"],
            argument=_choices(*failure_actions),
        ),
        Row("monitor", DURATION, (key, "Monitor"), default=_UPDATE_DEFAULTS["Monitor"]),
        Row("max_failure_ratio", RATIO, (key, "MaxFailureRatio")),
        Row(
            "order",
            TEXT,
            (key, "Order"),
            default=_UPDATE_DEFAULTS["Order"],
            argument=_choices("start-first", "stop-first"),
        ),
    )


# Defaults: swarmkit api/defaults/service.go, which the engine applies where nothing is stored.
# API versions: moby api/docs/CHANGELOG.md and daemon/server/router/swarm/helpers.go.
ROWS: tuple[Row, ...] = (
    Row("image", IMAGE, (*_CONTAINER, "Image")),
    Row("replicas", COUNT, ("Mode", "Replicated", "Replicas"), default=1),
    Row("max_concurrent", COUNT, ("Mode", "ReplicatedJob", "MaxConcurrent"), default=1),
    Row("command", COMMAND, (*_CONTAINER, "Command")),
    Row("args", TEXTS, (*_CONTAINER, "Args")),
    Row("env", ENVIRONMENT, (*_CONTAINER, "Env")),
    Row("working_dir", TEXT, (*_CONTAINER, "Dir")),
    Row("user", TEXT, (*_CONTAINER, "User")),
    Row("groups", TEXT_SET, (*_CONTAINER, "Groups")),
    Row("hostname", TEXT, (*_CONTAINER, "Hostname")),
    Row("hosts", HOSTS, (*_CONTAINER, "Hosts")),
    Row("dns", TEXTS, (*_DNS, "Nameservers")),
    Row("dns_search", TEXTS, (*_DNS, "Search")),
    Row("dns_options", TEXTS, (*_DNS, "Options")),
    Row("tty", BOOLEAN, (*_CONTAINER, "TTY")),
    Row("stdin_open", BOOLEAN, (*_CONTAINER, "OpenStdin")),
    Row("read_only", BOOLEAN, (*_CONTAINER, "ReadOnly")),
    Row("init", TRISTATE, (*_CONTAINER, "Init"), since="1.37"),
    Row("stop_signal", TEXT, (*_CONTAINER, "StopSignal")),
    Row("stop_grace_period", DURATION, (*_CONTAINER, "StopGracePeriod"), default=10 * _SECOND),
    Row("labels", labels_beside(STACK_LABELS), ("Labels",)),
    Row("container_labels", labels_beside(STACK_LABELS), (*_CONTAINER, "Labels")),
    Row(
        "healthcheck",
        _GROUP,
        _HEALTH,
        rows=(
            Row("test", HEALTH_TEST, (*_HEALTH, "Test")),
            Row("interval", DURATION, (*_HEALTH, "Interval")),
            Row("timeout", DURATION, (*_HEALTH, "Timeout")),
            Row("retries", COUNT, (*_HEALTH, "Retries")),
            Row("start_period", DURATION, (*_HEALTH, "StartPeriod")),
            Row("start_interval", DURATION, (*_HEALTH, "StartInterval"), since="1.44"),
        ),
    ),
    Row(
        "mounts",
        MOUNTS,
        (*_CONTAINER, "Mounts"),
        argument={"options": MOUNT_OPTIONS},
        newer=mounts_newer,
    ),
    Row("secrets", SECRETS, (*_CONTAINER, "Secrets"), argument={"no_log": False}),
    Row("configs", CONFIGS, (*_CONTAINER, "Configs"), newer=configs_newer),
    Row("publish", PORTS, ("EndpointSpec", "Ports"), newer=ports_newer),
    Row(
        "endpoint_mode",
        TEXT,
        ("EndpointSpec", "Mode"),
        default="vip",
        argument=_choices("vip", "dnsrr"),
    ),
    Row("networks", NETWORKS, (*_TASK, "Networks")),
    Row(
        "placement",
        _GROUP,
        _PLACEMENT,
        rows=(
            Row("constraints", TEXT_SET, (*_PLACEMENT, "Constraints")),
            Row("preferences", PREFERENCES, (*_PLACEMENT, "Preferences")),
            Row("replicas_max_per_node", COUNT, (*_PLACEMENT, "MaxReplicas"), since="1.40"),
            Row("platforms", PLATFORMS, (*_PLACEMENT, "Platforms")),
        ),
    ),
    Row(
        "limits",
        _GROUP,
        _LIMITS,
        rows=(
            Row("cpus", CPUS, (*_LIMITS, "NanoCPUs")),
            Row("memory", SIZE, (*_LIMITS, "MemoryBytes")),
            Row("pids", INTEGER, (*_LIMITS, "Pids"), since="1.41"),
            Row("swap", SWAP, (*_RESOURCES, "SwapBytes"), since="1.52"),
            Row("swappiness", INTEGER, (*_RESOURCES, "MemorySwappiness"), default=-1, since="1.52"),
        ),
    ),
    Row(
        "reservations",
        _GROUP,
        _RESERVATIONS,
        rows=(
            Row("cpus", CPUS, (*_RESERVATIONS, "NanoCPUs")),
            Row("memory", SIZE, (*_RESERVATIONS, "MemoryBytes")),
            Row(
                "generic_resources",
                GENERIC_RESOURCES,
                (*_RESERVATIONS, "GenericResources"),
                since="1.32",
            ),
        ),
    ),
    Row("ulimits", ULIMITS, (*_CONTAINER, "Ulimits"), since="1.41"),
    Row("sysctls", MAPPING, (*_CONTAINER, "Sysctls"), since="1.40"),
    Row("cap_add", CAPABILITIES, (*_CONTAINER, "CapabilityAdd"), since="1.41"),
    Row("cap_drop", CAPABILITIES, (*_CONTAINER, "CapabilityDrop"), since="1.41"),
    Row("oom_score_adj", INTEGER, (*_CONTAINER, "OomScoreAdj"), since="1.46"),
    Row("no_new_privileges", BOOLEAN, (*_PRIVILEGES, "NoNewPrivileges"), since="1.44"),
    Row(
        "apparmor",
        TEXT,
        (*_PRIVILEGES, "AppArmor", "Mode"),
        default="default",
        since="1.44",
        argument=_choices("default", "disabled"),
    ),
    Row(
        "seccomp",
        _GROUP,
        _SECCOMP,
        rows=(
            Row(
                "mode",
                TEXT,
                (*_SECCOMP, "Mode"),
                default="default",
                since="1.44",
                argument=_choices("default", "unconfined", "custom"),
            ),
            Row("profile", SECCOMP_PROFILE, (*_SECCOMP, "Profile"), since="1.44"),
        ),
    ),
    Row(
        "selinux",
        _GROUP,
        _SELINUX,
        rows=(
            Row("disable", BOOLEAN, (*_SELINUX, "Disable")),
            Row("user", TEXT, (*_SELINUX, "User")),
            Row("role", TEXT, (*_SELINUX, "Role")),
            Row("type", TEXT, (*_SELINUX, "Type")),
            Row("level", TEXT, (*_SELINUX, "Level")),
        ),
    ),
    Row(
        "credential_spec",
        _GROUP,
        _CREDENTIALS,
        rows=(
            Row("config", TEXT, (*_CREDENTIALS, "Config"), since="1.40"),
            Row("file", TEXT, (*_CREDENTIALS, "File")),
            Row("registry", TEXT, (*_CREDENTIALS, "Registry")),
        ),
    ),
    Row(
        "isolation",
        TEXT,
        (*_CONTAINER, "Isolation"),
        default="default",
        since="1.35",
        argument=_choices("default", "process", "hyperv"),
    ),
    Row(
        "logging",
        _GROUP,
        _LOGGING,
        rows=(
            Row("driver", TEXT, (*_LOGGING, "Name")),
            Row("options", MAPPING, (*_LOGGING, "Options")),
        ),
    ),
    Row(
        "restart_config",
        _GROUP,
        _RESTART,
        skeleton=_RESTART_DEFAULTS,
        rows=(
            Row(
                "condition",
                TEXT,
                (*_RESTART, "Condition"),
                default="any",
                argument=_choices("none", "on-failure", "any"),
            ),
            Row("delay", DURATION, (*_RESTART, "Delay"), default=_RESTART_DEFAULTS["Delay"]),
            Row("max_attempts", COUNT, (*_RESTART, "MaxAttempts")),
            Row("window", DURATION, (*_RESTART, "Window")),
        ),
    ),
    Row(
        "update_config",
        _GROUP,
        ("UpdateConfig",),
        skeleton=_UPDATE_DEFAULTS,
        rows=_update_rows("UpdateConfig", "continue", "pause", "rollback"),
    ),
    Row(
        "rollback_config",
        _GROUP,
        ("RollbackConfig",),
        skeleton=_UPDATE_DEFAULTS,
        rows=_update_rows("RollbackConfig", "continue", "pause"),
    ),
)


def rows_of(mode: str) -> tuple[Row, ...]:
    """The rows for a service of this mode: a job's replicas are how often it shall complete."""
    if mode != REPLICATED_JOB:
        return ROWS
    path = ("Mode", "ReplicatedJob", "TotalCompletions")
    return tuple(replace(row, path=path) if row.name == "replicas" else row for row in ROWS)


def new_spec(name: str, mode: str) -> dict[str, Any]:
    """What `docker service create` sends without options (docker/cli command/service/opts.go)."""
    return {
        "Name": name,
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Init": False, "DNSConfig": {}},
            "Resources": {"Limits": {}, "Reservations": {}},
            "Placement": {},
            "ForceUpdate": 0,
        },
        "Mode": {MODES[mode]: {}},
        "EndpointSpec": {"Mode": "vip"},
    }


def mode_of(spec: Mapping[str, Any]) -> str:
    """The mode of a stored spec, in the words of the option."""
    stored = spec.get("Mode") or {}
    return next((mode for mode, key in MODES.items() if key in stored), ", ".join(stored))


def force_count(spec: Mapping[str, Any]) -> int:
    """How often the tasks were to be restarted though nothing differed."""
    return int(spec["TaskTemplate"].get("ForceUpdate") or 0)


def monitor_seconds(spec: Mapping[str, Any]) -> float:
    """How long a new task must keep running to count as a success."""
    monitor = (spec.get("UpdateConfig") or {}).get("Monitor")
    return (monitor or _UPDATE_DEFAULTS["Monitor"]) / _SECOND


def references(spec: Mapping[str, Any]) -> set[str]:
    """The IDs of the networks, secrets and configs that a spec names, if they have one yet."""
    task = spec.get("TaskTemplate") or {}
    container = task.get("ContainerSpec") or {}
    return {
        *(network["Target"] for network in (task.get("Networks") or spec.get("Networks") or [])),
        *(r["SecretID"] for r in container.get("Secrets") or [] if "SecretID" in r),
        *(r["ConfigID"] for r in container.get("Configs") or [] if "ConfigID" in r),
    }
