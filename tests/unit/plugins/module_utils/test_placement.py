# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._placement import (
    Homeless,
    could_be_better_spread,
    homeless,
    meets,
    runs_platform,
    takes_tasks,
    why_not,
)

GIB = 2**30
CPU = 10**9


def node(name: str = "node1", **parts: Any) -> dict[str, Any]:
    return {
        "ID": f"{name}id",
        "Spec": {
            "Role": "worker",
            "Availability": parts.get("availability", "active"),
            "Labels": parts.get("labels", {}),
        },
        "Description": {
            "Hostname": name,
            "Platform": {"OS": "linux", "Architecture": parts.get("architecture", "x86_64")},
            "Resources": {
                "NanoCPUs": 2 * CPU,
                "MemoryBytes": 4 * GIB,
                "GenericResources": parts.get("generic", []),
            },
            "Engine": {
                "Labels": parts.get("engine_labels"),
                "Plugins": [{"Type": "Volume", "Name": n} for n in parts.get("plugins", [])],
            },
        },
        "Status": {"State": parts.get("state", "ready"), "Addr": "10.0.0.11"},
        **({"ManagerStatus": {"Reachability": "reachable"}} if parts.get("manages") else {}),
    }


def service(service_id: str = "web", **template: Any) -> dict[str, Any]:
    ports = template.pop("ports", [])
    return {
        "ID": service_id,
        "Spec": {
            "Name": service_id,
            "TaskTemplate": {"ContainerSpec": {}, **template},
            "EndpointSpec": {"Ports": ports},
        },
    }


def task(service: dict[str, Any], node_name: str, **parts: Any) -> dict[str, Any]:
    return {
        "ServiceID": service["ID"],
        "NodeID": f"{node_name}id",
        "Spec": service["Spec"]["TaskTemplate"],
        "DesiredState": parts.get("desired", "running"),
        "Status": {"State": parts.get("state", "running")},
    }


# The rules of swarmkit's manager/constraint/constraint.go and its tests.
DB = node("Node1", labels={"type": "DB", "Rack": ""}, engine_labels={"os": "Debian"})


@pytest.mark.parametrize(
    ("constraint", "is_met"),
    [
        ("node.id==Node1id", True),
        ("node.id == NODE1ID", True),
        ("node.id!=Node1id", False),
        ("node.hostname==node1", True),
        ("node.hostname!=node2", True),
        ("NODE.HOSTNAME==node1", True),
        ("node.role==worker", True),
        ("node.role==manager", False),
        ("node.role!=Manager", True),
        ("node.platform.os==Linux", True),
        ("node.platform.arch==x86_64", True),
        # No other name of it counts here.
        ("node.platform.arch==amd64", False),
        ("node.labels.type==db", True),
        ("node.labels.type!=db", False),
        # The key of a label is compared to the letter.
        ("node.labels.Type==db", False),
        ("node.labels.zone==z1", False),
        ("node.labels.zone!=z1", True),
        ("node.labels.Rack!=r1", True),
        ("engine.labels.os==debian", True),
        ("engine.labels.os!=debian", False),
        ("engine.labels.kernel!=6", True),
        ("node.ip==10.0.0.11", True),
        ("node.ip!=10.0.0.11", False),
        ("node.ip==10.0.0.0/24", True),
        ("node.ip!=10.0.0.0/24", False),
        ("node.ip==10.1.0.0/24", False),
        ("node.ip!=10.1.0.0/24", True),
        ("node.ip==somewhere", False),
        ("node.ip!=somewhere", False),
        ("node.what==ever", False),
        ("what!=ever", False),
        # The first operator of the two counts, wherever it stands.
        ("node.hostname!=a==b", True),
        # What is none rules nobody out.
        ("node.hostname", True),
    ],
)
def test_constraints(constraint: str, is_met: bool) -> None:
    assert meets([constraint], DB) is is_met
    assert meets(["node.id==Node1id", constraint], DB) is is_met


def test_who_manages_is_a_manager_whatever_it_is_to_become() -> None:
    assert meets(["node.role==manager"], node(manages=True))


def test_what_a_node_has_not_told_is_empty() -> None:
    silent = {"ID": "n", "Spec": {}, "Status": {"State": "ready"}}
    assert meets(["node.hostname!=node1", "engine.labels.a!=b", "node.platform.os!=linux"], silent)
    assert not meets(["node.hostname==node1"], silent)


@pytest.mark.parametrize(
    ("platforms", "architecture", "runs"),
    [
        ([], "x86_64", True),
        ([{"OS": "linux", "Architecture": "amd64"}], "x86_64", True),
        ([{"OS": "linux", "Architecture": "arm64"}], "aarch64", True),
        ([{"OS": "linux", "Architecture": "arm64"}], "x86_64", False),
        ([{"OS": "windows", "Architecture": "amd64"}], "x86_64", False),
        ([{"OS": "linux"}], "riscv64", True),
        ([{"Architecture": "arm64"}, {"Architecture": "amd64"}], "x86_64", True),
    ],
)
def test_platforms(platforms: list[dict[str, str]], architecture: str, runs: bool) -> None:
    assert runs_platform(platforms, node(architecture=architecture)) is runs


def reserving(**resources: Any) -> dict[str, Any]:
    return service(Resources={"Reservations": resources})


def gpus(count: int) -> list[dict[str, Any]]:
    return [{"DiscreteResourceSpec": {"Kind": "GPU", "Value": count}}]


NAMED = [{"NamedResourceSpec": {"Kind": "GPU", "Value": f"id{number}"}} for number in range(2)]
HOST_PORT = [{"PublishedPort": 80, "Protocol": "tcp", "PublishMode": "host"}]
UDP_PORT = [{"PublishedPort": 80, "Protocol": "udp", "PublishMode": "host"}]
INGRESS_PORT = [{"PublishedPort": 80, "Protocol": "tcp", "PublishMode": "ingress"}]
ANY_PORT = [{"TargetPort": 80, "PublishMode": "host"}]


def volume(driver: str) -> dict[str, Any]:
    options = {"DriverConfig": {"Name": driver}}
    mounts = [{"Type": "volume", "Source": "data", "VolumeOptions": options}]
    return service(ContainerSpec={"Mounts": mounts})


@pytest.mark.parametrize(
    ("wanted", "there", "here", "reason"),
    [
        (service(), [], {}, ""),
        (reserving(MemoryBytes=4 * GIB), [], {}, ""),
        (reserving(MemoryBytes=4 * GIB + 1), [], {}, "too few resources"),
        (reserving(NanoCPUs=CPU), [reserving(NanoCPUs=CPU)], {}, ""),
        (reserving(NanoCPUs=CPU), [reserving(NanoCPUs=CPU + 1)], {}, "too few resources"),
        # Who reserves nothing is not asked.
        (service(), [reserving(NanoCPUs=9 * CPU)], {}, ""),
        (reserving(GenericResources=gpus(2)), [], {"generic": gpus(2)}, ""),
        (reserving(GenericResources=gpus(2)), [], {"generic": NAMED}, ""),
        (reserving(GenericResources=gpus(3)), [], {"generic": NAMED}, "too few resources"),
        (reserving(GenericResources=gpus(1)), [], {}, "too few resources"),
        (service(ports=HOST_PORT), [], {}, ""),
        (service(ports=HOST_PORT), [service("other", ports=HOST_PORT)], {}, "host port in use"),
        (service(ports=HOST_PORT), [service("other", ports=UDP_PORT)], {}, ""),
        (service(ports=HOST_PORT), [service("other", ports=INGRESS_PORT)], {}, ""),
        (service(ports=ANY_PORT), [service("other", ports=ANY_PORT)], {}, ""),
        (service(Placement={"Constraints": ["node.role==worker"]}), [], {}, ""),
        (
            service(Placement={"Constraints": ["node.role==manager"]}),
            [],
            {},
            "constraints not satisfied",
        ),
        (
            service(Placement={"Platforms": [{"Architecture": "arm64"}]}),
            [],
            {},
            "another platform",
        ),
        (service(Placement={"MaxReplicas": 2}), [service()], {}, ""),
        (
            service(Placement={"MaxReplicas": 1}),
            [service()],
            {},
            "1 of its tasks already, and no more may be",
        ),
        (service(Placement={"MaxReplicas": 1}), [service("other")], {}, ""),
        (volume("local"), [], {}, ""),
        (volume("nfs"), [], {"plugins": ["local", "nfs:latest"]}, ""),
        (volume("nfs"), [], {"plugins": ["local"]}, "no such volume driver"),
    ],
)
def test_what_a_node_can_take(
    wanted: dict[str, Any], there: list[dict[str, Any]], here: dict[str, Any], reason: str
) -> None:
    services = [wanted, *(other for other in there if other["ID"] != "web")]
    tasks = [task(other, "node1") for other in there]
    found = homeless({"web": 1}, services, tasks, [node(**here)], NAMES)
    assert found == ({"web": Homeless(1, f"{reason} on node1")} if reason else {})


NAMES = {f"node{number}id": f"node{number}" for number in range(1, 5)}
NODES = [node("node1"), node("node2"), node("node3", labels={"type": "db"})]


def test_each_that_is_placed_takes_its_room_from_the_next() -> None:
    edge = service(ports=HOST_PORT)
    assert homeless({"web": 3}, [edge], [], NODES, NAMES) == {}
    assert homeless({"web": 5}, [edge], [], NODES, NAMES) == {
        "web": Homeless(2, "host port in use on node1, node2, node3")
    }


def test_each_reason_is_told_with_its_nodes() -> None:
    placement = {"Constraints": ["node.labels.type==db"], "MaxReplicas": 1}
    db = service(Placement=placement)
    assert homeless({"web": 1}, [db], [task(db, "node3")], NODES, NAMES) == {
        "web": Homeless(
            1,
            "constraints not satisfied on node1, node2; "
            "1 of its tasks already, and no more may be on node3",
        )
    }
    assert homeless({"web": 1}, [db], [], [], NAMES) == {
        "web": Homeless(1, "no other node takes tasks")
    }


def test_what_is_about_to_stop_has_its_port_still_but_is_no_replica_any_more() -> None:
    edge = service(ports=HOST_PORT)
    few = service("few", Placement={"MaxReplicas": 1})
    tasks = [task(s, "node1", desired="shutdown") for s in (edge, few)]
    found = homeless({"web": 1, "few": 1}, [edge, few], tasks, NODES[:1], NAMES)
    assert found == {"web": Homeless(1, "host port in use on node1")}
    over = [task(edge, "node1", desired="shutdown", state="shutdown")]
    assert homeless({"web": 1}, [edge], over, NODES[:1], NAMES) == {}


@pytest.mark.parametrize(
    ("parts", "takes"),
    [
        ({}, True),
        ({"availability": "pause"}, False),
        ({"availability": "drain"}, False),
        ({"state": "down"}, False),
        ({"state": "unknown"}, False),
    ],
)
def test_who_takes_tasks(parts: dict[str, Any], takes: bool) -> None:
    assert takes_tasks(node(**parts)) is takes


def spread(*labels: str) -> dict[str, Any]:
    preferences = [{"Spread": {"SpreadDescriptor": f"node.labels.{label}"}} for label in labels]
    return service(Placement={"Preferences": preferences})["Spec"]


ZONES = [node(f"node{n}", labels={"zone": z}) for n, z in enumerate("aabc", 1)]


@pytest.mark.parametrize(
    ("spec", "counts", "better"),
    [
        (spread(), (0, 0, 0, 0), False),
        (spread(), (0, 1, 1, 1), False),
        (spread(), (0, 2, 1, 1), True),
        (spread(), (1, 3, 0, 0), False),
        # Its own zone has none, and another has two.
        (spread("zone"), (0, 0, 2, 1), True),
        (spread("zone"), (0, 0, 1, 1), False),
        # Its own zone has some: what the others have is no matter of this node.
        (spread("zone"), (0, 1, 3, 3), False),
        (spread("zone"), (0, 2, 1, 0), True),
        # A label that nobody has, and one that is none.
        (spread("rack", "zone"), (0, 0, 2, 1), True),
    ],
)
def test_what_would_be_spread_better(
    spec: dict[str, Any], counts: tuple[int, ...], better: bool
) -> None:
    held = {zone["ID"]: count for zone, count in zip(ZONES, counts)}
    assert could_be_better_spread(spec, ZONES[0], ZONES, held) is better


def test_labels_of_engines_spread_as_well() -> None:
    nodes = [node("node1", engine_labels={"os": "a"}), node("node2", engine_labels={"os": "b"})]
    preferences = [{"Spread": {"SpreadDescriptor": "engine.labels.os"}}]
    spec = service(Placement={"Preferences": preferences})["Spec"]
    assert could_be_better_spread(spec, nodes[0], nodes, {"node2id": 2})
    assert not why_not("web", spec, nodes[0])
