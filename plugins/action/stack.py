# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of the module stack: it reads the compose files, and shows the wait.

They are beside the playbook, and the YAML reader is here, so that targets need none.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.shoal.swarm.plugins.module_utils._compose._convert import convert
from ansible_collections.shoal.swarm.plugins.module_utils._compose._load import (
    Source,
    files_wanted,
    load,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import packed
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import text_of
from ansible_collections.shoal.swarm.plugins.plugin_utils._compose_yaml import parse
from ansible_collections.shoal.swarm.plugins.plugin_utils._watch import run_watched

Document = dict[str, Any]

# The options that are read here; the module gets what comes of them.
OPTIONS: dict[str, dict[str, Any]] = {
    "compose": {"type": "list", "elements": "raw"},
    "env": {"type": "dict"},
    "strict": {"type": "bool", "default": False},
    "remote_src": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    _supports_async = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        given = {name: arguments.pop(name) for name in OPTIONS if name in arguments}
        warnings: tuple[str, ...] = ()
        if given.get("compose") and arguments.get("state") != "absent":
            try:
                made, warnings = self._made(given, arguments.get("name"), task_vars or {})
            except InvalidOption as error:
                # Not raised: failed_when would not be asked then.
                return {**result, "failed": True, "msg": str(error)}
            arguments.update(made)
        result.update(run_watched(self, arguments, task_vars or {}))
        if warnings:
            result["warnings"] = [*warnings, *result.get("warnings", [])]
        return result

    def _made(
        self, given: Document, name: object, task_vars: Document
    ) -> tuple[Document, tuple[str, ...]]:
        """What the module needs to know of the compose files, and what the user has to be told."""
        options = _validated(given)
        environment = self._variables(options["env"] or {})
        sources, folder = self._sources(options, task_vars)
        files = {}
        for wanted in files_wanted(sources, environment, folder):
            content = self._content(wanted.path, options["remote_src"], task_vars)
            if content is not None:
                files[wanted.path] = content
            elif wanted.required:
                raise InvalidOption(f"{wanted.where}: there is no file {wanted.path}")
        loaded = load(sources, environment, folder, files, options["strict"])
        # As the module has it, which makes a text of the number that YAML made of it.
        name = loaded.name if name in (None, "") else str(name)
        if not name:
            raise InvalidOption("name is needed: as an option, or at the top of the compose file")
        try:
            stack = convert(loaded.document, name, files)
        except InvalidOption as error:
            # What is wrong may have come of all of them together.
            together = ", ".join(source.file for source in sources)
            raise InvalidOption(f"{together}: {error}") from None
        return {"name": name, "objects": packed(stack)}, loaded.warnings

    def _variables(self, env: Mapping[Any, Any]) -> dict[str, str]:
        """The task's environment, and the option env over it."""
        environment: dict[str, Any] = {}
        # It has no types.
        base: Any = self
        base._compute_environment_string(environment)
        return {str(name): text_of(value) for name, value in {**environment, **env}.items()}

    def _sources(self, options: Document, task_vars: Document) -> tuple[list[Source], str]:
        """The parsed files, and the folder of the first one."""
        is_remote = options["remote_src"]
        sources: list[Source] = []
        folders = []
        for number, entry in enumerate(options["compose"]):
            if isinstance(entry, Mapping):
                sources.append(Source(f"compose[{number}]", entry))
                continue
            if not isinstance(entry, str):
                raise InvalidOption(
                    f"compose[{number}] is the name of a file or a mapping, not "
                    f"{type(entry).__name__}"
                )
            path = entry if is_remote else self._found(entry)
            content = self._content(path, is_remote, task_vars)
            if content is None:
                raise InvalidOption(f"compose: there is no file {path}")
            sources.append(Source(entry, parse(content, entry)))
            folders.append(os.path.dirname(path))
        beside = "/" if is_remote else os.path.abspath(self._loader.get_basedir())
        return sources, folders[0] if folders else beside

    def _found(self, path: str) -> str:
        base: Any = self
        try:
            return os.path.abspath(base._find_needle("files", path))
        except AnsibleError as error:
            raise InvalidOption(f"compose: {error}") from error

    def _content(self, path: str, is_remote: bool, task_vars: Document) -> bytes | None:
        """What is in the file, or nothing where there is none."""
        if is_remote:
            return self._slurped(path, task_vars)
        if not os.path.isfile(path):
            return None
        try:
            # Ansible Vault's files are read as what they hold.
            readable = self._loader.get_real_file(path)
            try:
                with open(readable, "rb") as file:
                    return file.read()
            finally:
                self._loader.cleanup_tmp_file(readable)
        except (AnsibleError, OSError) as error:
            raise InvalidOption(f"{path} cannot be read: {error}") from error

    def _slurped(self, path: str, task_vars: Document) -> bytes | None:
        if not os.path.isabs(path):
            raise InvalidOption(f"with remote_src paths are absolute, and {path} is not")
        # The connection's own is a copy of the task's, and with -vvv it shows what comes back.
        connection: Any = self._connection._play_context
        was_silent, connection.no_log = connection.no_log, True
        try:
            answer = self._execute_module(
                module_name="ansible.builtin.slurp", module_args={"src": path}, task_vars=task_vars
            )
        finally:
            connection.no_log = was_silent
        if not answer.get("failed"):
            return base64.b64decode(answer["content"])
        if "not found" in str(answer.get("msg")):
            return None
        raise InvalidOption(f"{path} cannot be read on the target: {answer.get('msg')}")


def _validated(given: Document) -> Document:
    if isinstance(given.get("compose"), Mapping):
        given = {**given, "compose": [given["compose"]]}
    validation = ArgumentSpecValidator(OPTIONS).validate(given)
    if validation.error_messages:
        raise InvalidOption("; ".join(validation.error_messages))
    return dict(validation.validated_parameters)
