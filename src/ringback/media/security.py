"""SRTP and SRTCP of the legs that have keys (RFC 3711): one session each way, kept while its key stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ringback.media.columns import Bytes, Ints, Longs
from ringback.media.legs import Legs
from ringback.media.protocol import SrtpKeys
from ringback.media.sending import HEADER_BYTES, Sending
from ringback.rtp.sequence import ReceivedSequence

if TYPE_CHECKING:
    from ringback.rtp.srtp import SrtpSession

Known = tuple[int, int]
"""An SSRC and an extended sequence number (RFC 3711 3.3.1)."""
_Run = Callable[[list["SrtpSession"], Bytes, list[int], Ints], list[int]]


class UnfitKeyError(ValueError):
    """A key that cannot be used; its text is told to the control process."""


class Protection:
    """The sessions of all legs, by row."""

    def __init__(self, legs: Legs) -> None:
        self._legs = legs
        self._keys: dict[int, SrtpKeys] = {}
        self._inbound: dict[int, SrtpSession] = {}
        self._outbound: dict[int, SrtpSession] = {}
        self._expected: dict[int, tuple[Known | None, Known | None]] = {}

    def expect(self, leg: int, heard: Known | None, sent: Known | None) -> None:
        """The keys that come next are those of another worker, which has come this far with them."""
        self._expected[leg] = heard, sent

    def come_to(self, leg: int, heard_ssrc: int, heard: int, sent_ssrc: int) -> tuple[Known | None, int]:
        """How far a leg has come: the newest packet heard, of which `heard` has the last 16 bits, by its
        extended sequence number, and how often the sequence number of what is sent has wrapped."""
        inbound, outbound = self._inbound.get(leg), self._outbound.get(leg)
        known = None
        if inbound is not None and heard_ssrc >= 0:
            known = heard_ssrc, inbound.roll_over(heard_ssrc) << 16 | heard & 0xFFFF
        return known, 0 if outbound is None else outbound.roll_over(sent_ssrc)

    def heard(self, received: ReceivedSequence) -> dict[int, Known]:
        """SSRC and extended sequence number of the newest packet of each leg with keys, by identifier."""
        result = {}
        for leg, session in self._inbound.items():
            ssrc = int(received.ssrc[leg])
            if ssrc >= 0:
                index = session.roll_over(ssrc) << 16 | int(received.highest[leg]) & 0xFFFF
                result[int(self._legs.identifier[leg])] = ssrc, index
        return result

    @cached_property
    def _srtp(self) -> ModuleType:
        # Loaded with the first key: a worker whose legs are all in the clear does without its 5 MB.
        from ringback.rtp import srtp  # noqa: PLC0415

        return srtp

    def set_keys(self, leg: int, keys: SrtpKeys | None) -> None:
        """Begin, replace or end a leg's sessions; raises UnfitKeyError and changes nothing if a key is.

        A key that stays keeps its session: beginning anew would use up the same key stream twice.
        """
        heard, sent = self._expected.pop(leg, (None, None))
        if keys is None:
            for kept in (self._keys, self._inbound, self._outbound):
                kept.pop(leg, None)
            return
        before = self._keys.get(leg)
        same_suite = before is not None and before.suite == keys.suite
        inbound = outbound = None
        session = self._srtp.SrtpSession
        try:
            if not (same_suite and before is not None and before.remote_key == keys.remote_key):
                inbound = session(keys.suite, keys.remote_key, inbound=True, known=heard)
            if not (same_suite and before is not None and before.local_key == keys.local_key):
                outbound = session(keys.suite, keys.local_key, inbound=False, known=sent)
        except self._srtp.SrtpKeyError as error:
            raise UnfitKeyError(str(error)) from error
        self._keys[leg] = keys
        if inbound is not None:
            self._inbound[leg] = inbound
        if outbound is not None:
            self._outbound[leg] = outbound

    def unprotect(self, legs: list[int], data: Bytes, rows: list[int], length: Ints) -> list[bool]:
        """Check and decrypt RTP in rows of `data` in place, of legs[i] in row rows[i]; which are
        authentic."""
        return self._run(self._srtp.unprotect_rows, self._inbound, legs, data, rows, length)

    def unprotect_rtcp(self, leg: int, datagram: Bytes, length: int) -> int:
        """Check and decrypt one RTCP datagram in place; its new length, below 0 if it is not authentic."""
        session = self._inbound.get(leg)
        return session.unprotect_rtcp(datagram, length) if session else -1

    def protect_rtcp(self, leg: int, datagram: Bytes, length: int) -> int:
        """Encrypt and sign one RTCP datagram in place; its new length, below 0 if that cannot be."""
        session = self._outbound.get(leg)
        return session.protect_rtcp(datagram, length) if session else -1

    def protect(self, sending: Sending) -> None:
        """Encrypt and sign the packets of legs with keys in place; one that cannot be is not sent."""
        if not self._outbound:
            return
        order = sending.order
        rows: Longs = np.flatnonzero(self._legs.secure[order] & (sending.length > HEADER_BYTES))
        legs = order[rows].tolist()
        where = rows.tolist()
        good = self._run(self._srtp.protect_rows, self._outbound, legs, sending.rows, where, sending.length)
        for i in np.flatnonzero(~np.array(good, np.bool_)).tolist():
            sending.length[where[i]] = 0

    def _run(
        self,
        function: _Run,
        sessions: dict[int, SrtpSession],
        legs: list[int],
        data: Bytes,
        rows: list[int],
        length: Ints,
    ) -> list[bool]:
        with_keys = [i for i, leg in enumerate(legs) if leg in sessions]
        result = [False] * len(legs)
        if with_keys:
            chosen = [sessions[legs[i]] for i in with_keys]
            ok = self._srtp.Status.OK
            statuses = function(chosen, data, [rows[i] for i in with_keys], length)
            for i, status in zip(with_keys, statuses, strict=True):
                result[i] = status == ok
        return result
