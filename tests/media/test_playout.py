"""What is heard of a leg has no seams: losses, pieces left out or put in, and decoders that lost a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ringback.media.codec.g722 import DELAY_SAMPLES, G722Encoder
from ringback.media.coders import G722Stream
from ringback.media.playout import Frames, NarrowPlayout, Playout, WidePlayout

from . import signals
from .signals import Samples


class Leg:
    """Plays a voice to one leg of a playout among several, frame by frame."""

    def __init__(self, kind: type[Playout], voice: Samples) -> None:
        self.playout = kind(4)
        self.size = self.playout.rate // 50
        self.voice = voice
        self.at = 0
        self.carry = 0
        self.fresh = True
        self.out: list[Samples] = []

    def frame(self) -> Samples:
        self.at += self.size
        return self.voice[self.at - self.size : self.at].copy()

    def play(self, lost: bool = False, two: bool = False, held: bool = False, **more: Any) -> None:
        first = np.zeros(self.size, np.float32) if held else self.frame()
        second = self.frame() if two else np.zeros(self.size, np.float32)
        one = np.array([2])
        frames = Frames(
            one,
            first[None] * (not lost),
            second[None],
            np.array([not lost and not held]),
            np.array([two]),
            np.array([held]),
            np.array([more.get("joined", False)]),
            np.array([more.get("piece", 0)], np.int32),
            np.array([self.carry], np.int32),
            np.array([self.fresh]),
            np.array([False]),
        )
        self.out.append(self.playout.play(frames)[0].copy())
        self.carry = int(frames.carry[0])
        self.fresh = False

    def sound(self) -> Samples:
        return np.concatenate(self.out)


KINDS = [NarrowPlayout, WidePlayout]


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_whole_is_played_as_it_is(kind: type[Playout]) -> None:
    leg = Leg(kind, signals.voiced(kind.rate))
    for _ in range(20):
        leg.play()
    np.testing.assert_array_equal(leg.sound(), leg.voice[: 20 * leg.size])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shorter", [True, False])
def test_a_voice_gets_shorter_and_longer_without_a_seam(kind: type[Playout], shorter: bool) -> None:
    leg = Leg(kind, signals.voiced(kind.rate, 3.0, pitch=137))
    for tick in range(100):
        if leg.carry >= 160:
            leg.play(held=True)
        elif tick % 3 or tick < 3:
            leg.play()
        elif shorter:
            leg.play(two=leg.carry < 120, piece=-120 if leg.carry < 120 else -min(leg.carry, 120))
        else:
            leg.play(piece=120)
    # Thirty-two pieces of 7.3 ms or twice that.
    moved = leg.at / leg.size - 100 - leg.carry / 160
    assert 10 < (moved if shorter else -moved) < 26
    sound, voice = leg.sound(), leg.voice
    assert np.abs(np.diff(sound)).max() < 1.15 * np.abs(np.diff(voice)).max()
    level = np.sqrt(np.mean(sound[: len(sound) // leg.size * leg.size].reshape(-1, leg.size) ** 2, axis=1))
    assert level.min() > 0.8 * level.max()


@pytest.mark.parametrize("kind", KINDS)
def test_a_carry_is_played_before_what_is_made_up(kind: type[Playout]) -> None:
    """A loss while some sound is carried: it goes first, and the rest of the frame is continued."""
    for leave_out in (True, False):
        leg = Leg(kind, signals.voiced(kind.rate, pitch=137))
        for _ in range(6):
            leg.play()
        leg.play(piece=120)
        carried = leg.carry
        assert carried > 0
        leg.play(lost=True, piece=-120 if leave_out else 0)
        assert leg.carry == (0 if leave_out else carried)
        leg.play(joined=True)
        for _ in range(4):
            leg.play()
        sound = leg.sound()
        assert leg.carry == (0 if leave_out else carried)
        assert np.abs(np.diff(sound)).max() < 1.4 * np.abs(np.diff(leg.voice)).max()
        tail = round((len(leg.out) * 160 - (leg.carry)) * leg.size / 160)
        np.testing.assert_allclose(sound[-leg.size :], leg.voice[tail - leg.size : tail], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_that_comes_late_waits_until_it_fits(kind: type[Playout]) -> None:
    leg = Leg(kind, signals.voiced(kind.rate, pitch=137, glide=0))
    for _ in range(6):
        leg.play()
    leg.play(lost=True)
    # The frame that was missing comes now: the voice goes on where it stopped.
    leg.at -= leg.size
    leg.play(joined=True, piece=120)
    assert 0 < leg.carry <= 120
    for _ in range(3):
        leg.play()
    sound = leg.sound()
    assert np.abs(np.diff(sound)).max() < 1.1 * np.abs(np.diff(leg.voice)).max()
    level = np.sqrt(np.mean(sound.reshape(-1, leg.size) ** 2, axis=1))
    assert level.min() > 0.7 * level.max()


def test_a_decoder_that_follows_what_was_made_up_is_nearer_the_truth() -> None:
    speech = signals.spoken_like(16000, 4.0)
    encoder, truth = G722Encoder(), G722Stream()
    packets = [encoder.encode(speech[i : i + 320]) for i in range(0, len(speech) - 320, 320)]
    sound = [truth.decode(packet) for packet in packets]
    error = {True: 0.0, False: 0.0}
    for lost in range(10, len(packets) - 3, 5):
        past = np.concatenate(sound[lost - 4 : lost])
        if np.mean(past**2) < 1e-4:
            continue
        playout = WidePlayout(1)
        playout.frames[0] = past.reshape(4, 320)
        playout.concealed[0] = 320
        made_up = playout.concealment(np.array([0]), DELAY_SAMPLES)[0]
        assert len(made_up) == 4 * 320 + 320 + DELAY_SAMPLES
        for follows in (True, False):
            decoder = G722Stream()
            for packet in packets[:lost]:
                decoder.decode(packet)
            if follows:
                decoder.follow(made_up)
            heard = np.concatenate([decoder.decode(packet) for packet in packets[lost + 1 : lost + 3]])
            error[follows] += float(np.sum((heard - np.concatenate(sound[lost + 1 : lost + 3])) ** 2))
    assert error[True] < 0.97 * error[False]
