"""The evidence of one call looked at once: how each stream lost and was delayed, who should have sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ringback.diagnosis.capture.captured import Nanoseconds, RtcpPacket, StreamKey
from ringback.diagnosis.causes import delay as delays
from ringback.diagnosis.causes import loss as losses
from ringback.diagnosis.causes.delay import DelayShape
from ringback.diagnosis.causes.loss import LossShape
from ringback.diagnosis.causes.reports import Reported, Reports, read_reports
from ringback.diagnosis.causes.verdict import Evidence, StreamEvidence, Window
from ringback.diagnosis.signalling.call import Finding, MediaOffer, Side
from ringback.diagnosis.stream.measured import Measured

SIDES: tuple[Side, Side] = ("caller", "called")
LEAST_PACKETS = 50
"""A stream shorter than a second says nothing by its figures."""


FIRST_TTLS = (32, 64, 128, 255)
"""What senders begin with."""


def usual(values: Mapping[int, int]) -> int | None:
    """The most frequent value."""
    return max(values, key=lambda value: values[value]) if values else None


@dataclass(frozen=True, slots=True)
class StreamView:
    """One stream with the shapes of its loss and delay; `delay` None without a clock."""

    evidence: StreamEvidence
    loss: LossShape
    delay: DelayShape | None
    reported: Reported | None

    @property
    def measured(self) -> Measured:
        """Its numbers."""
        return self.evidence.measured

    @property
    def key(self) -> StreamKey:
        """Its addresses and source."""
        return self.evidence.measured.key

    @property
    def side(self) -> Side | None:
        """Who sent it."""
        return self.evidence.sent_by

    @property
    def seconds(self) -> float:
        """How long it was seen."""
        return (self.measured.ended_ns - self.measured.began_ns) / 1e9

    @property
    def name(self) -> str:
        """What sentences call it."""
        if self.side is not None:
            return f"the {'caller' if self.side == 'caller' else 'called side'}'s stream"
        return f"the stream from {self.key.src}"

    @property
    def judged(self) -> bool:
        """Long enough that its figures mean something."""
        return self.measured.unique >= LEAST_PACKETS

    @property
    def late_share(self) -> float:
        """Of packets that came: too late for a buffer of 50 ms."""
        return self.measured.late.fixed_50 / self.measured.unique if self.measured.unique else 0.0

    @property
    def late_share_200(self) -> float:
        """Of packets that came: too late for a buffer of 200 ms."""
        return self.measured.late.fixed_200 / self.measured.unique if self.measured.unique else 0.0

    @property
    def reported_jitter_ms(self) -> float | None:
        """The jitter that three of four reports of the receiver stay below."""
        rate = self.measured.codec.clock_rate
        return self.reported.jitter * 1000.0 / rate if self.reported is not None and rate else None

    @property
    def hops(self) -> int | None:
        """Routers between the source and the capture, by the TTL (None where it tells nothing)."""
        ttl = usual(self.measured.ttl)
        if not ttl:
            return None
        return min((first - ttl for first in FIRST_TTLS if first >= ttl), default=None)

    def silence_s(self, window: Window) -> float:
        """Seconds of a window in which it had no packets, but for pauses below a second."""
        arrived = self.evidence.series.arrived_ns
        inside = np.sort(arrived[(arrived >= window.began_ns) & (arrived <= window.ended_ns)])
        waits = np.diff(np.concatenate(([window.began_ns], inside, [window.ended_ns])))
        return float(waits[waits > 10**9].sum()) / 1e9

    def at_ns(self, seconds: float) -> Nanoseconds:
        """The capture's time, from seconds after the first arrival."""
        return self.measured.began_ns + int(seconds * 1e9)


@dataclass(frozen=True, slots=True)
class Scene:
    """One call as the causes look at it; `findings` by code."""

    evidence: Evidence
    streams: tuple[StreamView, ...]
    reports: Reports
    findings: Mapping[str, tuple[Finding, ...]]
    talk: Window | None
    """From answer to end, where both are known or the capture bounds them; None for a call never answered."""

    @property
    def home(self) -> str:
        """The first point, of which times and distances are told."""
        return self.evidence.streams[0].point if self.evidence.streams else ""

    @property
    def at_home(self) -> tuple[StreamView, ...]:
        """The streams that the first point saw."""
        return tuple(view for view in self.streams if view.evidence.point == self.home)

    def was_so_before(self, view: StreamView) -> bool:
        """Whether another point, nearer to the sender, saw what is wrong with a stream already."""
        return any(
            twin.key.ssrc == view.key.ssrc
            and twin.evidence.point != view.evidence.point
            and twin.hops is not None
            and view.hops is not None
            and twin.hops < view.hops
            and twin.loss.share >= 0.7 * view.loss.share
            and twin.measured.jitter_ms.mean >= 0.7 * view.measured.jitter_ms.mean
            for twin in self.streams
        )

    def of(self, side: Side) -> tuple[StreamView, ...]:
        """The streams that a side sent."""
        return tuple(view for view in self.streams if view.side == side)

    def opposite(self, view: StreamView) -> StreamView | None:
        """The longest stream the other way."""
        others = [
            other
            for other in self.streams
            if other is not view
            and other.evidence.point == view.evidence.point
            and (
                (view.side is not None and other.side not in (None, view.side))
                or other.key.endpoints == view.key.endpoints.reverse
                or (
                    view.side is None
                    and {other.key.src, other.key.dst} == {view.key.src, view.key.dst}
                    and other.key.src != view.key.src
                )
            )
        ]
        return max(others, key=lambda other: other.measured.received, default=None)

    def distance(self, host: str) -> int | None:
        """Routers between a host and the capture (the first of several points), by what it sends."""
        hops = [
            view.hops
            for view in self.streams
            if view.key.src == host and view.evidence.point == self.home and view.hops is not None
        ]
        return min(hops, default=None)

    def found(self, *codes: str) -> tuple[Finding, ...]:
        """What signalling found, of some codes."""
        return tuple(finding for code in codes for finding in self.findings.get(code, ()))

    def may_send(self, side: Side, at_ns: Nanoseconds) -> bool:
        """Whether the last descriptions of both let a side send at a time."""
        if self.evidence.call is None:
            return True
        own: MediaOffer | None = None
        other: MediaOffer | None = None
        for offer in self.evidence.call.media:
            if offer.at_ns > at_ns or not offer.accepted or offer.kind != "audio":
                continue
            if offer.by == side:
                own = offer
            else:
                other = offer
        return (own is None or (own.direction in ("sendrecv", "sendonly"))) and (
            other is None or (other.direction in ("sendrecv", "recvonly") and other.port != 0)
        )

    def held_s(self, side: Side, window: Window) -> float:
        """Seconds of a window in which a side should not send."""
        return sum((w.ended_ns - w.began_ns) / 1e9 for w in self.holds(side, window))

    def holds(self, side: Side, window: Window) -> Sequence[Window]:
        """The parts of a window in which a side should not send."""
        if self.evidence.call is None:
            return ()
        marks = sorted(
            {
                window.began_ns,
                window.ended_ns,
                *(o.at_ns for o in self.evidence.call.media if window.began_ns < o.at_ns < window.ended_ns),
            }
        )
        return [Window(a, b) for a, b in pairwise(marks) if not self.may_send(side, a)]


def scene_of(evidence: Evidence) -> Scene:
    """Look at the evidence."""
    reports = read_reports(_at_home(evidence))
    nearest = _nearest_to_receiver(evidence.streams)
    views = []
    for stream in evidence.streams:
        ptime = stream.measured.ptime_ms or 20.0
        loss = losses.shape_of(stream.series, ptime)
        reported = reports.about.get(stream.measured.key.ssrc) if id(stream) in nearest else None
        views.append(StreamView(stream, loss, delays.shape_of(stream.series, loss, ptime), reported))
    findings: dict[str, tuple[Finding, ...]] = {}
    for finding in evidence.call.findings if evidence.call else ():
        findings[finding.code] = (*findings.get(finding.code, ()), finding)
    return Scene(evidence, tuple(views), reports, findings, _talk(evidence))


def _at_home(evidence: Evidence) -> Sequence[RtcpPacket]:
    """Reports as the first point saw them: clocks, and behind NATs addresses, are others elsewhere."""
    if len({stream.point for stream in evidence.streams}) < 2:
        return evidence.control
    home = evidence.streams[0].point
    hosts = {frozenset(s.measured.key[0:3:2]) for s in evidence.streams if s.point == home}
    return [p for p in evidence.control if frozenset(p.endpoints[0:3:2]) in hosts] or evidence.control


def _nearest_to_receiver(streams: Sequence[StreamEvidence]) -> set[int]:
    """Of a stream at several points the sight that reports are held against: what passed there is worst."""
    worst: dict[int, StreamEvidence] = {}
    several = len({stream.point for stream in streams}) > 1
    for stream in streams:
        ssrc = stream.measured.key.ssrc
        known = worst.get(ssrc)
        state = (stream.measured.lost, stream.measured.jitter_ms.mean)
        if known is None or state > (known.measured.lost, known.measured.jitter_ms.mean):
            worst[ssrc] = stream
    return {id(stream) for stream in (worst.values() if several else streams)}


def _talk(evidence: Evidence) -> Window | None:
    call = evidence.call
    if call is None or call.answered_ns is None:
        return None
    return Window(
        call.answered_ns, min(call.ended_ns or evidence.capture.ended_ns, evidence.capture.ended_ns)
    )
