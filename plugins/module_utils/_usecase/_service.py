# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, change, roll back or remove a service, and wait until it is what its spec says."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._diff import differing
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    InvalidOption,
    NotConverged,
    Refused,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._networks import PREDEFINED
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._ready import ROLLBACKS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    FORCED_BY,
    GLOBAL,
    GLOBAL_JOB,
    JOBS,
    JOBS_SINCE,
    KEEP_REPLICAS,
    REPLICATED,
    REPLICATED_JOB,
    ROWS,
    force_count,
    mode_of,
    new_spec,
    rows_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    CLEARED,
    leaves,
    merged,
    one_shot,
    refuse_newer,
    refuse_older_api,
    shown,
    wanted,
)
from ansible_collections.shoal.swarm.plugins.module_utils._tasks import OVER, tasks_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._image import (
    Pinned,
    Registry,
    credentials,
    pin,
    resolution,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._node import name_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    first_look,
    patiently,
    reconcile,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_wait import wait
from ansible_collections.shoal.swarm.plugins.module_utils._wait import Clock

PRESENT, ABSENT, ROLLED_BACK = "present", "absent", "rolled_back"
STATES = (PRESENT, ABSENT, ROLLED_BACK)
# What an automatic rollback is to the task: option on_rollback.
FAIL, ACCEPT = "fail", "accept"

# Of a credential spec.
_SOURCES = ("config", "file", "registry")

Ids = Mapping[str, str]


@dataclass(frozen=True)
class Seen:
    """The service, if it is there, and what the task names beside it: IDs by name, the image."""

    service: Mapping[str, Any] | None
    networks: Ids = field(default_factory=dict)
    secrets: Ids = field(default_factory=dict)
    configs: Ids = field(default_factory=dict)
    image: Pinned = field(default_factory=Pinned)
    auth: str = ""


def ensure(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    params = _settled(params)
    refuse_newer(ROWS, params, engine.api_version)
    if params["mode"] in JOBS:
        refuse_older_api(f"mode {params['mode']}", JOBS_SINCE, engine.api_version)
    values = _effective(wanted(ROWS, params))
    require_manager(membership(engine.info()))
    observe = _observer(engine, params)
    before = first_look(observe, run.clock)
    decide = _decider(params, values, before)
    outcome = reconcile(engine, observe, decide, run, first=before)
    outcome = _with_what_was_lost(outcome, decide)
    service = outcome.observed.service or (before.service if params["state"] == ABSENT else None)
    if params["wait"] and service and not outcome.check_mode:
        left_as = fingerprint(service["Spec"])
        outcome = _converged(engine, params, run, outcome, service["ID"], outcome.changed, left_as)
    return outcome, patiently(lambda: facts(engine, outcome.observed), run.clock)


def wait_on(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Take up the wait of an earlier execution, which has carried out the task."""
    outcome = Outcome((), (), Seen(None), False)
    outcome = _converged(engine, _settled(params), run, outcome, **run.subject)
    return outcome, patiently(lambda: facts(engine, outcome.observed), run.clock)


def _converged(
    engine: Engine,
    params: Mapping[str, Any],
    run: Run,
    outcome: Outcome[Seen],
    service_id: str,
    has_written: bool,
    left_as: int,
) -> Outcome[Seen]:
    waited = wait(engine, service_id, params, run, has_written)
    waited = replace(waited, subject={**waited.subject, "left_as": left_as})
    is_absent = params["state"] == ABSENT
    service = None if is_absent else patiently(lambda: engine.service(service_id), run.clock)
    if waited.done and service and fingerprint(service["Spec"]) != left_as:
        _refuse_foreign_change(engine, params, service, run.clock)
    warnings = outcome.warnings
    if waited.done and has_written and service and params["state"] == PRESENT:
        warnings += _told_of_rollback(service)
    return replace(
        outcome,
        warnings=warnings,
        observed=replace(outcome.observed, service=service),
        waited=waited,
    )


def _told_of_rollback(service: Mapping[str, Any]) -> tuple[str, ...]:
    """What the task accepts is still not what it has asked for."""
    update = service.get("UpdateStatus") or {}
    if update.get("State") not in ROLLBACKS:
        return ()
    return (
        f"the update of service {service['Spec']['Name']} failed and was rolled back "
        f"({update.get('Message') or update['State']}): it runs with the spec that it had before",
    )


def fingerprint(document: Mapping[str, Any]) -> int:
    """Tells whether a spec, or several, are as they were."""
    return zlib.crc32(json.dumps(document, sort_keys=True).encode())


def _refuse_foreign_change(
    engine: Engine, params: Mapping[str, Any], service: Mapping[str, Any], clock: Clock
) -> None:
    """Somebody else has written the service while we waited: is it still as the task asked?"""
    has_rolled_back = (service.get("UpdateStatus") or {}).get("State") in ROLLBACKS
    if params["state"] != PRESENT or has_rolled_back:
        return
    values = _effective(wanted(ROWS, params))
    seen = patiently(_observer(engine, params), clock)
    # A restart is not asked for once more.
    rest = decide(seen, {**params, "force_update": None}, values)
    if rest.changed:
        before, after = differing(rest.actions[0].before, rest.actions[0].after)
        raise NotConverged(
            f"somebody else has changed service {params['name']} while this task waited for it: "
            f"it runs, but not with the {', '.join(sorted({**before, **after}))} of this task"
        )


def _settled(params: Mapping[str, Any]) -> dict[str, Any]:
    settled = dict(params)
    if settled["replicas"] == KEEP_REPLICAS:
        settled["replicas"] = None
    settled["resolve_image"] = resolution(settled["resolve_image"])
    if settled["image"] == "":
        raise InvalidOption("image is empty, and no service is without one: remove the option")
    if settled["env_files"] is not None and settled["state"] == PRESENT:
        settled["env"] = _env_of_files(settled["env_files"], settled["env"])
    return settled


def _env_of_files(paths: list[str], env: Any) -> list[str]:
    """The variables of the files, and those of the option over them."""
    variables: dict[str, str] = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8-sig") as file:
                lines = file.read().splitlines()
        except (OSError, ValueError) as error:
            raise InvalidOption(f"env_files: {path} cannot be read: {error}") from error
        for number, line in enumerate(lines, start=1):
            text = line.lstrip()
            if not text or text.startswith("#"):
                continue
            name, equals, _value = text.partition("=")
            if not equals or name.split() != [name]:
                raise InvalidOption(f"env_files: {path}, line {number}: is not NAME=value")
            variables[name] = text
    if env is not None:
        for text in wanted(ROWS, {"env": env})["env"]:
            variables[text.partition("=")[0]] = text
    return list(variables.values())


def _effective(values: dict[str, Any]) -> dict[str, Any]:
    """What adding and dropping a capability comes to: as in the CLI, adding it wins."""
    if values.get("cap_add") and values.get("cap_drop"):
        drop = [name for name in values["cap_drop"] if name not in values["cap_add"]]
        return {**values, "cap_drop": drop}
    return values


# Looking


def _observer(engine: Engine, params: Mapping[str, Any]) -> Callable[[], Seen]:
    """How to look; the registry is asked once, however often we look."""
    registry = Registry(engine)

    def observe() -> Seen:
        # The name filter matches prefixes as well, and the engine keeps names unique.
        found = engine.services({"name": [params["name"]]})
        service = next((s for s in found if s["Spec"]["Name"] == params["name"]), None)
        if params["state"] == ROLLED_BACK and service:
            return _with_names(engine, service)
        if params["state"] != PRESENT:
            return Seen(service)
        stored = _image_of(service["Spec"]) if service else ""
        login = credentials(
            engine,
            params["image"] or stored,
            params["registry_auth"],
            params["with_registry_auth"],
        )
        return Seen(
            service,
            _network_ids(engine, params) if params["networks"] is not None else {},
            _ids(engine.secrets()) if params["secrets"] else {},
            _ids(engine.configs()) if params["configs"] or params["credential_spec"] else {},
            pin(
                params["image"] or "",
                stored,
                params["resolve_image"],
                lambda image: registry.ask(image, login),
            ),
            login,
        )

    return observe


def _with_names(engine: Engine, service: Mapping[str, Any]) -> Seen:
    """With the names of what its specs know by ID alone."""
    networks = _ids(engine.networks())
    specs = (service["Spec"], service.get("PreviousSpec") or {})
    tasks = [spec.get("TaskTemplate") or {} for spec in specs]
    targets = {network["Target"] for task in tasks for network in task.get("Networks") or []}
    if not targets <= set(networks.values()):
        networks.update(_ids([engine.swarm_network(name) for name in PREDEFINED]))
    return Seen(service, networks=networks, configs=_ids(engine.configs()))


def _network_ids(engine: Engine, params: Mapping[str, Any]) -> Ids:
    named = {network["Target"] for network in wanted(ROWS, params)["networks"]}
    predefined = [engine.swarm_network(name) for name in PREDEFINED if name in named]
    return {**_ids(engine.networks()), **_ids(predefined)}


def _ids(objects: list[dict[str, Any]]) -> dict[str, str]:
    # Networks have their name at the top, and an Id.
    return {
        item.get("Name") or item["Spec"]["Name"]: item.get("Id") or item["ID"] for item in objects
    }


def _image_of(spec: Mapping[str, Any]) -> str:
    container = spec["TaskTemplate"].get("ContainerSpec") or {}
    return str(container.get("Image") or "")


# Deciding


def _decider(
    params: Mapping[str, Any], values: Mapping[str, Any], first: Seen
) -> Callable[[Seen], Plan]:
    if params["state"] == ABSENT:
        return lambda seen: decide_absent(seen, params)
    if params["state"] == ROLLED_BACK:
        return lambda seen: decide_rolled_back(seen, params)
    # Counted from what was there first: a restart whose answer was lost is not done twice.
    forced = force_count(first.service["Spec"]) + 1 if first.service else 0
    return lambda seen: decide(seen, params, values, forced)


def decide(
    seen: Seen, params: Mapping[str, Any], values: Mapping[str, Any], forced: int = 0
) -> Plan:
    """Create it, change what differs, or nothing."""
    name = params["name"]
    if seen.service is None:
        if not params["image"]:
            raise InvalidOption(f"service {name} does not exist, and image is needed to create it")
        mode = params["mode"] or REPLICATED
        before = new_spec(name, mode)
    else:
        before = seen.service["Spec"]
        mode = mode_of(before)
        if params["mode"] and params["mode"] != mode:
            raise InvalidOption(
                f"service {name} runs in mode {mode}, and the engine cannot change that to "
                f"{params['mode']}: remove the service (state: absent) and create it again"
            )
    _refuse_for_mode(params, mode)
    spec = merged(rows_of(mode), before, _resolved(values, seen, before), seen.service is None)
    if seen.service is None and mode == REPLICATED_JOB and params["max_concurrent"] is None:
        # As the CLI does: all at once, where nothing else is said.
        spec["Mode"]["ReplicatedJob"].setdefault("MaxConcurrent", params["replicas"] or 1)
    if (
        _image_of(spec) != _image_of(before)
        and seen.image.platforms
        and not _names_platforms(params)
    ):
        spec["TaskTemplate"].setdefault("Placement", {})["Platforms"] = list(seen.image.platforms)
    spec = _forced(spec, one_shot(params, "force_update"), forced, seen.service is None)
    spec = _overlaid(spec, params["spec"] or {})
    warnings = (seen.image.warning,) if seen.image.warning else ()
    is_forced = one_shot(params, "force_update") is not False
    view = _view(list(values), seen, mode, is_forced, params["spec"] or {})
    if seen.service is None:
        action = Action(
            f"create service {name}",
            "service_create",
            {"spec": spec, "auth": seen.auth},
            {},
            {"state": PRESENT, "mode": mode, **view(spec)},
        )
        return Plan((action,), warnings)
    if spec == before:
        return Plan((), warnings)
    action = Action(
        f"update service {name}",
        "service_update",
        {
            "service_id": seen.service["ID"],
            "version": seen.service["Version"]["Index"],
            "spec": spec,
            "auth": seen.auth,
        },
        view(before),
        view(spec),
    )
    return Plan((action,), warnings)


def decide_absent(seen: Seen, params: Mapping[str, Any]) -> Plan:
    if seen.service is None:
        return Plan()
    action = Action(
        f"remove service {params['name']}",
        "service_remove",
        {"service_id": seen.service["ID"]},
        {"state": PRESENT, "image": _image_of(seen.service["Spec"])},
        {"state": ABSENT},
    )
    return Plan((action,))


def decide_rolled_back(seen: Seen, params: Mapping[str, Any]) -> Plan:
    """Back to the spec before the last update, once: again would return to the newer one."""
    name = params["name"]
    if seen.service is None:
        raise InvalidOption(f"service {name} does not exist: there is nothing to roll back")
    if (seen.service.get("UpdateStatus") or {}).get("State") in ROLLBACKS:
        return Plan()
    spec, previous = seen.service["Spec"], seen.service.get("PreviousSpec")
    if not previous:
        raise Refused(
            f"service {name} has no previous spec to return to: it has not been updated since it "
            "was created or rolled back"
        )
    raw = differing(spec, previous)
    if not any(raw):
        raise Refused(
            f"the previous spec of service {name} is the one that it has: an update that changed "
            "nothing has taken the place of what was before it"
        )
    view = _view([option for option, _row in leaves(ROWS)], seen, mode_of(spec), True, {})
    before, after = view(spec), view(previous)
    if before == after:
        # Defaults that one of them leaves to the engine, or fields that no option is for.
        before, after = raw
    return Plan((rollback(seen.service, before, after),))


def rollback(
    service: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], group: str = ""
) -> Action:
    """Have the swarm return the service to its previous spec."""
    return Action(
        f"roll back service {service['Spec']['Name']}",
        "service_rollback",
        {
            "service_id": service["ID"],
            "version": service["Version"]["Index"],
            "spec": service["Spec"],
        },
        before,
        after,
        group,
    )


def _refuse_for_mode(params: Mapping[str, Any], mode: str) -> None:
    """The rules of `docker service create` on what belongs to which mode."""
    where = f"service {params['name']} runs in mode {mode}"
    if params["replicas"] is not None and mode in (GLOBAL, GLOBAL_JOB):
        raise InvalidOption(f"{where}, one task on each node: replicas means nothing there")
    if params["max_concurrent"] is not None and mode != REPLICATED_JOB:
        raise InvalidOption(f"{where}: max_concurrent is for mode {REPLICATED_JOB} only")
    if (params["placement"] or {}).get("replicas_max_per_node") and mode in (GLOBAL, GLOBAL_JOB):
        raise InvalidOption(f"{where}: replicas_max_per_node means nothing there")
    if mode in JOBS and (params["update_config"] or params["rollback_config"]):
        raise InvalidOption(f"{where}: a job has no update_config and no rollback_config")


def _names_platforms(params: Mapping[str, Any]) -> bool:
    """An empty placement names them all, and has none."""
    placement = params["placement"]
    return placement is not None and (
        placement["platforms"] is not None or all(part is None for part in placement.values())
    )


def _resolved(values: Mapping[str, Any], seen: Seen, before: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the IDs by which a stored spec names other objects."""
    resolved = dict(values)
    if seen.image.image:
        resolved["image"] = seen.image.image
    if "networks" in values:
        resolved["networks"] = [
            {**entry, "Target": _network_id(seen.networks, entry["Target"])}
            for entry in values["networks"]
        ]
    if "secrets" in values:
        resolved["secrets"] = [_reference(seen.secrets, r, "Secret") for r in values["secrets"]]
    if "configs" in values:
        resolved["configs"] = [_reference(seen.configs, r, "Config") for r in values["configs"]]
    resolved.update(_credentials(resolved, seen, before["TaskTemplate"].get("ContainerSpec") or {}))
    _refuse_double_targets(resolved)
    return resolved


def _credentials(
    values: Mapping[str, Any], seen: Seen, container: Mapping[str, Any]
) -> dict[str, Any]:
    """A credential spec has one source of three, and a config among the service's own.

    To name a source takes the place of another one, and without any the object goes.
    """
    stored = (container.get("Privileges") or {}).get("CredentialSpec") or {}
    sources = {name: stored.get(name.capitalize()) or "" for name in _SOURCES}
    given = {name: values[key] for name in _SOURCES if (key := f"credential_spec.{name}") in values}
    chosen = [name for name, value in given.items() if value]
    if len(chosen) > 1:
        raise InvalidOption(
            f"credential_spec: there is one source of {', '.join(_SOURCES)}, not "
            f"{' and '.join(chosen)}"
        )
    sources = {**(dict.fromkeys(_SOURCES, "") if chosen else sources), **given}
    reference: dict[str, Any] = {}
    if given.get("config"):
        reference = _reference(
            seen.configs, {"ConfigName": given["config"], "Runtime": {}}, "Config"
        )
        sources["config"] = reference["ConfigID"]
    resolved: dict[str, Any] = {}
    if given:
        resolved = {f"credential_spec.{name}": source for name, source in sources.items()}
        if not any(sources.values()):
            resolved["credential_spec"] = CLEARED
    configs = [
        {key: value for key, value in config.items() if value is not None}
        for config in container.get("Configs") or []
    ]
    kept = list(values.get("configs", configs))
    for config in configs:
        if "Runtime" in config and config["ConfigID"] == stored.get("Config"):
            # The reference that the old source needs: the engine wants it as long as that stays.
            if config["ConfigID"] != sources["config"] and "configs" not in values:
                kept.remove(config)
            else:
                reference = reference or config
    if sources["config"] and reference not in kept:
        kept.append(reference)
    if kept != values.get("configs", configs):
        resolved["configs"] = kept
    return resolved


def _reference(ids: Ids, reference: Mapping[str, Any], kind: str) -> dict[str, Any]:
    noun = kind.lower()
    object_id = _id(ids, reference[f"{kind}Name"], f"{noun}s", noun)
    given = reference.get(f"{kind}ID", object_id)
    if given != object_id:
        raise InvalidOption(
            f"{noun}s: {noun} {reference[f'{kind}Name']} has the ID {object_id}, not {given}"
        )
    return {**reference, f"{kind}ID": object_id}


def _network_id(ids: Ids, name: str) -> str:
    return name if name in ids.values() else _id(ids, name, "networks", "network")


def _id(ids: Ids, name: str, option: str, noun: str) -> str:
    if name in ids:
        return ids[name]
    raise InvalidOption(f"{option}: there is no {noun} named {name}: create it first")


def _refuse_double_targets(resolved: Mapping[str, Any]) -> None:
    for option in ("secrets", "configs"):
        targets = [r["File"]["Name"] for r in resolved.get(option, []) if r.get("File")]
        for target in targets:
            if targets.count(target) > 1:
                raise InvalidOption(f"{option}: two of them have the filename {target}")


def _forced(spec: dict[str, Any], key: str | bool, count: int, is_new: bool) -> dict[str, Any]:
    """Restart the tasks: at each run, or once for the key."""
    if key is False:
        return spec
    if isinstance(key, str):
        if (spec.get("Labels") or {}).get(FORCED_BY) == key:
            return spec
        spec["Labels"] = {**(spec.get("Labels") or {}), FORCED_BY: key}
    if not is_new:
        spec["TaskTemplate"]["ForceUpdate"] = max(count, force_count(spec))
    return spec


def _overlaid(document: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Raw fields of the API laid over the spec; null removes one."""
    result = copy.deepcopy(dict(document))
    for key, part in parts.items():
        if part is None:
            result.pop(key, None)
        elif isinstance(part, Mapping):
            inner = result.get(key)
            result[key] = _overlaid(inner if isinstance(inner, Mapping) else {}, part)
        else:
            result[key] = part
    return result


def _below(document: Any, parts: Mapping[str, Any]) -> dict[str, Any]:
    """What the document holds where `parts` has something."""
    result = {}
    for key, part in parts.items():
        held = document.get(key) if isinstance(document, Mapping) else None
        result[key] = _below(held, part) if isinstance(part, Mapping) else held
    return result


def _view(
    options: Sequence[str], seen: Seen, mode: str, with_restarts: bool, parts: Mapping[str, Any]
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """How these options, and raw parts, are shown of a spec, before and after."""
    names = {network_id: name for name, network_id in seen.networks.items()}
    configs = {config_id: name for name, config_id in seen.configs.items()}

    def view(spec: Mapping[str, Any]) -> dict[str, Any]:
        result = shown(rows_of(mode), spec, options)
        for network in result.get("networks", []):
            network["name"] = names.get(network["name"], network["name"])
        result.get("networks", []).sort(key=lambda network: str(network["name"]))
        if "credential_spec.config" in result:
            config = result["credential_spec.config"]
            result["credential_spec.config"] = configs.get(config, config)
        if with_restarts:
            result["force_update"] = force_count(spec)
        if parts:
            result["spec"] = _below(spec, parts)
        return result

    return view


def _with_what_was_lost(outcome: Outcome[Seen], decide: Callable[[Seen], Plan]) -> Outcome[Seen]:
    """Say what the engine accepted and did not keep: each run would write it again."""
    if outcome.check_mode or not outcome.changed:
        return outcome
    rest = decide(outcome.observed)
    if not rest.changed:
        return outcome
    before, after = differing(rest.actions[0].before, rest.actions[0].after)
    lost = ", ".join(sorted({**before, **after}))
    warning = (
        f"the engine took {lost} and did not keep it as given: the next run will change it again"
    )
    return replace(outcome, warnings=(*outcome.warnings, warning))


def facts(engine: Engine, seen: Seen) -> dict[str, Any]:
    """The service and its tasks as they were seen last."""
    service = seen.service
    if service is None:
        return {"service_id": "", "service_spec": {}, "tasks": []}
    tasks = engine.tasks({"service": [service["ID"]]})
    names = {node["ID"]: name_of(node) for node in engine.nodes()} if tasks else {}
    return {
        "service_id": service["ID"],
        "service_spec": service["Spec"],
        "tasks": [
            task for task in tasks_of(service, tasks, names) if task["desired_state"] not in OVER
        ],
    }
