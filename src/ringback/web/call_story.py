"""A call told in words, a line a moment, like the ladder of its messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from ringback.store.call_record import CallLeg, CallRecord, Happening, call_name

_OUTCOMES: Final = {
    "abandoned": "the caller left the queue",
    "busy": "busy",
    "no-answer": "no answer",
    "cancelled": "the caller gave up",
    "refused": "refused",
    "failed": "failed",
}
_ENDED: Final = {
    "peer": "hangs up",
    "us": "is hung up",
    "timeout": "is silent, and is hung up",
    "error": "is lost",
}


class Masks(Protocol):
    """How numbers are shown."""

    @property
    def all_numbers(self) -> bool:
        """Whether they are shown in full."""

    def number(self, text: str) -> str:
        """A number."""

    def target(self, text: str) -> str:
        """A target."""


def story_of(record: CallRecord, masks: Masks) -> list[str]:
    """What happened, in order of time; each line begins with the seconds since the call's begin."""
    told = sorted(_told(record, masks), key=lambda line: line[0])
    return [f"{at_ms / 1000:.1f} s  {words}" for at_ms, words in told]


def _told(record: CallRecord, masks: Masks) -> Iterator[tuple[int, str]]:
    legs = record.legs
    if not legs:
        return
    dialled = masks.number(record.dialled)
    urgent = ", an emergency call" if record.emergency else ""
    yield (
        0,
        f"{_who(legs[0], masks)} dials {dialled or 'nothing'}{urgent}"
        if legs[0].incoming
        else (f"{_who(legs[0], masks)} is called"),
    )
    for rule in record.path:
        said = f": {rule.said}" if rule.said and masks.all_numbers else ""
        yield 0, f"  {rule.kind} {masks.number(rule.name) if rule.name.isdecimal() else rule.name}{said}"
    if record.called:
        yield 0, f"leads to {masks.target(record.called)}"
    for n, leg in enumerate(legs):
        yield from _of_leg(leg, n, masks)
    for happening in record.happenings:
        yield happening.at_ms, _happening(happening, masks)
    if record.outcome == "interrupted":
        yield _last(record), "the server ended in the middle of the call"
    elif record.ended_ms is not None:
        yield record.ended_ms, _end(record)


def _of_leg(leg: CallLeg, n: int, masks: Masks) -> Iterator[tuple[int, str]]:
    who = _who(leg, masks)
    if n and not leg.incoming:
        yield leg.began_ms, f"{who} is called"
    elif n:
        yield leg.began_ms, f"{who} comes into the call"
    if leg.rang_ms is not None and not leg.incoming:
        yield leg.rang_ms, f"{who} rings"
    if leg.answered_ms is not None:
        codec = f" ({leg.sent[0]}{', encrypted' if leg.encryption else ''})" if leg.sent else ""
        yield leg.answered_ms, f"{who} {'is answered' if leg.incoming else 'answers'}{codec}"
    if leg.ended_ms is None or (n == 0 and leg.answered_ms is None):
        return
    if leg.answered_ms is not None:
        why = f" ({leg.words})" if leg.words and leg.ended_by == "us" and masks.all_numbers else ""
        yield leg.ended_ms, f"{who} {_ENDED.get(leg.ended_by, 'is gone')}{why}"
    elif leg.status is not None:
        yield leg.ended_ms, f"{who} does not take the call ({leg.status})"
    else:
        yield leg.ended_ms, f"{who} rings no more"


def _happening(happening: Happening, masks: Masks) -> str:
    by = f" by {masks.number(happening.by)}" if happening.by else ""
    to = masks.target(happening.to) if ":" in happening.to else masks.number(happening.to)
    call = f", see call {call_name(happening.call)}" if happening.call else ""
    said = f": {happening.said}" if happening.said and masks.all_numbers else ""
    return f"{happening.kind.replace('-', ' ')}{by}{f' to {to}' if to else ''}{call}{said}"


def _end(record: CallRecord) -> str:
    how = _OUTCOMES.get(record.outcome)
    if how is None:
        return f"over, ended by the {record.ended_by or 'system'}"
    if record.outcome == "abandoned":
        return f"over: {how} after {(record.waited_ms or 0) / 1000:.1f} s"
    reason = f", {record.reason}" if record.reason else ""
    return f"over: {how} ({record.cause}{reason})"


def _last(record: CallRecord) -> int:
    times = [leg.answered_ms or leg.rang_ms or leg.began_ms for leg in record.legs]
    return max([*times, *(happening.at_ms for happening in record.happenings)], default=0)


def _who(leg: CallLeg, masks: Masks) -> str:
    number = masks.number(leg.extension or leg.number) or "somebody without a number"
    if leg.trunk:
        return f"{number} by trunk {leg.trunk}"
    return f"{number} in a browser" if leg.device == "browser" else number
