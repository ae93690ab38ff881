"""Telephone-events: every press is heard once, whatever is lost, late, doubled or hostile."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.dtmf import DIGITS, EventPacket, Press, TelephoneEventReceiver, TelephoneEventSender
from tests.rtp import captures


def sent(digits: str, clock: int = 8000, start: int = 0xFFFFFF00) -> list[tuple[int, EventPacket]]:
    """What goes out, with the tick it goes out at."""
    sender, tick, packets = TelephoneEventSender(digits, clock), 0, []
    while sender.active:
        packet = sender.next_packet((start + tick * clock // 50) % 2**32)
        if packet is not None:
            packets.append((tick, packet))
        tick += 1
    return packets


def heard(packets: list[tuple[int, EventPacket]], clock: int = 8000) -> list[Press]:
    receiver, presses = TelephoneEventReceiver(clock), []
    by_tick: dict[int, list[EventPacket]] = {}
    for tick, packet in packets:
        by_tick.setdefault(tick, []).append(packet)
    for tick in range(max(by_tick) + 20):
        now = tick * clock // 50
        for packet in by_tick.get(tick, []):
            presses += receiver.receive(packet.payload, packet.timestamp, packet.marker, now)
        presses += receiver.expire(now)
    assert not receiver.pending
    return presses


def report(code: int, duration: int, end: bool = False) -> bytes:
    return struct.pack("!BBH", code, 0x80 * end | 10, duration)


@pytest.mark.parametrize("clock", [8000, 48000])
def test_what_is_sent_is_heard_once_with_its_length(clock: int) -> None:
    assert heard(sent(DIGITS, clock), clock) == [Press(digit, 100) for digit in DIGITS]


def test_a_press_goes_out_as_the_rfc_says() -> None:
    packets = [packet for _, packet in sent("5")]
    reports = [struct.unpack("!BBH", packet.payload) for packet in packets]
    assert [packet.marker for packet in packets] == [True] + [False] * 6
    assert len({packet.timestamp for packet in packets}) == 1
    assert [duration for _, _, duration in reports] == [160, 320, 480, 640, 800, 800, 800]
    assert [bool(flags & 0x80) for _, flags, _ in reports] == [False] * 4 + [True] * 3


def test_digits_are_at_least_50_ms_apart() -> None:
    first, second = (tick for tick, packet in sent("11") if packet.marker)
    assert (second - first) * 20 - 100 >= 50


def test_only_digits_can_be_sent() -> None:
    sender = TelephoneEventSender("1")
    with pytest.raises(ValueError, match="digit"):
        sender.enqueue("2x")
    assert [tick for tick, packet in sent("a") if packet.payload[0] == 12]


@given(st.integers(0, 2**32), st.text("0123456789*#", min_size=1, max_size=12))
def test_loss_reordering_and_copies_change_nothing_as_long_as_one_packet_of_a_press_comes(
    seed: int, digits: str
) -> None:
    lottery = random.Random(seed)
    arriving: list[tuple[int, EventPacket]] = []
    for tick, packet in sent(digits):
        if packet.marker or lottery.random() > 0.4:
            arriving += [(tick + lottery.randint(0, 1), packet)] * lottery.randint(1, 3)
    assert "".join(press.digit for press in heard(arriving)) == digits


def test_a_press_ends_when_all_its_end_packets_are_lost() -> None:
    packets = [(tick, packet) for tick, packet in sent("7") if not packet.payload[1] & 0x80]
    assert heard(packets) == [Press("7", 80)]


def test_a_press_whose_start_was_lost_is_heard_by_its_end() -> None:
    assert heard(sent("7")[-1:]) == [Press("7", 100)]


def test_the_same_key_twice_is_two_presses() -> None:
    assert [press.digit for press in heard(sent("99"))] == ["9", "9"]
    without_ends = [(tick, packet) for tick, packet in sent("99") if not packet.payload[1] & 0x80]
    assert [press.digit for press in heard(without_ends)] == ["9", "9"]


def test_a_long_press_in_segments_is_one_press() -> None:
    receiver = TelephoneEventReceiver()
    presses, now = [], 0
    for segment in range(3):
        timestamp = segment * 0xFFFF
        for duration in range(400, 0x10000, 400):
            now += 400
            presses += receiver.receive(report(3, duration), timestamp, now == 400, now)
        presses += receiver.receive(report(3, 0xFFFF), timestamp, False, now)
    presses += receiver.receive(report(3, 1000, end=True), 3 * 0xFFFF, False, now)
    presses += receiver.receive(report(3, 1000, end=True), 3 * 0xFFFF, False, now + 160)
    assert presses == [Press("3", (3 * 0xFFFF + 1000) // 8)]


def test_a_sender_that_moves_the_timestamp_with_each_report_presses_once() -> None:
    receiver = TelephoneEventReceiver()
    presses = []
    for i in range(1, 8):
        end = i >= 5
        presses += receiver.receive(report(4, 160 * min(i, 5), end), 5000 + 160 * i, i == 1, 160 * i)
    presses += receiver.receive(report(4, 160), 9000, True, 4000)
    presses += receiver.expire(9000)
    assert [press.digit for press in presses] == ["4", "4"]


def test_a_new_source_may_begin_with_an_earlier_timestamp() -> None:
    receiver = TelephoneEventReceiver()
    assert receiver.receive(report(1, 800, end=True), 4_000_000_000, False, 0)
    assert receiver.receive(report(1, 800, end=True), 4_000_000_000 - 90_000, False, 8001)


@pytest.mark.parametrize(
    "payload", [b"", b"\x01\x8a\x03", report(16, 800, True), report(255, 9), report(1, 0, True)]
)
def test_what_is_no_report_of_a_press_is_ignored(payload: bytes) -> None:
    receiver = TelephoneEventReceiver()
    assert receiver.receive(payload, 1, True, 0) == []
    assert not receiver.pending


@given(
    st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 500)))
)
def test_anything_at_all_gives_at_most_a_press_a_packet(
    script: list[tuple[bytes, int, bool, int]],
) -> None:
    receiver, now, presses = TelephoneEventReceiver(), 0, []
    for payload, timestamp, marker, wait in script:
        now += wait
        presses += receiver.receive(payload, timestamp, marker, now)
        presses += receiver.expire(now)
    presses += receiver.expire(now + 100_000)
    assert len(presses) <= len(script)
    assert all(
        press.digit in DIGITS and 0 <= press.duration_ms < 8192 * max(len(script), 1) for press in presses
    )


def digits_of(name: str, payload_type: int) -> str:
    receiver, presses, start = TelephoneEventReceiver(), [], None
    for datagram in captures.datagrams(name):
        payload = datagram.payload
        start = datagram.time if start is None else start
        now = int((datagram.time - start) * 8000)
        presses += receiver.expire(now)
        if len(payload) < 16 or payload[0] != 0x80 or payload[1] & 127 != payload_type:
            continue
        (timestamp,) = struct.unpack_from("!I", payload, 4)
        presses += receiver.receive(payload[12:], timestamp, payload[1] > 127, now)
    presses += receiver.expire(10**9)
    return "".join(press.digit for press in presses)


@pytest.mark.parametrize(
    ("name", "payload_type", "digits"),
    [
        ("ulaw-dtmf.pcap", 101, "2013785496"),
        ("sipp-dtmf1.pcap", 101, "1"),
        ("dtmf-rfc2833.cap", 96, "6789123"),
    ],
)
def test_hears_the_keys_of_real_captures(name: str, payload_type: int, digits: str) -> None:
    assert digits_of(name, payload_type) == digits
