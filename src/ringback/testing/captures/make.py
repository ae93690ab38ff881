"""Which model makes which cause."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ringback.testing.captures.background import add_background
from ringback.testing.captures.call import Call, Effect, Point
from ringback.testing.captures.draw import POSITIONS, Case
from ringback.testing.captures.labelled import LabelledCapture
from ringback.testing.captures.models import artefacts, devices, marking, paths, refusals, sessions, setup
from ringback.testing.captures.voice import Chance
from ringback.testing.captures.writing import files

Model = Callable[[Chance, float], Case]

MODELS: dict[str, Model] = {
    "congestion": paths.congestion,
    "qos-marking-missing-at-source": marking.missing_at_source,
    "qos-rewritten-at-a-hop": marking.rewritten_at_a_hop,
    "jitter-with-a-small-buffer": paths.jitter_with_a_small_buffer,
    "route-flap": paths.route_flap,
    "constant-path-fault": paths.constant_path_fault,
    "mtu-or-fragmentation": sessions.mtu,
    "radio": paths.radio,
    "carrier-or-interconnect": paths.carrier_or_interconnect,
    "local-side": devices.local_side,
    "one-way-media": setup.one_way_media,
    "nat-timeout": sessions.nat_timeout,
    "session-timer": sessions.session_timer,
    "missing-ack-or-contact-fault": sessions.missing_ack,
    "renegotiation-or-transcoding": setup.renegotiation,
    "codec-mismatch": setup.codec_mismatch,
    "latency-or-echo-risk": paths.latency_or_echo_risk,
    "endpoint-audio": devices.endpoint_audio,
    "clock-drift": devices.clock_drift,
    "measurement-artefact": artefacts.artefact,
    "none": paths.clean,
    "refuse": refusals.refuse,
}
LABELS = tuple(MODELS)
"""All labels: the causes, `none` for calls without fault, `refuse` for complaints without a cause."""


def make(
    label: str, seed: int, severity: float | None = None, *, everywhere: bool = False
) -> LabelledCapture:
    """A capture with a known cause, always the same for the same arguments.

    `severity` goes from 0 (mild: the symptom is there, and no more) to 1; without it, it comes from the
    seed. With `everywhere` the call is captured near the caller, in the middle and near who is called, by
    clocks that differ: `clock_NAME_s` in the facts is how much a point's is fast. An unknown label is a
    KeyError.
    """
    rng = np.random.default_rng([zlib.crc32(label.encode()), seed])
    drawn = float(rng.random())
    level = drawn if severity is None else severity
    return finished(MODELS[label](rng, level), label, seed, level, everywhere=everywhere)


def finished(
    case: Case, label: str, seed: int, severity: float, *, everywhere: bool = False
) -> LabelledCapture:
    """A case as files."""
    add_background(case.call)
    clocks = _everywhere(case.call) if everywhere else {}
    points, streams = files(case.call)
    complaint = None
    if case.complaint_s is not None:
        begin, end = (case.call.epoch_ns + round(at * 1e9) for at in case.complaint_s)
        complaint = (begin, end)
    return LabelledCapture(
        label=label,
        seed=seed,
        severity=severity,
        description=case.description,
        points=points,
        acceptable=frozenset({label}) | case.also,
        streams=streams,
        complaint=complaint,
        facts=case.facts | clocks,
    )


def _everywhere(call: Call) -> dict[str, float]:
    """Capture a call at the other places, too; what is told of the clocks."""
    known = {point.position: point for point in call.points}
    offsets = {}
    call.points = [known.get(at) or Point(name, at, "pcapng") for name, at in POSITIONS.items()]
    for point in call.points:
        if point.position not in known:
            offset = float(call.rng.normal(0, 0.4))
            point.effects.append(clock(offset))
            offsets[f"clock_{point.name}_s"] = offset
    return offsets


def clock(offset: float) -> Effect:
    """The effect of a clock that is fast by so many seconds."""
    return lambda records, _: replace(records, at=records.at + offset)
