# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._compose._convert import convert
from ansible_collections.shoal.swarm.plugins.module_utils._compose._load import Source, load
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import packed
from ansible_collections.shoal.swarm.plugins.module_utils._diff import for_ansible
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    EngineError,
    InvalidOption,
    NotConverged,
    Refused,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._stack import (
    ensure,
    wait_on,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._stack_plan import Seen
from ansible_collections.shoal.swarm.plugins.module_utils._versions import DIGEST
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Watch
from ansible_collections.shoal.swarm.tests.unit.memory_service import Ending
from ansible_collections.shoal.swarm.tests.unit.memory_store import Refusal
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    Fault,
    World,
    answer_lost,
    conflict,
    leader_lost,
    leader_lost_committed,
    meanwhile,
    request_lost,
)
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params

Document = dict[str, Any]


@pytest.fixture
def hosts() -> list[Daemon]:
    """A manager, and a worker."""
    world = World()
    manager, worker = (world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2))
    manager.engine.swarm_init({"Spec": {}})
    token = manager.swarm_or_fail().tokens()["Worker"]
    worker.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    world.writes.clear()
    return [manager, worker]


@pytest.fixture
def host(hosts: list[Daemon]) -> Daemon:
    return hosts[0]


def shop(**changes: Any) -> Document:
    """A stack of two services with all kinds of objects."""
    return {
        "services": {
            "web": {
                "image": "web:1",
                "networks": ["front", "back"],
                "configs": ["site"],
                "secrets": ["key"],
                "ports": ["80:8080"],
                "deploy": {"replicas": 2},
            },
            "db": {"image": "db:1", "networks": ["back"], "volumes": ["data:/data"]},
        },
        "networks": {"front": {}, "back": {"internal": True}},
        "configs": {"site": {"content": "one"}},
        "secrets": {"key": {"environment": "KEY"}},
        "volumes": {"data": {}},
        **changes,
    }


def objects(compose: Mapping[str, Any], key: str = "s3cret", name: str = "shop") -> str:
    loaded = load([Source("compose.yml", compose)], {"KEY": key}, "/srv", {})
    return packed(convert(loaded.document, name, {}))


def deploy(
    host: Daemon,
    compose: Mapping[str, Any],
    key: str = "s3cret",
    check_mode: bool = False,
    **given: Any,
) -> tuple[Outcome[Seen], Document]:
    name = given.pop("name", "shop")
    run = Run(check_mode=check_mode, clock=host.world.clock)
    options = {"name": name, "objects": objects(compose, key, name), **given}
    return ensure(host.engine, params("stack", options), run)


def remove(host: Daemon, **given: Any) -> tuple[Outcome[Seen], Document]:
    options = {"name": "shop", "state": "absent", **given}
    return ensure(host.engine, params("stack", options), Run(clock=host.world.clock))


def summaries(outcome: Outcome[Seen]) -> list[str]:
    return [action.summary for action in outcome.actions]


def writes(host: Daemon) -> list[Any]:
    return list(host.world.writes)


def spec(host: Daemon, name: str) -> Document:
    return host.swarm_or_fail().service(name).spec


def test_a_stack_is_made_and_runs(host: Daemon) -> None:
    outcome, facts = deploy(host, shop())
    assert summaries(outcome) == [
        "create network shop_back",
        "create network shop_front",
        "create secret shop_key",
        "create config shop_site",
        "create service shop_web",
        "create service shop_db",
    ]
    assert [service["name"] for service in facts["services"]] == ["shop_db", "shop_web"]
    assert facts["networks"] == ["shop_back", "shop_front"]
    assert (facts["secrets"], facts["configs"]) == (["shop_key"], ["shop_site"])
    container = spec(host, "shop_web")["TaskTemplate"]["ContainerSpec"]
    assert [r["SecretID"] for r in container["Secrets"]] == [
        secret["ID"] for secret in host.engine.secrets()
    ]


def test_the_second_run_writes_nothing(host: Daemon) -> None:
    deploy(host, shop())
    host.world.writes.clear()
    outcome, _facts = deploy(host, shop(), prune=True)
    assert not outcome.changed
    assert not writes(host)


def test_what_the_cli_leaves_empty_is_the_default(host: Daemon) -> None:
    careful = shop()
    careful["services"]["web"]["deploy"]["update_config"] = {"parallelism": 2}
    careful["services"]["web"]["deploy"]["rollback_config"] = {"delay": "1s"}
    deploy(host, careful)
    assert spec(host, "shop_web")["UpdateConfig"]["Order"] == "stop-first"
    assert not deploy(host, careful)[0].changed


def test_check_mode_tells_what_the_run_does(host: Daemon) -> None:
    planned, _facts = deploy(host, shop(), check_mode=True)
    assert not writes(host)
    done, _facts = deploy(host, shop())
    assert summaries(planned) == summaries(done)
    changed = shop(configs={"site": {"content": "two"}})
    changed["services"]["web"]["image"] = "web:2"
    del changed["services"]["db"]
    del changed["volumes"]
    host.world.writes.clear()
    planned, _facts = deploy(host, changed, check_mode=True, prune=True, keep_versions=0)
    assert not writes(host)
    done, _facts = deploy(host, changed, prune=True, keep_versions=0)
    assert summaries(planned) == summaries(done)
    assert summaries(done) == [
        "create config shop_site_v2",
        "update service shop_web",
        "remove service shop_db",
        "remove config shop_site",
    ]


def test_only_what_differs_is_written(host: Daemon) -> None:
    deploy(host, shop())
    host.world.writes.clear()
    changed = shop()
    changed["services"]["web"]["deploy"]["replicas"] = 3
    outcome, _facts = deploy(host, changed)
    (entry,) = for_ansible(outcome.actions)
    assert (entry["before"], entry["after"]) == ({"replicas": 2}, {"replicas": 3})
    assert len(writes(host)) == 1


def test_changed_content_is_a_new_version_and_the_service_moves_to_it(host: Daemon) -> None:
    deploy(host, shop())
    outcome, facts = deploy(host, shop(configs={"site": {"content": "two"}}), key="other")
    assert summaries(outcome) == [
        "create secret shop_key_v2",
        "create config shop_site_v2",
        "update service shop_web",
    ]
    assert facts["secrets"] == ["shop_key", "shop_key_v2"]
    container = spec(host, "shop_web")["TaskTemplate"]["ContainerSpec"]
    assert [r["SecretName"] for r in container["Secrets"]] == ["shop_key_v2"]
    assert [r["ConfigName"] for r in container["Configs"]] == ["shop_site_v2"]
    assert container["Configs"][0]["File"]["Name"] == "site"
    again, _facts = deploy(host, shop(configs={"site": {"content": "two"}}), key="other")
    assert not again.changed
    # A third version leaves one old one, a content that is there needs none.
    outcome, facts = deploy(host, shop(), key="third")
    assert summaries(outcome) == [
        "create secret shop_key_v3",
        "update service shop_web",
        "remove secret shop_key",
    ]
    assert facts["secrets"] == ["shop_key_v2", "shop_key_v3"]


def site(content: str, **more: Any) -> Document:
    return shop(configs={"site": {"content": content, **more}})


def roll_back(host: Daemon, name: str) -> None:
    service = next(s for s in host.engine.services() if s["Spec"]["Name"] == name)
    host.engine.service_rollback(service["ID"], service["Version"]["Index"], service["Spec"])


def checked_and_done(host: Daemon, compose: Document, **given: Any) -> list[str]:
    """What is done, which is what was told in check mode."""
    planned, _facts = deploy(host, compose, check_mode=True, **given)
    done, _facts = deploy(host, compose, **given)
    assert summaries(planned) == summaries(done)
    return summaries(done)


def test_what_a_service_would_roll_back_to_stays(host: Daemon) -> None:
    for content in "ABA":
        deploy(host, site(content))
    assert checked_and_done(host, site("C")) == [
        "create config shop_site_v3",
        "update service shop_web",
    ]
    assert not deploy(host, site("C"))[0].changed
    roll_back(host, "shop_web")
    (config,) = spec(host, "shop_web")["TaskTemplate"]["ContainerSpec"]["Configs"]
    assert config["ConfigID"] in {config["ID"] for config in host.engine.configs()}
    # Nobody returns to the one that was before that.
    assert checked_and_done(host, site("D")) == [
        "create config shop_site_v4",
        "update service shop_web",
        "remove config shop_site_v2",
    ]


def test_without_old_versions_there_is_no_way_back(host: Daemon) -> None:
    deploy(host, site("A"))
    assert checked_and_done(host, site("B"), keep_versions=0) == [
        "create config shop_site_v2",
        "update service shop_web",
        "remove config shop_site",
    ]


def test_prune_leaves_what_a_service_would_roll_back_to(host: Daemon) -> None:
    deploy(host, site("A", name="site_A"))
    renamed = site("B", name="site_B")
    assert checked_and_done(host, renamed, prune=True) == [
        "create config site_B",
        "update service shop_web",
    ]
    assert not checked_and_done(host, renamed, prune=True)
    renamed["services"]["web"]["image"] = "web:2"
    assert checked_and_done(host, renamed, prune=True) == [
        "update service shop_web",
        "remove config site_A",
    ]


def test_a_rollback_that_is_accepted_keeps_what_it_went_back_to(host: Daemon) -> None:
    careful = site("A")
    careful["services"]["web"]["deploy"]["update_config"] = {"failure_action": "rollback"}
    deploy(host, careful)
    broken = {**careful, **worse(host), "configs": {"site": {"content": "B"}}}
    broken["services"]["web"]["deploy"] = careful["services"]["web"]["deploy"]
    del broken["services"]["new"]
    _outcome, facts = deploy(host, broken, on_rollback="accept", keep_versions=0, prune=True)
    assert facts["configs"] == ["shop_site", "shop_site_v2"]
    assert everything(host)["services"] == {"shop_db": "db:2", "shop_web": "web:1"}


def test_nothing_tells_what_secrets_and_configs_hold(host: Daemon) -> None:
    told = []
    for key, content in (("first-key", "first-content"), ("second-key", "second-content")):
        outcome, facts = deploy(host, shop(configs={"site": {"content": content}}), key=key)
        told.append(json.dumps([for_ansible(outcome.actions), facts]))
    assert not any(word in text for text in told for word in ("-key", "-content"))
    labels = [secret["Spec"]["Labels"] for secret in host.engine.secrets()]
    assert all(DIGEST in label for label in labels)


def test_a_secret_of_the_cli_is_assumed_to_be_the_same(host: Daemon) -> None:
    deploy(host, shop())
    strip_digests(host)
    host.world.writes.clear()
    outcome, _facts = deploy(host, shop(), key="other", adopt_secrets="assume_same")
    assert not outcome.changed
    assert not writes(host)
    assert "nobody can read what shop_key hold" in outcome.warnings[0]


def test_a_secret_of_the_cli_is_compared_by_the_engine(host: Daemon) -> None:
    deploy(host, shop())
    strip_digests(host)
    before = host.engine.secrets()
    outcome, _facts = deploy(host, shop())
    assert not outcome.changed
    assert not any("nobody can read" in warning for warning in outcome.warnings)
    assert host.engine.secrets() == before
    outcome, facts = deploy(host, shop(), key="other")
    assert summaries(outcome) == ["create secret shop_key_v2", "update service shop_web"]
    assert facts["secrets"] == ["shop_key", "shop_key_v2"]
    assert not deploy(host, shop(), key="other")[0].changed


def strip_digests(host: Daemon) -> None:
    """As if the CLI had made the secrets."""
    engine = host.engine
    for secret in engine.secrets():
        labels = {k: v for k, v in secret["Spec"]["Labels"].items() if k != DIGEST}
        version = secret["Version"]["Index"]
        engine.secret_update(secret["ID"], version, {**secret["Spec"], "Labels": labels})


def test_prune_frees_a_port_before_another_service_takes_it(host: Daemon) -> None:
    deploy(host, shop())
    renamed = shop()
    renamed["services"]["frontend"] = renamed["services"].pop("web")
    with pytest.raises(InvalidOption, match="80/tcp, which service shop_web has: remove it with"):
        deploy(host, renamed)
    assert checked_and_done(host, renamed, prune=True) == [
        "remove service shop_web",
        "create service shop_frontend",
    ]
    assert list(everything(host)["services"]) == ["shop_db", "shop_frontend"]


def test_a_port_goes_from_one_service_to_another(host: Daemon) -> None:
    deploy(host, shop())
    moved = shop()
    ports = moved["services"]["web"].pop("ports")
    heir = {"image": "a:1", "ports": ports, "networks": ["front"]}
    moved["services"] = {"a": heir, **moved["services"]}
    outcome, _facts = deploy(host, moved)
    assert summaries(outcome) == ["update service shop_web", "create service shop_a"]
    assert not deploy(host, moved)[0].changed


def test_prune_takes_what_nothing_uses_any_more(host: Daemon) -> None:
    deploy(host, shop())
    alone: Document = {"services": {"db": {"image": "db:1", "networks": ["back"]}}}
    alone["networks"] = {"back": {"internal": True}}
    outcome, facts = deploy(host, alone)
    assert facts["secrets"] == ["shop_key"]
    outcome, facts = deploy(host, alone, prune=True)
    assert summaries(outcome) == [
        "remove service shop_web",
        "remove secret shop_key",
        "remove config shop_site",
        "remove network shop_front",
    ]
    assert (facts["networks"], facts["secrets"], facts["configs"]) == (["shop_back"], [], [])


REFUSED: dict[str, tuple[Document, str]] = {
    "an external network that is missing": (
        {"networks": {"front": {"external": True}, "back": {}}},
        "the external network front does not exist",
    ),
    "an external secret that is missing": (
        {"secrets": {"key": {"external": True}}},
        "the external secret key does not exist",
    ),
    "a network that is somebody else's": (
        {"networks": {"front": {"name": "public"}, "back": {}}},
        "there is a network public that is not of this stack (it is of none)",
    ),
    "a subnet of another network": (
        {"networks": {"front": {"ipam": {"config": [{"subnet": "10.77.3.0/24"}]}}, "back": {}}},
        "subnet 10.77.3.0/24 of shop_front overlaps with that of network public (10.77.0.0/16)",
    ),
    "two networks on one subnet": (
        {
            "networks": {
                "front": {"ipam": {"config": [{"subnet": "10.78.3.0/24"}]}},
                "back": {"ipam": {"config": [{"subnet": "10.78.0.0/16"}]}},
            }
        },
        "overlaps with that of network shop_",
    ),
    "a config of another stack": (
        {"configs": {"site": {"name": "wiki_page", "content": "x"}}},
        "there is a config wiki_page that is not of this stack (it is of stack wiki)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_before_anything_is_changed(host: Daemon, case: str) -> None:
    pool = {"Config": [{"Subnet": "10.77.0.0/16"}]}
    host.engine.network_create({"Name": "public", "Driver": "overlay", "IPAM": pool})
    page = {"services": {"web": {"image": "web:1", "configs": ["page"]}}}
    deploy(host, {**page, "configs": {"page": {"content": "y"}}}, name="wiki")
    host.world.writes.clear()
    changes, message = REFUSED[case]
    with pytest.raises(InvalidOption) as caught:
        deploy(host, shop(**changes))
    assert message in str(caught.value)
    assert not writes(host)


def test_it_refuses_a_port_of_another_stack(host: Daemon) -> None:
    deploy(host, {"services": {"web": {"image": "web:1", "ports": ["80:80"]}}}, name="wiki")
    host.world.writes.clear()
    with pytest.raises(InvalidOption, match="shop_web would publish port 80/tcp, which service"):
        deploy(host, shop())
    assert not writes(host)


def test_what_cannot_be_changed_is_refused_by_name(host: Daemon) -> None:
    deploy(host, shop())
    host.world.writes.clear()
    changed = shop(networks={"front": {"attachable": True}, "back": {"internal": True}})
    changed["services"]["db"]["deploy"] = {"mode": "global"}
    with pytest.raises(InvalidOption) as caught:
        deploy(host, changed)
    assert "networks: shop_front cannot be changed: Attachable is False and shall be True" in str(
        caught.value
    )
    assert "services: shop_db runs in mode replicated" in str(caught.value)
    assert not writes(host)


def test_a_service_that_cannot_run_is_named_with_its_reason(host: Daemon) -> None:
    host.world.broken_images["db:1"] = "No such image: db:1"
    with pytest.raises(NotConverged) as caught:
        deploy(host, shop(), wait_timeout=60)
    assert "stack shop being as asked did not happen within 60 s" in str(caught.value)
    assert "service shop_db: 0 of 1 tasks are running" in str(caught.value)
    assert "No such image: db:1" in str(caught.value)
    assert "shop_web" not in str(caught.value)


def test_a_failed_deploy_returns_to_what_ran_before(host: Daemon) -> None:
    deploy(host, shop())
    before = spec(host, "shop_web"), spec(host, "shop_db")
    with pytest.raises(NotConverged) as caught:
        deploy(host, worse(host), wait_timeout=60, rollback_on_failure=True)
    told = str(caught.value)
    assert "shop_db is what it was" in told
    assert "shop_web is what it was" in told
    assert "shop_new, which was not there before, is removed" in told
    assert (spec(host, "shop_web"), spec(host, "shop_db")) == before
    assert not deploy(host, shop())[0].changed


def worse(host: Daemon) -> Document:
    """Of two services another image, of which one cannot run, and a third service."""
    host.world.broken_images["web:2"] = "No such image: web:2"
    changed = shop()
    changed["services"]["web"]["image"] = "web:2"
    changed["services"]["db"]["image"] = "db:2"
    changed["services"]["new"] = {"image": "new:1", "networks": ["back"]}
    return changed


# The writes of that deploy, and those of the way back from it.
DEPLOY, WAY_BACK = range(1, 4), range(4, 7)


def test_a_write_that_fails_goes_back_as_well(host: Daemon) -> None:
    for number in DEPLOY:
        deploy(host, shop())
        before = everything(host)
        host.world.at_write(number, refuse)
        with pytest.raises(NotConverged) as caught:
            deploy(host, worse(host), rollback_on_failure=True)
        assert re.match(
            r"(create|update) service .* no space left on device; rolled back", str(caught.value)
        )
        assert everything(host) == before


def test_a_write_that_fails_leaves_what_is_done_where_nobody_goes_back(host: Daemon) -> None:
    deploy(host, shop())
    host.world.at_write(2, refuse)
    with pytest.raises(EngineError, match="no space left on device"):
        deploy(host, worse(host))
    # Services are written side by side: which of the three writes is refused is not said.
    asked = {"shop_web": "web:2", "shop_db": "db:2", "shop_new": "new:1"}
    assert len(asked.items() & everything(host)["services"].items()) == 2


def test_where_nothing_has_been_written_the_reason_is_all_that_is_told(host: Daemon) -> None:
    host.world.at_write(1, refuse)
    with pytest.raises(EngineError, match=r"no space left on device$"):
        deploy(host, shop(), rollback_on_failure=True)
    deploy(host, shop())
    with pytest.raises(NotConverged, match=r"web:2$"):
        deploy(host, worse(host), wait_timeout=60)
    # What fails now was broken before: there is nothing to return to.
    with pytest.raises(NotConverged, match=r"web:2$"):
        deploy(host, worse(host), wait_timeout=60, rollback_on_failure=True)


@pytest.mark.parametrize("number", WAY_BACK)
def test_the_reason_is_told_first_where_the_way_back_fails_too(host: Daemon, number: int) -> None:
    deploy(host, shop())
    before = everything(host)["services"]
    host.world.at_write(number, refuse)
    with pytest.raises(NotConverged) as caught:
        deploy(host, worse(host), wait_timeout=60, rollback_on_failure=True)
    reason, _going, failure = str(caught.value).partition("; going back has failed as well: ")
    assert "No such image: web:2" in reason
    assert "no space left on device" in failure
    # What was not refused is done all the same.
    left = everything(host)["services"]
    assert sum(left.get(name) != before.get(name) for name in {*left, *before}) == 1


def change_db(host: Daemon) -> None:
    service = next(s for s in host.engine.services() if s["Spec"]["Name"] == "shop_db")
    body = json.loads(json.dumps(service["Spec"]))
    body["TaskTemplate"]["ContainerSpec"]["Image"] = "db:9"
    host.engine.service_update(service["ID"], service["Version"]["Index"], body)


def test_a_failure_tells_all_that_was_written(host: Daemon) -> None:
    """The way back as well, and not what would have come after the wait."""
    deploy(host, shop())
    options = {"name": "shop", "objects": objects(worse(host)), "wait_timeout": 60}
    there = ["update service shop_web", "update service shop_db", "create service shop_new"]
    back = ["remove service shop_new", "roll back service shop_web", "roll back service shop_db"]
    run = Run(clock=host.world.clock)
    more = {"rollback_on_failure": True, "prune": True, "keep_versions": 0}
    with pytest.raises(NotConverged):
        ensure(host.engine, params("stack", {**options, **more}), run)
    assert [action.summary for action in run.written] == there + back
    host.world.at_write(len(there) - 1, refuse)
    run = Run(clock=host.world.clock)
    with pytest.raises(EngineError):
        ensure(host.engine, params("stack", options), run)
    assert len({action.summary for action in run.written} & set(there)) == len(there) - 1


def test_what_somebody_else_has_changed_is_not_returned(host: Daemon) -> None:
    deploy(host, shop())
    host.world.at_write(WAY_BACK[0], meanwhile(change_db))
    with pytest.raises(NotConverged) as caught:
        deploy(host, worse(host), wait_timeout=60, rollback_on_failure=True)
    assert "shop_db stays as somebody else has changed it" in str(caught.value)
    assert everything(host)["services"] == {"shop_db": "db:9", "shop_web": "web:1"}


def test_a_port_goes_back_to_who_had_it(host: Daemon) -> None:
    deploy(host, shop())
    before = spec(host, "shop_web")
    moved = shop()
    ports = moved["services"]["web"].pop("ports")
    moved["services"]["a"] = {"image": "a:1", "ports": ports, "networks": ["front"]}
    host.world.broken_images["a:1"] = "No such image: a:1"
    host.world.writes.clear()
    with pytest.raises(NotConverged):
        deploy(host, moved, wait_timeout=60, rollback_on_failure=True)
    assert [method for _host, method, _path in writes(host)] == ["POST", "POST", "DELETE", "POST"]
    assert spec(host, "shop_web") == before


@pytest.mark.parametrize("number", range(5, 9))
def test_a_job_goes_back_once(host: Daemon, number: int) -> None:
    """Its status does not say that it has gone back, and again would be the newer one."""
    base = shop()
    base["services"]["job"] = {"image": "job:1", "deploy": {"mode": "replicated-job"}}
    host.world.endings.update({"job:1": Ending(), "job:2": Ending()})
    deploy(host, base)
    before = everything(host)
    changed = worse(host)
    changed["services"]["job"] = {**base["services"]["job"], "image": "job:2"}
    host.world.at_write(number, answer_lost)
    with pytest.raises(NotConverged, match="shop_job is what it was"):
        deploy(host, changed, wait_timeout=60, rollback_on_failure=True)
    assert everything(host) == before


def test_to_go_back_somebody_has_to_wait(host: Daemon) -> None:
    for option, value in (("wait", False), ("detach", True)):
        given: Document = {option: value, "rollback_on_failure": True}
        with pytest.raises(InvalidOption, match="rollback_on_failure needs wait"):
            deploy(host, shop(), **given)
    assert not writes(host)
    remove(host, rollback_on_failure=True, wait=False)


def in_slices(host: Daemon, options: Document) -> tuple[Outcome[Any], Document, int]:
    """The deploy as the controller has it executed while somebody watches."""
    outcome, facts = ensure(host.engine, options, Run(clock=host.world.clock, watch=Watch()))
    slices = 1
    while outcome.waited and not outcome.waited.done:
        slices += 1
        watch = Watch(outcome.waited.remaining, None, outcome.waited.subject)
        outcome, facts = wait_on(host.engine, options, Run(clock=host.world.clock, watch=watch))
    return outcome, facts, slices


def test_a_watched_deploy_goes_back_in_slices(host: Daemon) -> None:
    deploy(host, shop())
    before = everything(host)
    given = {"name": "shop", "wait_timeout": 20, "rollback_on_failure": True}
    options = params("stack", {**given, "objects": objects(worse(host))})
    host.world.delays.task = 15

    with pytest.raises(NotConverged) as caught:
        in_slices(host, options)
    assert "that has not come about" not in str(caught.value)
    assert everything(host) == before


def test_a_watched_deploy_ends_in_slices(host: Daemon) -> None:
    host.world.delays.task = 30
    options = params("stack", {"name": "shop", "objects": objects(shop())})
    outcome, facts, slices = in_slices(host, options)
    assert slices > 2
    assert outcome.waited
    assert {section.title for section in outcome.waited.view} == {
        "service shop_web",
        "service shop_db",
    }
    assert len(facts["services"]) == 2


def test_somebody_else_changes_a_service_during_the_wait(host: Daemon) -> None:
    host.world.delays.task = 30

    host.world.schedule(10, lambda: change_db(host))
    with pytest.raises(NotConverged, match=r"somebody else .* update service shop_db"):
        deploy(host, shop())


def test_a_removed_stack_is_gone_and_can_be_deployed_again(host: Daemon) -> None:
    for _time in range(2):
        deploy(host, shop())
        outcome, facts = remove(host)
        assert facts == {
            "stack": "shop",
            **{key: [] for key in ("services", "networks", "secrets", "configs")},
        }
        assert sorted(summaries(outcome)) == [
            "remove config shop_site",
            "remove network shop_back",
            "remove network shop_front",
            "remove secret shop_key",
            "remove service shop_db",
            "remove service shop_web",
        ]
    host.world.writes.clear()
    assert not remove(host)[0].changed
    assert not writes(host)


def test_it_is_deployed_at_once_after_the_cli_has_removed_it(host: Daemon) -> None:
    """The CLI waits for no task, and this host shows a network until the last one has stopped."""
    deploy(host, shop())
    host.world.delays.stop = 12
    engine = host.engine
    for service in engine.services():
        engine.service_remove(service["ID"])
    for network in engine.networks():
        if network["Name"].startswith("shop_"):
            engine.network_remove(network["Id"])
    _outcome, facts = deploy(host, shop())
    assert facts["networks"] == ["shop_back", "shop_front"]


def test_what_is_left_of_a_stack_without_services_is_removed(host: Daemon) -> None:
    labels = {"com.docker.stack.namespace": "shop"}
    host.engine.network_create({"Name": "shop_old", "Driver": "overlay", "Labels": labels})
    assert summaries(remove(host)[0]) == ["remove network shop_old"]


def test_a_stack_whose_network_others_use_is_not_removed(host: Daemon) -> None:
    deploy(host, shop())
    other: Document = {"services": {"app": {"image": "app:1", "networks": ["front"]}}}
    other["networks"] = {"front": {"external": True, "name": "shop_front"}}
    deploy(host, other, name="other")
    host.world.writes.clear()
    with pytest.raises(Refused, match="network shop_front is in use by service other_app"):
        remove(host)
    assert not writes(host)


def test_a_worker_removes_its_volumes_only(hosts: list[Daemon]) -> None:
    _manager, worker = hosts
    with pytest.raises(WrongState, match="is a worker"):
        remove(worker)
    assert not remove(worker, remove_volumes=True)[0].changed


def test_a_moved_tag_is_rolled_out_and_a_silent_registry_changes_nothing(host: Daemon) -> None:
    registry = host.world.registry
    registry.digests.update({"web:1": "sha256:" + "1" * 64, "db:1": "sha256:" + "2" * 64})
    deploy(host, shop())
    assert spec(host, "shop_web")["TaskTemplate"]["ContainerSpec"]["Image"].endswith("1" * 64)
    registry.digests["web:1"] = "sha256:" + "3" * 64
    assert not deploy(host, shop(), resolve_image="changed")[0].changed
    assert not deploy(host, shop(), resolve_image="never")[0].changed
    assert summaries(deploy(host, shop())[0]) == ["update service shop_web"]
    registry.is_down = True
    outcome, _facts = deploy(host, shop())
    assert not outcome.changed
    assert any("the digest of web:1 is not known" in warning for warning in outcome.warnings)


# What breaks on the way


def refuse(_daemon: Daemon, _perform: Callable[[], Any]) -> Any:
    raise Refusal(500, "no space left on device")


FAULTS = [answer_lost, conflict, leader_lost, leader_lost_committed, request_lost]
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)


def everything(host: Daemon) -> dict[str, Any]:
    """All that there is, by name; IDs, versions and salts differ from run to run."""
    engine = host.engine
    return {
        "services": {
            service["Spec"]["Name"]: service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
            for service in engine.services()
        },
        "networks": sorted(network["Name"] for network in engine.networks()),
        "secrets": sorted(secret["Spec"]["Name"] for secret in engine.secrets()),
        "configs": sorted(config["Spec"]["Name"] for config in engine.configs()),
    }


@every_fault
@pytest.mark.parametrize("number", range(1, 7))
def test_a_fault_at_any_write_of_a_deploy(host: Daemon, fault: Fault, number: int) -> None:
    host.world.at_write(number, fault)
    outcome, _facts = deploy(host, shop())
    assert len(summaries(outcome)) == len(set(summaries(outcome))) == 6
    assert everything(host)["services"] == {"shop_db": "db:1", "shop_web": "web:1"}
    assert everything(host)["secrets"] == ["shop_key"]
    assert everything(host)["configs"] == ["shop_site"]
    assert not deploy(host, shop())[0].changed


@every_fault
@pytest.mark.parametrize("number", range(1, 7))
def test_a_fault_at_any_write_of_a_removal(host: Daemon, fault: Fault, number: int) -> None:
    before = everything(host)
    deploy(host, shop())
    host.world.at_write(number, fault)
    remove(host)
    assert everything(host) == before


@every_fault
@pytest.mark.parametrize("number", range(1, 5))
def test_a_fault_at_any_write_of_a_rotation(host: Daemon, fault: Fault, number: int) -> None:
    deploy(host, shop())
    host.world.at_write(number, fault)
    changed = shop(configs={"site": {"content": "two"}})
    changed["services"]["web"]["image"] = "web:2"
    deploy(host, changed, keep_versions=0)
    assert everything(host)["services"] == {"shop_db": "db:1", "shop_web": "web:2"}
    assert everything(host)["configs"] == ["shop_site_v2"]
    assert not deploy(host, changed, keep_versions=0)[0].changed


@every_fault
@pytest.mark.parametrize("number", WAY_BACK)
def test_a_fault_at_any_write_of_the_way_back(host: Daemon, fault: Fault, number: int) -> None:
    deploy(host, shop())
    before = everything(host)
    host.world.at_write(number, fault)
    with pytest.raises(NotConverged) as caught:
        deploy(host, worse(host), wait_timeout=60, rollback_on_failure=True)
    reason, _rolled, told = str(caught.value).partition("; rolled back: ")
    assert "No such image: web:2" in reason
    assert told.split(", ") == [
        "shop_web is what it was",
        "shop_db is what it was",
        "shop_new",
        "which was not there before",
        "is removed",
    ]
    assert everything(host) == before
    assert not deploy(host, shop())[0].changed


@pytest.mark.parametrize("number", range(1, 7))
def test_what_was_broken_off_is_finished_by_the_next_run(host: Daemon, number: int) -> None:
    host.world.at_write(number, refuse)
    with pytest.raises(EngineError, match="no space left"):
        deploy(host, shop())
    deploy(host, shop())
    assert everything(host)["services"] == {"shop_db": "db:1", "shop_web": "web:1"}
    assert not deploy(host, shop())[0].changed
