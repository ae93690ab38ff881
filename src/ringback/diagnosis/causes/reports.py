"""What the ends themselves say of the streams they receive: RTCP reports (RFC 3550, 6.4; RFC 3611)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ringback.diagnosis.capture.captured import Nanoseconds, RtcpPacket
from ringback.rtp import rtcp
from ringback.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, parse
from ringback.rtp.rtcp_xr import VoipMetrics

MOST_PACKETS = 20_000
"""RTCP packets of a call that are read; an hour of one a second both ways has 7,200."""
MOST_TRIP_MS = 60_000.0


@dataclass(frozen=True, slots=True)
class Reported:
    """What the receiver of one source said of it.

    `lost_share` is over the reported sequence numbers (0 to 1), None with a single report that cannot tell;
    `jitter` is what three of four reports stay below, in RTP units. `half_trips_ms` are the times from the
    capture point to the reporter and back, below 0 where the two ways have other clocks. `discard_share` is
    of XR, None without.
    """

    reports: int
    lost: int
    lost_share: float | None
    worst_fraction: float
    jitter: int
    half_trips_ms: tuple[float, ...]
    discard_share: float | None
    round_trip_ms: float | None
    """As the reporter gives it by XR."""
    end_system_ms: float | None

    @property
    def half_trip_ms(self) -> float | None:
        """The median of half_trips_ms."""
        return float(np.median(self.half_trips_ms)) if self.half_trips_ms else None


@dataclass(frozen=True, slots=True)
class Reports:
    """All reports of a call: `about` by the SSRC they are about, `sent` how many each SSRC sent."""

    about: Mapping[int, Reported]
    sent: Mapping[int, int]
    mentions: frozenset[tuple[int, int]]
    """Who reported of whom."""
    counted: Mapping[int, tuple[str, int]]
    """By source: the host that its last sender report came from, and how many packets that counts."""


@dataclass(slots=True)
class _Heard:
    blocks: list[tuple[Nanoseconds, ReportBlock]]
    metrics: list[VoipMetrics]
    trips: list[float]


def read_reports(control: Iterable[RtcpPacket]) -> Reports:
    """All that was reported; what cannot be read is passed over."""
    parts = _parts(control)
    # Both ways may have clocks of their own: what a report answers need not come before it.
    left_ns: dict[tuple[int, int], Nanoseconds] = {}
    for packet, part in parts:
        if isinstance(part, SenderReport):
            left_ns.setdefault((part.ssrc, part.ntp_time >> 16 & 0xFFFFFFFF), packet.at_ns)
    heard: dict[int, _Heard] = {}
    sent: dict[int, int] = {}
    mentions: set[tuple[int, int]] = set()
    counted: dict[int, tuple[str, int]] = {}
    for packet, part in parts:
        if isinstance(part, SenderReport):
            counted[part.ssrc] = (packet.endpoints.src, part.packet_count)
        if isinstance(part, SenderReport | ReceiverReport):
            sent[part.ssrc] = sent.get(part.ssrc, 0) + 1
            for block in part.blocks:
                mentions.add((part.ssrc, block.ssrc))
                entry = heard.setdefault(block.ssrc, _Heard([], [], []))
                entry.blocks.append((packet.at_ns, block))
                left = left_ns.get((block.ssrc, block.last_sr)) if block.last_sr else None
                if left is not None:
                    trip = (packet.at_ns - left) / 1e6 - block.delay_since_last_sr / 65.536
                    if abs(trip) < MOST_TRIP_MS:
                        entry.trips.append(trip)
        elif isinstance(part, VoipMetrics):
            heard.setdefault(part.ssrc, _Heard([], [], [])).metrics.append(part)
    return Reports(
        {ssrc: _summed(entry) for ssrc, entry in heard.items()}, sent, frozenset(mentions), counted
    )


def _parts(control: Iterable[RtcpPacket]) -> list[tuple[RtcpPacket, rtcp.RtcpPacket]]:
    """What the datagrams hold; one that was captured twice, or at several points, counts once."""
    parts: list[tuple[RtcpPacket, rtcp.RtcpPacket]] = []
    seen: set[bytes] = set()
    for packet in islice(control, MOST_PACKETS):
        if not packet.encrypted and packet.data not in seen:
            seen.add(packet.data)
            parts += [(packet, part) for part in parse(packet.data).packets]
    return parts


def _summed(heard: _Heard) -> Reported:
    blocks = [block for _, block in heard.blocks]
    fractions = [block.fraction_lost / 256 for block in blocks]
    lost, share = 0, None
    if len(blocks) > 1:
        lost = max(0, blocks[-1].cumulative_lost - blocks[0].cumulative_lost)
        span = blocks[-1].extended_highest_sequence - blocks[0].extended_highest_sequence
        # What the first report tells belongs to the time before it, and to the call as well.
        lost += round(fractions[0] * span / (len(blocks) - 1))
        expected = span * len(blocks) / (len(blocks) - 1)
        share = min(1.0, lost / expected) if expected > 0 else None
    elif blocks:
        lost, share = max(0, blocks[0].cumulative_lost), fractions[0]
    metrics = heard.metrics[-1] if heard.metrics else None
    if metrics is not None and share is None:
        share = metrics.loss_rate / 256
    return Reported(
        reports=len(blocks) or len(heard.metrics),
        lost=lost,
        lost_share=share,
        worst_fraction=max(fractions, default=0.0),
        jitter=int(np.percentile([block.jitter for block in blocks], 75)) if blocks else 0,
        half_trips_ms=tuple(heard.trips),
        discard_share=metrics.discard_rate / 256 if metrics else None,
        round_trip_ms=float(metrics.round_trip_ms) if metrics and metrics.round_trip_ms else None,
        end_system_ms=float(metrics.end_system_delay_ms) if metrics and metrics.end_system_delay_ms else None,
    )
