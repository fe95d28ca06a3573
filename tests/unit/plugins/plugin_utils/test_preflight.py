# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What preflight finds, by tests/unit/preflight.yml, and which ports it probes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.shoal.swarm.plugins.filter.preflight_findings import preflight_findings
from ansible_collections.shoal.swarm.plugins.filter.preflight_targets import preflight_targets
from ansible_collections.shoal.swarm.plugins.plugin_utils import _preflight
from ansible_collections.shoal.swarm.plugins.plugin_utils._preflight import (
    CHECKS,
    FATAL,
    WARNING,
    Fleet,
    findings,
    version_of,
)
from ansible_collections.shoal.swarm.tests.unit import modules_under_test

TESTS = Path(modules_under_test.__file__).parent
ROLE = TESTS.parents[1] / "roles" / "preflight"
TABLE = yaml.safe_load((TESTS / "preflight.yml").read_text(encoding="utf-8"))
NAMES = ("m1", "m2", "m3")


def laid_over(below: Any, above: Any) -> Any:
    """What is above, and of dictionaries also what is only below."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{name: laid_over(below.get(name), value) for name, value in above.items()}}


def fleet_of(case: Mapping[str, Any]) -> Fleet:
    healthy = TABLE["healthy"]
    hosts = {}
    for name in NAMES:
        host: Any = {}
        for layer in (healthy["hosts"], case.get("hosts", {})):
            for part in ("every", name):
                host = laid_over(host, layer.get(part, {}))
        seen = {part: value for part, value in (host["seen"] or {}).items() if value is not None}
        hosts[name] = {**host, "seen": seen}
    return Fleet(hosts, **{**healthy["swarm"], **case.get("swarm", {})})


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_what_is_found(case: Mapping[str, Any]) -> None:
    assert set(case) <= {"name", "hosts", "swarm", "finds"}
    found = findings(fleet_of(case), list(CHECKS), ignore=[], warn=[])
    expected = [[check, level, tuple(where)] for check, level, where, _text in case["finds"]]
    assert [[f["check"], f["level"], f["where"]] for f in found] == expected
    for finding, (*_head, text) in zip(found, case["finds"]):
        assert text in finding["text"]


def test_every_check_has_a_case_and_each_level_that_it_can_have() -> None:
    rows = [row for case in TABLE["cases"] for row in case["finds"]]
    assert {check for check, *_rest in rows} == set(CHECKS)
    assert {level for _check, level, *_rest in rows} == {FATAL, WARNING}


def test_every_finding_says_what_where_why_and_what_to_do() -> None:
    for case in TABLE["cases"]:
        for finding in findings(fleet_of(case), list(CHECKS), ignore=[], warn=[]):
            assert finding["where"]
            assert not finding["what"].endswith(".")
            assert finding["why"].endswith((".", ")."))
            assert finding["todo"].endswith(".")
            assert finding["text"].startswith(", ".join(finding["where"]) + ": ")
            assert finding["text"].endswith(f" ({finding['check']})")
            assert "  " not in finding["text"]


# The filters

SICK = {
    "m1": {"seen": {"daemon_config": {"live-restore": True}, "hostname": "a"}, "arrived": []},
    "m2": {
        "seen": {"hostname": "a"},
        "probed": [
            {"name": "m1", "port": 7946, "protocol": "udp", "outcome": "sent", "mark": "lost"}
        ],
    },
}


def levels(**options: Any) -> dict[str, str]:
    found = preflight_findings(SICK, {"managers": ["m1"]}, **options)
    return {finding["check"]: finding["level"] for finding in found}


def test_ports_are_judged_by_themselves() -> None:
    assert levels() == {"hostname": WARNING, "live_restore": FATAL}
    assert levels(ports=True) == {"reachability": FATAL}


def test_checks_can_be_turned_off_and_down() -> None:
    assert levels(ignore=["hostname"]) == {"live_restore": FATAL}
    assert levels(warn=["hostname", "live_restore"]) == dict.fromkeys(
        ("hostname", "live_restore"), WARNING
    )
    assert levels(ports=True, ignore=["reachability"]) == {}


# Which ports are probed


def member(address: str, cluster: str = "c1", **swarm: Any) -> dict[str, Any]:
    return {
        "seen": {
            "swarm": {"state": "active", "error": "", "node_addr": address, **swarm},
            "certificate": {"cluster_id": cluster},
        }
    }


def bare(address: str, **wanted: Any) -> dict[str, Any]:
    return {"seen": {}, "wanted": {"advertise_addr": address, **wanted}}


def probed(hosts: Mapping[str, Any], **options: Any) -> dict[str, list[str]]:
    """By host the names of those that it probes."""
    found = preflight_targets(hosts, {"managers": ["m"]}, **options)
    return {
        host: list(dict.fromkeys(target["name"] for target in targets))
        for host, targets in found.items()
    }


def test_ports_of_managers_and_workers() -> None:
    hosts = {"m": bare("10.0.0.1"), "w": bare("10.0.0.2:2377", data_path_addr="10.1.0.2")}
    swarm = {"managers": ["m"], "data_path_port": 7789}
    assert preflight_targets(hosts, swarm) == {
        "m": [
            {"name": "w", "address": "10.0.0.2", "port": 7946, "protocol": "tcp"},
            {"name": "w", "address": "10.0.0.2", "port": 7946, "protocol": "udp"},
            {"name": "w", "address": "10.1.0.2", "port": 7789, "protocol": "udp"},
        ],
        "w": [
            {"name": "m", "address": "10.0.0.1", "port": 2377, "protocol": "tcp"},
            {"name": "m", "address": "10.0.0.1", "port": 7946, "protocol": "tcp"},
            {"name": "m", "address": "10.0.0.1", "port": 7946, "protocol": "udp"},
            {"name": "m", "address": "10.0.0.1", "port": 7789, "protocol": "udp"},
        ],
    }


def test_a_swarm_that_is_there_knows_its_address_and_its_port() -> None:
    hosts = {"m": member("10.0.0.9", data_path_port=7777), "w": bare("10.0.0.2")}
    (*_others, data) = preflight_targets(hosts, {"managers": ["m"]})["w"]
    assert data == {"name": "m", "address": "10.0.0.9", "port": 7777, "protocol": "udp"}


def test_a_host_whose_address_nobody_knows_is_not_probed() -> None:
    assert probed({"m": bare("10.0.0.1"), "w": bare("")}) == {"m": [], "w": ["m"]}


@pytest.mark.parametrize(
    ("other", "is_probed"),
    [
        (member("10.0.0.2"), False),
        (member("10.0.0.2", cluster="c2"), True),
        (member("10.0.0.2", state="pending"), True),
        (member("10.0.0.2", error="no leader"), True),
        (bare("10.0.0.2"), True),
    ],
)
def test_those_that_are_at_work_in_one_swarm_are_left_alone(
    other: Mapping[str, Any], is_probed: bool
) -> None:
    hosts = {"m": member("10.0.0.1"), "w": other}
    assert probed(hosts) == {"m": ["w"] * is_probed, "w": ["m"] * is_probed}
    assert probed(hosts, probe_all=True) == {"m": ["w"], "w": ["m"]}


def test_of_many_hosts_each_probes_the_managers_and_the_next_ones() -> None:
    hosts = {name: bare("10.0.0.1") for name in ("a", "b", "m", "c", "d")}
    assert probed(hosts, limit=2) == {
        "a": ["m", "b"],
        "b": ["m", "c"],
        "m": ["c", "d"],
        "c": ["m", "d"],
        "d": ["m", "a"],
    }


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("26.1.5", (26, 1, 5)),
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("5:28.5.2-1~debian.12~bookworm", (28, 5, 2)),
        ("3:29.0.0-1.el9", (29, 0, 0)),
        ("library-import", ()),
        ("", ()),
    ],
)
def test_a_version_in_what_packages_and_engines_say(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version


# The role


def test_the_role_names_every_check() -> None:
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    for option in ("preflight_ignore", "preflight_warn"):
        assert options[option]["choices"] == sorted(CHECKS)
    readme = (ROLE / "README.md").read_text(encoding="utf-8")
    assert [name for name in CHECKS if f"| `{name}` |" not in readme] == []


def test_the_role_says_of_the_swarm_what_is_asked_for() -> None:
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    assert set(variables["preflight__swarm"]) | {"hosts"} == set(_preflight.Fleet.__annotations__)
