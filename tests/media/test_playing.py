"""Sounds one after another, at both rates, without a gap between them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from ringback.media.playing import Playback, Sound, SoundError, SoundShelf, chain


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype(np.int16).tobytes())


def ramp(count: int, start: float = 0.0) -> np.ndarray:
    return (start + np.arange(count) * 1e-4).astype(np.float32)


def test_sounds_follow_each_other_without_a_gap() -> None:
    first, second = Sound(ramp(992)), Sound(ramp(640, 0.0992))
    playback = Playback([first, second])
    wide, narrow = zip(*(playback.next_frames() for _ in range(6)), strict=True)
    joined = np.concatenate(wide)
    assert np.allclose(joined[:1632], ramp(1632))
    assert not joined[1632:].any()
    assert [len(frame) for frame in narrow] == [160] * 6
    assert playback.finished


def test_one_rate_advances_as_both_do() -> None:
    sound = Sound(ramp(3200))
    both, wide, narrow = Playback([sound]), Playback([sound]), Playback([sound])
    for _ in range(12):
        expected = both.next_frames()
        assert np.array_equal(wide.next_frame(True), expected[0])
        assert np.array_equal(narrow.next_frame(False), expected[1])


def test_loops_and_music_do_not_end() -> None:
    looping = Playback([Sound(ramp(320)), Sound(ramp(320))], loop=True)
    for _ in range(100):
        assert looping.next_frame(True).any()
    assert not looping.finished
    shelf = SoundShelf()
    music = Playback(chain(shelf, ["tone:entry", "music"]))
    for _ in range(3000):
        music.next_frame(False)
    assert not music.finished
    assert Playback([], loop=True).finished


def test_silence_of_any_length_costs_no_memory() -> None:
    sounds = chain(SoundShelf(), ["silence:2500"])
    assert sum(len(sound.wide) for sound in sounds) == 16 * 2500
    assert len({id(sound) for sound in sounds}) == 2


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path, shelf = tmp_path / "prompt.wav", SoundShelf()
    write_wav(path, np.full(16000, 0.5))
    assert shelf.get(str(path)) is shelf.get(str(path))
    write_wav(path, np.full(8000, 0.25))
    assert len(shelf.get(str(path)).wide) == 8000


def test_what_cannot_be_played_says_so_without_its_name(tmp_path: Path) -> None:
    broken = tmp_path / "secret.wav"
    broken.write_bytes(b"RIFFnothing")
    for name in (str(broken), "/no/secret.wav", "relative.wav", "tone:secret", "silence:x", "secret"):
        with pytest.raises(SoundError) as error:
            chain(SoundShelf(), [name])
        assert "secret" not in str(error.value)
    with pytest.raises(SoundError):
        chain(SoundShelf(), ["tone:entry"] * 100)
