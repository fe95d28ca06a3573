# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML as the Docker CLI reads it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.plugin_utils._compose_yaml import parse


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("text", "text"),
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        # Words in YAML 1.1 for true and false.
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("12", 12),
        ("-12", -12),
        ("+5", 5),
        ("0", 0),
        ("1_000", 1000),
        ("0x10", 16),
        ("0o17", 15),
        ("0440", 288),
        ("0b11", 3),
        ("08", 8.0),
        ("123456789012345678901", 123456789012345678901.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".inf", float("inf")),
        # In YAML 1.1 a number to the base of 60, and a time.
        ("22:22", "22:22"),
        ("2001-01-01", "2001-01-01"),
        ("1.2.3", "1.2.3"),
        ("0x", "0x"),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("<<", "<<"),
    ],
)
def test_plain_scalars(written: str, value: Any) -> None:
    found = parse(f"key: {written}", "a.yml")["key"]
    assert (found, type(found)) == (value, type(value))


def test_anchors_and_merges() -> None:
    text = """
        x-base: &base {a: 1, b: [2]}
        one: {<<: *base, a: 3}
        two: *base
    """
    document = parse(text, "a.yml")
    assert document["one"] == {"a": 3, "b": [2]}
    assert document["two"] == {"a": 1, "b": [2]}


def test_nothing() -> None:
    assert parse(b"# only a comment\n", "a.yml") is None


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: 1\na: 2",
        "b: {a: 1, a: 1}",
        "a: *b",
        "a: !python/name:os.system x",
        "--- 1\n--- 2",
        "a: \x00",
        b"a: \xff\xfe\xfd",
        "[" * 5000,
    ],
)
def test_what_is_not_yaml(text: bytes | str) -> None:
    with pytest.raises(InvalidOption, match=r"a\.yml: is not YAML: "):
        parse(text, "a.yml")
