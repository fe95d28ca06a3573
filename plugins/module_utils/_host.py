# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only the machine itself can tell; used where the engine runs on the machine we run on."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import ip_of

PROBE_SECONDS = 3.0


def is_this_machine(info: Mapping[str, Any]) -> bool:
    """Whether the engine that answers GET /info so runs here: its host's name, and its own ID.

    Engine 20.10 keeps no ID in a file, 26.1 does.
    """
    if info.get("Name") != os.uname().nodename:
        return False
    try:
        with open(f"{info.get('DockerRootDir')}/engine-id", encoding="utf-8") as file:
            return file.read().strip() == info.get("ID")
    except OSError:
        return True


def refuse_foreign_addresses(**addresses: str | None) -> None:
    """Refuse an address that no interface of this host carries.

    The engine takes such an advertise address without a word, and the managers then cannot reach
    the node back (moby daemon/cluster/listen_addr.go).
    """
    for option, text in addresses.items():
        address = ip_of(text)
        if address is None or address.is_unspecified:
            continue
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        try:
            # Without IPv6 there is not even a socket for it.
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((str(address), 0))
        except OSError:
            raise InvalidOption(
                f"{option} {address} is not an address of this host: give one that `ip addr` "
                "shows (or set check_addresses: false where the address is translated to "
                "this host, as with NAT)"
            ) from None


def why_unreachable(address: str) -> str:
    """Why nothing accepts a TCP connection at `host:port`; empty where something does."""
    host, _colon, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS):
            return ""
    except socket.timeout:
        return f"no answer within {PROBE_SECONDS:g} s (a firewall, or the host is down)"
    except (socket.gaierror, UnicodeError):
        return f"the name {host} cannot be resolved"
    except OSError as error:
        return os.strerror(error.errno).lower() if error.errno else str(error)


def may_hold_certificate(root_dir: str) -> bool:
    """Whether a swarm may have let this host in; only "no such file" proves that none has."""
    try:
        os.stat(f"{root_dir}/swarm/certificates/swarm-node.crt")
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def root_ca_pem(root_dir: str) -> bytes | None:
    """The root CA of the swarm that this host is in, from the engine's own state directory."""
    try:
        with open(f"{root_dir}/swarm/certificates/swarm-root-ca.crt", "rb") as file:
            return file.read()
    except OSError:
        return None


def is_locked(root_dir: str) -> bool | None:
    """Whether the manager's key on this disk is locked (autolock); none if it is not here."""
    try:
        with open(f"{root_dir}/swarm/certificates/swarm-node.key", encoding="ascii") as file:
            return "ENCRYPTED" in file.readline()
    except OSError:
        return None
