"""The server transaction of all methods but INVITE and ACK (RFC 3261 §17.2.2, figure 8)."""

from __future__ import annotations

from ringback.sip.transaction.machine import Action, Input, State, Table
from ringback.sip.transaction.server import ServerTransaction

_FINAL = (State.COMPLETED, (Action.STOP, Action.SEND, Action.START_J))

# Timer F is the client's: once it has fired there nobody waits for our answer, so we stop waiting as well
# (RFC 4320 §4.2 forbids to answer late).
TABLE: Table = {
    (State.TRYING, Input.SEND_1XX): (State.PROCEEDING, (Action.SEND,)),
    (State.TRYING, Input.SEND_2XX): _FINAL,
    (State.TRYING, Input.SEND_FAILURE): _FINAL,
    (State.TRYING, Input.TIMER_F): (State.TERMINATED, ()),
    (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (Action.RESEND,)),
    (State.PROCEEDING, Input.SEND_1XX): (State.PROCEEDING, (Action.SEND,)),
    (State.PROCEEDING, Input.SEND_2XX): _FINAL,
    (State.PROCEEDING, Input.SEND_FAILURE): _FINAL,
    (State.PROCEEDING, Input.TIMER_F): (State.TERMINATED, ()),
    (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Action.RESEND,)),
    (State.COMPLETED, Input.TIMER_J): (State.TERMINATED, ()),
}


class NonInviteServerTransaction(ServerTransaction):
    """Waits for our user's answer and repeats it for copies of the request."""

    table = TABLE
    initial = State.TRYING

    __slots__ = ()

    def begin(self, now: float) -> None:
        """Start the wait for our user's answer."""
        self._enter((State.TRYING, (Action.START_F,)), now, b"")
