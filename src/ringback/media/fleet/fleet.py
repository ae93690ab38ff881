"""All workers together look like one: a command finds the worker that has its leg; sans-IO.

A leg that is on its way between workers is commanded all the same: what is of effect for long is noted in its
record, from which the next worker is told, and what would be answered at once is answered here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from ringback.media.fleet.journal import LegRecord
from ringback.media.fleet.roster import Roster, Workers
from ringback.media.protocol import (
    CloseLeg,
    Command,
    CommandFailed,
    Event,
    JoinRoom,
    KeysAgreed,
    LeaveRoom,
    LegClosed,
    LegOpened,
    LegsReleased,
    LegTotals,
    MediaLost,
    Monitor,
    OpenLeg,
    PairClosed,
    Play,
    PlayEnded,
    PlayToRoom,
    RecordingEnded,
    RecordingFailed,
    SendDigits,
    SetMedia,
    SetVoice,
    SourceLearnt,
    StartRecording,
    Statistics,
    StopPlay,
    StopRecording,
    StopRoomPlay,
    Whisper,
)
from ringback.media.stream_messages import PlayStream, StreamSamples


class Fleet:
    """Commands go in, and events of the workers; none runs before `roster.started`."""

    def __init__(self, workers: Workers, size: int, now: float) -> None:
        self.roster = Roster(workers, size, now)
        self._workers = workers
        self._one = size == 1
        self._recorded: dict[int, int] = {}
        """The room of each recording."""
        self._commands: dict[type, Callable[[Any, float], None]] = {
            OpenLeg: self._open,
            SetMedia: self._set_media,
            CloseLeg: self._close,
            JoinRoom: self._join,
            LeaveRoom: self._leave,
            SetVoice: self._voice,
            Play: self._play,
            PlayStream: self._play,
            StreamSamples: self._stream,
            StopPlay: self._stop_play,
            PlayToRoom: self._play_to_room,
            StopRoomPlay: self._stop_room_play,
            SendDigits: self._send_digits,
            Monitor: self._feed,
            Whisper: self._feed,
            StartRecording: self._start_recording,
            StopRecording: self._stop_recording,
        }
        self._events: dict[type, Callable[[int, Any, float], Event | None]] = {
            LegOpened: self._opened,
            CommandFailed: self._failed,
            SourceLearnt: self._learnt,
            KeysAgreed: self._agreed,
            MediaLost: self._media_lost,
            PlayEnded: self._play_ended,
            Statistics: self._measured,
            LegsReleased: self._released,
            PairClosed: self._pair_closed,
            RecordingFailed: self._recording_over,
            RecordingEnded: self._recording_over,
        }

    # Commands

    def command(self, command: Command, now: float) -> None:
        """Take a command of the control process, and pass it on to where it belongs."""
        self._commands[type(command)](command, now)

    def _open(self, command: OpenLeg, now: float) -> None:
        roster = self.roster
        if not roster.up and not roster.waits(now):
            self._refuse(command, "no media worker runs")
            return
        record = LegRecord(command.leg, command, roster.group_for(command.group))
        roster.add(record)
        if command.group != record.group.id:
            command = msgspec.structs.replace(command, group=record.group.id)
        self._send(record, command)

    def _set_media(self, command: SetMedia, now: float) -> None:
        record = self._record(command)
        if record is not None:
            weight = record.weight
            record.set_media(command)
            self.roster.reweigh(record, weight)
            self._send(record, command)

    def _close(self, command: CloseLeg, now: float) -> None:
        record = self.roster.legs.get(command.leg)
        if record is None:
            return
        if not self._send(record, command):
            # What was counted of it was told when its worker let it go.
            self._workers.tell(LegClosed(leg=command.leg, totals=LegTotals()))
        self.roster.remove(record)

    def _join(self, command: JoinRoom, now: float) -> None:
        record = self._record(command)
        if record is not None:
            record.room = command.room
            self.roster.joins(record, command.room)
            self._send(record, command)

    def _leave(self, command: LeaveRoom, now: float) -> None:
        record = self._record(command)
        if record is not None:
            record.room = None
            self._send(record, command)

    def _voice(self, command: SetVoice, now: float) -> None:
        record = self._record(command)
        if record is not None:
            record.voice = command
            self._send(record, command)

    def _play(self, command: Play | PlayStream, now: float) -> None:
        record = self._record(command)
        if record is not None:
            self._end_play(record, "replaced", self._send(record, command))
            record.play = command

    def _stream(self, command: StreamSamples, now: float) -> None:
        record = self.roster.legs.get(command.leg)
        if record is not None:
            # While it is on its way nobody takes them: the next worker asks anew.
            self._send(record, command)

    def _stop_play(self, command: StopPlay, now: float) -> None:
        record = self._record(command)
        if record is not None:
            self._end_play(record, "stopped", self._send(record, command))
            record.play = None

    def _end_play(self, record: LegRecord, reason: Literal["replaced", "stopped"], sent: bool) -> None:
        """What was played to a leg ends: its worker will say so, or we do where none has the leg."""
        for ended in record.end_play(reason):
            if sent:
                record.ending.append(ended)
            else:
                self._workers.tell(ended)

    def _play_to_room(self, command: PlayToRoom, now: float) -> None:
        group = self.roster.group_of_room(command.room)
        if group is None:
            self._refuse(command, "no such room")
        elif group.moving:
            group.play_later(command)
        elif group.home is not None:
            self._workers.send(group.home, command)

    def _stop_room_play(self, command: StopRoomPlay, now: float) -> None:
        group = self.roster.group_of_room(command.room)
        if group is not None and group.home is not None:
            group.later = [later for later in group.later if later.play != command.play]
            self._workers.send(group.home, command)

    def _feed(self, command: Monitor | Whisper, now: float) -> None:
        record = self._record(command)
        if record is None:
            return
        other = None if command.target is None else self.roster.legs.get(command.target)
        if other is not None and other.at != record.at:
            self._refuse(command, "the other leg is with another worker")
        elif not self._send(record, command):
            self._refuse(command, "the leg is on its way to another worker")

    def _start_recording(self, command: StartRecording, now: float) -> None:
        group = self.roster.group_of_room(command.room)
        if group is None or group.home is None or group.moving:
            reason = "no such room" if group is None else "the room is on its way to another worker"
            self._workers.tell(RecordingFailed(recording=command.recording, reason=reason))
            return
        group.recordings.add(command.recording)
        self._recorded[command.recording] = command.room
        self._workers.send(group.home, command)

    def _stop_recording(self, command: StopRecording, now: float) -> None:
        group = self.roster.group_of_room(self._recorded.get(command.recording, 0))
        if group is not None and group.home is not None:
            self._workers.send(group.home, command)

    def _send_digits(self, command: SendDigits, now: float) -> None:
        record = self._record(command)
        if record is not None and not self._send(record, command):
            self._refuse(command, "the leg is on its way to another worker")

    def _record(self, command: Any) -> LegRecord | None:
        record = self.roster.legs.get(command.leg)
        if record is None:
            self._refuse(command, "no such leg")
        return record

    def _send(self, record: LegRecord, command: Command) -> bool:
        """Pass a command on to the worker that has the leg; False while it is on its way to one."""
        at = record.at
        if at is None or at != record.group.home or record.leaving:
            return False
        self._workers.send(at, command)
        return True

    def _refuse(self, command: Any, reason: str) -> None:
        self._workers.tell(
            CommandFailed(command=type(command).__name__, leg=getattr(command, "leg", None), reason=reason)
        )

    # Events

    def event(self, worker: int, event: Event, now: float) -> Event | None:
        """Take an event of a worker; returns what the control process is to hear of it."""
        act = self._events.get(type(event))
        return event if act is None else act(worker, event, now)

    def _opened(self, worker: int, event: LegOpened, now: float) -> Event | None:
        record = self.roster.on[worker].get(event.leg)
        if record is None or record.rtp_port:
            # It is over already, or it goes on: nobody need know.
            return None
        self.roster.opened(record, (event.rtp_port, event.rtcp_port))
        return event

    def _failed(self, worker: int, event: CommandFailed, now: float) -> Event | None:
        record = self.roster.on[worker].get(event.leg if event.leg is not None else -1)
        if event.command == "AdoptLeg":
            if record is not None:
                self.roster.remove(record)
                self._workers.lost([record.leg])
            return None
        if event.command == "OpenLeg" and record is not None:
            self.roster.remove(record)
        return event

    def _learnt(self, worker: int, event: SourceLearnt, now: float) -> Event | None:
        record = self.roster.on[worker].get(event.leg)
        if record is not None:
            record.source = (event.host, event.port) if event.port else None
        return event

    def _agreed(self, worker: int, event: KeysAgreed, now: float) -> Event | None:
        record = self.roster.on[worker].get(event.leg)
        if record is not None:
            record.keys = event.keys
        return None

    def _media_lost(self, worker: int, event: MediaLost, now: float) -> Event | None:
        record = self.roster.on[worker].get(event.leg)
        if record is not None:
            record.source = None
        return event

    def _play_ended(self, worker: int, event: PlayEnded, now: float) -> Event | None:
        record = self.roster.on[worker].get(event.leg)
        if record is not None:
            if record.play is not None and record.play.play == event.play:
                record.play = None
            if record.ending:
                record.ending = [ended for ended in record.ending if ended.play != event.play]
        return event

    def _measured(self, worker: int, event: Statistics, now: float) -> Event | None:
        here = self.roster.on[worker]
        for leg, heard in event.heard.items():
            if leg in here:
                here[leg].heard = heard
        self.roster.placement.note(worker, event.busy_fraction)
        if not self._one:
            self.roster.relieve(now)
        return event

    def _released(self, worker: int, event: LegsReleased, now: float) -> Event | None:
        self.roster.released(worker, event)
        return event

    def _pair_closed(self, worker: int, event: PairClosed, now: float) -> Event | None:
        self.roster.pair_closed(worker, event.rtp_port)
        return None

    def _recording_over(
        self, worker: int, event: RecordingFailed | RecordingEnded, now: float
    ) -> Event | None:
        group = self.roster.group_of_room(self._recorded.pop(event.recording, 0))
        if group is not None:
            group.recordings.discard(event.recording)
        return event
