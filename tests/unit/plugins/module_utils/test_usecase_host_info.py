# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._usecase import _host_info
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._host_info import (
    daemon_config,
    gather,
    interfaces,
    module_states,
    of_info,
    routes,
)
from ansible_collections.shoal.swarm.tests.unit import modules_under_test


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("", {}),
        ("{}", {}),
        ('{"live-restore": true, "log-driver": "local"}', {"live-restore": True}),
        ('{"features": {"a": true}, "data-root": "/data"}', None),
    ],
)
def test_of_daemon_json_what_counts_in_a_swarm(text: str, config: dict[str, Any] | None) -> None:
    assert daemon_config(text) == (json.loads(text) if config is None else config, "")


@pytest.mark.parametrize(
    ("text", "error"), [("{", "Expecting property name"), ("[]", "it is not a JSON object")]
)
def test_a_daemon_json_that_is_none(text: str, error: str) -> None:
    config, found = daemon_config(text)
    assert config == {}
    assert found.startswith(error)


def test_interfaces_with_an_address_for_others() -> None:
    links = [
        {
            "ifname": "lo",
            "mtu": 65536,
            "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}],
        },
        {
            "ifname": "eth0",
            "mtu": 1450,
            "addr_info": [
                {"local": "10.0.0.11", "prefixlen": 24, "scope": "global"},
                {"local": "fd00::11", "prefixlen": 64, "scope": "global"},
                {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
            ],
        },
        {"ifname": "eth1", "mtu": 1500, "addr_info": []},
    ]
    assert interfaces(links) == [
        {"name": "eth0", "mtu": 1450, "addresses": ["10.0.0.11/24", "fd00::11/64"]}
    ]


def test_routes_that_lead_somewhere() -> None:
    entries: list[dict[str, Any]] = [
        {"dst": "default", "gateway": "10.0.0.1", "dev": "eth0"},
        {"dst": "10.0.0.0/24", "dev": "eth0", "prefsrc": "10.0.0.11"},
        {"type": "blackhole", "dst": "10.9.0.0/16", "dev": "eth0"},
        {"dst": "10.8.0.0/16", "nexthops": [{"gateway": "10.0.0.2", "dev": "eth0"}]},
    ]
    assert routes(entries) == [
        {"destination": "default", "interface": "eth0"},
        {"destination": "10.0.0.0/24", "interface": "eth0"},
    ]


LISTED = """\
kernel/fs/overlayfs/overlay.ko
kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/ipv4/udp_tunnel.ko.xz
kernel/net/bridge/br-netfilter.ko.zst:
kernel/net/other.ko: kernel/net/netfilter/ipvs/ip_vs.ko
"""
CONFIG = """\
# CONFIG_IP_VS is not set
CONFIG_OVERLAY_FS=y
CONFIG_VXLAN=m
# CONFIG_INET_ESP is not set
"""


def states(*there: str, otherwise: str) -> dict[str, str]:
    return {name: "present" if name in there else otherwise for name in _host_info.MODULES}


def test_modules_that_are_listed_can_be_loaded_and_others_cannot() -> None:
    found = module_states(["esp4"], LISTED, "")
    assert found == states("esp4", "overlay", "vxlan", "br_netfilter", otherwise="missing")


def test_without_a_list_the_configuration_tells_what_it_can() -> None:
    found = module_states(["br_netfilter"], "", f"\n{CONFIG}")
    assert found == {
        **states("br_netfilter", "overlay", otherwise="unknown"),
        "ip_vs": "missing",
        "esp4": "missing",
    }


def test_without_either_nothing_is_known() -> None:
    assert module_states([], "", "") == states(otherwise="unknown")


def test_what_a_manager_says() -> None:
    swarm = {
        "LocalNodeState": "active",
        "NodeID": "n1",
        "NodeAddr": "10.0.0.11",
        "Cluster": {"DefaultAddrPool": ["172.30.0.0/16"], "SubnetSize": 26, "DataPathPort": 4789},
    }
    assert of_info({"ServerVersion": "26.1.5", "Swarm": swarm}, "1.45") == (
        {"version": "26.1.5", "api_version": "1.45"},
        {
            "state": "active",
            "error": "",
            "node_id": "n1",
            "node_addr": "10.0.0.11",
            "default_addr_pool": ["172.30.0.0/16"],
            "subnet_size": 26,
            "data_path_port": 4789,
        },
    )


def test_a_swarm_with_the_engines_own_pool() -> None:
    cluster = {"ID": "c1", "DefaultAddrPool": None, "SubnetSize": 0, "DataPathPort": 4789}
    _engine, found = of_info({"Swarm": {"LocalNodeState": "active", "Cluster": cluster}}, "1.45")
    assert found["default_addr_pool"] == ["10.0.0.0/8"]
    assert found["subnet_size"] == 24


def test_what_an_engine_outside_a_swarm_says() -> None:
    swarm = {"LocalNodeState": "inactive", "Cluster": None}
    _engine, found = of_info({"ServerVersion": "26.1.5", "Swarm": swarm}, "1.45")
    assert found["state"] == "inactive"
    assert found["default_addr_pool"] == []
    assert found["data_path_port"] is None


# On the machine that runs the tests


def test_this_machine_is_looked_at_in_the_words_of_the_documentation() -> None:
    asked = time.time()
    told = modules_under_test.run("host_info", None, controller_time=asked - 100)
    took = time.time() - asked
    documented = yaml.safe_load(modules_under_test.module("host_info").RETURN)
    assert set(told) - {"changed", "invocation"} == set(documented)
    assert told["changed"] is False
    # The numbers of seconds since 1970 leave a millionth of one for the rounding.
    assert 100 - 1e-6 <= told["clock_offset"] <= 100 + took + 1e-6
    assert told["hostname"] == os.uname().nodename
    assert told["disk"]["size"] > told["disk"]["free"] > 0
    assert set(told["kernel_modules"].values()) <= {"present", "missing", "unknown"}
    assert modules_under_test.run("host_info", None)["clock_offset"] is None


def test_what_is_not_there_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "daemon.json"
    config.write_text(json.dumps({"data-root": str(tmp_path / "not/yet"), "pidfile": "/nowhere"}))
    monkeypatch.setattr(_host_info, "DAEMON_JSON", str(config))
    monkeypatch.setenv("PATH", str(tmp_path))
    told = gather(None)
    assert told["disk"]["path"] == str(tmp_path)
    empty = ("engine", "swarm", "certificate", "interfaces", "routes")
    assert {name for name in empty if told[name]} == set()
