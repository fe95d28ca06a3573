# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong below the swarm: the network, the disk, certificates that are over.

Whatever happens, a module ends within bounded time with the truth, what was acknowledged is there
afterwards, and a second run finishes the job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Engine, Lab, run, timed, until

MANAGERS = ["node1", "node2", "node3"]
# Nothing here may take longer, in seconds.
BOUND = 180

STATE = "/var/lib/docker/swarm"
STOP = "sudo systemctl stop docker.socket docker.service"
START = "sudo systemctl start docker.service docker.socket"

pytestmark = pytest.mark.faults


@pytest.fixture
def isolate(lab: Lab) -> Iterator[Callable[..., None]]:
    """Cuts hosts off from all other managers, and lets them back."""
    addresses = {host: lab.address(host) for host in MANAGERS}
    cut: set[str] = set()

    def routes(action: str, host: str) -> None:
        for other in MANAGERS:
            if other != host:
                lab.on(host, f"sudo ip route {action} blackhole {addresses[other]}")

    def isolate(*hosts: str) -> None:
        for host in sorted(cut - set(hosts)):
            routes("del", host)
        for host in sorted(set(hosts) - cut):
            routes("add", host)
        cut.clear()
        cut.update(hosts)

    yield isolate
    isolate()
    until(lambda: is_whole(lab), 120)


def is_whole(lab: Lab) -> bool:
    for host in MANAGERS:
        form = "'{{.Status}} {{.ManagerStatus}}'"
        listed = lab.try_on(host, f"sudo docker node ls --format {form}")
        rows = sorted(listed.stdout.splitlines())
        if rows != ["Ready Leader", "Ready Reachable", "Ready Reachable"]:
            return False
    return True


def in_background(engine: Engine, module: str, **options: Any) -> Future[dict[str, Any]]:
    """The module in a process of its own."""
    return ProcessPoolExecutor(1).submit(engine.module, module, **options)


def test_the_leader_is_cut_off(
    lab: Lab,
    connect: Callable[[str], Engine],
    name: str,
    isolate: Callable[..., None],
) -> None:
    leader = lab.leader(MANAGERS)
    other = connect(next(host for host in MANAGERS if host != leader))
    other.service(name, image=other.web(1), replicas=2)
    started = time.monotonic()
    isolate(leader)
    told = in_background(connect(leader), "node_label", labels={"cut": "off"})
    with timed("updated through another manager"):
        update = other.service(name, image=other.web(2), wait_timeout=BOUND)
    assert {task["state"] for task in update["tasks"]} == {"running"}
    assert leader not in {task["node"] for task in update["tasks"]}
    refuses_for_lack_of_a_leader(told.result())
    assert time.monotonic() - started < BOUND
    with timed("whole again"):
        isolate()
        until(lambda: is_whole(lab), 120)
    assert connect(leader).module("node_label", labels={"cut": "off"})["changed"] in (True, False)
    assert not connect(leader).module("node_label", labels={"cut": "off"})["changed"]
    assert lab.nodes(other.host)[leader]["Spec"]["Labels"]["cut"] == "off"
    connect(leader).module("node_label", labels_to_remove=["cut"])


def test_the_leader_is_cut_off_while_a_manager_is_demoted(
    lab: Lab, connect: Callable[[str], Engine], isolate: Callable[..., None]
) -> None:
    leader = connect(lab.leader(MANAGERS))
    demoted, other = (connect(host) for host in MANAGERS if host != leader.host)
    demotion: dict[str, Any] = {"nodes": [{"hostname": demoted.host, "role": "worker"}]}
    isolate(leader.host)
    told = in_background(leader, "node", **demotion)

    def is_missed() -> bool:
        row = lab.try_on(other.host, f"sudo docker node ls --filter name={leader.host}").stdout
        return "Unreachable" in row

    until(is_missed)
    # Both of those that are left are needed.
    refused = other.module("node", **demotion)
    assert refused["failed"]
    assert "quorum" in refused["msg"]
    refuses_for_lack_of_a_leader(told.result())
    with timed("whole again"):
        isolate()
        until(lambda: is_whole(lab), 120)
    back: dict[str, Any] = {"nodes": [{"hostname": demoted.host, "role": "manager"}]}
    try:
        assert leader.module("node", **demotion)["changed"]
        assert not other.module("node", **demotion)["changed"]
        # The host itself is the last to hear of it.
        until(lambda: not lab.swarm(demoted.host)["ControlAvailable"])
    finally:
        promoted = other.module("node", **back)
    assert promoted["changed"]
    assert is_whole(lab)


def refuses_for_lack_of_a_leader(result: dict[str, Any]) -> None:
    print(result)
    assert result["failed"]
    assert "leader" in result["msg"] or "quorum" in result["msg"]


def test_the_quorum_is_lost_for_six_seconds(
    lab: Lab, connect: Callable[[str], Engine], isolate: Callable[..., None], name: str
) -> None:
    leader = lab.leader(MANAGERS)
    follower = connect(next(host for host in MANAGERS if host != leader))
    follower.service(name, image=follower.web(1), replicas=2)
    isolate(*MANAGERS)
    label = in_background(follower, "node_label", labels={"gap": "six seconds"})
    options = {"image": follower.web(2), "wait_timeout": BOUND}
    update = in_background(follower, "service", name=name, **options)
    time.sleep(6)
    isolate()
    with timed("both writes done, and their tasks running"):
        results = [label.result(), update.result()]
    for result in results:
        assert not result.get("failed"), result["msg"]
    with timed("whole again after that"):
        until(lambda: is_whole(lab), 120)
    assert lab.nodes(follower.host)[follower.host]["Spec"]["Labels"]["gap"] == "six seconds"
    assert not follower.service(name, **options)["changed"]
    assert follower.module("node_label", labels_to_remove=["gap"])["changed"]


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[str]:
    """A follower that has been started with too little room for its state; the log alone reserves
    64 MB when it begins."""
    leader = lab.leader(MANAGERS)
    host = next(host for host in MANAGERS if host != leader)
    lab.on(host, f"{STOP} && sudo cp -a {STATE} {STATE}.kept")
    lab.on(host, f"sudo mount -t tmpfs -o size=48m tmpfs {STATE}")
    lab.on(host, f"sudo cp -a --sparse=always {STATE}.kept/. {STATE}/ && sudo rm -rf {STATE}.kept")
    lab.on(host, START)
    yield host
    lab.on(host, f"{STOP} && sudo cp -a {STATE} {STATE}.kept && sudo umount {STATE}")
    lab.on(host, f"sudo cp -a {STATE}.kept/. {STATE}/ && sudo rm -rf {STATE}.kept && {START}")
    until(lambda: is_whole(lab), 120)


def test_a_managers_disk_is_full(
    lab: Lab, connect: Callable[[str], Engine], small_disk: str, name: str
) -> None:
    engine = connect(small_disk)
    other = connect(next(host for host in MANAGERS if host != small_disk))
    node_id = lab.nodes(other.host)[small_disk]["ID"]
    seen = until(lambda: engine.module("swarm_info")["error"])
    print(f"disk full: {seen}")
    assert "no space left on device" in seen
    config = {"name": "more", "data": "more"}
    assert "no space left on device" in engine.module("config", **config)["msg"]
    # The others go on.
    assert other.module("config", **config)["changed"]
    assert not other.service(name, image=other.web(2), wait_timeout=BOUND).get("failed")
    # Nobody takes it for a host that never was in the swarm.
    token = other.module("swarm_info", join_tokens=True)["join_tokens"]["manager"]
    options = {"remote_addrs": [lab.address(other.host)], "join_token": token, "role": "manager"}
    joined = engine.module("swarm_join", **options)
    assert joined["failed"]
    assert "no space left on device" in joined["msg"]

    lab.on(small_disk, f"sudo mount -o remount,size=256m {STATE}")
    with timed("whole again with room on the disk"):
        lab.on(small_disk, "sudo systemctl restart docker")
        until(lambda: is_whole(lab), 120)
    assert lab.swarm(small_disk)["NodeID"] == node_id
    assert not engine.module("swarm_join", **options)["changed"]
    assert not engine.module("config", **config)["changed"]
    assert engine.module("config", name="more", state="absent")["changed"]


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, Path]:
    """A root CA whose key we have."""
    key, certificate = tmp_path / "ca.key", tmp_path / "ca.crt"
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=swarm-ca"),
        *("-days", "3650"),
    )
    return certificate, key


EXPIRED = """\
[ca]
default_ca = ours
[ours]
new_certs_dir = {folder}
database = {folder}/index.txt
serial = {folder}/serial
default_md = sha256
policy = any
[any]
organizationName = optional
organizationalUnitName = optional
commonName = supplied
"""


def test_a_managers_certificate_has_expired(
    lab: Lab, connect: Callable[[str], Engine], authority: tuple[Path, Path], tmp_path: Path
) -> None:
    """A clock that is a hundred days ahead comes to the same; the lab's hosts have no own clock."""
    certificate, key = authority
    leader = connect(lab.leader(MANAGERS))
    rotated = leader.module(
        "swarm_init",
        signing_ca_cert=certificate.read_text(),
        signing_ca_key=key.read_text(),
        wait_timeout=BOUND,
    )
    assert not rotated.get("failed"), rotated["msg"]
    victim = next(host for host in MANAGERS if host != leader.host)
    folder = f"{STATE}/certificates"
    info = lab.swarm(victim)
    subject = f"/O={lab.swarm(leader.host)['Cluster']['ID']}/OU=swarm-manager/CN={info['NodeID']}"
    lab.on(victim, STOP)
    lab.on(victim, f"sudo cp -a {folder} {folder}.kept")
    # openssl does not take the headers that the engine has put into the file.
    key_alone = f"sudo sed '/^[a-z-]*: /d; /^$/d' {folder}/swarm-node.key"
    request = f"{key_alone} | openssl req -new -key /dev/stdin -subj {subject}"
    (tmp_path / "request").write_text(lab.on(victim, request))
    (tmp_path / "index.txt").touch()
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "config").write_text(EXPIRED.format(folder=tmp_path))
    run(
        *("openssl", "ca", "-batch", "-config", str(tmp_path / "config"), "-notext"),
        *("-cert", str(certificate), "-keyfile", str(key), "-in", str(tmp_path / "request")),
        *("-startdate", "20200101000000Z", "-enddate", "20200201000000Z"),
        *("-out", str(tmp_path / "expired")),
    )
    expired = (tmp_path / "expired").read_text()
    lab.on(victim, f"echo '{expired}' | sudo tee {folder}/swarm-node.crt")
    lab.try_on(victim, START)
    try:
        state = until(lambda: connect(victim).module("swarm_info")["error"])
        print(f"certificate expired: {state}")
        assert "expired" in state
        refused = connect(victim).module("node_label", labels={"a": "b"})
        assert refused["failed"]
        assert "expired" in refused["msg"]
        assert not leader.module("node_label", labels={"a": "b"}).get("failed")
        # Nobody takes it for a host that never was in the swarm.
        token = leader.module("swarm_info", join_tokens=True)["join_tokens"]["manager"]
        addresses = [lab.address(leader.host)]
        options = {"remote_addrs": addresses, "join_token": token, "role": "manager"}
        joined = connect(victim).module("swarm_join", **options)
        assert joined["failed"]
        assert "expired" in joined["msg"]
        assert lab.on(victim, f"sudo cat {folder}/swarm-node.crt").strip() == expired.strip()
    finally:
        lab.on(victim, STOP)
        lab.on(victim, f"sudo rm -rf {folder} && sudo mv {folder}.kept {folder}")
        with timed("whole again with a certificate that is valid"):
            lab.on(victim, START)
            until(lambda: is_whole(lab), 120)
    assert not connect(victim).module("swarm_join", **options)["changed"]
    assert leader.module("node_label", labels_to_remove=["a"])["changed"]


def test_a_host_joins_while_the_ca_rotates(lab: Lab, connect: Callable[[str], Engine]) -> None:
    leader = connect(lab.leader(MANAGERS))
    away = next(host for host in MANAGERS if host != leader.host)
    lab.on(away, STOP)
    try:
        rotation = in_background(leader, "swarm_init", ca_force_rotate=4711, wait_timeout=BOUND)
        until(lambda: lab.swarm(leader.host)["Cluster"]["RootRotationInProgress"])
        joiner = connect("node4")
        joiner.cli("swarm leave --force")
        options = {
            "remote_addrs": [lab.address(leader.host)],
            "join_token": leader.module("swarm_info", join_tokens=True)["join_tokens"]["worker"],
            "role": "worker",
        }
        joined = joiner.module("swarm_join", **options)
        assert not joined.get("failed"), joined["msg"]
        assert not rotation.done()
    finally:
        lab.on(away, START)
    with timed("rotated, with the manager back that was away"):
        result = rotation.result()
    assert not result.get("failed"), result["msg"]
    until(lambda: {n["Status"]["State"] for n in lab.nodes(leader.host).values()} == {"ready"}, 90)
    root = lab.swarm(leader.host)["Cluster"]["TLSInfo"]["TrustRoot"]
    infos = [node["Description"]["TLSInfo"] for node in lab.nodes(leader.host).values()]
    assert {info["TrustRoot"] for info in infos} == {root}
    # With the token of today the host is where it should be.
    options["join_token"] = leader.module("swarm_info", join_tokens=True)["join_tokens"]["worker"]
    assert not joiner.module("swarm_join", **options)["changed"]
    joiner.cli("swarm leave")
    until(lambda: lab.nodes(leader.host)["node4"]["Status"]["State"] == "down", 90)
    leader.cli("node rm node4")
    joiner.module("swarm_init", advertise_addr=lab.address("node4"))
