# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports, volumes and durations made at random: what we read in them is what the CLI does."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker_cli
import pytest
from test_load import honoured, ours

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

SEEDS = range(4)
# So many at once where they are read, and one by one so many of those that are not.
MANY, FEW = 150, 12

Service = dict[str, Any]


def port(dice: random.Random) -> Service:
    def number(least: int = 0) -> str:
        first = dice.choice([least, 2, 80, 8080, 65535, dice.randrange(2, 70000)])
        last = first + dice.choice([0, 1, 2, -1])
        return dice.choice([str(first), str(first), f"{first}-{last}"])

    parts = [dice.choice(["127.0.0.1:", "0.0.0.0:", "[::1]:", "::", "", "", "", ""])]
    parts.append(dice.choice([f"{number()}:", f"{number()}:", ":", ""]))
    # Port 0 of a container, which the CLI lets through, is none.
    parts += [number(2), dice.choice(["/tcp", "/udp", "/sctp", "/TCP", "/", "/x", "", "", ""])]
    return {"ports": ["".join(parts)]}


def volume(dice: random.Random) -> Service:
    source = dice.choice(["data", "./data", "../x", "/srv", "C:\\x", "~", "~/x", ".", "", "da ta"])
    target = dice.choice(["/data", "/data/", "data", "/", "C:\\data", "/a:b", ""])
    modes = ["ro", "rw", "nocopy", "z", "rshared", "private", "x", "ro,nocopy", "cached", ""]
    text = dice.choice([target, f"{source}:{target}", f"{source}:{target}:{dice.choice(modes)}"])
    return {"volumes": [text]}


def duration(dice: random.Random) -> Service:
    units = ["h", "m", "s", "ms", "us", "µs", "ns", "d", "w", "", "S", " s"]
    amounts = ["0", "1", "15", "1.5", ".5", "5.", "-1", "+2", "1e3", "007", "99999999999"]
    count = dice.choice([1, 1, 1, 2, 3])
    text = "".join(dice.choice(amounts) + dice.choice(units) for _part in range(count))
    return {"stop_grace_period": text}


KINDS: Mapping[str, Callable[[random.Random], Service]] = {
    "port": port,
    "volume": volume,
    "duration": duration,
}


def write(path: Path, services: Sequence[Service]) -> Path:
    made = {f"s{number}": {"image": "app", **part} for number, part in enumerate(services)}
    path.write_text(json.dumps({"version": "3.9", "services": made, "volumes": {"data": {}}}))
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_short_forms(tmp_path: Path, kind: str, seed: int) -> None:
    dice = random.Random(f"{kind} {seed}")
    taken, refused = [], []
    for _number in range(MANY):
        service = KINDS[kind](dice)
        try:
            ours([write(tmp_path / "one.yml", [service])], os.environ)
        except InvalidOption:
            refused.append(service)
        else:
            taken.append(service)
    assert len(taken) > FEW
    assert len(refused) > FEW
    together = write(tmp_path / "all.yml", taken)
    assert ours([together], os.environ) == honoured(docker_cli.canonical([together]))
    for service in refused[:FEW]:
        with pytest.raises(ValueError):  # noqa: PT011
            pytest.fail(str(docker_cli.canonical([write(tmp_path / "one.yml", [service])])))
