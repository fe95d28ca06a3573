# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts with a Docker Engine each, in memory: the one fake of these tests.

A `Daemon` stands where the SDK's session does, so everything from `_client.Engine` upwards is the
real code. It answers as Engine 20.10 does, with the same texts (those of 26.1 differ in two
letters); test_memory_swarm.py runs the same steps against it and against a real engine. Time passes
only when somebody sleeps in it.
"""

from __future__ import annotations

import base64
import copy
import json
import random
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import requests.exceptions

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._membership import root_ca_digest
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Clock
from ansible_collections.shoal.swarm.tests.unit import memory_objects, memory_spec
from ansible_collections.shoal.swarm.tests.unit.memory_objects import (
    LOCAL_NETWORKS,
    File,
    labelled,
    matches,
)
from ansible_collections.shoal.swarm.tests.unit.memory_service import Ending, Service, shown
from ansible_collections.shoal.swarm.tests.unit.memory_store import (
    ALREADY_EXISTS,
    INVALID,
    PRECONDITION,
    Document,
    Refusal,
    Thing,
)

Fault = Callable[["Daemon", Callable[[], Any]], Any]

NOT_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)
WORKER = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. "
    "Please run this command on a manager node or promote the current node to a manager."
)
LOCKED = (
    "Swarm is encrypted and needs to be unlocked before it can be used. Please use "
    '"docker swarm unlock" to unlock it.'
)
NOT_LOCKED = "swarm is not locked"
NO_KEY = "invalid key string"
WRONG_KEY = "swarm could not be unlocked: invalid key provided"
LEAVE_LOCKED = (
    "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message."
)
ALREADY = (
    'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join '
    "another one."
)
NOT_PART = "This node is not part of a swarm"
LEAVE_MANAGER = (
    "You are attempting to leave the swarm on a node that is participating as a manager. "
)
LAST_MANAGER = (
    "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this "
    "message."
)
LOSES_QUORUM = (
    "Removing this node leaves {left} managers out of {managers}. Without a Raft quorum your swarm "
    "will be inaccessible. The only way to restore a swarm that has lost consensus is to "
    "reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message."
)
JOIN_TIMEOUT = (
    "Timeout was reached before node joined. The attempt to join the swarm will continue in the "
    'background. Use the "docker info" command to see the current swarm status of your node.'
)
REFUSED_CONNECTION = (
    'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing '
    'dial tcp {address}: connect: connection refused"'
)
OTHER_CA = "remote CA does not match fingerprint. Expected: {digest}"
WRONG_TOKEN = (
    "rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster"
)
NO_LEADER = (
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few "
    "managers are online. Make sure more than half of the managers are online."
)
DEADLINE = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
LOST_LEADER = "rpc error: code = Unknown desc = node lost leader status"

AUTH = "X-Registry-Auth"
HOUR = 3600 * 10**9
# The number of a stream in a log (moby api/pkg/stdcopy).
FRAMES = {"stdout": 1, "stderr": 2}
INCOMPLETE_LOG = (
    "Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream. some "
    "logs could not be retrieved for the following reasons: {reasons}\n"
)

# How long the engine itself waits for a join, for a refused connection, for a leader.
JOIN_SECONDS = 20
DIAL_SECONDS = 10
RAFT_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """What the SDK's session returns, as far as `_client` looks at it."""

    status_code: int
    content: bytes
    # Where it does not end by itself: waits until the client has no patience any more.
    wait: Callable[[], None] | None = None

    def iter_content(self, _chunk_size: int | None) -> Iterator[bytes]:
        yield self.content
        if self.wait:
            self.wait()
            raise requests.exceptions.ConnectionError("Read timed out.")

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def reason(self) -> str:
        return ""

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Log:
    """What a request for a log gets, and whether that ever ends."""

    content: bytes
    ends: bool = True


@dataclass
class Registry:
    """All registries there are: what each image's name means, and who may ask."""

    digests: dict[str, str] = field(default_factory=dict)
    platforms: tuple[tuple[str, str], ...] = (("linux", "amd64"),)
    is_down: bool = False
    # Who has to log in, as user name and password.
    login: tuple[str, str] | None = None
    asked: list[str] = field(default_factory=list)

    def tell(self, name: str, auth: str) -> Document:
        self.asked.append(name)
        if self.is_down:
            raise Refusal(500, f'Get "https://{name}/v2/": dial tcp: connect: connection refused')
        if self.login is not None:
            given = json.loads(base64.urlsafe_b64decode(auth)) if auth else {}
            if (given.get("username"), given.get("password")) != self.login:
                raise Refusal(401, "unauthorized: authentication required")
        tag, _at, digest = name.partition("@")
        digest = digest or self.digests.get(tag, "")
        if digest not in self.digests.values():
            raise Refusal(404, "manifest unknown: manifest unknown")
        return {
            "Descriptor": {
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "digest": digest,
                "size": 588,
            },
            "Platforms": [
                {"architecture": architecture, "os": system}
                for system, architecture in self.platforms
            ],
        }


@dataclass
class Delays:
    """Seconds until what was accepted is so. Nothing takes time unless a test says so."""

    join: float = 0.0
    role: float = 0.0
    reachable: float = 0.0
    rotation: float = 0.0
    task: float = 0.0
    # Until the tasks of a removed service have stopped.
    stop: float = 0.0
    # Until a new network has its addresses.
    network: float = 0.0
    # A node that is gone is called down after some heartbeats.
    down: float = 14.0
    # How long reads still answer after the quorum is lost.
    stale: float = 15.0


class World:
    """The hosts, the swarms among them, one clock, and the faults that are to come."""

    def __init__(self, pace: float = 0.0) -> None:
        """With a pace, time passes by itself, that many times as fast as outside."""
        self.daemons: list[Daemon] = []
        self.delays = Delays()
        self.random = random.Random(0)
        # image -> why it cannot run
        self.broken_images: dict[str, str] = {}
        # image -> how its containers end, if they do so by themselves
        self.endings: dict[str, Ending] = {}
        self.registry = Registry()
        # image -> what it writes when it runs, each text to stdout or stderr
        self.output: dict[str, list[tuple[str, str]]] = {}
        # (host, method, path) of every request that would change something
        self.writes: list[tuple[str, str, str]] = []
        self.clock = Clock(self.now, self.sleep)
        self.lock = threading.RLock()
        self._pace = pace
        self._started = time.monotonic()
        self._seconds = 0.0
        self._nanoseconds = 0
        self._effects: list[tuple[float, Callable[[], None]]] = []
        self._faults: dict[int, Fault] = {}

    def host(self, name: str, address: str, api_version: str = "1.41") -> Daemon:
        """Another host, outside any swarm."""
        daemon = Daemon(self, name, address, api_version)
        self.daemons.append(daemon)
        return daemon

    def at_write(self, number: int, fault: Fault) -> None:
        """Let the fault happen at the n-th write from now on, 1 being the next."""
        self._faults[len(self.writes) + number] = fault

    def now(self) -> float:
        return self._seconds + self._pace * (time.monotonic() - self._started)

    def timestamp(self) -> str:
        """The engine's own time; no two things happen in the same nanosecond."""
        self._nanoseconds = (self._nanoseconds + 1) % 1000
        moment = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self.now())
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}{self._nanoseconds:03}Z"

    def sleep(self, seconds: float) -> None:
        # Who acts on many things at the same time may wait for several.
        with self.lock:
            self._seconds += seconds
            self.settle()

    def later(self, seconds: float, effect: Callable[[], None]) -> None:
        """Let it happen so much later, be it at once."""
        self.schedule(seconds, effect)
        self.settle()

    def schedule(self, seconds: float, effect: Callable[[], None]) -> None:
        """The same, but not before what is under way is over."""
        self._effects.append((self.now() + seconds, effect))

    def settle(self) -> None:
        """Let happen what is due."""
        while True:
            due = [effect for effect in self._effects if effect[0] <= self.now()]
            if not due:
                return
            # One effect can bring about others.
            first = min(due, key=lambda effect: effect[0])
            self._effects.remove(first)
            first[1]()

    def write(self, daemon: Daemon, method: str, path: str, perform: Callable[[], Any]) -> Any:
        self.writes.append((daemon.name, method, path))
        fault = self._faults.pop(len(self.writes), None)
        return fault(daemon, perform) if fault else perform()

    def listening(self, address: str) -> Daemon | None:
        """The host at an address, whether it listens on that port or refuses."""
        host = address.rpartition(":")[0]
        return next((d for d in self.daemons if d.address == host and d.is_up), None)

    def identifier(self, length: int = 25) -> str:
        return "".join(self.random.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=length))

    def certificate(self) -> str:
        """Not a certificate, but one in form: PEM around bytes that hold the key among others."""
        body = base64.b64encode(self.identifier(60).encode()).decode()
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def _frame(stream: str, text: str, has_terminal: bool) -> bytes:
    if has_terminal:
        return text.replace("\n", "\r\n").encode()
    data = text.encode()
    return struct.pack(">B3xI", FRAMES.get(stream, 3), len(data)) + data


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(f"{timestamp[:26]}+00:00").timestamp()


def public_key(certificate: str) -> str:
    """The bytes of a certificate that stand for its key, as the API shows a key."""
    body = base64.b64decode("".join(certificate.strip().splitlines()[1:-1]))
    return base64.b64encode(body[20:50]).decode()


# Faults


def conflict(daemon: Daemon, perform: Callable[[], Any]) -> Any:
    """Somebody else writes every object just before us, and changes nothing that we manage."""
    for thing in daemon.swarm_or_fail().objects():
        thing.touch()
    return perform()


def meanwhile(other: Callable[[Daemon], Any]) -> Fault:
    """Somebody does this just before our write arrives."""

    def fault(daemon: Daemon, perform: Callable[[], Any]) -> Any:
        other(daemon)
        return perform()

    return fault


def answer_lost(daemon: Daemon, perform: Callable[[], Any]) -> Any:
    """The write is carried out, and the connection breaks before the answer."""
    perform()
    raise requests.exceptions.ConnectionError("Connection aborted.")


def request_lost(daemon: Daemon, perform: Callable[[], Any]) -> Any:
    """The connection breaks before the write arrives."""
    raise requests.exceptions.ConnectionError("Connection aborted.")


def leader_lost(daemon: Daemon, perform: Callable[[], Any]) -> Any:
    """The leader falls before the write is committed; the others elect one within seconds."""
    daemon.swarm_or_fail().elects_until = daemon.world.now() + 5
    raise Refusal(500, LOST_LEADER)


def leader_lost_committed(daemon: Daemon, perform: Callable[[], Any]) -> Any:
    """The leader falls after the write was committed, and the answer says what it says above."""
    perform()
    daemon.swarm_or_fail().elects_until = daemon.world.now() + 5
    raise Refusal(500, LOST_LEADER)


# What a swarm holds


@dataclass(eq=False)
class Node(Thing):
    created_at: str = ""
    updated_at: str = ""
    hostname: str = ""
    address: str = ""
    port: int = 2377
    engine_version: str = ""
    # Its part in Raft, which follows the role in the spec.
    is_manager: bool = False
    is_reachable: bool = True
    # None after it has left.
    daemon: Daemon | None = None
    state: str = "ready"
    message: str = ""
    tls: Document = field(default_factory=dict)

    def touch(self) -> None:
        super().touch()
        self.updated_at = self.swarm.world.timestamp()
        self.created_at = self.created_at or self.updated_at

    @property
    def manager_address(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def is_up(self) -> bool:
        return self.daemon is not None and self.daemon.is_up and self.daemon.state != "locked"

    def document(self) -> Document:
        status = {"State": self.state, "Addr": self.address}
        if self.message:
            status["Message"] = self.message
        document = {
            **super().document(),
            "CreatedAt": self.created_at,
            "UpdatedAt": self.updated_at,
            "Description": {
                "Hostname": self.hostname,
                "Platform": {"Architecture": "x86_64", "OS": "linux"},
                "Resources": {"NanoCPUs": 2 * 10**9, "MemoryBytes": 4 * 2**30},
                "Engine": {"EngineVersion": self.engine_version, "Plugins": []},
                "TLSInfo": self.tls,
            },
            "Status": status,
        }
        if self.is_manager:
            reaches = self.is_up and self.is_reachable
            document["ManagerStatus"] = {
                "Addr": self.manager_address,
                "Reachability": "reachable" if reaches else "unreachable",
                **({"Leader": True} if self.swarm.leader() is self else {}),
            }
        return document


class Swarm(Thing):
    """One swarm: its own settings, and all that it holds."""

    def __init__(self, world: World, body: Document, api_version: str) -> None:
        super().__init__(self, world.identifier(), {})
        self.world = world
        self.api_version = api_version
        self.index = 9
        self.nodes: list[Node] = []
        self.services: list[Service] = []
        # Removed ones, of which tasks are still running.
        self.remains: list[Service] = []
        self.networks: list[Document] = []
        # Removed ones, which a node still knows while it has containers on them.
        self.removed_networks: list[Document] = []
        # Tasks that stand for containers outside any service.
        self.attachments: list[Document] = []
        self.files: dict[str, list[File]] = {"Secret": [], "Config": []}
        self.root_ca = world.certificate()
        self.issuer = self.root_ca
        self.is_rotating = False
        self.rotated_for = 0
        self.secrets = {"Worker": world.identifier(), "Manager": world.identifier()}
        self.unlock_key = ""
        self.elects_until = 0.0
        self.lost_quorum_at: float | None = None
        self.pools = body.get("DefaultAddrPool") or ["10.0.0.0/8"]
        self.subnet_size = body.get("SubnetSize") or 24
        self.data_path_port = body.get("DataPathPort") or 4789
        spec = body.get("Spec") or {}
        self.spec = _merged_settings(_settings(_DEFAULTS), spec)
        self.after_settings(spec)
        self.create_network({"Name": "ingress", "Driver": "overlay", "Ingress": True})
        self.touch()

    def objects(self) -> Iterator[Thing]:
        yield self
        yield from self.nodes
        yield from self.services
        for files in self.files.values():
            yield from files

    # Raft

    def managers(self) -> list[Node]:
        return [node for node in self.nodes if node.is_manager]

    def has_quorum(self) -> bool:
        return 2 * sum(node.is_up for node in self.managers()) > len(self.managers())

    def leader(self) -> Node | None:
        if not self.has_quorum() or self.world.now() < self.elects_until:
            return None
        return next(node for node in self.managers() if node.is_up)

    def notice_losses(self) -> None:
        """After a host went or came: is there still a quorum, and who is down?"""
        if self.has_quorum():
            self.lost_quorum_at = None
            for node in self.nodes:
                if node.daemon and node.daemon.state == "pending":
                    node.daemon.state = "active"
        elif self.lost_quorum_at is None:
            self.lost_quorum_at = self.world.now()

    def can_be_read(self) -> bool:
        """Without quorum a manager still answers from what it remembers, for a while."""
        if self.lost_quorum_at is not None:
            return self.world.now() < self.lost_quorum_at + self.world.delays.stale
        return self.leader() is not None

    def refuse_write(self) -> None:
        if self.leader() is not None:
            return
        if not self.can_be_read():
            raise Refusal(500, NO_LEADER)
        self.world.sleep(RAFT_SECONDS)
        raise Refusal(500, DEADLINE)

    # Settings

    def tokens(self) -> dict[str, str]:
        digest = root_ca_digest(self.root_ca.encode())
        return {role: f"SWMTKN-1-{digest}-{secret}" for role, secret in self.secrets.items()}

    def tls(self) -> Document:
        return {
            "TrustRoot": self.root_ca,
            "CertIssuerSubject": "MBMxETAPBgNVBAMTCHN3YXJtLWNh",
            "CertIssuerPublicKey": public_key(self.issuer),
        }

    def document(self) -> Document:
        return {
            **super().document(),
            "TLSInfo": self.tls(),
            "RootRotationInProgress": self.is_rotating,
            "DefaultAddrPool": self.pools,
            "SubnetSize": self.subnet_size,
            "DataPathPort": self.data_path_port,
        }

    def update(self, query: Mapping[str, str], body: Document) -> None:
        if body.get("Name") not in (None, "", "default"):
            raise Refusal(400, 'swarm spec must be named "default"')
        settings = _settings(body)
        expiry = settings["CAConfig"].get("NodeCertExpiry")
        if expiry is not None and expiry < HOUR:
            raise Refusal(400, f"{INVALID}minimum certificate expiry time is: 1h0m0s")
        self.write(query.get("version"), settings)
        for role in self.secrets:
            if query.get(f"rotate{role}Token") == "true":
                self.secrets[role] = self.world.identifier()
        if query.get("rotateManagerUnlockKey") == "true":
            self.unlock_key = ""
        self.after_settings(body)

    def after_settings(self, given: Document) -> None:
        locks = self.spec["EncryptionConfig"]["AutoLockManagers"]
        if not locks:
            self.unlock_key = ""
        elif not self.unlock_key:
            self.unlock_key = f"SWMKEY-1-{self.world.identifier(43)}"
        certificate = (given.get("CAConfig") or {}).get("SigningCACert")
        if certificate:
            self.rotate_to(certificate)
        # Any number that is not the last one starts a rotation, and so does leaving it out.
        number = self.spec["CAConfig"].get("ForceRotate", 0)
        if number != self.rotated_for:
            self.rotated_for = number
            self.rotate_to(self.world.certificate())

    def rotate_to(self, certificate: str) -> None:
        if certificate == self.root_ca and not self.is_rotating:
            return
        self.is_rotating = True
        self.issuer = certificate
        self.world.later(self.world.delays.rotation, lambda: self.finish_rotation(certificate))

    def finish_rotation(self, certificate: str) -> None:
        if certificate != self.issuer:
            # Another rotation has begun meanwhile.
            return
        # It never ends while a node is down that cannot get its new certificate.
        if not all(node.is_up for node in self.nodes):
            self.world.later(1.0, lambda: self.finish_rotation(certificate))
            return
        self.root_ca = certificate
        self.is_rotating = False
        self.secrets = {role: self.world.identifier() for role in self.secrets}
        for node in self.nodes:
            node.tls = self.tls()
        self.touch()

    # Nodes

    def admit(self, daemon: Daemon, body: Document, role: str) -> Node:
        availability = body.get("Availability") or "active"
        spec: Document = {"Labels": {}, "Role": role, "Availability": availability}
        node = Node(
            self,
            self.world.identifier(),
            spec,
            hostname=daemon.name,
            address=daemon.address,
            port=daemon.port,
            engine_version=daemon.engine_version,
            is_manager=role == "manager",
            daemon=daemon,
            tls=self.tls(),
        )
        self.nodes.append(node)
        node.touch()
        if node.is_manager and self.world.delays.reachable and len(self.nodes) > 1:
            node.is_reachable = False
            self.world.later(self.world.delays.reachable, lambda: _reach(node))
        self.place_tasks()
        return node

    def node(self, reference: str) -> Node:
        """By ID, by name, or by the beginning of an ID, as the engine does."""
        tests: tuple[Callable[[Node], bool], ...] = (
            lambda node: node.id == reference,
            lambda node: node.hostname == reference,
            lambda node: node.id.startswith(reference),
        )
        for test in tests:
            found = [node for node in self.nodes if test(node)]
            if len(found) > 1:
                raise Refusal(400, f"node {reference} is ambiguous ({len(found)} matches found)")
            if found:
                return found[0]
        raise Refusal(404, f"node {reference} not found")

    def update_node(self, reference: str, query: Mapping[str, str], body: Document) -> None:
        for name, values in (
            ("Role", ("manager", "worker")),
            ("Availability", ("active", "pause", "drain")),
        ):
            if body.get(name) not in values:
                raise Refusal(400, f'invalid {name}: "{body.get(name) or ""}"')
        node = self.node(reference)
        if node.is_manager and body["Role"] == "worker":
            self.refuse_demotion(node)
        spec = {**body, "Labels": body.get("Labels") or {}}
        node.write(query.get("version"), {key: spec[key] for key in spec if spec[key] != ""})
        self.world.later(self.world.delays.role, lambda: self.follow_role(node))
        self.place_tasks()

    def remove_node(self, reference: str, force: bool) -> None:
        node = self.node(reference)
        if node.spec["Role"] == "manager" and node.is_manager:
            text = (
                f"node {node.id} is a cluster manager and is a member of the raft cluster. It must "
                "be demoted to worker before removal"
            )
            raise Refusal(400, PRECONDITION + text)
        if node.state == "ready" and not force:
            raise Refusal(400, f"{PRECONDITION}node {node.id} is not down and can't be removed")
        self.index += 1
        self.nodes.remove(node)
        # Its engine is told nothing, and takes itself for an active worker from then on.
        self.place_tasks()

    def refuse_demotion(self, node: Node) -> None:
        others = [manager for manager in self.managers() if manager is not node]
        if not others:
            text = "attempting to demote the last manager of the swarm"
            raise Refusal(400, PRECONDITION + text)
        if 2 * sum(other.is_up for other in others) <= len(others):
            text = "can't remove member from the raft: this would result in a loss of quorum"
            raise Refusal(400, PRECONDITION + text)

    def follow_role(self, node: Node) -> None:
        should_manage = node.spec["Role"] == "manager"
        if node.is_manager != should_manage:
            node.is_manager = should_manage
            node.touch()
            self.notice_losses()

    def lose(self, node: Node) -> None:
        """Its heartbeats are missing: in some seconds the managers call it down."""

        def mark() -> None:
            if not node.is_up and node in self.nodes:
                node.state, node.message = "down", "heartbeat failure"
                node.touch()
                self.place_tasks()

        self.world.later(self.world.delays.down, mark)
        self.notice_losses()

    # Services

    def service(self, reference: str) -> Service:
        for service in self.services:
            if reference in (service.id, service.spec["Name"]):
                return service
        raise Refusal(404, f"service {reference} not found")

    def create_service(self, body: Document, auth: str = "") -> Document:
        spec = self.checked_service(body)
        if any(service.spec["Name"] == spec["Name"] for service in self.services):
            raise Refusal(
                409,
                f"{ALREADY_EXISTS}name conflicts with an existing object: service {spec['Name']} "
                "already exists",
            )
        service = Service(self, self.world.identifier(), spec, auth)
        service.touch()
        self.services.append(service)
        service.place_tasks()
        return {"ID": service.id}

    def update_service(
        self, reference: str, query: Mapping[str, str], body: Document, auth: str = ""
    ) -> Document:
        service = self.service(reference)
        spec = self.checked_service(body)
        unimplemented = "rpc error: code = Unimplemented desc = "
        if spec["Name"] != service.spec["Name"]:
            raise Refusal(501, f"{unimplemented}renaming services is not supported")
        if set(spec["Mode"]) != set(service.spec["Mode"]):
            raise Refusal(501, f"{unimplemented}service mode change is not allowed")
        if query.get("rollback") == "previous":
            if service.previous is None:
                text = f"service {service.id} does not have a previous spec"
                raise Refusal(400, PRECONDITION + text)
            service.roll_back(query.get("version"))
        else:
            service.update(query.get("version"), spec, auth)
        return {"Warnings": None}

    def remove_service(self, reference: str) -> None:
        service = self.service(reference)
        self.index += 1
        self.services.remove(service)
        self.remains.append(service)
        for task in service.tasks:
            task["DesiredState"] = "remove"
        self.world.later(self.world.delays.stop, lambda: self.remains.remove(service))

    def checked_service(self, body: Document) -> Document:
        """The spec as it is stored, unless it cannot be."""
        try:
            spec = memory_spec.kept(body, self.api_version)
        except memory_spec.Unacceptable as error:
            raise Refusal(400, str(error)) from None
        template = spec["TaskTemplate"]
        for attachment in template.get("Networks", ()):
            attachment["Target"] = self.network_id(attachment["Target"])
        for reason in self.reasons_against(spec, template, template["ContainerSpec"]):
            raise Refusal(400, INVALID + reason)
        return spec

    def reasons_against(
        self, spec: Document, template: Document, container: Document
    ) -> Iterator[str]:
        """What swarmkit's manager finds wrong with it (manager/controlapi/service.go)."""
        if not re.fullmatch(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*", spec["Name"]):
            yield "name must be valid as a DNS name component"
        if not container.get("Image"):
            yield "ContainerSpec: image reference must be provided"
        targets = [mount.get("Target") for mount in container.get("Mounts", ())]
        if len(set(targets)) < len(targets):
            yield f"ContainerSpec: duplicate mount point: {targets[-1]}"
        for kind in self.files:
            names = [r["File"]["Name"] for r in container.get(f"{kind}s", ()) if "File" in r]
            if len(set(names)) < len(names):
                yield f"{kind.lower()} references have a conflicting target: '{names[-1]}'"
            known = {(thing.id, thing.spec["Name"]) for thing in self.files[kind]}
            for reference in container.get(f"{kind}s", ()):
                name = reference.get(f"{kind}Name")
                if (reference.get(f"{kind}ID"), name) not in known:
                    yield f"{kind.lower()} not found: {name}"
        config = ((container.get("Privileges") or {}).get("CredentialSpec") or {}).get("Config")
        runtime = [r["ConfigID"] for r in container.get("Configs", ()) if "Runtime" in r]
        if config and config not in runtime:
            yield (
                f"CredentialSpec references config '{config}', but that config isn't in config "
                "references with RuntimeTarget"
            )
        if not {"ReplicatedJob", "GlobalJob"}.isdisjoint(spec["Mode"]) and "UpdateConfig" in spec:
            yield "Jobs may not have an update config"
        if not 0 <= (spec.get("UpdateConfig") or {}).get("MaxFailureRatio", 0) <= 1:
            yield ("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1")
        endpoint = spec.get("EndpointSpec") or {}
        modes = {port["PublishMode"] for port in endpoint.get("Ports", ())}
        if endpoint.get("Mode") == "dnsrr" and "ingress" in modes:
            yield "EndpointSpec: port published with ingress mode can't be used with dnsrr mode"

    def node_of(self, task: Document) -> Node | None:
        return next((node for node in self.nodes if node.id == task.get("NodeID")), None)

    # What services refer to

    def add_file(self, kind: str, body: Document) -> File:
        file = memory_objects.make_file(self, kind, body)
        self.files[kind].append(file)
        return file

    def remove_file(self, kind: str, reference: str) -> None:
        file = memory_objects.find_file(self, kind, reference)
        file.refuse_removal()
        self.index += 1
        self.files[kind].remove(file)

    def add_network(self, name: str) -> Document:
        return self.create_network({"Name": name, "Driver": "overlay"})

    def create_network(self, body: Document) -> Document:
        network = memory_objects.make_network(self, body)
        self.index += 1
        self.networks.append(network)
        self.world.later(
            self.world.delays.network, lambda: memory_objects.allocate(self, network, body)
        )
        return network

    def remove_network(self, reference: str) -> None:
        if any(reference in (network["Id"], network["Name"]) for network in LOCAL_NETWORKS):
            raise Refusal(403, f"{reference} is a pre-defined network and cannot be removed")
        network_id = self.network_id(reference)
        network = next(network for network in self.networks if network["Id"] == network_id)
        memory_objects.refuse_network_removal(self, network)
        self.index += 1
        self.networks.remove(network)
        self.removed_networks.append(network)

    def network_id(self, reference: str) -> str:
        for network in (*self.networks, *LOCAL_NETWORKS):
            if reference in (network["Id"], network["Name"]):
                return network["Id"]
        raise Refusal(500, f"network {reference} not found")

    def place_tasks(self) -> None:
        for service in self.services:
            service.place_tasks()

    def log(self, service: Service, tasks: list[Document], query: Mapping[str, str]) -> Log:
        """As far as their nodes answer, and in whatever order they do."""
        streams = [stream for stream in FRAMES if query.get(stream) == "true"]
        if not streams:
            raise Refusal(500, "Bad parameters: you must choose at least one stream")
        has_terminal = service.spec["TaskTemplate"]["ContainerSpec"].get("TTY", False)
        content, missing, ends = b"", [], True
        for task in reversed(tasks):
            node = self.node_of(task)
            if "NodeID" not in task:
                missing.append(f"task {task['ID']} has not been scheduled")
            elif node and node.daemon and node.daemon.is_silent:
                ends = False
            elif node is None or not node.is_up:
                missing.append(f"node {task['NodeID']} is not available")
            elif (task["Spec"].get("LogDriver") or {}).get("Name") != "none":
                lines = [
                    (when, stream, text)
                    for when, stream, text in task["log"]
                    if stream in streams and _unix(when) >= float(query.get("since", 0))
                ]
                for when, stream, text in lines[-int(query["tail"]) :]:
                    origin = {"node": node.id, "service": service.id, "task": task["ID"]}
                    details = ",".join(f"com.docker.swarm.{k}.id={v}" for k, v in origin.items())
                    content += _frame(stream, f"{when} {details} {text}", has_terminal)
        if missing and ends:
            text = INCOMPLETE_LOG.format(reasons=", ".join(missing))
            content += _frame("error", text, has_terminal)
        return Log(content, ends)


class Daemon:
    """The engine of one host. It takes requests as the SDK's session does."""

    base_url = "http://memory"
    timeout = 60
    engine_version = "20.10.24"

    def __init__(self, world: World, name: str, address: str, api_version: str) -> None:
        self.world = world
        self.name = name
        self.address = address
        self.api_version = api_version
        self.is_up = True
        self.is_silent = False
        self.state = "inactive"
        self.error = ""
        self.swarm: Swarm | None = None
        self.node: Node | None = None
        self.joining = ""
        # State of an autolocked swarm that a forced new cluster left on the disk.
        self.has_locked_state = False
        self.volumes: list[Document] = []
        self.root_dir = "/var/lib/docker"
        self.port = 2377

    @property
    def engine(self) -> Engine:
        """A client of this daemon: the real one, on this session, from another host."""
        return Engine(self, is_socket=False)

    @property
    def local_engine(self) -> Engine:
        """The same from the host itself, which also looks at the host's addresses and files."""
        engine = Engine(self, is_socket=True)
        engine.is_local = True
        return engine

    # What befalls a host

    def power_off(self, silently: bool = False) -> None:
        """Silently: the others notice only that they hear nothing more."""
        self.is_up, self.is_silent = False, silently
        if self.swarm is not None and self.node is not None:
            self.swarm.lose(self.node)

    def power_on(self) -> None:
        self.is_up, self.is_silent = True, False
        if self.swarm is None or self.node is None:
            return
        if self.node.is_manager and self.swarm.unlock_key:
            self.state, self.error = "locked", LOCKED
            return
        self.come_back(self.swarm, self.node)

    def come_back(self, swarm: Swarm, node: Node) -> None:
        """Into the swarm, after a restart."""
        node.state, node.message = "ready", ""
        swarm.notice_losses()
        if node.is_manager and not swarm.has_quorum():
            self.state = "pending"
            # It asks the others anew, and remembers nothing that it could answer from.
            swarm.lost_quorum_at = -self.world.delays.stale

    def fail(self, error: str) -> None:
        """The engine's part in the swarm stops with an error, as with expired certificates."""
        self.state, self.error = "error", error

    def swarm_or_fail(self) -> Swarm:
        assert self.swarm is not None, f"{self.name} is in no swarm"
        return self.swarm

    # Requests

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        timeout: float | None = None,
    ) -> Answer:
        # Who acts on many things at the same time sends several.
        with self.world.lock:
            self.world.settle()
            if not self.is_up:
                raise requests.exceptions.ConnectionError("Connection refused")
            path = re.sub(r"^/v\d+\.\d+", "", urlsplit(url).path)
            query = {name: str(value) for name, value in (params or {}).items()}
            # The one header that counts.
            query[AUTH] = (headers or {}).get(AUTH) or ""
            body = copy.deepcopy(json)
            try:
                status, result = self._dispatch(method, path, query, body)
            except Refusal as refusal:
                status, result = refusal.status, {"message": str(refusal)}
            self.world.settle()
            if isinstance(result, Log):
                wait = None if result.ends else partial(self.world.sleep, timeout or 0)
                return Answer(status, result.content, wait)
            return Answer(status, b"" if result is None else _dump(result))

    def _dispatch(
        self, method: str, path: str, query: Mapping[str, str], body: Any
    ) -> tuple[int, Any]:
        for route_method, pattern, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if route_method != method or not match:
                continue
            parts = [unquote(part) for part in match.groups()]
            if method == "GET":
                return 200, handler(self, query, *parts)

            perform = partial(handler, self, query, body, *parts)
            # No object has version 0, so this is a question and never a write.
            if query.get("version") == "0":
                return 200, perform()
            return 200, self.world.write(self, method, path, perform)
        return 404, {"message": "page not found"}

    def version(self, query: Mapping[str, str]) -> Document:
        return {"Version": "20.10.24", "ApiVersion": self.api_version, "MinAPIVersion": "1.12"}

    def info(self, query: Mapping[str, str]) -> Document:
        swarm: Document = {
            "NodeID": self.node.id if self.node and self.state != "locked" else "",
            "NodeAddr": self.address if self.state != "inactive" else "",
            "LocalNodeState": self.state,
            "ControlAvailable": False,
            "Error": self.error,
            "RemoteManagers": None,
        }
        if self.joining:
            swarm["RemoteManagers"] = [{"NodeID": "", "Addr": self.joining}]
        if self.state in ("active", "pending") and self.swarm and self.node:
            swarm["RemoteManagers"] = [
                {"NodeID": node.id, "Addr": node.manager_address} for node in self.swarm.managers()
            ]
            swarm["ControlAvailable"] = self.node.is_manager
            if self.node.is_manager and not self.swarm.can_be_read():
                swarm["Error"] = NO_LEADER
                swarm["Cluster"] = {"ID": "", "Version": {}, "Spec": {"Labels": None}}
            elif self.node.is_manager:
                swarm["Cluster"] = self.swarm.document()
                swarm["Nodes"] = len(self.swarm.nodes)
                swarm["Managers"] = len(self.swarm.managers())
        return {
            "Name": self.name,
            "DockerRootDir": self.root_dir,
            "ServerVersion": self.engine_version,
            "SystemTime": self.world.timestamp(),
            "LoggingDriver": "json-file",
            "Swarm": swarm,
        }

    def managing(self) -> Swarm:
        """The swarm, if this engine manages it."""
        if self.state == "locked":
            raise Refusal(503, LOCKED)
        if self.state not in ("active", "pending") or not self.swarm or not self.node:
            raise Refusal(503, NOT_MANAGER)
        if not self.node.is_manager:
            raise Refusal(503, WORKER)
        return self.swarm

    def reading(self) -> Swarm:
        swarm = self.managing()
        if not swarm.can_be_read():
            raise Refusal(500, NO_LEADER)
        return swarm

    def writing(self) -> Swarm:
        swarm = self.managing()
        swarm.refuse_write()
        return swarm

    # The swarm

    def get_swarm(self, query: Mapping[str, str]) -> Document:
        swarm = self.reading()
        return {**swarm.document(), "JoinTokens": swarm.tokens()}

    def get_unlock_key(self, query: Mapping[str, str]) -> Document:
        return {"UnlockKey": self.reading().unlock_key}

    def unlock(self, query: Mapping[str, str], body: Document) -> None:
        if self.state != "locked":
            self.managing()
            raise Refusal(409, NOT_LOCKED)
        if not re.fullmatch(r"SWMKEY-1-[A-Za-z0-9+/]*", body["UnlockKey"]):
            raise Refusal(400, NO_KEY)
        swarm, node = self.swarm_or_fail(), self.node
        if body["UnlockKey"] != swarm.unlock_key or node is None:
            raise Refusal(401, WRONG_KEY)
        self.state, self.error = "active", ""
        self.come_back(swarm, node)

    def init(self, query: Mapping[str, str], body: Document) -> str:
        if self.state != "inactive" and not body.get("ForceNewCluster"):
            raise Refusal(503, ALREADY)
        if self.state in ("active", "pending") and self.swarm and self.node:
            return self.force_new_cluster(self.swarm, self.node, body)
        if self.has_locked_state:
            self.has_locked_state = False
            raise Refusal(503, LOCKED)
        self.swarm = Swarm(self.world, body, self.api_version)
        self.node = self.swarm.admit(self, body, "manager")
        self.state = "active"
        return self.node.id

    def force_new_cluster(self, swarm: Swarm, node: Node, body: Document) -> str:
        if swarm.unlock_key:
            # moby#36852: it goes inactive, and the next init finds the locked state on the disk.
            self.swarm = self.node = None
            self.state, self.has_locked_state = "inactive", True
            raise Refusal(503, LOCKED)
        for other in swarm.managers():
            if other is not node:
                other.is_manager = False
                other.state = "unknown"
                other.message = 'Node moved to "unknown" state due to leadership change in cluster'
                other.touch()
        swarm.spec = _merged_settings(swarm.spec, body.get("Spec") or {})
        swarm.after_settings(body.get("Spec") or {})
        swarm.touch()
        swarm.notice_losses()
        return node.id

    def update_swarm(self, query: Mapping[str, str], body: Document) -> None:
        self.writing().update(query, body)

    def join(self, query: Mapping[str, str], body: Document) -> None:
        if self.state != "inactive":
            raise Refusal(503, ALREADY)
        match = re.fullmatch(r"SWMTKN-1-([0-9a-z]{50})-([0-9a-z]{25})", body["JoinToken"])
        if not match:
            raise Refusal(500, "invalid join token")
        digest, secret = match.groups()
        address = body["RemoteAddrs"][0]
        manager = self.world.listening(address)
        if manager is None or (manager.swarm and not manager.swarm.has_quorum()):
            self.state, self.joining = "pending", address
            self.world.sleep(JOIN_SECONDS)
            raise Refusal(503, JOIN_TIMEOUT)
        is_open = manager.node is not None and manager.node.is_manager
        if not is_open or not address.endswith(f":{manager.port}"):
            self.world.sleep(DIAL_SECONDS)
            raise Refusal(503, REFUSED_CONNECTION.format(address=address))
        swarm = manager.swarm_or_fail()
        if digest != root_ca_digest(swarm.root_ca.encode()):
            self.world.sleep(DIAL_SECONDS)
            raise Refusal(500, OTHER_CA.format(digest=f"{int(digest, 36):x}"))
        role = next((role for role, known in swarm.secrets.items() if known == secret), None)
        if role is None:
            self.world.sleep(DIAL_SECONDS)
            raise Refusal(400, WRONG_TOKEN)

        def enter() -> None:
            if self.state == "pending":
                self.swarm = swarm
                self.node = swarm.admit(self, body, role.lower())
                self.state, self.joining = "active", ""

        self.state, self.joining = "pending", address
        self.world.later(self.world.delays.join, enter)
        if self.state == "pending":
            self.world.sleep(min(JOIN_SECONDS, self.world.delays.join))
        if self.state == "pending":
            raise Refusal(503, JOIN_TIMEOUT)

    def leave(self, query: Mapping[str, str], body: Any) -> None:
        force = query.get("force") == "true"
        if self.state == "inactive":
            raise Refusal(503, NOT_PART)
        if self.state == "locked" and not force:
            raise Refusal(503, LEAVE_LOCKED)
        manages = self.state == "active" and self.node is not None and self.node.is_manager
        if manages and not force:
            managers = len(self.swarm_or_fail().managers())
            text = LOSES_QUORUM.format(left=managers - 1, managers=managers)
            raise Refusal(503, LEAVE_MANAGER + (LAST_MANAGER if managers == 1 else text))
        swarm, node = self.swarm, self.node
        self.swarm = self.node = None
        self.state, self.error, self.joining = "inactive", "", ""
        if swarm is not None and node is not None:
            node.daemon = None
            swarm.lose(node)

    # Nodes, services, networks

    def get_nodes(self, query: Mapping[str, str]) -> list[Document]:
        nodes = self.reading().nodes
        return [node.document() for node in nodes if _matches(node, query, _NODE_FILTERS)]

    def get_node(self, query: Mapping[str, str], reference: str) -> Document:
        return self.reading().node(reference).document()

    def update_node(self, query: Mapping[str, str], body: Document, reference: str) -> None:
        self.writing().update_node(reference, query, body)

    def remove_node(self, query: Mapping[str, str], body: Any, reference: str) -> None:
        self.writing().remove_node(reference, query.get("force") == "true")

    def get_services(self, query: Mapping[str, str]) -> list[Document]:
        services = self.reading().services
        return [
            service.document() for service in services if _matches(service, query, _SERVICE_FILTERS)
        ]

    def get_service(self, query: Mapping[str, str], reference: str) -> Document:
        service = self.reading().service(reference).document()
        if query.get("insertDefaults") == "true":
            service["Spec"] = laid_over(SERVICE_DEFAULTS, service["Spec"])
        return service

    def create_service(self, query: Mapping[str, str], body: Document) -> Document:
        return self.writing().create_service(body, query[AUTH])

    def update_service(self, query: Mapping[str, str], body: Document, reference: str) -> Document:
        return self.writing().update_service(reference, query, body, query[AUTH])

    def remove_service(self, query: Mapping[str, str], body: Any, reference: str) -> None:
        self.writing().remove_service(reference)

    def get_tasks(self, query: Mapping[str, str]) -> list[Document]:
        filters = json.loads(query.get("filters", "{}"))
        wanted = filters.get("service")
        current = filters.get("_up-to-date")
        nodes = filters.get("node")
        ids = filters.get("id")
        labels = filters.get("label")
        swarm = self.reading()
        if filters.get("runtime") == ["attachment"]:
            return swarm.attachments
        for reference in wanted or ():
            swarm.service(reference)
        return [
            shown(task)
            for service in (*swarm.services, *swarm.remains)
            if wanted is None or {service.id, service.spec["Name"]} & set(wanted)
            for task in service.tasks
            if not current or (service in swarm.services and service.is_current(task))
            if labels is None or all(labelled(task["labels"], label) for label in labels)
            if nodes is None or task.get("NodeID") in nodes
            if ids is None or any(task["ID"].startswith(beginning) for beginning in ids)
        ]

    # Logs

    def get_service_logs(self, query: Mapping[str, str], reference: str) -> Log:
        swarm = self.reading()
        service = swarm.service(reference)
        # Of a service those that have not begun are left out, without a word.
        begun = [task for task in service.tasks if "ContainerStatus" in task["Status"]]
        return swarm.log(service, begun, query)

    def get_task_logs(self, query: Mapping[str, str], reference: str) -> Log:
        swarm = self.reading()
        for service in (*swarm.services, *swarm.remains):
            tasks = [task for task in service.tasks if task["ID"] == reference]
            if tasks:
                return swarm.log(service, tasks, query)
        raise Refusal(404, f"task {reference} not found")

    # What services refer to

    def get_distribution(self, query: Mapping[str, str], name: str) -> Document:
        return self.world.registry.tell(name, query[AUTH])

    def get_files(self, query: Mapping[str, str], noun: str) -> list[Document]:
        files = self.reading().files[noun.capitalize()]
        return [f.document() for f in files if _matches(f, query, memory_objects.FILE_FILTERS)]

    def create_file(self, query: Mapping[str, str], body: Document, noun: str) -> Document:
        return {"ID": self.writing().add_file(noun.capitalize(), body).id}

    def update_file(
        self, query: Mapping[str, str], body: Document, noun: str, reference: str
    ) -> None:
        file = memory_objects.find_file(self.writing(), noun.capitalize(), reference)
        file.update(query.get("version"), body)

    def remove_file(self, query: Mapping[str, str], body: Any, noun: str, reference: str) -> None:
        self.writing().remove_file(noun.capitalize(), reference)

    def get_networks(self, query: Mapping[str, str]) -> list[Document]:
        networks = [*self.swarm_networks(), *LOCAL_NETWORKS]
        return [n for n in networks if _matches(n, query, memory_objects.NETWORK_FILTERS)]

    def swarm_networks(self) -> Iterator[Document]:
        """Those that the swarm tells of, and those that containers on this node are still on.

        That the swarm does not answer is no error here (moby network_routes.go).
        """
        if self.swarm is None or self.node is None:
            return
        if self.node.is_manager and self.swarm.can_be_read():
            yield from self.swarm.networks
        for network in self.swarm.removed_networks:
            if any(
                memory_objects.is_on(task["Spec"], network)
                for service in (*self.swarm.services, *self.swarm.remains)
                for task in service.tasks
                if task.get("NodeID") == self.node.id
            ):
                # As the host itself tells of it.
                peers = [{"Name": self.node.id[:12], "IP": self.address}]
                yield {**network, "Containers": {}, "Peers": peers}

    def create_network(self, query: Mapping[str, str], body: Document) -> Document:
        return {"Id": self.writing().create_network(body)["Id"]}

    def remove_network(self, query: Mapping[str, str], body: Any, reference: str) -> None:
        swarm = self.writing()
        known = [*self.swarm_networks(), *LOCAL_NETWORKS]
        if not any(reference in (network["Id"], network["Name"]) for network in known):
            raise Refusal(404, f"network {reference} not found")
        swarm.remove_network(reference)

    # What only this host has

    def get_volumes(self, query: Mapping[str, str]) -> Document:
        found = [v for v in self.volumes if _matches(v, query, memory_objects.VOLUME_FILTERS)]
        # In no order, and in another one each time.
        found = self.world.random.sample(found, len(found))
        return {"Volumes": found or None, "Warnings": None}

    def remove_volume(self, query: Mapping[str, str], body: Any, name: str) -> None:
        volume = next((volume for volume in self.volumes if volume["Name"] == name), None)
        if volume is None:
            raise Refusal(404, f"get {name}: no such volume")
        if self.swarm and self.node:
            services = [*self.swarm.services, *self.swarm.remains]
            users = memory_objects.holders(services, self.node.id, name)
            if users:
                text = f"remove {name}: volume is in use - [{', '.join(users)}]"
                raise Refusal(409, text)
        self.volumes.remove(volume)

    def add_volume(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """As a container does that mounts it; one that is there stays as it is."""
        if not any(volume["Name"] == name for volume in self.volumes):
            self.volumes.append(memory_objects.volume(name, labels))


ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/version", Daemon.version),
    ("GET", "/info", Daemon.info),
    ("GET", "/swarm", Daemon.get_swarm),
    ("GET", "/swarm/unlockkey", Daemon.get_unlock_key),
    ("POST", "/swarm/unlock", Daemon.unlock),
    ("POST", "/swarm/init", Daemon.init),
    ("POST", "/swarm/join", Daemon.join),
    ("POST", "/swarm/leave", Daemon.leave),
    ("POST", "/swarm/update", Daemon.update_swarm),
    ("GET", "/nodes", Daemon.get_nodes),
    ("GET", "/nodes/([^/]+)", Daemon.get_node),
    ("POST", "/nodes/([^/]+)/update", Daemon.update_node),
    ("DELETE", "/nodes/([^/]+)", Daemon.remove_node),
    ("GET", "/services", Daemon.get_services),
    ("POST", "/services/create", Daemon.create_service),
    ("GET", "/services/([^/]+)", Daemon.get_service),
    ("POST", "/services/([^/]+)/update", Daemon.update_service),
    ("DELETE", "/services/([^/]+)", Daemon.remove_service),
    ("GET", "/services/([^/]+)/logs", Daemon.get_service_logs),
    ("GET", "/tasks", Daemon.get_tasks),
    ("GET", "/tasks/([^/]+)/logs", Daemon.get_task_logs),
    ("GET", "/distribution/(.+)/json", Daemon.get_distribution),
    ("GET", "/(secret|config)s", Daemon.get_files),
    ("POST", "/(secret|config)s/create", Daemon.create_file),
    ("POST", "/(secret|config)s/([^/]+)/update", Daemon.update_file),
    ("DELETE", "/(secret|config)s/([^/]+)", Daemon.remove_file),
    ("GET", "/networks", Daemon.get_networks),
    ("POST", "/networks/create", Daemon.create_network),
    ("DELETE", "/networks/([^/]+)", Daemon.remove_network),
    ("GET", "/volumes", Daemon.get_volumes),
    ("DELETE", "/volumes/([^/]+)", Daemon.remove_volume),
)


# The settings of a swarm: init merges what is given, update replaces the whole.

_DEFAULTS: Document = {
    "Orchestration": {"TaskHistoryRetentionLimit": 5},
    "Raft": {
        "SnapshotInterval": 10000,
        "KeepOldSnapshots": 0,
        "LogEntriesForSlowFollowers": 500,
        "ElectionTick": 10,
        "HeartbeatTick": 1,
    },
    "Dispatcher": {"HeartbeatPeriod": 5 * 10**9},
    "CAConfig": {"NodeCertExpiry": 90 * 24 * HOUR},
}


def _settings(given: Document) -> Document:
    """As GET shows what was stored: zero where nothing was given, or nothing at all."""
    raft = given.get("Raft") or {}
    ca = given.get("CAConfig") or {}
    cas = [{"CACert": "", **external} for external in ca.get("ExternalCAs") or []]
    history = (given.get("Orchestration") or {}).get("TaskHistoryRetentionLimit")
    period = (given.get("Dispatcher") or {}).get("HeartbeatPeriod")
    locks = (given.get("EncryptionConfig") or {}).get("AutoLockManagers")
    return {
        "Name": "default",
        "Labels": given.get("Labels") or {},
        "Orchestration": {"TaskHistoryRetentionLimit": history or 0},
        "Raft": {
            **_present(raft, "SnapshotInterval", "LogEntriesForSlowFollowers"),
            "KeepOldSnapshots": raft.get("KeepOldSnapshots") or 0,
            "ElectionTick": raft.get("ElectionTick") or 0,
            "HeartbeatTick": raft.get("HeartbeatTick") or 0,
        },
        "Dispatcher": {"HeartbeatPeriod": period} if period else {},
        "CAConfig": {
            **_present(ca, "NodeCertExpiry", "ForceRotate"),
            **({"ExternalCAs": cas} if cas else {}),
        },
        "TaskDefaults": {},
        "EncryptionConfig": {"AutoLockManagers": bool(locks)},
    }


def _present(document: Document, *names: str) -> Document:
    return {name: document[name] for name in names if document.get(name)}


def _merged_settings(base: Document, given: Document) -> Document:
    merged = copy.deepcopy(base)
    if given.get("Labels") is not None:
        merged["Labels"] = given["Labels"]
    for part in ("Orchestration", "Raft", "Dispatcher", "CAConfig"):
        for name, value in (given.get(part) or {}).items():
            # These two are pointers in the engine, so that zero is a value and not "nothing".
            if value or name in ("TaskHistoryRetentionLimit", "KeepOldSnapshots"):
                merged[part][name] = value
    # These two are taken as they come (moby daemon/cluster/convert/swarm.go).
    merged["CAConfig"]["ForceRotate"] = (given.get("CAConfig") or {}).get("ForceRotate")
    locks = (given.get("EncryptionConfig") or {}).get("AutoLockManagers")
    merged["EncryptionConfig"]["AutoLockManagers"] = bool(locks)
    return _settings(merged)


# What `insertDefaults` shows where a spec says nothing.
_UPDATE_DEFAULTS = {
    "Parallelism": 1,
    "FailureAction": "pause",
    "Monitor": 5 * 10**9,
    "MaxFailureRatio": 0,
    "Order": "stop-first",
}
SERVICE_DEFAULTS: Document = {
    "TaskTemplate": {
        "ContainerSpec": {"DNSConfig": {}, "StopGracePeriod": 10 * 10**9},
        "Placement": {},
        "Resources": {},
        "RestartPolicy": {"Condition": "any", "Delay": 5 * 10**9, "MaxAttempts": 0},
    },
    "UpdateConfig": _UPDATE_DEFAULTS,
    "RollbackConfig": _UPDATE_DEFAULTS,
}


def laid_over(base: Mapping[str, Any], parts: Mapping[str, Any]) -> Document:
    """The base with these parts of it, at any depth, in their place."""
    result = copy.deepcopy(dict(base))
    for name, part in parts.items():
        inner = result.get(name)
        if isinstance(inner, Mapping) and isinstance(part, Mapping):
            result[name] = laid_over(inner, part)
        else:
            result[name] = copy.deepcopy(part)
    return result


def _reach(node: Node) -> None:
    node.is_reachable = True


def _matches(thing: Any, query: Mapping[str, str], known: Mapping[str, Any]) -> bool:
    return matches(thing, json.loads(query.get("filters", "{}")), known)


def _has_label(thing: Thing, text: str) -> bool:
    return labelled(thing.spec["Labels"], text)


# Names are matched by their beginning, IDs as well.
_NODE_FILTERS: dict[str, Callable[[Node, str], bool]] = {
    "id": lambda node, value: node.id.startswith(value),
    "name": lambda node, value: node.hostname.startswith(value),
    "role": lambda node, value: node.spec["Role"] == value,
    "membership": lambda node, value: value == "accepted",
    "node.label": _has_label,
    "label": lambda node, value: False,
}
_SERVICE_FILTERS: dict[str, Callable[[Service, str], bool]] = {
    "id": lambda service, value: service.id.startswith(value),
    "name": lambda service, value: service.spec["Name"].startswith(value),
    "mode": lambda service, value: value.capitalize() in service.spec["Mode"],
    "label": _has_label,
}


def _dump(document: Any) -> bytes:
    return json.dumps(document).encode()
