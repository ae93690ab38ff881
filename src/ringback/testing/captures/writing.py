"""A call as capture files: what each of its points saw, written down, and counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ringback.testing.captures import file
from ringback.testing.captures.call import SIDES, Call, Point, Records, Side, other
from ringback.testing.captures.hops import Remark
from ringback.testing.captures.labelled import StreamTruth
from ringback.testing.captures.packets import DONT_FRAGMENT, Route, fragments, rtp_packets, udp_packet
from ringback.testing.captures.voice import payloads


def files(call: Call) -> tuple[dict[str, bytes], tuple[StreamTruth, ...]]:
    """The capture of each point of a call that has run, and what they really hold."""
    written: dict[str, bytes] = {}
    truths: list[StreamTruth] = []
    for point in call.points:
        written[point.name], truth = _Writing(call, point).finished()
        truths += truth
    return written, tuple(truths)


class _Writing:
    """One point's packets while they are gathered."""

    def __init__(self, call: Call, point: Point) -> None:
        self.call, self.point = call, point
        self.at: list[float] = []
        self.packets: list[bytes] = []
        self.from_caller: list[bool] = []

    def finished(self) -> tuple[bytes, list[StreamTruth]]:
        call, point = self.call, self.point
        sender, row = [], []
        for number, side in enumerate(SIDES):
            if (side, point.position) in call.seen:
                rows = self._voice(side)
                sender.append(np.full(len(rows), number))
                row.append(rows)
        streams = len(self.packets)
        self._reports()
        self._signalling()
        for position, at, packet, side in call.extras:
            if position == point.position:
                self._add(at, packet, side)
        rest = len(self.packets) - streams
        senders = np.concatenate([*sender, np.full(rest, -1)])
        rows_of = np.concatenate([*row, np.full(rest, -1)])
        records = Records(np.asarray(self.at), np.arange(len(self.at)), np.asarray(self.from_caller))
        for effect in point.effects:
            records = effect(records, call.rng)
        records = records.take(np.argsort(records.at, kind="stable"))
        at_ns = call.epoch_ns + np.round(records.at * 1e9).astype(np.int64)
        packets = [self.packets[k] for k in records.packet.tolist()]
        data = file.write(at_ns, packets, records.from_caller, call.link, form=point.form)
        return data, self._truth(senders[records.packet], rows_of[records.packet])

    def _add(self, at: float, packet: bytes, side: Side) -> None:
        self.at.append(at)
        self.packets.append(packet)
        self.from_caller.append(side == "caller")

    def _voice(self, side: Side) -> NDArray[np.int64]:
        """Add a side's RTP; the rows of its voice in the order in which they were added."""
        call, voice = self.call, self.call.voices[side]
        traffic = call.seen[side, self.point.position]
        mine = np.flatnonzero(traffic.row < len(voice))
        row = traffic.row[mine]
        kinds = voice.size[row] * 65536 + voice.payload_type[row].astype(np.int64) * 256 + voice.route[row]
        added = []
        for kind in np.unique(kinds):
            places = mine[kinds == kind]
            chosen = traffic.row[places]
            part = voice.take(chosen)
            self.packets += rtp_packets(
                call.routes[side][int(kind) & 255](self.point.position),
                dscp=traffic.dscp[places],
                ttl=traffic.ttl[places],
                ip_id=call.ip_ids[side][chosen],
                dont_fragment=call.devices[side].dont_fragment,
                marker=part.marker,
                payload_type=part.payload_type,
                sequence=part.sequence.astype(np.uint16),
                timestamp=part.timestamp.astype(np.uint32),
                ssrc=part.ssrc,
                payload=payloads(part, call.codecs),
            )
            self.at += traffic.at[places].tolist()
            self.from_caller += [side == "caller"] * len(places)
            added.append(chosen)
        return np.concatenate(added) if added else np.zeros(0, np.int64)

    def _reports(self) -> None:
        call, position = self.call, self.point.position
        for side in call.voices:
            traffic, count = call.seen[side, position], len(call.voices[side])
            route = call.routes[side][-1](position)
            above = Route(route.src, route.sport + 1, route.dst, route.dport + 1)
            flags = DONT_FRAGMENT if call.devices[side].dont_fragment else 0
            for place in np.flatnonzero(traffic.row >= count).tolist():
                row = int(traffic.row[place])
                marks = {"dscp": int(traffic.dscp[place]), "ttl": int(traffic.ttl[place])}
                ip_id = int(call.ip_ids[side][row])
                data = call.report_data[side][row - count]
                packet = udp_packet(above, data, ip_id=ip_id, flags=flags, **marks)
                self._add(float(traffic.at[place]), packet, side)

    def _signalling(self) -> None:
        call, position = self.call, self.point.position
        for said in call.said:
            passed = call.passed(said.side, position)
            pieces = 0
            if said.lost_stage is not None and said.lost_stage in passed:
                if not said.pieces:
                    continue
                pieces = said.pieces
            device = call.devices[said.side]
            dscp = device.sip_dscp
            for hop in (hop for stage in passed for hop in call.stages[said.side][stage]):
                if isinstance(hop, Remark) and said.at_s >= hop.since_s:
                    dscp = hop.table.get(dscp, dscp)
            places = call.sip_place(said.side, position), call.sip_place(other(said.side), position)
            route = said.route or Route(*places[0], *places[1])
            ttl = device.ttl - call.hops(said.side, position)
            ip_id = int(call.rng.integers(65536))
            flags = DONT_FRAGMENT if device.dont_fragment else 0
            text = said.render(position)
            if call.rewritten and call.rewritten[0] in passed:
                text = text.replace(call.rewritten[1], call.rewritten[2])
            packet = udp_packet(route, text.encode(), dscp=dscp, ttl=ttl, ip_id=ip_id, flags=flags)
            at = said.at_s + call.way_s(said.side, position) + float(call.rng.gamma(2, 0.0002))
            parts = [packet] if flags else fragments(packet, said.mtu)
            for number, part in enumerate(parts[:pieces] if pieces else parts):
                self._add(at + number * 0.00001, part, said.side)

    def _truth(self, senders: NDArray[np.int64], rows: NDArray[np.int64]) -> list[StreamTruth]:
        call, truths = self.call, []
        for number, side in enumerate(SIDES):
            if side not in call.voices:
                continue
            voice = call.voices[side]
            mine = rows[senders == number]
            traffic = call.heard[side]
            heard = np.unique(traffic.row[traffic.row < len(voice)])
            keys = voice.ssrc.astype(np.int64) * 256 + voice.route
            for key in np.unique(keys[mine]).tolist():
                here = mine[keys[mine] == key]
                sequence = voice.sequence[here]
                fresh = np.zeros(len(sequence), np.bool_)
                fresh[np.unique(sequence, return_index=True)[1]] = True
                highest = np.maximum.accumulate(sequence)
                unique, expected = int(fresh.sum()), int(sequence.max() - sequence.min()) + 1
                sent = int((keys == key).sum())
                route = call.routes[side][key & 255](self.point.position)
                truths.append(
                    StreamTruth(
                        self.point.name,
                        route.src,
                        route.sport,
                        route.dst,
                        route.dport,
                        ssrc=key >> 8,
                        sent=sent,
                        expected=expected,
                        unique=unique,
                        lost=expected - unique,
                        duplicates=len(sequence) - unique,
                        reordered=int((fresh & (sequence < highest)).sum()),
                        far_lost=sent - int((keys[heard] == key).sum()),
                    )
                )
        return truths
