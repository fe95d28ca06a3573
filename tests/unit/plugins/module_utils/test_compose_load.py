# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compose files as documents: every case of `cases/compose`, and documents made at random."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._compose._convert import convert
from ansible_collections.shoal.swarm.plugins.module_utils._compose._load import (
    Loaded,
    Source,
    WantedFile,
    files_wanted,
    load,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import packed
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.plugin_utils._compose_yaml import parse
from ansible_collections.shoal.swarm.tests.unit.compose_cases import (
    ENVIRONMENT,
    FOLDER,
    cases,
    files_of,
    sources_of,
)

CASES = cases()


def _load(case: Mapping[str, Any]) -> Loaded:
    environment = {**ENVIRONMENT, **case.get("environment", {})}
    return load(
        sources_of(case),
        {name: value for name, value in environment.items() if value is not None},
        FOLDER,
        files_of(case),
        case.get("strict", False),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: Mapping[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(InvalidOption) as refusal:
            _load(case)
        for text in [case["refused"]] if isinstance(case["refused"], str) else case["refused"]:
            assert text in str(refusal.value)
        assert "compose" in str(refusal.value)
    else:
        loaded = _load(case)
        document = {**loaded.document}
        assert document.pop("version") == case.get("version", "3.13")
        if "service" in case or "services" in case:
            assert document == {"services": {"web": case["gives"]}}
        else:
            assert document == {"services": {}, **case["gives"]}
        assert loaded.name == case.get("stack")
        wanted = case.get("warns", [])
        assert len(loaded.warnings) == len(wanted), loaded.warnings
        for text in wanted:
            assert any(text in warning for warning in loaded.warnings), text


def test_every_source_is_left_as_it_was() -> None:
    for case in CASES:
        before = repr(sources_of(case))
        sources = sources_of(case)
        try:
            load(sources, ENVIRONMENT, FOLDER, files_of(case))
        except InvalidOption:
            pass
        assert repr(sources) == before, case["id"]


# Which files have to be read


def test_files_wanted() -> None:
    first = {
        "services": {"web": {"env_file": ["a.env", {"path": "./b.env", "required": False}]}},
        "secrets": {"s": {"file": "s.txt"}, "replaced": {"file": "r.txt"}, "e": {"external": True}},
        "configs": {"c": {"file": "/etc/c"}, "inline": {"content": "x"}},
    }
    second = {
        "services": {"web": {"env_file": "sub/${A}.env"}, "db": {"env_file": "b.env"}},
        "secrets": {"replaced": {"file": "other.txt"}},
    }
    wanted = files_wanted([Source("one.yml", first), Source("two.yml", second)], ENVIRONMENT, "/d")
    assert sorted(wanted, key=lambda file: file.path) == [
        WantedFile("/d/a.env", "one.yml: services.web.env_file"),
        WantedFile("/d/b.env", "two.yml: services.db.env_file"),
        WantedFile("/d/other.txt", "two.yml: secrets.replaced.file"),
        WantedFile("/d/s.txt", "one.yml: secrets.s.file"),
        WantedFile("/d/sub/a.env", "two.yml: services.web.env_file"),
        WantedFile("/etc/c", "one.yml: configs.c.file"),
    ]


def test_a_file_that_may_be_missing() -> None:
    body = {"services": {"web": {"env_file": [{"path": "a.env", "required": False}]}}}
    wanted = files_wanted([Source("one.yml", body)], {}, "/d")
    assert wanted == [WantedFile("/d/a.env", "one.yml: services.web.env_file", required=False)]


def test_a_service_that_is_left_out_needs_no_file() -> None:
    body = {"services": {"web": {"env_file": "a.env", "profiles": ["p"]}}}
    source = Source("one.yml", body)
    assert files_wanted([source], {}, "/d") == []
    assert [file.path for file in files_wanted([source], {"COMPOSE_PROFILES": "p"}, "/d")] == [
        "/d/a.env"
    ]


def test_what_is_wrong_is_said_before_files_are_read() -> None:
    with pytest.raises(InvalidOption, match=r"one\.yml: services\.web\.imge"):
        files_wanted([Source("one.yml", {"services": {"web": {"imge": "i"}}})], {}, "/d")


def test_a_document_that_holds_itself() -> None:
    body: dict[str, Any] = {"services": {"web": {"labels": {}}}}
    body["services"]["web"]["deploy"] = body["services"]
    with pytest.raises(InvalidOption, match="holds itself"):
        load([Source("one.yml", body)], {}, "/d", {})


@pytest.mark.parametrize("key", [True, None, 1.5, ("a",), ""])
def test_a_key_that_is_no_text(key: Any) -> None:
    with pytest.raises(InvalidOption, match=r"one\.yml: services: has the key .*: quote it"):
        load([Source("one.yml", {"services": {key: {"image": "i"}}})], {}, "/d", {})


def test_a_key_of_digits_is_text() -> None:
    loaded = load([Source("one.yml", {"services": {1: {"labels": {2: 3}}}})], {}, "/d", {})
    assert loaded.document["services"] == {"1": {"labels": {"2": "3"}}}


def test_many_errors_are_cut() -> None:
    body = {f"key{number}": 1 for number in range(50)}
    with pytest.raises(InvalidOption, match="and 30 more"):
        load([Source("one.yml", body)], {}, "/d", {})


@pytest.mark.parametrize(
    "body",
    [
        "s3cr3t",
        ["s3cr3t"],
        {"secrets": {"key": "s3cr3t"}},
        {"secrets": "s3cr3t"},
        {"secrets": {"key": {"content": "s3cr3t"}}},
        {"configs": {"site": {"content": "s3cr3t $! and ${A"}}},
        {"configs": {"site": {"content": "s3cr3t $A-b"}}},
        {"configs": {"site": {"content": "${A!s3cr3t}"}}},
        {"configs": {"site": {"content": ["s3cr3t"]}}},
        {"configs": {"site": {"content": {"a": "s3cr3t"}}}},
        {"configs": {"site": {"content": b"s3cr3t"}}},
        {"configs": {"site": {"content": "s3cr3t", "file": "a"}}},
        {"services": {"web": {"environment": ["KEY=s3cr3t", "KEY=s3cr3t"]}}},
        {"services": {"web": {"environment": ["=s3cr3t"]}}},
        {"services": {"web": {"environment": "KEY=s3cr3t"}}},
        {"services": {"web": {"environment": {"KEY": ["s3cr3t"]}}}},
        {"services": {"web": {"environment": {"KEY": "s3cr3t$"}}}},
        {"services": {"web": {"labels": "s3cr3t"}}},
        {"services": {"web": {"command": "run --key 's3cr3t"}}},
        {"services": {"web": {"command": "run --key s3cr3t\\"}}},
        {"services": {"web": "s3cr3t"}},
        {"services": "s3cr3t"},
    ],
    ids=repr,
)
def test_no_content_is_told(body: Any) -> None:
    with pytest.raises(InvalidOption, match=r"^one\.yml") as caught:
        load([Source("one.yml", body)], {"A": "a"}, "/d", {})
    assert "s3cr3t" not in str(caught.value)


# Documents made at random: never anything but our own errors, and those with a place

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    3,
    10**25,
    1.5,
    float("inf"),
    float("nan"),
    "",
    "a",
    "80:80",
    "1-5:9",
    "a:/b:ro",
    "~:",
    ":",
    "\\",
    "'",
    "5s",
    "-",
    "64M",
    "$A",
    "${A",
    "${X:?}",
    "${X:-${A:-$$}}",
    "$A-b",
    "é\u0000\ud800",
    b"bytes",
    [],
    {},
    [None],
    {"": 1},
    {None: 1},
    {1: 2},
    {"a": {"b": ["c"]}},
]


def _keys() -> list[str]:
    """Every key that stands in a case, to meet the rows at random."""

    def found(value: Any) -> list[str]:
        if isinstance(value, Mapping):
            return [str(k) for k in value] + [key for part in value.values() for key in found(part)]
        return [key for part in value for key in found(part)] if isinstance(value, list) else []

    return sorted(
        {key for case in CASES for source in sources_of(case) for key in found(source.body)}
    )


def _mutated(value: Any, chance: random.Random, keys: list[str]) -> Any:
    """A document that loads, with parts of it exchanged, added, moved or taken away."""
    if chance.random() < 0.04:
        return chance.choice(VALUES)
    if isinstance(value, Mapping):
        result = {
            (chance.choice(keys) if chance.random() < 0.03 else key): _mutated(part, chance, keys)
            for key, part in value.items()
            if chance.random() > 0.03
        }
        if chance.random() < 0.1:
            result[chance.choice(keys)] = chance.choice(VALUES)
        return result
    if isinstance(value, list):
        return [
            _mutated(part, chance, keys)
            for part in value
            for _copy in range(chance.choice([1, 1, 1, 2]))
        ]
    return value


@pytest.mark.parametrize("seed", range(40))
def test_random_documents_load_or_are_refused(seed: int) -> None:
    chance = random.Random(seed)
    keys = _keys()
    errors, documents = [], []
    for case in CASES:
        sources = [Source(s.file, _mutated(s.body, chance, keys)) for s in sources_of(case)]
        try:
            loaded = load(sources, ENVIRONMENT, FOLDER, files_of(case))
            files_wanted(sources, ENVIRONMENT, FOLDER)
        except InvalidOption as error:
            errors.append(str(error))
            continue
        documents.append(loaded.document)
    assert errors
    assert documents
    assert all("compose" in error for error in errors)
    _convert_or_refuse(documents)


def _convert_or_refuse(documents: list[dict[str, Any]]) -> None:
    converted, refused = 0, []
    for document in documents:
        # Most of them say what they are about, and have no image.
        services = {
            name: {"image": "app:1", **service} for name, service in document["services"].items()
        }
        try:
            packed(convert({**document, "services": services}, "shop", {f"{FOLDER}/a": b"a"}))
            converted += 1
        except InvalidOption as error:
            refused.append(str(error))
    assert converted
    for why in refused:
        assert why.startswith(("services", "networks.", "secrets.", "configs.")), why


CHARACTERS = "\n\n  \t:::---{}[],,#&*!|>'\"%@`$<~?\\ax0.\u00e9\x00\u2028"
PIECES = [
    "<<: *a",
    "&a ",
    "*a",
    "{{ a }}",
    "? ",
    "!!set ",
    "!!bool ",
    "!!int ",
    "!!float ",
    "!!timestamp ",
    "!!binary ",
    "!!omap ",
    "!!null ",
    "!a ",
    "\n---\n",
    "\ufeff",
]


def _mutated_text(text: str, chance: random.Random) -> str:
    """YAML with some of its characters exchanged, added, moved or taken away."""
    for _change in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = start + chance.choice([0, 0, 0, 1, 1, 8])
        pieces = [chance.choice(CHARACTERS), chance.choice(PIECES), text[end : end + 20], ""]
        text = text[:start] + chance.choice(pieces) + text[end:]
    return text


@pytest.mark.parametrize("seed", range(10))
def test_random_files_are_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    unread, refused, loaded = [], [], []
    for case in CASES:
        body = sources_of(case)[0].body
        text = yaml.safe_dump(body, default_flow_style=chance.choice([True, False, None]))
        try:
            source = Source("compose.yml", parse(_mutated_text(text, chance), "compose.yml"))
        except InvalidOption as error:
            unread.append(str(error))
            continue
        try:
            loaded.append(load([source], ENVIRONMENT, FOLDER, files_of(case)).document)
        except InvalidOption as error:
            refused.append(str(error))
    assert unread
    assert loaded
    assert refused
    assert all(error.startswith("compose.yml: ") for error in unread + refused)
    _convert_or_refuse(loaded)
