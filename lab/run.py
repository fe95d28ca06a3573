# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to other programs: run one, bounded, and say in one line why it failed."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

from plan import LabError

STARTED = time.monotonic()


def say(message: str) -> None:
    print(f"[{time.monotonic() - STARTED:6.1f} s] {message}", flush=True)


def attempt(
    arguments: Sequence[str],
    timeout: float = 180,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it and hand back what it said, whatever that was; a timeout counts as a failure."""
    try:
        done = subprocess.run(
            arguments,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 124, "", f"no end after {timeout:.0f} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", f"{arguments[0]}: not installed")
    return subprocess.CompletedProcess(
        arguments,
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


def run(
    arguments: Sequence[str],
    timeout: float = 180,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run it; what it prints, stripped. A failure is a LabError with the end of its complaint."""
    done = attempt(arguments, timeout, stdin, environment)
    if done.returncode != 0:
        raise LabError(failure(arguments, done.stderr + done.stdout, done.returncode))
    return done.stdout.strip()


def docker(*arguments: str, timeout: float = 180, stdin: bytes = b"") -> str:
    return run(["docker", *arguments], timeout, stdin)


def pipe(producer: Sequence[str], consumer: Sequence[str], timeout: float) -> None:
    """`producer | consumer`, and both must succeed."""
    with tempfile.TemporaryFile() as first, tempfile.TemporaryFile() as second:
        source = subprocess.Popen(producer, stdout=subprocess.PIPE, stderr=first)
        sink = subprocess.Popen(
            consumer, stdin=source.stdout, stdout=subprocess.DEVNULL, stderr=second
        )
        assert source.stdout is not None
        # Only the consumer holds the pipe now: should it end early, the producer is told.
        source.stdout.close()
        try:
            statuses = [process.wait(timeout) for process in (sink, source)]
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{' '.join(producer[:3])} …: no end after {timeout:.0f} s") from error
        finally:
            for process in (source, sink):
                process.kill()
        # The consumer's failure is often only the echo of the producer's.
        for arguments, log, status in (
            (producer, first, statuses[1]),
            (consumer, second, statuses[0]),
        ):
            if status != 0:
                log.seek(0)
                raise LabError(failure(arguments, log.read().decode(errors="replace"), status))


def failure(arguments: Sequence[str], said: str, status: int) -> str:
    return f"{' '.join(arguments[:3])} … failed: {one_line(said) or f'exit status {status}'}"


def one_line(said: str) -> str:
    """The end of what a program said: that is where it says why."""
    return " | ".join([line.strip() for line in said.splitlines() if line.strip()][-3:])
