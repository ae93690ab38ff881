"""SRTP and SRTCP of a leg, protected and unprotected in place in the rows of a buffer (RFC 3711, RFC 7714).

The work is libsrtp's, called through the library object of pylibsrtp: its own Python interface would copy
every packet twice and raise for each forged one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import cffi
import numpy as np
from numpy.typing import NDArray
from pylibsrtp import Error, Policy, _binding
from pylibsrtp._binding import ffi, lib

from ringback.native import at, kernels, pointer

Octets = NDArray[np.uint8]
Lengths = NDArray[np.int32]
Suite = Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]

MAX_TRAILER_BYTES: Final = 20
"""What protection adds at most: a tag of 16 octets, and for RTCP the index. Rows must have the room."""
MAX_TAG_BYTES: Final = 16
REPLAY_WINDOW: Final = 128
"""Packets behind the newest of which libsrtp remembers whether they came."""
MAX_SOURCES: Final = 64
"""SSRCs under one key: libsrtp keeps a state for each, which a peer must not multiply at will."""


class _SuiteInfo(NamedTuple):
    profile: int
    key_bytes: int
    salt_bytes: int
    tag_bytes: int


_SUITES = MappingProxyType(
    {
        "AES_CM_128_HMAC_SHA1_80": _SuiteInfo(lib.srtp_profile_aes128_cm_sha1_80, 16, 14, 10),
        "AES_CM_128_HMAC_SHA1_32": _SuiteInfo(lib.srtp_profile_aes128_cm_sha1_32, 16, 14, 4),
        "AEAD_AES_128_GCM": _SuiteInfo(lib.srtp_profile_aead_aes_128_gcm, 16, 12, 16),
        "AEAD_AES_256_GCM": _SuiteInfo(lib.srtp_profile_aead_aes_256_gcm, 32, 12, 16),
    }
)


class Status(IntEnum):
    """What became of a packet; the numbers are libsrtp's, of which there are more."""

    OK = 0
    BAD_PARAMETER = 2
    """Too short, too long, or without room for the tag."""
    AUTHENTICATION_FAILED = 7
    REPLAYED = 9
    TOO_OLD = 10
    NO_CONTEXT = 13
    """A new SSRC of a peer that has used MAX_SOURCES before."""
    KEY_EXPIRED = 15


class SrtpKeyError(ValueError):
    """A master key whose length is not that of its suite, or that libsrtp refuses."""


def key_length(suite: Suite) -> int:
    """Octets of master key and master salt together, as in SDES: 30, or 28 and 44 for GCM."""
    info = _SUITES[suite]
    return info.key_bytes + info.salt_bytes


class _Operation(NamedTuple):
    """One of libsrtp's functions, and what a packet must be for it not to read or write beyond its row."""

    function: Any
    address: int
    ssrc_offset: int
    minimum_bytes: int
    protects: bool

    @classmethod
    def of(cls, name: str, ssrc_offset: int, minimum_bytes: int, protects: bool) -> _Operation:
        address = int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
        return cls(getattr(lib, name), address, ssrc_offset, minimum_bytes, protects)


# What pylibsrtp has no word for is in its library all the same.
_roll_over_ffi = cffi.FFI()
_roll_over_ffi.cdef(
    """
    int srtp_set_stream_roc(uintptr_t session, uint32_t ssrc, uint32_t roc);
    int srtp_get_stream_roc(uintptr_t session, uint32_t ssrc, uint32_t *roc);
    """
)
_roll_over_lib: Any = _roll_over_ffi.dlopen(_binding.__file__)

_PROTECT = _Operation.of("srtp_protect", 8, 12, True)
_UNPROTECT = _Operation.of("srtp_unprotect", 8, 12, False)
_PROTECT_RTCP = _Operation.of("srtp_protect_rtcp", 4, 8, True)
_UNPROTECT_RTCP = _Operation.of("srtp_unprotect_rtcp", 4, 8 + 4, False)


class SrtpSession:
    """One direction of one leg: all its SSRCs under one master key.

    `key` is master key and master salt joined. The counts are of packets since the beginning; new keys are a
    new session. Outbound, never let two packets have the same SSRC and sequence number (RFC 3711, 9.1).

    The methods treat the packet of `length` octets at the front of a row uint8[width], in place, and return
    its new length, or the negative Status of a packet that is not to be used. Nothing a peer sends raises.

    `known` is an SSRC and its extended sequence number (roll-over counter and sequence number, RFC 3711
    3.3.1) to which another session has come: outbound of the next packet, inbound of the newest that is known
    of, so that what is not newer is taken for a replay.
    """

    __slots__ = (
        "_address",
        "_context",
        "_known",
        "_last_source",
        "_resumed",
        "_sources",
        "_tag_bytes",
        "forged",
        "passed",
        "refused",
        "replayed",
    )

    def __init__(
        self, suite: Suite, key: bytes, *, inbound: bool, known: tuple[int, int] | None = None
    ) -> None:
        info = _SUITES[suite]
        if len(key) != info.key_bytes + info.salt_bytes:
            raise SrtpKeyError(f"{suite} needs {key_length(suite)} octets of key and salt, not {len(key)}")
        direction = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
        created = ffi.new("srtp_t *")
        try:
            policy = Policy(key=key, ssrc_type=direction, srtp_profile=info.profile)
            status = lib.srtp_create(created, policy._policy)
        except Error as error:
            raise SrtpKeyError(f"{suite} cannot be used here") from error
        if status != Status.OK:
            raise SrtpKeyError(f"{suite} cannot be used here")
        self._context = ffi.gc(created[0], lib.srtp_dealloc)
        self._address = int(ffi.cast("uintptr_t", self._context))
        self._tag_bytes = info.tag_bytes
        self._sources: set[int] = set()
        self._last_source = -1
        self._known: tuple[int, int] | None = None
        self._resumed = False
        self.passed = 0
        self.forged = 0
        self.replayed = 0
        self.refused = 0
        if known is not None:
            stream = Policy(
                key=key,
                ssrc_type=Policy.SSRC_SPECIFIC,
                ssrc_value=known[0],
                srtp_profile=info.profile,
            )
            if lib.srtp_add_stream(self._context, stream._policy) != Status.OK:
                raise SrtpKeyError(f"{suite} cannot be used here")
            self._sources.add(known[0])
            if inbound:
                self._known = known
            else:
                self._set_roll_over(known[0], known[1] >> 16)

    def protect(self, row: Octets, length: int) -> int:
        """Encrypt and sign an RTP packet."""
        return self._one(_PROTECT, row, length)

    def unprotect(self, row: Octets, length: int) -> int:
        """Check and decrypt an SRTP packet. Read its header afterwards: padding is under the encryption."""
        return self._one(_UNPROTECT, row, length)

    def protect_rtcp(self, row: Octets, length: int) -> int:
        """Encrypt and sign a compound RTCP packet."""
        return self._one(_PROTECT_RTCP, row, length)

    def unprotect_rtcp(self, row: Octets, length: int) -> int:
        """Check and decrypt an SRTCP packet."""
        return self._one(_UNPROTECT_RTCP, row, length)

    def roll_over(self, source: int) -> int:
        """How often this SSRC's sequence number has wrapped; 0 for an SSRC that was not seen."""
        counter = _roll_over_ffi.new("uint32_t *")
        _roll_over_lib.srtp_get_stream_roc(self._address, source, counter)
        return int(counter[0])

    def _set_roll_over(self, source: int, count: int) -> None:
        _roll_over_lib.srtp_set_stream_roc(self._address, source, count)

    def _beyond(self, data: Any, lengths: Any, length: int, known: tuple[int, int]) -> int:
        """Take a packet of a source that another session knew, if it is newer than what that one had."""
        source, newest = known
        sequence = int.from_bytes(ffi.buffer(data + 2, 2)[:], "big")
        nearest = newest + ((sequence - newest + 0x8000) & 0xFFFF) - 0x8000
        if nearest <= newest:
            return Status.REPLAYED
        if self._resumed:
            status = int(_UNPROTECT.function(self._context, data, lengths))
            if status == Status.OK and nearest > newest + REPLAY_WINDOW:
                # From here on the library has a whole window of its own.
                self._known = None
            return status
        # A failed attempt may leave anything in the packet.
        packet = bytes(ffi.buffer(data, length))
        # What was known is of a second ago, or from before a long pause.
        for index in (nearest, nearest + 0x10000):
            ffi.memmove(data, packet, length)
            lengths[0] = length
            self._set_roll_over(source, index >> 16)
            status = int(_UNPROTECT.function(self._context, data, lengths))
            self._resumed = status == Status.OK
            if self._resumed:
                break
        return status

    def _one(self, operation: _Operation, row: Octets, length: int) -> int:
        lengths = ffi.new("int *", length)
        at = operation.ssrc_offset
        source = int.from_bytes(row[at : at + 4].tobytes(), "big")
        status = self._run(operation, ffi.from_buffer(row), lengths, len(row), length, source)
        return int(lengths[0]) if status == Status.OK else -status

    def _run(
        self, operation: _Operation, data: Any, lengths: Any, width: int, length: int, source: int
    ) -> int:
        if operation.protects:
            fits = operation.minimum_bytes <= length <= width - MAX_TRAILER_BYTES
        else:
            fits = operation.minimum_bytes + self._tag_bytes <= length <= width
        known = source == self._last_source or source in self._sources
        status: int
        if not fits:
            status = Status.BAD_PARAMETER
        elif not known and len(self._sources) >= MAX_SOURCES:
            status = Status.NO_CONTEXT
        elif self._known is not None and operation is _UNPROTECT and source == self._known[0]:
            status = self._beyond(data, lengths, length, self._known)
        else:
            status = operation.function(self._context, data, lengths)
        if status == Status.OK:
            self.passed += 1
            if not known:
                self._sources.add(source)
            if self._known is None or source != self._known[0]:
                # As long as something is known of it, its packets take the long way.
                self._last_source = source
        else:
            self._count(status)
        return status

    def _count(self, status: int) -> None:
        """A packet was not to be used."""
        if status == Status.AUTHENTICATION_FAILED:
            self.forged += 1
        elif status in _REPLAYS:
            self.replayed += 1
        else:
            self.refused += 1


_REPLAYS = frozenset({int(Status.REPLAYED), int(Status.TOO_OLD)})


def protect_rows(
    sessions: Sequence[SrtpSession], buffer: Octets, rows: Sequence[int], lengths: Lengths
) -> list[int]:
    """Encrypt and sign RTP packets: row rows[i] of `buffer` uint8[n, width], contiguous, by sessions[i].

    `lengths` int32[n] has the length of each row's packet, and gets the new one. Returns a Status for each of
    `rows`; what is not OK must not be sent.
    """
    return _rows(_PROTECT, sessions, buffer, rows, lengths)


def unprotect_rows(
    sessions: Sequence[SrtpSession], buffer: Octets, rows: Sequence[int], lengths: Lengths
) -> list[int]:
    """Check and decrypt SRTP packets; arguments and result as for `protect_rows`."""
    return _rows(_UNPROTECT, sessions, buffer, rows, lengths)


def _rows(
    operation: _Operation,
    sessions: Sequence[SrtpSession],
    buffer: Octets,
    rows: Sequence[int],
    lengths: Lengths,
) -> list[int]:
    width, offset = buffer.shape[1], operation.ssrc_offset
    chosen = np.asarray(rows, dtype=np.int64)
    origins = np.ascontiguousarray(buffer[chosen, offset : offset + 4]).view(">u4")[:, 0]
    least, most = operation.minimum_bytes + MAX_TAG_BYTES, width - MAX_TRAILER_BYTES
    if kernels is not None:
        # Nearly every packet: of the source of the packet before, and of a length that needs no thought.
        size = lengths[chosen]
        last = np.fromiter((session._last_source for session in sessions), np.int64, len(sessions))
        if bool(((origins == last) & (size >= least) & (size <= most)).all()):
            return _run_all(kernels, operation, sessions, buffer, chosen, lengths)
    sources, before = origins.tolist(), lengths[chosen].tolist()
    data, length_pointer = ffi.from_buffer("char[]", buffer), ffi.from_buffer("int[]", lengths)
    function = operation.function
    statuses: list[int] = []
    for session, row, length, source in zip(sessions, rows, before, sources, strict=True):
        if source == session._last_source and least <= length <= most:
            status: int = function(session._context, data + row * width, length_pointer + row)
            if status:
                session._count(status)
            else:
                session.passed += 1
        else:
            status = session._run(operation, data + row * width, length_pointer + row, width, length, source)
        statuses.append(status)
    return statuses


def _run_all(
    library: Any,
    operation: _Operation,
    sessions: Sequence[SrtpSession],
    buffer: Octets,
    rows: NDArray[np.int64],
    lengths: Lengths,
) -> list[int]:
    """Rows that are nothing but libsrtp's business."""
    contexts = np.fromiter((session._address for session in sessions), np.uint64, len(sessions))
    told = np.empty(len(sessions), np.int32)
    library.rb_srtp(
        pointer(operation.address),
        at(contexts),
        at(buffer),
        buffer.shape[1],
        at(rows),
        at(lengths),
        len(rows),
        at(told),
    )
    statuses: list[int] = told.tolist()
    for session, status in zip(sessions, statuses, strict=True):
        if status:
            session._count(status)
        else:
            session.passed += 1
    return statuses
