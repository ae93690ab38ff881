"""Streams from the control process with several workers: who goes on with a leg asks for the rest."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.protocol import Codec, PlayEnded, StopPlay
from ringback.media.stream_messages import PlayStream, StreamSamples, StreamWanted
from tests.media.world import Peer

from .town import Town

RATE = 8_000


class Storyteller:
    """Has a stream of 1000 Hz, and gives a second of it whenever it is asked."""

    def __init__(self, town: Town, seconds: float) -> None:
        self._town = town
        self._answered = 0
        time = np.arange(int(RATE * seconds)) / RATE
        self._pcm = (16_000 * np.sin(2 * np.pi * 1000 * time)).astype("<i2")

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            asked = self._town.of(StreamWanted)
            for wanted in asked[self._answered :]:
                piece = self._pcm[wanted.at : wanted.at + RATE]
                last = wanted.at + RATE >= len(self._pcm)
                self._town.apply(
                    StreamSamples(
                        leg=wanted.leg, play=wanted.play, at=wanted.at, samples=piece.tobytes(), last=last
                    )
                )
            self._answered = len(asked)
            self._town.tick()


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
def test_a_stream_is_heard_at_either_rate_to_its_end(codec: Codec) -> None:
    town = Town()
    peer = town.add(Peer(1, codec, 440.0))
    town.apply(PlayStream(leg=1, play=7, rate=RATE))
    story = Storyteller(town, 3)
    story.run(2)
    assert peer.level(1000.0) > -8
    story.run(1.2)
    assert [(ended.play, ended.reason) for ended in town.of(PlayEnded)] == [(7, "finished")]


def test_the_next_worker_asks_for_it_anew() -> None:
    town = Town()
    peer = town.add(Peer(1, "PCMU", 440.0))
    town.apply(PlayStream(leg=1, play=7, rate=RATE, from_ms=500))
    story = Storyteller(town, 10)
    story.run(2)
    (worker,) = town.where(1)
    town.die(worker)
    town.settle()
    story.run(1)
    assert town.where(1) == [1 - worker]
    assert peer.level(1000.0) > -8
    assert town.of(StreamWanted)[-3].at >= RATE // 2
    assert town.of(PlayEnded) == []


def test_what_comes_too_late_disturbs_nobody() -> None:
    town = Town()
    town.add(Peer(1))
    town.apply(PlayStream(leg=1, play=7, rate=RATE))
    town.apply(StopPlay(leg=1))
    town.apply(StreamSamples(leg=1, play=7, at=0, samples=b"\1\1" * 320))
    town.apply(StreamSamples(leg=99, play=7, at=0, samples=b"\1\1" * 320))
    town.run(0.1)
    assert [(ended.play, ended.reason) for ended in town.of(PlayEnded)] == [(7, "stopped")]
