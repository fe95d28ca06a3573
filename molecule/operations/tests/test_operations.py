# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a swarm goes through in its life, while clients use it. The tests build on each other."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CHECKOUT, Infra, Lab, Recap, changed_hosts, run, timed, until

MANAGERS = ["node1", "node2", "node3"]
WORKERS = ["node4", "node5"]
HOSTS = MANAGERS + WORKERS
REMEMBERED = "shoal.swarm/availability"
RESTORE = ["restore", "-e", "restore_host=node1", "-e", "maintenance_backup=none.tar.gz"]
SEAL = "sudo sha256sum /var/lib/docker/swarm/certificates/swarm-node.key"

# It answers for a while after it was told to stop, to those who looked its address up before.
SERVE = """sh -c 'serve & server=$$!; trap "sleep 3; kill $$server" TERM; wait; wait'"""
ASK = (
    """sh -c 'while sleep 0.2; do wget -q -T 2 -O /dev/null http://web:8080/ || echo lost; done'"""
)
DEPLOY = {
    "replicas": 2,
    # Traffic to a virtual address needs ip_vs, which the lab's hosts do not have.
    "endpoint_mode": "dnsrr",
    "update_config": {"order": "start-first", "monitor": "2s"},
}
HEALTHY = {"test": "wget -q -O /dev/null http://127.0.0.1:8080/", "interval": "1s"}
SHOP = {
    "services": {
        "web": {
            "image": "{{ lab_registry }}/web:1",
            "command": SERVE,
            "healthcheck": HEALTHY,
            "deploy": DEPLOY,
            "secrets": ["key"],
            "configs": ["site"],
        },
        "client": {"image": "{{ lab_registry }}/web:1", "command": ASK, "deploy": DEPLOY},
    },
    "secrets": {"key": {"environment": "SHOP_KEY"}},
    "configs": {"site": {"content": "open"}},
}
VARIABLES = {
    # What the clients said is kept, although they move from node to node.
    "quorum_swarm": {"task_history_retention_limit": 100},
    "stacks_stacks": [{"name": "shop", "compose": SHOP, "env": {"SHOP_KEY": "open sesame"}}],
}


@pytest.fixture(scope="module", autouse=True)
def variables(infra: Infra, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inventory of our own beside the lab's: what the swarm is to be."""
    folder = tmp_path_factory.mktemp("operations") / "inventory"
    shutil.copytree(infra.inventory, folder)
    variables = yaml.safe_load((folder / "group_vars/all.yml").read_text())
    (folder / "group_vars/all.yml").write_text(yaml.safe_dump({**variables, **VARIABLES}))
    (folder / "host_vars").mkdir()
    for host in HOSTS:
        labels = {"quorum_node_labels": {"zone": host}}
        (folder / f"host_vars/{host}.yml").write_text(yaml.safe_dump(labels))
    return folder


@pytest.fixture
def play(infra: Infra, variables: Path) -> Callable[..., Recap]:
    def play(name: str, *arguments: str) -> Recap:
        return infra.play(f"shoal.swarm.{name}", *arguments, inventory=variables)

    return play


@pytest.fixture
def groups(variables: Path) -> Iterator[Callable[..., None]]:
    """Moves hosts between the groups of the inventory, and back after the test."""
    file = variables / "hosts.yml"
    original = file.read_text()

    def move(managers: list[str], workers: list[str]) -> None:
        children = yaml.safe_load(original)["all"]["children"]
        hosts = {**children["swarm_managers"]["hosts"], **children["swarm_workers"]["hosts"]}
        for group, names in (("swarm_managers", managers), ("swarm_workers", workers)):
            children[group]["hosts"] = {name: hosts[name] for name in names}
        inventory = yaml.safe_load(original)
        inventory["all"]["children"] = children
        file.write_text(yaml.safe_dump(inventory))

    yield move
    file.write_text(original)


def manager(lab: Lab) -> str:
    """A host that is a manager now."""
    states = {host: lab.try_on(host, "sudo docker node ls").returncode for host in HOSTS}
    return next(host for host, code in states.items() if code == 0)


def now() -> str:
    # The lab's hosts have this machine's clock.
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def lost(lab: Lab, since: str) -> int:
    """How many requests have failed since then."""
    logs = f"sudo docker service logs --raw --since {since} shop_client 2>&1 || true"
    return lab.on(manager(lab), logs).count("lost")


def running(lab: Lab, host: str) -> list[str]:
    """The containers that run on a host."""
    return lab.on(host, "sudo docker ps --quiet").split()


def assert_whole(lab: Lab, managers: list[str], workers: list[str]) -> None:
    nodes = lab.nodes(managers[0])
    assert {n: node["Status"]["State"] for n, node in nodes.items()} == dict.fromkeys(
        managers + workers, "ready"
    )
    assert {n for n, node in nodes.items() if "ManagerStatus" in node} == set(managers)
    assert {n: node["Spec"]["Availability"] for n, node in nodes.items()} == dict.fromkeys(
        managers + workers, "active"
    )
    assert all(REMEMBERED not in node["Spec"]["Labels"] for node in nodes.values())
    assert {n: node["Spec"]["Labels"]["zone"] for n, node in nodes.items()} == {
        name: name for name in managers + workers
    }
    assert_serves(lab, managers[0])


def assert_serves(lab: Lab, host: str) -> None:
    form = "--format '{{.Name}} {{.Replicas}}'"
    expected = ["shop_client 2/2", "shop_web 2/2"]
    services = f"sudo docker stack services shop {form}"
    until(lambda: sorted(lab.on(host, services).splitlines()) == expected, 120)


class QuorumWatch:
    """Looks again and again, from several managers, whether the swarm can be changed."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.gaps, self.looks = lab, 0, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> QuorumWatch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(2):
            self.looks += 1
            # Listing services needs a leader.
            answers = (
                self.lab.try_on(host, "sudo timeout 20 docker service ls --quiet").returncode
                for host in MANAGERS
            )
            self.gaps += not any(code == 0 for code in answers)


def test_the_swarm_is_made(play: Callable[..., Recap], lab: Lab) -> None:
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
    # The clients begin before there is anybody to answer.
    time.sleep(3)
    since = now()
    time.sleep(3)
    assert lost(lab, since) == 0


# Out of service and back


def test_a_drain_empties_the_host(play: Callable[..., Recap], lab: Lab) -> None:
    (victim,) = [host for host in HOSTS if running(lab, host)][:1]
    since = now()
    recap = play("drain", "-e", f"swarm_hosts={victim}")
    assert recap.returncode == 0
    assert running(lab, victim) == []
    spec = lab.nodes(MANAGERS[0])[victim]["Spec"]
    assert spec["Availability"] == "drain"
    assert_serves(lab, MANAGERS[0])
    again = play("drain", "-e", f"swarm_hosts={victim}")
    assert (again.returncode, again.counts("changed")[victim]) == (0, 0)
    # Until it is said to come back, whatever else is done.
    other = play("reboot", "-e", "maintenance_reboot_only_if_required=true")
    assert (other.returncode, other.counts("changed")[victim]) == (0, 0)
    assert lab.nodes(MANAGERS[0])[victim]["Spec"]["Availability"] == "drain"
    back = play("drain", "-e", f"swarm_hosts={victim}", "-e", "drain_state=active")
    assert back.returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
    assert lost(lab, since) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["drain"], "Say which hosts"),
        (
            ["drain", "-e", "swarm_hosts=node4", "-e", "drain_state=gone"],
            "drained, active or paused",
        ),
        (["drain", "-e", "swarm_hosts=node4,nodex"], "swarm_hosts says nodex"),
        (["drain", "--limit", "node4"], "Say which hosts"),
        (["drain", "-e", "swarm_hosts=node4", "--limit", "node5"], "within --limit"),
        (["remove_node"], "Say which hosts"),
        (["remove_node", "-e", "swarm_hosts=nodex"], "swarm_hosts says nodex"),
        (["reboot", "-e", "swarm_hosts=nodex"], "swarm_hosts says nodex"),
        (["reset"], "reset_confirm=true"),
        (["reset", "--limit", "node4"], "reset_confirm=true"),
        (["upgrade"], "Say to which version"),
        (["upgrade", "-e", "engine_version=99.9"], "apt-cache madison"),
        (["rotate", "-e", '{"rotate": ["everything"]}'], "rotate is a list of"),
        (["rotate", "-e", '{"rotate": ["unlock_key"]}'], "autolock is off"),
        (["backup", "--limit", "node4"], "no host of the group swarm_managers"),
        (["restore"], "Say which backup"),
        (["restore", "--limit", "node4"], "Say which backup"),
        ([*RESTORE, "--limit", "node2,node4"], "do not leave that host out"),
        (RESTORE, "There is no "),
        (["recover"], "Say which manager"),
        (["recover", "--limit", "node4"], "Say which manager"),
        (["recover", "-e", "recover_host=node1"], "has its quorum: node1, node2, node3"),
        (
            ["recover", "-e", "recover_host=node1", "--limit", "node1"],
            "has its quorum: node1, node2",
        ),
    ],
    ids=str,
)
def test_what_is_refused_changes_nothing(
    play: Callable[..., Recap], lab: Lab, arguments: list[str], says: str
) -> None:
    before = untouched(lab)
    recap = play(*arguments)
    assert recap.returncode != 0
    assert says in " ".join(recap.output.split())
    assert untouched(lab) == before


def test_managers_that_will_not_do_are_named_with_the_reason(play: Callable[..., Recap]) -> None:
    group = "maintenance_manager_group=swarm_workers"
    recap = play("drain", "-e", "swarm_hosts=node4", "-e", group)
    assert recap.returncode != 0
    told = " ".join(recap.output.split())
    assert "node5: it is a worker; node4: it is a worker." in told
    # There is nothing that would have to be recovered.
    assert "recover" not in told


@pytest.mark.parametrize(
    ("arguments", "would_change"),
    [
        (["site"], False),
        (["preflight"], False),
        (["drain", "-e", "swarm_hosts=node4"], True),
        (["reboot", "-e", "swarm_hosts=node4"], True),
        (["remove_node", "-e", "swarm_hosts=node3,node5"], True),
        (["rotate", "-e", '{"rotate": ["worker_token", "ca"]}'], True),
        (["backup"], True),
        (["reset", "-e", "reset_confirm=true"], True),
    ],
    ids=str,
)
def test_check_mode_changes_nothing(
    play: Callable[..., Recap], lab: Lab, arguments: list[str], would_change: bool
) -> None:
    before = untouched(lab)
    recap = play(*arguments, "--check")
    assert recap.returncode == 0
    assert (sum(recap.counts("changed").values()) > 0) is would_change
    assert untouched(lab) == before


def said(recap: Recap) -> str:
    """What a play has said, without its line breaks."""
    return " ".join(recap.output.split())


def untouched(lab: Lab) -> Any:
    """What somebody who only looks leaves as it is."""
    return (
        {name: node["Spec"] for name, node in lab.nodes("node1").items()},
        lab.swarm("node1")["Cluster"]["TLSInfo"],
        lab.on("node1", "sudo docker swarm join-token --quiet worker"),
        {host: lab.on(host, "stat -c %Y /run/docker.pid /proc/1") for host in HOSTS},
    )


@contextlib.contextmanager
def switched_on(lab: Lab, host: str) -> Iterator[None]:
    """A container does not start after a reboot: somebody presses the button until it does."""
    over = threading.Event()

    def press() -> None:
        while not over.wait(1):
            if lab.try_on(host, "true").returncode != 0:
                run(sys.executable, "lab/lab.py", "start", host, check=False, cwd=CHECKOUT)

    thread = threading.Thread(target=press)
    thread.start()
    yield
    over.set()
    thread.join()


def test_a_reboot(play: Callable[..., Recap], lab: Lab) -> None:
    since = now()
    asked = play("reboot", "-e", "maintenance_reboot_only_if_required=true")
    assert asked.returncode == 0
    assert sum(asked.counts("changed").values()) == 0
    reboot(play, lab, "node2")
    assert_whole(lab, MANAGERS, WORKERS)
    assert lost(lab, since) == 0


def test_what_an_earlier_run_has_left_drained_comes_back_though_nothing_is_due(
    play: Callable[..., Recap], lab: Lab
) -> None:
    left = f"sudo docker node update --label-add {REMEMBERED}"
    lab.on("node1", f"{left}=active --availability drain node4")
    lab.on("node1", f"{left}=pause --availability drain node5")
    recap = play("reboot", "-e", "maintenance_reboot_only_if_required=true")
    assert recap.returncode == 0
    assert lab.nodes("node1")["node5"]["Spec"]["Availability"] == "pause"
    lab.on("node1", "sudo docker node update --availability active node5")
    assert_whole(lab, MANAGERS, WORKERS)


def test_a_batch_is_drained_one_host_after_another(play: Callable[..., Recap], lab: Lab) -> None:
    """Each of the two workers could go by itself, but not both."""
    web = lab.docker("node1", "service", "inspect", "shop_web")
    image = web[0]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    create = "sudo docker service create --quiet --name pinned --replicas 2"
    lab.on("node1", f"{create} --constraint node.role==worker {image} sleep 100000")
    before = untouched(lab)
    batch = ("-e", "maintenance_batch=2", "-e", "maintenance_force=false")
    recap = play("reboot", "-e", "swarm_hosts=node4,node5", *batch)
    assert recap.returncode != 0
    assert "cannot be drained without harm" in " ".join(recap.output.split())
    assert untouched(lab) == before
    lab.on("node1", "sudo docker service rm pinned")
    assert_whole(lab, MANAGERS, WORKERS)


def reboot(play: Callable[..., Recap], lab: Lab, host: str) -> Recap:
    booted = "stat -c %Y /proc/1"
    up_since = lab.on(host, booted)
    command = json.dumps({"maintenance_boot_time_command": booted})
    with switched_on(lab, host):
        recap = play("reboot", "-e", f"swarm_hosts={host}", "-e", command)
    assert recap.returncode == 0
    assert lab.on(host, booted) != up_since
    return recap


# Rotation


def test_tokens_are_rotated_once(play: Callable[..., Recap], lab: Lab) -> None:
    def tokens() -> list[str]:
        return [
            lab.on("node1", f"sudo docker swarm join-token -q {r}") for r in ("manager", "worker")
        ]

    before = tokens()
    recap = play("rotate", "-e", "rotate_key=first")
    assert recap.returncode == 0
    after = tokens()
    assert not set(before) & set(after)
    assert all(token.strip() not in recap.output for token in (*before, *after))
    assert sum(play("rotate", "-e", "rotate_key=first").counts("changed").values()) == 0
    assert tokens() == after


def test_the_ca_is_rotated(play: Callable[..., Recap], lab: Lab) -> None:
    def root() -> str:
        return lab.swarm("node1")["Cluster"]["TLSInfo"]["TrustRoot"]

    before, since = root(), now()
    arguments = ("-e", '{"rotate": ["ca"], "rotate_key": "7"}')
    assert play("rotate", *arguments).returncode == 0
    after = root()
    assert after != before
    nodes = lab.nodes("node1")
    assert {
        n: node["Description"]["TLSInfo"]["TrustRoot"] for n, node in nodes.items()
    } == dict.fromkeys(HOSTS, after)
    assert sum(play("rotate", *arguments).counts("changed").values()) == 0
    assert_whole(lab, MANAGERS, WORKERS)
    assert lost(lab, since) == 0


def unlock_key(lab: Lab) -> str:
    return lab.on("node1", "sudo docker swarm unlock-key --quiet").strip()


def test_the_unlock_key_is_rotated(play: Callable[..., Recap], lab: Lab, tmp_path: Path) -> None:
    lab.on("node1", "sudo docker swarm update --autolock=true")
    until(lambda: all(is_locked(lab, host) for host in MANAGERS))
    before, sealed = unlock_key(lab), {host: lab.on(host, SEAL) for host in MANAGERS}
    file = tmp_path / "unlock-key"
    asked = ("-e", '{"rotate": ["unlock_key"], "rotate_key": "first"}', "--diff")
    recap = play("rotate", *asked, "-e", f"rotate_unlock_key_file={file}")
    assert recap.returncode == 0
    after = unlock_key(lab)
    assert after != before
    assert before not in recap.output
    assert after not in recap.output
    kept = {path.read_text().strip(): path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert kept == {before: 0o600, after: 0o600}
    assert file.read_text().strip() == after
    again = play("rotate", *asked, "-e", f"rotate_unlock_key_file={file}")
    assert sum(again.counts("changed").values()) == 0

    until(lambda: all(lab.on(host, SEAL) != sealed[host] for host in MANAGERS))
    lab.on("node2", "sudo systemctl restart docker")
    assert lab.swarm("node2")["LocalNodeState"] == "locked"
    lab.on("node2", f"echo {after} | sudo docker swarm unlock")
    assert_whole(lab, MANAGERS, WORKERS)

    unkept = play("rotate", "-e", '{"rotate": ["unlock_key"], "rotate_key": "second"}')
    assert unkept.returncode == 0
    assert "docker swarm unlock-key" in " ".join(unkept.output.split())
    assert unlock_key(lab) not in (before, after)
    assert unlock_key(lab) not in unkept.output
    lab.on("node1", "sudo docker swarm update --autolock=false")


# Managers and workers


def test_the_roles_follow_the_inventory(
    play: Callable[..., Recap], lab: Lab, groups: Callable[..., None]
) -> None:
    since = now()
    leader = lab.leader(MANAGERS)
    managers = sorted({*MANAGERS, "node4"} - {leader})
    workers = [leader, "node5"]
    with QuorumWatch(lab) as watch:
        groups(managers, workers)
        assert play("site").returncode == 0
    assert_whole(lab, managers, workers)
    again = play("site")
    assert sum(again.counts("changed").values()) == 0
    assert watch.looks > 3
    groups(MANAGERS, WORKERS)
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
    assert lost(lab, since) == 0


def test_a_node_that_is_removed_comes_back_as_a_new_one(
    play: Callable[..., Recap], lab: Lab
) -> None:
    since = now()
    old = lab.nodes("node1")["node5"]["ID"]
    assert play("remove_node", "-e", "swarm_hosts=node5").returncode == 0
    assert set(lab.nodes("node1")) == set(HOSTS) - {"node5"}
    assert lab.swarm("node5")["LocalNodeState"] == "inactive"
    assert play("remove_node", "-e", "swarm_hosts=node5").returncode == 0
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
    assert lab.nodes("node1")["node5"]["ID"] != old
    assert lost(lab, since) == 0


def test_a_removal_that_broke_off_is_finished(
    play: Callable[..., Recap], lab: Lab, groups: Callable[..., None]
) -> None:
    lab.on("node5", "sudo docker swarm leave")
    # A host that is no node can be the first of the group: what is done is done through another.
    groups([*MANAGERS, "node5"], ["node4"])
    rotated = play("rotate", "-e", "rotate_key=elsewhere", "--limit", "node5")
    assert (rotated.returncode, rotated.counts("changed")["node5"]) == (0, 1)
    groups(MANAGERS, WORKERS)
    assert play("remove_node", "-e", "swarm_hosts=node5").returncode == 0
    assert set(lab.nodes("node1")) == set(HOSTS) - {"node5"}
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)


def test_a_dead_host_under_another_name_and_its_ghosts(
    infra: Infra, play: Callable[..., Recap], lab: Lab, variables: Path, tmp_path: Path
) -> None:
    def remove(name: str, *arguments: str) -> Recap:
        """With an inventory that has node5 under this name, at an address outside the swarm."""
        folder = shutil.copytree(variables, tmp_path / name, dirs_exist_ok=True)
        with changed_hosts(folder) as groups:
            workers = groups["swarm_workers"]
            workers[name] = {**workers.pop("node5"), "ansible_host": "127.0.0.1", "ansible_port": 1}
        arguments = ("-e", f"swarm_hosts={name}", *arguments)
        return infra.play("shoal.swarm.remove_node", *arguments, inventory=folder)

    def entries() -> dict[str, str]:
        form = "--filter name=node5 --format '{{.ID}} {{.Status}}'"
        rows = lab.on("node1", f"sudo docker node ls {form}").splitlines()
        return dict(row.split() for row in rows)

    token = lab.on("node1", "sudo docker swarm join-token --quiet worker").strip()
    for _again in range(2):
        lab.on("node5", "sudo docker swarm leave")
        lab.on("node5", f"sudo docker swarm join --token {token} {lab.address('node1')}")
    lab.command("kill", "node5")
    until(lambda: list(entries().values()) == ["Down"] * 3, 90)
    before = entries()
    refused = remove("db-a")
    assert refused.returncode != 0
    told = " ".join(refused.output.split())
    assert all(f"node5 ({node}, down, " in told for node in before)
    assert entries() == before
    first, *others = before
    assert remove("db-a", "-e", f"maintenance_node={first}").returncode == 0
    assert list(entries()) == others
    assert remove("node5.example.com").returncode == 0
    assert entries() == {}
    # All that is left is of other hosts.
    again = remove("node5.example.com")
    assert (again.returncode, sum(again.counts("changed").values())) == (0, 0)
    lab.command("start", "node5")
    lab.on("node5", "sudo docker swarm leave --force || true")
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)


@pytest.mark.parametrize("victim", ["node4", "node3"], ids=["worker", "manager"])
def test_a_dead_host_is_removed_and_comes_back(
    play: Callable[..., Recap], lab: Lab, victim: str
) -> None:
    lab.command("kill", victim)
    until(lambda: lab.nodes("node1")[victim]["Status"]["State"] == "down", 90)
    asked = ("reboot", "-e", "maintenance_reboot_only_if_required=true")
    refused = play(*asked, "--ssh-common-args=-oConnectTimeout=3")
    assert refused.returncode != 0
    assert f"{victim} (does not answer)" in " ".join(refused.output.split())
    skip = ("-e", "maintenance_skip_down=true", "--ssh-common-args=-oConnectTimeout=3")
    without = play(*asked, *skip)
    assert without.returncode == 0
    assert f"{victim} (does not answer)" in " ".join(without.output.split())
    recap = play(
        "remove_node", "-e", f"swarm_hosts={victim}", "--ssh-common-args=-oConnectTimeout=3"
    )
    assert victim not in lab.nodes("node1"), recap.output
    assert_serves(lab, "node1")
    lab.command("start", victim)
    # It still believes to be in the swarm; its certificate says otherwise.
    lab.on(victim, "sudo docker swarm leave --force || true")
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)


def test_a_ghost_gives_its_labels_to_the_host_that_came_back(
    play: Callable[..., Recap], lab: Lab
) -> None:
    lab.on("node1", "sudo docker node update --label-add rack=r7 node5")
    lab.on("node5", "sudo docker swarm leave")
    until(lambda: lab.nodes("node1")["node5"]["Status"]["State"] == "down", 90)
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
    assert lab.nodes("node1")["node5"]["Spec"]["Labels"] == {"rack": "r7", "zone": "node5"}
    assert len(lab.on("node1", "sudo docker node ls --quiet").split()) == len(HOSTS)


# Another engine


def newer_engine(lab: Lab) -> None:
    """Debian 13's packages, on hosts that have Debian 12's: the engine goes from 20.10 to 26.1.

    There the CLI is a package of its own. No module needs it, but these tests do.
    """
    for host in HOSTS:
        lab.on(host, "sudo cp /usr/bin/docker /usr/local/bin/")
        lab.on(
            host,
            "sudo sh -c 'for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do"
            " [ -e $file ] && sed s/bookworm/trixie/g $file; done"
            " > /etc/apt/sources.list.d/newer.list && apt-get update -qq'",
        )


def is_fit(node: dict[str, Any]) -> bool:
    reachability = node.get("ManagerStatus", {}).get("Reachability", "reachable")
    return (node["Status"]["State"], reachability) == ("ready", "reachable")


def break_off(infra: Infra, inventory: Path, name: str, *arguments: str, after: str) -> str:
    """Kill a run when it comes to a task; what it said until then."""
    process = infra.start(f"shoal.swarm.{name}", *arguments, inventory=inventory)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("TASK") and after in line:
            break
    process.kill()
    process.communicate()
    return "".join(said)


def test_an_upgrade(play: Callable[..., Recap], infra: Infra, variables: Path, lab: Lab) -> None:
    since = now()
    newer_engine(lab)
    leader = lab.leader(MANAGERS)
    before = untouched(lab)
    checked = play("upgrade", "-e", "engine_version=26.1.5", "--check")
    assert checked.returncode == 0
    assert set(checked.counts("changed").values()) - {0}
    assert untouched(lab) == before
    # As somebody gives them on the command line: all of them texts.
    given = ("-e", "maintenance_wait_timeout=600", "-e", "maintenance_force=false")
    given = (*given, "-e", "maintenance_batch=2")
    with QuorumWatch(lab) as watch:
        broken_off = break_off(
            infra, variables, "upgrade", "-e", "engine_version=26.1.5", after="is back in its swarm"
        )
        left = {n: node["Spec"] for n, node in lab.nodes(leader).items()}
        until(lambda: all(is_fit(node) for node in lab.nodes(leader).values()))
        recap = play("upgrade", "-e", "engine_version=26.1.5", *given)
    assert "Restart the engine" in broken_off
    assert [spec["Labels"][REMEMBERED] for spec in left.values() if spec["Availability"] == "drain"]
    assert recap.returncode == 0
    assert watch.looks > 10
    assert watch.gaps == 0
    versions = {
        name: node["Description"]["Engine"]["EngineVersion"].partition("+")[0]
        for name, node in lab.nodes("node1").items()
    }
    assert versions == dict.fromkeys(HOSTS, "26.1.5")
    assert_whole(lab, MANAGERS, WORKERS)
    restarted = {host: int(lab.on(host, "stat -c %Y /run/docker.pid")) for host in HOSTS}
    order = sorted(HOSTS, key=restarted.__getitem__)
    assert order[2] == leader
    assert set(order[:3]) == set(MANAGERS)
    assert lost(lab, since) == 0
    again = play("upgrade", "-e", "engine_version=26.1.5")
    assert sum(again.counts("changed").values()) == 0


# The worst


def objects(lab: Lab) -> Any:
    host = manager(lab)
    found: dict[str, Any] = {"cluster": lab.swarm(host)["Cluster"]["ID"]}
    for kind in ("service", "secret", "config"):
        ids = lab.on(host, f"sudo docker {kind} ls --quiet").split()
        documents = lab.docker(host, kind, "inspect", *ids)
        found[kind] = {thing["ID"]: thing["Spec"] for thing in documents}
    found["labels"] = {n: node["Spec"]["Labels"] for n, node in lab.nodes(host).items()}
    return found


@pytest.fixture(scope="module")
def backup(infra: Infra, variables: Path, lab: Lab) -> tuple[Path, Any]:
    """A backup in a folder beside the inventory, and what was in the swarm then."""
    before, since = objects(lab), now()
    recap = infra.play(
        "shoal.swarm.backup", "-e", "maintenance_backup_folder=backups", inventory=variables
    )
    assert recap.returncode == 0
    assert lost(lab, since) == 0
    (archive,) = (infra.folder / "backups").glob("*.tar.gz")
    return archive, before


def test_a_backup_leaves_the_swarm_whole(backup: tuple[Path, Any], lab: Lab) -> None:
    archive, _before = backup
    assert archive.stat().st_mode & 0o077 == archive.parent.stat().st_mode & 0o077 == 0
    described = json.loads(Path(f"{archive}.json").read_text())
    assert described["cluster_id"] == lab.swarm("node1")["Cluster"]["ID"]
    assert described["nodes"] == HOSTS
    assert described["hostname"] != lab.leader(MANAGERS)
    assert_whole(lab, MANAGERS, WORKERS)
    for host in HOSTS:
        assert "swarm-" not in lab.on(host, "sudo ls /var/lib/docker")


def test_quorum_that_is_lost_for_good(play: Callable[..., Recap], lab: Lab) -> None:
    before = objects(lab)
    lose(lab, "node2", "node3")
    until(lambda: lab.try_on("node1", "sudo docker service ls").returncode != 0, 90)
    site = play("site")
    assert site.returncode != 0
    assert "Bring its managers back" in " ".join(site.output.split())
    drain = " ".join(play("drain", "-e", "swarm_hosts=node4").output.split())
    assert "node2: its state in the swarm is inactive" in drain
    assert "shoal.swarm.recover" in drain
    recover = ("recover", "-e", "recover_host=node1")
    checked = play(*recover, "--check")
    assert (checked.returncode, checked.counts("changed")["node1"]) == (0, 1)
    assert lab.try_on("node1", "sudo docker service ls").returncode != 0
    with timed("recovered"):
        assert play(*recover).returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
    assert objects(lab) == before
    assert "has its quorum" in said(play(*recover))


def test_managers_that_cannot_be_asked_may_live(play: Callable[..., Recap], lab: Lab) -> None:
    """The engine of one stands still, with its state; the other host does not answer at all."""
    before = objects(lab)
    lab.on("node2", "sudo systemctl stop docker.socket docker.service")
    lab.command("kill", "node3")
    until(lambda: lab.try_on("node1", "sudo docker service ls").returncode != 0, 90)
    recover = ("recover", "-e", "recover_host=node1", "--ssh-common-args=-oConnectTimeout=3")
    for limit in ((), ("--limit", "node1,node4,node5")):
        refused = play(*recover, *limit)
        assert refused.returncode != 0
        assert "maintenance_lost_hosts=node2,node3" in said(refused)
    named = play(*recover, "--check", "-e", "maintenance_lost_hosts=node2,node3")
    assert (named.returncode, named.counts("changed")["node1"]) == (0, 1)
    lab.command("start", "node3")
    lab.on("node2", "sudo systemctl start docker.service docker.socket")
    until(lambda: lab.try_on("node1", "sudo docker service ls").returncode == 0)
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
    assert objects(lab) == before


def test_a_backup_that_is_damaged_is_refused(
    play: Callable[..., Recap], lab: Lab, backup: tuple[Path, Any], tmp_path: Path
) -> None:
    archive, _before = backup
    damaged = tmp_path / archive.name
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    shutil.copy(f"{archive}.json", f"{damaged}.json")
    lose(lab, *(host for host in HOSTS if host != stranded(archive)))
    host = saved_on(archive)
    restore = ("restore", "-e", f"restore_host={host}")
    refused = play(*restore, "-e", f"maintenance_backup={damaged}")
    assert refused.returncode != 0
    assert "is not what was backed up" in said(refused)

    newer = described(archive) | {"engine_version": "99.0.1"}
    shutil.copy(archive, damaged)
    Path(f"{damaged}.json").write_text(json.dumps(newer))
    refused = play(*restore, "-e", f"maintenance_backup={damaged}")
    assert refused.returncode != 0
    assert "99.0.1 has written the backup" in said(refused)

    damaged.write_text("no archive")
    broken = described(archive) | {"sha256": hashlib.sha256(b"no archive").hexdigest()}
    Path(f"{damaged}.json").write_text(json.dumps(broken))
    state = "sudo sh -c 'ls -di /var/lib/docker/swarm*'"
    before = lab.on(host, state)
    refused = play(*restore, "-e", f"maintenance_backup={damaged}")
    assert refused.returncode != 0
    assert "in its place again" in said(refused)
    assert lab.on(host, state) == before
    assert lab.swarm(host)["LocalNodeState"] == "inactive"


def described(archive: Path) -> dict[str, Any]:
    """What stands beside a backup."""
    return json.loads(Path(f"{archive}.json").read_text())


def saved_on(archive: Path) -> str:
    return described(archive)["hostname"]


def stranded(archive: Path) -> str:
    """The manager that still has its state when all the others are lost."""
    return next(host for host in MANAGERS if host != saved_on(archive))


def lose(lab: Lab, *hosts: str) -> None:
    """What these hosts know of the swarm, as when their disks had to be replaced."""
    for host in hosts:
        lab.on(host, "sudo systemctl stop docker.socket docker.service")
        lab.on(host, "sudo rm -rf /var/lib/docker/swarm")
        lab.on(host, "sudo systemctl start docker.service docker.socket")


def test_everything_is_lost_and_restored(
    play: Callable[..., Recap], lab: Lab, backup: tuple[Path, Any]
) -> None:
    archive, before = backup
    host = saved_on(archive)
    restore = ("restore", "-e", f"restore_host={host}")
    restore = (*restore, "-e", f"maintenance_backup=backups/{archive.name}")
    checked = play(*restore, "--check")
    assert checked.returncode == 0
    assert "would become the only manager" in said(checked)
    assert lab.swarm(host)["LocalNodeState"] == "inactive"
    left = lab.swarm(stranded(archive))["NodeID"]
    assert left != ""
    # As if it broke off when the swarm was there, and nobody else in it.
    first = play(*restore, "--limit", host)
    kept = [word for word in said(first).split() if "/var/lib/docker/swarm." in word]
    assert lab.nodes(host)[host]["ManagerStatus"]["Leader"]
    with timed("restored"):
        assert play(*restore).returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
    assert lab.swarm(stranded(archive))["NodeID"] != left
    assert objects(lab) == before
    assert [lab.on(host, f"sudo ls -d {folder}").strip() for folder in kept] == kept != []
    lab.on(host, f"sudo rm -r {kept[0]}")


def is_locked(lab: Lab, host: str) -> bool:
    key = "/var/lib/docker/swarm/certificates/swarm-node.key"
    return "ENCRYPTED" in lab.on(host, f"sudo head -1 {key}")


def test_managers_with_autolock_are_unlocked_when_they_come_back(
    play: Callable[..., Recap], lab: Lab
) -> None:
    lab.on("node1", "sudo docker swarm update --autolock=true")
    key = lab.on("node1", "sudo docker swarm unlock-key --quiet").strip()
    until(lambda: all(is_locked(lab, host) for host in MANAGERS))
    assert key not in reboot(play, lab, "node2").output
    assert_whole(lab, MANAGERS, WORKERS)
    # A setting for which every engine has to be restarted.
    started = {host: lab.on(host, "stat -c %Y /run/docker.pid") for host in HOSTS}
    recap = play("site", "-e", '{"engine_daemon_config": {"shutdown-timeout": 14}}')
    assert recap.returncode == 0
    assert key not in recap.output
    for host in HOSTS:
        assert lab.on(host, "stat -c %Y /run/docker.pid") != started[host]
    assert_whole(lab, MANAGERS, WORKERS)
    lab.on("node1", "sudo docker swarm update --autolock=false")


def test_a_swarm_with_autolock_is_recovered_and_restored(
    play: Callable[..., Recap], lab: Lab, tmp_path: Path
) -> None:
    """What the engine cannot do by itself (moby#36852)."""
    lab.on("node1", "sudo docker swarm update --autolock=true")
    key = lab.on("node1", "sudo docker swarm unlock-key --quiet").strip()
    until(lambda: all(is_locked(lab, host) for host in MANAGERS))
    before = objects(lab)
    saved = play("backup", "-e", f"maintenance_backup_folder={tmp_path}")
    assert saved.returncode == 0
    assert key not in saved.output
    (archive,) = tmp_path.glob("*.tar.gz")
    described = json.loads(Path(f"{archive}.json").read_text())
    assert described["unlock_key"] == key
    assert_whole(lab, MANAGERS, WORKERS)

    lose(lab, "node2", "node3")
    until(lambda: lab.try_on("node1", "sudo docker service ls").returncode != 0, 90)
    refused = play("recover", "-e", "recover_host=node1")
    assert refused.returncode != 0
    assert "maintenance_unlock_key" in " ".join(refused.output.split())
    secret = json.dumps({"maintenance_unlock_key": key})
    with timed("recovered"):
        recovered = play("recover", "-e", "recover_host=node1", "-e", secret)
    assert recovered.returncode == 0
    assert key not in recovered.output
    assert_whole(lab, MANAGERS, WORKERS)
    assert objects(lab) == before
    assert lab.on("node1", "sudo docker swarm unlock-key --quiet").strip() not in (key, "")
    until(lambda: all(is_locked(lab, host) for host in MANAGERS))

    lose(lab, *HOSTS)
    host = f"restore_host={described['hostname']}"
    with timed("restored"):
        restored = play("restore", "-e", f"maintenance_backup={archive}", "-e", host)
    assert restored.returncode == 0
    assert key not in restored.output
    assert_whole(lab, MANAGERS, WORKERS)
    assert objects(lab) == before
    until(lambda: all(is_locked(lab, host) for host in MANAGERS))
    lab.on("node1", "sudo docker swarm update --autolock=false")


def test_a_reset_leaves_bare_hosts_and_their_volumes(play: Callable[..., Recap], lab: Lab) -> None:
    lab.on("node4", "sudo docker volume create kept")
    recap = play("reset", "-e", "reset_confirm=true", "-e", "engine_remove_volumes=false")
    assert recap.returncode == 0
    for host in HOSTS:
        assert lab.try_on(host, "command -v dockerd || ls /etc/docker/daemon.json").returncode != 0
        assert lab.on(host, "sudo ls /var/lib/docker").split() == ["volumes"]
        assert "shoal" not in lab.on(host, "sudo nft list ruleset")
        assert lab.try_on(host, "ls -d /sys/class/net/docker*").returncode != 0
    assert "kept" in lab.on("node4", "sudo ls /var/lib/docker/volumes")
    assert play("reset", "-e", "reset_confirm=true").returncode == 0
    assert play("site").returncode == 0
    assert_whole(lab, MANAGERS, WORKERS)
