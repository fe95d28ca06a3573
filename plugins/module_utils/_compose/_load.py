# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From compose files to the canonical document: what `docker stack config` prints of them.

Pure: the caller has parsed the YAML, and reads the files that `files_wanted` names. What a swarm
ignores is not in the document, and each such key is a warning. Everything that is wrong is told at
once, as an InvalidOption with file and path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._environment import resolved
from ansible_collections.shoal.swarm.plugins.module_utils._compose._merge import (
    extended_service,
    merged,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._reading import (
    Findings,
    Place,
    mapping_of,
    read,
)
from ansible_collections.shoal.swarm.plugins.module_utils._compose._schema import DOCUMENT, LATEST
from ansible_collections.shoal.swarm.plugins.module_utils._compose._template import substitute
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

# Compose's own variable for the profiles that are wanted, parted by commas.
_PROFILES = "COMPOSE_PROFILES"


@dataclass(frozen=True)
class Source:
    """A parsed document, and the name that messages call it by."""

    file: str
    body: Any


@dataclass(frozen=True)
class WantedFile:
    """A file that has to be read first."""

    path: str
    # Which part of which document names it.
    where: str
    required: bool = True


@dataclass(frozen=True)
class Loaded:
    """The canonical document, the top-level `name`, and what the user has to be told."""

    document: dict[str, Any]
    name: str | None
    warnings: tuple[str, ...]


def files_wanted(
    sources: Sequence[Source], environment: Mapping[str, str], folder: str
) -> list[WantedFile]:
    """The files that the documents name, with full paths; `load` has the same arguments.

    Files of variables may stand in any document, and those of services that are left out do not
    count; of secrets and configs only those that are left after documents were merged do.
    """
    findings = Findings()
    documents = _read(sources, environment, folder, findings)
    findings.raise_errors()
    whole = _merged(documents)
    active = _active(whole["services"], environment)
    wanted = [
        WantedFile(entry["path"], str(entry["place"]), entry["required"])
        for document in documents
        for name, service in document["services"].items()
        if name in active
        for entry in service.get("env_file", [])
    ]
    for section in ("secrets", "configs"):
        # The last one has replaced those before it.
        origin = {name: s.file for s, d in zip(sources, documents) for name in d.get(section, {})}
        for name, definition in whole.get(section, {}).items():
            if "file" in definition:
                where = f"{origin[name]}: {section}.{name}.file"
                wanted.append(WantedFile(definition["file"], where))
    return list({file.path: file for file in sorted(wanted, key=_optional_first)}.values())


def _optional_first(file: WantedFile) -> bool:
    return file.required


def load(
    sources: Sequence[Source],
    environment: Mapping[str, str],
    folder: str,
    files: Mapping[str, bytes],
    strict: bool = False,
) -> Loaded:
    """The canonical document of the sources, the later ones over the earlier ones.

    `environment` has the variables, `folder` is the first file's, to which paths are relative, and
    `files` has the contents of `files_wanted` by path. With `strict` a variable that is not set is
    an error, and not a warning.
    """
    findings = Findings()
    documents = _read(sources, environment, folder, findings)
    active = _active(_merged(documents)["services"], environment)
    for document in documents:
        document["services"] = {
            name: resolved(service, environment, files) if name in active else service
            for name, service in document["services"].items()
        }
    for name, place in findings.unset.items():
        message = f"the variable {name} is not set"
        if strict:
            place.refuse(message)
        else:
            place.warn(f"{message}, and nothing stands in its place")
    findings.raise_errors()
    whole = _merged(documents)
    whole["services"] = _active(whole["services"], environment)
    name = whole.pop("name", None)
    return Loaded(whole, name, tuple(dict.fromkeys(findings.warnings)))


def _read(
    sources: Sequence[Source], environment: Mapping[str, str], folder: str, findings: Findings
) -> list[dict[str, Any]]:
    """Each document for itself, with the variables replaced and all its values read."""
    documents: list[dict[str, Any]] = []
    versions: dict[str, str] = {}
    for source in sources:
        place = Place(source.file, "", folder, environment, findings)
        document = read(_document, source.body, place) or {"services": {}}
        documents.append(document)
        if "version" in document:
            versions.setdefault(document["version"], source.file)
    if len(versions) > 1:
        told = " and ".join(f"{version} ({file})" for version, file in versions.items())
        findings.errors.append(f"files that are merged have one version, not {told}")
    return documents


def _document(body: Any, place: Place) -> dict[str, Any]:
    if isinstance(body, Mapping):
        # The user's own extensions, whose YAML anchors have done their work.
        body = {key: item for key, item in body.items() if not str(key).startswith("x-")}
    written = _interpolated(body, place)
    document: dict[str, Any] = DOCUMENT(written, place)
    services = document.get("services", {})
    bodies = mapping_of(written["services"]) if services else {}
    return {
        **document,
        "services": {name: _extended(name, services, bodies, (), place) for name in services},
    }


def _interpolated(value: Any, place: Place) -> Any:
    """The value with the variables in it replaced; keys stay as they are."""
    if isinstance(value, str):
        return _substituted(value, place)
    if isinstance(value, Mapping):
        return {key: _interpolated(item, place.at(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_interpolated(item, place.at(n)) for n, item in enumerate(value)]
    return value


def _substituted(text: str, place: Place) -> str:
    def unset(name: str) -> None:
        place.findings.unset.setdefault(name, place)

    try:
        text.encode()
        return substitute(text, place.environment.get, unset)
    except UnicodeEncodeError:
        # YAML can escape half of a character, which no text of the API can hold.
        place.refuse("has a character that is not Unicode")
        return ""
    except InvalidOption as error:
        place.refuse(error)
        return text


def _extended(
    name: str,
    services: Mapping[str, Any],
    bodies: Mapping[str, Any],
    extending: tuple[str, ...],
    place: Place,
) -> dict[str, Any]:
    """The service over the one that it extends; `bodies` are the services as they are written."""
    service = dict(services[name])
    base = service.pop("extends", None)
    if base is None:
        return service
    here = place.at("services").at(name).at("extends")
    if base in (*extending, name):
        cycle = " extends ".join((*extending, name, base))
        here.refuse(f"goes round in a circle: {cycle}")
        return service
    if base not in services:
        here.refuse(f"there is no service '{base}' in this file")
        return service
    beneath = _extended(base, services, bodies, (*extending, name), place)
    return extended_service(beneath, service, bodies[name])


def _merged(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All documents in one; it has the first version that is written, and the last name."""
    whole: dict[str, Any] = {"version": LATEST, "services": {}}
    for number, document in enumerate(documents):
        whole = merged(whole, document) if number else {**whole, **document}
        whole.update({key: document[key] for key in ("version", "name") if key in document})
    return whole


def _active(services: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Without the services of profiles that nobody asked for, as Compose has it."""
    asked = {profile.strip() for profile in environment.get(_PROFILES, "").split(",")}
    active = {}
    for name, service in services.items():
        profiles = service.get("profiles")
        if not profiles or "*" in asked or asked.intersection(profiles):
            active[name] = {key: value for key, value in service.items() if key != "profiles"}
    return active
