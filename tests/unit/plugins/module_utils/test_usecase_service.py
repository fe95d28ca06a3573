# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._diff import for_ansible
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    InvalidOption,
    NotConverged,
    WrongState,
)
from ansible_collections.shoal.swarm.plugins.module_utils._units import engine_time
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import Seen, ensure
from ansible_collections.shoal.swarm.tests.unit.memory_service import Ending
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import (
    Daemon,
    Fault,
    World,
    answer_lost,
    conflict,
    leader_lost,
    leader_lost_committed,
)
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params


@pytest.fixture
def host() -> Daemon:
    """A manager, with one worker beside it."""
    world = World()
    manager, worker = (world.host(f"node{i}", f"10.0.0.1{i}") for i in (1, 2))
    manager.engine.swarm_init({"Spec": {}})
    token = manager.swarm_or_fail().tokens()["Worker"]
    worker.engine.swarm_join({"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": token})
    world.writes.clear()
    return manager


def web(
    host: Daemon, check_mode: bool = False, **given: Any
) -> tuple[Outcome[Seen], dict[str, Any]]:
    run = Run(check_mode=check_mode, clock=host.world.clock)
    return ensure(host.engine, params("service", {"name": "web", **given}), run)


def test_it_waits_until_the_tasks_have_kept_running(host: Daemon) -> None:
    host.world.delays.task = 30
    _outcome, facts = web(host, image="web:1", replicas=2)
    assert [task["state"] for task in facts["tasks"]] == ["running", "running"]
    assert host.world.now() >= 35


def test_an_engine_that_is_slow_to_answer_adds_nothing_to_how_long_tasks_ran(host: Daemon) -> None:
    engine = host.engine
    ask = engine.info

    def ask_slowly() -> dict[str, Any]:
        host.world.sleep(30)
        return ask()

    engine.info = ask_slowly  # type: ignore[method-assign]
    host.world.delays.task = 40
    run = Run(clock=host.world.clock)
    ensure(engine, params("service", {"name": "web", "image": "web:1"}), run)
    (task,) = host.swarm_or_fail().service("web").tasks
    began = engine_time(task["Status"]["Timestamp"])
    assert (engine_time(host.world.timestamp()) - began).total_seconds() >= 5


def test_without_wait_it_ends_when_the_swarm_has_accepted(host: Daemon) -> None:
    host.world.delays.task = 30
    _outcome, facts = web(host, image="web:1", wait=False)
    assert [task["state"] for task in facts["tasks"]] == ["preparing"]
    assert host.world.now() < 30


def test_a_service_that_cannot_run_fails_at_the_deadline_with_the_tasks_reason(
    host: Daemon,
) -> None:
    host.world.broken_images["web:9"] = "No such image: web:9"
    with pytest.raises(NotConverged) as caught:
        web(host, image="web:9", wait_timeout=60)
    assert "did not happen within 60 s: 0 of 1 tasks are running" in str(caught.value)
    assert "No such image: web:9" in str(caught.value)
    assert 60 <= host.world.now() < 62


def test_an_update_that_is_rolled_back_fails_when_the_rollback_is_over(host: Daemon) -> None:
    web(host, image="web:1")
    started = host.world.now()
    host.world.broken_images["web:9"] = "No such image: web:9"
    with pytest.raises(NotConverged, match="the update failed and was rolled back"):
        web(host, image="web:9", update_config={"failure_action": "rollback"})
    assert 5 <= host.world.now() - started < 6
    # The image that the rollback went back to is as asked, and no failure.
    assert not web(host, image="web:1")[0].changed


def test_an_update_that_is_paused_fails_at_once_and_again_at_the_next_run(host: Daemon) -> None:
    web(host, image="web:1")
    host.world.broken_images["web:9"] = "No such image: web:9"
    for _run in range(2):
        with pytest.raises(NotConverged, match=r"the update was paused; .*No such image: web:9"):
            web(host, image="web:9")


def test_a_drained_node_is_not_waited_for(host: Daemon) -> None:
    web(host, image="web:1", mode="global")
    swarm = host.swarm_or_fail()
    swarm.nodes[1].spec["Availability"] = "drain"
    swarm.place_tasks()
    outcome, facts = web(host, image="web:1", mode="global")
    assert not outcome.changed
    assert [task["node"] for task in facts["tasks"]] == ["node1"]


def test_nothing_is_written_when_nothing_differs(host: Daemon) -> None:
    given: dict[str, Any] = {"image": "web:1", "replicas": 2, "env": {"A": 1}, "labels": {"b": 2}}
    web(host, **given)
    service = host.swarm_or_fail().service("web")
    before = (service.version, service.previous, [task["ID"] for task in service.tasks])
    host.world.writes.clear()
    outcome, _facts = web(host, **given)
    assert not outcome.changed
    assert host.world.writes == []
    assert (service.version, service.previous, [t["ID"] for t in service.tasks]) == before


def test_defaults_that_a_task_names_restart_no_task(host: Daemon) -> None:
    web(host, image="web:1")
    service = host.swarm_or_fail().service("web")
    before = [task["ID"] for task in service.tasks]
    web(host, replicas=2, env=[], publish=[], limits={"cpus": 0}, placement={"constraints": []})
    assert [task["ID"] for task in service.tasks[:1]] == before
    assert service.tasks[0]["DesiredState"] == "running"


def test_a_conflict_keeps_what_the_other_writer_changed(host: Daemon) -> None:
    web(host, image="web:1", labels={"team": "ops"})

    def scaled_by_another(daemon: Daemon, perform: Any) -> Any:
        service = daemon.swarm_or_fail().service("web")
        spec = {**service.spec, "Mode": {"Replicated": {"Replicas": 4}}}
        daemon.swarm_or_fail().update_service("web", {"version": str(service.version)}, spec)
        return perform()

    host.world.at_write(1, scaled_by_another)
    web(host, labels={"team": "dev"})
    spec = host.swarm_or_fail().service("web").spec
    assert spec["Labels"] == {"team": "dev"}
    assert spec["Mode"] == {"Replicated": {"Replicas": 4}}


def test_a_race_that_is_lost_once_is_won_at_the_second_attempt(host: Daemon) -> None:
    web(host, image="web:1")
    host.world.at_write(1, conflict)
    assert web(host, replicas=2)[0].changed
    assert host.swarm_or_fail().service("web").spec["Mode"] == {"Replicated": {"Replicas": 2}}


def test_a_creation_whose_answer_was_lost_makes_one_service_and_counts_as_changed(
    host: Daemon,
) -> None:
    host.world.at_write(1, answer_lost)
    outcome, facts = web(host, image="web:1")
    assert outcome.changed
    assert [service.id for service in host.swarm_or_fail().services] == [facts["service_id"]]


def test_a_service_that_somebody_else_creates_meanwhile_is_brought_to_the_options(
    host: Daemon,
) -> None:
    def faster(daemon: Daemon, perform: Any) -> Any:
        spec = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "web:0"}}}
        daemon.swarm_or_fail().create_service(spec)
        return perform()

    host.world.at_write(1, faster)
    web(host, image="web:1")
    (service,) = host.swarm_or_fail().services
    assert service.spec["TaskTemplate"]["ContainerSpec"]["Image"] == "web:1"


def test_a_removal_waits_until_the_tasks_have_stopped(host: Daemon) -> None:
    web(host, image="web:1")
    host.world.delays.stop = 25
    started = host.world.now()
    web(host, state="absent")
    assert 25 <= host.world.now() - started < 27


def test_tasks_that_do_not_stop_are_a_failure_that_says_so(host: Daemon) -> None:
    web(host, image="web:1", replicas=2)
    host.world.delays.stop = 600
    with pytest.raises(NotConverged, match=r"the end of all tasks .*: 2 tasks have not stopped"):
        web(host, state="absent")
    # Run again it has nothing to do, and nothing to wait by: the service is not there any more.
    assert web(host, state="absent")[0].changed is False


def test_a_service_whose_name_begins_alike_is_another_one(host: Daemon) -> None:
    web(host, image="web:1", name="web2")
    assert web(host, state="absent")[0].changed is False
    assert [service.spec["Name"] for service in host.swarm_or_fail().services] == ["web2"]


def test_check_mode_creates_and_waits_for_nothing(host: Daemon) -> None:
    outcome, facts = web(host, check_mode=True, image="web:1")
    assert outcome.changed
    assert (facts["service_id"], facts["tasks"]) == ("", [])
    assert host.world.writes == []
    assert host.world.now() == 0


def test_a_worker_cannot_manage_services(host: Daemon) -> None:
    with pytest.raises(WrongState, match="node2 is a worker of a swarm"):
        web(host.world.daemons[1], image="web:1")


def test_what_cannot_be_is_refused_before_anything_is_read(host: Daemon) -> None:
    with pytest.raises(InvalidOption, match="'soon' is not a duration"):
        web(host.world.daemons[1], image="web:1", update_config={"delay": "soon"})


# Rollbacks


def image_of(host: Daemon, name: str = "web") -> str:
    return str(host.swarm_or_fail().service(name).spec["TaskTemplate"]["ContainerSpec"]["Image"])


def test_a_rollback_by_the_swarm_is_a_success_where_that_is_said(host: Daemon) -> None:
    web(host, image="web:1")
    host.world.broken_images["web:9"] = "No such image: web:9"
    roll: dict[str, Any] = {"image": "web:9", "update_config": {"failure_action": "rollback"}}
    outcome, facts = web(host, on_rollback="accept", **roll)
    assert outcome.changed
    assert image_of(host) == "web:1"
    (warning,) = [text for text in outcome.warnings if "rolled back" in text]
    assert warning == (
        "the update of service web failed and was rolled back (rollback completed): it runs with "
        "the spec that it had before"
    )
    assert [task["image"] for task in facts["tasks"]] == ["web:1"]
    assert facts["service_spec"] == host.swarm_or_fail().service("web").spec
    # A task that asks for the other spec asks for it again.
    assert web(host, on_rollback="accept", **roll)[0].changed


def test_a_rollback_returns_to_the_spec_before_and_waits_and_is_done_once(host: Daemon) -> None:
    web(host, image="web:1", replicas=2, env={"A": 1})
    web(host, image="web:2", env={"A": 2})
    planned, _facts = web(host, check_mode=True, state="rolled_back")
    assert image_of(host) == "web:2"
    started = host.world.now()
    outcome, facts = web(host, state="rolled_back")
    assert 5 <= host.world.now() - started < 6
    assert [action.summary for action in outcome.actions] == ["roll back service web"]
    (entry,) = for_ansible(outcome.actions)
    assert for_ansible(planned.actions) == [entry]
    assert (entry["before"], entry["after"]) == (
        {"image": "web:2", "env": ["A=2"]},
        {"image": "web:1", "env": ["A=1"]},
    )
    assert image_of(host) == "web:1"
    assert [task["image"] for task in facts["tasks"]] == ["web:1", "web:1"]
    tasks = [task["ID"] for task in host.swarm_or_fail().service("web").tasks]
    host.world.writes.clear()
    assert not web(host, state="rolled_back")[0].changed
    assert (host.world.writes, image_of(host)) == ([], "web:1")
    assert [task["ID"] for task in host.swarm_or_fail().service("web").tasks] == tasks


def test_an_update_that_succeeds_warns_of_no_rollback_of_an_earlier_time(host: Daemon) -> None:
    web(host, image="web:1", resolve_image="never")
    web(host, image="web:2", resolve_image="never")
    web(host, state="rolled_back")
    for image in ("web:1", "web:2"):
        outcome, _facts = web(host, image=image, resolve_image="never", on_rollback="accept")
        assert outcome.warnings == ()


def test_the_rollback_of_a_restart_shows_the_restart(host: Daemon) -> None:
    web(host, image="web:1")
    web(host, force_update="true")
    (entry,) = for_ansible(web(host, check_mode=True, state="rolled_back")[0].actions)
    assert (entry["before"], entry["after"]) == ({"force_update": 1}, {"force_update": 0})


def test_a_rollback_shows_what_it_names_by_name(
    host: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = host.engine
    for name in ("back", "front"):
        engine.network_create({"Name": name, "Driver": "overlay"})
    engine.config_create({"Name": "account", "Data": "e30="})
    web(host, image="web:1", networks=["front"])
    web(host, networks=["front", "back"], credential_spec={"config": "account"})

    def shown() -> tuple[list[str], list[str]]:
        task = params("service", {"name": "web", "state": "rolled_back"})
        outcome, _facts = ensure(engine, task, Run(check_mode=True, clock=host.world.clock))
        (entry,) = for_ansible(outcome.actions)
        assert entry["before"]["credential_spec.config"] == "account"
        assert entry["after"]["credential_spec.config"] == ""
        before, after = (
            [str(network["name"]) for network in entry[side]["networks"]]
            for side in ("before", "after")
        )
        return before, after

    assert shown() == (["back", "front"], ["front"])
    # One that each node has by itself is in no list.
    ids = {network["Name"]: network["Id"] for network in engine.networks()}
    listed = [network for network in engine.networks() if network["Name"] != "front"]
    own = {"bridge": "b", "host": ids["front"]}
    monkeypatch.setattr(engine, "networks", lambda: listed)
    monkeypatch.setattr(engine, "swarm_network", lambda name: {"Name": name, "Id": own[name]})
    assert shown() == (["back", "host"], ["host"])


def test_a_rollback_that_no_option_tells_of_shows_the_spec_itself(host: Daemon) -> None:
    web(host, image="web:1")
    web(host, spec={"TaskTemplate": {"RestartPolicy": {"Condition": "any"}}})
    (entry,) = for_ansible(web(host, check_mode=True, state="rolled_back")[0].actions)
    assert entry["before"]["TaskTemplate"]["RestartPolicy"]["Condition"] == "any"
    assert not entry["after"]["TaskTemplate"].get("RestartPolicy")


def test_what_was_rolled_back_and_updated_can_be_rolled_back_again(host: Daemon) -> None:
    for image in ("web:1", "web:2"):
        web(host, image=image)
    web(host, state="rolled_back")
    web(host, image="web:3")
    assert web(host, state="rolled_back")[0].changed
    assert image_of(host) == "web:1"


def test_a_rollback_by_the_swarm_is_the_rollback_that_a_task_asks_for(host: Daemon) -> None:
    web(host, image="web:1")
    host.world.broken_images["web:9"] = "No such image: web:9"
    with pytest.raises(NotConverged):
        web(host, image="web:9", update_config={"failure_action": "rollback"})
    assert not web(host, state="rolled_back")[0].changed
    assert image_of(host) == "web:1"


def test_a_rollback_that_fails_says_so(host: Daemon) -> None:
    web(host, image="web:1")
    web(host, image="web:2")
    host.world.broken_images["web:1"] = "No such image: web:1"
    for _run in range(2):
        with pytest.raises(NotConverged, match=r"the rollback was paused; .*No such image: web:1"):
            web(host, state="rolled_back")


@pytest.mark.parametrize("fault", [answer_lost, conflict, leader_lost, leader_lost_committed])
def test_a_rollback_is_not_undone_by_a_second_attempt(host: Daemon, fault: Fault) -> None:
    web(host, image="web:1")
    web(host, image="web:2")
    host.world.at_write(1, fault)
    assert web(host, state="rolled_back")[0].changed
    assert image_of(host) == "web:1"


# Restarts


@pytest.mark.parametrize("key", ["true", "2026-11"])
@pytest.mark.parametrize("fault", [answer_lost, conflict, leader_lost, leader_lost_committed])
def test_a_restart_is_one_restart_whatever_befalls_the_write(
    host: Daemon, fault: Fault, key: str
) -> None:
    web(host, image="web:1")
    host.world.at_write(1, fault)
    outcome, _facts = web(host, force_update=key)
    assert outcome.changed
    service = host.swarm_or_fail().service("web")
    assert service.spec["TaskTemplate"]["ForceUpdate"] == 1
    assert [task["DesiredState"] for task in service.tasks] == ["shutdown", "running"]


def test_a_restart_begins_with_what_others_have_restarted(host: Daemon) -> None:
    web(host, image="web:1")

    def restarted_by_another(daemon: Daemon, perform: Any) -> Any:
        service = daemon.swarm_or_fail().service("web")
        template = {**service.spec["TaskTemplate"], "ForceUpdate": 7}
        spec = {**service.spec, "TaskTemplate": template}
        daemon.swarm_or_fail().update_service("web", {"version": str(service.version)}, spec)
        return perform()

    host.world.at_write(1, restarted_by_another)
    web(host, force_update="2026-11")
    spec = host.swarm_or_fail().service("web").spec
    assert spec["TaskTemplate"]["ForceUpdate"] == 7
    assert spec["Labels"] == {"shoal.swarm/force_update": "2026-11"}


# Images and registries


def test_the_registry_is_asked_once_however_often_we_look(host: Daemon) -> None:
    host.world.registry.digests = {"web:1": "sha256:111", "web:2": "sha256:222"}
    web(host, image="web:1", replicas=2)
    host.world.at_write(1, conflict)
    host.world.at_write(2, conflict)
    host.world.registry.asked.clear()
    assert web(host, image="web:2")[0].changed
    assert host.world.registry.asked == ["web:2"]
    assert image_of(host) == "web:2@sha256:222"


def test_the_registry_is_not_asked_for_what_is_there_or_where_nobody_shall(host: Daemon) -> None:
    host.world.registry.digests = {"web:1": "sha256:111"}
    web(host, image="web:1")
    host.world.registry.asked.clear()
    web(host, image="web:1")
    web(host, image="web:9", resolve_image="never")
    web(host, replicas=2, resolve_image="always")
    web(host, state="rolled_back")
    web(host, image="web:9", state="absent")
    assert host.world.registry.asked == []


LOGIN = {"username": "ann", "password": "s3cret"}


def login_of(host: Daemon) -> dict[str, str]:
    auth = host.swarm_or_fail().service("web").auth
    return json.loads(base64.urlsafe_b64decode(auth)) if auth else {}


def test_credentials_go_with_the_service_and_are_shown_nowhere(host: Daemon) -> None:
    host.world.registry.login = ("ann", "s3cret")
    host.world.registry.digests = dict.fromkeys(
        ("registry.example.com/web:1", "registry.example.com/web:2"), "sha256:111"
    )
    for image in ("web:1", "web:2"):
        name = f"registry.example.com/{image}"
        outcome, facts = web(host, image=name, registry_auth=LOGIN)
        assert outcome.warnings == ()
        assert image_of(host) == f"{name}@sha256:111"
        assert login_of(host) == {**LOGIN, "serveraddress": "registry.example.com"}
        told = json.dumps([for_ansible(outcome.actions), facts])
        for secret in ("s3cret", host.swarm_or_fail().service("web").auth):
            assert secret not in told
    # An update without credentials keeps those that are there.
    web(host, replicas=2)
    assert login_of(host)["password"] == "s3cret"


def test_credentials_for_docker_hub_carry_its_own_address(host: Daemon) -> None:
    web(host, image="web:1", registry_auth=LOGIN)
    assert login_of(host)["serveraddress"] == "https://index.docker.io/v1/"


def test_without_credentials_none_are_sent(host: Daemon) -> None:
    web(host, image="web:1")
    assert login_of(host) == {}


# Environment


def test_variables_come_from_files_in_their_order_and_from_the_option_over_them(
    host: Daemon, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.env", tmp_path / "two.env"
    one.write_text("\ufeff# comment\nA=1\n\nB= two words \n  C=3\nQ=a=b\n", encoding="utf-8")
    two.write_text("A=2\r\nEMPTY=\r\n", encoding="utf-8")
    given: dict[str, Any] = {
        "image": "web:1",
        "env_files": [str(one), str(two)],
        "env": {"C": "four"},
    }
    web(host, **given)
    container = host.swarm_or_fail().service("web").spec["TaskTemplate"]["ContainerSpec"]
    assert sorted(container["Env"]) == ["A=2", "B= two words ", "C=four", "EMPTY=", "Q=a=b"]
    assert not web(host, **given)[0].changed
    two.write_text("A=3\n", encoding="utf-8")
    (action,) = web(host, **given)[0].actions
    assert action.after["env"] == ["A=3", "B= two words ", "C=four", "Q=a=b"]
    (tmp_path / "none.env").write_text("", encoding="utf-8")
    assert web(host, env_files=[str(tmp_path / "none.env")])[0].actions[0].after == {"env": []}


@pytest.mark.parametrize("line", ["A", "=1", "A B", "A =1", "export A=1"])
def test_a_line_that_is_no_variable_is_refused_by_its_number(
    host: Daemon, tmp_path: Path, line: str
) -> None:
    file = tmp_path / "web.env"
    file.write_text(f"# comment\n{line}\n", encoding="utf-8")
    with pytest.raises(InvalidOption) as caught:
        web(host, image="web:1", env_files=[str(file)])
    assert str(caught.value) == f"env_files: {file}, line 2: is not NAME=value"


def test_a_file_that_is_no_text_is_refused(host: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_bytes(b"A=\xff\xfe")
    with pytest.raises(InvalidOption, match=r"^env_files: .*web\.env cannot be read: "):
        web(host, image="web:1", env_files=[str(file)])
    # To remove a service takes no variables.
    assert not web(host, state="absent", env_files=[str(file)])[0].changed


# Raw fields


def test_what_the_engine_does_not_keep_is_told(host: Daemon) -> None:
    raw = {"TaskTemplate": {"ContainerSpec": {"Fancy": 1}}}
    outcome, _facts = web(host, image="web:1", resolve_image="never", spec=raw)
    assert outcome.warnings == (
        "the engine took spec and did not keep it as given: the next run will change it again",
    )
    assert web(host, check_mode=True, spec=raw, resolve_image="never")[0].changed


# Tasks that end, and jobs


def test_tasks_that_have_failed_for_good_are_not_waited_for(host: Daemon) -> None:
    host.world.endings["web:1"] = Ending((7,), after=2)
    host.world.output["web:1"] = [("stdout", "starting\n"), ("stderr", "out of luck\n")]
    with pytest.raises(NotConverged) as caught:
        web(host, image="web:1", restart_config={"condition": "none"})
    assert "1 of 1 tasks have ended for good; failed on node" in str(caught.value)
    assert "task: non-zero exit (7)" in str(caught.value)
    assert "failed with exit code 7, and its log ends: " in str(caught.value)
    assert "out of luck" in str(caught.value)
    assert host.world.now() < 4


def test_tasks_are_given_up_after_so_many_attempts(host: Daemon) -> None:
    host.world.endings["web:1"] = Ending((7,))
    restart = {"condition": "on-failure", "max_attempts": 2, "delay": "1s"}
    with pytest.raises(NotConverged, match="1 of 1 tasks have ended for good"):
        web(host, image="web:1", restart_config=restart)
    assert len(host.swarm_or_fail().service("web").tasks) == 3
    assert host.world.now() < 10


def test_a_crash_loop_fails_at_the_deadline(host: Daemon) -> None:
    host.world.endings["web:1"] = Ending((1,))
    with pytest.raises(NotConverged, match=r"did not happen within 30 s: .*non-zero exit \(1\)"):
        web(host, image="web:1", wait_timeout=30)
    assert len(host.swarm_or_fail().service("web").tasks) > 3


@pytest.mark.parametrize("after", [1, 4])
def test_a_crash_loop_is_none_the_better_for_an_update_that_is_completed(
    host: Daemon, after: int
) -> None:
    """Not in the run that makes it, where the update goes on in spite of it, nor in a later one."""
    update = {"failure_action": "continue"}
    web(host, image="web:1", update_config=update)
    host.world.endings["web:2"] = Ending((1,), after=after)
    for _run in range(5):
        with pytest.raises(NotConverged, match=r"non-zero exit \(1\)"):
            web(host, image="web:2", update_config=update, wait_timeout=30)
    update = host.swarm_or_fail().service("web").update_status or {}
    assert update["State"] == "completed"


def test_a_container_that_ends_well_and_shall_not_is_no_success(host: Daemon) -> None:
    host.world.endings["web:1"] = Ending(after=3)
    with pytest.raises(NotConverged, match="its container has ended, with exit code 0"):
        web(host, image="web:1", wait_timeout=30)
    assert host.world.now() >= 30


@pytest.mark.parametrize("condition", ["none", "on-failure"])
def test_a_task_that_may_end_is_done_when_it_has(host: Daemon, condition: str) -> None:
    host.world.endings["web:1"] = Ending()
    given: dict[str, Any] = {
        "image": "web:1",
        "replicas": 2,
        "restart_config": {"condition": condition},
    }
    web(host, **given)
    assert not web(host, **given)[0].changed
    assert host.world.now() < 4


def test_a_job_is_waited_for_until_its_last_task_is_complete(host: Daemon) -> None:
    host.world.endings["job:1"] = Ending(after=10)
    given: dict[str, Any] = {
        "image": "job:1",
        "mode": "replicated-job",
        "replicas": 5,
        "max_concurrent": 2,
    }
    web(host, **given)
    assert 30 <= host.world.now() < 32
    service = host.swarm_or_fail().service("web")
    assert [task["Status"]["State"] for task in service.tasks] == ["complete"] * 5
    assert not web(host, **given)[0].changed
    assert len(service.tasks) == 5
    # Changed, it runs again, all of it.
    assert web(host, replicas=6)[0].changed
    assert len(service.tasks) == 11
    assert 60 <= host.world.now() < 64


def test_a_job_on_each_node_is_waited_for(host: Daemon) -> None:
    host.world.endings["job:1"] = Ending(after=10)
    web(host, image="job:1", mode="global-job")
    assert 10 <= host.world.now() < 11
    assert len(host.swarm_or_fail().service("web").tasks) == 2


def test_a_job_whose_task_is_started_again_elsewhere_is_not_lost(host: Daemon) -> None:
    host.world.endings["job:1"] = Ending((1, 0), after=2)
    restart = {"condition": "on-failure", "delay": "1s"}
    web(host, image="job:1", mode="replicated-job", replicas=2, restart_config=restart)
    tasks = host.swarm_or_fail().service("web").tasks
    assert sorted((task.get("Slot"), task["Status"]["State"]) for task in tasks[1::2]) == [
        (1, "complete"),
        (1, "failed"),
    ]
    assert len({task["NodeID"] for task in tasks if "Slot" not in task}) == 2


def test_a_job_that_fails_for_good_is_told_at_once(host: Daemon) -> None:
    host.world.endings["job:1"] = Ending((3,), after=1)
    for restart, tasks in (({"condition": "none"}, 1), ({"max_attempts": 2, "delay": "1s"}, 3)):
        started = host.world.now()
        with pytest.raises(NotConverged) as caught:
            web(host, image="job:1", mode="replicated-job", restart_config=restart)
        assert "1 of 1 tasks have failed for good; failed on node" in str(caught.value)
        assert "task: non-zero exit (3)" in str(caught.value)
        assert host.world.now() - started < 4 * tasks
        web(host, state="absent")


def test_a_service_that_somebody_else_changes_meanwhile_is_not_called_as_asked(
    host: Daemon,
) -> None:
    def interfere() -> None:
        service = host.swarm_or_fail().service("web")
        spec = {**service.spec, "Mode": {"Replicated": {"Replicas": 1}}}
        host.swarm_or_fail().update_service("web", {"version": str(service.version)}, spec)

    host.world.later(3, interfere)
    with pytest.raises(NotConverged) as caught:
        web(host, image="web:1", replicas=2)
    assert "somebody else has changed service web while this task waited for it" in str(
        caught.value
    )
    assert "but not with the replicas of this task" in str(caught.value)


def test_what_somebody_else_changes_meanwhile_is_theirs_where_the_task_does_not_name_it(
    host: Daemon,
) -> None:
    def interfere() -> None:
        service = host.swarm_or_fail().service("web")
        spec = {**service.spec, "Labels": {"team": "ops"}}
        host.swarm_or_fail().update_service("web", {"version": str(service.version)}, spec)

    host.world.later(3, interfere)
    assert web(host, image="web:1", replicas=2)[0].changed
    assert host.swarm_or_fail().service("web").spec["Labels"] == {"team": "ops"}
