# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._host import (
    is_this_machine,
    may_hold_certificate,
    refuse_foreign_addresses,
    root_ca_pem,
    why_unreachable,
)

# Kept for documentation (RFC 5737), so that no host has it.
NOBODYS = "192.0.2.1"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.0.1:2377", "0.0.0.0:2377", "[::]:2377", "::", "eth0", "", None]
)
def test_an_address_of_this_host_or_of_an_interface_is_taken(address: str | None) -> None:
    refuse_foreign_addresses(advertise_addr=address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (NOBODYS, NOBODYS),
        (f"{NOBODYS}:2377", NOBODYS),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:1", "2001:db8::1"),
    ],
)
def test_an_address_that_no_interface_has_is_refused_by_its_option(
    address: str, shown: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        refuse_foreign_addresses(advertise_addr="127.0.0.1", data_path_addr=address)
    assert str(caught.value).startswith(f"data_path_addr {shown} is not an address of this host")
    assert "check_addresses: false" in str(caught.value)


def test_without_ipv6_no_address_of_it_is_one_of_this_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_ipv6(family: int, *_arguments: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", without_ipv6)
    with pytest.raises(InvalidOption, match="is not an address of this host"):
        refuse_foreign_addresses(advertise_addr="fd00::11")


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_that_somebody_listens_on_can_be_reached(port: int) -> None:
    assert why_unreachable(f"127.0.0.1:{port}") == ""


def test_a_closed_port_is_said_to_refuse() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        reason = why_unreachable(f"127.0.0.1:{closed.getsockname()[1]}")
    assert reason == "connection refused"


def test_a_name_that_nobody_has_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: object, **_keywords: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert why_unreachable("nobody:2377") == "the name nobody cannot be resolved"


def test_a_text_that_can_be_no_name_is_said() -> None:
    assert why_unreachable("no..body:2377") == "the name no..body cannot be resolved"


def test_the_root_ca_is_read_from_the_engines_own_files(tmp_path: Path) -> None:
    assert root_ca_pem(str(tmp_path)) is None
    certificates = tmp_path / "swarm" / "certificates"
    certificates.mkdir(parents=True)
    assert root_ca_pem(str(tmp_path)) is None
    (certificates / "swarm-root-ca.crt").write_bytes(b"the root")
    assert root_ca_pem(str(tmp_path)) == b"the root"


def test_a_host_without_a_certificate_has_nothing_to_lose(tmp_path: Path) -> None:
    (tmp_path / "swarm").mkdir()
    assert may_hold_certificate(str(tmp_path)) is False
    certificates = tmp_path / "swarm" / "certificates"
    certificates.mkdir()
    (certificates / "swarm-root-ca.crt").write_bytes(b"comes with the first step of a join")
    assert may_hold_certificate(str(tmp_path)) is False
    (certificates / "swarm-node.crt").write_bytes(b"comes with the last")
    assert may_hold_certificate(str(tmp_path)) is True


def test_an_engine_runs_here_if_it_has_the_name_of_this_host(tmp_path: Path) -> None:
    info = {"Name": os.uname().nodename, "DockerRootDir": str(tmp_path), "ID": "7509-2183"}
    assert is_this_machine(info)
    assert not is_this_machine({**info, "Name": "somewhere-else"})
    # Two hosts may share a name; engines do not share their IDs.
    (tmp_path / "engine-id").write_text("7509-2183\n")
    assert is_this_machine(info)
    assert not is_this_machine({**info, "ID": "1e30-aa41"})


def test_a_folder_that_cannot_be_looked_into_may_hold_a_certificate(tmp_path: Path) -> None:
    # A file where a folder should be: like a folder without permission, but for root as well.
    (tmp_path / "swarm").write_bytes(b"")
    assert may_hold_certificate(str(tmp_path)) is True
