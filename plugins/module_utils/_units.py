# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations, times, sizes and CPU shares: from what people write to the API's values and back."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption

NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
    "w": 7 * 86400 * 10**9,
}
# The Docker CLI reads sizes in powers of 1024, whatever the unit's spelling (go-units RAMInBytes).
BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4, "p": 1024**5}

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w))+\Z")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?\Z")


def nanoseconds(value: int | str) -> int:
    """`90d`, `1h30m`, `1.5s`, or the API's own integer of nanoseconds."""
    text = str(value).strip().lower()
    if text.isdecimal():
        return int(text)
    if not _DURATION.match(text):
        raise InvalidOption(
            f"'{value}' is not a duration: write a number and a unit (ns, us, ms, s, m, h, d, w) "
            "such as 10s, 1h30m or 90d, or an integer of nanoseconds"
        )
    # Not floats: above 2**53 they lose the last digits.
    return round(sum(Decimal(n) * NANOSECONDS[unit] for n, unit in _DURATION_PART.findall(text)))


def duration(value: int) -> str:
    """Nanoseconds in the largest units that say it exactly: 5400000000000 is `1h30m`."""
    if value == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms", "us", "ns"):
        count, value = divmod(value, NANOSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def bytes_of(value: int | str) -> int:
    """`64M`, `1.5g`, `512MiB`, or an integer of bytes."""
    match = _SIZE.match(str(value).strip().lower())
    if not match:
        raise InvalidOption(
            f"'{value}' is not a size: write a number and a unit (b, k, m, g, t, p; powers of "
            "1024) such as 64M or 1.5g, or an integer of bytes"
        )
    # Cut, not rounded, as the CLI does.
    return int(Decimal(match.group(1)) * BYTES[match.group(2)])


def size(value: int) -> str:
    """Bytes in the largest unit that says it exactly: 67108864 is `64M`."""
    for unit in ("p", "t", "g", "m", "k"):
        if value and value % BYTES[unit] == 0:
            return f"{value // BYTES[unit]}{unit.upper()}"
    return f"{value}"


def nano_cpus(value: float | str) -> int:
    """`0.5` of a CPU is 500000000."""
    try:
        return round(float(value) * 10**9)
    except (ValueError, OverflowError):
        raise InvalidOption(f"'{value}' is not a number of CPUs: write 0.5 or 2") from None


def cpus(value: int) -> float:
    """500000000 is `0.5` of a CPU."""
    return value / 10**9


def engine_time(text: str) -> datetime:
    """RFC 3339 with nanoseconds, which Python 3.9 does not read by itself."""
    match = re.match(r"(\d+-\d+-\d+T\d+:\d+:\d+)(?:\.(\d{1,6})\d*)?(Z|[+-]\d+:\d+)\Z", text)
    if not match:
        return datetime.fromtimestamp(0, timezone.utc)
    seconds, fraction, zone = match.groups()
    zone = "+00:00" if zone == "Z" else zone
    return datetime.fromisoformat(f"{seconds}.{(fraction or '0').ljust(6, '0')}{zone}")
