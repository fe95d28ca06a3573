# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether packets to a port arrive at a host, whoever holds that port, or nobody.

The host listens with raw sockets: the kernel hands them a copy of what has passed the host's
firewall (raw(7)), and goes on with it as if they were not there. So no port is taken, neither an
engine that runs nor one that starts is in the way, and runs at the same time do not meet. It also
tells a firewall that rejects from a port that nobody holds, which are the same to who connects.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import json
import os
import selectors
import socket
import struct
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.service import fork_process

Document = dict[str, Any]

TCP, UDP = "tcp", "udp"
_PROTOCOLS = {TCP: socket.IPPROTO_TCP, UDP: socket.IPPROTO_UDP}

# What became of an attempt, seen from where it came from.
CONNECTED, REFUSED, SILENT, UNREACHABLE, SENT = (
    *("connected", "refused", "silent", "unreachable"),
    "sent",
)

# What a datagram of ours begins with. As a VXLAN header it names no network: the kernel drops it.
_MAGIC = b"shoal.swarm "
_UDP_TRIES = 3

# A socket's name in Linux's abstract namespace, so that there is no file to be left over.
_CONTROL = "\0shoal.swarm.port_probe."
_LARGEST = 65535


# The marks by which an attempt is known again: protocol, port, and what no other attempt has


def mark_of(protocol: str, packet: bytes) -> str:
    """The mark of a packet that came in, from its transport header on; empty if it is not ours."""
    source, target = struct.unpack_from("!HH", packet)
    if protocol == TCP:
        return f"{TCP}/{target}/{source}"
    text = packet[8:]
    return f"{UDP}/{target}/{text[len(_MAGIC) :].decode()}" if text.startswith(_MAGIC) else ""


# Listening


class _Instruction(ctypes.Structure):
    """struct sock_filter"""

    _fields_ = [
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    ]


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("first", ctypes.POINTER(_Instruction))]


_SO_ATTACH_FILTER = 26
# Classic BPF: X is the length of the IP header, or 0; A = the packet's byte or word at X + k.
_X_IP_HEADER, _X_CONSTANT, _BYTE_AT, _WORD_AT = 0xB1, 0x01, 0x50, 0x40
_AND, _JUMP_IF_EQUAL, _RETURN = 0x54, 0x15, 0x06
_SYN, _SYN_OR_ACK = 0x02, 0x12


def _attach_filter(raw: socket.socket, family: int, protocol: str) -> None:
    """Let the kernel drop at once what is not ours: hosts in a swarm have other traffic.

    Of TCP these are the packets that open a connection, of UDP those with our first word.
    """
    # With IPv4, the packet begins with the IP header.
    start = (_X_IP_HEADER, 0, 0, 0) if family == socket.AF_INET else (_X_CONSTANT, 0, 0, 0)
    if protocol == TCP:
        test = [(_BYTE_AT, 0, 0, 13), (_AND, 0, 0, _SYN_OR_ACK), (_JUMP_IF_EQUAL, 0, 1, _SYN)]
    else:
        word = int.from_bytes(_MAGIC[:4], "big")
        test = [(_WORD_AT, 0, 0, 8), (_JUMP_IF_EQUAL, 0, 1, word)]
    lines = [start, *test, (_RETURN, 0, 0, _LARGEST), (_RETURN, 0, 0, 0)]
    instructions = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    raw.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _Program(len(lines), instructions))


@dataclass(frozen=True)
class _Ear:
    """One raw socket, and what it hears."""

    raw: socket.socket
    family: int
    protocol: str

    def mark(self) -> str:
        packet = self.raw.recv(_LARGEST)
        if self.family == socket.AF_INET:
            packet = packet[4 * (packet[0] & 0xF) :]
        try:
            return mark_of(self.protocol, packet)
        except (struct.error, UnicodeDecodeError):
            return ""


def _ears() -> Iterator[_Ear]:
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol, number in _PROTOCOLS.items():
            try:
                raw = socket.socket(family, socket.SOCK_RAW, number)
            except OSError as error:
                if family == socket.AF_INET6 and error.errno == errno.EAFNOSUPPORT:
                    continue
                raise
            _attach_filter(raw, family, protocol)
            yield _Ear(raw, family, protocol)


def listen(lifetime: float) -> str:
    """Listen in the background until `close`, or for so many seconds; the listener's ID.

    OSError where that is not allowed: it takes the capability CAP_NET_RAW.
    """
    own = uuid.uuid4().hex
    ears = list(_ears())
    control = socket.socket(socket.AF_UNIX)
    control.bind(_CONTROL + own)
    control.listen(1)
    process = fork_process()
    if process == 0:
        try:
            _serve(ears, control, time.monotonic() + lifetime)
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    return own


def _serve(ears: Sequence[_Ear], control: socket.socket, deadline: float) -> None:
    """Collect marks until somebody asks for them."""
    heard: set[str] = set()
    with selectors.DefaultSelector() as selector:
        for ear in ears:
            selector.register(ear.raw, selectors.EVENT_READ, ear)
        selector.register(control, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            # What came in before the question is heard before the answer.
            ready = [key for key, _events in selector.select(deadline - time.monotonic())]
            heard |= {key.data.mark() for key in ready if key.data}
            if any(key.data is None for key in ready) and len(ready) == 1:
                connection, _address = control.accept()
                connection.sendall(json.dumps(sorted(heard - {""})).encode())
                return


def close(own: str) -> list[str] | None:
    """End the listener; the marks of what arrived, or None where it is not there any more."""
    with socket.socket(socket.AF_UNIX) as control:
        try:
            control.connect(_CONTROL + own)
            with control.makefile("rb") as answer:
                return json.loads(answer.read())
        except (OSError, ValueError):
            return None


# Probing


def probe(targets: Sequence[Mapping[str, Any]], timeout: float) -> list[Document]:
    """Send to each target; what each attempt looks like from here, in their order.

    A target has `address`, `port` and `protocol`, and what else it has is kept. All go at the
    same time.
    """
    results = [{**target, "outcome": UNREACHABLE, "mark": ""} for target in targets]
    for result in (result for result in results if result["protocol"] == UDP):
        result.update(_send(result))
    with selectors.DefaultSelector() as selector:
        for result in (result for result in results if result["protocol"] == TCP):
            _begin(result, selector)
        deadline = time.monotonic() + timeout
        while selector.get_map() and time.monotonic() < deadline:
            for key, _events in selector.select(deadline - time.monotonic()):
                connecting: Any = key.fileobj
                number = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                key.data["outcome"] = _outcome(number)
                selector.unregister(connecting)
                connecting.close()
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return results


def _family(address: str) -> int:
    is_ipv6 = ipaddress.ip_address(address).version == 6
    return socket.AF_INET6 if is_ipv6 else socket.AF_INET


def _begin(result: Document, selector: selectors.BaseSelector) -> None:
    """Begin to connect. The port of this side is the mark, as the first packet has no content."""
    connecting = socket.socket(_family(result["address"]), socket.SOCK_STREAM)
    connecting.setblocking(False)
    number = connecting.connect_ex((result["address"], result["port"]))
    result["outcome"] = SILENT if number == errno.EINPROGRESS else _outcome(number)
    result["mark"] = f"{TCP}/{result['port']}/{connecting.getsockname()[1]}"
    if number == errno.EINPROGRESS:
        selector.register(connecting, selectors.EVENT_WRITE, result)
    else:
        connecting.close()


def _outcome(number: int) -> str:
    if number == 0:
        return CONNECTED
    if number in (errno.ECONNREFUSED, errno.ECONNRESET):
        return REFUSED
    return SILENT if number == errno.ETIMEDOUT else UNREACHABLE


def _send(result: Document) -> Document:
    """Some datagrams, as one may be lost."""
    own = uuid.uuid4().hex
    with socket.socket(_family(result["address"]), socket.SOCK_DGRAM) as sender:
        outcome = SENT
        try:
            for _try in range(_UDP_TRIES):
                sender.sendto(_MAGIC + own.encode(), (result["address"], result["port"]))
        except OSError:
            # This host's own firewall, or no route.
            outcome = UNREACHABLE
    return {"outcome": outcome, "mark": f"{UDP}/{result['port']}/{own}"}
