"""When it is open: hours of the week, holidays and a switch by hand, in a time zone."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ringback.store.plan.target import TargetText
from ringback.store.plan.value import Number, Title, Value

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", examples=["09:00"])]


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time of some days, by the wall clock; `to` before `from_` goes on into the next day."""

    days: tuple[Day, ...]
    from_: Clock = msgspec.field(name="from")
    to: Clock


class Holiday(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A day that is not as others: `date` is 2026-12-24, or 12-25 for every year."""

    date: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]
    title: Title = ""
    from_: Clock = msgspec.field(name="from", default="00:00")
    to: Clock = "24:00"


class Hours(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time condition. `switch` comes first, then holidays, then spans; else it is closed."""

    title: Title = ""
    number: Number = ""
    time_zone: Annotated[
        str, msgspec.Meta(description="As in the IANA database.", examples=["Europe/Berlin"])
    ] = "UTC"
    spans: tuple[Span, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    switch: Annotated[
        Literal["", "open", "closed", "holiday"],
        msgspec.Meta(
            description="Holds until it is taken back, whatever the clock says; empty: by the clock."
        ),
    ] = ""
    open: TargetText = ""
    closed: TargetText = ""
    holiday: Annotated[TargetText, msgspec.Meta(description="Empty: as closed.")] = ""
