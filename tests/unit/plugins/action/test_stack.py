# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action plugin makes of compose files, with a real task and a module that is not run."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.template import Templar

from ansible_collections.shoal.swarm.plugins.action.stack import ActionModule
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import Stack, unpacked

WEB = {"services": {"web": {"image": "web:1"}}}
PASSWORD: Any = [("default", VaultSecret(b"a password"))]


@dataclass
class Controller:
    """Where the action plugin runs; `target` has the files of the host, by path."""

    folder: Path
    target: dict[str, str] = field(default_factory=dict)
    executed: list[dict[str, Any]] = field(default_factory=list)
    # What the connection is like while a file is read: whether it may show what comes back.
    connection: Any = None
    censored: list[bool] = field(default_factory=list)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def act(self, environment: list[dict[str, Any]] | None = None, **options: Any) -> Any:
        task = Task()
        task.action = "shoal.swarm.stack"
        task.args = options
        task.environment = environment or []
        loader = DataLoader()
        loader.set_basedir(str(self.folder))
        loader.set_vault_secrets(PASSWORD)
        shell = SimpleNamespace(tmpdir="/tmp", env_prefix=lambda **_variables: "")
        # As Ansible has it, the connection's context is another one than the action's.
        self.connection = SimpleNamespace(
            has_native_async=False, _shell=shell, transport="ssh", _play_context=PlayContext()
        )
        action = ActionModule(
            task, self.connection, PlayContext(), loader, Templar(loader), shared_loader_obj=None
        )
        action._execute_module = self.execute  # type: ignore[assignment,method-assign]
        variables = {"inventory_hostname": "node1", "ansible_play_batch": ["node1"]}
        return action.run(task_vars=variables)

    def execute(
        self, module_args: dict[str, Any], module_name: str = "", **_rest: Any
    ) -> dict[str, Any]:
        if module_name == "ansible.builtin.slurp":
            self.censored.append(self.connection._play_context.no_log)
            path = module_args["src"]
            if path not in self.target:
                return {"failed": True, "msg": f"file not found: {path}"}
            return {"content": base64.b64encode(self.target[path].encode()).decode()}
        self.executed.append(module_args)
        return {"changed": False, "warnings": ["the module's own"]}

    def stack(self, **options: Any) -> Stack:
        self.act(**options)
        return unpacked(self.executed[-1]["objects"])

    def refused(self, **options: Any) -> str:
        result = self.act(**options)
        assert result["failed"]
        assert not self.executed
        return str(result["msg"])


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


def image_of(stack: Stack, name: str) -> str:
    return str(stack.services[name]["TaskTemplate"]["ContainerSpec"]["Image"])


def test_the_module_gets_what_the_files_say_and_not_the_files(controller: Controller) -> None:
    controller.write("shop/compose.yml", "services: {web: {image: 'web:1', env_file: ./web.env}}")
    controller.write("shop/web.env", "A=1\n")
    stack = controller.stack(name="shop", compose="shop/compose.yml", prune=True, strict=True)
    assert stack.services["shop_web"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=1"]
    assert set(controller.executed[0]) == {"name", "prune", "objects"}


def test_it_is_found_among_the_files_of_the_playbook(controller: Controller) -> None:
    controller.write("files/compose.yml", "services: {web: {image: 'web:1'}}")
    assert image_of(controller.stack(name="shop", compose=["compose.yml"]), "shop_web") == "web:1"


def test_several_are_merged_files_and_mappings(controller: Controller) -> None:
    controller.write("compose.yml", "services: {web: {image: 'web:1', hostname: one}}")
    more = {"services": {"web": {"image": "web:2"}}}
    stack = controller.stack(name="shop", compose=["compose.yml", more])
    container = stack.services["shop_web"]["TaskTemplate"]["ContainerSpec"]
    assert (container["Image"], container["Hostname"]) == ("web:2", "one")


def test_a_mapping_alone_is_a_stack_and_may_name_it(controller: Controller) -> None:
    stack = controller.stack(compose={"name": "shop", **WEB})
    assert stack.name == controller.executed[0]["name"] == "shop"
    assert controller.stack(name="other", compose={"name": "shop", **WEB}).name == "other"
    controller.executed.clear()
    assert "name is needed" in controller.refused(compose=WEB)


@pytest.mark.parametrize("name", [123, 0])
def test_a_name_that_yaml_takes_for_a_number_is_a_text(controller: Controller, name: int) -> None:
    stack = controller.stack(name=name, compose=WEB)
    assert stack.name == controller.executed[0]["name"] == str(name)
    (spec,) = stack.services.values()
    assert spec["Labels"]["com.docker.stack.namespace"] == str(name)


def test_variables_come_from_the_environment_and_from_env_over_it(controller: Controller) -> None:
    compose = {"services": {"web": {"image": "${NAME}:${TAG}"}}}
    environment: list[dict[str, Any]] = [{"NAME": "one", "TAG": 1}, {"NAME": "two"}]
    controller.act(environment, name="shop", compose=compose, env={"TAG": 7})
    assert image_of(unpacked(controller.executed[0]["objects"]), "shop_web") == "two:7"


def test_a_variable_that_is_not_set_is_a_warning_or_an_error(controller: Controller) -> None:
    compose = {"services": {"web": {"image": "web${TAG}"}}}
    result = controller.act(name="shop", compose=compose)
    assert "the variable TAG is not set" in result["warnings"][0]
    assert result["warnings"][-1] == "the module's own"
    controller.executed.clear()
    refused = controller.refused(name="shop", compose=compose, strict=True)
    assert "compose[0]" in refused
    assert "services.web.image: the variable TAG is not set" in refused


def test_a_file_of_ansible_vault_is_decrypted(controller: Controller) -> None:
    controller.write(
        "compose.yml",
        "services: {web: {image: 'web:1', secrets: [key]}}\nsecrets: {key: {file: ./key}}",
    )
    hidden = VaultLib(PASSWORD).encrypt("what nobody shall see", PASSWORD[0][1])
    controller.write("key", hidden.decode())
    stack = controller.stack(name="shop", compose="compose.yml")
    assert base64.b64decode(stack.secrets["shop_key"]["Data"]) == b"what nobody shall see"


def test_with_remote_src_all_files_are_the_targets(controller: Controller) -> None:
    controller.target = {
        "/srv/compose.yml": "services: {web: {image: 'web:1', env_file: [web.env, "
        "{path: no.env, required: false}]}}",
        "/srv/web.env": "A=1",
    }
    stack = controller.stack(name="shop", compose="/srv/compose.yml", remote_src=True)
    assert stack.services["shop_web"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=1"]
    controller.executed.clear()
    assert "there is no file /srv/other.yml" in controller.refused(
        name="shop", compose="/srv/other.yml", remote_src=True
    )
    assert "paths are absolute, and compose.yml is not" in controller.refused(
        name="shop", compose="compose.yml", remote_src=True
    )


def test_no_connection_shows_what_is_in_the_targets_files(controller: Controller) -> None:
    controller.target = {"/srv/compose.yml": "services: {web: {image: 'web:1'}}"}
    controller.act(name="shop", compose=["/srv/compose.yml", "/srv/no.yml"], remote_src=True)
    assert controller.censored == [True, True]
    assert not controller.connection._play_context.no_log


def test_what_is_wrong_with_all_together_names_the_files(controller: Controller) -> None:
    controller.write("one.yml", "services: {web: {image: 'web:1'}}")
    controller.write("two.yml", "services: {web: {volumes: ['data:/data']}, api: {tty: true}}")
    refused = controller.refused(name="shop", compose=["one.yml", "two.yml"])
    assert refused.startswith("one.yml, two.yml: services.api: there is no image")
    assert "; services.web.volumes.0: there is no volume 'data'" in refused


def test_a_password_given_as_a_compose_file_is_not_told(controller: Controller) -> None:
    for content in ("open-barley-one", "{open-barley-one", "*open-barley-one"):
        controller.write("password.txt", content)
        refused = controller.refused(name="shop", compose="password.txt")
        assert refused.startswith("password.txt: ")
        assert "barley" not in refused


def test_removal_reads_no_file(controller: Controller) -> None:
    controller.act(name="shop", state="absent", compose="no.yml")
    assert controller.executed == [{"name": "shop", "state": "absent"}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compose": "no.yml"}, "Could not find or access 'no.yml'"),
        ({"compose": [7]}, "compose[0] is the name of a file or a mapping, not int"),
        ({"compose": {"services": {"web": {"imaeg": "x"}}}}, "image"),
        (
            {"compose": {**WEB, "configs": {"site": {"file": "./no.conf"}}}},
            "configs.site.file: there is no file",
        ),
        ({"compose": WEB, "strict": "perhaps"}, "strict"),
        ({"compose": WEB, "env": "TAG"}, "env"),
    ],
)
def test_what_is_wrong_is_told_before_the_target_is_asked(
    controller: Controller, options: dict[str, Any], message: str
) -> None:
    assert message in controller.refused(name="shop", **options)


def test_a_file_that_is_not_yaml_is_named(controller: Controller) -> None:
    controller.write("compose.yml", "services: [")
    assert "compose.yml: line 1, column 12: is not YAML" in controller.refused(
        name="shop", compose="compose.yml"
    )
