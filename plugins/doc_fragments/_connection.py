# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module: how to reach the Docker Engine."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - Where the Docker Engine listens, seen from the host that the task runs on. A local socket
        (C(unix:///var/run/docker.sock)), TCP (C(tcp://192.0.2.23:2376)) or SSH
        (C(ssh://admin@node1)).
      - With O(tls) or O(validate_certs), C(tcp) is read as C(https).
      - Taken from the environment variable E(DOCKER_HOST) where the option is not given.
    type: str
    default: unix:///var/run/docker.sock
    aliases: [docker_url]
  tls_hostname:
    description:
      - The name that the server's certificate must carry, where it is not the one in
        O(docker_host).
      - Only with Docker SDK for Python before 7.0, which removed it.
      - Taken from E(DOCKER_TLS_HOSTNAME) where the option is not given.
    type: str
  api_version:
    description:
      - The version of the Docker API to use, such as V(1.41). V(auto) takes the newest that the
        engine speaks.
      - An option that this version does not know is refused, because the engine would drop it
        without a word.
      - Taken from E(DOCKER_API_VERSION) where the option is not given.
    type: str
    default: auto
    aliases: [docker_api_version]
  timeout:
    description:
      - How long to wait for the answer to one request, in seconds. Keep it above 20; a swarm that
        lost its leader needs that long to say so.
      - Taken from E(DOCKER_TIMEOUT) where the option is not given.
    type: int
    default: 60
  ca_path:
    description:
      - PEM file of the authority that signed the engine's certificate, with O(validate_certs).
      - The file C(ca.pem) in E(DOCKER_CERT_PATH) where the option is not given and that is set.
    type: path
    aliases: [ca_cert, tls_ca_cert, cacert_path]
  client_cert:
    description:
      - PEM file of the client's certificate. Goes with O(client_key).
      - The file C(cert.pem) in E(DOCKER_CERT_PATH) where the option is not given and that is set.
    type: path
    aliases: [tls_client_cert, cert_path]
  client_key:
    description:
      - PEM file of the client's key. Goes with O(client_cert).
      - The file C(key.pem) in E(DOCKER_CERT_PATH) where the option is not given and that is set.
    type: path
    aliases: [tls_client_key, key_path]
  tls:
    description:
      - Use TLS without checking the engine's certificate. O(validate_certs) is the safer choice.
      - Taken from E(DOCKER_TLS) where the option is not given.
    type: bool
    default: false
  use_ssh_client:
    description:
      - For C(ssh://) in O(docker_host), use the C(ssh) program of the host that the task runs on
        instead of the Python library paramiko, which the Docker SDK wants to be installed all
        the same.
    type: bool
    default: false
  validate_certs:
    description:
      - Use TLS and check the engine's certificate.
      - Taken from E(DOCKER_TLS_VERIFY) where the option is not given.
    type: bool
    default: false
    aliases: [tls_verify]
notes:
  - Give the connection options once for all modules of this collection with
    C(module_defaults) and the action group C(group/shoal.swarm.swarm).
requirements:
  - Docker SDK for Python 5.0 or newer on the host that the task runs on
    (package C(python3-docker), or C(pip install docker))
  - jsondiff on the same host for modules that change things
    (package C(python3-jsondiff), or C(pip install jsondiff))
  - Docker Engine 20.10 or newer
"""
