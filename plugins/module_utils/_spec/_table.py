# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each option said once: a row names it, its type, where the API keeps it and how it compares.

The argument spec, the wanted document, the comparison and the before and after that users see all
derive from the rows. `None` means the task does not manage the option; an explicit empty value
(`[]`, `{}`, `""`) clears it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, kind_of
from ansible_collections.shoal.swarm.plugins.module_utils._units import (
    bytes_of,
    cpus,
    duration,
    nano_cpus,
    nanoseconds,
    size,
)

# In place of the value of an option whose group was given as `{}`.
CLEARED = object()

# In labels this collection remembers what it has done, such as the keys of one-shot actions;
# `labels` of a task neither sees nor changes them.
OWN_LABELS = "shoal.swarm/"

SECRET = "(secret)"
CHANGED_SECRET = "(secret, changed)"


def same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Kind:
    """How a kind of value is written by people, kept by the API, compared and shown."""

    type: str
    elements: str | None = None
    to_api: Callable[[Any], Any] = same
    to_user: Callable[[Any], Any] = same
    # Applied to API values on both sides before they are compared: fills in what the engine
    # would, sorts what has no order.
    canonical: Callable[[Any], Any] = same
    # What the API holds when the value is "empty"; a stored nil is read as this.
    empty: Any = None
    # Whether a stored value is the wanted one, where that is more than equality.
    matches: Callable[[Any, Any], bool] = lambda stored, value: bool(stored == value)
    # The value to store, from the stored one and the wanted one: keeps what the task cannot see.
    combine: Callable[[Any, Any], Any] = lambda _stored, value: value


def _sorted(values: Sequence[Any] | None) -> list[Any]:
    return sorted(values or [])


def text_of(value: Any) -> str:
    """A label's or variable's value as the API keeps it: YAML's `yes` and 1 are text there."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Mapping, list, tuple)):
        raise InvalidOption(f"{kind_of(value)} stands where a text belongs")
    return str(value)


def one_shot(params: Mapping[str, Any], option: str) -> str | bool:
    """The key of a one-shot action, True for "at every run", False for "not asked".

    Any other text than `true` is a key, and acts once for that key.
    """
    text = (params[option] or "").strip()
    if text.lower() in ("", "false", "no", "off"):
        return False
    return True if text.lower() in ("true", "yes", "on") else text


def named_texts(value: Mapping[Any, Any]) -> dict[str, str]:
    """Labels, variables and the like as the API keeps them."""
    texts = {}
    for name, item in value.items():
        if str(name) == "":
            raise InvalidOption("an entry has an empty name, which the engine would keep as it is")
        try:
            texts[str(name)] = text_of(item)
        except InvalidOption as error:
            raise InvalidOption(f"'{name}' is written as {name}: text, but {error}") from None
    return texts


TEXT = Kind("str", empty="")
INTEGER = Kind("int", empty=0)
BOOLEAN = Kind("bool", empty=False)
DURATION = Kind("str", to_api=nanoseconds, to_user=duration, empty=0)
SIZE = Kind("str", to_api=bytes_of, to_user=size, empty=0)
CPUS = Kind("float", to_api=nano_cpus, to_user=cpus, empty=0)
MAPPING = Kind(
    "dict",
    to_api=named_texts,
    canonical=lambda value: dict(value or {}),
    empty={},
)
TEXTS = Kind("list", elements="str", canonical=lambda value: list(value or []), empty=[])
TEXT_SET = Kind("list", elements="str", canonical=_sorted, empty=[])


def labels_beside(*prefixes: str, own: tuple[str, ...] = (OWN_LABELS,)) -> Kind:
    """Labels of which those with a prefix are somebody else's: kept, unless the task names them.

    Those of this collection (`own`) are not for the task to name: refused, not shown, kept.
    """

    def given(value: Mapping[Any, Any]) -> dict[str, str]:
        labels = named_texts(value)
        for key in labels:
            if key.startswith(own):
                raise InvalidOption(f"'{key}' is a label that this collection sets by itself")
        return labels

    def others(labels: Mapping[str, str] | None) -> dict[str, str]:
        return {key: text for key, text in (labels or {}).items() if not key.startswith(own)}

    def matches(stored: Mapping[str, str], value: Mapping[str, str]) -> bool:
        return value == {
            key: text
            for key, text in stored.items()
            if key in value or not key.startswith(prefixes)
        }

    def combine(before: Mapping[str, str], value: Mapping[str, str]) -> dict[str, str]:
        theirs = {key: text for key, text in before.items() if key.startswith(prefixes)}
        ours = {key: text for key, text in before.items() if key.startswith(own)}
        return {**theirs, **others(value), **ours}

    return replace(MAPPING, to_api=given, canonical=others, matches=matches, combine=combine)


@dataclass(frozen=True)
class Row:
    """One option."""

    name: str
    kind: Kind
    path: tuple[str, ...] = ()
    # What the engine does where nothing is stored; compared as if it were stored.
    default: Any = None
    # The API version that knows the field; older engines drop it without a word.
    since: str = "1.25"
    secret: bool = False
    # Parts of the argument spec that only Ansible looks at: choices, aliases, no_log ...
    argument: Mapping[str, Any] = field(default_factory=dict)
    # Suboptions: rows of their own, with full paths. The group's own path is the object that they
    # are in; given as `{}` it is removed.
    rows: tuple[Row, ...] = ()
    # What else a group's object holds when it is made. The engine reads a field that is missing
    # there as zero, which is not its default (UpdateConfig.Parallelism: 0 is "all at once").
    skeleton: Mapping[str, Any] = field(default_factory=dict)
    # Parts of a given value that need a newer API than `since`: what they are, and which.
    newer: Callable[[Any], Iterable[tuple[str, str]]] = lambda _value: ()


def argument_spec(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """What AnsibleModule needs to know of these rows."""
    return {row.name: _argument(row) for row in rows}


def _argument(row: Row) -> dict[str, Any]:
    argument: dict[str, Any] = {"type": row.kind.type, **row.argument}
    if row.kind.elements:
        argument["elements"] = row.kind.elements
    if row.secret:
        argument["no_log"] = True
    if row.rows:
        argument["options"] = argument_spec(row.rows)
    return argument


def wanted(rows: Sequence[Row], params: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that the task manages, by dotted option name, as API values.

    A group of suboptions given as `{}` returns each of them to the engine's default, and so does
    the empty text for a duration, a size and the like.
    """
    values: dict[str, Any] = {}
    for name, row, value in _given(rows, params, ""):
        try:
            if row.rows:
                values[name] = CLEARED
            elif value is CLEARED or (value == "" and row.kind.empty != ""):
                values[name] = _unset(row)
            else:
                values[name] = row.kind.to_api(value)
        except InvalidOption as error:
            raise InvalidOption(f"{name}: {error}") from None
    return values


def _given(
    rows: Sequence[Row], params: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Row, Any]]:
    for row in rows:
        value = params.get(row.name)
        if value is None:
            continue
        name = f"{prefix}{row.name}"
        if not row.rows:
            yield name, row, value
        elif all(part is None for part in value.values()):
            yield name, row, CLEARED
            yield from ((part_name, part, CLEARED) for part_name, part in leaves((row,), prefix))
        else:
            yield from _given(row.rows, value, f"{name}.")


def _unset(row: Row) -> Any:
    return row.kind.empty if row.default is None else row.default


def leaves(rows: Sequence[Row], prefix: str = "") -> Iterator[tuple[str, Row]]:
    """Every row that holds a value, by its dotted option name."""
    for row in rows:
        if row.rows:
            yield from leaves(row.rows, f"{prefix}{row.name}.")
        else:
            yield f"{prefix}{row.name}", row


def refuse_newer(rows: Sequence[Row], params: Mapping[str, Any], api_version: str) -> None:
    """Refuse options that the negotiated API would silently drop (moby adjustForAPIVersion)."""
    for name, row, value in _given(rows, params, ""):
        if value is not CLEARED:
            refuse_older_api(name, row.since, api_version)
            for part, since in row.newer(value):
                refuse_older_api(f"{name}: {part}", since, api_version)


def refuse_older_api(what: str, since: str, api_version: str) -> None:
    """Refuse what came with a newer API than the negotiated one."""
    if _number(since) > _number(api_version):
        raise InvalidOption(
            f"{what} needs Docker API {since}, and this engine and client settled on "
            f"{api_version}: upgrade the engine, or remove the option"
        )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def stored(document: Mapping[str, Any], row: Row) -> Any:
    """What the API document holds for this row, or what the engine does where it holds nothing."""
    value: Any = document
    for key in row.path:
        value = value.get(key) if isinstance(value, Mapping) else None
    # The CLI writes an empty text where it means the default, and the engine keeps that.
    if value is None or (value == "" and row.default is not None):
        return _unset(row)
    return value


def equal(row: Row, before: Any, value: Any) -> bool:
    """Whether the stored value `before` is what the task wants."""
    return row.kind.matches(row.kind.canonical(before), row.kind.canonical(value))


def merged(
    rows: Sequence[Row],
    document: Mapping[str, Any],
    values: Mapping[str, Any],
    is_new: bool = False,
) -> dict[str, Any]:
    """The stored document with only the real differences changed.

    An equal value is not written even where the document holds nil for it: a default that is
    written out is a difference for the engine, and restarts tasks. Only a new document gets all
    that the task names, as the CLI writes it.
    """
    result = copy.deepcopy(dict(document))
    skeletons = {row.path: row.skeleton for row in rows if row.rows}
    for name, row in leaves(rows):
        if name not in values:
            continue
        before = stored(document, row)
        if is_new or not equal(row, before, values[name]):
            _put(result, row.path, row.kind.combine(before, values[name]), skeletons)
    if result != document:
        for row in rows:
            if row.path and values.get(row.name) is CLEARED:
                _remove(result, row.path)
    return result


def _put(
    document: dict[str, Any],
    path: tuple[str, ...],
    value: Any,
    skeletons: Mapping[tuple[str, ...], Mapping[str, Any]],
) -> None:
    for depth, key in enumerate(path[:-1], start=1):
        if not isinstance(document.get(key), dict):
            document[key] = copy.deepcopy(dict(skeletons.get(path[:depth], {})))
        document = document[key]
    document[path[-1]] = value


def _remove(document: Any, path: tuple[str, ...]) -> None:
    for key in path[:-1]:
        document = document.get(key) if isinstance(document, dict) else None
    if isinstance(document, dict):
        document.pop(path[-1], None)


def shown(rows: Sequence[Row], document: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The named options as a user would write them, to be shown as before or after."""
    result: dict[str, Any] = {}
    for name, row in leaves(rows):
        if name in names:
            value = row.kind.canonical(stored(document, row))
            result[name] = SECRET if row.secret and value else row.kind.to_user(value)
    return result
