"""Which class a number outside belongs to: that of the longest prefix, however the number is written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata

from ringback.config.routing import CallClass
from ringback.routing.e164 import understood

_CODES = phonenumbers.COUNTRY_CODE_TO_REGION_CODE


def class_of(classes: Mapping[str, CallClass], country: str, *numbers: str) -> str:
    """The class with the longest prefix that one of the numbers (of one call) begins with.

    Each counts as it is, in its E.164 form and, if it is one of the own country, as that writes it: a premium
    number stays one in whatever form it is dialled. The plus alone makes no number of the own country
    international.

    Without a country, a number that begins as those of a class do in some country (`900` and `1900` for
    `+1900`) belongs to that class, if it allows less than the one found so far.
    """
    found = (
        (len(prefix), name)
        for number in numbers
        for form, own in _written(number, country)
        for name, each in classes.items()
        for prefix in each.prefixes
        if form.startswith(prefix) and not (own and prefix == "+")
    )
    length, name = max(found)
    if country:
        return name
    possible = [
        (_allowance(each), other)
        for other, each in classes.items()
        for prefix in each.prefixes
        for guise in _at_home(prefix)
        if len(guise) > length and any(number.startswith(guise) for number in numbers)
    ]
    return min([(_allowance(classes[name]), name), *possible])[1]


def usual_class(classes: Mapping[str, CallClass]) -> str:
    """The class of all numbers that belong to no other: that with the empty prefix."""
    return next(name for name, each in classes.items() if "" in each.prefixes)


def _allowance(call_class: CallClass) -> tuple[float, ...]:
    """How much of a class may be called, to compare: less is stricter."""
    caps = (call_class.concurrent, call_class.calls_a_day, call_class.minutes_a_day)
    return tuple(math.inf if cap is None else float(cap) for cap in caps)


@lru_cache(maxsize=1024)
def _at_home(prefix: str) -> tuple[str, ...]:
    """How numbers with this E.164 prefix begin in their own country: without its code, with and without what
    is dialled there in front of it. None for the prefix of a whole country."""
    digits = prefix.removeprefix("+")
    if digits == prefix or not digits.isdecimal():
        return ()
    code = next((digits[:n] for n in (1, 2, 3) if int(digits[:n]) in _CODES), "")
    rest = digits[len(code) :]
    if not code or not rest:
        return ()
    metadata = [PhoneMetadata.metadata_for_region(region) for region in _CODES[int(code)]]
    trunks = {(each.national_prefix if each is not None else None) or "" for each in metadata}
    return tuple(trunk + rest for trunk in sorted(trunks | {""}))


def _written(number: str, country: str) -> Iterator[tuple[str, bool]]:
    known = understood(number, country)
    own = known is not None and known.national is not None
    yield number, own
    if known is not None:
        yield known.e164, own
        if known.national is not None:
            yield known.national, own
