# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network of the swarm as options: the body that creates it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import STACK_LABELS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    BOOLEAN,
    MAPPING,
    TEXT,
    Kind,
    Row,
    labels_beside,
)

# An option of a pool, and where the API keeps it. The auxiliary addresses of docker_network are
# none: the engine loses them on the way to the swarm (moby daemon/cluster/convert/network.go).
_POOL = {"subnet": "Subnet", "iprange": "IPRange", "gateway": "Gateway"}


def _pools(value: Sequence[Mapping[str, str | None]]) -> list[dict[str, str]]:
    return [_pool(pool) for pool in value]


def _pool(pool: Mapping[str, str | None]) -> dict[str, str]:
    given = {option: text for option, text in pool.items() if text}
    try:
        subnet = ipaddress.ip_network(_with_size(given.get("subnet", "")), strict=False)
    except ValueError:
        raise InvalidOption(
            f"subnet '{given.get('subnet', '')}' is not one: write 10.0.9.0/24"
        ) from None
    for option, read in (("iprange", _network), ("gateway", ipaddress.ip_address)):
        try:
            first = read(given[option]) if option in given else None
        except ValueError:
            raise InvalidOption(f"{option} '{given[option]}' is not an address") from None
        if first is not None and first not in subnet:
            raise InvalidOption(f"{option} {given[option]} is not in subnet {given['subnet']}")
    # Newer engines refuse the bits of a host.
    given["subnet"] = str(subnet)
    return {_POOL[option]: text for option, text in given.items()}


def _newer(value: Sequence[Mapping[str, str | None]]) -> Iterator[tuple[str, str]]:
    for pool in value:
        address = (pool.get("subnet") or "").partition("/")[0]
        if address in ("0.0.0.0", "::"):
            # Older engines make a network of these very addresses.
            yield f"subnet {pool['subnet']}, any one of that size,", "1.52"


def _with_size(subnet: str) -> str:
    return subnet if "/" in subnet else ""


def _network(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_network(_with_size(text), strict=False).network_address


def _shown_pools(value: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [
        {option: pool[part] for option, part in _POOL.items() if pool.get(part)} for pool in value
    ]


_POOLS = Kind(
    "list",
    elements="dict",
    to_api=_pools,
    to_user=_shown_pools,
    canonical=lambda value: list(value or []),
    empty=[],
)
_POOL_OPTIONS = {
    "subnet": {"type": "str", "required": True},
    "iprange": {"type": "str"},
    "gateway": {"type": "str"},
}

ROWS = (
    Row("driver", TEXT, ("Driver",)),
    Row("driver_options", MAPPING, ("Options",)),
    Row("internal", BOOLEAN, ("Internal",)),
    Row("attachable", BOOLEAN, ("Attachable",)),
    Row("ingress", BOOLEAN, ("Ingress",)),
    Row("enable_ipv6", BOOLEAN, ("EnableIPv6",)),
    Row("config_from", TEXT, ("ConfigFrom", "Network")),
    Row("labels", labels_beside(STACK_LABELS), ("Labels",)),
    Row("ipam_driver", TEXT, ("IPAM", "Driver")),
    Row("ipam_driver_options", MAPPING, ("IPAM", "Options")),
    Row(
        "ipam_config", _POOLS, ("IPAM", "Config"), argument={"options": _POOL_OPTIONS}, newer=_newer
    ),
)
