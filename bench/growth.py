#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy a stack of so many services to a swarm in memory: prints the seconds of the first deploy
and of one that has nothing to do, and the megabytes that the latter takes at most."""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".ansible/collections"))

from ansible_collections.shoal.swarm.plugins.module_utils._compose._convert import convert
from ansible_collections.shoal.swarm.plugins.module_utils._compose._load import Source, load
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import packed
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._stack import ensure
from ansible_collections.shoal.swarm.tests.unit.memory_swarm import World
from ansible_collections.shoal.swarm.tests.unit.modules_under_test import params

# Each network is shared by so many services; each secret and config by as many.
SHARED = 5


def compose(size: int) -> dict[str, Any]:
    services = {
        f"app{number}": {
            "image": "app:1",
            "networks": [f"net{number // SHARED}"],
            "configs": [f"config{number // SHARED}"],
            "ports": [f"{8000 + number}:80"],
        }
        for number in range(size)
    }
    shared = range(size // SHARED)
    return {
        "services": services,
        "networks": {f"net{number}": {} for number in shared},
        "configs": {f"config{number}": {"content": str(number)} for number in shared},
    }


def main() -> None:
    loaded = load([Source("compose.yml", compose(int(sys.argv[1])))], {}, "/", {})
    options = {"name": "grown", "objects": packed(convert(loaded.document, "grown", {}))}
    world = World()
    manager = world.host("node1", "10.0.0.11")
    manager.engine.swarm_init({"Spec": {}})

    def deploy() -> float:
        started = time.perf_counter()
        ensure(manager.engine, params("stack", options), Run(clock=world.clock))
        return time.perf_counter() - started

    first, again = deploy(), deploy()
    tracemalloc.start()
    deploy()
    megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    print(first, again, megabytes)


if __name__ == "__main__":
    main()
