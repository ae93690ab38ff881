"""From datagrams to jitter buffers: whose, valid, authentic, in order; everything else is counted and
dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.media.batch import PacketBatch
from ringback.media.columns import Bools, Bytes, Ints, Longs
from ringback.media.comfort import ComfortNoise
from ringback.media.dtmf import Press, TelephoneEventReceiver
from ringback.media.jitter_buffer import FRAME_BYTES, HALF, JitterBuffer
from ringback.media.legs import (
    COMFORT_NOISE,
    DEFAULT_EVENT_CLOCK,
    FRAME_TIMESTAMPS,
    L16,
    NO_FORMAT,
    OPUS,
    TELEPHONE_EVENT,
    Legs,
)
from ringback.media.linear_streams import LinearStreams
from ringback.media.opus_streams import OpusStreams, ordinary
from ringback.media.security import Protection
from ringback.media.sources import SILENT_NS, Sources
from ringback.media.statistics import Meters
from ringback.media.usual import GUARD_NS, MAX_EARLY_TICKS, UsualPackets
from ringback.rtp import header
from ringback.rtp.header import RtpColumns
from ringback.rtp.header_extension import UNKNOWN_LEVEL, audio_levels
from ringback.rtp.sequence import MAX_PER_UPDATE, ReceivedSequence

MAX_UNKNOWN = 64
"""Packets of unknown sources that are looked at in one batch: more is a flood."""
FRAME_NS = 20_000_000
FIRST_RTP_OCTET = 128


class Intake:
    """Takes batches; `learnt` and `presses` collect what is to be told until they are fetched."""

    def __init__(
        self,
        legs: Legs,
        sources: Sources,
        buffer: JitterBuffer,
        received: ReceivedSequence,
        meters: Meters,
        protection: Protection,
        opus: OpusStreams,
        linear: LinearStreams,
        on_rtcp: Callable[[PacketBatch, int, int], None],
        on_collision: Callable[[int, int, int], None],
        on_webrtc: Callable[[PacketBatch, Longs, Longs, int], None],
    ) -> None:
        """`on_rtcp` gets a batch, a row of it and the tick; `on_collision` a leg whose peer has our SSRC, the
        time and the tick; `on_webrtc` a batch, the rows that are no RTP and no RTCP, each row's leg, and the
        time."""
        self._legs = legs
        self._sources = sources
        self._buffer = buffer
        self._received = received
        self._meters = meters
        self._protection = protection
        self._opus = opus
        self._linear = linear
        self._usual = UsualPackets(legs, sources, buffer, received, meters)
        self._on_rtcp = on_rtcp
        self._on_collision = on_collision
        self._on_webrtc = on_webrtc
        self.event_receivers: dict[int, TelephoneEventReceiver] = {}
        """Key presses of each leg that has sent telephone-events, by row."""
        self.event_ns: dict[int, int] = {}
        """When each of these legs' last telephone-event packet came."""
        self.comfort: dict[int, ComfortNoise] = {}
        """The noise in the pauses of each leg that has sent any, by row."""
        self.learnt: list[tuple[int, bool]] = []
        """(leg row, whether the source differs from what was signalled)"""
        self.presses: list[tuple[int, Press]] = []
        self._first_tick_ns = 1 << 62
        self.stray_packets = 0
        """Datagrams that belong to no leg."""

    def forget(self, leg: int) -> None:
        """A leg was closed or is to be heard anew."""
        self._opus.forget(leg)
        self._linear.forget(leg)
        for kept in (self.event_receivers, self.event_ns, self.comfort):
            kept.pop(leg, None)

    def receive(self, batch: PacketBatch, now_ns: int, tick: int, ahead: bool = False) -> None:
        """Take a batch; nothing in it can raise. `ahead`: a while before the tick."""
        guard_ns = _guard_ns(ahead)
        batch = self._usual.take(batch, now_ns, tick, self._first(now_ns, tick, ahead), guard_ns)
        if len(batch):
            self._receive(batch, now_ns, tick, guard_ns)

    def usual(self, now_ns: int, tick: int, ahead: bool = False) -> Any | None:
        """By what the worker takes usual packets where it reads them (`UsualPackets.filter`)."""
        return self._usual.filter(now_ns, tick, self._first(now_ns, tick, ahead), _guard_ns(ahead))

    def _first(self, now_ns: int, tick: int, ahead: bool) -> int:
        # Ticks are late or in time, never early: the earliest show when they ought to be.
        if not ahead:
            self._first_tick_ns = min(self._first_tick_ns, now_ns - tick * FRAME_NS)
        return self._first_tick_ns

    def _receive(self, batch: PacketBatch, now_ns: int, tick: int, guard_ns: int) -> None:
        on_rtp_socket = (batch.socket & 1) == 0
        rtcp = header.is_rtcp(batch.data, batch.length) | ~on_rtp_socket
        if rtcp.any():
            for row in _fairly(np.flatnonzero(rtcp), batch.socket, 4 * MAX_UNKNOWN):
                self._on_rtcp(batch, row, tick)
        leg = self._sources.match(batch.socket >> 1, batch.ip, batch.port)
        rtp = ~rtcp
        if self._sources.webrtc_pairs:
            # STUN and DTLS by their first octet (RFC 7983 7); on plain legs' ports they are noise.
            setup = rtp & (batch.data[:, 0] < FIRST_RTP_OCTET)
            if setup.any():
                setup &= np.isin(batch.socket >> 1, list(self._sources.webrtc_pairs))
                self._on_webrtc(batch, np.flatnonzero(setup), leg, now_ns)
                rtp &= ~setup
        forged = self._decrypt(batch, leg, rtp, now_ns)
        # Headers are read after decryption, because padding is under it.
        columns = header.parse(batch.data, batch.length)
        valid = rtp & columns.valid & ~forged
        known = valid & (leg >= 0)
        if not known.all():
            self._count_invalid(leg, rtp & ~valid)
            for row in _fairly(np.flatnonzero(valid & (leg < 0)), batch.socket, MAX_UNKNOWN):
                self._unknown(batch, columns, row, now_ns)
        rows = np.flatnonzero(known)
        if len(rows):
            due = self._due(batch.arrival_ns[rows], now_ns, tick, guard_ns)
            self._known(batch, columns, rows, leg[rows], due)

    def _due(self, arrival_ns: Longs, now_ns: int, tick: int, guard_ns: int) -> Longs:
        """The tick at which each packet can be played first: int64[n]."""
        age = now_ns - arrival_ns
        # What comes shortly before its tick may miss the next; what comes while sockets are read does not.
        due = tick + ((age < guard_ns) & (age >= 0)).astype(np.int64)
        old = age > FRAME_NS
        if old.any():
            # It counts when a packet came, not when a worker that had lost ticks found it.
            came = -((self._first_tick_ns - arrival_ns[old]) // FRAME_NS)
            due[old] = np.clip(came, tick - MAX_EARLY_TICKS, due[old])
        return due

    def _count_invalid(self, leg: Longs, invalid: Bools) -> None:
        owned = leg[invalid & (leg >= 0)]
        np.add.at(self._meters.rejected, owned, 1)
        self.stray_packets += int(invalid.sum()) - len(owned)

    def _unknown(self, batch: PacketBatch, columns: RtpColumns, row: int, now_ns: int) -> None:
        """A packet of a source that is nobody's: may be a leg behind a NAT, may be anybody."""
        legs = self._legs
        ip, port = int(batch.ip[row]), int(batch.port[row])
        ssrc, sequence = int(columns.ssrc[row]), int(columns.sequence[row])

        def silent(slot: int) -> bool:
            return now_ns - int(self._meters.received_ns[slot]) > SILENT_NS

        possible = self._sources.possible(int(batch.socket[row]) >> 1, ip, port, ssrc, silent, now_ns)
        for slot in possible:
            if legs.formats[slot, columns.payload_type[row]] == NO_FORMAT or not port or not ip:
                continue
            if legs.secure[slot]:
                copy, length = batch.data[row : row + 1].copy(), batch.length[row : row + 1].copy()
                if not self._protection.unprotect([slot], copy, [0], length, now_ns)[0]:
                    continue
            if self._sources.consider(slot, ip, port, ssrc, sequence):
                differs = (int(legs.signalled_ip[slot]), int(legs.signalled_port[slot])) != (ip, port)
                self.learnt.append((slot, differs))
            return
        self.stray_packets += 1
        if len(possible) == 1:
            self._meters.rejected[possible[0]] += 1

    def _known(self, batch: PacketBatch, columns: RtpColumns, rows: Longs, leg: Longs, due: Longs) -> None:
        legs = self._legs
        form = legs.formats[leg, columns.payload_type[rows]]
        good = form != NO_FORMAT
        if not good.all():
            np.add.at(self._meters.rejected, leg[~good], 1)
            rows, leg, form, due = rows[good], leg[good], form[good], due[good]
        unlocked = ~legs.locked[leg]
        if unlocked.any():
            for slot in np.unique(leg[unlocked]).tolist():
                self._sources.lock(slot)
                self.learnt.append((slot, False))
        self._meters.received_ns[leg] = batch.arrival_ns[rows]
        clash = columns.ssrc[rows] == legs.out_ssrc[leg]
        if clash.any():
            for slot in np.unique(leg[clash]).tolist():
                self._on_collision(slot, int(self._meters.received_ns[slot]), int(due[clash].max()))
        clock = FRAME_TIMESTAMPS[form].astype(np.int64)
        arrivals = self._received.update(
            leg,
            columns.sequence[rows],
            columns.timestamp[rows],
            columns.ssrc[rows],
            batch.arrival_ns[rows] // 1000 * clock // (FRAME_NS // 1000),
            form < TELEPHONE_EVENT,
        )
        if arrivals.restarted.any():
            self._restart(leg[arrivals.restarted])
        fresh = arrivals.fresh & legs.receives[leg]
        speech = fresh & (form < TELEPHONE_EVENT) & (columns.payload_length[rows] > 0)
        if not speech.all():
            for i in np.flatnonzero(arrivals.fresh & (form == TELEPHONE_EVENT)).tolist():
                self._telephone_event(batch, columns, int(rows[i]), int(leg[i]))
            for i in np.flatnonzero(fresh & (form == COMFORT_NOISE)).tolist():
                self._comfort_noise(batch, columns, int(rows[i]), int(leg[i]))
            rows, leg, form, due = rows[speech], leg[speech], form[speech], due[speech]
        # Several packets of one leg go in one after another.
        for turn in _turns(leg):
            self._buffered(batch, columns, rows[turn], leg[turn], form[turn], due[turn])

    def _restart(self, leg: Longs) -> None:
        self._buffer.restart(leg)
        for slot in leg.tolist():
            self._opus.forget(slot)
            self._linear.forget(slot)

    def _decrypt(self, batch: PacketBatch, leg: Longs, rtp: Bools, now_ns: int) -> Bools:
        """Unprotect in place what came for legs with keys; which of it is forged or replayed."""
        forged = np.zeros(len(batch), np.bool_)
        secure = np.flatnonzero(rtp & (leg >= 0) & self._legs.secure[leg])
        if len(secure):
            rows = secure.tolist()
            forged[secure] = ~np.array(
                self._protection.unprotect(leg[secure].tolist(), batch.data, rows, batch.length, now_ns),
                np.bool_,
            )
        return forged

    def _telephone_event(self, batch: PacketBatch, columns: RtpColumns, row: int, leg: int) -> None:
        start = int(columns.payload_offset[row])
        payload = batch.data[row, start : start + int(columns.payload_length[row])].tobytes()
        clock = self._legs.event_clocks[leg].get(int(columns.payload_type[row]), DEFAULT_EVENT_CLOCK)
        receiver = self.event_receivers.get(leg)
        if receiver is None or (receiver.clock != clock and not receiver.pending):
            receiver = self.event_receivers[leg] = TelephoneEventReceiver(clock)
        now_ns = int(batch.arrival_ns[row])
        self.event_ns[leg] = now_ns
        samples = now_ns // 1000 * receiver.clock // 1_000_000
        for press in receiver.receive(
            payload, int(columns.timestamp[row]), bool(columns.marker[row]), samples
        ):
            self.presses.append((leg, press))

    def _comfort_noise(self, batch: PacketBatch, columns: RtpColumns, row: int, leg: int) -> None:
        start = int(columns.payload_offset[row])
        noise = self.comfort.get(leg)
        if noise is None:
            noise = self.comfort[leg] = ComfortNoise()
        noise.hear(batch.data[row, start : start + int(columns.payload_length[row])].tobytes())
        self._buffer.rest_at(leg, int(columns.timestamp[row]))

    def expire_events(self, now_ns: int) -> None:
        """End presses whose end packets were all lost."""
        for leg, receiver in self.event_receivers.items():
            if receiver.pending:
                samples = now_ns // 1000 * receiver.clock // 1_000_000
                self.presses += [(leg, press) for press in receiver.expire(samples)]

    def _buffered(
        self, batch: PacketBatch, columns: RtpColumns, rows: Longs, leg: Longs, form: Bytes, due: Longs
    ) -> None:
        buffer = self._buffer
        frame, offset, fits = buffer.place(leg, columns.timestamp[rows], form, due)
        start, size = columns.payload_offset[rows], columns.payload_length[rows]
        whole = fits & (offset == 0)
        plain = whole & (size == FRAME_BYTES) & (form < OPUS)
        if plain.all():
            buffer.store_from(leg, frame, batch.data, np.ascontiguousarray(rows), np.ascontiguousarray(start))
            return
        buffer.store(leg[plain], frame[plain], _payloads(batch, rows[plain], start[plain]))
        level = self._levels(batch, columns, rows, leg)
        usual = np.flatnonzero(whole & (form == OPUS) & ordinary(batch.data[rows, start], size))
        if len(usual):
            payload = _payloads(batch, rows[usual], start[usual])
            mine = (leg[usual], frame[usual], payload, size[usual])
            self._opus.put(*mine, level[usual])
            number = columns.sequence[rows[usual]].astype(np.int64)
            self._opus.note_corrected(*mine, number, due[usual])
            plain[usual] = True
        halves = (form < OPUS) & (size % HALF == 0) & (offset % HALF == 0) & ~plain
        if halves.any():
            half = 2 * frame + offset // HALF
            for turn in range(int(size[halves].max()) // HALF):
                there = np.flatnonzero(halves & (size > turn * HALF))
                payload = _payloads(batch, rows[there], start[there] + turn * HALF, HALF)
                buffer.store_half(leg[there], half[there] + turn, payload)
            plain |= halves
        for i in np.flatnonzero(~plain).tolist():
            payload = batch.data[rows[i], start[i] : start[i] + size[i]]
            slot = int(leg[i])
            if form[i] == L16:
                if fits[i] and not self._linear.put(slot, int(frame[i]), int(offset[i]), payload):
                    self._meters.rejected[slot] += 1
            elif form[i] != OPUS:
                buffer.store_part(slot, int(frame[i]), int(offset[i]), payload, int(form[i]))
            elif fits[i] and not self._opus.put_odd(
                slot, int(frame[i]), int(offset[i]) // 6, payload.tobytes(), int(level[i])
            ):
                self._meters.rejected[slot] += 1

    def _levels(self, batch: PacketBatch, columns: RtpColumns, rows: Longs, leg: Longs) -> Bytes:
        """What each packet tells of its audio's level (RFC 6464): uint8[k]."""
        if not self._legs.some_tell_levels:
            return np.full(len(rows), UNKNOWN_LEVEL, np.uint8)
        return audio_levels(batch.data, columns, rows, self._legs.level_extension[leg])


def _guard_ns(ahead: bool) -> int:
    """How long before the look at sockets a packet comes too shortly before its tick."""
    return 0 if ahead else GUARD_NS


def _fairly(rows: Longs, socket: Ints, most: int) -> list[int]:
    """At most so many of the rows, in turn of each socket: what floods one does not crowd out the others."""
    if len(rows) > most:
        rows = rows[np.argsort(_rank(socket[rows]), kind="stable")[:most]]
    found: list[int] = rows.tolist()
    return found


def _payloads(batch: PacketBatch, rows: Longs, start: Ints, size: int = FRAME_BYTES) -> Bytes:
    """So many octets from `start` on of each row: uint8[k, size], whatever part of it is payload."""
    if len(rows) and (start == header.HEADER_BYTES).all():
        return batch.data[rows, header.HEADER_BYTES : header.HEADER_BYTES + size]
    windows = np.lib.stride_tricks.sliding_window_view(batch.data, size, axis=1)
    payloads: Bytes = windows[rows, np.minimum(start, windows.shape[1] - 1)]
    return payloads


def _turns(leg: Longs) -> list[Longs]:
    """Split packets into rounds in which no leg appears twice, each round in order of leg row."""
    if not len(leg):
        return []
    order = np.argsort(leg, kind="stable")
    rank = _rank(leg[order])
    if not rank.any():
        return [order]
    return [order[rank == turn] for turn in range(min(int(rank.max()) + 1, MAX_PER_UPDATE))]


def _rank(ordered: NDArray[np.integer[Any]]) -> Longs:
    """Which of its run of equal values each value is: int64[n], 0 for the first."""
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    rank: Longs = np.arange(len(ordered)) - np.repeat(starts, np.diff(starts, append=len(ordered)))
    return rank
