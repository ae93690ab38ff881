"""One call that is made: devices, a path of four stages between them, and points where it is captured.

The stages lie between caller and called in this order: 0 the caller's network, 1 and 2 the way between, 3
the called one's network. A point at position k lies behind stage k as seen from the caller. Times are seconds
since the call's zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ringback.rtp import rtcp
from ringback.testing.captures import file, reports
from ringback.testing.captures.dialog import Agent, Dialog, Media
from ringback.testing.captures.hops import Hop, Line, Traffic
from ringback.testing.captures.packets import (
    RTP_OVERHEAD,
    Route,
)
from ringback.testing.captures.voice import (
    NOISE,
    Chance,
    Codec,
    Talker,
    Voice,
    conversation,
    press_keys,
    speak,
)

Side = Literal["caller", "called"]
SIDES: tuple[Side, Side] = ("caller", "called")
T1_S, T2_S = 0.5, 4.0
MTU = 1500


def _described(talker: Talker) -> tuple[Codec, ...]:
    """What a device says of its format, with how it keeps silent (RFC 3389, RFC 4856, RFC 7587)."""
    codec = talker.codec
    if not talker.dtx:
        return (codec,)
    if codec.name == "g729":
        return (replace(codec, fmtp=""),)
    if codec.name == "opus":
        return (replace(codec, fmtp=f"{codec.fmtp};usedtx=1"),)
    return (codec, NOISE)


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


@dataclass(frozen=True, slots=True)
class Records:
    """What is about to be written: times, which packet each is, and from which side."""

    at: NDArray[np.float64]
    packet: NDArray[np.intp]
    from_caller: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Records:
        """Some of them."""
        return Records(self.at[rows], self.packet[rows], self.from_caller[rows])


Effect = Callable[[Records, Chance], Records]
"""What capturing itself does."""


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
    keys: int = 0
    """How many the caller presses."""
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
    described: dict[Side, dict[str, object]] = field(default_factory=dict)
    """What a side's SDP says otherwise than its device is."""
    rewritten: tuple[int, str, str] | None = None
    """An ALG in a stage: what it finds in messages, and what it makes of that."""
    quiet_reports: dict[Side, tuple[float, float]] = field(default_factory=dict)
    """When a side sends no RTCP either."""
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
        self.dialog = Dialog(self.rng, agents[0], agents[1])
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
            "codecs": codecs or _described(device.talker),
            "ptime_ms": device.talker.ptime_ms,
        }
        return Media(**(fields | self.described.get(side, {}) | changes))  # type: ignore[arg-type]

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

    def reinvite(
        self,
        side: Side,
        at_s: float,
        own: Media,
        peer: Media | None,
        *,
        method: str = "INVITE",
        status: int = 200,
        headers: Sequence[str] = (),
        answer_headers: Sequence[str] = (),
    ) -> float:
        """A side changes the session; when it knows how that went."""
        dialog, who = self.dialog, other(side)
        branch, cseq = dialog.token(12), dialog.next_cseq(side)
        body = own.text(dialog.session[side])
        came = self.say(
            side, at_s, dialog.request(side, method, cseq, branch=branch, body=body, headers=headers)
        )
        if method == "INVITE":
            self.say(who, came + 0.002, dialog.response(who, 100, method, cseq, branch=branch))
        answer = peer.text(dialog.session[who]) if peer and status == 200 else ""
        at = came + float(self.rng.uniform(0.02, 0.12))
        back = self.say(
            who,
            at,
            dialog.response(who, status, method, cseq, branch=branch, body=answer, headers=answer_headers),
        )
        if method == "INVITE":
            ack_branch = dialog.token(12) if status == 200 else branch
            self.say(side, back + 0.002, dialog.request(side, "ACK", cseq, branch=ack_branch))
        return back

    def hang_up(
        self, side: Side | None = None, at_s: float | None = None, headers: Sequence[str] = ()
    ) -> float:
        """A side ends the call; when the other hears of it."""
        who: Side = side or SIDES[int(self.rng.integers(2))]
        at = self.ended_s if at_s is None else at_s
        branch, cseq = self.dialog.token(12), self.dialog.next_cseq(who)
        bye = self.dialog.request(who, "BYE", cseq, branch=branch, headers=headers)
        came = self.say(who, at, bye)
        answer = self.dialog.response(other(who), 200, "BYE", cseq, branch=branch)
        self.say(other(who), came + 0.003, answer)
        return came

    @staticmethod
    def last_cseq(text: str) -> int:
        """The number in a message's CSeq."""
        return int(text.partition("\r\nCSeq: ")[2].split()[0])

    # Media

    def talk(self, side: Side, begin_s: float | None = None, end_s: float | None = None) -> Voice:
        """A side speaks from the beginning (or a time) to the end; what it said is kept and given."""
        begin = (self.answered_s if side == "called" else self.media_s) + float(self.rng.uniform(0.01, 0.08))
        begin = begin if begin_s is None else begin_s
        end = self.ended_s if end_s is None else end_s
        talker = self.devices[side].talker
        voice = speak(self.rng, talker, self.talks[side], begin, end)
        if self.keys and side == "caller" and not talker.dtx and talker.codec.clock_rate == 8000:
            voice = press_keys(self.rng, voice, self.keys)
        self.voices[side] = voice
        return voice

    def extend_talk(self) -> None:
        """Give both something to say until the end, where that was moved."""
        self.seconds = self.ended_s - self.answered_s
        self.talks = dict(zip(SIDES, conversation(self.rng, self.ended_s + 40), strict=True))

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
            begin, end = self.quiet_reports.get(side, (0.0, 0.0))
            at = at[(at < begin) | (at > end)]
        self.report_times[side] = at
        total = len(voice) + len(at)
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
        for stage in self.passed(side, None):
            # A point at k lies between the stages k and k + 1.
            if side == "called" and stage < 3:
                self.seen[side, stage] = traffic
            for hop in self.stages[side][stage]:
                traffic = hop(traffic, self.rng)
            if side == "caller" and stage < 3:
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
                compound += reports.voip_metrics(ssrc, block[0], of, at, buffer_s=buffer_s, round_trip_s=trip)
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
