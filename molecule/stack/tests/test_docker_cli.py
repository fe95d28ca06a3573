# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`docker stack deploy` beside shoal.swarm.stack: equal objects on real engines, and no restart.

The stacks are those of tests/cli; the CLI is that of the lab's host: 26.1 beside the newer engine,
20.10 beside the older. What a CLI cannot read yet it refuses, and the table says why.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from conftest import CHECKOUT, Engine, until
from stacks import Stack

from ansible_collections.shoal.swarm.plugins.module_utils._ready import of_last_run

sys.path.insert(0, str(CHECKOUT / "tests/cli"))

from test_convert import ENV, STACKS

pytest_plugins = ("stacks",)

# The newest schema that the CLI beside an engine has.
SCHEMAS = {"node1": "3.12", "node4": "3.9"}
# What that CLI refuses, by engine and stack.
REFUSED: dict[str, dict[str, str]] = {
    "node1": {
        # Its YAML is that of 1.1, in which N means false.
        "environment": "non-string key in services.map.environment: false",
        # Schema 3.13.
        "endpoint_options": "Additional property driver_opts is not allowed",
    },
    "node4": {
        "environment": "Non-string key in services.map.environment: false",
        "endpoint_options": "Additional property driver_opts is not allowed",
        "collector": "Additional property start_interval is not allowed",
        "health": "Additional property start_interval is not allowed",
        "jobs": "Unknown mode: ",
        "jobs_nightly": "Unknown mode: ",
    },
}
# What our own module refuses of it, for the engine does not know it.
REFUSED_BY_US: dict[str, dict[str, str]] = {
    "node1": {},
    "node4": {
        "collector": "healthcheck.start_interval",
        "health": "healthcheck.start_interval",
    },
}
# What an engine refuses, whoever asks for it.
REFUSED_BY_ENGINES = {"no_network": "could not find the corresponding predefined swarm network"}
# What no engine of the lab has the plugin for; it is asked for in vain for 15 seconds.
WITHOUT_PLUGIN = ("secret_driver",)
HERE = [compose for compose in STACKS if compose.stem not in WITHOUT_PLUGIN]
NETWORKS_OF_A_NODE = ("host", "bridge", "none")


def for_the_cli(text: str, schema: str) -> str:
    """The stack with a version that the CLI knows. Newer CLIs take the newest where none stands."""
    written = str((yaml.safe_load(text) or {}).get("version", "3.13"))
    if tuple(map(int, f"{written}.0".split(".")[:2])) <= tuple(map(int, schema.split("."))):
        return text
    kept = [line for line in text.splitlines() if not line.startswith("version:")]
    return "\n".join([f'version: "{schema}"', *(line for line in kept if line != "---"), ""])


@pytest.fixture(scope="module")
def idle(engine: Engine) -> Iterator[Engine]:
    """An engine that has the stacks' files, and whose swarm starts no task: they all wait.

    The files lie where they lie here, for some paths become part of the objects.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = STACKS[0].parent
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            text = path.read_text()
            if path in STACKS:
                text = for_the_cli(text, SCHEMAS[engine.host])
            member = tarfile.TarInfo(str(path.relative_to("/")))
            member.size, member.mode = len(text.encode()), 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    unpack = ["sudo", "tar", "--extract", "--directory", "/"]
    subprocess.run([*engine.ssh, *unpack], input=buffer.getvalue(), check=True)
    set_availability(engine, "drain")
    yield engine
    set_availability(engine, "active")


def set_availability(engine: Engine, availability: str) -> None:
    for node in engine.cli("node ls --quiet").split():
        engine.cli(f"node update --availability {availability} {node}")


def outside(document: dict[str, Any], section: str) -> Iterator[str]:
    """The names of what has to be there before the stack."""
    for key, definition in (document.get(section) or {}).items():
        external = (definition or {}).get("external")
        if external:
            named = external if isinstance(external, dict) else definition
            yield named.get("name", key)


@pytest.fixture
def stack(idle: Engine, compose: Path) -> Iterator[Stack]:
    stack = Stack(idle, compose.stem)
    api, document = stack.api, yaml.safe_load(compose.read_text())
    networks = set(outside(document, "networks")) - set(NETWORKS_OF_A_NODE)
    made = [
        *((api.remove_network, api.create_network(name, "overlay")["Id"]) for name in networks),
        *(
            (api.remove_secret, api.create_secret(name, b"hush")["ID"])
            for name in outside(document, "secrets")
        ),
        *(
            (api.remove_config, api.create_config(name, b"{}")["ID"])
            for name in outside(document, "configs")
        ),
    ]
    yield stack
    stack.remove_by_cli()

    def is_gone(remove: Callable[[str], Any], item: str) -> bool:
        # The tasks let go of it some time after their services have gone.
        with contextlib.suppress(docker.errors.APIError):
            remove(item)
            return True
        return False

    for remove, item in made:
        until(lambda remove=remove, item=item: is_gone(remove, item))


def settled(stack: Stack) -> dict[str, Any]:
    """A snapshot, once the swarm has made all tasks, and found addresses for all services."""

    def is_settled() -> bool:
        tasks = stack.tasks()
        return all(
            has_addresses(service) and len(tasks_of(service, tasks)) == due(service)
            for service in stack.found("services")
        )

    until(is_settled, pause=0.1)
    return stack.snapshot()


def tasks_of(service: dict[str, Any], tasks: list[dict[str, Any]]) -> Sequence[Any]:
    """Of a job those that it has now."""
    return of_last_run(service, [task for task in tasks if task["ServiceID"] == service["ID"]])


def due(service: dict[str, Any]) -> int:
    """How many tasks it has where no node takes any: none in the global modes."""
    mode = service["Spec"]["Mode"]
    job = mode.get("ReplicatedJob")
    if job is not None:
        return min(job.get("MaxConcurrent", 1), job.get("TotalCompletions", 1))
    return (mode.get("Replicated") or {}).get("Replicas", 0)


def has_addresses(service: dict[str, Any]) -> bool:
    asked = service["Spec"].get("EndpointSpec") or {}
    needs_none = asked.get("Mode") == "dnsrr" and not asked.get("Ports")
    return needs_none or bool(service["Endpoint"]["Spec"])


@pytest.mark.parametrize("compose", HERE, ids=lambda path: path.stem)
def test_objects_are_equal(stack: Stack, compose: Path) -> None:
    ours: dict[str, Any] = {
        "compose": compose,
        "env": ENV,
        "resolve_image": "never",
        "wait": False,
    }
    why_by_cli = REFUSED[stack.engine.host].get(compose.stem, "")
    why = REFUSED_BY_ENGINES.get(compose.stem) or REFUSED_BY_US[stack.engine.host].get(compose.stem)
    stack.deploy_by_cli(str(compose), ENV, refused=why_by_cli or why or "")
    if why:
        assert why in stack.refused(**ours)
        return
    if not why_by_cli:
        before = settled(stack)
        by_cli = stack.objects()
        assert stack.deploy(**ours)["changes"] == []
        assert stack.snapshot() == before
        stack.remove_by_cli()

    assert stack.deploy(**ours)["changed"]
    before = settled(stack)
    by_us = stack.objects()
    if not why_by_cli:
        assert by_us == by_cli
        tasks = stack.task_ids(with_jobs=False)
        stack.deploy_by_cli(str(compose), ENV)
        assert stack.objects() == by_us
        # A job runs again whenever its service is written, and the CLI always writes.
        assert stack.task_ids(with_jobs=False) == tasks
        before = settled(stack)
    assert stack.deploy(**ours)["changes"] == []
    assert stack.snapshot()["versions"] == before["versions"]
