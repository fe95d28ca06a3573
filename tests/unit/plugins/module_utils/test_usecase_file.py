# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets and configs when others are at work, answers are lost, and what nobody may see."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._diff import changes, for_ansible
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, Refused
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._versions import DIGEST, VERSION
from ansible_collections.shoal.swarm.plugins.modules import config, secret
from ansible_collections.shoal.swarm.tests.unit.engine_server import serve
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    World,
    answer_lost,
    conflict,
    leader_lost,
    leader_lost_committed,
    meanwhile,
    request_lost,
)
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params, run

USE_CASES = {"secret": secret.ensure_secret, "config": config.ensure_config}
KINDS = tuple(USE_CASES)
every_kind = pytest.mark.parametrize("kind", KINDS)

Result = tuple[Outcome[Any], dict[str, Any]]


@pytest.fixture
def host() -> Daemon:
    world = World()
    host = world.host("node1", "10.0.0.11")
    host.engine.swarm_init({"Spec": {}})
    world.writes.clear()
    return host


def ask(host: Daemon, kind: str, check_mode: bool = False, **given: Any) -> Result:
    run_ = Run(check_mode=check_mode, clock=host.world.clock)
    return USE_CASES[kind](host.engine, params(kind, {"name": "key", **given}), run_)


def stored(host: Daemon, kind: str) -> dict[str, dict[str, Any]]:
    files = host.swarm_or_fail().files[kind.capitalize()]
    return {file.spec["Name"]: file.spec for file in files}


def content(host: Daemon, kind: str) -> dict[str, str]:
    return {
        name: base64.b64decode(spec["Data"]).decode() for name, spec in stored(host, kind).items()
    }


def use(host: Daemon, kind: str, name: str, service: str = "web") -> None:
    title = kind.capitalize()
    (file,) = (f for f in host.swarm_or_fail().files[title] if f.spec["Name"] == name)
    target = {"Name": "a", "UID": "0", "GID": "0", "Mode": 292}
    reference = {f"{title}ID": file.id, f"{title}Name": name, "File": target}
    container = {"Image": "web:1", f"{title}s": [reference]}
    host.engine.service_create({"Name": service, "TaskTemplate": {"ContainerSpec": container}})


# The digest


def test_a_digest_is_salted_and_tells_nothing_of_the_content(host: Daemon) -> None:
    ask(host, "secret", data="1234")
    ask(host, "secret", name="key2", data="1234")
    kept = [spec["Labels"][DIGEST] for spec in stored(host, "secret").values()]
    assert kept[0] != kept[1]
    for name in ("key", "key2"):
        assert not ask(host, "secret", name=name, data="1234")[0].changed
        assert ask(host, "secret", True, name=name, data="1235")[0].changed


def test_a_digest_that_is_none_is_other_content(host: Daemon) -> None:
    host.engine.secret_create({"Name": "key", "Data": "eA==", "Labels": {DIGEST: "?:nonsense"}})
    assert ask(host, "secret", True, data="x")[0].changed


def test_a_secret_of_the_cli_is_compared_and_known_once_it_is_written(host: Daemon) -> None:
    host.engine.secret_create({"Name": "key", "Data": "eA==", "Labels": {"a": "b"}})
    before = stored(host, "secret")
    assert not ask(host, "secret", data="x")[0].changed
    assert stored(host, "secret") == before
    assert ask(host, "secret", True, data="y")[0].changed
    assert ask(host, "secret", data="x", labels={"a": "c"})[0].changed
    assert set(stored(host, "secret")["key"]["Labels"]) == {"a", DIGEST}
    # Now it is known without asking.
    assert ask(host, "secret", True, data="y", adopt="assume_same")[0].changed


# Where the content comes from


@every_kind
def test_content_comes_from_a_file_byte_by_byte(host: Daemon, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xff\x00\r\n")
    ask(host, kind, data_src=str(file))
    assert base64.b64decode(stored(host, kind)["key"]["Data"]) == b"\xff\x00\r\n"
    assert not ask(host, kind, data="/wAN\nCg==", data_is_b64=True)[0].changed
    assert not ask(host, kind, data="\udcff\x00\r\n")[0].changed
    file.write_bytes(b"\xff\x00\n")
    assert ask(host, kind, True, data_src=str(file))[0].changed


@every_kind
def test_a_file_that_cannot_be_read_is_told(host: Daemon, kind: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=f"data_src {tmp_path} cannot be read: Is a directory"):
        ask(host, kind, data_src=str(tmp_path))


@every_kind
def test_a_large_content_is_refused_before_it_is_sent(host: Daemon, kind: str) -> None:
    limit = {"secret": 512_000, "config": 1_024_000}[kind]
    ask(host, kind, data="a" * (limit - 1))
    with pytest.raises(InvalidOption, match=f"has {limit} bytes, and the engine takes from 1"):
        ask(host, kind, name="more", data="a" * limit)


# What is told


@every_kind
def test_the_facts_name_the_current_version_and_who_uses_which(host: Daemon, kind: str) -> None:
    rolling: dict[str, Any] = {"rolling_versions": True}
    _outcome, first = ask(host, kind, data="x", labels={"a": "b"}, **rolling)
    use(host, kind, "key")
    _outcome, told = ask(host, kind, True, data="y", **rolling)
    assert (told[f"{kind}_id"], told[f"{kind}_name"]) == ("", "key_v2")
    _outcome, facts = ask(host, kind, data="y", **rolling)
    files = host.swarm_or_fail().files[kind.capitalize()]
    assert (facts[f"{kind}_id"], facts[f"{kind}_name"]) == (files[1].id, "key_v2")
    assert facts[f"{kind}s"] == [
        {"id": files[0].id, "name": "key", "version": 1, "labels": {"a": "b"}, "services": ["web"]},
        {"id": files[1].id, "name": "key_v2", "version": 2, "labels": {"a": "b"}, "services": []},
    ]
    assert (first[f"{kind}_id"], first[f"{kind}_name"]) == (files[0].id, "key")
    host.engine.service_remove("web")
    _outcome, gone = ask(host, kind, state="absent", **rolling)
    assert gone == {f"{kind}s": []}


@every_kind
@pytest.mark.parametrize("rolling", [False, True])
def test_no_content_is_told(host: Daemon, kind: str, rolling: bool) -> None:
    with serve(host) as docker_host:
        results = [
            run(
                kind,
                docker_host,
                name="key",
                data=data,
                labels={"a": str(number)},
                rolling_versions=rolling,
                _ansible_diff=True,
            )
            for number, data in enumerate(["hunter2", "correct horse"])
        ]
    told = json.dumps(
        [{k: v for k, v in result.items() if k != "invocation"} for result in results]
    )
    invocations = json.dumps([result["invocation"] for result in results])
    assert all(result["changed"] for result in results)
    for text in ("hunter2", "correct horse"):
        assert text not in told
        assert base64.b64encode(text.encode()).decode() not in told
        assert (text in invocations) is (kind == "config")
    digests = [spec["Labels"].get(DIGEST) for spec in stored(host, kind).values()]
    assert all(digest not in told for digest in digests if digest)


def test_no_error_tells_the_content(host: Daemon) -> None:
    ask(host, "secret", data="hunter2")
    use(host, "secret", "key")
    for given in ({"data": "hunter3"}, {"data": "hunter3!", "data_is_b64": True}):
        with pytest.raises((InvalidOption, Refused)) as caught:
            ask(host, "secret", **given)
        assert "hunter3" not in str(caught.value)


# Answers that are lost, and others at work


FAULTS = (conflict, answer_lost, request_lost, leader_lost, leader_lost_committed)


@every_kind
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("force", [False, True])
def test_a_secret_is_replaced_once_whatever_answer_is_lost(
    host: Daemon, kind: str, fault: Any, number: int, force: bool
) -> None:
    ask(host, kind, data="y" if force else "x", labels={"a": "b"})
    host.world.at_write(number, fault)
    planned, _facts = ask(host, kind, True, data="y", force=force)
    outcome, facts = ask(host, kind, data="y", force=force)
    assert content(host, kind) == {"key": "y"}
    assert stored(host, kind)["key"]["Labels"]["a"] == "b"
    assert facts[f"{kind}_id"] == host.swarm_or_fail().files[kind.capitalize()][0].id
    assert for_ansible(outcome.actions) == for_ansible(planned.actions)
    assert not ask(host, kind, data="y")[0].changed


@every_kind
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("force", [False, True])
def test_a_version_is_made_once_and_the_old_one_removed_whatever_answer_is_lost(
    host: Daemon, kind: str, fault: Any, number: int, force: bool
) -> None:
    given: dict[str, Any] = {"rolling_versions": True, "versions_to_keep": 1, "force": force}
    ask(host, kind, data="y" if force else "x")
    host.world.at_write(number, fault)
    planned, _facts = ask(host, kind, True, data="y", **given)
    outcome, facts = ask(host, kind, data="y", **given)
    assert content(host, kind) == {"key_v2": "y"}
    assert facts[f"{kind}_name"] == "key_v2"
    assert changes(outcome.actions) == changes(planned.actions)


@every_kind
@pytest.mark.parametrize("fault", FAULTS)
def test_labels_are_changed_once_whatever_answer_is_lost(
    host: Daemon, kind: str, fault: Any
) -> None:
    ask(host, kind, data="x")
    host.world.at_write(1, fault)
    outcome, _facts = ask(host, kind, data="x", labels={"a": "b"})
    assert len(outcome.actions) == 1
    assert stored(host, kind)["key"]["Labels"]["a"] == "b"


@every_kind
def test_two_who_rotate_to_the_same_content_make_one_version(host: Daemon, kind: str) -> None:
    given: dict[str, Any] = {"data": "y", "rolling_versions": True}
    ask(host, kind, data="x")
    host.world.at_write(1, meanwhile(lambda daemon: ask(daemon, kind, **given)))
    outcome, facts = ask(host, kind, **given)
    assert content(host, kind) == {"key": "x", "key_v2": "y"}
    assert (outcome.changed, facts[f"{kind}_name"]) == (False, "key_v2")


@every_kind
def test_two_who_rotate_to_other_content_make_two_versions(host: Daemon, kind: str) -> None:
    ask(host, kind, data="x")
    other: dict[str, Any] = {"data": "z", "rolling_versions": True}
    host.world.at_write(1, meanwhile(lambda daemon: ask(daemon, kind, **other)))
    outcome, facts = ask(host, kind, data="y", rolling_versions=True)
    assert content(host, kind) == {"key": "x", "key_v2": "z", "key_v3": "y"}
    assert stored(host, kind)["key_v3"]["Labels"][VERSION] == "3"
    assert [action.summary for action in outcome.actions] == [f"create {kind} key_v3"]
    assert facts[f"{kind}_name"] == "key_v3"


@every_kind
def test_two_who_create_the_same_make_one(host: Daemon, kind: str) -> None:
    host.world.at_write(1, meanwhile(lambda daemon: ask(daemon, kind, data="x")))
    outcome, _facts = ask(host, kind, data="x")
    assert (content(host, kind), outcome.changed) == ({"key": "x"}, False)


@every_kind
def test_what_somebody_begins_to_use_before_it_is_replaced_stays(host: Daemon, kind: str) -> None:
    ask(host, kind, data="x")
    host.world.at_write(1, meanwhile(lambda daemon: use(daemon, kind, "key")))
    with pytest.raises(Refused, match="while it is in use by service web"):
        ask(host, kind, data="y")
    assert content(host, kind) == {"key": "x"}


@every_kind
def test_an_old_version_that_somebody_begins_to_use_is_left_without_failing(
    host: Daemon, kind: str
) -> None:
    given: dict[str, Any] = {"rolling_versions": True, "versions_to_keep": 1}
    ask(host, kind, data="x")
    host.world.at_write(2, meanwhile(lambda daemon: use(daemon, kind, "key")))
    outcome, _facts = ask(host, kind, data="y", **given)
    assert [action.summary for action in outcome.actions] == [f"create {kind} key_v2"]
    assert content(host, kind) == {"key": "x", "key_v2": "y"}
    host.engine.service_remove("web")
    outcome, _facts = ask(host, kind, data="y", **given)
    assert [action.summary for action in outcome.actions] == [f"remove {kind} key"]


@every_kind
def test_what_somebody_else_removes_meanwhile_is_gone(host: Daemon, kind: str) -> None:
    ask(host, kind, data="x")
    host.world.at_write(1, meanwhile(lambda daemon: ask(daemon, kind, state="absent")))
    outcome, facts = ask(host, kind, state="absent")
    assert (outcome.changed, facts) == (False, {f"{kind}s": []})
