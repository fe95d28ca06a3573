# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module supports, said once for all."""

from __future__ import annotations


class ModuleDocFragment:
    # Modules that change things.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and tell what would change without changing it.
  diff_mode:
    support: full
    description:
      - Tells in C(diff) mode what has changed, or would in check mode.
      - A task that fails after it has changed something has C(changed), C(diff) and C(changes) of
        that in its result.
  idempotent:
    support: full
    description: Run again with the same options it changes nothing, and writes nothing.
  action_group:
    description: Use C(group/shoal.swarm.swarm) in C(module_defaults) to set options for it.
    support: full
    membership:
      - shoal.swarm.swarm
"""

    # Modules with an action plugin of their name, which shows their wait.
    WATCHED = r"""
options: {}
attributes:
  action:
    support: full
    description:
      - While it waits, the controller shows how it goes, on standard error. On a terminal that is a
        picture that changes, elsewhere a line for each change.
      - Nothing is shown with C(no_log), and nothing with C(async).
  async:
    support: full
    description: Can be run with C(async). The module then waits on the host itself.
"""

    # Modules that only read.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode); it never changes anything.
  diff_mode:
    support: N/A
    description: Tells in C(diff) mode what has changed.
  action_group:
    description: Use C(group/shoal.swarm.swarm) in C(module_defaults) to set options for it.
    support: full
    membership:
      - shoal.swarm.swarm
"""
