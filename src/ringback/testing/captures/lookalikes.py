"""Pairs of causes that are easily taken for each other, of the same severity."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ringback.testing.captures.draw import Case
from ringback.testing.captures.labelled import LabelledCapture
from ringback.testing.captures.make import finished
from ringback.testing.captures.models import artefacts, devices, marking, paths, sessions, setup
from ringback.testing.captures.voice import Chance

Maker = Callable[[Chance, float], Case]
_FAR: dict[str, Any] = {"positions": ("near-caller",), "seconds": (60, 240)}

PAIRS: Mapping[str, tuple[tuple[str, Maker], tuple[str, Maker]]] = {
    # Delay and loss of what comes from afar.
    "congestion-radio": (
        ("congestion", lambda rng, level: paths.queued(rng, level, **_FAR)),
        ("radio", lambda rng, level: paths.radio(rng, level, weak="called", **_FAR)),
    ),
    # What a buffer throws away, and what never came.
    "late-lost": (
        (
            "jitter-with-a-small-buffer",
            lambda rng, level: paths.jitter_with_a_small_buffer(rng, level, **_FAR),
        ),
        ("constant-path-fault", lambda rng, level: paths.constant_path_fault(rng, level, **_FAR)),
    ),
    # One stream alone, as agreed and not.
    "hold-one-way": (
        ("measurement-artefact", lambda rng, level: artefacts.hold(rng, level, from_start=True)),
        ("one-way-media", setup.filtered),
    ),
    # Nothing heard, from a stream and from none.
    "muted-one-way": (
        ("endpoint-audio", lambda rng, level: devices.endpoint_audio(rng, level, kind="silent")),
        ("one-way-media", setup.filtered),
    ),
    # Bursts of loss, of the capture and of the way.
    "holes-policer": (
        ("measurement-artefact", lambda rng, level: artefacts.holes(rng, level, **_FAR)),
        ("congestion", lambda rng, level: paths.policed(rng, level, **_FAR)),
    ),
    # Packets in clumps, from a device and from its radio.
    "stalls-radio": (
        ("local-side", lambda rng, level: devices.local_side(rng, level, kind="stalls")),
        ("radio", lambda rng, level: paths.radio(rng, level, weak="caller", positions=("near-caller",))),
    ),
    # A 200 that is sent again and again.
    "ack-fragments": (
        ("missing-ack-or-contact-fault", sessions.missing_ack),
        ("mtu-or-fragmentation", lambda rng, level: sessions.mtu(rng, level, kind="answer")),
    ),
    # Voice without its mark.
    "unmarked-rewritten": (
        ("qos-marking-missing-at-source", marking.missing_at_source),
        ("qos-rewritten-at-a-hop", marking.rewritten_at_a_hop),
    ),
    # A request in the dialog that nobody answers.
    "timer-nat": (
        ("session-timer", lambda rng, level: sessions.session_timer(rng, level, kind="unanswered")),
        ("nat-timeout", lambda rng, _: sessions.forgotten_signalling(rng)),
    ),
    # Loss on the far side of the point.
    "carrier-constant": (
        ("carrier-or-interconnect", paths.carrier_or_interconnect),
        ("constant-path-fault", lambda rng, level: paths.constant_path_fault(rng, level, **_FAR)),
    ),
}


def make_pair(name: str, seed: int, severity: float | None = None) -> tuple[LabelledCapture, LabelledCapture]:
    """Two captures that look alike, always the same for the same arguments; for `severity` see `make`. An
    unknown name is a KeyError."""
    made = []
    for label, maker in PAIRS[name]:
        rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
        drawn = float(rng.random())
        level = drawn if severity is None else severity
        made.append(finished(maker(rng, level), label, seed, level))
    return made[0], made[1]
