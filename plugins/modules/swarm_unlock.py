#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_unlock
short_description: Unlock a manager of an autolocked Docker Swarm
version_added: 1.0.0
description:
  - Gives the unlock key to a manager that waits for it after a restart of its engine or its host,
    and waits until the other managers reach it again and there is a quorum.
  - A host that is not locked, be it a manager or a worker, is left alone, and the key is not looked
    at. A host outside a swarm is an error, as it is to C(docker swarm unlock).
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._wait
  - shoal.swarm._attributes
options:
  unlock_key:
    description:
      - The key, as M(shoal.swarm.swarm_init) and M(shoal.swarm.swarm_info) return it on request. It
        is never shown.
      - A manager that was down while the key was rotated needs the key of before.
    type: str
    required: true
notes:
  - Where all managers are locked, there is no quorum until more than half of them are unlocked. Run
    the task on all of them at the same time, as Ansible does without C(serial).
seealso:
  - module: shoal.swarm.swarm_init
  - module: shoal.swarm.swarm_info
"""

EXAMPLES = r"""
- name: Unlock the managers after a power failure
  shoal.swarm.swarm_unlock:
    unlock_key: "{{ vaulted_unlock_key }}"

- name: Unlock this manager, and wait for the others elsewhere
  shoal.swarm.swarm_unlock:
    unlock_key: "{{ vaulted_unlock_key }}"
    wait: false
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each action, with the
      difference in the symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: unlock the manager, difference: {state: [locked, active]}}]
state:
  description: This host's state in the swarm after the task, C(active) where all is well.
  returned: success
  type: str
  sample: active
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_unlock import ensure


def main() -> None:
    key = {"type": "str", "required": True, "no_log": True}
    run(make_module({**WAIT_ARGUMENTS, "unlock_key": key}), ensure)


if __name__ == "__main__":
    main()
