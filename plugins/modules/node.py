#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node
short_description: Set role and availability of Docker Swarm nodes, and remove nodes
version_added: 1.0.0
description:
  - Brings role and availability of one or of many nodes to what is asked, and removes nodes from
    the swarm's list, in one task. Run it on a manager.
  - Whatever would lose the quorum, or the last manager, is refused before anything is written, with
    the arithmetic in the message. Roles change one after the other in a safe order, managers that
    do not answer first, then promotions, the leader and this host last.
  - Availability is set when the swarm has accepted it. With V(drain), tasks still take their time
    to stop on the node and to start elsewhere.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._wait
  - shoal.swarm._attributes
options:
  nodes:
    description: The nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      hostname:
        description: The node, by its ID or by its name as C(docker node ls) shows it.
        type: str
        required: true
        aliases: [name]
      state:
        description:
          - With V(absent) the node's entry is removed from the swarm's list. A manager is demoted
            before that. A node that is not there is none to remove.
          - A node that is alive is not removed; its host leaves first, with
            M(shoal.swarm.swarm_join). After that it still shows as ready for about 15 seconds, and
            this module waits for that. Drain a node that still runs tasks before its host leaves.
          - The node of the host that the task runs on is never removed.
        type: str
        choices: [present, absent]
        default: present
      role:
        description:
          - V(manager) promotes the node, and waits until the other managers reach it. V(worker)
            demotes it, and waits until it is none of them any more.
          - A host that demotes itself cannot be asked anything after that. Run the task on a
            manager that stays one where it shall run again.
        type: str
        choices: [manager, worker]
      availability:
        description:
          - V(active) takes tasks, V(pause) takes no new ones, V(drain) takes none and gives its own
            away.
        type: str
        choices: [active, pause, drain]
      replace_ghosts:
        description:
          - A host that leaves and joins again is a new node, and its old entry stays, with its
            labels. Whether such ghosts go, that is all other nodes of the same name that are down.
            Labels that the node itself lacks are carried over from them; role and availability
            are not.
          - A node of the same name that is not down is never touched. The name is not ambiguous
            where all nodes of that name but one are down. Do not use it where different hosts have
            the same name.
        type: bool
        default: false
      force:
        description:
          - With O(nodes[].state=absent), remove a node that is alive. Its tasks start elsewhere;
            its host is not told, and its containers may run on until it leaves the swarm, with
            M(shoal.swarm.swarm_join).
        type: bool
        default: false
  wait:
    description:
      - Wait until roles have changed and nodes that have just left are down. Without it the task
        ends when the swarm has accepted the last change; one change of a role is always over before
        the next one begins.
  wait_timeout:
    description:
      - How long to wait, in seconds, for each node whose role changes. After that the task fails
        and says what it was still waiting for. What was changed stays; running the task again goes
        on from there.
notes:
  - The swarm forgets some of the addresses of tasks that still ran on a node when it was removed
    (moby issue 37338). That is one more reason to drain it before.
seealso:
  - module: shoal.swarm.node_label
  - module: shoal.swarm.swarm_join
  - module: community.docker.docker_node
"""

EXAMPLES = r"""
- name: Keep tasks away from the managers
  shoal.swarm.node:
    nodes:
      - hostname: manager1
        availability: drain
      - hostname: manager2
        availability: drain

- name: Let a node take tasks again
  shoal.swarm.node:
    nodes:
      - hostname: w7d1plb7rm8dbzbeeyn3pnhg5
        availability: active

- name: Let another node be a manager in place of this one
  shoal.swarm.node:
    nodes:
      - hostname: node4
        role: manager
      - hostname: node3
        role: worker

- name: Remove a node whose host has left the swarm, or is dead
  shoal.swarm.node:
    nodes:
      - hostname: node5
        state: absent

- name: Remove a node that is alive and cannot be told to leave
  shoal.swarm.node:
    nodes:
      - hostname: node5
        state: absent
        force: true

- name: Clear up after a host that has joined anew, and give it its labels back
  shoal.swarm.node:
    nodes:
      - hostname: node5
        replace_ghosts: true
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each action, with the
      difference in the symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: demote node node4 (w7d1plb7rm8dbzbeeyn3pnhg5),
            difference: {role: [manager, worker]}}]
nodes:
  description:
    - The named nodes as they are now, in the form of RV(shoal.swarm.swarm_info#module:nodes),
      without those that are gone. A host that has demoted itself tells what it saw before.
  returned: success
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._membership import Role
from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._node import AVAILABILITY, ROLE
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import argument_spec
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import (
    Request,
    ensure,
    references,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run

PRESENT = "present"
ABSENT = "absent"


def manage(
    engine: Engine, params: Mapping[str, Any], how: Run
) -> tuple[Outcome[Any], dict[str, Any]]:
    references([node["hostname"] for node in params["nodes"]])
    requests = [_request(node) for node in params["nodes"]]
    return ensure(engine, requests, how, params["wait"], params["wait_timeout"])


def _request(node: Mapping[str, Any]) -> Request:
    is_absent = node["state"] == ABSENT
    if is_absent and (node["role"] or node["availability"] or node["replace_ghosts"]):
        raise InvalidOption(
            f"node {node['hostname']}: with state: absent there is no role, availability or "
            "replace_ghosts"
        )
    return Request(
        node["hostname"],
        availability=node["availability"],
        role=Role(node["role"]) if node["role"] else None,
        replace_ghosts=node["replace_ghosts"],
        is_absent=is_absent,
        force=node["force"],
    )


def main() -> None:
    options = {
        "hostname": {"type": "str", "required": True, "aliases": ["name"]},
        "state": {"type": "str", "default": PRESENT, "choices": [PRESENT, ABSENT]},
        **argument_spec((ROLE, AVAILABILITY)),
        "replace_ghosts": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
    }
    nodes = {"type": "list", "elements": "dict", "required": True, "options": options}
    run(make_module({**WAIT_ARGUMENTS, "nodes": nodes}), manage)


if __name__ == "__main__":
    main()
