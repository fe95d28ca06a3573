#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_unlock_state
short_description: Take the lock off the state of a Docker Swarm manager whose engine is stopped
version_added: 1.0.0
description:
  - The engine cannot be told to recover a swarm that is autolocked from one manager. It loses the
    swarm (U(https://github.com/moby/moby/issues/36852)). This module takes the lock off the
    manager's state on the disk, so that O(shoal.swarm.swarm_init#module:force_new_cluster) works.
  - The playbooks C(shoal.swarm.recover) and C(shoal.swarm.restore) do all of it; use them.
  - The engine must be stopped.
author:
  - The shoal.swarm authors (@shoal-swarm)
requirements:
  - cryptography and PyNaCl on the host (the packages python3-cryptography and python3-nacl)
options:
  state:
    description:
      - V(unlocked) takes the lock off, and the engine leaves it like that.
      - V(lockable) lets the engine lock its state again from its next start on, when its swarm is
        one with autolock.
    type: str
    choices: [unlocked, lockable]
    default: unlocked
  unlock_key:
    description: The swarm's unlock key. Required with O(state=unlocked).
    type: str
  data_root:
    description: Where the engine keeps its data.
    type: path
    default: /var/lib/docker
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and tell what would change without changing it.
  diff_mode:
    support: none
    description: Tells in C(diff) mode what has changed. There is nothing in keys to be shown.
  idempotent:
    support: full
    description: Run again with the same options it changes nothing, and writes nothing.
seealso:
  - module: shoal.swarm.swarm_unlock
  - module: shoal.swarm.swarm_init
"""

EXAMPLES = r"""
- name: Stop the engine
  ansible.builtin.systemd_service:
    name: "{{ item }}"
    state: stopped
  loop: [docker.socket, docker.service]

- name: Take the lock off its state
  shoal.swarm.swarm_unlock_state:
    unlock_key: "{{ vaulted_unlock_key }}"

- name: After the recovery, with the engine stopped again, let it lock its state
  shoal.swarm.swarm_unlock_state:
    state: lockable
"""

RETURN = r"""
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.shoal.swarm.plugins.module_utils._errors import SwarmError
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_unlock_state import (
    STATES,
    UNLOCKED,
    ensure,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": STATES, "default": UNLOCKED},
            "unlock_key": {"type": "str", "no_log": True},
            "data_root": {"type": "path", "default": "/var/lib/docker"},
        },
        required_if=[("state", UNLOCKED, ["unlock_key"])],
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=ensure(module.params, module.check_mode))
    except SwarmError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
