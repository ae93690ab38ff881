"""Finds the audio of prompts: recordings of the Asterisk English sounds, or speech made by espeak-ng."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

import structlog

from ringback.conference.prompts import PROMPTS, Prompt

SOUND_FOLDERS: Final = (
    Path("/usr/share/asterisk/sounds/en_US_f_Allison"),
    Path("/usr/share/asterisk/sounds/en"),
    Path("/var/lib/asterisk/sounds/en"),
)
_ENDINGS: Final = (".g722", ".wav")
_SPEAKERS: Final = ("espeak-ng", "espeak")
_PREFIX: Final = "prompt:"
_STANDIN: Final = "tone:chime"

log = structlog.get_logger(__name__)


class PromptLibrary:
    """Turns `prompt:NAME` into the path of an audio file; prepared once at start, then only looked up."""

    def __init__(self, cache: Path, folders: tuple[Path, ...] = SOUND_FOLDERS) -> None:
        self._cache = cache
        self._folders = [folder for folder in folders if folder.is_dir()]
        self._paths: dict[str, str] = {}

    async def prepare(self) -> None:
        """Find every recording and have the missing ones spoken; what stays missing becomes a chime."""
        speaker = next((found for name in _SPEAKERS if (found := shutil.which(name))), None)
        missing = []
        for name, prompt in PROMPTS.items():
            path = self._recording(prompt) or self._spoken(prompt)
            if path is not None:
                self._paths[name] = str(path)
            else:
                missing.append((name, prompt))
        if missing and speaker is not None:
            self._cache.mkdir(parents=True, exist_ok=True)
            limit = asyncio.Semaphore(2)
            await asyncio.gather(*(self._speak(speaker, name, prompt, limit) for name, prompt in missing))
        silent = [name for name, _ in missing if name not in self._paths]
        if silent:
            log.warning(
                "some prompts are only a chime; install asterisk-core-sounds-en-g722 or espeak-ng",
                prompts=len(silent),
            )

    def resolve(self, sounds: list[str]) -> list[str]:
        """The sounds as the media engine takes them."""
        return [
            self._paths.get(sound[len(_PREFIX) :], _STANDIN) if sound.startswith(_PREFIX) else sound
            for sound in sounds
        ]

    def _recording(self, prompt: Prompt) -> Path | None:
        if prompt.recording is None:
            return None
        for folder in self._folders:
            for ending in _ENDINGS:
                path = folder / (prompt.recording + ending)
                if path.is_file():
                    return path
        return None

    def _cached(self, prompt: Prompt) -> Path:
        return self._cache / (hashlib.sha256(prompt.text.encode()).hexdigest()[:24] + ".wav")

    def _spoken(self, prompt: Prompt) -> Path | None:
        path = self._cached(prompt)
        return path if path.is_file() else None

    async def _speak(self, speaker: str, name: str, prompt: Prompt, limit: asyncio.Semaphore) -> None:
        path = self._cached(prompt)
        raw = path.with_suffix(f".{os.getpid()}.raw.wav")
        async with limit:
            process = await asyncio.create_subprocess_exec(
                speaker, "-v", "en-us", "-s", "150", "-w", str(raw), prompt.text,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            if await process.wait() == 0 and await asyncio.to_thread(_to_16_khz, raw, path):
                self._paths[name] = str(path)
        raw.unlink(missing_ok=True)


def _to_16_khz(source: Path, target: Path) -> bool:
    """Resample espeak's 22.05 kHz to 16 kHz; the file appears whole or not at all."""
    import wave  # noqa: PLC0415 - only at the very first start

    import numpy as np  # noqa: PLC0415

    try:
        with wave.open(str(source)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    except (OSError, EOFError, wave.Error):
        return False
    if not len(samples):
        return False
    # A windowed-sinc low-pass below the new Nyquist frequency, then interpolation: good enough for speech.
    taps = np.arange(-64, 65)
    cutoff = 7200 / rate
    kernel = 2 * cutoff * np.sinc(2 * cutoff * taps) * np.hanning(len(taps))
    smooth = np.convolve(samples, kernel, "same")
    at = np.arange(0, len(samples) - 1, rate / 16000)
    resampled = np.interp(at, np.arange(len(samples)), smooth)
    partial = target.with_suffix(".part")
    with wave.open(str(partial), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.clip(resampled * 0.7, -32768, 32767).astype("<i2").tobytes())
    partial.replace(target)
    return True
