# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack on one of the lab's engines: deployed by us or by the docker CLI, and what is there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import pytest
from conftest import Engine, until

from ansible_collections.shoal.swarm.plugins.module_utils._compose._convert import convert
from ansible_collections.shoal.swarm.plugins.module_utils._compose._load import (
    Source,
    files_wanted,
    load,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import packed
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.plugin_utils._compose_yaml import parse

NAMESPACE = "com.docker.stack.namespace"
OWN_LABELS = "shoal.swarm/"
KINDS = ("services", "networks", "secrets", "configs")
# All tasks at once; and what lives longer than this has come up.
QUICK = {"update_config": {"monitor": "1s", "parallelism": 0}}
DIES = ["sh", "-c", "echo first line; echo out of luck >&2; exit 3"]
# Whose tasks die at once: that counts, however late it is told.
DYING = {"command": DIES, "deploy": {"update_config": {"monitor": "30s", "parallelism": 0}}}
# What the swarm itself writes into a network. It takes subnets of this size where none is given.
_ALLOCATED = "com.docker.network.driver.overlay.vxlanid_list"
_DEFAULT_SIZE = "/24"

# Of such tasks the swarm keeps a record for a while, and Engine 20.10 those of jobs for ever.
_OVER = ("complete", "shutdown", "failed", "rejected", "remove", "orphaned")

Document = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    engine: Engine
    name: str

    @cached_property
    def api(self) -> docker.APIClient:
        return docker.APIClient(base_url=f"unix://{self.engine.socket}", version="auto")

    # By us

    def task(
        self,
        compose: Any = None,
        check_mode: bool = False,
        env: Mapping[str, str] | None = None,
        strict: bool = False,
        **options: Any,
    ) -> Document:
        """The result of a task, be it good or bad; `compose` is a mapping or a file."""
        warnings: tuple[str, ...] = ()
        if compose is not None:
            try:
                options["objects"], warnings = _made(compose, self.name, env or {}, strict)
            except InvalidOption as error:
                return {"failed": True, "msg": str(error)}
        result = self.engine.module("stack", check_mode, name=self.name, **options)
        if warnings:
            result["warnings"] = [*warnings, *result.get("warnings", [])]
        return result

    def deploy(self, compose: Any = None, check_mode: bool = False, **options: Any) -> Document:
        """The result of a task that shall not fail."""
        result = self.task(compose, check_mode, **options)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, compose: Any, **options: Any) -> str:
        """The message of a task that shall fail."""
        result = self.task(compose, **options)
        assert result.get("failed"), result
        return str(result["msg"])

    def remove(self, check_mode: bool = False, **options: Any) -> Document:
        return self.deploy(check_mode=check_mode, state="absent", **options)

    # By the docker CLI

    def deploy_by_cli(self, file: str, environment: Mapping[str, str], refused: str = "") -> None:
        """Deploy a file of the engine's host. It does not wait, which is the CLI's default."""
        variables = shlex.join(f"{name}={value}" for name, value in environment.items())
        options = f"--resolve-image never --compose-file {file}"
        command = f"docker stack deploy {options} {self.name} 2>&1; echo status $?"
        said = self.engine.on(
            f'env -i PATH="$PATH" HOME="$HOME" {variables} sh -c {shlex.quote(command)}'
        )
        if refused:
            assert refused in said
        assert said.endswith("status 0\n") is not bool(refused), said

    def remove_by_cli(self) -> None:
        """Until none of its objects is left; its last tasks may still be stopping."""

        def is_gone() -> bool:
            self.engine.cli(f"stack rm {self.name}", check=False)
            return not any(map(self.found, KINDS))

        until(is_gone, pause=0.1)

    # What is there

    def found(self, kind: str) -> list[Document]:
        return getattr(self.api, kind)(filters={"label": f"{NAMESPACE}={self.name}"})

    @property
    def exists(self) -> bool:
        """Also while tasks of it are stopping."""
        alive = [
            task
            for task in self.tasks()
            if task.get("NodeID") and task["Status"]["State"] not in _OVER
        ]
        return any(self.found(kind) for kind in KINDS) or bool(alive)

    def names(self, kind: str) -> list[str]:
        """Without the stack's own name before them."""
        names = [_name(item).removeprefix(f"{self.name}_") for item in self.found(kind)]
        return sorted(names)

    def service(self, key: str) -> Document:
        return self.api.inspect_service(f"{self.name}_{key}")

    def image(self, key: str) -> str:
        """As it was written, without the digest."""
        image = self.service(key)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        return str(image).partition("@")[0]

    def objects(self) -> dict[str, dict[str, Document]]:
        """The specs by kind and name: with names for IDs, and without what the swarm adds."""
        found = {kind: self.found(kind) for kind in KINDS}
        names = {
            item.get("ID") or item["Id"]: f"ID of {_name(item)}"
            for kind in KINDS
            for item in getattr(self.api, kind)()
        }
        return {
            kind: {_name(item): _named(_spec(item), names) for item in items}
            for kind, items in found.items()
        }

    def versions(self) -> dict[str, Any]:
        """What moves with each write; a network cannot be written, only made anew."""
        return {
            f"{kind} {_name(item)}": item["Version"]["Index"] if "Version" in item else item["Id"]
            for kind in KINDS
            for item in self.found(kind)
        }

    def tasks(self) -> list[Document]:
        """All that the swarm still has, also of services that are gone."""
        return [
            task
            for task in self.api.tasks()
            if (task["Spec"]["ContainerSpec"].get("Labels") or {}).get(NAMESPACE) == self.name
        ]

    def task_errors(self) -> dict[str, str]:
        """What the tasks of each service tell, by its name."""
        tasks = self.tasks()
        return {
            _name(service): "; ".join(
                task["Status"].get("Err", "")
                for task in tasks
                if task["ServiceID"] == service["ID"]
            )
            for service in self.found("services")
        }

    def snapshot(self) -> Document:
        """Everything that a run that changes nothing shall leave as it is."""
        services = {
            _name(service): {key: service.get(key) for key in ("Spec", "PreviousSpec", "JobStatus")}
            for service in self.found("services")
        }
        return {"services": services, "versions": self.versions(), "tasks": self.task_ids()}

    def task_ids(self, with_jobs: bool = True) -> set[str]:
        """Those of the services that are there."""
        services = {service["ID"] for service in self.found("services")}
        return {
            task["ID"]
            for task in self.tasks()
            if task["ServiceID"] in services and (with_jobs or "JobIteration" not in task)
        }

    def within(self, key: str, command: str) -> str:
        """What the command prints in the newest container of the service on the engine's host."""
        label = f"com.docker.swarm.service.name={self.name}_{key}"
        container = f"$(docker ps --quiet --filter label={label} | head -1)"
        return self.engine.on(f"docker exec {container} {command}")


def _made(
    compose: Any, name: str, env: Mapping[str, str], strict: bool
) -> tuple[str, tuple[str, ...]]:
    """What the controller makes of the compose file, without a play; and its warnings."""
    if isinstance(compose, Path):
        source = Source(compose.name, parse(compose.read_bytes(), compose.name))
    else:
        source = Source("compose", compose)
    folder = str(compose.parent) if isinstance(compose, Path) else "/"
    files = {
        wanted.path: Path(wanted.path).read_bytes()
        for wanted in files_wanted([source], env, folder)
    }
    loaded = load([source], env, folder, files, strict)
    return packed(convert(loaded.document, name, files)), loaded.warnings


def _name(item: Document) -> str:
    return str(item["Spec"]["Name"] if "Spec" in item else item["Name"])


def _spec(item: Document) -> Document:
    if "Spec" in item:
        spec = dict(item["Spec"])
        labels = (spec.get("Labels") or {}).items()
        spec["Labels"] = {k: text for k, text in labels if not k.startswith(OWN_LABELS)}
        return spec
    asked = ("Name", "Driver", "Scope", "Internal", "Attachable", "Ingress", "ConfigOnly")
    options = {k: v for k, v in (item.get("Options") or {}).items() if k != _ALLOCATED}
    ipam = item["IPAM"]
    subnets = [pool.get("Subnet", "") for pool in ipam.get("Config") or []]
    return {
        **{key: item.get(key) for key in (*asked, "EnableIPv6", "Labels")},
        "Options": options,
        "IPAM": {
            "Driver": ipam["Driver"],
            "Options": ipam.get("Options"),
            "Subnets": [subnet for subnet in subnets if not subnet.endswith(_DEFAULT_SIZE)],
        },
    }


def _named(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _named(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [_named(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


@pytest.fixture
def stack(swarm: Engine) -> Iterator[Stack]:
    """A stack on the swarm of three."""
    stack = Stack(swarm, "shop")
    yield stack
    stack.remove_by_cli()


@pytest.fixture
def stack_on_each(engine: Engine) -> Iterator[Stack]:
    """A stack on the newer engine, and one on the older."""
    stack = Stack(engine, "shop")
    yield stack
    stack.remove_by_cli()
