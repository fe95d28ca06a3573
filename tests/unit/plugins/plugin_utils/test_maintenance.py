# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role maintenance and its playbooks decide, as their own files say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.shoal.swarm.tests.unit import modules_under_test

ROOT = Path(modules_under_test.__file__).parents[2]
OLD, DEAF, MENDED = "28.5.2", "29.1.3", "29.2.1"


def load(path: str) -> Any:
    return DataLoader().load_from_file(str(ROOT / path), trusted_as_template=True)


def evaluate(expression: str, **variables: Any) -> Any:
    templar = Templar(DataLoader(), variables=variables)
    return templar.evaluate_expression(trust_as_template(expression))


def is_refused(version: Any, running: list[str], is_encrypted: bool = True) -> bool:
    """Whether the playbook upgrade refuses the version, where engines of these versions run."""
    (task,) = [
        task
        for task in load("playbooks/upgrade.yml")[0]["tasks"]
        if "encrypted" in task.get("vars", {})
    ]
    shop = {"Name": "shop", "Options": {"encrypted": ""} if is_encrypted else {}}
    variables = {
        **task["vars"],
        "engine_version": version,
        "upgrade_networks": {"json": [shop, {"Name": "ingress", "Options": None}]},
        "maintenance__swarm": {"nodes": [{"engine_version": each} for each in running]},
    }
    conditions = task["ansible.builtin.assert"]["that"]
    return not all(evaluate(condition, **variables) for condition in conditions)


@pytest.mark.parametrize(
    ("version", "running", "refused"),
    [
        ("28.5.2", [OLD, "20.10.24+dfsg1"], False),
        ("5:28.5.2-1~debian.12~bookworm", [OLD], False),
        ("29.0.0", [OLD], True),
        ("29.1.3", [OLD], True),
        ("5:29.1.3-1~debian.12~bookworm", [OLD], True),
        ("29.2.0", [OLD], True),
        ("29.2.1", [OLD], False),
        ("29.10.0", [OLD], False),
        ("29.1.5", [DEAF], False),
        ("29.2.1", [DEAF], True),
        ("28.5.2", [DEAF], True),
        # A run that broke off when the first one was another release.
        ("29.2.1", [DEAF, MENDED], True),
        # What each of these installs nobody can tell.
        ("29", [OLD], True),
        ("29.", [OLD], True),
        ("29*", [OLD], True),
        ("29.2", [OLD], True),
        (29.1, [OLD], True),
        ("28.5", [OLD], True),
    ],
)
def test_engines_that_cannot_read_each_other_on_encrypted_networks(
    version: Any, running: list[str], refused: bool
) -> None:
    assert is_refused(version, running) is refused
    assert not is_refused(version, running, is_encrypted=False)


@pytest.mark.parametrize(
    ("managers", "reachable", "may_stop", "may_leave"),
    [
        (1, 1, True, False),
        (2, 2, False, True),
        (3, 3, True, True),
        (3, 2, False, False),
        (4, 4, True, True),
        (4, 3, False, True),
        (5, 3, False, False),
        (5, 4, True, True),
    ],
)
def test_a_manager_that_is_away_is_counted_and_one_that_has_left_is_not(
    managers: int, reachable: int, may_stop: bool, may_leave: bool
) -> None:
    tolerates = reachable - (managers // 2 + 1)
    variables = {
        **load("roles/maintenance/vars/main.yml"),
        **load("roles/maintenance/defaults/main.yml"),
        # As -e gives it.
        "maintenance_force": "false",
        "maintenance__node": {"role": "manager"},
        "maintenance__swarm": {
            "quorum": {"managers": managers, "reachable": reachable, "tolerates": tolerates}
        },
    }
    for is_leaving, expected in ((False, may_stop), (True, may_leave)):
        variables["maintenance__is_leaving"] = is_leaving
        assert evaluate("maintenance__is_dispensable", **variables) is expected


@pytest.mark.parametrize(
    ("labels", "availability", "state"),
    [
        ({}, "pause", "active"),
        ({"shoal.swarm/availability": "pause"}, "pause", "paused"),
        # Somebody had drained it before the run that broke off.
        ({"shoal.swarm/availability": "drain"}, "drain", "drained"),
    ],
)
def test_a_node_becomes_what_it_was(labels: dict[str, str], availability: str, state: str) -> None:
    node = {"labels": labels, "availability": "pause"}
    variables = {**load("roles/maintenance/vars/main.yml"), "maintenance__node": node}
    assert evaluate("maintenance__availability", **variables) == availability
    assert evaluate("maintenance__state", **variables) == state
    assert evaluate("maintenance__is_unfinished", **variables) is bool(labels)


def test_what_is_not_fit_is_named() -> None:
    nodes = [
        {"hostname": "m1", "role": "manager", "state": "ready", "reachability": "reachable"},
        {"hostname": "m2", "role": "manager", "state": "down", "reachability": "unreachable"},
        {"hostname": "w1", "role": "worker", "state": "down", "reachability": ""},
        {"hostname": "w2", "role": "worker", "state": "ready", "reachability": ""},
    ]
    variables = {
        **load("roles/maintenance/vars/main.yml"),
        "maintenance__swarm": {"nodes": nodes},
        "ansible_play_hosts": ["m1", "w2"],
        "hostvars": {
            "m1": {"maintenance__host": {}},
            "w2": {"maintenance__host": {"unreachable": True}},
        },
    }
    assert evaluate("maintenance__unfit", **variables) == [
        "m2 (down, unreachable)",
        "w1 (down)",
        "w2 (does not answer)",
    ]
    variables["maintenance__concerned"] = ["manager"]
    assert "w1 (down)" not in evaluate("maintenance__unfit", **variables)
