# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules for secrets and configs: files that services mount."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description:
      - Its name, at most 64 letters, digits, C(-), C(_) and C(.). With O(rolling_versions) the
        first version has this name, the next ones are V(NAME_v2), V(NAME_v3) and so on.
    type: str
    required: true
  state:
    description:
      - V(absent) removes it, with O(rolling_versions) all its versions. That is refused while a
        service uses it.
    type: str
    choices: [present, absent]
    default: present
  data_is_b64:
    description:
      - O(data) is Base64 of the content. This is the safe way for binary content, and for JSON,
        which Ansible would otherwise read and write anew.
    type: bool
    default: false
  data_src:
    description: A file on the host that the task runs on that has the content. Instead of O(data).
    type: path
  labels:
    description:
      - All the labels that it shall have; V({}) removes them. Values become text.
      - Where the option is not given, labels stay as they are, also in a new version. Those of its
        stack (C(com.docker.stack.)) do where it does not name them. Those of this collection
        (C(shoal.swarm/)) always do, and a task that names one fails.
    type: dict
  force:
    description:
      - Replace it even where it has the wanted content, or with O(rolling_versions) make a new
        version. At every run.
    type: bool
    default: false
  rolling_versions:
    description:
      - Make a new version where the content is another one, and leave the old one to the services
        that use it. Give services the name that the task returns.
      - Two versions of the same content are never made, unless by O(force); an old version that has
        the wanted content is used again.
    type: bool
    default: false
  versions_to_keep:
    description:
      - How many versions to keep, the current one counted. V(-1) keeps all, V(0) is the same as
        V(1).
      - A version that a service uses, or would roll back to, is left to a later run.
      - Only with O(rolling_versions).
    type: int
    default: 5
  template_driver:
    description:
      - V(golang) makes the content a Go template, which is filled in for each task. It knows the
        service, the task and its environment, and not the node. Without the option, the content is
        as it is.
    type: str
    choices: [golang]
"""
