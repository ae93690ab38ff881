"""What routing takes from the settings: numbers of the system itself, codes, country, classes of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ringback.config import Settings
from ringback.config.emergency import USUAL
from ringback.config.routing import CLASSES, CallClass
from ringback.routing.features import CODES


@dataclass(frozen=True, slots=True)
class ServiceNumbers:
    """Numbers that belong to the system itself, as configured, and how all others are understood."""

    echo: str
    dial_in: frozenset[str]
    emergency: frozenset[str] = frozenset(USUAL)
    codes: Mapping[str, str] = field(default_factory=lambda: CODES)
    country: str = ""
    """ISO 3166-1 alpha-2, in which numbers without a plus are written; empty: none is known."""
    classes: Mapping[str, CallClass] = field(default_factory=lambda: CLASSES)
    slots: frozenset[str] = frozenset()
    """Where calls are parked, unless something else has the number."""

    @classmethod
    def of(cls, settings: Settings) -> ServiceNumbers:
        """Those that the settings say."""
        routing = settings.routing
        return cls(
            echo=routing.echo_number,
            dial_in=frozenset(settings.conference.dial_in_numbers),
            emergency=routing.emergency,
            codes=routing.feature_codes,
            country=routing.country,
            classes=routing.classes,
            slots=frozenset(settings.calling.slots),
        )
