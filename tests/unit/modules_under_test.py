# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules as Ansible starts them, and what they declare: arguments, documentation."""

from __future__ import annotations

import functools
import importlib
import io
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any
from unittest import mock

import yaml
from ansible.module_utils import _internal
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import warnings
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator
from ansible.module_utils.testing import patch_module_args

MODULES = (
    *("config", "drain", "network", "node", "node_label", "secret"),
    *("service", "service_info", "service_logs", "stack", "stack_info"),
    *("swarm_info", "swarm_init", "swarm_join", "swarm_unlock"),
)
# Those that know nothing of Docker, and so have no connection to it.
HOST_MODULES = ("host_info", "port_probe", "swarm_unlock_state")
PLUGINS = "ansible_collections.shoal.swarm.plugins"


class Declared(Exception):
    """Carries what a module gives to AnsibleModule."""

    def __init__(self, **declaration: Any) -> None:
        super().__init__()
        self.declaration = declaration


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PLUGINS}.modules.{name}")


@functools.cache
def declaration(name: str) -> Mapping[str, Any]:
    """What the module hands to AnsibleModule: its argument spec and the rules between options."""

    def declare(_self: AnsibleModule, **keywords: Any) -> None:
        raise Declared(**keywords)

    with mock.patch.object(AnsibleModule, "__init__", declare):
        try:
            module(name).main()
        except Declared as declared:
            return declared.declaration
    raise AssertionError(f"{name} made no AnsibleModule")


def arguments(name: str) -> Mapping[str, Mapping[str, Any]]:
    return declaration(name)["argument_spec"]


RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if")


def params(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The module's parameters as Ansible makes them of what a task gives."""
    rules = {rule: declaration(name).get(rule) for rule in RULES}
    result = ModuleArgumentSpecValidator(arguments(name), **rules).validate(given)
    assert not result.error_messages, result.error_messages
    return result.validated_parameters


def run(
    module_name: str, docker_host: str | None, check_mode: bool = False, /, **given: Any
) -> dict[str, Any]:
    """Run the module's `main` and give what it prints for Ansible."""
    task = {
        **({"docker_host": docker_host} if docker_host else {}),
        "_ansible_check_mode": check_mode,
        "_ansible_remote_tmp": "/tmp",
        "_ansible_keep_remote_files": False,
        **given,
    }
    printed = io.StringIO()
    # A process carries out one task; here it has many, and none shall tell of another's warnings.
    forget = mock.patch.dict(warnings._global_warnings, clear=True)
    # Tests of the controller's half tell Ansible that all of this process is the controller.
    on_target = mock.patch.object(_internal, "is_controller", False)
    with patch_module_args(task), redirect_stdout(printed), forget, on_target:
        try:
            module(module_name).main()
        except SystemExit:
            pass
    return json.loads(printed.getvalue())


def documented(name: str) -> Mapping[str, Any]:
    """The documented options, those of the fragments included."""
    documentation = yaml.safe_load(module(name).DOCUMENTATION)
    options = dict(documentation["options"])
    for reference in documentation.get("extends_documentation_fragment", []):
        file, _dot, part = reference[len("shoal.swarm.") :].partition(".")
        fragment = importlib.import_module(f"{PLUGINS}.doc_fragments.{file}").ModuleDocFragment
        text = getattr(fragment, part.upper() or "DOCUMENTATION")
        options.update(yaml.safe_load(text)["options"])
    return options
