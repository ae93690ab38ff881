"""What is said of a call: ranked causes, or why nothing can be said; and the evidence that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ringback.diagnosis.capture.captured import (
    Fragmentation,
    IcmpNotice,
    Nanoseconds,
    OtherFlow,
    RtcpPacket,
    StreamKey,
)
from ringback.diagnosis.signalling.call import CallRecord, Finding, Side
from ringback.diagnosis.stream.measured import Measured, Series

CauseName = Literal[
    "congestion",
    "qos-marking-missing-at-source",
    "qos-rewritten-at-a-hop",
    "jitter-with-a-small-buffer",
    "route-flap",
    "constant-path-fault",
    "mtu-or-fragmentation",
    "radio",
    "carrier-or-interconnect",
    "local-side",
    "one-way-media",
    "nat-timeout",
    "session-timer",
    "missing-ack-or-contact-fault",
    "renegotiation-or-transcoding",
    "codec-mismatch",
    "latency-or-echo-risk",
    "endpoint-audio",
    "clock-drift",
    "measurement-artefact",
]
CAUSES: tuple[CauseName, ...] = get_args(CauseName)
NO_FRAGMENTS = Fragmentation()


@dataclass(frozen=True, slots=True)
class StreamEvidence:
    """One stream of a call: its numbers, its curves, and which way it runs (None where signalling does not
    tell)."""

    measured: Measured
    series: Series
    sent_by: Side | None
    expected_at: tuple[str, int] | None = None
    """Where SDP wanted it to go, if that is known."""
    point: str = ""


@dataclass(frozen=True, slots=True)
class Counter:
    """A row of counters beside the capture, such as an interface's drops: a value a time, increasing or a
    gauge."""

    name: str
    at_ns: Sequence[Nanoseconds]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time: `backup started`."""

    at_ns: Nanoseconds
    text: str


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, such as when somebody complained."""

    began_ns: Nanoseconds
    ended_ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about one call, or about streams without signalling (`call` None)."""

    call: CallRecord | None
    streams: tuple[StreamEvidence, ...]
    capture: Window
    """From the first to the last packet of the whole capture."""
    control: tuple[RtcpPacket, ...] = ()
    other: tuple[OtherFlow, ...] = ()
    notices: tuple[IcmpNotice, ...] = ()
    fragmentation: Fragmentation = NO_FRAGMENTS
    snap_length: int = 0
    complaint: Window | None = None
    counters: tuple[Counter, ...] = ()
    marks: tuple[Mark, ...] = ()
    segments: Mapping[StreamKey, tuple[str, ...]] | None = None
    """With several points: what each segment did to a stream, in words, from `points`."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One explanation. `confidence` is 0 to 1: above 0.8 it can be acted on, below 0.5 it is one of several.

    `for_`, `against` and `missing` are sentences with figures; `next_step` is one thing to do;
    `useless` are fixes that people try and that would not help here.
    """

    cause: CauseName
    confidence: float
    for_: tuple[str, ...]
    against: tuple[str, ...]
    missing: tuple[str, ...]
    next_step: str
    useless: tuple[str, ...] = ()
    streams: tuple[StreamKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for a call: a plain sentence, causes with the likeliest first, or why there is none.

    A call that is fine has no causes, `refused` None, and says so. `refused` is set when something is
    wrong (or complained of) and the capture cannot tell why.
    """

    summary: str
    causes: tuple[Cause, ...]
    refused: str | None
    findings: tuple[Finding, ...] = ()
