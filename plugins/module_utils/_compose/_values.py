# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How single values of a compose file are read: texts, numbers, durations, sizes, command lines.

What `docker stack` takes only with quotes or only without is taken both ways, where there is one
way to understand it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._compose._reading import (
    Kind,
    Place,
    described,
    items,
    mapping_of,
)
from ansible_collections.shoal.swarm.plugins.module_utils._errors import InvalidOption, kind_of
from ansible_collections.shoal.swarm.plugins.module_utils._units import NANOSECONDS, bytes_of

_LARGEST = 2**63 - 1
_TRUE = ("y", "yes", "true", "on")
_FALSE = ("n", "no", "false", "off")
# Go's time.ParseDuration and Duration.String.
_DURATION_PART = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)")


def leaf(parse: Callable[[Any], Any]) -> Kind:
    return lambda value, _place: parse(value)


# Numbers and texts


def go_float(value: float) -> str:
    """As Go prints a float64 (%v): 1.0 is `1`, and there are exponents from 1e+06 on."""
    decimal = Decimal(repr(value))
    if not decimal.is_finite():
        return {"Infinity": "+Inf", "-Infinity": "-Inf"}.get(str(decimal), "NaN")
    if decimal == 0:
        return "0"
    sign, digits, _exponent = decimal.normalize().as_tuple()
    exponent = decimal.adjusted()
    if -5 < exponent < 6:
        return f"{decimal.normalize():f}"
    mantissa = "".join(map(str, digits))
    mantissa = f"{mantissa[0]}.{mantissa[1:]}" if len(mantissa) > 1 else mantissa
    return f"{'-' if sign else ''}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def scalar_text(value: Any) -> str:
    """The value of a label, an option or a variable; a bare name has an empty one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if not isinstance(value, (str, int)):
        raise InvalidOption(f"is a text, a number or nothing, not {kind_of(value)}")
    return str(value)


def text(value: Any) -> str:
    """Whole numbers are taken for the text that they are; of others YAML may have lost a part."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidOption(f"is a text, not {described(value)}{_quote(value)}")


def _quote(value: Any) -> str:
    return ": put it in quotes" if isinstance(value, (bool, float)) else ""


def integer(value: Any, least: int = 0, most: int = _LARGEST) -> int:
    number = value
    if isinstance(value, str):
        number = int(value) if re.match(r"\s*[-+]?\d{1,20}\s*\Z", value) else None
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidOption(f"is a whole number, not {described(value)}")
    if not least <= number <= most:
        raise InvalidOption(f"is at least {least} and at most {most}, and not {number}")
    return number


def signed(value: Any) -> int:
    return integer(value, least=-_LARGEST - 1)


def port_number(value: Any) -> int:
    return integer(value, most=65535)


def number(value: Any) -> float:
    try:
        if not isinstance(value, (bool, str, int, float)) or isinstance(value, bool):
            raise ValueError
        result = float(value)
    except (ValueError, OverflowError):
        raise InvalidOption(f"is a number, not {described(value)}") from None
    if not abs(result) < float("inf"):
        raise InvalidOption(f"is a number, not {described(value)}")
    return result


def ratio(value: Any) -> float:
    """In the 32 bits that the API has for it, and no more digits than say which they are."""
    exact = number(value)
    if not 0 <= exact <= 1:
        raise InvalidOption(f"is a number from 0 to 1, not {described(value)}")
    stored = _single(exact)
    texts_of_it = (f"{stored:.{digits}g}" for digits in range(1, 10))
    return next(float(text) for text in texts_of_it if _single(float(text)) == stored)


def _single(value: float) -> float:
    single: float = struct.unpack("f", struct.pack("f", value))[0]
    return single


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise InvalidOption(f"is true or false, not {described(value)}")


def file_mode(value: Any) -> int:
    """Text with a leading zero is octal, as everywhere else.

    The CLI reads what a variable holds as a decimal, and so makes 0670 of 0440.
    """
    octal = re.match(r"0o?([0-7]{1,11})\Z", value) if isinstance(value, str) else None
    return int(octal.group(1), 8) if octal else integer(value, most=0o7777)


def cpus(value: Any) -> str:
    if isinstance(value, float):
        return go_float(value)
    return text(value)


def size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise InvalidOption(f"is a size such as 64M, not {described(value)}")
    result = bytes_of(value)
    if result > _LARGEST:
        raise InvalidOption(f"is larger than any memory: {described(value)}")
    return result


def size_text(value: Any) -> str:
    """As the CLI prints memory: bytes, and as text."""
    result = size(value)
    return str(result) if result else ""


def choice(*names: str) -> Kind:
    def one_of(value: Any) -> str:
        if value not in names:
            raise InvalidOption(f"is one of {', '.join(names)}, not {described(value)}")
        return str(value)

    return leaf(one_of)


def duration(value: Any) -> str:
    """As Go reads and prints it: `90s` is `1m30s`."""
    wrong = InvalidOption(
        "is a number and a unit (ns, us, ms, s, m, h), such as 30s or 1h30m, not "
        + described(value)
    )
    if not isinstance(value, str):
        raise wrong
    rest = value[1:] if value[:1] in ("-", "+") else value
    total = 0
    while rest and rest != "0":
        part = _DURATION_PART.match(rest)
        if not part or not (part.group(1) or part.group(2)):
            raise wrong
        unit = NANOSECONDS[part.group(3).replace("μ", "µ")]
        fraction = part.group(2) or ""
        total += int(part.group(1) or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        rest = rest[part.end() :]
    if not value.strip("+-") or total > _LARGEST:
        raise wrong
    return ("-" if value.startswith("-") and total else "") + _go_duration(total)


def _go_duration(total: int) -> str:
    if total == 0:
        return "0s"
    for unit in ("ns", "µs", "ms"):
        if total < 1000 * NANOSECONDS[unit]:
            return f"{_decimal(total, NANOSECONDS[unit])}{unit}"
    hours, rest = divmod(total, NANOSECONDS["h"])
    minutes, rest = divmod(rest, NANOSECONDS["m"])
    seconds = f"{_decimal(rest, NANOSECONDS['s'])}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = str(rest).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{digits}" if digits else f"{whole}"


# Lists and mappings of them


def texts(value: Any, _place: Place | None = None) -> list[str]:
    found: list[str] = []
    for position, item in enumerate(items(value)):
        try:
            found.append(text(item))
        except InvalidOption as error:
            raise InvalidOption(f"entry {position} {error}") from None
    return found


def text_set(value: Any) -> list[str]:
    found = texts(value)
    for position, item in enumerate(found):
        if item in found[:position]:
            raise InvalidOption(f"has {_name_of(item)} twice")
    return found


def _name_of(item: str) -> str:
    """Without what a variable is set to."""
    name, equals, _value = item.partition("=")
    return described(name) + (" with the same value" if equals else "")


def text_or_texts(value: Any) -> list[str]:
    return [text(value)] if isinstance(value, (str, int)) else text_set(value)


def pairs(separator: str = "=", bare: str | None = "") -> Kind:
    """A mapping, or a list of `name=value`; `bare` is the value of a name that stands alone."""

    def read_pairs(value: Any) -> dict[str, str | None]:
        if isinstance(value, Mapping):
            return {
                name: bare if item is None else _at(name, scalar_text, item)
                for name, item in mapping_of(value).items()
            }
        if not isinstance(value, (list, tuple)):
            raise InvalidOption(
                f"is a mapping or a list of name{separator}value, not {kind_of(value)}"
            )
        found: dict[str, str | None] = {}
        for item in text_set(value):
            name, has_value, rest = item.partition(separator)
            if not name:
                raise InvalidOption(f"has an entry without a name before '{separator}'")
            found[name] = rest if has_value else bare
        return found

    return leaf(read_pairs)


def _at(name: str, parse: Callable[[Any], str], value: Any) -> str:
    try:
        return parse(value)
    except InvalidOption as error:
        raise InvalidOption(f"{name} {error}") from None


def options(value: Any) -> dict[str, str]:
    return {name: _at(name, scalar_text, item) for name, item in mapping_of(value).items()}


def hosts(value: Any) -> list[str]:
    """`host:address`; a mapping has no order of its own, and the CLI sorts it."""
    if isinstance(value, Mapping):
        entries = sorted((name, text(address)) for name, address in mapping_of(value).items())
    else:
        entries = [_host(entry) for entry in texts(value)]
    return [f"{name}:{_without_brackets(address)}" for name, address in entries]


def _host(entry: str) -> tuple[str, str]:
    separator = "=" if "=" in entry else ":"
    name, found, address = entry.partition(separator)
    if not found or not name or not address:
        raise InvalidOption(f"is written as host=address, not {described(entry)}")
    return name, address


def _without_brackets(address: str) -> str:
    has_brackets = len(address) > 2 and address[0] == "[" and address[-1] == "]"
    return address[1:-1] if has_brackets else address


# Command lines


def command(value: Any) -> list[str]:
    return words(value) if isinstance(value, str) else texts(value)


def words(line: str) -> list[str]:
    """A command line split by the rules of google/shlex.

    Unlike a shell it takes the backslash in double quotes before any character, and unlike
    Python's shlex it takes # for a comment only where a word could begin.
    """
    found: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(line)
    for character in characters:
        if character == "\\" and quote != "'":
            escaped = next(characters, None)
            if escaped is None:
                raise InvalidOption("ends in a backslash")
            word = (word or "") + escaped
        elif quote:
            if character == quote:
                quote = ""
            else:
                word = (word or "") + character
        elif character in "\"'":
            quote, word = character, word or ""
        elif character in " \t\r\n":
            if word is not None:
                found.append(word)
            word = None
        elif character == "#" and word is None:
            while character not in ("\n", ""):
                character = next(characters, "")  # noqa: PLW2901
        else:
            word = (word or "") + character
    if quote:
        raise InvalidOption(f"has a {quote} that is not closed")
    return [*found, word] if word is not None else found


def health_test(value: Any) -> list[str]:
    if isinstance(value, str):
        return ["CMD-SHELL", str(value)]
    test = texts(value)
    if test and test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise InvalidOption(
            "is a command line, or a list that begins with CMD, CMD-SHELL or NONE, as "
            "[CMD, curl, -f, http://localhost]"
        )
    return test
