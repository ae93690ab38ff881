"""Meetings that were, as call records tell of them: who was there at the same time was there together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from pydantic import Field

from ringback.store.call_record import CallRecord, call_name
from ringback.web.record_views import Reader
from ringback.web.shapes import View

APART: Final = timedelta(minutes=1)
"""A meeting that is empty for longer is over, and the next one begins with who comes then."""


class VisitorView(View):
    """Somebody who was in a meeting."""

    name: str
    number: str = Field(description="Masked for roles that may not see numbers; empty for browsers.")
    joined_at: datetime = Field(description="When the call was answered.")
    left_at: datetime | None = Field(description="Null: the server ended in the middle of it.")
    call: str = Field(description="Its record.", examples=["00332f0a8c000001"])


class PastMeetingView(View):
    """A meeting from the first who came to the last who went."""

    began_at: datetime
    ended_at: datetime
    people: list[VisitorView]


class PastMeetingsView(View):
    """Meetings that were, the last one first."""

    items: list[PastMeetingView]
    next: str | None = Field(description="For `after`; null after the last page.")


def past_meetings(records: Iterable[CallRecord], reader: Reader) -> list[PastMeetingView]:
    """Calls to one meeting, in any order, as meetings; the last one first."""
    people = sorted(filter(None, (_visitor(record, reader) for record in records)), key=_joined)
    found: list[PastMeetingView] = []
    together: list[VisitorView] = []
    ended = None
    for person in people:
        if ended is not None and person.joined_at > ended + APART:
            found.append(_meeting(together, ended))
            together, ended = [], None
        together.append(person)
        left = person.left_at or person.joined_at
        ended = left if ended is None else max(ended, left)
    if ended is not None:
        found.append(_meeting(together, ended))
    return found[::-1]


def _meeting(people: list[VisitorView], ended: datetime) -> PastMeetingView:
    return PastMeetingView(began_at=people[0].joined_at, ended_at=ended, people=list(people))


def _joined(person: VisitorView) -> datetime:
    return person.joined_at


def _visitor(record: CallRecord, reader: Reader) -> VisitorView | None:
    if record.answered_ms is None:
        return None
    ended = record.ended_ms
    return VisitorView(
        name=reader.name(record.caller_name),
        number=reader.number(record.caller),
        joined_at=record.began_at + timedelta(milliseconds=record.answered_ms),
        left_at=None if ended is None else record.began_at + timedelta(milliseconds=ended),
        call=call_name(record.id),
    )
