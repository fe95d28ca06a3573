#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the calculator: once, or again and again while a file is there; the results as JSON.

It does what a load balancer before the nodes would: one node after the other is asked, and where
one gives no answer the next has its turn. A request has failed when none of them answers.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import time
from collections import Counter
from pathlib import Path

TIMEOUT_S = 3
PAUSE_S = 0.02


class Balancer:
    """The nodes in turn."""

    def __init__(self, nodes: list[str], port: int) -> None:
        self.nodes = itertools.cycle(nodes)
        self.attempts = len(nodes)
        self.port = port

    def ask(self, number: str) -> dict[str, str] | None:
        """The first answer; None if no node has one."""
        for node in itertools.islice(self.nodes, self.attempts):
            connection = http.client.HTTPConnection(node, self.port, timeout=TIMEOUT_S)
            try:
                connection.request("GET", f"/{number}")
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()
            return json.loads(body) if response.status == 200 else None
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("node", nargs="+")
    parser.add_argument("--number", required=True)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--while", dest="file", type=Path)
    options = parser.parse_args()
    balancer = Balancer(options.node, options.port)
    if options.file is None:
        print(json.dumps(balancer.ask(options.number)))
        return
    answers: Counter[str] = Counter()
    while options.file.exists():
        found = balancer.ask(options.number)
        answers[found["answer"] if found else "none"] += 1
        time.sleep(PAUSE_S)
    print(json.dumps({"failed": answers.pop("none", 0), "answers": answers}))


if __name__ == "__main__":
    main()
