"""Settings of what people do in a call: music, keys, parking, pickup."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ringback.config.section import Section
from ringback.config.values import OptionalPath


def _keys(value: str) -> str:
    if value and not re.fullmatch(r"[0-9*#]{1,6}", value):
        raise ValueError('must be up to 6 keys, as in "*2"; empty switches it off')
    return value


def _slots(value: str) -> str:
    first, dash, last = value.replace(" ", "").partition("-")
    if not value:
        return ""
    if not dash or not re.fullmatch(r"[1-9][0-9]{1,5}", first) or len(first) != len(last):
        raise ValueError('must be two numbers of the same length with a dash, as in "701-720"')
    if not last.isdecimal() or not 0 <= int(last) - int(first) < 1000:
        raise ValueError("must be an ascending range of at most 1000 numbers")
    return f"{first}-{last}"


Keys = Annotated[str, AfterValidator(_keys)]


class CallingSettings(Section):
    """What people hear and do in a call."""

    music: OptionalPath = Field(
        default=None,
        description="WAV file (mono, 16 bit, 8 or 16 kHz, at most 10 MB) for who waits or is on hold, read "
        "at the start; none means the built-in music.",
    )
    blind_transfer_keys: Keys = Field(
        default="##", description="Transfer: a tone asks for the number. Empty keys switch a feature off."
    )
    attended_transfer_keys: Keys = Field(
        default="*2", description="Ask a colleague first, then hang up: the others are connected."
    )
    back_keys: Keys = Field(default="*0", description="Leave the colleague, back to who waits.")
    three_way_keys: Keys = Field(default="*3", description="All three talk: caller, colleague, who waits.")
    hold_keys: Keys = Field(default="*4", description="Music for the other side; again: talk on.")
    meeting_keys: Keys = Field(default="*5", description="Make a meeting of the call; its number is spoken.")
    park_keys: Keys = Field(default="*7", description="Park the other side; the slot is spoken.")
    keys_wait_s: float = Field(
        default=1.5,
        ge=0.2,
        le=10,
        description="Seconds that a key which may begin a sequence is kept from the other side.",
    )
    keys_from_trunks: bool = Field(
        default=False, description="Whether people beyond trunks may use these keys, too."
    )
    park_slots: Annotated[str, AfterValidator(_slots)] = Field(
        default="701-720", description="Numbers at which calls are parked; empty: no parking."
    )
    park_return_s: float = Field(
        default=120, ge=10, le=7200, description="Seconds after which a parked call rings who parked it."
    )
    pickup: Literal["groups", "all"] = Field(
        default="groups",
        description="Whose ringing calls may be picked up: those of one's groups, or all.",
    )

    @model_validator(mode="after")
    def _different(self) -> CallingSettings:
        given = [keys for keys in self.sequences.values() if keys]
        if len(set(given)) != len(given):
            raise ValueError("keys in a call do one thing each")
        return self

    @property
    def sequences(self) -> dict[str, str]:
        """The keys of each feature, by the name of its setting without `_keys`."""
        names = (name for name in type(self).model_fields if name.endswith("_keys"))
        return {name.removesuffix("_keys"): getattr(self, name) for name in names}

    @property
    def slots(self) -> tuple[str, ...]:
        """The numbers at which calls are parked."""
        if not self.park_slots:
            return ()
        first, _, last = self.park_slots.partition("-")
        return tuple(str(number) for number in range(int(first), int(last) + 1))
