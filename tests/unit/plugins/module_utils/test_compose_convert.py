# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the canonical compose document to the objects of the API."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._compose._convert import (
    convert,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import resolved
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.tests.unit.convert_cases import STACK, Case, cases

CASES = cases()
KINDS = ("networks", "secrets", "configs")


def at(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    if case.refused:
        with pytest.raises(InvalidOption) as refused:
            convert(case.document, STACK, case.files)
        assert case.refused in str(refused.value)
        return
    stack = convert(case.document, STACK, case.files)
    assert stack.name == STACK
    if case.spec:
        spec = stack.services[f"{STACK}_web"]
        assert {path: at(spec, path) for path in case.spec} == case.spec
    for kind, made in case.makes.items():
        assert getattr(stack, kind) == made
    if case.makes:
        external = {kind: getattr(stack, f"external_{kind}") for kind in KINDS}
        assert external == {kind: tuple(case.external.get(kind, ())) for kind in KINDS}


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def service(**options: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": "app:1", **options}}}


FULL = {
    **service(
        networks={"back": {}, "front": {}},
        secrets=[{"source": "key"}, {"source": "new"}],
        configs=[{"source": "site"}],
        credential_spec={"config": "machine"},
    ),
    "networks": {"back": {}, "front": {"external": True}},
    "secrets": {"key": {"external": True}, "new": {"content": "text"}},
    "configs": {"site": {"external": True}, "machine": {"external": True}},
}


def test_resolved_puts_ids_where_the_api_wants_them() -> None:
    spec = convert(FULL, STACK, {}).services["shop_web"]
    before = repr(spec)
    task = resolved(
        spec,
        {"front": "n1", "shop_back": "n2"},
        {"key": ("key", "s1"), "shop_new": ("shop_new_v2", "")},
        {"site": ("site", "c1"), "machine": ("machine", "c2")},
    )["TaskTemplate"]
    container = task["ContainerSpec"]
    assert [network["Target"] for network in task["Networks"]] == ["n1", "n2"]
    assert [(r["SecretName"], r.get("SecretID")) for r in container["Secrets"]] == [
        ("key", "s1"),
        ("shop_new_v2", None),
    ]
    assert [(r["ConfigName"], r["ConfigID"]) for r in container["Configs"]] == [
        ("machine", "c2"),
        ("site", "c1"),
    ]
    assert container["Privileges"]["CredentialSpec"]["Config"] == "c2"
    assert repr(spec) == before


def test_resolved_leaves_the_name_of_what_is_still_to_be_made() -> None:
    spec = convert(FULL, STACK, {}).services["shop_web"]
    assert resolved(spec, {}, {}, {}) == spec


def test_a_file_that_was_not_read_is_no_empty_one() -> None:
    document = {**service(), "configs": {"site": {"file": "/srv/site.conf"}}}
    with pytest.raises(InvalidOption, match=r"configs\.site: file /srv/site\.conf has not"):
        convert(document, STACK, {})


def test_all_that_is_wrong_is_told() -> None:
    document = {
        "services": {
            "a": {
                "image": "APP",
                "volumes": [{"type": "tmpfs", "target": "/t"}] * 2,
                "deploy": {"mode": "none"},
            },
            "b": {"image": "APP", "volumes": [{"type": "tmpfs", "target": "/t"}] * 2},
            "c": {"image": "app", "ports": [{"target": 80, "published": 80}]},
            "d": {"image": "app", "ports": [{"target": 80, "published": 80}]},
            "e": {"image": "app", "networks": {"bad": None}},
        },
        "networks": {"bad": {"name": "host"}},
        "secrets": {"none": {}},
        "configs": {"large": {"content": "x" * 2_000_000}, "none": {"content": ""}},
    }
    with pytest.raises(InvalidOption) as refused:
        convert(document, STACK, {})
    assert [error.partition(": ")[0] for error in str(refused.value).split("; ")] == [
        "services.a.deploy.mode",
        "services.b.image",
        "services.b.volumes.1",
        "services",
        "networks.bad",
        "secrets.none",
        "configs.large",
        "configs.none",
    ]


@pytest.mark.parametrize(("kind", "size"), [("secrets", 512_000), ("configs", 1_024_000)])
def test_what_is_too_large_is_refused_before_the_engine_does(kind: str, size: int) -> None:
    document = {**service(), kind: {"big": {"file": "/big"}}}
    convert(document, STACK, {"/big": b"x" * (size - 1)})
    with pytest.raises(InvalidOption, match=f"{kind}.big: has {size} bytes"):
        convert(document, STACK, {"/big": b"x" * size})


def test_the_engine_takes_names_of_63_characters() -> None:
    def named(key: str) -> dict[str, Any]:
        return {"services": {key: {"image": "app:1"}}}

    convert(named("a" * 58), STACK, {})
    with pytest.raises(InvalidOption, match="63 of them at most"):
        convert(named("a" * 59), STACK, {})


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        ({}, {}),
        ({"init": False}, {"init": "1.37"}),
        ({"isolation": "hyperv"}, {"isolation": "1.35"}),
        ({"sysctls": {"a": "1"}}, {"sysctls": "1.40"}),
        ({"cap_add": ["CHOWN"]}, {"cap_add": "1.41"}),
        ({"cap_drop": ["CHOWN"]}, {"cap_drop": "1.41"}),
        ({"ulimits": {"nofile": 1}}, {"ulimits": "1.41"}),
        ({"oom_score_adj": 5}, {"oom_score_adj": "1.46"}),
        ({"healthcheck": {"start_interval": "1s"}}, {"healthcheck.start_interval": "1.44"}),
        ({"deploy": {"mode": "global-job"}}, {"mode global-job": "1.41"}),
        ({"deploy": {"resources": {"limits": {"pids": 5}}}}, {"limits.pids": "1.41"}),
        (
            {"deploy": {"placement": {"max_replicas_per_node": 1}}},
            {"placement.replicas_max_per_node": "1.40"},
        ),
        ({"ports": [{"target": 1, "protocol": "sctp"}]}, {"publish: sctp": "1.37"}),
        (
            {"volumes": [{"type": "cluster", "source": "group:a", "target": "/a"}]},
            {"mounts: type cluster": "1.42"},
        ),
        (
            {"volumes": [{"type": "image", "source": "a", "target": "/a"}]},
            {"mounts: type image": "1.48"},
        ),
        (
            {"credential_spec": {"config": "machine"}},
            {"configs: runtime": "1.40", "credential_spec.config": "1.40"},
        ),
    ],
)
def test_what_needs_a_newer_engine(options: dict[str, Any], needs: dict[str, str]) -> None:
    document = {**service(**options), "configs": {"machine": {"external": True}}}
    found = {what: since for what, since in convert(document, STACK, {}).newer if since != "1.25"}
    assert found == {f"service shop_web: {what}": since for what, since in needs.items()}


def test_a_part_of_a_volume_needs_a_newer_engine() -> None:
    volume = {"type": "volume", "source": "a", "target": "/a", "volume": {"subpath": "b"}}
    document = {**service(volumes=[volume]), "volumes": {"a": {}}}
    needs = dict(convert(document, STACK, {}).newer)
    assert needs["service shop_web: mounts: subpath"] == "1.45"


def test_drivers_and_templates_of_files_need_a_newer_engine() -> None:
    document = {
        **service(),
        "secrets": {"key": {"driver": "vault", "template_driver": "golang"}},
        "configs": {"site": {"content": "a", "template_driver": "golang"}},
    }
    needs = [
        (what, since)
        for what, since in convert(document, STACK, {}).newer
        if "shop_web" not in what
    ]
    assert needs == [
        ("secret shop_key: template_driver", "1.37"),
        ("secret shop_key: driver", "1.31"),
        ("config shop_site: template_driver", "1.37"),
    ]
