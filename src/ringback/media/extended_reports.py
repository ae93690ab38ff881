"""What peers say in extended RTCP reports, as columns of their legs; reference times both ways (RFC 3611)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ringback.media.columns import Column, Columns, Longs, Words
from ringback.media.legs import FRAME_TIMESTAMPS, Legs
from ringback.media.statistics import Meters
from ringback.rtp import rtcp
from ringback.rtp.rtcp_xr import (
    UNAVAILABLE,
    DelaySinceReference,
    ExtendedReport,
    ReferenceTime,
    StatisticsSummary,
    VoipMetrics,
)

MAX_DELAY_MS = 10_000.0
MAX_ROUND_TRIP_MS = 60_000.0


class ExtendedReports(Columns):
    """Of each peer's last reference time its middle, 0 for none, whose it was, and when it came."""

    SPEC: ClassVar[dict[str, Column]] = {
        "reference": Column(np.int64),
        "reference_of": Column(np.uint32),
        "reference_ns": Column(np.int64),
    }
    reference: Longs
    reference_of: Words
    reference_ns: Longs

    def __init__(self, legs: Legs, meters: Meters) -> None:
        super().__init__(legs.capacity)
        self._legs = legs
        self._meters = meters

    def take(self, leg: int, report: ExtendedReport, arrival_ns: int, arrival_ntp: int) -> None:
        """Take a report of a leg's peer; what it says of other sources than ours is passed over."""
        if isinstance(report, ReferenceTime):
            self.reference[leg] = rtcp.middle(report.ntp_time)
            self.reference_of[leg] = report.reporter
            self.reference_ns[leg] = arrival_ns
        elif report.ssrc != int(self._legs.out_ssrc[leg]):
            return
        elif isinstance(report, VoipMetrics):
            self._metrics(leg, report)
        elif isinstance(report, StatisticsSummary):
            self._summary(leg, report)
        else:
            seconds = rtcp.round_trip_s(report, arrival_ntp)
            if seconds is not None and seconds * 1000 <= MAX_ROUND_TRIP_MS:
                self._meters.round_trip_ms[leg] = seconds * 1000

    def _metrics(self, leg: int, report: VoipMetrics) -> None:
        meters = self._meters
        meters.remote_discarded[leg] = report.discard_rate / 256
        delay_ms = float(report.end_system_delay_ms)
        if 0 < delay_ms <= MAX_DELAY_MS:
            meters.remote_delay_ms[leg] = delay_ms
        if report.r_factor <= 100:
            meters.remote_r_factor[leg] = report.r_factor
        mos = report.mos_cq if report.mos_cq != UNAVAILABLE else report.mos_lq
        if 10 <= mos <= 50:
            meters.remote_mos[leg] = mos / 10

    def _summary(self, leg: int, report: StatisticsSummary) -> None:
        clock = float(FRAME_TIMESTAMPS[self._legs.send_codec[leg]]) / 20
        if report.jitter_maximum is not None:
            self._meters.remote_jitter_peak_ms[leg] = min(report.jitter_maximum / clock, MAX_DELAY_MS)

    def own(self, leg: int, ssrc: int, sends: bool, now_ns: int, now_ntp: int) -> list[rtcp.OwnPacket]:
        """What we add to a report of ours, where reference times were agreed on."""
        if not self._legs.reference_times[leg]:
            return []
        packets: list[rtcp.OwnPacket] = [] if sends else [ReferenceTime(ssrc, now_ntp)]
        reference = int(self.reference[leg])
        if reference:
            waited = rtcp.delay((now_ns - int(self.reference_ns[leg])) / 1e9)
            packets.append(DelaySinceReference(ssrc, int(self.reference_of[leg]), reference, waited))
        return packets
