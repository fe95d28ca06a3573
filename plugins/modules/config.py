#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: config
short_description: Create, rotate and remove Docker Swarm configs
version_added: 1.0.0
description:
  - Brings a config to what is asked. Labels are changed in place. Content never can be, so with
    O(rolling_versions) other content becomes a new version beside the old one, under a name of its
    own; without it, a config that no service uses is replaced.
  - What cannot be done is refused before anything is changed, with the names of the services that
    use the config.
  - Configs of a stack come with its compose file, see M(shoal.swarm.stack).
  - Run it on a manager. As a config may hold what no log should, a diff tells size and digest of
    its content, and not the content.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes
  - shoal.swarm._file
options:
  data:
    description:
      - The content, from 1 to 1023999 bytes. One of O(data) and O(data_src) is needed with
        O(state=present).
    type: str
seealso:
  - module: shoal.swarm.secret
  - module: shoal.swarm.service
  - module: shoal.swarm.stack
  - module: community.docker.docker_config
"""

EXAMPLES = r"""
- name: Create a config from a template beside the playbook
  shoal.swarm.config:
    name: nginx_conf
    data: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"

- name: Create one from a file beside the playbook, byte by byte
  shoal.swarm.config:
    name: site_json
    data: "{{ lookup('ansible.builtin.file', 'site.json', rstrip=false) | b64encode }}"
    data_is_b64: true

- name: Create one from a file on the manager, with labels
  shoal.swarm.config:
    name: motd
    data_src: /etc/motd
    labels:
      team: web

- name: Roll out a new content while a service uses the old one
  shoal.swarm.config:
    name: nginx_conf
    data: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"
    rolling_versions: true
    versions_to_keep: 3
  register: nginx_conf

- name: Give the service the current version, always at the same path
  shoal.swarm.service:
    name: web
    configs:
      - config_name: "{{ nginx_conf.config_name }}"
        filename: /etc/nginx/nginx.conf

- name: Use a template that is filled in for each task
  shoal.swarm.config:
    name: who_am_i
    data: "{{ '{{ .Service.Name }} {{ .Task.Slot }}' }}"
    template_driver: golang

- name: Remove a config
  shoal.swarm.config:
    name: nginx_conf
    state: absent

- name: Remove all versions of a config
  shoal.swarm.config:
    name: nginx_conf
    rolling_versions: true
    state: absent
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each config, with the
      difference in the symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: update config nginx_conf, difference: {labels: {team: [ops, web]}}}]
config_id:
  description: ID of the current version; empty in check mode where it is still to be made.
  returned: success and O(state=present)
  type: str
  sample: hzehrmyjigmcp2gb6nlhmjqcv
config_name:
  description: Name of the current version.
  returned: success and O(state=present)
  type: str
  sample: nginx_conf_v2
configs:
  description:
    - The versions there are, the oldest first; without O(rolling_versions) the one of that name.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The version's ID.
      type: str
    name:
      description: Its name.
      type: str
    version:
      description: Its number; V(1) for the one that has the plain name.
      type: int
    labels:
      description: Its labels, without those that this collection keeps.
      type: dict
    services:
      description: Names of the services that use it.
      type: list
      elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._module import make_module, run
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._file import (
    CONFIGS,
    FILE_ARGUMENTS,
    PRESENT,
    ensure,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run


def ensure_config(
    engine: Engine, params: Mapping[str, Any], how: Run
) -> tuple[Outcome[Any], dict[str, Any]]:
    return ensure(engine, CONFIGS, params, how)


def main() -> None:
    module = make_module(
        {**FILE_ARGUMENTS, "data": {"type": "str"}},
        mutually_exclusive=[("data", "data_src")],
        required_if=[("state", PRESENT, ("data", "data_src"), True)],
    )
    run(module, ensure_config)


if __name__ == "__main__":
    main()
