# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks of the swarm: what one that is there has other than it was asked for. All pure.

No part of a network can ever be changed, so whatever differs has to be told.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

Document = Mapping[str, Any]

OVERLAY = "overlay"
SWARM_SCOPE = "swarm"
# What each node has by itself, and a service can be on as well (moby libnetwork/cnmallocator).
PREDEFINED = ("bridge", "host")
DEFAULT_IPAM_DRIVER = "default"
# What the engine adds by itself to the options of a network (moby libnetwork/drivers/overlay) and
# to those of its IPAM driver (moby libnetwork/cnmallocator).
_ADDED_OPTIONS = ("com.docker.network.driver.overlay.vxlanid_list",)
_ADDED_IPAM_OPTIONS = ("com.docker.network.ipam.serial", "RequestAddressType")
_FLAGS = ("Internal", "Attachable", "Ingress", "EnableIPv6")


def differences(wanted: Document, stored: Document) -> dict[str, tuple[Any, Any]]:
    """What is wanted and what there is, by part of the API's body; empty where nothing differs.

    `wanted` is a body for the engine: what it does not say is the engine's default. What it leaves
    to the engine's choice (subnets, gateways) does not count, and neither does what cannot be read
    back: options and addresses of a network that the swarm has not set up yet, or whose driver
    keeps them on each node.
    """
    left, right = _asked(wanted), _shown(wanted, stored)
    return {
        part: (left[part], right[part])
        for part in left
        if part in right and left[part] != right[part]
    }


def is_set_up(stored: Document) -> bool:
    """Whether the swarm's allocator has given it what it needs, its addresses for one."""
    return bool(stored.get("Driver"))


def is_leftover(network: Document) -> bool:
    """Whether the swarm has removed it, and only this host still shows it.

    It does so until it has no container on it any more, and tells more of it than the swarm would
    (moby daemon/network.go).
    """
    knows_more = bool(network.get("Peers")) or network.get("Containers") is not None
    return network.get("Scope") == SWARM_SCOPE and knows_more


def body_of(stored: Document) -> dict[str, Any]:
    """A body that asks for the same network, its subnets included, as far as it can be read."""
    body = _shown({}, stored)
    if "IPAM" in body:
        pools = (stored.get("IPAM") or {}).get("Config") or ()
        body["IPAM"] = {**body["IPAM"], "Config": [_pool(pool) for pool in pools]}
    return {"Name": stored["Name"], **body}


def overlapping(wanted: Document, networks: Iterable[Document]) -> dict[str, str]:
    """By the wanted subnet, the network that has it or a part of it.

    The swarm's allocator would leave the new network without addresses, and tell nobody.
    """
    found: dict[str, str] = {}
    for subnet in _subnets(wanted):
        for network in networks:
            for other in _subnets(network):
                if subnet.version == other.version and subnet.overlaps(other):
                    found.setdefault(str(subnet), f"{network['Name']} ({other})")
    return found


def _subnets(network: Document) -> list[IPv4Network | IPv6Network]:
    """Those that the engine's own IPAM driver gives out; another driver has its own rules."""
    ipam = network.get("IPAM") or {}
    if (ipam.get("Driver") or DEFAULT_IPAM_DRIVER) != DEFAULT_IPAM_DRIVER:
        return []
    subnets = [
        ipaddress.ip_network(pool["Subnet"], strict=False)
        for pool in ipam.get("Config") or ()
        if pool.get("Subnet")
    ]
    return [subnet for subnet in subnets if not subnet.network_address.is_unspecified]


def _asked(wanted: Document) -> dict[str, Any]:
    ipam = wanted.get("IPAM") or {}
    return {
        "Driver": wanted.get("Driver") or OVERLAY,
        "Options": dict(wanted.get("Options") or {}),
        "IPAM": {
            "Driver": ipam.get("Driver") or DEFAULT_IPAM_DRIVER,
            "Options": dict(ipam.get("Options") or {}),
            "Config": [_pool(pool) for pool in ipam.get("Config") or ()],
        },
        **_spec(wanted),
    }


def _shown(wanted: Document, stored: Document) -> dict[str, Any]:
    """The same parts of the stored network, as far as they tell something."""
    if not is_set_up(stored):
        return _spec(stored)
    ipam = stored.get("IPAM") or {}
    # The driver's part of a network that each node sets up by itself stays with the nodes.
    if not ipam.get("Driver"):
        return {"Driver": stored["Driver"], **_spec(stored)}
    asked = _asked(wanted)
    pools = [_pool(pool) for pool in ipam.get("Config") or ()]
    return {
        "Driver": stored["Driver"],
        "Options": _without(_ADDED_OPTIONS, stored.get("Options"), asked["Options"]),
        "IPAM": {
            "Driver": ipam["Driver"],
            "Options": _without(_ADDED_IPAM_OPTIONS, ipam.get("Options"), asked["IPAM"]["Options"]),
            "Config": _beside(asked["IPAM"]["Config"], pools),
        },
        **_spec(stored),
    }


def _spec(network: Document) -> dict[str, Any]:
    return {
        **{flag: bool(network.get(flag)) for flag in _FLAGS},
        "ConfigFrom": {"Network": (network.get("ConfigFrom") or {}).get("Network") or ""},
        "Labels": dict(network.get("Labels") or {}),
    }


def _without(added: Sequence[str], options: Document | None, asked: Document) -> dict[str, str]:
    """The options without what the engine has added, unless that was asked for."""
    return {
        name: value for name, value in (options or {}).items() if name in asked or name not in added
    }


def _beside(asked: Sequence[Document], pools: Sequence[Document]) -> list[Document]:
    """The pools in the order in which they were asked for, each with what was said of it."""
    # Where no subnet is asked for, the engine has chosen.
    if not asked:
        return []
    rest, found = list(pools), []
    for wanted in asked:
        match = next((pool for pool in rest if _is_of(pool["Subnet"], wanted["Subnet"])), None)
        if match:
            rest.remove(match)
            said = {part: match.get(part, "") for part in wanted}
            found.append({**said, "Subnet": wanted["Subnet"]})
    return [*found, *rest]


def _pool(pool: Document) -> dict[str, str]:
    parts = {part: pool[part] for part in ("Subnet", "IPRange", "Gateway") if pool.get(part)}
    return {"Subnet": "", **{part: _canonical(text) for part, text in parts.items()}}


def _canonical(text: str) -> str:
    """Engines keep a subnet as it was written, or with the bits of the host cut off."""
    try:
        if "/" in text:
            return str(ipaddress.ip_network(text, strict=False))
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _is_of(subnet: str, wanted: str) -> bool:
    """Whether it is the wanted subnet; `0.0.0.0/26` asks for any one of that size."""
    if subnet == wanted or not wanted:
        return True
    address, _slash, size = wanted.partition("/")
    return address in ("0.0.0.0", "::") and subnet.partition("/")[2] == size
