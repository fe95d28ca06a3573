# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option of the ServiceSpec: set, run again, changed, cleared. The values are in a table."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._client import OLDEST_API, version_tuple
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import JOBS, ROWS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import equal, leaves, stored
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import Seen, ensure
from ansible_collections.shoal.swarm.tests.unit.memory_store import Document
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World, laid_over
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params
from ansible_collections.shoal.swarm.tests.unit.service_options import (
    CONFIGS,
    NOTHING,
    REFERRED,
    Entry,
    entries,
    get,
    prepare,
    raw_spec,
    with_ids,
)

ENTRIES = entries()
NEWEST = "1.52"
# What cannot stand beside the rest.
APART = ("credential_spec.file", "credential_spec.registry", "endpoint_mode")
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=[str(entry) for entry in ENTRIES])

CLEARABLE = [entry for entry in ENTRIES if entry.clear is not NOTHING]
clearable = pytest.mark.parametrize("entry", CLEARABLE, ids=[str(entry) for entry in CLEARABLE])
# What not all engines have that we speak to.
NEWER = [e for e in ENTRIES if version_tuple(e.known_since) > version_tuple(OLDEST_API)]


@dataclass
class Hosts:
    """A manager, and what the table's values refer to on it."""

    manager: Daemon
    ids: dict[str, str]

    def run(self, options: dict[str, Any], name: str = "web") -> Outcome[Seen]:
        given = with_ids(
            {"name": name, "wait": False, "resolve_image": "never", **options}, self.ids
        )
        run = Run(clock=self.manager.world.clock)
        return ensure(self.manager.engine, params("service", given), run)[0]

    def writes(self, options: dict[str, Any]) -> bool:
        """Whether the task with these options writes anything; it says what it does."""
        version, writes = self.version(), len(self.manager.world.writes)
        outcome = self.run(options)
        assert outcome.warnings == ()
        assert outcome.changed is (len(self.manager.world.writes) > writes)
        assert outcome.changed is (self.version() != version)
        return outcome.changed

    def version(self) -> int:
        services = self.manager.swarm_or_fail().services
        return services[0].version if services else 0

    def spec(self) -> Document:
        return copy.deepcopy(self.manager.swarm_or_fail().services[0].spec)

    def shown(self, options: dict[str, Any], option: str) -> Any:
        """How a task's result shows the option after the change."""
        (action,) = self.run(options).actions
        return action.after[option]


def hosts(api_version: str = NEWEST) -> Hosts:
    world = World()
    manager = world.host("node1", "10.0.0.11", api_version)
    manager.engine.swarm_init({"Spec": {}})
    return Hosts(manager, prepare(manager.engine))


def unordered(value: Any) -> Any:
    return sorted(value, key=json.dumps) if isinstance(value, list) else value


def is_stored(entry: Entry, spec: Document, value: Any) -> bool:
    return equal(entry.row, stored(spec, entry.row), value)


def without(entry: Entry, spec: Document) -> Document:
    """The spec without the entry's own field, and what the engine wants beside it."""
    rest = copy.deepcopy(spec)
    path = entry.row.path
    # Of its three parts there is one.
    own = path[:-1] if path[-2:-1] == ("CredentialSpec",) else path
    for gone in (own, *REFERRED.get(entry.option, ())):
        (get(rest, gone[:-1]) or {}).pop(gone[-1], None)
    return rest


def test_every_row_of_the_spec_has_values_in_the_table() -> None:
    assert {entry.option for entry in ENTRIES} == {name for name, _row in leaves(ROWS)}


@every_entry
def test_an_option_is_set_at_the_creation_with_the_oldest_api_that_knows_it(entry: Entry) -> None:
    here = hosts(entry.needs)
    options = entry.options(entry.value)
    assert here.writes({"image": "web:1", **options})
    stored_value = get(here.spec(), entry.row.path)
    assert unordered(stored_value) == unordered(with_ids(entry.stored, here.ids))
    for same in (entry.value, *entry.same):
        assert not here.writes(entry.options(same)), same


@every_entry
def test_an_option_changes_alone_and_what_is_shown_of_it_can_be_given(entry: Entry) -> None:
    here = hosts()
    here.writes({"image": "web:1", **entry.options(entry.value)})
    before = here.spec()
    shown = here.shown(entry.alone(entry.other), entry.option)
    after = here.spec()
    assert not is_stored(entry, after, with_ids(entry.stored, here.ids))
    assert without(entry, after) == without(entry, before)
    assert not here.writes(entry.alone(entry.other))
    if shown not in (None, ""):
        assert not here.writes(entry.alone(shown)), shown
    assert here.writes(entry.alone(entry.value))
    assert here.spec() == before


@clearable
def test_an_option_is_cleared_and_then_it_is_the_engines_default(entry: Entry) -> None:
    here = hosts()
    assert here.writes({"image": "web:1", **entry.options(entry.value)})
    before = here.spec()
    assert here.writes(entry.alone(entry.clear))
    assert is_stored(entry, here.spec(), stored({}, entry.row))
    assert without(entry, here.spec()) == without(entry, before)
    assert not here.writes(entry.alone(entry.clear))


@clearable
def test_the_default_is_not_written_where_nothing_is_stored(entry: Entry) -> None:
    here = hosts()
    bare = {"ContainerSpec": {"Image": "web:1"}}
    mode = "ReplicatedJob" if entry.mode in JOBS else "Replicated"
    here.manager.engine.service_create({"Name": "web", "TaskTemplate": bare, "Mode": {mode: {}}})
    assert not here.writes(entry.alone(entry.clear))
    group = entry.option.partition(".")[0]
    if group != entry.option:
        assert not here.writes({group: {}})


@every_entry
def test_over_a_service_of_somebody_else_an_option_changes_alone(entry: Entry) -> None:
    here = hosts()
    theirs = everything(here.ids)
    if entry.mode in JOBS:
        theirs["Mode"] = {"ReplicatedJob": {"TotalCompletions": 1, "MaxConcurrent": 7}}
        del theirs["UpdateConfig"], theirs["RollbackConfig"]
    if entry.row.path[-2:-1] == ("CredentialSpec",):
        # It has one of three parts.
        del theirs["TaskTemplate"]["ContainerSpec"]["Privileges"]["CredentialSpec"]
    if entry.option == "endpoint_mode":
        del theirs["EndpointSpec"]["Ports"]
    here.manager.engine.service_create(theirs)
    before = here.spec()
    value = (
        entry.other if is_stored(entry, before, with_ids(entry.stored, here.ids)) else entry.value
    )
    here.writes(entry.alone(value))
    assert without(entry, here.spec()) == without(entry, before)
    assert not here.writes(entry.alone(value))


def everything(ids: dict[str, str]) -> Document:
    """A spec with all that can be in one."""
    spec = raw_spec(ENTRIES[0], ids)
    for entry in reversed(ENTRIES):
        if entry.mode not in JOBS and entry.option not in APART:
            spec = laid_over(spec, raw_spec(entry, ids))
    config = next(entry for entry in ENTRIES if entry.option == "credential_spec.config")
    spec["TaskTemplate"]["ContainerSpec"]["Configs"] += get(raw_spec(config, ids), CONFIGS)
    return spec


@pytest.mark.parametrize("entry", NEWER, ids=[str(entry) for entry in NEWER])
def test_an_engine_that_is_too_old_is_named_with_what_the_option_needs(entry: Entry) -> None:
    older = f"1.{version_tuple(entry.known_since)[1] - 1}"
    here = hosts(older)
    text = rf"^{re.escape(entry.option)}.* needs Docker API {entry.known_since}, .*{older}"
    with pytest.raises(InvalidOption, match=text):
        here.run({"image": "web:1", **entry.alone(entry.value)})
    assert here.manager.world.writes[-1][2] != "/services/create"


@pytest.mark.parametrize("group", [row.name for row in ROWS if row.rows])
def test_a_group_given_empty_takes_its_object_away(group: str) -> None:
    here = hosts()
    entry = next(entry for entry in ENTRIES if entry.option.startswith(f"{group}."))
    assert here.writes({"image": "web:1", **entry.options(entry.value)})
    before = here.spec()
    assert here.writes({group: {}})
    path = next(row.path for row in ROWS if row.name == group)
    assert get(here.spec(), path) is None
    after = here.spec()
    for spec in (before, after):
        for gone in (path, *REFERRED.get(entry.option, ())):
            # The engine shows some of them as null.
            get(spec, gone[:-1]).pop(gone[-1], None)
    assert after == before
    assert not here.writes({group: {}})
