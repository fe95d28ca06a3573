# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role stacks on a swarm that is there: what stacks share, from its making to its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Infra, Lab, Recap, until

PLAY = """\
- name: Deploy
  hosts: swarm_workers:swarm_managers
  become: true
  gather_facts: false
  roles: [shoal.swarm.stacks]
"""
COMPOSE: dict[str, Any] = {
    "services": {
        "web": {
            "image": "${REGISTRY}/web:1",
            "networks": ["public"],
            "secrets": ["key"],
            "configs": ["motd"],
        }
    },
    "networks": {"public": {"external": True, "name": "role-public"}},
    "secrets": {"key": {"external": True, "name": "${KEY}"}},
    "configs": {"motd": {"external": True, "name": "role-motd"}},
}
HIDDEN = ("hush-first", "hush-second", "hush-login")


@pytest.fixture(scope="module")
def play(infra: Infra) -> str:
    """The play's file, with the compose file in the folder from which it is started."""
    (infra.folder / "stacks.yml").write_text(PLAY)
    (infra.folder / "shop.yml").write_text(json.dumps(COMPOSE))
    return "stacks.yml"


def variables(state: str = "present", content: str = HIDDEN[0]) -> str:
    stack = {
        "name": "role-shop",
        "state": state,
        "compose": "shop.yml",
        "env": {"REGISTRY": "{{ lab_registry }}", "KEY": "{{ stacks_secret_names['role-key'] }}"},
    }
    secret = {"name": "role-key", "state": state, "data": content, "rolling_versions": True}
    return json.dumps(
        {
            "stacks_registries": [
                {"registry": "registry.example.com", "username": "us", "password": HIDDEN[2]}
            ],
            "stacks_networks": [{"name": "role-public", "state": state}],
            "stacks_secrets": [secret],
            "stacks_configs": [{"name": "role-motd", "state": state, "data": "hello"}],
            "stacks_stacks": [stack],
        }
    )


def run(infra: Infra, play: str, *more: str, **changes: str) -> Recap:
    recap = infra.play(play, "-e", variables(**changes), "-vvv", *more)
    assert recap.returncode == 0
    # Not even with -vvv, but for the command line that is printed there.
    told = recap.output.partition("PLAYBOOK: ")[2]
    assert not [secret for secret in HIDDEN if secret in told]
    return recap


def changed(recap: Recap) -> int:
    return sum(recap.counts("changed").values())


def there(lab: Lab) -> dict[str, list[str]]:
    def names(kind: str) -> list[str]:
        found = lab.on("node2", f"sudo docker {kind} ls --format '{{{{.Name}}}}'").split()
        return [name for name in found if name.startswith("role-")]

    return {kind: names(kind) for kind in ("network", "secret", "config", "service")}


def secret_of_web(lab: Lab) -> str:
    (web,) = lab.docker("node2", "service", "inspect", "role-shop_web")
    (reference,) = web["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    return reference["SecretName"]


def test_check_mode_tells_what_it_cannot_try(infra: Infra, lab: Lab, play: str) -> None:
    recap = run(infra, play, "--check", "--diff")
    assert "role-shop would be deployed: networks: the external network role-public" in recap.output
    assert changed(recap) == 4
    assert there(lab) == {"network": [], "secret": [], "config": [], "service": []}


def test_what_stacks_share_is_made_before_them(infra: Infra, lab: Lab, play: str) -> None:
    assert changed(run(infra, play)) == 4
    assert there(lab) == {
        "network": ["role-public"],
        "secret": ["role-key"],
        "config": ["role-motd"],
        "service": ["role-shop_web"],
    }


@pytest.mark.parametrize("mode", ["--check", "--diff"])
def test_a_second_run_has_nothing_to_do(infra: Infra, play: str, mode: str) -> None:
    assert changed(run(infra, play, mode)) == 0


def test_any_manager_serves_also_from_outside_the_play(infra: Infra, play: str) -> None:
    assert changed(run(infra, play, "--limit", "node5")) == 0


def test_a_shared_secret_is_rotated_and_the_stack_follows(
    infra: Infra, lab: Lab, play: str
) -> None:
    assert changed(run(infra, play, content=HIDDEN[1])) == 2
    assert secret_of_web(lab) == "role-key_v2"
    # The first version is still there, and is used again.
    assert changed(run(infra, play)) == 1
    assert secret_of_web(lab) == "role-key"


def test_all_of_it_goes_in_the_reverse_order(infra: Infra, lab: Lab, play: str) -> None:
    recap = run(infra, play, "--check", state="absent")
    assert "role-motd, role-key, role-public would be removed." in recap.output
    assert changed(recap) == 2
    assert changed(run(infra, play, state="absent")) == 4
    # A host shows a network that the swarm has no more until it has cleared up after its last task.
    until(lambda: not there(lab)["network"])
    assert there(lab) == {"network": [], "secret": [], "config": [], "service": []}
    assert changed(run(infra, play, state="absent")) == 0


def test_empty_lists_ask_no_host_for_anything(infra: Infra, play: str) -> None:
    recap = infra.play(play)
    assert recap.returncode == 0
    # Only the arguments are looked at, on the controller.
    assert set(recap.counts("ok").values()) == {1}
    assert changed(recap) == 0


def test_without_a_swarm_it_says_so(infra: Infra, play: str, tmp_path: Path) -> None:
    recap = infra.play(play, "-e", variables(), "-e", "stacks_manager_group=lab_outsiders")
    assert recap.returncode != 0
    assert "No manager that has a quorum was found in the group lab_outsiders" in recap.output
