"""Prompts without recordings: spoken once, kept, playable; a chime where nothing can speak."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest

from ringback.media.sounds import load
from ringback.server.prompts import PROMPTS, PromptLibrary


def files(folder: Path) -> list[Path]:
    return list((folder / "prompts").iterdir())


async def test_every_prompt_is_spoken_once_and_can_be_played(tmp_path: Path) -> None:
    if not (shutil.which("espeak-ng") or shutil.which("espeak")):
        pytest.skip("espeak-ng is not installed")
    library = PromptLibrary(tmp_path / "prompts", folders=())
    await library.prepare()
    paths = [Path(path) for path in library.resolve([f"prompt:{name}" for name in PROMPTS])]
    assert {path.suffix for path in paths} == {".wav"}
    assert set(paths) == set(files(tmp_path))
    assert len(set(paths)) == len(PROMPTS)
    for path in paths:
        level = 10 * np.log10(np.mean(load(path) ** 2))
        assert -35 < level < -12
    made = {path: path.stat().st_mtime_ns for path in paths}
    again = PromptLibrary(tmp_path / "prompts", folders=())
    await again.prepare()
    assert {path: path.stat().st_mtime_ns for path in paths} == made


async def test_without_a_voice_a_prompt_is_a_chime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    library = PromptLibrary(tmp_path / "prompts", folders=())
    await library.prepare()
    assert library.resolve(["prompt:enter-pin", "tone:busy"]) == ["tone:chime", "tone:busy"]


async def test_a_failing_voice_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mute = tmp_path / "espeak-ng"
    mute.write_text("#!/bin/sh\nexit 1\n")
    mute.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    library = PromptLibrary(tmp_path / "prompts", folders=())
    await library.prepare()
    assert library.resolve(["prompt:enter-pin"]) == ["tone:chime"]
    assert files(tmp_path) == []


@pytest.mark.skipif(not (shutil.which("espeak-ng") or shutil.which("espeak")), reason="nobody speaks here")
async def test_who_has_words_spoken_waits_until_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = PromptLibrary(tmp_path / "prompts", folders=())
    library.speak_later(["One."])
    assert await library.speak(["One.", "Two."])
    assert library.speaks("One.")
    assert library.speaks("Two.")
    monkeypatch.setattr("ringback.server.prompts._SPEAKERS", ("no-such-program",))
    assert not await library.speak(["One.", "Three."])
    monkeypatch.undo()
    assert await library.speak(["Three."]), "what could not be spoken is tried again"
    await library.stop()


async def test_words_that_look_like_an_option_are_words(tmp_path: Path) -> None:
    """`-w FILE` would write over a file of ours, `-f FILE` would read one out."""
    if not (shutil.which("espeak-ng") or shutil.which("espeak")):
        pytest.skip("espeak-ng is not installed")
    precious = tmp_path / "vault.key"
    precious.write_text("precious")
    texts = [f"-w{precious}", f"-f{precious}", "--version", "- Good morning -"]
    library = PromptLibrary(tmp_path / "prompts", folders=())
    library.speak_later(texts)
    async with asyncio.timeout(30):
        while not all(library.speaks(text) for text in texts):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await library.stop()
    assert precious.read_text() == "precious"
    for path in library.resolve([f"words:{text}" for text in texts]):
        assert np.sqrt(np.mean(load(Path(path)) ** 2)) > 0.01, "something is heard"
