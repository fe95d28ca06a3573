# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight finds on hosts that are broken for it: bare first, then in a swarm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Infra, Lab, Recap

HOSTS = ["node1", "node2"]
PLAY = "shoal.swarm.preflight"
# What this machine is like in which the hosts are, and nobody broke.
OF_THE_LAB = {"kernel_modules", "clock_synchronised", "mtu", "disk"}
PORTS = ["2377/tcp", "7946/tcp", "7946/udp", "4789/udp"]


def found(recap: Recap) -> dict[str, str]:
    """By check what was found, but for what is the lab's own."""
    lines = [line for line in recap.output.splitlines() if re.search(r" \([a-z_]+\)\W*$", line)]
    names = {re.findall(r"\(([a-z_]+)\)", line)[-1]: line for line in lines}
    return {name: line for name, line in names.items() if name not in OF_THE_LAB}


def preflight(infra: Infra, *arguments: str) -> Recap:
    return infra.play(PLAY, *arguments)


@contextmanager
def broken(lab: Lab, host: str, by: str, mend: str) -> Iterator[None]:
    lab.on(host, by)
    try:
        yield
    finally:
        lab.on(host, mend)


def assert_only(recap: Recap, check: str, *texts: str, is_fatal: bool) -> None:
    assert list(found(recap)) == [check]
    for text in texts:
        assert text in found(recap)[check]
    assert recap.returncode == (2 if is_fatal else 0)
    assert recap.counts("changed") == dict.fromkeys(HOSTS, 0)


def assert_nothing(recap: Recap) -> None:
    assert found(recap) == {}
    assert recap.returncode == 0
    assert recap.counts("changed") == dict.fromkeys(HOSTS, 0)


def reject(lab: Lab, host: str, *rules: str) -> tuple[str, str]:
    """Commands that put rules before all others of this host, and take them away."""
    table = "inet broken"
    lines = [
        f"add table {table}",
        f"add chain {table} input {{ type filter hook input priority -300; }}",
        *(f"add rule {table} input {rule}" for rule in rules),
    ]
    listed = "\\n".join(lines)
    return f"printf '{listed}\\n' | sudo nft -f -", f"sudo nft delete table {table}"


# Bare hosts


def test_bare_hosts_pass_and_are_left_as_they_are(infra: Infra, lab: Lab) -> None:
    for arguments in ((), ("--check",)):
        assert_nothing(preflight(infra, *arguments))
    for host in HOSTS:
        assert lab.try_on(host, "command -v dockerd || ls /etc/docker").returncode != 0
        assert "shoal" not in lab.on(host, "ps -ef; sudo ss -xl")


def test_live_restore_ends_the_run_before_anything_is_changed(infra: Infra, lab: Lab) -> None:
    write = (
        "sudo mkdir -p /etc/docker && echo '{\"live-restore\": true}'"
        " | sudo tee /etc/docker/daemon.json"
    )
    with broken(lab, "node2", write, "sudo rm -r /etc/docker"):
        recap = infra.site()
        assert_only(recap, "live_restore", "node2: live-restore is true", is_fatal=True)
        assert lab.try_on("node1", "command -v dockerd").returncode != 0
        # It will be taken away.
        assert_nothing(preflight(infra, "-e", '{"engine_daemon_config": {"live-restore": false}}'))


def test_all_that_is_fatal_comes_at_once(infra: Infra) -> None:
    wrong = {"engine_daemon_config": {"live-restore": True}, "quorum_advertise_addr": "192.0.2.1"}
    recap = preflight(infra, "-e", json.dumps(wrong))
    assert set(found(recap)) == {"advertise_addr", "live_restore"}
    for host in HOSTS:
        assert f"{host}: advertise_addr is 192.0.2.1" in recap.output
    assert "node1, node2: they share the address 192.0.2.1" in recap.output
    assert recap.returncode == 2


def test_a_pool_that_contains_the_hosts_is_refused(infra: Infra) -> None:
    recap = preflight(infra, "-e", '{"quorum_swarm": {"default_addr_pool": ["10.98.0.0/16"]}}')
    assert_only(recap, "addr_pool", "10.98.0.0/16 contains", is_fatal=True)


def test_two_hosts_with_one_name(infra: Infra, lab: Lab) -> None:
    with broken(lab, "node2", "sudo hostname node1", "sudo hostname node2"):
        recap = preflight(infra)
        assert_only(recap, "hostname", "node1, node2: they share", is_fatal=False)
        assert_nothing(preflight(infra, "-e", '{"preflight_ignore": ["hostname"]}'))


def test_an_interface_for_smaller_packets(infra: Infra, lab: Lab) -> None:
    mtu = lab.on("node2", "cat /sys/class/net/eth0/mtu").strip()
    set_to = "sudo ip link set eth0 mtu {}".format
    with broken(lab, "node2", set_to(1300), set_to(mtu)):
        recap = preflight(infra)
        assert f"1300 on node2; {mtu} on node1" in recap.output
        assert recap.returncode == 0


@pytest.mark.parametrize(
    ("rule", "manner"),
    [("drop", "does not arrive"), ("reject", "rejected"), ("reject with tcp reset", "rejected")],
)
def test_a_closed_port_on_bare_hosts_may_still_be_opened(
    infra: Infra, lab: Lab, rule: str, manner: str
) -> None:
    with broken(lab, "node1", *reject(lab, "node1", f"tcp dport 2377 {rule}")):
        recap = preflight(infra)
        assert_only(
            recap, "reachability", "node1: what node2 sends to 2377/tcp", manner, is_fatal=False
        )
        assert_only(preflight(infra, "-e", "firewall_backend=none"), "reachability", is_fatal=True)


# A swarm


def test_a_closed_port_ends_the_site_before_the_swarm(infra: Infra, lab: Lab) -> None:
    with broken(lab, "node1", *reject(lab, "node1", "udp dport { 4789, 7946 } drop")):
        recap = infra.site()
        assert recap.returncode == 2
        text = found(recap)["reachability"]
        assert "node1: what node2 sends to 7946/udp, 4789/udp does not arrive." in text
        assert lab.swarm("node1")["LocalNodeState"] == "inactive"


def test_the_ports_are_probed_and_then_no_more(infra: Infra) -> None:
    first, second = infra.site(), infra.site()
    assert first.returncode == second.returncode == 0
    assert "Send to the ports of the other hosts" in first.output
    assert "Send to the ports of the other hosts" not in second.output
    assert second.counts("changed") == dict.fromkeys(HOSTS, 0)


def test_a_swarm_passes_with_each_port_probed(infra: Infra, lab: Lab) -> None:
    assert_nothing(preflight(infra))
    assert not [host for host in HOSTS if "shoal" in lab.on(host, "sudo ss -xl")]


@pytest.mark.parametrize("port", PORTS)
def test_each_closed_port_is_found_beside_an_engine_that_runs(
    infra: Infra, lab: Lab, port: str
) -> None:
    number, _slash, protocol = port.partition("/")
    with broken(
        lab, "node1", *reject(lab, "node1", f"{protocol} dport {number} ct state new drop")
    ):
        recap = preflight(infra)
        assert_only(recap, "reachability", f"what node2 sends to {port}", is_fatal=True)


def test_an_answer_that_does_not_come_back(infra: Infra, lab: Lab) -> None:
    answer = "tcp flags & (syn | ack) == (syn | ack)"
    rule = f"ip saddr {lab.address('node1')} tcp sport 7946 {answer} drop"
    with broken(lab, "node2", *reject(lab, "node2", rule)):
        recap = preflight(infra)
        assert_only(
            recap, "reachability", "node1: what node2 sends to 7946/tcp arrives, but", is_fatal=True
        )
        demoted = preflight(infra, "-e", '{"preflight_warn": ["reachability"]}')
        assert_only(demoted, "reachability", is_fatal=False)


def test_what_a_host_of_a_swarm_tells_is_what_its_engine_tells(infra: Infra) -> None:
    assert infra.play(str(Path(__file__).parent / "host_info.yml")).returncode == 0
