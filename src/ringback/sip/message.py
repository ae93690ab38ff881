"""SIP requests and responses as values, and how they are written (RFC 3261 §7, §8.2.6)."""

from __future__ import annotations

import msgspec

from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import Readings, parse_number
from ringback.sip.headers import CSeq, Headers, Via, cseqs, vias
from ringback.sip.uri import NameAddr, OtherUri, SipUri, TelUri, Uri, name_addrs

__all__ = [
    "KNOWN_METHODS",
    "REASONS",
    "CSeq",
    "Headers",
    "Message",
    "NameAddr",
    "OtherUri",
    "Request",
    "Response",
    "SipUri",
    "TelUri",
    "Uri",
    "Via",
    "encode",
    "make_response",
]

VERSION = "SIP/2.0"

# Registered methods: one of these that we do not serve is 405, any other 501 (RFC 3261 §8.2.1, §21.5.2).
hop_counts = Readings(lambda text: parse_number(text, 255, "Max-Forwards"), longest=8, most=512)
"""Values of Max-Forwards as `max_forwards` reads them."""

KNOWN_METHODS = frozenset({
    "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER",
    "REGISTER", "SUBSCRIBE", "UPDATE",
})  # fmt: skip

REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    200: "OK", 202: "Accepted",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone",
    412: "Conditional Request Failed", 413: "Request Entity Too Large", 414: "Request-URI Too Long",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension",
    421: "Extension Required", 422: "Session Interval Too Small", 423: "Interval Too Brief",
    430: "Flow Failed", 439: "First Hop Lacks Outbound Support", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
    484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending", 493: "Undecipherable",
    500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
    600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip


class _Typed:
    """Typed views of the header fields that every message has.

    The parser has checked From, To, CSeq, Call-ID, Via, Contact, Route, Record-Route and Max-Forwards, so
    these do not raise on a parsed message; on one put together by us without the field they raise
    SipSyntaxError.
    """

    __slots__ = ()

    headers: Headers

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        try:
            return self.headers.fields["Call-ID"][0]
        except KeyError:
            raise SipSyntaxError("missing Call-ID") from None

    @property
    def cseq(self) -> CSeq:
        """The CSeq number and method."""
        try:
            return cseqs[self.headers.fields["CSeq"][0]]
        except KeyError:
            raise SipSyntaxError("missing CSeq") from None

    @property
    def from_(self) -> NameAddr:
        """The From field."""
        try:
            return name_addrs[self.headers.fields["From"][0]]
        except KeyError:
            raise SipSyntaxError("missing From") from None

    @property
    def to(self) -> NameAddr:
        """The To field."""
        try:
            return name_addrs[self.headers.fields["To"][0]]
        except KeyError:
            raise SipSyntaxError("missing To") from None

    @property
    def vias(self) -> list[Via]:
        """All Via values, topmost first; raises SipSyntaxError when one below the first is bad."""
        return [Via.parse(value) for value in self.headers.get_all("Via")]

    @property
    def top_via(self) -> Via:
        """The topmost Via."""
        try:
            return vias[self.headers.fields["Via"][0]]
        except KeyError:
            raise SipSyntaxError("missing Via") from None

    @property
    def contacts(self) -> list[NameAddr]:
        """The Contact values; empty for `Contact: *` (see `contact_star`)."""
        return [NameAddr.parse(value) for value in self.headers.fields.get("Contact", ()) if value != "*"]

    @property
    def contact_star(self) -> bool:
        """True for `Contact: *`, which stands for all bindings in a REGISTER (RFC 3261 §10.2.2)."""
        return self.headers.get("Contact") == "*"

    @property
    def routes(self) -> list[NameAddr]:
        """The Route values."""
        return [NameAddr.parse(value) for value in self.headers.get_all("Route")]

    @property
    def record_routes(self) -> list[NameAddr]:
        """The Record-Route values."""
        return [NameAddr.parse(value) for value in self.headers.fields.get("Record-Route", ())]

    @property
    def content_type(self) -> str | None:
        """The media type in lower case without parameters, for example application/sdp; None when absent."""
        value = self.headers.get("Content-Type")
        return None if value is None else value.partition(";")[0].strip(" \t").lower()

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, or None when absent."""
        value = self.headers.get("Max-Forwards")
        return None if value is None else hop_counts[value]


class Request(_Typed, msgspec.Struct):
    """A request; `body` is what Content-Length says, `version` always SIP/2.0 when parsed."""

    method: str
    uri: Uri
    headers: Headers = msgspec.field(default_factory=Headers)
    body: bytes = b""
    version: str = VERSION

    def __repr__(self) -> str:
        return f"Request({self.method}, {self.headers})"

    def start_line(self) -> str:
        """The request line without its line end."""
        return f"{self.method} {self.uri} {self.version}"


class Response(_Typed, msgspec.Struct):
    """A response; `status` is 100 to 699."""

    status: int
    reason: str
    headers: Headers = msgspec.field(default_factory=Headers)
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.headers})"

    def start_line(self) -> str:
        """The status line without its line end."""
        return f"{VERSION} {self.status} {self.reason}"


Message = Request | Response


def encode(message: Message) -> bytes:
    """The message as bytes, with the Content-Length that its body has; ValueError on a broken start line."""
    start = message.start_line()
    if "\r" in start or "\n" in start:
        raise ValueError("a start line may not hold a line break")
    body = message.body
    lines = [start, *message.headers.lines(), f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


_ANSWERED = ("Via", "From", "To", "Call-ID", "CSeq")


def make_response(
    request: Request, status: int, reason: str | None = None, *, to_tag: str | None = None, body: bytes = b""
) -> Response:
    """A response to `request` with its Via, From, To, Call-ID and CSeq (RFC 3261 §8.2.6.2).

    `to_tag` is put on To when the request has none there; every response but 100 needs one. Contact and
    Record-Route are the caller's, Content-Type too when there is a body.
    """
    source = request.headers
    headers = source.some(_ANSWERED)
    if to_tag is not None and (to := headers.fields.get("To")):
        to[0] = _tagged(to[0], to_tag)
    if status == 100:
        headers.copy_from(source, "Timestamp")
    return Response(status, reason or REASONS.get(status, "Unknown"), headers, body)


def _tagged(to: str, tag: str) -> str:
    """A To value with a tag; an unreadable one, in the answer to a malformed request, stays as it is."""
    try:
        has_one = name_addrs[to].tag is not None
    except SipSyntaxError:
        return to
    return to if has_one else f"{to};tag={tag}"
