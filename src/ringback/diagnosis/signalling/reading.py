"""One SIP packet read as far as it can be, whole or damaged (RFC 3261, 7; RFC 5621 for several bodies)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from ringback.diagnosis.capture.captured import Endpoints, SipPacket
from ringback.diagnosis.signalling.call import Side
from ringback.governance.shown import fit_to_show
from ringback.sdp.description import SdpError, SessionDescription
from ringback.sdp.parse import parse_sdp
from ringback.sip.headers import Headers
from ringback.sip.message import KNOWN_METHODS, REASONS, Request, Response
from ringback.sip.parse import MAX_BODY_BYTES, parse_message

_STATUS: Final = re.compile(r"SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]+(.*))?", re.IGNORECASE)
_REQUEST: Final = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]{1,64})[ \t]")
_CSEQ: Final = re.compile(r"([0-9]{1,10})[ \t]+([A-Za-z0-9\-.!%*_+`'~]{1,64})")
_TAG: Final = re.compile(r";[ \t]*tag[ \t]*=[ \t]*([^;,>\s]+)", re.IGNORECASE)
_BRANCH: Final = re.compile(r";[ \t]*branch[ \t]*=[ \t]*([^;,\s]+)", re.IGNORECASE)
_LONE_LINE_END: Final = re.compile(rb"(?<!\r)\n")
_SDP_BEGIN: Final = re.compile(rb"(?:^|\n)(v=0[ \t]*\r?\n)")
_LONGEST_CALL_ID: Final = 1_024
_MOST_REPAIRS: Final = 8
_NO_ORIGIN: Final = "o=- 0 0 IN IP4 0.0.0.0"

Repeat = Literal["", "again", "twice"]
"""Sent `again` by its sender, or one packet that the capture holds `twice`."""


@dataclass(slots=True, eq=False)
class Seen:
    """A message as one packet shows it; what could not be read is empty, `cseq` then -1.

    `method` is the request's, or that of the CSeq of a response; `status` 0 for requests. `fault` is why the
    parser refused it. `side`, `hop` and `repeat` are found by `tracing`.
    """

    packet: SipPacket = field(repr=False)
    method: str
    status: int
    reason: str = field(repr=False)
    headers: Headers
    body: bytes = field(repr=False)
    call_id: str = field(repr=False)
    cseq: int
    branch: str
    from_tag: str
    to_tag: str
    fault: str = ""
    sdp: SessionDescription | None = None
    side: Side = "caller"
    hop: int = 0
    repeat: Repeat = ""

    @property
    def at_ns(self) -> int:
        """When it was seen."""
        return self.packet.at_ns

    @property
    def endpoints(self) -> Endpoints:
        """From where to where its packet went."""
        return self.packet.endpoints

    @property
    def is_request(self) -> bool:
        """Whether it is no response."""
        return not self.status

    @property
    def vias(self) -> int:
        """How many hops its request has come."""
        return self.headers.count("Via")

    @property
    def phrase(self) -> str:
        """The reason phrase, fit to be shown, its digits hidden unless it is the usual one."""
        usual = REASONS.get(self.status, "")
        if not self.reason or self.reason.strip().lower() == usual.lower():
            return usual
        return re.sub(r"[0-9]", "x", fit_to_show(self.reason, 60))

    def has_tag(self, name: str, tag: str) -> bool:
        """Whether an option tag stands in a list such as Require."""
        return any(value.strip().lower() == tag for value in self.headers.get_all(name))


def read(packet: SipPacket) -> Seen | None:
    """What a packet says; None for a keep-alive and for what says nothing of SIP at all."""
    data = packet.data.lstrip(b"\r\n\0 \t")
    if not data:
        return None
    message = parse_message(data)
    if isinstance(message, Request):
        return _seen(packet, message.method, 0, "", message.headers, message.body)
    if isinstance(message, Response):
        return _seen(packet, "", message.status, message.reason, message.headers, message.body)
    return _second_look(packet, data, message.reason)


def _second_look(packet: SipPacket, data: bytes, fault: str) -> Seen | None:
    """A message that breaks the grammar, for what is left of it."""
    if b"\n" in data and b"\r\n" not in data[: data.find(b"\n") + 1]:
        data = _LONE_LINE_END.sub(b"\r\n", data)
    head, _, body = data.partition(b"\r\n\r\n")
    start = head[:4_096].partition(b"\r\n")[0].decode("utf-8", "replace")
    malformed = parse_message(head + b"\r\n\r\n")
    headers = malformed.headers if malformed.headers is not None else Headers()
    cseq = _CSEQ.match(headers.get("CSeq") or "")
    named = cseq[2].upper() if cseq is not None else ""
    if status := _STATUS.match(start):
        return _seen(packet, "", int(status[1]), status[2] or "", headers, body[:MAX_BODY_BYTES], fault)
    request = _REQUEST.match(start)
    if request is None and not named:
        return None
    method = request[1] if request is not None else named
    # Of a start line that nobody understands CSeq says what was meant.
    if method not in KNOWN_METHODS and named in KNOWN_METHODS:
        method = named
    return _seen(packet, method, 0, "", headers, body[:MAX_BODY_BYTES], fault)


def _seen(
    packet: SipPacket, method: str, status: int, reason: str, headers: Headers, body: bytes, fault: str = ""
) -> Seen:
    cseq = _CSEQ.match(headers.get("CSeq") or "")
    branch = _BRANCH.search(headers.get("Via") or "")
    return Seen(
        packet=packet,
        method=method or (cseq[2] if cseq is not None else ""),
        status=status,
        reason=reason,
        headers=headers,
        body=body,
        call_id=(headers.get("Call-ID") or "")[:_LONGEST_CALL_ID],
        cseq=int(cseq[1]) if cseq is not None else -1,
        branch=branch[1] if branch is not None else "",
        from_tag=_tag(headers.get("From")),
        to_tag=_tag(headers.get("To")),
        fault=fault,
        sdp=_read_sdp(body) if body else None,
    )


def _tag(value: str | None) -> str:
    found = _TAG.search(value or "", max(0, (value or "").rfind(">")))
    return found[1] if found is not None else ""


def _read_sdp(body: bytes) -> SessionDescription | None:
    """The description in a body, also within a multipart one, and with the lines left out that break it."""
    begin = _SDP_BEGIN.search(body)
    if begin is None:
        return None
    text = body[begin.start(1) :]
    # The next part of a multipart body begins with its boundary (RFC 2046, 5.1.1).
    text = text.partition(b"\n--")[0]
    found = parse_sdp(text)
    if isinstance(found, SessionDescription):
        return found
    lines = [line.rstrip("\r") for line in text.decode("utf-8", "replace").split("\n")]
    for _ in range(_MOST_REPAIRS):
        if not 0 < found.line <= len(lines) or not _repair(lines, found):
            return None
        found = parse_sdp("\r\n".join(lines).encode("utf-8", "replace"))
        if isinstance(found, SessionDescription):
            return found
    return None


def _repair(lines: list[str], error: SdpError) -> bool:
    """Take out the line that is wrong; an o= line, which nothing here needs, is put in its place."""
    at = error.line - 1
    if at == 0:
        return False
    if lines[at].startswith("o="):
        lines[at] = _NO_ORIGIN
    elif "o=" in error.reason:
        lines.insert(at, _NO_ORIGIN)
    else:
        del lines[at]
    return True
