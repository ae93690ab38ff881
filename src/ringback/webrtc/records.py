"""DTLS records from outside, without OpenSSL: what begins a handshake, and how records become datagrams (RFC
6347 4.1)."""

from __future__ import annotations

MTU = 600
"""Bytes at most in a datagram of ours: what every path takes, and what the engine's rows hold."""
RECORD_BYTES = 13
_HANDSHAKE, _CLIENT_HELLO = 22, 1


def begins_handshake(datagram: bytes) -> bool:
    """Whether a datagram begins with a ClientHello in the clear: only that may start an association."""
    return (
        len(datagram) > RECORD_BYTES
        and datagram[0] == _HANDSHAKE
        and datagram[3:5] == b"\0\0"
        and datagram[RECORD_BYTES] == _CLIENT_HELLO
    )


def split_records(stream: bytes) -> list[bytes]:
    """OpenSSL's output, records one after another, as datagrams of at most MTU bytes."""
    datagrams: list[bytes] = []
    start = end = 0
    while end + RECORD_BYTES <= len(stream):
        following = end + RECORD_BYTES + int.from_bytes(stream[end + 11 : end + 13], "big")
        if end > start and following - start > MTU:
            datagrams.append(stream[start:end])
            start = end
        end = following
    if end > start:
        datagrams.append(stream[start:end])
    return datagrams
