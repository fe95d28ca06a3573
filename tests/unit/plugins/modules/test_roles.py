# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of the roles: each is documented everywhere, and may come as text.

`ansible-playbook -e name=false` gives the text "false", which Jinja takes for true, and the check
of the argument specification does not turn it into anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.shoal.swarm.tests.unit import modules_under_test

ROLES = Path(modules_under_test.__file__).parents[2] / "roles"
# The types whose filters have the same names.
CONVERTED = ("bool", "int")

every_role = pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir()))


def options_of(role: str) -> dict[str, Any]:
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return {
        name: option
        for entry in specs["argument_specs"].values()
        for name, option in entry.get("options", {}).items()
    }


def typed() -> dict[str, str]:
    """The filter that each variable needs which is more than a text."""
    return {
        name: option["type"]
        for role in ROLES.iterdir()
        for name, option in options_of(role.name).items()
        if option.get("type") in CONVERTED
    }


def lines() -> Iterator[tuple[str, str]]:
    for path in sorted(ROLES.rglob("*")):
        if path.is_file() and {"tasks", "templates", "vars"}.intersection(path.parts):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield f"{path.relative_to(ROLES)}:{number}", line


def bare(line: str, name: str, word: str) -> bool:
    """Whether the line works with the text, instead of handing it on to a module, or naming it."""
    if line.lstrip().startswith("#") or line.rstrip().endswith(f': "{{{{ {name} }}}}"'):
        return False
    used = rf"(?<!\.)\b{name}\b(?! to true)"
    return bool(re.search(rf"{used}(?!(?: \| default\(\w+\))? \| {word}\b)", line))


def test_what_is_no_text_is_converted_where_it_is_used() -> None:
    variables = typed()
    wrong = [
        f"{place}: {name} without | {word}"
        for place, line in lines()
        for name, word in variables.items()
        if bare(line, name, word)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("line", "is_bare"),
    [
        ("when: seen or not role_flag", True),
        ("{{ [] if role_flag else [1] }}", True),
        ("when: seen or not role_flag | bool", False),
        ("x: {{ role_flag | default(false) | bool }}", False),
        ('force: "{{ role_flag }}"', False),
        ("or set role_flag to true.", False),
        ("# role_flag", False),
    ],
)
def test_what_counts_as_bare(line: str, is_bare: bool) -> None:
    assert bare(line, "role_flag", "bool") is is_bare


@every_role
def test_variables_are_the_same_everywhere(role: str) -> None:
    documented = set(options_of(role))
    defaults = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text(encoding="utf-8"))
    required = {name for name, option in options_of(role).items() if option.get("required")}
    assert set(defaults) | required == documented
    readme = (ROLES / role / "README.md").read_text(encoding="utf-8")
    assert documented <= set(re.findall(rf"`({role}_\w+)`", readme))
