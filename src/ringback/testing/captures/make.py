"""Which model makes which cause."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from ringback.testing.captures.background import add_background
from ringback.testing.captures.draw import Case
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


def make(label: str, seed: int, severity: float | None = None) -> LabelledCapture:
    """A capture with a known cause, always the same for the same arguments.

    `severity` goes from 0 (mild: the symptom is there, and no more) to 1; without it, it comes from the
    seed. An unknown label is a KeyError.
    """
    rng = np.random.default_rng([zlib.crc32(label.encode()), seed])
    drawn = float(rng.random())
    level = drawn if severity is None else severity
    return finished(MODELS[label](rng, level), label, seed, level)


def finished(case: Case, label: str, seed: int, severity: float) -> LabelledCapture:
    """A case as files."""
    add_background(case.call)
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
        facts=case.facts,
    )
