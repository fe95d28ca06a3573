# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image a service gets: digests, tags that move, and a registry that is down or locked."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Engine, Lab, until

USER, PASSWORD = "deployer", "hush"
# The password's bcrypt hash.
HASH = "$2b$05$abcdefghijklmnopqrstuulzd.YqjLDl8lvpSmVj3De/fioSBHnUa"


def answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def image_of(engine: Engine, name: str) -> str:
    return str(engine.inspect(name)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])


def move(lab: Lab, tag: str) -> None:
    """Make web:moving the image web:TAG."""
    lab.on(
        "registry",
        "skopeo copy --src-tls-verify=false --dest-tls-verify=false "
        f"docker://localhost:5000/web:{tag} docker://localhost:5000/web:moving",
    )


@pytest.fixture
def moving(engine: Engine, lab: Lab, name: str) -> str:
    """A service whose tag means another image by now."""
    move(lab, "1")
    engine.service(name, image=f"{engine.registry}/web:moving")
    move(lab, "2")
    return f"{engine.registry}/web:moving"


def test_a_tag_that_has_moved(engine: Engine, name: str, moving: str) -> None:
    old, tasks = image_of(engine, name), engine.task_ids(name)
    assert old.startswith(f"{moving}@sha256:")
    for resolve in ("changed", "never", "no"):
        assert not engine.service(name, image=moving, resolve_image=resolve)["changed"]
    assert (image_of(engine, name), engine.task_ids(name)) == (old, tasks)
    assert engine.service(name, image=moving, resolve_image="always")["changed"]
    new = image_of(engine, name)
    assert new.startswith(f"{moving}@sha256:")
    assert new != old
    assert not engine.service(name, image=moving, resolve_image=True)["changed"]


@pytest.fixture
def registry_down(engine: Engine, lab: Lab, moving: str) -> Iterator[str]:
    host, port = engine.registry.split(":")
    lab.on("registry", "sudo systemctl stop docker-registry")
    yield moving
    lab.on("registry", "sudo systemctl start docker-registry")
    until(lambda: answers(host, int(port)))


def test_a_registry_that_is_down(engine: Engine, name: str, registry_down: str) -> None:
    """It takes no digest away, and restarts nothing."""
    before = engine.inspect(name)["Version"], image_of(engine, name), engine.task_ids(name)
    for resolve in ("changed", "always", "never"):
        result = engine.service(name, image=registry_down, resolve_image=resolve)
        assert not result["changed"]
        assert bool(result.get("warnings")) is (resolve == "always")
    after = engine.inspect(name)["Version"], image_of(engine, name), engine.task_ids(name)
    assert after == before
    result = engine.service(name, image=registry_down, resolve_image="always", replicas=2)
    assert "the service keeps the image that it has" in str(result["warnings"])
    assert image_of(engine, name) == before[1]
    assert before[2] < engine.task_ids(name)


@pytest.fixture(scope="module")
def private(lab: Lab) -> Iterator[str]:
    """The lab's registry once more, on port 5001, where it asks for a password."""
    configuration = lab.on("registry", "cat /etc/docker/registry/config.yml")
    locked = configuration.replace(":5000", ":5001") + (
        "auth: {htpasswd: {realm: lab, path: /tmp/htpasswd}}\n"
    )
    for path, text in (("/tmp/htpasswd", f"{USER}:{HASH}\n"), ("/tmp/locked.yml", locked)):
        encoded = base64.b64encode(text.encode()).decode()
        lab.on("registry", f"echo {encoded} | base64 --decode | sudo tee {path}")
    serve = "systemd-run --unit locked-registry docker-registry serve /tmp/locked.yml"
    lab.on("registry", f"sudo {serve}")
    yield "5001"
    lab.on("registry", "sudo systemctl stop locked-registry")


@pytest.fixture
def locked_image(engine: Engine, private: str) -> str:
    host = engine.registry.partition(":")[0]
    until(lambda: answers(host, int(private)))
    return f"{host}:{private}/web:1"


def test_without_a_password(engine: Engine, name: str, locked_image: str) -> None:
    said = engine.refused_once(name, "rejected", image=locked_image)
    assert f"No such image: {locked_image}" in said or "no basic auth credentials" in said


def test_with_a_password(engine: Engine, name: str, locked_image: str) -> None:
    login = {"username": USER, "password": PASSWORD}
    result = engine.service(name, image=locked_image, registry_auth=login)
    assert image_of(engine, name).startswith(f"{locked_image}@sha256:")
    del result["invocation"]
    assert PASSWORD not in json.dumps(result)
    assert not engine.service(name, image=locked_image, registry_auth=login)["changed"]
    # An update without credentials keeps those that the service has.
    assert engine.service(name, image=locked_image, env={"A": "b"})["changed"]


def test_with_the_password_of_the_docker_configuration(
    engine: Engine, name: str, locked_image: str, tmp_path: Path, monkeypatch: Any
) -> None:
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    registry = locked_image.partition("/")[0]
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry: {"auth": login}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    engine.service(name, image=locked_image, with_registry_auth=True)
    assert image_of(engine, name).startswith(f"{locked_image}@sha256:")
