# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec import _service, _swarm
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    CLEARED,
    CPUS,
    DURATION,
    INTEGER,
    MAPPING,
    SIZE,
    TEXT,
    TEXT_SET,
    TEXTS,
    Kind,
    Row,
    argument_spec,
    equal,
    labels_beside,
    leaves,
    merged,
    one_shot,
    refuse_newer,
    shown,
    stored,
    text_of,
    wanted,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import SERVICE_DEFAULTS, World

ROWS = (
    Row("image", TEXT, ("Task", "Image")),
    Row("replicas", INTEGER, ("Mode", "Replicas"), default=1),
    Row("names", TEXT_SET, ("Names",)),
    Row("args", TEXTS, ("Task", "Args")),
    Row("labels", labels_beside("theirs."), ("Labels",)),
    Row("key", TEXT, ("Key",), secret=True),
    Row(
        "update",
        Kind("dict"),
        ("Update",),
        skeleton={"Delay": 5 * 10**9, "Order": "stop-first"},
        rows=(
            Row("delay", DURATION, ("Update", "Delay"), default=5 * 10**9, since="1.40"),
            Row("memory", SIZE, ("Update", "Memory"), argument={"choices": ["1M"]}),
        ),
    ),
)


def test_the_argument_spec_is_made_of_the_rows() -> None:
    assert argument_spec(ROWS) == {
        "image": {"type": "str"},
        "replicas": {"type": "int"},
        "names": {"type": "list", "elements": "str"},
        "args": {"type": "list", "elements": "str"},
        "labels": {"type": "dict"},
        "key": {"type": "str", "no_log": True},
        "update": {
            "type": "dict",
            "options": {"delay": {"type": "str"}, "memory": {"type": "str", "choices": ["1M"]}},
        },
    }


def test_only_options_that_are_given_are_wanted() -> None:
    params = {"image": "web", "replicas": None, "update": {"delay": "1m", "memory": None}}
    assert wanted(ROWS, params) == {"image": "web", "update.delay": 60 * 10**9}
    assert wanted(ROWS, {}) == {}


def test_an_explicit_empty_value_is_wanted() -> None:
    params = {"image": "", "replicas": 0, "names": [], "labels": {}}
    assert wanted(ROWS, params) == {"image": "", "replicas": 0, "names": [], "labels": {}}


def test_a_group_given_empty_returns_each_of_its_options_to_the_default() -> None:
    values = wanted(ROWS, {"update": {"delay": None, "memory": None}})
    assert values == {"update": CLEARED, "update.delay": 5 * 10**9, "update.memory": 0}
    assert wanted(ROWS, {"update": None}) == {}


def test_an_empty_text_returns_an_option_that_is_no_text_to_the_default() -> None:
    values = wanted(ROWS, {"image": "", "update": {"delay": "", "memory": ""}})
    assert values == {"image": "", "update.delay": 5 * 10**9, "update.memory": 0}


def test_a_value_that_cannot_be_is_refused_by_the_options_whole_name() -> None:
    with pytest.raises(InvalidOption, match=r"^update\.memory: 'much' is not a size"):
        wanted(ROWS, {"update": {"delay": None, "memory": "much"}})


def test_what_is_not_stored_is_read_as_the_default_or_as_empty() -> None:
    values = {name: stored({}, row) for name, row in leaves(ROWS)}
    assert values == {
        "image": "",
        "replicas": 1,
        "names": [],
        "args": [],
        "labels": {},
        "key": "",
        "update.delay": 5 * 10**9,
        "update.memory": 0,
    }
    assert stored({"Mode": None}, ROWS[1]) == 1
    assert stored({"Mode": {"Replicas": 0}}, ROWS[1]) == 0


@pytest.mark.parametrize(
    ("row", "one", "other", "same"),
    [
        (ROWS[2], ["b", "a"], ["a", "b"], True),
        (ROWS[2], None, [], True),
        (ROWS[2], ["a"], ["a", "b"], False),
        (ROWS[3], ["b", "a"], ["a", "b"], False),
        (ROWS[4], {"a": "1", "theirs.b": "2"}, {"a": "1"}, True),
        (ROWS[4], {"theirs.b": "2"}, {"theirs.b": "2"}, True),
        (ROWS[4], {"theirs.b": "2"}, {"theirs.b": "3"}, False),
        (ROWS[4], {}, {"theirs.b": "2"}, False),
        (ROWS[4], {"a": "1", "shoal.swarm/c": "3"}, {"a": "1"}, True),
        (ROWS[4], {"a": "1"}, {}, False),
        (ROWS[1], 1, 1, True),
        (ROWS[1], 1, 0, False),
    ],
)
def test_values_are_compared_as_the_engine_means_them(
    row: Row, one: Any, other: Any, same: bool
) -> None:
    assert equal(row, one, other) is same


def test_the_stored_document_goes_back_with_only_the_real_differences() -> None:
    document = {
        "Task": {"Image": "web:1", "User": "www"},
        "Mode": None,
        "Labels": {"a": "1", "theirs.b": "2"},
        "Names": ["b", "a"],
        "Unknown": [1],
    }
    before = copy.deepcopy(document)
    values = {
        "image": "web:2",
        "replicas": 1,
        "names": ["a", "b"],
        "labels": {"c": "3"},
        "update.delay": 5 * 10**9,
        "update.memory": 2**20,
    }
    assert merged(ROWS, document, values) == {
        "Task": {"Image": "web:2", "User": "www"},
        # Neither the default nor the other order was written.
        "Mode": None,
        "Names": ["b", "a"],
        "Labels": {"c": "3", "theirs.b": "2"},
        "Unknown": [1],
        # An object that is made has its engine's defaults: what is missing in it is zero.
        "Update": {"Delay": 5 * 10**9, "Order": "stop-first", "Memory": 2**20},
    }
    assert document == before


def test_an_object_that_is_there_gets_no_defaults() -> None:
    document = {"Update": {"Delay": 1}}
    assert merged(ROWS, document, {"update.memory": 2**20}) == {
        "Update": {"Delay": 1, "Memory": 2**20}
    }


def test_a_group_that_is_cleared_takes_its_object_away() -> None:
    values = wanted(ROWS, {"update": {"delay": None, "memory": None}})
    others = {"Task": {"Image": "web:1"}}
    document = {**others, "Update": {"Delay": 1, "Unknown": 2}}
    assert merged(ROWS, document, values) == others
    # Where it holds nothing but defaults it is left alone: to take it away would be a difference.
    document = {**others, "Update": {"Delay": 5 * 10**9, "Order": "stop-first"}}
    assert merged(ROWS, document, values) == document
    assert merged(ROWS, others, values) == others


def test_a_new_document_gets_all_that_is_named_be_it_a_default() -> None:
    values = {"image": "web:1", "replicas": 1, "labels": {}, "names": []}
    assert merged(ROWS, {}, values, is_new=True) == {
        "Task": {"Image": "web:1"},
        "Mode": {"Replicas": 1},
        "Labels": {},
        "Names": [],
    }
    assert merged(ROWS, {}, values) == {"Task": {"Image": "web:1"}}


def test_what_is_stored_can_be_the_same_without_being_equal() -> None:
    kind = replace(TEXT, matches=lambda stored, value: bool(stored.lower() == value.lower()))
    rows = (Row("name", kind, ("Name",)),)
    assert merged(rows, {"Name": "Web"}, {"name": "WEB"}) == {"Name": "Web"}
    assert merged(rows, {"Name": "Web"}, {"name": "db"}) == {"Name": "db"}


def test_a_document_with_nothing_in_it_takes_a_value_at_any_depth() -> None:
    assert merged(ROWS, {}, {"replicas": 3}) == {"Mode": {"Replicas": 3}}
    assert merged(ROWS, {"Mode": None}, {"replicas": 3}) == {"Mode": {"Replicas": 3}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"theirs.b": "2", "shoal.swarm/c": "3"}),
        ({"a": "2"}, {"a": "2", "theirs.b": "2", "shoal.swarm/c": "3"}),
        ({"theirs.b": "3"}, {"theirs.b": "3", "shoal.swarm/c": "3"}),
    ],
)
def test_labels_of_somebody_else_stay_unless_they_are_named(
    given: dict[str, str], expected: dict[str, str]
) -> None:
    document = {"Labels": {"a": "1", "theirs.b": "2", "shoal.swarm/c": "3"}}
    assert merged(ROWS, document, wanted(ROWS, {"labels": given})) == {"Labels": expected}


def test_a_label_of_this_collection_is_refused() -> None:
    with pytest.raises(InvalidOption, match=r"^labels: 'shoal\.swarm/c' is a label"):
        wanted(ROWS, {"labels": {"a": "1", "shoal.swarm/c": "4"}})


def test_values_are_shown_as_a_user_would_write_them_and_secrets_are_not() -> None:
    document = {
        "Task": {"Image": "web:1"},
        "Labels": {"a": "1", "theirs.b": "2", "shoal.swarm/c": "3"},
        "Key": "s3cret",
        "Update": {"Delay": 90 * 10**9, "Memory": 2**26},
    }
    names = ["replicas", "labels", "key", "update.delay", "update.memory"]
    assert shown(ROWS, document, names) == {
        "replicas": 1,
        "labels": {"a": "1", "theirs.b": "2"},
        "key": "(secret)",
        "update.delay": "1m30s",
        "update.memory": "64M",
    }
    assert shown(ROWS, {}, ["key"]) == {"key": ""}


def test_an_option_that_the_api_would_drop_is_refused_and_any_other_is_not() -> None:
    given = {"update": {"delay": "5s", "memory": None}}
    for version in ("1.40", "1.41", "2.0"):
        refuse_newer(ROWS, given, version)
    for version in ("1.39", "1.9"):
        with pytest.raises(
            InvalidOption, match=rf"^update\.delay needs Docker API 1\.40, .*{version}"
        ):
            refuse_newer(ROWS, given, version)
    refuse_newer(ROWS, {"image": "web", "update": {"delay": None, "memory": "1M"}}, "1.39")
    refuse_newer(ROWS, {"update": {"delay": None, "memory": None}}, "1.39")


def test_a_part_of_a_value_can_need_a_newer_api_than_the_option() -> None:
    def newer(value: Any) -> Iterator[tuple[str, str]]:
        for item in value:
            if item.startswith("new"):
                yield item, "1.42"

    rows = (Row("things", TEXTS, ("Things",), since="1.40", newer=newer),)
    refuse_newer(rows, {"things": ["old", "new"]}, "1.42")
    refuse_newer(rows, {"things": ["old"]}, "1.41")
    with pytest.raises(InvalidOption) as caught:
        refuse_newer(rows, {"things": ["old", "new one"]}, "1.41")
    assert str(caught.value) == (
        "things: new one needs Docker API 1.42, and this engine and client settled on 1.41: "
        "upgrade the engine, or remove the option"
    )
    with pytest.raises(InvalidOption, match=r"^things needs Docker API 1\.40"):
        refuse_newer(rows, {"things": ["new"]}, "1.39")


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (None, False),
        ("", False),
        (" ", False),
        ("false", False),
        ("No", False),
        ("off", False),
        ("true", True),
        ("True", True),
        ("yes", True),
        ("ON", True),
        ("2026-11", "2026-11"),
        (" may ", "may"),
        ("1", "1"),
        ("truly", "truly"),
    ],
)
def test_a_one_shot_action_is_done_always_once_for_a_key_or_not_at_all(
    given: str | None, key: str | bool
) -> None:
    assert one_shot({"force": given}, "force") == key


def test_a_label_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidOption, match=r"^labels: an entry has an empty name"):
        wanted(ROWS, {"labels": {"": "a"}})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (0.5, "0.5"),
        ("", ""),
        ("yes", "yes"),
        ("é", "é"),
    ],
)
def test_a_label_is_the_text_that_people_wrote(value: Any, text: str) -> None:
    assert text_of(value) == text
    assert MAPPING.to_api({1: value}) == {"1": text}


@pytest.mark.parametrize(
    ("kind", "written", "stored_as", "shown_as"),
    [
        (DURATION, "90s", 90 * 10**9, "1m30s"),
        (SIZE, "1.5g", 3 * 2**29, "1536M"),
        (CPUS, 0.5, 5 * 10**8, 0.5),
    ],
)
def test_a_kind_goes_from_people_to_the_api_and_back(
    kind: Kind, written: Any, stored_as: int, shown_as: Any
) -> None:
    assert kind.to_api(written) == stored_as
    assert kind.to_user(stored_as) == shown_as
    assert kind.to_api(kind.to_user(stored_as)) == stored_as


@pytest.mark.parametrize("rows", [_swarm.SETTINGS, _swarm.AT_CREATION, _service.ROWS])
def test_no_two_options_write_the_same_place(rows: tuple[Row, ...]) -> None:
    paths = [row.path for _name, row in leaves(rows)]
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert path
        assert not any(other[: len(path)] == path for other in paths if other != path)


def test_the_defaults_of_settings_are_what_a_new_swarm_stores() -> None:
    host = World().host("node1", "10.0.0.11")
    host.engine.swarm_init({"Spec": {}})
    swarm = host.engine.swarm()
    for rows, document in ((_swarm.SETTINGS, swarm["Spec"]), (_swarm.AT_CREATION, swarm)):
        for name, row in leaves(rows):
            assert stored(document, row) == stored({}, row), name


def test_the_defaults_of_a_service_are_those_that_the_engine_inserts() -> None:
    for name, row in leaves(_service.ROWS):
        assert stored(SERVICE_DEFAULTS, row) == stored({}, row), name


@pytest.mark.parametrize("rows", [_swarm.SETTINGS, _service.ROWS])
def test_what_is_shown_of_a_default_reads_back_as_the_default(rows: tuple[Row, ...]) -> None:
    for name, row in leaves(rows):
        default = stored({}, row)
        assert equal(row, default, default), name
        shown_as = row.kind.to_user(default)
        # Some have none, and nothing is what they are given as then.
        if shown_as is not None:
            assert equal(row, default, row.kind.to_api(shown_as)), name
