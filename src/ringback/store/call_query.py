"""What call records are looked for by, as SQL that an index answers newest first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, or_, select

from ringback.governance.private import Private
from ringback.store import schema
from ringback.store.call_record import QUALITIES, CallRecord, Direction, Outcome, Quality, first_id_at

_calls, _legs = schema.call_records.c, schema.call_legs.c
_SEPARATORS: Final = re.compile(r"[\s()./+-]")
LAST_ID: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Held:
    """An extension from a moment to another (None: still): whose calls somebody may see."""

    extension: str
    since: datetime
    until: datetime | None = None

    def has(self, record: CallRecord) -> bool:
        """Whether the extension was part of the call while it was held."""
        if record.began_at < self.since or (self.until is not None and record.began_at >= self.until):
            return False
        legs = any(leg.extension == self.extension for leg in record.legs)
        return legs or record.called == f"extension:{self.extension}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuery:
    """What a call has to be; None leaves a thing open.

    `number` is found on whichever side it is, dialled too, exactly and whole; `extension` where its devices
    or itself were part of the call. `target` is what the number led to, as `group:sales`. `quality` is that
    or worse. `own`: only calls that one of these extensions was part of while it was held.
    """

    since: datetime | None = None
    until: datetime | None = None
    number: Private[str] | None = None
    extension: Private[str] | None = None
    target: str | None = None
    trunk: str | None = None
    direction: Direction | None = None
    outcome: Outcome | None = None
    cause: int | None = None
    quality: Quality | None = None
    emergency: bool | None = None
    recorded: bool | None = None
    own: tuple[Held, ...] | None = None


class Fingerprints:
    """Keyed hashes (RFC 7693) that stand for numbers in the database: equal for equal ones, and no more."""

    def __init__(self, key: Private[bytes]) -> None:
        self._key = key.reveal()

    def of(self, kind: str, text: str) -> int | None:
        """A signed number of 64 bits; None for nothing."""
        if not text:
            return None
        told = hashlib.blake2b(f"{kind}:{text}".encode(), digest_size=8, key=self._key).digest()
        return int.from_bytes(told, "big", signed=True)

    def number(self, text: str) -> int | None:
        """Of a telephone number however it is written, or of a SIP user name."""
        digits = _SEPARATORS.sub("", text)
        return self.of("number", digits if digits.isdecimal() else text.lower())

    def extension(self, text: str) -> int | None:
        """Of an extension that was part of a call itself."""
        return self.of("extension", text)

    def target(self, text: str) -> int | None:
        """Of what a number led to."""
        return self.of("target", text)


@dataclass(frozen=True, slots=True)
class Plan:
    """The ways to find the calls, of which each is one index, and whether more has to be looked at."""

    ways: tuple[tuple[bool, ColumnElement[bool]], ...]
    """Conditions, each with whether it is on legs."""
    rest: tuple[ColumnElement[bool], ...]
    first: int
    """The least identifier that is wanted."""
    last: int

    def selects(self, first: int, last: int, limit: int) -> Iterator[Select[Any]]:
        """One query a way, for calls from `first` to `last`, newest first."""
        for on_legs, condition in self.ways:
            column: Any = _legs.call if on_legs else _calls.id
            found = select(column.label("id")).where(condition, column >= first, column <= last)
            if on_legs:
                found = found.distinct()
                if self.rest:
                    found = found.join(schema.call_records, _calls.id == _legs.call)
            yield found.where(*self.rest).order_by(column.desc()).limit(limit)


_Way = tuple[bool, ColumnElement[bool]]


def plan_of(query: CallQuery, fingerprints: Fingerprints) -> Plan:
    """How the query is answered: by the condition that usually leaves the fewest, the rest looked at."""
    choices = list(_choices(query, fingerprints))
    rest: list[ColumnElement[bool]] = []
    for flag, column in ((query.emergency, _calls.emergency), (query.recorded, _calls.recorded)):
        if flag is False:
            rest.append(~column)
    ways = choices[0] if choices else [(False, _calls.id >= 0)]
    rest += [_anywhere(choice) for choice in choices[1:]]
    first = first_id_at(query.since) if query.since is not None else 0
    last = first_id_at(query.until) - 1 if query.until is not None else LAST_ID
    return Plan(tuple(ways), tuple(rest), first, last)


def _choices(query: CallQuery, fingerprints: Fingerprints) -> Iterator[list[_Way]]:
    if query.own is not None:
        yield [way for held in query.own for way in _held(held, fingerprints)] or [(False, _calls.id < 0)]
    if query.number is not None:
        text = query.number.reveal()
        party = (fingerprints.extension(text), fingerprints.number(text))
        targets = [fingerprints.target(f"{kind}:{text}") for kind in ("extension", "outside")]
        yield [
            *((True, _legs.party == one) for one in party),
            (False, _calls.dialled == fingerprints.number(text)),
            *((False, _calls.called == one) for one in targets),
        ]
    if query.extension is not None:
        text = query.extension.reveal()
        yield [
            (True, _legs.party == fingerprints.extension(text)),
            (False, _calls.called == fingerprints.target(f"extension:{text}")),
        ]
    if query.emergency:
        yield [(False, _calls.emergency)]
    if query.recorded:
        yield [(False, _calls.recorded)]
    if query.target is not None:
        yield [(False, _calls.called == fingerprints.target(query.target))]
    if query.quality is not None:
        worse = QUALITIES[: QUALITIES.index(query.quality) + 1]
        yield [(False, _calls.quality == one) for one in worse]
    if query.cause is not None:
        yield [(False, _calls.cause == query.cause)]
    if query.trunk is not None:
        yield [(True, _legs.trunk == query.trunk)]
    if query.direction is not None:
        yield [(False, _calls.direction == query.direction)]
    if query.outcome is not None:
        yield [(False, _calls.outcome == query.outcome)]


def _held(held: Held, fingerprints: Fingerprints) -> Iterator[_Way]:
    first = first_id_at(held.since)
    last = first_id_at(held.until) - 1 if held.until is not None else LAST_ID
    extension = fingerprints.extension(held.extension)
    target = fingerprints.target(f"extension:{held.extension}")
    yield True, and_(_legs.party == extension, _legs.call.between(first, last))
    yield False, and_(_calls.called == target, _calls.id.between(first, last))


def _anywhere(ways: list[_Way]) -> ColumnElement[bool]:
    return or_(*(_some_leg(condition) if on_legs else condition for on_legs, condition in ways))


def _some_leg(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    # Any leg of the call, whichever it was found by in the query around this one.
    return select(_legs.leg).where(_legs.call == _calls.id, condition).correlate(schema.call_records).exists()
