"""The media engine, sans-IO: datagrams, commands and the time go in; datagrams and events come out.

`step` is one tick of 20 ms for all legs together. Everything here is one row a leg or one row a room.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable
from typing import Literal

import numpy as np

from ringback.media.batch import OutgoingBatch, PacketBatch, join_outgoing
from ringback.media.browsers import Browsers, WebRtcError
from ringback.media.codec import opus
from ringback.media.columns import Bytes, Longs
from ringback.media.dtmf import TelephoneEventSender
from ringback.media.hearing import Hearing
from ringback.media.intake import Intake
from ringback.media.jitter_buffer import JitterBuffer
from ringback.media.legs import FRAME_TIMESTAMPS, NO_FORMAT, Legs
from ringback.media.playing import Playback, SoundError, SoundShelf, chain
from ringback.media.protocol import (
    CloseLeg,
    Codec,
    Command,
    CommandFailed,
    Digit,
    Event,
    JoinRoom,
    LeaveRoom,
    LegClosed,
    LegOpened,
    LegTotals,
    OpenLeg,
    Play,
    PlayEnded,
    PlayToRoom,
    SendDigits,
    SetMedia,
    SetVoice,
    SourceLearnt,
    StopPlay,
    Talking,
)
from ringback.media.reports import Reports
from ringback.media.rooms import Rooms
from ringback.media.security import Protection
from ringback.media.sending import Sending
from ringback.media.sources import Sources
from ringback.media.statistics import Meters, totals
from ringback.media.voices import VoiceDecoding
from ringback.rtp.sequence import ReceivedSequence
from ringback.rtp.srtp import SrtpKeyError
from ringback.webrtc.dtls import DtlsCertificate

TICK_NS = 20_000_000
FIRST_CAPACITY = 64
TALKING_TICKS = 5
"""Talkers are told at most every 100 ms."""
STATISTICS_TICKS = 50
MAX_DIGITS = 64
MAX_GAIN_DB = 20.0


PlayReason = Literal["finished", "digit", "stopped", "replaced"]


class CommandError(Exception):
    """A command that cannot be carried out; its text is told to the control process."""


class Engine:
    """All legs and rooms of one worker."""

    def __init__(
        self,
        open_pair: Callable[[int], tuple[int, int] | None],
        outgoing: Bytes | None = None,
        random_bits: Callable[[int], int] = secrets.randbits,
        wall_offset_ns: int = 0,
        certificate: DtlsCertificate | None = None,
    ) -> None:
        """`open_pair(number)` opens a socket pair and gives its ports; `outgoing` is where datagrams are
        written; without a `certificate` there are no WebRTC legs."""
        self.legs = Legs(FIRST_CAPACITY, random_bits)
        self.rooms = Rooms(FIRST_CAPACITY)
        self.buffer = JitterBuffer(FIRST_CAPACITY)
        self.received = ReceivedSequence(FIRST_CAPACITY)
        self.meters = Meters(FIRST_CAPACITY)
        self.sources = Sources(self.legs, open_pair)
        self.sending = Sending(self.legs, outgoing)
        self.protection = Protection(self.legs)
        self.browsers = Browsers(self.legs, self.sources, self.protection, certificate)
        self.reports = Reports(
            self.legs, self.sources, self.received, self.meters, self.protection, random_bits, wall_offset_ns
        )
        self.intake = Intake(
            self.legs,
            self.sources,
            self.buffer,
            self.received,
            self.meters,
            self.protection,
            self.reports.receive,
            self.browsers.receive,
        )
        self.voices = VoiceDecoding(
            self.legs,
            self.rooms,
            self.buffer,
            self.meters,
            self.intake.opus,
            self.intake.event_ns,
            self._codec_failed,
        )
        self.hearing = Hearing(self.legs, self.rooms, self.sending, self._codec_failed)
        self.shelf = SoundShelf()
        self.codec_failures = 0
        self.tick = 0
        self._digits: dict[int, TelephoneEventSender] = {}
        self._events: list[Event] = []
        self._listening: Longs | None = None
        self._totals: dict[int, LegTotals] = {}
        self._was_talking = np.zeros(FIRST_CAPACITY, np.bool_)
        self._commands: dict[type, Callable[..., None]] = {
            OpenLeg: self._open_leg,
            SetMedia: self._set_media,
            CloseLeg: self._close_leg,
            JoinRoom: self._join_room,
            LeaveRoom: self._leave_room,
            SetVoice: self._set_voice,
            Play: self._play,
            StopPlay: self._stop_play,
            PlayToRoom: self._play_to_room,
            SendDigits: self._send_digits,
        }

    @staticmethod
    def codecs() -> list[Codec]:
        """Codecs whose library is present."""
        return ["PCMU", "PCMA", "G722", "OPUS"] if opus.available() else ["PCMU", "PCMA", "G722"]

    # Time

    def receive(self, batch: PacketBatch, now_ns: int) -> None:
        """Take datagrams that arrived since the last tick; may be called several times a tick."""
        if len(batch):
            self.intake.receive(batch, now_ns, self.tick)

    def step(self, batch: PacketBatch, now_ns: int) -> OutgoingBatch:
        """Take datagrams and advance one tick; what is returned holds until the next step."""
        self.receive(batch, now_ns)
        ended: list[int] = []
        setup = self.browsers.step(now_ns, self.tick)
        if self.browsers.moved:
            self.browsers.moved = False
            self.sending.changed()
        self.sending.begin()
        if self.legs.slots:
            narrow, wide = self.voices.step(self._heard_legs(), self.tick, now_ns)
            ended = self.hearing.step(narrow, wide, self.tick)
        # A handshake ends before the first packet under its keys.
        outgoing = join_outgoing(setup, self._send(now_ns))
        self._tell(ended, now_ns)
        self.tick += 1
        return outgoing

    def skip(self, ticks: int) -> None:
        """So many ticks were missed and will not be made up for: clocks run on, and what was to be heard is
        gone."""
        self.tick += ticks
        if self.legs.slots:
            self.sending.advance(ticks)
            self.buffer.skip(self._heard_legs(), ticks)

    def events(self) -> list[Event]:
        """What happened since this was last asked."""
        events, self._events = self._events, []
        return events

    def statistics(self, now_ns: int) -> dict[int, LegTotals]:
        """The totals of all legs now."""
        used = np.flatnonzero(self.legs.ready)
        return totals(used, self.legs, self.buffer, self.received, self.meters, self.voices.gate, now_ns)

    def _heard_legs(self) -> Longs:
        if self._listening is None:
            self._listening = np.flatnonzero(self.legs.ready & self.legs.receives)
        return self._listening

    def _send(self, now_ns: int) -> OutgoingBatch:
        sending, meters = self.sending, self.meters
        order = sending.order
        if not len(order):
            sending.advance(1)
            return self.reports.due(now_ns, self.tick)
        timestamps = self.legs.out_timestamp[order] if self._digits else None
        sending.headers()
        if timestamps is not None:
            self._put_digits()
        sent = sending.length > 12
        meters.sent[order] += sent
        meters.sent_octets[order] += np.where(sent, sending.length - 12, 0)
        self.protection.protect(sending)
        return join_outgoing(sending.batch(), self.reports.due(now_ns, self.tick))

    def _put_digits(self) -> None:
        """Put telephone-events where audio would go (RFC 4733); the headers have been written."""
        legs = self.legs
        for leg, sender in list(self._digits.items()):
            position = self.sending.position.get(leg)
            if not sender.active:
                del self._digits[leg]
            if position is None or not sender.active:
                continue
            timestamp = int(legs.out_timestamp[leg]) - int(FRAME_TIMESTAMPS[legs.send_codec[leg]])
            packet = sender.next_packet(timestamp & 0xFFFFFFFF)
            if packet is not None:
                self.sending.put_event(
                    position,
                    int(legs.event_payload_type[leg]),
                    packet.marker,
                    packet.timestamp,
                    packet.payload,
                )

    def _tell(self, ended: list[int], now_ns: int) -> None:
        """Turn what happened in this tick into events."""
        for leg in ended:
            self._end_play(leg, "finished")
        intake = self.intake
        intake.expire_events(now_ns)
        if intake.presses:
            for leg, press in intake.presses:
                identifier = int(self.legs.identifier[leg])
                self._events.append(Digit(leg=identifier, digit=press.digit, duration_ms=press.duration_ms))
                playback = self.hearing.playbacks.get(leg)
                if playback is not None and playback.stop_on_digit:
                    self._end_play(leg, "digit")
            intake.presses.clear()
        if intake.learnt:
            for leg, differs in intake.learnt:
                self._events.append(SourceLearnt(leg=int(self.legs.identifier[leg]), differs=differs))
            intake.learnt.clear()
            self.sending.changed()
        if self.browsers.events:
            self._events += self.browsers.events
            self.browsers.events.clear()
        if self.tick % TALKING_TICKS == 0:
            self._tell_talkers()

    def _tell_talkers(self) -> None:
        gate, legs = self.voices.gate, self.legs
        talking = gate.talking & legs.used & ~legs.muted & (legs.room >= 0)
        if np.array_equal(talking, self._was_talking):
            return
        changed = np.flatnonzero(talking != self._was_talking)
        self._was_talking = talking
        rooms = set(legs.room[changed].tolist()) | {
            room for room in self.rooms.talkers if self.rooms.talkers[room]
        }
        slots = np.flatnonzero(talking)
        level = gate.level_dbfs(slots)
        for room in rooms - {-1}:
            here = np.flatnonzero(legs.room[slots] == room)
            here = here[np.argsort(-level[here], kind="stable")]
            talkers = [(int(legs.identifier[slots[i]]), round(float(level[i]), 1)) for i in here.tolist()]
            names = sorted(name for name, _ in talkers)
            if names != self.rooms.talkers.get(room, []):
                self.rooms.talkers[room] = names
                self._events.append(Talking(room=int(self.rooms.identifier[room]), talkers=talkers))

    def _codec_failed(self, leg: int) -> None:
        self.codec_failures += 1
        self.meters.rejected[leg] += 1

    # Commands

    def apply(self, command: Command, now_ns: int) -> None:
        """Carry out a command; one that cannot be is answered by CommandFailed and changes nothing."""
        try:
            self._commands[type(command)](command, now_ns)
        except (CommandError, SoundError) as error:
            reason = str(error)
        except Exception as error:
            # A fault of ours in one command must not end the calls of all others.
            reason = f"internal error: {type(error).__name__}"
        else:
            return
        self._events.append(
            CommandFailed(command=type(command).__name__, leg=getattr(command, "leg", None), reason=reason)
        )

    def _slot(self, leg: int) -> int:
        slot = self.legs.slots.get(leg)
        if slot is None:
            raise CommandError("no such leg")
        return slot

    def _changed(self) -> None:
        self._listening = None
        self.sending.changed()

    def _grow(self) -> None:
        capacity = 2 * self.legs.capacity
        for columns in (
            self.legs,
            self.buffer,
            self.received,
            self.meters,
            self.voices,
            self.hearing,
            self.reports,
        ):
            columns.grow(capacity)
        self._was_talking = np.concatenate((self._was_talking, np.zeros(capacity // 2, np.bool_)))

    def _open_leg(self, command: OpenLeg, now_ns: int) -> None:
        if command.leg in self.legs.slots:
            raise CommandError("this leg is open already")
        if command.webrtc and not self.browsers.fingerprint:
            raise CommandError("this worker has no certificate for WebRTC")
        remote_ip = _unicast(command.remote_ip) if command.remote_ip else 0
        pair = self.sources.reserve(remote_ip, command.remote_port if remote_ip else 0, command.webrtc)
        if pair is None:
            raise CommandError("no port is left in the range")
        if self.legs.full:
            self._grow()
        slot = self.legs.open(command.leg, pair, command.webrtc)
        for columns in (self.buffer, self.meters):
            columns.clear(slot)
        self.received.reset(slot)
        self._forget(slot)
        self.sources.add(slot)
        rtp_port, rtcp_port = self.sources.ports(pair)
        self.reports.opened(slot, self.tick)
        self._events.append(LegOpened(leg=command.leg, rtp_port=rtp_port, rtcp_port=rtcp_port))

    def _set_media(self, command: SetMedia, now_ns: int) -> None:
        slot = self._slot(command.leg)
        legs = self.legs
        received_before, codec_before = bool(legs.receives[slot]), int(legs.send_codec[slot])
        was_ready = bool(legs.ready[slot])
        ip = self._set_transport(slot, command, now_ns)
        moved = legs.set_media(slot, command, ip)
        if moved:
            self.sources.moved(slot)
        if was_ready and int(legs.send_codec[slot]) != codec_before:
            self.hearing.forget(slot)
        if not received_before and legs.receives[slot]:
            self.buffer.restart(np.array([slot]))
        self._changed()

    def _set_transport(self, slot: int, command: SetMedia, now_ns: int) -> int:
        """Take over keys and address; returns the address as a number, raises CommandError."""
        if (command.webrtc is not None) != bool(self.legs.webrtc[slot]):
            raise CommandError("a leg is opened for WebRTC and has its keys, or neither")
        try:
            if command.webrtc is not None:
                if command.srtp is not None:
                    raise CommandError("a WebRTC leg has its keys from DTLS only")
                self.browsers.set_keys(slot, command.webrtc, now_ns / 1e9)
                return 0
            ip = _unicast(command.remote_ip)
            if not 0 <= command.remote_port <= 0xFFFF or not 0 <= command.remote_rtcp_port <= 0xFFFF:
                raise CommandError("no such port")
            if self.sources.collides(slot, ip, command.remote_port):
                raise CommandError("another leg on this port has that remote address")
            self.protection.set_keys(slot, command.srtp)
        except (SrtpKeyError, WebRtcError) as error:
            raise CommandError(str(error)) from error
        return ip

    def _close_leg(self, command: CloseLeg, now_ns: int) -> None:
        slot = self._slot(command.leg)
        last = totals(
            np.array([slot]), self.legs, self.buffer, self.received, self.meters, self.voices.gate, now_ns
        )
        if slot in self.hearing.playbacks:
            self._end_play(slot, "stopped")
        self._leave(slot)
        self.reports.closing(slot, now_ns)
        self.browsers.close(slot, now_ns / 1e9)
        self.sources.remove(slot, int(self.received.ssrc[slot]), now_ns)
        self._forget(slot)
        self.protection.set_keys(slot, None)
        self.legs.close(slot)
        self._changed()
        self._events.append(LegClosed(leg=command.leg, totals=last[command.leg]))

    def _forget(self, slot: int) -> None:
        """Drop what is kept of a row outside the columns of legs."""
        self.intake.forget(slot)
        self.voices.forget(slot)
        self.hearing.forget(slot)
        self.hearing.playbacks.pop(slot, None)
        self._digits.pop(slot, None)
        self._was_talking[slot] = False

    def _join_room(self, command: JoinRoom, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if self.rooms.slots.get(command.room, -2) == self.legs.room[slot]:
            return
        self._leave(slot)
        self.legs.room[slot] = self.rooms.enter(command.room)

    def _leave_room(self, command: LeaveRoom, now_ns: int) -> None:
        self._leave(self._slot(command.leg))

    def _leave(self, slot: int) -> None:
        room = int(self.legs.room[slot])
        if room < 0:
            return
        self.legs.room[slot] = -1
        self._was_talking[slot] = False
        identifier = int(self.legs.identifier[slot])
        told = self.rooms.talkers.get(room, [])
        if identifier in told and self.rooms.members[room] > 1:
            told.remove(identifier)
            level = self.voices.gate.level_dbfs(np.array([self.legs.slots[name] for name in told], np.int64))
            talkers = sorted(zip(told, np.round(level, 1).tolist(), strict=True), key=lambda pair: -pair[1])
            self._events.append(Talking(room=int(self.rooms.identifier[room]), talkers=talkers))
        self.rooms.leave(room)

    def _set_voice(self, command: SetVoice, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if not -100.0 <= command.gain_db <= MAX_GAIN_DB:
            raise CommandError(f"a gain is at most {MAX_GAIN_DB:g} dB")
        self.legs.muted[slot] = command.muted
        self.legs.deaf[slot] = command.deaf
        self.legs.echo[slot] = command.echo
        self.legs.gain[slot] = 10 ** (command.gain_db / 20)

    def _play(self, command: Play, now_ns: int) -> None:
        slot = self._slot(command.leg)
        sounds = chain(self.shelf, command.sounds)
        if slot in self.hearing.playbacks:
            self._end_play(slot, "replaced")
        self.hearing.playbacks[slot] = Playback(
            sounds, play=command.play, loop=command.loop, stop_on_digit=command.stop_on_digit
        )

    def _stop_play(self, command: StopPlay, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if slot in self.hearing.playbacks:
            self._end_play(slot, "stopped")

    def _end_play(self, slot: int, reason: PlayReason) -> None:
        playback = self.hearing.playbacks.pop(slot)
        self._events.append(PlayEnded(leg=int(self.legs.identifier[slot]), play=playback.play, reason=reason))

    def _play_to_room(self, command: PlayToRoom, now_ns: int) -> None:
        room = self.rooms.slots.get(command.room)
        if room is None:
            raise CommandError("no such room")
        if not self.rooms.play(room, Playback(chain(self.shelf, command.sounds))):
            raise CommandError("the room plays too much already")

    def _send_digits(self, command: SendDigits, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if self.legs.event_payload_type[slot] == NO_FORMAT:
            raise CommandError("the peer takes no telephone-events")
        if len(command.digits) > MAX_DIGITS:
            raise CommandError("too many digits")
        sender = self._digits.get(slot)
        if sender is None:
            clock = int(FRAME_TIMESTAMPS[self.legs.send_codec[slot]]) * 50
            sender = TelephoneEventSender(clock=clock)
        try:
            sender.enqueue(command.digits)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._digits[slot] = sender


def _unicast(address: str) -> int:
    """An IPv4 address as a number; 0 for the address that means "send nothing"; raises CommandError."""
    try:
        ip = ipaddress.IPv4Address(address)
    except ValueError as error:
        raise CommandError("not an IPv4 address") from error
    if ip.is_multicast or ip == ipaddress.IPv4Address("255.255.255.255"):
        raise CommandError("media is sent to one host only")
    return int(ip)
