# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._certificate import (
    Certificate,
    read_certificate,
)

# Made once, with nothing but their subjects and times; what signed them is gone.
NODE = """\
-----BEGIN CERTIFICATE-----
MIIBbDCCARKgAwIBAgINASNFZ4kBI0VniQEjRTAKBggqhkjOPQQDAjATMREwDwYD
VQQDDAhzd2FybS1jYTAeFw0yNjAxMDEwMDAwMDBaFw0yNjA0MDExMjM0NTZaMGAx
IjAgBgNVBAoMGTZpdXoxY2ttM2NtY2o4eXZsY3djanN2NXkxFjAUBgNVBAsMDXN3
YXJtLW1hbmFnZXIxIjAgBgNVBAMMGXY3anF2azZieDNmc2p2cnl1MDRjNHk4YnEw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASROROSGUyNijseAesdqrm6j3XeCu1J
Ne+GcqE2fNZ3O6yKjp906AvTMHMqMwcrn1ixFAMVkQ/dtFNSVRM3wVnHMAoGCCqG
SM49BAMCA0gAMEUCIQCQ1gNLHSrZYHai2/N9wydLVmUinp0Qkp2bruH5wFb/4wIg
ZlRiucgs7wZlPJy/VLAJPs/ynPdCcOxNQQ0l9fPclEE=
-----END CERTIFICATE-----
"""
# Times after 2049 are written in another form.
LATE = """\
-----BEGIN CERTIFICATE-----
MIIBFDCBu6ADAgECAgEHMAoGCCqGSM49BAMCMBMxETAPBgNVBAMMCHN3YXJtLWNh
MCAXDTQ5MTIzMTAwMDAwMFoYDzIwNTEwMTAxMDAwMDAwWjATMREwDwYDVQQDDAhz
d2FybS1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJqhHa6WZNBrBRCP5DWw
Z8L432G4QB0C1u4MW6DWJlC/9+wAVmbD2qJkUlsXkHYdh90rCewDaAaLwJRhw1M2
c/YwCgYIKoZIzj0EAwIDSAAwRQIga8HvtTEJzUjrt+FdeWktUpf2E1kZ6VU4xV60
sPL9piACIQC4VmG4fp0efQfZ1NPDf3Xz9ZeUjfHFQFH/aQkzLm7P3A==
-----END CERTIFICATE-----
"""


def test_a_certificate_of_a_node() -> None:
    assert read_certificate(NODE) == Certificate(
        node_id="v7jqvk6bx3fsjvryu04c4y8bq",
        role="manager",
        cluster_id="6iuz1ckm3cmcj8yvlcwcjsv5y",
        not_before=1767225600.0,
        not_after=1775046896.0,
    )


def test_what_a_subject_does_not_say_is_empty() -> None:
    assert read_certificate(LATE) == Certificate(
        node_id="swarm-ca",
        role="",
        cluster_id="",
        not_before=2524521600.0,
        not_after=2556144000.0,
    )


def test_of_a_chain_the_first_counts() -> None:
    assert read_certificate(f"\n{NODE}{LATE}") == read_certificate(NODE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        NODE.replace("CERTIFICATE", "EC PRIVATE KEY"),
        NODE.replace("MII", "AAA"),
        "\n".join(NODE.splitlines()[:4] + NODE.splitlines()[-1:]),
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
    ],
    ids=["empty", "text", "a key", "not a sequence", "cut off", "an empty one", "one byte"],
)
def test_what_is_no_certificate_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="not a certificate in PEM form"):
        read_certificate(text)
