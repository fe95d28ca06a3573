# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer on the swarm's ports, before the swarm does: `listen.py SECONDS`."""

from __future__ import annotations

import socket
import sys
import threading
import time


def answer_tcp(port: int) -> None:
    with socket.create_server(("", port)) as server:
        while True:
            connection, _address = server.accept()
            connection.close()


def answer_udp(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", port))
        while True:
            _data, address = server.recvfrom(100)
            server.sendto(b"here", address)


for port in (2377, 7946):
    threading.Thread(target=answer_tcp, args=(port,), daemon=True).start()
for port in (7946, 4789):
    threading.Thread(target=answer_udp, args=(port,), daemon=True).start()
time.sleep(float(sys.argv[1]))
