"""Spoken words, found again in what a phone heard, whatever codec and buffer they came through."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ringback.media.sounds import RATE as SOUND_RATE
from ringback.media.sounds import load
from ringback.quality.markers import correlation
from ringback.server.prompts import PromptLibrary
from tests.wire.desk_phone import Ear
from tests.wire.server import RingbackServer

RATE = 8000
PIECE_S = 0.5
QUIET = 0.01
"""Pieces whose RMS is below this are pauses, and are like anything."""
ALIKE = 0.5
"""A piece of speech that is not there is less alike to whatever is."""
ENOUGH = 0.5
"""Of the pieces so many are heard: the first is often missed, and a phone's buffer stretches some."""
MOST_S = 3.0
"""So much of what is spoken says which words they are."""
Samples = NDArray[np.float32]


def sound_of(server: RingbackServer, sound: str) -> Samples:
    """The beginning of `prompt:NAME` or `words:TEXT` as this server speaks it: float32 at RATE."""
    kind, _, text = sound.partition(":")
    if kind == "words":
        path = server.data / "prompts" / (hashlib.sha256(text.encode()).hexdigest()[:24] + ".wav")
        deadline = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < deadline, f"nobody has spoken {text!r}"
            time.sleep(0.05)
        found = str(path)
    else:
        library = PromptLibrary(server.data / "prompts")
        asyncio.run(library.prepare())
        (found,) = library.resolve([sound])
    return _slower(load(found), SOUND_RATE)[: round(MOST_S * RATE)]


def share_heard(heard: NDArray[np.floating], rate: int, spoken: Samples) -> float:
    """How much of what was spoken (at RATE) is in what was heard, from 0 to 1."""
    audio, size = _slower(heard, rate), round(PIECE_S * RATE)
    starts = range(0, max(1, len(spoken) - size + 1), size)
    pieces = [piece for start in starts if _loud(piece := spoken[start : start + size])]
    assert pieces, "it is silence"
    found = [correlation(audio, piece).max(initial=0.0) > ALIKE for piece in pieces]
    return float(np.mean(found))


def check_says(
    server: RingbackServer,
    ear: Ear,
    sound: str,
    act: Callable[[], object] = lambda: None,
    *,
    patience_s: float = 15,
) -> None:
    """After `act` the ear hears this prompt, or these words."""
    spoken = sound_of(server, sound)
    deadline = time.monotonic() + patience_s
    heard = np.zeros(0, np.float32)
    with ThreadPoolExecutor(1) as pool:
        while True:
            listening = pool.submit(ear.listen, len(spoken) / RATE + 1)
            act()
            act = _nothing
            new, rate = listening.result()
            # Words may begin in one stretch and end in the next.
            heard = np.concatenate([heard[-round(MOST_S * rate) :], new])
            share = share_heard(heard, rate, spoken)
            if share >= ENOUGH:
                return
            assert time.monotonic() < deadline, f"{ear.name} does not hear {sound!r}, only {share:.0%} of it"


def _nothing() -> None:
    pass


def _loud(piece: Samples) -> bool:
    return bool(np.sqrt(np.mean(np.square(piece))) > QUIET)


def _slower(audio: NDArray[np.floating], rate: int) -> Samples:
    """The audio at RATE, each sample the mean of those that it replaces."""
    step = rate // RATE
    whole = len(audio) // step * step
    return np.asarray(audio[:whole], np.float32).reshape(-1, step).mean(axis=1)
