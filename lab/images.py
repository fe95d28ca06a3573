# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images for the lab: bare hosts from Debian's packages, and a registry that holds applications.

An image's tag carries a hash of everything it is made from. Images are the machine's: built once,
shared by all labs of all checkouts.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import outer
from plan import BARE, LABEL, WITH_DOCKER, Group, Host
from run import attempt, docker, pipe, run, say

RECIPES = Path(__file__).resolve().parent / "images"
LOCAL_CAS = Path("/usr/local/share/ca-certificates")
BUILD_TIMEOUT = 1800

# The registry and the applications in it are the same in every lab.
REGISTRY_DISTRIBUTION = BARE[0]
# The container in which the registry is filled before its image is taken.
FILLER = "shoal-lab-filler"

BASE_PACKAGES = tuple(
    "systemd systemd-sysv dbus sudo openssh-server python3 python3-apt ca-certificates iproute2"
    " procps kmod".split()
)
# What roles and tests install: fetched into the image. Where no role can, it is installed in it.
FETCHED_PACKAGES = {
    "trixie": "docker.io docker-cli iptables nftables ufw firewalld python3-docker",
    "bookworm": "docker.io iptables nftables ufw firewalld python3-docker",
    "forky": "docker.io docker-cli iptables python3-docker python3-jsondiff",
}


@dataclass(frozen=True)
class Application:
    """A folder below images/, built once per tag; the Dockerfile gets the tag as VERSION."""

    name: str
    tags: tuple[str, ...]


APPLICATIONS = (
    Application("python", ("3",)),
    Application("redis", ("8",)),
    Application("web", ("1", "2")),
)


def fingerprint(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:10]


def folder_parts(folder: Path) -> list[bytes]:
    parts = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            executable = path.stat().st_mode & 0o111 != 0
            parts += [f"{path.relative_to(folder)} {executable}".encode(), path.read_bytes()]
    return parts


def sources(indextargets: str, machine_release: str, distribution: str) -> list[str]:
    """This machine's own Debian mirrors as sources for another release.

    Empty where the machine's apt knows no Debian archive: the tools' defaults serve then.
    """
    found = {}
    for line in indextargets.splitlines():
        uri, release, origin = line.split("|")
        # apt knows the origin of what it has fetched an index of; others call a release so too.
        if origin == "Debian" and release.startswith(machine_release):
            found[release[len(machine_release) :]] = uri.rstrip("/")
    if "" not in found:
        return []
    return [
        f"deb {found[suffix]} {distribution}{suffix} main"
        for suffix in ("", "-updates", "-security")
        if suffix in found
    ]


def machine_sources(distribution: str) -> list[str]:
    form = "$(REPO_URI)|$(RELEASE)|$(ORIGIN)"
    targets = attempt(["apt-get", "indextargets", "--format", form, "Component: main"])
    about = Path("/etc/os-release").read_text()
    release = re.search(r"^VERSION_CODENAME=(\S+)", about, flags=re.MULTILINE)
    if targets.returncode != 0 or release is None:
        return []
    return sources(targets.stdout, release[1], distribution)


def apt_settings(apt_config_dump: str) -> str:
    """The part of a machine's apt configuration that downloads depend on."""
    wanted = r"Acquire::(https?::(Proxy|Timeout)|Check-Date|Check-Valid-Until|Retries)\b"
    chosen = [line for line in apt_config_dump.splitlines() if re.match(wanted, line)]
    return "".join(f"{line}\n" for line in chosen)


def pip_settings(environment: Mapping[str, str], local_cas: bool) -> str:
    """/etc/pip.conf: pip brings its own certificates and heeds no proxy of apt's."""
    settings = {
        "cert": "/etc/ssl/certs/ca-certificates.crt" if local_cas else None,
        "index-url": environment.get("PIP_INDEX_URL"),
        "proxy": environment.get("https_proxy"),
    }
    lines = [f"{name} = {value}\n" for name, value in settings.items() if value]
    return "".join(["[global]\n", *lines]) if lines else ""


def machine_files() -> dict[str, bytes]:
    """What this machine hands to its hosts: path → content."""
    authorities = sorted(LOCAL_CAS.rglob("*.crt"))
    files = {str(path).lstrip("/"): path.read_bytes() for path in authorities}
    dump = attempt(["apt-config", "dump"]).stdout
    files["etc/apt/apt.conf.d/80lab"] = apt_settings(dump).encode()
    files["etc/pip.conf"] = pip_settings(os.environ, bool(authorities)).encode()
    return {path: content for path, content in files.items() if content}


def exists(image: str) -> bool:
    return attempt(["docker", "image", "inspect", image]).returncode == 0


def build(image: str, kind: str, folder: Path, **build_arguments: str) -> None:
    arguments = ["docker", "build", "--quiet", "--force-rm", "--network", "host", "--tag", image]
    arguments += ["--label", f"{LABEL}.image={kind}"]
    for name, value in build_arguments.items():
        arguments += ["--build-arg", f"{name}={value}"]
    # A builder of its own (buildx) would not see the images that lie in the engine.
    environment = {**os.environ, "BUILDX_BUILDER": "default"}
    run([*arguments, str(folder)], BUILD_TIMEOUT, environment=environment)


def ensure_base(distribution: str) -> str:
    mirrors = machine_sources(distribution)
    recipe = [*BASE_PACKAGES, *mirrors]
    image = f"shoal-lab/base:{distribution}-{fingerprint(part.encode() for part in recipe)}"
    if exists(image):
        return image
    say(f"Making a bare {distribution} from Debian's packages")
    tree = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"]
    if distribution in WITH_DOCKER:
        # Before its release an index is valid for a week, and the mirror's may be older.
        tree += ["--aptopt=Acquire::Check-Valid-Until false"]
    tree += [f"--include={','.join(BASE_PACKAGES)}", distribution, "-", *mirrors]
    # The import of a tree that broke off half way may succeed: the name comes after the check.
    unchecked = f"{image}-unchecked"
    label = f"LABEL {LABEL}.image=base"
    pipe(tree, ["docker", "import", "--change", label, "-", unchecked], BUILD_TIMEOUT)
    docker("tag", unchecked, image)
    docker("image", "rm", unchecked)
    return image


def ensure_host(distribution: str) -> str:
    base = ensure_base(distribution)
    files = machine_files()
    recipe = [base.encode(), FETCHED_PACKAGES[distribution].encode(), repr(files).encode()]
    recipe += folder_parts(RECIPES / "host")
    image = f"shoal-lab/host:{distribution}-{fingerprint(recipe)}"
    if exists(image):
        return image
    say(f"Building the host image for {distribution}")
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch) / "host"
        shutil.copytree(RECIPES / "host", context)
        (context / "machine").mkdir()
        for path, content in files.items():
            target = context / "machine" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        build(image, "host", context, BASE=base, FETCH=FETCHED_PACKAGES[distribution])
    return image


def ensure_engine(host_image: str, distribution: str) -> str:
    """A host's image with Docker in it, and no systemd that runs."""
    packages = FETCHED_PACKAGES[distribution]
    mark = fingerprint([host_image.encode(), *folder_parts(RECIPES / "engine")])
    image = f"shoal-lab/engine:{distribution}-{mark}"
    if not exists(image):
        build(image, "engine", RECIPES / "engine", BASE=host_image, PACKAGES=packages)
    return image


def ensure_distribution(distribution: str) -> str:
    host_image = ensure_host(distribution)
    return ensure_engine(host_image, distribution) if distribution in WITH_DOCKER else host_image


def ensure_registry(host_image: str) -> str:
    """The registry's image, with the applications in it already."""
    recipe = [host_image.encode(), *folder_parts(RECIPES / "registry"), repr(APPLICATIONS).encode()]
    for application in APPLICATIONS:
        recipe += folder_parts(RECIPES / application.name)
    mark = fingerprint(recipe)
    image = f"shoal-lab/registry:{mark}"
    if exists(image):
        return image
    say("Building the registry and its application images")
    empty = f"shoal-lab/registry-empty:{mark}"

    def build_application(application: Application) -> None:
        # One tag after the other: from the second on, all but the last step is there already.
        for tag in application.tags:
            image = local_name(application.name, tag)
            folder = RECIPES / application.name
            build(image, "application", folder, BASE=host_image, VERSION=tag)

    def local_name(name: str, tag: str) -> str:
        return f"shoal-lab/{name}:{mark}-{tag}"

    with ThreadPoolExecutor() as workers:
        jobs = [workers.submit(build_application, application) for application in APPLICATIONS]
        build(empty, "registry", RECIPES / "registry", BASE=host_image)
        for job in jobs:
            job.result()
    published = [
        (application.name, tag) for application in APPLICATIONS for tag in application.tags
    ]
    fill_registry(image, empty, {local_name(name, tag): f"{name}:{tag}" for name, tag in published})
    return image


def fill_registry(image: str, empty: str, built: Mapping[str, str]) -> None:
    """Push from inside the registry: the outer engine may be the user's own, configured as it is.

    By `docker commit`, because a Dockerfile cannot read the images of the engine that builds it.
    """
    remove_filler()
    serve = ["docker-registry", "serve", "/etc/docker/registry/config.yml"]
    docker("run", "--detach", "--name", FILLER, "--user", "docker-registry", empty, *serve)
    push = ["docker", "exec", "--interactive", "--env", "HOME=/tmp", FILLER, "skopeo"]
    push += ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--retry-times=5"]
    for local, published in built.items():
        destination = f"docker://localhost:5000/{published}"
        pipe(["docker", "save", local], [*push, "docker-archive:/dev/stdin", destination], 300)
    docker("stop", FILLER)
    changes = ["--change", 'CMD ["/usr/local/sbin/lab-init"]', "--change", "USER root"]
    docker("commit", *changes, FILLER, image, timeout=300)
    remove_filler()


def remove_filler() -> None:
    attempt(["docker", "rm", "--force", "--volumes", FILLER])


def ensure(hosts: Collection[Host]) -> dict[str, str]:
    """Host name → its image, made where it is not there yet."""
    registries = {host.name for host in hosts if host.group is Group.REGISTRIES}
    distributions = sorted({host.distribution for host in hosts})
    with outer.machine_lock("images"), ThreadPoolExecutor() as workers:
        building = {each: workers.submit(ensure_distribution, each) for each in distributions}
        built = {name: future.result() for name, future in building.items()}
        registry = {name: ensure_registry(built[REGISTRY_DISTRIBUTION]) for name in registries}
    return {host.name: built[host.distribution] for host in hosts} | registry


def remove_all() -> None:
    """Round after round: an image goes after those made from it. What a container of another
    checkout is made from stays: Docker insists."""
    command = ["image", "ls", "--quiet", "--filter", f"label={LABEL}.image"]
    remove_filler()
    before: set[str] = set()
    while (found := set(docker(*command).split())) and found != before:
        for image in found:
            attempt(["docker", "image", "rm", "--force", image])
        before = found
