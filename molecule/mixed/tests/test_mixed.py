# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each firewall, hosts of two Debian releases, runs that meet and runs that break off."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Infra, Lab, changed_hosts, until

MANAGERS = ["node1", "node2", "node3"]
WORKERS = ["node4", "node5"]
HOSTS = MANAGERS + WORKERS
# The firewall that each host came with; nftables is what the role takes where there is none.
FIREWALLS = {"node1": "ufw", "node2": "firewalld", "node3": "nftables"}
# Long enough for the tests that need them, over before the swarm wants the ports.
LISTEN_SECONDS = 600

FIREWALL_ONLY = """\
- name: Set up the firewalls
  hosts: swarm_managers:swarm_workers
  gather_facts: false
  become: true
  roles:
    - role: shoal.swarm.firewall
"""


def probe(lab: Lab, source: str, target: str) -> dict[str, bool]:
    command = f"python3 - {lab.address(target)} <<'END'\n{script('probe.py')}\nEND"
    return json.loads(lab.on(source, command))


def script(name: str) -> str:
    return (Path(__file__).parent / name).read_text()


@pytest.fixture(scope="module")
def listeners(infra: Infra, lab: Lab) -> None:
    """The firewalls are set up, and something answers on each of the swarm's ports."""
    (infra.folder / "firewall.yml").write_text(FIREWALL_ONLY)
    assert infra.play("firewall.yml").returncode == 0
    assert infra.play("firewall.yml").counts("changed") == dict.fromkeys(HOSTS, 0)
    for host in FIREWALLS:
        lab.on(host, f"cat > listen.py <<'END'\n{script('listen.py')}\nEND")
        lab.on(host, f"python3 listen.py {LISTEN_SECONDS} > /dev/null 2>&1 < /dev/null")


@pytest.mark.usefixtures("listeners")
@pytest.mark.parametrize("target", FIREWALLS, ids=FIREWALLS.get)
def test_the_ports_are_open_to_the_swarm_and_to_nobody_else(lab: Lab, target: str) -> None:
    # Who answers is a process of that host, which may be slow to answer once.
    until(lambda: all(probe(lab, "node4", target).values()))
    outside = probe(lab, "outsider", target)
    assert outside == {**dict.fromkeys(outside, False), "22/tcp": True}


@pytest.fixture(scope="module")
def others_allowed(listeners: None, infra: Infra, lab: Lab, tmp_path_factory: Any) -> None:
    """A worker has left the inventory, and a host that is in no swarm may come in."""
    inventory = shutil.copytree(infra.inventory, tmp_path_factory.mktemp("fewer") / "inventory")
    with changed_hosts(inventory) as groups:
        del groups["swarm_workers"]["node5"]
    extra = json.dumps({"firewall_extra_peers": [lab.address("outsider")]})
    run = infra.play("firewall.yml", "-e", extra, inventory=inventory)
    assert run.returncode == 0
    again = infra.play("firewall.yml", "-e", extra, inventory=inventory)
    assert sum(again.counts("changed").values()) == 0


@pytest.mark.usefixtures("others_allowed")
@pytest.mark.parametrize("target", FIREWALLS, ids=FIREWALLS.get)
def test_who_leaves_the_inventory_loses_access(lab: Lab, target: str) -> None:
    until(lambda: all(probe(lab, "node4", target).values()))
    until(lambda: all(probe(lab, "outsider", target).values()))
    gone = probe(lab, "node5", target)
    assert gone == {**dict.fromkeys(gone, False), "22/tcp": True}


def test_who_comes_back_has_access_again(infra: Infra, lab: Lab) -> None:
    assert infra.play("firewall.yml").returncode == 0
    for target in FIREWALLS:
        until(lambda host=target: all(probe(lab, "node5", host).values()))
    assert not probe(lab, "outsider", "node2")["2377/tcp"]


def test_two_runs_at_the_same_time_end_in_one_swarm(infra: Infra, lab: Lab) -> None:
    for host in FIREWALLS:
        lab.try_on(host, "pkill -f listen.py")
    runs = [infra.start("site.yml") for _run in range(2)]
    for run in runs:
        output, _nothing = run.communicate()
        assert run.returncode == 0, output
    assert_one_swarm(lab)


def assert_one_swarm(lab: Lab) -> None:
    nodes = lab.nodes("node1")
    assert {name: node["Status"]["State"] for name, node in nodes.items()} == dict.fromkeys(
        HOSTS, "ready"
    )
    assert {lab.swarm(host)["Cluster"]["ID"] for host in MANAGERS} == {
        lab.swarm("node1")["Cluster"]["ID"]
    }
    ids = {lab.swarm(host)["NodeID"] for host in HOSTS}
    assert ids == {node["ID"] for node in nodes.values()}


def test_engines_of_two_releases_work_together(lab: Lab) -> None:
    engines = {
        name: node["Description"]["Engine"]["EngineVersion"]
        for name, node in lab.nodes("node1").items()
    }
    assert engines["node5"].startswith("20.10.")
    assert engines["node4"].startswith("26.1.")


def test_a_run_that_breaks_off_while_hosts_join_is_healed_by_the_next(
    infra: Infra, lab: Lab
) -> None:
    for host in reversed(HOSTS):
        lab.on(host, "sudo docker swarm leave --force")
    run = infra.start("site.yml")
    assert run.stdout is not None
    for line in run.stdout:
        if "Join the managers" in line:
            break
    time.sleep(1)
    run.kill()
    run.communicate()
    joined = [host for host in HOSTS if lab.swarm(host)["LocalNodeState"] == "active"]
    assert "node1" in joined
    assert joined != HOSTS
    recap = infra.site()
    assert recap.returncode == 0
    assert_one_swarm(lab)
    again = infra.site()
    assert again.counts("changed") == dict.fromkeys(HOSTS, 0)


def test_a_host_whose_libraries_are_in_a_venv(infra: Infra, lab: Lab, tmp_path: Path) -> None:
    """As where the distribution has no packages of them; modules find them in later runs too."""
    lab.on("node4", "sudo apt-get purge -q -y python3-docker python3-jsondiff")
    inventory = shutil.copytree(infra.inventory, tmp_path / "inventory")
    with changed_hosts(inventory) as groups:
        groups["swarm_workers"]["node4"]["engine_sdk"] = "venv"
    recap = infra.site(inventory=inventory)
    assert recap.returncode == 0
    assert recap.counts("changed")["node4"] > 0
    assert lab.try_on("node4", "python3 -c 'import docker'").returncode != 0
    again = infra.site(inventory=inventory)
    assert again.counts("changed") == dict.fromkeys(HOSTS, 0)
