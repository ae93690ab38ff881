"""Legs that come from another worker, or go to one: what their peers know of us stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ringback.media.legs import FRAME_TIMESTAMPS
from ringback.media.protocol import (
    AdoptLeg,
    Event,
    LegOpened,
    LegsReleased,
    ReleasedLeg,
    ReleaseLegs,
    SentSource,
)

if TYPE_CHECKING:
    from ringback.media.commands import Commands
    from ringback.media.engine import Engine

FRAME_NS = 20_000_000


class HandoverError(Exception):
    """A leg that cannot be taken over; its text is told to the control process."""


class Handover:
    """Carries out AdoptLeg and ReleaseLegs."""

    def __init__(self, engine: Engine, commands: Commands, events: list[Event]) -> None:
        self._engine = engine
        self._commands = commands
        self._events = events

    def adopt(self, command: AdoptLeg, now_ns: int) -> None:
        """Go on with a leg; raises what opening one and setting its media do, and then there is no leg."""
        engine = self._engine
        pair = engine.sources.adopt(
            (command.rtp_port, command.rtcp_port),
            command.webrtc,
            command.group,
            drop=command.sent is None,
            ipv6=command.ipv6,
        )
        if pair is None:
            raise HandoverError("the leg's ports were not handed over")
        slot = self._commands.open(command.leg, pair, command.webrtc)
        try:
            self._resume(slot, command, now_ns)
        except Exception:
            engine.counted.closing(np.array([slot]))
            self._close(slot, now_ns)
            raise
        self._events.append(
            LegOpened(leg=command.leg, rtp_port=command.rtp_port, rtcp_port=command.rtcp_port)
        )

    def _resume(self, slot: int, command: AdoptLeg, now_ns: int) -> None:
        engine, sent = self._engine, command.sent
        if command.media is None:
            return
        next_packet = None if sent is None else (sent.ssrc, sent.roll_over << 16 | sent.sequence)
        engine.protection.expect(slot, command.heard, next_packet)
        self._commands.set_media(slot, command.media, now_ns)
        if sent is not None:
            self._resume_sending(slot, sent, now_ns)
        source = None
        if command.source is not None:
            source = engine.addresses.of_packed(command.source[0]), command.source[1]
        if command.webrtc:
            engine.browsers.resume(slot, source, command.keys, now_ns / 1e9)
        elif source is not None:
            engine.sources.restore(slot, *source)
            # Nobody may take its place while its first packet is on the way.
            engine.meters.received_ns[slot] = now_ns
        engine.changed()

    def _resume_sending(self, slot: int, sent: SentSource, now_ns: int) -> None:
        legs = self._engine.legs
        passed = max(0, now_ns - sent.at_ns) // FRAME_NS * int(FRAME_TIMESTAMPS[legs.send_codec[slot]])
        legs.out_ssrc[slot] = sent.ssrc
        legs.out_sequence[slot] = sent.sequence
        legs.out_timestamp[slot] = (sent.timestamp + passed) & 0xFFFFFFFF
        legs.out_marker[slot] = False

    def release(self, command: ReleaseLegs, now_ns: int) -> None:
        """Let legs go; of those that are not here nothing is said."""
        engine = self._engine
        slots = [engine.legs.slots[leg] for leg in command.legs if leg in engine.legs.slots]
        rows = np.array(slots, np.int64)
        totals = engine.counted.totals(rows, now_ns, engine.counted.closing(rows))
        released: dict[int, ReleasedLeg] = {}
        pairs: dict[int, None] = {}
        for slot in slots:
            leg = int(engine.legs.identifier[slot])
            pairs[int(engine.legs.pair[slot])] = None
            heard, sent = self._come_to(slot, now_ns)
            playback = engine.hearing.playbacks.get(slot)
            released[leg] = ReleasedLeg(
                totals=totals[leg], heard=heard, sent=sent, played_ms=playback.played_ms if playback else 0
            )
            self._close(slot, now_ns)
        engine.changed()
        ports = [port for pair in pairs if (port := engine.sources.give_up(pair)) is not None]
        self._events.append(LegsReleased(legs=released, ports=ports))

    def _come_to(self, slot: int, now_ns: int) -> tuple[tuple[int, int] | None, SentSource | None]:
        legs, received = self._engine.legs, self._engine.received
        if not legs.ready[slot]:
            return None, None
        ssrc = int(legs.out_ssrc[slot])
        heard, roll_over = self._engine.protection.come_to(
            slot, int(received.ssrc[slot]), int(received.highest[slot]), ssrc
        )
        sequence = int(legs.out_sequence[slot])
        if sequence == 0 and self._engine.meters.sent[slot]:
            # The next packet is the first after a wrap, of which SRTP does not know yet.
            roll_over += 1
        return heard, SentSource(
            ssrc=ssrc,
            sequence=sequence,
            timestamp=int(legs.out_timestamp[slot]),
            roll_over=roll_over,
            at_ns=now_ns,
        )

    def _close(self, slot: int, now_ns: int) -> None:
        engine = self._engine
        room = int(engine.legs.room[slot])
        if room >= 0:
            engine.legs.room[slot] = -1
            engine.rooms.leave(room)
            if not engine.rooms.used[room]:
                engine.sounds.closed(room)
            engine.recordings.changed()
        engine.browsers.forget(slot)
        engine.sources.remove(slot, int(engine.received.ssrc[slot]), now_ns)
        engine.forget(slot)
        engine.protection.forget(slot)
        engine.legs.close(slot)
