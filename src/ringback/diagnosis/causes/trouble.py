"""What was wrong with a call at all, with figures: only what is wrong needs a cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringback.diagnosis.causes.case import Symptom
from ringback.diagnosis.causes.scene import Scene, StreamView
from ringback.diagnosis.causes.words import clock, count, ms, percent, seconds

LOSS, FEWEST_LOST = 0.003, 5
"""Share of lost packets, and number, from which a cause is looked for; it is heard from some 0.5 % on."""
LOST_RUN_MS = 120.0
"""A gap that concealment does not cover."""
LATE = 0.005
SPREAD_MS = 35.0
"""Of the delay, in 99.8 % of the packets: from here on buffers of 40 ms begin to miss some."""
REPORTED_LOSS = 0.0035
REPORTED_JITTER_MS = 5.0
JITTER_MS = 8.0
"""Mean, from which a buffer of 40 ms begins to miss packets."""
SILENT_S = 3.0
"""A side that should send and sends nothing for this long is noticed."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: a symptom, how bad from 0 to 1, where, and a clause for the summary."""

    symptom: Symptom
    weight: float
    text: str
    view: StreamView | None = None


def when(view: StreamView) -> str:
    """From when to when most of a stream's losses lie (all of it without any), in a clause."""
    low, high = 0.0, view.seconds
    if view.loss.lost:
        at = view.loss.times_s[view.evidence.series.lost]
        low, high = float(np.percentile(at, 2)), float(np.percentile(at, 98))
    began, ended = clock(view.at_ns(low)), clock(view.at_ns(high))
    return f"at {began}" if began == ended else f"between {began} and {ended}"


def transport_troubles(view: StreamView) -> list[Trouble]:
    """Loss and jitter of one stream that people hear."""
    if not view.judged:
        return []
    troubles = []
    ptime = view.measured.ptime_ms or 20.0
    longest_ms = view.measured.bursts.longest_lost * ptime
    if (view.loss.share >= LOSS and view.loss.lost >= FEWEST_LOST) or longest_ms >= LOST_RUN_MS:
        text = (
            f"{view.name} lost {view.loss.lost:,} of {view.loss.expected:,} packets "
            f"({percent(view.loss.share)}, {longest_ms:.0f} ms at the longest)"
        )
        troubles.append(Trouble("transport", min(1.0, 0.1 + view.loss.share * 20), text, view))
    if view.late_share >= LATE:
        text = f"{percent(view.late_share)} of the packets of {view.name} came too late for a buffer of 50 ms"
        troubles.append(Trouble("transport", min(1.0, 0.2 + view.late_share * 6), text, view))
    shape = view.delay
    if shape is not None and not troubles and shape.spread_ms >= SPREAD_MS:
        text = (
            f"the delay of {view.name} varied by {ms(shape.spread_ms)}, which a short buffer does not cover"
        )
        troubles.append(Trouble("transport", 0.2, text, view))
    jitter = view.measured.jitter_ms.mean
    if not troubles and jitter >= JITTER_MS:
        troubles.append(Trouble("transport", 0.2, f"the jitter of {view.name} is {ms(jitter)} (mean)", view))
    if shape is not None and not troubles and any(step.lost_near for step in shape.steps):
        text = f"the delay of {view.name} stepped, and {count(view.loss.lost, 'packet')} were lost"
        troubles.append(Trouble("transport", 0.2, text, view))
    return troubles


def reported_trouble(view: StreamView) -> Trouble | None:
    """Loss that the receiver reports and this capture does not see."""
    reported = view.reported
    if reported is None or reported.lost_share is None or not view.judged:
        return None
    if reported.lost < FEWEST_LOST or reported.lost_share < max(REPORTED_LOSS, 2.0 * view.loss.share + 0.002):
        return None
    text = (
        f"the receiver of {view.name} reports {percent(reported.lost_share)} lost, of which "
        f"{percent(view.loss.share)} were missing here"
    )
    return Trouble("place", min(1.0, 0.2 + reported.lost_share * 8), text, view)


def jitter_beyond(view: StreamView) -> Trouble | None:
    """Jitter that the receiver reports and this capture does not see."""
    reported, own = view.reported_jitter_ms, view.measured.jitter_ms.max
    if reported is None or not view.judged or reported < max(REPORTED_JITTER_MS, 2.5 * own):
        return None
    text = f"the receiver of {view.name} reports {ms(reported)} of jitter, here it was {ms(own)} at most"
    return Trouble("place", min(1.0, 0.1 + reported / 100), text, view)


def troubles_of(scene: Scene) -> list[Trouble]:
    """All that is wrong with the figures of a call's streams, the worst first."""
    found: list[Trouble] = []
    for view in scene.streams:
        found += transport_troubles(view)
        found += [beyond for beyond in (reported_trouble(view), jitter_beyond(view)) if beyond is not None]
    return sorted(found, key=lambda trouble: -trouble.weight)


def described(view: StreamView) -> str:
    """The state of a stream in a clause: MOS and loss."""
    mos = view.measured.mos
    score = f"MOS {mos.value:.1f} ({mos.scale}), " if mos.value is not None else ""
    lost = f"{count(view.measured.lost, 'packet')} of {view.measured.expected:,} lost"
    return f"{view.name}: {score}{lost} in {seconds(view.seconds)}"
