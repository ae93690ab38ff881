"""Sides that should have sent media and did not, or stopped: what one-way media and NATs must explain."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.causes.scene import SIDES, Scene, StreamView
from ringback.diagnosis.causes.trouble import SILENT_S
from ringback.diagnosis.causes.verdict import Window
from ringback.diagnosis.signalling.call import Side

STOPPED_S = 5.0
SWITCH_NS = 10 * 10**9
"""Audio may stop this long before the switch to a fax is signalled."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A side that should have sent and did not: from the start, or from some time on."""

    side: Side
    view: StreamView | None
    """What it sent before; None for nothing."""
    since_ns: Nanoseconds
    seconds: float
    other: StreamView | None

    @property
    def name(self) -> str:
        """Whose media is meant."""
        return "the caller" if self.side == "caller" else "the called side"


def absences(scene: Scene) -> list[Absence]:
    """Sides that sent nothing, or stopped, while they should have gone on; holds are taken out."""
    if scene.talk is None:
        return _without_signalling(scene)
    talk, found = scene.talk, []
    if not any(view.judged for view in scene.streams):
        # A capture without media says nothing about who sent some.
        return []
    if any(
        view.side == other.side for view in scene.streams for other in scene.streams if _face(view, other)
    ):
        # Two streams against each other of one side: signalling did not tell whose they are.
        return []
    for side in SIDES:
        mine = [view for view in scene.at_home if view.side == side and view.measured.unique >= 5]
        theirs = [view for view in scene.at_home if view.side not in (None, side) and view.judged]
        other = max(theirs, key=lambda view: view.measured.received, default=None)
        if other is None and not mine:
            continue
        last = max((view for view in mine), key=lambda view: view.measured.ended_ns, default=None)
        since = max(talk.began_ns, last.measured.ended_ns) if last else talk.began_ns
        if since >= talk.ended_ns or _is_fax(scene, since):
            continue
        gap = Window(since, talk.ended_ns)
        missing_s = (gap.ended_ns - gap.began_ns) / 1e9 - scene.held_s(side, gap)
        if missing_s >= (STOPPED_S if last else SILENT_S):
            found.append(Absence(side, last, since, missing_s, other))
    return found


def _face(view: StreamView, other: StreamView) -> bool:
    return (view.key.src, view.key.dst) == (other.key.dst, other.key.src) and view.key.src != view.key.dst


def _without_signalling(scene: Scene) -> list[Absence]:
    found = []
    for view in scene.streams:
        other = scene.opposite(view)
        if other is None or not view.judged:
            continue
        missing_s = (other.measured.ended_ns - view.measured.ended_ns) / 1e9
        if missing_s >= STOPPED_S:
            side: Side = view.side or "caller"
            found.append(Absence(side, view, view.measured.ended_ns, missing_s, other))
    return found


def _is_fax(scene: Scene, since: Nanoseconds) -> bool:
    flows = any(flow.kind == "t38" and flow.ended_ns > since for flow in scene.evidence.other)
    return flows or any(finding.at_ns < since + SWITCH_NS for finding in scene.found("t38-switch"))
