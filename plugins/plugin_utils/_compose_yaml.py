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
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_BOOLEAN = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_MERGE = re.compile(r"<<\Z")
# What PyYAML quotes of a file in its messages; marks of YAML's own and its names for them stay.
_QUOTED = re.compile(r""" (?:'[^'<\\][^']+'|"[^"]{2,}")""")

# A document may come to more than this many values only where at least one in a hundred of them is
# written, and not an alias of what is. That is go-yaml's limit as well.
_ALWAYS_ALLOWED = 1000
_TIMES_WRITTEN = 100


class _Loader(yaml.SafeLoader):
    """PyYAML with go-yaml's rules for plain scalars."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (AttributeError, LookupError, TypeError, ValueError):
            # PyYAML stumbles over a text that is not of its tag, such as `!!bool perhaps`.
            _refuse("what stands here does not fit its tag", node)


def _refuse(why: str, node: Any) -> NoReturn:
    raise _Refused(None, None, why, node.start_mark)


class _Refused(yaml.MarkedYAMLError):
    """YAML that no compose file has."""


def _check(root: Any) -> None:
    """Refuse what go-yaml does, by the nodes as they are written.

    While values are made PyYAML puts the keys of `<<` into the nodes, and they seem to be there
    twice then.
    """
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        """How many values the node comes to with its aliases, of which each is looked at once."""
        if id(node) not in sizes:
            sizes[id(node)] = 0
            sizes[id(node)] = 1 + sum(size(part) for part in _parts(node))
        elif not sizes[id(node)]:
            _refuse("what stands here holds itself", node)
        return sizes[id(node)]

    if size(root) > max(_ALWAYS_ALLOWED, _TIMES_WRITTEN * len(sizes)):
        _refuse("the aliases in it come to too many values", root)


def _parts(node: Any) -> Iterator[Any]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _refuse(
                    "a mapping or a list cannot be a key: text that begins with { or [ needs "
                    "quotes, and a variable is written ${NAME}",
                    key,
                )
            if key.value in keys:
                _refuse(f"the key {key.value} is there twice", key)
            keys.add(key.value)
            yield value


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
    """The one document in the content of the file; InvalidOption where it is not YAML.

    The message has the place and never what stands there, which may be a secret: a file may be
    given by mistake.
    """
    try:
        # It has no types.
        loader: Any = _Loader(content)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            _check(root)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        kind = "" if isinstance(error, _Refused) else "is not YAML: "
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        why = ", ".join(part for part in (error.context, error.problem) if part)
        raise InvalidOption(f"{name}: {place}{kind}{_QUOTED.sub('', why)}") from None
    except yaml.reader.ReaderError as error:
        where = f"a character at position {error.position}: {error.reason}"
        raise InvalidOption(f"{name}: is not YAML: {where}") from None
    except RecursionError:
        raise InvalidOption(f"{name}: is not YAML that can be read: it nests too deep") from None
