"""Numbers outside in the one form that they all have: E.164, a plus, the country and the number in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat, ValidationResult

_DIGITS: Final = re.compile(r"\+?[0-9]{2,32}")


@dataclass(frozen=True, slots=True)
class Understood:
    """A number as it is understood: `e164`, and how the own country writes it where it is a number there."""

    e164: str = field(repr=False)
    national: str | None = field(repr=False)


@lru_cache(maxsize=1024)
def understood(number: str, country: str) -> Understood | None:
    """What `number` is as it is written in `country`; None for what cannot be a number of the world.

    Whether somebody has the number is not asked: only its length is looked at. Digits beyond its end, which
    networks ignore, make no other number of it.
    """
    if not _DIGITS.fullmatch(number):
        return None
    try:
        parsed = phonenumbers.parse(number, country or None)
    except NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible == ValidationResult.TOO_LONG and phonenumbers.truncate_too_long_number(parsed):
        possible = ValidationResult.IS_POSSIBLE
    if possible != ValidationResult.IS_POSSIBLE:
        return None
    return Understood(
        phonenumbers.format_number(parsed, PhoneNumberFormat.E164), _as_at_home(parsed, country)
    )


def _as_at_home(number: PhoneNumber, country: str) -> str | None:
    if not country or number.country_code != phonenumbers.country_code_for_region(country):
        return None
    # Countries that share a code are abroad to each other: calls from one to the other cost as such.
    if phonenumbers.region_code_for_number(number) not in {country, None}:
        return None
    metadata = PhoneMetadata.metadata_for_region(country)
    prefix = (metadata.national_prefix if metadata is not None else None) or ""
    return str(prefix + phonenumbers.national_significant_number(number))


def e164(number: str, country: str) -> str | None:
    """The E.164 form of a number, None where it has none."""
    known = understood(number, country)
    return known.e164 if known is not None else None


def forms(number: str, country: str) -> tuple[str, ...]:
    """A number as it is, and in its E.164 form where that is another: both are compared with patterns."""
    other = e164(number, country)
    return (number,) if other is None or other == number else (number, other)
