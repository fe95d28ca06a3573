# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of images: how people write them, and how `docker service` stores them.

The rules are those of distribution/reference: `redis`, `docker.io/redis` and
`docker.io/library/redis:latest` are one image, and the first form is the familiar one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

DOCKER_HUB = "docker.io"
_HUB_NAMES = (DOCKER_HUB, "index.docker.io")
_OFFICIAL = "library/"
_NO_TAG = "latest"


@dataclass(frozen=True)
class Image:
    """An image's name in its parts; `tag` is empty only where a digest stands in its place."""

    registry: str
    path: str
    tag: str
    digest: str = ""

    @property
    def text(self) -> str:
        """As the CLI stores it: without the parts that Docker Hub lets out."""
        path = self.path
        if self.registry == DOCKER_HUB:
            if path.startswith(_OFFICIAL) and path.count("/") == 1:
                path = path[len(_OFFICIAL) :]
        else:
            path = f"{self.registry}/{path}"
        tag = f":{self.tag}" if self.tag else ""
        return f"{path}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def unpinned(self) -> Image:
        """The same without its digest."""
        return replace(self, digest="", tag=self.tag or _NO_TAG)

    def pinned(self, digest: str) -> Image:
        """The same with the digest that its tag means now."""
        return replace(self, digest=digest)


def image(text: str) -> Image:
    """Take an image's name apart."""
    name, _at, digest = text.partition("@")
    registry, path = _split_registry(name)
    # Not the colon of a registry's port.
    path, _colon, tag = path.partition(":")
    if not tag and not digest:
        tag = _NO_TAG
    if registry == DOCKER_HUB and "/" not in path:
        path = f"{_OFFICIAL}{path}"
    return Image(registry, path, tag, digest)


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    # A first part is a host where it could not be the name of a user on Docker Hub.
    is_host = slash and (
        "." in first or ":" in first or first == "localhost" or first != first.lower()
    )
    if not is_host:
        return DOCKER_HUB, name
    return DOCKER_HUB if first in _HUB_NAMES else first, rest


def is_same(stored: str, given: str) -> bool:
    """Whether the stored image is the one given: a digest that was pinned is no difference."""
    if not stored or not given:
        return stored == given
    one, other = image(stored), image(given)
    if other.digest:
        return one == other
    return one.unpinned == other and bool(one.tag)
