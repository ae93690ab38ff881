"""The INVITE server transaction (RFC 3261 §17.2.1, figure 7, with the Accepted state of RFC 6026 §7.1)."""

from __future__ import annotations

from ringback.sip.transaction.machine import Action, Input, State, Table
from ringback.sip.transaction.server import ServerTransaction

TABLE: Table = {
    (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (Action.RESEND,)),
    (State.PROCEEDING, Input.SEND_1XX): (State.PROCEEDING, (Action.SEND,)),
    (State.PROCEEDING, Input.SEND_2XX): (State.ACCEPTED, (Action.SEND, Action.START_L)),
    (State.PROCEEDING, Input.SEND_FAILURE): (
        State.COMPLETED,
        (Action.SEND, Action.START_G, Action.START_H),
    ),
    (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Action.RESEND,)),
    (State.COMPLETED, Input.TIMER_G): (State.COMPLETED, (Action.RESEND, Action.START_G)),
    (State.COMPLETED, Input.TIMER_H): (State.TERMINATED, ()),
    (State.COMPLETED, Input.ACK): (State.CONFIRMED, (Action.STOP, Action.START_I)),
    (State.CONFIRMED, Input.TIMER_I): (State.TERMINATED, ()),
    (State.ACCEPTED, Input.SEND_2XX): (State.ACCEPTED, (Action.SEND,)),
    (State.ACCEPTED, Input.ACK): (State.ACCEPTED, (Action.DELIVER,)),
    (State.ACCEPTED, Input.TIMER_L): (State.TERMINATED, ()),
}


class InviteServerTransaction(ServerTransaction):
    """Answers an INVITE, repeats failures until the ACK comes, absorbs copies of an accepted INVITE."""

    table = TABLE
    initial = State.PROCEEDING

    __slots__ = ()
