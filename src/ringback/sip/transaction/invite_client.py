"""The INVITE client transaction (RFC 3261 §17.1.1, figure 5, with the Accepted state of RFC 6026 §7.2)."""

from __future__ import annotations

from ringback.sip.flow import Flow
from ringback.sip.headers import Headers
from ringback.sip.message import Request, encode
from ringback.sip.timers import Timers
from ringback.sip.transaction.client import ClientTransaction, ClientUser
from ringback.sip.transaction.machine import Action, Input, State, Table

_FAILED = (State.COMPLETED, (Action.STOP, Action.ACKNOWLEDGE, Action.DELIVER, Action.START_D))
_ANSWERED = (State.ACCEPTED, (Action.STOP, Action.DELIVER, Action.START_M))
_BROKEN = (State.TERMINATED, (Action.REPORT_FAILURE,))

TABLE: Table = {
    (State.CALLING, Input.TIMER_A): (State.CALLING, (Action.RESEND, Action.START_A)),
    (State.CALLING, Input.TIMER_B): (State.TERMINATED, (Action.REPORT_TIMEOUT,)),
    (State.CALLING, Input.TRANSPORT_ERROR): _BROKEN,
    (State.CALLING, Input.RECEIVE_1XX): (State.PROCEEDING, (Action.STOP, Action.DELIVER)),
    (State.CALLING, Input.RECEIVE_2XX): _ANSWERED,
    (State.CALLING, Input.RECEIVE_FAILURE): _FAILED,
    (State.PROCEEDING, Input.RECEIVE_1XX): (State.PROCEEDING, (Action.DELIVER,)),
    (State.PROCEEDING, Input.RECEIVE_2XX): _ANSWERED,
    (State.PROCEEDING, Input.RECEIVE_FAILURE): _FAILED,
    (State.PROCEEDING, Input.TRANSPORT_ERROR): _BROKEN,
    (State.COMPLETED, Input.RECEIVE_FAILURE): (State.COMPLETED, (Action.ACKNOWLEDGE,)),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (State.TERMINATED, ()),
    (State.COMPLETED, Input.TIMER_D): (State.TERMINATED, ()),
    (State.ACCEPTED, Input.RECEIVE_2XX): (State.ACCEPTED, (Action.DELIVER,)),
    (State.ACCEPTED, Input.TIMER_M): (State.TERMINATED, ()),
}


class InviteClientTransaction(ClientTransaction):
    """Sends an INVITE until an answer comes, acknowledges failures itself, passes each 2xx on."""

    table = TABLE
    initial = State.CALLING
    first = (Action.SEND, Action.START_A, Action.START_B)

    __slots__ = ("_ack", "_ack_head")

    def __init__(self, request: Request, flow: Flow, timing: Timers, user: ClientUser) -> None:
        super().__init__(request, flow, timing, user)
        self._ack_head = request
        self._ack = b""

    def _acknowledgement(self) -> bytes:
        if not self._ack and self.response is not None:
            self._ack = encode(_ack_to_failure(self._ack_head, self.response.headers.get("To") or ""))
        return self._ack


def _ack_to_failure(invite: Request, to: str) -> Request:
    """RFC 3261 §17.1.1.3: the INVITE's fields, one Via, and the To of the answer."""
    source = invite.headers
    headers = Headers()
    headers.prepend("Via", source.get("Via") or "")
    headers.copy_from(source, "Route", "Max-Forwards", "From")
    headers.add("To", to)
    headers.copy_from(source, "Call-ID")
    headers.add("CSeq", f"{invite.cseq.number} ACK")
    return Request("ACK", invite.uri, headers)
