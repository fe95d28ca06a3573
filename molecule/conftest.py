# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' tests share: somebody else's infra repo, and the lab's hosts."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
# A host of each swarm that the tests work on.
ENGINES = os.environ.get("ENGINES", "node1 node4").split()
sys.path.insert(0, str(CHECKOUT / ".ansible/collections"))

from ansible_collections.shoal.swarm.tests.unit import modules_under_test

# The fixtures of one scenario, which its tests import as well.
pytest.register_assert_rewrite("stacks")

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


@contextlib.contextmanager
def changed_hosts(inventory: Path) -> Iterator[dict[str, Any]]:
    """The hosts of each group of the inventory, to be changed in its file."""
    file = inventory / "hosts.yml"
    content = yaml.safe_load(file.read_text())
    yield {name: group["hosts"] for name, group in content["all"]["children"].items()}
    file.write_text(yaml.safe_dump(content))


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


@dataclass(frozen=True)
class Engine:
    """One host's engine through SSH: our modules run here, and work on the real engine there."""

    host: str
    ssh: tuple[str, ...]
    socket: Path
    registry: str

    @property
    def is_connected(self) -> bool:
        return run(*self.ssh[:-1], "-O", "check", self.ssh[-1], check=False).returncode == 0

    def on(self, command: str, check: bool = True) -> str:
        return run(*self.ssh, command, check=check).stdout

    def cli(self, line: str, check: bool = True) -> str:
        done = run(*self.ssh, f"docker {line}", check=False)
        assert not check or done.returncode == 0, f"docker {line}: {done.stderr}"
        return done.stdout

    def module(self, name: str, /, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        return modules_under_test.run(name, f"unix://{self.socket}", check_mode, **options)

    def service(self, name: str, /, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        """The task's result; it shall not fail."""
        result = self.module("service", check_mode, name=name, **options)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, name: str, /, **options: Any) -> str:
        """The message of a task that shall fail."""
        result = self.module("service", False, name=name, **options)
        assert result.get("failed"), result
        assert "\n" not in result["msg"].partition("; the last lines of its log:")[0]
        return str(result["msg"])

    def refused_once(self, name: str, told: str, /, **options: Any) -> str:
        """The same, with a deadline that falls after this stands in the status of a task."""
        self.service(name, wait=False, **options)
        until(lambda: told in json.dumps([task["Status"] for task in self.tasks(name)]))
        return self.refused(name, wait_timeout=1, **options)

    def inspect(self, name: str) -> dict[str, Any]:
        return json.loads(self.cli(f"service inspect {name}"))[0]

    def tasks(self, name: str) -> list[dict[str, Any]]:
        ids = self.cli(f"service ps --quiet --no-trunc {name}").split()
        # One that is over may be forgotten by now: then it is just left out.
        shown = self.cli(f"inspect --type task {' '.join(ids)}", check=False) if ids else "[]"
        return json.loads(shown)

    def task_ids(self, name: str) -> set[str]:
        return {task["ID"] for task in self.tasks(name)}

    @property
    def api(self) -> tuple[int, ...]:
        version = self.cli("version --format '{{.Server.APIVersion}}'")
        return tuple(int(part) for part in version.split("."))

    def web(self, version: int = 1) -> str:
        return f"{self.registry}/web:{version}"


@pytest.fixture(scope="session")
def connect(
    inventory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Engine]]:
    """Opens the way to an engine, once for each host."""
    groups = yaml.safe_load((inventory / "hosts.yml").read_text())["all"]["children"]
    hosts = {name: data for group in groups.values() for name, data in group["hosts"].items()}
    variables = yaml.safe_load((inventory / "group_vars/all.yml").read_text())
    engines: dict[str, Engine] = {}
    # The path of a socket has 107 characters and no more.
    folder = Path(run("mktemp", "--directory").stdout.strip())

    def open_engine(host: str) -> Engine:
        # The way to a host that was killed is gone, also when the host is back.
        if host not in engines or not engines[host].is_connected:
            engines[host] = _open(host, hosts[host]["ansible_host"], variables, folder)
        return engines[host]

    yield open_engine
    for engine in engines.values():
        run(*engine.ssh[:-1], "-O", "exit", engine.ssh[-1], check=False)


def _open(host: str, address: str, variables: dict[str, Any], folder: Path) -> Engine:
    socket = folder / f"{host}.sock"
    ssh = (
        *("ssh", "-i", variables["ansible_ssh_private_key_file"]),
        *shlex.split(variables["ansible_ssh_common_args"]),
        *("-o", f"ControlPath={folder}/{host}.ssh"),
        f"{variables['ansible_user']}@{address}",
    )
    # In the background for as long as the tests run; it shall not hold on to our pipes.
    forward = (
        *ssh[:-1],
        "-M",
        "-f",
        "-N",
        "-o",
        "StreamLocalBindUnlink=yes",
        "-L",
        f"{socket}:/var/run/docker.sock",
        ssh[-1],
    )
    subprocess.run(forward, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Engine(host, ssh, socket, variables["lab_registry"])


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, connect: Callable[[str], Engine]) -> Engine:
    """The newer engine, in a swarm of three, and the older one, alone; or the newest, alone."""
    return connect(request.param)


@pytest.fixture(scope="session")
def swarm(connect: Callable[[str], Engine]) -> Engine:
    """A manager of the swarm of three."""
    return connect("node1")


@pytest.fixture
def name(request: pytest.FixtureRequest, connect: Callable[[str], Engine]) -> Iterator[str]:
    """A name for the test's service, which is removed after it on all swarms."""
    yield "web"
    for host in ENGINES:
        connect(host).cli("service rm web", check=False)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Tells how long it takes; pytest shows it with -rP."""
    started = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started:.0f} s")


def until(holds: Callable[[], Any], seconds: float = 120, pause: float = 0.5) -> Any:
    """Look until it holds; what then was seen."""
    deadline = time.monotonic() + seconds
    while True:
        seen = holds()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"does not hold within {seconds:g} s"
        time.sleep(pause)
