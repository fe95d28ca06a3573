# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment of a service: files of variables, what the service says, what is set outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption


def resolved(
    service: Mapping[str, Any], environment: Mapping[str, str], files: Mapping[str, bytes]
) -> dict[str, Any]:
    """The service with its `env_file` folded into `environment`.

    A variable that has no value, or an empty one, takes that of the same name outside.
    """
    result = {key: value for key, value in service.items() if key != "env_file"}
    variables: dict[str, str | None] = {}
    for entry in service.get("env_file", []):
        try:
            variables.update(_read(entry, environment, files))
        except InvalidOption as error:
            entry["place"].refuse(error)
    variables.update(
        {
            name: environment.get(name, value) if not value else value
            for name, value in service.get("environment", {}).items()
        }
    )
    if variables:
        result["environment"] = dict(sorted(variables.items()))
    return result


def _read(
    entry: Mapping[str, Any], environment: Mapping[str, str], files: Mapping[str, bytes]
) -> dict[str, str]:
    path = entry["path"]
    if path not in files:
        if entry["required"]:
            raise InvalidOption(f"there is no file {path}")
        return {}
    try:
        variables = parse(files[path], environment)
    except InvalidOption as error:
        raise InvalidOption(f"{path}: {error}") from None
    return {name: value or environment.get(name, value) for name, value in variables.items()}


def parse(content: bytes, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file, as docker/cli pkg/kvfile reads it.

    A line is `NAME=value`, without quotes and variables, or `NAME` for one that is set outside;
    empty lines and those that begin with # do not count.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = content[: error.start].count(b"\n") + 1
        raise InvalidOption(f"line {at} is not UTF-8") from None
    variables: dict[str, str] = {}
    for number, whole_line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        line = whole_line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, has_value, value = line.partition("=")
        if not name:
            raise InvalidOption(f"line {number} has no name before '='")
        if " " in name or "\t" in name:
            # Without the line: what stands there may be a secret.
            raise InvalidOption(f"line {number} has a blank in the name of the variable")
        if has_value:
            variables[name] = value
        elif name in environment:
            variables[name] = environment[name]
    return variables
