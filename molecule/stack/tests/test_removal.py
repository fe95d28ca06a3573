# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack that goes is gone when the task ends, and can come back at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Engine, until
from stacks import QUICK, Stack

pytest_plugins = ("stacks",)


def document(engine: Engine) -> dict[str, Any]:
    """Tasks that take their time to end, on networks that they hold for as long."""
    slowly = "sh -c 'serve & server=$$!; trap \"sleep 1; kill $$server\" TERM; wait; wait'"
    service = {"image": engine.web(), "command": slowly, "networks": ["front", "back"]}
    return {
        "services": {
            "web": {**service, "configs": ["site"], "deploy": {**QUICK, "replicas": 2}},
            "api": {**service, "secrets": ["key"], "deploy": QUICK},
        },
        "networks": {"front": {}, "back": {"attachable": True}},
        "configs": {"site": {"content": "listen 80;"}},
        "secrets": {"key": {"environment": "KEY"}},
    }


def test_ten_times_in_a_row(stack: Stack) -> None:
    """Nothing of the one before is left that stands in the way of the next. Most are removed
    while their tasks still start."""
    for turn in range(10):
        deployed = stack.deploy(document(stack.engine), env={"KEY": "hush"}, wait=turn % 3 == 2)
        assert deployed["changed"]
        assert stack.remove()["changed"]
        assert not stack.exists
    assert not stack.remove()["changed"]


def test_a_check_removes_nothing(stack_on_each: Stack) -> None:
    stack = stack_on_each
    stack.deploy(document(stack.engine), env={"KEY": "hush"})
    before = stack.snapshot()
    checked = stack.remove(check_mode=True)
    assert stack.snapshot() == before
    removed = stack.remove()
    assert (checked["diff"], checked["changes"]) == (removed["diff"], removed["changes"])
    assert not stack.exists
    # What is not the stack's own stays: the scenario has made it.
    assert "front" in {network["Name"] for network in stack.api.networks()}


@pytest.mark.parametrize("kind", ["networks", "secrets", "configs"])
def test_what_is_left_of_a_stack(stack: Stack, kind: str) -> None:
    """Somebody has removed the services, or was interrupted."""
    labels = {"com.docker.stack.namespace": stack.name}
    name = f"{stack.name}_left"
    if kind == "networks":
        stack.api.create_network(name, "overlay", labels=labels)
    elif kind == "secrets":
        stack.api.create_secret(name, b"hush", labels=labels)
    else:
        stack.api.create_config(name, b"{}", labels=labels)
    assert stack.names(kind) == ["left"]
    assert stack.remove()["changed"]
    assert not stack.exists


def test_a_job_that_never_found_a_node(stack_on_each: Stack) -> None:
    """Engine 20.10 keeps the record of its tasks for ever, as if they still waited."""
    stack = stack_on_each
    nowhere = {"mode": "replicated-job", "placement": {"constraints": ["node.labels.none == 1"]}}
    body = {"services": {"job": {"image": stack.engine.web(), "deploy": nowhere}}}
    stack.deploy(body, wait=False)
    until(stack.task_ids)
    assert stack.remove(wait_timeout=20)["changed"]
    assert not stack.exists


def test_versions_go_with_the_stack(stack: Stack) -> None:
    for key in ("one", "two", "three"):
        stack.deploy(document(stack.engine), env={"KEY": f"hush-{key}"}, wait=False)
    assert len(stack.found("secrets")) > 1
    stack.remove()
    assert not stack.exists


@pytest.fixture
def worker(swarm: Engine, connect: Callable[[str], Engine]) -> Iterator[Engine]:
    """One of the three, which is no manager for a while."""
    worker = connect("node3")
    swarm.cli("node demote node3")
    until(lambda: "false" in worker.cli("info --format '{{.Swarm.ControlAvailable}}'"))
    yield worker
    swarm.cli("node promote node3")
    until(lambda: "true" in worker.cli("info --format '{{.Swarm.ControlAvailable}}'"))


def volumes(engine: Engine) -> list[str]:
    return sorted(engine.cli("volume ls --quiet --filter name=shop_").split())


def test_volumes_go_where_that_is_asked(stack: Stack, worker: Engine) -> None:
    """The stack's volumes are on each host where its tasks ran, also on workers."""
    body = {
        "services": {
            "db": {
                "image": stack.engine.web(),
                "stop_grace_period": "1s",
                "volumes": ["data:/data", "more:/more"],
                "deploy": {**QUICK, "mode": "global"},
            }
        },
        "volumes": {"data": {}, "more": {"labels": {"a": "b"}}},
    }
    stack.deploy(body)
    both = ["shop_data", "shop_more"]
    assert volumes(stack.engine) == volumes(worker) == both
    stack.remove()
    assert volumes(stack.engine) == volumes(worker) == both

    stack.deploy(body)
    checked = stack.remove(check_mode=True, remove_volumes=True)
    removed = stack.remove(remove_volumes=True)
    assert (checked["diff"], checked["changes"]) == (removed["diff"], removed["changes"])
    assert (volumes(stack.engine), volumes(worker)) == ([], both)
    there = Stack(worker, "shop")
    assert there.remove(check_mode=True, remove_volumes=True)["changed"]
    assert volumes(worker) == both
    assert there.remove(remove_volumes=True)["changed"]
    assert volumes(worker) == []
    assert not there.remove(remove_volumes=True)["changed"]
    assert not stack.remove(remove_volumes=True)["changed"]
