#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack
short_description: Deploy and remove Docker Swarm stacks from compose files, and see them run
version_added: 1.0.0
description:
  - Makes the networks, secrets, configs and services that a compose file describes, with the names,
    labels and specs that C(docker stack deploy) would give them. A stack that the CLI has deployed
    is taken over as it is. The CLI takes over one of ours as long as no secret or config has been
    rotated; after that the name that it knows holds an old content, which it cannot change. No CLI
    is needed on the target.
  - Only what differs is written, so a run with nothing to do restarts no task and keeps the spec
    that each service would roll back to.
  - Secrets and configs whose content has changed get a new version under a new name
    (V(NAME_v2), and so on), and the services move to it in the same deploy. Old versions go when
    all services run with the new ones.
  - Waits until all services run, or are complete, and fails with the swarm's own reason for each
    one where that does not happen. It does so also on a run that had nothing to change.
  - Everything that can be is checked before anything is changed.
  - Run it on a manager. The compose file, and all files that it names, are read on the controller.
author:
  - The shoal.swarm authors (@shoal-swarm)
notes:
  - Where a stack comes out other than with C(docker stack deploy), on purpose, a table in the
    collection's README says how and why.
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._attributes
  - shoal.swarm._attributes.watched
options:
  name:
    description:
      - The stack's name. It can be left out where the compose file has a C(name) at its top.
      - The names of services begin with it. The engine takes letters, digits, C(-) and C(_).
    type: str
  state:
    description:
      - V(present) deploys the stack, or brings it to what the compose file says.
      - V(absent) removes it. The services go first; when their tasks have stopped, the secrets,
        configs and networks do. What ran on a node that is down is not waited for. Deploying it
        again at once works. It is refused, before anything is removed, where a service outside the
        stack uses one of these.
    type: str
    choices: [present, absent]
    default: present
  compose:
    description:
      - The compose file, or several that are merged in this order as C(docker stack deploy -c a -c
        b) does. Each is the name of a file, or the content itself as a mapping.
      - A file is searched for as M(ansible.builtin.copy) does, beside the playbook and in C(files)
        there, and in those of the role. Files encrypted with Ansible Vault are decrypted.
      - Files of variables, secrets, configs and sources of bind mounts that it names are relative
        to the folder of the first file.
      - Schema 3.0 to 3.13 of Docker's compose files are understood, with or without C(version), and
        of the Compose Specification what people write and C(docker stack) does not take, such as
        C(published) as a text, C(depends_on) as a mapping, C(cpus) as a number, C(content) of
        configs, C(environment) of secrets, the long form of C(env_file), C(extends) within a file,
        and C(profiles) (V(env) may have E(COMPOSE_PROFILES)).
      - What a swarm cannot do, such as C(build) or C(privileged), is ignored with a warning that
        names it. What no compose file has is an error that names the nearest valid key.
      - Needed to deploy. Not read with O(state=absent).
    type: list
    elements: raw
  remote_src:
    description:
      - The files of O(compose), and those that they name, are on the target. Their paths are
        absolute then.
    type: bool
    default: false
  env:
    description:
      - The variables that stand in the compose file, as C($NAME), C(${NAME}), C(${NAME:-default}),
        C(${NAME:?message}) and their like. They come over those of the task's C(environment).
      - No variables of the controller are read, and no C(.env) file.
    type: dict
  strict:
    description: Fail where a variable is not set, instead of a warning.
    type: bool
    default: false
  prune:
    description:
      - Remove what belongs to the stack and is not in the compose file any more. The services are
        removed when all others run, but those that hold a port that another one needs at once;
        after that the networks, secrets and configs that nothing uses.
      - Secrets and configs that a service would be rolled back to stay until it is changed again,
        unless O(keep_versions) is 0.
    type: bool
    default: false
  resolve_image:
    description:
      - When to ask the registry which digest the tags of the images mean.
      - V(always) asks at each run, so a moved tag is rolled out. V(changed) asks for new services
        and for another image or tag. V(never) does not ask, and each node takes what it finds by
        the tag.
      - A registry that does not answer is a warning, and a service keeps the digest that it has.
    type: str
    choices: [always, changed, never]
    default: always
  registry_auth:
    description:
      - Logins at registries. Each is used for the images of its registry to find the digest, and
        goes to the swarm with each write, so that every node can pull the image. Nothing is stored
        on the host.
    type: list
    elements: dict
    suboptions:
      registry:
        description: The registry, as in the names of images; V(docker.io) is Docker Hub.
        type: str
        required: true
      username:
        description: The user's name.
        type: str
        required: true
      password:
        description: The password, or a token.
        type: str
        required: true
  with_registry_auth:
    description:
      - As O(registry_auth), with the logins that C(docker login) left on the host that the task
        runs on, for the user that it runs as (root with C(become)).
      - O(registry_auth) comes first where it has a login for the registry.
    type: bool
    default: false
  keep_versions:
    description:
      - How many old versions of each secret and config stay beside the one in use, so that a
        service can be rolled back to what it had. Versions that a service uses always stay, and
        those that it would be rolled back to unless this is 0.
    type: int
    default: 1
  adopt_secrets:
    description:
      - What to think of a secret that something else has made, C(docker stack deploy) for example,
        as nobody can read what it holds.
      - V(verify) asks the engine, which compares what it has with what the file says, and writes
        nothing. A secret that holds something else gets a new version.
      - V(assume_same) takes it to hold what the file says, with a warning.
    type: str
    choices: [verify, assume_same]
    default: verify
  rollback_on_failure:
    description:
      - Where a write or the wait fails, return each service that this task has changed to the spec
        that it had before, remove those that it has created, and wait for up to O(wait_timeout)
        until the stack runs so. The task fails nevertheless, with the reason for the first failure.
      - Where the engine cannot be reached any more, all stays as it is. So does a service that
        somebody else has changed meanwhile. One that O(prune) had to remove because another one
        needed its port is not brought back. A job runs once more, as it was before.
      - Needs O(wait).
    type: bool
    default: false
  on_rollback:
    description:
      - What an update that failed, and that the swarm has rolled back by itself
        (C(failure_action) is V(rollback)), is to the task. It fails, or it accepts what is there.
    type: str
    choices: [fail, accept]
    default: fail
  remove_volumes:
    description:
      - With O(state=absent), remove the stack's named volumes as well, with what is in them.
      - Volumes are each node's own, so this is done on the host that the task runs on, and it may
        be a worker. Run the task on all hosts to remove them everywhere.
    type: bool
    default: false
  wait:
    description:
      - Wait until all services are as asked. Without it the task ends when the swarm has accepted
        the change, and old versions of secrets and configs are left to a later run.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait, in seconds. After that the task fails and says what each service was still
        waiting for. What was changed stays; running the task again goes on from there.
    type: int
    default: 300
  detach:
    description:
      - The opposite of O(wait), as docker_stack has it. Comes before it where both are given.
    type: bool
  objects:
    description:
      - What the controller has made of O(compose). Not to be given in a task.
    type: str
seealso:
  - module: shoal.swarm.stack_info
  - module: shoal.swarm.service
  - module: community.docker.docker_stack
"""

EXAMPLES = r"""
- name: Deploy a stack from a compose file beside the playbook
  shoal.swarm.stack:
    name: shop
    compose: shop/compose.yml

- name: Merge several files, and set variables that stand in them
  shoal.swarm.stack:
    name: shop
    compose:
      - shop/compose.yml
      - shop/compose.production.yml
    env:
      TAG: "{{ shop_version }}"
      DOMAIN: shop.example.com
    strict: true

- name: Show what a deploy would change
  shoal.swarm.stack:
    name: shop
    compose: shop/compose.yml
  check_mode: true
  diff: true

- name: Say it here, without a file
  shoal.swarm.stack:
    name: hello
    compose:
      - services:
          web:
            image: nginx:1.27
            ports: ["8080:80"]
            deploy:
              replicas: 2

- name: Deploy images of a private registry, and go back where they do not run
  shoal.swarm.stack:
    name: shop
    compose: shop/compose.yml
    registry_auth:
      - registry: registry.example.com
        username: deploy
        password: "{{ registry_password }}"
    rollback_on_failure: true
    wait_timeout: 600

- name: Remove the services that are not in the file any more
  shoal.swarm.stack:
    name: shop
    compose: shop/compose.yml
    prune: true

- name: Deploy what is on the manager already
  shoal.swarm.stack:
    name: shop
    compose: /srv/shop/compose.yml
    remote_src: true

- name: Remove a stack
  shoal.swarm.stack:
    name: shop
    state: absent

# In a play on all hosts of the swarm, managers first
- name: Remove a stack and its volumes on every node
  shoal.swarm.stack:
    name: shop
    state: absent
    remove_volumes: true
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs, with the difference in the
      symmetric form of jsondiff. Contents of secrets and configs are not in it.
  returned: success
  type: list
  elements: dict
  sample: [{action: update service shop_web, difference: {replicas: [3, 5]}}]
stack:
  description: The stack's name.
  returned: success
  type: str
  sample: shop
services:
  description: The stack's services. In check mode they are those from before the change.
  returned: success
  type: list
  elements: dict
  sample:
    - name: shop_web
      service_id: 8g0ymvqhs3qzcm2d2f5b0wu6m
      mode: replicated
      image: nginx:1.27@sha256:5d0e2ee1f6a3d5f7a3b2cbb2b2a6f9d0a9c1b6e4f7d2c3a1b0e9f8d7c6b5a4f3
networks:
  description: The names of the stack's own networks.
  returned: success
  type: list
  elements: str
  sample: [shop_default]
secrets:
  description: The names of the stack's own secrets, old versions included.
  returned: success
  type: list
  elements: str
  sample: [shop_password, shop_password_v2]
configs:
  description: The names of the stack's own configs, old versions included.
  returned: success
  type: list
  elements: str
  sample: [shop_site]
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._image import (
    ALWAYS,
    CHANGED,
    NEVER,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import ACCEPT, FAIL
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._stack import (
    PRESENT,
    STATES,
    ensure,
    wait_on,
)
from ansible_collections.shoal.swarm.plugins.module_utils._versions import ASSUME_SAME, VERIFY


def main() -> None:
    module = make_module(
        {
            "name": {"type": "str"},
            "state": {"type": "str", "default": PRESENT, "choices": list(STATES)},
            "compose": {"type": "list", "elements": "raw"},
            "remote_src": {"type": "bool", "default": False},
            "env": {"type": "dict"},
            "strict": {"type": "bool", "default": False},
            "prune": {"type": "bool", "default": False},
            "resolve_image": {
                "type": "str",
                "default": ALWAYS,
                "choices": [ALWAYS, CHANGED, NEVER],
            },
            "registry_auth": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "registry": {"type": "str", "required": True},
                    "username": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                },
            },
            "with_registry_auth": {"type": "bool", "default": False},
            "keep_versions": {"type": "int", "default": 1},
            "adopt_secrets": {
                "type": "str",
                "default": VERIFY,
                "choices": [VERIFY, ASSUME_SAME],
                "no_log": False,
            },
            "rollback_on_failure": {"type": "bool", "default": False},
            "on_rollback": {"type": "str", "default": FAIL, "choices": [FAIL, ACCEPT]},
            "remove_volumes": {"type": "bool", "default": False},
            **WAIT_ARGUMENTS,
            "wait_timeout": {"type": "int", "default": 300},
            "detach": {"type": "bool"},
            "objects": {"type": "str", "no_log": True},
        }
    )
    run(module, ensure, wait_on)


if __name__ == "__main__":
    main()
