# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only shows from outside a play: two writers at once, and where secrets might end up."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Infra, Lab, finish, run

HERE = Path(__file__).parent
MANAGERS = ("node1", "node2")


def test_two_writers_lose_nothing(infra: Infra, lab: Lab) -> None:
    writers = [
        infra.start(str(HERE / "twenty_labels.yml"), "-e", f"writer={manager}")
        for manager in MANAGERS
    ]
    assert [finish(writer).returncode for writer in writers] == [0, 0]
    labels = lab.nodes("node1")["node1"]["Spec"]["Labels"]
    assert {f"{manager}-{number}" for manager in MANAGERS for number in range(20)} <= set(labels)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A root CA of our own: its certificate and its key."""
    folder = tmp_path_factory.mktemp("ca")
    key, certificate = folder / "ca.key", folder / "ca.crt"
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "3650", "-subj", "/CN=lab root CA"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    return {"ca_cert": certificate.read_text(), "ca_key": key.read_text()}


def secrets_in(text: str, ca: dict[str, str]) -> set[str]:
    """Join tokens, unlock keys and lines of the CA's key."""
    key_lines = [line for line in ca["ca_key"].splitlines() if "PRIVATE KEY" not in line]
    found = set(re.findall(r"SWMTKN-[0-9]-[0-9a-z]+-[0-9a-z]+|SWMKEY-1-[0-9A-Za-z+/]+", text))
    return found | {line for line in key_lines if line in text}


def test_secrets_show_nowhere(infra: Infra, lab: Lab, ca: dict[str, str], tmp_path: Path) -> None:
    variables, log, cache = (tmp_path / name for name in ("ca.json", "ansible.log", "facts"))
    variables.write_text(json.dumps(ca))
    loud = {
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_LOG_PATH": str(log),
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(cache),
    }
    work = infra.play(
        *(str(HERE / "secrets.yml"), "-vvv", "--diff", "-e", f"@{variables}"), environment=loud
    )
    assert work.returncode == 0
    # Both name the options, so this is where a secret would be.
    journals = [lab.on(host, "sudo journalctl --no-pager") for host in ("node1", "node4")]
    assert "join_token" in work.output
    assert "join_token=" in journals[1]
    for place in (work.output, log.read_text(), *journals, *map(Path.read_text, cache.glob("*"))):
        assert secrets_in(place, ca) == set()


def test_a_secret_that_is_asked_for_would_be_found(infra: Infra, ca: dict[str, str]) -> None:
    asked = infra.play(str(HERE / "asked.yml"), "-v")
    assert asked.returncode == 0
    assert len(secrets_in(asked.output, ca)) == 3
