#!/usr/bin/env python3
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real hosts on one machine: containers with systemd, sshd and a Docker Engine of their own.

`lab/lab.py up` makes them, writes an inventory and returns when each of them answers over SSH.
See lab/README.md.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import images
import outer
import plan
from plan import Container, Group, Host, Lab, LabError, Step, Work
from run import attempt, docker, one_line, run, say

CHECKOUT = Path(__file__).resolve().parent.parent
DEFAULT_NAME = "default"
BOOT_TIMEOUT = 300

T = TypeVar("T")


# --- what is there -------------------------------------------------------------------------------


def containers(lab: Lab) -> dict[str, Container]:
    """Host name → container, of every host this lab has, dead or alive."""
    ids = docker("ps", "--all", "--quiet", "--filter", f"label={plan.LABEL}={lab.prefix}").split()
    if not ids:
        return {}
    found = map(plan.container_from, json.loads(docker("inspect", *ids)))
    return {container.host.name: container for container in found}


def lab_subnet(lab: Lab) -> str | None:
    form = "{{(index .IPAM.Config 0).Subnet}}"
    done = attempt(["docker", "network", "inspect", "--format", form, lab.prefix])
    return done.stdout.strip() if done.returncode == 0 else None


def taken_subnets() -> list[str]:
    ids = docker("network", "ls", "--quiet").split()
    form = "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    subnets = docker("network", "inspect", "--format", form, *ids).split()
    return subnets + plan.routed_networks(Path("/proc/net/route").read_text())


def known_labs() -> list[Lab]:
    """The labs of this checkout, by what they left in the engine or in the state directory."""
    names = {path.name for path in (CHECKOUT / ".lab").glob("*") if path.is_dir()}
    mine = f"label={plan.LABEL}.checkout={Lab(CHECKOUT, DEFAULT_NAME).checkout_id}"
    label = f'{{{{.Label "{plan.LABEL}.name"}}}}'
    names |= set(docker("ps", "--all", "--filter", mine, "--format", label).split())
    names |= set(docker("network", "ls", "--filter", mine, "--format", label).split())
    return [Lab(CHECKOUT, name) for name in sorted(names)]


def the_lab(name: str) -> Lab:
    return Lab(CHECKOUT, plan.check_name(name))


def lab_lock(lab: Lab) -> AbstractContextManager[None]:
    return outer.file_lock(lab.state.with_suffix(".lock"))


def require_running(lab: Lab) -> dict[str, Container]:
    hosts = containers(lab)
    if not hosts:
        raise LabError(f"no lab '{lab.name}' here: `lab/lab.py up` makes one")
    return hosts


def require_host(lab: Lab, name: str) -> Host:
    hosts = require_running(lab)
    if name not in hosts:
        raise LabError(f"no host '{name}' in this lab: it has {', '.join(sorted(hosts))}")
    return hosts[name].host


# --- making it -----------------------------------------------------------------------------------


def ensure_keys(lab: Lab) -> str:
    """The lab's two key pairs, one to log in with and one that all its hosts show. The public
    halves, joined, tell whether a host was made with these keys."""
    lab.state.mkdir(parents=True, exist_ok=True)
    for key, comment in ((lab.private_key, "lab"), (lab.host_key, "lab host")):
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(key)])
    return images.fingerprint(
        public_half(key).read_bytes() for key in (lab.private_key, lab.host_key)
    )


def public_half(key: Path) -> Path:
    return key.with_suffix(".pub")


def ensure_network(lab: Lab, subnet: str | None) -> str:
    """The lab's subnet. Two labs that start at once may pick the same; Docker lets one have it."""
    present = lab_subnet(lab)
    if present is not None:
        if subnet not in (None, present):
            raise LabError(f"this lab lives in {present}, not in {subnet}: run down first")
        return present
    labels = [f"--label={name}={value}" for name, value in plan.labels(lab).items()]
    create = ["docker", "network", "create", *labels, lab.prefix, "--subnet"]
    for candidate in [subnet] if subnet else plan.candidate_subnets(lab, taken_subnets()):
        done = attempt([*create, candidate])
        if done.returncode == 0:
            return candidate
        if "overlap" not in done.stderr:
            raise LabError(f"no network {candidate}: {one_line(done.stderr)}")
    if subnet:
        raise LabError(f"{subnet} overlaps with another Docker network: give another --subnet")
    raise LabError(f"no free /24 in {plan.LAB_RANGE}: remove networks, or give --subnet")


def converge(lab: Lab, hosts: Iterable[Host], subnet: str, inventory: str | None) -> Path:
    """Bring up these hosts, all at once, and write the inventory; where it is, in return."""
    key = ensure_keys(lab)
    host_key = public_half(lab.host_key).read_text()
    lab.known_hosts.write_text(plan.known_hosts(subnet, host_key))
    work = plan.plan_work(hosts, containers(lab), key)
    built = images.ensure([task.host for task in work if task.step in plan.NEED_AN_IMAGE])
    say(f"Lab {lab.name} in {subnet}: {plan.summary(work)}")

    def carry_out(task: Work) -> None:
        if task.step is Step.REMOVE:
            remove_container(lab.container(task.host.name))
            return
        if task.step is not Step.KEEP:
            boot(lab, task, key, built[task.host.name])
        wait_for(lab, task.host)

    in_parallel(carry_out, work)
    remove_stale_volumes(lab)
    return write_inventory(lab, inventory, subnet)


def boot(lab: Lab, work: Work, key: str, image: str) -> None:
    host, name = work.host, lab.container(work.host.name)
    if work.step is Step.START:
        done = attempt(["docker", "start", name])
        if done.returncode == 0:
            return
        say(f"{host.name} cannot be started again, making it anew: {one_line(done.stderr)}")
    if work.step is not Step.CREATE:
        remove_container(name)
    modules = Path("/lib/modules", os.uname().release).is_dir()
    docker(*plan.create_arguments(lab, host, key, image, modules))
    docker("cp", str(lab.host_key), f"{name}:/etc/ssh/lab_host_key")
    docker("cp", str(public_half(lab.private_key)), f"{name}:/etc/ssh/lab_authorized_keys")
    docker("start", name)


def remove_container(name: str) -> None:
    docker("rm", "--force", "--volumes", name, timeout=300)


def wait_for(lab: Lab, host: Host) -> None:
    """Until the host has booted, seen over SSH."""
    deadline = time.monotonic() + BOOT_TIMEOUT
    while not answers_ssh(host.address):
        if time.monotonic() > deadline:
            logs = f"docker logs {lab.container(host.name)}"
            raise LabError(f"{host.name} opened no SSH port in {BOOT_TIMEOUT} s: see `{logs}`")
        time.sleep(0.2)
    if host.distribution in plan.WITH_DOCKER:
        # No systemd, and sshd is what it starts last.
        return
    login = plan.ssh_arguments(lab, host.address)
    # Once more if it fails: a host that boots turns users away for a moment (pam_nologin), and
    # systemctl, with its bus just starting, may miss the signal that it waits for.
    while True:
        seen = attempt([*login, "timeout 5 systemctl is-system-running --wait"], timeout=30)
        state = seen.stdout.strip()
        if state == "running":
            return
        if state == "degraded":
            failed = run([*login, "systemctl --failed --plain --no-legend"])
            units = " ".join(line.split()[0] for line in failed.splitlines())
            say(f"{host.name} is up, but degraded by {units}")
            return
        if time.monotonic() > deadline:
            raise LabError(
                f"{host.name} did not boot in {BOOT_TIMEOUT} s: {state or one_line(seen.stderr)}"
            )
        time.sleep(0.5)


def answers_ssh(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def write_inventory(lab: Lab, asked: str | None, subnet: str) -> Path:
    directory = inventory_directory(lab, asked)
    hosts = [container.host for container in containers(lab).values()]
    hosts.sort(key=lambda host: ipaddress.IPv4Address(host.address))
    for name, content in plan.inventory(lab, subnet, hosts).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    # `add` writes where `up` wrote, and `down` removes what is there.
    (lab.state / "inventory_directory").write_text(str(directory))
    return directory


def inventory_directory(lab: Lab, asked: str | None) -> Path:
    remembered = lab.state / "inventory_directory"
    if asked:
        return Path(asked).resolve()
    if remembered.exists():
        return Path(remembered.read_text())
    return CHECKOUT / "inventory" / "lab" if lab.name == DEFAULT_NAME else lab.state / "inventory"


def in_parallel(action: Callable[[T], None], items: Iterable[T]) -> None:
    """Wait for all, then fail with the first failure."""
    with ThreadPoolExecutor(max_workers=16) as workers:
        for future in [workers.submit(action, item) for item in items]:
            future.result()


# --- commands ------------------------------------------------------------------------------------


def up(options: argparse.Namespace) -> None:
    lab = the_lab(options.name)
    overrides = plan.parse_overrides(options.host)
    asked_subnet = None if options.subnet == "auto" else plan.check_subnet(options.subnet)
    plan.check_distribution(options.distribution)

    def wanted(subnet: str) -> tuple[Host, ...]:
        return plan.wanted_hosts(
            subnet,
            options.managers,
            options.workers,
            options.distribution,
            overrides,
            registry=options.registry,
            outsider=options.outsider,
            registry_distribution=images.REGISTRY_DISTRIBUTION,
        )

    # Any subnet will do to see whether the question is well put, before time is spent on it.
    wanted(asked_subnet or "10.98.0.0/24")
    outer.ensure()
    with lab_lock(lab):
        subnet = ensure_network(lab, asked_subnet)
        directory = converge(lab, wanted(subnet), subnet, options.inventory)
    say(f"Lab {lab.name} is up; inventory: {directory}")


def add(options: argparse.Namespace) -> None:
    lab = the_lab(options.name)
    plan.check_name(options.host)
    plan.check_distribution(options.distribution)
    outer.ensure()
    with lab_lock(lab):
        present = {name: container.host for name, container in require_running(lab).items()}
        subnet = ensure_network(lab, None)
        used = [host.address for host in present.values()]
        known = present.get(options.host)
        host = Host(
            name=options.host,
            group=Group(f"swarm_{options.group}"),
            distribution=options.distribution,
            address=known.address if known else plan.free_address(subnet, options.host, used),
        )
        hosts = {**present, host.name: host}.values()
        directory = converge(lab, hosts, subnet, options.inventory)
    say(f"{host.name} is up at {host.address}; inventory: {directory}")


def down(options: argparse.Namespace) -> None:
    lab = the_lab(options.name)
    if wake_engine():
        take_down(lab)
    forget(lab)
    say(f"Lab {lab.name} is gone")


def wake_engine() -> bool:
    """For what is to be removed: an engine that lies dead may still hold it."""
    if not outer.answers():
        if not (CHECKOUT / ".lab").is_dir() or shutil.which("dockerd") is None:
            return False
        outer.ensure()
    return True


def take_down(lab: Lab) -> None:
    """By label, so that hosts of an earlier and larger lab of this name go too."""
    mine = f"label={plan.LABEL}={lab.prefix}"
    with lab_lock(lab):
        in_parallel(remove_container, docker("ps", "--all", "--quiet", "--filter", mine).split())
        remove_stale_volumes(lab)
        for network in docker("network", "ls", "--quiet", "--filter", mine).split():
            remove_network(network)


def remove_stale_volumes(lab: Lab) -> None:
    """Of containers that somebody removed, and not their volumes."""
    mine = f"label={plan.LABEL}={lab.prefix}"
    find = ["volume", "ls", "--quiet", "--filter", mine, "--filter", "dangling=true"]
    for volume in docker(*find).split():
        docker("volume", "rm", "--force", volume)


def remove_network(network: str) -> None:
    """After a crash the engine may believe that containers are attached which are gone."""
    form = "{{range .Containers}}{{.Name}} {{end}}"
    for endpoint in docker("network", "inspect", "--format", form, network).split():
        docker("network", "disconnect", "--force", network, endpoint)
    docker("network", "rm", network)


def forget(lab: Lab) -> None:
    """The lab's files: its keys, and its inventory where that is one the lab wrote."""
    directory = inventory_directory(lab, None)
    for name in plan.INVENTORY_FILES:
        (directory / name).unlink(missing_ok=True)
    for folder in (directory / "group_vars", directory):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    shutil.rmtree(lab.state, ignore_errors=True)


def clean(_: argparse.Namespace) -> None:
    if wake_engine():
        for lab in known_labs():
            take_down(lab)
            forget(lab)
        with outer.machine_lock("images"):
            images.remove_all()
        with outer.machine_lock("engine"):
            if not docker("ps", "--all", "--quiet", "--filter", f"label={plan.LABEL}"):
                outer.stop()
    shutil.rmtree(CHECKOUT / ".lab", ignore_errors=True)
    say("Everything the lab made for this checkout is gone")


def list_labs(_: argparse.Namespace) -> None:
    if not outer.answers():
        raise LabError("no Docker Engine answers, so no lab runs: `lab/lab.py up` starts it")
    for lab in known_labs():
        hosts = containers(lab).values()
        print(f"{lab.name}  {lab_subnet(lab) or 'no network'}")
        for container in sorted(hosts, key=lambda container: container.host.name):
            host = container.host
            print(
                f"  {host.name:<10} {host.address:<14} {host.distribution:<9} "
                f"{host.group.value:<15} {container.state}"
            )


def kill(options: argparse.Namespace) -> None:
    lab = the_lab(options.name)
    docker("kill", lab.container(require_host(lab, options.host).name))
    say(f"{options.host} is dead; `lab/lab.py start {options.host}` boots it again")


def start(options: argparse.Namespace) -> None:
    lab = the_lab(options.name)
    host = require_host(lab, options.host)
    docker("start", lab.container(host.name))
    wait_for(lab, host)
    say(f"{host.name} is up at {host.address}")


def ssh(options: argparse.Namespace) -> None:
    lab = the_lab(options.name)
    arguments = plan.ssh_arguments(lab, require_host(lab, options.host).address)
    if not options.command:
        arguments.insert(1, "-t")
    os.execvp("ssh", [*arguments, *options.command])


def address(options: argparse.Namespace) -> None:
    print(require_host(the_lab(options.name), options.host).address)


# --- command line --------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    environment = os.environ
    top = argparse.ArgumentParser(prog="lab/lab.py", description=(__doc__ or "").split("\n", 1)[0])
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, action: Callable[[argparse.Namespace], None], summary: str, host: bool = False
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=summary, description=summary)
        made.set_defaults(action=action)
        made.add_argument(
            "--name",
            default=environment.get("LAB_NAME") or DEFAULT_NAME,
            help="which lab of this checkout (LAB_NAME; default: %(default)s)",
        )
        if host:
            made.add_argument("host", metavar="HOST", help="for example node1")
        return made

    def distribution_and_inventory(made: argparse.ArgumentParser) -> None:
        made.add_argument(
            "--distribution",
            default=environment.get("LAB_DISTRIBUTION") or plan.DISTRIBUTIONS[0],
            help=f"{', '.join(plan.DISTRIBUTIONS)} (LAB_DISTRIBUTION; default: %(default)s)",
        )
        made.add_argument(
            "--inventory",
            metavar="DIR",
            default=environment.get("LAB_INVENTORY") or None,
            help="where to write the inventory (LAB_INVENTORY; default: inventory/lab, and "
            ".lab/NAME/inventory for a lab with a name)",
        )

    made = command("up", up, "make a lab, or complete one that is half there")
    distribution_and_inventory(made)
    made.add_argument(
        "--managers", type=int, default=environment.get("LAB_MANAGERS") or 3,
        help="how many managers (LAB_MANAGERS; default: %(default)s)",
    )  # fmt: skip
    made.add_argument(
        "--workers", type=int, default=environment.get("LAB_WORKERS") or 2,
        help="how many workers (LAB_WORKERS; default: %(default)s)",
    )  # fmt: skip
    made.add_argument(
        "--host", action="append", metavar="HOST=DISTRIBUTION",
        default=[environment.get("LAB_HOSTS_DISTRIBUTION", "")],
        help="another distribution for one host, as in node5=bookworm; may be repeated "
        "(LAB_HOSTS_DISTRIBUTION)",
    )  # fmt: skip
    made.add_argument(
        "--subnet", default=environment.get("LAB_SUBNET") or "auto",
        help="an IPv4 /24, or auto for a free one in 10.98.0.0/16 (LAB_SUBNET)",
    )  # fmt: skip
    made.add_argument(
        "--no-outsider", dest="outsider", action="store_false",
        help="without the host that is no part of the swarm",
    )  # fmt: skip
    made.add_argument(
        "--no-registry", dest="registry", action="store_false", help="without the registry"
    )

    made = command("add", add, "add a host to a lab", host=True)
    distribution_and_inventory(made)
    made.add_argument("--group", choices=("managers", "workers"), default="workers")

    command("down", down, "remove a lab")
    command("list", list_labs, "show the labs of this checkout")
    command("clean", clean, "remove all labs of this checkout, the images, and our own engine")
    command("kill", kill, "kill a host, as if its power had gone", host=True)
    command("start", start, "boot a host that was killed", host=True)
    made = command("ssh", ssh, "log in to a host, or run a command there", host=True)
    made.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    command("address", address, "print a host's address", host=True)
    return top


def main(words: Sequence[str] | None = None) -> int:
    options = parser().parse_args(words)
    try:
        options.action(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; the same command again goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
