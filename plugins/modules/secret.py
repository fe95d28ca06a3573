#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret
short_description: Create, rotate and remove Docker Swarm secrets
version_added: 1.0.0
description:
  - Brings a secret to what is asked. Labels are changed in place. Content never can be, so with
    O(rolling_versions) other content becomes a new version beside the old one, under a name of its
    own; without it, a secret that no service uses is replaced.
  - What cannot be done is refused before anything is changed, with the names of the services that
    use the secret.
  - Nobody can read a secret back. So that its content is recognised the next time, a digest of it
    is kept in a label, salted and slow to compute, so that who may list secrets cannot guess at it.
  - Secrets of a stack come with its compose file, see M(shoal.swarm.stack).
  - Run it on a manager. The content appears in no output, not even with C(-vvv) or C(--diff).
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes
  - shoal.swarm._file
options:
  data:
    description:
      - The content, from 1 to 511999 bytes. One of O(data), O(data_src) and O(driver) is needed
        with O(state=present).
    type: str
  driver:
    description:
      - Name of the secrets driver, a plugin on the managers, that provides the content. Instead of
        O(data) and O(data_src).
    type: str
  driver_options:
    description: Options of the O(driver). Values become text.
    type: dict
  adopt:
    description:
      - What to take a secret to hold that neither this collection nor
        M(community.docker.docker_secret) has made.
      - V(verify) asks the engine, which compares without showing or changing anything, also in
        check mode. V(assume_same) takes it to be what the task says, with a warning.
    type: str
    choices: [verify, assume_same]
    default: verify
seealso:
  - module: shoal.swarm.config
  - module: shoal.swarm.service
  - module: shoal.swarm.stack
  - module: community.docker.docker_secret
"""

EXAMPLES = r"""
- name: Create a secret
  shoal.swarm.secret:
    name: db_password
    data: "{{ vault_db_password }}"

- name: Create one from a file beside the playbook, byte by byte
  shoal.swarm.secret:
    name: tls_key
    data: "{{ lookup('ansible.builtin.file', 'tls.key', rstrip=false) | b64encode }}"
    data_is_b64: true

- name: Create one from a file on the manager, with labels
  shoal.swarm.secret:
    name: tls_key
    data_src: /etc/ssl/private/tls.key
    labels:
      team: web

- name: Rotate a secret while a service uses it
  shoal.swarm.secret:
    name: db_password
    data: "{{ vault_db_password }}"
    rolling_versions: true
    versions_to_keep: 2
  register: db_password

- name: Give the service the current version, always at the same path
  shoal.swarm.service:
    name: api
    secrets:
      - secret_name: "{{ db_password.secret_name }}"
        filename: db_password

- name: Use a template that is filled in for each task
  shoal.swarm.secret:
    name: who_am_i
    data: "{{ '{{ .Service.Name }} {{ .Task.Slot }}' }}"
    template_driver: golang

- name: Take the content from a secrets driver
  shoal.swarm.secret:
    name: api_token
    driver: vault
    driver_options:
      path: secret/api

- name: Remove a secret
  shoal.swarm.secret:
    name: db_password
    state: absent

- name: Remove all versions of a secret
  shoal.swarm.secret:
    name: db_password
    rolling_versions: true
    state: absent
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each secret, with the
      difference in the symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: update secret db_password, difference: {labels: {team: [ops, web]}}}]
secret_id:
  description: ID of the current version; empty in check mode where it is still to be made.
  returned: success and O(state=present)
  type: str
  sample: hzehrmyjigmcp2gb6nlhmjqcv
secret_name:
  description: Name of the current version.
  returned: success and O(state=present)
  type: str
  sample: db_password_v2
secrets:
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
    FILE_ARGUMENTS,
    PRESENT,
    SECRETS,
    ensure,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run


def ensure_secret(
    engine: Engine, params: Mapping[str, Any], how: Run
) -> tuple[Outcome[Any], dict[str, Any]]:
    return ensure(engine, SECRETS, params, how)


from ansible_collections.shoal.swarm.plugins.module_utils._versions import ASSUME_SAME, VERIFY


def main() -> None:
    module = make_module(
        {
            **FILE_ARGUMENTS,
            "data": {"type": "str", "no_log": True},
            "driver": {"type": "str"},
            "driver_options": {"type": "dict"},
            "adopt": {"type": "str", "default": VERIFY, "choices": [VERIFY, ASSUME_SAME]},
        },
        mutually_exclusive=[("data", "data_src", "driver")],
        required_if=[("state", PRESENT, ("data", "data_src", "driver"), True)],
        required_by={"driver_options": "driver"},
    )
    run(module, ensure_secret)


if __name__ == "__main__":
    main()
