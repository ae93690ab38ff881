"""The states and timers of an INVITE session, and a 2xx that waits for its ACK (RFC 3261 §13)."""

from __future__ import annotations

import msgspec

from ringback.sip.transaction.machine import Distinct
from ringback.sip.transaction.server import ServerTransaction


class SessionState(Distinct):
    """Where a call is. CALLING and PROCEEDING are the caller's, INCOMING and RINGING the callee's."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    INCOMING = "incoming"
    RINGING = "ringing"
    # The callee sent 200 and waits for ACK; or the caller has an offer in the 200 and owes the ACK.
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class SessionTimer(Distinct):
    """What a session waits for besides the ACK."""

    PROVISIONAL = "repeat the provisional response"
    EXPIRES = "the caller's Expires"
    CANCEL = "give up on an INVITE that was cancelled, or outlived its call"
    GLARE = "try the re-INVITE again"
    RELIABLE = "repeat the reliable provisional response"
    REFRESH = "refresh the session"
    EXPIRY = "the session was not refreshed"
    REFER = "hear how the transfer goes"


class Unacknowledged(msgspec.Struct):
    """A 2xx of ours that goes again until its ACK comes (§13.3.1.4); `offered`: the ACK brings the answer."""

    transaction: ServerTransaction
    data: bytes
    initial: bool
    offered: bool
    interval: float
    next_at: float
    gives_up_at: float
