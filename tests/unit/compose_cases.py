# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the case files of compose files: what is written, and what comes of it.

A case of `cases/compose/SUBJECT.yml`:

    name         a few words
    service      the body of a file's one service, or services: that of more files to be merged
    document     a whole file instead, or documents: more of them
    environment  variables beside those that every case has; nothing takes one away
    files        path -> content
    strict       true: variables that are not set are errors
    gives        the service, or the sections of the document, that come of it
    version      of the document that comes of it, where it is not the newest
    stack        the top-level name
    warns        texts in the warnings, one each; without it there is none
    refused      instead of `gives`: a text in the error, or several
    cli          where `docker stack config` does not do the same: refuses, or what it does
                 instead
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._load import Source
from ansible_collections.shoal.swarm.plugins.plugin_utils._compose_yaml import parse

# Where the first compose file of every case is.
FOLDER = "/stack"
ENVIRONMENT = {"A": "a", "EMPTY": "", "NUMBER": "8080", "YES": "yes", "HOME": "/home/ann"}

_CASES = Path(__file__).parent / "cases" / "compose"

_INPUTS = {"service", "services", "document", "documents"}
_KEYS = _INPUTS | {
    "name",
    "environment",
    "files",
    "strict",
    "gives",
    "version",
    "stack",
    "warns",
    "refused",
    "cli",
}


def cases() -> list[dict[str, Any]]:
    return [case for file in sorted(_CASES.glob("*.yml")) for case in _of(file)]


def _of(file: Path) -> list[dict[str, Any]]:
    found = []
    for case in parse(file.read_bytes(), file.name):
        assert set(case) <= _KEYS, f"{file.name}: {case['name']}: {set(case) - _KEYS}"
        assert len(_INPUTS & set(case)) == 1, f"{file.name}: {case['name']}"
        assert ("gives" in case) != ("refused" in case), f"{file.name}: {case['name']}"
        found.append({**case, "id": f"{file.stem}: {case['name']}"})
    return found


def sources_of(case: Mapping[str, Any]) -> list[Source]:
    if "service" in case or "services" in case:
        bodies = [{"services": {"web": s}} for s in case.get("services") or [case["service"]]]
    else:
        bodies = case.get("documents") or [case["document"]]
    names = ["compose.yml", *(f"compose-{number}.yml" for number in range(1, len(bodies)))]
    return [Source(name, copy.deepcopy(body)) for name, body in zip(names, bodies)]


def files_of(case: Mapping[str, Any]) -> dict[str, bytes]:
    return {f"{FOLDER}/{path}": text.encode() for path, text in case.get("files", {}).items()}
