# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What community.docker's modules were seen to do wrong, by number, and that ours do not."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.shoal.swarm.tests.unit.engine_server import serve
from ansible_collections.shoal.swarm.tests.unit.memory_service import Ending, Service
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World, conflict
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import run

On = Callable[..., dict[str, Any]]


@pytest.fixture
def world() -> World:
    """A manager, a worker, and a host that is in no swarm."""
    world = World(pace=3600)
    manager, worker, _outside = (world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2, 3))
    manager.engine.swarm_init({"Spec": {}})
    worker.engine.swarm_join(way_in(manager, "Worker"))
    world.writes.clear()
    return world


@pytest.fixture
def on(world: World) -> On:
    """Run a module on the host of that name; a failure is part of the result."""

    def run_on(host: str, module: str, **given: Any) -> dict[str, Any]:
        daemon = next(daemon for daemon in world.daemons if daemon.name == host)
        with serve(daemon) as docker_host:
            return run(module, docker_host, **given)

    return run_on


def way_in(manager: Daemon, role: str) -> dict[str, Any]:
    token = manager.swarm_or_fail().tokens()[role]
    return {"RemoteAddrs": [f"{manager.address}:2377"], "JoinToken": token}


def join_options(world: World, role: str = "Worker") -> dict[str, Any]:
    body = way_in(world.daemons[0], role)
    return {"remote_addrs": body["RemoteAddrs"], "join_token": body["JoinToken"]}


def test_d1_one_changed_setting_wipes_no_other_and_the_diff_hides_nothing(
    world: World, on: On
) -> None:
    settings = {
        "autolock_managers": True,
        "labels": {"a": "b"},
        "task_history_retention_limit": 3,
        "snapshot_interval": 5000,
    }
    assert on("node1", "swarm_init", **settings)["changed"]
    before = world.daemons[0].swarm_or_fail().spec
    result = on("node1", "swarm_init", election_tick=5)
    after = world.daemons[0].swarm_or_fail().spec
    assert after == {**before, "Raft": {**before["Raft"], "ElectionTick": 5}}
    (entry,) = result["diff"]
    assert (entry["before"], entry["after"]) == ({"election_tick": 10}, {"election_tick": 5})
    assert not on("node1", "swarm_init", **settings)["changed"]


def test_d2_one_changed_option_of_a_service_drops_no_other(world: World, on: On) -> None:
    options = {
        "image": "web:1",
        "env": {"A": 1},
        "limits": {"memory": "64M"},
        "placement": {"constraints": ["node.role==manager"]},
        "update_config": {"order": "start-first"},
        "labels": {"team": "ops"},
    }
    on("node1", "service", name="web", **options)
    before = world.daemons[0].swarm_or_fail().service("web").spec
    on("node1", "service", name="web", replicas=2)
    after = world.daemons[0].swarm_or_fail().service("web").spec
    assert after == {**before, "Mode": {"Replicated": {"Replicas": 2}}}


def test_d3_leaving_again_is_ok(world: World, on: On) -> None:
    assert on("node2", "swarm_join", state="absent")["changed"] is True
    assert on("node2", "swarm_join", state="absent")["changed"] is False
    assert on("node3", "swarm_join", state="absent")["changed"] is False


def test_d4_a_host_in_another_swarm_or_in_the_wrong_role_is_not_ok(world: World, on: On) -> None:
    world.daemons[2].engine.swarm_init({"Spec": {}})
    result = on("node3", "swarm_join", **join_options(world))
    assert result["failed"] is True
    assert "node3 is a manager of another swarm" in result["msg"]
    result = on("node2", "swarm_join", role="manager", **join_options(world, "Manager"))
    assert result["failed"] is True
    assert "node2 is in this swarm as worker, not as manager" in result["msg"]
    assert on("node2", "swarm_join", role="worker", **join_options(world))["changed"] is False
    assert world.daemons[2].state == world.daemons[1].state == "active"


@pytest.mark.parametrize("node_id", ["with", "without"])
def test_d5_a_host_in_error_is_part_of_a_swarm_with_and_without_its_node_id(
    world: World, on: On, node_id: str
) -> None:
    host = world.daemons[1]
    host.fail("Swarm certificates have expired.")
    if node_id == "without":
        host.node = None
    assert on("node2", "swarm_info")["state"] == "error"
    for module, given in (("swarm_init", {}), ("swarm_join", join_options(world))):
        result = on("node2", module, **given)
        assert result["failed"] is True
        assert "Swarm certificates have expired." in result["msg"]
    assert on("node2", "swarm_join", state="absent")["failed"] is True
    assert on("node2", "swarm_join", force=True, **join_options(world))["changed"] is True
    assert host.state == "active"


def test_d6_tokens_and_the_unlock_key_are_in_no_result_that_did_not_ask(
    world: World, on: On
) -> None:
    swarm = world.daemons[0].swarm_or_fail()
    results = [
        on("node1", "swarm_init", autolock_managers=True, rotate_worker_token="today"),
        on("node1", "swarm_info"),
        on("node1", "node_label", labels={"a": "b"}),
        on("node2", "swarm_join", **join_options(world)),
    ]
    assert not any("failed" in result for result in results)
    for secret in (*swarm.tokens().values(), swarm.unlock_key):
        assert secret
        assert secret not in str(results)
    asked = on("node1", "swarm_info", join_tokens=True, unlock_key=True)
    assert asked["join_tokens"]["worker"] == swarm.tokens()["Worker"]
    assert asked["unlock_key"] == swarm.unlock_key


def test_d7_rotations_and_a_signing_certificate_are_done_once(world: World, on: On) -> None:
    swarm = world.daemons[0].swarm_or_fail()
    before = swarm.id, swarm.tokens()
    once = {
        "rotate_worker_token": "2026-11",
        "rotate_manager_token": "2026-11",
        "signing_ca_cert": world.certificate(),
        "signing_ca_key": "the key",
        "force": True,
    }
    assert on("node1", "swarm_init", **once)["changed"] is True
    after = swarm.id, swarm.tokens(), swarm.version
    assert swarm.root_ca == once["signing_ca_cert"]
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    assert on("node1", "swarm_init", **once)["changed"] is False
    assert (swarm.id, swarm.tokens(), swarm.version) == after


def test_d8_a_label_with_an_empty_value_can_be_removed(world: World, on: On) -> None:
    node = world.daemons[0].swarm_or_fail().node("node2")
    assert on("node1", "node_label", hostname="node2", labels={"empty": ""})["changed"] is True
    assert node.spec["Labels"] == {"empty": ""}
    removal = {"hostname": "node2", "labels_to_remove": ["empty"]}
    assert on("node1", "node_label", **removal)["changed"] is True
    assert node.spec["Labels"] == {}
    assert on("node1", "node_label", **removal)["changed"] is False


def test_d9_a_node_that_is_down_can_be_labelled_and_keeps_its_name(world: World, on: On) -> None:
    node = world.daemons[0].swarm_or_fail().node("node2")
    node.spec = {**node.spec, "Name": "called"}
    world.daemons[1].power_off()
    node.state = "down"
    assert on("node1", "node_label", hostname="node2", labels={"a": "b"})["changed"] is True
    assert node.spec == {
        "Name": "called",
        "Labels": {"a": "b"},
        "Role": "worker",
        "Availability": "active",
    }


def test_d9_a_lost_race_is_no_failure(world: World, on: On) -> None:
    for number in (1, 2, 3):
        world.at_write(number, conflict)
    assert on("node1", "node_label", hostname="node2", labels={"a": "b"})["changed"] is True
    assert world.daemons[0].swarm_or_fail().node("node2").spec["Labels"] == {"a": "b"}


def test_d9_an_ambiguous_name_is_answered_with_the_ids_to_choose_from(world: World, on: On) -> None:
    world.daemons[1].engine.swarm_leave(force=False)
    world.daemons[1].engine.swarm_join(way_in(world.daemons[0], "Worker"))
    result = on("node1", "node_label", hostname="node2", labels={"a": "b"})
    assert result["failed"] is True
    for node in world.daemons[0].swarm_or_fail().nodes[1:]:
        assert node.id in result["msg"]


def service_of(world: World) -> Service:
    return world.daemons[0].swarm_or_fail().service("web")


def test_d2_an_option_that_is_not_named_is_kept_whoever_set_it(world: World, on: On) -> None:
    spec = {
        "Name": "web",
        "Labels": {"com.docker.stack.namespace": "shop"},
        "Mode": {"Replicated": {"Replicas": 1}},
        "TaskTemplate": {
            "ContainerSpec": {"Image": "web:1", "Env": ["A=1"], "User": "www"},
            "Resources": {"Limits": {"MemoryBytes": 2**26}},
            "Placement": {"Constraints": ["node.role==manager"]},
            "Networks": [{"Target": "ingress"}],
        },
        "UpdateConfig": {"Parallelism": 3, "Order": "start-first", "FailureAction": "rollback"},
    }
    world.daemons[0].engine.service_create(spec)
    before = service_of(world).spec
    result = on("node1", "service", name="web", replicas=2)
    assert result["diff"][0]["before"] == {"replicas": 1}
    assert service_of(world).spec == {**before, "Mode": {"Replicated": {"Replicas": 2}}}


def test_d11_a_rollout_that_rolled_back_is_a_failure(world: World, on: On) -> None:
    on("node1", "service", name="web", image="web:1")
    world.broken_images["web:9"] = "No such image: web:9"
    rollback = {"failure_action": "rollback"}
    result = on("node1", "service", name="web", image="web:9", update_config=rollback)
    assert result["failed"] is True
    assert "the update failed and was rolled back" in result["msg"]


@pytest.mark.parametrize("code", [0, 1])
def test_d12_a_wait_ends_when_it_will_never_run(world: World, on: On, code: int) -> None:
    world.endings["web:1"] = Ending((code,))
    result = on("node1", "service", name="web", image="web:1", wait_timeout=1)
    assert result["failed"] is True
    assert "did not happen within 1 s" in result["msg"]
    assert f"exit code {code}" in result["msg"]


def test_d13_a_failed_update_is_a_failure_at_every_run(world: World, on: On) -> None:
    on("node1", "service", name="web", image="web:1")
    world.broken_images["web:9"] = "No such image: web:9"
    for _run in range(3):
        result = on("node1", "service", name="web", image="web:9")
        assert result["failed"] is True
        assert "the update was paused" in result["msg"]


def test_d14_a_run_that_changes_nothing_keeps_the_spec_to_roll_back_to(
    world: World, on: On
) -> None:
    on("node1", "service", name="web", image="web:1")
    on("node1", "service", name="web", image="web:2")
    before = service_of(world).document()
    for _run in range(3):
        assert on("node1", "service", name="web", image="web:2")["changed"] is False
    assert service_of(world).document() == before
    assert on("node1", "service", name="web", state="rolled_back")["changed"] is True
    assert service_of(world).spec["TaskTemplate"]["ContainerSpec"]["Image"] == "web:1"


def use_secret(on: On, name: str) -> None:
    on("node1", "service", name="web", image="web:1", secrets=[{"secret_name": name}])


def secrets_of(world: World) -> list[str]:
    return [file.spec["Name"] for file in world.daemons[0].swarm_or_fail().files["Secret"]]


def test_d17_a_secret_in_use_is_not_half_rotated(world: World, on: On) -> None:
    on("node1", "secret", name="key", data="first")
    use_secret(on, "key")
    world.writes.clear()
    # In its own place, and gone: refused before anything is changed.
    for given in ({"data": "second"}, {"state": "absent"}):
        result = on("node1", "secret", name="key", **given)
        assert (result["failed"], "service web" in result["msg"]) == (True, True)
    assert (secrets_of(world), world.writes) == (["key"], [])
    # In versions: the new one is made, and the old one goes when nothing uses it.
    rolling: dict[str, Any] = {"name": "key", "data": "second", "rolling_versions": True}
    rolling["versions_to_keep"] = 1
    rotated = on("node1", "secret", **rolling)
    assert (rotated["changed"], rotated["secret_name"]) == (True, "key_v2")
    assert secrets_of(world) == ["key", "key_v2"]
    use_secret(on, "key_v2")
    # The service could still be rolled back to the old one.
    assert on("node1", "secret", **rolling)["changed"] is False
    on("node1", "service", name="web", labels={"seen": "twice"})
    assert on("node1", "secret", **rolling)["changed"] is True
    assert secrets_of(world) == ["key_v2"]
    assert on("node1", "secret", **rolling)["changed"] is False


def test_d18_what_is_kept_of_a_secret_is_no_plain_hash_of_it(world: World, on: On) -> None:
    for name in ("key", "other"):
        on("node1", "secret", name=name, data="1234")
    kept = [file.spec["Labels"] for file in world.daemons[0].swarm_or_fail().files["Secret"]]
    assert kept[0] != kept[1]
    for hashed in (hashlib.sha224, hashlib.sha256, hashlib.md5):
        assert hashed(b"1234").hexdigest() not in str(kept)
        assert base64.b64encode(hashed(b"1234").digest()).decode() not in str(kept)


def test_d19_a_service_that_cannot_run_is_no_success(world: World, on: On) -> None:
    world.broken_images["web:9"] = "No such image: web:9"
    for options, reason in (
        ({"image": "web:9"}, "No such image: web:9"),
        ({"image": "web:1", "placement": {"constraints": ["node.role==none"]}}, "no suitable node"),
    ):
        result = on("node1", "service", name="web", wait_timeout=1, **options)
        assert result["failed"] is True
        assert reason in result["msg"]
        on("node1", "service", name="web", state="absent")


def test_credentials_are_in_no_result_and_in_no_state_that_can_be_read(
    world: World, on: On, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "registry.example.com/web:1"
    world.registry.digests[name] = "sha256:111"
    world.registry.login = ("ann", "s3cret")
    given = {"name": "web", "image": name, "resolve_image": "always", "_ansible_diff": True}
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    result = on("node1", "service", **given, with_registry_auth=True)
    assert "unauthorized: authentication required" in str(result["warnings"])
    on("node1", "service", name="web", state="absent")

    login = {"username": "ann", "password": "s3cret"}
    results = [on("node1", "service", **given, registry_auth=login)]
    assert results[0]["service_spec"]["TaskTemplate"]["ContainerSpec"]["Image"].endswith(
        "@sha256:111"
    )
    on("node1", "service", name="web", state="absent")

    # As `docker login` leaves them on the host.
    auth = base64.b64encode(b"ann:s3cret").decode()
    known = {"auths": {"registry.example.com": {"auth": auth}}}
    (tmp_path / "config.json").write_text(json.dumps(known), encoding="utf-8")
    results.append(on("node1", "service", **given, with_registry_auth=True))
    assert results[1]["service_spec"] == results[0]["service_spec"]
    sent = service_of(world).auth
    assert json.loads(base64.urlsafe_b64decode(sent))["password"] == "s3cret"
    for result in results:
        assert "warnings" not in result
        told = json.dumps({key: part for key, part in result.items() if key != "invocation"})
        for secret in ("s3cret", sent, auth):
            assert secret not in told
        # Ansible's own account of the options hides what is marked as a secret.
        assert "s3cret" not in json.dumps(result["invocation"])
