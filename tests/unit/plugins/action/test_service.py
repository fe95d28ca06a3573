# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugins that show a wait, with real tasks and modules, and a wire of our own between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible.utils.display import Display

from ansible_collections.shoal.swarm.plugins.action import drain, service, swarm_init
from ansible_collections.shoal.swarm.plugins.module_utils import _wait
from ansible_collections.shoal.swarm.plugins.plugin_utils import _watch
from ansible_collections.shoal.swarm.tests.unit.engine_server import serve
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import run

WEB = {"name": "web", "image": "web:1", "update_config": {"monitor": "3s"}}
# What the module waits for by itself.
BRIEF = {**WEB, "update_config": {"monitor": "1s"}}
# Longer than any module runs here, however slow the machine.
LONG = 3600.0


@dataclass
class Controller:
    """Where the action plugin runs: what it executed, and what it showed."""

    docker_host: str
    world: World
    module: str = "service"
    executed: list[dict[str, Any]] = field(default_factory=list)
    wrapped: list[bool] = field(default_factory=list)
    shown: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    check_mode: bool = False
    environment: list[dict[str, str]] = field(default_factory=list)
    connection: Any = field(
        default_factory=lambda: SimpleNamespace(
            has_native_async=False, _shell=SimpleNamespace(tmpdir="/tmp"), transport="ssh"
        )
    )

    def act(self, arguments: dict[str, Any], **keywords: Any) -> dict[str, Any]:
        task = Task()
        task.action = f"shoal.swarm.{self.module}"
        task.args = {"docker_host": self.docker_host, **arguments}
        # As Ansible leaves it where a task has none.
        for keyword, value in {"environment": [], **keywords}.items():
            setattr(task, keyword, value)
        loader = DataLoader()
        plugin = {"service": service, "drain": drain, "swarm_init": swarm_init}[self.module]
        action = plugin.ActionModule(
            task, self.connection, PlayContext(), loader, Templar(loader), shared_loader_obj=None
        )
        action._execute_module = self.execute
        variables = {"inventory_hostname": "node1", "ansible_play_batch": ["node1"]}
        self.check_mode = bool(task.check_mode)
        self.environment = task.environment
        result = action.run(task_vars=variables)
        # The task's own is as it was.
        assert task.environment == keywords.get("environment", [])
        return result

    def execute(
        self, module_args: dict[str, Any], task_vars: dict[str, Any], wrap_async: bool
    ) -> dict[str, Any]:
        assert task_vars["inventory_hostname"] == "node1"
        environment = {name: value for part in self.environment for name, value in part.items()}
        if self.executed:
            # What was begun is over, but not before it has been shown.
            self.world.sleep(LONG)
        self.executed.append(environment)
        self.wrapped.append(wrap_async)
        if wrap_async:
            return {"ansible_job_id": "j1", "started": 1, "finished": 0}
        with mock.patch.dict(os.environ, environment):
            return run(self.module, None, self.check_mode, **module_args)

    def display(self, message: str, **how: Any) -> None:
        # The module's own warnings come from another process, where it is one.
        if "WARNING" not in message:
            self.shown.append((message, how))

    @property
    def lines(self) -> list[str]:
        assert all(how == {"stderr": True} for _message, how in self.shown)
        return [message for message, _how in self.shown]


def ends(shown: list[str]) -> list[str]:
    """The first and the last; what is seen between them is a matter of luck."""
    return [shown[0], shown[-1]]


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    # Ten times as fast as time goes here.
    world = World(pace=10)
    host = world.host("node1", "10.0.0.11")
    with serve(host) as docker_host:
        run("swarm_init", docker_host)
        world.delays.task = LONG
        controller = Controller(docker_host, world)
        monkeypatch.setattr(Display(), "display", controller.display)
        monkeypatch.setattr(_watch, "TERMINAL", None)
        monkeypatch.setattr(_wait, "PACE", 0.1)
        yield controller


def test_a_wait_is_shown_and_the_result_is_that_of_the_module(controller: Controller) -> None:
    result = controller.act(WEB)
    assert ends(controller.lines) == [
        "[node1] service web: 0 of 1 tasks run; slot 1: preparing on node1",
        "[node1] service web: 1 of 1 tasks run",
    ]
    assert result["changed"] is True
    assert [change["action"] for change in result["changes"]] == ["create service web"]
    assert [task["state"] for task in result["tasks"]] == ["running"]
    assert _wait.WATCHED not in result


def test_a_drain_is_shown_and_goes_on_until_its_last_stage(controller: Controller) -> None:
    controller.act(WEB)
    swarm = controller.world.daemons[0].swarm_or_fail()
    controller.world.host("node2", "10.0.0.12").engine.swarm_join(
        {"RemoteAddrs": ["10.0.0.11:2377"], "JoinToken": swarm.tokens()["Worker"]}
    )
    controller.shown.clear()
    controller.module = "drain"
    result = controller.act({"strategy": "start_first"})
    assert controller.lines[0].startswith("[node1] node node1: tasks left: 1; web.1: running | ")
    assert any("node node1: tasks left: none" in line for line in controller.lines)
    assert [change["action"].partition(" (")[0] for change in result["changes"]] == [
        "update node node1",
        "scale up service web",
        "update node node1",
        "scale back service web",
    ]
    assert (result["changed"], result["services"]) == (True, ["web"])
    assert result["nodes"][0]["availability"] == "drain"
    assert swarm.service("web").spec["Mode"] == {"Replicated": {"Replicas": 1}}


def test_the_rotation_of_the_root_ca_is_shown(controller: Controller) -> None:
    controller.world.delays.rotation = LONG
    controller.module = "swarm_init"
    result = controller.act({"ca_force_rotate": 1})
    assert ends(controller.lines) == [
        "[node1] the root CA: 0 of 1 nodes have a new certificate; node1: waits for it (ready)",
        "[node1] the swarm: ready",
    ]
    assert (result["changed"], len(result["changes"])) == (True, 1)


def test_where_nothing_is_to_do_it_is_one_execution_and_silence(controller: Controller) -> None:
    controller.act(WEB)
    controller.executed.clear()
    controller.shown.clear()
    assert controller.act(WEB)["changed"] is False
    assert len(controller.executed) == 1
    assert controller.shown == []


@pytest.mark.parametrize(
    ("arguments", "keywords"), [({"wait": False}, {}), ({}, {"check_mode": True})]
)
def test_where_nothing_is_waited_for_it_is_one_execution_too(
    arguments: dict[str, Any], keywords: dict[str, Any], controller: Controller
) -> None:
    assert controller.act({**WEB, **arguments}, **keywords)["changed"] is True
    assert len(controller.executed) == 1
    assert controller.shown == []


def test_a_task_without_log_shows_nothing_and_the_module_waits_by_itself(
    controller: Controller,
) -> None:
    controller.world.delays.task = 3
    result = controller.act(BRIEF, no_log=True)
    assert [task["state"] for task in result["tasks"]] == ["running"]
    assert controller.executed == [{}]
    assert controller.shown == []


@pytest.mark.parametrize("native", [False, True])
def test_with_async_the_module_is_handed_over(native: bool, controller: Controller) -> None:
    controller.connection.has_native_async = native
    controller.world.delays.task = 3
    result = controller.act(BRIEF, async_val=60)
    assert controller.wrapped == [not native]
    assert ("ansible_job_id" in result) is not native
    assert controller.executed == [{}]
    assert controller.shown == []


def test_the_host_of_a_task_that_is_delegated_is_both(controller: Controller) -> None:
    controller.act(WEB, delegate_to="manager1")
    assert controller.lines[0].startswith("[node1 -> manager1] service web: 0 of 1")


def test_the_tasks_own_environment_is_there_each_time(controller: Controller) -> None:
    controller.act(WEB, environment=[{"DOCKER_TIMEOUT": "20"}])
    assert [environment["DOCKER_TIMEOUT"] for environment in controller.executed] == ["20"] * len(
        controller.executed
    )
    assert len(controller.executed) > 1


def test_a_failure_is_the_modules(controller: Controller) -> None:
    controller.world.broken_images["web:9"] = "No such image: web:9"
    result = controller.act({**WEB, "image": "web:9", "wait_timeout": 2})
    assert result["msg"].startswith("service web being as asked did not happen within 2 s: 0 of 1")
    # It was created all the same.
    assert result["changed"] is True
    assert [change["action"] for change in result["changes"]] == ["create service web"]
    assert [entry["after"]["image"] for entry in result["diff"]] == ["web:9"]
    again = controller.act({**WEB, "image": "web:9", "wait_timeout": 2})
    assert again["failed"] is True
    assert not again.get("changed")


# A terminal


def test_a_terminal_gets_a_picture_and_the_log_gets_lines(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_watch, "TERMINAL", os.terminal_size((80, 24)))
    controller.act(WEB)
    drawn = [message for message, how in controller.shown if how.get("screen_only")]
    assert ends(drawn) == [
        "\r\x1b[J[node1] service web: 0 of 1 tasks run\n  slot 1  preparing on node1",
        "\x1b[2A\r\x1b[J[node1] service web: 1 of 1 tasks run\n  slot 1  running on node1",
    ]
    logged = [message for message, how in controller.shown if how == {"log_only": True}]
    assert logged[0] == "[node1] service web: 0 of 1 tasks run; slot 1: preparing on node1"
    assert len(drawn) + len(logged) == len(controller.shown)


@pytest.mark.parametrize(
    ("batch", "keywords", "verbosity", "callback", "is_drawn"),
    [
        (("node1",), {}, 0, "default", True),
        (("node1",), {}, 2, "ansible.builtin.default", True),
        (("node1", "node2"), {"run_once": True}, 0, "default", True),
        # Others print at the same time.
        (("node1", "node2"), {}, 0, "default", False),
        (("node1",), {}, 3, "default", False),
        (("node1",), {}, 0, "ansible.posix.json", False),
    ],
)
def test_a_picture_is_drawn_only_where_nobody_else_writes(
    batch: tuple[str, ...],
    keywords: dict[str, Any],
    verbosity: int,
    callback: str,
    is_drawn: bool,
    controller: Controller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_watch, "TERMINAL", os.terminal_size((80, 24)))
    monkeypatch.setattr(Display(), "verbosity", verbosity)
    monkeypatch.setattr(
        constants.config, "get_config_value", {"DEFAULT_STDOUT_CALLBACK": callback}.__getitem__
    )
    task = SimpleNamespace(**{"delegate_to": None, "run_once": False, **keywords})
    variables = {"inventory_hostname": "node1", "ansible_play_batch": list(batch)}
    screen = _watch.Screen(SimpleNamespace(_task=task), variables)  # type: ignore[arg-type]
    screen.show((_wait.Section("service web", "no tasks"),))
    assert any("\x1b" in message for message, _how in controller.shown) is is_drawn
