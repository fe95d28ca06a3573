# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option on a real engine: set, run again, changed, cleared. The values are the unit tests'.

All services are there at once: what takes long is to start their containers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from conftest import Engine, until

from ansible_collections.shoal.swarm.plugins.module_utils._client import version_tuple
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import GLOBAL, REPLICATED
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import equal, stored
from ansible_collections.shoal.swarm.tests.unit.service_options import (
    NOTHING,
    Entry,
    entries,
    with_ids,
)

NAMED = {f"option-{number}": entry for number, entry in enumerate(entries())}


def usable(engine: Engine) -> dict[str, Entry]:
    api = engine.api
    return {name: entry for name, entry in NAMED.items() if version_tuple(entry.needs) <= api}


class Table:
    """The services of the table on one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.entries = usable(engine)
        self.ids = {
            f"<{kind} {name}>": self.object_id(kind, name)
            for kind, names in (
                ("network", ("front", "back")),
                ("secret", ("key", "other")),
                ("config", ("site", "motd")),
            )
            for name in names
        }

    def object_id(self, kind: str, name: str) -> str:
        (found,) = json.loads(self.engine.cli(f"{kind} inspect {name}"))
        return str(found.get("Id") or found["ID"])

    def given(self, options: Mapping[str, Any]) -> dict[str, Any]:
        given = with_ids(options, self.ids)
        if str(given.get("image", "")).endswith(("web:1", "web:2")):
            given["image"] = f"{self.engine.registry}/web:{given['image'][-1]}"
        return given

    def task(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        return self.engine.service(name, wait=False, **self.given(options))

    def create(self, name: str) -> None:
        entry = self.entries[name]
        options = {"image": "web:1", "command": "sleep 10000", "stop_grace_period": "1s"}
        if entry.mode == REPLICATED and entry.option != "replicas":
            options["replicas"] = 0 if entry.idle else 1
        elif entry.mode != GLOBAL and entry.idle:
            options["placement"] = {"constraints": ["node.labels.none==1"]}
        self.task(name, {**options, **entry.options(entry.value)})

    def services(self) -> dict[str, dict[str, Any]]:
        ids = self.engine.cli("service ls --quiet --filter name=option-").split()
        return {
            s["Spec"]["Name"]: s for s in json.loads(self.engine.cli(f"inspect {' '.join(ids)}"))
        }

    def versions(self) -> dict[str, int]:
        return {name: service["Version"]["Index"] for name, service in self.services().items()}

    def tasks(self) -> dict[str, str]:
        """The state of each task that is meant to run, by its name and ID."""
        names = " ".join(self.entries)
        shown = self.engine.cli(
            "service ps --no-trunc --filter desired-state=running "
            f"--format '{{{{.Name}}}}/{{{{.ID}}}}/{{{{.CurrentState}}}}' {names}"
        )
        return dict(line.rsplit("/", 1) for line in shown.splitlines())


@pytest.fixture(scope="module")
def table(engine: Engine) -> Any:
    table = Table(engine)
    for name in table.entries:
        table.create(name)
    yield table
    engine.cli(f"service rm {' '.join(table.entries)}")


def test_all_that_this_engine_can_is_tried(engine: Engine) -> None:
    api, here = engine.api, usable(engine)
    left_out = {entry.option for name, entry in NAMED.items() if name not in here}
    # What came with Engine 29.
    newest = {"limits.swap", "limits.swappiness"}
    newer = {*newest, "oom_score_adj", "mounts"}
    if api >= (1, 51):
        assert left_out <= newest
    else:
        assert left_out <= newer if api >= (1, 45) else newer <= left_out


def test_no_engine_yet_takes_an_image_as_a_mount(engine: Engine, name: str) -> None:
    mounts = [{"type": "image", "source": engine.web(2), "target": "/image"}]
    said = engine.refused(name, image=engine.web(), mounts=mounts)
    told = 'invalid MountType: "image"' if engine.api >= (1, 48) else "needs Docker API 1.48"
    assert told in said


def test_they_are_as_asked(table: Table) -> None:
    services = table.services()
    for name, entry in table.entries.items():
        expected = with_ids(entry.stored, table.ids)
        if entry.option == "image":
            expected = table.given({"image": entry.value})["image"]
        found = stored(services[name]["Spec"], entry.row)
        assert equal(entry.row, found, expected), (str(entry), found)


def test_again_nothing_is_written_and_nothing_restarts(table: Table) -> None:
    def all_run() -> dict[str, str]:
        tasks = table.tasks()
        starting = [t for t, state in tasks.items() if not state.startswith(("Running", "Pending"))]
        return {} if starting else tasks

    tasks = until(all_run, 600)
    versions = table.versions()
    for name, entry in table.entries.items():
        for value in (entry.value, *(entry.same if entry.option != "image" else ())):
            result = table.task(name, entry.options(value))
            assert not result["changed"], (str(entry), value, result["diff"])
    assert table.versions() == versions
    assert set(table.tasks()) == set(tasks)


def steps(entry: Entry) -> list[Any]:
    return [entry.other, *([] if entry.clear is NOTHING else [entry.value, entry.clear])]


@pytest.mark.parametrize("step", [0, 1, 2], ids=["change", "change back", "clear"])
def test_each_changes_alone_and_once(table: Table, step: int) -> None:
    tasks = {
        name: {
            **entry.alone(steps(entry)[step]),
            **({"replicas": 0} if entry.mode == REPLICATED and entry.option != "replicas" else {}),
        }
        for name, entry in table.entries.items()
        if step < len(steps(entry))
    }
    for name, options in tasks.items():
        result = table.task(name, options)
        assert result["changed"], options
        assert not result.get("warnings"), options
    versions = table.versions()
    for name, options in tasks.items():
        result = table.task(name, options)
        assert not result["changed"], (options, result["diff"])
    assert table.versions() == versions


def test_what_was_cleared_is_the_default(table: Table) -> None:
    services = table.services()
    for name, entry in table.entries.items():
        if entry.clear is not NOTHING:
            found = stored(services[name]["Spec"], entry.row)
            assert equal(entry.row, found, stored({}, entry.row)), (str(entry), found)
