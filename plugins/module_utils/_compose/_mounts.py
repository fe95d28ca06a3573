# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mounts of a stack's service (docker/cli cli/compose/convert/volume.go)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import (
    Document,
    filled,
    full_name,
    stack_labels,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

# Which group of options an entry of a type may have.
_OPTIONS = {
    "volume": "volume",
    "bind": "bind",
    "tmpfs": "tmpfs",
    "npipe": "bind",
    "cluster": "cluster",
    "image": "image",
}
_GROUPS = tuple(dict.fromkeys(_OPTIONS.values()))
# The volumes of a group stand outside of all stacks.
_VOLUME_GROUP = "group:"


def mounts(
    path: str, entries: Sequence[Document], volumes: Document, stack: str
) -> list[dict[str, Any]]:
    """In the order of the file."""
    return [_mount(f"{path}.{n}", entry, volumes, stack) for n, entry in enumerate(entries)]


def _mount(path: str, entry: Document, volumes: Document, stack: str) -> dict[str, Any]:
    kind = entry.get("type") or "volume"
    source = entry.get("source") or ""
    _refuse_misfits(path, kind, source, entry)
    own = entry.get(_OPTIONS[kind])
    parts: dict[str, Any] = {}
    if kind == "volume" and source:
        definition = _definition(path, source, volumes)
        source = full_name(stack, source, definition)
        parts["VolumeOptions"] = _volume_options(own or {}, definition, stack)
    elif kind == "cluster":
        if not source.startswith(_VOLUME_GROUP):
            source = full_name(stack, source, _definition(path, source, volumes))
        parts["ClusterOptions"] = {}
    elif own is not None and kind in ("bind", "npipe"):
        parts["BindOptions"] = filled({"Propagation": own.get("propagation")})
    elif own is not None and kind == "tmpfs":
        parts["TmpfsOptions"] = filled({"SizeBytes": int(own.get("size") or 0)})
    elif own is not None and kind == "image":
        parts["ImageOptions"] = filled({"Subpath": own.get("subpath")})
    mount = {
        "Type": kind,
        "Source": source,
        "Target": entry.get("target"),
        "ReadOnly": entry.get("read_only"),
        "Consistency": entry.get("consistency"),
    }
    return {**filled(mount), **parts}


def _refuse_misfits(path: str, kind: str, source: str, entry: Document) -> None:
    if kind not in _OPTIONS:
        raise InvalidOption(f"{path}: type is one of {', '.join(_OPTIONS)}, not '{kind}'")
    for group in _GROUPS:
        if entry.get(group) is not None and group != _OPTIONS[kind]:
            raise InvalidOption(
                f"{path}: options under '{group}' do not fit a mount of type {kind}"
            )
    if kind == "tmpfs" and source:
        raise InvalidOption(f"{path}: a tmpfs has no source, and here it is '{source}'")
    if kind not in ("tmpfs", "volume") and not source:
        raise InvalidOption(f"{path}: a mount of type {kind} needs a source")


def _definition(path: str, name: str, volumes: Document) -> Any:
    if name not in volumes:
        raise InvalidOption(
            f"{path}: there is no volume '{name}' under the file's top-level 'volumes'"
        )
    return volumes[name]


def _volume_options(own: Document, definition: Document, stack: str) -> dict[str, Any]:
    options = filled({"NoCopy": own.get("nocopy"), "Subpath": own.get("subpath")})
    if definition.get("external"):
        return options
    options["Labels"] = stack_labels(stack, definition.get("labels"))
    driver, driver_opts = definition.get("driver"), definition.get("driver_opts")
    if driver or driver_opts is not None:
        options["DriverConfig"] = filled({"Name": driver, "Options": driver_opts})
    return options
