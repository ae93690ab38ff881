"""The media engine, sans-IO: datagrams, commands and the time go in; datagrams and events come out.

`step` is one tick of 20 ms for all legs together. Everything here is one row a leg or one row a room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ringback.governance.randomness import RandomPool
from ringback.media.addresses import Addresses
from ringback.media.batch import OutgoingBatch, PacketBatch, empty_outgoing
from ringback.media.browsers import Browsers, LoadDtls
from ringback.media.codec import opus
from ringback.media.columns import Bytes, Longs
from ringback.media.commands import Commands
from ringback.media.digits import DigitSending
from ringback.media.feeds import Feeds
from ringback.media.full_band import RATE as FULL_BAND_RATE
from ringback.media.hearing import LEVEL_TICKS, Hearing
from ringback.media.intake import Intake
from ringback.media.jitter_buffer import JitterBuffer
from ringback.media.legs import Legs
from ringback.media.linear_streams import LinearStreams
from ringback.media.opus_streams import OpusStreams
from ringback.media.packing import Packing
from ringback.media.playing import SoundShelf
from ringback.media.protocol import (
    Codec,
    Command,
    Digit,
    Event,
    LegStatistics,
    LegTotals,
    PlayEnded,
    SourceLearnt,
)
from ringback.media.recording import Recorder, Recordings
from ringback.media.reports import Reports
from ringback.media.room_sounds import RoomSounds
from ringback.media.rooms import Rooms
from ringback.media.security import Protection
from ringback.media.sending import Sending
from ringback.media.sources import Sources, TakePair
from ringback.media.statistics import Meters, Statistics
from ringback.media.talkers import Talkers
from ringback.media.taps import Taps
from ringback.media.voice_rows import NO_VOICES
from ringback.media.voices import VoiceDecoding
from ringback.rtp.sequence import ReceivedSequence

TICK_NS = 20_000_000
FIRST_CAPACITY = 64

PlayReason = Literal["finished", "digit", "stopped", "replaced"]


class Engine:
    """All legs and rooms of one worker."""

    def __init__(
        self,
        open_pair: Callable[[int], tuple[int, int] | None],
        outgoing: Bytes | None = None,
        random_bits: Callable[[int], int] | None = None,
        wall_offset_ns: int = 0,
        load_dtls: LoadDtls | None = None,
        shelf: SoundShelf | None = None,
        recorder: Recorder | None = None,
        take_pair: TakePair | None = None,
        close_pair: Callable[[int], None] | None = None,
        full_band: bool = False,
        open_pair_ipv6: Callable[[int], tuple[int, int] | None] | None = None,
        addresses: Addresses | None = None,
    ) -> None:
        """`open_pair(number)` opens a socket pair and gives its ports; `outgoing` is where datagrams are
        written; without `load_dtls` there are no WebRTC legs, without `recorder` no recordings. `take_pair`
        and `close_pair` are for pairs that come from and go to another worker. With `full_band` those who
        send Opus hear each other up to 20 kHz. `open_pair_ipv6` is as `open_pair`; `addresses` has the
        numbers that IPv6 addresses of batches have."""
        random_bits = random_bits or RandomPool().bits
        self.legs = Legs(FIRST_CAPACITY, random_bits)
        self.legs.full_band = full_band
        self.rooms = Rooms(FIRST_CAPACITY)
        self.buffer = JitterBuffer(FIRST_CAPACITY)
        self.received = ReceivedSequence(FIRST_CAPACITY)
        self.meters = Meters(FIRST_CAPACITY)
        self.opus = OpusStreams(self.buffer, FULL_BAND_RATE if full_band else opus.RATE)
        self.linear = LinearStreams(self.buffer)
        self.sources = Sources(self.legs, open_pair, take_pair, close_pair, open_pair_ipv6)
        self.addresses = Addresses() if addresses is None else addresses
        self.addresses.in_use = self._addresses_in_use
        self.sending = Sending(self.legs, outgoing)
        self.packing = Packing(self.legs, self.sending)
        self.protection = Protection(self.legs, self.received)
        self.browsers = Browsers(self.legs, self.sources, self.protection, load_dtls, self.addresses)
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
            self.opus,
            self.linear,
            self.reports.receive,
            self.reports.collided,
            self.browsers.receive,
        )
        self.voices = VoiceDecoding(
            self.legs,
            self.rooms,
            self.buffer,
            self.meters,
            self.opus,
            self.linear,
            self.intake.event_ns,
            self.intake.comfort,
            self._codec_failed,
        )
        self._events: list[Event] = []
        self.sounds = RoomSounds(self.legs, self.rooms, self._events)
        self.feeds = Feeds(self.legs)
        self.hearing = Hearing(
            self.legs,
            self.rooms,
            self.sending,
            self.meters,
            self.sounds,
            self.feeds,
            self._codec_failed,
        )
        self.recordings = Recordings(self.legs, self.rooms, recorder, self._events)
        self.counted = Statistics(self.legs, self.buffer, self.received, self.meters, self.voices.gate)
        self.shelf = shelf or SoundShelf()
        self.codec_failures = 0
        self.tick = 0
        self._listening: Longs | None = None
        self.digits = DigitSending(self.legs, self.sending)
        self.taps = Taps(self.legs)
        self.talkers = Talkers(self.legs, self.rooms, self.voices.gate, self._events)
        self._commands = Commands(self, self._events)

    @staticmethod
    def codecs() -> list[Codec]:
        """Codecs whose library is present."""
        always: list[Codec] = ["PCMU", "PCMA", "G722", "L16"]
        return [*always, "OPUS"] if opus.available() else always

    # Time

    def receive(self, batch: PacketBatch, now_ns: int, ahead: bool = False) -> None:
        """Take datagrams that arrived since the last tick; may be called several times a tick. `ahead`: this
        is done while there is time, and once more at the tick."""
        if len(batch):
            self.intake.receive(batch, now_ns, self.tick, ahead)
            if ahead:
                # After the next command a row may be another leg's.
                self._tell_received()

    def usual(self, now_ns: int, ahead: bool = False) -> Any | None:
        """By what usual packets are taken where sockets are read, before `receive`; None: not at all."""
        return self.intake.usual(now_ns, self.tick, ahead)

    def step(self, batch: PacketBatch, now_ns: int) -> list[OutgoingBatch]:
        """Take datagrams and advance one tick; what is returned, in the order it is to be sent, holds until
        the next step."""
        self.receive(batch, now_ns)
        ended: list[int] = []
        setup = self.browsers.step(now_ns, self.tick)
        if self.browsers.moved:
            self.browsers.moved = False
            self.sending.changed()
        self.sending.begin()
        if self.legs.slots:
            narrow, wide = self.voices.step(self._heard_legs(), self.tick, now_ns)
            if self.taps.active:
                self.taps.step(narrow, wide, self.tick, now_ns)
            ended = self.hearing.step(narrow, wide, self.tick, self.voices.high)
            if self.recordings.active:
                self.recordings.step(narrow, wide, self.hearing.room_sounds, self.tick)
        elif self.recordings.active:
            self.recordings.step(NO_VOICES, NO_VOICES, {}, self.tick)
        # A handshake ends before the first packet under its keys.
        outgoing = [setup, self._send(now_ns), self.reports.due(now_ns, self.tick)]
        self._tell(ended, now_ns)
        self.tick += 1
        return [batch for batch in outgoing if len(batch)]

    def skip(self, ticks: int) -> None:
        """So many ticks were missed and will not be made up for: clocks run on, and what was to be heard is
        gone."""
        self.tick += ticks
        if self.legs.slots:
            self.sending.advance(ticks)
            self.buffer.skip(self._heard_legs(), ticks)

    def events(self) -> list[Event]:
        """What happened since this was last asked."""
        events = self._events.copy()
        self._events.clear()
        return events

    def statistics(self, now_ns: int) -> LegStatistics:
        """What was counted and measured since this was last asked, once a second."""
        return self.counted.second(now_ns, self.tick, LEVEL_TICKS)

    def totals(self, slots: Longs, now_ns: int) -> dict[int, LegTotals]:
        """The totals of the legs in these rows."""
        return self.counted.totals(slots, now_ns)

    def _heard_legs(self) -> Longs:
        if self._listening is None:
            self._listening = np.flatnonzero(self.legs.ready & self.legs.receives)
        return self._listening

    def _send(self, now_ns: int) -> OutgoingBatch:
        sending, meters = self.sending, self.meters
        if self.legs.renewed:
            self.reports.renew()
        if not len(sending.order):
            sending.advance(1)
            return empty_outgoing()
        sending.headers()
        events = self.digits.put() if self.digits.active else frozenset()
        if self.packing.active:
            self.packing.put(events)
        sending.count(meters.sent, meters.sent_octets)
        self.protection.protect(sending)
        return sending.batch()

    def _tell(self, ended: list[int], now_ns: int) -> None:
        """Turn what happened in this tick into events."""
        for leg in ended:
            self.end_play(leg, "finished")
        intake = self.intake
        intake.expire_events(now_ns)
        if self.voices.in_band.presses:
            intake.presses += self.voices.in_band.presses
            self.voices.in_band.presses.clear()
        self._tell_received()
        self.talkers.tell(self.tick)

    def _tell_received(self) -> None:
        """Turn what datagrams brought into events."""
        intake = self.intake
        if intake.presses:
            for leg, press in intake.presses:
                identifier = int(self.legs.identifier[leg])
                self._events.append(Digit(leg=identifier, digit=press.digit, duration_ms=press.duration_ms))
                playback = self.hearing.playbacks.get(leg)
                if playback is not None and playback.stop_on_digit:
                    self.end_play(leg, "digit")
            intake.presses.clear()
        if intake.learnt:
            for leg, differs in intake.learnt:
                self._events.append(
                    SourceLearnt(
                        leg=int(self.legs.identifier[leg]),
                        differs=differs,
                        host=self.addresses.packed(int(self.legs.remote_ip[leg])),
                        port=int(self.legs.remote_port[leg]),
                    )
                )
            intake.learnt.clear()
            self.sending.changed()
        if self.browsers.events:
            self._events += self.browsers.events
            self.browsers.events.clear()

    def _addresses_in_use(self) -> set[int]:
        """Numbers of the addresses that a leg may send to or expects something from."""
        legs = self.legs
        columns = (legs.signalled_ip, legs.remote_ip, legs.rtcp_ip)
        return set(np.concatenate(columns).tolist()) | self.sources.hosts()

    def _codec_failed(self, leg: int) -> None:
        self.codec_failures += 1
        self.meters.rejected[leg] += 1

    def end_play(self, slot: int, reason: PlayReason) -> None:
        """End what is played to a leg, and say why."""
        playback = self.hearing.playbacks.pop(slot)
        self._events.append(PlayEnded(leg=int(self.legs.identifier[slot]), play=playback.play, reason=reason))

    # Commands

    def apply(self, command: Command, now_ns: int) -> None:
        """Carry out a command; one that cannot be is answered by CommandFailed and changes nothing."""
        self._commands.apply(command, now_ns)

    def changed(self) -> None:
        """Who listens or is sent to is to be looked at anew."""
        self._listening = None
        self.sending.changed()

    def grow(self) -> None:
        """Double the rows for legs."""
        capacity = 2 * self.legs.capacity
        # Legs last: rows that not all have are not to be had.
        for columns in (
            self.buffer,
            self.received,
            self.meters,
            self.opus,
            self.voices,
            self.hearing,
            self.reports,
            self.talkers,
            self.taps,
            self.counted,
            self.recordings,
            self.legs,
        ):
            columns.grow(capacity)

    def forget(self, slot: int) -> None:
        """Drop what is kept of a row outside the columns of legs."""
        self.intake.forget(slot)
        self.voices.forget(slot)
        self.hearing.forget(slot)
        self.hearing.playbacks.pop(slot, None)
        self.digits.forget(slot)
        self.packing.use(slot, 20)
        self.talkers.forget(slot)
        self.taps.forget(slot)
        self.feeds.forget(slot)
