"""Everything that is counted and measured of one RTP stream (RFC 3550, RFC 3611, ITU-T G.107)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Packets, StreamKey
from ringback.diagnosis.stream import bursts, score, timing
from ringback.diagnosis.stream.buffers import ADAPTIVE, FIXED_50, FIXED_200, Played, play
from ringback.diagnosis.stream.counting import Counted, Mask, Rows, usual_step
from ringback.diagnosis.stream.curves import draw
from ringback.diagnosis.stream.formats import EVENT, NOISE
from ringback.diagnosis.stream.intervals import Split, intervals, split
from ringback.diagnosis.stream.laid_out import LaidOut, lay_out
from ringback.diagnosis.stream.measured import Bursts, Late, Measured, Mos, PayloadFormat, Series
from ringback.diagnosis.stream.phases import pauses, phases
from ringback.diagnosis.stream.sound import hear, sound

_OPUS_DTX_BYTES: Final = 2
"""A packet of Opus that says no more than that nothing is sent (RFC 6716, 2.1.9)."""
_FEW: Final = 3
"""Gaps of time stamps without loss that make discontinuous transmission."""


def measure(key: StreamKey, packets: Packets, formats: Mapping[int, PayloadFormat]) -> Measured:
    """Measure a stream of one packet or more; `formats` are those that signalling told."""
    return measure_laid_out(key, lay_out(packets, formats))


def examine(
    key: StreamKey, packets: Packets, formats: Mapping[int, PayloadFormat]
) -> tuple[Measured, Series]:
    """The numbers and the curves of a stream, for less than each by itself."""
    stream = lay_out(packets, formats)
    return measure_laid_out(key, stream), draw(stream)


def measure_laid_out(key: StreamKey, stream: LaidOut) -> Measured:
    """Measure a stream that was laid out.

    Bursts and the score are those of a receiver with the adaptive buffer: what a fixed one would have
    discarded beside is in `late` and `discarded`.
    """
    packets, known, step = stream.packets, stream.formats, stream.step
    counted, timed = stream.counted, stream.timing
    types = np.bincount(packets.payload_type, minlength=128)
    main = _main_type(types, known)
    silences = pauses(packets, counted)
    played = _play(counted, timed, silences)
    runs = _runs(counted, timed, played[-1])
    fresh = np.flatnonzero(counted.fresh)
    mine = fresh[packets.payload_type[fresh] == main]
    codec = known[main]
    if len(mine) < len(packets):
        step = usual_step(packets, mine)
    ptime_ms = 1000 * step / codec.clock_rate if codec.clock_rate > 0 else 0.0
    delta_ms = np.diff(packets.arrived_ns[fresh]) / 1e6
    parts = split(packets, counted)
    mos = _scores(packets, counted, timed, played[-1], parts, runs, codec, mine)
    wireshark = timing.as_wireshark(packets, known)
    heard = hear(packets, fresh)
    return Measured(
        key=key,
        began_ns=int(packets.arrived_ns[0]),
        ended_ns=int(packets.arrived_ns[-1]),
        payload_types=_histogram(types),
        formats=known,
        codec=codec,
        expected=counted.expected,
        received=len(packets),
        unique=counted.unique,
        lost=counted.lost,
        duplicates=int(np.count_nonzero(counted.duplicate)),
        reordered=int(np.count_nonzero(counted.reordered)),
        strays=int(np.count_nonzero(counted.stray)),
        late=Late(*(int(np.count_nonzero(each.late)) for each in played)),
        discarded=Late(*(int(np.count_nonzero(each.discarded)) for each in played)),
        jitter_ms=timing.summary(timed.jitter_ms),
        wireshark_jitter_ms=wireshark.jitter,
        max_delta_ms=float(delta_ms.max(initial=0.0)),
        mean_delta_ms=float(delta_ms.mean()) if len(delta_ms) else 0.0,
        wireshark_max_delta_ms=wireshark.max_delta_ms,
        bursts=_bursts(counted, runs, ptime_ms or (float(np.median(delta_ms)) if len(delta_ms) else 0.0)),
        mos=mos[0],
        dscp=_histogram(np.bincount(packets.dscp)),
        ttl=_histogram(np.bincount(packets.ttl)),
        ptime_ms=ptime_ms,
        skew_ppm=timing.skew_ppm(timed),
        silence_suppressed=_discontinuous(packets, known, codec, mine, step),
        event_packets=sum(int(types[number]) for number, each in known.items() if each.name == EVENT),
        sound=sound(heard) if heard is not None else None,
        phases=phases(packets, counted, timed, known, silences),
        intervals=intervals(packets, counted, timed, parts, played, mos[1:], heard, ptime_ms),
        kernel_duplicates=counted.kernel_duplicates,
    )


def _main_type(types: NDArray[np.intp], known: Mapping[int, PayloadFormat]) -> int:
    """The payload type of most of the audio; of most packets where there is none."""
    audio = [number for number, each in known.items() if each.name not in {EVENT, NOISE}]
    return max(audio or known, key=lambda number: int(types[number]))


def _play(counted: Counted, timed: timing.Timing, silences: Rows) -> tuple[Played, Played, Played]:
    """What the three buffers do; each begins anew where the stream does."""
    anew: Mask = timed.jumps.copy()
    begins = np.searchsorted(timed.rows, np.concatenate((counted.restarts, silences)))
    anew[begins[begins < len(anew)]] = True
    fixed_50, fixed_200, adaptive = (
        play(timed.transit_ms, timed.arrived_ms, anew, buffer) for buffer in (FIXED_50, FIXED_200, ADAPTIVE)
    )
    return fixed_50, fixed_200, adaptive


def _runs(counted: Counted, timed: timing.Timing, played: Played) -> bursts.Runs:
    """Runs of packets lost, or discarded by a buffer, among all that were expected."""
    slots = counted.slots
    before = np.flatnonzero(counted.missing)
    length = counted.missing[before]
    start = slots[before] - length
    dropped = timed.rows[np.flatnonzero(played.discarded)]
    if len(dropped):
        place = np.empty(len(counted.fresh), np.int64)
        place[counted.rows] = slots
        start = np.concatenate((start, place[dropped]))
        length = np.concatenate((length, np.ones(len(dropped), np.int64)))
    return bursts.merge(start, length, counted.expected)


def _bursts(counted: Counted, runs: bursts.Runs, packet_ms: float) -> Bursts:
    defined, appendix = bursts.bursts(runs), bursts.appendix(runs)
    lost = counted.missing[counted.missing > 0]
    lengths, times = np.unique(lost, return_counts=True)
    return Bursts(
        count=defined.bursts,
        burst_density=defined.burst_density,
        burst_ms=defined.mean_burst * packet_ms,
        gap_density=defined.gap_density,
        gap_ms=defined.mean_gap * packet_ms,
        longest_lost=int(lost.max(initial=0)),
        runs=dict(zip(lengths.tolist(), times.tolist(), strict=True)),
        appendix_burst_density=appendix.burst_density,
        appendix_gap_density=appendix.gap_density,
    )


def _scores(
    packets: Packets,
    counted: Counted,
    timed: timing.Timing,
    played: Played,
    parts: Split,
    runs: bursts.Runs,
    codec: PayloadFormat,
    mine: Rows,
) -> Sequence[Mos]:
    """The score of the whole, then that of each interval."""
    dropped = timed.rows[np.flatnonzero(played.discarded)]
    failed = parts.lost + parts.count(dropped)
    expected = parts.lost + parts.unique
    alone = dropped[np.concatenate(([True], np.diff(dropped) > 1))] if len(dropped) else dropped
    each = np.maximum(parts.lost_runs + parts.count(alone), 1)
    sizes = np.bincount(packets.payload_bytes[mine], minlength=1)
    costs = score.costs(codec, int(sizes.argmax()))
    return score.scores(
        costs,
        np.append(counted.expected, expected).astype(np.float64),
        np.append(runs.packets, failed).astype(np.float64),
        np.append(runs.mean, failed / each),
    )


def _discontinuous(
    packets: Packets,
    known: Mapping[int, PayloadFormat],
    codec: PayloadFormat,
    mine: Rows,
    step: int,
) -> bool:
    """Comfort noise, packets of Opus without content, or time stamps that leap where no packet is missing."""
    if any(each.name == NOISE for each in known.values()):
        return True
    if codec.name == "opus" and (packets.payload_bytes[mine] <= _OPUS_DTX_BYTES).any():
        return True
    follows = np.diff(packets.sequence[mine]) == 1
    leaps = np.diff(packets.timestamp[mine]).view(np.int32) > 1.5 * step
    return step > 0 and int(np.count_nonzero(follows & leaps)) >= _FEW


def _histogram(counts: NDArray[np.intp]) -> dict[int, int]:
    values = np.flatnonzero(counts)
    return dict(zip(values.tolist(), counts[values].tolist(), strict=True))
