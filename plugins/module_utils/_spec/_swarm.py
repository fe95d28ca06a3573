# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The swarm's settings: SwarmSpec as options, and what can only be said when it is created."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    BOOLEAN,
    DURATION,
    INTEGER,
    TEXT,
    Kind,
    Row,
    equal,
    labels_beside,
    stored,
)
from ansible_collections.shoal.swarm.plugins.module_utils._units import NANOSECONDS

DEFAULT_POOL = "10.0.0.0/8"
DEFAULT_SUBNET_SIZE = 24
DEFAULT_DATA_PATH_PORT = 4789
_MAX_SUBNET_SIZE = 29
_MIN_CERT_EXPIRY = NANOSECONDS["h"]


def _external_cas(value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "Protocol": ca["protocol"],
            "URL": ca["url"],
            "Options": dict(ca["options"] or {}),
            "CACert": ca["ca_cert"] or "",
        }
        for ca in value
    ]


def _external_cas_shown(value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "protocol": ca.get("Protocol", "cfssl"),
            "url": ca.get("URL", ""),
            "options": ca.get("Options") or {},
            "ca_cert": ca.get("CACert", ""),
        }
        for ca in value
    ]


def _external_cas_canonical(value: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    shown = sorted(_external_cas_shown(value or []), key=lambda ca: str(ca["url"]))
    return _external_cas([{**ca, "ca_cert": ca["ca_cert"].strip()} for ca in shown])


EXTERNAL_CAS = Kind(
    "list",
    elements="dict",
    to_api=_external_cas,
    to_user=_external_cas_shown,
    canonical=_external_cas_canonical,
    empty=[],
)

_EXTERNAL_CA_ARGUMENTS = {
    "url": {"type": "str", "required": True},
    "protocol": {"type": "str", "default": "cfssl", "choices": ["cfssl"]},
    "options": {"type": "dict"},
    "ca_cert": {"type": "str"},
}

# Defaults: swarmkit api/defaults and manager/state/raft; they count where a stored spec says nil.
SETTINGS: tuple[Row, ...] = (
    Row("labels", labels_beside(), ("Labels",)),
    Row(
        "task_history_retention_limit",
        INTEGER,
        ("Orchestration", "TaskHistoryRetentionLimit"),
        default=5,
    ),
    Row("snapshot_interval", INTEGER, ("Raft", "SnapshotInterval"), default=10000),
    Row("keep_old_snapshots", INTEGER, ("Raft", "KeepOldSnapshots"), default=0),
    Row(
        "log_entries_for_slow_followers",
        INTEGER,
        ("Raft", "LogEntriesForSlowFollowers"),
        default=500,
    ),
    Row("heartbeat_tick", INTEGER, ("Raft", "HeartbeatTick"), default=1),
    Row("election_tick", INTEGER, ("Raft", "ElectionTick"), default=10),
    Row(
        "dispatcher_heartbeat_period",
        DURATION,
        ("Dispatcher", "HeartbeatPeriod"),
        default=5 * NANOSECONDS["s"],
    ),
    Row(
        "node_cert_expiry",
        DURATION,
        ("CAConfig", "NodeCertExpiry"),
        default=90 * NANOSECONDS["d"],
    ),
    Row(
        "external_cas",
        EXTERNAL_CAS,
        ("CAConfig", "ExternalCAs"),
        argument={"options": _EXTERNAL_CA_ARGUMENTS},
    ),
    Row("ca_force_rotate", INTEGER, ("CAConfig", "ForceRotate"), since="1.30"),
    Row("autolock_managers", BOOLEAN, ("EncryptionConfig", "AutoLockManagers")),
)

_POOL = Kind("list", elements="str", empty=[])

# Fixed for the swarm's life. `path` leads into the answer of GET /swarm, not into the spec.
AT_CREATION: tuple[Row, ...] = (
    Row(
        "default_addr_pool",
        _POOL,
        ("DefaultAddrPool",),
        default=[DEFAULT_POOL],
        since="1.39",
    ),
    Row("subnet_size", INTEGER, ("SubnetSize",), default=DEFAULT_SUBNET_SIZE, since="1.39"),
    Row(
        "data_path_port",
        INTEGER,
        ("DataPathPort",),
        default=DEFAULT_DATA_PATH_PORT,
        since="1.40",
    ),
)

# How this host takes part; sent with init and join, and kept nowhere that the API could show.
AVAILABILITIES = ["active", "pause", "drain"]
THIS_NODE: tuple[Row, ...] = (
    Row("advertise_addr", TEXT, ("AdvertiseAddr",)),
    Row("listen_addr", TEXT, ("ListenAddr",), argument={"default": "0.0.0.0:2377"}),
    Row("data_path_addr", TEXT, ("DataPathAddr",), since="1.30"),
    Row("availability", TEXT, ("Availability",), argument={"choices": AVAILABILITIES}),
)


def validate(params: Mapping[str, Any]) -> None:
    """Refuse settings that the engine would refuse late, or take and get wrong."""
    _validate_pools(params)
    _at_least(params, "snapshot_interval", 0)
    _at_least(params, "keep_old_snapshots", 0)
    _at_least(params, "log_entries_for_slow_followers", 0)
    _at_least(params, "heartbeat_tick", 1)
    port = params.get("data_path_port")
    if port is not None and not 1024 <= port <= 49151:
        raise InvalidOption(f"data_path_port must be from 1024 to 49151, not {port}")
    if (params.get("signing_ca_key") is None) != (params.get("signing_ca_cert") is None):
        if params.get("signing_ca_key") is not None or not params.get("external_cas"):
            raise InvalidOption(
                "signing_ca_cert and signing_ca_key go together (a certificate alone is only of "
                "use with external_cas, which hold the key)"
            )

    if params.get("signing_ca_cert") is not None:
        der(params["signing_ca_cert"])


def der(certificate: str) -> bytes:
    """The one certificate of a PEM text, as the bytes that PEM wraps."""
    try:
        return ssl.PEM_cert_to_DER_cert(certificate.strip())
    except ValueError as error:
        raise InvalidOption(
            f"signing_ca_cert is not one certificate in PEM form: {error}"
        ) from None


def validate_expiry(node_cert_expiry: int | None) -> None:
    """Swarmkit refuses certificates that live for less than an hour."""
    if node_cert_expiry is not None and node_cert_expiry < _MIN_CERT_EXPIRY:
        raise InvalidOption("node_cert_expiry must be at least 1h")


def refuse_hasty_elections(spec: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """The engine takes any two numbers; one of them may be what the swarm has already."""
    raft = spec.get("Raft") or {}
    tick, election = raft.get("HeartbeatTick") or 1, raft.get("ElectionTick") or 10
    if election <= tick and {"heartbeat_tick", "election_tick"} & values.keys():
        raise InvalidOption(
            f"election_tick must be greater than heartbeat_tick ({tick}), not {election}: "
            "a manager that waits no longer than one heartbeat would call elections for ever"
        )


def _at_least(params: Mapping[str, Any], name: str, least: int) -> None:
    value = params.get(name)
    if value is not None and value < least:
        raise InvalidOption(f"{name} must be at least {least}, not {value}")


def _validate_pools(params: Mapping[str, Any]) -> None:
    size = params.get("subnet_size")
    if size is not None and not 1 <= size <= _MAX_SUBNET_SIZE:
        raise InvalidOption(f"subnet_size must be from 1 to {_MAX_SUBNET_SIZE}, not {size}")
    pools: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for text in params.get("default_addr_pool") or []:
        try:
            pool = ipaddress.ip_network(text)
        except ValueError as error:
            raise InvalidOption(
                f"default_addr_pool: '{text}' is not a subnet in CIDR form such as 10.20.0.0/16: "
                f"{error}"
            ) from None
        if pool.prefixlen > (size or DEFAULT_SUBNET_SIZE):
            raise InvalidOption(
                f"default_addr_pool {text} is smaller than one subnet of it would be "
                f"(subnet_size {size or DEFAULT_SUBNET_SIZE}): widen the pool or raise subnet_size"
            )
        for other in pools:
            if pool.overlaps(other):
                raise InvalidOption(
                    f"default_addr_pool {text} overlaps {other}: give each address to one pool"
                )
        _refuse_own_address(params, pool)
        pools.append(pool)


def _refuse_own_address(
    params: Mapping[str, Any], pool: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> None:
    # The engine's own default holds all of 10.0.0.0/8 and takes its subnets from the low end, so
    # a host in that range is common and said with the default's own words is no mistake.
    if str(pool) == DEFAULT_POOL:
        return
    for option in ("advertise_addr", "data_path_addr", "listen_addr"):
        address = ip_of(params.get(option))
        if address is not None and address in pool and not address.is_unspecified:
            raise InvalidOption(
                f"default_addr_pool {pool} overlaps the hosts' own network: it contains this "
                f"host's {option} {address}; choose a range that no host or router uses"
            )


def ip_of(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP of `ip`, `ip:port` or `[ip]:port`; None where it is the name of an interface."""
    text = address or ""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def fixed_differences(
    swarm: Mapping[str, Any], node_addr: str, params: Mapping[str, Any]
) -> list[str]:
    """Settings of the task that differ and cannot be changed any more, each in words."""
    found = []
    for row in AT_CREATION:
        value = params.get(row.name)
        if value in (None, [], 0):
            continue
        actual = stored(swarm, row) or row.default
        if not equal(row, actual, value):
            found.append(f"{row.name} is {_plain(actual)}, not {_plain(value)}")
    advertised = ip_of(params.get("advertise_addr"))
    if advertised is not None and node_addr and advertised != ip_of(node_addr):
        found.append(f"advertise_addr is {node_addr}, not {advertised}")
    return found


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
