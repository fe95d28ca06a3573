# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables in the values of a compose file: `$VAR`, `${VAR}`, and what stands in where one is not.

As `docker stack` reads them, and as the Compose Specification says where the CLI has nothing or
does harm: `${VAR:+text}` and `${VAR+text}`; variables and `$$` inside of a default, which the CLI
takes as they stand; and `$VAR-text`, of which it makes `${VAR-text}` and so loses the text, and
which is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Optional

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

# The value of a variable; None where it is not set.
Lookup = Callable[[str], Optional[str]]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_EATEN = re.compile(r":?[-?]")
_NEXT = re.compile(r"\$\$|\$\{|\}")


def substitute(text: str, lookup: Lookup, unset: Callable[[str], None]) -> str:
    """The text with its variables replaced; `unset` is told the name of each that has no value."""
    parts: list[str] = []
    position = 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0:
            return "".join([*parts, text[position:]])
        parts.append(text[position:dollar])
        if text.startswith("$$", dollar):
            parts.append("$")
            position = dollar + 2
        elif text.startswith("${", dollar):
            end = _closing(text, dollar)
            parts.append(_braced(text[dollar + 2 : end], lookup, unset))
            position = end + 1
        else:
            name = _NAME.match(text, dollar + 1)
            if not name:
                raise _malformed()
            _refuse_eaten(name)
            parts.append(_plain(name.group(), lookup, unset))
            position = name.end()


def _malformed() -> InvalidOption:
    """Without the text, which may be all that a config or a password is."""
    return InvalidOption(
        "has a $ that is not a valid use of variables: write $NAME, ${NAME} or ${NAME:-default}, "
        "and $$ for a dollar sign"
    )


def _refuse_eaten(name: re.Match[str]) -> None:
    eaten = _EATEN.match(name.string, name.end())
    if eaten:
        raise InvalidOption(
            f"${name.group()}{eaten.group()} can be read in two ways, and docker stack loses a "
            f"part of it: write ${{{name.group()}}}{eaten.group()}... or "
            f"${{{name.group()}{eaten.group()}...}}"
        )


def _closing(text: str, start: int) -> int:
    """Where the brace ends that opens at `start`."""
    depth = 0
    for match in _NEXT.finditer(text, start):
        if match.group() == "${":
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    raise _malformed()


def _plain(name: str, lookup: Lookup, unset: Callable[[str], None]) -> str:
    value = lookup(name)
    if value is None:
        unset(name)
    return value or ""


def _braced(inner: str, lookup: Lookup, unset: Callable[[str], None]) -> str:
    name_match = _NAME.match(inner)
    if not name_match:
        raise _malformed()
    name, rest = name_match.group(), inner[name_match.end() :]
    if not rest:
        return _plain(name, lookup, unset)
    operator_match = _OPERATOR.match(rest)
    if not operator_match:
        raise _malformed()
    operator, argument = operator_match.group(), rest[operator_match.end() :]
    value = lookup(name)
    has_value = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return substitute(argument, lookup, unset) if has_value else ""
    if has_value:
        return value or ""
    if operator.endswith("-"):
        return substitute(argument, lookup, unset)
    why = substitute(argument, lookup, unset)
    raise InvalidOption(f"the variable {name} has to be set" + (f": {why}" if why else ""))
