# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a document is read by rows: each names a key, how its value is read, and what a swarm does
with it. What is wrong is collected with its place, so that all of it is told at once.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, kind_of

# Longer than any real document nests; one that holds itself (by YAML anchors) nests without end.
_DEEPEST = 50
_TOLD_AT_ONCE = 20
_NAME = re.compile(r"[a-zA-Z0-9._-]+\Z")


@dataclass
class Findings:
    """What was found while documents were read."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # Where a variable without a value was used first.
    unset: dict[str, Place] = field(default_factory=dict)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """An error in here is one among others."""
        try:
            yield
        except InvalidOption as error:
            self.errors.append(str(error))

    def raise_errors(self) -> None:
        if self.errors:
            told = self.errors[:_TOLD_AT_ONCE]
            left = len(self.errors) - len(told)
            raise InvalidOption("; ".join(told) + (f"; and {left} more" if left else ""))


@dataclass(frozen=True)
class Place:
    """A place in a file, such as `services.web.ports.0`."""

    file: str
    path: str
    folder: str
    environment: Mapping[str, str]
    findings: Findings
    depth: int = 0

    def at(self, key: object) -> Place:
        if self.depth == _DEEPEST:
            raise InvalidOption(f"is nested more than {_DEEPEST} deep, or holds itself")
        path = f"{self.path}.{key}" if self.path else f"{key}"
        return Place(self.file, path, self.folder, self.environment, self.findings, self.depth + 1)

    def __str__(self) -> str:
        return f"{self.file}: {self.path}" if self.path else self.file

    def refuse(self, why: object) -> None:
        self.findings.errors.append(f"{self}: {why}")

    def warn(self, what: str) -> None:
        self.findings.warnings.append(f"{self}: {what}")


# Makes of a value as it is written the one of the canonical document; what cannot be is raised as
# InvalidOption, without its place.
Kind = Callable[[Any, Place], Any]


class Swarm(enum.Enum):
    """What a swarm does with a key."""

    HONOURS = 1
    IGNORES = 2
    FORBIDS = 3


@dataclass(frozen=True)
class Row:
    """One key of a section."""

    name: str
    kind: Kind = lambda value, _place: value
    # Whether a value that says nothing (0, false, "", [], {}) is another thing than no value.
    zero: bool = False
    required: bool = False
    swarm: Swarm = Swarm.HONOURS
    # Why it is ignored, or what to write in its stead.
    why: str = ""


def ignored(names: str, why: str = "a swarm has nothing like it") -> Iterator[Row]:
    for name in names.split():
        yield Row(name, swarm=Swarm.IGNORES, why=why)


def forbidden(names: str, why: str) -> Iterator[Row]:
    for name in names.split():
        yield Row(name, swarm=Swarm.FORBIDS, why=why)


def read(kind: Kind, value: Any, place: Place) -> Any:
    """The value, or None where it is wrong, which is then among the findings."""
    try:
        return kind(value, place)
    except InvalidOption as error:
        place.refuse(error)
        return None


def is_nothing(value: Any) -> bool:
    return value is None or value in ("", 0, [], {})


def described(value: Any) -> str:
    """A number, a duration or the like in a message; long ones are cut.

    Not for what may be a secret or a whole file: see `kind_of`.
    """
    if not isinstance(value, (bool, int, float, str)):
        return kind_of(value)
    text = str(value)
    return f"'{text[:60]}...'" if len(text) > 60 else f"'{text}'"


def mapping_of(value: Any) -> dict[str, Any]:
    """A mapping whose keys are text; YAML reads a key of digits as a number."""
    if not isinstance(value, Mapping):
        raise InvalidOption(f"is a mapping of keys and values, not {kind_of(value)}")
    for key in value:
        if isinstance(key, bool) or not isinstance(key, (str, int)) or key == "":
            raise InvalidOption(f"has the key {described(key)}, which is no text: quote it")
    return {str(key): item for key, item in value.items()}


# In which sections a key is at home, to tell those who wrote it elsewhere.
_HOMES: dict[str, list[str]] = {}


def section(home: str, *rows: Row, finish: Kind | None = None) -> Kind:
    """A mapping with the keys of the rows; `finish` looks at it as a whole."""
    by_name = {row.name: row for row in rows}
    for row in rows:
        if row.swarm is Swarm.HONOURS:
            _HOMES.setdefault(row.name, []).append(home)

    def kind(value: Any, place: Place) -> Any:
        given = mapping_of(value)
        result: dict[str, Any] = {}
        for name, item in given.items():
            row = by_name.get(name)
            here = place.at(name)
            if row is None:
                if not name.startswith("x-"):
                    here.refuse(_unknown(name, by_name))
            elif row.swarm is Swarm.FORBIDS:
                here.refuse(f"cannot be used in a stack: {row.why}")
            elif row.swarm is Swarm.IGNORES:
                here.warn(f"is ignored: {row.why}")
            else:
                normal = read(row.kind, item, here)
                if normal is not None and (row.zero or not is_nothing(normal)):
                    result[name] = normal
        for row in rows:
            if row.required and row.name not in given:
                place.refuse(f"needs '{row.name}'")
        return finish(result, place) if finish else result

    return kind


def _unknown(name: str, known: Mapping[str, Row]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.75)
    homes = _HOMES.get(name, [])
    if not close and homes:
        return f"is not a key that can stand here; it is one of {' and of '.join(homes)}"
    close = close or difflib.get_close_matches(name, known, 1, 0.4)
    if close:
        return f"there is no such key; the nearest is '{close[0]}'"
    return f"there is no such key; those that can stand here are {', '.join(sorted(known))}"


def named(kind: Kind) -> Kind:
    """A mapping of names that the user chooses."""

    def read_named(value: Any, place: Place) -> Any:
        result = {}
        for name, item in mapping_of(value).items():
            here = place.at(name)
            if not _NAME.match(name):
                here.refuse("a name here has letters, digits, '.', '_' and '-' only")
                continue
            normal = read(kind, item, here)
            if normal is not None:
                result[name] = normal
        return result

    return read_named


def items(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise InvalidOption(f"is a list, not {kind_of(value)}")
    return list(value)


def listed(kind: Kind) -> Kind:
    """A list of values that are all read alike."""

    def read_list(value: Any, place: Place) -> Any:
        return [
            normal
            for normal in (read(kind, item, place.at(n)) for n, item in enumerate(items(value)))
            if normal is not None
        ]

    return read_list


def nullable(kind: Kind, nothing: Any) -> Kind:
    """Of which the key may stand alone."""
    return lambda value, place: nothing if value is None else kind(value, place)
