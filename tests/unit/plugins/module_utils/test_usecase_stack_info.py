# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import WrongState
from ansible_collections.shoal.swarm.plugins.module_utils._usecase import _service_info
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._stack_info import gather
from ansible_collections.shoal.swarm.plugins.module_utils._versions import (
    DIGEST,
    VERSION,
    VERSION_OF,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import module, params

NAMESPACE = "com.docker.stack.namespace"
HIDDEN = "what nobody shall see"
DATA = base64.b64encode(HIDDEN.encode()).decode()


def of(stack: str, **more: str) -> dict[str, str]:
    return {NAMESPACE: stack, **more}


def create_service(
    engine: Engine,
    name: str,
    labels: Mapping[str, str],
    mode: Mapping[str, Any] | None = None,
    **container: Any,
) -> None:
    spec = {
        "Name": name,
        "Labels": labels,
        "Mode": mode or {"Replicated": {"Replicas": 2}},
        "TaskTemplate": {"ContainerSpec": {"Image": f"{name}:1", **container}},
    }
    engine.service_create(spec)


def reference(kind: str, name: str, object_id: str) -> dict[str, Any]:
    file = {"Name": name, "UID": "0", "GID": "0", "Mode": 0o444}
    return {f"{kind}ID": object_id, f"{kind}Name": name, "File": file}


@pytest.fixture
def world() -> World:
    """A manager and a worker; the stack `shop`, what is left of `wiki`, and what has no stack."""
    world = World()
    manager, worker = (world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2))
    engine = manager.engine
    engine.swarm_init({"Spec": {}})
    token = manager.swarm_or_fail().tokens()["Worker"]
    worker.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})

    engine.network_create({"Name": "shop_back", "Driver": "overlay", "Labels": of("shop", a="b")})
    engine.network_create({"Name": "wiki_default", "Driver": "overlay", "Labels": of("wiki")})
    engine.network_create({"Name": "public", "Driver": "overlay"})

    second = {VERSION_OF: "shop_key", VERSION: "2", DIGEST: "c2FsdA==:aGFzaA=="}
    tenth = {VERSION_OF: "shop_key", VERSION: "10"}
    ids = {
        name: engine.secret_create({"Name": name, "Labels": labels, "Data": DATA})
        for name, labels in (
            ("shop_key_v10", of("shop", team="ops", **tenth)),
            ("shop_key_v2", of("shop", **second)),
            ("shop_key", of("shop")),
            ("alone", {}),
        )
    }
    ids["shop_conf"] = engine.config_create(
        {"Name": "shop_conf", "Labels": of("shop"), "Data": DATA}
    )
    secrets = [reference("Secret", "shop_key_v10", ids["shop_key_v10"])]
    configs = [reference("Config", "shop_conf", ids["shop_conf"])]
    create_service(engine, "shop_web", of("shop"), Secrets=secrets, Configs=configs)
    create_service(engine, "shop_db", of("shop"), {"Replicated": {"Replicas": 1}})
    # Not of the stack, but one of its secrets is in use for it.
    other = [reference("Secret", "shop_key_v2", ids["shop_key_v2"])]
    create_service(engine, "visitor", {}, Secrets=other)
    create_service(engine, "blog_web", of("blog"), {"Global": {}})
    world.writes.clear()
    return world


def info(host: Daemon, **given: Any) -> dict[str, Any]:
    return gather(host.engine, params("stack_info", given), Run(clock=host.world.clock))


def test_all_stacks_are_told_those_included_that_have_no_service_left(world: World) -> None:
    facts = info(world.daemons[0])
    assert [stack["name"] for stack in facts["stacks"]] == ["blog", "shop", "wiki"]
    assert "exists" not in facts
    blog, _shop, wiki = facts["stacks"]
    assert [network["name"] for network in wiki["networks"]] == ["wiki_default"]
    assert (wiki["services"], wiki["secrets"], wiki["configs"]) == ([], [], [])
    assert (blog["desired"], blog["running"], blog["networks"]) == (2, 2, [])
    assert world.writes == []


def test_the_peers_results_are_there_by_their_names(world: World) -> None:
    # `docker stack ls` lists what has services.
    rows = [{"Name": "blog", "Services": "1"}, {"Name": "shop", "Services": "2"}]
    assert info(world.daemons[0])["results"] == rows
    assert info(world.daemons[0], name="shop")["results"] == rows[1:]
    assert info(world.daemons[0], name="wiki")["results"] == []


def test_one_stack_is_the_same_as_among_all_of_them(world: World) -> None:
    everything = {stack["name"]: stack for stack in info(world.daemons[0])["stacks"]}
    for name, stack in everything.items():
        facts = info(world.daemons[0], name=name)
        assert facts["exists"] is True
        assert facts["stacks"] == [stack]


def test_a_stack_that_is_not_there_is_no_failure(world: World) -> None:
    for name in ("sho", "SHOP", ""):
        assert info(world.daemons[0], name=name) == {"exists": False, "stacks": [], "results": []}


def test_a_label_without_a_value_makes_no_stack(world: World) -> None:
    create_service(world.daemons[0].engine, "odd", {NAMESPACE: ""})
    assert "odd" not in json.dumps(info(world.daemons[0]))


def test_services_are_told_as_service_info_tells_them(world: World) -> None:
    host = world.daemons[0]
    (shop,) = info(host, name="shop")["stacks"]
    for tasks in ("current", "all"):
        given = params("service_info", {"filters": {"label": f"{NAMESPACE}=shop"}, "tasks": tasks})
        expected = _service_info.gather(host.engine, given, Run(clock=world.clock))
        assert info(host, name="shop", tasks=tasks)["stacks"][0]["services"] == expected["services"]
    assert [service["name"] for service in shop["services"]] == ["shop_db", "shop_web"]
    assert (shop["desired"], shop["running"], shop["completed"]) == (3, 3, 0)


def test_earlier_tasks_are_told_on_request(world: World) -> None:
    host = world.daemons[0]
    web = host.engine.service("shop_web")
    newer = json.loads(json.dumps(web["Spec"]))
    newer["TaskTemplate"]["ContainerSpec"]["Image"] = "shop_web:2"
    host.engine.service_update(web["ID"], web["Version"]["Index"], newer)
    world.sleep(60)
    counts = {
        tasks: len(info(host, name="shop", tasks=tasks)["stacks"][0]["services"][1]["tasks"])
        for tasks in ("current", "all")
    }
    assert counts == {"current": 2, "all": 4}


def test_versions_are_told_in_their_order_and_whether_a_service_uses_them(world: World) -> None:
    (shop,) = info(world.daemons[0], name="shop")["stacks"]
    told = [(s["name"], s["version_of"], s["version"], s["in_use"]) for s in shop["secrets"]]
    assert told == [
        ("shop_key", "shop_key", 1, False),
        ("shop_key_v2", "shop_key", 2, True),
        ("shop_key_v10", "shop_key", 10, True),
    ]
    (conf,) = shop["configs"]
    assert (conf["name"], conf["version"], conf["in_use"]) == ("shop_conf", 1, True)
    stored = {item["Spec"]["Name"]: item["ID"] for item in world.daemons[0].engine.secrets()}
    assert [s["id"] for s in shop["secrets"]] == [stored[s["name"]] for s in shop["secrets"]]


def test_labels_are_told_without_our_own(world: World) -> None:
    (shop,) = info(world.daemons[0], name="shop")["stacks"]
    assert [secret["labels"] for secret in shop["secrets"]] == [
        of("shop"),
        of("shop"),
        of("shop", team="ops"),
    ]
    (network,) = shop["networks"]
    assert network["labels"] == of("shop", a="b")
    assert (network["name"], network["driver"]) == ("shop_back", "overlay")
    assert network["id"] in {n["Id"] for n in world.daemons[0].engine.networks()}


def test_what_is_in_secrets_and_configs_is_never_told(world: World) -> None:
    told = json.dumps([info(world.daemons[0], tasks="all"), info(world.daemons[0], name="shop")])
    assert DATA not in told
    assert HIDDEN not in told
    assert "aGFzaA==" not in told


def test_jobs_count_apart_from_what_runs(world: World) -> None:
    engine = world.daemons[0].engine
    create_service(engine, "shop_job", of("shop"), {"ReplicatedJob": {"TotalCompletions": 4}})
    (shop,) = info(world.daemons[0], name="shop")["stacks"]
    job = next(service for service in shop["services"] if service["name"] == "shop_job")
    assert job["desired"] == 4
    assert shop["desired"] == 3 + 4
    assert shop["running"] == 3 + job["running"]
    assert shop["completed"] == job["completed"]


@pytest.mark.parametrize("given", [{}, {"name": "shop"}])
def test_it_takes_few_requests_however_many_stacks(
    world: World, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = world.daemons[0]
    for number in range(20):
        stack = f"stack{number}"
        create_service(host.engine, f"{stack}_web", of(stack))
        network = {"Name": f"{stack}_default", "Driver": "overlay", "Labels": of(stack)}
        host.engine.network_create(network)
    asked: list[str] = []
    request = host.request

    def counted(method: str, url: str, **more: Any) -> Any:
        asked.append(url.rpartition("/")[2])
        return request(method, url, **more)

    monkeypatch.setattr(host, "request", counted)
    assert len(info(host, **given)["stacks"]) == (1 if given else 23)
    assert asked == ["info", "services", "networks", "tasks", "nodes", "secrets", "configs"]


def test_only_a_manager_can_tell_and_the_others_say_so(world: World) -> None:
    with pytest.raises(WrongState, match="node2 is a worker of a swarm, and only managers"):
        info(world.daemons[1])
    with pytest.raises(WrongState, match="node9 is not in a swarm"):
        info(world.host("node9", "10.0.0.19"), name="shop")


def test_an_election_is_waited_out(world: World) -> None:
    world.daemons[0].swarm_or_fail().elects_until = 6
    assert info(world.daemons[0], name="shop")["exists"] is True
    assert 6 <= world.now() < 8


def test_what_is_told_is_documented(world: World) -> None:
    facts = info(world.daemons[0], name="shop")
    returned = yaml.safe_load(module("stack_info").RETURN)
    assert set(facts) == set(returned)
    (shop,) = facts["stacks"]
    documented = returned["stacks"]["contains"]
    assert set(shop) == set(documented)
    for part in ("networks", "secrets", "configs"):
        for item in shop[part]:
            assert set(item) == set(documented[part]["contains"])
    for row in facts["results"]:
        assert set(row) == set(returned["results"]["contains"])
