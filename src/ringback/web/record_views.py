"""The shapes of call records, for HTTP and the command line alike, as the reader may see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from ringback.governance.private import Private, mask_number
from ringback.governance.roles import Identity, Permission
from ringback.store.call_query import CallQuery, Held
from ringback.store.call_record import (
    CallLeg,
    CallRecord,
    DeviceKind,
    Direction,
    Outcome,
    Quality,
    Side,
    call_id_of,
    call_name,
)
from ringback.store.call_records import Page
from ringback.web.call_story import story_of
from ringback.web.shapes import Body, View

MOST_AT_ONCE = 500
_SHORTEST_SHOWN = 4
_LONGEST_INSIDE = 6
_ALIKE = 7
"""So many digits at the end of two numbers make them one."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What somebody may see of numbers: all, or those that are the reader's own."""

    all_numbers: bool
    own: frozenset[str] = frozenset()
    own_calls: bool = False
    """Whether all numbers are shown only because all calls are the reader's own."""

    @classmethod
    def of(cls, identity: Identity) -> Reader:
        """What a role lets be seen. Who reads own calls knows their numbers from the phone's own list."""
        own_calls = not (identity.may(Permission.NUMBERS_READ) or identity.may(Permission.CALLS_READ))
        everything = identity.may(Permission.NUMBERS_READ) or own_calls
        return cls(everything, frozenset(identity.extensions), own_calls)

    def of_call(self, record: CallRecord) -> Reader:
        """What may be seen of one call: where a colleague sent the reader on to is the colleague's own."""
        if not self.own_calls or record.extension not in self.own:
            return self
        if all(_is_dialled(number, record.dialled) for number in _beyond(record)):
            return self
        inside = {leg.extension for leg in record.legs if not leg.trunk}
        return Reader(False, self.own | inside | {record.dialled})

    def number(self, text: str) -> str:
        """A number or SIP user name."""
        if self.all_numbers or text in self.own or not text:
            return text
        return mask_number(text) if len(text) >= _SHORTEST_SHOWN else "•" * len(text)

    def name(self, text: str) -> str:
        """What somebody is called."""
        return text if self.all_numbers else ""

    def target(self, text: str) -> str:
        """A target: what is named by a number is masked like one."""
        kind, colon, name = text.partition(":")
        return f"{kind}{colon}{self.number(name)}" if kind in _NUMBERED else text


_NUMBERED = frozenset({"extension", "outside", "mailbox", "meeting"})


def _beyond(record: CallRecord) -> Iterator[str]:
    """The numbers outside that the call came to."""
    yield from (leg.number for leg in record.legs if leg.trunk and not leg.incoming)
    for target in (record.called, *(happening.to for happening in record.happenings)):
        kind, _, number = target.rpartition(":")
        if kind == "outside" or (not kind and len(number) > _LONGEST_INSIDE):
            yield number


def _is_dialled(number: str, dialled: str) -> bool:
    """Whether a number outside is what was dialled, however the trunk wants it written."""
    end = dialled[-_ALIKE:]
    return number == dialled or (len(end) > _LONGEST_INSIDE and number.endswith(end))


class CallSearch(Body):
    """What calls have to be; what is left out stays open. Never in a URL: it may hold a number."""

    since: AwareDatetime | None = Field(None, description="Begun at this time or later.")
    until: AwareDatetime | None = Field(None, description="Begun before this time.")
    number: str | None = Field(
        None, max_length=64, description="Whole, on whichever side.", examples=["+14155550100"]
    )
    extension: str | None = Field(None, max_length=15, description="One that took part.", examples=["1001"])
    target: str | None = Field(
        None, max_length=60, description="What the number led to.", examples=["group:sales"]
    )
    trunk: str | None = Field(None, max_length=32)
    direction: Direction | None = None
    outcome: Outcome | None = None
    cause: int | None = Field(None, ge=100, le=699, description="SIP status.", examples=[486])
    quality: Quality | None = Field(None, description="This or worse.")
    emergency: bool | None = None
    recorded: bool | None = None

    def query(self, own: tuple[Held, ...] | None = None) -> CallQuery:
        """As the store is asked."""
        values = self.model_dump(include=set(CallSearch.model_fields) - {"number", "extension"})
        number, extension = self.number or None, self.extension or None
        return CallQuery(
            number=None if number is None else Private(number),
            extension=None if extension is None else Private(extension),
            own=own,
            **values,
        )


class PagedSearch(CallSearch):
    """A search, and which page of it."""

    after: str | None = Field(None, max_length=16, description="`next` of the page before.")
    limit: int = Field(50, ge=1, le=MOST_AT_ONCE)
    legs: bool = Field(False, description="With the legs of each call.")

    def before(self) -> int | None:
        """The call that the page begins after."""
        return None if self.after is None else call_id_of(self.after) or 0


class LineView(View):
    """How a leg's line was. docs/records.md defines each."""

    received: int
    expected: int
    late: int
    concealed: int
    sent: int
    lost_percent: float | None
    jitter_ms: float | None
    round_trip_ms: float | None
    remote_lost_percent: float | None
    remote_jitter_ms: float | None
    mos: float | None
    remote_mos: float | None


class LegView(View):
    """One leg of a call: a device, a page, or a trunk. Times are ms after the call's begin."""

    number: str
    name: str
    extension: str
    trunk: str
    incoming: bool
    device: DeviceKind
    transport: str
    family: Literal["ipv4", "ipv6"]
    began_ms: int
    rang_ms: int | None
    answered_ms: int | None
    ended_ms: int | None
    ended_by: str
    status: int | None
    reason: str
    words: str
    offered: tuple[str, ...]
    negotiated: tuple[str, ...]
    sent: tuple[str, ...]
    encryption: str
    line: LineView | None

    @classmethod
    def of(cls, leg: CallLeg, reader: Reader) -> LegView:
        """A leg as the reader may see it."""
        values = {name: getattr(leg, name) for name in cls.model_fields if name != "line"}
        values["number"] = reader.number(leg.number)
        values["extension"] = reader.number(leg.extension)
        values["name"] = reader.name(leg.name)
        values["words"] = leg.words if reader.all_numbers else ""
        line = None if leg.line is None else LineView.model_validate(leg.line)
        return cls(line=line, **values)


class CallRecordView(View):
    """A call that is over."""

    id: str = Field(examples=["00332f0a8c000001"])
    began_at: datetime
    ended_at: datetime | None = Field(description="Null: the server ended in the middle of it.")
    duration_s: float | None
    talk_s: float | None = Field(description="From the answer on; null for calls without one.")
    waited_s: float | None = Field(None, description="In queues; null for calls that came to none.")
    rang_ms: int | None
    answered_ms: int | None
    direction: Direction
    outcome: Outcome
    caller: str
    caller_name: str
    extension: str
    dialled: str
    called: str = Field(examples=["group:sales"])
    answered_by: str = Field(description="The number of the leg that answered.")
    trunks: tuple[str, ...]
    ended_by: Side | None
    cause: int
    reason: str
    words: str
    mos: float | None
    quality: Quality | None
    emergency: bool
    recorded: bool
    legs: list[LegView] | None = Field(None, description="Only where they were asked for.")

    @classmethod
    def of(cls, record: CallRecord, reader: Reader, *, legs: bool = False) -> CallRecordView:
        """A record as the reader may see it."""
        return cls(**_facts(record, reader.of_call(record), legs=legs))


class PassedView(View):
    """A rule that the call passed."""

    kind: str
    name: str
    said: str


class HappeningView(View):
    """Something that was done to the call."""

    at_ms: int
    kind: str
    by: str
    to: str
    call: str | None
    said: str


class CallDetailView(CallRecordView):
    """A call with everything that is kept of it, and its story in words."""

    path: list[PassedView]
    happenings: list[HappeningView]
    story: list[str] = Field(examples=[["0.0 s  1001 dials 1002", "0.2 s  1002 rings"]])

    @classmethod
    def of(cls, record: CallRecord, reader: Reader, *, legs: bool = True) -> CallDetailView:
        """A record as the reader may see it, whole."""
        reader = reader.of_call(record)
        shown = reader.all_numbers
        return cls(
            **_facts(record, reader, legs=legs),
            path=[
                PassedView(kind=p.kind, name=_rule_name(p.name, reader), said=p.said if shown else "")
                for p in record.path
            ],
            happenings=[
                HappeningView(
                    at_ms=h.at_ms,
                    kind=h.kind,
                    by=reader.number(h.by),
                    to=reader.target(h.to) if ":" in h.to else reader.number(h.to),
                    call=call_name(h.call) if h.call else None,
                    said=h.said if shown else "",
                )
                for h in record.happenings
            ],
            story=story_of(record, reader),
        )


class PageView(View):
    """Calls, newest first. A page may be short though `next` says that there are more."""

    items: list[CallRecordView]
    next: str | None = Field(description="For `after`; null after the last page.")

    @classmethod
    def of(cls, page: Page, reader: Reader, *, legs: bool = False) -> PageView:
        """A page as the reader may see it."""
        return cls(
            items=[CallRecordView.of(record, reader, legs=legs) for record in page.records],
            next=None if page.next is None else call_name(page.next),
        )


def _rule_name(name: str, reader: Reader) -> str:
    # What is named by an extension's number; other names are the plan's own.
    return reader.number(name) if name.lstrip("+").isdecimal() else name


def _facts(record: CallRecord, reader: Reader, *, legs: bool) -> dict[str, Any]:
    ended, answered = record.ended_ms, record.answered_ms
    abandoned = record.outcome == "abandoned"
    began: Callable[[int], datetime] = lambda ms: record.began_at + timedelta(milliseconds=ms)  # noqa: E731
    by = record.legs[record.answered_by] if record.answered_by is not None else None
    return {
        "id": call_name(record.id),
        "began_at": record.began_at,
        "ended_at": None if ended is None else began(ended),
        "duration_s": None if ended is None else ended / 1000,
        "talk_s": None if ended is None or answered is None or abandoned else (ended - answered) / 1000,
        "waited_s": None if record.waited_ms is None else record.waited_ms / 1000,
        "rang_ms": record.rang_ms,
        "answered_ms": answered,
        "direction": record.direction,
        "outcome": record.outcome,
        "caller": reader.number(record.caller),
        "caller_name": reader.name(record.caller_name),
        "extension": reader.number(record.extension),
        "dialled": reader.number(record.dialled),
        "called": reader.target(record.called),
        "answered_by": "" if by is None else reader.number(by.extension or by.number),
        "trunks": tuple(dict.fromkeys(leg.trunk for leg in record.legs if leg.trunk)),
        "ended_by": record.ended_by,
        "cause": record.cause,
        "reason": record.reason,
        "words": record.words if reader.all_numbers else "",
        "mos": record.mos,
        "quality": record.quality,
        "emergency": record.emergency,
        "recorded": record.recorded,
        "legs": [LegView.of(leg, reader) for leg in record.legs] if legs else None,
    }
