# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a stack comes out, on a real engine: each service with its reason, or nothing is begun."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Engine, until
from stacks import DIES, DYING, QUICK, Stack

pytest_plugins = ("stacks",)

LONGEST_SECRET = 512_000 - 1


def document(engine: Engine, **services: Any) -> dict[str, Any]:
    """A service that runs, and others."""
    service = {"image": engine.web(), "stop_grace_period": "1s"}
    return {
        "services": {
            key: {**service, "deploy": QUICK, **options}
            for key, options in {"good": {}, **services}.items()
        }
    }


def test_each_service_that_fails_has_its_reason(stack: Stack) -> None:
    stack.deploy(document(stack.engine))
    nowhere = f"{stack.engine.registry}/nowhere:1"
    body = document(
        stack.engine,
        image={"image": nowhere},
        place={"deploy": {"placement": {"constraints": ["node.labels.nowhere==1"]}}},
        loop={"command": DIES, "deploy": {"restart_policy": {"delay": "1s"}}},
    )
    reasons = {
        "shop_image": f"No such image: {nowhere}",
        "shop_loop": "non-zero exit (3)",
        "shop_place": "no suitable node (scheduling constraints not satisfied on ",
    }

    def all_have_failed() -> bool:
        errors = stack.task_errors()
        return all(reason in errors[name] for name, reason in reasons.items())

    assert stack.deploy(body, wait=False)["changed"]
    until(all_have_failed)
    # The specs are right already, and the stack is not: that is no success.
    said = stack.refused(body, wait_timeout=2)
    assert "within 2 s" in said
    told = dict(re.findall(r"service (shop_\w+): (.*?)(?=; service shop_|; a task of |$)", said))
    assert set(told) == set(reasons)
    for name, reason in reasons.items():
        assert reason in told[name]
    assert re.search(r"; a task of shop_loop on node\d failed .* its log ends: .*out of luck", said)
    # Unless nobody wants to know.
    assert not stack.deploy(body, wait=False)["changed"]
    assert not stack.deploy(body, detach=True)["changed"]


def test_a_job_that_fails(stack: Stack) -> None:
    stack.deploy(document(stack.engine))
    # A node that still holds a removed network of that name rejects a first attempt.
    policy = {"condition": "on-failure", "max_attempts": 2, "delay": "2s"}
    job = {"mode": "replicated-job", "restart_policy": policy}
    said = stack.refused(document(stack.engine, migrate={"command": DIES, "deploy": job}))
    assert "service shop_migrate" in said
    assert "out of luck" in said
    assert "shop_good" not in said


def test_an_update_that_the_swarm_rolls_back(stack: Stack) -> None:
    first = document(stack.engine, web={}, api={})
    stack.deploy(first)
    rollback = {
        "update_config": {"monitor": "30s", "failure_action": "rollback", "order": "stop-first"},
        "rollback_config": {"monitor": "1s", "order": "stop-first"},
    }
    worse = document(
        stack.engine,
        web={"command": DIES, "deploy": rollback},
        api={"image": stack.engine.web(2)},
    )
    said = stack.refused(worse)
    assert "service shop_web" in said
    assert "rolled back" in said
    assert "out of luck" in said
    assert "shop_api" not in said
    # The others are what they should be; nobody has asked to take them back.
    assert stack.image("api") == stack.engine.web(2)


def test_an_update_that_pauses(stack: Stack) -> None:
    stack.deploy(document(stack.engine, web={}))
    worse = document(stack.engine, web=DYING)
    said = stack.refused(worse)
    assert "service shop_web" in said
    assert "the update was paused" in said
    assert "the update was paused" in stack.refused(worse)
    stack.deploy(document(stack.engine, web={}))


def test_the_time_is_up(stack: Stack) -> None:
    """For all of them together, and not for each."""
    never = {"healthcheck": {"test": "false", "interval": "1s", "start_period": "100s"}}
    stack.deploy(document(stack.engine))
    body = document(stack.engine, a=never, b=never, c=never)
    said = stack.refused(body, wait_timeout=6)
    assert set(re.findall(r"service (shop_\w+)", said)) == {"shop_a", "shop_b", "shop_c"}
    assert "within 6 s" in said


# Refusals: before anything is made

# The images of these stacks are nowhere.
NOWHERE: dict[str, Any] = {"wait": False, "resolve_image": "never"}


def compose(**sections: Any) -> dict[str, Any]:
    """With networks that would be made first."""
    web = {"image": "web", "networks": ["front"], **sections.pop("web", {})}
    return {
        "services": {"web": web, **sections.pop("services", {})},
        **sections,
        "networks": {"front": {}, **sections.pop("networks", {})},
    }


# What the task is, and what it is told.
REFUSALS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "network name taken": (
        {"compose": compose(networks={"front": {"name": "foreign"}})},
        ("network foreign",),
    ),
    "secret name taken": (
        {"compose": compose(secrets={"s": {"name": "Key", "environment": "A"}}), "env": {"A": "b"}},
        ("secret key",),
    ),
    "secret too long": (
        {
            "compose": compose(secrets={"s": {"environment": "LONG"}}),
            "env": {"LONG": "x" * (LONGEST_SECRET + 1)},
        },
        ("secrets.s", str(LONGEST_SECRET)),
    ),
    "two services on one port": (
        {
            "compose": compose(
                web={"ports": ["8080:80"]},
                services={"other": {"image": "web", "ports": ["8080:81"]}},
            )
        },
        ("shop_web", "shop_other", "8080"),
    ),
    "port of a foreign service": (
        {"compose": compose(web={"ports": ["8099:80"]})},
        ("8099", "foreign"),
    ),
    "service of another stack's name": (
        {"compose": compose(services={"theirs": {"image": "web"}})},
        ("service shop_theirs",),
    ),
    "undefined variable": (
        {"compose": compose(web={"image": "web:${NO_SUCH_TAG}"}), "strict": True},
        ("services.web.image", "NO_SUCH_TAG"),
    ),
    "required variable": (
        {"compose": compose(web={"image": "web:${NO_SUCH_TAG:?say which}"})},
        ("services.web.image", "say which"),
    ),
    "cyclic extends": (
        {
            "compose": compose(
                web={"extends": "a"},
                services={"a": {"extends": {"service": "b"}}, "b": {"extends": "web"}},
            )
        },
        ("extends", "circle"),
    ),
    "missing external network": (
        {"compose": compose(networks={"front": {"external": True, "name": "gone"}})},
        ("network gone",),
    ),
    "missing external secret": (
        {"compose": compose(web={"secrets": ["gone"]}, secrets={"gone": {"external": True}})},
        ("secret gone",),
    ),
    "missing external config": (
        {"compose": compose(web={"configs": ["gone"]}, configs={"gone": {"external": True}})},
        ("config gone",),
    ),
    "external network of one node": (
        {"compose": compose(networks={"front": {"external": True, "name": "local_one"}})},
        ("network local_one",),
    ),
    "unknown key": (
        {"compose": compose(web={"enviroment": {"A": "b"}})},
        ("services.web", "enviroment", "environment"),
    ),
    "misplaced key": (
        {"compose": compose(web={"replicas": 2})},
        ("services.web", "replicas", "deploy"),
    ),
    "all that is wrong at once": (
        {"compose": compose(web={"hostnam": "a", "ports": ["http"]})},
        ("hostname", "services.web.ports"),
    ),
    "no image": ({"compose": {"services": {"web": {"ports": ["80"]}}}}, ("services.web", "image")),
    "no YAML mapping": ({"compose": {"services": ["web"]}}, ("services",)),
}


@pytest.fixture(scope="module")
def foreign(swarm: Engine) -> Iterator[None]:
    """What somebody else has in this swarm, or on this host."""
    web = f"--detach --replicas 0 {swarm.web()}"
    swarm.cli("network create --driver overlay foreign")
    swarm.cli("network create --driver bridge local_one")
    swarm.cli(f"service create --name foreign --publish 8099:80 {web}")
    swarm.cli(f"service create --name shop_theirs {web}")
    yield
    swarm.cli("service rm foreign shop_theirs")
    swarm.cli("network rm foreign local_one")


@pytest.mark.parametrize("refusal", list(REFUSALS))
@pytest.mark.usefixtures("foreign")
def test_refused_before_anything_is_made(stack: Stack, refusal: str) -> None:
    options, words = REFUSALS[refusal]
    for check_mode in (True, False):
        result = stack.task(check_mode=check_mode, **NOWHERE, **options)
        assert result.get("failed"), result
        for word in words:
            assert word in result["msg"]
        assert not stack.exists


def test_the_longest_secret(stack: Stack) -> None:
    body = document(stack.engine)
    body["services"]["good"]["secrets"] = ["s"]
    body["secrets"] = {"s": {"environment": "LONG"}}
    stack.deploy(body, env={"LONG": "x" * LONGEST_SECRET}, wait=False)
    assert stack.names("secrets") == ["s"]


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"driver": "macvlan"}, ("Driver", "overlay", "macvlan")),
        ({"attachable": True}, ("Attachable",)),
        ({"internal": True}, ("Internal",)),
        ({"driver_opts": {"encrypted": ""}}, ("encrypted",)),
        ({"ipam": {"config": [{"subnet": "10.87.0.0/24"}]}}, ("10.87.0.0/24",)),
    ],
    ids=["driver", "attachable", "internal", "driver_opts", "subnet"],
)
def test_a_network_cannot_be_changed(
    stack: Stack, definition: dict[str, Any], words: tuple[str, ...]
) -> None:
    stack.deploy(compose(), **NOWHERE)
    before = stack.versions()
    said = stack.refused(compose(web={"image": "web:2"}, networks={"front": definition}), **NOWHERE)
    assert "shop_front cannot be changed" in said
    for word in words:
        assert word in said
    assert stack.versions() == before


def test_services_move_to_another_network(stack: Stack) -> None:
    """As what cannot be changed can be made anew."""
    on_front = {"networks": ["front"]}
    body = document(stack.engine, good=on_front, web=on_front)
    stack.deploy({**body, "networks": {"front": {}}})
    stack.deploy({**body, "networks": {"front": {"name": "other", "attachable": True}}}, prune=True)
    assert stack.names("networks") == ["other"]


def test_labels_of_a_network_stay(stack: Stack) -> None:
    stack.deploy(compose(), **NOWHERE)
    labelled = compose(networks={"front": {"labels": {"a": "b"}}})
    result = stack.deploy(labelled, **NOWHERE)
    assert not result["changed"]
    assert "labels of shop_front" in str(result["warnings"])


def test_a_mode_cannot_be_changed(stack: Stack) -> None:
    stack.deploy(compose(), **NOWHERE)
    before = stack.versions()
    said = stack.refused(compose(web={"deploy": {"mode": "global"}}), **NOWHERE)
    assert "shop_web" in said
    assert "global" in said
    assert stack.versions() == before
