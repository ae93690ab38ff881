"""The compiled way of usual packets does what Intake does for every packet."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from typing import Any

import numpy as np
import pytest

from ringback.media import usual
from ringback.media.batch import PacketBatch, empty_batch
from ringback.media.columns import Columns
from ringback.media.engine import Engine
from ringback.media.protocol import (
    CloseLeg,
    Codec,
    Digit,
    LegClosed,
    LegOpened,
    OpenLeg,
    SetMedia,
    SourceLearnt,
)
from ringback.media.sources import source_key
from ringback.media.usual import UsualPackets
from ringback.media.worker.mmsg import Inbox
from ringback.native import at
from tests.media.world import EVENT_TYPE, MS, PEER_IP, Peer, World

CODECS: list[Codec] = ["PCMU", "PCMA", "G722", "PCMU", "OPUS", "L16", "PCMA", "PCMU"]


def bad_line(seed: int, loss: float, jitter_ms: float) -> Any:
    """A line that is calm for some seconds, then loses, delays and reorders."""
    chance = random.Random(seed)

    def delay(at_ns: int) -> float | None:
        if at_ns // (2000 * MS) % 2:
            return 3.0
        return None if chance.random() < loss else chance.random() * jitter_ms

    return delay


def troubled(seed: int) -> World:
    """A room of eight with all that can go wrong on a line."""
    world = World(seed)
    for leg, codec in enumerate(CODECS, 1):
        world.add(Peer(leg, codec, frequency=200.0 + 100 * leg, ptime={4: 30, 8: 10}.get(leg, 20)))
        world.delay[leg] = bad_line(seed + leg, (0.0, 0.02, 0.2)[leg % 3], (2.0, 30.0, 80.0)[leg % 3])
    return world


def trouble(world: World, tick: int, formats: tuple[int, ...] = (0, 8, 9, 13, 77, 101)) -> None:
    """What happens before a tick: the same in every world of the same seed."""
    chance = world.random
    one = world.peers[1 + tick % len(CODECS)]
    if tick % 11 == 0:
        one.sequence += chance.choice([1, 5, 200, 4000])
    if tick % 37 == 0:
        one.ssrc += 1
    if tick % 53 == 0:
        one.timestamp += chance.choice([80, 160 * 7, 160 * 100, 1 << 31])
    if tick % 5 == 0:
        # Twice the same, short, long, unknown formats, foreign sources, RTCP's types, extras in the header.
        whole = one.packet(bytes([0x55]) * 160, chance.choice(formats), marker=tick % 2 == 0)
        for datagram in (whole, whole, whole[:50], whole + b"x", b"\x90" + whole[1:], b"\xa0" + whole[1:]):
            world.throw(datagram, 2 * one.to_pair, port=one.port, after_ms=chance.random() * 20)
        world.throw(whole, 2 * one.to_pair, port=chance.randrange(1, 1 << 16))
        world.throw(whole, 2 * one.to_pair + 1, port=one.port)
    if tick % 61 == 0:
        held = SetMedia(
            leg=2,
            send=world.peers[2].format(),
            receive=[world.peers[2].format()],
            direction="sendonly" if tick // 61 % 2 else "sendrecv",
            remote_ip="10.0.0.1",
            remote_port=world.peers[2].port,
            remote_rtcp_port=world.peers[2].port + 1,
        )
        world.apply(held)
    if tick % 97 == 0:
        # The worker stands still, and leaves ticks out.
        world.now_ns += 5 * 20 * MS
        world.engine.skip(3)


def state(engine: Engine) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    parts: list[tuple[str, Columns]] = [
        ("legs", engine.legs),
        ("buffer", engine.buffer),
        ("delay", engine.buffer.delay),
        ("meters", engine.meters),
    ]
    for name, part in parts:
        found |= {f"{name}.{column}": getattr(part, column) for column in part.SPEC}
    received = vars(engine.received).items()
    return found | {f"received.{name}": value for name, value in received if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("seed", range(1, 7))
def test_both_ways_leave_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if usual.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    taken = 0

    class Counted(UsualPackets):
        def take(self, batch: PacketBatch, *when: int) -> PacketBatch:
            nonlocal taken
            left = super().take(batch, *when)
            taken += len(batch) - len(left)
            return left

    compiled, plain = troubled(seed), troubled(seed)
    compiled.engine.intake._usual.__class__ = Counted
    for tick in range(1, 500):
        for world in (compiled, plain):
            trouble(world, tick)
        compiled.tick()
        with monkeypatch.context() as patch:
            patch.setattr(usual, "kernels", None)
            plain.tick()
        expect_equal(compiled, plain, tick)
        assert compiled.events == plain.events
    assert taken > 500


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("ahead_ms", [0.7, 4, 12])
def test_what_is_taken_ahead_of_a_tick_leaves_the_same(
    ahead_ms: float, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(usual, "kernels", None)
    ahead, at_once = troubled(1), troubled(1)
    ahead.ahead_ns = int(ahead_ms * MS)
    for tick in range(1, 500):
        for world in (ahead, at_once):
            # Comfort noise of a batch is taken before its speech, whatever their order.
            trouble(world, tick, (0, 8, 9, 77, 101))
            world.tick()
        expect_equal(ahead, at_once, tick)
        # What is learnt in one tick is told in the order in which it came.
        assert sorted(map(repr, ahead.events)) == sorted(map(repr, at_once.events))


def test_what_was_taken_ahead_is_told_of_the_leg_that_sent_it() -> None:
    """Commands come between that and the tick, and a leg's row is another's then."""
    world = World()
    gone = world.add(Peer(1), telephone_event=EVENT_TYPE)
    world.add(Peer(2))
    world.peers.pop(1)
    key_up = struct.pack("!BBH", 5, 0x80 | 10, 800)
    for datagram in (gone.packet(bytes(160), 0), gone.packet(key_up, EVENT_TYPE, marker=True)):
        world.throw(datagram, 2 * gone.to_pair, port=gone.port)
    row = world.engine.legs.slots[1]
    world.engine.receive(world._arrived(), world.now_ns, ahead=True)
    world.apply(CloseLeg(leg=1))
    world.apply(OpenLeg(leg=3))
    assert world.engine.legs.slots[3] == row
    world.tick()
    of_first = [event for event in world.events if getattr(event, "leg", 0) == 1]
    assert [type(event) for event in of_first] == [LegOpened, Digit, SourceLearnt, LegClosed]
    assert [type(event) for event in world.events if getattr(event, "leg", 0) == 3] == [LegOpened]


def expect_equal(one: World, other: World, tick: int) -> None:
    """Everything that is sent and remembered."""
    assert one.outgoing == other.outgoing, tick
    mine, others = state(one.engine), state(other.engine)
    for name, column in mine.items():
        np.testing.assert_array_equal(column, others[name], err_msg=f"{name} at tick {tick}")
    assert one.engine.intake.stray_packets == other.engine.intake.stray_packets


def test_a_calm_call_is_taken_the_compiled_way_whole() -> None:
    if usual.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    world = World()
    world.add(Peer(1))
    world.add(Peer(2, "PCMA"))
    world.run(1)
    world.engine.intake._receive = pytest.fail  # type: ignore[assignment, method-assign]
    world.run(1)
    assert world.peers[2].level(440) > -20


@pytest.mark.parametrize("change", ["port", "ip", "socket", "ssrc"])
def test_what_is_not_from_the_legs_own_source_is_never_usual(change: str) -> None:
    world = World()
    peer = world.add(Peer(1))
    world.add(Peer(2))
    world.run(1)
    heard = int(world.engine.received.received[0])
    source = {"ip": PEER_IP, "port": peer.port, "socket": 2 * peer.to_pair}
    if change == "ssrc":
        peer.ssrc += 1
    else:
        source[change] += 2
    world.peers.pop(1)
    world.throw(peer.packet(bytes(160), 0), **source)
    world.tick()
    assert int(world.engine.received.received[0]) == heard


@pytest.mark.parametrize("ipv6", [False, True])
def test_what_is_read_from_sockets_is_taken_there(ipv6: bool) -> None:
    """The rows of usual packets are used again, and what is left comes whole and in order."""
    if usual.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    family, host = (socket.AF_INET6, "::1") if ipv6 else (socket.AF_INET, "127.0.0.1")
    with contextlib.ExitStack() as stack:
        ours, phone, other = (stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(3))
        for one in (ours, phone, other):
            one.bind((host, 0))
        world = World()
        engine = world.engine
        inbox = Inbox(16, engine.addresses)
        peer = Peer(1)
        peer.port = phone.getsockname()[1]
        world.add(peer, remote_ip=host)
        world.peers.clear()
        left: list[bytes] = []
        strange: list[bytes] = []

        def read() -> None:
            now = world.now_ns
            # As if it had come well before the tick: what comes shortly before one counts as late.
            offset = time.time_ns() - now + 5 * MS
            batch, _ = inbox.receive([(0, ours.fileno())], 0, offset, now, engine.usual(now))
            left.extend(row[:size].tobytes() for row, size in zip(batch.data, batch.length, strict=True))
            engine.receive(batch, now)
            engine.step(empty_batch(), now)
            world.now_ns += 20 * MS

        def say(*datagrams: bytes) -> None:
            for datagram in datagrams:
                (other if datagram in strange else phone).sendto(datagram, ours.getsockname()[:2])
            deadline = time.monotonic() + 5
            while not ours.recv(1, socket.MSG_PEEK):
                assert time.monotonic() < deadline

        sound = bytes([0x55]) * 160
        for _ in range(3):
            say(peer.packet(sound, 0))
            peer.timestamp += 160
            read()
        assert len(left) == (3 if ipv6 else 1), "the first locks the source; IPv6 has its numbers only later"
        left.clear()
        # More than the rows that there are, and strange ones in between.
        usual_ones = []
        for i in range(12):
            usual_ones.append(peer.packet(sound, 0))
            peer.timestamp += 160
            strange.append(bytes([0x80, 200, i]) * (i + 3))
        mixed = [one for both in zip(strange, usual_ones, strict=True) for one in both]
        say(*mixed[:16])
        read()
        say(*mixed[16:])
        read()
        assert left == (mixed if ipv6 else strange)
        assert int(engine.received.received[0]) == 15


def test_columns_that_grew_are_counted_in() -> None:
    world = World()
    for leg in range(1, 71):
        world.add(Peer(leg), room=leg)
        if leg == 2:
            world.run(0.2)
    assert world.engine.legs.capacity > 64
    world.run(0.5)
    received = world.engine.received.received[: len(world.peers)]
    assert int(received.min()) >= 24
    if usual.kernels is not None:
        world.engine.intake._receive = pytest.fail  # type: ignore[assignment, method-assign]
        world.run(0.2)


def test_sources_that_differ_in_the_pair_alone_do_not_collide() -> None:
    """Places depend on all of a key: behind one relay, pairs are all that tells legs apart."""
    if usual.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    for low, high in ((0, 4096), (1, 1)):
        keys = np.array([source_key(pair, PEER_IP, 4000) for pair in range(low, low + high)], np.int64)
        places = 2 << len(keys).bit_length()
        table = np.empty((places, 2), np.int64)
        usual.kernels.rb_index(at(keys), at(np.arange(len(keys))), len(keys), at(table), places - 1)
        taken = table[:, 1] >= 0
        assert sorted(table[taken, 1].tolist()) == list(range(len(keys)))
        # Runs of taken places are what a search walks along.
        ends = np.flatnonzero(np.diff(np.concatenate(([0], taken, [0]))))
        assert int((ends[1::2] - ends[::2]).max()) < 100


def test_a_socket_that_was_not_read_to_its_end_says_so() -> None:
    """Strangers have filled the rows but for one, and a phone has sent two packets."""
    with contextlib.ExitStack() as stack:
        ours = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
        for one in ours:
            one.bind(("127.0.0.1", 0))
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for one, count in zip(ours, (7, 2, 2), strict=True):
            for i in range(count):
                sender.sendto(bytes([i]) * 20, one.getsockname())
        sockets = [(2 * number, one.fileno()) for number, one in enumerate(ours)]
        inbox = Inbox(8)
        deadline = time.monotonic() + 5
        found, waiting = 0, sockets
        while waiting:
            assert time.monotonic() < deadline
            now = time.monotonic_ns()
            batch, position = inbox.receive(waiting, 0, time.time_ns() - now, now)
            found += len(batch)
            waiting = [*waiting[position:], *inbox.full]
        assert found == 11
