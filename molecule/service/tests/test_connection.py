# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that is reached through `ssh://`, by the SSH client of the host of the module."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from conftest import Engine, modules_under_test


def test_through_ssh(
    engine: Engine, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a user would have in ~/.ssh/config.
    client = tmp_path / "ssh"
    options = shlex.join(engine.ssh[1:-1])
    client.write_text(f'#!/bin/sh\nPATH="${{PATH#*:}}" exec ssh {options} "$@"\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    given = {"name": name, "image": engine.web(), "use_ssh_client": True}

    def ours() -> dict[str, object]:
        return modules_under_test.run("service", f"ssh://{engine.ssh[-1]}", **given)

    made, again = ours(), ours()
    assert (made.get("msg"), made["changed"]) == (None, True)
    assert (again.get("msg"), again["changed"]) == (None, False)
    assert made["service_id"] == engine.inspect(name)["ID"]
