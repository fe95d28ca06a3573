# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._image import image, is_same
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._image import (
    ALWAYS,
    CHANGED,
    NEVER,
    Manifest,
    Pinned,
    manifest,
    pin,
    resolution,
)

ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.mark.parametrize(
    ("written", "registry", "stored"),
    [
        ("redis", "docker.io", "redis:latest"),
        ("redis:7", "docker.io", "redis:7"),
        ("library/redis", "docker.io", "redis:latest"),
        ("docker.io/redis", "docker.io", "redis:latest"),
        ("docker.io/library/redis:7", "docker.io", "redis:7"),
        ("index.docker.io/library/redis:7", "docker.io", "redis:7"),
        ("ann/app", "docker.io", "ann/app:latest"),
        ("docker.io/ann/app:1", "docker.io", "ann/app:1"),
        ("library/ann/app", "docker.io", "library/ann/app:latest"),
        ("registry.example.com/app", "registry.example.com", "registry.example.com/app:latest"),
        (
            "registry.example.com/library/app",
            "registry.example.com",
            "registry.example.com/library/app:latest",
        ),
        ("registry:5000/app", "registry:5000", "registry:5000/app:latest"),
        ("registry:5000/a/b/c:1.2", "registry:5000", "registry:5000/a/b/c:1.2"),
        ("localhost/app", "localhost", "localhost/app:latest"),
        ("Registry/app", "Registry", "Registry/app:latest"),
        (f"redis@{ONE}", "docker.io", f"redis@{ONE}"),
        (f"redis:7@{ONE}", "docker.io", f"redis:7@{ONE}"),
        (f"registry:5000/app@{ONE}", "registry:5000", f"registry:5000/app@{ONE}"),
    ],
)
def test_a_name_is_stored_in_the_familiar_form_with_its_tag(
    written: str, registry: str, stored: str
) -> None:
    assert (image(written).registry, image(written).text) == (registry, stored)
    assert image(stored) == image(written)


def test_a_digest_is_put_to_the_tag_and_taken_from_it() -> None:
    assert image("redis").pinned(ONE).text == f"redis:latest@{ONE}"
    assert image(f"redis:7@{ONE}").unpinned.text == "redis:7"
    assert image(f"redis@{ONE}").unpinned.text == "redis:latest"


@pytest.mark.parametrize(
    ("stored", "given", "same"),
    [
        ("redis:7", "redis:7", True),
        (f"redis:7@{ONE}", "redis:7", True),
        (f"redis:7@{ONE}", "docker.io/library/redis:7", True),
        (f"redis:latest@{ONE}", "redis", True),
        (f"redis:7@{ONE}", f"redis:7@{ONE}", True),
        (f"redis@{ONE}", f"redis@{ONE}", True),
        (f"redis:7@{ONE}", f"redis:7@{OTHER}", False),
        ("redis:7", f"redis:7@{ONE}", False),
        (f"redis:7@{ONE}", "redis:8", False),
        (f"redis:7@{ONE}", "redis", False),
        # Which tag it was is not known.
        (f"redis@{ONE}", "redis", False),
        (f"redis:7@{ONE}", "registry:5000/redis:7", False),
        (f"redis:7@{ONE}", "ann/redis:7", False),
        ("", "redis", False),
        ("redis", "", False),
        ("", "", True),
    ],
)
def test_a_digest_that_was_pinned_is_no_difference(stored: str, given: str, same: bool) -> None:
    assert is_same(stored, given) is same


# What the registry says


def test_of_a_manifest_there_are_the_digest_and_the_platforms_that_nodes_have() -> None:
    answer = {
        "Descriptor": {"digest": ONE, "mediaType": "application/vnd.oci.image.index.v1+json"},
        "Platforms": [
            {"architecture": "amd64", "os": "linux"},
            {"architecture": "arm", "os": "linux", "variant": "v6"},
            {"architecture": "arm", "os": "linux", "variant": "v7"},
            {"architecture": "arm64", "os": "linux", "variant": "v8"},
            {"architecture": "unknown", "os": "unknown"},
            {"architecture": "amd64", "os": "windows", "os.version": "10.0.1"},
            {"architecture": "amd64", "os": "windows", "os.version": "10.0.2"},
        ],
    }
    assert manifest(answer) == Manifest(
        ONE,
        (
            {"Architecture": "amd64", "OS": "linux"},
            # As any variant of it.
            {"OS": "linux"},
            {"Architecture": "arm64", "OS": "linux"},
            {"Architecture": "amd64", "OS": "windows"},
        ),
    )
    assert manifest({"Descriptor": {"digest": ONE}, "Platforms": None}) == Manifest(ONE)


def telling(**digests: str) -> Callable[[str], Manifest]:
    def ask(name: str) -> Manifest:
        key = name.partition("@")[0].replace(":", "_")
        return Manifest(digests[key]) if key in digests else Manifest(error="no answer")

    return ask


def never_asked(name: str) -> Manifest:
    raise AssertionError(f"asked for {name}")


@pytest.mark.parametrize(
    ("given", "stored", "resolve"),
    [
        ("", f"web:1@{ONE}", ALWAYS),
        ("", "", ALWAYS),
        ("web:2", f"web:1@{ONE}", NEVER),
        ("web:1", "", NEVER),
        ("web:1", f"web:1@{ONE}", CHANGED),
        ("web:1", "web:1", NEVER),
        (f"web:1@{ONE}", f"web:1@{ONE}", CHANGED),
    ],
)
def test_nobody_is_asked_where_there_is_nothing_to_know(
    given: str, stored: str, resolve: str
) -> None:
    assert pin(given, stored, resolve, never_asked) == Pinned()


def test_an_image_that_was_never_pinned_stays_so_with_a_warning() -> None:
    pinned = pin("web:1", "web:1", CHANGED, never_asked)
    assert pinned.image == ""
    assert pinned.warning.startswith("web:1 is stored without a digest")


@pytest.mark.parametrize(
    ("given", "stored", "resolve", "image_to_store"),
    [
        ("web:1", "", CHANGED, f"web:1@{ONE}"),
        ("docker.io/library/web:1", "", ALWAYS, f"web:1@{ONE}"),
        ("web:1", f"web:1@{OTHER}", ALWAYS, f"web:1@{ONE}"),
        ("web:1", f"web:0@{OTHER}", CHANGED, f"web:1@{ONE}"),
        # A digest that is given stays.
        (f"web:1@{OTHER}", f"web:1@{ONE}", CHANGED, f"web:1@{OTHER}"),
    ],
)
def test_a_tag_becomes_the_digest_that_it_means(
    given: str, stored: str, resolve: str, image_to_store: str
) -> None:
    assert pin(given, stored, resolve, telling(web_1=ONE)) == Pinned(image_to_store)


@pytest.mark.parametrize(
    ("stored", "consequence"),
    [
        (f"web:1@{ONE}", "the service keeps the image that it has"),
        ("web:1", "the service keeps the image that it has"),
        (f"web:0@{ONE}", "each node takes the image that it finds by this name"),
        ("", "each node takes the image that it finds by this name"),
    ],
)
def test_without_an_answer_the_task_goes_on_and_says_how(stored: str, consequence: str) -> None:
    assert pin("web:1", stored, ALWAYS, telling()) == Pinned(
        warning=f"the digest of web:1 is not known, {consequence}: no answer"
    )


@pytest.mark.parametrize(
    ("given", "resolve"),
    [
        ("always", ALWAYS),
        ("Always", ALWAYS),
        ("changed", CHANGED),
        ("never", NEVER),
        ("True", ALWAYS),
        ("yes", ALWAYS),
        ("False", NEVER),
        ("no", NEVER),
    ],
)
def test_a_boolean_is_always_or_never(given: str, resolve: str) -> None:
    assert resolution(given) == resolve


@pytest.mark.parametrize("given", ["", "once", "1"])
def test_any_other_resolution_is_refused(given: str) -> None:
    with pytest.raises(
        InvalidOption, match=f"^resolve_image is always, changed or never, not '{given}'"
    ):
        resolution(given)
