# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._node import labels_after
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import (
    der,
    fixed_differences,
    ip_of,
    validate,
    validate_expiry,
)

HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "ip"),
    [
        ("10.0.0.11", "10.0.0.11"),
        ("10.0.0.11:2377", "10.0.0.11"),
        ("fd00::11", "fd00::11"),
        ("[fd00::11]:2377", "fd00::11"),
        ("[fd00::11]", "fd00::11"),
        ("eth0", None),
        ("eth0:2377", None),
        ("", None),
        (None, None),
    ],
)
def test_the_address_is_read_with_and_without_its_port(text: str | None, ip: str | None) -> None:
    assert (str(ip_of(text)) if ip else ip_of(text)) == ip


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, []),
        ({"default_addr_pool": [], "subnet_size": 0, "data_path_port": None}, []),
        ({"default_addr_pool": ["10.0.0.0/8"], "subnet_size": 24, "data_path_port": 4789}, []),
        ({"advertise_addr": "10.0.0.11:2377"}, []),
        # An interface has one address of its own on each host: there is nothing to compare.
        ({"advertise_addr": "eth0"}, []),
        ({"subnet_size": 25}, ["subnet_size is 24, not 25"]),
        (
            {"default_addr_pool": ["172.30.0.0/16", "172.31.0.0/16"]},
            ["default_addr_pool is 10.0.0.0/8, not 172.30.0.0/16, 172.31.0.0/16"],
        ),
        ({"advertise_addr": "10.0.0.12"}, ["advertise_addr is 10.0.0.11, not 10.0.0.12"]),
    ],
)
def test_what_was_fixed_at_the_creation_is_compared_and_told(
    params: dict[str, Any], found: list[str]
) -> None:
    swarm = {"DefaultAddrPool": ["10.0.0.0/8"], "SubnetSize": 24, "DataPathPort": 4789}
    assert fixed_differences(swarm, "10.0.0.11", params) == found


def test_an_old_swarm_that_stored_none_of_it_has_the_defaults() -> None:
    params = {"default_addr_pool": ["10.0.0.0/8"], "subnet_size": 24, "data_path_port": 4789}
    for swarm in ({}, {"DefaultAddrPool": None, "SubnetSize": 0, "DataPathPort": 0}):
        assert fixed_differences(swarm, "", params) == []
    assert fixed_differences({}, "", {"subnet_size": 25}) == ["subnet_size is 24, not 25"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"data_path_port": 1024},
        {"data_path_port": 49151},
        {"subnet_size": 29},
        {"task_history_retention_limit": -1, "keep_old_snapshots": 0},
        {"default_addr_pool": ["10.20.0.0/16", "10.21.0.0/16", "fd00::/16"]},
        {"default_addr_pool": ["10.20.0.0/24"]},
        {"default_addr_pool": ["10.20.0.0/16"], "advertise_addr": "10.21.0.1"},
        {"default_addr_pool": ["10.20.0.0/16"], "listen_addr": "0.0.0.0:2377"},
    ],
)
def test_what_the_engine_takes_and_gets_right_is_taken(params: dict[str, Any]) -> None:
    validate(params)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"data_path_port": 1023}, "data_path_port must be from 1024 to 49151, not 1023"),
        ({"data_path_port": 49152}, "data_path_port must be from 1024 to 49151, not 49152"),
        ({"subnet_size": 0}, "subnet_size must be from 1 to 29, not 0"),
        ({"heartbeat_tick": 0}, "heartbeat_tick must be at least 1, not 0"),
        ({"keep_old_snapshots": -1}, "keep_old_snapshots must be at least 0, not -1"),
        ({"snapshot_interval": -1}, "snapshot_interval must be at least 0, not -1"),
        ({"default_addr_pool": ["10.20.0.0/25"]}, "smaller than one subnet"),
        ({"default_addr_pool": ["home"]}, "'home' is not a subnet in CIDR form"),
        (
            {"default_addr_pool": ["10.20.0.0/16"], "listen_addr": "10.20.0.1:2377"},
            "it contains this host's listen_addr 10.20.0.1",
        ),
        ({"signing_ca_key": "key"}, "signing_ca_cert and signing_ca_key go together"),
    ],
)
def test_what_the_engine_would_get_wrong_is_refused(params: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        validate(params)
    assert reason in str(caught.value)


def test_a_certificate_lives_for_an_hour_at_least() -> None:
    validate_expiry(None)
    validate_expiry(HOUR)
    with pytest.raises(InvalidOption, match="at least 1h"):
        validate_expiry(HOUR - 1)


def test_a_certificate_is_the_bytes_in_its_pem() -> None:
    body = base64.b64encode(b"inside").decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"
    assert der(pem) == der(f"\n{pem}\n") == b"inside"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a certificate",
        "-----BEGIN CERTIFICATE-----\naW5zaWRl",
        "-----BEGIN CERTIFICATE-----\na\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\né\n-----END CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----\naW5zaWRl\n-----END PRIVATE KEY-----",
    ],
)
def test_what_is_no_certificate_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        der(text)
    assert str(caught.value).startswith("signing_ca_cert is not one certificate in PEM form")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "state", "to_remove", "after"),
    [
        (None, "merge", None, {"a": "1", "b": ""}),
        ({"c": 3}, "merge", None, {"a": "1", "b": "", "c": "3"}),
        ({"a": 2}, "merge", None, {"a": "2", "b": ""}),
        ({"c": 3}, "replace", None, {"c": "3"}),
        ({}, "replace", None, {}),
        ({}, "merge", None, {"a": "1", "b": ""}),
        # Nothing is given to put in their place.
        (None, "replace", ["a"], {"b": ""}),
        (None, "merge", ["b", "x"], {"a": "1"}),
        ({"c": 3, "b": 2}, "merge", ["b"], {"a": "1", "c": "3"}),
    ],
)
def test_labels_are_merged_replaced_and_removed(
    given: dict[str, Any] | None, state: str, to_remove: list[str] | None, after: dict[str, str]
) -> None:
    before = {"a": "1", "b": ""}
    assert labels_after(before, given, state, to_remove) == after
    assert before == {"a": "1", "b": ""}
