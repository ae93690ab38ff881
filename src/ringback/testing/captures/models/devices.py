"""Causes at the ends: a device that sends badly, sound that is no sound, a clock that runs wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ringback.testing.captures.call import SIDES, Call, Side
from ringback.testing.captures.draw import Case, between, change_talker, draw_call, spread_s
from ringback.testing.captures.hops import Line, Stalls
from ringback.testing.captures.models.paths import plain_call, until_seen
from ringback.testing.captures.voice import SILENT, Chance


def local_side(rng: Chance, severity: float, *, kind: str = "") -> Case:
    """The device beside the point sends badly: it stalls and then sends a burst, loses what gathered, or
    sends by a coarse timer. Mild: a stall of 70 ms each six seconds."""
    kind = kind or str(rng.choice(("stalls", "drops", "timer")))

    def build(more: float) -> Case:
        near = bool(rng.random() < 0.6)
        call = draw_call(rng, positions=("near-caller",) if near else ("near-called",), dtx=False)
        side: Side = "caller" if near else "called"
        beside_the_point(call, side)
        call.invite()
        call.inside[side].append(_bad_sender(call, kind, min(1.0, severity + more)))
        call.both_talk()
        call.hang_up()
        call.run()
        return Case(call, f"{side}'s device, which is beside the point, sends badly: {kind}")

    return until_seen(build, lambda case: any(spread_s(case.call, side, 99.8) > 0.03 for side in SIDES))


def beside_the_point(call: Call, side: Side) -> None:
    """No router lies between a side and its network's edge."""
    stage = call.stages[side][0 if side == "caller" else 3]
    line = stage[0]
    assert isinstance(line, Line)
    stage[0] = Line(line.delay_s, line.jitter_s, 0)


def _bad_sender(call: Call, kind: str, severity: float) -> Stalls:
    rng, at, stretches = call.rng, call.answered_s + 1.0, []
    step = call.devices["caller"].talker.ptime_ms / 1000
    if kind == "timer":
        period = step * int(rng.integers(2, 4 + round(2 * severity)))
        stretches = [(begin, begin + period) for begin in np.arange(at, call.ended_s, period).tolist()]
        return Stalls(stretches)
    every = between(rng, 6, 1.2, severity)
    while at < call.ended_s - 1:
        length = between(rng, 0.07, 0.28, severity) + 2 * step
        stretches.append((at, at + length))
        at += length + float(rng.exponential(every))
    return Stalls(stretches, keeps=int(rng.integers(1, 3)) if kind == "drops" else 1 << 30)


def endpoint_audio(rng: Chance, severity: float, *, kind: str = "") -> Case:
    """One side's sound is bad before it is sent: silent, clipped, low. Mild: silent for half of the call,
    one sample of fifty clipped, -44 dBov."""
    kind = kind or str(rng.choice(("silent", "clipped", "low")))
    call = draw_call(rng, codecs=("pcmu", "pcma"), dtx=False, seconds=(40, 300))
    side: Side = SIDES[int(rng.integers(2))]
    if kind == "clipped":
        change_talker(call, side, level_db=between(rng, -5.0, 4.0, severity))
    elif kind == "low":
        change_talker(call, side, level_db=between(rng, -44.0, -54.0, severity), noise_db=-74.0)
    plain_call(call)
    voice = call.voices[side]
    if kind == "silent":
        begin = call.answered_s + call.seconds * between(rng, 0.5, 0.0, severity)
        off = voice.sent_s >= begin
        level = -float(SILENT) if rng.random() < 0.7 else -76.0
        call.voices[side] = replace(voice, level_db=np.where(off, level, voice.level_db).astype(np.float32))
    call.run()
    return Case(call, f"{side}'s sound is {kind}")


def clock_drift(rng: Chance, severity: float) -> Case:
    """A device whose sample clock runs wrong. Mild: 120 ppm, for a minute at least."""
    call = draw_call(rng, seconds=(75, 300))
    side: Side = SIDES[int(rng.integers(2))]
    sign = 1 if rng.random() < 0.5 else -1
    skew = sign * between(rng, 120, 1000, severity)
    change_talker(call, side, skew_ppm=skew)
    plain_call(call)
    call.run()
    return Case(call, f"{side}'s clock runs {skew:+.0f} ppm", facts={"skew_ppm": skew})
