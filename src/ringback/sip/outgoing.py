"""A call that we make: the caller's part of RFC 3261 §13.2 and of CANCEL (§9.1)."""

from __future__ import annotations

import weakref
from typing import ClassVar, Literal

from ringback.sip.acceptance import sdp_of
from ringback.sip.agent import Agent
from ringback.sip.authentication import ClientAuthentication
from ringback.sip.dialog import Dialog
from ringback.sip.effects import Answered, Effect, EndedBy, Failed, Ringing, Transmit
from ringback.sip.failover import Attempts, Unwanted, cancel_of, end_unwanted, first_of
from ringback.sip.flow import Flow, Targets
from ringback.sip.message import REASONS, Headers, Request, Response
from ringback.sip.reason import reason_of
from ringback.sip.session import InviteSession
from ringback.sip.session_state import SessionState, SessionTimer
from ringback.sip.transaction.client import ClientTransaction

MOST_FORKS = 32
"""Early dialogs of one call: more callees than these are not heard before they answer."""


class OutgoingSession(InviteSession):
    """A call by us, from its INVITE to its end.

    A proxy may fork the INVITE: the first 2xx makes the call, any other is acknowledged and ended.
    """

    role: ClassVar[Literal["uac", "uas"]] = "uac"

    def __init__(
        self,
        agent: Agent,
        request: Request,
        where: Flow | Targets,
        now: float,
        credentials: ClientAuthentication | None = None,
    ) -> None:
        super().__init__(agent, request, first_of(where), request.from_.tag or "", now)
        self._credentials = credentials
        self._where = where
        # Weak: its transaction keeps it as long as answers can come, and it us; a circle would wait for the
        # garbage collector.
        self._attempts: weakref.ref[Attempts] | None = None
        self._cancel_wanted = False
        self._early_sdp: bytes | None = None
        # The ACK for each 2xx by To tag; None while the application owes the answer that it carries.
        self._acks: dict[str, Transmit | None] = {}
        # Each fork's early dialog, and the last RSeq acknowledged there, by To tag.
        self._early: dict[str, Dialog] = {}
        self._rseq: dict[str, int] = {}

    def begin(self, now: float) -> list[Effect]:
        """Send the INVITE; the endpoint calls this."""
        if self._credentials is not None:
            self._credentials.authorize(self.request)
        return self._send(now)

    def _send(self, now: float) -> list[Effect]:
        self.local_sdp = self.request.body or None
        self.expiry.ask(self.request.headers)
        if not self.request.body:
            # An offer in a reliable provisional response would have to be answered by the PRACK.
            tags = [tag for tag in self.request.headers.get_all("Supported") if tag != "100rel"]
            self.request.headers.set("Supported", ", ".join(tags))
        attempts = Attempts(self._agent, self.request, self._where, self)
        self._attempts = weakref.ref(attempts)
        return attempts.begin(now)

    @property
    def _invite(self) -> ClientTransaction | None:
        attempts = None if self._attempts is None else self._attempts()
        return None if attempts is None else attempts.transaction

    def goes_on(self, request: Request, flow: Flow) -> bool:
        """The INVITE goes to another target, as if never sent; not once nobody wants the call any more."""
        if self.state is SessionState.ENDED:
            return False
        self._begin_anew(request)
        self._first_flow = flow
        if not isinstance(self._where, Flow):
            # Should it be sent anew, for instance with credentials, it goes to the one that asked for them.
            self._where = (flow, *(other for other in self._where if other != flow))
        return True

    def answer_offer(self, sdp: bytes, now: float) -> list[Effect]:
        """Also answers the offer of a 200 to an INVITE without SDP: the ACK carries it."""
        if self.state is not SessionState.ACCEPTED:
            return super().answer_offer(sdp, now)
        self.state = SessionState.CONFIRMED
        self.local_sdp = sdp
        return [self._acknowledge(sdp), *self._offer_waiting(now)]

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
        if response.status == 422 and self.state is not SessionState.ENDED and self.expiry.refused(response):
            return self._again(self.request.headers.copy(), now)
        if response.status in (401, 407) and self.state is not SessionState.ENDED:
            return self._challenged(transaction, response, now)
        return self._failed("peer", response.status, response.reason, response)

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """No answer to a request of ours; the transaction layer calls this."""
        if transaction is not self._invite:
            return super().request_failed(transaction, status, now)
        self.stop_timer(SessionTimer.CANCEL)
        return self._failed("timeout" if status == 408 else "error", status, REASONS[status], None)

    def _challenged(self, transaction: ClientTransaction, response: Response, now: float) -> list[Effect]:
        """Send the INVITE anew with credentials (§22.2), unless the refusal stands."""
        headers = None
        if self._credentials is not None:
            headers = self._credentials.answer(self.request, response, transaction.tries)
        if headers is None:
            return self._failed("peer", response.status, response.reason, response)
        effects = self._again(headers, now)
        if self._invite is not None:
            self._invite.tries = transaction.tries + 1
        return effects

    def _again(self, headers: Headers, now: float) -> list[Effect]:
        """Send the INVITE anew, as if never answered, with what the refusal asked for (§8.1.3.5)."""
        headers.set("Via", self._agent.via(self._first_flow))
        headers.set("CSeq", f"{self.request.cseq.number + 1} INVITE")
        self._begin_anew(Request("INVITE", self.request.uri, headers, self.request.body))
        return self._send(now)

    def _begin_anew(self, request: Request) -> None:
        self._forget()
        self.dialog = None
        self._rseq.clear()
        self.state = SessionState.CALLING
        self.request = request

    def _progress(self, response: Response, now: float) -> list[Effect]:
        if self.state is SessionState.ENDED:
            return self._cancel(now) if self._cancel_wanted else []
        self.state = SessionState.PROCEEDING
        if response.status == 100:
            return []
        effects: list[Effect] = []
        if response.to.tag is not None:
            self._note_fork(response)
            if (rseq := _reliable(response)) is not None:
                if not self._is_next(response.to.tag, rseq):
                    return []
                effects = self._prack(response, rseq, now)
        sdp = sdp_of(response.content_type, response.body)
        self._early_sdp = sdp or self._early_sdp
        return [*effects, Ringing(self, response.status, sdp)]

    def _note_fork(self, response: Response) -> None:
        """Each callee that a proxy tried has an early dialog of its own (§12.1, RFC 3262 §4)."""
        tag = response.to.tag or ""
        if tag in self._early or len(self._early) >= MOST_FORKS:
            return
        dialog = self._early[tag] = self._new_dialog(response)
        self._agent.enlist(dialog, self)
        if self.dialog is None:
            self.dialog = dialog

    def _new_dialog(self, response: Response) -> Dialog:
        dialog = Dialog.of_client(self.request, response, self._first_flow, self._credentials)
        if not isinstance(self._where, Flow):
            self._agent.follow_route(dialog)
        return dialog

    def _is_next(self, tag: str, rseq: int) -> bool:
        """Whether a reliable response is the one after the last in its fork; copies and later ones wait."""
        before = self._rseq.get(tag)
        if tag not in self._early or (before is not None and rseq != before + 1):
            return False
        self._rseq[tag] = rseq
        return True

    def _prack(self, response: Response, rseq: int, now: float) -> list[Effect]:
        prack, flow = self._agent.in_dialog(self._early[response.to.tag or ""], "PRACK")
        prack.headers.add("RAck", f"{rseq} {response.cseq.number} INVITE")
        return self._agent.send(prack, flow, Unwanted(), now)[1]

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
        self.agreed(response, now)
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
        cause = reason_of(response.headers) if response is not None else ""
        return [Failed(self, status, reason, response), *self._end(by, status, reason, cause=cause)]

    def _establish(self, response: Response) -> None:
        """Make the dialog, or bring an early one up to date: its route set is the 2xx's (§13.2.2.4). The
        other forks' are over."""
        dialog = self._new_dialog(response)
        early = self._early.get(response.to.tag or "")
        if early is not None:
            dialog.local_cseq, dialog.remote_cseq = early.local_cseq, early.remote_cseq
            dialog.flow = early.flow
        self._forget()
        self.dialog = dialog
        self._agent.enlist(dialog, self)

    def _forget(self) -> None:
        for dialog in self._early.values():
            self._agent.forget(dialog)
        self._early.clear()
        super()._forget()

    def _acknowledge(self, sdp: bytes | None) -> Transmit:
        dialog = self._need_dialog()
        ack = self._agent.acknowledge(dialog, self.request, sdp)
        self._acks[dialog.remote.tag or ""] = ack
        return ack

    def _end_fork(self, response: Response, tag: str, now: float) -> list[Effect]:
        """A second callee answered: only one call was wanted (§13.2.2.4)."""
        if len(self._acks) > MOST_FORKS:
            return []
        self._acks[tag], effects = end_unwanted(self._agent, self.request, response, self._first_flow, now)
        return effects

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
        cancel = cancel_of(self.request)
        if self._why:
            cancel.headers.add("Reason", self._why)
        return self._agent.send(cancel, self._first_flow, Unwanted(), now)[1]

    def _timer_fired(self, timer: SessionTimer, now: float) -> list[Effect]:
        if timer is not SessionTimer.CANCEL:
            return super()._timer_fired(timer, now)
        if self._invite is not None:
            self._agent.layer.abandon(self._invite)
        self._forget()
        return super()._timer_fired(timer, now)


def _reliable(response: Response) -> int | None:
    """The RSeq of a provisional response that wants a PRACK (RFC 3262 §4); None of any other."""
    if not any(tag.lower() == "100rel" for tag in response.headers.get_all("Require")):
        return None
    text = (response.headers.get("RSeq") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None
