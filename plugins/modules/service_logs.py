#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_logs
short_description: Read the last lines of the log of a Docker Swarm service or task
version_added: 1.0.0
description:
  - Returns what the tasks of a service, or one task, have written last, from all nodes, sorted by
    time.
  - It does not follow the log, and comes back also when a node does not answer. What is missing is
    told in warnings.
  - Run it on a manager.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes.info
options:
  name:
    description: Name or ID of the service. Give this or O(task).
    type: str
  task:
    description:
      - ID of the task, or the beginning of its ID. M(shoal.swarm.service_info) tells the IDs, and
        C(docker service ps).
    type: str
  tail:
    description:
      - How many lines to return of each task. A service's earlier tasks that the swarm remembers
        count as well.
    type: int
    default: 100
  since:
    description:
      - Only return lines that are newer - than a duration ago such as V(10m), than a time such as
        V(2026-11-21T08:00:00Z) (in UTC where it names no zone), or than seconds since 1970.
    type: str
  streams:
    description: Which of the tasks' outputs to return.
    type: list
    elements: str
    choices: [stdout, stderr]
    default: [stdout, stderr]
  timestamps:
    description: Begin each line of RV(stdout) with its time. RV(lines) has it anyway.
    type: bool
    default: false
notes:
  - O(timeout) is also how long to wait for a log. Nodes that are known to be down are not waited
    for.
  - With the logging driver C(none), and with C(cache-disabled) for drivers that send the log away,
    the engine has nothing to return. The module warns then.
seealso:
  - module: shoal.swarm.service
  - module: shoal.swarm.service_info
"""

EXAMPLES = r"""
- name: Read the last lines of a service
  shoal.swarm.service_logs:
    name: web
    tail: 20
  register: log

- name: Show them as docker service logs does
  ansible.builtin.debug:
    var: log.stdout_lines

- name: Read what went wrong in the last ten minutes
  shoal.swarm.service_logs:
    name: web
    since: 10m
    streams: [stderr]
    timestamps: true

- name: Wait until every task of the service has said that it is ready
  shoal.swarm.service_logs:
    name: web
  register: log
  until: >-
    log.lines | selectattr('message', 'search', 'ready for connections')
    | map(attribute='task') | unique | length == 3
  retries: 30
  delay: 2

- name: Find the tasks of a service that have failed
  shoal.swarm.service_info:
    name: web
    tasks: all
  register: web

- name: Read what each of them has written last
  shoal.swarm.service_logs:
    task: "{{ item.id }}"
    tail: 5
  loop: "{{ web.services[0].tasks | selectattr('state', 'eq', 'failed') }}"
  loop_control:
    label: "{{ item.name }}: {{ item.error }}"
"""

RETURN = r"""
lines:
  description: The lines, sorted by time.
  returned: success
  type: list
  elements: dict
  contains:
    timestamp:
      description: When the node has received it, with nanoseconds, in UTC.
      type: str
      sample: "2026-11-21T08:06:05.797973690Z"
    task:
      description: Name of the task in C(docker service ps), such as C(web.1).
      type: str
    task_id:
      description: ID of the task.
      type: str
    node:
      description: Name of the task's node.
      type: str
    stream:
      description: C(stdout) or C(stderr); always C(stdout) with a terminal (C(tty)).
      type: str
    message:
      description: What was written.
      type: str
stdout:
  description: The same as text, a line each, as C(docker service logs) prints it.
  returned: success
  type: str
  sample: web.1.t12p619d8312@node1 | listening on port 8080
stdout_lines:
  description: That text as a list of its lines.
  returned: success
  type: list
  elements: str
complete:
  description: Whether nothing is known to be missing. What is missing is told in warnings.
  returned: success
  type: bool
"""

from ansible_collections.shoal.swarm.plugins.module_utils._logs import STREAMS
from ansible_collections.shoal.swarm.plugins.module_utils._module import inform, make_module
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_logs import gather


def main() -> None:
    module = make_module(
        {
            "name": {"type": "str"},
            "task": {"type": "str"},
            "tail": {"type": "int", "default": 100},
            "since": {"type": "str"},
            "streams": {
                "type": "list",
                "elements": "str",
                "choices": list(STREAMS),
                "default": list(STREAMS),
            },
            "timestamps": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("name", "task")],
        required_one_of=[("name", "task")],
    )
    inform(module, gather)


if __name__ == "__main__":
    main()
