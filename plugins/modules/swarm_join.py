#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_join
short_description: Make a host a manager or worker of a Docker Swarm, or make it leave
version_added: 1.0.0
description:
  - Joins this host to the swarm of the join token, and waits until it is a ready member; a manager,
    until the other managers reach it.
  - Tells a host that is in this swarm from one that is in another swarm or has another role, by the
    digest of the root CA that is in the token.
  - Clears what an earlier join left half done.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._wait
  - shoal.swarm._attributes
options:
  state:
    description:
      - V(present) makes the host a member of the swarm.
      - V(absent) makes it leave. A manager is demoted first, where the swarm keeps its quorum
        without it, and the task refuses where it would not. The node's entry stays in the swarm's
        list as C(down) until a manager removes it, with M(shoal.swarm.node).
    type: str
    choices: [present, absent]
    default: present
  remote_addrs:
    description:
      - Addresses of managers, as V(10.0.0.11) or V(10.0.0.11:2377). They are tried in turn until
        one lets the host in; one that is down does no harm.
      - Required with O(state=present).
    type: list
    elements: str
  join_token:
    description:
      - The swarm's join token for managers or for workers; M(shoal.swarm.swarm_init) and
        M(shoal.swarm.swarm_info) return them on request.
      - Required with O(state=present).
    type: str
  role:
    description:
      - What the host shall be. The token decides it for a host that joins; with this option, a
        token for the other role is an error, and the host leaves again at once. A host that is in
        the swarm already in the other role is an error, too.
    type: str
    choices: [manager, worker]
  advertise_addr:
    description:
      - The address by which the other nodes reach this host, as V(10.0.0.12), V(10.0.0.12:2377) or
        the name of an interface. A host with several addresses needs it. Only read when it joins.
    type: str
  listen_addr:
    description: Where this host listens if it is a manager, now or later. Only read when it joins.
    type: str
    default: 0.0.0.0:2377
  data_path_addr:
    description:
      - The address or interface for the traffic of overlay networks, where it shall not be
        O(advertise_addr). Only read when it joins.
    type: str
  availability:
    description:
      - Whether the node takes tasks. Only read when it joins, where V(active) is the default; later
        use M(shoal.swarm.node).
    type: str
    choices: [active, pause, drain]
  check_addresses:
    description:
      - Refuse O(advertise_addr), O(listen_addr) and O(data_path_addr) that no interface of this
        host carries. Set it to V(false) where an address is translated to this host, as with NAT.
    type: bool
    default: true
  force:
    description:
      - With O(state=present), let a host that is in another swarm, or in this one in the wrong role
        or in state C(error) or C(locked), leave and join this swarm. What it holds of the other
        swarm is lost.
      - With O(state=absent), leave although the swarm loses its quorum or ends with it.
    type: bool
    default: false
seealso:
  - module: shoal.swarm.swarm_init
  - module: shoal.swarm.swarm_info
  - module: shoal.swarm.node
  - module: community.docker.docker_swarm
"""

EXAMPLES = r"""
- name: Join as a worker
  shoal.swarm.swarm_join:
    role: worker
    remote_addrs: [10.0.0.11, 10.0.0.12, 10.0.0.13]
    join_token: "{{ swarm.join_tokens.worker }}"

- name: Join as a manager that takes no tasks
  shoal.swarm.swarm_join:
    role: manager
    remote_addrs: "{{ swarm.managers }}"
    join_token: "{{ swarm.join_tokens.manager }}"
    advertise_addr: 10.0.0.12
    availability: drain

- name: Take the host out of whatever swarm it is in, and into this one
  shoal.swarm.swarm_join:
    remote_addrs: "{{ swarm.managers }}"
    join_token: "{{ swarm.join_tokens.worker }}"
    force: true

- name: Leave the swarm
  shoal.swarm.swarm_join:
    state: absent

- name: End the swarm on its last manager
  shoal.swarm.swarm_join:
    state: absent
    force: true
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each action, with the
      difference in the symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
node_id:
  description: This host's node ID; empty outside a swarm.
  returned: success
  type: str
  sample: w7d1plb7rm8dbzbeeyn3pnhg5
node_addr:
  description: The address by which this host is known to the others.
  returned: success
  type: str
  sample: 10.0.0.12
role:
  description: What this host is in the swarm, C(manager) or C(worker); empty outside a swarm.
  returned: success
  type: str
  sample: worker
cluster_id:
  description: The swarm's ID. Only managers know it; empty elsewhere.
  returned: success
  type: str
managers:
  description: Addresses of the managers that this host knows.
  returned: success
  type: list
  elements: str
  sample: ["10.0.0.11:2377"]
"""

from ansible_collections.shoal.swarm.plugins.module_utils._membership import Role
from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import THIS_NODE
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import argument_spec
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_join import ensure


def main() -> None:
    module = make_module(
        {
            **argument_spec(THIS_NODE),
            **WAIT_ARGUMENTS,
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "remote_addrs": {"type": "list", "elements": "str"},
            "join_token": {"type": "str", "no_log": True},
            "role": {"type": "str", "choices": [role.value for role in Role]},
            "check_addresses": {"type": "bool", "default": True},
            "force": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ["remote_addrs", "join_token"])],
    )
    run(module, ensure)


if __name__ == "__main__":
    main()
