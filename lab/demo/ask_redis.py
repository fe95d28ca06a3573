#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a redis server one thing: lab/ask_redis.py HOST PORT SET colour blue"""

from __future__ import annotations

import socket
import sys


def ask(host: str, port: int, command: str) -> str:
    """Redis' inline protocol: a line there, a line back (and for values, a length before it)."""
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(command.encode() + b"\r\n")
        answer = connection.makefile("r", newline="\r\n")
        line = answer.readline().strip()
        return answer.readline().strip() if line.startswith("$") else line.lstrip("+")


if __name__ == "__main__":
    print(ask(sys.argv[1], int(sys.argv[2]), " ".join(sys.argv[3:])))
