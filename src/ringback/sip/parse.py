"""Bytes to SIP messages, from datagrams and streams; what is wrong becomes a value (RFC 3261 §7, §18.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import TOKEN, Readings, parse_number
from ringback.sip.headers import CSeq, Headers, Via, cseqs, vias
from ringback.sip.message import KNOWN_METHODS, VERSION, Message, Request, Response, hop_counts
from ringback.sip.uri import NameAddr, SipUri, name_addrs, parse_uri

MAX_HEADER_BYTES = 65_536
MAX_BODY_BYTES = 1_048_576
# More than any real message has; bounds the work one message can cause.
MAX_HEADER_VALUES = 256

# Patterns here must stay linear on hostile text: no two neighbouring runs that can match the same spaces.
_FOLD = re.compile(r"\r\n[ \t]+")
_ANY_VERSION = re.compile(r"SIP[ \t]*/[ \t]*[0-9.]+", re.IGNORECASE)
_LENGTH_LIMIT = 10**9


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that cannot be used, with what is needed to answer or to drop it.

    `status` is the answer RFC 3261 asks for (400, 413, 501, 505). `method` is None for a response and for
    what was no SIP at all. `headers` are those that could be read. `close`: the stream lost its framing
    and must be closed after the answer.
    """

    reason: str
    status: int = 400
    method: str | None = None
    headers: Headers | None = None
    close: bool = False

    @property
    def answerable(self) -> bool:
        """True for a request that is not ACK and says where the answer goes (its topmost Via is readable)."""
        return self.method not in (None, "ACK") and self.top_via is not None

    @property
    def top_via(self) -> Via | None:
        """The topmost Via, read without regard to its version and bad parameters; None if unreadable."""
        text = self.headers.get("Via") if self.headers is not None else None
        if text is None:
            return None
        text = _ANY_VERSION.sub(VERSION, text, count=1)
        for candidate in (text, text.partition(";")[0]):
            try:
                return Via.parse(candidate)
            except SipSyntaxError:
                continue
        return None


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A CRLF keep-alive on a stream (RFC 5626 §3.5.1): a ping (double CRLF) wants a pong (one CRLF) back."""

    ping: bool


class _Head(msgspec.Struct):
    """Start line and header fields of a message whose body is not read yet; `fault` is the first found."""

    start: str
    headers: Headers
    fault: str | None = None
    # Number of body bytes; None: no Content-Length. `length_fault`: the framing cannot be trusted.
    length: int | None = None
    length_fault: str | None = None


def parse_message(data: bytes) -> Message | Malformed:
    """Read one datagram. Bytes after the Content-Length are ignored, missing ones are a fault (§18.3)."""
    data = data.lstrip(b"\r\n")
    if not data:
        return Malformed("empty datagram")
    end = data.find(b"\r\n\r\n")
    head = _read_head(data if end < 0 else data[:end])
    if end < 0 or end > MAX_HEADER_BYTES:
        return _malformed(head, "header fields do not end" if end < 0 else "header fields too long")
    body = data[end + 4 :]
    if head.length_fault is not None:
        return _malformed(head, head.length_fault)
    if head.length is not None:
        if head.length > len(body):
            return _malformed(head, "body shorter than Content-Length")
        body = body[: head.length]
    return _finish(head, body)


def _read_head(data: bytes) -> _Head:
    text = data[: MAX_HEADER_BYTES + 1].decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    head = _Head(lines[0], Headers())
    shown = "".join(lines)
    values = len(lines) - 1 + (shown.count(",") if "," in shown else 0)
    broken = "\r" in shown or "\n" in shown
    if broken or values > MAX_HEADER_VALUES or not head.headers.add_lines(lines[1:]):
        head = _read_unusual_head(text)
    _read_length(head)
    return head


def _read_unusual_head(text: str) -> _Head:
    """One with folded lines, or with faults, of which the first is told."""
    lines = _FOLD.sub(" ", text).split("\r\n")
    headers = Headers()
    head = _Head(lines[0], headers)
    if "\r" in lines[0] or "\n" in lines[0]:
        head.fault = "line break within the start line"
    room = MAX_HEADER_VALUES
    for line in lines[1:]:
        room -= 1 + line.count(",")
        if room < 0:
            head.fault = head.fault or "too many header fields"
            break
        if "\r" in line or "\n" in line or not headers.add_line(line):
            head.fault = head.fault or "bad header line"
    return head


_lengths = Readings(lambda text: parse_number(text, _LENGTH_LIMIT, "Content-Length"), longest=8, most=4_096)


def _read_length(head: _Head) -> None:
    values = head.headers.fields.get("Content-Length")
    if not values:
        return
    try:
        head.length = _lengths[values[0]]
    except SipSyntaxError as error:
        head.length_fault = str(error)
        return
    if len(values) > 1 and any(value != values[0] for value in values):
        head.length_fault = "more than one Content-Length"


def _method_of(start: str) -> str | None:
    """The method of a request line, even of a bad one; None for status lines and for what is no SIP."""
    method, space, rest = start.partition(" ")
    is_request = space and "SIP/" in rest and TOKEN.fullmatch(method) is not None
    return method if is_request else None


def _malformed(head: _Head, reason: str, status: int = 400, *, close: bool = False) -> Malformed:
    return Malformed(reason, status, _method_of(head.start), head.headers, close)


def _finish(head: _Head, body: bytes) -> Message | Malformed:
    if head.start[:4].upper() == "SIP/":
        return _finish_response(head, body)
    parts = head.start.split(" ")
    if len(parts) != 3 or not (parts[0] in KNOWN_METHODS or TOKEN.fullmatch(parts[0])):
        return _malformed(head, "bad request line")
    method, uri_text, version = parts
    if version.upper() != VERSION:
        known = version[:4].upper() == "SIP/"
        return _malformed(
            head, "SIP version not supported" if known else "bad request line", 505 if known else 400
        )
    try:
        uri = parse_uri(uri_text)
        if isinstance(uri, SipUri) and uri.headers:
            # §19.1.1; taking them over would let a caller write our header fields.
            raise SipSyntaxError("header fields in the Request-URI")
        cseq = _check(head)
    except SipSyntaxError as error:
        return _malformed(head, str(error))
    if cseq.method != method:
        return _malformed(head, "CSeq of another method", 400 if method in KNOWN_METHODS else 501)
    return Request(method, uri, head.headers, body)


def _finish_response(head: _Head, body: bytes) -> Message | Malformed:
    version, _, rest = head.start.partition(" ")
    code, _, reason = rest.partition(" ")
    if version.upper() != VERSION or len(code) != 3 or not code.isascii() or not code.isdigit():
        return _malformed(head, "bad status line")
    status = int(code)
    if not 100 <= status <= 699:
        return _malformed(head, "status out of range")
    try:
        _check(head)
    except SipSyntaxError as error:
        return _malformed(head, str(error))
    return Response(status, reason, head.headers, body)


_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards")


def _check(head: _Head) -> CSeq:
    """Read every field that the core relies on once, so that the typed views cannot fail later."""
    if head.fault is not None:
        raise SipSyntaxError(head.fault)
    fields = head.headers.fields
    for name in _ONCE:
        if name in fields and len(fields[name]) > 1:
            raise SipSyntaxError(f"more than one {name}")
    call_id = fields["Call-ID"][0] if "Call-ID" in fields else ""
    if not call_id or " " in call_id or "\t" in call_id:
        raise SipSyntaxError("bad Call-ID" if call_id else "missing Call-ID")
    try:
        via, from_, to, cseq_ = (fields["Via"][0], fields["From"][0], fields["To"][0], fields["CSeq"][0])
    except KeyError as missing:
        raise SipSyntaxError(f"missing {missing.args[0]}") from None
    _, _, _, cseq = vias[via], name_addrs[from_], name_addrs[to], cseqs[cseq_]
    if "Max-Forwards" in fields:
        _ = hop_counts[fields["Max-Forwards"][0]]
    for name in ("Contact", "Route", "Record-Route"):
        if name in fields:
            _check_addresses(name, fields[name])
    return cseq


def _check_addresses(name: str, values: list[str]) -> None:
    if values == ["*"] and name == "Contact":
        return
    for value in values:
        try:
            NameAddr.parse(value)
        except SipSyntaxError as error:
            raise SipSyntaxError(f"bad {name}: {error}") from None


Framed = Request | Response | Malformed | KeepAlive


class StreamFramer:
    """Cuts the byte stream of a TCP or TLS connection into messages by Content-Length (RFC 3261 §18.3).

    Holds at most `max_header` + `max_body` bytes. When the framing is lost the last value has `close` set,
    and everything fed later is ignored. `wire` has the bytes of each value that `feed` returned last.
    """

    def __init__(self, max_header: int = MAX_HEADER_BYTES, max_body: int = MAX_BODY_BYTES) -> None:
        self.max_header = max_header
        self.max_body = max_body
        self.closed = False
        self.wire: list[bytes] = []
        self._buffer = bytearray()
        self._searched = 0
        self._head: _Head | None = None
        self._head_wire = b""
        self._after_crlf = False

    @property
    def mid_message(self) -> bool:
        """True while a message has begun and is not complete: the time for a slow-sender limit to run."""
        return self._head is not None or bool(self._buffer)

    def feed(self, data: bytes) -> list[Framed]:
        """Take bytes as they came; return what they completed, in order."""
        out: list[Framed] = []
        self.wire = []
        if self.closed:
            return out
        self._buffer += data
        step: Callable[[list[Framed]], bool]
        while not self.closed and self._buffer:
            step = self._take_head if self._head is None else self._take_body
            if not step(out):
                break
        if self.closed:
            self._buffer.clear()
        return out

    def _take_head(self, out: list[Framed]) -> bool:
        buffer = self._buffer
        if buffer[0] in b"\r\n":
            return self._take_keep_alive(out)
        self._after_crlf = False
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(buffer) - 3)
        if end > self.max_header or (end < 0 and len(buffer) > self.max_header):
            wire = bytes(buffer[: self.max_header])
            self._give_up(out, wire, _read_head(wire), "header fields too long", 400)
            return False
        if end < 0:
            return False
        wire = bytes(buffer[: end + 4])
        head = _read_head(wire[:-4])
        del buffer[: end + 4]
        self._searched = 0
        if head.length_fault is not None or head.length is None:
            self._give_up(out, wire, head, head.length_fault or "missing Content-Length on a stream", 400)
        elif head.length > self.max_body:
            self._give_up(out, wire, head, "body too long", 413)
        elif head.length == 0:
            out.append(_finish(head, b""))
            self.wire.append(wire)
        else:
            self._head, self._head_wire = head, wire
        return not self.closed

    def _take_keep_alive(self, out: list[Framed]) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        if buffer[:2] != b"\r\n":
            self._give_up(out, bytes(buffer), _Head("", Headers()), "stray line end between messages", 400)
            return False
        # A ping cut in two by the network: its first half went out as a pong, which is harmless.
        second_half = self._after_crlf
        whole = not second_half and buffer[:4] == b"\r\n\r\n"
        del buffer[: 4 if whole else 2]
        out.append(KeepAlive(whole or second_half))
        self.wire.append(b"")
        self._after_crlf = not (whole or second_half)
        return True

    def _take_body(self, out: list[Framed]) -> bool:
        head = self._head
        if head is None or head.length is None or len(self._buffer) < head.length:
            return False
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        self._head = None
        out.append(_finish(head, body))
        self.wire.append(self._head_wire + body)
        return True

    def _give_up(self, out: list[Framed], wire: bytes, head: _Head, reason: str, status: int) -> None:
        self.closed = True
        out.append(_malformed(head, reason, status, close=True))
        self.wire.append(wire)
