#!/usr/bin/python
# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_init
short_description: Create a Docker Swarm on a host, or change the settings of the one it manages
version_added: 1.0.0
description:
  - Creates a swarm with this host as its first manager. Where the host is a manager already, its
    swarm is brought to the settings that the task names.
  - Settings that the task does not name stay as they are. Nothing is written when nothing differs.
  - Run it on the first manager; other hosts come in with M(shoal.swarm.swarm_join).
author:
  - The shoal.swarm authors (@shoal-swarm)
extends_documentation_fragment:
  - shoal.swarm._connection
  - shoal.swarm._wait
  - shoal.swarm._attributes
  - shoal.swarm._attributes.watched
options:
  advertise_addr:
    description:
      - The address by which the other nodes reach this host, as V(10.0.0.11), V(10.0.0.11:2377) or
        the name of an interface. An IP address is the better choice; the name of an interface
        means something else on each host.
      - A host with several addresses needs it.
      - It cannot be changed later. Where this host's address differs from it, the task fails.
    type: str
  listen_addr:
    description:
      - Where this manager listens for the other nodes, as an address or interface with a port. Only
        read when the swarm is created.
    type: str
    default: 0.0.0.0:2377
  data_path_addr:
    description:
      - The address or interface for the traffic of overlay networks, where it shall not be
        O(advertise_addr). Only read when the swarm is created.
    type: str
  data_path_port:
    description:
      - UDP port of the traffic of overlay networks, from V(1024) to V(49151). The engine's default
        is V(4789), which VMware NSX uses as well.
      - It cannot be changed later. Needs API 1.40.
    type: int
  default_addr_pool:
    description:
      - Ranges from which overlay networks get their subnets, in CIDR form. The engine's default is
        V(10.0.0.0/8). Choose ranges that no host and no router uses.
      - It cannot be changed later. Needs API 1.39.
    type: list
    elements: str
  subnet_size:
    description:
      - Prefix length of each overlay network's subnet, at most V(29). The engine's default is
        V(24), which has room for about 250 tasks.
      - It cannot be changed later. Needs API 1.39.
    type: int
  availability:
    description:
      - Whether this node takes tasks, V(drain) for a manager that shall only manage. Only read when
        the swarm is created, where V(active) is the default; later use M(shoal.swarm.node).
    type: str
    choices: [active, pause, drain]
  check_addresses:
    description:
      - Refuse O(advertise_addr), O(listen_addr) and O(data_path_addr) that no interface of this
        host carries. Set it to V(false) where an address is translated to this host, as with NAT.
    type: bool
    default: true
  labels:
    description:
      - Labels of the swarm itself. They replace those that are there; V({}) removes them all.
      - Those of this collection (C(shoal.swarm/)) stay, and a task that names one fails.
      - For labels of nodes use M(shoal.swarm.node_label).
    type: dict
  task_history_retention_limit:
    description:
      - How many old tasks to keep for each slot, and all of them where it is negative. The
        engine's default is V(5).
    type: int
  snapshot_interval:
    description: Number of Raft log entries between snapshots. The engine's default is V(10000).
    type: int
  keep_old_snapshots:
    description: Number of snapshots to keep beyond the current one. The engine's default is V(0).
    type: int
  log_entries_for_slow_followers:
    description:
      - Number of log entries to keep for followers that lag behind when a snapshot is made. The
        engine's default is V(500).
    type: int
  heartbeat_tick:
    description: Ticks, of about one second, between the leader's heartbeats. The engine's default
      is V(1).
    type: int
  election_tick:
    description:
      - Ticks without a heartbeat after which managers elect a new leader. Must be greater than
        O(heartbeat_tick), or than what the swarm has for it. The engine's default is V(10).
    type: int
  dispatcher_heartbeat_period:
    description:
      - How often nodes report to the managers, as a duration such as V(5s) or an integer of
        nanoseconds. The engine's default is V(5s).
    type: str
  node_cert_expiry:
    description:
      - How long the nodes' certificates are valid, as a duration such as V(90d) or V(48h) or an
        integer of nanoseconds; at least V(1h). The engine's default is V(90d).
    type: str
  external_cas:
    description: Authorities outside the swarm that sign the nodes' certificates. V([]) removes
      them.
    type: list
    elements: dict
    suboptions:
      url:
        description: Where certificate requests go.
        type: str
        required: true
      protocol:
        description: Protocol of the authority.
        type: str
        choices: [cfssl]
        default: cfssl
      options:
        description: Further options, as the protocol knows them.
        type: dict
      ca_cert:
        description: PEM text of the authority's root certificate.
        type: str
  signing_ca_cert:
    description:
      - PEM text of the root certificate that the swarm shall use. Where the swarm trusts another
        one, the root CA rotates to this one, and the task waits until each node has a new
        certificate. Where it trusts this one already, nothing happens.
      - Rotation changes both join tokens. It ends when every node has taken part, so remove nodes
        that will not come back.
    type: str
  signing_ca_key:
    description: PEM text of the key of O(signing_ca_cert).
    type: str
  ca_force_rotate:
    description:
      - Generate a new root CA where this number differs from the one that the swarm remembers.
        Raise it by one for each rotation; at the same number nothing happens.
      - The task waits until each node has a certificate of the new root. A rotation that somebody
        else has begun is a warning.
    type: int
  autolock_managers:
    description:
      - Encrypt the managers' state so that each restart of a manager needs the unlock key. Read the
        key with O(unlock_key) and keep it safe before a manager restarts.
    type: bool
  rotate_worker_token:
    description:
      - Make a new join token for workers. V(true) makes one at every run, as
        M(community.docker.docker_swarm) does.
      - Any other text is a key, such as the date; the token is rotated once for that key, and never
        again while the key stays the same. The swarm remembers the key in a label of its own.
      - Nodes that are in the swarm keep working.
    type: str
  rotate_manager_token:
    description: The same for the join token of managers. See O(rotate_worker_token).
    type: str
  rotate_unlock_key:
    description:
      - The same for the unlock key of a swarm with O(autolock_managers). See
        O(rotate_worker_token). Managers that are down now need the old key when they start.
    type: str
  force_new_cluster:
    description:
      - Recover from a quorum that is lost for good. This host becomes the only manager, and keeps
        services, secrets, configs, labels, workers and tokens. The other managers have to leave and
        join again.
      - V(true) does it whenever the swarm has more than this one manager. Any other text is a key,
        such as the date of the incident; it is done once for that key.
      - Where the root CA has been rotated by O(ca_force_rotate), name the same number here. With
        another one, or none, the engine rotates it again, which ends when the other nodes have
        joined again or are removed; the task does not wait for that.
      - Refused while the swarm has its quorum, unless O(force=true), and on an autolocked swarm,
        which the engine would lose.
    type: str
  force:
    description:
      - Allow O(force_new_cluster) although the swarm has its quorum, and a new swarm on a host
        where the state of an earlier one is still on disk. Does nothing by itself, unlike in
        M(community.docker.docker_swarm).
    type: bool
    default: false
  join_tokens:
    description:
      - Return the join tokens. They let any host into the swarm, so set C(no_log) on a task that
        asks for them.
    type: bool
    default: false
  unlock_key:
    description: Return the unlock key. Set C(no_log) on a task that asks for it.
    type: bool
    default: false
notes:
  - The default log driver of tasks is not an option here, because the engine ignores it in a
    swarm's settings. Set it in the daemon's configuration.
seealso:
  - module: shoal.swarm.swarm_join
  - module: shoal.swarm.swarm_info
  - module: community.docker.docker_swarm
"""

EXAMPLES = r"""
- name: Create a swarm
  shoal.swarm.swarm_init:
    advertise_addr: 10.0.0.11

- name: Create a swarm whose networks stay out of the data centre's ranges
  shoal.swarm.swarm_init:
    advertise_addr: 10.0.0.11
    default_addr_pool:
      - 172.30.0.0/16
      - 172.31.0.0/16
    subnet_size: 25

- name: Use another port than VMware NSX for overlay traffic, on an interface of its own
  shoal.swarm.swarm_init:
    advertise_addr: 10.0.0.11
    data_path_addr: 10.1.0.11
    data_path_port: 7789

- name: Create a swarm and keep its join tokens for the other hosts
  shoal.swarm.swarm_init:
    advertise_addr: 10.0.0.11
    join_tokens: true
  register: swarm
  no_log: true

- name: Keep fewer old tasks, and let certificates live for two days
  shoal.swarm.swarm_init:
    task_history_retention_limit: 2
    node_cert_expiry: 48h

- name: Lock the managers' state and read the unlock key
  shoal.swarm.swarm_init:
    autolock_managers: true
    unlock_key: true
  register: locked
  no_log: true

- name: Rotate both join tokens, once for this key
  shoal.swarm.swarm_init:
    rotate_worker_token: 2026-11
    rotate_manager_token: 2026-11

- name: Rotate the root CA of the swarm
  shoal.swarm.swarm_init:
    ca_force_rotate: 2
    wait_timeout: 600

- name: Recover on the one manager that is left
  shoal.swarm.swarm_init:
    advertise_addr: 10.0.0.11
    force_new_cluster: incident-2026-11-21
"""

RETURN = r"""
changes:
  description:
    - What was changed, or would be in check mode, for programs. One entry for each action, with the
      difference in the symmetric form of jsondiff, in which a changed value is C([before, after]).
  returned: success
  type: list
  elements: dict
  sample: [{action: update the swarm, difference: {election_tick: [10, 5]}}]
swarm_facts:
  description: The swarm as the API shows it, without its join tokens.
  returned: success; empty in check mode on a host outside a swarm
  type: dict
  sample: {ID: m9irfs9x4gc1b4tfhh2yqy8ti, Version: {Index: 11}}
cluster_id:
  description: The swarm's ID.
  returned: success
  type: str
  sample: m9irfs9x4gc1b4tfhh2yqy8ti
node_id:
  description: This host's node ID.
  returned: success
  type: str
  sample: w7d1plb7rm8dbzbeeyn3pnhg5
managers:
  description: Addresses of the managers, for O(shoal.swarm.swarm_join#module:remote_addrs).
  returned: success
  type: list
  elements: str
  sample: ["10.0.0.11:2377"]
join_tokens:
  description: The tokens with which hosts join as C(manager) or as C(worker).
  returned: when O(join_tokens=true)
  type: dict
unlock_key:
  description: The key that a locked manager needs; empty where the swarm is not autolocked.
  returned: when O(unlock_key=true)
  type: str
"""

from ansible_collections.shoal.swarm.plugins.module_utils._module import (
    WAIT_ARGUMENTS,
    make_module,
    run,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import (
    AT_CREATION,
    SETTINGS,
    THIS_NODE,
)
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import argument_spec
from ansible_collections.shoal.swarm.plugins.module_utils._usecase._swarm_init import (
    ONE_SHOTS,
    ensure,
    wait_on,
)


def main() -> None:
    module = make_module(
        {
            **argument_spec((*THIS_NODE, *AT_CREATION, *SETTINGS)),
            **WAIT_ARGUMENTS,
            **{option: {"type": "str", "no_log": False} for option in ONE_SHOTS},
            "check_addresses": {"type": "bool", "default": True},
            "signing_ca_cert": {"type": "str"},
            "signing_ca_key": {"type": "str", "no_log": True},
            "force": {"type": "bool", "default": False},
            "join_tokens": {"type": "bool", "default": False, "no_log": False},
            "unlock_key": {"type": "bool", "default": False, "no_log": False},
        }
    )
    run(module, ensure, wait_on)


if __name__ == "__main__":
    main()
