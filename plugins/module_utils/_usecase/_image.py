# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which digest a tag means now. As with the CLI it is the client who asks, not the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._client import Engine
from ansible_collections.shoal.swarm.plugins.module_utils._errors import EngineError, InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._image import (
    DOCKER_HUB,
    image,
    is_same,
)

ALWAYS, CHANGED, NEVER = "always", "changed", "never"
# docker_swarm_service knows only yes and no.
RESOLUTIONS = {
    **{text: text for text in (ALWAYS, CHANGED, NEVER)},
    **dict.fromkeys(("true", "yes", "on"), ALWAYS),
    **dict.fromkeys(("false", "no", "off"), NEVER),
}
_HUB_ADDRESS = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Manifest:
    """What the registry says of an image, or why it says nothing."""

    digest: str = ""
    platforms: tuple[Mapping[str, str], ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Pinned:
    """The image to store, with its digest; empty where that is simply what the task gives."""

    image: str = ""
    platforms: tuple[Mapping[str, str], ...] = ()
    warning: str = ""


class Registry:
    """Asks the registries, through the engine, once for each image."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._answers: dict[str, Manifest] = {}

    def ask(self, name: str, auth: str) -> Manifest:
        if name not in self._answers:
            try:
                answer = self._engine.distribution(name, auth)
            except EngineError as error:
                self._answers[name] = Manifest(error=str(error))
            else:
                self._answers[name] = manifest(answer)
        return self._answers[name]


def manifest(answer: Mapping[str, Any]) -> Manifest:
    """The digest, and the platforms that a node may have to run the image."""
    platforms = []
    for given in answer.get("Platforms") or []:
        system, architecture = given.get("os", ""), given.get("architecture", "")
        # Nodes tell ARM's variants by other names than images do (swarmkit#2294), and attestations
        # are listed as a platform that is unknown. Both as the CLI has it.
        platform = (
            {"OS": system}
            if architecture.lower() == "arm"
            else {
                "Architecture": architecture,
                "OS": system,
            }
        )
        if "unknown" not in (system, architecture) and platform not in platforms:
            platforms.append(platform)
    return Manifest(answer["Descriptor"]["digest"], tuple(platforms))


def pin(given: str, stored: str, resolve: str, ask: Callable[[str], Manifest]) -> Pinned:
    """What to store for the image that the task gives, where `stored` is there now.

    A registry that does not answer never takes the digest from a service that has one. One that
    has none keeps it so, for to pin it restarts its tasks; but that is told at each run.
    """
    if not given or resolve == NEVER:
        return Pinned()
    if resolve == CHANGED and is_same(stored, given):
        if image(stored).digest:
            return Pinned()
        return Pinned(
            warning=f"{stored} is stored without a digest, so that nodes may run different images "
            "of that name: resolve_image: always looks it up and restarts the tasks with it, and "
            "resolve_image: never says that it is meant so"
        )
    wanted = image(given)
    seen = ask(wanted.text)
    if not seen.error:
        pinned = wanted if wanted.digest else wanted.pinned(seen.digest)
        return Pinned(pinned.text, seen.platforms)
    consequence = (
        "the service keeps the image that it has"
        if is_same(stored, given)
        else "each node takes the image that it finds by this name"
    )
    return Pinned(warning=f"the digest of {wanted.text} is not known, {consequence}: {seen.error}")


def resolution(text: str) -> str:
    """The option resolve_image, which may be a boolean as well."""
    lowered = text.lower()
    if lowered not in RESOLUTIONS:
        raise InvalidOption(f"resolve_image is always, changed or never, not '{text}'")
    return RESOLUTIONS[lowered]


def credentials(
    engine: Engine, name: str, login: Mapping[str, str] | None, of_this_host: bool
) -> str:
    """The registry's credentials as the engine takes them: given, or of this host; or none."""
    if not name or not (login or of_this_host):
        return ""
    registry = image(name).registry
    address = _HUB_ADDRESS if registry == DOCKER_HUB else registry
    return engine.registry_auth(address if login else registry, login)
