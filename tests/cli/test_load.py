# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our canonical document against the one that the docker CLI of this machine prints."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker_cli
import pytest
from test_convert import ENV, REFUSED, STACKS

from ansible_collections.shoal.swarm.plugins.module_utils._compose._load import (
    Source,
    files_wanted,
    load,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.plugin_utils._compose_yaml import parse
from ansible_collections.shoal.swarm.tests.unit.compose_cases import ENVIRONMENT, cases, sources_of

CASES = cases()
# What the CLI prints and a swarm ignores, or what is folded into another key.
IGNORED = set(
    "build cgroup_parent cgroupns_mode container_name depends_on devices domainname env_file "
    "expose external_links ipc links mac_address network_mode pid privileged security_opt shm_size "
    "tmpfs userns_mode".split()
)
NETWORK_IGNORED = {"ipv4_address", "ipv6_address"}


def honoured(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the CLI prints, without what a swarm ignores and without extensions."""
    whole = {key: dict(part) for key, part in document.items() if _is_section(key, part)}
    for section, definitions in whole.items():
        whole[section] = {
            name: _without(definition, IGNORED if section == "services" else set())
            for name, definition in definitions.items()
        }
    for service in whole["services"].values():
        for name, options in service.get("networks", {}).items():
            if options is not None:
                service["networks"][name] = _without(options, NETWORK_IGNORED)
    return {"version": document["version"], **whole}


def _is_section(key: str, part: Any) -> bool:
    return isinstance(part, Mapping) and not key.startswith("x-")


def _without(mapping: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {k: v for k, v in mapping.items() if k not in keys and not k.startswith("x-")}


def ours(files: Sequence[Path], environment: Mapping[str, str], strict: bool = False) -> Any:
    sources = [Source(file.name, parse(file.read_bytes(), file.name)) for file in files]
    folder = str(files[0].parent)
    wanted = [Path(file.path) for file in files_wanted(sources, environment, folder)]
    contents = {str(path): path.read_bytes() for path in wanted if path.exists()}
    return load(sources, environment, folder, contents, strict).document


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that says nothing of the CLI is what the CLI does, and one that does is not."""
    files = []
    for source in sources_of(case):
        files.append(tmp_path / source.file)
        files[-1].write_text(json.dumps(source.body))
    for path, text in case.get("files", {}).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(text.encode())
    given = {**ENVIRONMENT, **case.get("environment", {})}
    environment = {name: value for name, value in given.items() if value is not None}
    for name in os.environ.keys() - {"PATH"}:
        monkeypatch.delenv(name)
    if "cli" in case:
        expected = "refuses" if case["cli"] == "refuses" else "differs"
    else:
        expected = "refuses" if "refused" in case else "agrees"
    assert _verdict(case, files, environment) == expected


def _verdict(case: Mapping[str, Any], files: Sequence[Path], environment: Mapping[str, str]) -> str:
    try:
        printed = docker_cli.canonical(files, environment)
    except ValueError:
        return "refuses"
    try:
        loaded = ours(files, environment, case.get("strict", False))
    except InvalidOption:
        return "differs"
    return "agrees" if honoured(printed) == loaded else "differs"


@pytest.mark.parametrize("compose", [*STACKS, *REFUSED], ids=lambda path: path.stem)
def test_stack(compose: Path) -> None:
    printed = honoured(docker_cli.canonical([compose], ENV))
    assert ours([compose], {**os.environ, **ENV}, strict=compose in STACKS) == printed
