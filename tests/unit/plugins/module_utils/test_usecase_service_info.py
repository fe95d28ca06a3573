# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    AmbiguousWrite,
    EngineError,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_info import (
    gather,
    summary,
)
from ansible_collections.shoal.swarm.tests.unit.memory_service import Ending
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import module, params


def spec(name: str, mode: Mapping[str, Any], **labels: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Labels": labels,
        "Mode": mode,
        "TaskTemplate": {"ContainerSpec": {"Image": f"{name}:1"}},
    }


WEB = spec("web", {"Replicated": {"Replicas": 3}}, stack="shop", tier="front")
WEB2 = spec("web2", {"Replicated": {"Replicas": 1}}, stack="shop")
AGENT = spec("agent", {"Global": {}})


class Counted:
    """A host's session that counts what is asked of it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.paths: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.daemon, name)

    def request(self, method: str, url: str, **more: Any) -> Any:
        self.paths.append(url.partition("/v1.41/")[2])
        return self.daemon.request(method, url, **more)


@pytest.fixture
def world() -> World:
    """A manager, two workers, three services."""
    world = World()
    hosts = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, 4)]
    hosts[0].engine.swarm_init({"Spec": {}})
    token = hosts[0].swarm_or_fail().tokens()["Worker"]
    for host in hosts[1:]:
        host.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    for service in (WEB2, WEB, AGENT):
        hosts[0].engine.service_create(service)
    world.writes.clear()
    return world


def info(host: Daemon, **given: Any) -> dict[str, Any]:
    return gather(host.engine, params("service_info", given), Run(clock=host.world.clock))


def names(facts: Mapping[str, Any]) -> list[str]:
    return [service["name"] for service in facts["services"]]


def test_one_service_comes_as_the_api_shows_it_and_in_words(world: World) -> None:
    facts = info(world.daemons[0], name="web")
    assert facts["exists"] is True
    assert facts["service"] == world.daemons[0].engine.service("web")
    (web,) = facts["services"]
    assert (web["id"], web["name"], web["mode"]) == (facts["service"]["ID"], "web", "replicated")
    assert (web["image"], web["labels"]) == ("web:1", {"stack": "shop", "tier": "front"})
    assert (web["desired"], web["running"], web["completed"]) == (3, 3, 0)
    assert web["version"] == facts["service"]["Version"]["Index"]
    assert web["service_spec"] == facts["service"]["Spec"]
    assert web["has_previous_spec"] is False
    assert [task["name"] for task in web["tasks"]] == ["web.1", "web.2", "web.3"]
    assert {task["node"] for task in web["tasks"]} == {"node1", "node2", "node3"}
    assert {task["state"] for task in web["tasks"]} == {"running"}
    assert world.writes == []


def test_a_service_is_found_by_its_whole_id_but_not_by_a_part(world: World) -> None:
    service_id = world.daemons[0].engine.service("web")["ID"]
    assert names(info(world.daemons[0], name=service_id)) == ["web"]
    assert info(world.daemons[0], name=service_id[:5])["exists"] is False


def test_the_beginning_of_an_id_that_the_engine_takes_is_no_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm = world.daemons[0].swarm_or_fail()
    monkeypatch.setattr(swarm, "service", lambda _reference: swarm.services[0])
    assert info(world.daemons[0], name="w")["exists"] is False


def test_a_service_that_is_not_there_is_no_failure(world: World) -> None:
    assert info(world.daemons[0], name="we") == {"exists": False, "service": None, "services": []}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (None, ["agent", "web", "web2"]),
        ({}, ["agent", "web", "web2"]),
        ({"name": "web"}, ["web", "web2"]),
        ({"name": ["web2", "agent"]}, ["agent", "web2"]),
        ({"label": "stack=shop"}, ["web", "web2"]),
        ({"label": ["stack=shop", "tier"]}, ["web"]),
        ({"mode": "global"}, ["agent"]),
        ({"mode": ["global", "replicated"], "name": "web2"}, ["web2"]),
        ({"name": "nothing"}, []),
    ],
)
def test_filters_choose_services(world: World, filters: Any, found: list[str]) -> None:
    facts = info(world.daemons[0], filters=filters)
    assert names(facts) == found
    assert "service" not in facts
    assert all(service["running"] == service["desired"] > 0 for service in facts["services"])


def test_a_filter_that_the_engine_does_not_know_is_told(world: World) -> None:
    with pytest.raises(EngineError, match="Invalid filter 'colour'"):
        info(world.daemons[0], filters={"colour": "red"})


@pytest.mark.parametrize("given", [{}, {"filters": {"label": "stack=shop"}}, {"name": "web"}])
def test_it_takes_few_requests_however_many_services(world: World, given: Any) -> None:
    for number in range(20):
        service = spec(f"web-{number}", {"Replicated": {"Replicas": 1}}, stack="shop")
        world.daemons[0].engine.service_create(service)
    session = Counted(world.daemons[0])
    engine = type(world.daemons[0].engine)(session, is_socket=False)
    gather(engine, params("service_info", given), Run(clock=world.clock))
    of_services = "services/web" if "name" in given else "services"
    assert session.paths == ["info", of_services, "tasks", "nodes"]


def test_a_service_that_goes_while_we_look_costs_one_more_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.daemons[0].engine
    services = engine.services

    def and_then_one_is_removed(filters: Any = None) -> Any:
        found = services(filters)
        engine.service_remove("web")
        return found

    monkeypatch.setattr(engine, "services", and_then_one_is_removed)
    given = params("service_info", {"filters": {"name": "web"}})
    facts = gather(engine, given, Run(clock=world.clock))
    assert names(facts) == ["web", "web2"]
    assert [service["running"] for service in facts["services"]] == [0, 1]


def test_a_task_on_a_node_that_is_down_does_not_run(world: World) -> None:
    world.delays.down = 0
    agents = info(world.daemons[0], name="agent")["services"][0]
    assert (agents["desired"], agents["running"]) == (3, 3)
    world.daemons[2].power_off()
    (web,) = info(world.daemons[0], name="web")["services"]
    assert (web["desired"], web["running"]) == (3, 3)
    assert {task["node"] for task in web["tasks"]} == {"node1", "node2"}


def test_an_update_is_told_and_the_tasks_that_were_replaced_on_request(world: World) -> None:
    host = world.daemons[0]
    world.broken_images["web:9"] = "No such image: web:9"
    service = host.engine.service("web")
    newer = spec("web", WEB["Mode"])
    newer["TaskTemplate"]["ContainerSpec"]["Image"] = "web:9"
    host.engine.service_update(service["ID"], service["Version"]["Index"], newer)
    (web,) = info(host, name="web")["services"]
    assert web["update_status"]["state"] == "paused"
    assert web["update_status"]["message"].startswith("update paused due to failure")
    assert web["has_previous_spec"] is True
    assert (web["desired"], web["running"], len(web["tasks"])) == (3, 0, 3)
    # They wait for their turn, and those before them tell why.
    assert {task["error"] for task in web["tasks"]} == {""}
    (web,) = info(host, name="web", tasks="all")["services"]
    told = [(task["name"], task["image"], task["state"], task["error"]) for task in web["tasks"]]
    assert told[:3] == [
        ("web.1", "web:9", "ready", ""),
        ("web.1", "web:9", "rejected", "No such image: web:9"),
        ("web.1", "web:1", "shutdown", ""),
    ]
    assert [name for name, *_rest in told] == [
        f"web.{slot}" for slot in (1, 1, 1, 2, 2, 2, 3, 3, 3)
    ]


def test_a_job_is_told_while_it_runs_and_when_it_is_done(world: World) -> None:
    host = world.daemons[0]
    world.endings["job:1"] = Ending(codes=(3, 0), after=10)
    mode = {"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 3}}
    job = spec("job", mode)
    job["TaskTemplate"]["RestartPolicy"] = {"Condition": "on-failure", "Delay": 1}
    host.engine.service_create(job)

    def counts() -> tuple[str, int, int, int]:
        (told,) = info(host, name="job")["services"]
        return told["mode"], told["desired"], told["running"], told["completed"]

    assert counts() == ("replicated-job", 3, 2, 0)
    for _second in range(120):
        world.sleep(1)
    assert counts() == ("replicated-job", 3, 0, 3)
    (told,) = info(host, name="job", tasks="all")["services"]
    codes = [(task["slot"], task["exit_code"]) for task in told["tasks"]]
    assert codes == [(0, 0), (0, 3), (1, 0), (1, 3), (2, 0), (2, 3)]


def test_only_a_manager_can_tell_and_the_others_say_so(world: World) -> None:
    with pytest.raises(WrongState, match="node2 is a worker of a swarm, and only managers"):
        info(world.daemons[1], name="web")
    outside = world.host("node9", "10.0.0.19")
    with pytest.raises(WrongState, match="node9 is not in a swarm"):
        info(outside)


def test_an_election_is_waited_out_and_a_lost_quorum_is_not(world: World) -> None:
    swarm = world.daemons[0].swarm_or_fail()
    swarm.elects_until = 6
    assert info(world.daemons[0], name="web")["exists"] is True
    assert 6 <= world.now() < 8
    swarm.elects_until = 600
    with pytest.raises(AmbiguousWrite, match=r"is the quorum lost\?"):
        info(world.daemons[0], name="web")
    assert world.now() < 60


# What the memory swarm does not have, as Engine 20.10 and 26.1 show it

ENDPOINT = {
    "Spec": {
        "Mode": "vip",
        "Ports": [
            {"Protocol": "tcp", "TargetPort": 8080, "PublishMode": "ingress"},
            {"Protocol": "tcp", "TargetPort": 9090, "PublishMode": "host"},
        ],
    },
    "Ports": [
        {"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 30000, "PublishMode": "ingress"},
        {"Protocol": "tcp", "TargetPort": 9090, "PublishMode": "host"},
    ],
    "VirtualIPs": [
        {"NetworkID": "vv8g6tiik716", "Addr": "10.0.0.3/24"},
        {"NetworkID": "agswvfkg767c", "Addr": "10.0.1.2/24"},
    ],
}
UPDATED = {
    "State": "completed",
    "StartedAt": "2026-11-21T08:27:13.2868217Z",
    "CompletedAt": "2026-11-21T08:27:18.68426524Z",
    "Message": "update completed",
}


def document(**more: Any) -> dict[str, Any]:
    return {"ID": "s1", "Version": {"Index": 7}, "Spec": WEB, **more}


def test_ports_that_the_swarm_chose_and_addresses_are_told_with_names() -> None:
    networks = [{"Id": "vv8g6tiik716", "Name": "ingress"}]
    told = summary(document(Endpoint=ENDPOINT, UpdateStatus=UPDATED), [], [], networks)
    assert told["endpoint"] == {
        "mode": "vip",
        "ports": [
            {"published_port": 30000, "target_port": 8080, "protocol": "tcp", "mode": "ingress"},
            {"published_port": 0, "target_port": 9090, "protocol": "tcp", "mode": "host"},
        ],
        "virtual_ips": [
            {"network": "ingress", "network_id": "vv8g6tiik716", "address": "10.0.0.3/24"},
            # A network that is being removed.
            {"network": "agswvfkg767c", "network_id": "agswvfkg767c", "address": "10.0.1.2/24"},
        ],
    }
    assert told["update_status"] == {
        "state": "completed",
        "message": "update completed",
        "started_at": "2026-11-21T08:27:13.2868217Z",
        "completed_at": "2026-11-21T08:27:18.68426524Z",
    }


@pytest.mark.parametrize(
    ("endpoint", "stored", "mode"),
    [
        (None, None, "vip"),
        ({"Spec": {}}, None, "vip"),
        ({"Spec": {}}, {"Mode": "dnsrr"}, "dnsrr"),
        ({"Spec": {"Mode": "dnsrr"}}, {"Mode": "dnsrr"}, "dnsrr"),
        ({"Spec": {"Ports": []}}, None, "vip"),
    ],
)
def test_an_endpoint_without_ports_and_networks_has_the_mode_of_the_spec(
    endpoint: Any, stored: Any, mode: str
) -> None:
    service = document(Endpoint=endpoint, Spec={**WEB, "EndpointSpec": stored})
    assert summary(service, [], [], [])["endpoint"] == {
        "mode": mode,
        "ports": [],
        "virtual_ips": [],
    }


def test_what_is_told_of_a_service_and_a_task_is_documented(world: World) -> None:
    (web,) = info(world.daemons[0], name="web")["services"]
    returned = yaml.safe_load(module("service_info").RETURN)["services"]["contains"]
    assert set(web) == set(returned)
    for part in ("update_status", "endpoint"):
        assert set(web[part]) == set(returned[part]["contains"])
    assert set(web["tasks"][0]) == set(returned["tasks"]["contains"])


def test_a_service_tells_the_same_names_whatever_it_is() -> None:
    for mode in ("Replicated", "Global", "ReplicatedJob", "GlobalJob"):
        told = summary(document(Spec={**WEB, "Mode": {mode: {}}}), [], [], [])
        assert set(told) == set(summary(document(UpdateStatus=UPDATED), [], [], []))


def test_networks_are_asked_for_where_there_are_addresses(world: World) -> None:
    host = world.daemons[0]
    engine = host.engine
    service = {**engine.service("web"), "Endpoint": ENDPOINT}
    (ingress,) = engine.networks({"name": ["ingress"]})
    address = {"NetworkID": ingress["Id"], "Addr": "10.0.0.3/24"}
    service["Endpoint"] = {**ENDPOINT, "VirtualIPs": [address]}
    engine.service = lambda service_id: service  # type: ignore[method-assign]
    facts = gather(engine, params("service_info", {"name": "web"}), Run(clock=world.clock))
    (virtual_ip,) = facts["services"][0]["endpoint"]["virtual_ips"]
    assert virtual_ip["network"] == "ingress"
