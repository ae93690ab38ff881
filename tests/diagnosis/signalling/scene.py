"""Calls written by hand: a caller, a called side, what they send when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ringback.diagnosis.capture.captured import Endpoints, SipPacket, Transport
from ringback.diagnosis.signalling.call import CallRecord, Side
from ringback.diagnosis.signalling.findings import CODES
from ringback.diagnosis.signalling.follow import follow

START_NS = 1_700_000_000_000_000_000
Place = tuple[str, int]
CALLER: Place = ("192.0.2.10", 5060)
CALLED: Place = ("198.51.100.20", 5060)
PROXY: Place = ("203.0.113.5", 5060)


def at(seconds: float) -> int:
    """A time of the capture."""
    return START_NS + round(seconds * 1e9)


def sdp(
    address: str,
    port: int,
    formats: str = "0 101",
    *attributes: str,
    media: str = "audio",
    protocol: str = "RTP/AVP",
    origin: str = "",
) -> str:
    """A description of one section; telephone-event is 101."""
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {origin or address}",
        "s=-",
        f"c=IN IP4 {address}",
        "t=0 0",
        f"m={media} {port} {protocol} {formats}",
    ]
    if "101" in formats.split():
        lines.append("a=rtpmap:101 telephone-event/8000")
    return "\r\n".join([*lines, *(f"a={attribute}" for attribute in attributes), ""])


@dataclass
class Scene:
    """Gathers the packets of one Call-ID; a request's answers take its branch and CSeq."""

    call_id: str = "scene-1@example.com"
    caller: Place = CALLER
    called: Place = CALLED
    transport: Transport = "udp"
    caller_contact: str = ""
    called_contact: str = ""
    packets: list[SipPacket] = field(default_factory=list)
    _branches: int = 0
    _last: dict[tuple[str, Side], tuple[int, str, Place, Place]] = field(default_factory=dict)
    _cseq: dict[Side, int] = field(default_factory=lambda: {"caller": 0, "called": 100})

    def place(self, side: Side) -> Place:
        return self.caller if side == "caller" else self.called

    def request(
        self,
        seconds: float,
        method: str,
        by: Side = "caller",
        body: str = "",
        *headers: str,
        in_dialog: bool = True,
        repeat: bool = False,
        cseq: int | None = None,
        branch: str = "",
        source: Place | None = None,
        target: Place | None = None,
        tag: str = "",
        via: str = "",
        more_vias: Sequence[str] = (),
        fragments: int = 0,
    ) -> Scene:
        """A request; `repeat` sends the last one of its method again."""
        other: Side = "called" if by == "caller" else "caller"
        source, target = source or self.place(by), target or self.place(other)
        if repeat:
            number, branch, source, target = self._last[method, by]
        else:
            number = cseq if cseq is not None else self._next(method, by)
            self._branches += not branch
            branch = branch or f"z9hG4bK{by}{self._branches}"
            self._last[method, by] = (number, branch, source, target)
        tags = {"caller": tag or "from1", "called": "to1"}
        contact = (self.caller_contact if by == "caller" else self.called_contact) or source[0]
        lines = [
            f"{method} sip:5550100@{target[0]} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {via or f'{source[0]}:{source[1]}'};branch={branch}",
            *(f"Via: SIP/2.0/UDP {value}" for value in more_vias),
            "Max-Forwards: 70",
            f"From: <sip:555010{0 if by == 'caller' else 1}@example.com>;tag={tags[by]}",
            f"To: <sip:5550101@example.com>{f';tag={tags[other]}' if in_dialog else ''}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:{contact}:{source[1]}>",
        ]
        return self._add(seconds, source, target, lines, headers, body, fragments)

    def response(
        self,
        seconds: float,
        status: int,
        method: str = "INVITE",
        by: Side = "called",
        body: str = "",
        *headers: str,
        reason: str = "Reason",
        tag: str = "to1",
        source: Place | None = None,
        target: Place | None = None,
    ) -> Scene:
        """An answer to the last request of a method that the other side sent."""
        asked: Side = "called" if by == "caller" else "caller"
        number, branch, came_from, went_to = self._last[method, asked]
        source, target = source or went_to, target or came_from
        contact = (self.caller_contact if by == "caller" else self.called_contact) or source[0]
        own = f";tag={tag if asked == 'caller' else 'from1'}" if status > 100 else ""
        lines = [
            f"SIP/2.0 {status} {reason}",
            f"Via: SIP/2.0/{self.transport.upper()} {came_from[0]}:{came_from[1]};branch={branch}",
            f"From: <sip:5550100@example.com>;tag={'from1' if asked == 'caller' else 'to1'}",
            f"To: <sip:5550101@example.com>{own}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:{contact}:{source[1]}>",
        ]
        return self._add(seconds, source, target, lines, headers, body, 0)

    def _next(self, method: str, by: Side) -> int:
        if method in ("ACK", "CANCEL"):
            return self._last["INVITE", by][0]
        self._cseq[by] += 1
        return self._cseq[by]

    def _add(
        self,
        seconds: float,
        source: Place,
        target: Place,
        lines: list[str],
        headers: Sequence[str],
        body: str,
        fragments: int,
    ) -> Scene:
        lines = [*lines, *headers]
        if body:
            lines.append("Content-Type: application/sdp")
        if not any(line.startswith("Content-Length") for line in lines):
            lines.append(f"Content-Length: {len(body)}")
        data = "\r\n".join([*lines, "", body]).encode()
        ends = Endpoints(*source, *target)
        number = len(self.packets) + 1
        packet = SipPacket(at(seconds), ends, self.transport, data, frame=number, fragments=fragments)
        self.packets.append(packet)
        return self

    # What most calls begin and end with

    def invite(self, seconds: float = 0.0, body: str | None = None, *headers: str) -> Scene:
        """The INVITE that begins the call, with an offer of PCMU unless told otherwise."""
        offer = sdp(self.caller[0], 4000, "0 8 101") if body is None else body
        return self.request(seconds, "INVITE", "caller", offer, *headers, in_dialog=False)

    def answered(self, seconds: float = 2.0, body: str | None = None, *headers: str) -> Scene:
        """100, 180, 200 with an answer, ACK; the 200 at `seconds`."""
        answer = sdp(self.called[0], 6000) if body is None else body
        self.response(0.01, 100, reason="Trying").response(0.5, 180, reason="Ringing")
        self.response(seconds, 200, "INVITE", "called", answer, *headers, reason="OK")
        return self.request(seconds + 0.05, "ACK")

    def bye(self, seconds: float = 10.0, by: Side = "caller", *headers: str) -> Scene:
        """BYE and its answer."""
        self.request(seconds, "BYE", by, "", *headers)
        other: Side = "called" if by == "caller" else "caller"
        return self.response(seconds + 0.02, 200, "BYE", other, reason="OK")

    def tick(self, seconds: float) -> Scene:
        """Something else long after, so that the capture is known to go on."""
        other = Scene("other@example.com")
        other.request(seconds, "OPTIONS", in_dialog=False).response(seconds + 0.01, 200, "OPTIONS")
        self.packets += other.packets
        return self

    def record(self) -> CallRecord:
        """The one call that this makes; its findings carry the figures that their table promises."""
        (call,) = follow(self.packets).calls
        for told in call.findings:
            assert set(told.data or ()) == set(CODES[told.code].data), told.code
        return call


def codes(call: CallRecord) -> list[str]:
    """The codes of a call's findings in order."""
    return [finding.code for finding in call.findings]


def moved(packets: Sequence[SipPacket], seconds: float) -> list[SipPacket]:
    """The same packets at another time."""
    return [replace(packet, at_ns=packet.at_ns + round(seconds * 1e9)) for packet in packets]
