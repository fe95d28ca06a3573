# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every case of the case files: planned, carried out, and planned again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._diff import for_ansible
from ansible_collections.shoal.swarm.plugins.module_utils._errors import SwarmError
from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    CONNECTION_ARGUMENTS,
    WAIT_ARGUMENTS,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import ROWS
from ansible_collections.shoal.swarm.plugins.module_utils._usecase import (
    _drain,
    _network,
    _service,
    _swarm_init,
    _swarm_join,
    _swarm_unlock,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.modules import config, node, node_label, secret
from ansible_collections.shoal.swarm.tests.unit.case_files import (
    Case,
    build,
    cases,
    with_names_resolved,
)
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Daemon
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import arguments, params

USE_CASES: dict[str, Callable[..., tuple[Outcome[Any], dict[str, Any]]]] = {
    "config": config.ensure_config,
    "drain": _drain.ensure,
    "network": _network.ensure,
    "node": node.manage,
    "node_label": node_label.label,
    "secret": secret.ensure_secret,
    "service": _service.ensure,
    "swarm_init": _swarm_init.ensure,
    "swarm_join": _swarm_join.ensure,
    "swarm_unlock": _swarm_unlock.ensure,
}
CASES = cases()

# Options of which no action speaks: how to find the object, what is allowed, what is returned.
HOW_TO_ROLL = {"name", "data_is_b64", "force", "rolling_versions", "versions_to_keep"}
WITHOUT_A_DIFFERENCE = {
    "config": HOW_TO_ROLL,
    "drain": {"force", "nodes", "rebalance", "state", "strategy"},
    "network": {"name", "force", "scope"},
    "node": {"nodes"},
    "node_label": {"hostname", "labels_state", "labels_to_remove", "nodes"},
    "secret": {*HOW_TO_ROLL, "adopt"},
    "service": {"name", "resolve_image"},
    "swarm_init": {
        "check_addresses",
        "force",
        "force_new_cluster",
        "join_tokens",
        "signing_ca_key",
        "unlock_key",
    },
    "swarm_join": {"check_addresses", "force", "join_token"},
    "swarm_unlock": {"unlock_key"},
}
# What has its own tests elsewhere: test_service_options.py, test_usecase_service.py,
# test_usecase_file.py.
ELSEWHERE = {
    "config": {"data_src"},
    "secret": {"data_src"},
    "service": {row.name for row in ROWS}
    | {"env_files", "on_rollback", "registry_auth", "with_registry_auth"},
}


def carry_out(case: Case, hosts: list[Daemon], check_mode: bool) -> Outcome[Any]:
    host = hosts[0]
    given = params(case.module, with_names_resolved(case.params, hosts))
    run = Run(check_mode=check_mode, clock=host.world.clock)
    outcome, facts = USE_CASES[case.module](host.engine, given, run)
    assert isinstance(facts, dict)
    return outcome


def versions(hosts: list[Daemon]) -> list[tuple[str, int]]:
    swarms = {id(host.swarm): host.swarm for host in hosts if host.swarm}.values()
    return [(thing.id, thing.version) for swarm in swarms for thing in swarm.objects()]


def covers(actual: Any, expected: Any) -> bool:
    """Whether what is expected is there, and not there where that is null; the rest is the same."""
    if isinstance(expected, Mapping):
        return isinstance(actual, Mapping) and all(
            covers(actual.get(name), part) for name, part in expected.items()
        )
    if isinstance(expected, list):
        return [*actual] == expected
    return bool(actual == expected)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.module}: {case.name}" for case in CASES])
def test_case(case: Case) -> None:
    world, hosts = build(case.observed)
    if case.refused:
        for check_mode in (True, False):
            with pytest.raises(SwarmError) as caught:
                carry_out(case, hosts, check_mode)
            assert with_names_resolved(case.refused, hosts) in str(caught.value)
            assert "\n" not in str(caught.value)
            assert world.writes == []
        return

    planned = carry_out(case, hosts, check_mode=True)
    expected = with_names_resolved(case.plan, hosts)
    assert world.writes == []
    assert [described(action) for action in planned.actions] == [
        {**action, "arguments": None} for action in expected
    ]
    for action, wanted in zip(planned.actions, expected):
        assert covers(action.arguments, wanted.get("arguments", {})), action.arguments
    assert case.warns in "".join(planned.warnings)
    assert "registry" not in case.observed or bool(planned.warnings) is bool(case.warns)

    applied = carry_out(case, hosts, check_mode=False)
    assert for_ansible(applied.actions) == for_ansible(planned.actions)
    assert bool(world.writes) is bool(case.plan)

    before = versions(hosts)
    again = carry_out(case, hosts, check_mode=False)
    assert again.changed is case.changes_again
    assert (versions(hosts) != before) is case.changes_again


def described(action: Action) -> dict[str, Any]:
    return {
        "summary": action.summary,
        "operation": action.operation,
        "before": action.before,
        "after": action.after,
        "arguments": None,
    }


@pytest.mark.parametrize("module", USE_CASES)
def test_every_option_has_a_case_that_changes_and_one_that_does_not(module: str) -> None:
    own = set(arguments(module)) - set(CONNECTION_ARGUMENTS) - set(WAIT_ARGUMENTS)
    own -= ELSEWHERE.get(module, set())
    changing, idle = set(), set()
    for case in CASES:
        if case.module != module:
            continue
        named = set(case.params)
        if case.plan:
            shown = {
                name.partition(".")[0]
                for action in case.plan
                for name in (*action["before"], *action["after"])
            }
            changing |= named & (shown | WITHOUT_A_DIFFERENCE[module])
        elif not case.refused:
            idle |= named
    assert own - changing == set()
    assert own - idle - WITHOUT_A_DIFFERENCE[module] == set()
