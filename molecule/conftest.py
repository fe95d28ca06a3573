# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' tests share: somebody else's infra repo, and the lab's hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
SITE = """\
- name: Bring up the swarm
  ansible.builtin.import_playbook: shoal.swarm.site
"""


def run(*command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=check, **options)


@dataclass(frozen=True)
class Recap:
    """How one run of a playbook ended."""

    returncode: int
    output: str

    def counts(self, name: str) -> dict[str, int]:
        """By host: how many tasks were `changed`, `failed`, and so on."""
        recap = self.output.rpartition("PLAY RECAP")[2]
        found = re.findall(rf"^(\S+)\s+:.*?\b{name}=(\d+)", recap, re.MULTILINE)
        return {host: int(number) for host, number in found}


@dataclass(frozen=True)
class Infra:
    """An infra repo with a two-line site.yml, and with nothing of ours but the built artifact."""

    folder: Path
    inventory: Path

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of ours: neither the settings nor the collection of the checkout."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "MOLECULE_"))}
        return {
            **kept,
            "ANSIBLE_HOME": str(self.folder / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def install(self, source: Path) -> None:
        """Build the collection and install the artifact."""
        galaxy = ("ansible-galaxy", "collection")
        options: dict[str, Any] = {"cwd": self.folder, "env": self.environment}
        run(*galaxy, "build", "--output-path", str(self.folder), str(source), **options)
        (artifact,) = self.folder.glob("shoal-swarm-*.tar.gz")
        installed = str(self.folder / "collections")
        run(*galaxy, "install", "--offline", "-p", installed, str(artifact), **options)

    def start(
        self,
        *arguments: str,
        inventory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["ansible-playbook", "-i", str(inventory or self.inventory), *arguments],
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def play(
        self,
        *arguments: str,
        inventory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Recap:
        return finish(self.start(*arguments, inventory=inventory, environment=environment))

    def site(self, *arguments: str, inventory: Path | None = None) -> Recap:
        return self.play("site.yml", *arguments, inventory=inventory)


def finish(process: subprocess.Popen[str]) -> Recap:
    output, _nothing = process.communicate()
    # Shown by pytest where a test fails.
    print(output)
    return Recap(process.returncode, output)


@pytest.fixture(scope="session")
def inventory() -> Path:
    return CHECKOUT / ".lab" / os.environ["LAB_NAME"] / "inventory"


@pytest.fixture(scope="session")
def infra(tmp_path_factory: pytest.TempPathFactory, inventory: Path) -> Infra:
    infra = Infra(tmp_path_factory.mktemp("infra"), inventory)
    infra.install(CHECKOUT)
    (infra.folder / "site.yml").write_text(SITE)
    return infra


@dataclass(frozen=True)
class Lab:
    """The lab's hosts, by their names in the inventory."""

    inventory: Path

    def command(self, *arguments: str) -> str:
        return run(sys.executable, "lab/lab.py", *arguments, cwd=CHECKOUT).stdout

    def try_on(self, host: str, command: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, "lab/lab.py", "ssh", host, command, check=False, cwd=CHECKOUT)

    def on(self, host: str, command: str) -> str:
        done = self.try_on(host, command)
        assert done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def docker(self, host: str, *path: str) -> Any:
        """What `docker ... --format json`-like inspection says, from the API's own documents."""
        return json.loads(self.on(host, f"sudo docker {' '.join(path)}"))

    def hosts(self, group: str) -> list[str]:
        groups = yaml.safe_load((self.inventory / "hosts.yml").read_text())["all"]["children"]
        return list(groups[group]["hosts"])

    def address(self, host: str) -> str:
        return self.command("address", host).strip()

    def nodes(self, host: str) -> dict[str, dict[str, Any]]:
        """The swarm's nodes by name, as this manager sees them."""
        ids = self.on(host, "sudo docker node ls --quiet").split()
        found = self.docker(host, "node", "inspect", *ids)
        return {node["Description"]["Hostname"]: node for node in found}

    def swarm(self, host: str) -> dict[str, Any]:
        return self.docker(host, "info", "--format", "'{{json .Swarm}}'")

    def leader(self, managers: list[str]) -> str:
        nodes = self.nodes(managers[0])
        (name,) = [n for n, node in nodes.items() if node.get("ManagerStatus", {}).get("Leader")]
        return name


@pytest.fixture(scope="session")
def lab(inventory: Path) -> Lab:
    return Lab(inventory)
