"""What the ends themselves say of the streams they receive: RTCP reports (RFC 3550, 6.4; RFC 3611)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ringback.diagnosis.capture.captured import Endpoints, Nanoseconds, RtcpPacket
from ringback.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, parse
from ringback.rtp.rtcp_xr import VoipMetrics

MOST_PACKETS = 20_000
"""RTCP packets of a call that are read; an hour of one a second both ways has 7,200."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What the receiver of one source said of it.

    `lost_share` is over the reported sequence numbers (0 to 1), None with a single report that cannot tell;
    `jitter` is the largest, in RTP units; `discard_share` is of XR and None without. `half_trips_ms` are the
    times from the capture point to the reporter and back.
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


@dataclass(slots=True)
class _Heard:
    blocks: list[tuple[Nanoseconds, ReportBlock]]
    metrics: list[VoipMetrics]
    trips: list[float]


def read_reports(control: Iterable[RtcpPacket]) -> Mapping[int, Reported]:
    """All that was reported, by the SSRC that the reports are about; what cannot be read is passed over."""
    heard: dict[int, _Heard] = {}
    sent: dict[tuple[int, int], Nanoseconds] = {}
    seen: set[tuple[Endpoints, bytes]] = set()
    for number, packet in enumerate(control):
        if number >= MOST_PACKETS:
            break
        # A capture that sees every packet twice must not count reports twice.
        if packet.encrypted or (packet.endpoints, packet.data) in seen:
            continue
        seen.add((packet.endpoints, packet.data))
        for part in parse(packet.data).packets:
            if isinstance(part, SenderReport):
                sent.setdefault((part.ssrc, part.ntp_time >> 16 & 0xFFFFFFFF), packet.at_ns)
            if isinstance(part, SenderReport | ReceiverReport):
                for block in part.blocks:
                    entry = heard.setdefault(block.ssrc, _Heard([], [], []))
                    entry.blocks.append((packet.at_ns, block))
                    left = sent.get((block.ssrc, block.last_sr)) if block.last_sr else None
                    if left is not None:
                        trip = (packet.at_ns - left) / 1e6 - block.delay_since_last_sr / 65.536
                        if -5.0 < trip < 10_000.0:
                            entry.trips.append(max(trip, 0.0))
            elif isinstance(part, VoipMetrics):
                heard.setdefault(part.ssrc, _Heard([], [], [])).metrics.append(part)
    return {ssrc: _summed(entry) for ssrc, entry in heard.items()}


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
        jitter=max((block.jitter for block in blocks), default=0),
        half_trips_ms=tuple(heard.trips),
        discard_share=metrics.discard_rate / 256 if metrics else None,
        round_trip_ms=float(metrics.round_trip_ms) if metrics and metrics.round_trip_ms else None,
        end_system_ms=float(metrics.end_system_delay_ms) if metrics and metrics.end_system_delay_ms else None,
    )
