# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._libraries import VENV, look_in_venv
from ansible_collections.shoal.swarm.tests.unit import modules_under_test

ROLE = Path(modules_under_test.__file__).parents[2] / "roles" / "engine"


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of this version of Python, with a library that is nowhere else."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (folder / "site-packages").mkdir(parents=True)
    (folder / "site-packages" / "found_in_the_venv.py").write_text("")
    return tmp_path


def test_a_library_that_the_host_lacks_is_found_in_the_venv(venv: Path) -> None:
    look_in_venv("found_in_the_venv", str(venv))
    module = importlib.import_module("found_in_the_venv")
    assert str(module.__file__).startswith(str(venv))
    # And only once.
    before = list(sys.path)
    look_in_venv("another_library", str(venv))
    assert sys.path == before


def test_the_hosts_own_library_comes_first(venv: Path) -> None:
    before = list(sys.path)
    look_in_venv("json", str(venv))
    assert sys.path == before


def test_a_venv_that_is_not_there_or_of_another_python_is_left_alone(
    venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(sys.path)
    look_in_venv("found_in_the_venv", str(tmp_path / "missing"))
    monkeypatch.setattr(sys, "version_info", (2, 7))
    look_in_venv("found_in_the_venv", str(venv))
    assert sys.path == before


def test_the_role_makes_the_venv_where_the_modules_look() -> None:
    tasks = (ROLE / "tasks/sdk-venv.yml").read_text(encoding="utf-8")
    assert f"virtualenv: {VENV}\n" in tasks
