# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the values of a service are written, kept, compared and shown: ports, networks, mounts ..."""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import json
import re
import shlex
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, kind_of
from ansible_collections.shoal.swarm.plugins.module_utils._image import image, is_same
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    Kind,
    named_texts,
    text_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._units import bytes_of, size

Document = Mapping[str, Any]


# Entries that may be a text or a mapping, which Ansible therefore does not check


def _entry(given: Any, what: str, example: str, *keys: str, needs: str) -> dict[str, Any]:
    """A mapping with only these keys, of which one is needed."""
    if not isinstance(given, Mapping):
        raise InvalidOption(f"{what} is written as {example}, not {given!r}")
    for key in given:
        if key not in keys:
            raise InvalidOption(f"{what} has no '{key}': {_hint(str(key), keys, 'it has')}")
    if given.get(needs) in (None, ""):
        raise InvalidOption(f"{what} needs '{needs}': {example}")
    return {key: value for key, value in given.items() if value is not None}


def _hint(name: str, names: Sequence[str], there_is: str) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean '{near[0]}'?" if near else f"{there_is} {', '.join(names)}"


def _text(value: Any, what: str) -> str:
    try:
        return text_of(value)
    except InvalidOption as error:
        raise InvalidOption(f"{what} is a text, but {error}") from None


def _one_of(value: Any, what: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InvalidOption(f"{what} is one of {', '.join(choices)}, not {value!r}")
    return str(value)


def _whole(value: Any, what: str) -> int:
    try:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError
    except (TypeError, ValueError):
        raise InvalidOption(f"{what} is a whole number, not {value!r}") from None
    return int(value)


def _file_mode(value: Any) -> int:
    # YAML reads 0444 as octal, and a text from a template is octal as well.
    try:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return value if is_number else int(str(value), 8)
    except ValueError:
        raise InvalidOption(f"mode is an octal number such as '0444', not {value!r}") from None


def _sorted_texts(values: Iterable[Any] | None) -> list[str]:
    return sorted(str(value) for value in values or [])


# Image and command


def _command(value: Any) -> list[str]:
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError as error:
            raise InvalidOption(f"cannot be split as a shell would: {error}") from None
    if isinstance(value, Sequence):
        return [_text(part, "each part of it") for part in value]
    raise InvalidOption(f"must be a text or a list of texts, not {type(value).__name__}")


def _environment(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        value = [f"{name}={text}" for name, text in named_texts(value).items()]
    if isinstance(value, str):
        value = value.split(",") if value else []
    if not isinstance(value, Sequence):
        raise InvalidOption("must be a mapping, or a list of NAME=value")
    variables = {}
    for number, item in enumerate(value, start=1):
        name, equals, _value = item.partition("=") if isinstance(item, str) else ("", "", "")
        if not name or not equals:
            # Not the item itself: it may hold a password.
            raise InvalidOption(
                f"entry {number} of the list, {kind_of(item)}, is not NAME=value; a variable "
                "without a value is NAME=, and one of the host's own environment is not looked up"
            )
        # Of a name that comes twice the last one counts, as in the CLI.
        variables[name] = item
    return sorted(variables.values())


IMAGE = Kind("str", to_api=lambda text: image(text).text if text else "", matches=is_same, empty="")
COMMAND = Kind("raw", to_api=_command, canonical=lambda v: list(v or []), empty=[])
ENVIRONMENT = Kind("raw", to_api=_environment, canonical=_sorted_texts, empty=[])


# Hosts, capabilities and limits of the kernel


# What the CLI takes in place of an address.
_GATEWAY = "host-gateway"


def _hosts(value: Document) -> list[str]:
    return [
        f"{address} {name}"
        for name, given in value.items()
        for address in _addresses(str(name), given)
    ]


def _addresses(name: str, given: Any) -> list[str]:
    addresses = [str(address) for address in (given if isinstance(given, list) else [given])]
    try:
        if name.split() != [name] or not addresses:
            raise ValueError
        for address in addresses:
            if address != _GATEWAY:
                ipaddress.ip_address(address)
    except ValueError:
        raise InvalidOption(
            "an entry is a name and its address, or a list of them, as db: 10.0.0.1 or db: "
            f"[10.0.0.1, 10.0.0.2], not {name}: {given!r}"
        ) from None
    return addresses


def _hosts_canonical(value: Sequence[str] | None) -> list[str]:
    """With one name in each entry, of which /etc/hosts may have more."""
    parts = (entry.split() for entry in value or [])
    return sorted({f"{address} {name}" for address, *names in parts for name in names})


def _hosts_shown(value: Sequence[str]) -> dict[str, Any]:
    addresses: dict[str, list[str]] = {}
    for entry in value:
        address, _space, name = entry.partition(" ")
        addresses.setdefault(name, []).append(address)
    return {name: found if len(found) > 1 else found[0] for name, found in addresses.items()}


def _capabilities(value: Sequence[str]) -> list[str]:
    """As the CLI writes them (docker/cli opts/capabilities.go)."""
    names = set()
    for given in value:
        name = given.strip().upper()
        names.add(name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}")
    return ["ALL"] if "ALL" in names else sorted(names)


def _ulimits(value: Any) -> list[dict[str, Any]]:
    given: dict[Any, Any] = {}
    if isinstance(value, Mapping):
        given = dict(value)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for text in value:
            if not isinstance(text, str):
                raise InvalidOption(f"{_ULIMIT_FORMS}, not {text!r}")
            name, _separator, limit = text.partition("=" if "=" in text else ":")
            given[name] = limit
    else:
        raise InvalidOption(f"{_ULIMIT_FORMS}, not {value!r}")
    return sorted((_ulimit(str(n), limit) for n, limit in given.items()), key=lambda u: u["Name"])


# Those of go-units, by which the CLI reads them, and one more that the engine knows.
_ULIMITS = (
    *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile"),
    *("nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
)
_ULIMIT_FORMS = (
    "a limit is written as nofile: 1024, as nofile: {soft: 1024, hard: 2048}, or in a list as "
    "nofile=1024:2048"
)
_UNLIMITED = -1


def _ulimit(name: str, limit: Any) -> dict[str, Any]:
    if name not in _ULIMITS:
        raise InvalidOption(f"there is no limit '{name}': {_hint(name, _ULIMITS, 'there are')}")
    if isinstance(limit, Mapping) and set(limit) <= {"soft", "hard"} and "soft" in limit:
        soft, hard = limit["soft"], limit.get("hard", limit["soft"])
    else:
        soft, colon, hard = str(limit).partition(":")
        hard = hard if colon else soft
    try:
        lowest, highest = _whole(soft, name), _whole(hard, name)
    except InvalidOption:
        raise InvalidOption(f"{_ULIMIT_FORMS}, not {name}: {limit!r}") from None
    if highest != _UNLIMITED and not 0 <= lowest <= highest:
        raise InvalidOption(f"the soft limit of {name}, {lowest}, is above the hard one, {highest}")
    return {"Name": name, "Soft": lowest, "Hard": highest}


def _ulimits_shown(value: Sequence[Document]) -> dict[str, Any]:
    return {u["Name"]: {"soft": u.get("Soft", 0), "hard": u.get("Hard", 0)} for u in value}


def _ulimits_canonical(value: Sequence[Document] | None) -> list[dict[str, Any]]:
    filled = [
        {"Name": u["Name"], "Soft": u.get("Soft", 0), "Hard": u.get("Hard", 0)} for u in value or []
    ]
    return sorted(filled, key=lambda u: str(u["Name"]))


HOSTS = Kind("dict", to_api=_hosts, to_user=_hosts_shown, canonical=_hosts_canonical, empty=[])
CAPABILITIES = Kind("list", elements="str", to_api=_capabilities, canonical=_sorted_texts, empty=[])
ULIMITS = Kind(
    "raw", to_api=_ulimits, to_user=_ulimits_shown, canonical=_ulimits_canonical, empty=[]
)


# Resources


def _swap(value: Any) -> int | None:
    return -1 if str(value) == "-1" else bytes_of(value)


def _swap_shown(value: int | None) -> str | None:
    return None if value is None else str(value) if value < 0 else size(value)


def _generic_resources(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        pairs = [(kind, count) for kind, _equals, count in (str(v).partition("=") for v in value)]
    else:
        pairs = [("", value)]
    resources = []
    for kind, count in pairs:
        try:
            if not kind:
                raise ValueError
            number = _whole(count, kind)
            resources.append({"DiscreteResourceSpec": {"Kind": str(kind), "Value": number}})
        except (InvalidOption, ValueError):
            raise InvalidOption(
                f"a generic resource is a name and how many of it, as gpu: 2 or gpu=2, not "
                f"{kind}={count!r}"
            ) from None
    return resources


def _generic_resources_canonical(value: Sequence[Document] | None) -> list[tuple[str, int]]:
    discrete = [entry.get("DiscreteResourceSpec") or {} for entry in value or []]
    return sorted((entry.get("Kind", ""), entry.get("Value", 0)) for entry in discrete)


def _part(value: float) -> float:
    if not 0 <= value <= 1:
        raise InvalidOption(f"is a part of all, from 0 to 1, not {value:g}")
    return value


def _count(value: int) -> int:
    if value < 0:
        raise InvalidOption(f"is a number from 0 up, not {value}")
    return value


def _ratio(value: float) -> float:
    # The engine keeps it in 32 bits, and 1/3 does not come back as it went.
    return round(float(struct.unpack("f", struct.pack("f", value or 0))[0]), 9)


SWAP = Kind("str", to_api=_swap, to_user=_swap_shown)
GENERIC_RESOURCES = Kind(
    "raw",
    to_api=_generic_resources,
    to_user=dict,
    canonical=_generic_resources_canonical,
    empty=[],
)
COUNT = Kind("int", to_api=_count, empty=0)
RATIO = Kind("float", to_api=_part, canonical=_ratio, empty=0)
# Where the engine tells "not given" from "no".
TRISTATE = Kind("bool")


# Ports

PROTOCOLS = ("tcp", "udp", "sctp")
PUBLISH_MODES = ("ingress", "host")
_PORT_KEYS = ("published_port", "target_port", "protocol", "mode", "name")
_PORT_EXAMPLE = "8080:80/tcp, or as {published_port: 8080, target_port: 80, protocol: tcp}"
# The two forms of `docker service create --publish` (docker/cli opts/port.go, go-connections nat).
_SHORT_PORT = re.compile(r"(?:(?:(\d+)(?:-(\d+))?)?:)?(\d+)(?:-(\d+))?(?:/(\w*))?\Z")
_LONG_PORT = re.compile(r"\w+=\w")
_LONG_KEYS = {
    "published": "published_port",
    "target": "target_port",
    "protocol": "protocol",
    "mode": "mode",
}


def _ports(value: Sequence[Any]) -> list[dict[str, Any]]:
    ports = []
    for given in value:
        if isinstance(given, str) and _LONG_PORT.search(given):
            ports.append(_long_port(given))
        elif isinstance(given, (str, int)):
            ports += _short_ports(str(given))
        else:
            ports.append(_port(given))
    return ports


def _port(given: Any) -> dict[str, Any]:
    entry = _entry(given, "a published port", _PORT_EXAMPLE, *_PORT_KEYS, needs="target_port")
    port = {
        "Protocol": _one_of(entry.get("protocol", "tcp"), "protocol", PROTOCOLS),
        "TargetPort": _port_number(entry["target_port"], "target_port", 1),
        "PublishedPort": _port_number(entry.get("published_port", 0), "published_port", 0),
        "PublishMode": _one_of(entry.get("mode", "ingress"), "mode", PUBLISH_MODES),
    }
    return {"Name": _text(entry["name"], "name"), **port} if entry.get("name") else port


def _port_number(value: Any, what: str, least: int) -> int:
    number = _whole(value, what)
    if not least <= number < 65536:
        raise InvalidOption(f"{what} is a number from {least} to 65535, not {number}")
    return number


def _long_port(text: str) -> dict[str, Any]:
    port = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in _LONG_KEYS:
            raise InvalidOption(
                f"a published port in one text has the parts {', '.join(_LONG_KEYS)}, as "
                f"published=8080,target=80, and not '{part}'"
            )
        port[_LONG_KEYS[key]] = value
    return _port(port)


def _short_ports(text: str) -> list[dict[str, Any]]:
    match = _SHORT_PORT.match(text)
    if not match:
        raise InvalidOption(
            f"a published port is written as {_PORT_EXAMPLE}, not '{text}'"
            + (": a service publishes on every address" if text.count(":") > 1 else "")
        )
    published, published_end, target, target_end, protocol = match.groups()
    outside = _range(published, published_end, text)
    inside = _range(target, target_end, text)
    if outside == [0]:
        outside *= len(inside)
    elif len(inside) == 1:
        inside *= len(outside)
    if len(outside) != len(inside):
        raise InvalidOption(f"the two ranges of '{text}' differ in length")
    protocol = (protocol or "tcp").lower()
    return [
        _port({"published_port": out, "target_port": within, "protocol": protocol})
        for out, within in zip(outside, inside)
    ]


def _range(first: str | None, last: str | None, text: str) -> list[int]:
    begin, end = int(first or 0), int(last or first or 0)
    if begin > end:
        raise InvalidOption(f"a range of ports begins with the lower one, not '{text}'")
    return list(range(begin, end + 1))


def _ports_canonical(value: Sequence[Document] | None) -> list[dict[str, Any]]:
    ports = [
        {
            "Name": port.get("Name") or "",
            "Protocol": port.get("Protocol") or "tcp",
            "TargetPort": port.get("TargetPort") or 0,
            "PublishedPort": port.get("PublishedPort") or 0,
            "PublishMode": port.get("PublishMode") or "ingress",
        }
        for port in value or []
    ]
    return sorted(ports, key=lambda port: tuple(str(part) for part in port.values()))


def _ports_shown(value: Sequence[Document]) -> list[dict[str, Any]]:
    return [
        {
            "published_port": port["PublishedPort"],
            "target_port": port["TargetPort"],
            "protocol": port["Protocol"],
            "mode": port["PublishMode"],
            **({"name": port["Name"]} if port["Name"] else {}),
        }
        for port in value
    ]


def ports_newer(value: Sequence[Any]) -> Iterable[tuple[str, str]]:
    """What in a list of ports needs a newer API."""
    if any("sctp" in str(port).lower() for port in value):
        yield "sctp", "1.37"


PORTS = Kind(
    "list",
    elements="raw",
    to_api=_ports,
    to_user=_ports_shown,
    canonical=_ports_canonical,
    empty=[],
)


# Networks


def _networks(value: Sequence[Any]) -> list[dict[str, Any]]:
    networks = []
    for given in value:
        network = _entry(
            {"name": given} if isinstance(given, str) else given,
            "a network",
            "backend, or as {name: backend, aliases: [db]}",
            "name",
            "aliases",
            "options",
            needs="name",
        )
        name = _text(network["name"], "name")
        aliases, options = network.get("aliases", []), network.get("options", {})
        if not isinstance(aliases, list):
            raise InvalidOption(
                f"{name}: aliases is a list of names, as [db], not {kind_of(aliases)}"
            )
        if not isinstance(options, Mapping):
            raise InvalidOption(
                f"{name}: options is a mapping, as {{NAME: value}}, not {kind_of(options)}"
            )
        entry: dict[str, Any] = {"Target": name}
        if aliases:
            entry["Aliases"] = [_text(alias, f"{name}: an alias") for alias in aliases]
        if options:
            entry["DriverOpts"] = named_texts(options)
        networks.append(entry)
    return networks


def _networks_canonical(value: Sequence[Document] | None) -> list[dict[str, Any]]:
    networks = [
        {
            "Target": network.get("Target"),
            "Aliases": sorted(network.get("Aliases") or []),
            "DriverOpts": network.get("DriverOpts") or {},
        }
        for network in value or []
    ]
    return sorted(networks, key=lambda network: str(network["Target"]))


def _networks_shown(value: Sequence[Document]) -> list[dict[str, Any]]:
    return [
        {
            "name": network["Target"],
            "aliases": network.get("Aliases") or [],
            "options": network.get("DriverOpts") or {},
        }
        for network in value
    ]


NETWORKS = Kind(
    "list",
    elements="raw",
    to_api=_networks,
    to_user=_networks_shown,
    canonical=_networks_canonical,
    empty=[],
)


# Placement


def _preferences(value: Sequence[Any]) -> list[dict[str, Any]]:
    preferences = []
    for given in value:
        entry = _entry(given, "a preference", "spread: node.labels.zone", "spread", needs="spread")
        descriptor = _text(entry["spread"], "spread")
        preferences.append({"Spread": {"SpreadDescriptor": descriptor}})
    return preferences


def _preferences_shown(value: Sequence[Document]) -> list[dict[str, str]]:
    return [{"spread": item["Spread"]["SpreadDescriptor"]} for item in value]


def _platforms(value: Sequence[str]) -> list[dict[str, str]]:
    platforms = []
    for text in value:
        system, slash, architecture = text.partition("/")
        if not slash or not system or not architecture:
            raise InvalidOption(f"a platform is written as linux/amd64, not '{text}'")
        platforms.append({"Architecture": architecture, "OS": system})
    return platforms


def _platforms_canonical(value: Sequence[Document] | None) -> list[str]:
    return sorted(f"{p.get('OS', '')}/{p.get('Architecture', '')}" for p in value or [])


PREFERENCES = Kind(
    "list",
    elements="dict",
    to_api=_preferences,
    to_user=_preferences_shown,
    canonical=lambda value: list(value or []),
    empty=[],
)
PLATFORMS = Kind(
    "list", elements="str", to_api=_platforms, canonical=_platforms_canonical, empty=[]
)


# Mounts

MOUNT_TYPES = ("bind", "volume", "tmpfs", "npipe", "cluster", "image")
PROPAGATIONS = ("shared", "slave", "private", "rshared", "rslave", "rprivate")
MOUNT_OPTIONS: dict[str, Any] = {
    "source": {"type": "str"},
    "target": {"type": "str", "required": True},
    "type": {"type": "str", "default": "bind", "choices": list(MOUNT_TYPES)},
    "readonly": {"type": "bool"},
    "propagation": {"type": "str", "choices": list(PROPAGATIONS)},
    "non_recursive": {"type": "bool"},
    "no_copy": {"type": "bool"},
    "labels": {"type": "dict"},
    "subpath": {"type": "str"},
    "driver_config": {
        "type": "dict",
        "options": {"name": {"type": "str"}, "options": {"type": "dict"}},
    },
    "tmpfs_size": {"type": "str"},
    "tmpfs_mode": {"type": "raw"},
    "tmpfs_options": {"type": "list", "elements": "str"},
}
# Which of the options belong to one type only.
_ONLY_FOR = {
    "propagation": "bind",
    "non_recursive": "bind",
    "no_copy": "volume",
    "labels": "volume",
    "subpath": "volume",
    "driver_config": "volume",
    "tmpfs_size": "tmpfs",
    "tmpfs_mode": "tmpfs",
    "tmpfs_options": "tmpfs",
}
# What the engine reads a missing mode as.
_TMPFS_MODE = 0o1777


def _mounts(value: Sequence[Document]) -> list[dict[str, Any]]:
    targets = [given["target"] for given in value]
    for target in targets:
        if targets.count(target) > 1:
            raise InvalidOption(f"two of them have the target {target}")
    return [_mount(given) for given in value]


def _mount(given: Document) -> dict[str, Any]:
    kind, target = given["type"], given["target"]
    for option, only in _ONLY_FOR.items():
        if given.get(option) is not None and kind != only:
            raise InvalidOption(
                f"{target}: {option} is for mounts of type {only}, and this is a {kind}"
            )
    if kind == "tmpfs" and given.get("source"):
        raise InvalidOption(f"{target}: a tmpfs has no source")
    if kind not in ("tmpfs", "volume") and not given.get("source"):
        raise InvalidOption(f"{target}: a mount of type {kind} needs a source")
    mount: dict[str, Any] = {"Type": kind, "Target": target}
    if given.get("source"):
        mount["Source"] = given["source"]
    if given.get("readonly"):
        mount["ReadOnly"] = True
    options = {key: item for key, item in _mount_parts(given).items() if item not in (None, {})}
    if options and kind == "volume":
        # The CLI writes it beside any other option of a volume.
        options.setdefault("DriverConfig", {})
    if options:
        mount[_PARTS_OF[kind]] = options
    return mount


_PARTS_OF = {"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions"}


def _mount_parts(given: Document) -> dict[str, Any]:
    driver = given.get("driver_config") or {}
    parts = {
        "Propagation": given.get("propagation"),
        "NonRecursive": given.get("non_recursive") or None,
        "NoCopy": given.get("no_copy") or None,
        "Labels": named_texts(given.get("labels") or {}),
        "Subpath": given.get("subpath") or None,
        "DriverConfig": {
            key: item
            for key, item in (
                ("Name", driver.get("name")),
                ("Options", named_texts(driver.get("options") or {})),
            )
            if item
        },
    }
    if given.get("tmpfs_size"):
        parts["SizeBytes"] = bytes_of(given["tmpfs_size"])
    if given.get("tmpfs_mode") is not None:
        parts["Mode"] = _file_mode(given["tmpfs_mode"])
    if given.get("tmpfs_options"):
        parts["Options"] = [str(option).split("=", 1) for option in given["tmpfs_options"]]
    return parts


def _mounts_canonical(value: Sequence[Document] | None) -> list[dict[str, Any]]:
    return sorted((_mount_filled(m) for m in value or []), key=lambda m: str(m["target"]))


def _mount_filled(mount: Document) -> dict[str, Any]:
    """With the engine's defaults, and without what it does not keep (Consistency ...)."""
    kind = mount.get("Type") or "volume"
    filled = {
        "type": kind,
        "source": mount.get("Source") or "",
        "target": mount.get("Target") or "",
        "readonly": bool(mount.get("ReadOnly")),
    }
    if kind == "bind":
        bind = mount.get("BindOptions") or {}
        filled["propagation"] = bind.get("Propagation") or "rprivate"
        filled["non_recursive"] = bool(bind.get("NonRecursive"))
    elif kind == "volume":
        volume = mount.get("VolumeOptions") or {}
        driver = volume.get("DriverConfig") or {}
        filled["no_copy"] = bool(volume.get("NoCopy"))
        filled["labels"] = dict(volume.get("Labels") or {})
        filled["subpath"] = volume.get("Subpath") or ""
        filled["driver_config"] = {
            "name": driver.get("Name") or "",
            "options": dict(driver.get("Options") or {}),
        }
    elif kind == "tmpfs":
        tmpfs = mount.get("TmpfsOptions") or {}
        filled["tmpfs_size"] = tmpfs.get("SizeBytes") or 0
        filled["tmpfs_mode"] = tmpfs.get("Mode") or _TMPFS_MODE
        filled["tmpfs_options"] = ["=".join(option) for option in tmpfs.get("Options") or []]
    return filled


def _mounts_shown(value: Sequence[Document]) -> list[dict[str, Any]]:
    """Without what nobody gave."""
    shown = []
    for mount in value:
        parts = {key: item for key, item in mount.items() if item not in ("", False, 0, [], {})}
        if parts.get("tmpfs_size"):
            parts["tmpfs_size"] = size(parts["tmpfs_size"])
        if parts.get("tmpfs_mode") is not None:
            parts["tmpfs_mode"] = f"{parts['tmpfs_mode']:04o}"
        if parts.get("driver_config") == {"name": "", "options": {}}:
            del parts["driver_config"]
        if parts.get("propagation") == "rprivate":
            del parts["propagation"]
        shown.append(parts)
    return shown


def mounts_newer(value: Sequence[Document]) -> Iterable[tuple[str, str]]:
    """What in a list of mounts needs a newer API."""
    for mount in value:
        if mount.get("type") == "cluster":
            yield "type cluster", "1.42"
        if mount.get("type") == "image":
            yield "type image", "1.48"
        if mount.get("subpath"):
            yield "subpath", "1.45"
        if mount.get("tmpfs_options"):
            yield "tmpfs_options", "1.46"
        if mount.get("non_recursive"):
            yield "non_recursive", "1.41"


MOUNTS = Kind(
    "list",
    elements="dict",
    to_api=_mounts,
    to_user=_mounts_shown,
    canonical=_mounts_canonical,
    empty=[],
)


# Secrets and configs: the user names them, the engine wants their IDs as well

_FILE_MODE = 0o444


def _references(noun: str, *more_keys: str) -> Callable[[Sequence[Any]], list[dict[str, Any]]]:
    kind = noun.capitalize()
    name_key, id_key = f"{noun}_name", f"{noun}_id"
    keys = (name_key, id_key, "filename", "uid", "gid", "mode", *more_keys)
    example = f"site, or as {{{name_key}: site, filename: /etc/site.conf, mode: '0440'}}"

    def references(value: Sequence[Any]) -> list[dict[str, Any]]:
        return [_reference(given) for given in value]

    def _reference(given: Any) -> dict[str, Any]:
        entry = _entry(
            {name_key: given} if isinstance(given, str) else given,
            f"a {noun}",
            example,
            *keys,
            needs=name_key,
        )
        reference: dict[str, Any] = {f"{kind}Name": _text(entry[name_key], name_key)}
        if entry.get(id_key):
            reference[f"{kind}ID"] = _text(entry[id_key], id_key)
        if entry.get("runtime"):
            return {**reference, "Runtime": {}}
        reference["File"] = {
            "Name": _text(entry.get("filename") or entry[name_key], "filename"),
            "UID": _text(entry.get("uid", "0"), "uid"),
            "GID": _text(entry.get("gid", "0"), "gid"),
            "Mode": _file_mode(entry.get("mode", _FILE_MODE)),
        }
        return reference

    return references


def _references_canonical(value: Sequence[Document] | None) -> list[dict[str, Any]]:
    references = [
        {key: part for key, part in reference.items() if part is not None}
        for reference in value or []
    ]
    return sorted(references, key=lambda r: json.dumps([r.get("File"), r], sort_keys=True))


def _references_shown(noun: str) -> Callable[[Sequence[Document]], list[dict[str, Any]]]:
    def shown(value: Sequence[Document]) -> list[dict[str, Any]]:
        entries = []
        for reference in value:
            entry = {f"{noun}_name": reference[f"{noun.capitalize()}Name"]}
            file = reference.get("File")
            if file:
                entry["filename"] = file["Name"]
                entry["uid"], entry["gid"] = file["UID"], file["GID"]
                entry["mode"] = f"{file['Mode']:04o}"
            else:
                entry["runtime"] = True
            entries.append(entry)
        return entries

    return shown


SECRETS = Kind(
    "list",
    elements="raw",
    to_api=_references("secret"),
    to_user=_references_shown("secret"),
    canonical=_references_canonical,
    empty=[],
)
CONFIGS = Kind(
    "list",
    elements="raw",
    to_api=_references("config", "runtime"),
    to_user=_references_shown("config"),
    canonical=_references_canonical,
    empty=[],
)


def configs_newer(value: Sequence[Any]) -> Iterable[tuple[str, str]]:
    """What in a list of configs needs a newer API."""
    if any(isinstance(config, Mapping) and config.get("runtime") for config in value):
        yield "runtime", "1.40"


# Health and privileges


def _health_test(value: Any) -> list[str]:
    if isinstance(value, str):
        return ["NONE"] if value == "NONE" else ["CMD-SHELL", value]
    if isinstance(value, Sequence):
        test = [_text(part, "each part of it") for part in value]
        if not test or test[0] in ("NONE", "CMD", "CMD-SHELL"):
            return test
    raise InvalidOption(
        "is a command line, or a list that begins with CMD, CMD-SHELL or NONE, as "
        "[CMD, curl, -f, http://localhost]"
    )


def _seccomp_profile(value: Any) -> str:
    """The API's bytes, in base64, of the JSON document; empty where it is to be none."""
    if value == "":
        return ""
    try:
        document = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise InvalidOption(f"is not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise InvalidOption("is a seccomp profile, as a mapping or its JSON text")
    return base64.b64encode(json.dumps(document, sort_keys=True).encode()).decode()


def _seccomp_canonical(value: str | None) -> Any:
    try:
        return json.loads(base64.b64decode(value)) if value else ""
    except (ValueError, binascii.Error):
        return value


HEALTH_TEST = Kind("raw", to_api=_health_test, canonical=lambda v: list(v or []), empty=[])
SECCOMP_PROFILE = Kind("raw", to_api=_seccomp_profile, canonical=_seccomp_canonical, empty="")
