#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run make targets and say how each went, whatever the others did.

Each argument is a lane: targets that run one after another, beside those of the other lanes. What
keeps the processor busy and what mostly waits for a lab belong into lanes of their own. A lane that
is through takes the last step of the one that has most before it.

Each step's output goes to .cache/steps/STEP.log; of a step that fails its end is shown. The
count of steps is the last line of .cache/steps/summary.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOGS = CHECKOUT / ".cache/steps"

# No step comes near it, not where each takes three times as long as on two busy processors: a
# guard against a hang, not a measure of speed.
LIMIT_S = 2 * 3600
LINES_SHOWN = 60

# What a make hands down to a make that it starts; a step begins afresh.
MAKE_VARIABLES = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")


@dataclass
class Step:
    """A make target that runs, in a process group of its own: its end ends all that it began."""

    name: str

    def __post_init__(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in MAKE_VARIABLES}
        environment["NO_COLOR"] = "1"
        self.log = LOGS / f"{self.name}.log"
        self.started = time.monotonic()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", "--no-print-directory", self.name],
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_over(self) -> bool:
        if time.monotonic() - self.started > LIMIT_S:
            stop(self.process)
            with self.log.open("ab") as output:
                output.write(f"\nstopped: not done after {LIMIT_S} s\n".encode())
            return True
        return self.process.poll() is not None

    def show_end(self) -> None:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(f"    {line}" for line in lines[-LINES_SHOWN:]))
        print(f"    (all of it: {self.log.relative_to(CHECKOUT)})", flush=True)


def main(lanes: Sequence[str]) -> int:
    """Run the lanes, write the summary, and fail if one of the steps did."""
    waiting = [lane.split() for lane in lanes]
    steps = [step for lane in waiting for step in lane]
    if not steps:
        sys.exit("no steps given")
    LOGS.mkdir(parents=True, exist_ok=True)
    rows: dict[str, str] = {}
    failures = 0
    running: list[Step | None] = [None for _lane in waiting]
    try:
        while any(waiting) or any(running):
            for number, names in enumerate(waiting):
                step = running[number]
                if step and step.is_over():
                    passed = step.process.returncode == 0
                    failures += not passed
                    outcome = "passed" if passed else "FAILED"
                    rows[step.name] = f"{step.name:<24} {outcome} {duration(step.started):>8}"
                    if not passed:
                        step.show_end()
                    print(rows[step.name], flush=True)
                    running[number] = step = None
                if step is None and any(waiting):
                    name = names.pop(0) if names else max(waiting, key=len).pop()
                    print(f"{name} ...", flush=True)
                    running[number] = Step(name)
            time.sleep(0.2)
    except BaseException:
        for step in running:
            if step:
                stop(step.process)
        raise
    summary = f"{len(steps) - failures} passed, {failures} failed"
    told = [rows[step] for step in steps]
    (LOGS / "summary").write_text("\n".join([*told, summary]) + "\n", encoding="utf-8")
    print("\n".join(["", *told]), flush=True)
    return 1 if failures else 0


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the group, first politely."""
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(60)
    # A job that it left behind keeps the group alive.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def duration(started: float) -> str:
    """The time since then, as 1m05s."""
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    return f"{minutes}m{seconds:02}s"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted")
