"""A worker dies or is full, and the calls go on: what phones and browsers send, hear and notice of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from ringback.media.protocol import (
    CloseLeg,
    Codec,
    CommandFailed,
    JoinRoom,
    LegOpened,
    MediaConnected,
    MediaLost,
    OpenLeg,
    Play,
    PlayEnded,
    SetVoice,
    SourceLearnt,
    StopPlay,
)
from tests.media.test_calls import secure
from tests.media.test_sources import ATTACKER, behind_nat
from tests.media.world import Peer
from tests.webrtc.browser import USE_CERTIFICATE, Browser, Browsing

from .town import Town

LEVEL = -13.98
Break = Callable[[Town], None]


class BrowserTown(Browsing, Town):
    """A town into which browsers come too."""

    def __init__(self, size: int = 2) -> None:
        self.browsers = []
        self.loss = 0.0
        super().__init__(size, first=(USE_CERTIFICATE,))


def die(town: Town) -> None:
    """The worker that has leg 1 dies; where it was the only one, the next runs 0.4 s later."""
    (worker,) = town.where(1)
    for each in town.processes:
        town.say_statistics(each)
    town.settle()
    town.die(worker)
    if town.size == 1:
        town.run(0.4)
        town.start(worker)
    town.settle()


def fill(town: Town) -> None:
    """The worker that has leg 1 says that it is full, until a group moves."""
    (worker,) = town.where(1)
    for _ in range(4):
        town.say_statistics(worker, 0.97)
        town.settle()


def hears(peer: Peer, frequency: float) -> None:
    assert peer.level(frequency) == pytest.approx(LEVEL, abs=1.5)


def header(packet: bytes) -> tuple[int, int, int]:
    """Sequence number, timestamp and SSRC."""
    return struct.unpack("!HII", packet[2:12])  # type: ignore[return-value]


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("codec", ["PCMU", "G722", "OPUS"])
def test_a_room_goes_on_when_its_worker_dies(codec: Codec, size: int) -> None:
    town = Town(size)
    peers = [town.add(Peer(leg, codec, 440.0 * leg)) for leg in (1, 2, 3)]
    town.add(Peer(9, "PCMU"), room=2)
    town.run(1)
    ports = [town.opened(peer.leg) for peer in peers]
    sources = [header(peer.packets[-1])[2] for peer in peers]
    die(town)
    town.run(1.5)
    for peer, source in zip(peers, sources, strict=True):
        for other in peers:
            if other is not peer:
                hears(peer, other.frequency)
        # Whoever may still have the old key stream in its ears gets a new source.
        assert header(peer.packets[-1])[2] != source
    assert town.totals(1).received_packets > 60
    assert [town.opened(peer.leg) for peer in peers] == ports
    assert len(town.of(LegOpened)) == 4
    assert town.lost_legs == []
    assert town.fleet.roster.takeovers == (4 if size == 1 else 3)


def test_what_a_leg_was_told_holds_after_a_death() -> None:
    town = Town()
    one, two, three = (town.add(Peer(leg, "PCMU", 440.0 * leg)) for leg in (1, 2, 3))
    town.apply(SetVoice(leg=1, muted=True))
    town.apply(SetVoice(leg=2, deaf=True))
    town.run(1)
    die(town)
    town.run(1.5)
    assert three.level(one.frequency) < -50
    assert two.level(three.frequency) < -50
    hears(three, two.frequency)
    hears(one, three.frequency)


@pytest.mark.parametrize("suite", ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"])
@pytest.mark.parametrize("broken", [die, fill])
def test_srtp_goes_on_past_a_wrap_and_takes_no_replay(suite: Any, broken: Break) -> None:
    town = Town()
    one = Peer(1, "PCMU", 440.0)
    one.sequence = 65490
    town.add(one, srtp=secure(one, suite, 1))
    two = town.add(Peer(2, "PCMU", 1000.0))
    town.add(Peer(3, "PCMU", 1000.0), room=7)
    kept: list[bytes] = []
    speak = one.speak
    one.speak = lambda: kept.append(speak()) or kept[-1]  # type: ignore[func-returns-value,method-assign]
    town.run(1.5)
    (worker,) = town.where(1)
    town.processes[worker].engine.legs.out_sequence[town.processes[worker].engine.legs.slots[1]] = 65500
    town.run(1.2)
    assert town.totals(1).rejected_packets == 0
    broken(town)
    # While the leg has not spoken yet, and again when it has.
    for turn in range(2):
        for old in kept[10:30] + kept[70:90]:
            town.throw(old, 2 * one.to_pair, one.ip, one.port)
        if turn:
            town.run(1.5)
            hears(two, 440.0)
            hears(one, 1000.0)
        town.tick()
    assert town.totals(1).rejected_packets >= 70
    assert town.totals(1).duplicate_packets == 0
    town.run(1.5)
    hears(two, 440.0)
    hears(one, 1000.0)


@pytest.mark.parametrize("size", [1, 2])
def test_a_phone_behind_nat_is_found_again_and_nobody_takes_its_place(size: int) -> None:
    town = Town(size)
    one = town.add(Peer(1, "PCMU", 440.0))
    two = town.add(Peer(2, "PCMU", 1000.0))
    behind_nat(town, one)
    town.run(1)
    # It says nothing for a while: what it hears goes where it came from all the same.
    one.silent = True
    town.delay[1] = lambda at: None
    die(town)
    heard = len(one.packets)
    stranger = Peer(8, "PCMU", 2000.0)
    for _ in range(50):
        town.throw(stranger.speak(), 2 * one.to_pair, ATTACKER, 5000)
        town.tick()
    assert len(one.packets) - heard >= 48
    assert two.level(2000.0) < -50
    one.silent = False
    del town.delay[1]
    town.run(1.5)
    hears(two, 440.0)
    assert len(town.of(SourceLearnt)) == 2


def test_a_full_workers_room_moves_and_nobody_notices() -> None:
    town = Town()
    one = Peer(1, "PCMU", 440.0)
    town.add(one, srtp=secure(one, "AES_CM_128_HMAC_SHA1_80", 1))
    two = town.add(Peer(2, "PCMU", 1000.0))
    town.add(Peer(3, "PCMU", 1000.0), room=7)
    town.apply(Play(leg=2, play=5, sounds=["silence:3000", "tone:entry"]))
    town.run(1)
    assert town.where(1) == town.where(2) == [0]
    moves = town.fleet.roster.moves
    fill(town)
    assert town.where(1) == town.where(2) == [1]
    town.run(1)
    assert town.fleet.roster.moves == moves + 1
    assert town.fleet.roster.takeovers == 0
    for peer in (one, two):
        sequences, timestamps, sources = zip(*map(header, peer.packets), strict=True)
        assert len(set(sources)) == 1
        assert {(b - a) & 0xFFFF for a, b in pairwise(sequences)} == {1}
        assert {(b - a) & 0xFFFFFFFF for a, b in pairwise(timestamps)} == {160}
    hears(one, 1000.0)
    hears(two, 440.0)
    # Silence of 3 s, a second before the move and a second after it: the tone is not due yet, and then it is.
    assert town.of(PlayEnded) == []
    town.run(1.6)
    assert town.of(PlayEnded) == [PlayEnded(leg=2, play=5, reason="finished")]
    assert town.totals(1).lost_packets == 0


def test_a_group_is_not_moved_back_at_once() -> None:
    town = Town()
    town.add(Peer(1, "PCMU", 440.0))
    town.add(Peer(2, "PCMU", 440.0), room=7)
    town.add(Peer(3, "PCMU", 440.0))
    town.run(0.5)
    fill(town)
    assert town.where(1) == [1]
    fill(town)
    town.run(2)
    fill(town)
    assert town.where(1) == [1]
    town.now_ns += 40_000_000_000
    town.say_statistics(0)
    fill(town)
    assert town.where(1) == [0]


def test_who_joins_a_room_elsewhere_goes_there_without_a_gap() -> None:
    town = Town()
    one = town.add(Peer(1, "PCMU", 440.0))
    late = town.add(Peer(2, "PCMU", 1000.0), room=None)
    town.run(1)
    assert town.where(1) != town.where(2)
    heard = len(late.packets)
    town.apply(JoinRoom(leg=2, room=1))
    assert town.where(1) == town.where(2)
    town.run(1.5)
    hears(one, 1000.0)
    hears(late, 440.0)
    assert len(late.packets) - heard == 75
    assert len({header(packet)[2] for packet in late.packets}) == 1


def test_the_smaller_room_goes_to_the_larger() -> None:
    town = Town()
    for leg in (1, 2):
        town.add(Peer(leg), room=1)
    for leg in (3, 4, 5):
        town.add(Peer(leg), room=2)
    town.run(0.5)
    assert town.where(1) == [0]
    assert town.where(3) == [1]
    town.apply(JoinRoom(leg=3, room=1))
    assert [town.where(leg) for leg in range(1, 6)] == [[1]] * 5


@pytest.mark.parametrize("size", [1, 2])
def test_browsers_go_on_without_a_new_handshake(size: int) -> None:
    town = BrowserTown(size)
    browser = town.browse(Browser(1, 440.0))
    phone = town.add(Peer(2, "PCMU", 1000.0))
    town.run(2)
    flights = len(browser.received_control)
    die(town)
    town.run(2)
    hears(browser, 1000.0)
    hears(phone, 440.0)
    assert len(browser.received_control) == flights
    assert len(town.of(MediaConnected)) == 1
    if size == 1:
        return
    # Consent is still asked for, and a restart of ICE still possible.
    town.run(30)
    assert town.of(MediaLost) == []
    browser.restart()
    town.apply(browser.media())
    town.run(1)
    browser.port += 1
    town.run(4)
    hears(browser, 1000.0)
    hears(phone, 440.0)
    browser.checks = False
    town.run(31)
    assert [event.reason for event in town.of(MediaLost)] == ["consent"]


def test_a_browser_moves_with_its_room() -> None:
    town = BrowserTown()
    browser = town.browse(Browser(1, 440.0))
    phone = town.add(Peer(2, "PCMU", 1000.0))
    town.add(Peer(3), room=7)
    town.run(2)
    before = len(browser.packets)
    fill(town)
    assert town.where(1) == town.where(2) == [1]
    town.run(1.5)
    assert len(browser.packets) - before == 75
    assert len({header(packet)[2] for packet in browser.packets}) == 1
    hears(browser, 1000.0)
    hears(phone, 440.0)


def test_a_room_stays_while_a_browser_in_it_shakes_hands() -> None:
    town = BrowserTown()
    browser = Browser(1, 440.0)
    browser.nominate = browser.checks = False
    town.browse(browser)
    town.add(Peer(3), room=7)
    fill(town)
    assert town.where(1) == [0]
    browser.nominate = browser.checks = True
    town.run(1)
    fill(town)
    assert town.where(1) == [1]


@pytest.mark.parametrize("size", [1, 2])
def test_legs_that_were_being_opened_are_opened_elsewhere(size: int) -> None:
    town = Town(size)
    town.fleet.command(OpenLeg(leg=1, group=4), town.now)
    town.fleet.command(OpenLeg(leg=2, group=4), town.now)
    town.let_command(0)
    town.die(0)
    if size == 1:
        town.fleet.command(OpenLeg(leg=3), town.now)
        town.start(0)
    town.settle()
    opened = [event.leg for event in town.of(LegOpened)]
    assert sorted(opened) == ([1, 2, 3] if size == 1 else [1, 2])
    assert all(len(town.where(leg)) == 1 for leg in opened)


def test_what_happens_while_no_worker_runs() -> None:
    town = Town(1)
    town.add(Peer(1))
    town.add(Peer(2, "PCMU", 1000.0))
    town.apply(Play(leg=1, play=1, sounds=["music"]))
    town.apply(Play(leg=2, play=2, sounds=["music"]))
    town.die(0)
    town.apply(StopPlay(leg=1))
    town.apply(Play(leg=2, play=3, sounds=["tone:entry"]))
    assert [(e.leg, e.play, e.reason) for e in town.of(PlayEnded)] == [(1, 1, "stopped"), (2, 2, "replaced")]
    town.fleet.command(OpenLeg(leg=3), town.now)
    assert not any(event.leg == 3 for event in town.of(LegOpened))
    town.start(0)
    town.settle()
    town.run(1)
    assert town.of(PlayEnded)[-1] == PlayEnded(leg=2, play=3, reason="finished")
    assert town.opened(3)
    assert town.of(CommandFailed) == []


def test_legs_are_lost_when_no_worker_comes() -> None:
    town = Town(1)
    for leg in (1, 2):
        town.add(Peer(leg))
    town.die(0)
    town.run(4.8)
    town.fleet.roster.expire(town.now)
    assert town.lost_legs == []
    town.run(0.4)
    town.fleet.roster.expire(town.now)
    assert town.lost_legs == [1, 2]
    assert town.bound == set()
    town.apply(OpenLeg(leg=3))
    assert town.of(CommandFailed) == [CommandFailed(command="OpenLeg", leg=3, reason="no media worker runs")]


def test_calls_that_workers_die_of_do_not_take_all_others_with_them() -> None:
    town = Town(3)
    for leg in range(1, 10):
        town.add(Peer(leg), room=leg)
    town.run(0.5)
    for _ in range(3):
        (worker,) = town.where(1)
        town.die(worker)
        town.start(worker)
        town.settle()
    assert 1 in town.lost_legs
    assert len(town.lost_legs) <= 3
    assert all(len(town.where(leg)) == 1 for leg in range(1, 10) if leg not in town.lost_legs)


def test_deaths_far_apart_end_no_call() -> None:
    town = Town(1)
    town.add(Peer(1))
    for _ in range(4):
        town.die(0)
        town.start(0)
        town.settle()
        town.now_ns += 16_000_000_000
    assert town.lost_legs == []


def test_what_is_counted_goes_on_over_a_death_and_a_move() -> None:
    town = Town()
    peer = town.add(Peer(1, "PCMU", 440.0))
    other = town.add(Peer(2), room=3)
    spoken = [0, 0]
    for i, each in enumerate((peer, other)):

        def speak(i: int = i, speak: Callable[[], bytes] = each.speak) -> bytes:
            spoken[i] += 1
            return speak()

        each.speak = speak  # type: ignore[method-assign]
    town.run(2)
    die(town)
    # So early that less has been counted than before the death.
    town.run(0.3)
    for worker in (0, 1):
        if worker in town.processes:
            town.say_statistics(worker)
    town.run(1.5)
    town.start(0)
    fill(town)
    assert town.where(1) != town.where(2)
    town.run(1)
    for leg in (1, 2):
        town.apply(CloseLeg(leg=leg))
    for worker in town.processes:
        town.say_statistics(worker)
    town.settle()
    assert town.history.sums["received"] == sum(spoken)
    assert town.history.sums["expected"] - town.history.sums["received"] == 0


def test_ports_of_the_dead_are_given_up_when_nobody_uses_them() -> None:
    town = Town()
    town.add(Peer(1), room=1)
    town.add(Peer(2), room=2)
    assert len(town.bound) == 2
    (worker,) = town.where(1)
    town.die(worker)
    town.settle()
    assert len(town.bound) == 2
    (other,) = town.where(2)
    assert sorted(town.processes[other].ports.values()) == sorted(town.bound)
