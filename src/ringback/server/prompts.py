"""Finds the audio of prompts: recordings of the Asterisk English sounds, or speech made by espeak-ng."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog

from ringback.call import prompts as in_calls
from ringback.call.prompts import Prompt
from ringback.conference import prompts as in_meetings
from ringback.voicemail import prompts as in_mailboxes

SOUND_FOLDERS: Final = (
    Path("/usr/share/asterisk/sounds/en_US_f_Allison"),
    Path("/usr/share/asterisk/sounds/en"),
    Path("/var/lib/asterisk/sounds/en"),
)
_ENDINGS: Final = (".g722", ".wav")
_SPEAKERS: Final = ("espeak-ng", "espeak")
_PREFIX: Final = "prompt:"
_WORDS: Final = "words:"
_STANDIN: Final = "tone:chime"
_BATCH: Final = 20

PROMPTS: Final = {**in_calls.PROMPTS, **in_meetings.PROMPTS, **in_mailboxes.PROMPTS}

log = structlog.get_logger(__name__)


class PromptLibrary:
    """Turns `prompt:NAME` and `words:TEXT` into the path of an audio file.

    Prompts are prepared once at the start, texts that people write when they are known; both are only looked
    up when they are to be heard.
    """

    def __init__(self, cache: Path, folders: tuple[Path, ...] = SOUND_FOLDERS) -> None:
        self._cache = cache
        self._folders = [folder for folder in folders if folder.is_dir()]
        self._paths: dict[str, str] = {}
        self._words: dict[str, str] = {}
        self._tried: set[str] = set()
        self._speaking: asyncio.Task[None] | None = None
        self._waiting: list[Prompt] = []

    async def prepare(self) -> None:
        """Find every recording and have the missing ones spoken; what stays missing becomes a chime."""
        speaker = _speaker()
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
        return [self._resolved(sound) for sound in sounds]

    def _resolved(self, sound: str) -> str:
        if sound.startswith(_PREFIX):
            return self._paths.get(sound[len(_PREFIX) :], _STANDIN)
        if sound.startswith(_WORDS):
            return self._words.get(sound[len(_WORDS) :], _STANDIN)
        return sound

    def speak_later(self, texts: Iterable[str]) -> None:
        """Have texts spoken by and by; until then they are a chime. Those that were asked for before are not
        looked at again."""
        new = dict.fromkeys(text for text in texts if text not in self._tried)
        self._tried.update(new)
        for text in new:
            prompt = Prompt(text)
            path = self._spoken(prompt)
            if path is not None:
                self._words[text] = str(path)
            else:
                self._waiting.append(prompt)
        if self._waiting and (self._speaking is None or self._speaking.done()):
            self._speaking = asyncio.get_running_loop().create_task(self._speak_waiting())

    async def speak(self, texts: Iterable[str]) -> bool:
        """Have texts spoken now, and wait for that; whether all are heard as words then. What could not be
        spoken before is tried again."""
        wanted = missing = list(dict.fromkeys(texts))
        for _ in range(2):
            self.speak_later(wanted)
            while self._speaking is not None and not self._speaking.done():
                await asyncio.wait([self._speaking])
            missing = [text for text in wanted if not self.speaks(text)]
            if not missing:
                break
            self._tried.difference_update(missing)
            self._waiting = [prompt for prompt in self._waiting if prompt.text not in missing]
        return not missing

    def speaks(self, text: str) -> bool:
        """Whether a text is heard as words, and not as a chime."""
        return text in self._words

    async def stop(self) -> None:
        """Speak no more."""
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)

    async def _speak_waiting(self) -> None:
        speaker = _speaker()
        while self._waiting and speaker is not None:
            prompts, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            await self._speak(speaker, prompts)
            for prompt in prompts:
                path = self._spoken(prompt)
                if path is not None:
                    self._words[prompt.text] = str(path)
                else:
                    log.warning("words of the plan could not be spoken, and are only a chime")

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


def _speaker() -> str | None:
    """The synthesiser that there is."""
    return next((found for name in _SPEAKERS if (found := shutil.which(name))), None)
