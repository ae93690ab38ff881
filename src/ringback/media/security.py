"""SRTP and SRTCP of the legs that have keys (RFC 3711): one session each way, kept while its key stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ringback.media.columns import Bytes, Ints, Longs
from ringback.media.keyring import Change, Key, Operation, Sessions
from ringback.media.legs import Legs
from ringback.media.protocol import SrtpKeys
from ringback.media.sending import HEADER_BYTES, Sending
from ringback.rtp.sequence import ReceivedSequence

if TYPE_CHECKING:
    from ringback.rtp.srtp import SrtpSession

Known = tuple[int, int]
"""An SSRC and an extended sequence number (RFC 3711 3.3.1)."""
_Run = Callable[[list["SrtpSession"], Bytes, list[int], Ints], list[int]]

ROLLED_OVER = 1 << 15
"""Packets after which the sequence number of a source of ours, begun in the lower half, may have wrapped."""


class UnfitKeyError(ValueError):
    """A key that cannot be used; its text is told to the control process."""


class Protection:
    """The sessions of all legs, by row."""

    def __init__(self, legs: Legs, received: ReceivedSequence) -> None:
        """`received` knows how far the peers' sequence numbers are."""
        self._legs = legs
        self._received = received
        self._keys: dict[int, SrtpKeys] = {}
        self._inbound: dict[int, SrtpSession] = {}
        self._outbound: dict[int, SrtpSession] = {}
        self._changes: dict[int, Change] = {}
        self._had: dict[int, tuple[Sessions, Sessions]] = {}
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

    def forget(self, leg: int) -> None:
        """End a leg's sessions."""
        for kept in (self._keys, self._inbound, self._outbound, self._changes, self._had, self._expected):
            kept.pop(leg, None)

    def set_keys(self, leg: int, keys: SrtpKeys, now_ns: int) -> None:
        """Begin or replace a leg's sessions; raises UnfitKeyError and changes nothing if a key is.

        A key that stays keeps its session: beginning anew would use up the same key stream twice. Where the
        peer's key changes, what comes under the old one is taken a while longer.
        """
        heard, sent = self._expected.pop(leg, (None, None))
        theirs, ours = (keys.suite, keys.remote_key), (keys.suite, keys.local_key)
        inbound_had, outbound_had = self._had.setdefault(leg, (Sessions(), Sessions()))
        try:
            inbound = inbound_had.known(theirs) or self._session(theirs, True, heard)
            outbound = outbound_had.known(ours) or self._session(ours, False, sent)
        except self._srtp.SrtpKeyError as error:
            raise UnfitKeyError(str(error)) from error
        self._keys[leg] = keys
        inbound_had.take(theirs, inbound)
        outbound_had.take(ours, outbound)
        self._turn_inbound(leg, theirs, inbound, now_ns)
        before = self._outbound.get(leg)
        if before is not None and before is not outbound and before.passed >= ROLLED_OVER:
            # Whether a new key begins a new count of roll-overs is seen in two ways; a new source does.
            self._legs.renew_source(leg)
        self._outbound[leg] = outbound

    def _session(self, key: Key, inbound: bool, known: Known | None = None) -> SrtpSession:
        session: SrtpSession = self._srtp.SrtpSession(*key, inbound=inbound, known=known)
        return session

    def _turn_inbound(self, leg: int, key: Key, session: SrtpSession, now_ns: int) -> None:
        before = self._inbound.get(leg)
        if before is session:
            return
        self._inbound[leg] = session
        if before is None:
            return
        fresh = [session]
        highest = int(self._received.highest[leg])
        if not session.passed and highest >> 16:
            # By RFC 3711 the roll-overs go on under a new key; many peers begin at none.
            fresh.append(self._session(key, True, (int(self._received.ssrc[leg]), highest)))
        change = self._changes.get(leg)
        former = [before] if change is None else [kept for kept in change.candidates if kept is not session]
        self._changes[leg] = Change(fresh, former, now_ns)

    def unprotect(
        self, legs: list[int], data: Bytes, rows: list[int], length: Ints, now_ns: int
    ) -> list[bool]:
        """Check and decrypt RTP in rows of `data` in place, of legs[i] in row rows[i]; which are
        authentic."""
        if not self._changes:
            return self._run(self._srtp.unprotect_rows, self._inbound, legs, data, rows, length)
        settled: list[int] = []
        unsettled: list[int] = []
        for i, leg in enumerate(legs):
            (unsettled if leg in self._changes else settled).append(i)
        result = [False] * len(legs)
        chosen, where = [legs[i] for i in settled], [rows[i] for i in settled]
        good = self._run(self._srtp.unprotect_rows, self._inbound, chosen, data, where, length)
        for i, authentic in zip(settled, good, strict=True):
            result[i] = authentic
        unprotect = self._srtp.SrtpSession.unprotect
        for i in unsettled:
            row = rows[i]
            size = self._changing(legs[i], unprotect, data[row], int(length[row]), now_ns)
            if size >= 0:
                length[row] = size
                result[i] = True
        return result

    def unprotect_rtcp(self, leg: int, datagram: Bytes, length: int, now_ns: int) -> int:
        """Check and decrypt one RTCP datagram in place; its new length, below 0 if it is not authentic."""
        session = self._inbound.get(leg)
        if session is None:
            return -1
        if leg in self._changes:
            return self._changing(leg, self._srtp.SrtpSession.unprotect_rtcp, datagram, length, now_ns)
        return session.unprotect_rtcp(datagram, length)

    def _changing(self, leg: int, operation: Operation, row: Bytes, length: int, now_ns: int) -> int:
        """Unprotect what comes for a leg whose keys change, or have just changed for good."""
        change = self._changes.get(leg)
        if change is not None:
            left = change.over(now_ns)
            if left is None:
                return change.run(operation, row, length, now_ns)
            del self._changes[leg]
            self._inbound[leg] = left
            keys = self._keys[leg]
            self._had[leg][0].take((keys.suite, keys.remote_key), left)
        return operation(self._inbound[leg], row, length)

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
