"""Numbers by which a country's people call for help."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

USUAL: Final = ("110", "112", "118", "119", "911", "999")
"""Those of many countries: whoever dials one of them means it, wherever they come from."""


@lru_cache(maxsize=8)
def emergency_numbers_of(country: str) -> frozenset[str]:
    """The emergency numbers of a country (ISO 3166-1 alpha-2), as libphonenumber's tables have them; none of
    one that they do not know."""
    # Its tables are loaded where a country is set.
    from phonenumbers import PhoneMetadata  # noqa: PLC0415

    short = PhoneMetadata.short_metadata_for_region(country)
    if short is None or short.emergency is None or not short.emergency.national_number_pattern:
        return frozenset()
    pattern = re.compile(short.emergency.national_number_pattern)
    numbers = (f"{n:0{size}}" for size in short.emergency.possible_length for n in range(10**size))
    return frozenset(number for number in numbers if pattern.fullmatch(number))
