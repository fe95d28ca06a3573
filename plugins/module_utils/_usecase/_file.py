# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make, rotate and remove a secret or a config: files that services mount.

The engine changes nothing of them but labels. Other content is a new version beside the old one
(`rolling_versions`), or takes the old one's place where no service uses that.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._compose._refusals import refuse_file
from ansible_collections.shoal.swarm.plugins.module_utils._errors import (
    InUse,
    InvalidOption,
    OutOfSequence,
    Refused,
)
from ansible_collections.shoal.swarm.plugins.module_utils._membership import (
    membership,
    require_manager,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action, Plan
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import (
    STACK_LABELS,
    references,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    CHANGED_SECRET,
    MAPPING,
    OWN_LABELS,
    SECRET,
    Row,
    labels_beside,
    refuse_older_api,
    wanted,
)
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._reconcile import (
    Outcome,
    Run,
    first_look,
    reconcile,
)
from ansible_collections.shoal.swarm.plugins.module_utils._versions import (
    ASSUME_SAME,
    DIGEST,
    PEER_DIGEST,
    SALT_BYTES,
    VERIFY,
    VERSION,
    VERSION_OF,
    Choice,
    Content,
    choose,
    compare,
    new_version,
    number_of,
    outdated,
    recognisable,
    versions,
)

PRESENT, ABSENT = "present", "absent"
STATES = (PRESENT, ABSENT)

# The options that secrets and configs share.
FILE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "default": PRESENT, "choices": list(STATES)},
    "data_is_b64": {"type": "bool", "default": False},
    "data_src": {"type": "path"},
    "labels": {"type": "dict"},
    "force": {"type": "bool", "default": False},
    "rolling_versions": {"type": "bool", "default": False},
    "versions_to_keep": {"type": "int", "default": 5},
    "template_driver": {"type": "str", "choices": ["golang"]},
}
# The API versions that brought them; older engines drop them without a word.
_SINCE = {"driver": "1.31", "template_driver": "1.37"}
# The label in which docker_secret and docker_config keep the number of a version.
_PEER_VERSION = "ansible_version"
_REMEMBERED = (OWN_LABELS, PEER_DIGEST, _PEER_VERSION)
_LABELS = labels_beside(STACK_LABELS, own=_REMEMBERED)
_ROWS = (Row("labels", _LABELS), Row("driver_options", MAPPING))

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """What tells secrets from configs."""

    noun: str
    objects: Callable[[Engine], list[dict[str, Any]]]
    # The content as it is shown, and what it is shown as where it is another one before.
    shown: Callable[[str], str]
    shown_changed: Callable[[str], str]


def _size_and_digest(data: str) -> str:
    """Enough to see that two differ: a config may hold what no log should."""
    content = base64.b64decode(data)
    return f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()[:12]}"


SECRETS = Kind("secret", Engine.secrets, lambda _data: SECRET, lambda _data: CHANGED_SECRET)
CONFIGS = Kind("config", Engine.configs, _size_and_digest, _size_and_digest)


@dataclass(frozen=True)
class Seen:
    """All secrets or all configs of the swarm, and the services that may use them.

    `holds` tells of secrets by ID what the engine says: whether they hold what is asked.
    """

    objects: Sequence[Document]
    services: Sequence[Document]
    holds: Mapping[str, bool] = field(default_factory=dict)

    def users(self, item: Document) -> list[str]:
        """Names of the services whose specs refer to it."""
        return sorted(
            service["Spec"]["Name"]
            for service in self.services
            if item["ID"] in references(service["Spec"])
        )

    def in_use(self) -> set[str]:
        """The IDs of all that a service refers to, be it in the spec that it may roll back to."""
        return {
            reference
            for service in self.services
            for spec in (service["Spec"], service.get("PreviousSpec") or {})
            for reference in references(spec)
        }


@dataclass(frozen=True)
class Task:
    """What is asked for; `spec` is that of the first version, without labels."""

    kind: Kind
    spec: Document
    labels: Mapping[str, str] | None
    params: Mapping[str, Any]
    # The versions at the first look: with `force` none of them will do, and what comes in the place
    # of the last one has its labels.
    first: Sequence[Document] = ()

    @property
    def name(self) -> str:
        return str(self.spec["Name"])


def ensure(
    engine: Engine, kind: Kind, params: Mapping[str, Any], run: Run
) -> tuple[Outcome[Seen], dict[str, Any]]:
    """Carry out the task; the outcome and the facts that it returns."""
    for option, since in _SINCE.items():
        if params.get(option) and params["state"] == PRESENT:
            refuse_older_api(option, since, engine.api_version)
    task = _task(kind, params)
    require_manager(membership(engine.info()))

    def observe() -> Seen:
        return _look(engine, task)

    before = first_look(observe, run.clock)
    task = replace(task, first=_versions(task, before))
    decide = decide_absent if params["state"] == ABSENT else decide_present
    operations = _operations(engine, kind)
    outcome = reconcile(engine, observe, lambda seen: decide(task, seen), run, operations, before)
    return outcome, facts(task, outcome)


# What is asked


def _task(kind: Kind, params: Mapping[str, Any]) -> Task:
    spec: dict[str, Any] = {"Name": params["name"], "Labels": {}}
    given = wanted(_ROWS, params)
    if params["state"] == PRESENT:
        if params.get("driver"):
            options = given.get("driver_options")
            spec["Driver"] = {"Name": params["driver"], **({"Options": options} if options else {})}
        else:
            content = _content(params)
            refuse_file(f"{kind.noun}s.{params['name']}", params["name"], content)
            spec["Data"] = base64.b64encode(content).decode()
        if params["template_driver"]:
            spec["Templating"] = {"Name": params["template_driver"]}
    return Task(kind, spec, given.get("labels"), params)


def _content(params: Mapping[str, Any]) -> bytes:
    path = params["data_src"]
    if path:
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise InvalidOption(f"data_src {path} cannot be read: {error.strerror}") from error
    if not params["data_is_b64"]:
        # Ansible carries bytes that are no UTF-8 in this way.
        return str(params["data"]).encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode("".join(params["data"].split()), validate=True)
    except ValueError as error:
        raise InvalidOption(f"data is not Base64, and data_is_b64 says so: {error}") from None


# Looking


def _look(engine: Engine, task: Task) -> Seen:
    objects = [_as_ours(item, task.name) for item in task.kind.objects(engine)]
    seen = Seen(objects, engine.services())
    if task.params["state"] == ABSENT or task.params.get("adopt") != VERIFY:
        return seen
    newest = _versions(task, seen)[-1:]
    unknown = [item for item in newest if compare(task.spec, item["Spec"]) is Content.UNKNOWN]
    return replace(
        seen,
        holds={
            item["ID"]: engine.secret_holds(item["ID"], {**item["Spec"], "Data": task.spec["Data"]})
            for item in unknown
        },
    )


def _as_ours(item: dict[str, Any], name: str) -> dict[str, Any]:
    """A version that docker_secret or docker_config has made is one of ours."""
    labels = item["Spec"].get("Labels") or {}
    number = labels.get(_PEER_VERSION, "")
    if VERSION_OF in labels or item["Spec"]["Name"] != f"{name}_v{number}":
        return item
    labels = {**labels, VERSION_OF: name, VERSION: number}
    return {**item, "Spec": {**item["Spec"], "Labels": labels}}


def _versions(task: Task, seen: Seen) -> list[Document]:
    """The oldest first; without `rolling_versions` the one of that name."""
    if task.params["rolling_versions"]:
        return versions(task.name, seen.objects)
    return [item for item in seen.objects if item["Spec"]["Name"] == task.name]


# Deciding


def decide_present(task: Task, seen: Seen) -> Plan:
    _refuse_other_case(task, seen)
    choice = _choice(task, seen)
    actions = list(_made(task, seen, choice))
    if task.params["rolling_versions"]:
        actions += [_removal(task.kind, item) for item in _stale(task, seen, choice)]
    return Plan(tuple(actions), tuple(_assumptions(task, choice)))


def decide_absent(task: Task, seen: Seen) -> Plan:
    found = _versions(task, seen)
    used = {item["Spec"]["Name"]: seen.users(item) for item in found}
    told = [f"{name} by {_services(users)}" for name, users in used.items() if users]
    if told:
        raise Refused(
            f"{task.kind.noun} {task.name} cannot be removed, for it is in use: {', '.join(told)}. "
            "Nothing has been changed: take it off these services first, or remove them"
        )
    return Plan(tuple(_removal(task.kind, item) for item in found))


def _refuse_other_case(task: Task, seen: Seen) -> None:
    for item in seen.objects:
        name = item["Spec"]["Name"]
        if name != task.name and name.lower() == task.name.lower():
            raise InvalidOption(
                f"there is a {task.kind.noun} {name}, and for the engine that is the same name as "
                f"{task.name}: write it as it is there"
            )


def _choice(task: Task, seen: Seen) -> Choice:
    """The version that there shall be: one that is there or a new one, with its labels."""
    found = _versions(task, seen)
    newest = found[-1] if found else None
    choice = _chosen(task, seen, newest)
    labels = _labels(task, choice, newest or next(reversed(task.first), None))
    return replace(choice, spec={**choice.spec, "Labels": labels})


def _chosen(task: Task, seen: Seen, newest: Document | None) -> Choice:
    rolls = task.params["rolling_versions"]
    if newest is None:
        return Choice(None, dict(task.spec), Content.OTHER)
    if rolls:
        choice = choose(task.spec, seen.objects)
    else:
        content = compare(task.spec, newest["Spec"])
        stored = None if content is Content.OTHER else newest
        choice = Choice(stored, dict(task.spec), content)
    is_other = choice.stored is not None and seen.holds.get(choice.stored["ID"]) is False
    is_old = task.params["force"] and newest["ID"] in [item["ID"] for item in task.first]
    if not is_other and not is_old:
        return choice
    if rolls:
        return new_version(task.spec, seen.objects)
    return Choice(None, dict(task.spec), Content.OTHER)


def _labels(task: Task, choice: Choice, newest: Document | None) -> dict[str, str]:
    """Those that are asked for; where none are, those that there are, or were before."""
    if choice.stored:
        before = choice.stored["Spec"].get("Labels") or {}
    else:
        # What is remembered of one version is not the next one's.
        last = (newest["Spec"].get("Labels") or {}) if newest else {}
        kept = {name: text for name, text in last.items() if not name.startswith(_REMEMBERED)}
        before = {**kept, **choice.spec["Labels"]}
    return dict(before if task.labels is None else _LABELS.combine(before, task.labels))


def _made(task: Task, seen: Seen, choice: Choice) -> Iterator[Action]:
    kind, found = task.kind, _versions(task, seen)
    if choice.stored is not None:
        yield from _update(task, seen, choice, choice.stored)
        return
    newest = found[-1] if found else None
    if newest is not None and not task.params["rolling_versions"]:
        users = seen.users(newest)
        if users:
            why = "force is set" if task.params["force"] else "its content is not what is asked"
            raise Refused(
                f"{kind.noun} {task.name} would have to be replaced, as {why}, and that cannot be "
                f"while it is in use by {_services(users)}. Nothing has been changed: set "
                "rolling_versions: true to make a new version beside it, and give these services "
                f"the {kind.noun}_name that this task returns then"
            )
        yield _removal(kind, newest)
        newest = None
    yield Action(
        f"create {kind.noun} {choice.name}",
        f"{kind.noun}_create",
        {"spec": choice.spec},
        _view(kind, newest["Spec"]) if newest else {},
        {"state": PRESENT, **_view(kind, choice.spec, newest is not None)},
    )


def _update(task: Task, seen: Seen, choice: Choice, item: Document) -> Iterator[Action]:
    """Its labels, and with them the digest that we know a secret of somebody else's by."""
    kind, stored = task.kind, item["Spec"]
    before, after = (_LABELS.canonical(spec.get("Labels")) for spec in (stored, choice.spec))
    if before == after:
        return
    verified = choice.content is Content.UNKNOWN and item["ID"] in seen.holds
    spec = {**stored, "Labels": choice.spec["Labels"]}
    is_known = choice.content is Content.SAME or verified
    if kind is SECRETS and is_known and "Data" in task.spec and DIGEST not in spec["Labels"]:
        # The engine takes the data where it is what the secret has; the digest goes with it.
        theirs = (PEER_DIGEST, _PEER_VERSION)
        labels = {name: text for name, text in spec["Labels"].items() if name not in theirs}
        spec = {**spec, "Data": task.spec["Data"], "Labels": labels}
    yield Action(
        f"update {kind.noun} {choice.name}",
        f"{kind.noun}_update",
        {
            f"{kind.noun}_id": item["ID"],
            "version": item["Version"]["Index"],
            "spec": spec,
        },
        {"labels": before},
        {"labels": after},
    )


def _stale(task: Task, seen: Seen, choice: Choice) -> list[Document]:
    """The old versions that are to go; those in use are left to a later run."""
    keep = task.params["versions_to_keep"]
    if keep < 0:
        return []
    # The current one counts.
    return outdated(choice, seen.objects, max(keep, 1) - 1, seen.in_use())


def _assumptions(task: Task, choice: Choice) -> Iterator[str]:
    if choice.content is Content.UNKNOWN and task.params.get("adopt") == ASSUME_SAME:
        yield (
            f"nobody can read what secret {choice.name} holds, which this module has not made: it "
            "is taken to be what the task says (adopt: verify asks the engine)"
        )


def _removal(kind: Kind, item: Document) -> Action:
    return Action(
        f"remove {kind.noun} {item['Spec']['Name']}",
        f"{kind.noun}_remove",
        {f"{kind.noun}_id": item["ID"]},
        {"state": PRESENT},
        {"state": ABSENT},
    )


def _view(kind: Kind, spec: Document, is_changed: bool = False) -> dict[str, Any]:
    """A secret or config in the options' words."""
    view: dict[str, Any] = {"name": spec["Name"], "labels": _LABELS.canonical(spec.get("Labels"))}
    driver, templating = spec.get("Driver"), spec.get("Templating")
    if driver:
        view.update(driver=driver["Name"], driver_options=driver.get("Options") or {})
    else:
        view["data"] = (kind.shown_changed if is_changed else kind.shown)(spec.get("Data") or "")
    if templating:
        view["template_driver"] = templating["Name"]
    return view


def _services(names: Sequence[str]) -> str:
    return f"{'service' if len(names) == 1 else 'services'} {', '.join(names)}"


# Writing


def _operations(engine: Engine, kind: Kind) -> dict[str, Callable[..., Any]]:
    remove = getattr(engine, f"{kind.noun}_remove")

    def remove_unused(**arguments: str) -> None:
        try:
            remove(**arguments)
        except InUse as error:
            # A service was faster: look again, and decide with it in view.
            raise OutOfSequence(str(error), error.status) from error

    operations: dict[str, Callable[..., Any]] = {f"{kind.noun}_remove": remove_unused}
    if kind is SECRETS:
        operations["secret_create"] = lambda spec: engine.secret_create(_marked(spec))
        operations["secret_update"] = lambda secret_id, version, spec: engine.secret_update(
            secret_id, version, _marked(spec)
        )
    return operations


def _marked(spec: dict[str, Any]) -> dict[str, Any]:
    return recognisable(spec, os.urandom(SALT_BYTES))


# Telling


def facts(task: Task, outcome: Outcome[Seen]) -> dict[str, Any]:
    """The current version, and all that there are."""
    noun, seen = task.kind.noun, outcome.observed
    found = _versions(task, seen)
    listed = {f"{noun}s": [_summary(item, seen) for item in found]}
    if task.params["state"] == ABSENT:
        return listed
    choice = _choice(task, seen)
    stored_id = choice.stored["ID"] if choice.stored else ""
    return {f"{noun}_id": stored_id, f"{noun}_name": choice.name, **listed}


def _summary(item: Document, seen: Seen) -> dict[str, Any]:
    spec = item["Spec"]
    return {
        "id": item["ID"],
        "name": spec["Name"],
        "version": number_of(spec),
        "labels": _LABELS.canonical(spec.get("Labels")),
        "services": seen.users(item),
    }
