"""The SIP messages of a made call, as text: INVITE to BYE, answers, SDP (RFC 3261, 4566, 3264)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.testing.captures.voice import TELEPHONE_EVENT, Chance, Codec

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    401: "Unauthorized",
    408: "Request Timeout",
    422: "Session Interval Too Small",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
}
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, REFER, NOTIFY"


@dataclass(frozen=True, slots=True)
class Media:
    """One audio (or image) section as its sender describes it."""

    address: str
    port: int
    codecs: Sequence[Codec]
    ptime_ms: int = 20
    direction: str = "sendrecv"
    events: bool = True
    image: bool = False
    version: int = 1
    extra: Sequence[str] = ()

    def text(self, session: int) -> str:
        """The SDP."""
        lines = [
            "v=0",
            f"o=- {session} {self.version} IN IP4 {self.address}",
            "s=-",
            f"c=IN IP4 {self.address}",
            "t=0 0",
        ]
        if self.image:
            lines += [f"m=image {self.port} udptl t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:14400"]
            lines += ["a=T38FaxRateManagement:transferredTCF", "a=T38FaxUdpEC:t38UDPRedundancy"]
            return "\r\n".join([*lines, *self.extra]) + "\r\n"
        types = [str(codec.payload_type) for codec in self.codecs]
        if self.events:
            types.append(str(TELEPHONE_EVENT))
        lines.append(f"m=audio {self.port} RTP/AVP {' '.join(types)}")
        for codec in self.codecs:
            lines.append(f"a=rtpmap:{codec.payload_type} {codec.rtpmap}")
            if codec.fmtp:
                lines.append(f"a=fmtp:{codec.payload_type} {codec.fmtp}")
        if self.events:
            lines += [f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000", f"a=fmtp:{TELEPHONE_EVENT} 0-15"]
        lines += [f"a=ptime:{self.ptime_ms}", f"a={self.direction}", *self.extra]
        return "\r\n".join(lines) + "\r\n"


@dataclass
class Agent:
    """What one side's messages say of it."""

    user: str
    host: str
    """In From and To."""
    contact: str
    """Address and port of Contact and Via."""
    product: str
    tag: str


@dataclass
class Dialog:
    """A call's identifiers, and the messages made of them."""

    rng: Chance
    caller: Agent
    called: Agent
    call_id: str = ""
    _cseq: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.call_id = self.call_id or f"{self.token(16)}@{self.caller.host}"
        self._cseq = {"caller": int(self.rng.integers(1, 30000)), "called": int(self.rng.integers(1, 30000))}
        self.session = {side: int(self.rng.integers(1 << 31)) for side in ("caller", "called")}

    def token(self, length: int) -> str:
        """Letters and digits at random."""
        return "".join("0123456789abcdef"[k] for k in self.rng.integers(0, 16, length))

    def next_cseq(self, side: str) -> int:
        """The number of a side's next request."""
        self._cseq[side] += 1
        return self._cseq[side]

    def agent(self, side: str) -> Agent:
        """A side by its name."""
        return self.caller if side == "caller" else self.called

    def request(
        self,
        side: str,
        method: str,
        cseq: int,
        *,
        branch: str,
        body: str = "",
        headers: Sequence[str] = (),
        initial: bool = False,
        target: str = "",
    ) -> str:
        """A request of one side to the other, `target` the host and port of its Request-URI."""
        own, peer = (self.caller, self.called) if side == "caller" else (self.called, self.caller)
        to = f"<sip:{peer.user}@{peer.host}>" + ("" if initial else f";tag={peer.tag}")
        lines = [
            f"{method} sip:{peer.user}@{target or (peer.host if initial else peer.contact)} SIP/2.0",
            f"Via: SIP/2.0/UDP {own.contact};branch=z9hG4bK{branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:{own.user}@{own.host}>;tag={own.tag}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"User-Agent: {own.product}",
        ]
        if method in ("INVITE", "UPDATE"):
            lines += [f"Contact: <sip:{own.user}@{own.contact}>", f"Allow: {ALLOW}"]
        return self._finished([*lines, *headers], body)

    def response(
        self,
        side: str,
        status: int,
        method: str,
        cseq: int,
        *,
        branch: str,
        body: str = "",
        headers: Sequence[str] = (),
    ) -> str:
        """An answer of one side to a request of the other."""
        own, peer = (self.caller, self.called) if side == "caller" else (self.called, self.caller)
        tag = "" if status == 100 else f";tag={own.tag}"
        lines = [
            f"SIP/2.0 {status} {REASONS[status]}",
            f"Via: SIP/2.0/UDP {peer.contact};branch=z9hG4bK{branch};rport",
            f"From: <sip:{peer.user}@{peer.host}>;tag={peer.tag}",
            f"To: <sip:{own.user}@{own.host}>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Server: {own.product}",
        ]
        if status != 100 and method in ("INVITE", "UPDATE") and status < 300:
            lines += [f"Contact: <sip:{own.user}@{own.contact}>", f"Allow: {ALLOW}"]
        return self._finished([*lines, *headers], body)

    @staticmethod
    def _finished(lines: Sequence[str], body: str) -> str:
        kind = ["Content-Type: application/sdp"] if body else []
        return "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", ""]) + body
