"""Causes on the way: queues, radio, faulty lines, routes that change, delay that varies or is long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ringback.testing.captures.call import SIDES, Call, Side, other
from ringback.testing.captures.draw import (
    Case,
    between,
    draw_call,
    lost_at_point,
    share_of,
    spread_s,
    stage_before,
    upstream,
)
from ringback.testing.captures.hops import (
    BitErrors,
    Bottleneck,
    CrossTraffic,
    Detour,
    Line,
    Policer,
    Radio,
    Wander,
)
from ringback.testing.captures.voice import Chance

TRIES = 12


def until_seen(build: Callable[[float], Case], visible: Callable[[Case], bool]) -> Case:
    """Build a case, a little worse each time, until its symptom is there."""
    for attempt in range(TRIES):
        case = build(attempt * 0.1)
        if visible(case):
            return case
    return case


def plain_call(call: Call) -> None:
    """Set the call up, let both talk, end it."""
    call.invite()
    call.both_talk()
    call.hang_up()


def bottleneck(call: Call, severity: float, *, prioritised: bool) -> Bottleneck:
    """A queue that others fill now and then, for a call that is set up."""
    rng = call.rng
    busy = share_of(rng, call, between(rng, 0.25, 0.75, severity), int(rng.integers(1, 4)))
    cross = CrossTraffic(
        busy=busy,
        rest=float(rng.uniform(0.15, 0.45)),
        surge=between(rng, 0.72, 1.04, severity),
        growth_per_s=between(rng, 0.15, 0.4, severity),
    )
    rate = float(rng.choice((1.5e6, 4e6, 10e6, 20e6, 50e6)))
    depth = float(rng.uniform(0.06, 0.14)) + 0.2 * severity * float(rng.random())
    return Bottleneck(rate, depth, cross, call.ended_s, prioritised=prioritised)


def congestion(rng: Chance, severity: float) -> Case:
    """A full queue, or a policer. Mild: delay ramps of 40 ms and four drops at least."""
    return policed(rng, severity) if rng.random() < 0.15 else queued(rng, severity)


def queued(rng: Chance, severity: float, **wishes: Any) -> Case:
    """Congestion at a queue."""
    marked = bool(rng.random() < 0.7)

    def build(more: float) -> Case:
        call = draw_call(rng, marked=marked, **wishes)
        call.invite()
        side = upstream(call)
        queue = bottleneck(call, min(1.0, severity + more), prioritised=False)
        stage_before(call, side).append(queue)
        call.both_talk()
        call.hang_up()
        call.run()
        text = (
            f"a queue of {queue.depth_s * 1000:.0f} ms before {queue.rate_bps / 1e6:g} Mbit/s, full at times"
        )
        also = frozenset() if marked else frozenset({"qos-marking-missing-at-source"})
        busy = queue.cross.busy
        complaint = (busy[0][0], busy[-1][1]) if rng.random() < 0.25 else None
        return Case(call, f"{text}; {side}'s packets", also, complaint, {"peak_s": queue.peak_s})

    return until_seen(build, _ramped)


def _ramped(case: Case) -> bool:
    return any(lost_at_point(case.call, side) >= 4 and spread_s(case.call, side) >= 0.04 for side in SIDES)


def policed(rng: Chance, severity: float, **wishes: Any) -> Case:
    """Congestion at a policer. Mild: 15 packets dropped."""

    marked = bool(rng.random() < 0.7)

    def build(more: float) -> Case:
        call = draw_call(rng, marked=marked, **wishes)
        call.invite()
        side = upstream(call)
        level = min(1.0, severity + more)
        busy = share_of(rng, call, between(rng, 0.3, 0.6, level), int(rng.integers(2, 5)))
        stage_before(call, side).append(
            Policer(busy, between(rng, 0.02, 0.25, level), float(rng.uniform(0.02, 0.06)), call.ended_s)
        )
        call.both_talk()
        call.hang_up()
        call.run()
        return Case(call, f"a token bucket drops what exceeds a contract in busy times; {side}'s packets")

    return until_seen(build, lambda case: any(lost_at_point(case.call, side) >= 15 for side in SIDES))


def radio(rng: Chance, severity: float, *, weak: Side | None = None, **wishes: Any) -> Case:
    """A wireless link at one end, both ways. Mild: some spikes above 40 ms, three losses at least."""
    end: Side = weak or SIDES[int(rng.integers(2))]

    def build(more: float) -> Case:
        call = draw_call(rng, **wishes)
        stage = 0 if end == "caller" else 3
        call.invite()
        level = min(1.0, severity + more)
        count = int(rng.integers(0, 2 + round(2 * level)))
        roams = [
            (at, at + between(rng, 0.12, 0.9, level))
            for at, _ in (share_of(rng, call, 0.05, count) if count else [])
        ]
        for side in SIDES:
            call.stages[side][stage].append(
                Radio(
                    fade_every_s=between(rng, 9, 3, level),
                    fade_s=between(rng, 0.15, 0.5, level),
                    fail=between(rng, 0.74, 0.92, level),
                    roams=roams,
                )
            )
        call.both_talk()
        call.hang_up()
        call.run()
        return Case(call, f"{end} on a fading radio link, {len(roams)} roams")

    return until_seen(build, lambda case: _spiky(case, 3))


def _spiky(case: Case, lost: int) -> bool:
    call = case.call
    return any(
        lost_at_point(call, side) >= lost and spread_s(call, side, 99.8) >= 0.04
        for side in SIDES
        if (side, call.points[0].position) in call.seen
    )


def constant_path_fault(rng: Chance, severity: float, **wishes: Any) -> Case:
    """Frames damaged at random, all the time. Mild: 0.8 % lost, eight packets at least."""

    def build(more: float) -> Case:
        call = draw_call(rng, **wishes)
        call.invite()
        side = upstream(call)
        share = between(rng, 0.008, 0.08, severity + more, 0.1)
        stage = stage_before(call, side)
        stage.append(BitErrors(share))
        both = bool(rng.random() < 0.3)
        if both:
            where = next(number for number in range(4) if call.stages[side][number] is stage)
            call.stages[other(side)][where].append(BitErrors(share * float(rng.uniform(0.2, 0.8))))
        call.both_talk()
        call.hang_up()
        call.run()
        ways = "both ways, as of a duplex mismatch" if both else f"{side}'s packets alone"
        also = frozenset({"carrier-or-interconnect"}) if both else frozenset()
        return Case(call, f"{share:.1%} of frames damaged, {ways}", also, facts={"share": share})

    return until_seen(build, lambda case: any(lost_at_point(case.call, side) >= 8 for side in SIDES))


def route_flap(rng: Chance, severity: float) -> Case:
    """A route that changes. Mild: steps of 12 ms with outages of some 60 ms, three packets lost at least."""

    def build(more: float) -> Case:
        call = draw_call(rng, seconds=(45, 300))
        call.invite()
        side, level = upstream(call), min(1.0, severity + more)
        count = int(rng.integers(1, 3 + round(3 * level)))
        stretches = share_of(rng, call, float(rng.uniform(0.3, 0.6)), count)
        extra = between(rng, 0.012, 0.09, level)
        hops = int(rng.integers(1, 5)) if rng.random() < 0.8 else 0
        detour = Detour(stretches, extra, hops, between(rng, 0.06, 1.5, level, 0.1))
        stage_before(call, side).append(detour)
        call.both_talk()
        call.hang_up()
        call.run()
        text = f"{count} times another route, {extra * 1000:.0f} ms and {hops} routers longer"
        return Case(call, f"{text}; {side}'s packets", facts={"extra_s": extra, "hops": hops})

    return until_seen(build, lambda case: any(lost_at_point(case.call, side) >= 3 for side in SIDES))


def jitter_with_a_small_buffer(rng: Chance, severity: float, **wishes: Any) -> Case:
    """Delay that varies, nothing lost. Mild: 45 ms between most and least."""
    turns, marked = bool(rng.random() < 0.35), bool(rng.random() < 0.7)

    def build(more: float) -> Case:
        call = draw_call(rng, dtx=False, marked=marked, **wishes)
        call.invite()
        side = upstream(call)
        level = min(1.0, severity + more)
        wander = (
            Wander(0.004, 0.6, between(rng, 0.055, 0.16, level))
            if turns
            else Wander(between(rng, 0.011, 0.045, level), float(rng.uniform(0.2, 0.7)))
        )
        stage_before(call, side).append(wander)
        if rng.random() < 0.5 and call.reports_every_s:
            call.buffers_s[other(side)] = float(rng.choice((0.02, 0.03, 0.04)))
        call.both_talk()
        call.hang_up()
        call.run()
        kind = f"service in turns of {wander.period_s * 1000:.0f} ms" if turns else "many small queues"
        return Case(call, f"{kind}, nothing lost; {side}'s packets")

    return until_seen(build, lambda case: any(spread_s(case.call, side) >= 0.045 for side in SIDES))


def latency_or_echo_risk(rng: Chance, severity: float) -> Case:
    """A long way. Mild: 340 ms there and back."""
    call = draw_call(rng, reports=True)
    trip = between(rng, 0.34, 1.2, severity, 0.1)
    for side in SIDES:
        for stage in (1, 2):
            hop = call.stages[side][stage][0]
            assert isinstance(hop, Line)
            call.stages[side][stage][0] = Line(trip / 4, hop.jitter_s, hop.hops)
    plain_call(call)
    call.run()
    return Case(call, f"{trip * 1000:.0f} ms there and back", facts={"round_trip_s": trip})


def carrier_or_interconnect(rng: Chance, severity: float) -> Case:
    """Loss and jitter beyond the far network's border, which RTCP tells. Mild: 1 % lost there."""
    call = draw_call(rng, positions=("near-caller",), reports=True)
    late = bool(rng.random() < 0.4)
    alert = float(rng.uniform(4, 9)) if rng.random() < 0.4 else None
    call.invite(alert_s=alert)
    share = between(rng, 0.012, 0.12, severity, 0.1)
    call.stages["caller"][3] += [BitErrors(share), Wander(between(rng, 0.004, 0.02, severity))]
    both = bool(rng.random() < 0.5)
    if both:
        call.stages["called"][3] += [Wander(between(rng, 0.004, 0.02, severity)), BitErrors(share * 0.7)]
    call.talk("caller")
    begin = call.answered_s + float(rng.uniform(1.2, 5)) if late else None
    call.talk("called", begin)
    call.hang_up()
    call.run()
    ways = "both ways" if both else "away from the point alone"
    return Case(call, f"{share:.1%} lost beyond the far border, {ways}", facts={"share": share})


def clean(rng: Chance, severity: float) -> Case:
    """A call without fault, with what all networks have: some jitter, and sometimes a packet lost."""
    call = draw_call(rng)
    side: Side = SIDES[int(rng.integers(2))]
    if rng.random() < 0.3:
        stage_before(call, side).append(BitErrors(0.0002 * severity))
    plain_call(call)
    call.run()
    return Case(call, "a call without fault")
