#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ratios of times, each of two things run in turn over SSH to the lab: `make bench`.

Seconds differ from machine to machine; ratios of what ran in the same minute do so much less.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
LAB = "bench"
ROUNDS = 3
REPEATS = 10
SIZES = {3: (3, 0), 6: (3, 3), 9: (3, 6)}
NODES = ["node1", "node2", "node3", "node4", "node5"]
ONE_HOST = "swarm_managers[0]"
ALL_HOSTS = "swarm_managers:swarm_workers"

PING = "ansible.builtin.ping:"
OUR_LABELS = f"""shoal.swarm.node_label:
        hostname: {NODES}
        labels: {{bench: VALUE}}"""
THEIR_LABELS = f"""community.docker.docker_node:
        hostname: "{{{{ item }}}}"
        labels: {{bench: VALUE}}
      loop: {NODES}"""


OUR_SERVICE = "shoal.swarm.service"
THEIR_SERVICE = "community.docker.docker_swarm_service"
IMAGE = "{{ lab_registry }}/web:1"
# No node runs its tasks: what is measured is how long a change takes to be accepted, and not what
# the nodes do with it afterwards.
UNPLACED = "node.labels.bench==nowhere"
NO_SERVICES = (
    "ansible.builtin.shell: docker service ls --quiet --filter name=bench-"
    " | xargs --no-run-if-empty docker service rm"
)


def service(
    module: str, name: str, replicas: str = "1", constraint: str = UNPLACED, more: str = ""
) -> str:
    return f"""{module}:
        name: "{name}"
        image: "{IMAGE}"
        replicas: {replicas}
        placement: {{constraints: ["{constraint}"]}}
        {more}"""


def lab(*arguments: str) -> None:
    subprocess.run([sys.executable, "lab/lab.py", *arguments], cwd=CHECKOUT, check=True)


def playbook(inventory: Path, path: Path | str) -> tuple[float, str]:
    """Wall time and output of one run; a run that fails ends the benchmark."""
    begin = time.monotonic()
    done = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), str(path)],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{path} failed:\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - begin, done.stdout


STACK = "bench"
# So many services, networks, configs and secrets.
SERVICES, NETWORKS, FILES = 30, 5, 10
GROWTH = (10, 100, 300)
ON_HOST = "/tmp/bench-stack"
NO_STACK = f"shoal.swarm.stack: {{name: {STACK}, state: absent}}"


def compose() -> dict[str, Any]:
    """A stack whose tasks no node runs; the first service's image comes from the environment."""
    services = {
        f"app{number}": {
            "image": "${REGISTRY}/web:${TAG}" if number == 0 else "${REGISTRY}/web:1",
            "networks": [f"net{number % NETWORKS}"],
            "configs": [f"config{number % FILES}"],
            "secrets": [f"secret{number % FILES}"],
            "environment": {"NUMBER": str(number)},
            "deploy": {"replicas": 2, "placement": {"constraints": [UNPLACED]}},
        }
        for number in range(SERVICES)
    }
    return {
        "version": "3.9",
        "services": services,
        "networks": {f"net{number}": {} for number in range(NETWORKS)},
        **{
            f"{kind}s": {f"{kind}{n}": {"file": f"./{kind}{n}"} for n in range(FILES)}
            for kind in ("config", "secret")
        },
    }


def play(folder: Path, hosts: str, task: str, repeats: int = REPEATS) -> Path:
    """A playbook of one task, repeated; VALUE differs from repeat to repeat."""
    lines = [f"- hosts: {hosts}", "  gather_facts: false", "  tasks:"]
    if not repeats:
        lines[-1] += " []"
    lines += ["    - " + task.replace("VALUE", f"'{number}'") for number in range(repeats)]
    path = folder / f"{abs(hash((hosts, task, repeats)))}.yml"
    path.write_text("\n".join(lines) + "\n")
    return path


def seconds_a_task(
    inventory: Path,
    folder: Path,
    hosts: str,
    *tasks: str,
    before: str = "",
    repeats: int = REPEATS,
) -> list[float]:
    """Of each task: its median time, without Ansible's own start. The tasks run in turn.

    The task `before` comes before each of them, and does not count.
    """
    empty = play(folder, hosts, PING, repeats=0)
    books = [play(folder, hosts, task, repeats) for task in tasks]
    times: list[list[float]] = [[] for _book in books]
    for _round in range(ROUNDS):
        start, _output = playbook(inventory, empty)
        for book, seen in zip(books, times, strict=True):
            if before:
                playbook(inventory, play(folder, hosts, before, repeats=1))
            taken, _output = playbook(inventory, book)
            seen.append((taken - start) / repeats)
    return [statistics.median(seen) for seen in times]


def tasks_run(output: str) -> int:
    """How many of the tasks ran on at least one host."""
    blocks = re.split(r"^TASK \[", output, flags=re.MULTILINE)[1:]
    return sum(1 for block in blocks if re.search(r"^(ok|changed): \[", block, re.MULTILINE))


def row(what: str, one: float, other: float, aim: str = "") -> None:
    print(f"{what:62} {one:8.2f} s {other:8.2f} s {one / other:7.2f}  {aim}", flush=True)


def bench_site(inventory: Path, folder: Path, size: int, first_of_three: float) -> float:
    first, _output = playbook(inventory, "playbooks/site.yml")
    second, output = playbook(inventory, "playbooks/site.yml")
    (floor,) = seconds_a_task(inventory, folder, ALL_HOSTS, PING)
    count = tasks_run(output)
    row(f"first site.yml, {size} hosts : the same with 3", first, first_of_three or first)
    row(
        f"second site.yml, {size} hosts : its {count} tasks at the floor",
        second,
        count * floor,
        "aim 1.5" if size == max(SIZES) else "",
    )
    return first


def bench_services(inventory: Path, folder: Path) -> None:
    """Each by our module, by the peer's, by the CLI, and beside a task that does nothing."""

    def rows(what: str, ours: str, theirs: str, cli: str, aim: str = "", before: str = "") -> None:
        tasks = (ours, theirs, f"ansible.builtin.command: docker service {cli}", PING)
        our_time, *times = seconds_a_task(inventory, folder, ONE_HOST, *tasks, before=before)
        others = ("docker_swarm_service", "docker service", "ansible.builtin.ping")
        for other, taken, its_aim in zip(others, times, (aim, "", ""), strict=True):
            row(f"{what} : {other}", our_time, taken, its_aim)

    def once(task: str) -> None:
        playbook(inventory, play(folder, ONE_HOST, task, repeats=1))

    detached = "wait: false"
    name = "bench-{{ VALUE }}"
    rows(
        "service created, not waited for",
        service(OUR_SERVICE, name, more=detached),
        service(THEIR_SERVICE, name),
        f"create --detach --quiet --name {name} --constraint {UNPLACED} {IMAGE}",
        before=NO_SERVICES,
    )
    same = {"name": "bench-same", "constraint": "node.role==manager"}
    once(service(OUR_SERVICE, **same))
    for what, aim, more in (("seen to run", "aim 0.8", ""), ("not waited for", "", detached)):
        rows(
            f"service already as asked, {what}",
            service(OUR_SERVICE, **same, more=more),
            service(THEIR_SERVICE, **same),
            f"update --detach --quiet --image {IMAGE} --replicas 1 bench-same",
            aim,
        )
    once(service(OUR_SERVICE, "bench-scaled", more=detached))
    rows(
        "service scaled, not waited for",
        f"{OUR_SERVICE}: {{name: bench-scaled, replicas: VALUE, wait: false}}",
        service(THEIR_SERVICE, "bench-scaled", "VALUE"),
        "scale --detach bench-scaled=VALUE",
    )
    once(NO_SERVICES)


def bench_stacks(inventory: Path, folder: Path) -> None:
    """Each by our module, by the peer's and by the CLI, of the same files."""
    stack = folder / "stack"
    stack.mkdir()
    for kind in ("config", "secret"):
        for number in range(FILES):
            (stack / f"{kind}{number}").write_text(f"{kind} {number}\n")
    (stack / "compose.yml").write_text(json.dumps(compose()))

    def tasks(tag: str) -> tuple[str, str, str]:
        environment = f"""
      environment: {{REGISTRY: "{{{{ lab_registry }}}}", TAG: "{tag}"}}"""
        deploy = f"docker stack deploy --detach=true -c {ON_HOST}/compose.yml {STACK}"
        return (
            f"""shoal.swarm.stack:
        name: {STACK}
        compose: {stack}/compose.yml
        wait: false{environment}""",
            f"""community.docker.docker_stack:
        name: {STACK}
        compose: ["{ON_HOST}/compose.yml"]{environment}""",
            f"ansible.builtin.command: {deploy}{environment}",
        )

    def once(task: str) -> None:
        playbook(inventory, play(folder, ONE_HOST, task, repeats=1))

    def rows(
        what: str, given: Sequence[str], aims: Sequence[str], before: str = "", repeats: int = 1
    ) -> None:
        times = seconds_a_task(inventory, folder, ONE_HOST, *given, before=before, repeats=repeats)
        for other, taken, aim in zip(
            ("docker_stack", "docker stack"), times[1:], aims, strict=True
        ):
            row(f"stack of {SERVICES} services, {what} : {other}", times[0], taken, aim)

    once(f"ansible.builtin.copy: {{src: {stack}/, dest: {ON_HOST}/, mode: '0700'}}")
    rows("first deploy", tasks("1"), ("", "aim 0.6"), before=NO_STACK)
    rows("nothing to do", tasks("1"), ("aim 0.25", "aim 0.5"), repeats=3)
    # Before each of them the image is the other one.
    rows("one image changed", tasks("2"), ("", ""), before=tasks("1")[0])
    rows(
        "removed, not waited for",
        (
            f"shoal.swarm.stack: {{name: {STACK}, state: absent, wait: false}}",
            f"community.docker.docker_stack: {{name: {STACK}, state: absent}}",
            f"ansible.builtin.command: docker stack rm --detach=true {STACK}",
        ),
        ("", ""),
        before=tasks("1")[0],
    )
    once(NO_STACK)


def bench_growth() -> None:
    """The module alone, against a swarm in memory: time and memory as a stack grows."""
    small = 0.0
    for size in GROWTH:
        command = [sys.executable, str(Path(__file__).parent / "growth.py"), str(size)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        first, again, megabytes = map(float, output.split())
        small = small or again / size
        print(
            f"stack of {size} services in memory: first {first:.2f} s, nothing to do {again:.2f} s "
            f"({again / size / small:.2f} of the smallest's for each service), "
            f"at most {megabytes:.1f} MB",
            flush=True,
        )


def main() -> None:
    print(f"{'':62} {'this':>10} {'that':>10} {'ratio':>7}")
    bench_growth()
    first_of_three = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inventory = folder / "inventory"
        try:
            for size, (managers, workers) in SIZES.items():
                lab("down", "--name", LAB)
                lab(
                    *("up", "--name", LAB, "--inventory", str(inventory), "--no-outsider"),
                    *("--managers", str(managers), "--workers", str(workers)),
                )
                first = bench_site(inventory, folder, size, first_of_three)
                first_of_three = first_of_three or first
            ours, theirs, floor = seconds_a_task(
                inventory, folder, ONE_HOST, OUR_LABELS, THEIR_LABELS, PING
            )
            row("labels on five nodes : a loop of docker_node", ours, theirs, "aim 0.25")
            row("labels on five nodes : the floor (ansible.builtin.ping)", ours, floor)
            bench_services(inventory, folder)
            bench_stacks(inventory, folder)
        finally:
            lab("down", "--name", LAB)


if __name__ == "__main__":
    main()
