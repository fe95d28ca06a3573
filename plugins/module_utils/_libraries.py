# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the libraries are on hosts whose distribution has no packages of them."""

from __future__ import annotations

import importlib.util
import os
import sys

# The role engine makes it (engine_sdk: venv). Modules run with the system's Python all the same:
# starting them anew with that of the venv, as ansible's respawn_module does, hangs where their
# options have more than 64 KiB, the capacity of its pipe.
VENV = "/opt/shoal/venv"


def look_in_venv(name: str, venv: str = VENV) -> None:
    """Let a library be found in the venv where the host has no other, in this version of Python."""
    version = ".".join(map(str, sys.version_info[:2]))
    path = os.path.join(venv, "lib", f"python{version}", "site-packages")
    if importlib.util.find_spec(name) is None and os.path.isdir(path) and path not in sys.path:
        # Before the system's own, so that it has its own dependencies.
        sys.path.insert(0, path)
