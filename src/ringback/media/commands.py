"""The commands of the control process, carried out on an engine one by one."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ringback.media.addresses import FIRST_IPV6
from ringback.media.browsers import WebRtcError
from ringback.media.digits import MAX_DIGITS
from ringback.media.handover import Handover, HandoverError
from ringback.media.legs import NO_FORMAT
from ringback.media.noise import NoNoiseSuppressionError
from ringback.media.playing import MAX_SOUNDS, Playback, SoundError, chain
from ringback.media.protocol import (
    AdoptLeg,
    CloseLeg,
    Command,
    CommandFailed,
    Event,
    JoinRoom,
    LeaveRoom,
    LegClosed,
    LegOpened,
    LegTotals,
    Monitor,
    OpenLeg,
    Play,
    PlayToRoom,
    ReleaseLegs,
    SendDigits,
    SetMedia,
    SetVoice,
    StartRecording,
    StopPlay,
    StopRecording,
    StopRoomPlay,
    UseCertificate,
    Whisper,
)
from ringback.media.security import UnfitKeyError
from ringback.media.stream_messages import PlayStream, StreamSamples, StreamWanted
from ringback.media.streamed import StreamedPlayback

if TYPE_CHECKING:
    from ringback.media.engine import Engine

MAX_GAIN_DB = 20.0
_KEY_GAP_MS = 60


class CommandError(Exception):
    """A command that cannot be carried out; its text is told to the control process."""


class Commands:
    """What each command does; what is to be said of it goes to `events`."""

    def __init__(self, engine: Engine, events: list[Event]) -> None:
        self._engine = engine
        self._events = events
        self._handover = Handover(engine, self, events)
        self._acts: dict[type, Callable[..., None]] = {
            OpenLeg: self._open_leg,
            SetMedia: self._set_media,
            CloseLeg: self._close_leg,
            JoinRoom: self._join_room,
            LeaveRoom: self._leave_room,
            SetVoice: self._set_voice,
            Play: self._play,
            PlayStream: self._play_stream,
            StreamSamples: self._stream_samples,
            StopPlay: self._stop_play,
            PlayToRoom: self._play_to_room,
            SendDigits: self._send_digits,
            UseCertificate: self._use_certificate,
            StopRoomPlay: self._stop_room_play,
            Monitor: self._monitor,
            Whisper: self._whisper,
            StartRecording: self._start_recording,
            StopRecording: self._stop_recording,
            AdoptLeg: self._handover.adopt,
            ReleaseLegs: self._handover.release,
        }

    def apply(self, command: Command, now_ns: int) -> None:
        """Carry out a command; one that cannot be is answered by CommandFailed and changes nothing."""
        try:
            self._acts[type(command)](command, now_ns)
        except (
            CommandError,
            SoundError,
            HandoverError,
            UnfitKeyError,
            WebRtcError,
            NoNoiseSuppressionError,
        ) as error:
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
        slot = self._engine.legs.slots.get(leg)
        if slot is None:
            raise CommandError("no such leg")
        return slot

    def _open_leg(self, command: OpenLeg, now_ns: int) -> None:
        if command.leg in self._engine.legs.slots:
            raise CommandError("this leg is open already")
        if command.webrtc:
            self._engine.browsers.expect()
        remote_ip = self._host(command.remote_ip, command.ipv6) if command.remote_ip else 0
        port = command.remote_port if remote_ip else 0
        pair = self._engine.sources.reserve(remote_ip, port, command.webrtc, command.group, command.ipv6)
        where = (remote_ip, command.remote_port) if remote_ip and not command.webrtc else (0, 0)
        self.open(command.leg, pair, command.webrtc, where)
        assert pair is not None
        rtp_port, rtcp_port = self._engine.sources.ports(pair)
        self._events.append(LegOpened(leg=command.leg, rtp_port=rtp_port, rtcp_port=rtcp_port))

    def open(self, leg: int, pair: int | None, webrtc: bool, expected: tuple[int, int] = (0, 0)) -> int:
        """Give a leg a row on a socket pair; raises CommandError. `expected` is the address that its peer is
        going to signal."""
        if leg in self._engine.legs.slots:
            raise CommandError("this leg is open already")
        if pair is None:
            raise CommandError("no port is left in the range")
        if self._engine.legs.full:
            self._engine.grow()
        slot = self._engine.legs.open(leg, pair, webrtc)
        for columns in (self._engine.buffer, self._engine.meters):
            columns.clear(slot)
        self._engine.received.reset(slot)
        self._engine.sources.add(slot, *expected)
        self._engine.reports.opened(slot, self._engine.tick)
        self._engine.counted.opened(slot)
        return slot

    def _set_media(self, command: SetMedia, now_ns: int) -> None:
        self.set_media(self._slot(command.leg), command, now_ns)

    def set_media(self, slot: int, command: SetMedia, now_ns: int) -> None:
        """Apply a SetMedia to a row; raises CommandError."""
        legs = self._engine.legs
        received_before = bool(legs.receives[slot])
        sent_before = int(legs.send_codec[slot]), int(legs.opus_wishes[slot])
        was_ready = bool(legs.ready[slot])
        ip = self._set_transport(slot, command, now_ns)
        moved = legs.set_media(slot, command, ip)
        if moved:
            self._engine.sources.moved(slot)
        if was_ready and (int(legs.send_codec[slot]), int(legs.opus_wishes[slot])) != sent_before:
            self._engine.hearing.forget(slot)
        self._engine.packing.use(slot, command.ptime_ms)
        if was_ready and not received_before and legs.receives[slot]:
            self._engine.buffer.restart(np.array([slot]))
        self._engine.changed()

    def _set_transport(self, slot: int, command: SetMedia, now_ns: int) -> int:
        """Take over keys and address; returns the address as a number."""
        if (command.webrtc is not None) != bool(self._engine.legs.webrtc[slot]):
            raise CommandError("a leg is opened for WebRTC and has its keys, or neither")
        if command.webrtc is not None:
            if command.srtp is not None:
                raise CommandError("a WebRTC leg has its keys from DTLS only")
            self._engine.browsers.set_keys(slot, command.webrtc, now_ns / 1e9)
            return 0
        pair = int(self._engine.legs.pair[slot])
        ip = self._host(command.remote_ip, self._engine.sources.is_ipv6(pair))
        if not 0 <= command.remote_port <= 0xFFFF or not 0 <= command.remote_rtcp_port <= 0xFFFF:
            raise CommandError("no such port")
        if self._engine.sources.collides(slot, ip, command.remote_port):
            raise CommandError("another leg on this port has that remote address")
        if command.srtp is None:
            self._engine.protection.forget(slot)
        else:
            self._engine.protection.set_keys(slot, command.srtp, now_ns)
        return ip

    def _host(self, address: str, ipv6: bool) -> int:
        """The number of an address that media of a leg may go to, 0 for nowhere; raises CommandError. Sockets
        of IPv6 may be there for IPv4 as well."""
        ip = _unicast(address)
        if ip is None:
            ip = self._engine.addresses.of_text(address)
        if ip >= FIRST_IPV6 and not ipv6:
            raise CommandError("the leg has an IPv4 address, and its peer has none")
        return ip

    def _close_leg(self, command: CloseLeg, now_ns: int) -> None:
        slot = self._slot(command.leg)
        # A slice of each column is a view: numpy takes a third of the time of a list of rows for it.
        row, counted = slice(slot, slot + 1), self._engine.counted
        counts = counted.closing(row)
        totals = counted.totals(row, now_ns, counts)[command.leg] if command.totals else LegTotals()
        if slot in self._engine.hearing.playbacks:
            self._engine.end_play(slot, "stopped")
        self._leave(slot)
        self._engine.reports.closing(slot, now_ns)
        self._engine.browsers.close(slot, now_ns / 1e9)
        self._engine.sources.remove(slot, int(self._engine.received.ssrc[slot]), now_ns)
        self._engine.forget(slot)
        self._engine.protection.forget(slot)
        self._engine.legs.close(slot)
        self._engine.changed()
        self._events.append(LegClosed(leg=command.leg, totals=totals))

    def _join_room(self, command: JoinRoom, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if self._engine.rooms.slots.get(command.room, -2) == self._engine.legs.room[slot]:
            return
        self._leave(slot)
        self._engine.legs.room[slot] = self._engine.rooms.enter(command.room)
        self._engine.recordings.changed()

    def _leave_room(self, command: LeaveRoom, now_ns: int) -> None:
        self._leave(self._slot(command.leg))

    def _leave(self, slot: int) -> None:
        legs = self._engine.legs
        room = int(legs.room[slot])
        if room < 0:
            return
        legs.room[slot] = -1
        self._engine.talkers.left(slot, room)
        self._engine.rooms.leave(room)
        if not self._engine.rooms.used[room]:
            self._engine.sounds.closed(room)
        self._engine.recordings.changed()

    def _set_voice(self, command: SetVoice, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if not -100.0 <= command.gain_db <= MAX_GAIN_DB:
            raise CommandError(f"a gain is at most {MAX_GAIN_DB:g} dB")
        self._engine.voices.denoise(slot, command.denoise)
        self._engine.legs.muted[slot] = command.muted
        self._engine.legs.deaf[slot] = command.deaf
        self._engine.legs.echo[slot] = command.echo
        self._engine.legs.recorded[slot] = command.recorded
        self._engine.legs.agc[slot] = command.agc
        self._engine.legs.some_agc = bool(self._engine.legs.agc.any())
        self._engine.recordings.changed()
        self._engine.legs.gain[slot] = 10 ** (command.gain_db / 20)

    def _play(self, command: Play, now_ns: int) -> None:
        slot = self._slot(command.leg)
        sounds = chain(self._engine.shelf, command.sounds)
        if slot in self._engine.hearing.playbacks:
            self._engine.end_play(slot, "replaced")
        playback = self._engine.hearing.playbacks[slot] = Playback(
            sounds, play=command.play, loop=command.loop, stop_on_digit=command.stop_on_digit
        )
        if command.from_ms:
            playback.skip(command.from_ms)

    def _play_stream(self, command: PlayStream, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if slot in self._engine.hearing.playbacks:
            self._engine.end_play(slot, "replaced")
        self._engine.hearing.playbacks[slot] = StreamedPlayback(
            lambda at: self._events.append(StreamWanted(leg=command.leg, play=command.play, at=at)),
            play=command.play,
            rate=command.rate,
            stop_on_digit=command.stop_on_digit,
            from_ms=command.from_ms,
        )

    def _stream_samples(self, command: StreamSamples, now_ns: int) -> None:
        """What comes for a stream that has ended meanwhile is nobody's fault."""
        slot = self._engine.legs.slots.get(command.leg)
        playback = self._engine.hearing.playbacks.get(slot) if slot is not None else None
        if isinstance(playback, StreamedPlayback) and playback.play == command.play:
            playback.take(command.at, command.samples, command.last)

    def _stop_play(self, command: StopPlay, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if slot in self._engine.hearing.playbacks:
            self._engine.end_play(slot, "stopped")

    def _room(self, identifier: int) -> int:
        room = self._engine.rooms.slots.get(identifier)
        if room is None:
            raise CommandError("no such room")
        return room

    def _play_to_room(self, command: PlayToRoom, now_ns: int) -> None:
        room = self._room(command.room)
        if not (-100.0 <= command.gain_db <= MAX_GAIN_DB and -100.0 <= command.duck_db <= 0.0):
            raise CommandError(f"a gain is at most {MAX_GAIN_DB:g} dB, and ducking makes softer")
        playback = Playback(chain(self._engine.shelf, command.sounds), play=command.play, loop=command.loop)
        if not self._engine.sounds.play(room, playback, command.gain_db, command.duck_db):
            raise CommandError("the room plays too much already")

    def _stop_room_play(self, command: StopRoomPlay, now_ns: int) -> None:
        room = self._engine.rooms.slots.get(command.room)
        if room is not None:
            self._engine.sounds.stop(room, command.play)

    def _monitor(self, command: Monitor, now_ns: int) -> None:
        self._engine.feeds.monitor(self._slot(command.leg), self._other(command.leg, command.target))

    def _whisper(self, command: Whisper, now_ns: int) -> None:
        self._engine.feeds.whisper(self._slot(command.leg), self._other(command.leg, command.target))

    def _other(self, leg: int, target: int | None) -> int | None:
        if target == leg:
            raise CommandError("a leg is not its own target")
        return None if target is None else self._slot(target)

    def _start_recording(self, command: StartRecording, now_ns: int) -> None:
        room = self._engine.rooms.slots.get(command.room)
        self._engine.recordings.start(command, room, self._engine.tick)

    def _stop_recording(self, command: StopRecording, now_ns: int) -> None:
        if not self._engine.recordings.stop(command.recording, self._engine.tick):
            raise CommandError("no such recording")

    def _send_digits(self, command: SendDigits, now_ns: int) -> None:
        slot = self._slot(command.leg)
        if self._engine.legs.event_payload_type[slot] == NO_FORMAT:
            self._sound_digits(slot, command.digits)
            return
        try:
            self._engine.digits.enqueue(slot, command.digits)
        except ValueError as error:
            raise CommandError(str(error)) from error

    def _sound_digits(self, slot: int, digits: str) -> None:
        """Keys for a peer that takes no telephone-events: as tones, over what it hears."""
        if len(digits) > MAX_DIGITS:
            raise CommandError("too many digits")
        sounds = [sound for digit in digits for sound in (f"tone:key-{digit}", f"silence:{_KEY_GAP_MS}")]
        playbacks = self._engine.hearing.playbacks
        playing = playbacks.get(slot)
        try:
            keys = chain(self._engine.shelf, sounds[:MAX_SOUNDS])
        except SoundError as error:
            raise CommandError(str(error)) from error
        if playing is None:
            playbacks[slot] = Playback(keys)
        elif isinstance(playing, Playback) and playing.play == 0:
            playing.extend(keys)
        else:
            raise CommandError("something is played, and the peer takes no telephone-events")

    def _use_certificate(self, command: UseCertificate, now_ns: int) -> None:
        self._engine.browsers.use_certificate(command)


@lru_cache(maxsize=4_096)
def _unicast(address: str) -> int | None:
    """An IPv4 address as a number, also as IPv6 maps it; 0 for the address that means "send nothing", None
    for one of IPv6; raises CommandError."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:
        raise CommandError("not an IP address") from error
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_multicast or ip == ipaddress.IPv4Address("255.255.255.255"):
        raise CommandError("media is sent to one host only")
    if isinstance(ip, ipaddress.IPv6Address):
        return 0 if ip.is_unspecified else None
    return int(ip)
