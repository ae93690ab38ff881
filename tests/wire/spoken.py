"""Spoken words, found again in what a phone heard, whatever codec and buffer they came through."""

from __future__ import annotations

import asyncio
import hashlib
import threading
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
ENOUGH = 0.3
"""Of the pieces so many are heard: the first is often missed, and a phone's buffer stretches some."""
STRETCH_S = 1.4
"""So long is listened at a time."""
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


class Listening:
    """What was spoken, as far as it has been heard yet."""

    def __init__(self, spoken: Samples) -> None:
        size = round(PIECE_S * RATE)
        last = max(0, len(spoken) - size)
        starts = [*range(0, last, size // 2), last]
        self._pieces = [piece for start in starts if _loud(piece := spoken[start : start + size])]
        assert self._pieces, "it is silence"
        self._best = np.zeros(len(self._pieces))

    def add(self, heard: NDArray[np.floating], rate: int) -> None:
        """Look for it in what was heard; pieces that were found stay found."""
        audio = _slower(heard, rate)
        found = [correlation(audio, piece).max(initial=0.0) for piece in self._pieces]
        self._best = np.maximum(self._best, found)

    @property
    def share(self) -> float:
        """How much of it was heard, from 0 to 1."""
        return float(np.mean(self._best > ALIKE))


def check_says(
    server: RingbackServer,
    ear: Ear,
    sound: str,
    act: Callable[[], object] = lambda: None,
    *,
    patience_s: float = 15,
) -> None:
    """While `act` is done, or soon after, the ear hears this prompt, or these words."""
    listening = Listening(sound_of(server, sound))
    over = threading.Event()

    def listen() -> None:
        while not over.is_set():
            listening.add(*ear.listen(STRETCH_S))

    def listen_later() -> None:
        over.wait(STRETCH_S / 2)
        listen()

    # Stretches overlap, so that each piece is whole in one of them.
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(listen), pool.submit(listen_later)]
        try:
            act()
            deadline = time.monotonic() + patience_s
            while listening.share < ENOUGH:
                heard = f"only {listening.share:.0%} of it"
                assert time.monotonic() < deadline, f"{ear.name} does not hear {sound!r}, {heard}"
                over.wait(0.05)
        finally:
            over.set()
    for one in both:
        one.result()


def _loud(piece: Samples) -> bool:
    return bool(np.sqrt(np.mean(np.square(piece))) > QUIET)


def _slower(audio: NDArray[np.floating], rate: int) -> Samples:
    """The audio at RATE, each sample the mean of those that it replaces."""
    step = rate // RATE
    whole = len(audio) // step * step
    return np.asarray(audio[:whole], np.float32).reshape(-1, step).mean(axis=1)
