#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_info
short_description: Tell what Docker Swarm stacks are made of and how they do
version_added: 1.0.0
description:
  - Returns one stack or all of them, each with its services and their tasks, its networks, secrets
    and configs.
  - What belongs to a stack says so in the label C(com.docker.stack.namespace), whoever has deployed
    it.
  - Needs few requests, however many stacks there are. Run it on a manager.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes.info
options:
  name:
    description:
      - Name of the one stack to return. That it does not exist is no failure, see RV(exists).
      - Without it all stacks are returned.
    type: str
  tasks:
    description:
      - V(current) returns the newest task of each slot, in the global modes of each node, and of a
        job those of its last run.
      - V(all) also returns the earlier ones that the swarm still remembers, each behind its
        successor, as C(docker stack ps) does.
    type: str
    choices: [current, all]
    default: current
seealso:
  - module: shoal.swarm.service_info
  - module: community.docker.docker_stack_info
  - module: community.docker.docker_stack_task_info
"""

EXAMPLES = r"""
- name: Look at all stacks
  shoal.swarm.stack_info:
  register: swarm

- name: List them
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.services | length }} services, {{ item.running }} tasks run"
  loop: "{{ swarm.stacks }}"
  loop_control:
    label: "{{ item.name }}"

- name: Look at a stack, with what the swarm remembers of earlier tasks
  shoal.swarm.stack_info:
    name: shop
    tasks: all
  register: shop

- name: Refuse to go on while one of its services lacks a task
  ansible.builtin.assert:
    that: item.running == item.desired
    quiet: true
  loop: "{{ shop.stacks[0].services | rejectattr('mode', 'match', '.*-job') }}"
  loop_control:
    label: "{{ item.name }}"

- name: List what went wrong with its tasks
  ansible.builtin.debug:
    msg: "{{ item.name }} on {{ item.node }}: {{ item.error }}"
  loop: "{{ shop.stacks[0].services | map(attribute='tasks') | flatten | selectattr('error') }}"
  loop_control:
    label: "{{ item.id }}"

- name: List the versions of its secrets that no service uses any more
  ansible.builtin.debug:
    msg: "{{ shop.stacks[0].secrets | rejectattr('in_use') | map(attribute='name') }}"
"""

RETURN = r"""
exists:
  description: Whether anything in the swarm belongs to a stack of that name.
  returned: when O(name) is given
  type: bool
stacks:
  description: The stacks, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The stack's name.
      type: str
    desired:
      description:
        - How many tasks its services shall have in all. In a stack without jobs all is well when as
          many run.
      type: int
    running:
      description: How many of their tasks run.
      type: int
    completed:
      description: How many tasks of its jobs have completed.
      type: int
    services:
      description: Its services, sorted by name, each as M(shoal.swarm.service_info) returns it.
      type: list
      elements: dict
    networks:
      description: Its networks, sorted by name. Those that it only uses belong to others.
      type: list
      elements: dict
      contains:
        id:
          description: The network's ID.
          type: str
        name:
          description: Its name.
          type: str
        driver:
          description: Its driver, such as C(overlay).
          type: str
        labels:
          description: Its labels.
          type: dict
    secrets:
      description:
        - Its secrets, each version for itself, sorted by name and number. Nobody can read what is
          in them.
      type: list
      elements: dict
      contains:
        id:
          description: The secret's ID.
          type: str
        name:
          description: Its name, such as C(shop_key_v2).
          type: str
        labels:
          description: Its labels, without those that this collection keeps for itself.
          type: dict
        version_of:
          description: The name that all its versions share, that of the first, such as C(shop_key).
          type: str
        version:
          description: The number of this version, from V(1).
          type: int
        in_use:
          description: Whether a service uses this version; of any stack, or of none.
          type: bool
    configs:
      description: Its configs, in the same way. What is in them is not returned.
      type: list
      elements: dict
      contains:
        id:
          description: The config's ID.
          type: str
        name:
          description: Its name.
          type: str
        labels:
          description: Its labels, without those that this collection keeps for itself.
          type: dict
        version_of:
          description: The name that all its versions share.
          type: str
        version:
          description: The number of this version, from V(1).
          type: int
        in_use:
          description: Whether a service uses this version.
          type: bool
results:
  description:
    - The stacks that have services, as M(community.docker.docker_stack_info) returns them. What
      M(community.docker.docker_stack_task_info) tells is in the C(tasks) of each service.
  returned: success
  type: list
  elements: dict
  contains:
    Name:
      description: The stack's name.
      type: str
    Services:
      description: How many services it has, as text.
      type: str
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import inform, make_module
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_info import (
    CURRENT,
    TASKS,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._stack_info import gather


def main() -> None:
    module = make_module(
        {
            "name": {"type": "str"},
            "tasks": {"type": "str", "choices": list(TASKS), "default": CURRENT},
        }
    )
    inform(module, gather)


if __name__ == "__main__":
    main()
