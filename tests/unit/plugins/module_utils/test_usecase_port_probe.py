# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probing over loopback. A listener takes root's rights, so it is tested on real hosts."""

from __future__ import annotations

import socket
import struct

import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._usecase._port_probe import (
    close,
    mark_of,
    probe,
)
from ansible_collections.shoal.swarm.tests.unit import modules_under_test


def tcp(port: int) -> dict[str, object]:
    return {"name": "a", "address": "127.0.0.1", "port": port, "protocol": "tcp"}


def test_who_is_connected_and_who_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as open_one, socket.socket() as closed_one:
        closed_one.bind(("127.0.0.1", 0))
        open_port, closed_port = open_one.getsockname()[1], closed_one.getsockname()[1]
        there, not_there = probe([tcp(open_port), tcp(closed_port)], timeout=3)
        connection, (_address, source) = open_one.accept()
        connection.close()
    assert there == {**tcp(open_port), "outcome": "connected", "mark": f"tcp/{open_port}/{source}"}
    assert not_there["outcome"] == "refused"


def test_who_does_not_answer_is_waited_for_no_longer_than_is_said() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        # Linux takes one more than it says, and then drops what comes.
        with socket.create_connection(("127.0.0.1", port)):
            (result,) = probe([tcp(port)], timeout=0.2)
    assert result["outcome"] == "silent"


def test_where_there_is_no_way_to_go() -> None:
    # The kernel sends nothing of this kind to all hosts at once.
    everybody = {"address": "255.255.255.255", "port": 1}
    targets = [{**everybody, "protocol": protocol} for protocol in ("tcp", "udp")]
    assert [result["outcome"] for result in probe(targets, timeout=0.2)] == ["unreachable"] * 2


def test_a_datagram_bears_the_mark_that_it_is_told_by() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        (result,) = probe([{**tcp(port), "protocol": "udp"}], timeout=3)
        text = receiver.recv(100)
    assert result["outcome"] == "sent"
    assert mark_of("udp", struct.pack("!HHHH", 1, port, 0, 0) + text) == result["mark"]


@pytest.mark.parametrize(
    ("protocol", "text", "mark"),
    [
        ("tcp", b"\0\0\0\0", "tcp/7946/5"),
        ("udp", b"\0\0\0\0shoal.swarm abc", "udp/7946/abc"),
        ("udp", b"\0\0\0\0shoal.swar", ""),
        ("udp", b"\0\0\0\0\x08\0\0\0\0\0\x10\x01", ""),
    ],
)
def test_what_is_ours_of_what_comes_in(protocol: str, text: bytes, mark: str) -> None:
    assert mark_of(protocol, struct.pack("!HH", 5, 7946) + text) == mark


def test_a_listener_that_is_gone_is_told() -> None:
    assert close("nobody") is None
    told = modules_under_test.run("port_probe", None, state="closed", id="nobody")
    assert told["arrived"] is None


def test_what_is_told_is_documented() -> None:
    documented = yaml.safe_load(modules_under_test.module("port_probe").RETURN)
    told = modules_under_test.run("port_probe", None, state="probed", targets=[tcp(1)])
    assert set(documented) == {"id", "arrived", "results"}
    assert set(documented["results"]["contains"]) == set(told["results"][0])


def test_an_address_that_is_none_is_refused() -> None:
    targets = [{"address": "node1", "port": 1}]
    told = modules_under_test.run("port_probe", None, state="probed", targets=targets)
    assert "'node1' does not appear to be an IPv4 or IPv6 address" in told["msg"]
