"""Causes at the ends: what is spoken, the clock that samples it, and how long it all takes (ITU-T G.114)."""

from __future__ import annotations

import numpy as np

from ringback.diagnosis.causes.artefact import early_answers
from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.scene import Scene, StreamView
from ringback.diagnosis.causes.words import count, ms, percent, seconds
from ringback.diagnosis.stream.measured import Sound

LOUD_DBOV, QUIET_DBOV, FAINT_DBOV = -12.0, -38.0, -45.0
"""Speech lies between -20 and -30 dBov (ITU-T P.56 aims at -26)."""
CLIPPED = 0.002
SPEAKS_DBOV = -55.0
DRIFT_PPM = 100.0
"""Crystals of phones stay within some 50 ppm; sound cards and virtual machines may not."""
ROUND_TRIP_MS, TALKERS_COLLIDE_MS = 300.0, 500.0
"""ITU-T G.114: up to 150 ms one way is fine, more than 400 ms is not."""


def sound(scene: Scene, view: StreamView) -> Case:
    """The device itself sends nothing, too little or too much."""
    case = Case("endpoint-audio", "sound", prior=-1.5, streams=(view.key,))
    heard = view.measured.sound
    if heard is None:
        case.missing.append(f"The sound of {view.name}: its codec is not open to this capture.")
        return case
    if view.seconds < 3:
        return case
    _too_quiet(case, view, heard)
    if heard.clipped_share > CLIPPED:
        case.clue(
            min(4.0, 2.0 + 100 * heard.clipped_share) - (0.0 if heard.level_dbov > LOUD_DBOV - 1 else 1.5),
            f"{percent(heard.clipped_share)} of the samples of {view.name} are at the codec's limit: it is "
            f"clipped, at {heard.level_dbov:.0f} dBov.",
        )
    elif heard.level_dbov > LOUD_DBOV:
        case.clue(
            1.5, f"{view.name.capitalize()} is at {heard.level_dbov:.0f} dBov, far above the usual -26."
        )
    if case.for_ and view.measured.event_packets:
        case.clue(
            -0.8,
            f"It sent {count(view.measured.event_packets, 'packet')} of keys: somebody uses it, and may "
            "only listen.",
        )
    if case.for_:
        other = scene.opposite(view)
        if view.loss.share < 0.005:
            case.clue(
                0.5, f"Its packets are whole ({percent(view.loss.share)} lost): what is heard was sent so."
            )
        if other is not None and other.measured.sound is not None:
            case.clue(0.3, f"{other.name.capitalize()} is at {other.measured.sound.level_dbov:.0f} dBov.")
    case.missing.append("A recording of the device itself, beside the network.")
    case.next_step = (
        "Look at this device: microphone, headset, mute key, input gain; try another headset, then another "
        "device."
    )
    case.useless += ["Nothing in the network would help: the packets arrive as they were sent."]
    return case


def _too_quiet(case: Case, view: StreamView, heard: Sound) -> None:
    """Whether nothing is heard, from the start or from some time on, or hardly anything."""
    if heard.digital_silence_share > 0.9:
        case.clue(
            4.0,
            f"{percent(heard.digital_silence_share)} of the packets of {view.name} hold nothing but the "
            f"codec's zero for {seconds(view.seconds)}: muted, or no microphone.",
        )
    elif (quiet := _falls_silent(view)) is not None:
        case.clue(*quiet)
    elif heard.silent_share > 0.97:
        case.clue(3.0, f"{percent(heard.silent_share)} of the packets of {view.name} are below -50 dBov.")
    elif heard.level_dbov < FAINT_DBOV:
        case.clue(
            3.4,
            f"{view.name.capitalize()} is at {heard.level_dbov:.0f} dBov while it speaks; speech lies near "
            "-26.",
        )
    elif heard.level_dbov < QUIET_DBOV:
        case.clue(
            2.4,
            f"{view.name.capitalize()} is at {heard.level_dbov:.0f} dBov while it speaks; speech lies near "
            "-26.",
        )


def _falls_silent(view: StreamView) -> tuple[float, str] | None:
    """Whether somebody who spoke is not heard any more, far longer than people are silent for."""
    level = view.evidence.series.level_dbov
    known = np.flatnonzero(np.isfinite(level))
    if len(known) < 500:
        return None
    loud = known[level[known] > SPEAKS_DBOV]
    last = int(loud[-1]) if len(loud) else int(known[0])
    silent_s = float(view.loss.times_s[known[-1]] - view.loss.times_s[last])
    spoken_s = float(view.loss.times_s[last] - view.loss.times_s[known[0]])
    rest = level[known[known > last]]
    if silent_s < 8.0 or not len(rest):
        return None
    zero = float(np.mean(rest <= -100.0))
    longest = float(np.diff(view.loss.times_s[loud]).max(initial=0.0))
    if zero > 0.9:
        weight = 3.5
    elif silent_s > max(15.0, 2.5 * longest) and silent_s > 0.4 * view.seconds:
        weight = 2.5
    else:
        return None
    after = f" after {seconds(spoken_s)} of speech" if len(loud) else ""
    zeros = f", {percent(zero)} of them the codec's zero" if zero > 0.1 else ""
    return weight, (
        f"{view.name.capitalize()} is at {float(np.median(rest)):.0f} dBov (median) for its last "
        f"{seconds(silent_s)}{after}{zeros}."
    )


def clock_drift(scene: Scene, view: StreamView) -> Case:
    """The sender's clock runs at another rate, so that buffers run empty or over every so often."""
    case = Case("clock-drift", "transport", prior=-1.5, streams=(view.key,))
    ppm = view.measured.skew_ppm
    shape = view.delay
    if ppm is None or shape is None:
        case.missing.append("30 s of the stream with a clock: less does not show its rate.")
        return case
    own = -1000.0 * shape.drift_ms_per_s
    if abs(own) >= DRIFT_PPM:
        slip_s = 1e6 * (view.measured.ptime_ms or 20.0) / 1e3 / abs(own)
        case.clue(
            2.0 + min(2.0, abs(own) / 300),
            f"The clock of {view.name} is {abs(own):.0f} ppm {'fast' if own > 0 else 'slow'}: a packet too "
            f"{'many' if own > 0 else 'few'} every {seconds(slip_s)}.",
        )
        if not shape.steps:
            case.clue(
                0.8,
                f"The delay moved evenly, by {ms(abs(shape.drift_ms_per_s) * view.seconds)} in "
                f"{seconds(view.seconds)}, without steps.",
            )
        other = scene.opposite(view)
        if other is not None and other.measured.skew_ppm is not None and other.delay is not None:
            theirs = -1000.0 * other.delay.drift_ms_per_s
            if abs(theirs) < DRIFT_PPM / 2:
                case.clue(
                    0.8,
                    f"{other.name.capitalize()} is {abs(theirs):.0f} ppm off by the same capture's clock.",
                )
            elif abs(theirs - own) < 0.2 * abs(own):
                case.clue(
                    -2.0,
                    f"{other.name.capitalize()} is off by the same {abs(theirs):.0f} ppm: it is the "
                    "capture's clock.",
                )
    else:
        case.clue(-2.0, f"The sender's clock is within {abs(own):.0f} ppm of the capture's.")
    if view.loss.share > 0.003:
        case.clue(-1.5, f"{percent(view.loss.share)} of the packets were lost, which no clock does.")
    if shape.steps:
        case.clue(
            -1.5, f"The delay moved by {count(len(shape.steps), 'step')}, where a clock moves it evenly."
        )
    case.next_step = (
        "Give the sender a better clock (NTP for software, the line's clock for gateways), or use a device "
        "that resamples."
    )
    case.useless += [
        "A bigger jitter buffer would only put the slips off.",
        "QoS would not help: packets arrive in time.",
    ]
    return case


def latency(scene: Scene) -> Case:
    """It takes so long both ways that people talk into each other, and any echo is heard."""
    case = Case("latency-or-echo-risk", "delay", prior=-1.5)
    halves = [
        trip
        for view in scene.streams
        if view.reported is not None and (trip := view.reported.half_trip_ms) is not None
    ]
    told = [r.round_trip_ms for r in scene.reports.about.values() if r.round_trip_ms]
    trip_ms = max([sum(halves[:2]), *told], default=0.0)
    if trip_ms >= ROUND_TRIP_MS:
        sides = "both sides" if len(halves) > 1 else "one side" if halves else "the receiver's own report"
        case.clue(
            2.4 + min(2.0, (trip_ms - ROUND_TRIP_MS) / 150),
            f"The round trip takes {ms(trip_ms)} by RTCP of {sides}; beyond {ROUND_TRIP_MS:.0f} ms "
            "conversations suffer (ITU-T G.114).",
        )
        case.streams = tuple(view.key for view in scene.streams if view.reported is not None)
    elif trip_ms > 0:
        case.clue(-3.0, f"The round trip takes {ms(trip_ms)} by RTCP.")
    else:
        case.missing.append("The round trip: RTCP sender reports and their answers.")
    early = early_answers(scene)
    if early:
        # Where both ways have clocks of their own, one half is as much too long as the other is too short.
        case.clue(
            -3.5,
            f"{count(len(early), 'SIP answer')} came before the request: the two ways have different clocks.",
        )
    ends = [r.end_system_ms for r in scene.reports.about.values() if r.end_system_ms]
    if ends and max(ends) > 150:
        case.clue(1.5, f"An end system takes {ms(max(ends))} by itself (RTCP XR).")
    case.next_step = (
        "Find the segment that takes the time (traceroute, captures at two points); keep media off detours "
        "such as a far relay or a tunnel."
    )
    case.useless += [
        "More bandwidth would not help unless a queue stands: distance takes its time.",
        "A bigger jitter buffer would make it worse.",
    ]
    return case
