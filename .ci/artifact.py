#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection, install it where nothing else is, and use it from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
WORK = CHECKOUT / ".cache/artifact"
INSTALLED = WORK / "collections"
SETTINGS = WORK / "ansible.cfg"

SHIPPED = (
    "CHANGELOG.md LICENSE README.md changelogs/changelog.yaml meta playbooks plugins roles"
).split()
MADE_BY_BUILD = {"FILES.json", "MANIFEST.json"}


def main() -> None:
    """Each check ends the run with what is wrong."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    SETTINGS.touch()
    call("ansible-galaxy", "collection", "build", "--output-path", str(WORK), str(CHECKOUT))
    (artifact,) = WORK.glob("*.tar.gz")
    check_content(artifact)
    call(
        "ansible-galaxy",
        "collection",
        "install",
        "--offline",
        "-p",
        *map(str, (INSTALLED, artifact)),
    )
    check_modules()
    check_roles()
    check_playbooks()


def check_content(artifact: Path) -> None:
    """The artifact holds the project's own files under SHIPPED, all of them and nothing else."""
    with tarfile.open(artifact) as archive:
        packed = {member.name for member in archive if not member.isdir()} - MADE_BY_BUILD
    listed = call(
        *("git", "-C", str(CHECKOUT), "ls-files", "--cached", "--others", "--exclude-standard"),
        *("--error-unmatch", "--", *SHIPPED),
    )
    ours = {name for name in listed.splitlines() if (CHECKOUT / name).exists()}
    expect(f"files in {artifact.name}", packed, ours)


def check_modules() -> None:
    """Every module is listed and documented, and one with a connection is in its action group."""
    modules = {f"shoal.swarm.{path.stem}" for path in (CHECKOUT / "plugins/modules").glob("*.py")}
    listed = documents("-t", "module", "-l", "shoal.swarm")
    expect("modules listed by ansible-doc", set(listed), modules)
    documented = documents("-t", "module", *sorted(modules))
    expect("modules documented", {name for name, doc in documented.items() if doc["doc"]}, modules)
    runtime = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text(encoding="utf-8"))
    grouped = {f"shoal.swarm.{name}" for name in runtime["action_groups"]["swarm"]}
    connected = {name for name, doc in documented.items() if "docker_host" in doc["doc"]["options"]}
    expect("modules in the action group swarm of meta/runtime.yml", grouped, connected)


def check_roles() -> None:
    """Every role has an argument specification."""
    roles = {f"shoal.swarm.{path.name}" for path in (CHECKOUT / "roles").glob("*")}
    documented = documents("-t", "role", *sorted(roles))
    with_entry = {name for name, doc in documented.items() if doc["entry_points"]}
    expect("roles with an argument specification", with_entry, roles)


def check_playbooks() -> None:
    """Every playbook can be called by its full name, and site.yml is among them."""
    names = {f"shoal.swarm.{path.stem}" for path in (CHECKOUT / "playbooks").glob("*.yml")}
    for name in sorted(names):
        call("ansible-playbook", "--inventory", "localhost,", "--syntax-check", name)
    expect("playbooks to call by name", names, names | {"shoal.swarm.site"})


def documents(*arguments: str) -> dict[str, Any]:
    """What ansible-doc says, by name."""
    found: dict[str, Any] = json.loads(call("ansible-doc", "--json", *arguments))
    return found


def expect(what: str, found: set[str], wanted: set[str]) -> None:
    """Print the number, or end with the difference. Nothing at all is never what we want."""
    if found != wanted or not found:
        sys.exit(
            f"{what}: unexpected {sorted(found - wanted)}, missing {sorted(wanted - found)}, "
            f"in order {len(found & wanted)}"
        )
    print(f"{what}: {len(found)}", flush=True)


def call(*command: str) -> str:
    """Run away from the checkout and its settings; its output, or the end."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(SETTINGS),
        "ANSIBLE_COLLECTIONS_PATH": str(INSTALLED),
    }
    done = subprocess.run(
        command, cwd=WORK, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
