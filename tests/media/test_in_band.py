"""Keys as tones in the audio: all of them, at the edges of what phones may send, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media import in_band
from ringback.media.in_band import InBandKeys
from ringback.media.level import mean_square
from ringback.media.music import music
from ringback.media.protocol import Codec, CommandFailed, Digit, SendDigits
from ringback.media.tones import KEY_HIGH_HZ, KEY_LOW_HZ, KEYS, TONES, tone

from .signals import spoken_like
from .speaker import Speaker
from .world import Peer, World

DIGITS = "".join(KEYS)


def key_tone(
    digit: str, milliseconds: float = 100, *, rate: int = 8000, off: float = 0.0, low_db: float = -10.0,
    high_db: float = -8.0,
) -> np.ndarray:  # fmt: skip
    at = np.arange(int(rate * milliseconds / 1000)) / rate
    place = DIGITS.index(digit)
    parts = ((KEY_LOW_HZ[place // 4], low_db), (KEY_HIGH_HZ[place % 4], high_db))
    return sum(10 ** (db / 20) * np.sin(2 * np.pi * hz * (1 + off) * at + hz) for hz, db in parts)  # type: ignore[return-value]


def heard(audio: np.ndarray, rate: int = 8000) -> tuple[str, np.ndarray]:
    """The keys in audio, and what is left of it for others."""
    keys = InBandKeys(4)
    size = rate // 50
    rows = np.pad(audio, (0, -len(audio) % size + 3 * size)).astype(np.float32).reshape(-1, size)
    left, legs = [], np.array([1])
    for tick, row in enumerate(rows):
        frame = row[None].copy()
        if keys.listens(legs, mean_square(frame), tick).all():
            keys.hear(legs, frame, tick)
        left.append(frame[0])
    return "".join(press.digit for _, press in keys.presses), np.concatenate(left)


def silence(milliseconds: float, rate: int = 8000) -> np.ndarray:
    return np.zeros(int(rate * milliseconds / 1000))


@pytest.mark.parametrize("rate", [8000, 16_000])
@pytest.mark.parametrize("shift_ms", [0, 7, 13, 29])
def test_every_key_once(rate: int, shift_ms: int) -> None:
    audio = [silence(shift_ms, rate)]
    for digit in DIGITS:
        audio += [key_tone(digit, 100, rate=rate), silence(90, rate)]
    assert heard(np.concatenate(audio), rate)[0] == DIGITS


@pytest.mark.parametrize("off", [-0.015, 0.015])
@pytest.mark.parametrize(("low_db", "high_db"), [(-10, -6), (-6, -13), (-30, -28), (-6.1, -6.1)])
def test_keys_at_the_edges_of_what_is_allowed(off: float, low_db: float, high_db: float) -> None:
    audio = [silence(11)]
    for digit in DIGITS:
        audio += [key_tone(digit, 120, off=off, low_db=low_db, high_db=high_db), silence(90)]
    assert heard(np.concatenate(audio))[0] == DIGITS


def test_a_long_press_is_one_and_the_same_key_may_come_again() -> None:
    audio = [key_tone("5", 900), silence(100), key_tone("5", 100), silence(100), key_tone("6", 100)]
    assert heard(np.concatenate(audio))[0] == "556"


def test_keys_in_noise() -> None:
    chance = np.random.default_rng(4)
    audio = np.concatenate([np.concatenate([key_tone(digit, 120), silence(100)]) for digit in DIGITS])
    noise = chance.normal(0, 10 ** (-28 / 20), len(audio))
    assert heard(audio + noise)[0] == DIGITS


def test_others_hear_at_most_the_beginning_of_a_key() -> None:
    _, left = heard(np.concatenate([silence(20), key_tone("7", 400), silence(200)]))
    sounding = np.abs(left) > 0.01
    assert sounding.sum() <= 8000 * 0.1
    assert not left[8000 * 120 // 1000 :].any()


def test_speech_music_noise_and_tones_are_no_keys() -> None:
    chance = np.random.default_rng(1)
    assert heard(spoken_like(8000, 20))[0] == ""
    assert heard(music()[::2])[0] == ""
    assert heard(chance.normal(0, 0.2, 8000 * 20))[0] == ""
    for name in TONES:
        assert heard(np.asarray(tone(name))[::2])[0] == ("" if not name.startswith("key-") else name[-1]), (
            name
        )
    for hz in (350, 697, 941, 1209, 1633, 2100):
        assert heard(np.sin(2 * np.pi * hz * np.arange(8000) / 8000))[0] == ""


def test_a_phone_with_silence_suppression_may_press_the_same_key_again() -> None:
    keys, legs = InBandKeys(4), np.array([2])
    pressed = key_tone("5", 200).astype(np.float32).reshape(-1, 1, 160)
    for begin in (0, 100):
        for tick, frame in enumerate(pressed):
            keys.hear(legs, frame.copy(), begin + tick)
    assert [press.digit for _, press in keys.presses] == ["5", "5"]


def test_many_legs_are_told_apart() -> None:
    keys, legs = InBandKeys(32), np.arange(16) * 2
    tones = np.stack([key_tone(digit, 200) for digit in DIGITS]).astype(np.float32)
    for tick in range(10):
        keys.hear(legs, tones[:, tick * 160 : tick * 160 + 160].copy(), tick)
    assert {leg // 2: press.digit for leg, press in keys.presses} == dict(enumerate(DIGITS))
    assert len(keys.presses) == 16


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
def test_a_leg_without_telephone_events_presses_keys_by_tones(codec: Codec) -> None:
    rate = 8000 if codec == "PCMU" else 16_000
    says = np.concatenate(
        [silence(300, rate), key_tone("8", 200, rate=rate, low_db=-13), silence(5000, rate)]
    )
    world = World()
    world.add(Speaker(1, says, codec=codec), room=1, telephone_event=None)
    other = world.add(Peer(2, "PCMU", amplitude=0.0), room=1)
    world.run(1.5)
    assert [(event.leg, event.digit) for event in world.of(Digit)] == [(1, "8")]
    heard_by_other = np.abs(other.audio(1.4)) > 0.02
    assert heard_by_other.sum() < 8000 * 0.1


def test_what_is_too_quiet_for_a_key_is_not_looked_at() -> None:
    keys, legs = InBandKeys(4), np.array([1, 2])
    loud, quiet = 10 ** (-33 / 10), 10 ** (-50 / 10)
    listened = [
        keys.listens(legs, np.array([energy, quiet], np.float32), tick).tolist()
        for tick, energy in enumerate([quiet, loud, quiet, quiet, quiet, quiet, quiet])
    ]
    # The end of a key is in the frames that follow.
    assert [one for one, _ in listened] == [False, True, True, True, True, False, False]
    assert not any(other for _, other in listened)


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
def test_the_compiled_loop_hears_what_the_plain_code_hears(
    rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_band.kernels is None:
        pytest.skip("the engine's loops are not compiled here")
    audio = np.concatenate([key_tone(digit, 80, rate=rate) for digit in DIGITS])
    compiled = heard(audio, rate)
    monkeypatch.setattr(in_band, "kernels", None)
    plain = heard(audio, rate)
    assert compiled[0] == plain[0] == DIGITS
    np.testing.assert_array_equal(compiled[1], plain[1])


def test_with_telephone_events_tones_are_sound() -> None:
    says = np.concatenate([silence(300), key_tone("8", 200), silence(5000)])
    world = World()
    world.add(Speaker(1, says, codec="PCMU"), room=1)
    other = world.add(Peer(2, "PCMU", amplitude=0.0), room=1)
    world.run(1.5)
    assert world.of(Digit) == []
    assert (np.abs(other.audio(1.4)) > 0.02).sum() > 8000 * 0.15


def test_keys_are_sent_as_tones_to_who_takes_no_events() -> None:
    world = World()
    one = world.add(Peer(1, "PCMU"), telephone_event=None)
    world.run(0.3)
    world.apply(SendDigits(leg=1, digits="4"))
    world.apply(SendDigits(leg=1, digits="2#"))
    world.run(1)
    assert heard(one.audio(1.2))[0] == "42#"
    assert not world.of(CommandFailed)
