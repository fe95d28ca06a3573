# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack from a playbook: the files beside it, what is shown meanwhile, and what never is."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Engine, Infra, Lab, Recap
from stacks import Stack

pytest_plugins = ("stacks",)

HERE = Path(__file__).parent
MARK = "open-"
ONE, TWO = "one", "two"


@pytest.fixture(scope="module")
def shop(swarm: Engine) -> Iterator[Stack]:
    """The tests of this file take up what the one before has left."""
    stack = Stack(swarm, "shop")
    yield stack
    stack.remove_by_cli()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the playbook and its files, to be changed."""
    return shutil.copytree(HERE / "playbook", tmp_path_factory.mktemp("shop") / "playbook")


def change_files(folder: Path) -> None:
    """Other content for the config and for the secret."""
    (folder / "site.conf").write_text("listen 81;\n")
    password = folder / "password.txt"
    password.write_text(password.read_text().replace(ONE, TWO))


def progress(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("[node1] ")]


def leaks(text: str) -> set[str]:
    """Contents of secrets in any form: as they are, encoded, or packed with other things."""
    found = set(re.findall(r"open-(?:barley|sesame)-\w+", text))
    for word in set(re.findall(r"[A-Za-z0-9+/]{12,}={0,2}", text)):
        try:
            raw = base64.b64decode(word, validate=True)
        except binascii.Error:
            continue
        try:
            raw = zlib.decompress(raw)
        except zlib.error:
            pass
        if MARK.encode() in raw or base64.b64encode(MARK.encode())[:6] in raw:
            found.add(word)
    return found


def test_a_leak_would_be_found() -> None:
    content = b"open-barley-one"
    encoded = base64.b64encode(content).decode()
    packed = base64.b64encode(zlib.compress(f'{{"Data": "{encoded}"}}'.encode())).decode()
    for text in (content.decode(), encoded, packed):
        assert leaks(f"Data={text}, and more")


def test_check_mode_changes_nothing(infra: Infra, folder: Path, shop: Stack) -> None:
    done = infra.play(str(folder / "deploy.yml"), "--check", "--diff")
    assert (done.returncode, done.counts("changed")) == (0, {"node1": 1})
    for what in ("service shop_web", "config shop_site", "secret shop_token", "network shop_front"):
        assert what in done.output
    assert leaks(done.output) == set()
    assert progress(done.output) == []
    assert not shop.exists


def test_it_is_deployed_and_shows_how_it_goes(infra: Infra, folder: Path, shop: Stack) -> None:
    done = subprocess.run(
        ["ansible-playbook", "-i", str(infra.inventory), str(folder / "deploy.yml")],
        cwd=infra.folder,
        env=infra.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert progress(done.stdout) == []
    told = "\n".join(progress(done.stderr))
    assert "service shop_web: 2 of 2 tasks run" in told
    assert "service shop_api: 1 of 1 tasks run" in told
    assert "services shop_api shop_web" in done.stdout
    # The file's variables, the document over it, and the variables that it was written with.
    environment = shop.within("web", "env").splitlines()
    assert {"GREETING=hello from a file", "LEVEL=info"} <= set(environment)
    assert "LEVEL=debug" in shop.within("api", "env").splitlines()
    assert shop.image("web") == shop.engine.web(1)
    assert shop.within("web", "cat /tmp/site.conf") == "listen 80;\n"
    assert shop.within("api", "cat /run/secrets/password /run/secrets/token") == (
        "open-barley-oneopen-sesame-one"
    )


def test_again_nothing_is_changed(infra: Infra, folder: Path, shop: Stack) -> None:
    before = shop.snapshot()
    for arguments in (("--diff",), ("--check", "--diff")):
        done = infra.play(str(folder / "deploy.yml"), *arguments)
        assert (done.returncode, done.counts("changed")) == (0, {"node1": 0})
        assert progress(done.output) == []
    assert shop.snapshot() == before


def test_from_elsewhere_it_is_the_same(infra: Infra, folder: Path, shop: Stack) -> None:
    before = shop.snapshot()
    done = infra.play(str(folder / "others.yml"), "-vvv")
    assert done.returncode == 0
    assert leaks(done.output) == set()
    assert shop.snapshot() == before
    for name in ("shop-blue", "shop-green"):
        assert not Stack(shop.engine, name).exists


def rotated(infra: Infra, folder: Path, *arguments: str) -> Recap:
    token = ("-e", f"token=open-sesame-{TWO}")
    return infra.play(str(folder / "deploy.yml"), "--diff", *token, *arguments)


def test_no_content_of_a_secret_is_shown(infra: Infra, lab: Lab, folder: Path, shop: Stack) -> None:
    change_files(folder)
    checked = rotated(infra, folder, "--check")
    done = rotated(infra, folder, "-vvv")
    assert (checked.returncode, done.returncode) == (0, 0)
    assert shop.within("api", "cat /run/secrets/password /run/secrets/token") == (
        "open-barley-twoopen-sesame-two"
    )
    for output in (checked.output, done.output):
        for what in ("config shop_site_v2", "secret shop_password_v2", "secret shop_token_v2"):
            assert f"create {what}" in output
    journal = lab.on("node1", "sudo journalctl --no-pager")
    assert "shoal.swarm.stack" in journal or "ansible-stack" in journal
    for place in (checked.output, done.output, journal):
        assert leaks(place) == set()


def test_it_is_removed(infra: Infra, folder: Path, shop: Stack) -> None:
    done = infra.play(str(folder / "deploy.yml"), "-e", "state=absent")
    assert (done.returncode, done.counts("changed")) == (0, {"node1": 1})
    assert progress(done.output)
    assert not shop.exists
