"""New SRTP keys in the middle of a call, roll-overs, replays: nothing is missed, nothing is heard twice."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from ringback.media.protocol import SetMedia, SrtpKeys, SrtpSuite
from ringback.rtp.srtp import SrtpSession, key_length

from .world import Peer, World

LEVEL = -13.98
SUITES: tuple[SrtpSuite, ...] = (
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
)


@dataclass
class Keyed:
    """A peer under SRTP that can change its keys, and remembers what it sent and could not read."""

    peer: Peer
    random: random.Random = field(default_factory=lambda: random.Random(7))
    sent: list[bytes] = field(default_factory=list)
    unread: int = 0
    suite: SrtpSuite = "AES_CM_128_HMAC_SHA1_80"
    ours: bytes = b""
    theirs: bytes = b""

    def __post_init__(self) -> None:
        self.peer.protect = self._protect
        self.peer.unprotect = self._unprotect

    def keys(self, suite: SrtpSuite, *, mine: bool = True, engines: bool = True) -> SrtpKeys:
        """New keys, of both or one of the two sides, as the engine is told them."""
        self.suite = suite
        length = key_length(suite)
        self.theirs = self.random.randbytes(length) if mine or len(self.theirs) != length else self.theirs
        self.ours = self.random.randbytes(length) if engines or len(self.ours) != length else self.ours
        return SrtpKeys(suite=suite, local_key=self.ours, remote_key=self.theirs)

    def send_with(self, keys: SrtpKeys) -> None:
        """Send under these keys from now on."""
        self.outbound = SrtpSession(keys.suite, keys.remote_key, inbound=False)

    def hear_with(self, keys: SrtpKeys) -> None:
        """Hear under these keys from now on: those before are gone at once, as with a strict peer."""
        self.inbound = SrtpSession(keys.suite, keys.local_key, inbound=True)

    def _protect(self, packet: bytes) -> bytes:
        row = np.zeros(2048, np.uint8)
        row[: len(packet)] = np.frombuffer(packet, np.uint8)
        datagram = row[: self.outbound.protect(row, len(packet))].tobytes()
        self.sent.append(datagram)
        return datagram

    def _unprotect(self, datagram: bytes) -> bytes | None:
        row = np.zeros(2048, np.uint8)
        row[: len(datagram)] = np.frombuffer(datagram, np.uint8)
        length = self.inbound.unprotect(row, len(datagram))
        self.unread += length < 0
        return row[:length].tobytes() if length >= 0 else None


class Call:
    """A secured peer 1 and a plain peer 2 in a room."""

    def __init__(self, suite: SrtpSuite = "AES_CM_128_HMAC_SHA1_80") -> None:
        self.world = World()
        self.one = Keyed(Peer(1, "PCMU", 440.0))
        self.keys = self.one.keys(suite)
        self.one.send_with(self.keys)
        self.one.hear_with(self.keys)
        self.world.add(self.one.peer, srtp=self.keys)
        self.two = self.world.add(Peer(2, "PCMU", 1000.0))

    def offer(self, keys: SrtpKeys) -> None:
        """A re-INVITE with these keys has been answered."""
        peer = self.one.peer
        self.world.apply(
            SetMedia(
                leg=1,
                send=peer.format(),
                receive=[peer.format()],
                remote_ip="10.0.0.1",
                remote_port=peer.port,
                remote_rtcp_port=peer.port + 1,
                srtp=keys,
            )
        )

    def check(self, seconds: float = 0.8) -> None:
        """Both were heard without a gap until now."""
        for peer, frequency in ((self.one.peer, 1000.0), (self.two, 440.0)):
            assert peer.level(frequency, seconds) == pytest.approx(LEVEL, abs=0.5)
            audio = peer.audio(seconds).reshape(-1, 80)
            assert (np.abs(audio).max(axis=1) > 0.1).all(), "a gap"
        assert self.rejected() == 0

    def replayed(self, recorded: list[bytes]) -> int:
        """How many datagrams of a recording are refused; the peer is silent, and stays so for the other."""
        before, peer = self.rejected(), self.one.peer
        for datagram in recorded:
            self.world.throw(datagram, 2 * peer.to_pair, peer.ip, peer.port)
            self.world.tick()
        assert np.abs(self.two.audio(len(recorded) / 50)).max() < 0.02
        return self.rejected() - before

    def rejected(self) -> int:
        return int(self.world.totals(1).rejected_packets)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("late_ms", [0, 300])
def test_a_peer_that_changes_its_key_is_heard_without_a_gap(suite: SrtpSuite, late_ms: int) -> None:
    call = Call(suite)
    call.world.run(1)
    # The phone learns of our answer later than the engine, and what is on the way is still under the old key.
    call.world.delay[1] = lambda at: 60.0
    call.world.run(0.2)
    keys = call.one.keys(suite, engines=False)
    call.offer(keys)
    call.world.run(late_ms / 1000)
    call.one.send_with(keys)
    call.world.run(2)
    call.check(2)
    assert call.one.unread == 0
    call.world.run(2)
    call.check()
    assert not call.world.engine.protection._changes


def test_a_new_key_of_ours_is_used_at_once() -> None:
    call = Call()
    call.world.run(1)
    keys = call.one.keys("AES_CM_128_HMAC_SHA1_80", mine=False)
    call.one.hear_with(keys)
    call.offer(keys)
    call.world.run(1)
    call.check()
    assert call.one.unread == 0


def test_another_suite_is_a_change_of_both_keys() -> None:
    call = Call()
    call.world.run(1)
    for suite in reversed(SUITES):
        keys = call.one.keys(suite)
        call.one.hear_with(keys)
        call.offer(keys)
        call.world.run(0.1)
        call.one.send_with(keys)
        call.world.run(0.9)
        call.check()
    assert call.one.unread == 0


def test_the_old_key_opens_nothing_two_seconds_after_the_new_one_was_used() -> None:
    call = Call()
    call.world.run(1)
    old = call.one.outbound
    keys = call.one.keys(call.one.suite, engines=False)
    call.offer(keys)
    call.one.send_with(keys)
    call.world.run(3)
    before = call.rejected()
    call.one.outbound = old
    call.world.run(1)
    assert call.rejected() - before >= 49
    assert call.two.level(440.0, 0.5) < -60


def test_a_peer_that_never_changes_is_taken_as_long_as_it_may_not_have_our_answer() -> None:
    call = Call()
    call.world.run(1)
    call.offer(call.one.keys(call.one.suite, engines=False))
    call.world.run(31)
    call.check()
    call.world.run(2)
    assert call.rejected() >= 40


@pytest.mark.parametrize("suite", SUITES)
def test_replays_are_not_heard_before_during_or_after_a_change(suite: SrtpSuite) -> None:
    call = Call(suite)
    for _ in range(3):
        call.world.run(1)
        recorded = call.one.sent[-40:]
        call.one.peer.silent = True
        call.world.run(1)
        assert call.replayed(recorded) == len(recorded)
        call.one.peer.silent = False
        keys = call.one.keys(suite, engines=False)
        call.offer(keys)
        call.world.run(0.2)
        call.one.send_with(keys)
        call.one.peer.silent = True
        call.world.run(0.5)
        # Both keys are taken now, and neither opens what it opened before.
        assert call.replayed(recorded) == len(recorded)
        call.one.peer.silent = False


def test_a_recording_under_the_first_key_is_a_replay_when_that_key_returns() -> None:
    call = Call()
    call.world.run(1)
    recorded, first, session = call.one.sent[-45:], call.keys, call.one.outbound
    second = call.one.keys(call.one.suite, engines=False)
    call.offer(second)
    call.one.send_with(second)
    call.world.run(3)
    call.one.outbound = session
    call.offer(first)
    call.one.peer.silent = True
    call.world.run(3)
    assert call.replayed(recorded) == len(recorded)


def test_no_key_stream_is_used_twice_when_a_key_of_ours_returns() -> None:
    call = Call()
    call.world.run(1)
    first = call.keys
    second = call.one.keys("AEAD_AES_128_GCM")
    for keys in (second, first):
        call.offer(keys)
        call.world.run(1)
    protection, slot = call.world.engine.protection, call.world.engine.legs.slots[1]
    assert protection._outbound[slot].passed > 80, "the first session goes on"


@pytest.mark.parametrize("suite", SUITES)
def test_sequence_numbers_wrap_both_ways(suite: SrtpSuite) -> None:
    call = Call(suite)
    legs, slot = call.world.engine.legs, call.world.engine.legs.slots[1]
    for _ in range(3):
        # As after 65,536 packets: libsrtp follows jumps of less than half the circle.
        for half in (0x4000, 0x8000, 0xC000, 0xFFF0):
            legs.out_sequence[slot] = half
            call.one.peer.sequence = (call.one.peer.sequence & ~0xFFFF) | half
            call.world.run(0.12)
        call.one.peer.sequence = (call.one.peer.sequence & ~0xFFFF) | 0xFFF0
        legs.out_sequence[slot] = 0xFFF0
        call.world.run(1)
        assert int(legs.out_sequence[slot]) < 0x100
        assert call.one.peer.level(1000.0, 0.5) == pytest.approx(LEVEL, abs=0.5)
        assert call.two.level(440.0, 0.5) == pytest.approx(LEVEL, abs=0.5)
    assert call.one.unread == 0
    assert call.one.inbound.passed > 200


@pytest.mark.parametrize("strict", [True, False], ids=["goes on", "begins anew"])
def test_a_change_of_keys_after_roll_overs(strict: bool) -> None:
    """RFC 3711 lets the roll-overs go on under a new key; most peers begin a new session at none."""
    call = Call()
    call.world.run(1)
    received, slot = call.world.engine.received, call.world.engine.legs.slots[1]
    # An hour into the call: the engine and its peer are three roll-overs on.
    rolled = 3 << 16
    known = call.one.peer.ssrc, rolled + 0x100
    session = SrtpSession(call.keys.suite, call.keys.remote_key, inbound=True, known=known)
    call.world.engine.protection._inbound[slot] = session
    call.one.outbound = begun_at(call.keys, call.one.peer.ssrc, rolled + 0x100)
    call.one.peer.sequence = rolled + 0x110
    received.highest[slot] = rolled + 0x10F
    call.world.run(1)
    call.check(0.5)
    keys = call.one.keys(call.one.suite, engines=False)
    call.offer(keys)
    if strict:
        call.one.outbound = begun_at(keys, call.one.peer.ssrc, call.one.peer.sequence - 1)
    else:
        call.one.send_with(keys)
    call.world.run(3)
    call.check(3)


def begun_at(keys: SrtpKeys, ssrc: int, extended: int) -> SrtpSession:
    """A sender that has sent so many packets."""
    return SrtpSession(keys.suite, keys.remote_key, inbound=False, known=(ssrc, extended + 1))


def test_our_source_is_a_new_one_when_its_numbers_may_have_wrapped_under_another_key() -> None:
    call = Call()
    call.world.run(1)
    protection, legs = call.world.engine.protection, call.world.engine.legs
    slot = legs.slots[1]
    before = int(legs.out_ssrc[slot])
    keys = call.one.keys(call.one.suite, mine=False)
    call.one.hear_with(keys)
    call.offer(keys)
    assert int(legs.out_ssrc[slot]) == before, "a short call keeps its source"
    call.world.run(1)
    protection._outbound[slot].passed = 1 << 15
    keys = call.one.keys(call.one.suite, mine=False)
    call.one.hear_with(keys)
    call.offer(keys)
    assert int(legs.out_ssrc[slot]) != before
    call.world.run(1)
    assert call.one.unread == 0
    call.check(0.5)
