# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several compose files into one, as docker/cli cli/compose/loader/merge.go does it.

Services are merged key by key: mappings entry by entry, lists one after the other, and of single
values the later one counts unless it says nothing (false, 0s, an empty text). All other
definitions are replaced as a whole. A service over the one that it extends, which the CLI does not
know, is merged in the same way, but whatever it says counts, as in Compose.

Where we differ from the CLI on purpose:

- The test of a health check is replaced; the CLI appends it, which makes of two tests none. A test
  that is disabled later is gone; the CLI refuses to have both.
- Ports are the same where number and protocol are; the CLI keeps one of 53/tcp and 53/udp, and
  one of all the ports that are not published.
- The driver options of a service's network are merged; the CLI forgets the later ones.
- Options of a logging driver that come after `logging: {}` count; the CLI loses them.
- A variable without a value after one with an empty value stays empty; the CLI makes it one that
  the container does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

Document = dict[str, Any]
Merge = Callable[[Any, Any], Any]

DEFINITIONS = ("networks", "volumes", "secrets", "configs")


def merged(base: Document, override: Document) -> Document:
    """The canonical document of both."""
    result = {**base}
    for key in DEFINITIONS:
        if key in base or key in override:
            result[key] = {**base.get(key, {}), **override.get(key, {})}
    services = dict(base.get("services", {}))
    for name, service in override.get("services", {}).items():
        services[name] = merged_service(services[name], service) if name in services else service
    result["services"] = dict(sorted(services.items()))
    return result


def extended_service(base: Document, service: Document, written: Any) -> Document:
    """The service over the one that it extends; `written` is its body before it was read."""
    return merged_service(_beneath(base, service, written), service)


def _beneath(base: Document, service: Any, written: Any) -> Document:
    """The base without the single values in whose stead something is written, if only nothing."""
    mine, said = (part if isinstance(part, Mapping) else {} for part in (service, written))
    kept: Document = {}
    for key, value in base.items():
        # Drivers are compared first, to see whose the options are.
        if key == "logging" or (key not in mine and key not in said):
            kept[key] = value
        elif isinstance(value, Mapping):
            kept[key] = _beneath({**value}, mine.get(key), said.get(key))
        elif isinstance(value, list) and key not in _REPLACED:
            kept[key] = value
    return kept


def merged_service(base: Document, override: Document) -> Document:
    result = {**base, **{key: value for key, value in override.items() if key not in base}}
    for key, value in base.items():
        if key in _BY_IDENTITY:
            identity, order = _BY_IDENTITY[key]
            result[key] = _by_identity(value, override.get(key, []), identity, order)
        elif key in override:
            result[key] = _SPECIAL.get(key, _value)(value, override[key])
    return result


def _value(base: Any, override: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(override, Mapping):
        return _mapping(base, override)
    if isinstance(base, list) and isinstance(override, list):
        return [*base, *override]
    # 0 is a number that somebody wrote; where it would say nothing, it is not in the document.
    says_nothing = override is None or override is False or override in ("", "0s")
    return base if says_nothing else override


def _mapping(base: Mapping[str, Any], override: Mapping[str, Any]) -> Document:
    both = {
        key: _value(base[key], value) if key in base else value for key, value in override.items()
    }
    return {**base, **both}


def _replaced(_base: Any, override: Any) -> Any:
    return override


def _entries_replaced(base: Document, override: Document) -> Document:
    return {**base, **override}


def _health(base: Document, override: Document) -> Document:
    result = _mapping(base, override)
    if "test" in override:
        result = {**result, "test": override["test"]}
    if override.get("disable"):
        result.pop("test", None)
    elif "test" in override:
        result.pop("disable", None)
    return result


def _deploy(base: Document, override: Document) -> Document:
    result = _mapping(base, override)
    if "labels" in base and "labels" in override:
        result["labels"] = {**base["labels"], **override["labels"]}
    return result


def _logging(base: Document, override: Document) -> Document:
    """Options of one driver mean nothing to another."""
    drivers = {entry["driver"] for entry in (base, override) if "driver" in entry}
    if len(drivers) > 1:
        return override
    options = {**base.get("options", {}), **override.get("options", {})}
    return {**base, **override, **({"options": options} if options else {})}


def _networks(base: Document, override: Document) -> Document:
    return {
        **base,
        **{name: _network(base.get(name), options) for name, options in override.items()},
    }


def _network(base: Document | None, override: Document | None) -> Document | None:
    if base is None or override is None:
        return override if base is None else base
    result = _mapping(base, override)
    result.pop("aliases", None)
    return {**result, **{key: override[key] for key in ("aliases",) if key in override}}


# Lists that are one value: the later one counts.
_REPLACED = ("command", "entrypoint", "test")
_SPECIAL: dict[str, Merge] = {
    "command": _replaced,
    "entrypoint": _replaced,
    "labels": _entries_replaced,
    "sysctls": _entries_replaced,
    "ulimits": _entries_replaced,
    "healthcheck": _health,
    "deploy": _deploy,
    "logging": _logging,
    "networks": _networks,
}


def _by_identity(
    base: list[Document],
    override: list[Document],
    identity: Callable[[Document], Hashable],
    order: Callable[[Document], Any],
) -> list[Document]:
    found = {identity(entry): entry for entry in [*base, *override]}
    return sorted(found.values(), key=order)


def _port_identity(port: Document) -> Hashable:
    number = port.get("published") or ("not published", port.get("target"))
    return number, port.get("protocol") or "tcp"


def _port_order(port: Document) -> Any:
    return port.get("published", 0), port.get("target", 0), port.get("protocol", "")


def _source(reference: Document) -> Any:
    return reference.get("source", "")


def _target(volume: Document) -> Any:
    return volume.get("target", "")


_BY_IDENTITY: dict[str, tuple[Callable[[Document], Hashable], Callable[[Document], Any]]] = {
    "ports": (_port_identity, _port_order),
    "volumes": (_target, _target),
    "secrets": (_source, _source),
    "configs": (_source, _source),
}
