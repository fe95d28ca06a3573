# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock on a manager's state: how it is kept on the disk, and what it is without. All pure.

With autolock the file swarm-node.key holds the node's TLS key, encrypted with the unlock key, and
in the headers of the PEM block the key of the Raft log, encrypted with it as well (swarmkit
ca/keyreadwriter.go, manager/deks.go, manager/encryption).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

_UNLOCK_KEY = "SWMKEY-1-"
_UNLOCK_KEY_LENGTH = 32
_LOCKED = "ENCRYPTED PRIVATE KEY"
_UNLOCKED = "PRIVATE KEY"
# The engine locks the file as the swarm's settings say where their version is above this one.
_VERSION = "kek-version"
_NEVER, _AT_ONCE = str(2**63), "0"
_RAFT_KEYS = ("raft-dek", "raft-dek-pending")
# MaybeEncryptedRecord of swarmkit api/types.proto: numbers of the fields, and one algorithm.
_ALGORITHM, _DATA, _NONCE = 1, 2, 3
_SECRETBOX = 1

# DER of an encrypted PKCS #8 key and a password -> DER of the key.
OpenKey = Callable[[bytes, bytes], bytes]
# Key, data and nonce of a secretbox -> what is in it.
OpenBox = Callable[[bytes, bytes, bytes], bytes]


@dataclass(frozen=True)
class Pem:
    """One PEM block with its headers."""

    label: str
    headers: Mapping[str, str]
    der: bytes

    @property
    def is_locked(self) -> bool:
        return self.label == _LOCKED

    def __str__(self) -> str:
        text = base64.b64encode(self.der).decode()
        lines = [text[start : start + 64] for start in range(0, len(text), 64)]
        headers = [f"{name}: {value}" for name, value in sorted(self.headers.items())]
        head = [*headers, ""] if headers else []
        return "\n".join(
            [f"-----BEGIN {self.label}-----", *head, *lines, f"-----END {self.label}-----", ""]
        )


def pem(text: str) -> Pem:
    lines = text.strip().splitlines()
    ends = len(lines) > 2 and (lines[0][:11], lines[-1][:9])
    if ends != ("-----BEGIN ", "-----END "):
        raise InvalidOption("the node's key is not in PEM form")
    headers = {}
    body = lines[1:-1]
    while body and ":" in body[0]:
        name, _colon, value = body.pop(0).partition(":")
        headers[name.strip()] = value.strip()
    return Pem(lines[0][11:-5], headers, base64.b64decode("".join(body)))


def unlock_key_bytes(text: str) -> bytes:
    """The key as the engine uses it; never shows it."""
    try:
        if text.startswith(_UNLOCK_KEY):
            found = base64.b64decode(text[len(_UNLOCK_KEY) :] + "=", validate=True)
            if len(found) == _UNLOCK_KEY_LENGTH:
                return found
    except binascii.Error:
        pass
    raise InvalidOption(
        f"unlock_key is not an unlock key: it must look like {_UNLOCK_KEY}<43 characters>, and "
        f"this text of {len(text)} characters does not; shoal.swarm.swarm_info (unlock_key: true) "
        "returns it on a manager that is not locked"
    )


def unlocked(locked: Pem, key: bytes, open_key: OpenKey, open_box: OpenBox) -> Pem:
    """The same key without its lock; the engine leaves it like that."""
    headers = {**locked.headers, _VERSION: _NEVER}
    for name in _RAFT_KEYS:
        if name in headers:
            fields = _fields(base64.b64decode(headers[name]))
            if fields.get(_ALGORITHM) != _SECRETBOX:
                raise InvalidOption(f"{name} is encrypted in a way that is not known here (FIPS?)")
            plain = open_box(key, bytes(fields[_DATA]), bytes(fields[_NONCE]))
            headers[name] = base64.b64encode(_record(plain)).decode()
    return Pem(_UNLOCKED, headers, open_key(locked.der, key))


def lockable(unlocked_key: Pem) -> Pem:
    """The same key as the engine locks it when it starts, if the swarm is one with autolock."""
    return replace(unlocked_key, headers={**unlocked_key.headers, _VERSION: _AT_ONCE})


def _fields(message: bytes) -> dict[int, int | bytes]:
    """The fields of a protobuf message that has numbers and byte strings only."""
    found: dict[int, int | bytes] = {}
    position = 0

    def number() -> int:
        nonlocal position
        result = shift = 0
        while True:
            byte = message[position]
            position += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7

    while position < len(message):
        tag = number()
        value = number()
        if tag & 7 == 2:
            found[tag >> 3] = message[position : position + value]
            position += value
        else:
            found[tag >> 3] = value
    return found


def _record(data: bytes) -> bytes:
    """A MaybeEncryptedRecord that is not encrypted; the keys of Raft have 32 bytes."""
    return bytes([_DATA << 3 | 2, len(data)]) + data
