# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see while a play waits for a service: with a terminal, without one, and offline."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Engine, Infra, finish, run

from ansible_collections.shoal.swarm.tests.unit.terminal import Terminal

HERE = Path(__file__).parent
ROLL_OUT = str(HERE / "roll_out.yml")
LINES, COLUMNS = 40, 100
LOST = "[node1] the connection: lost, trying again"
# Long enough to cut the connection in the middle, and for longer than the fifteen seconds that one
# test waits, on a machine that has other things to do.
SLOWLY = ("-e", "delay=4s")
AT_LENGTH = ("-e", "delay=10s")
# What is replaced takes longer to stop than a look at it may come late.
STOPS_LATE = ["sh", "-c", 'serve & server=$!; trap "sleep 3; kill $server" TERM; wait; wait']
# Each of five slots goes through so many states at most, one at a time.
MOST_LINES = 5 * 10


def roll_out(infra: Infra, version: int, *more: str, **how: Any) -> str:
    """What is printed meanwhile; the play shall not fail."""
    done = infra.play(ROLL_OUT, "-e", f"version={version}", *more, **how)
    assert done.returncode == 0
    return done.output


def progress(output: str, host: str = "node1") -> list[str]:
    return [line for line in output.splitlines() if line.startswith(f"[{host}] ")]


def whole(line: str) -> str:
    """What it says of the service, without its slots."""
    return line.partition("; ")[0]


def on_a_terminal(infra: Infra, *arguments: str) -> list[str]:
    """What a person reads there in the end."""
    person, program = os.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**infra.environment, "TERM": "xterm", "CI": ""}
    process = subprocess.Popen(
        ["ansible-playbook", "-i", str(infra.inventory), *arguments],
        cwd=infra.folder,
        env=environment,
        stdin=program,
        stdout=program,
        stderr=program,
    )
    os.close(program)
    written = b""
    try:
        while chunk := os.read(person, 65536):
            written += chunk
    except OSError:
        # The last one who had the other side has closed it.
        pass
    assert process.wait() == 0, written.decode()
    # What is shown first, and what is shown last in its place.
    assert written.count(b"\x1b[J") >= 2
    terminal = Terminal(LINES)
    terminal.write(written.decode())
    print("\n".join(terminal.lines))
    return terminal.lines


def test_without_a_terminal_each_change_is_a_line(infra: Infra, engine: Engine, name: str) -> None:
    host = ("-e", json.dumps({"on": engine.host, "command": STOPS_LATE}))
    created = roll_out(infra, 1, *host)
    assert (
        whole(progress(created, engine.host)[-1])
        == f"[{engine.host}] service {name}: 5 of 5 tasks run"
    )
    changed = roll_out(infra, 2, *host)
    told = progress(changed, engine.host)
    assert len(told) == len(set(told)) < MOST_LINES
    assert all(line.startswith(f"[{engine.host}] service {name}: ") for line in told)
    assert any(", update in progress; slot " in line for line in told)
    assert re.search(r"slot \d: \w+ on node\d, replaces web:1 on node\d", changed)
    assert re.search(r"slot \d: to be replaced: web:1 on node\d", changed)
    assert whole(told[-1]) == f"[{engine.host}] service {name}: 5 of 5 tasks run"
    assert "\x1b" not in changed
    assert '1 changed, running running running running running"' in changed
    # Nothing to do, nothing to see, and the module is executed once.
    again = roll_out(infra, 2, *host, "-vvv")
    assert progress(again, engine.host) == []
    assert again.count("SHOAL_SWARM_WATCH=") == again.count("SSH: EXEC") == 1


def test_a_terminal_shows_each_slot_once(infra: Infra, name: str) -> None:
    roll_out(infra, 1)
    lines = on_a_terminal(infra, ROLL_OUT, "-e", "version=2")
    (start,) = [number for number, line in enumerate(lines) if line.startswith("TASK [Run five")]
    picture = lines[start + 1 : start + 8]
    assert picture[0] == f"[node1] service {name}: 5 of 5 tasks run"
    for slot, line in enumerate(picture[1:6], start=1):
        assert re.fullmatch(rf"  slot {slot}  running on node[123]", line)
    assert picture[6] == "changed: [node1]"
    # It took the place of everything that it showed before.
    assert not re.search("replaces|in progress|watched", "\n".join(lines))


def test_hosts_that_share_a_terminal_print_lines(infra: Infra, name: str) -> None:
    hosts = ("-e", "on=node1:node4")
    output = roll_out(infra, 1, *hosts)
    for host in ("node1", "node4"):
        assert whole(progress(output, host)[-1]) == f"[{host}] service {name}: 5 of 5 tasks run"


def test_who_reads_the_result_by_a_program_is_not_disturbed(infra: Infra, name: str) -> None:
    done = subprocess.run(
        ["ansible-playbook", "-i", str(infra.inventory), ROLL_OUT, "-e", "version=1"],
        cwd=infra.folder,
        env={**infra.environment, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True,
        text=True,
        check=True,
    )
    task = json.loads(done.stdout)["plays"][0]["tasks"][0]
    result = task["hosts"]["node1"]
    assert [change["action"] for change in result["changes"]] == [f"create service {name}"]
    assert "_watched" not in result
    assert whole(progress(done.stderr)[-1]) == f"[node1] service {name}: 5 of 5 tasks run"


def test_what_ansible_offers_every_task(infra: Infra, name: str) -> None:
    done = infra.play(str(HERE / "keywords.yml"))
    assert done.returncode == 0
    tasks = dict(
        re.findall(
            r"^TASK \[(.*?)\] \*+\n(.*?)(?=^TASK|^PLAY)", done.output, re.MULTILINE | re.DOTALL
        )
    )
    shown = {task for task, output in tasks.items() if f"service {name}: " in output}
    assert shown >= {
        "Each turn of a loop has its result",
        "Remove the service of the other's swarm",
    }
    assert not shown & {
        "In check mode it is not done and not waited for",
        "Without wait it ends when the swarm has accepted",
        "With async it is polled",
        "With async it goes on behind the play",
        "Without a log it shows nothing",
    }
    assert f"[node4 -> node1] service {name}: tasks left: none" in done.output


def output_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout)


def until_it_waits(process: subprocess.Popen[str]) -> str:
    """What is printed until there is a line of progress."""
    seen = ""
    while not progress(seen):
        seen += next(output_of(process))
    return seen


@dataclass(frozen=True)
class Connections:
    """Those of a play of our own, so that no other one's is cut."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder)}

    def cut(self) -> None:
        for socket in self.folder.iterdir():
            # One that is just made, or just gone, is nobody's connection.
            run("ssh", "-o", f"ControlPath={socket}", "-O", "exit", "host", check=False)


@pytest.fixture
def connections(tmp_path_factory: pytest.TempPathFactory) -> Connections:
    # The path of a socket has 107 characters and no more.
    return Connections(tmp_path_factory.mktemp("cp"))


# The brackets keep it from finding itself.
UNTIL_IT_LOOKS = 'until pgrep --full "[S]HOAL_SWARM_WATCH"; do sleep 0.1; done'


def images(engine: Engine, name: str) -> set[str]:
    return {
        task["Spec"]["ContainerSpec"]["Image"].partition("@")[0]
        for task in engine.tasks(name)
        if task["DesiredState"] == "running"
    }


def test_a_connection_that_is_lost_is_tried_again(
    infra: Infra, swarm: Engine, connections: Connections, name: str
) -> None:
    roll_out(infra, 1)
    process = infra.start(
        *(ROLL_OUT, "-e", "version=2", *SLOWLY), environment=connections.environment
    )
    seen = ""
    for line in output_of(process):
        seen += line
        if line.startswith(LOST):
            break
        if progress(line):
            # Ansible itself gets over one that is lost while nothing runs there.
            swarm.on(f"timeout 10 sh -c '{UNTIL_IT_LOOKS}'", check=False)
            connections.cut()
    done = finish(process)
    assert done.returncode == 0
    told = progress(seen + done.output)
    assert LOST in told
    assert whole(told[-1]) == f"[node1] service {name}: 5 of 5 tasks run"
    # The last execution has written nothing, but the task has.
    assert '1 changed, running running running running running"' in done.output
    assert images(swarm, name) == {swarm.web(2)}


def test_a_host_that_stays_away_is_unreachable(
    infra: Infra, swarm: Engine, connections: Connections, name: str
) -> None:
    roll_out(infra, 1)
    process = infra.start(
        *(ROLL_OUT, "-e", "version=2", "-e", "seconds=15", *AT_LENGTH),
        environment=connections.environment,
    )
    until_it_waits(process)
    # Who is connected stays so.
    swarm.on("sudo systemctl stop ssh.socket ssh")
    try:
        connections.cut()
        done = finish(process)
    finally:
        swarm.on("sudo systemctl start ssh")
    assert done.counts("unreachable") == {"node1": 1}
    assert LOST in progress(done.output)
    # Again, with a connection, it ends well.
    assert "0 changed" in roll_out(infra, 2, *AT_LENGTH)


@pytest.mark.faults
def test_an_engine_that_restarts_is_waited_out(infra: Infra, swarm: Engine, name: str) -> None:
    roll_out(infra, 1)
    # What runs on that host ends with its engine; the update shall not stop at that.
    process = infra.start(ROLL_OUT, "-e", "version=2", "-e", "on_failure=continue", *SLOWLY)
    seen = until_it_waits(process)
    swarm.on("sudo systemctl stop docker.socket docker; sleep 3; sudo systemctl start docker")
    done = finish(process)
    assert done.returncode == 0
    told = progress(seen + done.output)
    assert any(line.startswith("[node1] the ") for line in told)
    assert whole(told[-1]) == f"[node1] service {name}: 5 of 5 tasks run"
    assert images(swarm, name) == {swarm.web(2)}
