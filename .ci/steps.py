#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run make targets one after another, whatever the earlier ones did, and say how each went.

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
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOGS = CHECKOUT / ".cache/steps"

# No step comes near it: a guard against a hang, not a measure of speed.
LIMIT_S = 3600
LINES_SHOWN = 60

# What a make hands down to a make that it starts; a step begins afresh.
MAKE_VARIABLES = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")


def main(steps: list[str]) -> int:
    """Run the steps, write the summary, and fail if one of them did."""
    if not steps:
        sys.exit("no steps given")
    LOGS.mkdir(parents=True, exist_ok=True)
    rows = []
    failures = 0
    for step in steps:
        print(f"{step} ...", flush=True)
        started = time.monotonic()
        passed = run(step, LOGS / f"{step}.log")
        failures += not passed
        rows.append(f"{step:<24} {'passed' if passed else 'FAILED'} {duration(started):>8}")
        print(rows[-1], flush=True)
    summary = f"{len(steps) - failures} passed, {failures} failed"
    (LOGS / "summary").write_text("\n".join([*rows, summary]) + "\n", encoding="utf-8")
    print("\n".join(["", *rows]), flush=True)
    return 1 if failures else 0


def run(step: str, log: Path) -> bool:
    """Run one target in a process group of its own, so that its end is the end of all it began."""
    environment = {key: value for key, value in os.environ.items() if key not in MAKE_VARIABLES}
    environment["NO_COLOR"] = "1"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "--no-print-directory", step],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            stop(process)
            output.write(f"\nstopped: not done after {LIMIT_S} s\n".encode())
            status = 1
        except BaseException:
            stop(process)
            raise
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(f"    {line}" for line in lines[-LINES_SHOWN:]))
        print(f"    (all of it: {log.relative_to(CHECKOUT)})", flush=True)
    return status == 0


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
