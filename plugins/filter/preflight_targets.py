# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_targets
short_description: Choose which ports of a Docker Swarm's hosts each of them is to probe
version_added: 1.0.0
description:
  - Each host is to probe the managers first, and then the hosts that come next, so that each is
    also probed by some. The ports are 2377/tcp of managers, and of all hosts 7946/tcp, 7946/udp and
    the overlay traffic's.
author:
  - The shoal.swarm authors (@shoal-swarm)
positional: _input
options:
  _input:
    description: The hosts, as P(shoal.swarm.preflight_findings#filter) takes them.
    type: dict
    required: true
  swarm:
    description: As P(shoal.swarm.preflight_findings#filter) takes it.
    type: dict
    default: {}
  limit:
    description: How many other hosts each probes at most.
    type: int
    default: 20
  probe_all:
    description: Whether hosts that are already in one swarm probe each other as well.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Probe the ports of the other hosts
  shoal.swarm.port_probe:
    state: probed
    targets: "{{ (hosts | shoal.swarm.preflight_targets)[inventory_hostname] }}"
"""

RETURN = r"""
_value:
  description: For each host a list of targets, as M(shoal.swarm.port_probe) takes them.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.plugin_utils._preflight import Fleet, targets


def preflight_targets(
    hosts: Mapping[str, Any],
    swarm: Mapping[str, Any] | None = None,
    limit: int = 20,
    probe_all: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    return targets(Fleet(hosts, **(swarm or {})), limit, probe_all)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"preflight_targets": preflight_targets}
