# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, change, delete; in check mode and for real; the first time and again.

Each module runs as Ansible starts it, through the SDK, against a host that is served over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.shoal.swarm.tests.unit.engine_server import serve
from ansible_collections.shoal.swarm.tests.unit.memory_service import Ending, Service
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon, World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import run

IMAGE = "registry.example.com/web:1"
# Its container ends by itself.
JOB = "registry.example.com/job:1"
WEB = {
    "Name": "web",
    "Mode": {"Replicated": {"Replicas": 2}},
    "TaskTemplate": {"ContainerSpec": {"Image": IMAGE, "Env": ["A=1"]}},
}


@dataclass(frozen=True)
class Step:
    """A task that has something to do, and what is there before it."""

    module: str
    name: str
    task: Mapping[str, Any]
    prepare: Callable[[World], Any] = lambda _world: None
    # The task's host; the others are managed from the first.
    host: int = 0
    # What must be there when it is done.
    done: Callable[[World], Any] = field(default=lambda _world: True)


def found(world: World) -> None:
    world.daemons[0].engine.swarm_init({"Spec": {"Labels": {"team": "ops"}}})


def gather_in(world: World) -> None:
    found(world)
    tokens = world.daemons[0].swarm_or_fail().tokens()
    for host, role in zip(world.daemons[1:], ("Worker", "Manager", "Manager")):
        way_in = {"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": tokens[role]}
        host.engine.swarm_join(way_in)
    node = world.daemons[0].swarm_or_fail().node("node2")
    node.spec = {**node.spec, "Labels": {"type": "db", "empty": ""}, "Availability": "drain"}


def leave_ghosts(world: World) -> None:
    """node2 is not what it was any more."""
    gather_in(world)
    token = world.daemons[0].swarm_or_fail().tokens()["Worker"]
    world.daemons[1].engine.swarm_leave(force=False)
    way_in = {"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token}
    world.daemons[1].engine.swarm_join(way_in)


def lose_node4(world: World) -> None:
    gather_in(world)
    world.daemons[3].power_off()


def lock(world: World) -> None:
    gather_in(world)
    swarm = world.daemons[0].swarm_or_fail()
    swarm.spec["EncryptionConfig"]["AutoLockManagers"] = True
    swarm.after_settings(swarm.spec)
    world.daemons[0].power_off()
    world.daemons[0].power_on()


def deploy(world: World) -> None:
    gather_in(world)
    world.daemons[0].engine.service_create(WEB)


def deploy_on_one(world: World) -> None:
    deploy(world)
    swarm = world.daemons[0].swarm_or_fail()
    for task in swarm.service("web").tasks:
        task["NodeID"] = swarm.node("node1").id


def nodes_of_tasks(world: World) -> set[str]:
    """Where tasks run that shall run."""
    swarm = world.daemons[0].swarm_or_fail()
    nodes = {swarm.node_of(t) for t in service(world).tasks if t["DesiredState"] == "running"}
    return {node.hostname for node in nodes if node}


def deploy_and_scale(world: World) -> None:
    deploy(world)
    engine = world.daemons[0].engine
    found = engine.service("web")
    spec = {**WEB, "Mode": {"Replicated": {"Replicas": 4}}}
    engine.service_update(found["ID"], found["Version"]["Index"], spec)


def deploy_and_furnish(world: World) -> None:
    deploy(world)
    swarm = world.daemons[0].swarm_or_fail()
    swarm.add_network("backend")
    for kind, name in (("Secret", "key"), ("Secret", "other"), ("Config", "site")):
        swarm.add_file(kind, {"Name": name, "Data": "eA=="})


def furnish(world: World) -> None:
    """Another version of the secret and the config is in use, and the network is by nothing."""
    gather_in(world)
    swarm = world.daemons[0].swarm_or_fail()
    secret = swarm.add_file("Secret", {"Name": "key", "Data": "eA=="})
    config = swarm.add_file("Config", {"Name": "site", "Data": "eA=="})
    swarm.create_network({"Name": "backend", "Driver": "overlay", "Labels": {"team": "web"}})
    target = {"Name": "a", "UID": "0", "GID": "0", "Mode": 292}
    references = {
        "Secrets": [{"SecretID": secret.id, "SecretName": "key", "File": target}],
        "Configs": [{"ConfigID": config.id, "ConfigName": "site", "File": target}],
    }
    template = {"ContainerSpec": {"Image": IMAGE, **references}}
    world.daemons[0].engine.service_create({**WEB, "TaskTemplate": template})


def furnish_and_let_go(world: World) -> None:
    furnish(world)
    world.daemons[0].engine.service_remove("web")


def names(world: World, kind: str) -> list[str]:
    return [file.spec["Name"] for file in world.daemons[0].swarm_or_fail().files[kind]]


def networks(world: World) -> dict[str, Any]:
    return {network["Name"]: network for network in world.daemons[0].swarm_or_fail().networks}


def swarm_labels(world: World) -> Any:
    return world.daemons[0].swarm_or_fail().spec["Labels"]


def node2(world: World) -> Any:
    return world.daemons[1].node.spec if world.daemons[1].node else None


def service(world: World, name: str = "web") -> Service:
    return world.daemons[0].swarm_or_fail().service(name)


def container(world: World) -> Any:
    return service(world).spec["TaskTemplate"]["ContainerSpec"]


def services(world: World) -> Any:
    return {s.spec["Name"]: s.spec for s in world.daemons[0].swarm_or_fail().services}


JOIN = {"remote_addrs": ["10.0.0.11"], "join_token": "<Worker>"}
STEPS = (
    Step(
        "swarm_init",
        "create",
        {"labels": {"team": "ops"}, "default_addr_pool": ["172.30.0.0/16"]},
        done=lambda world: swarm_labels(world) == {"team": "ops"},
    ),
    Step(
        "swarm_init",
        "change",
        {"labels": {"team": "dev"}, "election_tick": 20, "autolock_managers": True},
        found,
        done=lambda world: swarm_labels(world) == {"team": "dev"},
    ),
    Step(
        "swarm_init", "delete", {"labels": {}}, found, done=lambda world: swarm_labels(world) == {}
    ),
    Step(
        "swarm_join",
        "create",
        {**JOIN, "role": "worker"},
        found,
        host=1,
        done=lambda world: world.daemons[1].state == "active",
    ),
    Step(
        "swarm_join",
        "change",
        {**JOIN, "join_token": "<Manager>", "role": "manager", "force": True},
        gather_in,
        host=1,
        done=lambda world: len(world.daemons[0].swarm_or_fail().managers()) == 4,
    ),
    Step(
        "swarm_join",
        "delete",
        {"state": "absent"},
        gather_in,
        host=2,
        done=lambda world: world.daemons[2].state == "inactive",
    ),
    Step(
        "node_label",
        "create",
        {"hostname": "node2", "labels": {"rack": "r1"}},
        gather_in,
        done=lambda world: node2(world)["Labels"] == {"type": "db", "empty": "", "rack": "r1"},
    ),
    Step(
        "node_label",
        "change",
        {"nodes": [{"hostname": "node2", "labels": {"type": "web"}}]},
        gather_in,
        done=lambda world: node2(world)["Labels"] == {"type": "web", "empty": ""},
    ),
    Step(
        "node_label",
        "delete",
        {"hostname": "node2", "labels_to_remove": ["type", "empty"]},
        gather_in,
        done=lambda world: node2(world)["Labels"] == {},
    ),
    Step(
        "node",
        "create (a manager)",
        {"nodes": [{"hostname": "node2", "role": "manager", "availability": "active"}]},
        gather_in,
        done=lambda world: len(world.daemons[0].swarm_or_fail().managers()) == 4,
    ),
    Step(
        "node",
        "change",
        {
            "nodes": [
                {"hostname": "node2", "availability": "pause", "replace_ghosts": True},
                {"hostname": "node3", "role": "worker"},
            ]
        },
        leave_ghosts,
        done=lambda world: (
            node2(world)["Availability"] == "pause"
            and node2(world)["Labels"] == {"type": "db", "empty": ""}
            and len(world.daemons[0].swarm_or_fail().nodes) == 4
        ),
    ),
    Step(
        "node",
        "delete",
        {
            "nodes": [
                {"hostname": "node2", "state": "absent", "force": True},
                {"hostname": "node4", "state": "absent"},
            ]
        },
        lose_node4,
        done=lambda world: (
            [n.hostname for n in world.daemons[0].swarm_or_fail().nodes] == ["node1", "node3"]
        ),
    ),
    Step(
        "swarm_unlock",
        "change",
        {"unlock_key": "<unlock key>"},
        lock,
        done=lambda world: world.daemons[0].state == "active",
    ),
    Step(
        "drain",
        "create",
        {"nodes": ["node3"], "strategy": "start_first", "wait_timeout": 36000},
        deploy,
        done=lambda world: nodes_of_tasks(world).isdisjoint({"node2", "node3"}),
    ),
    Step(
        "drain",
        "change",
        {"nodes": ["node2"], "state": "paused"},
        deploy,
        done=lambda world: node2(world)["Availability"] == "pause",
    ),
    Step(
        "drain",
        "delete",
        {"nodes": ["node2"], "state": "active", "rebalance": True, "wait_timeout": 36000},
        deploy_on_one,
        done=lambda world: len(nodes_of_tasks(world)) == 2,
    ),
    Step(
        "service",
        "create",
        {"name": "web", "image": IMAGE, "replicas": 2},
        gather_in,
        done=lambda world: services(world)["web"]["Mode"] == {"Replicated": {"Replicas": 2}},
    ),
    Step(
        "service",
        "change",
        {"name": "web", "replicas": 3, "env": {"B": 2}},
        deploy,
        done=lambda world: services(world)["web"]["Mode"] == {"Replicated": {"Replicas": 3}},
    ),
    Step(
        "service",
        "create a job",
        {"name": "job", "image": JOB, "mode": "replicated-job", "replicas": 3},
        gather_in,
        done=lambda world: (
            [t["Status"]["State"] for t in service(world, "job").tasks] == ["complete"] * 3
        ),
    ),
    Step(
        "service",
        "change what refers to others",
        {
            "name": "web",
            "networks": ["backend"],
            "secrets": ["key", {"secret_name": "other", "mode": "0400"}],
            "configs": ["site"],
        },
        deploy_and_furnish,
        done=lambda world: (
            len(service(world).spec["TaskTemplate"]["ContainerSpec"]["Secrets"]) == 2
        ),
    ),
    Step(
        "service",
        "roll back",
        {"name": "web", "state": "rolled_back"},
        deploy_and_scale,
        done=lambda world: services(world)["web"]["Mode"] == WEB["Mode"],
    ),
    Step(
        "service",
        "restart",
        {"name": "web", "force_update": "2026-11"},
        deploy,
        done=lambda world: services(world)["web"]["TaskTemplate"]["ForceUpdate"] == 1,
    ),
    Step(
        "service",
        "delete",
        {"name": "web", "state": "absent"},
        deploy,
        done=lambda world: services(world) == {},
    ),
    Step(
        "secret",
        "create",
        {"name": "key", "data": "a secret"},
        gather_in,
        done=lambda world: names(world, "Secret") == ["key"],
    ),
    Step(
        "secret",
        "change",
        {"name": "key", "data": "a secret", "rolling_versions": True, "adopt": "verify"},
        furnish,
        done=lambda world: names(world, "Secret") == ["key", "key_v2"],
    ),
    Step(
        "secret",
        "delete",
        {"name": "key", "state": "absent"},
        furnish_and_let_go,
        done=lambda world: names(world, "Secret") == [],
    ),
    Step(
        "config",
        "create",
        {"name": "site", "data": "a text"},
        gather_in,
        done=lambda world: names(world, "Config") == ["site"],
    ),
    Step(
        "config",
        "change",
        {"name": "site", "data": "a text", "rolling_versions": True},
        furnish,
        done=lambda world: names(world, "Config") == ["site", "site_v2"],
    ),
    Step(
        "config",
        "delete",
        {"name": "site", "state": "absent"},
        furnish_and_let_go,
        done=lambda world: names(world, "Config") == [],
    ),
    Step(
        "network",
        "create",
        {"name": "backend", "attachable": True},
        gather_in,
        done=lambda world: networks(world)["backend"]["Attachable"],
    ),
    Step(
        "network",
        "change",
        {"name": "backend", "attachable": True, "force": True},
        furnish,
        done=lambda world: networks(world)["backend"]["Labels"] == {"team": "web"},
    ),
    Step(
        "network",
        "delete",
        {"name": "backend", "state": "absent"},
        furnish,
        done=lambda world: "backend" not in networks(world),
    ),
)
every_step = pytest.mark.parametrize(
    "step", STEPS, ids=[f"{step.module}-{step.name}" for step in STEPS]
)


@pytest.fixture
def world() -> World:
    # An hour of the engines is a second of ours.
    world = World(pace=3600)
    # So that no version moves by itself later on.
    world.delays.down = 0
    world.endings[JOB] = Ending()
    for number in range(1, 5):
        world.host(f"node{number}", f"10.0.0.1{number}")
    return world


@pytest.fixture
def task(world: World, step: Step) -> Iterator[Callable[..., dict[str, Any]]]:
    """The step's task, to be run once the world is as the step wants it."""
    step.prepare(world)
    world.writes.clear()
    given = dict(step.task)
    if "join_token" in given:
        tokens = world.daemons[0].swarm_or_fail().tokens()
        given["join_token"] = tokens[given["join_token"].strip("<>")]
    if "unlock_key" in given:
        given["unlock_key"] = world.daemons[0].swarm_or_fail().unlock_key
    with serve(world.daemons[step.host]) as docker_host:

        def run_task(check_mode: bool = False) -> dict[str, Any]:
            result = run(step.module, docker_host, check_mode, _ansible_diff=True, **given)
            assert "failed" not in result, result
            return result

        yield run_task


def versions(world: World) -> dict[str, int]:
    swarms = {host.swarm.id: host.swarm for host in world.daemons if host.swarm}
    return {thing.id: thing.version for swarm in swarms.values() for thing in swarm.objects()}


def states(world: World) -> list[str]:
    return [host.state for host in world.daemons]


Task = Callable[..., dict[str, Any]]


@every_step
def test_check_first_tells_the_change_and_changes_nothing(
    world: World, step: Step, task: Task
) -> None:
    before = versions(world), states(world)
    first, second = task(check_mode=True), task(check_mode=True)
    assert first["changed"] is True
    assert first["diff"]
    assert first["changes"]
    assert (second["changed"], second["diff"]) == (True, first["diff"])
    assert world.writes == []
    assert (versions(world), states(world)) == before


@every_step
def test_real_first_changes_what_check_mode_told(world: World, step: Step, task: Task) -> None:
    told = task(check_mode=True)
    result = task()
    assert result["changed"] is True
    assert result["diff"] == told["diff"]
    assert result["changes"] == told["changes"]
    assert world.writes
    assert step.done(world)


@every_step
def test_check_again_has_nothing_to_tell(world: World, step: Step, task: Task) -> None:
    task()
    again = task(check_mode=True)
    assert (again["changed"], again["diff"], again["changes"]) == (False, [], [])


@every_step
def test_real_again_changes_nothing_and_moves_no_version(
    world: World, step: Step, task: Task
) -> None:
    task()
    before = versions(world), states(world)
    world.writes.clear()
    again = task()
    assert (again["changed"], again["diff"], again["changes"]) == (False, [], [])
    assert world.writes == []
    assert (versions(world), states(world)) == before
    assert step.done(world)


@pytest.mark.parametrize(
    "step",
    [step for step in STEPS if step.name.startswith("change")],
    ids=lambda step: f"{step.module}-{step.name}",
)
def test_a_task_that_begins_during_an_election_is_carried_out(
    world: World, step: Step, task: Task
) -> None:
    # Half a second of ours.
    world.daemons[0].swarm_or_fail().elects_until = world.now() + 1800
    assert task()["changed"] is True
    assert step.done(world)


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("module", ["service_info", "service_logs"])
def test_what_reads_services_never_changes_anything(
    world: World, module: str, check_mode: bool
) -> None:
    deploy(world)
    world.writes.clear()
    before = versions(world)
    with serve(world.daemons[0]) as docker_host:
        result = run(module, docker_host, check_mode, name="web")
    assert (result["changed"], "diff" in result) == (False, False)
    assert world.writes == []
    assert versions(world) == before


@pytest.mark.parametrize("check_mode", [True, False])
def test_swarm_info_never_changes_anything(world: World, check_mode: bool) -> None:
    deploy(world)
    world.writes.clear()
    before = versions(world)
    host: Daemon
    for host in world.daemons:
        with serve(host) as docker_host:
            result = run("swarm_info", docker_host, check_mode, join_tokens=True, unlock_key=True)
        assert (result["changed"], "diff" in result) == (False, False)
        assert result["hostname"] == host.name
    assert world.writes == []
    assert versions(world) == before
