# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption
from ansible_collections.shoal.swarm.plugins.module_utils._units import (
    bytes_of,
    cpus,
    duration,
    engine_time,
    nano_cpus,
    nanoseconds,
    size,
)

SECOND = 10**9
DAY = 86400 * SECOND
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def numbers() -> list[int]:
    """Of every magnitude that the API's 64 bits hold, and the same ones in every run."""
    dice = random.Random(1)
    return [0, 1, 2**53 + 1, 2**63 - 1, *(dice.randrange(2**bits) for bits in range(1, 64))]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90d", 90 * DAY),
        ("2w", 14 * DAY),
        ("1h30m", 5400 * SECOND),
        ("1.5s", 1_500_000_000),
        ("2m0.5s", 120_500_000_000),
        ("300ms", 300_000_000),
        ("7us", 7000),
        ("7µs", 7000),
        ("7ns", 7),
        (" 10S ", 10 * SECOND),
        ("0s", 0),
        ("5000000000", 5 * SECOND),
        (5000000000, 5 * SECOND),
        ("106751d", 106751 * DAY),
    ],
)
def test_a_duration_is_read_in_units_and_as_nanoseconds(written: int | str, meant: int) -> None:
    assert nanoseconds(written) == meant


@pytest.mark.parametrize(
    "text", ["", "soon", "10 s", "1h 30m", "-1s", "1.s", "s", "10x", "1e3s", "²"]
)
def test_what_is_no_duration_is_refused_by_its_own_text(text: str) -> None:
    with pytest.raises(InvalidOption, match="is not a duration: write a number and a unit"):
        nanoseconds(text)


@pytest.mark.parametrize(
    ("meant", "shown"),
    [
        (0, "0s"),
        (5 * SECOND, "5s"),
        (5400 * SECOND, "1h30m"),
        (90 * DAY, "90d"),
        (1_500_000_000, "1s500ms"),
        (1001, "1us1ns"),
    ],
)
def test_a_duration_is_shown_in_the_largest_units(meant: int, shown: str) -> None:
    assert duration(meant) == shown


def test_every_duration_reads_back_as_it_was_shown() -> None:
    for number in numbers():
        assert nanoseconds(duration(number)) == number


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("64M", 64 * 2**20),
        ("64m", 64 * 2**20),
        ("64MB", 64 * 2**20),
        ("64MiB", 64 * 2**20),
        ("64 M", 64 * 2**20),
        ("1.5g", 1536 * 2**20),
        ("1k", 1024),
        ("2T", 2 * 2**40),
        ("1p", 2**50),
        ("512", 512),
        ("512b", 512),
        (512, 512),
        ("0", 0),
    ],
)
def test_a_size_is_read_in_powers_of_1024(written: int | str, meant: int) -> None:
    assert bytes_of(written) == meant


@pytest.mark.parametrize("text", ["", "much", "-1", "1.g", "10x", "1 2", "M"])
def test_what_is_no_size_is_refused_by_its_own_text(text: str) -> None:
    with pytest.raises(InvalidOption, match=f"'{text}' is not a size"):
        bytes_of(text)


@pytest.mark.parametrize(
    ("meant", "shown"),
    [(0, "0"), (1, "1"), (1536, "1536"), (1024, "1K"), (64 * 2**20, "64M"), (2**50, "1P")],
)
def test_a_size_is_shown_in_the_largest_unit_that_is_exact(meant: int, shown: str) -> None:
    assert size(meant) == shown


def test_every_size_reads_back_as_it_was_shown() -> None:
    for number in numbers():
        assert bytes_of(size(number)) == number
        assert bytes_of(size(number * 2**20)) == number * 2**20


@pytest.mark.parametrize(
    ("written", "meant"), [(0.5, 500_000_000), ("0.5", 500_000_000), (2, 2 * SECOND), (0, 0)]
)
def test_cpus_are_read_as_billionths_and_read_back(written: float | str, meant: int) -> None:
    assert nano_cpus(written) == meant
    assert cpus(meant) == float(written)


@pytest.mark.parametrize("written", ["many", "", float("inf"), float("nan")])
def test_what_is_no_number_of_cpus_is_refused(written: float | str) -> None:
    with pytest.raises(InvalidOption, match="is not a number of CPUs"):
        nano_cpus(written)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T12:00:00Z", NOON),
        ("2026-01-01T12:00:00.5Z", NOON + timedelta(seconds=0.5)),
        ("2026-01-01T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        ("2026-01-01T14:00:00.000000001+02:00", NOON),
        ("0001-01-01 some day", datetime.fromtimestamp(0, timezone.utc)),
    ],
)
def test_the_engines_time_is_read_to_the_microsecond(text: str, moment: datetime) -> None:
    assert engine_time(text) == moment
