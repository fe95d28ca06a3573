# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parts of a stack share when they become objects of the API: names, labels, messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import STACK_LABELS

Document = Mapping[str, Any]

NAMESPACE = f"{STACK_LABELS}namespace"
# The image as it was written; the spec's own may carry a digest.
IMAGE = f"{STACK_LABELS}image"


def section(document: Document, key: str) -> dict[str, Any]:
    """The named definitions under a key of the document; one without a body is an empty one."""
    return {name: body or {} for name, body in (document.get(key) or {}).items()}


def full_name(stack: str, key: str, definition: Document) -> str:
    """What an object of the file is called in the swarm."""
    if definition.get("name"):
        return str(definition["name"])
    return key if definition.get("external") else f"{stack}_{key}"


def stack_labels(stack: str, labels: Mapping[str, str] | None) -> dict[str, str]:
    """The labels of an object of the stack; no file can put it into another one."""
    return {**(labels or {}), NAMESPACE: stack}


def read(path: str, parse: Callable[[Any], Any], value: Any) -> Any:
    """The value as the API keeps it; an error says where in the document it stands."""
    try:
        return parse(value)
    except InvalidOption as error:
        raise InvalidOption(f"{path}: {error}") from None


def filled(document: Document) -> dict[str, Any]:
    """Without the fields that are empty, which the CLI does not send."""
    return {key: value for key, value in document.items() if value not in (None, "", 0, [], {})}


def given(document: Document) -> dict[str, Any]:
    """Without the fields that the file does not have; here an empty value says something."""
    return {key: value for key, value in document.items() if value is not None}
