"""Loss, order, duplicates and jitter: the columns agree with one packet at a time, and with real captures."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp import header
from ringback.rtp.sequence import MAX_DROPOUT, MAX_MISORDER, MAX_PER_UPDATE, WINDOW, ReceivedSequence

from . import captures


@dataclass
class Plain:
    """One stream, one packet at a time."""

    ssrc: int | None = None
    highest: int = 0
    base: int = 0
    jitter: float = 0.0
    transit: int | None = None
    seen: set[int] = field(default_factory=set)
    candidate: tuple[int, int] | None = None
    totals: list[int] = field(default_factory=lambda: [0, 0])
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def expected(self) -> int:
        return 0 if self.ssrc is None else self.highest - self.base + 1

    def begin(self, number: int, ssrc: int) -> None:
        self.totals[0] += self.expected()
        self.totals[1] += len(self.seen)
        self.ssrc, self.highest, self.base, self.seen = ssrc, number, number, {number}
        self.jitter, self.transit, self.candidate = 0.0, None, None

    def receive(self, number: int, timestamp: int, ssrc: int, arrival: int) -> tuple[bool, bool, int]:
        """Fresh, restarted, extended sequence number (0 if not fresh)."""
        restarted = False
        step = (number - self.highest + 0x8000) % 0x10000 - 0x8000
        if self.ssrc is None:
            self.begin(number, ssrc)
        elif ssrc == self.ssrc and 0 < step < MAX_DROPOUT:
            self.highest += step
            self.seen.add(self.highest)
            self.candidate = None
        elif ssrc == self.ssrc and -MAX_MISORDER < step <= 0:
            if -step >= WINDOW or self.highest + step in self.seen:
                self.counts["stale" if -step >= WINDOW else "duplicate"] += 1
                return False, False, 0
            number = self.highest + step
            self.counts["reordered"] += 1
            self.seen.add(number)
            self.base = min(self.base, number)
            self.candidate = None
            self.time(timestamp, arrival)
            return True, False, number
        elif self.candidate == (ssrc, number):
            self.begin(number, ssrc)
            restarted = True
        else:
            self.candidate = (ssrc, (number + 1) % 0x10000)
            self.counts["refused"] += 1
            return False, False, 0
        self.time(timestamp, arrival)
        return True, restarted, self.highest

    def time(self, timestamp: int, arrival: int) -> None:
        transit = (arrival - timestamp) % 2**32
        if self.transit is not None:
            change = abs((transit - self.transit + 2**31) % 2**32 - 2**31)
            if change < 2**17:
                self.jitter += (change - self.jitter) / 16
        self.transit = transit


steps = st.one_of(
    st.integers(-3, 5),
    st.integers(-120, -55),
    st.integers(60, 70),
    st.sampled_from([2999, 3000, 9000, -9000]),
)
packets = st.lists(
    st.tuples(st.integers(0, 3), steps, st.sampled_from([7, 7, 7, 7, 9]), st.integers(0, 400)),
    min_size=1,
    max_size=60,
)


@given(packets, st.integers(0, 65535), st.lists(st.integers(1, 12), min_size=1))
def test_agrees_with_one_packet_at_a_time(
    script: list[tuple[int, int, int, int]], start: int, batches: list[int]
) -> None:
    plain = [Plain() for _ in range(4)]
    columns = ReceivedSequence(4)
    position = [start] * 4
    rows = []
    for arrival, (leg, step, ssrc, delay) in enumerate(script):
        position[leg] += step
        number = position[leg] % 0x10000
        timestamp = position[leg] * 160 % 2**32
        rows.append((leg, number, timestamp, ssrc, arrival * 40 + delay))
    at = 0
    while at < len(rows):
        size = batches[at % len(batches)]
        table = np.array(rows[at : at + size], dtype=np.int64)
        at += size
        arrivals = columns.update(*table.T)
        for i, (leg, number, timestamp, ssrc, arrival) in enumerate(table.tolist()):
            fresh, restarted, extended = plain[leg].receive(number, timestamp, ssrc, arrival)
            assert (bool(arrivals.fresh[i]), bool(arrivals.restarted[i])) == (fresh, restarted)
            if fresh:
                assert arrivals.extended[i] == extended
    every = np.arange(4)
    for leg, one in enumerate(plain):
        assert columns.expected(every)[leg] == one.expected() + one.totals[0]
        assert columns.arrived(every)[leg] == len(one.seen) + one.totals[1]
        assert columns.duplicates[leg] == one.counts["duplicate"]
        assert columns.reordered[leg] == one.counts["reordered"]
        assert columns.stale[leg] == one.counts["stale"]
        assert columns.refused[leg] == one.counts["refused"]
        assert columns.jitter[leg] == pytest.approx(one.jitter)


def stream(columns: ReceivedSequence, numbers: list[int], leg: int = 0, ssrc: int = 5) -> list[bool]:
    fresh = []
    for number in numbers:
        one = np.array([number & 0xFFFF])
        arrivals = columns.update(np.array([leg]), one, one * 160, np.array([ssrc]), one * 160)
        fresh.append(bool(arrivals.fresh[0]))
    return fresh


def test_counts_on_over_the_wrap() -> None:
    columns = ReceivedSequence(1)
    assert all(stream(columns, list(range(65500, 65600))))
    assert columns.highest[0] == 65599
    assert columns.lost(np.array([0])).tolist() == [0]


def test_a_stray_packet_does_not_take_a_stream_over_but_a_new_source_does() -> None:
    columns = ReceivedSequence(1)
    stream(columns, [1, 2, 3])
    assert stream(columns, [500], ssrc=6) == [False]
    assert stream(columns, [4], ssrc=5) == [True]
    assert stream(columns, [501], ssrc=6) == [False]
    assert stream(columns, [502, 503], ssrc=6) == [True, True]
    assert columns.ssrc[0] == 6
    assert columns.restarts[0] == 1
    assert columns.arrived(np.array([0])).tolist() == [6]


def test_report_has_the_loss_since_the_one_before() -> None:
    columns = ReceivedSequence(2)
    leg = np.array([1])
    stream(columns, [number for number in range(100) if number % 4], leg=1)
    first = columns.report(leg)
    assert (first.ssrc[0], first.cumulative_lost[0], first.extended_highest_sequence[0]) == (5, 24, 99)
    assert first.fraction_lost[0] == 256 * 24 // 99
    stream(columns, list(range(100, 150)), leg=1)
    second = columns.report(leg)
    assert (second.fraction_lost[0], second.cumulative_lost[0]) == (0, 24)


def test_a_flood_costs_bounded_work() -> None:
    columns = ReceivedSequence(2)
    numbers = np.arange(500)
    legs = np.zeros(500, dtype=np.int64)
    legs[-1] = 1
    arrivals = columns.update(legs, numbers, numbers * 160, np.full(500, 5), numbers * 160)
    assert arrivals.fresh.sum() == MAX_PER_UPDATE + 1
    assert arrivals.fresh[-1]
    assert columns.refused[0] == 499 - MAX_PER_UPDATE


def test_a_reset_row_begins_anew_and_growing_keeps_the_rest() -> None:
    columns = ReceivedSequence(2)
    stream(columns, [1, 2, 5], leg=0)
    stream(columns, [1, 2, 5], leg=1)
    columns.grow(4)
    columns.reset(0)
    assert columns.lost(np.arange(4)).tolist() == [0, 2, 0, 0]
    assert columns.capacity == 4
    stream(columns, [9], leg=3)
    assert columns.arrived(np.arange(4)).tolist() == [0, 3, 0, 1]


def test_events_stay_out_of_the_jitter() -> None:
    columns = ReceivedSequence(1)
    for i in range(50):
        columns.update(
            np.array([0]),
            np.array([i]),
            np.array([0]),
            np.array([5]),
            np.array([i * 160]),
            timed=np.array([i == 0]),
        )
    assert columns.jitter[0] == 0


STREAMS = [
    ("dtmf-rfc2833.cap", 0x9A7B5382),
    ("dtmf-rfc2833.cap", 0x5711BF84),
    ("fax-t38.pcap", 0x17D90134),
    ("g711-two-way.pcap", 0x343FFA34),
    ("milliwatt.pcap", 0x61DFF08B),
    ("rtcp-malformed.pcap", 0x6A1B26D7),
    ("sipp-dtmf1.pcap", 0x0E05384E),
    ("ulaw-dtmf.pcap", 0x34D01D16),
]


@pytest.mark.parametrize(("name", "ssrc"), STREAMS)
def test_agrees_with_wireshark_on_real_streams(name: str, ssrc: int) -> None:
    packets = [(one.time, one.payload) for one in captures.datagrams(name)]
    buffer = np.zeros((len(packets), 2048), dtype=np.uint8)
    for row, (_, payload) in zip(buffer, packets, strict=True):
        row[: len(payload)] = np.frombuffer(payload, dtype=np.uint8)
    lengths = np.array([len(payload) for _, payload in packets])
    parsed = header.parse(buffer, lengths)
    mine = parsed.valid & (parsed.ssrc == ssrc) & ~header.is_rtcp(buffer, lengths)
    arrival = np.array([(time - packets[0][0]) * 8000 for time, _ in packets]).astype(np.int64)
    columns = ReceivedSequence(1)
    highest_jitter = 0.0
    for i in np.flatnonzero(mine):
        one = slice(i, i + 1)
        columns.update(
            np.zeros(1, np.intp), parsed.sequence[one], parsed.timestamp[one], parsed.ssrc[one], arrival[one]
        )
        highest_jitter = max(highest_jitter, columns.jitter[0] / 8)
    expected = next(
        described
        for capture in captures.index()
        if capture["file"] == name
        for described in capture["rtp_streams"]
        if int(described["ssrc"], 16) == ssrc
    )
    truth = expected["independent"]
    leg = np.array([0])
    assert mine.sum() == expected["pkts"]
    assert columns.lost(leg)[0] == truth["lost"]
    assert columns.expected(leg)[0] == truth["expected"]
    assert columns.duplicates[0] == truth["duplicates"]
    if name in {"milliwatt.pcap", "g711-two-way.pcap"}:
        # Elsewhere Wireshark leaves out marked and comfort-noise packets, as RFC 3550 does not.
        assert highest_jitter == pytest.approx(expected["max_jitter_ms"], abs=0.15)
