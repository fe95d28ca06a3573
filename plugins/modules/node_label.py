#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_label
short_description: Set and remove labels of Docker Swarm nodes
version_added: 1.0.0
description:
  - Brings the labels of one or of many nodes to what is asked, in one task. Placement constraints
    of services see them as C(node.labels.NAME).
  - Run it on a manager. Two tasks that label at the same time lose nothing of each other's work.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes
options:
  hostname:
    description:
      - The nodes, each by its ID or by its name as C(docker node ls) shows it. An ID is never
        ambiguous; a name can be, after a host has left and joined again.
      - Where neither this option nor O(nodes) is given, it is the host's own node.
    type: list
    elements: str
    aliases: [name]
  labels:
    description:
      - The labels and their values. A value may be empty. Numbers and booleans become text.
      - With O(labels_state=replace), V({}) removes all labels.
    type: dict
  labels_state:
    description:
      - V(merge) leaves labels alone that are not named. V(replace) removes them.
    type: str
    choices: [merge, replace]
    default: merge
  labels_to_remove:
    description:
      - Names of labels to remove, whatever their values. A label that is also in O(labels) is
        removed.
    type: list
    elements: str
  nodes:
    description: Many nodes, each with labels of its own. Instead of the options above.
    type: list
    elements: dict
    suboptions:
      hostname:
        description: The node, by its ID or its name.
        type: str
        required: true
        aliases: [name]
      labels:
        description: As O(labels).
        type: dict
      labels_state:
        description: As O(labels_state).
        type: str
        choices: [merge, replace]
        default: merge
      labels_to_remove:
        description: As O(labels_to_remove).
        type: list
        elements: str
notes:
  - A running task whose constraint names a label is moved away when that label goes.
seealso:
  - module: shoal.swarm.node
  - module: community.docker.docker_node
"""

EXAMPLES = r"""
- name: Label one node
  shoal.swarm.node_label:
    hostname: node4
    labels:
      type: db
      rack: r1

- name: Label several nodes alike
  shoal.swarm.node_label:
    hostname: [node4, node5]
    labels:
      type: db

- name: Give each node its own labels, in one task
  shoal.swarm.node_label:
    nodes:
      - hostname: node1
        labels: {zone: a}
      - hostname: node2
        labels: {zone: b}

- name: Label the node of an inventory host from a manager
  shoal.swarm.node_label:
    hostname: "{{ joined.node_id }}"
    labels: "{{ my_labels }}"
  delegate_to: manager1
  # In check mode a host that would join has none yet.
  when: joined.node_id != ''

- name: Have these labels and no others
  shoal.swarm.node_label:
    hostname: node4
    labels:
      type: db
    labels_state: replace

- name: Remove a label
  shoal.swarm.node_label:
    hostname: node4
    labels_to_remove: [rack]
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
            difference: {labels: {type: [web, db]}}}]
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
from ansible_collections.shoal.swarm.plugins.module_utils._spec._node import MERGE, REPLACE
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import (
    Request,
    ensure,
    references,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run

LABEL_ARGUMENTS: dict[str, Any] = {
    "labels": {"type": "dict"},
    "labels_state": {"type": "str", "default": MERGE, "choices": [MERGE, REPLACE]},
    "labels_to_remove": {"type": "list", "elements": "str"},
}


def requests(params: Mapping[str, Any]) -> list[Request]:
    if params["nodes"] is not None:
        names = references([node["hostname"] for node in params["nodes"]])
        return [_request(name, node) for name, node in zip(names, params["nodes"])]
    return [_request(name, params) for name in references(params["hostname"])]


def _request(name: str, options: Mapping[str, Any]) -> Request:
    return Request(name, **{option: options[option] for option in LABEL_ARGUMENTS})


def label(
    engine: Engine, params: Mapping[str, Any], how: Run
) -> tuple[Outcome[Any], dict[str, Any]]:
    return ensure(engine, requests(params), how)


def main() -> None:
    name: dict[str, Any] = {"type": "str", "required": True, "aliases": ["name"]}
    module = make_module(
        {
            "hostname": {"type": "list", "elements": "str", "aliases": ["name"]},
            **LABEL_ARGUMENTS,
            "nodes": {
                "type": "list",
                "elements": "dict",
                "options": {"hostname": name, **LABEL_ARGUMENTS},
            },
        },
        mutually_exclusive=[
            ("nodes", "hostname"),
            ("nodes", "labels"),
            ("nodes", "labels_to_remove"),
        ],
        required_one_of=[("nodes", "labels", "labels_to_remove")],
    )
    run(module, label)


if __name__ == "__main__":
    main()
