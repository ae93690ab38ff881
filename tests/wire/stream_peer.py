"""A peer on a stream that sends any bytes in any pieces, and reads answers by their Content-Length."""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress

from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipMessage

PATIENCE_S = 5.0
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")


def options(number: int, body: bytes = b"", length: str | None = None, more: str = "") -> bytes:
    """An OPTIONS with this Call-ID; `length` in place of the right header line for it."""
    stated = f"Content-Length: {len(body)}\r\n" if length is None else length
    head = (
        f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bK{number};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:peer@example.com>;tag=p\r\nTo: <sip:127.0.0.1>\r\n"
        f"Call-ID: {number}\r\nCSeq: 1 OPTIONS\r\n{more}{stated}\r\n"
    )
    return head.encode() + body


class StreamPeer:
    """One connection from `source`, by TCP or TLS; a context that closes it."""

    def __init__(self, server: RingbackServer, transport: str, source: str = "127.0.0.1") -> None:
        port = server.tls_port if transport == "tls" else server.tcp_port
        self._socket: socket.socket = socket.create_connection(
            ("127.0.0.1", port), PATIENCE_S, source_address=(source, 0)
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        if transport == "tls":
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            self._socket = trusting.wrap_socket(self._socket)

    def __enter__(self) -> StreamPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it; when the server has closed already, as much as it took."""
        with suppress(ConnectionError, ssl.SSLError):
            self._socket.sendall(data)

    def message(self) -> SipMessage:
        """The next message, pongs before it left out."""
        while True:
            self._buffer = self._buffer.lstrip(b"\r\n")
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            length = _LENGTH.search(head + b"\r\n") if end else None
            if length and len(rest) >= int(length[1]):
                size = len(head) + 4 + int(length[1])
                self._buffer, data = self._buffer[size:], self._buffer[:size]
                return SipMessage.parse(data)
            got = self._receive()
            assert got, "closed in place of an answer"
            self._buffer += got

    def read(self, count: int) -> bytes:
        """So many bytes, or fewer when it is closed before."""
        while len(self._buffer) < count and (got := self._receive()):
            self._buffer += got
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self._socket.settimeout(seconds)
        try:
            self._buffer += self._socket.recv(65_536)
        except TimeoutError:
            return not self._buffer
        finally:
            self._socket.settimeout(PATIENCE_S)
        return False

    def rest(self, seconds: float = PATIENCE_S) -> list[SipMessage]:
        """All that comes until the server closes; fails when it does not in this time."""
        deadline = time.monotonic() + seconds
        while True:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                got = self._receive()
            except TimeoutError:
                raise AssertionError(f"still open after {seconds} s") from None
            if not got:
                break
            self._buffer += got
        found = []
        while self._buffer.strip():
            found.append(self.message())
        return found

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except (ConnectionError, ssl.SSLEOFError):
            return b""
