# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with hosts that are or shall be a swarm: pure, from what was seen to findings.

Of each host there are `seen`, which is what the module host_info tells, `wanted`, which is what the
inventory says of it, and where ports were probed `probed` and `arrived`, from port_probe. What is
not known is no finding.
"""

from __future__ import annotations

import ipaddress
import re
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Union

from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import (
    DEFAULT_POOL,
    DEFAULT_SUBNET_SIZE,
    ip_of,
)

Document = Mapping[str, Any]
Hosts = tuple[str, ...]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

FATAL, WARNING = "fatal", "warning"

MANAGER_PORT, GOSSIP_PORT, DATA_PATH_PORT = 2377, 7946, 4789


@dataclass(frozen=True)
class Finding:
    """What is wrong and where. What it means and what to do is the check's, if not said here."""

    level: str
    where: Hosts
    what: str
    why: str = ""
    todo: str = ""


@dataclass(frozen=True)
class Check:
    """Each text is a sentence or two."""

    find: Callable[[Fleet], Iterator[Finding]]
    why: str
    todo: str


@dataclass(frozen=True)
class Fleet:
    """All hosts, and what the inventory says of the swarm as a whole.

    `firewall_follows` tells that a role will still open the swarm's ports.
    """

    hosts: Mapping[str, Document]
    managers: Sequence[str] = ()
    allow_even_managers: bool = False
    default_addr_pool: Sequence[str] = ()
    subnet_size: int = DEFAULT_SUBNET_SIZE
    data_path_port: int = DATA_PATH_PORT
    encrypted: bool = False
    firewall_follows: bool = False

    def seen(self, *path: str) -> dict[str, Any]:
        """What was seen at the path; not of hosts where that is nothing."""
        found = {}
        for host, document in self.hosts.items():
            value: Any = document["seen"]
            for name in path:
                value = value.get(name) if isinstance(value, Mapping) else None
            if value not in (None, "", {}, []):
                found[host] = value
        return found

    def of_swarm(self, name: str, otherwise: Any) -> Any:
        """What the managers say of the swarm that is there, or else this."""
        return next(iter(self.seen("swarm", name).values()), otherwise)


def findings(
    fleet: Fleet, only: Collection[str], ignore: Collection[str], warn: Collection[str]
) -> list[dict[str, Any]]:
    """What the checks in `only` find, but for those in `ignore`; those in `warn` only warn."""
    return [
        _told(name, check, finding, name in warn)
        for name, check in CHECKS.items()
        if name in only and name not in ignore
        for finding in check.find(fleet)
    ]


def _told(name: str, check: Check, finding: Finding, is_demoted: bool) -> dict[str, Any]:
    why, todo = finding.why or check.why, finding.todo or check.todo
    text = f"{', '.join(finding.where)}: {finding.what}. {why} {todo} ({name})"
    level = WARNING if is_demoted else finding.level
    return {
        **asdict(finding),
        "why": why,
        "todo": todo,
        "check": name,
        "level": level,
        "text": text,
    }


def _grouped(by_host: Mapping[str, Any]) -> dict[Any, Hosts]:
    """The hosts that share each value."""
    groups: dict[Any, Hosts] = {}
    for host, value in by_host.items():
        groups[value] = (*groups.get(value, ()), host)
    return groups


def _duplicates(by_host: Mapping[str, Any]) -> Iterator[tuple[Any, Hosts]]:
    return ((value, hosts) for value, hosts in _grouped(by_host).items() if len(hosts) > 1)


def _told_by_group(groups: Mapping[Any, Hosts]) -> str:
    return "; ".join(f"{value} on {', '.join(hosts)}" for value, hosts in sorted(groups.items()))


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


# The swarm as a whole

_MANY_MANAGERS = 7


def _managers(fleet: Fleet) -> Iterator[Finding]:
    count, where = len(fleet.managers), tuple(fleet.managers)
    if count == 0:
        what, why = "the inventory names no manager", "A swarm needs one."
        yield Finding(FATAL, tuple(fleet.hosts), what, why)
    elif count % 2 == 0:
        level = WARNING if fleet.allow_even_managers else FATAL
        why = f"{count // 2 + 1} of them must answer, so one fewer would survive as many losses."
        todo = "Take an odd number, or set quorum_allow_even_managers to true."
        yield Finding(level, where, f"there are {count} managers", why, todo)
    elif count > _MANY_MANAGERS:
        yield Finding(WARNING, where, f"there are {count} managers")


# Clocks and names

_FATAL_SECONDS, _WARNING_SECONDS = 55 * 60, 5 * 60


def _clock(fleet: Fleet) -> Iterator[Finding]:
    offsets = fleet.seen("clock_offset")
    middle = statistics.median_low(offsets.values()) if offsets else 0
    for host, offset in offsets.items():
        gap = offset - middle
        if abs(gap) > _WARNING_SECONDS:
            level = FATAL if abs(gap) > _FATAL_SECONDS else WARNING
            where = "ahead of" if gap > 0 else "behind"
            what = f"the clock is {_duration(abs(gap))} {where} that of the other hosts"
            yield Finding(level, (host,), what)


def _clock_synchronised(fleet: Fleet) -> Iterator[Finding]:
    yield from _where(
        fleet,
        lambda host: host["seen"].get("clock_synchronised") is False,
        Finding(WARNING, (), "the kernel says that nothing keeps the clock in step"),
    )


def _where(fleet: Fleet, holds: Callable[[Document], bool], finding: Finding) -> Iterator[Finding]:
    """The finding, on all hosts where it holds."""
    hosts = tuple(name for name, host in fleet.hosts.items() if holds(host))
    if hosts:
        yield Finding(**{**asdict(finding), "where": hosts})


def _hostname(fleet: Fleet) -> Iterator[Finding]:
    for name, hosts in _duplicates(fleet.seen("hostname")):
        yield Finding(WARNING, hosts, f"they share the hostname {name}")


def _machine_id(fleet: Fleet) -> Iterator[Finding]:
    for _value, hosts in _duplicates(fleet.seen("machine_id")):
        yield Finding(WARNING, hosts, "they share one /etc/machine-id, as copies of a disk do")


def _node_id(fleet: Fleet) -> Iterator[Finding]:
    for value, hosts in _duplicates(fleet.seen("certificate", "node_id")):
        yield Finding(FATAL, hosts, f"they are one node, {value}, as copies of a disk are")


# Swarmkit renews between half and four fifths of a certificate's life (ca, calculateRandomExpiry).
_RENEWED_BY = 0.8


def _certificate(fleet: Fleet) -> Iterator[Finding]:
    for host, certificate in fleet.seen("certificate").items():
        now = fleet.hosts[host]["seen"]["time"]
        begin, end = certificate["not_before"], certificate["not_after"]
        if now < begin:
            what = f"the node's certificate is not valid for another {_duration(begin - now)}"
            yield Finding(FATAL, (host,), what, todo="Set the host's clock.")
        elif now >= end:
            what = f"the node's certificate expired {_duration(now - end)} ago"
            todo = (
                "If it is not the clock that is wrong, let the host leave (shoal.swarm.swarm_join "
                "with state: absent and force: true) and join again."
            )
            yield Finding(FATAL, (host,), what, todo=todo)
        elif now > begin + _RENEWED_BY * (end - begin):
            what = f"the node's certificate expires in {_duration(end - now)} and was not renewed"
            yield Finding(WARNING, (host,), what)


# Addresses


def _addresses(seen: Document) -> dict[str, Document]:
    """The interface of each address."""
    return {
        address.partition("/")[0]: interface
        for interface in seen.get("interfaces", ())
        for address in interface["addresses"]
    }


def _address(text: str, seen: Document) -> str:
    """The IP address of what the inventory says: an address, an interface, or nothing.

    Nothing means the interface of the default route. Empty where it cannot be known.
    """
    address = ip_of(text)
    if address is not None:
        return str(address)
    defaults = (r["interface"] for r in seen.get("routes", ()) if r["destination"] == "default")
    name = text or next(defaults, "")
    return next((a for a, interface in _addresses(seen).items() if interface["name"] == name), "")


def _advertised(host: Document) -> str:
    seen = host["seen"]
    of_node = seen.get("swarm", {}).get("node_addr")
    return of_node or _address(host.get("wanted", {}).get("advertise_addr") or "", seen)


def _data_path(host: Document) -> str:
    wanted = host.get("wanted", {}).get("data_path_addr")
    return _address(wanted, host["seen"]) if wanted else _advertised(host)


def _advertise_addr(fleet: Fleet) -> Iterator[Finding]:
    for name, host in fleet.hosts.items():
        wanted, seen = host.get("wanted", {}), host["seen"]
        known = _addresses(seen)
        if not known or not wanted.get("check_addresses", True):
            continue
        for option in ("advertise_addr", "data_path_addr"):
            text = wanted.get(option)
            if text and _address(text, seen) not in known:
                what = f"{option} is {text}, and the host's addresses are {', '.join(known)}"
                yield Finding(FATAL, (name,), what)
    advertised = {name: _advertised(host) for name, host in fleet.hosts.items()}
    for address, hosts in _duplicates({name: a for name, a in advertised.items() if a}):
        why = "The nodes reach each other by their addresses."
        todo = "Give each host a quorum_advertise_addr of its own."
        yield Finding(FATAL, hosts, f"they share the address {address}", why, todo)


# How long an overlay network's packets get, if no option of the network says otherwise
# (moby daemon/libnetwork/drivers/overlay/encryption.go, maxMTU).
_OVERLAY_MTU = 1500


def _mtu(fleet: Fleet) -> Iterator[Finding]:
    by_host = {}
    for name, host in fleet.hosts.items():
        interface = _addresses(host["seen"]).get(_data_path(host))
        if interface:
            by_host[name] = interface["mtu"]
    groups = _grouped(by_host)
    for mtu, hosts in sorted(groups.items()):
        if mtu < _OVERLAY_MTU:
            why = (
                f"Overlay networks send packets of up to {_OVERLAY_MTU} bytes: small ones pass, "
                "and larger ones are lost."
            )
            todo = (
                "Create networks, and ingress, with "
                f"driver_opts: {{com.docker.network.driver.mtu: '{mtu}'}}."
            )
            yield Finding(WARNING, hosts, f"the MTU towards the swarm is {mtu}", why, todo)
    if len(groups) > 1:
        what = f"the MTU towards the swarm differs: {_told_by_group(groups)}"
        yield Finding(WARNING, tuple(by_host), what)


# Subnets are taken one after another from the low end of the pool, so of the engine's own, which is
# all of 10.0.0.0/8, only the first are near.
_NEAR_SUBNETS = 1024
# Interfaces that the engine makes.
_ENGINES_OWN = re.compile(r"docker0$|docker_gwbridge$|br-[0-9a-f]{12}$|veth")


def _addr_pool(fleet: Fleet) -> Iterator[Finding]:
    settled = fleet.of_swarm("default_addr_pool", [])
    todo = "It never changes: give the networks subnets of their own." if settled else ""
    for pool in _networks(settled or fleet.default_addr_pool or [DEFAULT_POOL]):
        what = f"the swarm's address pool {pool}"
        used = _used_first(pool, fleet.of_swarm("subnet_size", fleet.subnet_size))
        inside, routed = {}, {}
        for name, host in fleet.hosts.items():
            address = _advertised(host)
            overlapping = [str(n) for n in _routed(host["seen"]) if n.overlaps(used)]
            if address and str(pool) != DEFAULT_POOL and ipaddress.ip_address(address) in pool:
                inside[name] = address
            elif overlapping:
                routed[name] = ", ".join(dict.fromkeys(overlapping))
        if inside:
            text = f"{what} contains the hosts' own {', '.join(inside.values())}"
            yield Finding(WARNING if settled else FATAL, tuple(inside), text, todo=todo)
        for networks, hosts in _grouped(routed).items():
            text = f"{what} overlaps {networks}, where the host has a route to"
            yield Finding(WARNING, hosts, text, todo=todo)


def _networks(texts: Iterable[str]) -> Iterator[Network]:
    for text in texts:
        try:
            yield ipaddress.ip_network(text, strict=False)
        except ValueError:
            # "default" among routes. A mistake in the pool is told by shoal.swarm.swarm_init.
            continue


def _routed(seen: Document) -> Iterator[Network]:
    routes = (r for r in seen.get("routes", ()) if not _ENGINES_OWN.match(r["interface"]))
    return _networks(route["destination"] for route in routes)


def _used_first(pool: Network, subnet_size: int) -> Network:
    if str(pool) != DEFAULT_POOL:
        return pool
    prefix = max(pool.prefixlen, subnet_size - (_NEAR_SUBNETS - 1).bit_length())
    return ipaddress.ip_network((pool.network_address, prefix))


def _data_path_port(fleet: Fleet) -> Iterator[Finding]:
    yield from _where(
        fleet,
        lambda host: (
            "vmware" in host["seen"].get("vendor", "").lower()
            and fleet.of_swarm("data_path_port", fleet.data_path_port) == DATA_PATH_PORT
        ),
        Finding(WARNING, (), f"VMware, and overlay traffic goes by port {DATA_PATH_PORT}/udp"),
    )


# The engine's configuration and version


def _config(host: Document) -> Document:
    """daemon.json as the role engine leaves it."""
    stored, wanted = host["seen"].get("daemon_config", {}), host.get("wanted", {})
    kept = stored if wanted.get("daemon_config_state", "merge") == "merge" else {}
    config = {**kept, **(wanted.get("daemon_config") or {})}
    return {key: value for key, value in config.items() if value is not None}


def _daemon_json(fleet: Fleet) -> Iterator[Finding]:
    for error, hosts in _grouped(fleet.seen("daemon_config_error")).items():
        yield Finding(FATAL, hosts, f"/etc/docker/daemon.json cannot be read: {error}")


def _live_restore(fleet: Fleet) -> Iterator[Finding]:
    yield from _where(
        fleet,
        lambda host: _config(host).get("live-restore") is True,
        Finding(FATAL, (), "live-restore is true in daemon.json"),
    )


# The feature swarm-nftables came with it.
_NFTABLES_SINCE = (29, 6, 0)


def _refuses_nftables(host: Document) -> bool:
    config, version = _config(host), _version(host)
    features = config.get("features")
    is_enabled = isinstance(features, Mapping) and features.get("swarm-nftables") is True
    return (
        config.get("firewall-backend") == "nftables"
        and config.get("iptables") is not False
        and (not is_enabled or () < version < _NFTABLES_SINCE)
    )


def _firewall_backend(fleet: Fleet) -> Iterator[Finding]:
    what = "firewall-backend is nftables in daemon.json"
    yield from _where(fleet, _refuses_nftables, Finding(FATAL, (), what))


Version = tuple[int, ...]
# The oldest engine that this collection works with; its API is 1.41.
_OLDEST = (20, 10, 0)
# From which on encrypted networks let no cleartext in, in two lines of releases.
_ENCRYPTION_FIXED = ((20, 10, 24), (23, 0, 3))
# Between these, encrypted networks do not reach engines of other versions (moby#51798, #51951).
_ENCRYPTION_ALONE = ((29, 0, 0), (29, 2, 1))


def version_of(text: str) -> Version:
    """The engine's version in that of a package, or in its own; empty where there is none."""
    found = re.search(r"(?:^|:)(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else ()


def _dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _version(host: Document) -> Version:
    """What the inventory asks for, or what runs."""
    asked = version_of(host.get("wanted", {}).get("engine_version") or "")
    return asked or version_of(host["seen"].get("engine", {}).get("version", ""))


def _versions(fleet: Fleet) -> dict[Version, Hosts]:
    versions = {name: _version(host) for name, host in fleet.hosts.items()}
    return dict(sorted(_grouped({name: v for name, v in versions.items() if v}).items()))


def _engine_version(fleet: Fleet) -> Iterator[Finding]:
    groups = _versions(fleet)
    for version, hosts in groups.items():
        if version < _OLDEST:
            why = f"This collection needs {_dotted(_OLDEST[:2])} (API 1.41) or newer."
            yield Finding(FATAL, hosts, f"the engine is {_dotted(version)}", why)
    if len({version[0] for version in groups}) > 1:
        told = _told_by_group({_dotted(version): hosts for version, hosts in groups.items()})
        where = tuple(host for hosts in groups.values() for host in hosts)
        yield Finding(WARNING, where, f"the engines are far apart: {told}")


def _encryption(fleet: Fleet) -> Iterator[Finding]:
    groups = _versions(fleet) if fleet.encrypted else {}
    (old, new), (first, fixed) = _ENCRYPTION_FIXED, _ENCRYPTION_ALONE
    for version, hosts in groups.items():
        what = f"the engine is {_dotted(version)}, and networks shall be encrypted"
        if version < old or (23, 0, 0) <= version < new:
            yield Finding(WARNING, hosts, what)
        if first <= version < fixed and any(not first <= v < fixed for v in groups):
            why = "From 29.0.0 to 29.2.0 encrypted networks do not reach hosts with other versions."
            yield Finding(WARNING, hosts, what, why)


# The host itself

_MODULES = {
    "vxlan": (FATAL, "Overlay networks cannot be made."),
    "overlay": (WARNING, "The engine takes a slower storage driver, or does not start."),
    "br_netfilter": (WARNING, "Rules between containers on one host are not applied."),
    "ip_vs": (
        WARNING,
        "Names of services and ports in mode ingress do not answer: they need virtual IPs.",
    ),
}
_MODULES_OF_ENCRYPTION = {
    "xt_bpf": (FATAL, "Encrypted networks cannot be made."),
    "esp4": (FATAL, "Encrypted networks carry nothing."),
}


def _kernel_modules(fleet: Fleet) -> Iterator[Finding]:
    modules = {**_MODULES, **(_MODULES_OF_ENCRYPTION if fleet.encrypted else {})}
    for module, (level, why) in modules.items():
        states = fleet.seen("kernel_modules", module)
        hosts = tuple(host for host, state in states.items() if state == "missing")
        if hosts:
            yield Finding(level, hosts, f"the kernel has no {module}", why)


def _ip_forward(fleet: Fleet) -> Iterator[Finding]:
    # The engine turns it on when it starts, unless it shall not.
    yield from _where(
        fleet,
        lambda host: (
            host["seen"].get("ip_forward") is False
            and (bool(host["seen"].get("engine")) or _config(host).get("ip-forward") is False)
        ),
        Finding(WARNING, (), "net.ipv4.ip_forward is 0"),
    )


_TINY_BYTES, _SMALL_BYTES, _FEW_INODES = 1 << 30, 5 << 30, 0.05


def _disk(fleet: Fleet) -> Iterator[Finding]:
    for host, disk in fleet.seen("disk").items():
        free, where = disk["free"], disk["path"]
        if free < _SMALL_BYTES:
            level = FATAL if free < _TINY_BYTES else WARNING
            yield Finding(level, (host,), f"{where} has {free / (1 << 30):.1f} GiB left")
        elif disk["inodes_free"] < disk["inodes"] * _FEW_INODES:
            yield Finding(WARNING, (host,), f"{where} has {disk['inodes_free']} inodes left")


# Ports


def targets(fleet: Fleet, limit: int, probe_all: bool) -> dict[str, list[dict[str, Any]]]:
    """For each host which ports of which hosts it is to probe, as port_probe takes them.

    Of `limit` hosts at most: the managers, and those that come next in the fleet, so that each is
    probed by some. Two that are at work in one swarm only with `probe_all`.
    """
    names = list(fleet.hosts)
    found = {}
    for place, name in enumerate(names):
        others = names[place + 1 :] + names[:place]
        # A stable sort: the managers first, else the order that they have.
        chosen = [
            other
            for other in sorted(others, key=lambda other: other not in fleet.managers)
            if probe_all or not _are_together(fleet.hosts[name], fleet.hosts[other])
        ]
        found[name] = [port for other in chosen[:limit] for port in _ports(other, fleet)]
    return found


def _are_together(one: Document, other: Document) -> bool:
    """Whether both are at work in one swarm."""
    clusters = {host["seen"].get("certificate", {}).get("cluster_id") for host in (one, other)}
    return len(clusters) == 1 and _is_at_work(one) and _is_at_work(other)


def _is_at_work(host: Document) -> bool:
    swarm = host["seen"].get("swarm", {})
    return swarm.get("state") == "active" and not swarm.get("error")


def _ports(name: str, fleet: Fleet) -> Iterator[dict[str, Any]]:
    host = fleet.hosts[name]
    address = _advertised(host)
    ports = [
        *([(address, MANAGER_PORT, "tcp")] if name in fleet.managers else []),
        (address, GOSSIP_PORT, "tcp"),
        (address, GOSSIP_PORT, "udp"),
        (_data_path(host), fleet.of_swarm("data_path_port", fleet.data_path_port), "udp"),
    ]
    for where, port, protocol in ports:
        if where:
            yield {"name": name, "address": where, "port": port, "protocol": protocol}


_OF_PORT = {
    MANAGER_PORT: "Without 2377/tcp to the managers no host joins.",
    GOSSIP_PORT: "Without 7946 the nodes do not tell each other where containers are.",
}
_OF_DATA = "Without the overlay traffic's port no container reaches those on other hosts."


def _reachability(fleet: Fleet) -> Iterator[Finding]:
    sources: dict[tuple[str, str, str], Hosts] = {}
    whys = {}
    for source, host in fleet.hosts.items():
        for result in host.get("probed", ()):
            manner = _lost(result, fleet.hosts.get(result["name"], {}).get("arrived"))
            if manner:
                port = f"{result['port']}/{result['protocol']}"
                key = (result["name"], manner, port)
                sources[key] = (*sources.get(key, ()), source)
                whys[port] = _OF_PORT.get(result["port"], _OF_DATA)
    # Ports that share their fate are one finding.
    shared: dict[tuple[str, str, Hosts], list[str]] = {}
    for (target, manner, port), hosts in sources.items():
        shared.setdefault((target, manner, hosts), []).append(port)
    for (target, manner, hosts), ports in shared.items():
        verb = "sends" if len(hosts) == 1 else "send"
        what = f"what {', '.join(hosts)} {verb} to {', '.join(ports)} {manner}"
        why = " ".join(dict.fromkeys(whys[port] for port in ports))
        if fleet.firewall_follows and not _is_at_work(fleet.hosts[target]):
            todo = "The role firewall opens the hosts' own; if it does not help, look for others."
            yield Finding(WARNING, (target,), what, why, todo)
        else:
            yield Finding(FATAL, (target,), what, why)


def _lost(result: Document, arrived: Collection[str] | None) -> str:
    """What became of a packet that did not get through; empty where it did, or nobody knows."""
    outcome = result["outcome"]
    if outcome == "connected":
        return ""
    if outcome == "unreachable":
        return "has no way to go, or is not let out"
    if arrived is None:
        # The listener had ended. A live host accepts or refuses what reaches it.
        return "gets no answer" if outcome == "silent" else ""
    if result["mark"] not in arrived:
        return "is rejected" if outcome == "refused" else "does not arrive"
    return "arrives, but the answer does not come back" if outcome == "silent" else ""


# The names turn a check off; they are told in this order.
CHECKS: Mapping[str, Check] = {
    "managers": Check(
        _managers,
        "Each change waits for more than half of them: many make it slower, and add little safety.",
        "Put 3, 5 or 7 hosts into the managers' group.",
    ),
    "clock": Check(
        _clock,
        "Certificates are valid from an hour before they are issued: a host further behind cannot "
        "join, and one that is far ahead takes them for expired.",
        "Set the clock, and keep it with NTP (chrony, systemd-timesyncd).",
    ),
    "clock_synchronised": Check(
        _clock_synchronised,
        "Clocks drift apart, and certificates are valid by the clock.",
        "Run an NTP client (chrony, systemd-timesyncd), if the machine's host does not do it.",
    ),
    "hostname": Check(
        _hostname,
        "A swarm lets that happen, but no command takes such a node by its name.",
        "Give each a name of its own (hostnamectl set-hostname), and restart its engine.",
    ),
    "machine_id": Check(
        _machine_id,
        "DHCP can give them one address, and systemd the same MAC addresses to their bridges.",
        "Empty it on all but one, and reboot these.",
    ),
    "node_id": Check(
        _node_id,
        "The managers take them for one node that moves to and fro.",
        "On all but one stop the engine, remove /var/lib/docker/swarm and start it again.",
    ),
    "certificate": Check(
        _certificate,
        "A node whose certificate is not valid has no part in the swarm. The engine renews it "
        "before four fifths of its life are over.",
        "See that the host reaches the managers on 2377/tcp, and restart its engine.",
    ),
    "advertise_addr": Check(
        _advertise_addr,
        "The engine takes any address without a word, and the other nodes do not reach it there.",
        "Correct quorum_advertise_addr or quorum_data_path_addr, or set quorum_check_addresses to "
        "false where addresses are translated.",
    ),
    "addr_pool": Check(
        _addr_pool,
        "Containers in an overlay network that has the hosts' own addresses do not reach these "
        "hosts, and published ports do not answer to them.",
        "Set quorum_swarm: {default_addr_pool: […]} to addresses that no host or router uses.",
    ),
    "mtu": Check(
        _mtu,
        "What a host with the larger one sends can be lost on the way to the others.",
        "Set the same on all hosts.",
    ),
    "data_path_port": Check(
        _data_path_port,
        "VMware NSX takes that port for itself, and what containers send to other hosts is lost.",
        "If there is NSX, create the swarm with quorum_swarm: {data_path_port: 7789} or the like.",
    ),
    "daemon_json": Check(
        _daemon_json, "The engine does not start with it.", "Correct the file, or remove it."
    ),
    "live_restore": Check(
        _live_restore,
        "Such an engine refuses to be in a swarm.",
        "Set engine_daemon_config: {live-restore: false}.",
    ),
    "firewall_backend": Check(
        _firewall_backend,
        "Such an engine refuses to be in a swarm, but for 29.6 and newer with a feature.",
        "Set engine_daemon_config: {firewall-backend: iptables}, or there features: "
        "{swarm-nftables: true}.",
    ),
    "engine_version": Check(
        _engine_version,
        "A swarm can do that while it is upgraded. For good, a manager loses settings of services "
        "that it does not know.",
        "Set one engine_version for all hosts.",
    ),
    "encryption": Check(
        _encryption,
        "Before 20.10.24 and 23.0.3 they let cleartext in, and may send it "
        "(CVE-2023-28840 to 28842).",
        "Upgrade the engine; 29.2.1 and newer are free of both.",
    ),
    "kernel_modules": Check(
        _kernel_modules,
        "",
        "Install the distribution's full kernel, or its package of further modules "
        "(linux-modules-extra, kernel-modules-extra).",
    ),
    "ip_forward": Check(
        _ip_forward,
        "Containers reach nothing outside their host, and published ports do not answer.",
        "Set it to 1 in /etc/sysctl.d, and look what has turned it off.",
    ),
    "disk": Check(
        _disk,
        "Images and containers need room, and a full disk can break a manager's log of the swarm.",
        "Make room (docker system prune), or enlarge the filesystem.",
    ),
    "reachability": Check(
        _reachability,
        "",
        "Look for a firewall on the hosts and between them, and at the cloud's own rules.",
    ),
}
PORTS_CHECK = "reachability"
