#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service
short_description: Create, change and remove Docker Swarm services, and wait until they run
version_added: 1.0.0
description:
  - Creates a service, or brings one to the options that the task names. Options that it does not
    name stay as they are, so C(name) with O(replicas) scales a service and C(name) with O(image)
      rolls an
    image, and nothing else changes. Nothing is written when nothing differs.
  - Waits until every task runs and has kept running, and fails with the swarm's own reason where it
    does not; also on a run that had nothing to change.
  - Run it on a manager.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._wait
  - shoal.swarm._attributes
options:
  name:
    description: The service's name.
    type: str
    required: true
  state:
    description:
      - V(present) creates or changes the service, V(absent) removes it and waits until its tasks
        have stopped.
    type: str
    choices: [present, absent]
    default: present
  image:
    description:
      - The image, as V(redis:7) or V(registry.example.com/app:1.2). Needed to create a service. The
        digest that a tag was pinned to is no difference.
    type: str
  mode:
    description:
      - V(replicated) runs O(replicas) tasks, V(global) one on each node that the placement allows.
        A new service is V(replicated). The mode of a service cannot be changed.
    type: str
    choices: [replicated, global]
  replicas:
    description:
      - How many tasks to run, V(1) for a new service. V(-1) leaves the number alone, as not giving
        the option does.
    type: int
  command:
    description:
      - The command to run instead of the image's entrypoint, as a list, or as a text that is split
        as a shell would.
    type: raw
  args:
    description: Arguments of the command.
    type: list
    elements: str
  env:
    description:
      - Environment variables, as a mapping or as a list of C(NAME=value). They replace those that
        are there.
    type: raw
  labels:
    description:
      - Labels of the service. They replace those that are there, except those by which stacks know
        their services (C(com.docker.stack.)).
    type: dict
  publish:
    description: Ports to publish. They replace those that are published.
    type: list
    elements: dict
    suboptions:
      published_port:
        description: The port outside. Left out, the swarm or the node chooses a free one.
        type: int
      target_port:
        description: The port that the task listens on.
        type: int
        required: true
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      mode:
        description:
          - V(ingress) publishes on every node of the swarm through the routing mesh, V(host) only
            on the nodes that run a task.
        type: str
        choices: [ingress, host]
        default: ingress
  networks:
    description:
      - Networks to attach, each as its name, or as a mapping of C(name), C(aliases) and C(options).
        They replace those that are attached.
    type: list
    elements: raw
  placement:
    description: Where tasks may run.
    type: dict
    suboptions:
      constraints:
        description: Conditions that a node must meet, such as V(node.labels.type==db).
        type: list
        elements: str
      preferences:
        description: How to spread the tasks, each as C(spread) with a label, in order.
        type: list
        elements: dict
      replicas_max_per_node:
        description: How many tasks one node may run; V(0) for any number. Needs API 1.40.
        type: int
  update_config:
    description: How an update goes. V({}) returns to the engine's defaults.
    type: dict
    suboptions:
      parallelism:
        description: How many tasks to replace at a time, V(0) for all at once. The engine's default
          is V(1).
        type: int
      delay:
        description: How long to wait between them, as a duration such as V(10s).
        type: str
      failure_action:
        description: What to do when tasks fail during the update. The engine's default is V(pause).
        type: str
        choices: [continue, pause, rollback]
      monitor:
        description:
          - How long a new task is watched for failure, as a duration. The engine's default is
            V(5s). The task of the play waits as long.
        type: str
      max_failure_ratio:
        description: Which part of the tasks may fail without it being a failure, V(0) to V(1).
        type: float
      order:
        description:
          - Whether the new task starts before the old one stops. The engine's default is
            V(stop-first).
        type: str
        choices: [start-first, stop-first]
  limits:
    description: What each task may use at most.
    type: dict
    suboptions:
      cpus:
        description: Number of CPUs, such as V(0.5); V(0) for no limit.
        type: float
      memory:
        description: Memory, as a size such as V(64M) or V(1.5g); V(0) for no limit.
        type: str
seealso:
  - module: community.docker.docker_swarm_service
"""

EXAMPLES = r"""
- name: Run three web servers behind one port
  shoal.swarm.service:
    name: web
    image: nginx:1.27
    replicas: 3
    publish:
      - published_port: 8080
        target_port: 80

- name: Scale it to five, and touch nothing else
  shoal.swarm.service:
    name: web
    replicas: 5

- name: Roll a new image, two tasks at a time
  shoal.swarm.service:
    name: web
    image: nginx:1.28
    update_config:
      parallelism: 2
      delay: 10s
      order: start-first

- name: Run one agent on every node
  shoal.swarm.service:
    name: agent
    image: registry.example.com/agent:2
    mode: global

- name: Run redis only on nodes that are labelled for it, within limits
  shoal.swarm.service:
    name: redis
    image: redis:7
    replicas: 5
    placement:
      constraints:
        - node.labels.type==db
    limits:
      cpus: 0.5
      memory: 64M

- name: Set the environment and attach a network
  shoal.swarm.service:
    name: app
    image: registry.example.com/app:1.2
    env:
      REDIS_HOST: redis
    networks:
      - backend

- name: Remove it
  shoal.swarm.service:
    name: web
    state: absent
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs, with the difference in the
      symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: update service web, difference: {replicas: [3, 5]}}]
service_id:
  description: The service's ID; empty where there is none.
  returned: success
  type: str
service_spec:
  description: The service's spec as the API shows it.
  returned: success
  type: dict
tasks:
  description: The service's tasks that shall run, sorted by slot, as they were when the wait ended.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The task's ID.
      type: str
    slot:
      description: The number of the replica; V(0) in mode global.
      type: int
    node:
      description: Name of the node that has it.
      type: str
    state:
      description: What it does, such as C(running), C(preparing) or C(rejected).
      type: str
    error:
      description: What went wrong with it.
      type: str
    image:
      description: Its image.
      type: str
    ports:
      description: Ports published on its node (mode C(host)), each with C(published_port),
        C(target_port), C(protocol) and C(mode).
      type: list
      elements: dict
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    WATCH_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import MODES, ROWS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import argument_spec
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._image import CHANGED
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import (
    ACCEPT,
    FAIL,
    PRESENT,
    STATES,
    ensure,
    wait_on,
)


def main() -> None:
    module = make_module(
        {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "default": PRESENT, "choices": list(STATES)},
            "mode": {"type": "str", "choices": list(MODES)},
            "env_files": {"type": "list", "elements": "path"},
            "resolve_image": {"type": "str", "default": CHANGED},
            "with_registry_auth": {"type": "bool", "default": False},
            "registry_auth": {
                "type": "dict",
                "options": {
                    "username": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                },
            },
            "force_update": {"type": "str"},
            "on_rollback": {"type": "str", "default": FAIL, "choices": [FAIL, ACCEPT]},
            "spec": {"type": "dict"},
            **WAIT_ARGUMENTS,
            **WATCH_ARGUMENTS,
            **argument_spec(ROWS),
        }
    )
    run(module, ensure, wait_on)


if __name__ == "__main__":
    main()
