"""TLS for SIP: contexts, and a stream's cipher without I/O (RFC 3261 §26.3, RFC 5922)."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Final

_READ_BYTES: Final = 65_536


def server_context(
    certificate: Path, key: Path, client_authorities: Path | None = None, *, required: bool = False
) -> ssl.SSLContext:
    """TLS 1.2 and newer with a certificate chain and its key, both PEM; OSError or SSLError if unreadable.

    With `client_authorities` (PEM) clients are asked for a certificate, which has to be signed by one of
    them; those without one are refused when it is `required`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation lets a client make us do the costly half again and again.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(certificate, key)
    if client_authorities is not None:
        context.load_verify_locations(client_authorities)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def client_context(authorities: Path | None = None) -> ssl.SSLContext:
    """A verifying client context: the system's authorities, and those of a PEM file."""
    context = ssl.create_default_context()
    if authorities is not None:
        context.load_verify_locations(authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class TlsCipher:
    """One end of a TLS connection between two byte streams: what comes from the wire and what goes to it.

    asyncio's start_tls is not used: what it gives depends on the loop (bytes that come before it is called
    are lost on uvloop), and it hides how much waits to be sent.
    """

    def __init__(self, context: ssl.SSLContext, *, server_name: str | None = None) -> None:
        """A server with a server's context, else a client that verifies `server_name` as the context says."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=context.protocol == ssl.PROTOCOL_TLS_SERVER,
            server_hostname=server_name,
        )
        self.established = False
        self.ended = False

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the wire, return what they say; SSLError (not for more bytes) ends the connection.

        `established` and `ended` tell where it stands; `to_send` may have something after every call.
        """
        self._incoming.write(data)
        if not self.established:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                return b""
            self.established = True
        plain = bytearray()
        try:
            while not self.ended:
                piece = self._object.read(_READ_BYTES)
                plain += piece
                self.ended = not piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return bytes(plain)

    def send(self, data: bytes) -> None:
        """Encrypt; only when established."""
        self._object.write(data)

    def shut_down(self) -> None:
        """Say that no more is sent."""
        if self.established:
            with contextlib.suppress(ssl.SSLError):
                self._object.unwrap()

    def to_send(self) -> bytes:
        """Bytes for the wire."""
        return self._outgoing.read()
