"""Settings of where calls go: service numbers, codes that are dialled, the country, classes of numbers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, field_validator

from ringback.config.emergency import USUAL, emergency_numbers_of
from ringback.config.section import Section, table
from ringback.config.values import CommaList, ServiceNumber


class CallClass(Section):
    """Numbers outside that are alike, and how much of them one extension may call; None: as much as it likes.

    A number belongs to the class with the longest of the prefixes that it begins with.
    """

    prefixes: CommaList
    concurrent: Annotated[int, Field(ge=0)] | None = None
    calls_a_day: Annotated[int, Field(ge=0)] | None = None
    minutes_a_day: Annotated[int, Field(ge=0)] | None = None

    def __str__(self) -> str:
        names = ", ".join(f'"{prefix}"' for prefix in self.prefixes)
        caps = (f"{name} = {value}" for name, value in self if name != "prefixes" and value is not None)
        return f"{{ prefixes = [{names}], {', '.join(caps)} }}"


CLASSES: Final = {
    "national": CallClass(prefixes=("",), concurrent=5, calls_a_day=200, minutes_a_day=600),
    "international": CallClass(prefixes=("+", "00", "011"), concurrent=2, calls_a_day=20, minutes_a_day=60),
    "premium": CallClass(
        prefixes=("0900", "1900", "+1900", "001900", "0111900"), concurrent=0, calls_a_day=0, minutes_a_day=0
    ),
}
FEATURE_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "voicemail": "*97",
        "voicemail-of": "*98",
        "pickup": "*8",
        "directed-pickup": "**",
        "park": "*68",
        "unpark": "*88",
        "dnd-on": "*78",
        "dnd-off": "*79",
        "forward-always-on": "*72",
        "forward-always-off": "*73",
        "forward-busy-on": "*90",
        "forward-busy-off": "*91",
        "forward-no-answer-on": "*92",
        "forward-no-answer-off": "*93",
        "forward-unreachable-on": "*94",
        "forward-unreachable-off": "*95",
        "night-switch": "*28",
        "agent-in": "*22",
        "agent-out": "*23",
    }
)
"""What is done by dialling, and the code that does it."""


def _did_you_mean(close: list[str]) -> str:
    return f"; did you mean {close[0]}?" if close else ""


def _beside_the_usual(value: object) -> object:
    value = table(value)
    return {**FEATURE_CODES, **value} if isinstance(value, dict) else value


class RoutingSettings(Section):
    """Numbers that lead to something else than a person or a meeting."""

    echo_number: ServiceNumber = Field(default="600", description="Number of the echo test.")
    country: str = Field(
        default="",
        pattern=r"^([A-Z]{2})?$",
        description='Country in whose way numbers are written, as in "US" or "DE": they are compared in '
        "their E.164 form, too. Empty: only numbers with a plus in front have one.",
    )
    emergency_numbers: CommaList = Field(
        default=USUAL,
        description="Numbers that go out by every trunk by which any number goes out, whatever else is set. "
        "Where this is not set, those of `routing.country` belong to them, too.",
    )
    feature_codes: Annotated[dict[str, str], BeforeValidator(_beside_the_usual)] = Field(
        default=dict(FEATURE_CODES),
        description="Codes that are dialled for what is done by dialling (docs/routing.md); those not given "
        "keep their default, an empty one takes it away.",
    )
    classes: Annotated[dict[str, CallClass], BeforeValidator(table)] = Field(
        default=CLASSES,
        description="Classes of numbers outside by their prefixes, and what one extension may call of each: "
        '`concurrent` calls, `calls_a_day`, `minutes_a_day`. One class has the prefix `""`.',
    )

    @property
    def emergency(self) -> frozenset[str]:
        """`emergency_numbers`; where they are not set, with those of the country."""
        own = self.country and "emergency_numbers" not in self.model_fields_set
        return frozenset(self.emergency_numbers) | (
            emergency_numbers_of(self.country) if own else frozenset()
        )

    @field_validator("classes")
    @classmethod
    def _every_number_has_one(cls, value: dict[str, CallClass]) -> dict[str, CallClass]:
        prefixes = [prefix for each in value.values() for prefix in each.prefixes]
        if "" not in prefixes:
            raise ValueError('one class needs the prefix "", for all other numbers')
        if len(set(prefixes)) != len(prefixes):
            raise ValueError("a prefix belongs to one class")
        if any(not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name) for name in value):
            raise ValueError("the name of a class is small letters, digits and dashes")
        return value

    @field_validator("feature_codes")
    @classmethod
    def _known_and_different(cls, value: dict[str, str]) -> dict[str, str]:
        for name, code in value.items():
            if name not in FEATURE_CODES:
                close = difflib.get_close_matches(name, list(FEATURE_CODES), n=1)
                raise ValueError(f"no feature is called {name}{_did_you_mean(close)}")
            if code and not re.fullmatch(r"\*[0-9*]{1,7}", code):
                raise ValueError(f"the code of {name} is a star and 1 to 7 digits or stars")
        codes = [code for code in value.values() if code]
        if len(set(codes)) != len(codes):
            raise ValueError("a code does one thing")
        return value
