"""Finds the audio of prompts: recordings of the Asterisk English sounds, or speech made by espeak-ng."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Final

import structlog

from ringback.call import prompts as calls
from ringback.call.prompts import Prompt
from ringback.conference import prompts as conference
from ringback.voicemail import prompts as voicemail

SOUND_FOLDERS: Final = (
    Path("/usr/share/asterisk/sounds/en_US_f_Allison"),
    Path("/usr/share/asterisk/sounds/en"),
    Path("/var/lib/asterisk/sounds/en"),
)
_ENDINGS: Final = (".g722", ".wav")
_SPEAKERS: Final = ("espeak-ng", "espeak")
PROMPTS: Final = {**calls.PROMPTS, **conference.PROMPTS, **voicemail.PROMPTS}
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
        self._find()
        missing = [prompt for name, prompt in PROMPTS.items() if name not in self._paths]
        if missing and speaker is not None:
            await self._speak(speaker, missing)
            self._find()
        silent = PROMPTS.keys() - self._paths.keys()
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

    def _find(self) -> None:
        """Look for the file of every prompt."""
        for name, prompt in PROMPTS.items():
            path = self._recording(prompt) or self._spoken(prompt)
            if path is not None:
                self._paths[name] = str(path)

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

    async def _speak(self, speaker: str, prompts: list[Prompt]) -> None:
        """Have prompts spoken into the cache, as far as that can be."""
        self._cache.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback.server.speaking", speaker),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            # Ctrl-C is meant for the server.
            start_new_session=True,
        )
        wanted = [(prompt.text, str(self._cached(prompt))) for prompt in prompts]
        await process.communicate(json.dumps(wanted).encode())
