# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's pure half. Run it with `pytest lab/tests`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import images
import plan
from plan import Container, Group, Host, Lab, LabError, Step, Work

LAB = Lab(Path("/somewhere/with a space"), "default")
SUBNET = "10.98.7.0/24"
KEY = "a key"
NODE1 = Host("node1", Group.MANAGERS, "trixie", "10.98.7.11")
NODE6 = Host("node6", Group.WORKERS, "trixie", "10.98.7.16")


def wanted(managers: int = 3, workers: int = 2, **changes: Any) -> tuple[Host, ...]:
    choices: dict[str, Any] = {
        "distribution": "trixie",
        "overrides": {},
        "registry": True,
        "outsider": True,
        "registry_distribution": "trixie",
    }
    return plan.wanted_hosts(SUBNET, managers, workers, **{**choices, **changes})


def test_hosts_have_their_roles_and_addresses() -> None:
    assert [(host.name, host.group, host.address) for host in wanted(managers=1, workers=1)] == [
        ("node1", Group.MANAGERS, "10.98.7.11"),
        ("node2", Group.WORKERS, "10.98.7.12"),
        ("outsider", Group.OUTSIDERS, "10.98.7.9"),
        ("registry", Group.REGISTRIES, "10.98.7.2"),
    ]


def test_one_host_may_run_another_distribution() -> None:
    hosts = wanted(overrides=plan.parse_overrides(["node5=bookworm"]))
    assert [host.name for host in hosts if host.distribution == "bookworm"] == ["node5"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], {}),
        (["node5=bookworm"], {"node5": "bookworm"}),
        (["", "node5=bookworm", "node4=trixie"], {"node5": "bookworm", "node4": "trixie"}),
        (["node5=bookworm node4=trixie"], {"node5": "bookworm", "node4": "trixie"}),
        (["node5=bookworm,node4=forky"], {"node5": "bookworm", "node4": "forky"}),
    ],
)
def test_overrides_are_read(words: list[str], expected: dict[str, str]) -> None:
    assert plan.parse_overrides(words) == expected


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: plan.parse_overrides(["node5"]), "'node5' does not say which host"),
        (lambda: plan.parse_overrides(["node5=potato"]), "no distribution 'potato'"),
        (lambda: wanted(overrides={"node9": "bookworm"}), "no host node9"),
        (lambda: wanted(managers=0), "at least one manager"),
        (lambda: wanted(managers=300), "do not fit"),
        (lambda: plan.check_name("Lab_1"), "'Lab_1' cannot be a name"),
        (lambda: plan.check_subnet("10.98.1.0/20"), "--subnet"),
        (lambda: plan.check_subnet("10.98.0.0/16"), "/24 is needed"),
        (lambda: plan.check_subnet("fd00::/64"), "--subnet"),
    ],
)
def test_bad_input_is_told_in_one_line(ask: Any, message: str) -> None:
    with pytest.raises(LabError, match=message) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_labs_of_two_checkouts_and_two_names_differ() -> None:
    labs = [Lab(Path(path), name) for path in ("/a", "/b") for name in ("default", "molecule")]
    assert len({lab.prefix for lab in labs}) == 4
    assert len({lab.checkout_id for lab in labs}) == 2


def test_taken_subnets_are_passed_over() -> None:
    first = next(plan.candidate_subnets(LAB, []))
    assert first == next(plan.candidate_subnets(LAB, ["172.17.0.0/16", "fd00::/64"]))
    second = next(plan.candidate_subnets(LAB, [first]))
    assert second != first
    assert next(plan.candidate_subnets(LAB, [first, second])) not in (first, second)
    assert list(plan.candidate_subnets(LAB, ["10.0.0.0/8"])) == []
    assert len(list(plan.candidate_subnets(LAB, ["10.98.0.0/17"]))) == 128


def test_routes_of_the_machine_are_read() -> None:
    table = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "br0\t0000620A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert plan.routed_networks(table) == ["192.0.2.0/24", "10.98.0.0/16"]


@pytest.mark.parametrize(
    ("state", "key", "expected"),
    [
        ("running", KEY, Step.KEEP),
        ("exited", KEY, Step.START),
        ("created", KEY, Step.RECREATE),
        ("dead", KEY, Step.RECREATE),
        ("paused", KEY, Step.RECREATE),
        ("running", "lost", Step.RECREATE),
        ("exited", "lost", Step.RECREATE),
    ],
)
def test_what_is_there_decides_the_step(state: str, key: str, expected: Step) -> None:
    assert plan.step_for(NODE1, Container(NODE1, state, key), KEY) is expected


def test_a_host_that_is_not_there_is_created() -> None:
    assert plan.step_for(NODE1, None, KEY) is Step.CREATE


@pytest.mark.parametrize(
    "other",
    [
        replace(NODE1, distribution="bookworm"),
        replace(NODE1, group=Group.WORKERS),
        replace(NODE1, address="10.98.7.12"),
    ],
)
def test_a_living_host_is_not_turned_into_another(other: Host) -> None:
    with pytest.raises(LabError, match=r"node1 is .* run `lab/lab\.py down` first"):
        plan.step_for(other, Container(NODE1, "running", KEY), KEY)


@pytest.mark.parametrize(
    ("state", "expected"),
    [("running", Step.KEEP), ("exited", Step.START), ("dead", Step.REMOVE)],
)
def test_an_added_host_stays_unless_it_is_broken(state: str, expected: Step) -> None:
    work = plan.plan_work([NODE1], {"node6": Container(NODE6, state, KEY)}, KEY)
    assert work == (Work(NODE1, Step.CREATE), Work(NODE6, expected))


def test_the_summary_groups_hosts_by_step() -> None:
    work = [Work(NODE1, Step.KEEP), Work(NODE6, Step.KEEP), Work(NODE1, Step.CREATE)]
    assert plan.summary(work) == "keep node1 node6, create node1"


def test_an_added_host_holds_its_address() -> None:
    taken = Container(replace(NODE6, address=NODE1.address), "running", KEY)
    with pytest.raises(LabError, match=r"node6 has 10\.98\.7\.11, the address of node1"):
        plan.plan_work([NODE1], {"node6": taken}, KEY)


@pytest.mark.parametrize(
    ("name", "octet"), [("node7", 17), ("node1", 12), ("node999", 12), ("database", 12)]
)
def test_an_added_host_gets_the_address_of_its_number_or_the_next(name: str, octet: int) -> None:
    used = ["10.98.7.2", "10.98.7.11", "10.98.7.13"]
    assert plan.free_address(SUBNET, name, used) == f"10.98.7.{octet}"


def test_a_container_tells_the_host_it_was_made_from() -> None:
    arguments = plan.create_arguments(LAB, NODE6, KEY, "image", kernel_modules=False)
    pairs = [
        arguments[at + 1].split("=", 1) for at, word in enumerate(arguments) if word == "--label"
    ]
    inspected = {"Config": {"Labels": dict(pairs)}, "State": {"Status": "exited"}}
    assert plan.container_from(inspected) == Container(NODE6, "exited", KEY)


def test_the_machine_s_modules_are_shown_to_hosts_where_it_has_any() -> None:
    without, given = (
        plan.create_arguments(LAB, NODE1, KEY, "image", kernel_modules=there)
        for there in (False, True)
    )
    assert not any("/lib/modules" in word for word in without)
    assert any("/lib/modules" in word for word in given)


def test_the_inventory_names_groups_hosts_and_labels() -> None:
    files = plan.inventory(LAB, SUBNET, wanted())
    assert set(files) == set(plan.INVENTORY_FILES)
    groups = yaml.safe_load(files["hosts.yml"])["all"]["children"]
    assert {name: list(group["hosts"]) for name, group in groups.items()} == {
        "swarm_managers": ["node1", "node2", "node3"],
        "swarm_workers": ["node4", "node5"],
        "lab_outsiders": ["outsider"],
        "lab_registries": ["registry"],
    }
    assert groups["swarm_workers"]["hosts"]["node4"] == {
        "ansible_host": "10.98.7.14",
        "quorum_node_labels": {"type": "db"},
    }
    everywhere = yaml.safe_load(files["group_vars/all.yml"])
    assert everywhere["ansible_user"] == "admin"
    assert everywhere["ansible_become"] is True
    assert everywhere["lab_registry"] == "10.98.7.2:5000"
    assert everywhere["engine_daemon_config"] == {"insecure-registries": ["10.98.7.2:5000"]}
    # As ssh reads it: a path with a space stays one value.
    assert f"'UserKnownHostsFile=\"{LAB.known_hosts}\"'" in everywhere["ansible_ssh_common_args"]


def test_without_a_registry_no_engine_is_told_of_one() -> None:
    files = plan.inventory(LAB, SUBNET, wanted(registry=False))
    assert not {"lab_registry", "engine_daemon_config"} & set(
        yaml.safe_load(files["group_vars/all.yml"])
    )


def test_one_host_key_serves_the_whole_subnet() -> None:
    line = plan.known_hosts(SUBNET, "ssh-ed25519 AAAA lab host\n")
    assert line == "10.98.7.* ssh-ed25519 AAAA\n"


def test_the_machine_s_mirrors_serve_other_releases() -> None:
    targets = (
        "http://mirror.example/debian/|bookworm|Debian\n"
        "http://mirror.example/debian/|bookworm-updates|Debian\n"
        "http://mirror.example/security/|bookworm-security|Debian\n"
        "http://elsewhere.example/apt/|bookworm|Somebody\n"
    )
    assert images.sources(targets, "bookworm", "trixie") == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/security trixie-security main",
    ]
    assert images.sources("http://x.example/|noble|Ubuntu\n", "noble", "trixie") == []


def test_where_no_role_is_applied_docker_is_there() -> None:
    assert set(images.FETCHED_PACKAGES) == set(plan.DISTRIBUTIONS)
    for distribution in plan.WITH_DOCKER:
        wanted = {"docker.io", "docker-cli", "python3-docker", "python3-jsondiff"}
        assert wanted <= set(images.FETCHED_PACKAGES[distribution].split())


def test_only_what_downloads_need_is_taken_from_apt() -> None:
    dump = (
        'APT::Architecture "amd64";\n'
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::Languages "none";\n'
    )
    assert images.apt_settings(dump) == (
        'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Check-Valid-Until "false";\n'
    )


def test_pip_is_told_of_local_authorities_and_proxies() -> None:
    assert images.pip_settings({}, local_cas=False) == ""
    assert images.pip_settings({"https_proxy": "http://proxy.example"}, local_cas=True) == (
        "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\nproxy = http://proxy.example\n"
    )


def test_a_recipe_s_mark_follows_content_names_and_modes(tmp_path: Path) -> None:
    def mark() -> str:
        return images.fingerprint(images.folder_parts(tmp_path))

    script = tmp_path / "script"
    marks = [mark()]
    for step in (
        lambda: script.write_text("one"),
        lambda: script.write_text("two"),
        lambda: script.chmod(0o755),
        lambda: script.rename(tmp_path / "renamed"),
    ):
        step()
        marks.append(mark())
    assert len(set(marks)) == len(marks)
