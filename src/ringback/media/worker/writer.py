"""The process that writes recordings: the only one that a slow or full disk can make wait.

It reads what an engine put into shared memory and writes a file a track, all of one length. Once a second of
audio everything is handed to the kernel, so that whatever happens leaves files that can be read. The key of
what is sealed comes by that memory, too, and is nowhere else.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from ringback.media.recorded import (
    AUDIO,
    CHUNK,
    COMMAND,
    CONSUMED,
    ENDED,
    FAILED,
    FRAMES,
    MIX,
    OPTIONS,
    REPLY,
    SAMPLE_BYTES,
    START,
    STARTED,
    STOP,
    TRACK,
)
from ringback.media.worker.track import SealedTrack, Track, WavTrack

TICKS_A_SECOND = 50
FLUSH_TICKS = TICKS_A_SECOND
READ_CHUNKS = 64


class Recording:
    """The tracks of one recording; all begin with its first tick. Sealed where `key` is not empty."""

    def __init__(
        self, folder: Path, rate: int, tick: int, *, tracks: bool = True, voice: str = "", key: bytes = b""
    ) -> None:
        """Make the folder, unless it is there, and the mix in it; raises OSError. Without `tracks` that is
        all.
        """
        self._folder = folder
        self._rate = rate
        self._with_tracks = tracks
        self._voice = voice
        self._key = key
        self._first = tick
        self._frame_bytes = SAMPLE_BYTES * rate // TICKS_A_SECOND
        self._settled = tick
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._whole = True
        self._tracks: dict[int, Track] = {MIX: self._made("mix")}

    def _made(self, name: str) -> Track:
        if self._key:
            return SealedTrack(self._folder / f"{name}.rbv", self._voice, self._key)
        return WavTrack(self._folder / f"{name}.wav", self._rate)

    @property
    def ticks(self) -> int:
        """Of audio that are safe in the files."""
        return self._settled - self._first

    def track(self, leg: int) -> None:
        """Begin a leg's track; raises OSError."""
        if leg not in self._tracks and self._with_tracks:
            self._tracks[leg] = self._made(f"leg-{leg}")
            self._tracks[leg].settle(self.ticks * self._frame_bytes)

    def put(self, track: int, tick: int, samples: memoryview) -> None:
        """Take a frame; raises OSError."""
        self.track(track)
        if track in self._tracks:
            self._tracks[track].put(samples, (tick - self._first) * self._frame_bytes)

    def advance(self, tick: int) -> None:
        """All of the ticks before this one has come; raises OSError."""
        if tick - self._settled >= FLUSH_TICKS:
            self._settle(tick)

    def end(self, tick: int) -> None:
        """Bring everything into the files; raises OSError."""
        self._settle(tick)

    def close(self) -> None:
        """Close the files, all with what had been brought into them last."""
        for track in self._tracks.values():
            with contextlib.suppress(OSError):
                track.settle(self.ticks * self._frame_bytes)
            track.close(whole=self._whole)
        self._tracks.clear()

    def _settle(self, tick: int) -> None:
        self._whole = False
        for track in self._tracks.values():
            track.flush()
        for track in self._tracks.values():
            track.settle((tick - self._first) * self._frame_bytes)
        self._settled = tick
        self._whole = True


class Writer:
    """Carries out messages; `reply(kind, recording, one, other)` is told what came of them."""

    def __init__(self, reply: Callable[[int, int, int, int], None]) -> None:
        self._reply = reply
        self._recordings: dict[int, Recording] = {}
        self._last_tick = 0

    def take(self, message: memoryview) -> None:
        """Carry out one message."""
        kind, number, one, other = COMMAND.unpack_from(message)
        if kind == AUDIO:
            self._audio(message, number, one, other)
        elif kind == START:
            self._start(number, one, other, bytes(message[COMMAND.size :]))
        elif number in self._recordings:
            recording = self._recordings[number]
            try:
                if kind == TRACK:
                    recording.track(one)
                elif kind == STOP:
                    recording.end(one)
                    self._end(number, 0)
            except OSError as error:
                self._end(number, error.errno or errno.EIO)

    def close(self) -> None:
        """The engine is gone: bring what has come into the files."""
        for number, recording in list(self._recordings.items()):
            code = 0
            try:
                recording.end(self._last_tick)
            except OSError as error:
                code = error.errno or errno.EIO
            self._end(number, code)

    def _start(self, number: int, tick: int, rate: int, rest: bytes) -> None:
        tracks, sealed, voice, key = OPTIONS.unpack_from(rest)
        folder = Path(rest[OPTIONS.size :].decode())
        try:
            self._recordings[number] = Recording(
                folder, rate, tick, tracks=tracks, voice=voice.decode(), key=key if sealed else b""
            )
        except OSError as error:
            self._reply(FAILED, number, error.errno or errno.EIO, 0)
        else:
            self._reply(STARTED, number, 0, 0)

    def _audio(self, message: memoryview, rows: int, tick: int, width: int) -> None:
        numbers = message[FRAMES.size : FRAMES.size + 4 * rows].cast("I")
        tracks = message[FRAMES.size + 4 * rows : FRAMES.size + 12 * rows].cast("q")
        size = SAMPLE_BYTES * width
        at = FRAMES.size + 12 * rows
        for number, track in zip(numbers, tracks, strict=True):
            recording = self._recordings.get(number)
            if recording is not None:
                try:
                    recording.put(track, tick, message[at : at + size])
                except OSError as error:
                    self._end(number, error.errno or errno.EIO)
            at += size
        self._last_tick = tick + 1
        for number, recording in list(self._recordings.items()):
            try:
                recording.advance(tick + 1)
            except OSError as error:
                self._end(number, error.errno or errno.EIO)

    def _end(self, number: int, code: int) -> None:
        recording = self._recordings.pop(number)
        recording.close()
        self._reply(ENDED, number, code, recording.ticks)


def run(chunks: int, replies: int, memory: int, size: int) -> None:
    """Write until the other end of `chunks` is closed. All three are descriptors."""

    def reply(kind: int, number: int, one: int, other: int) -> None:
        with contextlib.suppress(OSError):
            os.write(replies, REPLY.pack(kind, number, one, other))

    writer = Writer(reply)
    done = 0
    with mmap.mmap(memory, size, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
        while data := os.read(chunks, READ_CHUNKS * CHUNK.size):
            for start, length in CHUNK.iter_unpack(data):
                with view[start % size : start % size + length] as message:
                    writer.take(message)
                done = start + length
            reply(CONSUMED, 0, done, 0)
        writer.close()


def main() -> None:
    """`python -m ringback.media.worker.writer CHUNKS REPLIES MEMORY SIZE`"""
    # When to end is said by the end of the pipe, also when the terminal or the system ends all others.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    os.umask(0o077)
    run(*(int(argument) for argument in sys.argv[1:5]))


if __name__ == "__main__":
    main()
