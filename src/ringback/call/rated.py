"""How the lines of calls that are over were, and their ratings by the E-model; sans-IO, for any thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from ringback.call.leg import Leg
from ringback.media.protocol import LegTotals
from ringback.quality.emodel import STRETCH, Scale, mos, rate, rating_of
from ringback.quality.impairment import Impairment, impairment
from ringback.store.call_record import Line

_FRAME_MS: Final = 20.0


def rated(legs: Iterable[Leg]) -> dict[int, tuple[Line, float | None]]:
    """The line of every leg of which was counted, and its worse rating on G.107's scale of 0 to 100."""
    counted = [(leg, leg.totals) for leg in legs if leg.totals is not None and leg.media is not None]
    counted = [(leg, t) for leg, t in counted if t is not None and (t.expected_packets or t.sent_packets)]
    heard = _ratings([(_cost(leg, received=True), _heard(t)) for leg, t in counted])
    heard_there = _ratings([(_cost(leg, received=False), _heard_there(t)) for leg, t in counted])
    lines: dict[int, tuple[Line, float | None]] = {}
    for (leg, totals), ours, model in zip(counted, heard, heard_there, strict=True):
        theirs = model
        if totals.remote_mos:
            theirs = float(rating_of("narrowband", totals.remote_mos))
        known = [rating for rating in (ours, theirs) if rating is not None]
        lines[leg.id] = (_line(totals, ours, theirs), min(known, default=None))
    return lines


def _line(totals: LegTotals, ours: float | None, theirs: float | None) -> Line:
    lost = totals.remote_lost_fraction
    return Line(
        received=totals.received_packets,
        expected=totals.expected_packets,
        late=totals.late_packets,
        concealed=totals.concealed_frames,
        sent=totals.sent_packets,
        jitter_ms=_rounded(totals.jitter_ms, 2),
        round_trip_ms=_rounded(totals.round_trip_ms, 1),
        remote_lost_percent=None if lost is None else _rounded(100 * lost, 2),
        remote_jitter_ms=_rounded(totals.remote_jitter_ms, 2),
        mos=None if ours is None else score(ours),
        remote_mos=None if theirs is None else score(theirs),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, digits)


def _cost(leg: Leg, *, received: bool) -> Impairment:
    assert leg.media is not None
    codec = leg.media.receive[0].codec if received and leg.media.receive else leg.media.send.codec
    return impairment(codec.lower())


def _heard(totals: LegTotals) -> tuple[float, float] | None:
    """Loss in per cent and delay in ms of what came to us; packets that came too late were not heard."""
    if not totals.expected_packets:
        return None
    played = totals.received_packets - totals.late_packets
    loss = 100 * min(max(1 - played / totals.expected_packets, 0.0), 1.0)
    return loss, (totals.round_trip_ms or 0.0) / 2 + totals.buffer_ms + _FRAME_MS


def _heard_there(totals: LegTotals) -> tuple[float, float] | None:
    """The same of what the peer says that came to it."""
    if totals.remote_lost_fraction is None or not totals.sent_packets:
        return None
    lost = totals.remote_lost_fraction + (totals.remote_discarded_fraction or 0.0)
    delay_ms = (totals.round_trip_ms or 0.0) / 2 + (totals.remote_delay_ms or 2 * _FRAME_MS)
    return 100 * min(lost, 1.0), delay_ms


def _ratings(asked: Sequence[tuple[Impairment, tuple[float, float] | None]]) -> list[float | None]:
    """Ratings of lines on G.107's scale; None where codec, loss or delay is not known."""
    ratings: list[float | None] = [None] * len(asked)
    scales: tuple[Scale, ...] = ("narrowband", "wideband")
    for scale in scales:
        chosen = [
            (n, cost, line)
            for n, (cost, line) in enumerate(asked)
            if line is not None and cost.scale == scale and cost.ie is not None and cost.bpl is not None
        ]
        if not chosen:
            continue
        rating = rate(
            scale,
            ie=np.array([cost.ie for _, cost, _ in chosen], np.float64),
            bpl=np.array([cost.bpl for _, cost, _ in chosen], np.float64),
            loss_percent=np.array([line[0] for _, _, line in chosen]),
            delay_ms=np.array([line[1] + cost.look_ahead_ms for _, cost, line in chosen]),
        )
        for (n, _, _), r in zip(chosen, (rating.r / STRETCH[scale]).tolist(), strict=True):
            ratings[n] = min(max(r, 0.0), 100.0)
    return ratings


def score(rating: float) -> float:
    """The MOS of a rating on G.107's scale, to two digits."""
    return round(float(mos("narrowband", rating)), 2)
