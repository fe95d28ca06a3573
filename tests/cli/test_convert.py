# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our objects against those that the docker CLI of this machine sends for the same document."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker_cli
import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._compose import _convert
from ansible_collections.shoal.swarm.plugins.module_utils._compose._convert import convert
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import Stack, resolved
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.tests.unit.convert_cases import STACK, Case, cases

STACKS = sorted(Path(__file__).parent.glob("stacks/*.yml"))
# What can be read and not deployed; it is as its authors wrote it, which no linter would take.
REFUSED = sorted(Path(__file__).parent.glob("stacks/refused/*.compose"))
ENV = {"DOMAIN": "shop.example", "TAG": "2.1", "REPLICAS": "3"}
# Fields of a network that the CLI sends and that say nothing.
SILENT = {"Scope": "", "Ingress": False, "ConfigOnly": False}


def objects(stack: Stack) -> dict[str, Mapping[str, dict[str, Any]]]:
    """As the CLI would send them."""
    secrets, configs = (
        {name: (name, docker_cli.id_of(kind, name)) for name in (*made, *external)}
        for kind, made, external in (
            ("secret", stack.secrets, stack.external_secrets),
            ("config", stack.configs, stack.external_configs),
        )
    )
    return {
        "services": {n: resolved(s, {}, secrets, configs) for n, s in stack.services.items()},
        "networks": {name: {**SILENT, **body} for name, body in stack.networks.items()},
        "secrets": stack.secrets,
        "configs": stack.configs,
    }


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path) -> None:
    """A case that says nothing of the CLI is what the CLI does, and one that does is not."""
    text = yaml.safe_dump(dict(case.document))
    for path, data in case.files.items():
        file = tmp_path / Path(path).name
        file.write_bytes(data)
        text = text.replace(path, str(file))
    compose = tmp_path / "compose.yml"
    compose.write_text(text)
    sent = docker_cli.deployed([compose], STACK)
    if case.refused:
        is_like = bool(sent.refused)
    else:
        ours = objects(convert(case.document, STACK, case.files))
        is_like = not sent.refused and sent.objects == ours
        if not case.unlike_cli:
            assert sent.refused == ""
            assert sent.objects == ours
    assert is_like != bool(case.unlike_cli)


def files_of(document: Mapping[str, Any]) -> dict[str, bytes]:
    return {
        definition["file"]: Path(definition["file"]).read_bytes()
        for kind in ("secrets", "configs")
        for definition in document.get(kind, {}).values()
        if "file" in definition
    }


@pytest.mark.parametrize("compose", REFUSED, ids=lambda path: path.stem)
def test_what_the_cli_refuses_is_refused(compose: Path) -> None:
    document = docker_cli.canonical([compose], ENV)
    with pytest.raises(InvalidOption) as caught:
        convert(document, STACK, files_of(document))
    # Here as there it is an undeclared volume.
    assert "there is no volume 'datavolume'" in str(caught.value)
    assert 'undefined volume "datavolume"' in docker_cli.deployed([compose], STACK, ENV).refused


@pytest.mark.parametrize("compose", REFUSED, ids=lambda path: path.stem)
def test_what_engines_refuse_is_converted_alike(
    compose: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all declared that it names; no engine would take the mounts, ports and constraints."""
    declared = tmp_path / "stacks/compose.yml"
    declared.parent.mkdir()
    (tmp_path / "files").symlink_to(compose.parent.parent / "files")
    text = compose.read_text()
    for key, name in (("volumes", "datavolume"), ("networks", "other-other-network")):
        text = text.replace(f"\n{key}:\n", f"\n{key}:\n  {name}:\n")
    declared.write_text(text)
    monkeypatch.setattr(_convert, "refuse_service", lambda _key, _spec: None)
    document = docker_cli.canonical([declared], ENV)
    found = objects(convert(document, STACK, files_of(document)))
    sent = docker_cli.deployed([declared], STACK, ENV)
    for made in (found, sent.objects):
        for spec in made["services"].values():
            # Those of one number are in the order of the file there.
            spec["EndpointSpec"]["Ports"].sort(key=repr)
    assert set(sent.objects["services"]) == {f"{STACK}_foo"}
    assert found == sent.objects


@pytest.mark.parametrize("compose", STACKS, ids=lambda path: path.stem)
def test_stack(compose: Path) -> None:
    document = docker_cli.canonical([compose], ENV)
    files = files_of(document)
    sent = docker_cli.deployed([compose], STACK, ENV)
    assert sent.refused == ""
    assert sent.objects == objects(convert(document, STACK, files))
