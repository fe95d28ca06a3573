# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules declare: options as documented, as the peers have them, and what stays hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator

from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    CONNECTION_ARGUMENTS,
    WAIT_ARGUMENTS,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import ROWS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import wanted
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_info import NO_ENGINE
from ansible_collections.shoal.swarm.tests.unit import modules_under_test
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import (
    HOST_MODULES,
    MODULES,
    arguments,
    declaration,
    documented,
    module,
    params,
)

TESTS = Path(modules_under_test.__file__).parent
PEERS = yaml.safe_load((TESTS / "peers.yml").read_text(encoding="utf-8"))
COLLECTION = TESTS.parent.parent
every_module = pytest.mark.parametrize("name", [*MODULES, *HOST_MODULES])
every_module_with_a_connection = pytest.mark.parametrize("name", MODULES)

Arguments = Mapping[str, Mapping[str, Any]]


def test_every_module_is_tested_here_and_with_a_connection_in_the_action_group() -> None:
    files = sorted(path.stem for path in (COLLECTION / "plugins" / "modules").glob("*.py"))
    runtime = yaml.safe_load((COLLECTION / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert files == sorted([*MODULES, *HOST_MODULES])
    assert sorted(MODULES) == sorted(runtime["action_groups"]["swarm"])


# Documentation


@every_module
def test_the_documented_options_are_the_options(name: str) -> None:
    assert list(differences(documented(name), arguments(name))) == []


def differences(documentation: Arguments, spec: Arguments, prefix: str = "") -> Iterator[str]:
    for name in sorted({*documentation, *spec}):
        where = prefix + name
        if name not in documentation:
            yield f"{where} is not documented"
            continue
        if name not in spec:
            yield f"{where} is documented only"
            continue
        told, is_ = documentation[name], spec[name]
        for part, otherwise in (
            ("type", "str"),
            ("elements", None),
            ("default", None),
            ("choices", None),
            ("required", False),
            ("aliases", None),
        ):
            in_docs, in_spec = told.get(part, otherwise), is_.get(part, otherwise)
            if in_docs != in_spec:
                yield f"{where}.{part}: {in_docs!r} in the docs, {in_spec!r} in the spec"
        yield from differences(told.get("suboptions", {}), is_.get("options", {}), f"{where}.")


@every_module
def test_every_example_is_a_task_that_its_module_takes(name: str) -> None:
    used = set()
    for task in yaml.safe_load(module(name).EXAMPLES):
        for key, options in task.items():
            collection, _dot, short = key.rpartition(".")
            if collection == "shoal.swarm":
                used.add(short)
                given = {option: plain(value) for option, value in (options or {}).items()}
                taken = params(short, given)
                if short == "service":
                    # Values that Ansible does not check: ports, durations, sizes ...
                    wanted(ROWS, taken)
    assert name in used


def plain(value: Any) -> Any:
    """What an expression in an example might become: addresses are a list, labels a mapping."""
    if not (isinstance(value, str) and value.startswith("{{")):
        return value
    if "now()" in value:
        return 1.5
    return ["10.0.0.11"] if "managers" in value else {"a": "b"} if "labels" in value else "text"


# Of the modules that only read; that these are the names, their own tests check.
RETURNED = {
    "service_info": {"exists", "service", "services"},
    "service_logs": {"lines", "stdout", "stdout_lines", "complete"},
    "stack_info": {"exists", "stacks", "results"},
    "swarm_info": {*NO_ENGINE, "join_tokens", "unlock_key"},
}


@every_module_with_a_connection
def test_what_a_module_returns_is_documented(name: str) -> None:
    returned = yaml.safe_load(module(name).RETURN)
    if name in RETURNED:
        assert set(returned) == RETURNED[name]
    else:
        assert "changes" in returned


# Check mode, secrets, the wait


@every_module_with_a_connection
def test_every_module_knows_check_mode_and_a_certificate_with_its_key(name: str) -> None:
    assert declaration(name)["supports_check_mode"] is True
    assert ("client_cert", "client_key") in declaration(name)["required_together"]


@every_module
def test_options_that_hold_a_secret_are_not_logged_and_no_others(name: str) -> None:
    hidden = {option for option, argument in arguments(name).items() if argument.get("no_log")}
    secrets = {
        "secret": {"data"},
        "stack": {"objects"},
        "swarm_init": {"signing_ca_key"},
        "swarm_join": {"join_token"},
        "swarm_unlock": {"unlock_key"},
        "swarm_unlock_state": {"unlock_key"},
    }
    assert hidden == secrets.get(name, set())


@every_module
def test_options_whose_name_looks_like_a_secret_say_that_they_are_none(name: str) -> None:
    # Ansible warns about them otherwise.
    for option, argument in arguments(name).items():
        if any(word in option for word in ("token", "unlock_key")):
            assert "no_log" in argument, option


@pytest.mark.parametrize(
    "name", ["network", "node", "service", "swarm_init", "swarm_join", "swarm_unlock"]
)
def test_modules_that_wait_have_the_same_options_for_it(name: str) -> None:
    assert {option: arguments(name)[option] for option in WAIT_ARGUMENTS} == WAIT_ARGUMENTS


# The peers


@every_module_with_a_connection
def test_the_connection_is_the_one_that_users_of_the_peers_know(name: str) -> None:
    assert set(PEERS["connection"]) == set(CONNECTION_ARGUMENTS)
    for option, theirs in PEERS["connection"].items():
        ours = arguments(name)[option]
        assert ours["type"] == theirs["type"], option
        for part in ("default", "aliases"):
            assert ours.get(part) == theirs.get(part), (option, part)
        variables = ours["fallback"][1] if "fallback" in ours else []
        assert variables == ([theirs["env"]] if "env" in theirs else []), option


PAIRS = (
    ("swarm_init", "docker_swarm"),
    ("swarm_join", "docker_swarm"),
    ("node", "docker_node"),
    ("node_label", "docker_node"),
    ("swarm_info", "docker_swarm_info"),
    ("service_info", "docker_swarm_service_info"),
    ("service", "docker_swarm_service"),
    ("secret", "docker_secret"),
    ("config", "docker_config"),
    ("network", "docker_network"),
    ("stack", "docker_stack"),
)
# Where a value of theirs is not one of ours, and why.
DIFFERENT = {
    # `join` and `remove` are what swarm_join does with present and absent.
    ("swarm_join", "state", "join"),
    ("swarm_join", "state", "remove"),
    # Networks of a host are docker_network's.
    ("network", "scope", "local"),
    ("network", "scope", "global"),
}
SAMPLES = {
    "str": "text",
    "int": 5,
    "float": 0.5,
    "bool": True,
    "dict": {"a": "b"},
    "path": "/etc/ssl/ca.pem",
    "raw": ["text"],
}


def samples(argument: Mapping[str, Any]) -> list[Any]:
    """Values that the peer takes for this option."""
    if "choices" in argument:
        return list(argument["choices"])
    if "options" in argument:
        parts = {name: samples(part)[0] for name, part in argument["options"].items()}
        if "order" in parts:
            # The peer takes any text; the engine does not.
            parts["order"] = "start-first"
        # The engine loses them on the way to the swarm.
        parts.pop("aux_addresses", None)
        return [[parts] if argument["type"] == "list" else parts]
    if argument["type"] == "list":
        return [[SAMPLES[argument["elements"]]]]
    return [SAMPLES[argument["type"]]]


def shared() -> Iterator[tuple[str, str, Any]]:
    for ours, theirs in PAIRS:
        for option, argument in PEERS[theirs].items():
            # In docker_swarm_info it is a switch, here the nodes are always told.
            if option in arguments(ours):
                for value in samples(argument):
                    if not isinstance(value, str) or (ours, option, value) not in DIFFERENT:
                        yield ours, option, value


@pytest.mark.parametrize(("name", "option", "value"), list(shared()))
def test_an_option_that_the_peers_have_takes_what_theirs_takes(
    name: str, option: str, value: Any
) -> None:
    argument = {**arguments(name)[option], "required": False}
    result = ModuleArgumentSpecValidator({option: argument}).validate({option: value})
    assert result.error_messages == []
    assert result.validated_parameters[option] not in (None, "")
    if argument.get("elements") == "raw" and isinstance(value[0], Mapping):
        # Ansible lets everything through; the row itself looks at it.
        assert wanted(ROWS, result.validated_parameters)


def test_most_options_of_the_peers_are_here_by_the_same_name() -> None:
    ours = {*arguments("swarm_init"), *arguments("swarm_join")}
    # The swarm's name can only be "default"; a node is removed by its own module.
    assert set(PEERS["docker_swarm"]) - ours == {"name", "node_id"}
    ours = {*arguments("node"), *arguments("node_label")}
    each = set(arguments("node")["nodes"]["options"])
    assert set(PEERS["docker_node"]) - ours == {"availability", "role"} & each
    assert set(PEERS["docker_secret"]) <= set(arguments("secret"))
    assert set(PEERS["docker_config"]) <= set(arguments("config"))
    # The CLI is not used, and a removal is waited for.
    assert set(PEERS["docker_stack"]) - set(arguments("stack")) == {
        *("absent_retries", "absent_retries_interval", "cli_context", "docker_cli")
    }
    # What is one host's alone, and IPv4, which every network of a swarm has.
    assert set(PEERS["docker_network"]) - set(arguments("network")) == {
        *("appends", "config_only", "connected"),
        "enable_ipv4",
    }
