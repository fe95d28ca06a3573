# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports of a host answer, as JSON: `probe.py ADDRESS`."""

from __future__ import annotations

import json
import socket
import sys


def answers_tcp(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def answers_udp(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(2)
        probe.sendto(b"who", (address, port))
        try:
            return probe.recvfrom(100)[0] == b"here"
        except OSError:
            return False


address = sys.argv[1]
tcp = {f"{port}/tcp": answers_tcp(address, port) for port in (22, 2377, 7946)}
udp = {f"{port}/udp": answers_udp(address, port) for port in (7946, 4789)}
print(json.dumps({**tcp, **udp}))
