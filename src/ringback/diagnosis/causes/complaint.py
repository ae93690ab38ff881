"""Whether what was wrong lies where somebody complained: if the two do not meet, no cause can be defended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringback.diagnosis.causes.absence import Absence
from ringback.diagnosis.causes.case import UNKNOWN, Case
from ringback.diagnosis.causes.scene import Scene, StreamView
from ringback.diagnosis.causes.trouble import LATE, LOSS, LOST_RUN_MS
from ringback.diagnosis.causes.verdict import CauseName, Window
from ringback.diagnosis.causes.words import clock, count, listed, percent

LATE_MS = 50.0
SLACK_NS = 2_000_000_000
"""People look at the clock after they were disturbed."""
ALL_ALONG: frozenset[str] = frozenset({"sound", "delay"})
"""Symptoms of the whole call, which a window within it shares."""


@dataclass(frozen=True, slots=True)
class InWindow:
    """What the window of a complaint holds.

    `refusal` is None where trouble and complaint meet; `still` are the causes that hold whatever the window.
    """

    refusal: str | None
    summary: str
    still: frozenset[CauseName] = frozenset()


def look_in(scene: Scene, window: Window, absences: Sequence[Absence], cases: Sequence[Case]) -> InWindow:
    """Compare the window of a complaint with the times of what was wrong."""
    wide = Window(window.began_ns - SLACK_NS, window.ended_ns + SLACK_NS)
    name = f"{clock(window.began_ns)} to {clock(window.ended_ns)}"
    capture = scene.evidence.capture
    if wide.ended_ns < capture.began_ns or wide.began_ns > capture.ended_ns:
        text = (
            f"The complaint is of {name} (UTC), the capture of {clock(capture.began_ns)} to "
            f"{clock(capture.ended_ns)}: it cannot show what was heard then."
        )
        return InWindow(text, text)
    if any(a.since_ns < wide.ended_ns for a in absences) or _ended_in(scene, wide):
        return InWindow(None, "")
    if any(_troubled(view, wide) for view in scene.streams):
        return InWindow(None, "")
    still = frozenset(case.cause for case in cases if case.explains in ALL_ALONG and case.score > UNKNOWN)
    if still:
        return InWindow(None, "")
    inside = [view for view in scene.streams if view.judged and _overlaps(view, wide)]
    if not inside:
        text = f"From {name} (UTC) the capture holds no media of this call."
        return InWindow(text, text)
    lost = sum(_lost(view, wide) for view in inside)
    elsewhere = [text for view in scene.streams if (text := _where(view))]
    text = (
        f"From {name} (UTC) {'no packets were' if not lost else count(lost, 'packet was', 'packets were')} "
        "lost and none came late enough to be heard"
        + (
            f"; {listed(elsewhere)}. Loss does not explain this complaint."
            if elsewhere
            else "; nor at any other time."
        )
    )
    return InWindow(text, text, still)


def _ended_in(scene: Scene, window: Window) -> bool:
    call = scene.evidence.call
    if call is None:
        return False
    faults = [f.at_ns for f in call.findings if f.severity == "fault"]
    return any(window.began_ns <= at <= window.ended_ns for at in faults)


def _overlaps(view: StreamView, window: Window) -> bool:
    return view.measured.began_ns < window.ended_ns and view.measured.ended_ns > window.began_ns


def _mask(view: StreamView, window: Window) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    began = view.measured.began_ns
    low, high = (window.began_ns - began) / 1e9, (window.ended_ns - began) / 1e9
    return (view.loss.times_s >= low) & (view.loss.times_s <= high)


def _lost(view: StreamView, window: Window) -> int:
    return int((view.evidence.series.lost & _mask(view, window)).sum())


def _troubled(view: StreamView, window: Window) -> bool:
    inside = _mask(view, window)
    slots = int(inside.sum())
    if not slots:
        return False
    lost = view.evidence.series.lost & inside
    ptime = view.measured.ptime_ms or 20.0
    runs = view.loss.run_length[inside[view.loss.run_at]] if view.loss.runs else np.zeros(0)
    if lost.sum() / slots >= LOSS or (len(runs) and float(runs.max()) * ptime >= LOST_RUN_MS):
        return True
    if view.delay is None:
        return False
    shape = view.delay
    low, high = (
        (window.began_ns - view.measured.began_ns) / 1e9,
        (window.ended_ns - view.measured.began_ns) / 1e9,
    )
    there = (shape.times_s >= low) & (shape.times_s <= high)
    late = float((shape.excess_ms[there] > LATE_MS).mean()) if there.any() else 0.0
    return late >= LATE or any(low <= step.at_s <= high for step in shape.steps)


def _where(view: StreamView) -> str:
    """Where a stream's losses lie, in a clause; empty without any."""
    if not view.loss.lost:
        return ""
    at = view.loss.times_s[view.evidence.series.lost]
    low, high = (float(v) for v in np.percentile(at, (2, 98)))
    return (
        f"the {count(view.loss.lost, 'loss', 'losses')} of {view.name} ({percent(view.loss.share)}) lie "
        f"from {clock(view.at_ns(low))} to {clock(view.at_ns(high))}"
    )
