# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer on the swarm's ports, before the swarm does: `listen.py SECONDS`.

It goes on in the background, and returns when it listens.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time


def listen_udp(port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("", port))
    return server


def answer_tcp(server: socket.socket) -> None:
    while True:
        connection, _address = server.accept()
        connection.close()


def answer_udp(server: socket.socket) -> None:
    while True:
        _data, address = server.recvfrom(100)
        server.sendto(b"here", address)


streams = [socket.create_server(("", port)) for port in (2377, 7946)]
datagrams = [listen_udp(port) for port in (7946, 4789)]
if os.fork():
    sys.exit()
os.setsid()
for stream in streams:
    threading.Thread(target=answer_tcp, args=(stream,), daemon=True).start()
for datagram in datagrams:
    threading.Thread(target=answer_udp, args=(datagram,), daemon=True).start()
time.sleep(float(sys.argv[1]))
