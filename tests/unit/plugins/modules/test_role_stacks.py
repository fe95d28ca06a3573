# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role stacks hands every option of its entries on to their module, and documents the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._module import CONNECTION_ARGUMENTS
from ansible_collections.shoal.swarm.tests.unit import modules_under_test
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import arguments

ROLE = Path(modules_under_test.__file__).parents[2] / "roles" / "stacks"
KINDS = ("network", "secret", "config", "stack")
# What is not for the role: what has one value only, what acts at every run, the other word for
# `wait`, what the action plugin fills in, and what concerns one node only.
LEFT_OUT = {
    "network": {"scope"},
    "secret": {"force"},
    "config": {"force"},
    "stack": {"detach", "objects", "remove_volumes"},
}
# The action plugin takes it in other forms than the list as well.
RAW = {"compose": {"type": "raw"}}

every_kind = pytest.mark.parametrize("kind", KINDS)


def load(path: str) -> Any:
    return yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))


def tasks_of(kind: str) -> list[Mapping[str, Any]]:
    """The options of each task with the module."""
    return [
        task[f"shoal.swarm.{kind}"]
        for task in flat(load("tasks/apply.yml"))
        if f"shoal.swarm.{kind}" in task
    ]


def flat(tasks: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The tasks, those in blocks included."""
    for task in tasks:
        yield task
        yield from flat(task.get("block", []))


def options_of(kind: str) -> dict[str, Any]:
    left_out = {*CONNECTION_ARGUMENTS, *LEFT_OUT.get(kind, ())}
    return {name: arg for name, arg in arguments(kind).items() if name not in left_out}


@every_kind
def test_an_entry_that_shall_be_there_gives_its_module_every_option(kind: str) -> None:
    (task,) = [task for task in tasks_of(kind) if "state" not in task]
    assert set(task) == set(options_of(kind)) - {"state"}
    for name, value in task.items():
        assert f"stacks__entry.{name}" in value


@every_kind
def test_an_entry_that_shall_go_is_removed_by_its_name(kind: str) -> None:
    (task,) = [task for task in tasks_of(kind) if "state" in task]
    assert task["state"] == "absent"
    assert set(task) <= set(options_of(kind))


@every_kind
def test_the_role_documents_the_options_of_the_module(kind: str) -> None:
    spec = load("meta/argument_specs.yml")["argument_specs"]["main"]["options"][f"stacks_{kind}s"]
    assert (spec["type"], spec["elements"]) == ("list", "dict")
    assert list(differences(spec["options"], options_of(kind))) == []


def differences(
    told: Mapping[str, Any], options: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for name in sorted({*told, *options}):
        if name not in told or name not in options:
            yield f"{prefix}{name} is only in one of the two"
            continue
        option = RAW.get(name, options[name])
        for part in ("type", "elements", "choices"):
            if told[name].get(part) != option.get(part):
                yield f"{prefix}{name}: {part}"
        if told[name].get("no_log", False) != option.get("no_log", False):
            yield f"{prefix}{name}: no_log"
        yield from differences(
            told[name].get("options", {}), options[name].get("options") or {}, f"{prefix}{name}."
        )
