"""Extended reports of RTCP: VoIP metrics and statistics read, reference times read and written (RFC 3611)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

UNAVAILABLE = 127
"""Of levels, factors and MOS in VoIP metrics."""

_REFERENCE_TIME = 4
_DELAY_SINCE = 5
_STATISTICS = 6
_VOIP_METRICS = 7
_BLOCK_HEADER = struct.Struct("!BBH")
_METRICS = struct.Struct("!I4B4Hbb6BBx3H")
_SUMMARY = struct.Struct("!IHH6I4B")
_DELAY = struct.Struct("!III")
_HAS_LOSS, _HAS_DUPLICATES, _HAS_JITTER = 0x80, 0x40, 0x20


class MalformedError(Exception):
    """A packet within a compound says what cannot be."""


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """A call's quality as `reporter` measured it on `ssrc` (RFC 3611, 4.7).

    Rates and densities are in 1/256; durations and delays in ms; levels in dBm as measured; MOS in tenths.
    127 is "not available" for levels, factors and MOS.
    """

    reporter: int
    ssrc: int
    loss_rate: int
    discard_rate: int
    burst_density: int
    gap_density: int
    burst_duration_ms: int
    gap_duration_ms: int
    round_trip_ms: int
    end_system_delay_ms: int
    signal_level_dbm: int
    noise_level_dbm: int
    residual_echo_return_loss_db: int
    gap_threshold: int
    r_factor: int
    external_r_factor: int
    mos_lq: int
    mos_cq: int
    receiver_config: int
    buffer_nominal_ms: int
    buffer_maximum_ms: int
    buffer_absolute_maximum_ms: int


@dataclass(frozen=True, slots=True)
class StatisticsSummary:
    """What `reporter` counted of `ssrc` from one sequence number to before another (RFC 3611, 4.6).

    Jitter is in RTP units. None is what the report does not say.
    """

    reporter: int
    ssrc: int
    begin_sequence: int
    end_sequence: int
    lost: int | None
    duplicates: int | None
    jitter_minimum: int | None
    jitter_maximum: int | None
    jitter_mean: int | None
    jitter_deviation: int | None


@dataclass(frozen=True, slots=True)
class ReferenceTime:
    """When `reporter` sent this, in 64 bit of NTP: for who receives only, and asks for an answer (4.4)."""

    reporter: int
    ntp_time: int


@dataclass(frozen=True, slots=True)
class DelaySinceReference:
    """The answer to a reference time of `ssrc`: its middle, and what passed since, in 1/65536 s (4.5)."""

    reporter: int
    ssrc: int
    last_reference: int
    delay: int


ExtendedReport = VoipMetrics | StatisticsSummary | ReferenceTime | DelaySinceReference


def parse_blocks(body: bytes, _: int) -> Iterator[ExtendedReport]:
    """Read what follows the header of an extended report; MalformedError where it cannot be read on."""
    if len(body) < 4:
        raise MalformedError("an extended report too short")
    reporter, at = int.from_bytes(body[:4], "big"), 4
    while at + 4 <= len(body):
        kind, flags, words = _BLOCK_HEADER.unpack_from(body, at)
        block = body[at + 4 : at + 4 + 4 * words]
        at += 4 + 4 * words
        if len(block) < 4 * words:
            raise MalformedError("an extended report block longer than its packet")
        if kind in _PARSERS:
            yield from _PARSERS[kind](reporter, block, flags)


def _parse_metrics(reporter: int, block: bytes, _: int) -> Iterator[ExtendedReport]:
    if len(block) != _METRICS.size:
        raise MalformedError("a block of VoIP metrics of the wrong length")
    yield VoipMetrics(reporter, *_METRICS.unpack(block))


def _parse_summary(reporter: int, block: bytes, flags: int) -> Iterator[ExtendedReport]:
    if len(block) != _SUMMARY.size:
        raise MalformedError("a summary of statistics of the wrong length")
    ssrc, begin, end, lost, duplicates, *jitter = _SUMMARY.unpack(block)[:9]
    least, most, mean, deviation = jitter if flags & _HAS_JITTER else [None] * 4
    yield StatisticsSummary(
        reporter,
        ssrc,
        begin,
        end,
        lost if flags & _HAS_LOSS else None,
        duplicates if flags & _HAS_DUPLICATES else None,
        least,
        most,
        mean,
        deviation,
    )


def _parse_reference(reporter: int, block: bytes, _: int) -> Iterator[ExtendedReport]:
    if len(block) != 8:
        raise MalformedError("a reference time of the wrong length")
    yield ReferenceTime(reporter, int.from_bytes(block, "big"))


def _parse_delays(reporter: int, block: bytes, _: int) -> Iterator[ExtendedReport]:
    if len(block) % _DELAY.size:
        raise MalformedError("delays since reference times of the wrong length")
    for fields in _DELAY.iter_unpack(block):
        yield DelaySinceReference(reporter, *fields)


_PARSERS: dict[int, Callable[[int, bytes, int], Iterator[ExtendedReport]]] = {
    _REFERENCE_TIME: _parse_reference,
    _DELAY_SINCE: _parse_delays,
    _STATISTICS: _parse_summary,
    _VOIP_METRICS: _parse_metrics,
}


def encode_body(report: ReferenceTime | DelaySinceReference) -> bytes:
    """What follows the header of an extended report with this one block."""
    if isinstance(report, ReferenceTime):
        kind, block = _REFERENCE_TIME, (report.ntp_time & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")
    else:
        kind = _DELAY_SINCE
        block = _DELAY.pack(report.ssrc, report.last_reference & 0xFFFFFFFF, report.delay & 0xFFFFFFFF)
    return report.reporter.to_bytes(4, "big") + _BLOCK_HEADER.pack(kind, 0, len(block) // 4) + block
