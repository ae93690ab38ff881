"""Signals to test audio with: voices, synthetic and spoken."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def voiced(rate: int, seconds: float = 1.0, pitch: float = 120.0, glide: float = 0.004) -> Samples:
    """A steady vowel-like sound: harmonics under two formants, its pitch gliding; at most 0.1 loud."""
    time = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * pitch * (time + glide * np.sin(2 * np.pi * 1.5 * time))
    sound = np.zeros_like(time)
    for harmonic in range(1, int(0.45 * rate / pitch)):
        frequency = harmonic * pitch
        weight = 1 / (1 + ((frequency - 500) / 200) ** 2) + 0.5 / (1 + ((frequency - 1500) / 300) ** 2)
        sound += weight * np.sin(harmonic * phase + harmonic**2)
    return (sound * 0.1 / np.abs(sound).max()).astype(np.float32)


def spoken_like(rate: int, seconds: float = 1.0) -> Samples:
    """Syllables: vowels of changing pitch and loudness between bursts of noise."""
    parts, random = [], np.random.default_rng(8)
    for i in range(int(np.ceil(seconds / 0.2))):
        vowel = voiced(rate, 0.15, pitch=(110, 150, 130, 170, 95)[i % 5])
        burst = random.standard_normal(int(rate * 0.05)).astype(np.float32) * np.float32(0.01)
        parts += [vowel * np.hanning(len(vowel)).astype(np.float32), burst]
    return np.concatenate(parts)[: int(rate * seconds)]


def sine(frequency: float, rate: int, seconds: float = 1.0, level: float = 0.1) -> Samples:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def spoken(
    path: Path, rate: int, words: str = "The quick brown fox jumps over the lazy dog near the river"
) -> Samples:
    """Words by espeak-ng at 8 or 16 kHz; skips the test where it is not installed."""
    if not (shutil.which("espeak-ng") and shutil.which("sox")):
        pytest.skip("espeak-ng and sox are not installed")
    raw, cooked = path / "raw.wav", path / "cooked.wav"
    subprocess.run(["espeak-ng", "-w", str(raw), words], check=True)
    subprocess.run(["sox", str(raw), "-r", str(rate), "-c", "1", "-b", "16", str(cooked)], check=True)
    with wave.open(str(cooked)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return (pcm / 32768).astype(np.float32)


def snr_db(reference: Samples, heard: Samples) -> float:
    error = float(np.sum((reference - heard) ** 2))
    return 10 * float(np.log10(np.sum(reference**2) / max(error, 1e-12)))


def tone_level(samples: Samples, frequency: float, rate: int) -> float:
    """Amplitude of one frequency in samples."""
    time = np.arange(len(samples)) / rate
    window = np.hanning(len(samples))
    return float(2 * np.abs(np.sum(samples * window * np.exp(-2j * np.pi * frequency * time))) / window.sum())
