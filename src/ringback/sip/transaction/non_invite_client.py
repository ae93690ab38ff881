"""The client transaction of all methods but INVITE and ACK (RFC 3261 §17.1.2, figure 6)."""

from __future__ import annotations

from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.machine import Action, Input, State, Table

_FINAL = (State.COMPLETED, (Action.STOP, Action.DELIVER, Action.START_K))
_BROKEN = (State.TERMINATED, (Action.REPORT_FAILURE,))
_TIMED_OUT = (State.TERMINATED, (Action.REPORT_TIMEOUT,))

TABLE: Table = {
    (State.TRYING, Input.TIMER_E): (State.TRYING, (Action.RESEND, Action.START_E)),
    (State.TRYING, Input.TIMER_F): _TIMED_OUT,
    (State.TRYING, Input.TRANSPORT_ERROR): _BROKEN,
    (State.TRYING, Input.RECEIVE_1XX): (State.PROCEEDING, (Action.DELIVER,)),
    (State.TRYING, Input.RECEIVE_2XX): _FINAL,
    (State.TRYING, Input.RECEIVE_FAILURE): _FINAL,
    (State.PROCEEDING, Input.TIMER_E): (State.PROCEEDING, (Action.RESEND, Action.START_E_SLOW)),
    (State.PROCEEDING, Input.TIMER_F): _TIMED_OUT,
    (State.PROCEEDING, Input.TRANSPORT_ERROR): _BROKEN,
    (State.PROCEEDING, Input.RECEIVE_1XX): (State.PROCEEDING, (Action.DELIVER,)),
    (State.PROCEEDING, Input.RECEIVE_2XX): _FINAL,
    (State.PROCEEDING, Input.RECEIVE_FAILURE): _FINAL,
    (State.COMPLETED, Input.TIMER_K): (State.TERMINATED, ()),
}


class NonInviteClientTransaction(ClientTransaction):
    """Sends a request until its final answer comes or Timer F ends the waiting."""

    table = TABLE
    initial = State.TRYING
    first = (Action.SEND, Action.START_E, Action.START_F)

    __slots__ = ()
