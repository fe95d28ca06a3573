# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`docker service create` and `update` beside shoal.swarm.service: equal specs on a real engine."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Engine

ROWS = yaml.safe_load((Path(__file__).parent / "docker_cli.yml").read_text())
# What has no order, and stands in another one where the CLI goes by its flags.
UNORDERED = {"Env", "Groups", "Hosts", "Mounts", "Secrets", "Configs", "Ports", "Networks"}
UNORDERED |= {"Constraints", "GenericResources"}


def ordered(document: Any) -> Any:
    if isinstance(document, list):
        return [ordered(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        key: sorted(ordered(value), key=str) if key in UNORDERED else ordered(value)
        for key, value in document.items()
    }


def spec(engine: Engine, name: str) -> dict[str, Any]:
    found = copy.deepcopy(engine.inspect(name)["Spec"])
    del found["Name"]
    # Where we remember the key of a restart, the CLI remembers nothing.
    found["Labels"].pop("shoal.swarm/force_update", None)
    return ordered(found)


def written(engine: Engine, name: str) -> Any:
    """What is not the same after a write, even one of the same spec.

    The version moves as well when the swarm has found ports and addresses, some time after it.
    """
    found = engine.inspect(name)
    return found["Spec"], found.get("PreviousSpec")


@pytest.fixture
def names(engine: Engine) -> Any:
    yield ("by-cli", "by-us")
    engine.cli("service rm by-cli by-us", check=False)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["create"] or row.get("update", "image"))
def test_specs_are_equal(engine: Engine, names: tuple[str, str], row: Mapping[str, Any]) -> None:
    needs = tuple(int(part) for part in row.get("api", "1.30").split("."))
    api = engine.api
    if api < needs:
        # What came after Engine 26.1 is for the scenario newest.
        assert api < (1, 45) or needs == (1, 46)
        pytest.skip(f"the CLI of this engine lacks it: API {row['api']}")
    by_cli, by_us = names
    image, options = engine.web(), dict(row["options"])
    replicas = ""
    if "mode" not in options and "replicas" not in options:
        options["replicas"], replicas = 0, "--replicas 0"
    create = f"{replicas} {row['create']} {image} {row.get('args', '')}"

    engine.cli(f"service create --detach --name {by_cli} {create}")
    created = spec(engine, by_cli)
    before = written(engine, by_cli)
    assert not engine.service(by_cli, image=image, wait=False, **options)["changed"]
    assert written(engine, by_cli) == before
    if "update" in row:
        engine.cli(f"service update --detach {row['update']} {by_cli}")
        updated = spec(engine, by_cli)
        before = written(engine, by_cli)
        if "force_update" not in row["change"]:
            assert not engine.service(by_cli, wait=False, **row["change"])["changed"]
            assert written(engine, by_cli) == before
    # Only one of them may have the published ports.
    engine.cli(f"service rm {by_cli}")

    assert engine.service(by_us, image=image, wait=False, **options)["changed"]
    assert spec(engine, by_us) == created
    if "update" in row:
        result = engine.service(by_us, wait=False, **row["change"])
        assert result["changed"]
        assert not result.get("warnings")
        assert spec(engine, by_us) == updated
        before = written(engine, by_us)
        assert not engine.service(by_us, wait=False, **row["change"])["changed"]
        assert written(engine, by_us) == before
