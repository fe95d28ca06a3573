# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the cases of stacks: canonical compose documents, and what the API gets of them.

A case of `cases/convert/*.yml`:

    name         a sentence
    service      the service `web`, over the image app:1; or else
    services     all of them
    networks, volumes, secrets, configs
                 as in the document
    files        path -> text of the files that it names
    spec         dotted path -> what the spec of shop_web holds there, without IDs; null for nothing
    makes        kind of object -> full name -> body; all that are made of that kind
    external     kind of object -> names of those that must exist; none where it does not say
    refused      instead of spec and makes: a text in the error
    unlike_cli   where `docker stack deploy` does something else: what

Every document is one that the CLI reads as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

STACK = "shop"
_FOLDER = Path(__file__).parent / "cases" / "convert"
_SECTIONS = ("networks", "volumes", "secrets", "configs")
_RESULTS = ("spec", "makes", "external", "refused", "unlike_cli")


@dataclass(frozen=True)
class Case:
    name: str
    document: Mapping[str, Any]
    files: Mapping[str, bytes]
    spec: Mapping[str, Any]
    makes: Mapping[str, Mapping[str, Any]]
    external: Mapping[str, list[str]]
    refused: str
    unlike_cli: str


def cases() -> list[Case]:
    return [case for file in sorted(_FOLDER.glob("*.yml")) for case in _of(file)]


def _of(file: Path) -> list[Case]:
    return [_case(case) for case in yaml.safe_load(file.read_text(encoding="utf-8"))]


def _case(case: Mapping[str, Any]) -> Case:
    unknown = set(case) - {"name", "service", "services", "files", *_SECTIONS, *_RESULTS}
    assert not unknown, f"{case['name']}: {unknown}"
    expected = [key for key in ("spec", "makes", "refused") if key in case]
    assert expected, f"{case['name']}: expects nothing"
    assert "refused" not in case or expected == ["refused"], case["name"]
    services = case.get("services") or {"web": {"image": "app:1", **case["service"]}}
    sections = {key: case[key] for key in _SECTIONS if key in case}
    return Case(
        name=case["name"],
        document={"version": "3.13", "services": services, **sections},
        files={path: text.encode() for path, text in case.get("files", {}).items()},
        spec=case.get("spec", {}),
        makes=case.get("makes", {}),
        external=case.get("external", {}),
        refused=case.get("refused", ""),
        unlike_cli=case.get("unlike_cli", ""),
    )
