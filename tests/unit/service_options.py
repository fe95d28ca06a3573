# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of a service's options, and values to try each with: service_options.yml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._client import (
    OLDEST_API,
    Engine,
    version_tuple,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    JOBS,
    JOBS_SINCE,
    REPLICATED,
    rows_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import Row, leaves
from ansible_collections.shoal.swarm.tests.unit.memory_store import Document
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import laid_over

FILE = Path(__file__).parent / "service_options.yml"
# What the values refer to; the IDs are put in the place of `<network front>` and so on.
_NETWORKS, _SECRETS, _CONFIGS = ("front", "back"), ("key", "other"), ("site", "motd")
# In place of a value that there is none of.
NOTHING = object()


@dataclass(frozen=True)
class Entry:
    """One option, with values; see the head of the file."""

    option: str
    value: Any
    stored: Any
    other: Any
    same: Sequence[Any]
    clear: Any
    beside: Mapping[str, Any]
    api: str
    idle: str

    @property
    def mode(self) -> str:
        return self.beside.get("mode", REPLICATED)

    @property
    def row(self) -> Row:
        return dict(leaves(rows_of(self.mode)))[self.option]

    @property
    def needs(self) -> str:
        """The oldest API with which all of it can be said."""
        versions = [OLDEST_API, self.row.since, *([self.api] if self.api else ())]
        return max([*versions, *([JOBS_SINCE] if self.mode in JOBS else ())], key=version_tuple)

    @property
    def known_since(self) -> str:
        """The API that came with this option, or with these values of it."""
        return max(self.row.since, self.api or self.row.since, key=version_tuple)

    def options(self, value: Any) -> dict[str, Any]:
        """What a task says: the option, and what it needs beside it."""
        return laid_over(self.beside, self.alone(value))

    def alone(self, value: Any) -> dict[str, Any]:
        for name in reversed(self.option.split(".")):
            value = {name: value}
        return value

    def __str__(self) -> str:
        return f"{self.option} {'+' if isinstance(self.value, (list, dict)) else self.value}"


def entries() -> list[Entry]:
    return [
        Entry(
            option=entry["option"],
            value=entry["value"],
            stored=entry["stored"],
            other=entry["other"],
            same=entry.get("same", ()),
            clear=entry.get("clear", NOTHING),
            beside=entry.get("with", {}),
            api=entry.get("api", ""),
            idle=entry.get("idle", ""),
        )
        for entry in yaml.safe_load(FILE.read_text(encoding="utf-8"))
    ]


def prepare(engine: Engine) -> dict[str, str]:
    """Create what the values refer to; the IDs by what stands for them in the file."""
    ids = {}
    for name in _NETWORKS:
        ids[f"<network {name}>"] = _create(engine, "networks", Name=name, Driver="overlay")["Id"]
    for name in _SECRETS:
        ids[f"<secret {name}>"] = _create(engine, "secrets", Name=name, Data="aHVzaA==")["ID"]
    for name in _CONFIGS:
        ids[f"<config {name}>"] = _create(engine, "configs", Name=name, Data="e30=")["ID"]
    return ids


def _create(engine: Engine, what: str, **body: str) -> Document:
    # No module of ours creates them yet, so that the client has no method for it.
    return engine._write("POST", f"/{what}/create", f"create one of the {what}", body=body)


def with_ids(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {name: with_ids(part, ids) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_ids(part, ids) for part in value]
    return ids.get(value, value) if isinstance(value, str) else value


def raw_spec(entry: Entry, ids: Mapping[str, str]) -> Document:
    """A spec in the API's own words that has the entry's value, and little else."""
    spec: Document = {
        "Name": "web",
        "Mode": {"Replicated": {"Replicas": 0}},
        "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}},
    }
    if entry.mode in JOBS:
        spec["Mode"] = {"ReplicatedJob": {}}
        # So that nothing runs.
        spec["TaskTemplate"]["Placement"] = {"Constraints": ["node.labels.none==1"]}
    for option, stored in REFERRED.get(entry.option, {}).items():
        put(spec, option, with_ids(stored, ids))
    put(spec, entry.row.path, with_ids(entry.stored, ids))
    return spec


CONFIGS = ("TaskTemplate", "ContainerSpec", "Configs")
_LIMITS = ("TaskTemplate", "Resources", "Limits")
# What the engine wants beside a value, by the option.
REFERRED: Mapping[str, Mapping[tuple[str, ...], Any]] = {
    "credential_spec.config": {
        CONFIGS: [{"ConfigID": "<config site>", "ConfigName": "site", "Runtime": {}}]
    },
    "limits.swap": {_LIMITS: {"MemoryBytes": 2**26}},
}


def put(document: Document, path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        document = document.setdefault(key, {})
    document[path[-1]] = value


def get(document: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
