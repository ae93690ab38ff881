"""A call that we make: the caller's part of RFC 3261 §13.2 and of CANCEL (§9.1)."""

from __future__ import annotations

from typing import ClassVar, Literal

from ringback.sip.acceptance import sdp_of
from ringback.sip.agent import Agent
from ringback.sip.dialog import Dialog
from ringback.sip.effects import Answered, Effect, EndedBy, Failed, Ringing, Transmit
from ringback.sip.flow import Flow
from ringback.sip.message import REASONS, Headers, Request, Response
from ringback.sip.session import InviteSession
from ringback.sip.session_state import SessionState, SessionTimer
from ringback.sip.transaction.client import ClientTransaction


class Unwanted:
    """Takes the answers to requests whose outcome changes nothing."""

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """Nothing follows."""
        del transaction, response, now
        return []

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """Nothing follows."""
        del transaction, status, now
        return []


class OutgoingSession(InviteSession):
    """A call by us, from its INVITE to its end.

    A proxy may fork the INVITE: the first 2xx makes the call, any other is acknowledged and ended.
    """

    role: ClassVar[Literal["uac", "uas"]] = "uac"

    def __init__(self, agent: Agent, request: Request, flow: Flow, now: float) -> None:
        super().__init__(agent, request, flow, request.from_.tag or "", now)
        self._invite: ClientTransaction | None = None
        self._cancel_wanted = False
        self._early_sdp: bytes | None = None
        # The ACK for each 2xx by To tag; None while the application owes the answer that it carries.
        self._acks: dict[str, Transmit | None] = {}

    def begin(self, now: float) -> list[Effect]:
        """Send the INVITE; the endpoint calls this."""
        self._invite, effects = self._agent.send(self.request, self._first_flow, self, now)
        return effects

    def answer_offer(self, sdp: bytes, now: float) -> list[Effect]:
        """Also answers the offer of a 200 to an INVITE without SDP: the ACK carries it."""
        if self.state is not SessionState.ACCEPTED:
            return super().answer_offer(sdp, now)
        self.state = SessionState.CONFIRMED
        return [self._acknowledge(sdp), *self._negotiation.proceed(now)]

    def reject_offer(self, status: int, now: float) -> list[Effect]:
        """An offer in a 200 cannot be refused, only acknowledged and the call ended (§13.2.2.4)."""
        if self.state is not SessionState.ACCEPTED:
            return super().reject_offer(status, now)
        return [*self._hang_up_accepted(now), *self._end("us", status, REASONS.get(status, ""))]

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """The answer to a request of ours; the transaction layer calls this."""
        if transaction is not self._invite:
            return super().response_received(transaction, response, now)
        if response.status < 200:
            return self._progress(response, now)
        self.stop_timer(SessionTimer.CANCEL)
        if response.status < 300:
            return self._answered(response, now)
        return self._failed("peer", response.status, response.reason, response)

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """No answer to a request of ours; the transaction layer calls this."""
        if transaction is not self._invite:
            return super().request_failed(transaction, status, now)
        self.stop_timer(SessionTimer.CANCEL)
        return self._failed("timeout" if status == 408 else "error", status, REASONS[status], None)

    def _progress(self, response: Response, now: float) -> list[Effect]:
        if self.state is SessionState.ENDED:
            return self._cancel(now) if self._cancel_wanted else []
        self.state = SessionState.PROCEEDING
        if response.status == 100:
            return []
        if response.to.tag is not None and self.dialog is None:
            self._establish(response)
        sdp = sdp_of(response.content_type, response.body)
        self._early_sdp = sdp or self._early_sdp
        return [Ringing(self, response.status, sdp)]

    def _answered(self, response: Response, now: float) -> list[Effect]:
        tag = response.to.tag or ""
        if tag in self._acks:
            ack = self._acks[tag]
            return [] if ack is None else [ack]
        if self._acks:
            return self._end_fork(response, tag, now)
        self._establish(response)
        self._acks[tag] = None
        if self.state is SessionState.ENDED:
            # It crossed our CANCEL, or a CANCEL that could not go out yet.
            self._cancel_wanted = False
            return [self._acknowledge(None), *self._bye(now)]
        sdp = sdp_of(response.content_type, response.body)
        if not self.request.body and sdp is not None:
            self.state = SessionState.ACCEPTED
            return [Answered(self, sdp)]
        self.state = SessionState.CONFIRMED
        return [self._acknowledge(None), Answered(self, sdp or self._early_sdp)]

    def _failed(self, by: EndedBy, status: int, reason: str, response: Response | None) -> list[Effect]:
        self._cancel_wanted = False
        self._forget()
        if self.state is SessionState.ENDED:
            return []
        reason = reason or REASONS.get(status, "")
        return [Failed(self, status, reason, response), *self._end(by, status, reason)]

    def _establish(self, response: Response) -> None:
        """Make the dialog, or bring an early one up to date: its route set is the 2xx's (§13.2.2.4)."""
        early = self.dialog
        dialog = Dialog.of_client(self.request, response, self.flow)
        if early is not None:
            self._agent.forget(early)
            dialog.local_cseq = early.local_cseq
            if early.key == dialog.key:
                dialog.remote_cseq = early.remote_cseq
        self.dialog = dialog
        self._agent.enlist(dialog, self)

    def _acknowledge(self, sdp: bytes | None) -> Transmit:
        dialog = self._need_dialog()
        ack = self._agent.acknowledge(dialog, self.request.cseq.number, sdp)
        self._acks[dialog.remote.tag or ""] = ack
        return ack

    def _end_fork(self, response: Response, tag: str, now: float) -> list[Effect]:
        """A second callee answered: only one call was wanted (§13.2.2.4)."""
        dialog = Dialog.of_client(self.request, response, self.flow)
        ack = self._agent.acknowledge(dialog, self.request.cseq.number)
        self._acks[tag] = ack
        bye, flow = self._agent.in_dialog(dialog, "BYE")
        return [ack, *self._agent.send(bye, flow, Unwanted(), now)[1]]

    def _hang_up_early(self, now: float) -> list[Effect]:
        if self.state is SessionState.PROCEEDING:
            return self._cancel(now)
        # §9.1: no CANCEL before the first provisional response.
        self._cancel_wanted = True
        return []

    def _left_by_peer(self, now: float) -> list[Effect]:
        if self.state is SessionState.PROCEEDING:
            return self._cancel(now)
        return [self._acknowledge(None)] if self.state is SessionState.ACCEPTED else []

    def _hang_up_accepted(self, now: float) -> list[Effect]:
        return [self._acknowledge(None), *self._bye(now)]

    def _cancel(self, now: float) -> list[Effect]:
        self._cancel_wanted = False
        self.set_timer(SessionTimer.CANCEL, now + 64 * self._agent.settings.timers.t1)
        cancel = _cancel_of(self.request)
        return self._agent.send(cancel, self._first_flow, Unwanted(), now)[1]

    def _timer_fired(self, timer: SessionTimer, now: float) -> list[Effect]:
        if timer is not SessionTimer.CANCEL:
            return super()._timer_fired(timer, now)
        if self._invite is not None:
            self._agent.layer.abandon(self._invite)
        self._forget()
        return []


def _cancel_of(invite: Request) -> Request:
    """The CANCEL for an INVITE: its fields, its branch (§9.1)."""
    source = invite.headers
    headers = Headers()
    headers.prepend("Via", source.get("Via") or "")
    headers.copy_from(source, "Route", "Max-Forwards", "From", "To", "Call-ID")
    headers.add("CSeq", f"{invite.cseq.number} CANCEL")
    headers.copy_from(source, "User-Agent")
    return Request("CANCEL", invite.uri, headers)
