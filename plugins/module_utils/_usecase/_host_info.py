# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host is like that is or shall be in a swarm: it is only looked at, and needs no Docker.

What cannot be known is empty: in a container there may be no folder of kernel modules, and on a
bare host there is no engine.
"""

from __future__ import annotations

import ctypes
import gzip
import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._certificate import read_certificate
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import (
    DEFAULT_POOL,
    DEFAULT_SUBNET_SIZE,
)

Document = dict[str, Any]

SOCKET = "/var/run/docker.sock"
DAEMON_JSON = "/etc/docker/daemon.json"
PID_FILE = "/var/run/docker.pid"
DATA_ROOT = "/var/lib/docker"
CERTIFICATE = "swarm/certificates/swarm-node.crt"
# Of an engine that stands still, or of a manager that waits for its quorum (daemon/cluster).
ENGINE_SECONDS = 25.0

# What the engine looks for in the kernel, by the name in the kernel's configuration.
MODULES = {
    "overlay": "OVERLAY_FS",
    "vxlan": "VXLAN",
    "br_netfilter": "BRIDGE_NETFILTER",
    "ip_vs": "IP_VS",
    "xt_bpf": "NETFILTER_XT_MATCH_BPF",
    "esp4": "INET_ESP",
}
PRESENT, MISSING, UNKNOWN = "present", "missing", "unknown"

# The keys of daemon.json that count in a swarm.
DAEMON_KEYS = (
    "data-root",
    "features",
    "firewall-backend",
    "ip-forward",
    "iptables",
    "live-restore",
)

_SWITCH = {"0": False, "1": True}

# adjtimex(2): what it returns where nothing keeps the clock in step, and room for its answer.
_TIME_ERROR = 5
_TIMEX_BYTES = 1024


def gather(controller_time: float | None) -> Document:
    """Everything; `controller_time` is what the controller's clock showed when it asked."""
    now = time.time()
    config, config_error = daemon_config(_text(DAEMON_JSON))
    data_root = os.path.abspath(str(config.get("data-root") or DATA_ROOT))
    engine, swarm = _engine(str(config.get("pidfile") or PID_FILE))
    return {
        "time": now,
        "clock_offset": None if controller_time is None else now - controller_time,
        "clock_synchronised": _clock_is_synchronised(),
        "hostname": socket.gethostname(),
        "machine_id": _text("/etc/machine-id").strip(),
        "vendor": _text("/sys/class/dmi/id/sys_vendor").strip(),
        "interfaces": interfaces(_ip("address")),
        "routes": routes(_ip("route")),
        "kernel_modules": _modules(os.uname().release),
        "ip_forward": _SWITCH.get(_text("/proc/sys/net/ipv4/ip_forward").strip()),
        "daemon_config": config,
        "daemon_config_error": config_error,
        "engine": engine,
        "swarm": swarm,
        "certificate": _certificate(os.path.join(data_root, CERTIFICATE)),
        "disk": _disk(data_root),
    }


# What is pure


def daemon_config(text: str) -> tuple[Document, str]:
    """Of daemon.json the keys that count in a swarm, and what is wrong with the file."""
    try:
        config = json.loads(text or "{}")
    except ValueError as error:
        return {}, str(error)
    if not isinstance(config, dict):
        return {}, "it is not a JSON object"
    return {key: config[key] for key in DAEMON_KEYS if key in config}, ""


def interfaces(links: Sequence[Mapping[str, Any]]) -> list[Document]:
    """Of what `ip -json address` says: the interfaces that carry an address."""
    found = []
    for link in links:
        addresses = [
            f"{address['local']}/{address['prefixlen']}"
            for address in link.get("addr_info", ())
            if address.get("scope") == "global"
        ]
        if addresses:
            found.append({"name": link["ifname"], "mtu": link["mtu"], "addresses": addresses})
    return found


def routes(entries: Sequence[Mapping[str, Any]]) -> list[Document]:
    """Of what `ip -json route` says: destinations, also `default`, and their interfaces."""
    return [
        {"destination": entry["dst"], "interface": entry["dev"]}
        for entry in entries
        if "dev" in entry and entry.get("type", "unicast") == "unicast"
    ]


def module_states(loaded: Collection[str], listed: str, config: str) -> dict[str, str]:
    """Whether the kernel has each module, or could load it.

    `listed` is modules.builtin and modules.dep, and `config` is the kernel's configuration: it
    tells what could have been installed, so it counts alone where no modules are.
    """
    names = {
        match.replace("-", "_")
        for match in re.findall(r"^[^:\n]*?([^/:\n]+)\.ko\b", listed, re.MULTILINE)
    }
    states = {}
    for name, option in MODULES.items():
        if name in loaded or name in names or f"\nCONFIG_{option}=y\n" in config:
            states[name] = PRESENT
        elif names or f"\n# CONFIG_{option} is not set\n" in config:
            states[name] = MISSING
        else:
            states[name] = UNKNOWN
    return states


def of_info(info: Mapping[str, Any], api_version: str) -> tuple[Document, Document]:
    """Of what `GET /info` says: the engine, and what it knows of its swarm."""
    swarm = info.get("Swarm") or {}
    cluster = swarm.get("Cluster") or {}
    engine = {"version": info.get("ServerVersion", ""), "api_version": api_version}
    return engine, {
        "state": swarm.get("LocalNodeState", ""),
        "error": swarm.get("Error", ""),
        "node_id": swarm.get("NodeID", ""),
        "node_addr": swarm.get("NodeAddr", ""),
        # Nothing is the engine's own.
        "default_addr_pool": cluster.get("DefaultAddrPool") or [DEFAULT_POOL] * bool(cluster),
        "subnet_size": cluster.get("SubnetSize") or (DEFAULT_SUBNET_SIZE if cluster else None),
        "data_path_port": cluster.get("DataPathPort") or None,
    }


# What looks


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _ip(what: str) -> list[Document]:
    try:
        done = subprocess.run(
            ["ip", "-json", what], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
        return json.loads(done.stdout or b"[]")
    except (OSError, subprocess.CalledProcessError, ValueError):
        return []


def _clock_is_synchronised() -> bool | None:
    # All zero, it sets nothing. A container may not be allowed to ask.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR


def _modules(release: str) -> dict[str, str]:
    folder = f"/lib/modules/{release}"
    loaded = [name for name in MODULES if os.path.isdir(f"/sys/module/{name}")]
    listed = _text(f"{folder}/modules.builtin") + _text(f"{folder}/modules.dep")
    return module_states(loaded, listed, _kernel_config(release))


def _kernel_config(release: str) -> str:
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return _text(f"/boot/config-{release}")


class _OverSocket(http.client.HTTPConnection):
    """HTTP over a socket of this host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def _engine(pid_file: str) -> tuple[Document, Document]:
    """What the engine says, where one runs: to ask its socket may be to start it."""
    if not os.path.isdir(f"/proc/{_text(pid_file).strip() or 'none'}"):
        return {}, {}
    connection = _OverSocket("docker", timeout=ENGINE_SECONDS)
    try:
        connection.request("GET", "/info")
        response = connection.getresponse()
        return of_info(json.loads(response.read()), response.headers.get("Api-Version", ""))
    except (OSError, http.client.HTTPException, ValueError):
        return {}, {}
    finally:
        connection.close()


def _certificate(path: str) -> Document:
    try:
        return asdict(read_certificate(_text(path)))
    except ValueError:
        return {}


def _disk(path: str) -> Document:
    """The filesystem that holds the path, or will."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return {
        "path": path,
        "size": found.f_blocks * found.f_frsize,
        "free": found.f_bavail * found.f_frsize,
        "inodes": found.f_files,
        "inodes_free": found.f_favail,
    }
