"""Causes in the marking: voice that shares a queue with data because its DSCP is missing, or was taken."""

from __future__ import annotations

import numpy as np

from ringback.testing.captures.call import SIDES, Call, Point, Side
from ringback.testing.captures.draw import POSITIONS, Case, change_talker, draw_call, stage_before, upstream
from ringback.testing.captures.hops import Bottleneck, Remark
from ringback.testing.captures.models.devices import beside_the_point
from ringback.testing.captures.models.paths import bottleneck, until_seen
from ringback.testing.captures.voice import Chance


def missing_at_source(rng: Chance, severity: float) -> Case:
    """One side's voice leaves it unmarked, and waits in a queue where marked voice would not; its own SIP,
    or the point beside it, tells that nobody took the mark. Mild: 40 ms of waiting or four drops."""
    beside = bool(rng.random() < 0.4)

    def build(more: float) -> Case:
        near = bool(rng.random() < 0.5)
        positions = ("near-caller" if near else "near-called",) if beside else tuple(POSITIONS)
        call = draw_call(rng, positions=positions, marked=True, reports=True)
        if beside:
            side: Side = "caller" if near else "called"
            beside_the_point(call, side)
        else:
            side = upstream(call)
        change_talker(call, side, dscp=0)
        call.invite()
        queue = bottleneck(call, min(1.0, severity + more), prioritised=True)
        (call.stages[side][int(rng.integers(1, 3))] if beside else stage_before(call, side)).append(queue)
        call.both_talk()
        call.hang_up()
        call.run()
        where = "beside the point" if beside else "beyond the queue"
        return Case(call, f"{side}'s voice is unmarked, {where}; what is marked does not wait")

    return until_seen(build, _waited)


def _waited(case: Case) -> bool:
    """Whether either receiver lost four packets or saw 40 ms of variation."""
    for side in SIDES:
        call = case.call
        traffic, voice = call.heard[side], call.voices[side]
        row = traffic.row[traffic.row < len(voice)]
        if len(voice) - len(row) >= 4:
            return True
        delay = traffic.at[traffic.row < len(voice)] - voice.sent_s[row]
        if float(np.ptp(np.percentile(delay, [0.5, 99.5]))) >= 0.04:
            return True
    return False


def rewritten_at_a_hop(rng: Chance, severity: float) -> Case:
    """A hop takes the mark away, and a queue behind it makes voice wait. Mild as above.

    It shows as a change during the call, as a bleached code (the upper three bits gone: EF becomes 6), or
    between two points.
    """
    kind = str(rng.choice(("later", "bleached", "two-points")))

    def build(more: float) -> Case:
        call = draw_call(
            rng, marked=True, positions=("near-called",) if kind == "two-points" else tuple(POSITIONS)
        )
        side = "caller" if kind == "two-points" else upstream(call)
        call.invite()
        queue = bottleneck(call, min(1.0, severity + more), prioritised=True)
        _take_mark(call, side, kind, queue)
        call.both_talk()
        call.hang_up()
        call.run()
        return Case(call, f"a hop rewrites the DSCP of {side}'s packets: {kind}")

    return until_seen(build, _waited)


def _take_mark(call: Call, side: Side, kind: str, queue: Bottleneck) -> None:
    rng = call.rng
    stage = stage_before(call, side)
    if kind == "later":
        since = call.media_s + call.seconds * float(rng.uniform(0.15, 0.4))
        stage.append(Remark({46: 0, 24: 0}, since))
        queue.cross = queue.cross.within(since, call.ended_s - 1)
    elif kind == "bleached":
        stage.append(Remark({46: 6, 24: 0}))
    else:
        stage.append(Remark({46: int(rng.choice((0, 0, 8, 10))), 24: 0}))
        call.points.insert(0, Point("near-caller", 0))
    stage.append(queue)
