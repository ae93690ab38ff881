"""Which model makes which cause."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from ringback.testing.captures.draw import Case
from ringback.testing.captures.labelled import LabelledCapture
from ringback.testing.captures.models import paths
from ringback.testing.captures.voice import Chance

Model = Callable[[Chance, float], Case]

MODELS: dict[str, Model] = {
    "congestion": paths.congestion,
    "jitter-with-a-small-buffer": paths.jitter_with_a_small_buffer,
    "route-flap": paths.route_flap,
    "constant-path-fault": paths.constant_path_fault,
    "radio": paths.radio,
    "carrier-or-interconnect": paths.carrier_or_interconnect,
    "latency-or-echo-risk": paths.latency_or_echo_risk,
    "none": paths.clean,
}
LABELS = tuple(MODELS)
"""All labels: the causes, and `none` for calls without fault."""


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
    points, streams = case.call.files()
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
