"""RTCP of the legs: our reports every five seconds or so, what peers report, and where it comes from (RFC
3550 6).

RTCP is believed from the host that a leg's RTP goes to, and only when it names the leg's SSRCs; on a leg with
SRTP only when it is authentic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from ringback.media.batch import (
    MTU,
    OUTGOING_BYTES,
    OutgoingBatch,
    PacketBatch,
    empty_outgoing,
    rtcp_socket,
    rtp_socket,
)
from ringback.media.columns import Bytes, Column, Columns, Longs
from ringback.media.extended_reports import MAX_ROUND_TRIP_MS, ExtendedReports
from ringback.media.legs import FRAME_TIMESTAMPS, Legs
from ringback.media.security import Protection
from ringback.media.sources import Sources
from ringback.media.statistics import Meters
from ringback.rtp import rtcp
from ringback.rtp.sequence import ReceivedSequence

FIRST_TICKS = 25
INTERVAL_TICKS = 250
LOOK_EVERY, LOOK_AT = 5, 2
"""Ticks after which it is looked who has to report, which costs as much for several as for one; not those in
which other things are done that are due now and then."""
COLLISION_TICKS = 10 * INTERVAL_TICKS
"""A second collision within this time is no collision but a loop: our own packets that come back."""
MAX_GOODBYES = 2000
_MIDDLE = 0xFFFFFFFF


class _Schedule(Columns):
    SPEC: ClassVar[dict[str, Column]] = {
        "next_tick": Column(np.int64),
        "peer_report": Column(np.int64),
        "peer_report_ns": Column(np.int64),
        "collided_tick": Column(np.int64, empty=-COLLISION_TICKS),
        "sent_before": Column(np.int64),
        "octets_before": Column(np.int64),
    }
    next_tick: Longs
    peer_report: Longs
    peer_report_ns: Longs
    collided_tick: Longs
    sent_before: Longs
    octets_before: Longs


class Reports:
    """Sends and takes RTCP."""

    def __init__(
        self,
        legs: Legs,
        sources: Sources,
        received: ReceivedSequence,
        meters: Meters,
        protection: Protection,
        random_bits: Callable[[int], int],
        wall_offset_ns: int,
    ) -> None:
        """`wall_offset_ns` is what to add to the engine's clock to have the time since 1970."""
        self._legs = legs
        self._sources = sources
        self._received = received
        self._meters = meters
        self._protection = protection
        self._random_bits = random_bits
        self._wall_offset_ns = wall_offset_ns
        # A name that tells nothing of this machine, new each time (RFC 7022 4.2).
        self._name = rtcp.name_chunk(f"{random_bits(96):024x}@ringback")
        self._schedule = _Schedule(legs.capacity)
        self._extended = ExtendedReports(legs, meters)
        self._goodbyes: list[tuple[int, int, int, bytes]] = []

    def grow(self, capacity: int) -> None:
        """Follow the legs' capacity."""
        self._schedule.grow(capacity)
        self._extended.grow(capacity)

    def opened(self, leg: int, tick: int) -> None:
        """A leg is there: its first report is due soon, at a time of its own."""
        self._schedule.clear(leg)
        self._extended.clear(leg)
        self._schedule.next_tick[leg] = tick + FIRST_TICKS + self._random_bits(7)

    def closing(self, leg: int, now_ns: int) -> None:
        """A leg goes: say goodbye with the next datagrams, if its peer was ever sent to."""
        socket, ip, port = self._destination(leg)
        if not (ip and port and self._meters.sent[leg]) or len(self._goodbyes) >= MAX_GOODBYES:
            return
        ssrc = int(self._legs.out_ssrc[leg])
        row = np.zeros((1, OUTGOING_BYTES), np.uint8)
        report = self._report(leg, self._blocks([leg], now_ns)[0], now_ns)
        size = self._write(leg, row, 0, report + rtcp.encode(rtcp.Goodbye((ssrc,))))
        if size:
            self._goodbyes.append((socket, ip, port, row[0, :size].tobytes()))

    def renew(self) -> None:
        """Begin the counts of sources that are new, before they first send (RFC 3550 6.4.1)."""
        renewed = self._legs.renewed
        self._schedule.sent_before[renewed] = self._meters.sent[renewed]
        self._schedule.octets_before[renewed] = self._meters.sent_octets[renewed]
        renewed.clear()

    def collided(self, leg: int, now_ns: int, tick: int) -> None:
        """A leg's peer uses our SSRC: say goodbye to it and take another, unless that was just done (RFC 3550
        8.2)."""
        if tick - int(self._schedule.collided_tick[leg]) < COLLISION_TICKS:
            return
        self._schedule.collided_tick[leg] = tick
        self.closing(leg, now_ns)
        self._legs.renew_source(leg)

    def due(self, now_ns: int, tick: int) -> OutgoingBatch:
        """The reports whose time has come."""
        if tick % LOOK_EVERY != LOOK_AT and not self._goodbyes:
            return empty_outgoing()
        legs, schedule = self._legs, self._schedule
        slots = np.flatnonzero(legs.ready & (schedule.next_tick <= tick)).tolist()
        if not slots and not self._goodbyes:
            return empty_outgoing()
        rows: list[tuple[int, int, int, int]] = []
        data = np.zeros((len(slots) + len(self._goodbyes), OUTGOING_BYTES), np.uint8)
        for leg, block in zip(slots, self._blocks(slots, now_ns), strict=True):
            # Between half and one and a half intervals, lest all legs report together (RFC 3550 6.2).
            schedule.next_tick[leg] = tick + INTERVAL_TICKS // 2 + self._random_bits(8)
            socket, ip, port = self._destination(leg)
            if not (ip and port):
                continue
            size = self._write(leg, data, len(rows), self._report(leg, block, now_ns))
            if size:
                rows.append((socket, ip, port, size))
        for socket, ip, port, datagram in self._goodbyes:
            data[len(rows), : len(datagram)] = np.frombuffer(datagram, np.uint8)
            rows.append((socket, ip, port, len(datagram)))
        self._goodbyes.clear()
        columns = np.array(rows, np.int64).reshape(-1, 4)
        return OutgoingBatch(
            data[: len(rows)],
            columns[:, 3].astype(np.int32),
            columns[:, 0].astype(np.int32),
            columns[:, 1].astype(np.uint32),
            columns[:, 2].astype(np.uint16),
        )

    def receive(self, batch: PacketBatch, row: int, tick: int) -> None:
        """Take one RTCP datagram, whatever it is."""
        socket, ip, port = int(batch.socket[row]), int(batch.ip[row]), int(batch.port[row])
        length = int(batch.length[row])
        if not 8 <= length <= MTU:
            return
        sender = int.from_bytes(batch.data[row, 4:8].tobytes(), "big")
        leg = self._owner(socket, ip, port, sender)
        if leg is None:
            return
        datagram = batch.data[row]
        if self._legs.secure[leg]:
            length = self._protection.unprotect_rtcp(leg, datagram, length, int(batch.arrival_ns[row]))
            if length < 0:
                self._meters.rejected[leg] += 1
                return
        known = sender == int(self._received.ssrc[leg])
        for packet in rtcp.parse(datagram[:length].tobytes()).packets:
            known = self._take(leg, packet, known, int(batch.arrival_ns[row]))
        if known and socket % 2:
            self._learn(leg, ip, port)
        if sender == int(self._legs.out_ssrc[leg]):
            self.collided(leg, int(batch.arrival_ns[row]), tick)

    def _take(self, leg: int, packet: rtcp.RtcpPacket, known: bool, arrival_ns: int) -> bool:
        """Take one packet of a compound; whether it or one before showed that they are the peer's."""
        if isinstance(packet, rtcp.SenderReport | rtcp.ReceiverReport):
            named = [block for block in packet.blocks if block.ssrc == int(self._legs.out_ssrc[leg])]
            known = known or bool(named)
            if isinstance(packet, rtcp.SenderReport) and known:
                self._schedule.peer_report[leg] = rtcp.middle(packet.ntp_time)
                self._schedule.peer_report_ns[leg] = arrival_ns
            for block in named:
                self._take_block(leg, block, arrival_ns)
        elif isinstance(packet, rtcp.Goodbye):
            if known and int(self._received.ssrc[leg]) in packet.ssrcs:
                self._received.leave(leg)
        elif not isinstance(packet, rtcp.SourceDescription) and known:
            self._extended.take(leg, packet, arrival_ns, self._ntp(arrival_ns))
        return known

    def _owner(self, socket: int, ip: int, port: int, sender: int) -> int | None:
        """The leg that a datagram is of: by its host, and by SSRC where the host has several legs here."""
        legs = self._legs
        if socket >> 1 in self._sources.webrtc_pairs:
            leg = self._sources.owner(socket >> 1, ip, port)
            return leg if leg >= 0 and socket % 2 == 0 else None
        here = [s for s in self._sources.legs_on(socket >> 1) if legs.ready[s] and legs.remote_ip[s] == ip]
        if socket % 2 == 0:
            here = [s for s in here if legs.rtcp_mux[s] and legs.remote_port[s] == port]
        if len(here) > 1:
            here = [s for s in here if self._received.ssrc[s] == sender]
        return here[0] if len(here) == 1 else None

    def _learn(self, leg: int, ip: int, port: int) -> None:
        """RTCP goes where it comes from, once, behind a NAT as without."""
        legs = self._legs
        if not legs.rtcp_locked[leg] and legs.locked[leg]:
            legs.rtcp_ip[leg], legs.rtcp_port[leg] = ip, port
            legs.rtcp_locked[leg] = True

    def _take_block(self, leg: int, block: rtcp.ReportBlock, arrival_ns: int) -> None:
        meters = self._meters
        clock = float(FRAME_TIMESTAMPS[self._legs.send_codec[leg]]) / 20
        meters.remote_lost[leg] = block.fraction_lost / 256
        meters.remote_jitter_ms[leg] = min(block.jitter / clock, MAX_ROUND_TRIP_MS)
        seconds = rtcp.round_trip_s(block, self._ntp(arrival_ns))
        if seconds is not None and seconds * 1000 <= MAX_ROUND_TRIP_MS:
            meters.round_trip_ms[leg] = seconds * 1000

    def _destination(self, leg: int) -> tuple[int, int, int]:
        legs = self._legs
        pair = int(legs.pair[leg])
        if legs.rtcp_mux[leg]:
            return rtp_socket(pair), int(legs.remote_ip[leg]), int(legs.remote_port[leg])
        return rtcp_socket(pair), int(legs.rtcp_ip[leg]), int(legs.rtcp_port[leg])

    def _blocks(self, slots: list[int], now_ns: int) -> list[rtcp.Received | None]:
        """What we received of each leg, None where nothing came yet."""
        if not slots:
            return []
        legs, schedule = np.array(slots), self._schedule
        since = np.clip((now_ns - schedule.peer_report_ns[legs]) // 1000 * 65536 // 1_000_000, 0, _MIDDLE)
        last_sr = schedule.peer_report[legs]
        columns = (*self._received.report(legs), last_sr, np.where(last_sr > 0, since, 0))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [row if row[0] >= 0 else None for row in rows]

    def _report(self, leg: int, block: rtcp.Received | None, now_ns: int) -> bytes:
        legs, meters, schedule = self._legs, self._meters, self._schedule
        ssrc = int(legs.out_ssrc[leg])
        sent = int(meters.sent[leg] - schedule.sent_before[leg])
        sends = bool(legs.sends[leg]) and sent > 0
        info = None
        if sends:
            octets = int(meters.sent_octets[leg] - schedule.octets_before[leg])
            info = self._ntp(now_ns), int(legs.out_timestamp[leg]), sent, octets
        usual = rtcp.report(ssrc, info, block, self._name)
        if not legs.reference_times[leg]:
            return usual
        return usual + rtcp.encode(*self._extended.own(leg, ssrc, sends, now_ns, self._ntp(now_ns)))

    def _write(self, leg: int, data: Bytes, row: int, body: bytes) -> int:
        """Put a compound into a row, under SRTP where the leg has it; its length, 0 if it cannot be sent."""
        data[row, : len(body)] = np.frombuffer(body, np.uint8)
        if self._legs.secure[leg]:
            return max(self._protection.protect_rtcp(leg, data[row], len(body)), 0)
        return len(body)

    def _ntp(self, now_ns: int) -> int:
        """NTP time in 64 bits of a time on the engine's clock."""
        wall = now_ns + self._wall_offset_ns
        seconds, rest = divmod(wall, 1_000_000_000)
        return (seconds + rtcp.NTP_EPOCH_OFFSET_S) % (1 << 32) << 32 | (rest << 32) // 1_000_000_000
