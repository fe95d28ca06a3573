#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: port_probe
short_description: See whether packets between hosts arrive, port by port
version_added: 1.0.0
description:
  - One host listens, others send, and the listener then tells what has passed its firewall. It
    works for UDP as for TCP, on ports that nobody holds, and on those that an engine or the kernel
    holds already.
  - The listener takes no port. It sees a copy of what the kernel lets in, and answers nothing.
  - The role C(shoal.swarm.preflight) uses it for the swarm's ports, between all hosts.
author:
  - The shoal.swarm authors (@shoal-swarm)
requirements:
  - Linux, and for O(state=listening) the rights of root.
attributes:
  check_mode:
    support: none
    description: Can run in C(check_mode); there the task is skipped.
  diff_mode:
    support: N/A
    description: Tells in C(diff) mode what has changed.
options:
  state:
    description:
      - V(listening) begins to listen on this host, in the background.
      - V(probed) sends to O(targets) from this host.
      - V(closed) ends what V(listening) began, and tells what arrived.
    type: str
    choices: [listening, probed, closed]
    required: true
  lifetime:
    description: After how many seconds a listener ends that nobody closes.
    type: int
    default: 300
  id:
    description: The listener to close, as RV(id) of V(listening) told it.
    type: str
  targets:
    description: Where to send to.
    type: list
    elements: dict
    suboptions:
      name:
        description: The host's name, to find it again in RV(results).
        type: str
        default: ""
      address:
        description: An IP address of the host.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
  timeout:
    description: How many seconds to wait for answers over TCP.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: Listen on one host
  shoal.swarm.port_probe:
    state: listening
  delegate_to: node1
  register: listener

- name: Send to it from another one
  shoal.swarm.port_probe:
    state: probed
    targets:
      - {address: 10.0.0.11, port: 2377}
      - {address: 10.0.0.11, port: 4789, protocol: udp}
  delegate_to: node2
  register: sent

- name: End it, and see what arrived
  shoal.swarm.port_probe:
    state: closed
    id: "{{ listener.id }}"
  delegate_to: node1
  register: heard

- name: Tell which ports are not open between the two
  ansible.builtin.debug:
    msg: "{{ sent.results | rejectattr('mark', 'in', heard.arrived) | map(attribute='port') }}"
"""

RETURN = r"""
id:
  description: The listener.
  returned: when O(state=listening)
  type: str
results:
  description: The targets, each with what became of the attempt, in their order.
  returned: when O(state=probed)
  type: list
  elements: dict
  contains:
    name:
      description: As in O(targets).
      type: str
    address:
      description: As in O(targets).
      type: str
    port:
      description: As in O(targets).
      type: int
    protocol:
      description: As in O(targets).
      type: str
    outcome:
      description:
        - Over TCP C(connected), C(refused), C(silent) or C(unreachable). Refused is a port that
          nobody holds, or a firewall that rejects; the listener knows which.
        - Over UDP C(sent), which says nothing of what arrives, or C(unreachable).
      type: str
    mark:
      description: What this attempt is known by in RV(arrived).
      type: str
      sample: udp/4789/5d41402abc4b2a76b9719d911017c592
arrived:
  description: The marks of what has arrived. Null where the listener has ended before.
  returned: when O(state=closed)
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.shoal.swarm.plugins.module_utils._usecase._port_probe import (
    close,
    listen,
    probe,
)

TARGET = {
    "name": {"type": "str", "default": ""},
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["listening", "probed", "closed"],
                "required": True,
            },
            "lifetime": {"type": "int", "default": 300},
            "id": {"type": "str"},
            "targets": {"type": "list", "elements": "dict", "options": TARGET},
            "timeout": {"type": "int", "default": 3},
        },
        required_if=[("state", "closed", ["id"]), ("state", "probed", ["targets"])],
    )
    params = module.params
    if params["state"] == "closed":
        module.exit_json(changed=False, arrived=close(params["id"]))
    if params["state"] == "probed":
        try:
            module.exit_json(changed=False, results=probe(params["targets"], params["timeout"]))
        except ValueError as error:
            module.fail_json(msg=f"targets: {error}")
    try:
        module.exit_json(changed=False, id=listen(params["lifetime"]))
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        module.fail_json(msg=f"cannot listen with raw sockets ({reason}): it takes root's rights")


if __name__ == "__main__":
    main()
