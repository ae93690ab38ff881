"""An INVITE session: what callers and callees have in common once a call exists (RFC 3261 §13 to §15)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from ringback.governance.private import Private
from ringback.sip.acceptance import sdp_of
from ringback.sip.agent import SDP, Agent
from ringback.sip.dialog import Dialog
from ringback.sip.effects import (
    Confirmed,
    Effect,
    Ended,
    EndedBy,
    InfoReceived,
    OfferAnswered,
    PeerChanged,
    Transmit,
)
from ringback.sip.errors import SessionStateError
from ringback.sip.flow import Flow
from ringback.sip.message import REASONS, Headers, NameAddr, Request, Response, SipUri, encode
from ringback.sip.reason import reason_of
from ringback.sip.refer import Referral
from ringback.sip.renegotiation import Renegotiation
from ringback.sip.session_expiry import SessionExpiry
from ringback.sip.session_state import SessionState, SessionTimer, Unacknowledged
from ringback.sip.timers import Ticket
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction
from ringback.sip.uri import escape_user


class InviteSession:
    """One call between us and a peer, sans-IO: every method returns effects.

    `id` is unique within the endpoint; `request` is the INVITE that began the call, `created` when.
    Methods on a session that has ended do nothing, for the peer may have ended it a moment ago; methods
    that the state does not allow otherwise raise SessionStateError.
    """

    role: ClassVar[Literal["uac", "uas"]]

    def __init__(self, agent: Agent, request: Request, flow: Flow, local_tag: str, now: float) -> None:
        self.id = agent.new_token()
        self.request = request
        self.local_tag = local_tag
        self.created = now
        self.state = SessionState.INCOMING if self.role == "uas" else SessionState.CALLING
        self.dialog: Dialog | None = None
        self.scheduled: Ticket | None = None
        self._agent = agent
        self._first_flow = flow
        self._timers: dict[SessionTimer, float] = {}
        self._unacknowledged: dict[int, Unacknowledged] = {}
        self.expiry = SessionExpiry(agent.settings.session_expires_s, agent.settings.least_session_expires_s)
        self.local_sdp: bytes | None = None
        """What we last described, for refreshes by re-INVITE."""
        self.peer_allows: frozenset[str] = frozenset()
        """Methods that the peer says it takes."""
        self.peer_follows = False
        """Whether the peer shows who it talks to as that changes (RFC 4916)."""
        self.connected_identity = ""
        """Who the peer was told that it talks to, since that has changed."""
        # Made when they are first needed: most calls change nothing, and are freed at once without them.
        self._offers: Renegotiation | None = None
        self._referrals: Referral | None = None
        # BYE is due as soon as the ACK came: the callee may not send it before (§15).
        self._bye_owed = False
        self._why = ""
        agent.live.add(self.id)

    @property
    def _negotiation(self) -> Renegotiation:
        if self._offers is None:
            self._offers = Renegotiation(self, self._agent)
        return self._offers

    @property
    def _referral(self) -> Referral:
        if self._referrals is None:
            self._referrals = Referral(self, self._agent)
        return self._referrals

    def __repr__(self) -> str:
        return f"<{self.role} session {self.id} {self.state.value}>"

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.request.call_id

    @property
    def flow(self) -> Flow:
        """The flow that our requests in this call take now."""
        return self._first_flow if self.dialog is None else self.dialog.flow

    @property
    def remote_tag(self) -> str | None:
        """The peer's tag; None for a caller before the first answer that has one."""
        return None if self.dialog is None else self.dialog.remote.tag

    @property
    def remote_target(self) -> SipUri:
        """Where the peer says it is: its Contact, or for a caller before any answer the URI called."""
        if self.dialog is not None:
            return self.dialog.target
        return self.request.uri if isinstance(self.request.uri, SipUri) else SipUri(host=self.flow.remote[0])

    # What the application asks for

    def ring(self, now: float, status: int = 180, sdp: bytes | None = None) -> list[Effect]:
        """Send a provisional response (101 to 199) to an incoming call."""
        raise SessionStateError("only an incoming call can ring")

    def accept(self, sdp: bytes, now: float, headers: Headers | None = None) -> list[Effect]:
        """Answer an incoming call; `sdp` is the answer, or the offer when the INVITE had none."""
        raise SessionStateError("only an incoming call can be accepted")

    def reject(
        self,
        status: int,
        now: float,
        reason: str | None = None,
        headers: Headers | None = None,
    ) -> list[Effect]:
        """Refuse an incoming call with 300 to 699; `headers` are added (WWW-Authenticate, Contact, ...)."""
        raise SessionStateError("only an incoming call can be rejected")

    def hangup(self, now: float, reason: str | None = None, why: str = "") -> list[Effect]:
        """End the call as its state demands: CANCEL, BYE, or 480 to a call not yet answered.

        A CANCEL tells `why` in its Reason (RFC 3326).
        """
        if self.state is SessionState.ENDED:
            return []
        self._why = why
        hang_up = self._HANGUP[self.state]
        effects = hang_up(self, now)
        return [*effects, *self._end("us", None, reason or "hung up")]

    def reinvite(self, sdp: bytes | None, now: float) -> list[Effect]:
        """Offer `sdp` within the call, or ask for an offer (None).

        While another exchange is open the latest offer waits for its end; 491 is retried (§14.1).
        """
        if self.state is SessionState.ENDED:
            return []
        self._need(SessionState.CONFIRMED, SessionState.ACCEPTED)
        return self._negotiation.offer(sdp, now)

    def answer_offer(self, sdp: bytes, now: float) -> list[Effect]:
        """Answer an OfferReceived; nothing happens when the peer has withdrawn it."""
        return [] if self.state is SessionState.ENDED else self._negotiation.answer(sdp, now)

    def reject_offer(self, status: int, now: float) -> list[Effect]:
        """Refuse an OfferReceived (488 for instance); the call goes on as it was."""
        return [] if self.state is SessionState.ENDED else self._negotiation.reject(status, now)

    def introduce(self, number: Private[str], name: Private[str] | None, now: float) -> list[Effect]:
        """Tell the peer who it talks to now, where it follows that: our From changes (RFC 4916 §4.4), and the
        same is asserted (RFC 3325)."""
        dialog = self.dialog
        if not self.peer_follows or dialog is None or self.state is SessionState.ENDED:
            return []
        host = dialog.local.uri.host if isinstance(dialog.local.uri, SipUri) else ""
        uri = SipUri("sip", escape_user(number.reveal()) or None, host=host)
        shown = NameAddr(uri, name.reveal() if name is not None else "")
        if not host or str(shown) == self.connected_identity:
            return []
        self.connected_identity = str(shown)
        dialog.local = shown.with_tag(self.local_tag)
        return self._negotiation.refresh(now)

    def follow(self, request: Request) -> list[Effect]:
        """Take who the peer says that it is now, in a request within the dialog, where we follow that
        (RFC 4916 §4.2)."""
        dialog, who = self.dialog, request.from_
        if dialog is None or "from-change" not in self._agent.settings.supported:
            return []
        if (who.uri, who.display) == (dialog.remote.uri, dialog.remote.display):
            return []
        dialog.remote = who
        return [PeerChanged(self, who)]

    def info(self, content_type: str, body: bytes, now: float) -> list[Effect]:
        """Send an INFO; its answer is not reported."""
        if self.state is SessionState.ENDED:
            return []
        self._need(SessionState.ACCEPTED, SessionState.CONFIRMED)
        request, flow = self._agent.in_dialog(self._need_dialog(), "INFO")
        request.headers.add("Content-Type", content_type)
        request.body = body
        return self._agent.send(request, flow, self, now)[1]

    def refer(self, refer_to: NameAddr, now: float, *, referred_by: NameAddr | None = None) -> list[Effect]:
        """Ask the peer to call `refer_to` in place of us (RFC 3515, RFC 3892); ReferProgress tells the rest.

        One transfer at a time. The call goes on until somebody hangs up; after its end no more is told.
        """
        if self.state is SessionState.ENDED:
            return []
        self._need(SessionState.ACCEPTED, SessionState.CONFIRMED)
        return self._referral.refer(self._need_dialog(), refer_to, now, referred_by)

    def accept_refer(self, now: float) -> list[Effect]:
        """Take a ReferReceived: 202, and NOTIFYs from here to a `notify_refer` with a final status.

        These three work after the end of the call too, which a REFER outlives (RFC 5057 §4.1).
        """
        return self._referral.accept(now)

    def reject_refer(self, status: int, now: float, reason: str | None = None) -> list[Effect]:
        """Refuse a ReferReceived (603 for instance); the call goes on."""
        return self._referral.reject(status, now, reason)

    def notify_refer(self, status: int, now: float, reason: str | None = None) -> list[Effect]:
        """Tell the peer how the call that it asked for fares; 200 and above is the last word."""
        return self._referral.notify(status, reason or REASONS.get(status, ""), now)

    # What arrives within the dialog

    def request_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        """A request of the peer within the call, CSeq in order; the endpoint calls this."""
        if self.state is SessionState.ENDED and request.method != "BYE":
            return self._agent.respond(transaction, request, 481, now)
        return self._RECEIVED[request.method](self, transaction, request, now)

    def _bye_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        effects = self._agent.respond(transaction, request, 200, now)
        self._unacknowledged.clear()
        self._bye_owed = False
        effects += self._left_by_peer(now)
        effects += self._end("peer", None, "hung up", now, reason_of(request.headers))
        self._forget()
        return effects

    def _left_by_peer(self, now: float) -> list[Effect]:
        """What is still owed when a BYE came before the call was set up."""
        raise NotImplementedError

    def _info_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        content_type = request.headers.get("Content-Type") or ""
        return [
            *self._agent.respond(transaction, request, 200, now),
            InfoReceived(self, content_type, request.body),
        ]

    def _options_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        headers = Headers(("Accept", SDP))
        self._agent.describe(headers)
        return self._agent.respond(transaction, request, 200, now, headers=headers)

    def _reinvite_received(
        self, transaction: ServerTransaction, request: Request, now: float
    ) -> list[Effect]:
        return self._negotiation.received(transaction, request, now)

    def _update_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        return self._negotiation.update_received(transaction, request, now)

    def _prack_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        return self._agent.respond(transaction, request, 481, now)

    def _refer_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        return self._referral.received(transaction, request, now)

    def _notify_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        return self._referral.notified(transaction, request, now)

    def cancelled(self, transaction: ServerTransaction, now: float) -> list[Effect]:
        """The peer cancelled an INVITE that has no final answer; the endpoint calls this."""
        return self._negotiation.cancelled(transaction, now)

    def ack_received(self, request: Request, now: float) -> list[Effect]:
        """The ACK to a 2xx of ours; the endpoint calls this."""
        number = request.cseq.number
        waiting = self._unacknowledged.pop(number, None)
        if waiting is not None:
            # The peer knows those before, or it could not have begun this one (§14.1): their ACKs were lost.
            self._unacknowledged = {n: other for n, other in self._unacknowledged.items() if n > number}
        self._agent.queue.update(self)
        if waiting is None:
            return []
        if self.state is SessionState.ENDED:
            return self._bye(now) if self._bye_owed else []
        sdp = sdp_of(request.content_type, request.body) if waiting.offered else None
        effects: list[Effect] = []
        if waiting.initial:
            self.state = SessionState.CONFIRMED
            effects.append(Confirmed(self, sdp))
        elif waiting.offered:
            effects.append(OfferAnswered(self, sdp))
        return effects + self._offer_waiting(now)

    def _offer_waiting(self, now: float) -> list[Effect]:
        """Send the offer that waits, if any."""
        return [] if self._offers is None else self._offers.proceed(now)

    def _end_offers(self, now: float) -> list[Effect]:
        """No offer waits any more."""
        return [] if self._offers is None else self._offers.close(now)

    def moved(self, transaction: ServerTransaction) -> list[Effect]:
        """The peer sent an INVITE again by a new connection: a 2xx that was lost with the old one follows."""
        return [
            Transmit(transaction.flow, waiting.data)
            for waiting in self._unacknowledged.values()
            if waiting.transaction is transaction
        ]

    # Answers to our requests

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """The answer to a request of ours; the transaction layer calls this."""
        dialog = self.dialog
        if response.status in (401, 407) and dialog is not None and self._may_retry(transaction):
            again = self._agent.challenged(transaction, response, dialog.credentials, now, dialog)
            if again is not None:
                self._negotiation.sent_again(transaction, again[0])
                self._referral.sent_again(transaction.request, again[0].request)
                return again[1]
        if transaction.method == "INVITE":
            return self._negotiation.response_received(transaction, response, now)
        if response.status < 200:
            return []
        if transaction.method == "BYE":
            self._forget()
        elif transaction.method == "UPDATE":
            return self._negotiation.update_answered(transaction, response, now)
        elif transaction.method == "REFER":
            return self._referral.answered(response, now)
        elif transaction.method == "NOTIFY":
            return self._referral.notify_answered(response.status, now)
        elif transaction.method == "INFO" and response.status == 481:
            return self.peer_lost(481, now)
        return []

    def _may_retry(self, transaction: ClientTransaction) -> bool:
        """Whether a refused request is still wanted: after the end only the BYE is."""
        return self.state is not SessionState.ENDED or transaction.method == "BYE"

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """No answer to a request of ours (408), or no way to send it (503); the layer calls this."""
        if transaction.method == "INVITE":
            return self._negotiation.request_failed(transaction, status, now)
        if transaction.method == "UPDATE":
            return self._negotiation.update_failed(transaction, status, now)
        if transaction.method == "REFER":
            return self._referral.failed(status)
        if transaction.method == "NOTIFY":
            return self._referral.notify_answered(status, now)
        if transaction.method == "BYE":
            self._forget()
        return []

    def peer_lost(self, status: int, now: float) -> list[Effect]:
        """The peer does not know the dialog any more or is silent: the call is over (§12.2.1.2)."""
        if self.state is SessionState.ENDED:
            return []
        by: EndedBy = "timeout" if status == 408 else "error"
        return [*self._bye(now), *self._end(by, status, REASONS[status], now)]

    # Clock

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        first = min(self._timers.values()) if self._timers else None
        if self._unacknowledged:
            again = min([waiting.next_at for waiting in self._unacknowledged.values()])
            return again if first is None or again < first else first
        return first

    def expire(self, now: float) -> list[Effect]:
        """Do what is due."""
        effects: list[Effect] = []
        for timer in [timer for timer, when in self._timers.items() if when <= now]:
            if self._timers.pop(timer, None) is not None:
                effects += self._timer_fired(timer, now)
        for number, waiting in list(self._unacknowledged.items()):
            if waiting.next_at <= now and number in self._unacknowledged:
                effects += self._repeat(number, waiting, now)
        self._agent.queue.update(self)
        return effects

    def _timer_fired(self, timer: SessionTimer, now: float) -> list[Effect]:
        if timer is SessionTimer.CANCEL:
            self._negotiation.abandon()
        if timer is SessionTimer.REFRESH:
            return self._negotiation.refresh(now)
        if timer is SessionTimer.EXPIRY and self.state is not SessionState.ENDED:
            return [*self._bye(now), *self._end("timeout", 408, "the session was not refreshed", now)]
        if timer is SessionTimer.REFER:
            return self._referral.failed(408)
        return self._negotiation.retry(now) if timer is SessionTimer.GLARE else []

    def _repeat(self, number: int, waiting: Unacknowledged, now: float) -> list[Effect]:
        """Send a 2xx again, on streams too, for the path behind them may lose it (§13.3.1.4)."""
        if now >= waiting.gives_up_at:
            del self._unacknowledged[number]
            if self.state is SessionState.ENDED:
                return self._bye(now) if self._bye_owed else []
            return [*self._bye(now), *self._end("timeout", None, "no ACK", now)]
        timers = self._agent.settings.timers
        waiting.interval = min(2 * waiting.interval, timers.t2)
        waiting.next_at = min(now + waiting.interval, waiting.gives_up_at)
        self._agent.layer.resent += 1
        return [Transmit(waiting.transaction.flow, waiting.data)]

    # Steps shared with the roles and with renegotiation

    def agreed(self, response: Response, now: float) -> None:
        """A 2xx to a request of ours that makes or refreshes the session: its timer begins anew."""
        self.expiry.granted(response)
        self._note_allowed(response)
        self._watch_expiry(now)

    def _note_allowed(self, message: Request | Response) -> None:
        allowed = message.headers.fields.get("Allow")
        if allowed:
            self.peer_allows = frozenset([name.upper() for name in allowed])
        supported = message.headers.fields.get("Supported")
        if supported:
            self.peer_follows = "from-change" in supported

    def _watch_expiry(self, now: float) -> None:
        if not self.expiry.seconds and not self._timers:
            return
        for timer, at in (
            (SessionTimer.REFRESH, self.expiry.refresh_at(now)),
            (SessionTimer.EXPIRY, self.expiry.ends_at(now)),
        ):
            if at is None or self.state is SessionState.ENDED:
                self._timers.pop(timer, None)
            else:
                self._timers[timer] = at
        self._agent.queue.update(self)

    def set_timer(self, timer: SessionTimer, when: float) -> None:
        """Start or move a timer."""
        self._timers[timer] = when
        self._agent.queue.update(self)

    def stop_timer(self, timer: SessionTimer) -> None:
        """Stop a timer, if it runs."""
        if self._timers.pop(timer, None) is not None:
            self._agent.queue.update(self)

    @property
    def awaits_ack(self) -> bool:
        """True while a 2xx of ours is not acknowledged."""
        return bool(self._unacknowledged)

    @property
    def awaits_answer(self) -> bool:
        """True while a 2xx of ours that holds an offer is not acknowledged."""
        return any(waiting.offered for waiting in self._unacknowledged.values())

    def send_2xx(
        self,
        transaction: ServerTransaction,
        request: Request,
        sdp: bytes | None,
        now: float,
        headers: Headers | None = None,
    ) -> list[Effect]:
        """Answer an INVITE with 200 and repeat that until the ACK comes."""
        response = self._dialog_response(request, 200, transaction.flow, sdp, headers)
        self._grant_expiry(request, response, now)
        timers = self._agent.settings.timers
        data = encode(response)
        self._unacknowledged[request.cseq.number] = Unacknowledged(
            transaction=transaction,
            data=data,
            initial=request is self.request,
            offered=not request.body,
            interval=timers.t1,
            next_at=now + timers.t1,
            gives_up_at=now + 64 * timers.t1,
        )
        self._agent.queue.update(self)
        return self._agent.layer.respond(transaction, response, now, data)

    def send_updated(
        self, transaction: ServerTransaction, request: Request, sdp: bytes | None, now: float
    ) -> list[Effect]:
        """Answer an UPDATE with 200, which no ACK follows (RFC 3311 §5.2)."""
        response = self._dialog_response(request, 200, transaction.flow, sdp)
        self._grant_expiry(request, response, now)
        return self._agent.layer.respond(transaction, response, now)

    def _grant_expiry(self, request: Request, response: Response, now: float) -> None:
        self.expiry.grant(request, response.headers)
        self._note_allowed(request)
        self._watch_expiry(now)

    def _dialog_response(
        self, request: Request, status: int, flow: Flow, sdp: bytes | None, headers: Headers | None = None
    ) -> Response:
        """A response that makes or keeps the dialog: Contact, Record-Route, Allow (§12.1.1)."""
        agent = self._agent
        response = agent.response(request, status, None, self.local_tag)
        response.headers.copy_from(request.headers, "Record-Route")
        response.headers.add("Contact", agent.contact(flow))
        agent.describe(response.headers)
        if headers is not None:
            for name, value in headers.items():
                response.headers.add(name, value)
        if sdp is not None:
            response.headers.set("Content-Type", SDP)
            response.body = sdp
            self.local_sdp = sdp
        return response

    def _bye(self, now: float) -> list[Effect]:
        self._bye_owed = False
        self._unacknowledged.clear()
        self._agent.queue.update(self)
        request, flow = self._agent.in_dialog(self._need_dialog(), "BYE")
        return self._agent.send(request, flow, self, now)[1]

    def _end(
        self, by: EndedBy, status: int | None, reason: str, now: float | None = None, cause: str = ""
    ) -> list[Effect]:
        """The one place where a session ends; a second end is none."""
        if self.state is SessionState.ENDED:
            return []
        effects = self._end_offers(now) if now is not None else []
        self.state = SessionState.ENDED
        self._agent.live.discard(self.id)
        cancel_at = self._timers.get(SessionTimer.CANCEL)
        self._timers = {} if cancel_at is None else {SessionTimer.CANCEL: cancel_at}
        self._agent.queue.update(self)
        effects.append(Ended(self, by, status, reason, cause))
        return effects

    def _forget(self) -> None:
        if self.dialog is not None:
            self._agent.forget(self.dialog)

    def _need(self, *states: SessionState) -> None:
        if self.state not in states:
            raise SessionStateError(f"not possible while {self.state.value}")

    def _need_dialog(self) -> Dialog:
        if self.dialog is None:
            raise SessionStateError("the peer has not answered yet")
        return self.dialog

    def _hang_up_established(self, now: float) -> list[Effect]:
        return [*self._end_offers(now), *self._bye(now)]

    def _hang_up_early(self, now: float) -> list[Effect]:
        raise NotImplementedError

    def _hang_up_accepted(self, now: float) -> list[Effect]:
        raise NotImplementedError

    _HANGUP: ClassVar[dict[SessionState, Callable[[InviteSession, float], list[Effect]]]] = {
        SessionState.CALLING: lambda session, now: session._hang_up_early(now),
        SessionState.PROCEEDING: lambda session, now: session._hang_up_early(now),
        SessionState.INCOMING: lambda session, now: session._hang_up_early(now),
        SessionState.RINGING: lambda session, now: session._hang_up_early(now),
        SessionState.ACCEPTED: lambda session, now: session._hang_up_accepted(now),
        SessionState.CONFIRMED: _hang_up_established,
    }

    _RECEIVED: ClassVar[
        dict[str, Callable[[InviteSession, ServerTransaction, Request, float], list[Effect]]]
    ] = {
        "BYE": _bye_received,
        "INFO": _info_received,
        "OPTIONS": _options_received,
        "INVITE": _reinvite_received,
        "UPDATE": _update_received,
        "REFER": _refer_received,
        "NOTIFY": _notify_received,
        "PRACK": lambda session, transaction, request, now: session._prack_received(
            transaction, request, now
        ),
    }

    served = frozenset(_RECEIVED)
