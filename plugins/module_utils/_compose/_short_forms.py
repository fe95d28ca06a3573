# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The short forms of ports and volumes (go-connections nat, docker/cli internal/volumespec)."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._reading import (
    Kind,
    Place,
    described,
    items,
    read,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

_PROTOCOLS = ("tcp", "udp", "sctp")
_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|[\\/]{2}[^\\/.][^\\/]*[\\/][^\\/.][^\\/]*[\\/]")


# Ports


def ports(long: Kind) -> Kind:
    """Each entry is a port, a text such as `8080-8081:80-81/udp`, or a mapping."""

    def read_ports(value: Any, place: Place) -> list[Any]:
        found: list[Any] = []
        for number, entry in enumerate(items(value)):
            here = place.at(number)
            if isinstance(entry, Mapping):
                found.append(read(long, entry, here))
            else:
                found.extend(read(_short_port, entry, here) or [])
        return [port for port in found if port is not None]

    return read_ports


def _short_port(value: Any, place: Place) -> list[dict[str, Any]]:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidOption(f"is a port such as 8080:80, or a mapping, not {described(value)}")
    spec = str(value)
    address, published, target = _three_parts(spec)
    target, _slash, protocol = target.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise InvalidOption(f"{described(spec)} has a protocol other than tcp, udp and sctp")
    inside = _range(spec, target, least=1)
    outside = _range(spec, published, least=0) if published else None
    if outside and len(outside) != len(inside) and len(inside) > 1:
        raise InvalidOption(f"{described(spec)} has ranges of different lengths")
    _warn_of_address(spec, address, place)
    if outside and len(inside) == 1:
        found = [(inside[0], number) for number in outside]
    else:
        # By the text of the port, as the CLI sorts them.
        found = sorted(zip(inside, outside or [0] * len(inside)), key=lambda pair: f"{pair[0]}/")
    return [_port(target, published, protocol) for target, published in found]


def _port(target: int, published: int, protocol: str) -> dict[str, Any]:
    port: dict[str, Any] = {"mode": "ingress", "target": target, "protocol": protocol}
    if published:
        port["published"] = published
    return port


def _three_parts(spec: str) -> tuple[str, str, str]:
    rest, _colon, target = spec.rpartition(":")
    address, _colon, published = rest.rpartition(":")
    return address, published, target


def _range(spec: str, text: str, least: int) -> list[int]:
    match = re.match(r"(\d{1,5})(?:-(\d{1,5}))?\Z", text)
    first = int(match.group(1)) if match else 0
    last = int(match.group(2) or first) if match else 0
    if not match or not least <= first <= last <= 65535:
        raise InvalidOption(
            f"{described(spec)} is not a port: write 80, 8080:80, 8080-8081:80-81 or 53:53/udp"
        )
    return list(range(first, last + 1))


def _warn_of_address(spec: str, address: str, place: Place) -> None:
    if not address:
        return
    try:
        found = ipaddress.ip_address(address.strip("[]") if address[0] == "[" else address)
    except ValueError:
        raise InvalidOption(f"{described(spec)} has an address that is none: {address}") from None
    if not found.is_unspecified:
        place.warn(f"the address {address} is ignored: a swarm listens on all of each node's")


# Volumes


def volume(long: Kind) -> Kind:
    """A text such as `data:/var/lib/data:ro`, or a mapping."""

    def read_volume(value: Any, place: Place) -> Any:
        if isinstance(value, Mapping):
            found = long(value, place)
        elif isinstance(value, str):
            found = _short_volume(value, place)
        else:
            raise InvalidOption(
                f"is a volume such as data:/var/lib/data, or a mapping, not {described(value)}"
            )
        if found.get("type") == "bind":
            found["source"] = _host_path(found.get("source", ""), place)
        return found

    return read_volume


def _short_volume(spec: str, place: Place) -> dict[str, Any]:
    if not spec:
        raise InvalidOption("is empty: write data:/var/lib/data")
    if len(spec.encode()) < 3:
        return {"type": "volume", "target": spec}
    parts = _volume_parts(spec)
    if not all(parts):
        raise InvalidOption(f"{described(spec)} has nothing between two colons")
    if len(parts) > 3:
        raise InvalidOption(f"{described(spec)} has too many colons")
    if len(parts) == 1:
        return {"type": "volume", "target": parts[0]}
    found: dict[str, Any] = {
        "type": "bind" if _is_path(parts[0]) else "volume",
        "source": parts[0],
        "target": parts[1],
    }
    for option in parts[2].split(",") if len(parts) > 2 else []:
        if option in ("ro", "rw"):
            found["read_only"] = option == "ro"
        elif option == "nocopy":
            found["volume"] = {"nocopy": True}
        elif option in _PROPAGATIONS:
            found["bind"] = {"propagation": option}
        else:
            place.warn(f"the option '{option}' is ignored: a swarm has nothing like it")
    if not found.get("read_only"):
        found.pop("read_only", None)
    return found


def _volume_parts(spec: str) -> list[str]:
    """Parted by colons, but for the one behind a Windows drive's letter."""
    parts = [""]
    for character in spec:
        is_drive = len(parts[-1]) == 1 and parts[-1].isalpha()
        if character == ":" and not is_drive:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _is_path(source: str) -> bool:
    return source[0] in "./~" or source.startswith("\\\\") or source[1:2] == ":"


def _host_path(source: str, place: Place) -> str:
    if not source:
        raise InvalidOption("needs a 'source': the path that is bound")
    if source.startswith("~"):
        home = place.environment.get("HOME")
        if home is None:
            raise InvalidOption(f"{described(source)} needs the variable HOME, which is not set")
        source = home + source[1:]
    return absolute(source, place.folder)


def absolute(path: str, folder: str) -> str:
    """Relative to the folder of the compose file."""
    if path.startswith("/") or _WINDOWS_PATH.match(path):
        return path
    return posixpath.normpath(posixpath.join(folder, path))
