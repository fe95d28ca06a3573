# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node's certificate says of it, read with nothing but the standard library: all pure.

Swarmkit writes the node's ID, its role and the swarm's ID into the subject (ca/certificates.go).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

_UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x17, 0x18, 0xA0
_FORMS = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}
# The attributes of a subject, by the bytes of their OIDs: 2.5.4.3, .10 and .11.
_COMMON_NAME, _ORGANIZATION, _UNIT = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x04\x0b"
_END = "-----END CERTIFICATE-----"
_ROLES = {"swarm-manager": "manager", "swarm-worker": "worker"}


@dataclass(frozen=True)
class Certificate:
    """Times are in seconds since 1970."""

    node_id: str
    role: str
    cluster_id: str
    not_before: float
    not_after: float


def read_certificate(pem: str) -> Certificate:
    """The first certificate of a PEM text; ValueError where it is none."""
    first, end, _rest = pem.partition(_END)
    try:
        ((_tag, certificate),) = _parts(ssl.PEM_cert_to_DER_cert(f"{first}{end}".strip()))
        (_tag, to_be_signed), *_signature = _parts(certificate)
        fields = [part for part in _parts(to_be_signed) if part[0] != _VERSION]
        _serial, _algorithm, _issuer, (_tag, validity), (_tag, subject), *_others = fields
        not_before, not_after = (_seconds(tag, text) for tag, text in _parts(validity))
        names = dict(_names(subject))
    except (IndexError, ValueError) as error:
        raise ValueError(f"not a certificate in PEM form: {error}") from None
    unit = names.get(_UNIT, "")
    return Certificate(
        node_id=names.get(_COMMON_NAME, ""),
        role=_ROLES.get(unit, unit),
        cluster_id=names.get(_ORGANIZATION, ""),
        not_before=not_before,
        not_after=not_after,
    )


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements that follow each other in these bytes: tag and content."""
    while der:
        tag, length, start = der[0], der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start], "big")
        if start + length > len(der):
            raise ValueError("it is cut off")
        yield tag, der[start : start + length]
        der = der[start + length :]


def _names(subject: bytes) -> Iterator[tuple[bytes, str]]:
    for _set, attributes in _parts(subject):
        for _sequence, attribute in _parts(attributes):
            (_oid, name), (_tag, value) = _parts(attribute)
            yield name, value.decode()


def _seconds(tag: int, text: bytes) -> float:
    form = _FORMS[tag]
    return datetime.strptime(f"{text.decode()}+0000", f"{form}%z").timestamp()
