#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network
short_description: Create and remove Docker Swarm networks
version_added: 1.0.0
description:
  - Creates a network that all nodes of the swarm share, or removes it. Nothing of a network can be
    changed, so what differs from the task is refused by name, or with O(force) the network is
    removed and created anew.
  - What services use, or containers that were attached by hand, is refused before anything is
    changed, with their names.
  - Networks of a stack come with its compose file, see M(shoal.swarm.stack). Those of a single host
    are for M(community.docker.docker_network).
  - Run it on a manager.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes
  - shoal.swarm._wait
options:
  name:
    description: The network's name, at most 63 letters, digits, C(-) and C(_).
    type: str
    required: true
    aliases: [network_name]
  state:
    description: V(absent) removes the network.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - Where the network differs from the task, remove it and create it anew. Only what nothing
        uses is. What the task does not name stays as it was, the subnets included.
    type: bool
    default: false
  scope:
    description: V(swarm) is the only one that this module manages.
    type: str
    choices: [swarm]
    default: swarm
  driver:
    description:
      - The network's driver. A new network has V(overlay) where the option is not given.
      - Other drivers, such as V(macvlan), take what differs from node to node from a network of
        O(config_from) on each of them.
    type: str
  driver_options:
    description:
      - All the driver's options, such as V(encrypted) or V(com.docker.network.driver.mtu). Values
        become text. V({}) is a network without any.
    type: dict
  internal:
    description: Whether the network has no way out.
    type: bool
  attachable:
    description: Whether containers outside services can be attached to it.
    type: bool
  ingress:
    description:
      - Whether it is the network of the routing mesh, over which published ports reach their
        tasks. A swarm has one at most; it can be replaced only while no service publishes a port in
        this way.
    type: bool
  enable_ipv6:
    description: Whether the network has IPv6 beside IPv4. Give an IPv6 subnet with O(ipam_config).
    type: bool
  config_from:
    description:
      - Name of a network of each node, made with C(docker network create --config-only), that says
        how the network is set up there.
    type: str
  labels:
    description:
      - All the labels of the network. Values become text. Labels of a stack
        (C(com.docker.stack.)) count only where the task names them.
    type: dict
  ipam_driver:
    description: The driver that gives out addresses.
    type: str
  ipam_driver_options:
    description: Options of the O(ipam_driver). Values become text.
    type: dict
  ipam_config:
    description:
      - The network's subnets. Where the option is not given the swarm takes one from its address
        pools, see O(shoal.swarm.swarm_init#module:default_addr_pool).
      - A subnet that overlaps with that of another network of the swarm is refused; the swarm would
        never give the network its addresses.
    type: list
    elements: dict
    suboptions:
      subnet:
        description:
          - The subnet, such as V(10.0.9.0/24). V(0.0.0.0/26) is any one of that size from the
            address pools, with Docker Engine 29 or newer.
        type: str
        required: true
      iprange:
        description: The part of the subnet from which containers get their addresses.
        type: str
      gateway:
        description: The gateway's address; the first one where the option is not given.
        type: str
notes:
  - C(aux_addresses) of M(community.docker.docker_network) is no option here, as the engine loses
    these addresses on their way to the swarm.
  - After a network is removed, this host may still know it until its own tasks on it have stopped.
    The wait is for that.
seealso:
  - module: shoal.swarm.service
  - module: shoal.swarm.stack
  - module: community.docker.docker_network
"""

EXAMPLES = r"""
- name: Create a network
  shoal.swarm.network:
    name: backend

- name: Create one that encrypts, to which containers outside services can be attached
  shoal.swarm.network:
    name: monitoring
    driver_options:
      encrypted: true
    attachable: true
    labels:
      team: ops

- name: Create one with a subnet and a gateway
  shoal.swarm.network:
    name: frontend
    ipam_config:
      - subnet: 10.20.0.0/24
        gateway: 10.20.0.254

- name: Create one without a way out
  shoal.swarm.network:
    name: database
    internal: true

- name: Create one of driver macvlan, of which each node knows its own part
  shoal.swarm.network:
    name: lan
    driver: macvlan
    config_from: lan-here

- name: Replace the network of the routing mesh, before any service publishes a port
  shoal.swarm.network:
    name: ingress
    ingress: true
    driver_options:
      com.docker.network.driver.mtu: 1400
    force: true

- name: Give a network other settings, once no service uses it any more
  shoal.swarm.network:
    name: backend
    ipam_config:
      - subnet: 10.21.0.0/16
    force: true

- name: Remove a network
  shoal.swarm.network:
    name: backend
    state: absent
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each step, with the
      difference in the symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: create network backend,
            difference: {$insert: {driver: overlay, state: present}}}]
network:
  description: The network as the API shows it; none where there is none.
  returned: success
  type: dict
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._networks import SWARM_SCOPE
from ansible_collections.shoal.swarm.plugins.module_utils._spec._network import ROWS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import argument_spec
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._network import (
    PRESENT,
    STATES,
    ensure,
)


def main() -> None:
    module = make_module(
        {
            "name": {"type": "str", "required": True, "aliases": ["network_name"]},
            "state": {"type": "str", "default": PRESENT, "choices": list(STATES)},
            "force": {"type": "bool", "default": False},
            "scope": {"type": "str", "default": SWARM_SCOPE, "choices": [SWARM_SCOPE]},
            **argument_spec(ROWS),
            **WAIT_ARGUMENTS,
        }
    )
    run(module, ensure)


if __name__ == "__main__":
    main()
