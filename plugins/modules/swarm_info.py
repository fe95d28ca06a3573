#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_info
short_description: Tell what a host knows of its Docker Swarm, the swarm's nodes and its quorum
version_added: 1.0.0
description:
  - Returns the same names on every host, be it a manager, a worker, outside a swarm, or without
    Docker. What the host cannot know is empty.
  - Only managers know the swarm's settings, its nodes and its quorum.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes.info
options:
  nodes_filters:
    description:
      - Only return nodes that match, as C(docker node ls --filter) would. Each name has one value
        or a list of them. The quorum always counts all managers.
    type: dict
  ready:
    description:
      - Nodes, by ID or name, to wait for first. A node is ready when it is connected, and a manager
        when the other managers reach it. Needs a manager to run on.
    type: list
    elements: str
  wait_timeout:
    description: How long to wait for O(ready), in seconds. After that the task fails and says why.
    type: int
    default: 120
  join_tokens:
    description:
      - Return the join tokens. They let any host into the swarm, so set C(no_log) on a task that
        asks for them.
    type: bool
    default: false
  unlock_key:
    description: Return the unlock key. Set C(no_log) on a task that asks for it.
    type: bool
    default: false
seealso:
  - module: community.docker.docker_swarm_info
"""

EXAMPLES = r"""
- name: Look at the swarm
  shoal.swarm.swarm_info:
  register: swarm

- name: Refuse to go on without a quorum to spare
  ansible.builtin.assert:
    that: swarm.quorum.tolerates > 0
    fail_msg: "{{ swarm.quorum.reachable }} of {{ swarm.quorum.managers }} managers are reachable."

- name: List the nodes that are not ready
  ansible.builtin.debug:
    msg: "{{ swarm.nodes | rejectattr('state', 'eq', 'ready') | map(attribute='hostname') }}"

- name: Wait until the nodes are ready, and say which one is not
  shoal.swarm.swarm_info:
    ready: [node1, node2, node3]
    wait_timeout: 60

- name: Look at the managers only
  shoal.swarm.swarm_info:
    nodes_filters:
      role: manager

- name: Get the tokens with which hosts join
  shoal.swarm.swarm_info:
    join_tokens: true
  register: swarm
  no_log: true
"""

RETURN = r"""
can_talk_to_docker:
  description: Whether a Docker Engine answered. Where it did not, RV(error) says why.
  returned: success
  type: bool
docker_swarm_active:
  description: Whether this host is an active member of a swarm.
  returned: success
  type: bool
docker_swarm_manager:
  description: Whether this host is a manager.
  returned: success
  type: bool
state:
  description: The engine's state in the swarm, as C(docker info) shows it.
  returned: success
  type: str
  sample: active
error:
  description:
    - What the engine says is wrong with its membership. A manager without quorum says so here while
      its state is still C(active).
  returned: success
  type: str
role:
  description: C(manager), C(worker), or empty outside a swarm.
  returned: success
  type: str
  sample: manager
node_id:
  description: This host's node ID.
  returned: success
  type: str
node_addr:
  description: The address by which this host is known to the others.
  returned: success
  type: str
cluster_id:
  description: The swarm's ID, on managers.
  returned: success
  type: str
managers:
  description: Addresses of the managers that this host knows.
  returned: success
  type: list
  elements: str
  sample: ["10.0.0.11:2377"]
hostname:
  description: The host's name as the engine knows it.
  returned: success
  type: str
engine_version:
  description: Version of this host's Docker Engine.
  returned: success
  type: str
  sample: 26.1.5
swarm_facts:
  description: The swarm as the API shows it, without its join tokens, on managers.
  returned: success
  type: dict
nodes:
  description: The nodes, sorted by name, on managers.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The node's ID.
      type: str
    hostname:
      description: The node's name. Two nodes can have the same one.
      type: str
    role:
      description: C(manager) or C(worker), as it is meant to be.
      type: str
    availability:
      description: C(active), C(pause) or C(drain).
      type: str
    labels:
      description: The node's labels.
      type: dict
    state:
      description: C(ready), C(down), C(disconnected) or C(unknown).
      type: str
    message:
      description: What the managers say about that state.
      type: str
    address:
      description: The node's address.
      type: str
    leader:
      description: Whether it is the managers' leader.
      type: bool
    reachability:
      description: C(reachable) or C(unreachable) for a manager, empty for a worker.
      type: str
    manager_address:
      description: Where a manager listens for the other nodes.
      type: str
    engine_version:
      description: Version of the node's Docker Engine.
      type: str
quorum:
  description: The managers' arithmetic, on managers.
  returned: success
  type: dict
  contains:
    managers:
      description: How many managers the swarm has.
      type: int
    reachable:
      description: How many of them answer.
      type: int
    needed:
      description: How many must answer for the swarm to accept changes.
      type: int
    tolerates:
      description: How many of those that answer can still be lost.
      type: int
    holds:
      description: Whether enough answer.
      type: bool
join_tokens:
  description: The tokens with which hosts join as C(manager) or as C(worker), on managers.
  returned: when O(join_tokens=true)
  type: dict
unlock_key:
  description: The key that a locked manager needs, on managers; empty without autolock.
  returned: when O(unlock_key=true)
  type: str
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import inform, make_module
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_info import (
    NO_ENGINE,
    gather,
)


def main() -> None:
    module = make_module(
        {
            "nodes_filters": {"type": "dict"},
            "ready": {"type": "list", "elements": "str"},
            "wait_timeout": {"type": "int", "default": 120},
            "join_tokens": {"type": "bool", "default": False, "no_log": False},
            "unlock_key": {"type": "bool", "default": False, "no_log": False},
        }
    )
    inform(module, gather, NO_ENGINE)


if __name__ == "__main__":
    main()
