"""What is heard of a leg has no seams: losses, pieces left out or put in, and decoders that lost a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ringback.media import concealment, playout, stretch
from ringback.media.codec.g722 import DELAY_SAMPLES, G722Encoder
from ringback.media.coders import G722Stream
from ringback.media.level import mean_square
from ringback.media.playout import (
    MOST_CONCEALED,
    MOST_JOINED,
    MOST_STRETCHED,
    Frames,
    NarrowPlayout,
    Playout,
    WidePlayout,
)

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


class TestTroubleOfAll:
    """Six hundred legs in the same trouble at the same time cost little more than a few of them."""

    LEGS = 600

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
        """How many legs each part was asked to work on at a time."""
        rows: dict[str, list[int]] = {}
        for module, name in ((concealment, "conceal"), (concealment, "join"), (stretch, "find_periods")):
            real = getattr(module, name)

            def counted(sound: Samples, *more: Any, _real: Any = real, _name: str = name) -> Any:
                rows.setdefault(_name, []).append(len(sound))
                return _real(sound, *more)

            monkeypatch.setattr(module, name, counted)
        return rows

    def play(self, playout: Playout, **more: Any) -> tuple[Samples, Frames]:
        n, size = self.LEGS, playout.rate // 50
        voice = signals.voiced(playout.rate)[: 4 * size].reshape(4, size)
        frames = Frames(
            np.arange(n),
            np.tile(voice[0], (n, 1)) * (not more.get("lost", False)),
            np.tile(voice[1], (n, 1)),
            np.full(n, not more.get("lost", False)),
            np.full(n, more.get("two", False)),
            np.zeros(n, bool),
            np.full(n, more.get("joined", False)),
            np.full(n, more.get("piece", 0), np.int32),
            more.get("carry", np.zeros(n, np.int32)),
            np.zeros(n, bool),
            np.zeros(n, bool),
        )
        return playout.play(frames).copy(), frames

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_loss_is_concealed_for_some_and_faded_out_for_the_others(
        self, kind: type[Playout], asked: dict[str, list[int]]
    ) -> None:
        playout = kind(self.LEGS)
        before, _ = self.play(playout)
        sound = [self.play(playout, lost=True)[0] for _ in range(3)]
        assert max(asked["conceal"]) == MOST_CONCEALED
        assert (mean_square(sound[0]) > mean_square(before) / 16).all()
        after, frames = self.play(playout, joined=True)
        assert asked["join"] == [MOST_JOINED]
        assert np.count_nonzero((after == before).all(axis=1)) == self.LEGS - MOST_JOINED
        again, _ = self.play(playout, carry=frames.carry)
        assert np.abs(again).max() <= np.abs(before).max() * 1.5
        assert playout.concealed.sum() == 0

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_is_stretched_when_its_turn_comes(
        self, kind: type[Playout], asked: dict[str, list[int]]
    ) -> None:
        playout = kind(self.LEGS)
        for _ in range(4):
            self.play(playout)
        carry, stretched = np.zeros(self.LEGS, np.int32), np.zeros(self.LEGS, int)
        for _ in range(2 * -(-self.LEGS // MOST_STRETCHED)):
            _, frames = self.play(playout, piece=120, carry=carry)
            stretched += frames.stretched
            carry = np.minimum(frames.carry, 120)
        assert max(asked["find_periods"]) == MOST_STRETCHED
        assert (stretched > 0).all()


@pytest.mark.parametrize("kind", [NarrowPlayout, WidePlayout])
def test_the_compiled_loop_keeps_what_the_plain_code_keeps(
    kind: type[Playout], monkeypatch: pytest.MonkeyPatch
) -> None:
    if playout.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    random = np.random.default_rng(1)
    compiled, plain = kind(8), kind(8)
    for turn in range(11):
        legs = np.flatnonzero(random.random(8) < 0.5)
        frame = random.standard_normal((len(legs), kind.rate // 50)).astype(np.float32)
        compiled._keep(legs, frame)
        with monkeypatch.context() as patch:
            patch.setattr(playout, "kernels", None)
            plain._keep(legs, frame)
        np.testing.assert_array_equal(compiled.frames, plain.frames, err_msg=str(turn))
        np.testing.assert_array_equal(compiled.oldest, plain.oldest)


@pytest.mark.parametrize("kind", [NarrowPlayout, WidePlayout])
def test_carrying_is_the_same_compiled_and_plain(
    kind: type[Playout], monkeypatch: pytest.MonkeyPatch
) -> None:
    if playout.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    random = np.random.default_rng(2)
    compiled, plain = kind(8), kind(8)
    for turn in range(11):
        legs = np.flatnonzero(random.random(8) < 0.7)
        sound = random.standard_normal((len(legs), kind.rate // 50)).astype(np.float32)
        carry = random.choice([1, 19, 80, 159, 160], len(legs)).astype(np.int32)
        heard = []
        for one in (compiled, plain):
            with monkeypatch.context() as patch:
                if one is plain:
                    patch.setattr(playout, "kernels", None)
                none, zero = np.zeros(len(legs), np.bool_), np.zeros(len(legs), np.int32)
                frames = Frames(
                    legs, sound.copy(), sound, ~none, none, none, none, zero, carry.copy(), none, none
                )
                heard.append(one.play(frames))
        np.testing.assert_array_equal(*heard, err_msg=str(turn))
        np.testing.assert_array_equal(compiled.frames, plain.frames, err_msg=str(turn))
        np.testing.assert_array_equal(compiled.oldest, plain.oldest)


@pytest.mark.parametrize("kind", [NarrowPlayout, WidePlayout])
def test_of_a_voice_that_was_gone_too_long_nothing_is_heard(kind: type[Playout]) -> None:
    leg = Leg(kind, signals.voiced(4000))
    leg.play()
    for _ in range(5):
        leg.play(lost=True)
    assert not leg.out[-1].any()
    leg.play()
    assert leg.out[-1].any()
