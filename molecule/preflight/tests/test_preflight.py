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
from typing import Any

from conftest import Infra, Lab, Recap

HOSTS = ["node1", "node2"]
# What the machine is like that the hosts run on.
OF_THE_LAB = {"kernel_modules", "clock_synchronised", "disk"}


def preflight(infra: Infra, **variables: Any) -> Recap:
    return infra.play("shoal.swarm.preflight", "-e", json.dumps(variables))


def found(recap: Recap) -> set[str]:
    """The findings, each in its line; but for those of the machine, which nobody broke."""
    texts = re.findall(r"(node[0-9].*?) \(([a-z_]+)\)[\"',]*$", recap.output, re.MULTILINE)
    return {f"{check}: {text}" for text, check in texts if check not in OF_THE_LAB}


def assert_found(recap: Recap, *texts: str, is_fatal: bool) -> None:
    """These are in one finding each, and there are no others."""
    findings = found(recap)
    assert len(findings) == len(texts)
    assert [text for text in texts if not any(text in finding for finding in findings)] == []
    assert recap.returncode == (2 if is_fatal else 0)
    assert recap.counts("changed") == dict.fromkeys(HOSTS, 0)


@contextmanager
def broken(lab: Lab, host: str, by: str, mend: str) -> Iterator[None]:
    lab.on(host, by)
    try:
        yield
    finally:
        lab.on(host, mend)


@contextmanager
def firewalled(lab: Lab, host: str, *rules: str) -> Iterator[None]:
    """Rules that come before all others of this host."""
    table = "inet broken"
    lines = [
        f"add table {table}",
        f"add chain {table} input {{ type filter hook input priority -300; }}",
        *(f"add rule {table} input {rule}" for rule in rules),
    ]
    commands = " ".join(f"'{line};'" for line in lines)
    with broken(lab, host, f"sudo nft {commands}", f"sudo nft delete table {table}"):
        yield


# Bare hosts


def test_bare_hosts_pass_and_are_left_as_they_are(infra: Infra, lab: Lab) -> None:
    assert_found(preflight(infra), is_fatal=False)
    for host in HOSTS:
        assert lab.try_on(host, "command -v dockerd || ls /etc/docker").returncode != 0
        assert "port_probe" not in lab.on(host, "ps -ef; sudo ss -xl")


def test_live_restore_ends_the_run_before_anything_is_changed(infra: Infra, lab: Lab) -> None:
    content = "'{\"live-restore\": true}'"
    write = f"sudo mkdir /etc/docker && echo {content} | sudo tee /etc/docker/daemon.json"
    with broken(lab, "node2", write, "sudo rm -r /etc/docker"):
        assert_found(infra.site(), "live_restore: node2: live-restore is true", is_fatal=True)
        assert lab.try_on("node1", "command -v dockerd").returncode != 0


def test_all_that_is_wrong_comes_at_once(infra: Infra, lab: Lab) -> None:
    mtu = lab.on("node2", "cat /sys/class/net/eth0/mtu").strip()
    set_mtu = "sudo ip link set eth0 mtu"
    with (
        broken(lab, "node2", f"{set_mtu} 1300", f"{set_mtu} {mtu}"),
        broken(lab, "node2", "sudo hostname node1", "sudo hostname node2"),
    ):
        recap = preflight(
            infra,
            engine_daemon_config={"live-restore": True},
            quorum_data_path_addr="192.0.2.1",
            quorum_swarm={"default_addr_pool": ["10.98.0.0/16"]},
            quorum_manager_group="all",
            preflight_warn=["live_restore"],
            preflight_ignore=["advertise_addr"],
        )
        assert_found(
            recap,
            "managers: node1, node2",
            "hostname: node1, node2: they share the hostname node1",
            "addr_pool: node1, node2: the swarm's address pool 10.98.0.0/16 contains",
            "live_restore: node1, node2",
            is_fatal=True,
        )
        assert_found(
            preflight(infra, quorum_data_path_addr="eth1", preflight_warn=["advertise_addr"]),
            "hostname: node1, node2",
            "advertise_addr: node1: data_path_addr is eth1",
            "advertise_addr: node2: data_path_addr is eth1",
            is_fatal=False,
        )
        assert_found(
            preflight(infra, preflight_ignore=["hostname"]),
            "mtu: node2: the MTU towards the swarm is 1300",
            f"mtu: node1, node2: the MTU towards the swarm differs: 1300 on node2; {mtu} on node1",
            is_fatal=False,
        )


def test_closed_ports_on_bare_hosts_may_still_be_opened(infra: Infra, lab: Lab) -> None:
    rules = ("tcp dport 2377 drop", "tcp dport 7946 reject with tcp reset", "udp dport 4789 drop")
    texts = (
        "reachability: node1: what node2 sends to 2377/tcp, 4789/udp does not arrive.",
        "reachability: node1: what node2 sends to 7946/tcp is rejected.",
    )
    with firewalled(lab, "node1", *rules):
        assert_found(preflight(infra), *texts, is_fatal=False)
        assert_found(preflight(infra, firewall_backend="none"), *texts, is_fatal=True)


# A swarm


def test_a_closed_port_ends_the_site_before_the_swarm(infra: Infra, lab: Lab) -> None:
    with firewalled(lab, "node1", "udp dport { 4789, 7946 } reject"):
        recap = infra.site()
        assert recap.returncode == 2
        (finding,) = found(recap)
        assert "node1: what node2 sends to 7946/udp, 4789/udp does not arrive." in finding
        assert lab.swarm("node1")["LocalNodeState"] == "inactive"


def test_ports_are_probed_while_hosts_come_in_and_then_no_more(infra: Infra) -> None:
    first, second = infra.site(), infra.site()
    assert first.returncode == second.returncode == 0
    assert "Send to the ports of the other hosts" in first.output
    assert "Send to the ports of the other hosts" not in second.output
    assert second.counts("changed") == dict.fromkeys(HOSTS, 0)


def test_a_swarm_passes(infra: Infra, lab: Lab) -> None:
    recap = preflight(infra)
    assert_found(recap, is_fatal=False)
    assert "Send to the ports of the other hosts" in recap.output
    for host in HOSTS:
        assert "port_probe" not in lab.on(host, "ps -ef; sudo ss -xl")


def test_closed_ports_are_found_beside_engines_that_run(infra: Infra, lab: Lab) -> None:
    # Connections that are open go on.
    new = "ct state new"
    rules = (f"tcp dport {{ 2377, 7946 }} {new} drop", f"udp dport {{ 4789, 7946 }} {new} drop")
    with firewalled(lab, "node1", *rules):
        assert_found(
            preflight(infra),
            "node1: what node2 sends to 2377/tcp, 7946/tcp, 7946/udp, 4789/udp does not arrive.",
            is_fatal=True,
        )


def test_an_answer_that_does_not_come_back(infra: Infra, lab: Lab) -> None:
    answer = "tcp flags & (syn | ack) == (syn | ack)"
    with firewalled(lab, "node2", f"ip saddr {lab.address('node1')} tcp sport 7946 {answer} drop"):
        assert_found(
            preflight(infra, preflight_warn=["reachability"]),
            "node1: what node2 sends to 7946/tcp arrives, but the answer does not come back.",
            is_fatal=False,
        )


def test_what_a_host_of_a_swarm_tells_is_what_its_engine_tells(infra: Infra) -> None:
    assert infra.play(str(Path(__file__).parent / "host_info.yml")).returncode == 0
