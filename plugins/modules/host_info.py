#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Tell what a Docker Swarm needs to know of a host, with or without Docker there
version_added: 1.0.0
description:
  - Looks at the clock, names, addresses, routes, kernel, disk, C(daemon.json), the engine and the
    node's certificate, and changes nothing. It starts no engine and loads no module.
  - What cannot be known is empty or null, as on a bare host what the engine would tell.
  - The role C(shoal.swarm.preflight) judges what it finds.
author:
  - The shoal.swarm authors (@shoal-swarm)
requirements:
  - Linux; C(ip) of iproute2 for addresses and routes, and the rights of root for the certificate.
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode); it never changes anything.
  diff_mode:
    support: N/A
    description: Tells in C(diff) mode what has changed.
options:
  controller_time:
    description: What the controller's clock shows as the task is sent, in seconds since 1970.
    type: float
seealso:
  - module: shoal.swarm.swarm_info
  - module: ansible.builtin.setup
"""

EXAMPLES = r"""
- name: Look at the host, and compare its clock
  shoal.swarm.host_info:
    controller_time: "{{ now().timestamp() }}"
  register: host

- name: Tell until when its certificate is valid
  ansible.builtin.debug:
    msg: "{{ '%F' | ansible.builtin.strftime(host.certificate.not_after) }}"
  when: host.certificate.not_after is defined
"""

RETURN = r"""
time:
  description: What the host's clock shows, in seconds since 1970.
  returned: success
  type: float
clock_offset:
  description:
    - How far the clock is ahead of the controller's, in seconds; negative where it is behind. It
      includes the time that it takes to start the module. Null without O(controller_time).
  returned: success
  type: float
clock_synchronised:
  description: Whether NTP or the like keeps the kernel's clock; null where that is unknown.
  returned: success
  type: bool
hostname:
  description: The host's name.
  returned: success
  type: str
machine_id:
  description: Content of C(/etc/machine-id).
  returned: success
  type: str
vendor:
  description: Who made the machine, as its firmware says.
  returned: success
  type: str
  sample: VMware, Inc.
interfaces:
  description: Interfaces with an address of global scope.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "eth0", "mtu": 1500, "addresses": ["10.0.0.11/24"]}]
routes:
  description: The routes of IPv4.
  returned: success
  type: list
  elements: dict
  sample: [{"destination": "default", "interface": "eth0"}]
kernel_modules:
  description:
    - For each module that the engine uses whether the kernel has it or can load it, C(present),
      C(missing) or C(unknown).
  returned: success
  type: dict
  sample: {"ip_vs": "present"}
ip_forward:
  description: Whether the host forwards IPv4; null if unknown.
  returned: success
  type: bool
daemon_config:
  description: The keys of C(daemon.json) that count in a swarm.
  returned: success
  type: dict
daemon_config_error:
  description: What is wrong with C(daemon.json); empty where nothing is.
  returned: success
  type: str
engine:
  description: C(version) and C(api_version) of the engine that runs; empty where none does.
  returned: success
  type: dict
  sample: {"version": "26.1.5", "api_version": "1.45"}
swarm:
  description:
    - What the engine knows of its swarm. C(default_addr_pool), C(subnet_size) and
      C(data_path_port) are known to managers.
  returned: success
  type: dict
  contains:
    state:
      description: The engine's state in the swarm.
      type: str
      sample: active
    error:
      description: What the engine says is wrong with its membership.
      type: str
    node_id:
      description: The host's node ID.
      type: str
    node_addr:
      description: The address by which it is known to the others.
      type: str
    default_addr_pool:
      description: Where overlay networks get their subnets from.
      type: list
      elements: str
    subnet_size:
      description: The length of the prefix of these subnets.
      type: int
    data_path_port:
      description: UDP port of the overlay traffic.
      type: int
certificate:
  description: The node's certificate; empty where the host is in no swarm.
  returned: success
  type: dict
  contains:
    node_id:
      description: The node's ID.
      type: str
    role:
      description: C(manager) or C(worker).
      type: str
    cluster_id:
      description: The swarm's ID.
      type: str
    not_before:
      description: From when it is valid, in seconds since 1970.
      type: float
    not_after:
      description: Until when it is valid, in seconds since 1970.
      type: float
disk:
  description: The filesystem that holds Docker's data, or will. Sizes are in bytes.
  returned: success
  type: dict
  sample:
    path: /var/lib/docker
    size: 21474836480
    free: 9663676416
    inodes: 1310720
    inodes_free: 1200000
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.shoal.swarm.plugins.module_utils._usecase._host_info import gather


def main() -> None:
    module = AnsibleModule(
        argument_spec={"controller_time": {"type": "float"}}, supports_check_mode=True
    )
    module.exit_json(changed=False, **gather(module.params["controller_time"]))


if __name__ == "__main__":
    main()
