# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets and configs in versions, as their content can never be changed: all pure.

The first version has the name itself, and is just what the CLI would make; what has other content
comes beside it as `NAME_v2`, with its number in a label. The content of a secret cannot be read
back, so its digest is kept in a label: salted and slow, for who may list secrets shall not be able
to guess at them.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    OWN_LABELS,
    labels_beside,
)

VERSION_OF = f"{OWN_LABELS}version_of"
VERSION = f"{OWN_LABELS}version"
DIGEST = f"{OWN_LABELS}digest"
# What community.docker's docker_secret keeps: a plain hash, which is easily guessed at.
PEER_DIGEST = "ansible_key"
_LABELS = labels_beside()
SALT_BYTES = 16
LONGEST_NAME = 64

# Rounds of PBKDF2: some hundredths of a second for each secret, which every run pays.
_ROUNDS = 100_000
_HASH = "sha256"

# What a secret of somebody else is taken to hold: what the engine says, or what is asked.
VERIFY, ASSUME_SAME = "verify", "assume_same"

Document = Mapping[str, Any]


class Content(Enum):
    """Whether a stored secret or config holds what is wanted."""

    SAME = "same"
    OTHER = "other"
    # A secret that somebody else has made: nobody can read it.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Choice:
    """The version to use: one that is there (`stored`), or the one that `spec` will make.

    `spec` has the labels that it shall have. Of a secret that is there it has the data only where
    that may have to be compared.
    """

    stored: Document | None
    spec: dict[str, Any]
    content: Content

    @property
    def name(self) -> str:
        return str(self.spec["Name"])

    @property
    def relabelled(self) -> bool:
        if self.stored is None:
            return False
        return shared_labels(self.stored["Spec"]) != shared_labels(self.spec)


def choose(spec: Document, objects: Sequence[Document]) -> Choice:
    """The newest version that has the wanted content, or a new one beside all that there are.

    `spec` is that of the first version, with its data in Base64 where it has some; `objects` are
    all secrets or all configs of the swarm.
    """
    found = versions(spec["Name"], objects)
    for age, stored in enumerate(reversed(found)):
        content = compare(spec, stored["Spec"])
        # What nobody can read may be what is wanted, but not where it has a successor.
        if content is Content.SAME or (content is Content.UNKNOWN and age == 0):
            return Choice(stored, {**spec, **_named(spec, stored["Spec"])}, content)
    return new_version(spec, objects)


def new_version(spec: Document, objects: Sequence[Document]) -> Choice:
    """The next version, whatever those that there are hold."""
    found = versions(spec["Name"], objects)
    if not found:
        return Choice(None, dict(spec), Content.OTHER)
    # The engine tells names apart without regard to case.
    taken = {item["Spec"]["Name"].lower() for item in objects}
    number = number_of(found[-1]["Spec"]) + 1
    while f"{spec['Name']}_v{number}".lower() in taken:
        number += 1
    name = f"{spec['Name']}_v{number}"
    if len(name) > LONGEST_NAME:
        raise InvalidOption(
            f"{spec['Name']}: its content has changed, so it needs a new version, and the name "
            f"{name} has more than the {LONGEST_NAME} characters that the engine takes: shorten it"
        )
    labels = {**shared_labels(spec), VERSION_OF: spec["Name"], VERSION: str(number)}
    return Choice(None, {**spec, "Name": name, "Labels": labels}, Content.OTHER)


def versions(name: str, objects: Sequence[Document]) -> list[Document]:
    """All versions of the secret or config, the oldest first."""
    found = [
        item
        for item in objects
        if item["Spec"]["Name"] == name or _labels(item["Spec"]).get(VERSION_OF) == name
    ]
    return sorted(found, key=lambda item: number_of(item["Spec"]))


def outdated(
    choice: Choice, objects: Sequence[Document], keep: int, in_use: Collection[str]
) -> list[Document]:
    """The versions before the chosen one that are to go: all but the `keep` newest of them, and
    but those whose ID is in use."""
    found = versions(base_of(choice.spec), objects)
    others = [item for item in found if item["Spec"]["Name"] != choice.name]
    return [item for item in others[: max(0, len(others) - keep)] if item["ID"] not in in_use]


def number_of(spec: Document) -> int:
    """The number of a version; the first one carries none."""
    text = _labels(spec).get(VERSION, "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 1


def base_of(spec: Document) -> str:
    """The name that all its versions share, which is that of the first."""
    return _labels(spec).get(VERSION_OF) or str(spec["Name"])


def shared_labels(spec: Document) -> dict[str, str]:
    """The labels that are not our own."""
    return dict(_LABELS.canonical(_labels(spec)))


def compare(wanted: Document, stored: Document) -> Content:
    """Whether the stored object has the wanted content: the data, the driver and the template."""
    if any(wanted.get(part) != (stored.get(part) or None) for part in ("Driver", "Templating")):
        return Content.OTHER
    data = wanted.get("Data")
    if data is None:
        return Content.SAME
    if stored.get("Data") is not None:
        return Content.SAME if stored["Data"] == data else Content.OTHER
    labels = _labels(stored)
    if DIGEST in labels:
        is_same = is_digest_of(labels[DIGEST], data)
    elif PEER_DIGEST in labels:
        is_same = hashlib.sha224(base64.b64decode(data)).hexdigest() == labels[PEER_DIGEST]
    else:
        return Content.UNKNOWN
    return Content.SAME if is_same else Content.OTHER


def digest(data: str, salt: bytes) -> str:
    """What is kept of the content (Base64) of a secret, so that it can be recognised."""
    return ":".join((base64.b64encode(salt).decode(), _slow_hash(data, salt)))


def recognisable(spec: Document, salt: bytes) -> dict[str, Any]:
    """The secret with a digest of its content in its labels, where it has content."""
    if spec.get("Data") is None:
        return dict(spec)
    return {**spec, "Labels": {**_labels(spec), DIGEST: digest(spec["Data"], salt)}}


def is_digest_of(kept: str, data: str) -> bool:
    salt, _colon, expected = kept.partition(":")
    try:
        raw = base64.b64decode(salt, validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(_slow_hash(data, raw).encode(), expected.encode())


# Asked for again with each look at the swarm.
@functools.cache
def _slow_hash(data: str, salt: bytes) -> str:
    content = base64.b64decode(data)
    return base64.b64encode(hashlib.pbkdf2_hmac(_HASH, content, salt, _ROUNDS)).decode()


def _named(spec: Document, stored: Document) -> dict[str, Any]:
    """The name and labels of a version that is there, with the wanted labels."""
    labels = _LABELS.combine(_labels(stored), shared_labels(spec))
    return {"Name": stored["Name"], "Labels": labels}


def _labels(spec: Document) -> Mapping[str, str]:
    return spec.get("Labels") or {}
