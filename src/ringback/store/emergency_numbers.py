"""Numbers that come to an emergency number however they are written: no call is sent there unasked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Final

import phonenumbers

from ringback.store.directory import Directory
from ringback.store.plan.outbound import Route

_ABROAD: Final = ("+", "00", "011")
_LINE: Final = ("9", "0", "00", "8")
"""What is dialled for a line where nothing is set up for it: the next exchange may take it away."""
_LONGEST: Final = 8
"""Digits of the longest emergency number there is, and what may stand before it."""
_NETWORK_CODES: Final = re.compile(r"^(?:[*#][0-9]{2})+(?=[0-9+])")
_CLASSES: Final = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]", ".": ".*"}


def emergency_in(number: str, emergency: Collection[str], country: str = "") -> str | None:
    """The emergency number that `number` is: also behind a plus or a prefix for abroad, with the code of a
    country, behind a digit for a line or a code of the network such as `*67`. None for other numbers.

    Beside `emergency` those count that `country` (ISO 3166-1 alpha-2) has.
    """
    known = frozenset(emergency)
    for part in re.split(r"[*#]+", _NETWORK_CODES.sub("", number)):
        for digits in _read(part, country):
            if digits in known or (country and len(digits) <= _LONGEST and _of_country(digits, country)):
                return digits
    return None


def emergency_sent(
    number: str, directory: Directory, emergency: Collection[str], country: str = ""
) -> str | None:
    """As `emergency_in`; also where a route, or a trunk's prefix, makes such a number of it."""
    known = emergency_in(number, emergency, country)
    return known or next((each for each in _sent(number, directory) if each in emergency), None)


def _read(text: str, country: str) -> Iterator[str]:
    """What may be meant by digits."""
    yield text
    for prefix in (*_ABROAD, *_LINE):
        if text.startswith(prefix):
            rest = text.removeprefix(prefix)
            yield rest
            if prefix in _ABROAD:
                yield from _behind_country_code(rest)
    own = phonenumbers.country_code_for_region(country) if country else 0
    if own and text.startswith(str(own)):
        yield text.removeprefix(str(own))


def _behind_country_code(digits: str) -> Iterator[str]:
    if len(digits) > _LONGEST or not digits.isdecimal():
        return
    for length in (1, 2, 3):
        if int(digits[:length] or "0") in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            yield digits[length:]


@lru_cache(maxsize=1024)
def _of_country(digits: str, country: str) -> bool:
    # Its tables are loaded with the first number that is looked at.
    from phonenumbers.shortnumberinfo import is_emergency_number  # noqa: PLC0415

    return bool(is_emergency_number(digits, country))


def _sent(number: str, directory: Directory) -> Iterator[str]:
    routes = directory.plan.all(Route)
    for route in routes.values():
        if not route.e164 and any(_fits(number, pattern) for pattern in route.patterns):
            yield route.prepend + number[route.strip :]
    for trunk in () if routes else directory.trunks.values():
        if any(number.startswith(prefix) for prefix in trunk.prefixes):
            yield trunk.prepend + number[trunk.strip :]


def _fits(number: str, pattern: str) -> bool:
    pieces = re.findall(r"\[[0-9-]+\]|.", pattern)
    regular = "".join(p if len(p) > 1 else _CLASSES.get(p, re.escape(p)) for p in pieces)
    return re.fullmatch(regular, number) is not None
