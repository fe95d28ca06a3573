#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_info
short_description: Tell what Docker Swarm services and their tasks do
version_added: 1.0.0
description:
  - Returns one service, those that match a filter, or all of them, each with its counts, its tasks
    and their errors, its update, its ports and addresses.
  - Needs few requests, however many services there are. Run it on a manager.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes.info
options:
  name:
    description:
      - Name or ID of the one service to return. That it does not exist is no failure, see
        RV(exists).
      - Without it, and without O(filters), all services are returned.
    type: str
  filters:
    description:
      - Only return services that match, as C(docker service ls --filter) would. The engine knows
        V(name), V(id) (both by their beginning), V(label) and V(mode). Each has one value or a list
        of them, of which one must match; of several labels all must.
    type: dict
  tasks:
    description:
      - V(current) returns the newest task of each slot, in the global modes of each node, and of a
        job those of its last run.
      - V(all) also returns the earlier ones that the swarm still remembers, each behind its
        successor, as C(docker service ps) does. That is where a service that crashes again and
        again tells why.
    type: str
    choices: [current, all]
    default: current
seealso:
  - module: shoal.swarm.service
  - module: shoal.swarm.service_logs
  - module: community.docker.docker_swarm_service_info
"""

EXAMPLES = r"""
- name: Look at a service
  shoal.swarm.service_info:
    name: web
  register: web

- name: Refuse to go on while it does not run as it should
  ansible.builtin.assert:
    that:
      - web.exists
      - web.services[0].running == web.services[0].desired
      - web.services[0].update_status.state not in ['updating', 'paused', 'rollback_paused']

- name: Say where its tasks run
  ansible.builtin.debug:
    msg: "{{ item.name }} is {{ item.state }} on {{ item.node }}"
  loop: "{{ web.services[0].tasks }}"
  loop_control:
    label: "{{ item.id }}"

- name: Look at the services of a stack, with what the swarm remembers of earlier tasks
  shoal.swarm.service_info:
    filters:
      label: com.docker.stack.namespace=shop
    tasks: all
  register: shop

- name: List the errors of its tasks
  ansible.builtin.debug:
    msg: >-
      {{ shop.services | map(attribute='tasks') | flatten | map(attribute='error')
         | select | unique }}

- name: Look at all services
  shoal.swarm.service_info:
  register: swarm

- name: List those of which something is missing
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.running }} of {{ item.desired }}"
  loop: "{{ swarm.services }}"
  loop_control:
    label: "{{ item.name }}"
  when:
    - item.mode in ['replicated', 'global']
    - item.running < item.desired

- name: Look at the jobs
  shoal.swarm.service_info:
    filters:
      mode: [replicated-job, global-job]
  register: jobs

- name: Wait for a job's end, and see its exit codes
  shoal.swarm.service_info:
    name: migrate
  register: migrate
  until: migrate.services[0].completed == migrate.services[0].desired
  retries: 30
  delay: 2

- name: Find the port that the swarm has chosen
  ansible.builtin.set_fact:
    web_port: "{{ web.services[0].endpoint.ports[0].published_port }}"
"""

RETURN = r"""
exists:
  description: Whether there is a service of that name or ID.
  returned: when O(name) is given
  type: bool
service:
  description:
    - The service as the API shows it, the spec before its last update (C(PreviousSpec)) included;
      none where there is none.
  returned: when O(name) is given
  type: dict
services:
  description: The services, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The service's ID.
      type: str
    name:
      description: Its name.
      type: str
    mode:
      description: C(replicated), C(global), C(replicated-job) or C(global-job).
      type: str
    image:
      description: Its image, with the digest that it is pinned to.
      type: str
    desired:
      description:
        - How many tasks there shall be; of a job, how many shall complete. In the global modes, how
          many nodes have a task of it.
      type: int
    running:
      description: How many tasks run, those on nodes that are down left out.
      type: int
    completed:
      description: How many tasks of a job's last run have completed; V(0) for other services.
      type: int
    labels:
      description: The service's labels.
      type: dict
    update_status:
      description: The last update or rollback; its parts are empty where there has been none.
      type: dict
      contains:
        state:
          description:
            - C(updating), C(completed), C(paused), C(rollback_started), C(rollback_completed) or
              C(rollback_paused).
          type: str
        message:
          description: What the swarm says about it.
          type: str
        started_at:
          description: When it began.
          type: str
        completed_at:
          description: When it ended.
          type: str
    endpoint:
      description: How the service is reached.
      type: dict
      contains:
        mode:
          description: C(vip) or C(dnsrr).
          type: str
        ports:
          description:
            - Published ports, those included that the swarm has chosen, each with
              C(published_port), C(target_port), C(protocol) and C(mode). What a node has chosen
              for a port in mode C(host) is with the task.
          type: list
          elements: dict
        virtual_ips:
          description:
            - Its addresses, each with C(network) (name), C(network_id) and C(address) (with the
              length of the prefix).
          type: list
          elements: dict
    has_previous_spec:
      description: Whether there is a spec to roll back to.
      type: bool
    version:
      description: The version of the service's document, a number that each write raises.
      type: int
    created_at:
      description: When the service was created.
      type: str
    updated_at:
      description: When its document was written last.
      type: str
    tasks:
      description: Its tasks, sorted by slot, in the global modes by the node's name; see O(tasks).
      type: list
      elements: dict
      contains:
        id:
          description: The task's ID.
          type: str
        name:
          description:
            - Its name in C(docker service ps), such as C(web.1), or with the node's ID where there
              is no slot.
          type: str
        slot:
          description: The number of the replica; V(0) in the global modes.
          type: int
        node:
          description: Name of the node that has it; empty while none has.
          type: str
        node_id:
          description: ID of that node.
          type: str
        state:
          description:
            - What it does - C(new), C(pending), C(assigned), C(preparing), C(starting),
              C(running), C(complete), C(failed), C(rejected), C(shutdown), C(orphaned) and the
              like.
          type: str
        desired_state:
          description: What it shall do, such as C(running), C(shutdown), or C(complete) in a job.
          type: str
        error:
          description: What went wrong with it.
          type: str
        message:
          description: What the node or the manager says about its state.
          type: str
        exit_code:
          description: With what code its container has ended; none until it has.
          type: int
        container_id:
          description: ID of its container; empty where there has been none.
          type: str
        image:
          description: Its image.
          type: str
        timestamp:
          description: Since when it is in that state.
          type: str
        ports:
          description:
            - Ports published on its node (mode C(host)), each with C(published_port),
              C(target_port), C(protocol) and C(mode).
          type: list
          elements: dict
    service_spec:
      description: The service's spec as the API shows it.
      type: dict
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import inform, make_module
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_info import (
    CURRENT,
    TASKS,
    gather,
)


def main() -> None:
    module = make_module(
        {
            "name": {"type": "str"},
            "filters": {"type": "dict"},
            "tasks": {"type": "str", "choices": list(TASKS), "default": CURRENT},
        },
        mutually_exclusive=[("name", "filters")],
    )
    inform(module, gather)


if __name__ == "__main__":
    main()
