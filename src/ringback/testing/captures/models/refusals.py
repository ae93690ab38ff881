"""Complaints that the capture cannot explain: what was complained of and what is bad do not meet."""

from __future__ import annotations

from ringback.testing.captures.call import Call
from ringback.testing.captures.draw import Case, between, draw_call, stage_before, upstream
from ringback.testing.captures.hops import Bottleneck, CrossTraffic
from ringback.testing.captures.models.paths import plain_call
from ringback.testing.captures.voice import Chance


def refuse(rng: Chance, severity: float) -> Case:
    """A complaint about a stretch without fault: the call has none, or at quite another time."""
    call = draw_call(rng, seconds=(100, 300), dtx=False)
    if rng.random() < 0.5:
        plain_call(call)
        call.run()
        begin = call.media_s + call.seconds * float(rng.uniform(0.1, 0.6))
        return Case(call, "a complaint about a call without fault", complaint_s=(begin, begin + 20))
    return _elsewhere(call, severity)


def _elsewhere(call: Call, severity: float) -> Case:
    """Twelve seconds of a full queue, and a complaint half a minute before or after."""
    rng = call.rng
    call.invite()
    early = bool(rng.random() < 0.5)
    bad = call.media_s + (8 if early else call.seconds - 30)
    complaint = call.media_s + (60 if early else 15)
    cross = CrossTraffic(
        busy=[(bad, bad + 12)],
        rest=0.3,
        surge=between(rng, 0.9, 1.05, severity),
        growth_per_s=0.4,
    )
    queue = Bottleneck(10e6, float(rng.uniform(0.08, 0.2)), cross, call.ended_s)
    stage_before(call, upstream(call)).append(queue)
    call.both_talk()
    call.hang_up()
    call.run()
    text = f"a full queue at {bad:.0f} s, and a complaint about {complaint:.0f} s"
    return Case(call, text, complaint_s=(complaint, complaint + 20))
