# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare hosts to a swarm, and what can happen to it afterwards. The tests build on each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from conftest import Infra, Lab, Recap, changed_hosts

MANAGERS = ["node1", "node2", "node3"]
WORKERS = ["node4", "node5"]
HOSTS = MANAGERS + WORKERS
CHECKOUT = Path(__file__).parents[3]
# The stack of the demo, as a second inventory.
STACK = ("-i", str(CHECKOUT / "lab/demo/stacks.yml"), "-e", f"stacks_folder={CHECKOUT}")


def assert_ok(recap: Recap, hosts: list[str]) -> None:
    assert recap.returncode == 0
    assert recap.counts("failed") == dict.fromkeys(hosts, 0)
    assert recap.counts("unreachable") == dict.fromkeys(hosts, 0)


def assert_healthy(lab: Lab, managers: list[str], workers: list[str]) -> None:
    nodes = lab.nodes(managers[0])
    assert {name: node["Status"]["State"] for name, node in nodes.items()} == dict.fromkeys(
        managers + workers, "ready"
    )
    reachable = {
        name: node["ManagerStatus"]["Reachability"]
        for name, node in nodes.items()
        if "ManagerStatus" in node
    }
    assert reachable == dict.fromkeys(managers, "reachable")


def written(lab: Lab) -> dict[str, Any]:
    """The versions of all that only we write, and the tasks that run; nodes by their specs.

    A node's version also moves when its status does.
    """
    swarm = lab.swarm("node1")["Cluster"]
    ids = {
        kind: lab.on("node1", f"sudo docker {kind} ls --quiet").split()
        for kind in ("service", "secret", "config")
    }
    found = {kind: lab.docker("node1", kind, "inspect", *ids[kind]) for kind in ids}
    services = " ".join(ids["service"])
    tasks = lab.on("node1", f"sudo docker service ps --quiet --no-trunc {services}").split()
    return {
        "swarm": (swarm["ID"], swarm["Version"]["Index"]),
        **{
            kind: sorted((thing["ID"], thing["Version"]["Index"]) for thing in things)
            for kind, things in found.items()
        },
        "previous": {s["Spec"]["Name"]: s.get("PreviousSpec") for s in found["service"]},
        "tasks": sorted(tasks),
        "nodes": {name: node["Spec"] for name, node in lab.nodes("node1").items()},
    }


def test_check_mode_runs_through_on_bare_hosts_and_changes_nothing(infra: Infra, lab: Lab) -> None:
    recap = infra.site(*STACK, "--check", "--diff")
    assert_ok(recap, HOSTS)
    assert "node1 would create the swarm." in recap.output
    assert "node3 would join the swarm as manager." in recap.output
    assert "node5 would join the swarm as worker." in recap.output
    assert "node1 would deploy calculator, once there is a swarm." in recap.output
    for host in HOSTS:
        assert lab.try_on(host, "command -v dockerd || ls /etc/docker").returncode != 0


def test_the_first_run_makes_a_swarm(infra: Infra, lab: Lab) -> None:
    recap = infra.site()
    assert_ok(recap, HOSTS)
    assert_healthy(lab, MANAGERS, WORKERS)
    table = recap.output.rpartition("NODE                 ROLE")[2]
    assert all(host in table for host in HOSTS)


def test_labels_are_those_of_the_inventory(lab: Lab) -> None:
    labels = {name: node["Spec"]["Labels"] for name, node in lab.nodes("node1").items()}
    typed = {name: {"type": "db"} for name in ("node3", "node4", "node5")}
    assert labels == {"node1": {}, "node2": {}, **typed}


def test_a_stack_of_the_variables_is_deployed(infra: Infra, lab: Lab) -> None:
    recap = infra.site(*STACK)
    assert_ok(recap, HOSTS)
    assert sum(recap.counts("changed").values()) == 1
    form = "--format '{{.Name}} {{.Replicas}}'"
    running = lab.on("node1", f"sudo docker stack services calculator {form}").splitlines()
    assert sorted(running) == ["calculator_calculator 3/3", "calculator_redis 1/1"]


def test_the_demo_shows_what_it_promises(infra: Infra, lab: Lab) -> None:
    recap = infra.play(*STACK, str(CHECKOUT / "lab/demo/show.yml"))
    assert_ok(recap, ["node1"])
    # A service runs where the labels say.
    assert "said OK, then written-at" in recap.output
    # Not those that had to be started once more.
    form = "--filter desired-state=running --format '{{.Node}}'"
    where = lab.on("node1", f"sudo docker service ps {form} redis").split()
    assert len(where) == 5
    assert set(where) <= {"node3", "node4", "node5"}
    # A stack changes while it is in use.
    assert " 0 failed." in recap.output
    assert "The root of 3 was 1.73205, then 1.73205080757." in recap.output
    assert "calculator_redis_password, calculator_redis_password_v2" in recap.output


def test_the_second_run_writes_nothing(infra: Infra, lab: Lab) -> None:
    before = written(lab)
    recap = infra.site(*STACK)
    assert_ok(recap, HOSTS)
    assert recap.counts("changed") == dict.fromkeys(HOSTS, 0)
    assert written(lab) == before


def test_check_mode_on_the_finished_swarm_has_nothing_to_tell(infra: Infra) -> None:
    recap = infra.site(*STACK, "--check", "--diff")
    assert_ok(recap, HOSTS)
    assert recap.counts("changed") == dict.fromkeys(HOSTS, 0)


def connects(lab: Lab, source: str, target: str, port: int) -> bool:
    probe = (
        "import socket; socket.create_connection"
        f"(('{lab.address(target)}', {port}), timeout=2).close()"
    )
    return lab.try_on(source, f'python3 -c "{probe}"').returncode == 0


def dropped(lab: Lab, host: str) -> int:
    chain = json.loads(lab.on(host, "sudo nft --json list chain inet shoal_swarm peers_only"))
    rules = [entry["rule"]["expr"] for entry in chain["nftables"] if "rule" in entry]
    (packets,) = [
        expression["counter"]["packets"]
        for rule in rules
        for expression in rule
        if "counter" in expression
    ]
    return packets


def drops_udp(lab: Lab, source: str, target: str, port: int) -> bool:
    """Whether the target's rules drop three packets that the source sends."""
    before = dropped(lab, target)
    probe = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        f"[s.sendto(b'probe', ('{lab.address(target)}', {port})) for _ in range(3)]"
    )
    lab.on(source, f'python3 -c "{probe}"')
    return dropped(lab, target) - before == 3


def test_the_ports_are_open_to_the_swarm_and_to_nobody_else(lab: Lab) -> None:
    for target in ("node1", "node5"):
        assert connects(lab, "outsider", target, 22)
        for port in (2377, 7946):
            assert not connects(lab, "outsider", target, port)
        for port in (7946, 4789):
            assert drops_udp(lab, "outsider", target, port)
            assert not drops_udp(lab, "node2", target, port)
        assert connects(lab, "node2", target, 7946)
    assert connects(lab, "node5", "node1", 2377)


def test_a_killed_leader_comes_back(infra: Infra, lab: Lab) -> None:
    leader = lab.leader(MANAGERS)
    lab.on(leader, "sudo systemctl kill --signal=KILL docker.service")
    recap = infra.site()
    assert_ok(recap, HOSTS)
    assert_healthy(lab, MANAGERS, WORKERS)


def test_a_stopped_leader_is_started(infra: Infra, lab: Lab) -> None:
    leader = lab.leader(MANAGERS)
    lab.on(leader, "sudo systemctl stop docker.service docker.socket")
    recap = infra.site()
    assert_ok(recap, HOSTS)
    changed = [host for host, count in recap.counts("changed").items() if count]
    assert changed == [leader]
    assert_healthy(lab, MANAGERS, WORKERS)


def test_one_host_alone_while_a_manager_cannot_be_reached(
    infra: Infra, lab: Lab, tmp_path: Path
) -> None:
    away = shutil.copytree(infra.inventory, tmp_path / "inventory")
    with changed_hosts(away) as groups:
        # Nobody listens there.
        groups["swarm_managers"]["node2"]["ansible_port"] = 9
    recap = infra.site("--limit", "node4", inventory=away)
    assert recap.returncode == 0
    assert sum(recap.counts("changed").values()) == 0
    # The end of the play.
    assert "Show the nodes of the swarm" in recap.output


def test_a_sixth_host_comes_in(infra: Infra, lab: Lab) -> None:
    lab.command("add", "node6", "--group", "workers")
    recap = infra.site()
    assert_ok(recap, [*HOSTS, "node6"])
    assert_healthy(lab, MANAGERS, [*WORKERS, "node6"])
    assert connects(lab, "node6", "node1", 7946)


def test_a_host_that_leaves_the_inventory_loses_its_access(
    infra: Infra, lab: Lab, tmp_path: Path
) -> None:
    smaller = shutil.copytree(infra.inventory, tmp_path / "inventory")
    with changed_hosts(smaller) as groups:
        del groups["swarm_workers"]["node6"]
    recap = infra.site(inventory=smaller)
    assert_ok(recap, HOSTS)
    assert not connects(lab, "node6", "node1", 7946)
    assert connects(lab, "node5", "node1", 7946)
    assert connects(lab, "node6", "node1", 22)
