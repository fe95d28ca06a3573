# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The YAML of compose files, with the types that the Docker CLI gives its scalars.

Ansible's own reader speaks YAML 1.1, in which `yes` is true, `22:22` is 1342 and a date is no
text. The CLI's (go-yaml) speaks 1.2, but for octal numbers, merge keys and keys given twice, which
are an error.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_BOOLEAN = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_MERGE = re.compile(r"<<\Z")


class _Loader(yaml.SafeLoader):
    """PyYAML with go-yaml's rules for plain scalars."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, _value in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.value in seen and isinstance(key, yaml.ScalarNode):
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value} is there twice", key.start_mark
                    )
                seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _integer(loader: _Loader, node: Any) -> float:
    text = str(loader.construct_scalar(node)).replace("_", "")
    digits = text.lstrip("+-")
    value = int(digits, 8) if re.match(r"0[0-7]+\Z", digits) else int(digits, 0)
    value = -value if text.startswith("-") else value
    # Go has no larger integers, and makes floats of them.
    return value if -(2**63) <= value < 2**64 else float(value)


def _text(loader: _Loader, node: Any) -> str:
    return str(loader.construct_scalar(node))


# The first that matches is taken. The characters are those that each can begin with.
for _tag, _pattern, _first in (
    ("null", _NULL, ["~", "n", "N", ""]),
    ("bool", _BOOLEAN, list("tTfF")),
    ("int", _INTEGER, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("float", _INFINITE, list("-+.")),
    ("merge", _MERGE, ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
# As a value it is a text like any other.
_Loader.add_constructor("tag:yaml.org,2002:merge", _text)


def parse(content: bytes | str, name: str) -> Any:
    """The one document in the content of the file; InvalidOption where it is not YAML."""
    try:
        return yaml.load(content, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidOption(f"{name}: is not YAML: {' '.join(str(error).split())}") from None
