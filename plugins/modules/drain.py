#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drain
short_description: Drain Docker Swarm nodes for maintenance, and bring them back
version_added: 1.0.0
description:
  - Moves all services' tasks away from nodes and waits until none of them runs there any more, by
    what the nodes tell and not by what the swarm has decided, and until the services run elsewhere
    as before.
  - Before anything is changed it looks whether that does harm. It refuses to drain where no other
    node can take the tasks of a service, or where a service would have no task running meanwhile,
    with the names of the services and the reasons.
  - Where it fails, or has not come about in time, each node has the availability again that it had
    before, and services have the number of replicas that they had.
  - A manager that is drained stays a manager, and the quorum is as before. Containers that were
    started without the swarm, as with C(docker run), stay where they are.
  - Run it on a manager.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes
  - shoal.swarm._attributes.watched
options:
  nodes:
    description:
      - The nodes, by ID or by the name that C(docker node ls) shows.
      - Without the option it is the node of the host that runs the task.
    type: list
    elements: str
    aliases: [node, hostname]
  state:
    description:
      - V(drained) nodes have no tasks, and get none.
      - V(active) ones take tasks. Those that were moved away stay where they are, unless
        O(rebalance).
      - V(paused) ones keep the tasks that they have, and get no more.
    type: str
    choices: [drained, active, paused]
    default: drained
  strategy:
    description:
      - With V(stop_first) old tasks stop before new ones start, as the engine does it. A service
        has fewer tasks running for a while, all on one node at the same time.
      - With V(start_first) replicated services run more tasks for a while. The nodes are paused,
        each service is scaled up by the tasks that it has there, and only when these run the nodes
        are drained. When they are empty, and all tasks run that should, each service is scaled
        back. It never has fewer tasks running than it should. That needs room on the other nodes,
        and O(wait).
      - New tasks count once they are healthy and have run for the service's C(monitor) time, five
        seconds where nothing else is set. What a service needs to work twice at the same time, as a
        database does, this cannot give it.
      - While it lasts the service has the label C(shoal.swarm/surge), which tells the two numbers
        of replicas and the nodes. A task that was interrupted can be run again and finishes what
        was begun. Who scales the service meanwhile is not overruled.
      - After it, the previous spec of such a service, to which C(docker service rollback) returns,
        is the one with more replicas. The engine keeps no older one.
      - Read with O(state=drained). Global services and jobs move in the engine's own way.
    type: str
    choices: [stop_first, start_first]
    default: stop_first
  force:
    description:
      - Drain even where that does harm. What would have been refused becomes a warning, and tasks
        that no other node can take are not waited for.
      - Read with O(state=drained).
    type: bool
    default: false
  rebalance:
    description:
      - Give the nodes tasks again. A replicated service is restarted, in the way that its
        C(update_config) says, if one of the nodes has none of its tasks and could take some, while
        another node has two or more.
      - Run again it finds nothing to do. Read with O(state=active).
    type: bool
    default: false
  wait:
    description:
      - Wait until the nodes are as asked. Without it the task ends when the swarm has accepted the
        change, and nothing is put back later on.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait, in seconds. After that the task fails, says what it was still waiting for,
        such as a task with a long grace period, and puts everything back.
    type: int
    default: 300
seealso:
  - module: shoal.swarm.node
  - module: community.docker.docker_node
"""

EXAMPLES = r"""
- name: Drain the node of the manager that runs this task
  shoal.swarm.drain:

- name: Drain another node
  shoal.swarm.drain:
    nodes: worker1

- name: Drain the node of a worker, before its maintenance, from a manager
  shoal.swarm.drain:
    nodes: "{{ ansible_facts.hostname }}"
  delegate_to: manager1

- name: Drain two nodes without an interruption of services, those with one replica included
  shoal.swarm.drain:
    nodes: [worker1, worker2]
    strategy: start_first
    wait_timeout: 600

- name: Drain a node though a service that must run there stops
  shoal.swarm.drain:
    nodes: worker1
    force: true

- name: End the maintenance, and spread services over the node again
  shoal.swarm.drain:
    nodes: worker1
    state: active
    rebalance: true

- name: Keep new tasks away from a node
  shoal.swarm.drain:
    nodes: w7d1plb7rm8dbzbeeyn3pnhg5
    state: paused
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each step, with the
      difference in the symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: update node worker1 (w7d1plb7rm8dbzbeeyn3pnhg5),
            difference: {availability: [active, drain]}}]
nodes:
  description: The nodes as they are now, in the form of
    RV(shoal.swarm.swarm_info#module:nodes).
  returned: success
  type: list
  elements: dict
services:
  description: The names of the services that had tasks on the nodes, or are spread again.
  returned: success
  type: list
  elements: str
  sample: [shop_web, shop_db]
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._drain import ensure, wait_on
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._drain_plan import (
    DRAINED,
    STATES,
    STOP_FIRST,
    STRATEGIES,
)


def main() -> None:
    module = make_module(
        {
            "nodes": {"type": "list", "elements": "str", "aliases": ["node", "hostname"]},
            "state": {"type": "str", "default": DRAINED, "choices": list(STATES)},
            "strategy": {"type": "str", "default": STOP_FIRST, "choices": list(STRATEGIES)},
            "force": {"type": "bool", "default": False},
            "rebalance": {"type": "bool", "default": False},
            **WAIT_ARGUMENTS,
            "wait_timeout": {"type": "int", "default": 300},
        }
    )
    run(module, ensure, wait_on)


if __name__ == "__main__":
    main()
