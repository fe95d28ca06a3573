# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take the lock off a manager's state on the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._autolock import (
    Pem,
    lockable,
    pem,
    unlock_key_bytes,
    unlocked,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    InvalidOption,
    MissingLibrary,
    WrongState,
)

try:
    from cryptography.hazmat.primitives import serialization
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox
except ImportError:
    HAS_LIBRARIES = False
else:
    HAS_LIBRARIES = True


UNLOCKED, LOCKABLE = "unlocked", "lockable"
STATES = [UNLOCKED, LOCKABLE]


def ensure(params: Mapping[str, Any], check_mode: bool) -> bool:
    """Whether the state on the disk was, or in check mode is, to be changed."""
    path = os.path.join(params["data_root"], "swarm/certificates/swarm-node.key")
    try:
        with open(path, encoding="ascii") as file:
            found = pem(file.read())
    except OSError as error:
        raise WrongState(f"the key of this host's node cannot be read: {error}") from None
    if params["state"] == LOCKABLE:
        wanted = found if found.is_locked else lockable(found)
    else:
        wanted = _unlocked(found, params["unlock_key"]) if found.is_locked else found
    if wanted == found:
        return False
    if not check_mode:
        _write(path, str(wanted))
    return True


def _unlocked(locked: Pem, unlock_key: str) -> Pem:
    if not HAS_LIBRARIES:
        raise MissingLibrary(
            "the Python libraries cryptography and PyNaCl are missing on this host: install the "
            "packages python3-cryptography and python3-nacl"
        )
    key = unlock_key_bytes(unlock_key)
    try:
        return unlocked(locked, key, _open_key, _open_box)
    except (CryptoError, ValueError):
        raise InvalidOption("unlock_key is not the key of this manager's state") from None


def _write(path: str, text: str) -> None:
    """In the place of the old file at once, and for nobody else to read."""
    beside = f"{path}.unlocked"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _open_key(der: bytes, password: bytes) -> bytes:
    key = serialization.load_der_private_key(der, password)
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _open_box(key: bytes, data: bytes, nonce: bytes) -> bytes:
    return bytes(SecretBox(key).decrypt(data, nonce))
