"""Has prompts spoken by espeak-ng, as a process of its own: NumPy is loaded here, and gone with it.

`python -m ringback.server.speaking espeak-ng` takes pairs of a text and the path of its WAV as JSON on
standard input. What cannot be spoken leaves no file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

AT_ONCE: Final = 2
RATE: Final = 16000


def speak(speaker: str, text: str, target: Path) -> None:
    """Speak a text into a WAV at 16 kHz, which appears whole or not at all."""
    raw = target.with_suffix(f".{os.getpid()}.raw.wav")
    # Not as an argument: a text that begins with a dash would be an option, which can name files.
    command = [speaker, "-v", "en-us", "-s", "150", "-b", "1", "-w", str(raw), "--stdin"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)  # noqa: S603
    if done.returncode == 0:
        _to_16_khz(raw, target)
    raw.unlink(missing_ok=True)


def _to_16_khz(source: Path, target: Path) -> None:
    """Resample espeak's 22.05 kHz; nothing if it wrote no sound."""
    try:
        with wave.open(str(source)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    except (OSError, EOFError, wave.Error):
        return
    if not len(samples):
        return
    # A windowed-sinc low-pass below the new Nyquist frequency, then interpolation: good enough for speech.
    taps = np.arange(-64, 65)
    cutoff = 7200 / rate
    kernel = 2 * cutoff * np.sinc(2 * cutoff * taps) * np.hanning(len(taps))
    smooth = np.convolve(samples, kernel, "same")
    at = np.arange(0, len(samples) - 1, rate / RATE)
    resampled = np.interp(at, np.arange(len(samples)), smooth)
    partial = target.with_suffix(".part")
    with wave.open(str(partial), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.clip(resampled * 0.7, -32768, 32767).astype("<i2").tobytes())
    partial.replace(target)


def main() -> None:
    """Speak what standard input asks for."""
    speaker = sys.argv[1]
    wanted = json.load(sys.stdin)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for spoken in [pool.submit(speak, speaker, text, Path(path)) for text, path in wanted]:
            spoken.result()


if __name__ == "__main__":
    main()
