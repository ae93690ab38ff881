"""The record that a call becomes: who ended it and why, how the lines were rated; sans-IO, for any thread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from ringback.call.leg import Leg
from ringback.call.records import Call
from ringback.governance.private import Private
from ringback.governance.shown import LONGEST_SHOWN, fit_to_show
from ringback.governance.throttle import unmapped
from ringback.sdp.description import SessionDescription
from ringback.store.call_record import (
    CallLeg,
    CallRecord,
    DeviceKind,
    Direction,
    Encryption,
    Happening,
    Line,
    Outcome,
    Passed,
    Quality,
    Side,
)

_STATIC: Final = {"0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "18": "G729"}
"""Payload types that need no rtpmap (RFC 3551 §6)."""
_NO_CODECS: Final = frozenset({"TELEPHONE-EVENT", "CN", "RED", "RTX", "ULPFEC"})
_CODEC_NAME: Final = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,15}")
_MOST_CODECS: Final = 16
_WAKE_MS: Final = 1_000
_LONGEST_SAID: Final = 300

_OUTCOMES: Final[dict[int, Outcome]] = {
    486: "busy", 600: "busy", 408: "no-answer", 480: "no-answer", 487: "cancelled",
}  # fmt: skip
_LIMITS: Final[tuple[tuple[float, Quality], ...]] = ((60.0, "poor"), (70.0, "low"), (80.0, "medium"))


def records_of(calls: Sequence[Call]) -> list[CallRecord]:
    """The records of calls that are over, which let go of their legs; lines are rated all together."""
    # Here, for NumPy is only loaded where calls have been.
    from ringback.call.rated import rated as rated_lines  # noqa: PLC0415

    rated = rated_lines([leg for call in calls for leg in call.legs])
    records = [record_of(call, rated) for call in calls]
    for call in calls:
        call.let_go()
    return records


def record_of(call: Call, rated: dict[int, tuple[Line, float | None]] | None = None) -> CallRecord:
    """The record of one call, over or not: what is not known of it yet is left out."""
    known = rated or {}
    legs = tuple(_leg(leg, call, known.get(leg.id, (None, None))[0]) for leg in call.legs)
    ratings = [r for leg in call.legs if (r := known.get(leg.id, (None, None))[1]) is not None]
    worst = min(ratings, default=None)
    caller = call.legs[0] if call.legs else None
    # Without a caller where we called by ourselves, to tell somebody something.
    calls = legs[0] if legs and legs[0].incoming else CallLeg()
    answering = next(
        (n for n, leg in enumerate(legs) if leg is not calls and leg.answered_ms is not None), None
    )
    answered_ms = legs[0].answered_ms if legs else None
    end = _end(legs) if call.over_at is not None and legs else _End()
    # Somebody may have talked with the caller before or after.
    abandoned = call.abandoned and answering is None and end.outcome == "answered"
    return CallRecord(
        id=call.id,
        direction=_direction(legs),
        outcome="abandoned" if abandoned else end.outcome,
        caller=calls.number,
        caller_name=calls.name,
        extension=calls.extension,
        dialled=_text(caller.dialled) if caller is not None else "",
        called=_fit(call.called) or _called(legs),
        rang_ms=min((leg.rang_ms for leg in legs if leg.rang_ms is not None), default=None),
        answered_ms=answered_ms,
        ended_ms=end.at_ms,
        answered_by=answering if answered_ms is not None else None,
        waited_ms=None if call.waited_s is None else round(call.waited_s * 1000),
        ended_by=end.by,
        cause=end.cause,
        reason=end.reason,
        words=end.words,
        mos=None if worst is None else _score(worst),
        quality=None if worst is None else _quality(worst),
        emergency=call.emergency,
        recorded=call.recorded,
        path=tuple(map(_passed, call.path)),
        happenings=tuple(map(_happened, call.happenings)),
        legs=legs,
    )


class _End(msgspec.Struct, frozen=True):
    """How a call ended; the defaults are those of a call whose end is not known."""

    outcome: Outcome = "interrupted"
    by: Side | None = None
    cause: int = 0
    at_ms: int | None = None
    reason: str = ""
    words: str = ""


def _end(legs: Sequence[CallLeg]) -> _End:
    """Who brought the end of a call about, and why."""
    caller = legs[0]
    last = max((leg.ended_ms for leg in legs if leg.ended_ms is not None), default=0)
    if caller.answered_ms is not None:
        side, leg = _first_to_go(legs)
        vanished = leg is not None and leg.ended_by in ("timeout", "error")
        cause = (leg.status or 408) if vanished and leg is not None else 200
        outcome: Outcome = "answered"
    else:
        cause = caller.status or 480
        outcome = _OUTCOMES.get(cause) or ("refused" if cause < 500 or cause >= 600 else "failed")
        side, leg = _first_to_refuse(legs)
    told = leg or caller
    return _End(outcome, side, cause, last, told.reason if leg is not None else "", told.words)


def _first_to_go(legs: Sequence[CallLeg]) -> tuple[Side, CallLeg | None]:
    """Who ended a call that was answered: the last leg to go by itself; we ended the rest in its wake."""
    last = max((leg.ended_ms for leg in legs if leg.ended_ms is not None), default=0)
    for n, leg in enumerate(legs):
        # A leg that left earlier, by a transfer for instance, did not end the call.
        late = leg.ended_ms is not None and leg.ended_ms >= last - _WAKE_MS
        if late and leg.answered_ms is not None and leg.ended_by not in ("us", ""):
            return ("caller" if n == 0 and leg.incoming else "called"), leg
    return "system", None


def _first_to_refuse(legs: Sequence[CallLeg]) -> tuple[Side, CallLeg | None]:
    """Who ended a call that nobody answered."""
    caller = legs[0]
    if caller.ended_by == "peer":
        return ("caller" if caller.incoming else "called"), caller
    refusing = [leg for leg in legs[1:] if leg.ended_by == "peer" and leg.status is not None]
    same = [leg for leg in refusing if leg.status == caller.status]
    chosen = next(iter(same or refusing), None)
    return ("called", chosen) if chosen is not None else ("system", caller)


def _direction(legs: Sequence[CallLeg]) -> Direction:
    inbound = bool(legs) and legs[0].incoming and bool(legs[0].trunk)
    outbound = any(leg.trunk and not leg.incoming for leg in legs)
    if inbound:
        return "transit" if outbound else "inbound"
    return "outbound" if outbound else "internal"


def _called(legs: Sequence[CallLeg]) -> str:
    """What the number led to, where nobody said: whom we called first."""
    for leg in legs:
        if not leg.incoming:
            return f"outside:{leg.number}" if leg.trunk else f"extension:{leg.extension}"
    return ""


def _leg(leg: Leg, call: Call, line: Line | None) -> CallLeg:
    def ms(at: float | None) -> int | None:
        return None if at is None else max(round((at - call.began) * 1000), 0)

    end = leg.end
    return CallLeg(
        number=_text(leg.party.number),
        name=_text(leg.party.name),
        extension=leg.party.account or "",
        trunk=leg.party.trunk or "",
        incoming=leg.incoming,
        device=_device(leg),
        transport=leg.flow.transport,
        family="ipv6" if ":" in unmapped(leg.flow.remote[0]) else "ipv4",
        began_ms=ms(leg.created) or 0,
        rang_ms=ms(leg.rang_at),
        answered_ms=ms(leg.answered_at),
        ended_ms=ms(leg.ended_at),
        ended_by=end.by if end is not None else "",
        status=end.status if end is not None else None,
        reason=end.cause if end is not None else "",
        words=_fit(end.reason) if end is not None else "",
        offered=codecs_of(leg.offered),
        negotiated=_negotiated(leg),
        sent=leg.sent if leg.totals is None or leg.totals.sent_packets else (),
        encryption=_encryption(leg),
        line=line,
    )


def _text(private: Private[str] | None) -> str:
    return "" if private is None else _fit(private.reveal())


def _fit(text: str, longest: int = LONGEST_SHOWN) -> str:
    # Nearly all are numbers and short names.
    plain = len(text) <= longest and text.isascii() and text.isprintable()
    return text if plain else fit_to_show(text, longest)


def _passed(passed: Passed) -> Passed:
    return Passed(passed.kind, _fit(passed.name), _fit(passed.said, _LONGEST_SAID))


def _happened(one: Happening) -> Happening:
    by, to, said = _fit(one.by), _fit(one.to), _fit(one.said, _LONGEST_SAID)
    return Happening(at_ms=one.at_ms, kind=one.kind, by=by, to=to, call=one.call, said=said)


def _device(leg: Leg) -> DeviceKind:
    if leg.party.trunk is not None:
        return "trunk"
    return "browser" if leg.flow.transport in ("ws", "wss") else "phone"


def _encryption(leg: Leg) -> Encryption:
    if leg.media is None:
        return ""
    if leg.media.webrtc is not None:
        return "dtls"
    return "sdes" if leg.media.srtp is not None else ""


def _negotiated(leg: Leg) -> tuple[str, ...]:
    if leg.media is None:
        return ()
    return tuple(dict.fromkeys(audio.codec for audio in leg.media.receive))


def codecs_of(description: SessionDescription | None) -> tuple[str, ...]:
    """The names of the codecs in the audio section of a description, in its order."""
    if description is None:
        return ()
    audio = next((media for media in description.media if media.kind == "audio" and media.port), None)
    if audio is None:
        return ()
    named = dict(_named(audio.values("rtpmap")))
    names = (named.get(payload) or _STATIC.get(payload, "") for payload in audio.formats)
    known = dict.fromkeys(name for name in names if name and name not in _NO_CODECS)
    return tuple(known)[:_MOST_CODECS]


def _named(rtpmaps: Iterable[str]) -> Iterator[tuple[str, str]]:
    for value in rtpmaps:
        payload, _, encoding = value.partition(" ")
        name = encoding.strip().partition("/")[0].upper()
        if _CODEC_NAME.fullmatch(name):
            yield payload, name


def _score(rating: float) -> float:
    from ringback.call.rated import score  # noqa: PLC0415

    return score(rating)


def _quality(rating: float) -> Quality:
    return next((word for limit, word in _LIMITS if rating < limit), "high")


def begun(call: Call) -> CallRecord:
    """What is known of a call that goes on, for the case that nobody sees its end."""
    caller = call.legs[0]
    short = CallLeg(
        number=_text(caller.party.number),
        name=_text(caller.party.name),
        extension=caller.party.account or "",
        trunk=caller.party.trunk or "",
        incoming=caller.incoming,
        device=_device(caller),
        transport=caller.flow.transport,
    )
    calls = short if short.incoming else CallLeg()
    return CallRecord(
        id=call.id,
        direction="inbound" if short.incoming and short.trunk else "internal",
        caller=calls.number,
        caller_name=calls.name,
        extension=calls.extension,
        dialled=_text(caller.dialled),
        called=_fit(call.called),
        emergency=call.emergency,
        legs=(short,),
    )
