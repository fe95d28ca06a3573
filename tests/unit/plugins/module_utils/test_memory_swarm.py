# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The memory swarm behaves as the engine does: the same steps against both.

For the real one set SHOAL_ENGINE to the docker_host of a throw-away engine, or of several with
spaces between them. They LEAVE THEIR SWARMS. Steps that need more hosts than given run on the
memory swarm alone.
"""

from __future__ import annotations

import base64
import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._client import (
    Connection,
    Engine,
    connect,
    version_tuple,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    EngineError,
    NotConverged,
    NotManager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    root_ca_digest,
    token_digest,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Clock,
    Look,
    Verdict,
    wait_until,
)
from ansible_collections.shoal.swarm.tests.unit import (
    memory_objects,
    memory_spec,
    service_options,
)
from ansible_collections.shoal.swarm.tests.unit import memory_swarm as memory
from ansible_collections.shoal.swarm.tests.unit.memory_store import (
    ALREADY_EXISTS,
    INVALID,
    OUT_OF_SEQUENCE,
    PRECONDITION,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    SERVICE_DEFAULTS,
    World,
    laid_over,
)

REAL = os.environ.get("SHOAL_ENGINE", "").split()


@dataclass
class Rig:
    """Some hosts outside any swarm, and the clock they live by."""

    hosts: list[Engine]
    clock: Clock

    def __getitem__(self, index: int) -> Engine:
        return self.hosts[index]

    def until(self, check: Callable[[], Any], seconds: float = 30) -> None:
        def look() -> Look:
            return Look(Verdict.DONE if check() else Verdict.WAIT)

        wait_until("what this test waits for", look, seconds, self.clock)

    def init(self, **body: Any) -> Engine:
        self[0].swarm_init({"ListenAddr": "0.0.0.0:2377", "Spec": {}, **body})
        return self[0]

    def join(self, index: int, role: str, **body: Any) -> Engine:
        token = self[0].swarm()["JoinTokens"][role]
        self[index].swarm_join({**self.way_in(token), **body})
        return self[index]

    def way_in(self, token: str) -> dict[str, Any]:
        address = f"{self[0].info()['Swarm']['NodeAddr']}:2377"
        return {"ListenAddr": "0.0.0.0:2377", "RemoteAddrs": [address], "JoinToken": token}


def hosts(count: int) -> pytest.MarkDecorator:
    kinds = ["memory", *(["real"] if len(REAL) >= count else [])]
    return pytest.mark.parametrize(
        "rig", [(kind, count) for kind in kinds], indirect=True, ids=kinds
    )


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    kind, count = request.param
    if kind == "memory":
        world = World()
        world.broken_images[NOWHERE] = f"No such image: {NOWHERE}"
        world.registry.is_down = True
        daemons = [world.host(f"node{i}", f"10.0.0.1{i}") for i in range(1, count + 1)]
        yield Rig([daemon.engine for daemon in daemons], world.clock)
        return
    real = Rig([connect(Connection(docker_host=host)) for host in REAL[:count]], Clock())
    leave_all(real)
    yield real
    leave_all(real)


def leave_all(real: Rig) -> None:
    for engine in real.hosts:
        try:
            engine.swarm_leave(force=True)
        except NotManager:
            continue


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[int, str]:
    with pytest.raises(EngineError) as caught:
        call(*arguments)
    text = str(caught.value)
    return caught.value.status, text.partition(f"Docker answered {caught.value.status}: ")[2]


def one_line(text: str) -> str:
    return " ".join(text.split())


def version(thing: dict[str, Any]) -> int:
    return thing["Version"]["Index"]


def change(engine: Engine, *rotate: str, **parts: dict[str, Any]) -> dict[str, Any]:
    """Update the swarm with these parts of its spec changed; the swarm as it is then."""
    swarm = engine.swarm()
    spec = copy.deepcopy(swarm["Spec"])
    for part, values in parts.items():
        spec[part].update(values)
    engine.swarm_update(version(swarm), spec, rotate)
    return engine.swarm()


DEFAULT_SPEC: dict[str, Any] = {
    "Name": "default",
    "Labels": {},
    "Orchestration": {"TaskHistoryRetentionLimit": 5},
    "Raft": {
        "SnapshotInterval": 10000,
        "KeepOldSnapshots": 0,
        "LogEntriesForSlowFollowers": 500,
        "ElectionTick": 10,
        "HeartbeatTick": 1,
    },
    "Dispatcher": {"HeartbeatPeriod": 5000000000},
    "CAConfig": {"NodeCertExpiry": 7776000000000000},
    "TaskDefaults": {},
    "EncryptionConfig": {"AutoLockManagers": False},
}


# Outside a swarm


@hosts(1)
def test_outside_a_swarm_there_is_nothing_to_read_and_nothing_to_leave(rig: Rig) -> None:
    assert rig[0].info()["Swarm"] == {
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "inactive",
        "ControlAvailable": False,
        "Error": "",
        "RemoteManagers": None,
    }
    for read in (rig[0].swarm, rig[0].nodes, rig[0].services, rig[0].unlock_key, rig[0].tasks):
        assert refusal(read) == (503, memory.NOT_MANAGER)
    assert refusal(rig[0].node, "one") == (503, memory.NOT_MANAGER)
    assert refusal(rig[0].swarm_leave, False) == (503, memory.NOT_PART)
    assert refusal(rig[0].swarm_leave, True) == (503, memory.NOT_PART)


# Creating


@hosts(1)
def test_a_new_swarm_has_the_defaults_and_this_node_as_leader(rig: Rig) -> None:
    node_id = rig[0].swarm_init({"ListenAddr": "0.0.0.0:2377", "Spec": {}})
    swarm, (node,), info = rig[0].swarm(), rig[0].nodes(), rig[0].info()["Swarm"]
    assert swarm["Spec"] == DEFAULT_SPEC
    assert swarm["DefaultAddrPool"] == ["10.0.0.0/8"]
    assert (swarm["SubnetSize"], swarm["DataPathPort"]) == (24, 4789)
    assert swarm["RootRotationInProgress"] is False
    assert set(swarm["TLSInfo"]) == {"TrustRoot", "CertIssuerSubject", "CertIssuerPublicKey"}
    assert node["ID"] == node_id == info["NodeID"]
    assert node["Spec"] == {"Labels": {}, "Role": "manager", "Availability": "active"}
    assert node["ManagerStatus"] == {
        "Leader": True,
        "Reachability": "reachable",
        "Addr": f"{info['NodeAddr']}:2377",
    }
    assert node["Status"]["Addr"] == info["NodeAddr"]
    assert (info["LocalNodeState"], info["ControlAvailable"]) == ("active", True)
    assert info["Cluster"]["ID"] == swarm["ID"]
    assert "JoinTokens" not in info["Cluster"]
    assert [manager["NodeID"] for manager in info["RemoteManagers"]] == [node_id]


@hosts(1)
def test_init_merges_what_is_given_over_the_defaults(rig: Rig) -> None:
    spec = {
        "Labels": {"a": "b"},
        "Orchestration": {"TaskHistoryRetentionLimit": 0},
        "Raft": {"KeepOldSnapshots": 2, "HeartbeatTick": 0},
        "CAConfig": {"NodeCertExpiry": 0},
    }
    body = {
        "DefaultAddrPool": ["10.200.0.0/16"],
        "SubnetSize": 25,
        "DataPathPort": 7789,
        "Availability": "drain",
    }
    swarm = rig.init(Spec=spec, **body).swarm()
    assert swarm["Spec"] == {
        **DEFAULT_SPEC,
        "Labels": {"a": "b"},
        "Orchestration": {"TaskHistoryRetentionLimit": 0},
        "Raft": {**DEFAULT_SPEC["Raft"], "KeepOldSnapshots": 2},
    }
    assert {name: swarm[name] for name in list(body)[:3]} == {
        name: body[name] for name in list(body)[:3]
    }
    assert rig[0].nodes()[0]["Spec"]["Availability"] == "drain"


@hosts(1)
def test_a_second_init_is_refused(rig: Rig) -> None:
    rig.init()
    assert refusal(rig[0].swarm_init, {"ListenAddr": "0.0.0.0:2377"}) == (503, memory.ALREADY)


@hosts(1)
def test_autolock_needs_both_of_its_fields_at_init(rig: Rig) -> None:
    rig.init(AutoLockManagers=True)
    assert rig[0].swarm()["Spec"]["EncryptionConfig"] == {"AutoLockManagers": False}
    assert rig[0].unlock_key() == ""
    rig[0].swarm_leave(force=True)
    rig.init(AutoLockManagers=True, Spec={"EncryptionConfig": {"AutoLockManagers": True}})
    assert rig[0].unlock_key().startswith("SWMKEY-1-")
    assert len(rig[0].unlock_key()) == len("SWMKEY-1-") + 43


# Updating


@hosts(1)
def test_an_update_with_an_old_version_is_out_of_sequence(rig: Rig) -> None:
    swarm = rig.init().swarm()
    assert refusal(rig[0].swarm_update, 1, swarm["Spec"]) == (500, OUT_OF_SEQUENCE)
    (node,) = rig[0].nodes()
    assert refusal(rig[0].node_update, node["ID"], 1, node["Spec"]) == (
        500,
        OUT_OF_SEQUENCE,
    )


@hosts(1)
def test_every_update_moves_the_version_even_when_nothing_differs(rig: Rig) -> None:
    before = rig.init().swarm()
    assert version(change(rig[0])) > version(before)
    (node,) = rig[0].nodes()
    rig[0].node_update(node["ID"], version(node), node["Spec"])
    assert version(rig[0].node(node["ID"])) > version(node)


@hosts(1)
def test_an_update_replaces_the_whole_spec(rig: Rig) -> None:
    swarm = rig.init().swarm()
    rig[0].swarm_update(version(swarm), {"Labels": {"a": "b"}})
    assert rig[0].swarm()["Spec"] == {
        "Name": "default",
        "Labels": {"a": "b"},
        "Orchestration": {"TaskHistoryRetentionLimit": 0},
        "Raft": {"KeepOldSnapshots": 0, "ElectionTick": 0, "HeartbeatTick": 0},
        "Dispatcher": {},
        "CAConfig": {},
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": False},
    }


@hosts(1)
def test_settings_that_cannot_be_are_refused(rig: Rig) -> None:
    swarm = rig.init().swarm()
    named = {**swarm["Spec"], "Name": "other"}
    assert refusal(rig[0].swarm_update, version(swarm), named) == (
        400,
        'swarm spec must be named "default"',
    )
    hasty = {**swarm["Spec"], "CAConfig": {"NodeCertExpiry": 60}}
    assert refusal(rig[0].swarm_update, version(swarm), hasty) == (
        400,
        f"{INVALID}minimum certificate expiry time is: 1h0m0s",
    )


@hosts(1)
def test_a_rotated_token_keeps_the_digest_and_the_other_token(rig: Rig) -> None:
    before = rig.init().swarm()["JoinTokens"]
    after = change(rig[0], "WorkerToken")["JoinTokens"]
    assert after["Manager"] == before["Manager"]
    assert after["Worker"] != before["Worker"]
    assert token_digest("t", after["Worker"]) == token_digest("t", before["Worker"])
    last = change(rig[0], "ManagerToken")["JoinTokens"]
    assert (last["Worker"] == after["Worker"], last["Manager"] == after["Manager"]) == (True, False)


@hosts(1)
def test_tokens_carry_the_digest_of_the_root_ca(rig: Rig) -> None:
    swarm = rig.init().swarm()
    digest = root_ca_digest(swarm["TLSInfo"]["TrustRoot"].encode())
    for token in swarm["JoinTokens"].values():
        assert token_digest("t", token) == digest


@hosts(1)
def test_the_unlock_key_comes_and_goes_with_autolock(rig: Rig) -> None:
    change(rig.init(), EncryptionConfig={"AutoLockManagers": True})
    first = rig[0].unlock_key()
    change(rig[0])
    assert rig[0].unlock_key() == first
    change(rig[0], "ManagerUnlockKey")
    second = rig[0].unlock_key()
    assert second.startswith("SWMKEY-1-")
    assert second != first
    change(rig[0], EncryptionConfig={"AutoLockManagers": False})
    assert rig[0].unlock_key() == ""
    change(rig[0], "ManagerUnlockKey")
    assert rig[0].unlock_key() == ""


@hosts(1)
def test_leaving_out_a_remembered_force_rotate_rotates_the_root_ca_again(rig: Rig) -> None:
    engine = rig.init()

    def rotated(**ca: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        before = engine.swarm()
        spec = copy.deepcopy(before["Spec"])
        spec["CAConfig"] = {"NodeCertExpiry": 7776000000000000, **ca}
        engine.swarm_update(version(before), spec)
        rig.until(lambda: not engine.swarm()["RootRotationInProgress"])
        return before, engine.swarm()

    before, first = rotated(ForceRotate=1)
    assert first["Spec"]["CAConfig"]["ForceRotate"] == 1
    assert first["JoinTokens"] != before["JoinTokens"]
    assert first["TLSInfo"]["TrustRoot"] != before["TLSInfo"]["TrustRoot"]
    before, same = rotated(ForceRotate=1)
    assert same["JoinTokens"] == before["JoinTokens"]
    before, again = rotated()
    assert again["JoinTokens"] != before["JoinTokens"]


# Nodes


@hosts(1)
def test_a_node_update_replaces_the_whole_spec(rig: Rig) -> None:
    (node,) = rig.init().nodes()

    def update(**spec: Any) -> None:
        rig[0].node_update(node["ID"], version(rig[0].node(node["ID"])), spec)

    update(Role="manager", Availability="active", Name="called", Labels={"a": ""})
    assert rig[0].node(node["ID"])["Spec"] == {
        "Name": "called",
        "Labels": {"a": ""},
        "Role": "manager",
        "Availability": "active",
    }
    update(Role="manager", Availability="active")
    assert rig[0].node(node["ID"])["Spec"] == node["Spec"]
    # Not `refusal(update)`: the version is part of the call.
    newest = version(rig[0].node(node["ID"]))
    for spec, text in (
        ({"Availability": "active"}, 'invalid Role: ""'),
        ({"Role": "manager"}, 'invalid Availability: ""'),
        ({"Role": "king", "Availability": "active"}, 'invalid Role: "king"'),
    ):
        assert refusal(rig[0].node_update, node["ID"], newest, spec) == (400, text)


@hosts(1)
def test_a_node_is_found_by_id_by_name_and_by_the_beginning_of_its_id(rig: Rig) -> None:
    (node,) = rig.init().nodes()
    name = node["Description"]["Hostname"]
    for reference in (node["ID"], name, node["ID"][:8]):
        assert rig[0].node(reference)["ID"] == node["ID"]
    assert refusal(rig[0].node, "nobody") == (404, "node nobody not found")
    assert refusal(rig[0].node_update, "nobody", 1, node["Spec"]) == (404, "node nobody not found")
    assert len(rig[0].nodes({"name": [name[:2]]})) == 1
    assert rig[0].nodes({"name": ["nobody"]}) == []
    assert len(rig[0].nodes({"role": ["manager"]})) == 1
    assert rig[0].nodes({"role": ["worker"]}) == []
    status, text = refusal(rig[0].nodes, {"colour": ["red"]})
    assert (status, text.lower()) == (400, "invalid filter 'colour'")


@hosts(1)
def test_the_last_manager_cannot_be_demoted_and_leaves_only_by_force(rig: Rig) -> None:
    (node,) = rig.init().nodes()
    spec = {**node["Spec"], "Role": "worker"}
    assert refusal(rig[0].node_update, node["ID"], version(node), spec) == (
        400,
        f"{PRECONDITION}attempting to demote the last manager of the swarm",
    )
    text = memory.LEAVE_MANAGER + memory.LAST_MANAGER
    assert refusal(rig[0].swarm_leave, False) == (503, text)
    rig[0].swarm_leave(force=True)
    assert rig[0].info()["Swarm"]["LocalNodeState"] == "inactive"


# Joining and leaving


@hosts(2)
def test_a_worker_joins_knows_little_and_leaves_without_force(rig: Rig) -> None:
    rig.init()
    worker = rig.join(1, "Worker", Availability="drain")
    info = worker.info()["Swarm"]
    assert (info["LocalNodeState"], info["ControlAvailable"]) == ("active", False)
    assert "Cluster" not in info
    managers = [manager["NodeID"] for manager in info["RemoteManagers"]]
    assert managers == [rig[0].info()["Swarm"]["NodeID"]]
    node = rig[0].node(info["NodeID"])
    assert node["Spec"] == {"Labels": {}, "Role": "worker", "Availability": "drain"}
    assert "ManagerStatus" not in node
    for read in (worker.swarm, worker.nodes, worker.unlock_key):
        assert refusal(read) == (503, memory.WORKER)
    again = rig.way_in(rig[0].swarm()["JoinTokens"]["Worker"])
    assert refusal(worker.swarm_join, again) == (503, memory.ALREADY)
    assert refusal(worker.swarm_init, {"ListenAddr": "0.0.0.0:2377"}) == (503, memory.ALREADY)
    worker.swarm_leave(force=False)
    assert worker.info()["Swarm"]["LocalNodeState"] == "inactive"
    rig.until(lambda: rig[0].node(info["NodeID"])["Status"]["State"] == "down")
    assert rig[0].node(info["NodeID"])["Status"]["Message"] == "heartbeat failure"


@hosts(2)
def test_a_host_that_joins_again_is_a_second_node_of_the_same_name(rig: Rig) -> None:
    rig.init()
    first = rig.join(1, "Worker").info()
    rig[1].swarm_leave(force=False)
    second = rig.join(1, "Worker").info()
    assert first["Swarm"]["NodeID"] != second["Swarm"]["NodeID"]
    same_name = rig[0].nodes({"name": [second["Name"]]})
    assert {node["ID"] for node in same_name} == {
        first["Swarm"]["NodeID"],
        second["Swarm"]["NodeID"],
    }
    status, text = refusal(rig[0].node, second["Name"])
    assert (status, text) == (400, f"node {second['Name']} is ambiguous (2 matches found)")


@hosts(2)
def test_bad_tokens_are_refused_and_leave_nothing_behind(rig: Rig) -> None:
    token = rig.init().swarm()["JoinTokens"]["Worker"]
    start, version_, digest, secret = token.split("-")
    other = "1" if digest[-1] == "0" else "0"
    # swarmkit wants the number padded on the left, so that the last digit can be any.
    foreign = "-".join([start, version_, digest[:-1] + other, secret])
    wrong = "-".join([start, version_, digest, "0" * 25])
    assert refusal(rig[1].swarm_join, rig.way_in("nonsense")) == (500, "invalid join token")
    status, text = refusal(rig[1].swarm_join, rig.way_in(foreign))
    assert status == 500
    assert text.startswith(memory.OTHER_CA.partition("{")[0])
    assert refusal(rig[1].swarm_join, rig.way_in(wrong)) == (400, memory.WRONG_TOKEN)
    assert rig[1].info()["Swarm"]["LocalNodeState"] == "inactive"
    assert len(rig[0].nodes()) == 1


@hosts(2)
def test_a_closed_port_refuses_the_join_and_a_silent_address_leaves_it_pending(rig: Rig) -> None:
    way_in = rig.way_in(rig.init().swarm()["JoinTokens"]["Worker"])
    closed = way_in["RemoteAddrs"][0].replace(":2377", ":1")
    status, text = refusal(rig[1].swarm_join, {**way_in, "RemoteAddrs": [closed]})
    # Newer engines have a colon before the address.
    text = text.replace("dialing: dial", "dialing dial")
    assert (status, text) == (503, memory.REFUSED_CONNECTION.format(address=closed))
    assert rig[1].info()["Swarm"]["LocalNodeState"] == "inactive"

    silent = f"{closed.rpartition('.')[0]}.199:2377"
    answer = refusal(rig[1].swarm_join, {**way_in, "RemoteAddrs": [silent]})
    assert answer == (503, memory.JOIN_TIMEOUT)
    info = rig[1].info()["Swarm"]
    assert (info["LocalNodeState"], info["NodeID"]) == ("pending", "")
    assert info["RemoteManagers"] == [{"NodeID": "", "Addr": silent}]
    assert refusal(rig[1].swarm_join, way_in) == (503, memory.ALREADY)
    rig[1].swarm_leave(force=False)
    assert rig[1].info()["Swarm"]["LocalNodeState"] == "inactive"


@hosts(3)
def test_a_manager_is_demoted_and_promoted(rig: Rig) -> None:
    rig.init()
    rig.join(2, "Worker")
    manager = rig.join(1, "Manager")
    node_id = manager.info()["Swarm"]["NodeID"]
    text = memory.LEAVE_MANAGER + memory.LOSES_QUORUM.format(left=1, managers=2)
    assert refusal(manager.swarm_leave, False) == (503, text)

    def give(role: str) -> None:
        node = rig[0].node(node_id)
        rig[0].node_update(node_id, version(node), {**node["Spec"], "Role": role})

    give("worker")
    rig.until(lambda: not manager.info()["Swarm"]["ControlAvailable"])
    rig.until(lambda: "ManagerStatus" not in rig[0].node(node_id))
    give("manager")
    # 2 s as a rule, and half a minute just after a demotion.
    rig.until(lambda: manager.info()["Swarm"]["ControlAvailable"], 60)
    rig.until(
        lambda: rig[0].node(node_id).get("ManagerStatus", {}).get("Reachability") == "reachable"
    )


@hosts(2)
def test_a_node_that_is_alive_is_removed_by_force_alone_and_a_manager_never(rig: Rig) -> None:
    rig.init()
    worker = rig.join(1, "Worker")
    node_id = worker.info()["Swarm"]["NodeID"]
    alive = (400, f"{PRECONDITION}node {node_id} is not down and can't be removed")
    assert refusal(rig[0].node_remove, node_id, False) == alive
    own_id = rig[0].info()["Swarm"]["NodeID"]
    status, text = refusal(rig[0].node_remove, own_id, True)
    assert (status, "It must be demoted to worker before removal" in text) == (400, True)
    rig[0].node_remove(node_id, True)
    assert [node["ID"] for node in rig[0].nodes()] == [own_id]
    assert refusal(rig[0].node_remove, node_id, True) == (404, f"node {node_id} not found")
    assert worker.info()["Swarm"]["LocalNodeState"] == "active"
    worker.swarm_leave(force=False)


@hosts(2)
def test_a_node_that_has_left_is_removed_when_it_is_down(rig: Rig) -> None:
    rig.init()
    node_id = rig.join(1, "Worker").info()["Swarm"]["NodeID"]
    rig[1].swarm_leave(force=False)
    assert refusal(rig[0].node_remove, node_id, False)[0] == 400
    rig.until(lambda: rig[0].node(node_id)["Status"]["State"] == "down")
    node = rig[0].node(node_id)
    assert node["CreatedAt"] < node["UpdatedAt"]
    rig[0].node_remove(node_id, False)
    assert len(rig[0].nodes()) == 1


@hosts(2)
def test_who_is_not_locked_cannot_be_unlocked(rig: Rig) -> None:
    key = "SWMKEY-1-" + "A" * 43
    assert refusal(rig[0].swarm_unlock, key) == (503, memory.NOT_MANAGER)
    rig.init()
    assert refusal(rig[0].swarm_unlock, key) == (409, memory.NOT_LOCKED)
    assert refusal(rig.join(1, "Worker").swarm_unlock, key) == (503, memory.WORKER)


@hosts(3)
def test_a_manager_that_just_leaves_still_counts(rig: Rig) -> None:
    rig.init()
    ids = [rig.join(index, "Manager").info()["Swarm"]["NodeID"] for index in (1, 2)]
    rig[1].swarm_leave(force=True)
    rig.until(lambda: rig[0].node(ids[0])["ManagerStatus"]["Reachability"] == "unreachable")
    other = rig[0].node(ids[1])
    spec = {**other["Spec"], "Role": "worker"}
    assert refusal(rig[0].node_update, ids[1], version(other), spec) == (
        400,
        f"{PRECONDITION}can't remove member from the raft: this would result in a loss of quorum",
    )


@hosts(3)
def test_without_quorum_nothing_can_be_read_until_a_new_cluster_is_forced(rig: Rig) -> None:
    spec = {"Labels": {"kept": "yes"}}
    before = rig.init(Spec=spec).swarm()
    for index in (1, 2):
        rig.join(index, "Manager")
    for index in (1, 2):
        rig[index].swarm_leave(force=True)
    unreadable = (500, one_line(memory.NO_LEADER))

    rig.until(lambda: one_line(rig[0].info()["Swarm"]["Error"]) == unreadable[1], 90)
    info = rig[0].info()["Swarm"]
    assert (info["LocalNodeState"], info["ControlAvailable"]) == ("active", True)
    assert info["Cluster"]["ID"] == ""
    assert refusal(rig[0].swarm) == unreadable
    assert refusal(rig[0].nodes) == unreadable
    assert refusal(rig[0].swarm_update, version(before), before["Spec"]) == unreadable

    force = {"ForceNewCluster": True, "ListenAddr": "0.0.0.0:2377", "Spec": {}}
    rig[0].swarm_init({**force, "AdvertiseAddr": info["NodeAddr"]})
    rig.until(lambda: rig[0].info()["Swarm"].get("Cluster"))
    after = rig[0].swarm()
    assert after["ID"] == before["ID"]
    assert after["JoinTokens"] == before["JoinTokens"]
    assert after["Spec"] == before["Spec"]
    managers = [node for node in rig[0].nodes() if "ManagerStatus" in node]
    assert [node["ID"] for node in managers] == [info["NodeID"]]
    assert len(rig[0].nodes()) == 3


@hosts(1)
def test_an_autolocked_swarm_is_lost_when_a_new_cluster_is_forced(rig: Rig) -> None:
    change(rig.init(), EncryptionConfig={"AutoLockManagers": True})
    address = rig[0].info()["Swarm"]["NodeAddr"]
    force = {"ForceNewCluster": True, "ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": address}
    assert refusal(rig[0].swarm_init, {**force, "Spec": {}}) == (503, memory.LOCKED)
    assert rig[0].info()["Swarm"]["LocalNodeState"] == "inactive"
    # The state is still on the disk, and the first attempt at another swarm finds it.
    assert refusal(rig.init) == (503, memory.LOCKED)
    assert rig.init().unlock_key() == ""


# Services

# An image that no engine has, so that its tasks are rejected.
NOWHERE = "localhost/none:1"
WEB: dict[str, Any] = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": NOWHERE}}}


@hosts(1)
def test_a_service_is_stored_with_few_defaults(rig: Rig) -> None:
    service_id = rig.init().service_create(WEB)
    service = rig[0].service("web")
    assert service["ID"] == service_id
    assert service["Spec"] == {
        "Name": "web",
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Image": NOWHERE, "Isolation": "default"},
            "ForceUpdate": 0,
            "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    }
    assert service["Endpoint"] == {"Spec": {}}
    assert "PreviousSpec" not in service
    assert "UpdateStatus" not in service
    task = rig[0].tasks({"service": ["web"]})[0]
    assert (task["Slot"], task["ServiceID"]) == (1, service_id)


@hosts(1)
def test_of_a_spec_is_stored_what_the_engine_knows_in_its_own_form(rig: Rig) -> None:
    ids = service_options.prepare(rig.init())
    for entry in service_options.entries():
        if version_tuple(entry.needs) > version_tuple(rig[0].api_version):
            continue
        body = service_options.raw_spec(entry, ids)
        body["TaskTemplate"]["ContainerSpec"]["Image"] = NOWHERE
        rig[0].service_create(body)
        stored = rig[0].service("web")["Spec"]
        rig[0].service_remove("web")
        assert stored == memory_spec.kept(body, rig[0].api_version), str(entry)


@hosts(1)
def test_the_defaults_that_the_engine_inserts_are_shown_on_request(rig: Rig) -> None:
    rig.init().service_create(WEB)
    # No module of ours asks for them, so that the client has no method for it.
    shown = rig[0]._get("/services/web", "read service web", {"insertDefaults": "true"})
    assert shown["Spec"] == laid_over(SERVICE_DEFAULTS, rig[0].service("web")["Spec"])


@hosts(1)
def test_a_service_update_that_changes_nothing_costs_the_target_of_the_rollback(rig: Rig) -> None:
    rig.init().service_create(WEB)
    before = rig[0].service("web")
    rig[0].service_update(before["ID"], version(before), before["Spec"])
    after = rig[0].service("web")
    assert version(after) > version(before)
    assert after["PreviousSpec"] == before["Spec"] == after["Spec"]
    assert refusal(rig[0].service_update, before["ID"], 1, before["Spec"]) == (
        500,
        OUT_OF_SEQUENCE,
    )


@hosts(1)
def test_what_a_service_cannot_become_is_refused(rig: Rig) -> None:
    rig.init().service_create(WEB)
    taken = f"{ALREADY_EXISTS}name conflicts with an existing object: "
    assert refusal(rig[0].service_create, WEB) == (409, f"{taken}service web already exists")
    assert refusal(rig[0].service_create, {**WEB, "Name": "we b"}) == (
        400,
        f"{INVALID}name must be valid as a DNS name component",
    )
    lost = copy.deepcopy(WEB)
    lost["Name"] = "lost"
    lost["TaskTemplate"]["Networks"] = [{"Target": "nowhere"}]
    assert refusal(rig[0].service_create, lost) == (500, "network nowhere not found")
    service = rig[0].service("web")
    unimplemented = "rpc error: code = Unimplemented desc = "
    for difference, text in (
        ({"Name": "other"}, "renaming services is not supported"),
        ({"Mode": {"Global": {}}}, "service mode change is not allowed"),
    ):
        spec = {**service["Spec"], **difference}
        assert refusal(rig[0].service_update, service["ID"], version(service), spec) == (
            501,
            unimplemented + text,
        )


@hosts(1)
def test_services_are_listed_by_the_beginning_of_their_name_and_removed(rig: Rig) -> None:
    rig.init().service_create(WEB)
    rig[0].service_create({**WEB, "Name": "web2", "Labels": {"a": "b"}})
    names = {service["Spec"]["Name"] for service in rig[0].services({"name": ["web"]})}
    assert names == {"web", "web2"}
    (labelled,) = rig[0].services({"label": ["a=b"]})
    assert labelled["Spec"]["Name"] == "web2"
    assert rig[0].services({"label": ["a=b", "c"]}) == []
    assert len(rig[0].services({"name": ["web2", "other"], "mode": ["replicated", "global"]})) == 1
    assert rig[0].services({"mode": ["global"]}) == []
    assert refusal(rig[0].tasks, {"service": ["web", "other"]}) == (404, "service other not found")
    rig[0].service_remove("web")
    assert refusal(rig[0].service, "web") == (404, "service web not found")
    assert refusal(rig[0].service_remove, "web") == (404, "service web not found")


def current_tasks(engine: Engine) -> set[str]:
    """The IDs of the tasks that the engine holds to be what the service's spec says."""
    tasks = engine.tasks({"service": ["web"], "_up-to-date": ["true"]})
    return {task["ID"] for task in tasks}


def change_service(engine: Engine, **parts: Any) -> None:
    service = engine.service("web")
    spec = {**copy.deepcopy(service["Spec"]), **parts}
    engine.service_update(service["ID"], version(service), spec)


@hosts(1)
def test_a_task_whose_image_cannot_be_had_is_rejected_with_the_reason(rig: Rig) -> None:
    rig.init().service_create(WEB)

    def rejected() -> list[dict[str, Any]]:
        tasks = rig[0].tasks({"service": ["web"]})
        return [task for task in tasks if task["Status"]["State"] == "rejected"]

    rig.until(rejected)
    assert NOWHERE in rejected()[0]["Status"]["Err"]
    assert rejected()[0]["Status"]["Timestamp"].endswith("Z")


@hosts(1)
def test_tasks_are_replaced_when_their_template_differs_be_it_by_a_default(rig: Rig) -> None:
    rig.init().service_create({**WEB, "Mode": {"Replicated": {"Replicas": 0}}})
    change_service(rig[0], Mode={"Replicated": {"Replicas": 1}})
    rig.until(lambda: current_tasks(rig[0]))

    def replaced(**parts: Any) -> bool:
        before = current_tasks(rig[0])
        change_service(rig[0], **parts)
        return not before & current_tasks(rig[0])

    assert not replaced(Labels={"a": "b"})
    assert not replaced(UpdateConfig={"Parallelism": 2, "Order": "stop-first"})
    assert not replaced()
    # What the engine does anyway, but written out.
    assert replaced(EndpointSpec={"Mode": "vip"})
    rig.until(lambda: current_tasks(rig[0]))
    template = rig[0].service("web")["Spec"]["TaskTemplate"]
    assert replaced(TaskTemplate={**template, "Resources": {}})


@hosts(1)
def test_the_last_task_of_a_drained_node_is_kept_and_shall_not_run(rig: Rig) -> None:
    rig.init().service_create({**WEB, "Mode": {"Global": {}}})
    rig.until(lambda: current_tasks(rig[0]))
    (node,) = rig[0].nodes()
    spec = {**node["Spec"], "Availability": "drain"}
    rig[0].node_update(node["ID"], version(node), spec)

    def desired() -> set[str]:
        tasks = rig[0].tasks({"service": ["web"], "_up-to-date": ["true"]})
        return {task["DesiredState"] for task in tasks}

    rig.until(lambda: desired() == {"shutdown"})


def tasks_by_age(engine: Engine) -> list[dict[str, Any]]:
    return sorted(engine.tasks({"service": ["web"]}), key=lambda task: task["CreatedAt"])


def with_restarts(**policy: Any) -> dict[str, Any]:
    return {**WEB, "TaskTemplate": {**WEB["TaskTemplate"], "RestartPolicy": policy}}


@hosts(1)
def test_a_task_that_fails_is_followed_by_another_one_as_often_as_the_policy_says(rig: Rig) -> None:
    rig.init().service_create(with_restarts(MaxAttempts=1, Delay=10**9))
    rig.until(lambda: len(tasks_by_age(rig[0])) == 2)
    first, second = tasks_by_age(rig[0])
    assert (first["Status"]["State"], first["DesiredState"]) == ("rejected", "shutdown")
    rig.until(lambda: tasks_by_age(rig[0])[1]["Status"]["State"] == "rejected")
    rig.until(lambda: tasks_by_age(rig[0])[1]["DesiredState"] == "shutdown")
    rig.clock.sleep(3)
    assert [task["ID"] for task in tasks_by_age(rig[0])] == [first["ID"], second["ID"]]
    # What has been given up stays so, whatever else is changed.
    change_service(rig[0], Labels={"a": "b"})
    rig.clock.sleep(2)
    assert len(tasks_by_age(rig[0])) == 2


@hosts(1)
def test_a_placement_that_its_node_meets_replaces_no_task(rig: Rig) -> None:
    rig.init().service_create(with_restarts(Condition="none"))
    rig.until(lambda: [t["Status"]["State"] for t in tasks_by_age(rig[0])] == ["rejected"])
    before = current_tasks(rig[0])
    template = rig[0].service("web")["Spec"]["TaskTemplate"]
    met = {"Constraints": ["node.role==manager"]}
    change_service(rig[0], TaskTemplate={**template, "Placement": met})
    assert current_tasks(rig[0]) == before


@hosts(1)
def test_a_rollback_by_hand_lets_the_two_specs_change_places(rig: Rig) -> None:
    rig.init().service_create({**WEB, "Mode": {"Replicated": {"Replicas": 0}}})
    service = rig[0].service("web")

    def roll_back() -> None:
        found = rig[0].service("web")
        rig[0].service_rollback(found["ID"], version(found), found["Spec"])

    assert refusal(roll_back) == (
        400,
        f"{PRECONDITION}service {service['ID']} does not have a previous spec",
    )
    change_service(rig[0], Labels={"a": "b"})
    roll_back()
    after = rig[0].service("web")
    assert after["Spec"] == service["Spec"]
    assert after["PreviousSpec"]["Labels"] == {"a": "b"}
    # Nothing is to be replaced.
    rig.until(lambda: rig[0].service("web")["UpdateStatus"]["State"] == "rollback_completed")
    assert rig[0].service("web")["UpdateStatus"]["Message"] == "rollback completed"
    roll_back()
    assert rig[0].service("web")["Spec"]["Labels"] == {"a": "b"}
    change_service(rig[0])
    assert "UpdateStatus" not in rig[0].service("web")


JOB: dict[str, Any] = {**WEB, "Mode": {"ReplicatedJob": {"TotalCompletions": 2}}}


@hosts(1)
def test_a_job_knows_which_run_it_is_in(rig: Rig) -> None:
    nowhere = {**WEB["TaskTemplate"], "Placement": {"Constraints": ["node.labels.no==where"]}}
    rig.init().service_create({**JOB, "TaskTemplate": nowhere})
    service = rig[0].service("web")
    assert service["Spec"]["Mode"] == {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 2}}
    assert service["JobStatus"]["JobIteration"] == {}
    rig.until(lambda: tasks_by_age(rig[0]))
    (task,) = tasks_by_age(rig[0])
    # Its first slot is number 0.
    assert "Slot" not in task
    assert (task["JobIteration"], task["DesiredState"]) == ({}, "complete")
    change_service(rig[0])
    assert rig[0].service("web")["JobStatus"]["JobIteration"] == {"Index": 1}
    rig.until(lambda: [t["JobIteration"] for t in tasks_by_age(rig[0])] == [{"Index": 1}])


@hosts(1)
def test_a_job_gives_up_the_place_of_what_has_failed_until_another_task_ends(rig: Rig) -> None:
    alone = {"ReplicatedJob": {"TotalCompletions": 2, "MaxConcurrent": 1}}
    rig.init().service_create({**with_restarts(Condition="none"), "Mode": alone})
    rig.until(lambda: [t["DesiredState"] for t in tasks_by_age(rig[0])] == ["shutdown"])
    rig.clock.sleep(2)
    (task,) = tasks_by_age(rig[0])
    assert task["Status"]["State"] == "rejected"
    rig[0].service_remove("web")
    together = {"ReplicatedJob": {"TotalCompletions": 2, "MaxConcurrent": 2}}
    rig[0].service_create({**with_restarts(Condition="none"), "Mode": together})
    rig.until(lambda: len(tasks_by_age(rig[0])) > 6)


@hosts(1)
def test_a_job_on_each_node_has_one_task_there(rig: Rig) -> None:
    rig.init().service_create({**WEB, "Mode": {"GlobalJob": {}}})
    rig.until(lambda: tasks_by_age(rig[0]))
    task = tasks_by_age(rig[0])[0]
    assert (task["NodeID"], "Slot" in task) == (rig[0].nodes()[0]["ID"], False)


@hosts(1)
def test_specs_that_do_not_hold_together_are_refused(rig: Rig) -> None:
    ids = service_options.prepare(rig.init())
    container = WEB["TaskTemplate"]["ContainerSpec"]

    def answer(container_parts: dict[str, Any], **parts: Any) -> tuple[int, str]:
        template = {"ContainerSpec": {**container, **container_parts}}
        return refusal(rig[0].service_create, {**WEB, "TaskTemplate": template, **parts})

    file = {"Name": "a", "UID": "0", "GID": "0", "Mode": 292}
    secret = {"SecretID": ids["<secret key>"], "SecretName": "key", "File": file}
    config = {"ConfigID": "none", "ConfigName": "site", "File": file}
    credentials = {"CredentialSpec": {"Config": ids["<config site>"]}}
    assert answer({"Configs": [config]}) == (400, f"{INVALID}config not found: site")
    status, text = answer({"Secrets": [secret, secret]})
    assert (status, "have a conflicting target: 'a'" in text) == (400, True)
    status, text = answer({"Privileges": credentials})
    assert (status, "isn't in config references with RuntimeTarget" in text) == (400, True)
    two = {"CredentialSpec": {"File": "a", "Registry": "b"}}
    assert answer({"Privileges": two})[1].endswith(
        'invalid CredentialSpec: cannot specify both "file" and "registry" credential specs'
    )
    none: dict[str, Any] = {"CredentialSpec": {}}
    assert answer({"Privileges": none})[1].endswith(
        'must either provide "file", "registry", or "config" for credential spec'
    )
    assert answer({}, Mode={"GlobalJob": {}}, UpdateConfig={"Parallelism": 1}) == (
        400,
        f"{INVALID}Jobs may not have an update config",
    )
    ports = {"Mode": "dnsrr", "Ports": [{"TargetPort": 80}]}
    assert answer({}, EndpointSpec=ports) == (
        400,
        f"{INVALID}EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    )


@hosts(1)
def test_a_registry_that_does_not_answer_and_a_name_that_is_none_are_told(rig: Rig) -> None:
    rig.init()
    status, text = refusal(rig[0].distribution, "localhost:1/none:1")
    assert (status, "connection refused" in text) == (500, True)


@hosts(1)
def test_a_node_that_no_task_fits_leaves_it_pending_with_the_reason(rig: Rig) -> None:
    nowhere = {**WEB["TaskTemplate"], "Placement": {"Constraints": ["node.labels.no==where"]}}
    rig.init().service_create({**WEB, "TaskTemplate": nowhere})

    def reason() -> str:
        (task,) = rig[0].tasks({"service": ["web"]})
        return task["Status"].get("Err", "")

    rig.until(reason)
    assert reason().startswith("no suitable node (scheduling constraints not satisfied on 1 node")


EVERYTHING = {"tail": 5, "stdout": "true", "stderr": "true", "details": "true"}


@hosts(1)
def test_a_task_that_never_ran_has_no_log(rig: Rig) -> None:
    nowhere = {**WEB["TaskTemplate"], "Placement": {"Constraints": ["node.labels.no==where"]}}
    rig.init().service_create({**WEB, "TaskTemplate": nowhere})
    rig.until(lambda: rig[0].tasks({"service": ["web"]}))
    (task,) = rig[0].tasks({"service": ["web"]})
    assert rig[0].tasks({"id": [task["ID"][:8]]})[0]["ID"] == task["ID"]
    assert rig[0].tasks({"id": ["none"]}) == []
    assert rig[0].service_logs("web", EVERYTHING, 5) == (b"", True)
    reasons = f"task {task['ID']} has not been scheduled"
    text = memory.INCOMPLETE_LOG.format(reasons=reasons).encode()
    frame = b"\x03\x00\x00\x00" + len(text).to_bytes(4, "big") + text
    assert rig[0].task_logs(task["ID"], EVERYTHING, 5) == (frame, True)


@hosts(1)
def test_logs_that_cannot_be_read_are_refused(rig: Rig) -> None:
    rig.init().service_create(WEB)
    assert refusal(rig[0].service_logs, "none", EVERYTHING, 5) == (404, "service none not found")
    assert refusal(rig[0].task_logs, "none", EVERYTHING, 5) == (404, "task none not found")
    assert refusal(rig[0].service_logs, "web", {"tail": 5}, 5) == (
        500,
        "Bad parameters: you must choose at least one stream",
    )


@hosts(1)
def test_the_ingress_network_is_one_of_the_swarm(rig: Rig) -> None:
    (ingress,) = rig.init().networks({"name": ["ingress"]})
    assert (ingress["Scope"], ingress["Driver"], ingress["Ingress"]) == ("swarm", "overlay", True)
    assert {network["Scope"] for network in rig[0].networks({"scope": ["swarm"]})} == {"swarm"}


# What services refer to

# "x" and "y"
X, Y = "eA==", "eQ=="
KINDS = ("secret", "config")


def files(engine: Engine, kind: str, **filters: list[str]) -> list[dict[str, Any]]:
    return getattr(engine, f"{kind}s")(filters)


@hosts(1)
@pytest.mark.parametrize("kind", KINDS)
def test_of_a_secret_nobody_sees_the_data_again_of_a_config_everybody(rig: Rig, kind: str) -> None:
    templating = {"Name": "golang"}
    spec = {"Name": "key", "Labels": {"a": "b"}, "Data": X, "Templating": templating}
    file_id = getattr(rig.init(), f"{kind}_create")(spec)
    getattr(rig[0], f"{kind}_create")({"Name": "bare", "Data": X})
    (file,) = files(rig[0], kind, name=["key"])
    assert file["ID"] == file_id
    shown = {"Name": "key", "Labels": {"a": "b"}, "Templating": templating}
    assert file["Spec"] == (shown if kind == "secret" else {**shown, "Data": X})
    (bare,) = files(rig[0], kind, name=["bare"])
    assert (bare["Spec"]["Labels"], "Templating" in bare["Spec"]) == ({}, False)


@hosts(1)
@pytest.mark.parametrize("kind", KINDS)
def test_secrets_and_configs_are_listed_by_the_beginning_of_a_name_or_id(
    rig: Rig, kind: str
) -> None:
    rig.init()
    for name, labels in (("key", {}), ("key2", {"a": "b", "c": "d"}), ("other", {"a": "c"})):
        getattr(rig[0], f"{kind}_create")({"Name": name, "Data": X, "Labels": labels})

    def names(**filters: list[str]) -> list[str]:
        return sorted(file["Spec"]["Name"] for file in files(rig[0], kind, **filters))

    assert names() == ["key", "key2", "other"]
    assert names(name=["key"]) == ["key", "key2"]
    assert names(name=["key2", "oth"]) == ["key2", "other"]
    assert names(label=["a"]) == ["key2", "other"]
    assert names(label=["a=b", "c=d"]) == ["key2"]
    (other,) = files(rig[0], kind, name=["other"])
    assert names(id=[other["ID"][:12]]) == ["other"]
    status, text = refusal(getattr(rig[0], f"{kind}s"), {"colour": ["red"]})
    assert (status, "nvalid filter" in text, "colour" in text) == (400, True, True)


@hosts(1)
@pytest.mark.parametrize("kind", KINDS)
def test_names_and_sizes_that_cannot_be_are_refused(rig: Rig, kind: str) -> None:
    create = getattr(rig.init(), f"{kind}_create")
    create({"Name": "key", "Data": X})
    assert refusal(create, {"Name": "KEY", "Data": Y}) == (
        409,
        f"{ALREADY_EXISTS}{kind} KEY already exists",
    )
    for name in ("-key", "k ey", "k" * 65):
        assert refusal(create, {"Name": name, "Data": X}) == (
            400,
            f"{INVALID}invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the "
            "start and end character must be [a-zA-Z0-9]",
        )
    size = {"secret": 512_000, "config": 1_024_000}[kind]
    create({"Name": "large", "Data": base64.b64encode(bytes(size - 1)).decode()})
    for data in ("", base64.b64encode(bytes(size)).decode()):
        assert refusal(create, {"Name": "other", "Data": data}) == (
            400,
            f"{INVALID}{kind} data must be larger than 0 and less than {size} bytes",
        )


@hosts(1)
@pytest.mark.parametrize("kind", KINDS)
def test_of_secrets_and_configs_only_the_labels_change(rig: Rig, kind: str) -> None:
    rig.init()
    create, update = (getattr(rig[0], f"{kind}_{verb}") for verb in ("create", "update"))
    file_id = create({"Name": "key", "Data": X, "Labels": {"a": "b"}})
    (before,) = files(rig[0], kind)
    index = version(before)
    only_labels = (400, f"{INVALID}only updates to Labels are allowed")
    for other in ({"Name": "key2"}, {"Name": "Key"}, {"Name": "key", "Data": Y}):
        assert refusal(update, file_id, index, other) == only_labels
    assert files(rig[0], kind) == [before]
    update(file_id, index, {"Name": "key", "Data": X, "Labels": {"c": "d"}})
    (after,) = files(rig[0], kind)
    assert after["Spec"] == {**before["Spec"], "Labels": {"c": "d"}}
    assert version(after) > index
    assert refusal(update, file_id, index, {"Name": "key"}) == (500, OUT_OF_SEQUENCE)
    # A driver that is none of its own is dropped without a word.
    update(file_id, version(after), {"Name": "key", "Templating": {"Name": "golang"}})
    assert "Templating" not in files(rig[0], kind)[0]["Spec"]
    assert refusal(update, "none", index, {"Name": "none"}) == (404, f"{kind} none not found")


@hosts(1)
def test_the_engine_compares_what_a_secret_holds_and_writes_nothing(rig: Rig) -> None:
    secret_id = rig.init().secret_create({"Name": "key", "Data": X})
    before = files(rig[0], "secret")
    spec = before[0]["Spec"]
    assert rig[0].secret_holds(secret_id, {**spec, "Data": X}) is True
    assert rig[0].secret_holds(secret_id, {**spec, "Data": Y}) is False
    assert files(rig[0], "secret") == before


@hosts(1)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_service_uses_is_not_removed(rig: Rig, kind: str) -> None:
    engine = rig.init()
    file_id = getattr(engine, f"{kind}_create")({"Name": "key", "Data": X})
    target = {"Name": "key", "UID": "0", "GID": "0", "Mode": 292}
    title = kind.capitalize()
    reference = {f"{title}ID": file_id, f"{title}Name": "key", "File": target}
    container = {**WEB["TaskTemplate"]["ContainerSpec"], f"{title}s": [reference]}
    for name in ("web", "web2"):
        engine.service_create({**WEB, "Name": name, "TaskTemplate": {"ContainerSpec": container}})
    remove = getattr(engine, f"{kind}_remove")
    status, text = refusal(remove, file_id)
    assert status == 400
    assert text.startswith(f"{INVALID}{kind} 'key' is in use by the following services: ")
    assert set(text.rpartition(": ")[2].split(", ")) == {"web", "web2"}
    engine.service_remove("web2")
    assert refusal(remove, file_id) == (
        400,
        f"{INVALID}{kind} 'key' is in use by the following service: web",
    )
    # That its tasks still have it is no matter.
    engine.service_remove("web")
    remove(file_id)
    assert files(engine, kind) == []
    assert refusal(remove, file_id) == (404, f"{kind} {file_id} not found")


def network_of(rig: Rig, name: str) -> dict[str, Any]:
    (found,) = (n for n in rig[0].networks({"name": [name]}) if n["Name"] == name)
    return found


def allocated_network(rig: Rig, name: str) -> dict[str, Any]:
    rig.until(lambda: network_of(rig, name)["Driver"])
    return network_of(rig, name)


@hosts(1)
def test_a_network_has_what_was_asked_and_what_the_engine_adds(rig: Rig) -> None:
    rig.init().network_create({"Name": "plain", "Driver": "overlay"})
    plain = allocated_network(rig, "plain")
    assert (plain["Scope"], plain["Driver"]) == ("swarm", "overlay")
    assert list(plain["Options"]) == [memory_objects.VXLAN_IDS]
    flags = ("Internal", "Attachable", "Ingress", "EnableIPv6", "ConfigOnly")
    assert [plain[flag] for flag in flags] == [False] * 5
    assert (plain["Labels"], plain["ConfigFrom"]) == (None, {"Network": ""})
    assert plain["IPAM"]["Driver"] == "default"
    (pool,) = plain["IPAM"]["Config"]
    assert pool["Gateway"] == pool["Subnet"].replace(".0/24", ".1")
    pools = [{"Subnet": "10.99.1.0/24"}, {"Subnet": "10.99.2.0/24", "IPRange": "10.99.2.0/25"}]
    rig[0].network_create(
        {
            "Name": "rich",
            "Driver": "overlay",
            "Options": {"encrypted": ""},
            "Internal": True,
            "Attachable": True,
            "Labels": {"a": "b"},
            "IPAM": {"Config": [{**pools[0], "Gateway": "10.99.1.9"}, pools[1]]},
        }
    )
    rich = allocated_network(rig, "rich")
    assert (rich["Internal"], rich["Attachable"], rich["Labels"]) == (True, True, {"a": "b"})
    assert set(rich["Options"]) == {"encrypted", memory_objects.VXLAN_IDS}
    assert [pool["Gateway"] for pool in rich["IPAM"]["Config"]] == ["10.99.1.9", "10.99.2.1"]
    assert rich["IPAM"]["Config"][1]["IPRange"] == "10.99.2.0/25"
    labelled = rig[0].networks({"label": ["a=b"], "scope": ["swarm"], "driver": ["overlay"]})
    assert [network["Name"] for network in labelled] == ["rich"]


@hosts(1)
def test_networks_that_cannot_be_are_refused(rig: Rig) -> None:
    create = rig.init().network_create
    overlay = {"Name": "net", "Driver": "overlay"}
    create(overlay)
    assert refusal(create, overlay) == (409, "network with name net already exists")
    assert refusal(create, {**overlay, "Name": "NET"}) == (500, memory_objects.NAME_CONFLICT)
    assert refusal(create, {**overlay, "Name": "n et"}) == (
        400,
        f"{INVALID}name must be valid as a DNS name component",
    )
    assert refusal(create, {**overlay, "Name": "in", "Ingress": True, "Attachable": True}) == (
        400,
        f"{INVALID}ingress network cannot be attachable",
    )
    assert refusal(create, {**overlay, "Name": "in", "Ingress": True})[0] == 409
    away = {"Config": [{"Subnet": "10.99.1.0/24", "Gateway": "10.98.1.1"}]}
    status, text = refusal(create, {**overlay, "Name": "other", "IPAM": away})
    assert (status, "10.98.1.1" in text) == (400, True)


@hosts(1)
def test_a_network_whose_subnet_is_taken_never_gets_its_addresses(rig: Rig) -> None:
    ipam = {"Config": [{"Subnet": "10.99.1.0/24"}]}
    rig.init().network_create({"Name": "first", "Driver": "overlay", "IPAM": ipam})
    allocated_network(rig, "first")
    rig[0].network_create({"Name": "second", "Driver": "overlay", "IPAM": ipam})
    with pytest.raises(NotConverged):
        rig.until(lambda: network_of(rig, "second")["Driver"], 3)
    assert (network_of(rig, "second")["Options"], network_of(rig, "second")["IPAM"]) == (
        None,
        {"Driver": "", "Options": None, "Config": None},
    )


@hosts(1)
def test_a_network_in_use_is_not_removed(rig: Rig) -> None:
    network_id = rig.init().network_create({"Name": "net", "Driver": "overlay"})
    allocated_network(rig, "net")
    template = {**WEB["TaskTemplate"], "Networks": [{"Target": "net"}]}
    service_id = rig[0].service_create({**WEB, "TaskTemplate": template})
    assert refusal(rig[0].network_remove, network_id) == (
        400,
        f"{PRECONDITION}network {network_id} is in use by service {service_id}",
    )
    rig[0].service_remove("web")
    rig[0].network_remove(network_id)
    rig.until(lambda: not rig[0].networks({"id": [network_id]}))
    assert refusal(rig[0].network_remove, network_id) == (404, f"network {network_id} not found")
    assert refusal(rig[0].network_remove, "host")[0] == 403


@hosts(1)
def test_tasks_are_found_by_the_labels_of_their_service(rig: Rig) -> None:
    rig.init().service_create({**WEB, "Labels": {"a": "b"}})
    rig[0].service_create({**WEB, "Name": "web2", "Labels": {"a": "c"}})
    rig.until(lambda: len({task["ServiceID"] for task in rig[0].tasks()}) == 2)
    service_id = rig[0].service("web")["ID"]
    for filters in ({"label": ["a=b"]}, {"label": ["a"], "service": ["web"]}):
        found = rig[0].tasks({**filters, "_up-to-date": ["true"]})
        assert {task["ServiceID"] for task in found} == {service_id}
    assert rig[0].tasks({"label": ["a=b", "c"]}) == []


@hosts(1)
def test_a_volume_that_is_none_is_not_removed(rig: Rig) -> None:
    assert refusal(rig[0].volume_remove, "none") == (404, "get none: no such volume")
    assert rig[0].volumes({"label": ["no.such=label"]}) == []


# What only the memory swarm can be made to do, and what real engines were seen to do then


def test_a_locked_manager_says_so_to_everything_but_a_forced_leave() -> None:
    world = World()
    host = world.host("node1", "10.0.0.11")
    engine = host.engine
    engine.swarm_init(
        {"AutoLockManagers": True, "Spec": {"EncryptionConfig": {"AutoLockManagers": True}}}
    )
    host.power_off()
    host.power_on()
    info = engine.info()["Swarm"]
    assert (info["LocalNodeState"], info["NodeID"], info["Error"]) == ("locked", "", memory.LOCKED)
    assert refusal(engine.swarm) == (503, memory.LOCKED)
    assert refusal(engine.swarm_init, {}) == (503, memory.ALREADY)
    assert refusal(engine.swarm_leave, False) == (503, memory.LEAVE_LOCKED)
    assert refusal(engine.swarm_unlock, "1234") == (400, memory.NO_KEY)
    assert refusal(engine.swarm_unlock, "SWMKEY-1-" + "A" * 43) == (401, memory.WRONG_KEY)
    engine.swarm_unlock(host.swarm_or_fail().unlock_key)
    assert engine.info()["Swarm"]["LocalNodeState"] == "active"
    host.power_off()
    host.power_on()
    engine.swarm_leave(force=True)
    assert engine.info()["Swarm"]["LocalNodeState"] == "inactive"


def test_a_manager_that_comes_up_alone_is_pending_and_knows_who_it_is() -> None:
    world = World()
    hosts_ = [world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2, 3)]
    rig = Rig([host.engine for host in hosts_], world.clock)
    rig.init()
    rig.join(1, "Manager")
    rig.join(2, "Manager")
    for host in hosts_:
        host.power_off()
    hosts_[0].power_on()
    info = rig[0].info()["Swarm"]
    assert (info["LocalNodeState"], info["ControlAvailable"]) == ("pending", True)
    assert info["NodeID"] == hosts_[0].swarm_or_fail().nodes[0].id
    assert (len(info["RemoteManagers"]), info["Error"]) == (3, memory.NO_LEADER)
    assert refusal(rig[0].swarm) == (500, one_line(memory.NO_LEADER))
    hosts_[1].power_on()
    assert [engine.info()["Swarm"]["LocalNodeState"] for engine in rig.hosts[:2]] == ["active"] * 2
    assert len(rig[0].nodes()) == 3


def test_reads_are_stale_and_writes_hang_just_after_the_quorum_is_lost() -> None:
    world = World()
    hosts_ = [world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2, 3)]
    rig = Rig([host.engine for host in hosts_], world.clock)
    swarm = rig.init().swarm()
    rig.join(1, "Manager")
    rig.join(2, "Manager")
    hosts_[1].power_off()
    assert rig[0].swarm()["ID"] == swarm["ID"]
    hosts_[2].power_off()
    assert len(rig[0].nodes()) == 3
    started = world.now()
    answer = refusal(rig[0].swarm_update, version(swarm), swarm["Spec"])
    assert answer == (500, memory.DEADLINE)
    assert world.now() - started == memory.RAFT_SECONDS
    assert refusal(rig[0].nodes) == (500, one_line(memory.NO_LEADER))
    hosts_[1].power_on()
    assert len(rig[0].nodes()) == 3


def test_a_node_knows_a_removed_network_while_it_has_containers_on_it() -> None:
    world = World()
    world.delays.stop = 10
    engine = world.host("node1", "10.0.0.11").engine
    engine.swarm_init({})
    network_id = engine.network_create({"Name": "net", "Driver": "overlay"})
    template = {**WEB["TaskTemplate"], "Networks": [{"Target": "net"}]}
    engine.service_create({**WEB, "TaskTemplate": template})
    engine.service_remove("web")
    engine.network_remove(network_id)
    assert [network["Id"] for network in engine.networks({"name": ["net"]})] == [network_id]
    assert refusal(engine.network_remove, network_id) == (500, f"network {network_id} not found")
    world.sleep(10)
    assert engine.networks({"name": ["net"]}) == []


def test_without_a_leader_the_networks_of_the_swarm_are_left_out_without_a_word() -> None:
    world = World()
    host = world.host("node1", "10.0.0.11")
    host.engine.swarm_init({})
    host.swarm_or_fail().elects_until = 5
    assert {network["Scope"] for network in host.engine.networks()} == {"local"}
    assert refusal(host.engine.services) == (500, memory.NO_LEADER)


def test_a_volume_is_there_once_a_task_has_mounted_it_and_is_held_by_its_container() -> None:
    world = World()
    world.delays.stop = 10
    host = world.host("node1", "10.0.0.11")
    host.engine.swarm_init({})
    mount = {
        "Type": "volume",
        "Source": "data",
        "Target": "/data",
        "VolumeOptions": {"Labels": {"a": "b"}},
    }
    container = {**WEB["TaskTemplate"]["ContainerSpec"], "Mounts": [mount]}
    host.engine.service_create({**WEB, "TaskTemplate": {"ContainerSpec": container}})
    (volume,) = host.engine.volumes({"label": ["a=b"]})
    assert (volume["Name"], volume["Labels"]) == ("data", {"a": "b"})
    status, text = refusal(host.engine.volume_remove, "data")
    assert (status, text.startswith("remove data: volume is in use - [")) == (409, True)
    host.engine.service_remove("web")
    assert refusal(host.engine.volume_remove, "data")[0] == 409
    world.sleep(10)
    host.engine.volume_remove("data")
    assert host.engine.volumes() == []


def drained(engine: Engine, hostname: str) -> None:
    node = engine.node(hostname)
    spec = {**node["Spec"], "Availability": "drain"}
    engine.node_update(node["ID"], version(node), spec)


def lines(engine: Engine) -> list[tuple[int, str, str]]:
    """Of each task of the service its slot, what it shall do and what it does."""
    tasks = engine.tasks({"service": ["web"]})
    return sorted((t["Slot"], t["DesiredState"], t["Status"]["State"]) for t in tasks)


def test_tasks_of_a_drained_node_stop_in_their_time_and_their_successors_wait_ready() -> None:
    world = World()
    hosts_ = [world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2)]
    rig = Rig([host.engine for host in hosts_], world.clock)
    rig.init()
    rig.join(1, "Worker")
    rig[0].service_create({**WEB, "TaskTemplate": {"ContainerSpec": {"Image": "web:1"}}})
    world.sleep(1)
    world.delays.stop = 25
    (task,) = rig[0].tasks()
    name = {node["ID"]: node["Description"]["Hostname"] for node in rig[0].nodes()}
    drained(rig[0], name[task["NodeID"]])
    assert lines(rig[0]) == [(1, "ready", "ready"), (1, "shutdown", "running")]
    world.sleep(24)
    assert lines(rig[0]) == [(1, "ready", "ready"), (1, "shutdown", "running")]
    world.sleep(2)
    world.sleep(1)
    assert lines(rig[0]) == [(1, "running", "running"), (1, "shutdown", "shutdown")]
    assert len({task["NodeID"] for task in rig[0].tasks()}) == 2


def test_of_too_many_slots_those_stay_that_are_the_first_on_their_nodes() -> None:
    world = World()
    hosts_ = [world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2)]
    rig = Rig([host.engine for host in hosts_], world.clock)
    rig.init()
    rig.join(1, "Worker")
    template = {"ContainerSpec": {"Image": "web:1"}}
    mode = {"Replicated": {"Replicas": 4}}
    rig[0].service_create({**WEB, "Mode": mode, "TaskTemplate": template})
    world.sleep(1)
    one, two = [node["ID"] for node in rig[0].nodes()]
    for task, node_id in zip(hosts_[0].swarm_or_fail().services[0].tasks, (one, one, one, two)):
        task["NodeID"] = node_id
    change_service(rig[0], Mode={"Replicated": {"Replicas": 2}})
    assert lines(rig[0]) == [(1, "running", "running"), (4, "running", "running")]


def test_a_paused_node_keeps_its_tasks_and_gets_no_more() -> None:
    world = World()
    engine = world.host("node1", "10.0.0.11").engine
    engine.swarm_init({})
    template = {"ContainerSpec": {"Image": "web:1"}}
    engine.service_create({**WEB, "TaskTemplate": template})
    engine.service_create({**WEB, "Name": "all", "Mode": {"Global": {}}, "TaskTemplate": template})
    node = engine.node("node1")
    spec = {**node["Spec"], "Availability": "pause"}
    engine.node_update(node["ID"], version(node), spec)
    change_service(engine, Mode={"Replicated": {"Replicas": 2}})
    world.sleep(1)
    assert lines(engine) == [(1, "running", "running"), (2, "running", "pending")]
    (task,) = engine.tasks({"service": ["all"]})
    assert task["DesiredState"] == "running"
