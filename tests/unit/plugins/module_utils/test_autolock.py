# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._autolock import (
    Pem,
    lockable,
    pem,
    unlock_key_bytes,
    unlocked,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

KEY = bytes(range(32))
TEXT = f"SWMKEY-1-{base64.b64encode(KEY).decode().rstrip('=')}"
NONCE = b"n" * 24
RAFT_KEY = b"r" * 32


def mirrored(key: bytes, data: bytes) -> bytes:
    """A cipher that can be looked at."""
    return bytes(byte ^ key[number % len(key)] for number, byte in enumerate(data))


def open_key(der: bytes, password: bytes) -> bytes:
    return mirrored(password, der)


def open_box(key: bytes, data: bytes, nonce: bytes) -> bytes:
    assert nonce == NONCE
    return mirrored(key, data)


def record(algorithm: int, data: bytes) -> str:
    fields = bytes([8, algorithm, 18, len(data)]) + data + bytes([26, len(NONCE)]) + NONCE
    return base64.b64encode(fields).decode()


def locked(**headers: str) -> Pem:
    der = mirrored(KEY, b"the key of the node" * 9)
    return Pem("ENCRYPTED PRIVATE KEY", {"kek-version": "7", **headers}, der)


def test_a_key_is_read_as_it_is_written() -> None:
    before = locked(**{"raft-dek": record(1, mirrored(KEY, RAFT_KEY))})
    assert before.is_locked
    assert pem(str(before)) == before
    bare = Pem("PRIVATE KEY", {}, b"x" * 200)
    assert not bare.is_locked
    assert pem(str(bare)) == bare
    assert str(bare).startswith("-----BEGIN PRIVATE KEY-----\neHh4")


def test_the_lock_is_taken_off() -> None:
    headers = {"raft-dek": record(1, mirrored(KEY, RAFT_KEY)), "raft-dek-needs-rotation": "true"}
    found = unlocked(locked(**headers), unlock_key_bytes(TEXT), open_key, open_box)
    assert not found.is_locked
    assert found.der == b"the key of the node" * 9
    plain = base64.b64encode(bytes([18, 32]) + RAFT_KEY).decode()
    assert found.headers == {
        "kek-version": str(2**63),
        "raft-dek": plain,
        "raft-dek-needs-rotation": "true",
    }


def test_the_engine_may_lock_it_again() -> None:
    bare = Pem("PRIVATE KEY", {"kek-version": str(2**63), "raft-dek": "x"}, b"key")
    again = Pem("PRIVATE KEY", {"kek-version": "0", "raft-dek": "x"}, b"key")
    assert lockable(bare) == again
    assert lockable(again) == again


def test_another_cipher_is_refused() -> None:
    with pytest.raises(InvalidOption, match="raft-dek is encrypted in a way"):
        unlocked(locked(**{"raft-dek": record(2, RAFT_KEY)}), KEY, open_key, open_box)


@pytest.mark.parametrize("text", ["", "SWMKEY-1-", "SWMKEY-1-#", TEXT[:-1], f"x{TEXT}"])
def test_what_is_no_unlock_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        unlock_key_bytes(text)
    assert TEXT[9:20] not in str(refused.value)


@pytest.mark.parametrize("text", ["", "no PEM at all", "-----BEGIN PRIVATE KEY-----"])
def test_what_is_no_pem_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="not in PEM form"):
        pem(text)
