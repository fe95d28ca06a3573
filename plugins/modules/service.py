#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service
short_description: Create, change, roll back and remove Docker Swarm services, and see them run
version_added: 1.0.0
description:
  - Creates a service, or brings one to the options that the task names.
  - What is not given stays as it is. So O(name) with O(replicas) scales a service, O(name) with
    O(image) rolls out an image, and nothing else changes.
  - A list or a mapping that is given replaces the one that is there. An explicit empty value
    (V([]), V({}), V("")) clears an option, or returns it to the engine's default. Of an option with
    suboptions only the suboptions that are given change; V({}) clears all of them. What is null is
    not given.
  - Nothing is written when nothing differs, so that no task restarts and the spec to roll back to
    is kept.
  - Waits until every task runs and has kept running, or until a job is complete, and fails with the
    swarm's own reason where that does not happen. It does so also on a run that had nothing to
    change.
  - Run it on a manager.
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._wait
  - shoal.swarm._attributes
  - shoal.swarm._attributes.watched
options:
  name:
    description: The service's name. It cannot be changed.
    type: str
    required: true
  state:
    description:
      - V(present) creates or changes the service.
      - V(absent) removes it, and waits until its tasks have stopped. What ran on a node that is
        down is not waited for.
      - V(rolled_back) returns it to the spec that it had before its last update. It does so once, a
        second run changes nothing. It fails where there is no such spec, because the service has
        not been updated since it was created. Only O(name) and the options of the wait are read.
    type: str
    choices: [present, absent, rolled_back]
    default: present
  image:
    description:
      - The image, such as V(redis:7) or V(registry.example.com/app:1.2). Needed to create a
        service.
      - The tag is stored together with the digest that it means, see O(resolve_image), so that all
        nodes run the same image. That digest is no difference to the tag alone. A digest that is
        given (V(redis@sha256:...)) is used as it is.
    type: str
  resolve_image:
    description:
      - When to ask the registry which digest the tag of O(image) means.
      - V(changed) asks for a new service and for another image or tag. A tag that has been moved to
        a newer image since is no difference.
      - V(always) asks at each run, so a moved tag is rolled out. V(never) does not ask, and each
        node takes what it finds by the tag.
      - V(true) is V(always) and V(false) is V(never), as docker_swarm_service has it.
      - A registry that does not answer is a warning. A service keeps the image and the digest that
        it has; of another image each node takes what it finds by the tag.
      - A service whose image has no digest, because the registry was down or nobody asked, keeps it
        so with V(changed), for a digest restarts its tasks. Each run warns of it; V(always) looks
        it up.
      - With the digest comes the list of platforms that the image is made for, and it goes into
        O(placement.platforms) where the task does not name that.
    type: str
    default: changed
  registry_auth:
    description:
      - The login at the registry of the image. It is used to find the digest, and goes to the swarm
        with each write, so that every node can pull the image.
      - The swarm keeps it with the service and never shows it. It is not compared, so another
        password alone is no difference; with O(force_update) it is sent. An update without login
        keeps the one that the swarm has.
    type: dict
    suboptions:
      username:
        description: The user's name.
        type: str
        required: true
      password:
        description: The password, or a token.
        type: str
        required: true
  with_registry_auth:
    description:
      - As O(registry_auth), with the login that C(docker login) left on the host that the task runs
        on, for the user that it runs as (root with C(become)). Credential helpers are asked as
        well.
      - O(registry_auth) comes first where both are given.
    type: bool
    default: false
  mode:
    description:
      - V(replicated) keeps O(replicas) tasks running, V(global) one on each node that the placement
        allows.
      - V(replicated-job) runs tasks until O(replicas) of them have completed, V(global-job) one to
        completion on each node. Both need API 1.41.
      - A new service is V(replicated). The mode of a service cannot be changed; a task that asks
        for another one fails.
    type: str
    choices: [replicated, global, replicated-job, global-job]
  replicas:
    description:
      - How many tasks to run, in mode V(replicated-job) how many shall complete. V(1) for a new
        service.
      - V(-1) leaves the number alone, as not giving the option does.
      - Refused in the global modes.
    type: int
  max_concurrent:
    description:
      - How many tasks of a V(replicated-job) run at the same time, all of them for a new one.
        Refused in other modes.
    type: int
  command:
    description:
      - The command to run instead of the image's entrypoint, as a list, or as a text that is split
        as a shell would. V([]) returns to the image's entrypoint.
    type: raw
  args:
    description: Arguments of the command. V([]) returns to those of the image.
    type: list
    elements: str
  env:
    description:
      - Environment variables, as a mapping or as a list of C(NAME=value). Numbers and booleans
        become text. Of a variable that comes twice in the list the last one counts.
      - C(NAME) without a value is refused, because nothing looks it up where the module runs; write
        C(NAME=) for an empty one.
      - They replace those that are there; V({}) removes them all. Their order is no difference.
    type: raw
  env_files:
    description:
      - Files of C(NAME=value) lines on the host that the task runs on. Of a variable that comes
        twice the later one counts, and O(env) comes last.
      - Together with O(env) they replace the variables that are there.
    type: list
    elements: path
  working_dir:
    description: The directory in which the command runs. V("") returns to that of the image.
    type: str
  user:
    description:
      - The user as whom the command runs, by name or number, also with a group (V(app:app)). V("")
        returns to that of the image.
    type: str
  groups:
    description: More groups for that user, by name or number. V([]) removes them.
    type: list
    elements: str
  hostname:
    description: The containers' host name. V("") returns to the container's ID.
    type: str
  hosts:
    description:
      - >-
        More entries for C(/etc/hosts), as a mapping of name to address, or to a list of addresses,
        such as V({db: 10.0.0.1, cache: [10.0.0.2, 10.0.0.3]}). V({}) removes them.
    type: dict
  dns:
    description: Addresses of DNS servers. V([]) returns to those of the node.
    type: list
    elements: str
  dns_search:
    description: Domains in which names are looked up. V([]) removes them.
    type: list
    elements: str
  dns_options:
    description: Options of the resolver, such as V(ndots:2). V([]) removes them.
    type: list
    elements: str
  tty:
    description: Give the containers a terminal. The engine's default is V(false).
    type: bool
  stdin_open:
    description: Keep the containers' standard input open. The engine's default is V(false).
    type: bool
  read_only:
    description: Mount the containers' root file system read-only. The engine's default is V(false).
    type: bool
  init:
    description:
      - Run a small init in each container, which passes signals on and reaps processes. V(false)
        for a new service. Needs API 1.37.
    type: bool
  stop_signal:
    description:
      - The signal that asks a container to stop, such as V(SIGQUIT). V("") returns to that of the
        image, or V(SIGTERM).
    type: str
  stop_grace_period:
    description:
      - How long a container may take to stop before it is killed, as a duration such as V(30s) or
        V(1m30s) or an integer of nanoseconds. V("") returns to the engine's default of V(10s).
    type: str
  labels:
    description:
      - Labels of the service. They replace those that are there; V({}) removes them.
      - Those by which stacks know their services (C(com.docker.stack.)) stay where the task does
        not name them. Those of this collection (C(shoal.swarm/)) stay, and a task that names one
        fails.
    type: dict
  container_labels:
    description:
      - Labels of the containers. They replace those that are there, as in O(labels); V({}) removes
        them.
    type: dict
  healthcheck:
    description:
      - How the engine finds out whether a container is healthy. A task counts as running only when
        it is. V({}) returns to the check of the image.
      - Durations are given as V(10s) or V(1m30s), or as an integer of nanoseconds. V("") or V(0)
        returns one to that of the image, or to the engine's default.
    type: dict
    suboptions:
      test:
        description:
          - The check. A text is a command line for the container's shell. A list begins with
            V(CMD), V(CMD-SHELL) or V(NONE).
          - V(NONE) turns the image's check off; V([]) returns to it.
        type: raw
      interval:
        description: Time between two checks. The engine's default is V(30s).
        type: str
      timeout:
        description: How long a check may take. The engine's default is V(30s).
        type: str
      retries:
        description:
          - How many checks must fail in a row for the container to be unhealthy. The engine's
            default is V(3).
        type: int
      start_period:
        description:
          - How long a container may take to start; checks that fail in this time do not count. The
            engine's default is V(0s).
        type: str
      start_interval:
        description:
          - Time between two checks while O(healthcheck.start_period) lasts. The engine's default is
            V(5s). Needs API 1.44 (Docker Engine 25.0).
        type: str
  mounts:
    description:
      - What is mounted into the containers. They replace the mounts that are there; V([]) removes
        them. Their order is no difference.
    type: list
    elements: dict
    suboptions:
      source:
        description:
          - The path on the node (V(bind), V(npipe)), the name of the volume (V(volume), V(cluster))
            or the image (V(image)). A path must be there on each node that runs a task.
          - A V(volume) without it is a new volume for each task. A V(tmpfs) has none.
        type: str
      target:
        description: The path in the container.
        type: str
        required: true
      type:
        description:
          - What is mounted. V(cluster) is a volume of a CSI driver, by name or as V(group:NAME),
            and needs API 1.42 (Docker Engine 23.0). V(image) needs API 1.48 (Docker Engine 28.0);
            Engine 28.5 takes it for containers, and not for services. V(npipe) is for Windows.
          - The default is that of docker_swarm_service. The one of C(docker service) is V(volume).
        type: str
        choices: [bind, volume, tmpfs, npipe, cluster, image]
        default: bind
      readonly:
        description: Mount it read-only. The engine's default is V(false).
        type: bool
      propagation:
        description:
          - Whether mounts below it, made later, are seen on the other side. Only for V(bind). The
            engine's default is V(rprivate).
        type: str
        choices: [shared, slave, private, rshared, rslave, rprivate]
      non_recursive:
        description:
          - Leave out what is mounted below the source. Only for V(bind). Needs API 1.41.
        type: bool
      no_copy:
        description:
          - Do not fill a new volume with what the image has at O(mounts[].target). Only for
            V(volume).
        type: bool
      labels:
        description:
          - Labels of the volume. Only for V(volume), and only read when a node creates it.
        type: dict
      subpath:
        description:
          - The directory in the volume to mount, instead of all of it. Only for V(volume). Needs
            API 1.45 (Docker Engine 26.0).
        type: str
      driver_config:
        description:
          - The driver of the volume. Only for V(volume), and only read when a node creates it.
        type: dict
        suboptions:
          name:
            description: The driver's name. The engine's default is V(local).
            type: str
          options:
            description: The driver's options.
            type: dict
      tmpfs_size:
        description:
          - The largest size, as V(64M) or in bytes. Only for V(tmpfs). Unlimited by default.
        type: str
      tmpfs_mode:
        description:
          - The mode of the directory, in octal digits in quotes, such as V('0700'). Only for
            V(tmpfs). The engine's default is V('1777').
        type: raw
      tmpfs_options:
        description:
          - More options of the mount, such as V(noexec) or V(uid=1000). Only for V(tmpfs). Needs
            API 1.46 (Docker Engine 27.0).
        type: list
        elements: str
  secrets:
    description:
      - Secrets that the containers can read. They replace those that are there; V([]) removes them.
        They must exist.
      - Each is a secret's name, which becomes the file C(/run/secrets/NAME), or a mapping of the
        following keys.
      - C(secret_name) is the name. It is needed.
      - C(secret_id) is the ID. It need not be given; where it is, the name must have it.
      - C(filename) is the file in C(/run/secrets), or an absolute path. The default is the name.
      - C(uid) and C(gid) are the file's owner and group. The default is V('0').
      - C(mode) is the file's mode, in octal digits in quotes. The default is V('0444').
    type: list
    elements: raw
  configs:
    description:
      - Configs that the containers can read. They replace those that are there; V([]) removes them.
        They must exist.
      - Each is a config's name, which becomes the file C(/NAME), or a mapping of the following
        keys.
      - C(config_name) is the name. It is needed.
      - C(config_id) is the ID. It need not be given; where it is, the name must have it.
      - C(filename) is the file's path in the container. The default is the name.
      - C(uid), C(gid) and C(mode) are as in O(secrets).
      - C(runtime) set to V(true) makes no file. The engine itself reads the config, as
        O(credential_spec.config) needs it. Needs API 1.40.
    type: list
    elements: raw
  publish:
    description:
      - Ports to publish. They replace those that are published; V([]) removes them. Their order is
        no difference.
      - Each is a text, as C(docker service create --publish) takes it, or a mapping.
      - As a text it is V('8080:80'), V('8080:80/udp'), or V(80) alone for a free port of the
        swarm's choice. Two ranges of the same length are several ports, as V('8000-8002:80-82'),
        and so is a range outside for one port, as V('8000-8002:80'). Put it in quotes, because YAML
        reads V(53:53) as one number.
      - C(published=8080,target=80,protocol=tcp,mode=host) is the long form of such a text.
      - A mapping has the following keys.
      - C(target_port) is the port that the task listens on. It is needed.
      - C(published_port) is the port outside. Left out, the swarm or the node chooses a free one.
      - C(protocol) is V(tcp), V(udp) or V(sctp). The default is V(tcp). V(sctp) needs API 1.37.
      - C(mode) is V(ingress) for the routing mesh, which answers on every node, or V(host) for a
        port only on the nodes that run a task. The default is V(ingress).
      - C(name) is a name for the port, for programs that read the spec.
    type: list
    elements: raw
  endpoint_mode:
    description:
      - How other services find it by its name. V(vip) is one virtual address for all tasks,
        V(dnsrr) the addresses of the tasks themselves.
      - The engine's default is V(vip). The swarm refuses V(dnsrr) together with a port published in
        mode C(ingress).
    type: str
    choices: [vip, dnsrr]
  networks:
    description:
      - Networks to attach. They replace those that are attached; V([]) detaches them. They must
        exist.
      - Each is a network's name or ID, or a mapping of the following keys.
      - C(name) is the network's name or ID. It is needed.
      - C(aliases) is a list of more names for the service on that network.
      - C(options) is a mapping of options for the network's driver.
    type: list
    elements: raw
  placement:
    description: Where tasks may run. V({}) lets them run on any node.
    type: dict
    suboptions:
      constraints:
        description:
          - Conditions that a node must meet, all of them, such as V(node.labels.type==db),
            V(node.role!=manager) or V(node.hostname==node4). V([]) removes them.
        type: list
        elements: str
      preferences:
        description:
          - >-
            How to spread the tasks over groups of nodes, each as C(spread) with a label, such as
            V({spread: node.labels.zone}). The first one counts most. V([]) removes them.
        type: list
        elements: dict
      replicas_max_per_node:
        description:
          - How many tasks of the service one node may run; V(0) for any number. Refused in the
            global modes. Needs API 1.40.
        type: int
      platforms:
        description:
          - Platforms that a node must have, each as V(linux/amd64). One of them suffices. V([]) for
            any.
          - Where it is not given, it is what the registry says of the image, see O(resolve_image).
        type: list
        elements: str
  limits:
    description: What each task may use at most. V({}) removes all limits.
    type: dict
    suboptions:
      cpus:
        description: Number of CPUs, such as V(0.5), at least V(0.001); V(0) for no limit.
        type: float
      memory:
        description:
          - Memory, as a size such as V(64M) or V(1.5g) (powers of 1024) or in bytes, at least
            V(4M); V(0) for no limit.
        type: str
      pids:
        description: Number of processes; V(0) for no limit. Needs API 1.41.
        type: int
      swap:
        description:
          - Swap, as a size or in bytes; V(-1) for no limit. Only together with O(limits.memory).
            V("") returns to the engine's default, which is twice the memory.
          - Needs API 1.52 (Docker Engine 29.0).
        type: str
      swappiness:
        description:
          - How readily memory is swapped out, from V(0) to V(100); V(-1) for what the node does by
            default. Needs API 1.52 (Docker Engine 29.0).
        type: int
  reservations:
    description:
      - What a node must have free for each task to be placed there. V({}) removes all reservations.
    type: dict
    suboptions:
      cpus:
        description: Number of CPUs, such as V(0.5), at least V(0.001); V(0) for none.
        type: float
      memory:
        description: Memory, as in O(limits.memory); V(0) for none.
        type: str
      generic_resources:
        description:
          - >-
            Resources that the nodes' engines advertise (C(node-generic-resources) in their
            C(daemon.json)), as a mapping such as V({gpu: 2}) or a list such as V([gpu=2]). V({})
            removes them. Needs API 1.32.
        type: raw
  ulimits:
    description:
      - >-
        Limits for the containers' processes, as V({nofile: 1024}), with a soft and a hard limit as
        V({nofile: {soft: 1024, hard: 2048}}), or as a list of V(nofile=1024:2048). V(-1) is
        unlimited. A soft limit above the hard one is refused, and so is a name that is none.
      - They replace those that are there; V({}) removes them. Needs API 1.41.
    type: raw
  sysctls:
    description:
      - >-
        Kernel parameters in the containers, such as V({net.core.somaxconn: 1024}). They replace
        those that are there; V({}) removes them. Needs API 1.40.
    type: dict
  cap_add:
    description:
      - Capabilities that the containers have beyond the engine's default ones, such as V(NET_ADMIN)
        or V(ALL), with or without C(CAP_). V([]) removes them. Needs API 1.41.
    type: list
    elements: str
  cap_drop:
    description:
      - Capabilities to take from the containers, V(ALL) for all. One that is also in O(cap_add) is
        added. V([]) removes them from the list. Needs API 1.41.
    type: list
    elements: str
  oom_score_adj:
    description:
      - How readily the kernel kills a container when memory runs out, from V(-1000) (never) to
        V(1000). The engine's default is V(0). Needs API 1.46 (Docker Engine 27.0).
    type: int
  no_new_privileges:
    description:
      - Keep the containers' processes from getting more privileges, as with setuid. The engine's
        default is V(false). Needs API 1.44 (Docker Engine 25.0).
    type: bool
  apparmor:
    description:
      - Whether the engine's AppArmor profile holds for the containers. The engine's default is
        V(default). Needs API 1.44 (Docker Engine 25.0).
    type: str
    choices: [default, disabled]
  seccomp:
    description:
      - Which system calls the containers may use. V({}) returns to the engine's profile. Needs API
        1.44 (Docker Engine 25.0).
    type: dict
    suboptions:
      mode:
        description:
          - V(default) is the engine's profile, V(unconfined) none, V(custom) the one in
            O(seccomp.profile).
        type: str
        choices: [default, unconfined, custom]
      profile:
        description:
          - The profile of mode V(custom), as a mapping or as its JSON text. V("") removes it.
        type: raw
  selinux:
    description: The containers' SELinux label. V({}) returns to the engine's default.
    type: dict
    suboptions:
      disable:
        description: Run without SELinux confinement. The engine's default is V(false).
        type: bool
      user:
        description: The user part of the label.
        type: str
      role:
        description: The role part of the label.
        type: str
      type:
        description: The type part of the label.
        type: str
      level:
        description: The level part of the label.
        type: str
  credential_spec:
    description:
      - The managed service account of Windows containers, from one of these places. To name one
        takes the place of another. V({}) removes it.
    type: dict
    suboptions:
      config:
        description:
          - Name of a config that holds it. The reference to it, C(runtime) in O(configs), is added
            by itself. Needs API 1.40.
        type: str
      file:
        description: Name of a file in the folder C(CredentialSpecs) of Docker's data folder.
        type: str
      registry:
        description: Name of a value in the registry of Windows.
        type: str
  isolation:
    description:
      - How Windows containers are isolated. The engine's default is V(default), which is what the
        node is set to. Needs API 1.35.
    type: str
    choices: [default, process, hyperv]
  logging:
    description: Where the containers' output goes. V({}) returns to the node's log driver.
    type: dict
    suboptions:
      driver:
        description: The log driver, such as V(local), V(json-file) or V(syslog).
        type: str
      options:
        description: >-
          The driver's options, such as V({max-size: 10m}). V({}) removes them.
        type: dict
  restart_config:
    description:
      - What happens when a task's container ends. V({}) returns to the engine's defaults.
      - Durations are given as V(5s) or V(1m30s), or as an integer of nanoseconds.
    type: dict
    suboptions:
      condition:
        description:
          - When a new task takes its place. The engine's default is V(any), which in a job is the
            same as V(on-failure).
        type: str
        choices: [none, on-failure, any]
      delay:
        description: How long to wait before that. The engine's default is V(5s).
        type: str
      max_attempts:
        description: How often to try; V(0), the engine's default, is without end.
        type: int
      window:
        description:
          - In which time O(restart_config.max_attempts) are counted; V(0s), the engine's default,
            is all the time.
        type: str
  update_config:
    description:
      - How an update goes. V({}) returns to the engine's defaults. Refused for a job.
      - To change it restarts nothing.
    type: dict
    suboptions:
      parallelism:
        description:
          - How many tasks to replace at a time; V(0) for all at once. The engine's default is V(1).
        type: int
      delay:
        description:
          - How long to wait between them, as a duration such as V(10s) or an integer of
            nanoseconds. The engine's default is V(0s).
        type: str
      failure_action:
        description: What to do when too many tasks fail. The engine's default is V(pause).
        type: str
        choices: [continue, pause, rollback]
      monitor:
        description:
          - How long a new task is watched; a failure in this time counts. As a duration or an
            integer of nanoseconds; the engine's default is V(5s). The wait takes as long, see
            O(wait).
        type: str
      max_failure_ratio:
        description:
          - Which part of the tasks may fail without it being a failure of the update, from V(0) to
            V(1). The engine's default is V(0).
        type: float
      order:
        description:
          - Whether the new task starts before the old one stops. The engine's default is
            V(stop-first).
        type: str
        choices: [start-first, stop-first]
  rollback_config:
    description:
      - How a rollback goes, as O(update_config) for an update. V({}) returns to the engine's
        defaults, which are the same. Refused for a job.
    type: dict
    suboptions:
      parallelism:
        description: As O(update_config.parallelism).
        type: int
      delay:
        description: As O(update_config.delay).
        type: str
      failure_action:
        description: As O(update_config.failure_action). A rollback is not rolled back.
        type: str
        choices: [continue, pause]
      monitor:
        description: As O(update_config.monitor).
        type: str
      max_failure_ratio:
        description: As O(update_config.max_failure_ratio).
        type: float
      order:
        description: As O(update_config.order).
        type: str
        choices: [start-first, stop-first]
  force_update:
    description:
      - Restart the tasks, or run the job again, although nothing differs.
      - V(true) does so at each run. V(false) is as if it was not given.
      - Any other text is a key, such as V(2026-11) or a checksum, and does so once for each new
        key. The last key is remembered in the label C(shoal.swarm/force_update) of the service,
        which everybody can read.
    type: str
  on_rollback:
    description:
      - What it means that the update of this run failed, and the swarm has rolled it back, as
        O(update_config.failure_action=rollback) asks.
      - V(fail) fails the task. V(accept) is content when the tasks of the previous spec run, and
        warns of the rollback; the next run tries the update again.
    type: str
    choices: [fail, accept]
    default: fail
  spec:
    description:
      - >-
        Fields of the API's C(ServiceSpec) that have no option yet, by the names that
        RV(service_spec) shows, such as V({TaskTemplate: {Runtime: container}}).
      - They are merged into the service's spec after all other options. A mapping is merged key by
        key, a list replaces the one that is there, and a null removes a field.
      - The API version and the values are not checked. The task warns of what the engine did not
        keep, because each run would write it again.
    type: dict
notes:
  - The wait ends well when each task of the present spec runs, no update goes on, and the youngest
    task has run for O(update_config.monitor). In mode V(global) that is one task on each node that
    got one. Tasks that have completed count where O(restart_config.condition) lets them end.
  - The wait fails early when the swarm pauses an update, rolls it back, or does not try a task
    again. Otherwise it fails at O(wait_timeout). The message has the swarm's reasons, such as C(no
    suitable node), the names of the nodes, and the last lines of the log of the task that failed
    last. It fails as well when somebody else has changed the service meanwhile to something else
    than this task asked for.
  - A job runs when it is created, and again whenever something of it is changed; O(force_update)
    with a key runs it once more without a change. The wait ends when all its tasks have completed,
    so give it the O(wait_timeout) that the job needs. The swarm tries a failed task again without
    end. Set O(restart_config.max_attempts), or O(restart_config.condition) to V(none), and the wait
    fails as soon as a task has failed more often than that.
  - Networks, secrets and configs that the task names must exist, in check mode as well.
  - The engine fills in templates such as C({{.Node.Hostname}}) in O(hostname), O(env) and
    O(mounts). Write C(!unsafe) before such a value, so that Ansible leaves it to the engine.
  - >-
    What is different from M(community.docker.docker_swarm_service), on purpose: what is not given
    stays instead of going back to a default; another O(mode) is refused instead of removing the
    service and creating it again; O(resolve_image) is V(changed) by default, as C(docker service)
    does; the task waits, and fails where the tasks do not run. O(wait=false) ends it as soon as the
    swarm has accepted the change.
seealso:
  - module: shoal.swarm.service_info
  - module: shoal.swarm.service_logs
  - module: community.docker.docker_swarm_service
"""

EXAMPLES = r"""
# Create

- name: Run three web servers behind one port
  shoal.swarm.service:
    name: web
    image: nginx:1.27
    replicas: 3
    publish:
      - "8080:80"

- name: Run one agent on every node
  shoal.swarm.service:
    name: agent
    image: registry.example.com/agent:2
    mode: global

- name: Run redis on nodes that are labelled for it, spread over the zones
  shoal.swarm.service:
    name: redis
    image: redis:7
    replicas: 5
    placement:
      constraints:
        - node.labels.type==db
      preferences:
        - spread: node.labels.zone

- name: Say how updates go, and what happens when one fails
  shoal.swarm.service:
    name: redis
    image: redis:7
    update_config:
      parallelism: 2
      delay: 10s
      order: start-first
      failure_action: rollback

- name: Limit what each task may use, and reserve what it needs
  shoal.swarm.service:
    name: redis
    limits:
      cpus: 0.5
      memory: 64M
    reservations:
      memory: 32M

- name: Publish a port only on the nodes that run a task, and let clients find the tasks by DNS
  shoal.swarm.service:
    name: db
    image: postgres:17
    endpoint_mode: dnsrr
    networks:
      - name: backend
        aliases: [database]
    publish:
      - target_port: 5432
        published_port: 5432
        mode: host

- name: Set the environment, from a file of the host and from the play
  shoal.swarm.service:
    name: app
    image: registry.example.com/app:1.2
    env_files:
      - /etc/app/common.env
    env:
      REDIS_HOST: redis
      WORKERS: 4
    networks:
      - backend

- name: Give it a secret and a config
  shoal.swarm.service:
    name: app
    secrets:
      - db_password
    configs:
      - config_name: app_settings_3
        filename: /etc/app/settings.ini
        uid: "1000"
        mode: "0400"

- name: Mount a volume, a directory of the node and a tmpfs
  shoal.swarm.service:
    name: app
    mounts:
      - type: volume
        source: app_data
        target: /var/lib/app
      - type: bind
        source: /etc/pki/trust
        target: /etc/pki/trust
        readonly: true
      - type: tmpfs
        target: /tmp
        tmpfs_size: 64M
        tmpfs_mode: "1777"

- name: Count a task as running only when it answers
  shoal.swarm.service:
    name: web
    healthcheck:
      test: curl --fail --silent http://localhost/health
      interval: 10s
      timeout: 2s
      retries: 3
      start_period: 30s

- name: Let a service do only what it must
  shoal.swarm.service:
    name: app
    user: "1000:1000"
    read_only: true
    no_new_privileges: true
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]

- name: Take the image from a private registry
  shoal.swarm.service:
    name: app
    image: registry.example.com/app:1.3
    registry_auth:
      username: deploy
      password: "{{ registry_password }}"

# Change

- name: Scale it up or down, and touch nothing else
  shoal.swarm.service:
    name: web
    replicas: 5

- name: Roll out a new image, and touch nothing else
  shoal.swarm.service:
    name: web
    image: nginx:1.28

- name: Roll out what the tag means today
  shoal.swarm.service:
    name: app
    image: registry.example.com/app:stable
    resolve_image: always

- name: Roll out an image, and be content if the swarm keeps the old one
  shoal.swarm.service:
    name: app
    image: registry.example.com/app:1.4
    update_config:
      failure_action: rollback
    on_rollback: accept

- name: Return to what it was before the last update
  shoal.swarm.service:
    name: web
    state: rolled_back

- name: Restart the tasks whenever the certificate has changed
  shoal.swarm.service:
    name: web
    force_update: "{{ certificate.stat.checksum }}"

- name: Remove the limits, the published ports and the environment
  shoal.swarm.service:
    name: app
    limits: {}
    publish: []
    env: {}

- name: Change it, and do not wait
  shoal.swarm.service:
    name: web
    replicas: 8
    wait: false

- name: Set a field of the API that has no option, and remove another one
  shoal.swarm.service:
    name: app
    spec:
      TaskTemplate:
        ContainerSpec:
          Hosts: [10.0.0.5 db.example.com db]
      RollbackConfig: null

# Jobs

- name: Run a job to completion, ten times, two at a time
  shoal.swarm.service:
    name: thumbnails
    image: registry.example.com/thumbnails:1
    mode: replicated-job
    replicas: 10
    max_concurrent: 2
    restart_config:
      max_attempts: 3
    wait_timeout: 1800

- name: Migrate the database once for each release
  shoal.swarm.service:
    name: migrate
    image: registry.example.com/app:1.3
    command: [app, migrate]
    mode: replicated-job
    restart_config:
      condition: none
    force_update: release-1.3

- name: Clean up once on every node, at each run
  shoal.swarm.service:
    name: cleanup
    image: registry.example.com/cleanup:1
    mode: global-job
    force_update: true

# Remove

- name: Remove a service, and wait until its tasks have stopped
  shoal.swarm.service:
    name: web
    state: absent
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs, with the difference in the
      symmetric form of jsondiff.
  returned: success
  type: list
  elements: dict
  sample: [{action: update service web, difference: {replicas: [3, 5]}}]
service_id:
  description: The service's ID; empty where there is none.
  returned: success
  type: str
service_spec:
  description:
    - The service's C(ServiceSpec) as the API shows it; empty where there is none. In check mode it
      is the one before the change.
  returned: success
  type: dict
tasks:
  description:
    - The service's tasks that shall run or complete, as they were when the wait ended; of each slot
      (in the global modes, of each node) the newest, of a job those of its last run. Sorted by
      slot, in the global modes by the node's name.
    - In the form of RV(shoal.swarm.service_info#module:services[].tasks).
  returned: success
  type: list
  elements: dict
  sample:
    - id: 8g0ymvqhs3qzcm2d2f5b0wu6m
      name: web.1
      slot: 1
      node: node4
      node_id: w7d1plb7rm8dbzbeeyn3pnhg5
      state: running
      desired_state: running
      error: ""
      message: started
      exit_code: null
      container_id: 5d0e2ee1f6a3d5f7a3b2cbb2b2a6f9d0a9c1b6e4f7d2c3a1b0e9f8d7c6b5a4f3
      image: nginx:1.27
      timestamp: "2026-11-21T08:24:49.102938475Z"
      ports: []
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._service import MODES, ROWS
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import argument_spec
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._image import CHANGED
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._service import (
    ACCEPT,
    FAIL,
    PRESENT,
    STATES,
    ensure,
    wait_on,
)


def main() -> None:
    module = make_module(
        {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "default": PRESENT, "choices": list(STATES)},
            "mode": {"type": "str", "choices": list(MODES)},
            "env_files": {"type": "list", "elements": "path"},
            "resolve_image": {"type": "str", "default": CHANGED},
            "with_registry_auth": {"type": "bool", "default": False},
            "registry_auth": {
                "type": "dict",
                "options": {
                    "username": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                },
            },
            "force_update": {"type": "str"},
            "on_rollback": {"type": "str", "default": FAIL, "choices": [FAIL, ACCEPT]},
            "spec": {"type": "dict"},
            **WAIT_ARGUMENTS,
            **argument_spec(ROWS),
        }
    )
    run(module, ensure, wait_on)


if __name__ == "__main__":
    main()
