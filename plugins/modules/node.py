#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node
short_description: Set the availability of Docker Swarm nodes
version_added: 1.0.0
description:
  - Brings the availability of one or of many nodes to what is asked, in one task. Run it on a
    manager.
  - It ends when the swarm has accepted the change. With V(drain), tasks still take their time to
    stop on the node and to start elsewhere.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes
options:
  nodes:
    description: The nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      hostname:
        description: The node, by its ID or by its name as C(docker node ls) shows it.
        type: str
        required: true
        aliases: [name]
      availability:
        description:
          - V(active) takes tasks, V(pause) takes no new ones, V(drain) takes none and gives its own
            away.
        type: str
        required: true
        choices: [active, pause, drain]
seealso:
  - module: shoal.swarm.node_label
  - module: community.docker.docker_node
"""

EXAMPLES = r"""
- name: Keep tasks away from the managers
  shoal.swarm.node:
    nodes:
      - hostname: manager1
        availability: drain
      - hostname: manager2
        availability: drain

- name: Let a node take tasks again
  shoal.swarm.node:
    nodes:
      - hostname: w7d1plb7rm8dbzbeeyn3pnhg5
        availability: active
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each node, with the
      difference in the symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: update node node4 (w7d1plb7rm8dbzbeeyn3pnhg5),
            difference: {availability: [active, drain]}}]
nodes:
  description: The named nodes as they are now, in the form of
    RV(shoal.swarm.swarm_info#module:nodes).
  returned: success
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._module import make_module, run
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import AVAILABILITIES
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import Request, ensure
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run


def set_availability(
    engine: Engine, params: Mapping[str, Any], how: Run
) -> tuple[Outcome[Any], dict[str, Any]]:
    requests = [
        Request(node["hostname"], availability=node["availability"]) for node in params["nodes"]
    ]
    return ensure(engine, requests, how)


def main() -> None:
    options = {
        "hostname": {"type": "str", "required": True, "aliases": ["name"]},
        "availability": {"type": "str", "required": True, "choices": AVAILABILITIES},
    }
    nodes = {"type": "list", "elements": "dict", "required": True, "options": options}
    run(make_module({"nodes": nodes}), set_availability)


if __name__ == "__main__":
    main()
