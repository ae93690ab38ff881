"""Settings of features, words that are spoken by and by, music that can be used, and what the API shows."""

from __future__ import annotations

import asyncio
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from ringback.config import Settings, SettingsError, load_settings
from ringback.media.playing import SoundShelf
from ringback.server.preflight import UnusableSettingError, check_settings
from ringback.server.prompts import PromptLibrary


def settings(tmp_path: Path, **calling: str) -> Settings:
    environ = {f"RINGBACK_CALLING__{name.upper()}": value for name, value in calling.items()}
    return load_settings(environ=environ, data_dir=tmp_path / "data")


def test_slots_and_keys_as_they_are_set(tmp_path: Path) -> None:
    calling = settings(tmp_path).calling
    assert calling.slots == tuple(str(number) for number in range(701, 721))
    assert calling.sequences["blind_transfer"] == "##"
    assert {"600", "700", "701", "720"} < settings(tmp_path).reserved_numbers
    calling = settings(tmp_path, park_slots="81-83", hold_keys="", park_keys="*1").calling
    assert calling.slots == ("81", "82", "83")
    assert (calling.sequences["hold"], calling.sequences["park"]) == ("", "*1")
    assert settings(tmp_path, park_slots="").calling.slots == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"park_slots": "701"}, "two numbers of the same length"),
        ({"park_slots": "720-701"}, "ascending"),
        ({"park_slots": "10-9999"}, "the same length"),
        ({"park_slots": "695-705"}, "a service number already"),
        ({"hold_keys": "*2"}, "do one thing each"),
        ({"hold_keys": "A"}, "up to 6 keys"),
        ({"keys_wait_s": "60"}, "keys_wait_s"),
        ({"pickup": "nobody"}, "pickup"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(tmp_path, **given)


def written(path: Path, rate: int = 16_000, channels: int = 1, seconds: float = 1.0) -> Path:
    sound = 3000 * np.sin(np.arange(int(rate * seconds) * channels) / 5)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(sound.astype("<i2").tobytes())
    return path


def test_music_that_cannot_be_played_is_refused_before_the_start(tmp_path: Path) -> None:
    good = written(tmp_path / "good.wav", 8000)
    check_settings(settings(tmp_path, music=str(good)))
    text = tmp_path / "text.wav"
    text.write_text("la la la")
    for path, said in (
        (tmp_path / "none.wav", "No such file"),
        (text, "no PCM WAV file"),
        (written(tmp_path / "stereo.wav", channels=2), "2 channels"),
        (written(tmp_path / "cd.wav", 44_100), "44100 Hz"),
        (written(tmp_path / "long.wav", seconds=400), "larger than 10 MB"),
    ):
        with pytest.raises(UnusableSettingError, match=said):
            check_settings(settings(tmp_path, music=str(path)))


def test_own_music_has_no_end_and_is_read_once(tmp_path: Path) -> None:
    path = written(tmp_path / "own.wav")
    shelf = SoundShelf(str(path))
    shelf.prepare()
    path.unlink()
    sound = shelf.get("music")
    assert sound.endless
    assert len(sound.wide) == 16_000
    assert SoundShelf().get("music").source is not sound.source


async def test_words_are_a_chime_until_they_are_spoken(tmp_path: Path) -> None:
    if not (shutil.which("espeak-ng") or shutil.which("espeak")):
        pytest.fail("espeak-ng is missing: scripts/setup test installs it")
    library = PromptLibrary(tmp_path / "prompts")
    library.speak_later(["We are closed.", "We are open."])
    assert library.resolve(["words:We are closed."]) == ["tone:chime"]
    for _ in range(300):
        if library.resolve(["words:We are open."]) != ["tone:chime"]:
            break
        await asyncio.sleep(0.05)
    (path,) = library.resolve(["words:We are closed."])
    assert path.endswith(".wav")
    await library.stop()
    # Another start finds them where they are.
    again = PromptLibrary(tmp_path / "prompts")
    again.speak_later(["We are closed."])
    assert again.resolve(["words:We are closed."]) == [path]
    await again.stop()
