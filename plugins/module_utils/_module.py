# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only file that knows AnsibleModule: shared arguments, one way out, one way to fail."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from ansible.module_utils.basic import AnsibleModule, _load_params, env_fallback

from ansible_collections.shoal.swarm.plugins.module_utils._client import (
    Connection,
    Engine,
    connect,
)
from ansible_collections.shoal.swarm.plugins.module_utils._diff import (
    HAS_JSONDIFF,
    changes,
    for_ansible,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    MissingLibrary,
    SwarmError,
    Unreachable,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import Outcome, Run
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    PACE,
    WATCH_VARIABLE,
    WATCHED,
    Section,
    Waited,
    Watch,
    fingerprint,
)

CONNECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "docker_host": {
        "type": "str",
        "default": "unix:///var/run/docker.sock",
        "fallback": (env_fallback, ["DOCKER_HOST"]),
        "aliases": ["docker_url"],
    },
    "tls_hostname": {"type": "str", "fallback": (env_fallback, ["DOCKER_TLS_HOSTNAME"])},
    "api_version": {
        "type": "str",
        "default": "auto",
        "fallback": (env_fallback, ["DOCKER_API_VERSION"]),
        "aliases": ["docker_api_version"],
    },
    "timeout": {
        "type": "int",
        "default": 60,
        "fallback": (env_fallback, ["DOCKER_TIMEOUT"]),
    },
    "ca_path": {"type": "path", "aliases": ["ca_cert", "tls_ca_cert", "cacert_path"]},
    "client_cert": {"type": "path", "aliases": ["tls_client_cert", "cert_path"]},
    "client_key": {"type": "path", "aliases": ["tls_client_key", "key_path"]},
    "tls": {"type": "bool", "default": False, "fallback": (env_fallback, ["DOCKER_TLS"])},
    "use_ssh_client": {"type": "bool", "default": False},
    "validate_certs": {
        "type": "bool",
        "default": False,
        "fallback": (env_fallback, ["DOCKER_TLS_VERIFY"]),
        "aliases": ["tls_verify"],
    },
}
# What the Docker CLI looks for in the folder that DOCKER_CERT_PATH names.
CERTIFICATE_FILES = {"ca_path": "ca.pem", "client_cert": "cert.pem", "client_key": "key.pem"}
WAIT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 120},
}
UseCase = Callable[[Engine, Mapping[str, Any], Run], tuple[Outcome[Any], dict[str, Any]]]


def make_module(arguments: Mapping[str, Mapping[str, Any]], **rules: Any) -> AnsibleModule:
    """An AnsibleModule with the connection options beside the module's own."""
    module = AnsibleModule(
        argument_spec={**CONNECTION_ARGUMENTS, **arguments},
        supports_check_mode=True,
        required_together=[("client_cert", "client_key"), *rules.pop("required_together", [])],
        **rules,
    )
    for option in groups_of_nulls(arguments, _load_params()):
        module.params[option] = None
    if (module.params.get("wait_timeout") or 0) < 0:
        module.fail_json(msg="wait_timeout is a number of seconds from 0 up")
    return module


def groups_of_nulls(
    arguments: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
) -> list[str]:
    """Options with suboptions of which a task gives some, and each as null: it manages none.

    Ansible fills in null for what is not given: then they are like `{}`, which clears them all.
    """
    return [
        option
        for option, argument in arguments.items()
        if argument["type"] == "dict"
        and "options" in argument
        and isinstance(given.get(option), Mapping)
        and given[option]
        and all(part is None for part in given[option].values())
    ]


def run(module: AnsibleModule, use_case: UseCase, wait_on: UseCase | None = None) -> None:
    """Carry out a task that changes things, and leave by the one door there is.

    `wait_on` takes up a wait that `use_case` began in an earlier execution, and writes nothing.
    Where nobody watches (with async, say) the module waits by itself.
    """
    given = os.environ.get(WATCH_VARIABLE)
    watch = Watch(**json.loads(given)) if given and wait_on else None
    how = Run(check_mode=module.check_mode, watch=watch)
    carry_out = wait_on if wait_on and how.subject else use_case
    try:
        if not HAS_JSONDIFF:
            raise MissingLibrary(
                "the Python library jsondiff is missing on this host: install the package "
                "python3-jsondiff, or `pip install jsondiff`, or apply the role shoal.swarm.engine"
            )
        outcome, facts = carry_out(connect(connection(module)), module.params, how)
    except SwarmError as error:
        if isinstance(error, Unreachable) and watch and watch.subject and watch.remaining:
            # An engine that restarts is waited out, as it is inside a slice.
            how.clock.sleep(PACE)
            view = (Section("the engine", str(error)),)
            waited = Waited(False, watch.remaining, view, watch.subject)
            module.exit_json(changed=False, **_report(waited, how))
        module.fail_json(msg=str(error), **(_told(how.written) if how.written else {}))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(
        **_told(outcome.actions),
        **facts,
        **(_report(outcome.waited, how) if watch and outcome.waited else {}),
    )


def _told(actions: Sequence[Action]) -> dict[str, Any]:
    """What was done, in each of the three ways that a result tells it."""
    return {
        "changed": bool(actions),
        "diff": for_ansible(actions),
        "changes": changes(actions),
    }


def _report(waited: Waited, how: Run) -> dict[str, Any]:
    """What the action plugin shows, gives to the next execution, and tells if that one fails."""
    return {
        WATCHED: {
            **asdict(waited),
            "shown": fingerprint(waited.view),
            "written": _told(how.written),
        }
    }


def inform(
    module: AnsibleModule,
    gather: Callable[[Engine, Mapping[str, Any], Run], dict[str, Any]],
    without_engine: Mapping[str, Any] | None = None,
) -> None:
    """Carry out a task that only reads; `warnings` among its facts are told as such.

    `without_engine` is the answer of a host without Docker, where that is no failure.
    """
    try:
        how = Run(check_mode=module.check_mode)
        facts = gather(connect(connection(module)), module.params, how)
    except SwarmError as error:
        if without_engine is None or not isinstance(error, (MissingLibrary, Unreachable)):
            module.fail_json(msg=str(error))
        facts = {**without_engine, "error": str(error)}
    for warning in facts.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(changed=False, **facts)


def connection(module: AnsibleModule) -> Connection:
    options = {part.name: module.params[part.name] for part in fields(Connection)}
    folder = os.environ.get("DOCKER_CERT_PATH")
    if folder:
        for option, file in CERTIFICATE_FILES.items():
            options[option] = options[option] or os.path.join(folder, file)
    return Connection(**options)
