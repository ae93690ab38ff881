"""Streams played to a leg: the samples asked for, without a gap or a click, at both rates."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.media.streamed import AHEAD_S, PATIENCE_TICKS, StreamedPlayback


class Source:
    """A stream in memory that answers what it is asked, `piece` samples at a time."""

    def __init__(self, samples: np.ndarray, piece: int) -> None:
        self.pcm = np.rint(samples * 32767).astype("<i2")
        self.piece = piece
        self.asked: list[int] = []
        self.given = 0

    def answer(self, playback: StreamedPlayback) -> None:
        while self.given < len(self.asked):
            at = self.asked[self.given]
            self.given += 1
            end = at + self.piece
            playback.take(at, self.pcm[at:end].tobytes(), end >= len(self.pcm))


def sine(rate: int, seconds: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("wide", [False, True])
def test_pieces_are_joined_without_a_click(rate: int, wide: bool) -> None:
    source = Source(sine(rate, 5), 3000)
    playback = StreamedPlayback(source.asked.append, play=1, rate=rate)
    frames = []
    while not playback.finished:
        source.answer(playback)
        frames.append(playback.next_frame(wide))
    heard = np.concatenate(frames)
    width = 16000 if wide else 8000
    assert len(heard) == 5 * width
    # A sine bends by no more than this; what is cut or doubled does.
    bend = np.abs(np.diff(heard[200:-200], 2)).max()
    assert bend < 1.05 * 0.5 * (2 * np.pi * 440 / width) ** 2 + 2e-4
    assert np.sqrt(np.mean(heard[400:-400] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_no_more_is_asked_for_than_is_about_to_be_played() -> None:
    source = Source(sine(8000, 60), 8000)
    playback = StreamedPlayback(source.asked.append, play=1, rate=8000)
    source.answer(playback)
    assert source.asked == [8000 * second for second in range(AHEAD_S)]
    for _ in range(50):
        playback.next_frame(False)
    source.answer(playback)
    assert source.asked[-1] == 8000 * AHEAD_S


def test_what_comes_late_is_played_late_and_what_never_comes_ends() -> None:
    source = Source(sine(8000, 1), 8000)
    playback = StreamedPlayback(source.asked.append, play=1, rate=8000)
    assert not playback.next_frame(False).any()
    assert playback.played_ms == 0
    source.answer(playback)
    assert playback.next_frame(False).any()
    silent = StreamedPlayback(source.asked.append, play=2, rate=8000)
    for _ in range(PATIENCE_TICKS):
        assert not silent.finished
        silent.next_frame(False)
    assert silent.finished


def test_a_stream_goes_on_where_another_worker_left_it() -> None:
    asked: list[int] = []
    playback = StreamedPlayback(asked.append, play=1, rate=16000, from_ms=1500)
    assert asked == [24000]
    assert playback.played_ms == 1500
    # What belongs to another place is not taken.
    playback.take(0, b"\1\1" * 320, last=False)
    assert not playback.next_frame(True).any()
