# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_findings
short_description: Judge what was seen of the hosts that are or shall be a Docker Swarm
version_added: 1.0.0
description:
  - Tells what is wrong, where, why it matters and what to do. The role shoal.swarm.preflight
    gathers what it needs, and shows what it finds.
author:
  - The shoal.swarm authors (@shoal-swarm)
positional: _input
options:
  _input:
    description:
      - Of each host by its name what was seen and what is wanted. C(seen) is the result of
        M(shoal.swarm.host_info); C(probed) and C(arrived) are C(results) and C(arrived) of
        M(shoal.swarm.port_probe).
      - C(wanted) has C(advertise_addr), C(data_path_addr), C(check_addresses), C(daemon_config),
        C(daemon_config_state) and C(engine_version), as the roles take them.
    type: dict
    required: true
  swarm:
    description:
      - What the inventory says of the swarm as a whole, with C(managers), C(allow_even_managers),
        C(default_addr_pool), C(subnet_size), C(data_path_port), C(encrypted), and
        C(firewall_follows), which makes closed ports a warning.
    type: dict
    default: {}
  ports:
    description: Judge what came of probing the ports, and nothing else; or all else.
    type: bool
    default: false
  ignore:
    description: Names of checks that are left out.
    type: list
    elements: str
    default: []
  warn:
    description: Names of checks that only warn.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Tell what is wrong with one host
  ansible.builtin.debug:
    msg: "{{ hosts | shoal.swarm.preflight_findings(ignore=['managers']) }}"
  vars:
    hosts: "{{ {inventory_hostname: {'seen': host}} }}"
"""

RETURN = r"""
_value:
  description:
    - The findings. Each has C(check), the check's name; C(level), which is C(fatal) or C(warning);
      C(where), the hosts; C(what), C(why) and C(todo); and C(text), which is all that in one line.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.plugin_utils._preflight import (
    CHECKS,
    PORTS_CHECK,
    Fleet,
    findings,
)


def preflight_findings(
    hosts: Mapping[str, Any],
    swarm: Mapping[str, Any] | None = None,
    ports: bool = False,
    ignore: Sequence[str] = (),
    warn: Sequence[str] = (),
) -> list[dict[str, Any]]:
    only = [name for name in CHECKS if (name == PORTS_CHECK) == ports]
    return findings(Fleet(hosts, **(swarm or {})), only, ignore, warn)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"preflight_findings": preflight_findings}
