"""One call that is made: devices, a path of four stages between them, and points where it is captured.

The stages lie between caller and called in this order: 0 the caller's network, 1 and 2 the way between, 3
the called one's network. A point at position k lies behind stage k as seen from the caller. Times are seconds
since the call's zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ringback.rtp import rtcp
from ringback.testing.captures import file, reports
from ringback.testing.captures.dialog import Agent, Dialog, Media
from ringback.testing.captures.hops import Hop, Line, Traffic
from ringback.testing.captures.labelled import StreamTruth
from ringback.testing.captures.packets import (
    DONT_FRAGMENT,
    RTP_OVERHEAD,
    Route,
    fragments,
    rtp_packets,
    udp_packet,
)
from ringback.testing.captures.voice import Chance, Codec, Talker, Voice, conversation, payloads, speak

Side = Literal["caller", "called"]
SIDES: tuple[Side, Side] = ("caller", "called")
T1_S, T2_S = 0.5, 4.0
MTU = 1500


def other(side: Side) -> Side:
    """The other one."""
    return "called" if side == "caller" else "caller"


@dataclass
class Device:
    """One end of the call. Behind a NAT at `nat_stage` others see it at `nat_address`, `nat_port` for its
    RTP and `nat_sip_port`."""

    address: str
    sip_address: str
    user: str
    product: str
    rtp_port: int
    talker: Talker
    sip_port: int = 5060
    ttl: int = 64
    sip_dscp: int = 24
    ip_id_counts: bool = True
    dont_fragment: bool = False
    nat_stage: int | None = None
    nat_address: str = ""
    nat_port: int = 0
    nat_sip_port: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """One SIP message: `render` gives its text at a point, `lost_stage` is the stage that it does not pass;
    with `pieces` only that many of its fragments pass there."""

    side: Side
    at_s: float
    render: Callable[[int], str]
    lost_stage: int | None = None
    pieces: int = 0
    route: Route | None = None
    mtu: int = MTU


Effect = Callable[[NDArray[np.float64], NDArray[np.intp], NDArray[np.bool_], Chance], NDArray[np.intp] | None]
"""What capturing itself does: may change the times in place, and gives the rows that are written."""


@dataclass
class Point:
    """Where the call is captured, and how."""

    name: str
    position: int
    form: str = "pcap"
    effects: list[Effect] = field(default_factory=list)


@dataclass
class Call:
    """A call under construction; `draw.draw_call` makes one that is in order, models make it bad."""

    rng: Chance
    epoch_ns: int
    seconds: float
    devices: dict[Side, Device]
    stages: dict[Side, list[list[Hop]]]
    points: list[Point]
    link: file.Link
    reports_every_s: float | None = 5.0
    inside: dict[Side, list[Hop]] = field(default_factory=lambda: {"caller": [], "called": []})
    """What happens within a device before its packets get an IP header."""
    voices: dict[Side, Voice] = field(default_factory=dict)
    routes: dict[Side, list[Callable[[int], Route]]] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    extras: list[tuple[int, float, bytes, Side]] = field(default_factory=list)
    """IP packets beside: position of the point, time, octets, from which side they come."""
    heard: dict[Side, Traffic] = field(default_factory=dict)
    """What came through to the other end, by who sent it."""
    seen: dict[tuple[Side, int], Traffic] = field(default_factory=dict)
    buffers_s: dict[Side, float] = field(default_factory=dict)
    """Receivers that send extended reports, by the length of their buffer."""
    invited_s: float = 0.0
    ringing_s: float = 0.0
    answered_s: float = 0.0
    media_s: float = 0.0
    ended_s: float = 0.0

    def __post_init__(self) -> None:
        agents = []
        for side in SIDES:
            device = self.devices[side]
            contact = f"{device.sip_address}:{device.sip_port}"
            agents.append(Agent(device.user, device.sip_address, contact, device.product, self.token(8)))
            self.routes[side] = [self.usual_route(side)]
        self.dialog = Dialog(self.rng, *agents)
        self.talks = dict(zip(SIDES, conversation(self.rng, self.seconds + 40), strict=True))
        self.codecs: dict[int, Codec] = {}
        self.ip_ids: dict[Side, NDArray[np.uint16]] = {}
        self.report_times: dict[Side, NDArray[np.float64]] = {}
        self.report_data: dict[Side, list[bytes]] = {}

    # Where things are

    def token(self, length: int) -> str:
        """Letters and digits at random."""
        return "".join("0123456789abcdef"[k] for k in self.rng.integers(0, 16, length))

    def passed(self, side: Side, position: int | None) -> list[int]:
        """The stages that a side's packets pass before a point (all of them to the other end), in order."""
        order = [0, 1, 2, 3] if side == "caller" else [3, 2, 1, 0]
        if position is None:
            return order
        return [stage for stage in order if (stage <= position) == (side == "caller")]

    def way_s(self, side: Side, position: int | None = None) -> float:
        """How long an empty way takes to a point, or to the other end."""
        lines = [hop for stage in self.passed(side, position) for hop in self.stages[side][stage]]
        return sum(hop.delay_s for hop in lines if isinstance(hop, Line))

    def hops(self, side: Side, position: int) -> int:
        """Routers until a point."""
        lines = [hop for stage in self.passed(side, position) for hop in self.stages[side][stage]]
        return sum(hop.hops for hop in lines if isinstance(hop, Line))

    def is_inside(self, side: Side, position: int) -> bool:
        """Whether a point lies between a device and its NAT."""
        stage = self.devices[side].nat_stage
        if stage is None:
            return True
        return position < stage if side == "caller" else position >= stage

    def place(self, side: Side, position: int) -> tuple[str, int]:
        """Address and port of a device's RTP as a point sees them."""
        device = self.devices[side]
        if self.is_inside(side, position):
            return device.address, device.rtp_port
        return device.nat_address, device.nat_port or device.rtp_port

    def sip_place(self, side: Side, position: int) -> tuple[str, int]:
        """Address and port of a device's SIP as a point sees them."""
        device = self.devices[side]
        if self.is_inside(side, position):
            return device.sip_address, device.sip_port
        return device.nat_address, device.nat_sip_port or device.sip_port

    def usual_route(self, side: Side) -> Callable[[int], Route]:
        """From RTP port to RTP port."""
        return lambda position: Route(*self.place(side, position), *self.place(other(side), position))

    # Signalling

    def media(self, side: Side, codecs: Sequence[Codec] = (), **changes: object) -> Media:
        """A side's description of its audio."""
        device = self.devices[side]
        fields: dict[str, object] = {
            "address": device.address,
            "port": device.rtp_port,
            "codecs": codecs or (device.talker.codec,),
            "ptime_ms": device.talker.ptime_ms,
        }
        return Media(**(fields | changes))  # type: ignore[arg-type]

    def say(self, side: Side, at_s: float, text: str | Callable[[int], str], **loss: object) -> float:
        """A side sends a message; when it comes to the other (if it does)."""
        render = (lambda _: text) if isinstance(text, str) else text
        self.said.append(Said(side, at_s, render, **loss))  # type: ignore[arg-type]
        return at_s + self.way_s(side) + float(self.rng.gamma(2, 0.0004))

    def repeat(
        self, side: Side, at_s: float, text: str | Callable[[int], str], until_s: float, **loss: object
    ) -> list[float]:
        """A side sends a message again and again, as over UDP until an answer; when each is sent
        (RFC 3261, 17.1.1.2 without T2's limit for INVITE: `until_s` ends it)."""
        at, gap, sent = at_s, T1_S, []
        capped = "INVITE sip:" not in (text if isinstance(text, str) else text(0))[:11]
        while at < until_s:
            self.say(side, at, text, **loss)
            sent.append(at)
            at += gap
            gap = min(2 * gap, T2_S) if capped else 2 * gap
        return sent

    def invite(
        self,
        *,
        offer: Sequence[Codec] = (),
        answer: Sequence[Codec] = (),
        headers: Sequence[str] = (),
        answer_headers: Sequence[str] = (),
        alert_s: float | None = None,
        ring_s: float | None = None,
        acknowledge: bool = True,
    ) -> None:
        """The usual way into a call: INVITE, 100, 180, 200, ACK."""
        rng, dialog = self.rng, self.dialog
        self.invited_s = float(rng.uniform(0.2, 1.5))
        branch, cseq = dialog.token(12), dialog.next_cseq("caller")
        offered = self.media("caller", offer).text(dialog.session["caller"])
        invite = dialog.request(
            "caller", "INVITE", cseq, branch=branch, body=offered, headers=headers, initial=True
        )
        came = self.say("caller", self.invited_s, invite)
        self.say("called", came + 0.004, dialog.response("called", 100, "INVITE", cseq, branch=branch))
        self.ringing_s = came + (float(rng.uniform(0.05, 0.6)) if alert_s is None else alert_s)
        self.say("called", self.ringing_s, dialog.response("called", 180, "INVITE", cseq, branch=branch))
        self.answered_s = self.ringing_s + (float(rng.uniform(0.6, 4.0)) if ring_s is None else ring_s)
        answered = self.media("called", answer).text(dialog.session["called"])
        accept = dialog.response(
            "called", 200, "INVITE", cseq, branch=branch, body=answered, headers=answer_headers
        )
        back = self.say("called", self.answered_s, accept)
        self.media_s = back + 0.01
        if acknowledge:
            ack = dialog.request("caller", "ACK", cseq, branch=dialog.token(12))
            self.say("caller", back + 0.003, ack)
        self.ended_s = self.answered_s + self.seconds

    def hang_up(self, side: Side | None = None, at_s: float | None = None, **loss: object) -> float:
        """A side ends the call; when the other hears of it."""
        who: Side = side or SIDES[int(self.rng.integers(2))]
        at = self.ended_s if at_s is None else at_s
        branch, cseq = self.dialog.token(12), self.dialog.next_cseq(who)
        came = self.say(who, at, self.dialog.request(who, "BYE", cseq, branch=branch), **loss)
        if not loss:
            answer = self.dialog.response(other(who), 200, "BYE", cseq, branch=branch)
            self.say(other(who), came + 0.003, answer)
        return came

    # Media

    def talk(self, side: Side, begin_s: float | None = None, end_s: float | None = None) -> Voice:
        """A side speaks from the beginning (or a time) to the end; what it said is kept and given."""
        begin = (self.answered_s if side == "called" else self.media_s) + float(self.rng.uniform(0.01, 0.08))
        begin = begin if begin_s is None else begin_s
        end = self.ended_s if end_s is None else end_s
        talker = self.devices[side].talker
        voice = speak(self.rng, talker, self.talks[side], begin, end)
        self.voices[side] = voice
        return voice

    def both_talk(self) -> None:
        """Both speak until the end."""
        for side in SIDES:
            self.talk(side)

    def run(self) -> None:
        """Send everything on its way; afterwards it is known what came where."""
        for side in SIDES:
            device = self.devices[side]
            self.codecs.setdefault(device.talker.codec.payload_type, device.talker.codec)
        for side, voice in self.voices.items():
            self._send(side, voice)
        for side in self.voices:
            self.report_data[side] = self._reports(side)

    def _send(self, side: Side, voice: Voice) -> None:
        device = self.devices[side]
        at = np.zeros(0)
        if self.reports_every_s:
            at = reports.times(self.rng, voice.sent_s[0], voice.sent_s[-1], self.reports_every_s)
        self.report_times[side] = at
        count, total = len(voice), len(voice) + len(at)
        traffic = Traffic(
            at=np.concatenate((voice.sent_s, at)),
            size=np.concatenate((voice.size + RTP_OVERHEAD, np.full(len(at), reports.SIZE))),
            dscp=np.concatenate((voice.dscp, np.full(len(at), device.talker.dscp, np.uint8))),
            ttl=np.full(total, device.ttl, np.uint8),
            row=np.arange(total),
        ).sorted()
        for hop in self.inside[side]:
            traffic = hop(traffic, self.rng)
        ids = np.zeros(total, np.uint16)
        if device.ip_id_counts:
            steps = 1 + (self.rng.random(len(traffic)) < 0.02)
            ids[traffic.row] = (int(self.rng.integers(65536)) + np.cumsum(steps)) % 65536
        else:
            ids[:] = self.rng.integers(0, 65536, total)
        self.ip_ids[side] = ids
        self.voices[side] = voice
        places = {point.position for point in self.points}
        for stage in self.passed(side, None):
            # A point at k lies between the stages k and k + 1.
            if side == "called" and stage in places:
                self.seen[side, stage] = traffic
            for hop in self.stages[side][stage]:
                traffic = hop(traffic, self.rng)
            if side == "caller" and stage in places:
                self.seen[side, stage] = traffic
        self.heard[side] = traffic

    def received(self, side: Side) -> reports.Heard:
        """What a side heard of the other."""
        sender = other(side)
        voice = self.voices.get(sender)
        clock_rate = self.devices[sender].talker.codec.clock_rate
        if voice is None:
            none = np.zeros(0, np.int64)
            return reports.Heard(np.zeros(0), none, none, np.zeros(0, np.uint32), clock_rate)
        traffic = self.heard[sender]
        mine = traffic.row < len(voice)
        row = traffic.row[mine]
        at = traffic.at[mine]
        return reports.Heard(at, voice.sequence[row], voice.timestamp[row], voice.ssrc[row], clock_rate)

    def _reports(self, side: Side) -> list[bytes]:
        """The compound packets of a side, in order of `report_times`."""
        voice, heard = self.voices[side], self.received(side)
        rate = self.devices[side].talker.codec.clock_rate
        coming = self._reports_heard(other(side))
        sources = {int(ssrc): heard.of(int(ssrc)) for ssrc in np.unique(heard.ssrc)}
        receivers = {ssrc: reports.Receiver(part) for ssrc, part in sources.items()}
        name, data = rtcp.name_chunk(f"{self.devices[side].address}"), []
        for at in self.report_times[side].tolist():
            ssrc, timestamp, packets, octets = reports.sent_until(voice, at, rate)
            count = int(np.searchsorted(heard.at, at))
            block = None
            if count:
                source = int(heard.ssrc[count - 1])
                last = [one for one in coming if one[0] < at]
                block = receivers[source].block(source, at, last[-1] if last else None)
            info = (rtcp.ntp_time(self.epoch_ns / 1e9 + at), timestamp, packets, octets)
            compound = rtcp.report(ssrc, info, block, name)
            if block is not None and side in self.buffers_s:
                trip = self.way_s("caller") + self.way_s("called")
                of = sources[block[0]]
                buffer_s = self.buffers_s[side]
                compound += reports.voip_metrics(
                    ssrc, block[0], of, at, buffer_s=buffer_s, round_trip_s=trip
                )
            data.append(compound)
        return data

    def _reports_heard(self, sender: Side) -> list[tuple[float, int]]:
        """When the other side's reports came, with their NTP time."""
        if sender not in self.voices:
            return []
        traffic, count = self.heard[sender], len(self.voices[sender])
        rows = np.flatnonzero(traffic.row >= count)
        sent = self.report_times[sender][traffic.row[rows] - count]
        epoch = self.epoch_ns / 1e9
        return [(at, rtcp.ntp_time(epoch + when)) for at, when in zip(traffic.at[rows], sent, strict=True)]

    # The files

    def files(self) -> tuple[dict[str, bytes], tuple[StreamTruth, ...]]:
        """The capture of each point, and what they really hold."""
        written, truths = {}, []
        for point in self.points:
            data, truth = _Writing(self, point).finished()
            written[point.name] = data
            truths += truth
        return written, tuple(truths)


class _Writing:
    """One point's packets while they are gathered."""

    def __init__(self, call: Call, point: Point) -> None:
        self.call, self.point = call, point
        self.at: list[float] = []
        self.packets: list[bytes] = []
        self.from_caller: list[bool] = []
        self.voice_rows: list[tuple[Side, int, int]] = []
        """Sender, first place in `packets`, and the rows in `voice_order`."""
        self.origin: list[tuple[Side, NDArray[np.int64]]] = []

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
        at = np.asarray(self.at)
        toward = np.asarray(self.from_caller)
        order = np.argsort(at, kind="stable")
        for effect in point.effects:
            chosen = effect(at, order, toward, call.rng)
            order = order if chosen is None else chosen
        at_ns = call.epoch_ns + np.round(at[order] * 1e9).astype(np.int64)
        packets = [self.packets[k] for k in order.tolist()]
        data = file.write(at_ns, packets, toward[order], call.link, form=point.form)
        return data, self._truth(senders[order], rows_of[order])

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
            places = call.sip_place(said.side, position), call.sip_place(other(said.side), position)
            route = said.route or Route(*places[0], *places[1])
            ttl = device.ttl - call.hops(said.side, position)
            ip_id = int(call.rng.integers(65536))
            flags = DONT_FRAGMENT if device.dont_fragment else 0
            text = said.render(position).encode()
            packet = udp_packet(route, text, dscp=device.sip_dscp, ttl=ttl, ip_id=ip_id, flags=flags)
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
                truths.append(
                    StreamTruth(
                        self.point.name,
                        *call.routes[side][key & 255](self.point.position),
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
