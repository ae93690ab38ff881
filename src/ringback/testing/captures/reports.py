"""RTCP of a made call: reports whose figures follow from what was really sent and heard (RFC 3550, 3611)."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.rtp import rtcp
from ringback.testing.captures.voice import Chance, Floats, Voice

SIZE = 20 + 8 + 28 + 24 + 24
_VOIP_METRICS = struct.Struct("!BBHIBBBBHHHHbbBBBBBBBBHHH")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came to a receiver, in order of arrival: when, the extended number, the time stamp, the source."""

    at: Floats
    sequence: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    ssrc: NDArray[np.uint32]
    clock_rate: int

    def of(self, ssrc: int) -> Heard:
        """One source alone."""
        rows = self.ssrc == ssrc
        return Heard(
            self.at[rows], self.sequence[rows], self.timestamp[rows], self.ssrc[rows], self.clock_rate
        )


def times(rng: Chance, begin_s: float, end_s: float, interval_s: float) -> Floats:
    """When reports are sent: at random between half and one and a half intervals (RFC 3550, 6.2)."""
    count = int((end_s - begin_s) / interval_s * 1.6) + 2
    at = begin_s + interval_s / 2 + np.cumsum(rng.uniform(0.5, 1.5, count) * interval_s)
    return at[at < end_s]


def jitter(heard: Heard) -> Floats:
    """The interarrival jitter after each packet, in RTP units (RFC 3550, A.8)."""
    transit = heard.at * heard.clock_rate - heard.timestamp
    steps = np.abs(np.diff(transit, prepend=transit[:1]))
    return np.fromiter(itertools.accumulate(steps.tolist(), lambda j, d: j + (d - j) / 16), np.float64)


class Receiver:
    """The state of one receiver for its report blocks."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._jitter = jitter(heard)
        self._highest = np.maximum.accumulate(heard.sequence) if len(heard.at) else heard.sequence
        self._before = (0, 0)

    def block(self, ssrc: int, at: float, last_sr: tuple[float, int] | None) -> rtcp.Received | None:
        """What is reported at a time; None before anything came."""
        count = int(np.searchsorted(self._heard.at, at))
        if not count:
            return None
        highest = int(self._highest[count - 1])
        expected = highest - int(self._heard.sequence[0]) + 1
        since, came = expected - self._before[0], count - self._before[1]
        self._before = (expected, count)
        fraction = max(0, since - came) * 256 // since if since > 0 else 0
        delay = 0 if last_sr is None else int((at - last_sr[0]) * 65536)
        middle = 0 if last_sr is None else rtcp.middle(last_sr[1])
        return (ssrc, fraction, expected - count, highest, int(self._jitter[count - 1]), middle, delay)


def sent_until(voice: Voice, at: float, clock_rate: int) -> tuple[int, int, int, int]:
    """SSRC, RTP time, packets and octets of what was sent until a time (at least one packet was)."""
    count = max(1, int(np.searchsorted(voice.sent_s, at)))
    ssrc = int(voice.ssrc[count - 1])
    own = voice.ssrc[:count] == ssrc
    passed = max(0.0, at - float(voice.sent_s[count - 1]))
    timestamp = int(voice.timestamp[count - 1]) + int(passed * clock_rate)
    return ssrc, timestamp, int(own.sum()), int(voice.size[:count][own].sum())


def voip_metrics(
    reporter: int, ssrc: int, heard: Heard, at: float, *, buffer_s: float, round_trip_s: float
) -> bytes:
    """An extended report with one VoIP metrics block, of a receiver whose buffer holds `buffer_s`
    (RFC 3611, 4.7)."""
    count = max(1, int(np.searchsorted(heard.at, at)))
    sequence, transit = heard.sequence[:count], heard.at[:count] - heard.timestamp[:count] / heard.clock_rate
    expected = int(sequence.max() - sequence[0]) + 1
    lost = max(0, expected - len(np.unique(sequence)))
    late = int((transit - np.percentile(transit, 2) > buffer_s).sum())
    loss_rate, discard_rate = (min(255, 256 * part // expected) for part in (lost, late))
    milliseconds = round(buffer_s * 1000)
    block = _VOIP_METRICS.pack(
        *(7, 0, 8, ssrc, loss_rate, discard_rate, 0, 0, 0, 0),
        *(min(65535, round(round_trip_s * 1000)), milliseconds + 20, -20, -65, 127, 16, 127, 127, 127, 127),
        *(0x80, 0, milliseconds, milliseconds, milliseconds),
    )
    return struct.pack("!BBHI", 0x80, rtcp.EXTENDED_REPORT, 1 + len(block) // 4, reporter) + block
