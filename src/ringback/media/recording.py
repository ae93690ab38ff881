"""Recording of rooms: a track a leg and the mix, all of one clock, given to a writer that cannot delay us.

A track is what was heard of its leg in the room (muted or refusing: silence); the mix is the sum of the
tracks and of what was played to the room.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ringback.media.columns import Bools, Column, Columns, Floats, Longs
from ringback.media.legs import Legs
from ringback.media.mix import limit, sum_by_room
from ringback.media.protocol import (
    Event,
    RecordingEnded,
    RecordingEndReason,
    RecordingFailed,
    RecordingStarted,
    StartRecording,
)
from ringback.media.recorded import (
    AUDIO,
    COMMAND,
    ENDED,
    FAILED,
    FRAMES,
    MIX,
    OPTIONS,
    START,
    STARTED,
    STOP,
    TRACK,
)
from ringback.media.resample import DOWN2_TAIL, UP2_TAIL, down2, up2
from ringback.media.rooms import Rooms
from ringback.media.voice_rows import Voices

NARROW_RATE, WIDE_RATE = 8000, 16000
MAX_DROPPED_TICKS = 250
"""When so much (5 s) of a recording could not be given to the writer, it is ended."""

_KEY_BYTES, _VOICE_BYTES = 32, 16
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WORDS = {
    errno.EEXIST: "a file of that name is there already",
    errno.EACCES: "the folder may not be written to",
    errno.EROFS: "the disk may not be written to",
    errno.ENOTDIR: "the folder is no folder",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
}

Part = bytes | memoryview


class Recorder(Protocol):
    """Who writes: see worker.recorder. No method waits."""

    def start(self) -> None:
        """Be ready to take messages; raises OSError."""

    def put(self, parts: Sequence[Part]) -> bool:
        """Take a message (see media.recorded); False, and nothing taken, when there is no room."""

    def replies(self) -> list[tuple[int, int, int, int]] | None:
        """What was replied since this was last asked; None when the writer is gone."""

    def abandon(self) -> None:
        """Give up what was not written."""


@dataclass(slots=True)
class _Running:
    recording: int
    room: int
    room_identifier: int
    rate: int
    tracks: bool
    legs: set[int] = field(default_factory=set)
    dropped: int = 0
    reason: RecordingEndReason | None = None


class _Tails(Columns):
    SPEC: ClassVar[dict[str, Column]] = {
        "up": Column(np.float32, (UP2_TAIL,)),
        "down": Column(np.float32, (DOWN2_TAIL,)),
        "sounded": Column(np.bool_),
    }
    up: Floats
    down: Floats
    sounded: Bools


class Recordings:
    """What is recorded now, by recording; `active` is whether anything has to be done in a tick."""

    def __init__(self, legs: Legs, rooms: Rooms, recorder: Recorder | None, events: list[Event]) -> None:
        self._legs = legs
        self._rooms = rooms
        self._recorder = recorder
        self._events = events
        self._running: dict[int, _Running] = {}
        self._unsent: deque[bytes] = deque()
        self._tails: _Tails | None = None
        self._stale = False
        self.active = False

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        if self._tails is not None:
            self._tails.grow(capacity)

    def changed(self) -> None:
        """Somebody came, went, or changed whether to be recorded."""
        self._stale = True

    # Commands

    def start(self, command: StartRecording, room: int | None, tick: int) -> None:
        """Begin to record a room, given as its row; told by RecordingStarted or RecordingFailed."""
        reason = None
        if room is None:
            reason = "no such room"
        elif not command.folder.startswith("/"):
            reason = "the folder is to be named in full"
        elif command.key and (len(command.key), len(command.voice.encode())) != (_KEY_BYTES, _VOICE_BYTES):
            reason = "key or name of the voice have another length"
        elif command.recording in self._running:
            reason = "this recording is running already"
        elif any(one.room == room and one.reason is None for one in self._running.values()):
            reason = "this room is recorded already"
        elif self._recorder is None:
            reason = "this worker cannot record"
        else:
            try:
                self._recorder.start()
            except OSError as error:
                reason = _words(error.errno or 0)
        if reason is not None or room is None:
            self._events.append(RecordingFailed(recording=command.recording, reason=reason or ""))
            return
        if self._tails is None:
            self._tails = _Tails(self._legs.capacity)
        self._running[command.recording] = _Running(
            command.recording, room, command.room, command.rate, command.tracks
        )
        head = COMMAND.pack(START, command.recording, tick, command.rate)
        options = OPTIONS.pack(command.tracks, bool(command.key), command.voice.encode(), command.key)
        self._unsent.append(head + options + command.folder.encode())
        self.active = self._stale = True

    def stop(self, recording: int, tick: int) -> bool:
        """End a recording; False if there is none. RecordingEnded comes when its files are complete."""
        running = self._running.get(recording)
        if running is None:
            return False
        self._end(running, "stopped", tick)
        return True

    def _end(self, running: _Running, reason: RecordingEndReason, tick: int) -> None:
        if running.reason is None:
            running.reason = reason
            self._unsent.append(COMMAND.pack(STOP, running.recording, tick, 0))

    # A tick

    def step(self, narrow: Voices, wide: Voices, sounds: dict[int, tuple[Floats, Floats]], tick: int) -> None:
        """Record a tick: the voices heard in the rooms, and what is played to each room at 8 and 16 kHz."""
        assert self._recorder is not None
        self._hear_replies()
        if self._stale:
            self._look_around(tick)
        while self._unsent and self._recorder.put((self._unsent[0],)):
            self._unsent.popleft()
        for rate in sorted({one.rate for one in self._running.values() if one.reason is None}):
            self._record(rate, narrow, wide, sounds, tick)
        if any(one.dropped >= MAX_DROPPED_TICKS for one in self._running.values()):
            self._give_up("disk_slow")
        self.active = bool(self._running)

    def _look_around(self, tick: int) -> None:
        """Give new legs their tracks, and end the recordings of rooms that are gone."""
        self._stale = False
        assert self._tails is not None
        legs = self._legs
        anywhere = np.zeros(legs.capacity, np.bool_)
        for running in self._running.values():
            if running.reason is not None:
                continue
            if self._rooms.slots.get(running.room_identifier) != running.room:
                self._end(running, "room_ended", tick)
                continue
            inside = (legs.room == running.room) & legs.recorded
            anywhere |= inside
            here = np.flatnonzero(inside)
            for leg in sorted(set(legs.identifier[here].tolist()) - running.legs):
                running.legs.add(leg)
                if running.tracks:
                    self._unsent.append(COMMAND.pack(TRACK, running.recording, leg, 0))
        self._tails.sounded &= anywhere

    def _record(
        self, rate: int, narrow: Voices, wide: Voices, sounds: dict[int, tuple[Floats, Floats]], tick: int
    ) -> None:
        assert self._recorder is not None
        chosen = [one for one in self._running.values() if one.rate == rate and one.reason is None]
        place = np.full(self._rooms.capacity + 1, -1, np.int64)
        for i, running in enumerate(chosen):
            place[running.room] = i
        legs, samples = self._tracks(rate, narrow, wide, place)
        at = place[self._legs.room[legs]]
        order = np.argsort(at, kind="stable")
        legs, samples, at = legs[order], samples[order], at[order]
        mix = sum_by_room(samples, at, len(chosen))
        sounding = np.zeros(len(chosen), np.bool_)
        sounding[at] = True
        for room, (low, high) in sounds.items():
            if place[room] >= 0:
                mix[place[room]] += high if rate == WIDE_RATE else low
                sounding[place[room]] = True
        live = np.flatnonzero(sounding)
        rows = np.concatenate((samples, limit(mix[live])))
        numbers = np.array([one.recording for one in chosen], np.uint32)[np.concatenate((at, live))]
        tracks = np.concatenate((self._legs.identifier[legs], np.full(len(live), MIX)))
        message = (
            FRAMES.pack(AUDIO, len(rows), tick, rate // 50),
            numbers.tobytes(),
            tracks.tobytes(),
            _pcm(rows).tobytes(),
        )
        # What is before it in the queue must not be passed.
        if self._unsent or not self._recorder.put(message):
            for running in chosen:
                running.dropped += 1

    def _tracks(self, rate: int, narrow: Voices, wide: Voices, place: Longs) -> tuple[Longs, Floats]:
        """Legs int64[k] and their frames float32[k, m] at one rate, of those that sound in a recording."""
        assert self._tails is not None
        own, other = (wide, narrow) if rate == WIDE_RATE else (narrow, wide)
        recorded = (place[self._legs.room] >= 0) & self._legs.recorded
        mine = np.flatnonzero(own.heard & recorded[own.legs])
        legs, samples = own.legs[mine], own.samples[mine].reshape(-1, rate // 50)
        theirs = np.flatnonzero(other.heard & recorded[other.legs])
        if not len(theirs) and not self._tails.sounded.any():
            return legs, samples
        more, frames = self._converted(rate, other.legs[theirs], other.samples[theirs], recorded)
        return np.concatenate((legs, more)), np.concatenate((samples, frames))

    def _converted(self, rate: int, legs: Longs, samples: Floats, recorded: Bools) -> tuple[Longs, Floats]:
        """Voices of the other rate at this one; those that have ended once more, for the filter rings."""
        tails = self._tails
        assert tails is not None
        width = NARROW_RATE // 50 if rate == WIDE_RATE else WIDE_RATE // 50
        samples = samples.reshape(-1, width)
        tail = tails.up if rate == WIDE_RATE else tails.down
        tail[legs[~tails.sounded[legs]]] = 0
        ringing = tails.sounded & recorded
        ringing[legs] = False
        ended = np.flatnonzero(ringing)
        tails.sounded[recorded] = False
        tails.sounded[legs] = True
        legs = np.concatenate((legs, ended))
        samples = np.concatenate((samples, np.zeros((len(ended), width), np.float32)))
        convert = up2 if rate == WIDE_RATE else down2
        frames, tail[legs] = convert(samples, tail[legs])
        return legs, frames

    # Replies

    def _hear_replies(self) -> None:
        assert self._recorder is not None
        replies = self._recorder.replies()
        if replies is None:
            self._give_up("failed")
            return
        for kind, recording, one, other in replies:
            if kind == STARTED:
                self._events.append(RecordingStarted(recording=recording))
            elif kind == FAILED:
                del self._running[recording]
                self._events.append(RecordingFailed(recording=recording, reason=_words(one)))
            elif kind == ENDED:
                running = self._running.pop(recording)
                reason = running.reason
                if one:
                    reason = "disk_full" if one in _FULL else "failed"
                self._tell_end(running, reason or "failed", other)

    def _give_up(self, reason: RecordingEndReason) -> None:
        """The writer is gone or stuck: what is in the files is what there is."""
        assert self._recorder is not None
        self._recorder.abandon()
        self._unsent.clear()
        for running in list(self._running.values()):
            self._tell_end(running, reason, None)
        self._running.clear()

    def _tell_end(self, running: _Running, reason: RecordingEndReason, ticks: int | None) -> None:
        self._events.append(
            RecordingEnded(
                recording=running.recording,
                reason=reason,
                frames=ticks,
                dropped_frames=running.dropped,
                legs=sorted(running.legs),
            )
        )


def _words(code: int) -> str:
    return _WORDS.get(code, "the files could not be made")


def _pcm(rows: Floats) -> NDArray[np.int16]:
    """Samples as 16-bit numbers."""
    pcm: NDArray[np.int16] = np.clip(np.rint(rows * np.float32(32768)), -32768, 32767).astype("<i2")
    return pcm
