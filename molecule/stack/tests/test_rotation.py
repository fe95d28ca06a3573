# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and configs whose content changes: new versions, and services that follow them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Engine
from stacks import DYING, QUICK, Stack

pytest_plugins = ("stacks",)


def document(engine: Engine, site: str = "listen 80;", **services: Any) -> dict[str, Any]:
    """Two services that use a secret and a config, on the engine's own host; KEY is the secret."""
    service = {
        "image": engine.web(),
        "stop_grace_period": "1s",
        "configs": [{"source": "site", "target": "/tmp/site.conf"}],
        "secrets": ["key"],
        "deploy": {
            **QUICK,
            "placement": {"constraints": [f"node.hostname == {engine.host}"]},
        },
    }
    return {
        "services": {
            key: {**service, **services.get(key, {})} for key in ("web", "api", *services)
        },
        "configs": {"site": {"content": site}},
        "secrets": {"key": {"environment": "KEY"}},
    }


def deploy(stack: Stack, key: str, site: str = "listen 80;", **options: Any) -> dict[str, Any]:
    result = stack.deploy(document(stack.engine, site), env={"KEY": key}, **options)
    del result["invocation"]
    assert key not in json.dumps(result)
    return result


def contents(stack: Stack) -> set[tuple[str, str]]:
    """What the tasks of both services read: the config, and the secret."""
    return {
        (stack.within(key, "cat /tmp/site.conf"), stack.within(key, "cat /run/secrets/key"))
        for key in ("web", "api")
    }


def versions(stack: Stack) -> tuple[list[str], list[str]]:
    return stack.names("configs"), stack.names("secrets")


def test_new_content_is_a_new_version(stack: Stack) -> None:
    """With one version kept for the way back, and what is still known is used again."""
    deploy(stack, "hush-one")
    assert contents(stack) == {("listen 80;", "hush-one")}
    assert versions(stack) == (["site"], ["key"])

    assert deploy(stack, "hush-two", "listen 81;")["changed"]
    assert contents(stack) == {("listen 81;", "hush-two")}
    assert versions(stack) == (["site", "site_v2"], ["key", "key_v2"])
    before = stack.snapshot()
    assert not deploy(stack, "hush-two", "listen 81;")["changed"]
    assert stack.snapshot() == before

    assert deploy(stack, "hush-three", "listen 82;")["changed"]
    assert contents(stack) == {("listen 82;", "hush-three")}
    assert versions(stack) == (["site_v2", "site_v3"], ["key_v2", "key_v3"])
    assert deploy(stack, "hush-two", "listen 81;")["changed"]
    assert contents(stack) == {("listen 81;", "hush-two")}
    assert versions(stack) == (["site_v2", "site_v3"], ["key_v2", "key_v3"])
    assert deploy(stack, "hush-two", "listen 81;", keep_versions=0)["changed"]
    assert versions(stack) == (["site_v2"], ["key_v2"])


def test_the_old_version_stays_until_the_new_one_runs(stack: Stack) -> None:
    deploy(stack, "hush-one")
    broken = document(stack.engine, "listen 81;", web=DYING)
    said = stack.refused(broken, env={"KEY": "hush-two"}, keep_versions=0)
    assert "out of luck" in said
    assert versions(stack) == (["site", "site_v2"], ["key", "key_v2"])
    deploy(stack, "hush-two", "listen 81;", keep_versions=0)
    assert contents(stack) == {("listen 81;", "hush-two")}
    assert versions(stack) == (["site_v2"], ["key_v2"])


# Secrets that somebody else has made: whether they run plays no part.
NOT_WAITED_FOR: dict[str, Any] = {"wait": False, "resolve_image": "never"}


@pytest.fixture
def by_cli(stack: Stack) -> Stack:
    """Secret and config are as the CLI makes them: nothing tells what is in the secret."""
    labels = {"com.docker.stack.namespace": stack.name}
    stack.api.create_secret(f"{stack.name}_key", b"hush-one", labels=labels)
    stack.api.create_config(f"{stack.name}_site", b"listen 80;", labels=labels)
    return stack


def test_a_secret_of_the_cli_is_held_against_the_wanted_one(by_cli: Stack) -> None:
    before = by_cli.versions()
    result = deploy(by_cli, "hush-one", **NOT_WAITED_FOR)
    assert "warnings" not in result
    assert versions(by_cli) == (["site"], ["key"])
    # Nothing was written for that.
    assert before.items() <= by_cli.versions().items()
    assert not deploy(by_cli, "hush-one", **NOT_WAITED_FOR)["changed"]


@pytest.mark.parametrize("is_in_use", [False, True])
def test_a_secret_of_the_cli_that_is_another_one(by_cli: Stack, is_in_use: bool) -> None:
    if is_in_use:
        deploy(by_cli, "hush-one", **NOT_WAITED_FOR)
    options = {"env": {"KEY": "hush-two"}, **NOT_WAITED_FOR}
    checked = by_cli.deploy(document(by_cli.engine), check_mode=True, **options)
    assert versions(by_cli) == (["site"], ["key"])
    done = deploy(by_cli, "hush-two", **NOT_WAITED_FOR)
    assert (checked["diff"], checked["changes"]) == (done["diff"], done["changes"])
    assert versions(by_cli) == (["site"], ["key", "key_v2"])
    assert not deploy(by_cli, "hush-two", **NOT_WAITED_FOR)["changed"]


def test_a_secret_of_the_cli_is_assumed_to_be_the_same(by_cli: Stack) -> None:
    """Where that is wanted. The content of a config can be read."""
    assume = {"adopt_secrets": "assume_same", **NOT_WAITED_FOR}
    result = deploy(by_cli, "hush-two", "listen 81;", **assume)
    warnings = str(result["warnings"])
    assert "shop_key" in warnings
    assert "adopt_secrets" in warnings
    assert versions(by_cli) == (["site", "site_v2"], ["key"])
    assert not deploy(by_cli, "hush-two", "listen 81;", **assume)["changed"]


def test_one_that_fails_takes_all_back(stack: Stack) -> None:
    """Of three services one dies: each is again what it was, and the new one is gone."""
    before_it = document(stack.engine, cron={})
    stack.deploy(before_it, env={"KEY": "hush-one"})
    before = stack.objects()["services"]
    worse = document(
        stack.engine,
        "listen 81;",
        web={"image": stack.engine.web(2)},
        cron=DYING,
        extra={},
    )
    said = stack.refused(worse, env={"KEY": "hush-two"}, rollback_on_failure=True)
    assert "service shop_cron" in said
    assert "out of luck" in said
    assert "rolled back" in said
    assert stack.objects()["services"] == before
    assert contents(stack) == {("listen 80;", "hush-one")}
    assert not stack.deploy(before_it, env={"KEY": "hush-one"})["changed"]
