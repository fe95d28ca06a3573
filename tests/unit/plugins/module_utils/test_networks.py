# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._networks import (
    body_of,
    differences,
    is_leftover,
    is_set_up,
    overlapping,
)
from ansible_collections.shoal.swarm.tests.unit.memory_objects import VXLAN_IDS
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import World

BODY: dict[str, Any] = {"Name": "net", "Driver": "overlay"}
POOL = {"Subnet": "10.99.1.0/24", "Gateway": "10.99.1.9", "IPRange": "10.99.1.128/25"}
RICH: dict[str, Any] = {
    **BODY,
    "Options": {"encrypted": "", "com.docker.network.driver.mtu": "1400"},
    "Internal": True,
    "Attachable": True,
    "EnableIPv6": False,
    "Labels": {"a": "b"},
    "IPAM": {"Driver": "default", "Config": [POOL, {"Subnet": "10.99.2.0/24"}]},
}


def stored(body: dict[str, Any], set_up: bool = True) -> dict[str, Any]:
    world = World()
    world.delays.network = 0 if set_up else 60
    engine = world.host("node1", "10.0.0.11").engine
    engine.swarm_init({})
    engine.network_create(body)
    (network,) = engine.networks({"name": ["net"]})
    return network


@pytest.mark.parametrize(
    "wanted",
    [
        BODY,
        RICH,
        {**RICH, "IPAM": {**RICH["IPAM"], "Driver": ""}},
        # The order of the pools does not count, nor how a subnet is written.
        {**RICH, "IPAM": {"Config": [{"Subnet": "10.99.2.0/24"}, POOL]}},
        {
            **RICH,
            "IPAM": {"Config": [{**POOL, "Subnet": "10.99.1.7/24"}, RICH["IPAM"]["Config"][1]]},
        },
        {**BODY, "Options": {}, "Labels": {}, "IPAM": {"Driver": "", "Config": None}},
        {**BODY, "Options": {VXLAN_IDS: "4097"}},
    ],
)
def test_a_network_is_what_it_was_asked_for(wanted: dict[str, Any]) -> None:
    assert differences(wanted, stored(RICH if "Internal" in wanted else BODY)) == {}


@pytest.mark.parametrize("gateway", ["Gateway", "IPRange"])
def test_what_is_left_to_the_engine_does_not_count(gateway: str) -> None:
    less = [{part: text for part, text in POOL.items() if part != gateway}]
    network = stored({**BODY, "IPAM": {"Config": [POOL]}})
    assert differences({**BODY, "IPAM": {"Config": less}}, network) == {}
    assert differences(BODY, network) == {}


@pytest.mark.parametrize(
    ("part", "value", "before"),
    [
        ("Driver", "macvlan", "overlay"),
        ("Options", {"encrypted": ""}, RICH["Options"]),
        ("Options", {**RICH["Options"], VXLAN_IDS: "5000"}, {**RICH["Options"], VXLAN_IDS: "4097"}),
        ("Internal", False, True),
        ("Attachable", False, True),
        ("Ingress", True, False),
        ("EnableIPv6", True, False),
        ("Labels", {}, {"a": "b"}),
    ],
)
def test_a_part_that_differs_is_told_with_both_sides(part: str, value: Any, before: Any) -> None:
    assert differences({**RICH, part: value}, stored(RICH)) == {part: (value, before)}


def test_a_part_that_is_not_said_is_the_engines_default() -> None:
    assert set(differences(BODY, stored(RICH))) == {"Options", "Internal", "Attachable", "Labels"}


@pytest.mark.parametrize(
    "pools",
    [
        [{**POOL, "Gateway": "10.99.1.1"}],
        [{**POOL, "IPRange": "10.99.1.0/25"}],
        [{"Subnet": "10.99.3.0/24"}],
        [{"Subnet": "10.99.1.0/25"}],
        [POOL, {"Subnet": "10.99.3.0/24"}],
    ],
)
def test_other_addresses_are_told(pools: list[dict[str, str]]) -> None:
    network = stored({**BODY, "IPAM": {"Config": [POOL]}})
    (difference,) = differences({**BODY, "IPAM": {"Config": pools}}, network).items()
    part, (wanted, there) = difference
    assert (part, wanted["Config"]) == ("IPAM", pools)
    (pool,) = there["Config"]
    assert pool.items() <= POOL.items()


def test_a_subnet_of_which_only_the_size_is_asked_is_any_of_that_size() -> None:
    network = stored({**BODY, "IPAM": {"Config": [POOL]}})
    assert differences({**BODY, "IPAM": {"Config": [{"Subnet": "0.0.0.0/24"}]}}, network) == {}
    assert differences({**BODY, "IPAM": {"Config": [{"Subnet": "0.0.0.0/26"}]}}, network) != {}


def test_options_that_the_engine_adds_for_its_own_addresses_do_not_count() -> None:
    network = stored({**BODY, "IPAM": {"Options": {"a": "b"}}})
    network["IPAM"]["Options"]["com.docker.network.ipam.serial"] = "true"
    assert differences({**BODY, "IPAM": {"Options": {"a": "b"}}}, network) == {}
    assert differences(BODY, network) != {}


def test_of_a_network_that_is_not_set_up_yet_only_what_it_shows_is_compared() -> None:
    network = stored(RICH, set_up=False)
    assert (is_set_up(network), is_set_up(stored(RICH))) == (False, True)
    assert differences({**BODY, "Internal": True, "Attachable": True}, network) == {
        "Labels": ({}, {"a": "b"})
    }


def test_what_only_a_host_itself_tells_of_a_network_marks_a_leftover() -> None:
    network = stored(BODY)
    assert not is_leftover(network)
    # Engine 20.10 and 26.1 tell both of it, 29 tells of no containers in a list.
    assert is_leftover({**network, "Containers": {}})
    assert is_leftover({**network, "Containers": None, "Peers": [{"Name": "a", "IP": "10.0.0.11"}]})
    assert not is_leftover({**network, "Scope": "local", "Containers": {}})


def test_of_a_network_that_each_node_sets_up_by_itself_the_swarm_knows_no_options() -> None:
    # As Engine 20.10 shows one of driver macvlan (cnmallocator, isNodeLocal).
    network = {
        **stored(BODY),
        "Driver": "macvlan",
        "Options": None,
        "IPAM": {"Driver": "", "Options": None, "Config": []},
        "ConfigFrom": {"Network": "eth1"},
    }
    wanted = {**BODY, "Driver": "macvlan", "Options": {"parent": "eth1"}}
    assert differences(wanted, network) == {"ConfigFrom": ({"Network": ""}, {"Network": "eth1"})}
    assert differences({**wanted, "ConfigFrom": {"Network": "eth1"}}, network) == {}


@pytest.mark.parametrize("body", [BODY, RICH, {**BODY, "IPAM": {"Options": {"a": "b"}}}])
def test_a_body_asks_for_the_network_that_it_was_read_from(body: dict[str, Any]) -> None:
    network = stored(body)
    again = stored(body_of(network))
    assert body_of(again) == body_of(network)
    assert differences(body, again) == {}
    assert again["IPAM"]["Config"] == network["IPAM"]["Config"]


@pytest.mark.parametrize(
    ("pools", "found"),
    [
        ([{"Subnet": "10.99.0.0/16"}], {"10.99.0.0/16": "net (10.99.1.0/24)"}),
        ([{"Subnet": "10.99.1.130/25"}], {"10.99.1.128/25": "net (10.99.1.0/24)"}),
        ([{"Subnet": "10.99.3.0/24"}, {"Subnet": "fd00::/64"}, {}], {}),
        # Any of that size.
        ([{"Subnet": "0.0.0.0/24"}], {}),
        (None, {}),
    ],
)
def test_a_subnet_that_overlaps_with_another_networks_is_found(
    pools: Any, found: dict[str, str]
) -> None:
    assert overlapping({**BODY, "IPAM": {"Config": pools}}, [stored(RICH)]) == found


def test_another_ipam_driver_has_its_own_rules() -> None:
    body = {**BODY, "IPAM": {"Driver": "mine", "Config": [POOL]}}
    assert overlapping(body, [stored(RICH)]) == {}
    assert overlapping({**BODY, "IPAM": {"Config": [POOL]}}, [stored(body)]) == {}
