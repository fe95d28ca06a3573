# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules that wait."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Wait until the swarm really is as asked. Without it the task ends when the swarm has
        accepted the change.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait, in seconds; V(0) looks once. After that the task fails and says what it
        was still waiting for. What was changed stays; running the task again goes on from there.
    type: int
    default: 120
"""
