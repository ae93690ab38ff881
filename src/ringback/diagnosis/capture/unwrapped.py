"""RTP that came in fragments or tunnels, as the same rows and keys that plain frames give (RFC 3550, 5.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Endpoints
from ringback.diagnosis.capture.plain_sift import Reader, rtp
from ringback.diagnosis.capture.records import Octets
from ringback.diagnosis.capture.rows import KEY_BYTES, ROW, address_bytes
from ringback.diagnosis.capture.sorting import MediaDatagram


def rows_of(media: Sequence[MediaDatagram]) -> tuple[NDArray[np.void], Octets, NDArray[np.bool_]]:
    """Rows ROW[n] and keys uint8[n, 40] of datagrams, and which of them are RTP: bool[n]."""
    there = np.array([len(datagram.payload) for datagram in media], np.int64)
    missing = np.array([datagram.missing for datagram in media], np.int64)
    data = np.frombuffer(b"".join(datagram.payload for datagram in media), np.uint8)
    at = np.cumsum(there) - there
    rows = np.zeros(len(media), ROW)
    read = Reader(data)
    good = rtp(read, at, there, there + missing, rows)
    rows["arrived_ns"] = [datagram.at_ns for datagram in media]
    rows["wire_bytes"] = [min(datagram.wire_bytes, 65_535) for datagram in media]
    for name in ("dscp", "ttl", "ip_id"):
        rows[name] = [getattr(datagram, name) for datagram in media]
    keys = np.empty((len(media), KEY_BYTES), np.uint8)
    addresses = b"".join(_addresses(datagram.endpoints) for datagram in media)
    keys[:, :36] = np.frombuffer(addresses, np.uint8).reshape(-1, 36)
    keys[:, 36:] = read.many(at + 8, 4)
    return rows, keys, good


def _addresses(of: Endpoints) -> bytes:
    src, dst = (address_bytes(ipaddress.ip_address(text).packed) for text in (of.src, of.dst))
    return src + dst + of.sport.to_bytes(2, "big") + of.dport.to_bytes(2, "big")
