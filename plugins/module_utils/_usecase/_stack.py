# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deploy a stack or remove it, and wait until it is so."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._compose._objects import NAMESPACE
from ansible_collections.shoal.swarm.plugins.module_utils._compose._stack import (
    Stack,
    Target,
    resolved,
    unpacked,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    EngineError,
    InvalidOption,
    NameTaken,
    NotConverged,
    SwarmError,
    Unreachable,
    tells_absence,
)
from ansible_collections.shoal.swarm.plugins.module_utils._image import image
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._networks import (
    PREDEFINED,
    is_leftover,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import NOTHING, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._ready import ROLLBACKS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import mode_of
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import refuse_older_api
from ansible_collections.shoal.swarm.plugins.module_utils._tasks import image_of
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._image import (
    Pinned,
    Registry,
    credentials,
    pin,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    at_once,
    first_look,
    patiently,
    reconcile,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import (
    ACCEPT,
    fingerprint,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service_wait import (
    wait_for_end_of_stack,
    wait_for_stack,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._stack_plan import (
    HEIRS,
    SERVICES,
    Seen,
    attached,
    decide,
    decide_back,
    decide_clean_up,
    decide_end,
    decide_end_of_the_rest,
    foreseen,
    stack_of,
    written_image,
)
from ansible_collections.shoal.swarm.plugins.module_utils._versions import (
    SALT_BYTES,
    VERIFY,
    Content,
    choose,
    recognisable,
)
from ansible_collections.shoal.swarm.plugins.module_utils._wait import (
    Clock,
    Look,
    Verdict,
    Waited,
    Watch,
    wait_until,
)

PRESENT, ABSENT = "present", "absent"
STATES = (PRESENT, ABSENT)

# What a network or a volume needs to be let go, when the last task that used it has stopped.
LET_GO_SECONDS = 30.0


def ensure(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    params = _settled(params)
    deed = _deed(engine, params, run)
    before = first_look(deed.observe, run.clock)

    def written(after: Seen) -> dict[str, Any]:
        order = deed.stack.services if deed.stack else ()
        return _written(before, after, params["name"], order)

    try:
        outcome = reconcile(engine, deed.observe, deed.first, run, deed.operations, before)
    except Unreachable:
        # Nor could it be told to go back.
        raise
    except SwarmError as failure:
        if run.check_mode or deed.stack is None or not params["rollback_on_failure"]:
            raise
        subject = _go_back(engine, run, deed.stack, failure, written)
        outcome = Outcome((), (), before, False)
        return _finished(engine, params, run, deed, outcome, subject)
    then = foreseen(before, outcome.actions) if run.check_mode else outcome.observed
    outcome = replace(outcome, actions=(*outcome.actions, *deed.last(then).actions))
    if run.check_mode:
        return outcome, facts(params["name"], before)
    return _finished(engine, params, run, deed, outcome, written(outcome.observed))


def wait_on(
    engine: Engine, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Take up the wait of an earlier execution, and do what comes after it."""
    params = _settled(params)
    outcome = Outcome((), (), Seen(), False)
    return _finished(engine, params, run, _deed(engine, params, run), outcome, run.subject)


def _settled(params: Mapping[str, Any]) -> dict[str, Any]:
    settled = dict(params)
    if not settled["name"]:
        raise InvalidOption("name is needed: the name of the stack")
    if settled["detach"] is not None:
        settled["wait"] = not settled["detach"]
    if settled["keep_versions"] < 0:
        raise InvalidOption("keep_versions is a number from 0 on")
    if settled["state"] == PRESENT and settled["rollback_on_failure"] and not settled["wait"]:
        raise InvalidOption(
            "rollback_on_failure needs wait: without it the task ends before there is anything to "
            "go back for"
        )
    return settled


# What is to be done


@dataclass(frozen=True)
class Deed:
    """How to look, what to do first, what when that has come about, and how."""

    stack: Stack | None
    # The first look also asks the registries.
    observe: Callable[[], Seen]
    look: Callable[[], Seen]
    first: Callable[[Seen], Plan]
    last: Callable[[Seen], Plan]
    operations: Mapping[str, Callable[..., Any]]
    is_waited_for: bool = True


def _deed(engine: Engine, params: Mapping[str, Any], run: Run) -> Deed:
    name = params["name"]
    member = membership(engine.info())
    writer = _Writer(engine, run.clock)
    if params["state"] == ABSENT:
        with_volumes = params["remove_volumes"]
        if with_volumes and not member.is_manager:
            # Volumes are each host's own, so this is done on workers as well.

            def look_at_volumes() -> Seen:
                return Seen(volumes=_volumes(engine, name))

            return Deed(
                None,
                look_at_volumes,
                look_at_volumes,
                lambda _seen: NOTHING,
                lambda seen: decide_end_of_the_rest(seen, name),
                writer.operations,
                is_waited_for=False,
            )
        require_manager(member)

        def look() -> Seen:
            return _everything(engine, name if with_volumes else "")

        return Deed(
            None,
            look,
            look,
            lambda seen: decide_end(seen, name),
            lambda seen: decide_end_of_the_rest(seen, name),
            writer.operations,
        )
    if params["objects"] is None:
        raise InvalidOption("compose is needed: the file, or the files, that say what the stack is")
    stack = unpacked(params["objects"])
    for what, since in stack.newer:
        refuse_older_api(what, since, engine.api_version)
    require_manager(member)
    return Deed(
        stack,
        _observer(engine, params, stack),
        lambda: _look(engine, params, stack),
        lambda seen: decide(seen, stack, params),
        lambda seen: decide_clean_up(seen, stack, params, services_only=not params["wait"]),
        writer.operations,
    )


# Looking


def _everything(engine: Engine, volumes_of: str = "") -> Seen:
    # Without a leader the engine leaves out the swarm's networks without a word, and refuses the
    # services, which come after them.
    networks = [network for network in engine.networks() if not is_leftover(network)]
    return Seen(
        engine.services(),
        networks,
        engine.secrets(),
        engine.configs(),
        _volumes(engine, volumes_of) if volumes_of else (),
    )


def _volumes(engine: Engine, stack: str) -> Sequence[Mapping[str, Any]]:
    # The engine lists them in another order each time.
    return sorted(
        engine.volumes({"label": [f"{NAMESPACE}={stack}"]}), key=lambda volume: volume["Name"]
    )


def _look(engine: Engine, params: Mapping[str, Any], stack: Stack) -> Seen:
    """All but what registries say."""
    seen = _everything(engine)
    # The networks that nodes have by themselves are in no list: those that a service is on.
    named = attached(stack)
    predefined = [engine.swarm_network(name) for name in PREDEFINED if name in named]

    def other(spec: Mapping[str, Any]) -> str:
        """The ID of the secret that nobody can read, and that holds something else."""
        # Digests are slow: taken here at the same time, they are known when it is decided.
        choice = choose(spec, seen.secrets)
        unknown = choice.stored if choice.content is Content.UNKNOWN else None
        if unknown is None or params["adopt_secrets"] != VERIFY:
            return ""
        body = {**unknown["Spec"], "Data": spec["Data"]}
        return "" if engine.secret_holds(unknown["ID"], body) else str(unknown["ID"])

    return replace(
        seen,
        networks=(*seen.networks, *predefined),
        other_secrets=frozenset(at_once(other, list(stack.secrets.values()))),
    )


def _observer(engine: Engine, params: Mapping[str, Any], stack: Stack) -> Callable[[], Seen]:
    """How to look; a registry is asked once for an image, however often we look."""
    registry = Registry(engine)
    by_image: dict[str, list[str]] = {}
    for name, spec in stack.services.items():
        by_image.setdefault(written_image(spec), []).append(name)

    @functools.cache
    def auth(text: str) -> str:
        return credentials(engine, text, _login(params, text), params["with_registry_auth"])

    def observe() -> Seen:
        seen = _look(engine, params, stack)
        there = seen.services_of(stack.name)

        def pins(text: str) -> dict[str, Pinned]:
            return {
                name: pin(
                    text,
                    _stored_image(there.get(name)),
                    params["resolve_image"],
                    lambda asked: registry.ask(asked, auth(text)),
                )
                for name in by_image[text]
            }

        pinned: dict[str, Pinned] = {}
        for found in at_once(pins, list(by_image)):
            pinned.update(found)
        return replace(
            seen,
            pins=pinned,
            logins={name: auth(text) for text, names in by_image.items() for name in names},
        )

    return observe


def _stored_image(service: Mapping[str, Any] | None) -> str:
    return image_of(service["Spec"]["TaskTemplate"]) if service else ""


def _login(params: Mapping[str, Any], text: str) -> dict[str, str] | None:
    """The login of the task for the registry of this image."""
    for login in params["registry_auth"] or ():
        if image(f"{login['registry']}/image").registry == image(text).registry:
            return {"username": login["username"], "password": login["password"]}
    return None


# Writing


class _Writer:
    """Carries out the actions. It knows the IDs of what it has just made, which services need."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._networks: dict[str, str] = {}
        self._secrets: dict[str, Target] = {}
        self._configs: dict[str, Target] = {}
        self.operations: dict[str, Callable[..., Any]] = {
            "network_create": self._network_create,
            "network_remove": self._patiently(engine.network_remove),
            "secret_create": self._secret_create,
            "config_create": self._config_create,
            "service_create": self._service_create,
            "service_update": self._service_update,
            "volume_remove": self._patiently(engine.volume_remove),
        }

    def _network_create(self, body: dict[str, Any]) -> None:
        name = body["Name"]

        def old_one_gone() -> Look:
            left = [n for n in self._engine.networks() if is_leftover(n) and n["Name"] == name]
            if left:
                return Look(Verdict.WAIT, "tasks on this host that have it are still stopping")
            return Look(Verdict.DONE)

        try:
            network_id = self._engine.network_create(body)
        except NameTaken:
            # By one that was removed a moment ago, and that this host still shows?
            if old_one_gone().verdict is Verdict.DONE:
                raise
            what = f"the end of the old network {name}"
            wait_until(what, old_one_gone, LET_GO_SECONDS, self._clock)
            network_id = self._engine.network_create(body)
        self._networks[name] = network_id

    def _secret_create(self, spec: dict[str, Any]) -> None:
        name = spec["Name"]
        marked = recognisable(spec, os.urandom(SALT_BYTES))
        self._secrets[name] = (name, self._engine.secret_create(marked))

    def _config_create(self, spec: dict[str, Any]) -> None:
        name = spec["Name"]
        self._configs[name] = (name, self._engine.config_create(spec))

    def _service_create(self, spec: dict[str, Any], auth: str) -> None:
        self._engine.service_create(self._completed(spec), auth)

    def _service_update(
        self, service_id: str, version: int, spec: dict[str, Any], auth: str
    ) -> None:
        self._engine.service_update(service_id, version, self._completed(spec), auth)

    def _completed(self, spec: dict[str, Any]) -> dict[str, Any]:
        return resolved(spec, self._networks, self._secrets, self._configs)

    def _patiently(self, remove: Callable[..., None]) -> Callable[..., None]:
        """What tasks have used is let go some time after they have stopped."""

        def remove_patiently(**arguments: Any) -> None:
            def look() -> Look:
                try:
                    remove(**arguments)
                except EngineError as error:
                    if not tells_absence(error):
                        return Look(Verdict.WAIT, str(error))
                return Look(Verdict.DONE)

            wait_until("the removal", look, LET_GO_SECONDS, self._clock)

        return remove_patiently


# Waiting


def _written(before: Seen, after: Seen, name: str, order: Iterable[str]) -> dict[str, Any]:
    """What the wait has to know of the deploy: which services it has made, and which changed.

    Of those it has the fingerprints of the specs from before, by which the way back is found. All
    in the file's order, as the swarm lists services in one that says nothing.
    """
    old, there = before.services_of(name), after.services_of(name)
    new = {called: there[called] for called in (*order, *there) if called in there}
    return {
        "created": [called for called in new if called not in old],
        "updated": {
            called: fingerprint(old[called]["Spec"])
            for called in new
            if called in old and old[called]["Spec"] != new[called]["Spec"]
        },
        "left_as": _left_as(new),
    }


def _left_as(services: Mapping[str, Mapping[str, Any]]) -> int:
    return fingerprint({service["ID"]: service["Spec"] for service in services.values()})


def _finished(
    engine: Engine,
    params: Mapping[str, Any],
    run: Run,
    deed: Deed,
    outcome: Outcome[Seen],
    subject: Mapping[str, Any],
) -> tuple[Outcome[Seen], dict[str, Any]]:
    name = params["name"]
    waited = None
    if params["wait"] and deed.is_waited_for:
        if deed.stack is None:
            waited = wait_for_end_of_stack(engine, name, params["wait_timeout"], run)
            waited = replace(waited, subject=subject)
        else:
            waited = _converged(engine, params, run, deed.stack, subject)
        if not waited.done:
            return replace(outcome, waited=waited), {}
    seen = patiently(deed.look, run.clock)
    if waited and deed.stack:
        _refuse_foreign_change(deed, params, seen, subject)
    last = reconcile(engine, deed.look, deed.last, run, deed.operations, seen)
    return replace(outcome, observed=last.observed, waited=waited), facts(name, last.observed)


def _converged(
    engine: Engine, params: Mapping[str, Any], run: Run, stack: Stack, subject: Mapping[str, Any]
) -> Waited:
    """Wait for all services; with rollback_on_failure also for what they go back to."""
    failed = subject.get("failure")
    try:
        waited = wait_for_stack(
            engine,
            stack.name,
            subject["stay"] if failed else list(stack.services),
            params["wait_timeout"],
            run,
            {*subject["created"], *subject["updated"]},
            bool(failed) or params["on_rollback"] == ACCEPT,
        )
    except NotConverged as failure:
        if failed:
            raise NotConverged(f"{failed}; and that has not come about: {failure}") from failure
        if not params["rollback_on_failure"]:
            raise
        deployed = subject
        subject = _go_back(engine, run, stack, failure, lambda _seen: deployed)
        run = replace(run, watch=Watch(subject=subject) if run.watch else None)
        return _converged(engine, params, run, stack, subject)
    if failed and waited.done:
        raise NotConverged(failed)
    return replace(waited, subject=subject)


def _go_back(
    engine: Engine,
    run: Run,
    stack: Stack,
    failure: SwarmError,
    written: Callable[[Seen], Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the services to what ran before this task; what the wait for that has to know.

    Whatever comes of it, the reason for the failure is told first.
    """

    def look() -> Seen:
        return _everything(engine)

    def decide_now(seen: Seen) -> Plan:
        return decide_back(seen, stack.name, subject["created"], subject["updated"])

    try:
        seen = patiently(look, run.clock)
        subject = written(seen)
        outcome = reconcile(engine, look, decide_now, run, first=seen)
    except SwarmError as error:
        raise NotConverged(f"{failure}; going back has failed as well: {error}") from failure
    if not subject["created"] and not subject["updated"]:
        raise failure
    there = outcome.observed.services_of(stack.name)
    told = ", ".join(_told(there, subject))
    return {
        **subject,
        "failure": f"{failure}; rolled back: {told}",
        "stay": [name for name in stack.services if name in there],
    }


def _told(there: Mapping[str, Mapping[str, Any]], subject: Mapping[str, Any]) -> Iterator[str]:
    for name, before in subject["updated"].items():
        if name not in there:
            yield f"{name} is gone, as somebody else has removed it"
        elif fingerprint(there[name]["Spec"]) == before:
            yield f"{name} is what it was"
        else:
            yield f"{name} stays as somebody else has changed it"
    for name in subject["created"]:
        yield f"{name}, which was not there before, is removed"


def _refuse_foreign_change(
    deed: Deed, params: Mapping[str, Any], seen: Seen, subject: Mapping[str, Any]
) -> None:
    """Somebody else has written a service while we waited: is it still as the task asked?"""
    services = seen.services_of(params["name"])
    if _left_as(services) == subject["left_as"]:
        return
    rolled_back = {
        f"update service {name}"
        for name, service in services.items()
        if (service.get("UpdateStatus") or {}).get("State") in ROLLBACKS
    }
    due = [
        action.summary
        for action in deed.first(seen).actions
        if action.group in (SERVICES, HEIRS) and action.summary not in rolled_back
    ]
    if due:
        raise NotConverged(
            f"somebody else has changed stack {params['name']} while this task waited for it. "
            f"What there is to do again: {', '.join(due)}"
        )


def facts(name: str, seen: Seen) -> dict[str, Any]:
    """The stack as it was seen last."""
    return {
        "stack": name,
        "services": [
            {
                "name": called,
                "service_id": service["ID"],
                "mode": mode_of(service["Spec"]),
                "image": _stored_image(service),
            }
            for called, service in sorted(seen.services_of(name).items())
        ],
        "networks": sorted(n["Name"] for n in seen.networks if stack_of(n) == name),
        "secrets": sorted(
            item["Spec"]["Name"] for item in seen.secrets if stack_of(item["Spec"]) == name
        ),
        "configs": sorted(
            item["Spec"]["Name"] for item in seen.configs if stack_of(item["Spec"]) == name
        ),
    }
