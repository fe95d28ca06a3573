#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-test on a copy of what ships and its tests, in a home of its own.

ansible-test works only under a real path .../ansible_collections/shoal/swarm, follows no link,
and asks git for its files. It also drops the environment, so pip's settings go into a file.

With --ends as the first argument the rest is run on the oldest and the newest Python that is here:
what one between them refuses, one of the two refuses as well, but for a rare case.
"""

from __future__ import annotations

import ast
import configparser
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
WORK = CHECKOUT / ".cache/ansible-test"
TREE = WORK / "ansible_collections/shoal/swarm"
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
RESULTS = TREE / "tests/output/junit"
HOME = WORK / "home"

TESTED = (
    "CHANGELOG.md LICENSE README.md changelogs docs galaxy.yml meta playbooks plugins roles tests"
).split()

# ansible-test fetches a bootstrap script of this name, unless it is there: our own pip will do.
GET_PIP = HOME / ".ansible/test/cache/get_pip_24_2.py"
BOOTSTRAP = f"""\
import subprocess
import sys

packages = [word for word in sys.argv[1:] if not word.startswith("--no-")]
pip = [{sys.executable!r}, "-m", "pip", "--python", sys.executable, "install"]
sys.exit(subprocess.run([*pip, *packages], check=False).returncode)
"""


def main() -> int:
    """Copy, configure, run with the arguments given; one at a time, for there is one copy."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if sys.argv[1:2] != ["--ends"]:
            return run(sys.argv[1:])
        return max(run([*sys.argv[2:], "--python", version]) for version in ends())


def ends() -> list[str]:
    """The oldest and the newest Python that is here, of those that the collection is for."""
    found = [version for version in PYTHONS if shutil.which(f"python{version}", path=search_path())]
    return sorted({found[0], found[-1]}, key=PYTHONS.index)


def run(arguments: list[str]) -> int:
    """Its exit status."""
    copy_tree()
    write_home()
    shutil.rmtree(RESULTS, ignore_errors=True)
    environment = {**os.environ, "HOME": str(HOME), "PATH": search_path()}
    command = ["ansible-test", *arguments]
    done = subprocess.run(command, cwd=TREE, env=environment, stdin=subprocess.DEVNULL, check=False)
    # Without any test, units is content.
    if arguments[:1] == ["units"] and not any(RESULTS.glob("*-units.xml")):
        sys.exit("no unit test was run")
    return done.returncode


def copy_tree() -> None:
    """Bring the copy to what the checkout holds, new files too; keep earlier output and venvs."""
    subprocess.run(["git", "init", "--quiet", str(TREE)], check=True)
    (TREE / ".git/info/exclude").write_text("/tests/output/\n", encoding="utf-8")
    subprocess.run(["git", "clean", "-dffq"], cwd=TREE, check=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *TESTED]
    listed = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, check=True, text=True)
    for name in listed.stdout.split("\0"):
        if name and (CHECKOUT / name).exists():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, TREE / name, follow_symlinks=False)


def search_path() -> str:
    """Where to look for the Python versions: pyenv's own shims answer only for the chosen ones."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = [str(path) for path in sorted(pyenv.glob("versions/*/bin"))]
    return os.pathsep.join([str(Path(sys.executable).parent), *installed, os.environ["PATH"]])


def write_home() -> None:
    """Write pip's effective settings and the bootstrap script into the private home."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    settings = configparser.RawConfigParser()
    settings.add_section("global")
    # The environment's come first in the list, and win over the files'.
    for line in reversed(listed.stdout.splitlines()):
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        section = "global" if section == ":env:" else section
        if not settings.has_section(section):
            settings.add_section(section)
        settings[section][key] = ast.literal_eval(value)
    settings["global"]["quiet"] = "2"
    config = HOME / ".config/pip/pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    with config.open("w", encoding="utf-8") as file:
        settings.write(file)
    GET_PIP.parent.mkdir(parents=True, exist_ok=True)
    GET_PIP.write_text(BOOTSTRAP, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
