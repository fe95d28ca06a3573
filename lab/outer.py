# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outer Docker Engine, in which the lab's hosts are containers: install, start, stop it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from plan import LabError
from run import attempt, run, say

# Shared by all checkouts on this machine; gone after a reboot, as is what it speaks of.
MACHINE_STATE = (
    Path("/run/shoal-lab") if os.geteuid() == 0 else Path.home() / ".cache" / "shoal-lab"
)
PID_FILE = MACHINE_STATE / "dockerd.pid"
LOG_FILE = MACHINE_STATE / "dockerd.log"
CONTAINERD_PID_FILE = Path("/run/docker/containerd/containerd.pid")

# command → the Debian packages that bring it
PACKAGES = {
    "docker": ("docker.io", "docker-cli"),
    "mmdebstrap": ("mmdebstrap",),
    "ssh": ("openssh-client",),
}
ENGINE_PACKAGES = ("docker.io", "docker-cli", "iptables")

# Each systemd takes several; Linux gives 128 to all of root's processes together.
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES_WANTED = 1024


@contextlib.contextmanager
def machine_lock(purpose: str) -> Iterator[None]:
    """One process on this machine at a time, whatever its checkout."""
    with file_lock(MACHINE_STATE / f"{purpose}.lock"):
        yield


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another lab command ({path})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def answers() -> bool:
    return attempt(["docker", "version"], timeout=30).returncode == 0


def ensure() -> None:
    """Leave with an engine that answers; install and start one where there is none."""
    with machine_lock("engine"):
        if answers():
            install(missing_packages())
        else:
            start()
    raise_inotify_limit()


def start() -> None:
    if "DOCKER_HOST" in os.environ:
        raise LabError("nothing answers at DOCKER_HOST: start an engine there, or unset it")
    if os.geteuid() != 0:
        raise LabError("no Docker Engine answers: start one you may use, or run this as root")
    install([*missing_packages(), *(() if shutil.which("dockerd") else ENGINE_PACKAGES)])
    if answers():
        return
    if Path("/run/systemd/system").is_dir():
        say("Starting docker.service")
        run(["systemctl", "start", "docker.service"], timeout=120)
        if not answers():
            raise LabError("docker.service runs and does not answer: see journalctl -u docker")
        return
    start_by_hand()


def start_by_hand() -> None:
    """For machines without a running systemd."""
    remove_stale_pid_files()
    say("Starting dockerd")
    MACHINE_STATE.mkdir(parents=True, exist_ok=True)
    with LOG_FILE.open("ab") as log:
        dockerd = subprocess.Popen(
            ["dockerd", "--pidfile", str(PID_FILE), "--log-level", "warn"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if answers():
            return
        if dockerd.poll() is not None:
            raise LabError(f"dockerd ended at once: {last_line(LOG_FILE)} (more in {LOG_FILE})")
        time.sleep(0.3)
    raise LabError(f"dockerd does not answer after 180 s: see {LOG_FILE}")


def remove_stale_pid_files() -> None:
    """After a hard kill the number in such a file may belong to any other process by now.

    dockerd then refuses to start, or waits in vain for a containerd that it takes to be alive.
    """
    for path, program in ((PID_FILE, "dockerd"), (CONTAINERD_PID_FILE, "containerd")):
        if path.exists() and process_in(path, program) is None:
            path.unlink()


def process_in(pid_file: Path, program: str) -> int | None:
    """The process that wrote the file, if it is alive and still that program."""
    try:
        pid = int(pid_file.read_text())
        # "622 (dockerd) S …"; where nothing reaps, a killed process stays as a zombie, Z.
        _, name, state = Path(f"/proc/{pid}/stat").read_text().split()[:3]
    except (OSError, ValueError):
        return None
    return pid if name == f"({program})" and state != "Z" else None


def stop() -> None:
    """Stop the engine that `start_by_hand` started; any other is none of ours."""
    pid = process_in(PID_FILE, "dockerd")
    if pid is None or attempt(["docker", "ps", "--quiet"]).stdout:
        return
    say("Stopping dockerd")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while process_in(PID_FILE, "dockerd") is not None:
        if time.monotonic() > deadline:
            raise LabError(f"dockerd (process {pid}) has not ended 60 s after SIGTERM")
        time.sleep(0.2)
    LOG_FILE.unlink(missing_ok=True)


def missing_packages() -> list[str]:
    return [
        package
        for command, packages in PACKAGES.items()
        if shutil.which(command) is None
        for package in packages
    ]


def install(packages: list[str]) -> None:
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise LabError(f"install {' '.join(packages)}, or run this as root on Debian")
    run(["apt-get", "update"], timeout=300)
    # Debian 12 has the client inside docker.io, later releases in a package of its own.
    known = set(run(["apt-cache", "pkgnames"]).split())
    chosen = sorted(set(packages) & known)
    say(f"Installing {' '.join(chosen)}")
    run(
        ["apt-get", "install", "--yes", "--no-install-recommends", *chosen],
        timeout=900,
        environment={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    still = [command for command in PACKAGES if shutil.which(command) is None]
    if still:
        raise LabError(f"installed {' '.join(chosen)}, and there is still no {', '.join(still)}")


def raise_inotify_limit() -> None:
    if os.geteuid() == 0 and int(INOTIFY_INSTANCES.read_text()) < INOTIFY_INSTANCES_WANTED:
        say(f"Setting fs.inotify.max_user_instances to {INOTIFY_INSTANCES_WANTED}")
        INOTIFY_INSTANCES.write_text(str(INOTIFY_INSTANCES_WANTED))


def last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "no log"
