# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML as the Docker CLI reads it."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml

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


def anchored(dice: random.Random) -> str:
    """Mappings that are merged into others, at any depth; some of them twice."""
    names: list[str] = []

    def mapping(depth: int) -> list[str]:
        lines = []
        if names and dice.random() < 0.6:
            merged = dice.sample(names, min(len(names), dice.randint(1, 2)))
            lines.append("<<: [" + ", ".join(f"*{name}" for name in merged) + "]")
        for key in dice.sample("ABCDE", dice.randint(1, 3)):
            if depth == 3 or dice.random() < 0.5:
                lines.append(f"{key}: {dice.randint(0, 9)}")
                continue
            inner = mapping(depth + 1)
            names.append(f"n{len(names)}")
            lines += [f"{key}: &{names[-1]}", *(f" {line}" for line in inner)]
        return lines

    return "\n".join(mapping(0))


def test_anchored_documents_made_at_random() -> None:
    dice = random.Random(3)
    documents = [anchored(dice) for _number in range(500)]
    assert sum("<<" in text for text in documents) > 100
    for text in documents:
        assert parse(text, "a.yml") == yaml.safe_load(text), text


def test_a_merged_mapping_that_overrides_what_it_merges() -> None:
    text = """
        x-common: &common {team: shop, tier: none}
        services:
          api: {deploy: {labels: &labels {<<: *common, tier: front}}}
          web: {labels: {<<: *labels}}
    """
    labels = parse(text, "a.yml")["services"]["web"]["labels"]
    assert labels == {"team": "shop", "tier": "front"}


def bomb(levels: int, width: int) -> str:
    """As many values as `width` to the power of `levels`."""
    lines = ["x-0: &a0 [l]"]
    for level in range(1, levels):
        aliases = ",".join([f"*a{level - 1}"] * width)
        lines.append(f"x-{level}: &a{level} [{aliases}]")
    return "\n".join(lines)


def test_aliases_may_come_to_many_values_and_not_to_any_number() -> None:
    uses = "\n".join(f"s{number}: {{<<: *base, image: i}}" for number in range(300))
    base = ", ".join(f"k{number}: {number}" for number in range(50))
    assert len(parse(f"x-base: &base {{{base}}}\n{uses}", "a.yml")) == 301
    parse(bomb(3, 9), "a.yml")
    # In the time that it takes to read what is written: this one is 9 to the power of 60.
    with pytest.raises(
        InvalidOption, match=r"line 1, column 1: the aliases in it come to too many"
    ):
        parse(bomb(60, 9), "a.yml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "line 2, column 1: the key a is there twice"),
        ("b: {a: 1, a: 1}", "line 1, column 11: the key a is there twice"),
        # The CLI refuses it as well.
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", "line 2, column 13: the key << is there twice"),
        ("a:\n  image: {{ shop_image }}", "line 2, column 11: a mapping or a list cannot be a key"),
        ("{? [a] : b}", "line 1, column 4: a mapping or a list cannot be a key"),
        ("a: &a {b: *a}", "line 1, column 4: what stands here holds itself"),
        ("a: !!bool perhaps", "line 1, column 4: what stands here does not fit its tag"),
        ("a: !!timestamp x", "line 1, column 4: what stands here does not fit its tag"),
        ("a: !!int x", "line 1, column 4: what stands here does not fit its tag"),
        ("a: 1\nb: [", "line 2, column 5: is not YAML: "),
        ("a: *b", "line 1, column 4: is not YAML: "),
        ("a: !python/name:os.system x", "line 1, column 4: is not YAML: "),
        ("--- 1\n--- 2", "line 2, column 1: is not YAML: "),
        ("a: \x00", "is not YAML: a character at position 3: special characters"),
        (b"a: \xff\xfe\xfd", "is not YAML: a character at position 3: invalid start byte"),
        ("[" * 5000, "is not YAML that can be read: it nests too deep"),
    ],
)
def test_what_is_not_yaml_has_a_place(text: bytes | str, message: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse(text, "a.yml")
    assert str(caught.value).startswith(f"a.yml: {message}")


@pytest.mark.parametrize(
    "text",
    [
        "{s3cr3t",
        "s3cr3t: [",
        "*s3cr3t",
        "!s3cr3t x",
        "!s3cr3t!x y",
        "a: s3cr3t: b",
        '"s3cr3t',
        "%s3cr3t",
    ],
)
def test_no_content_is_told(text: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse(f"# s3cr3t\n{text}", "a.yml")
    assert "s3cr3t" not in str(caught.value)
