"""Sounds from files and the music: what is in them is heard, and what cannot be played is said clearly."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ringback.media import sounds
from ringback.media.codec.g722 import G722Encoder
from ringback.media.level import dbfs, mean_square
from ringback.media.music import music as make_music
from ringback.media.sounds import SoundCache, SoundError

from . import signals

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")


def write_wav(path: Path, samples: np.ndarray, rate: int, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes()[: len(samples) * channels * width])
    return path


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_wav_is_heard_as_it_is_and_where_it_is(rate: int, tmp_path: Path) -> None:
    written = signals.sine(1000, rate, seconds=0.5037, level=0.5)
    heard = sounds.load(write_wav(tmp_path / "a.wav", written, rate))
    assert heard.dtype == np.float32
    assert len(heard) == len(written) * 16000 // rate
    inside = slice(200, -200)
    np.testing.assert_allclose(
        heard[inside], signals.sine(1000, 16000, 1, 0.5)[: len(heard)][inside], atol=2e-3
    )


def test_g722_is_heard_at_the_same_level(tmp_path: Path) -> None:
    spoken = signals.voiced(16000)
    path = tmp_path / "a.g722"
    path.write_bytes(G722Encoder().encode(spoken))
    heard = sounds.load(path)
    assert abs(len(heard) - len(spoken)) < 50
    assert signals.snr_db(spoken[100:15000], heard[100 + 11 : 15000 + 11]) > 15


def test_real_prompts_load() -> None:
    if not PROMPTS.exists():
        pytest.skip("the Asterisk prompts are not installed")
    wide = sounds.load(PROMPTS / "activated.g722")
    level = dbfs(np.array([np.mean(wide**2)], dtype=np.float32))[0]
    assert -40 < level < -12
    if not (PROMPTS / "activated.wav").exists():
        return
    narrow = sounds.load(PROMPTS / "activated.wav")
    assert abs(len(narrow) - len(wide)) < 1600
    # The wide one has what lies above 4 kHz, too.
    assert 0 < level - dbfs(np.array([np.mean(narrow**2)], dtype=np.float32))[0] < 4


@pytest.mark.parametrize(
    ("name", "make", "why"),
    [
        ("stereo.wav", lambda path: write_wav(path, np.zeros(100), 8000, channels=2), "mono"),
        ("cd.wav", lambda path: write_wav(path, np.zeros(100), 44100), "44100 Hz"),
        ("wide.wav", lambda path: write_wav(path, np.zeros(300), 8000, width=1), "8 bit"),
        ("text.wav", lambda path: path.write_bytes(b"RIFFhello"), "not a PCM WAV"),
        ("empty.wav", lambda path: path.write_bytes(b""), "not a PCM WAV"),
        ("empty.g722", lambda path: path.write_bytes(b""), "empty"),
        ("song.mp3", lambda path: path.write_bytes(b"ID3"), "neither"),
        ("gone.wav", lambda path: None, "no such sound"),
        ("folder.wav", lambda path: path.mkdir(), "not a file"),
        ("pipe.wav", os.mkfifo, "not a file"),
    ],
)
def test_what_cannot_be_played_says_why(name: str, make: object, why: str, tmp_path: Path) -> None:
    make(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(SoundError, match=why) as raised:
        sounds.load(tmp_path / name)
    assert name in str(raised.value)


def test_an_enormous_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.wav"
    with path.open("wb") as file:
        file.truncate(11 * 1024 * 1024)
    with pytest.raises(SoundError, match="10 MiB"):
        sounds.load(path)


@pytest.mark.parametrize("cut", [4, 20, 37, 44, 45, 99])
def test_a_torn_wav_never_does_worse_than_an_error(cut: int, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros(100), 16000)
    path.write_bytes(path.read_bytes()[:cut])
    try:
        assert len(sounds.load(path)) <= 100
    except SoundError:
        assert cut < 44


def test_the_cache_is_bounded_gives_the_same_sound_and_notices_changes(tmp_path: Path) -> None:
    cache = SoundCache(limit_bytes=3 * 4 * 1000)
    paths = [write_wav(tmp_path / f"{i}.wav", np.full(1000, i / 10), 16000) for i in range(4)]
    first = cache.load(paths[0])
    cache.load(paths[1])
    assert cache.load(paths[0]) is first
    cache.load(paths[2])
    cache.load(paths[3])
    assert cache.size_bytes <= cache.limit_bytes
    assert cache.load(paths[0]) is first
    write_wav(paths[0], np.full(2000, 0.5), 16000)
    assert len(cache.load(paths[0])) == 2000
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_music_is_calm_seamless_and_quickly_made(
    least_cpu_s: Callable[[Callable[[], object]], float],
) -> None:
    loop = make_music.__wrapped__()
    # The aim is well under 100 ms; machines that run tests are busy.
    assert least_cpu_s(make_music.__wrapped__) < 1
    assert sounds.music() is sounds.music()
    np.testing.assert_array_equal(loop, sounds.music())
    assert 20 <= len(loop) / 16000 <= 40
    assert float(dbfs(mean_square(loop[None]))[0]) == pytest.approx(-24, abs=0.1)
    assert np.abs(loop).max() < 0.5
    seam = np.concatenate((loop[-800:], loop[:800]))
    assert np.abs(np.diff(seam)).max() < 1.2 * np.abs(np.diff(loop)).max()
    quarters = dbfs(mean_square(loop[: len(loop) // 16000 * 16000].reshape(-1, 16000)))
    assert quarters.min() > -34
    assert quarters.max() < -18
    spectrum = np.abs(np.fft.rfft(loop)) ** 2
    assert spectrum[int(3400 / 8000 * len(spectrum)) :].sum() < 1e-3 * spectrum.sum()
