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
from typing import Any

import pytest
from conftest import Engine, Lab, until

MANAGERS = ["node1", "node2", "node3"]
# Nothing here may take longer, in seconds.
BOUND = 180

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
    update = other.service(name, image=other.web(2), wait_timeout=BOUND)
    assert {task["state"] for task in update["tasks"]} == {"running"}
    assert leader not in {task["node"] for task in update["tasks"]}
    failed = told.result()
    took = time.monotonic() - started
    assert took < BOUND
    print(f"leader cut off: told after {took:.0f} s: {failed}")
    assert failed["failed"]
    assert "leader" in failed["msg"] or "quorum" in failed["msg"]
    isolate()
    until(lambda: is_whole(lab), 120)
    assert connect(leader).module("node_label", labels={"cut": "off"})["changed"] in (True, False)
    assert not connect(leader).module("node_label", labels={"cut": "off"})["changed"]
    assert lab.nodes(other.host)[leader]["Spec"]["Labels"]["cut"] == "off"
    connect(leader).module("node_label", labels_to_remove=["cut"])


def test_the_quorum_is_lost_for_six_seconds(
    lab: Lab,
    connect: Callable[[str], Engine],
    isolate: Callable[..., None],
) -> None:
    leader = lab.leader(MANAGERS)
    follower = connect(next(host for host in MANAGERS if host != leader))
    started = time.monotonic()
    isolate(*MANAGERS)
    label = in_background(follower, "node_label", labels={"gap": "six seconds"})
    time.sleep(6)
    isolate()
    result = label.result()
    assert not result.get("failed"), result["msg"]
    assert time.monotonic() - started < BOUND
    until(lambda: is_whole(lab), 120)
    assert lab.nodes(follower.host)[follower.host]["Spec"]["Labels"]["gap"] == "six seconds"
    assert follower.module("node_label", labels_to_remove=["gap"])["changed"]


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[str]:
    """A follower whose swarm has a filesystem of 48 MB for its state, with 64 KB left."""
    leader = lab.leader(MANAGERS)
    host = next(host for host in MANAGERS if host != leader)
    stop = "sudo systemctl stop docker.socket docker.service"
    start = "sudo systemctl start docker.service docker.socket"
    state = "/var/lib/docker/swarm"
    lab.on(host, f"{stop} && sudo cp -a {state} {state}.kept")
    lab.on(host, f"sudo mount -t tmpfs -o size=48m tmpfs {state}")
    lab.on(host, f"sudo cp -a {state}.kept/. {state}/ && sudo rm -rf {state}.kept && {start}")
    until(lambda: is_whole(lab), 120)
    yield host
    lab.on(host, f"sudo rm -f {state}/filler && {stop} && sudo cp -a {state} {state}.kept")
    lab.on(host, f"sudo umount {state} && sudo cp -a {state}.kept/. {state}/")
    lab.on(host, f"sudo rm -rf {state}.kept && {start}")
    until(lambda: is_whole(lab), 120)


def test_a_managers_disk_is_full(
    lab: Lab, connect: Callable[[str], Engine], small_disk: str, name: str
) -> None:
    state = "/var/lib/docker/swarm"
    engine = connect(small_disk)
    others = [host for host in MANAGERS if host != small_disk]
    engine.service(name, image=engine.web(1))
    lab.try_on(small_disk, f"sudo dd if=/dev/zero of={state}/filler bs=4k")
    made = []
    # Large enough for the log to need more room.
    for number in range(8):
        started = time.monotonic()
        options = {"name": f"config{number}", "data": "x" * 400_000, "state": "present"}
        result = engine.module("config", **options)
        assert time.monotonic() - started < BOUND
        if not result.get("failed"):
            made.append(options["name"])
        else:
            print(f"disk full: {result['msg']}")
    # What was acknowledged is there, and the others go on.
    on_others = connect(others[0])
    listed = on_others.cli("config ls --format '{{.Name}}'").split()
    assert set(made) <= set(listed)
    assert not on_others.service(name, image=on_others.web(2), wait_timeout=BOUND).get("failed")
    lab.on(small_disk, f"sudo rm {state}/filler && sudo systemctl restart docker")
    until(lambda: is_whole(lab), 120)
    engine = connect(small_disk)
    for number in range(8):
        options = {"name": f"config{number}", "data": "x" * 400_000, "state": "present"}
        result = engine.module("config", **options)
        assert not result.get("failed"), result["msg"]
        assert result["changed"] == (options["name"] not in listed)
        engine.module("config", name=f"config{number}", state="absent")
