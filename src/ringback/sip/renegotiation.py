"""Offers within a call: re-INVITE from both sides, with glare (RFC 3261 §14, RFC 3264 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.acceptance import sdp_of
from ringback.sip.agent import Agent
from ringback.sip.effects import Effect, OfferAnswered, OfferFailed, OfferReceived, Transmit
from ringback.sip.message import Headers, Request, Response
from ringback.sip.session_expiry import too_short
from ringback.sip.session_state import SessionState, SessionTimer
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from ringback.sip.session import InviteSession


REFRESH_AGAIN_S = 10.0
"""How long a refresh waits that could not go, or was refused for another reason than the call's end."""


def _assert_identity(session: InviteSession, request: Request) -> None:
    if session.connected_identity:
        request.headers.add("P-Asserted-Identity", session.connected_identity)


class Renegotiation:
    """The re-INVITEs of one session; at most one exchange is open at a time (RFC 3264 §4).

    An offer of ours that finds another exchange open waits for its end; a newer one takes its place.
    """

    def __init__(self, session: InviteSession, agent: Agent) -> None:
        self._session = session
        self._agent = agent
        # Ours: the transaction and its request, until the final answer.
        self._outgoing: tuple[ClientTransaction, Request] | None = None
        # Ours, answered by a 200 with an offer that the application has yet to answer in the ACK.
        self._owed: Request | None = None
        self._ack: tuple[int, Transmit] | None = None
        # The peer's, until our final answer.
        self._incoming: tuple[ServerTransaction, Request] | None = None
        # Offers that wait: for the end of another exchange, or for the glare timer.
        self._waiting: tuple[bytes | None] | None = None
        self._glare = False
        # A refresh of ours by UPDATE, until its final answer.
        self._refreshing: ClientTransaction | None = None

    @property
    def _busy(self) -> bool:
        return (
            self._outgoing is not None
            or self._owed is not None
            or self._incoming is not None
            or self._glare
            or self._session.awaits_ack
            or self._session.state is not SessionState.CONFIRMED
        )

    # Our offers

    def offer(self, sdp: bytes | None, now: float) -> list[Effect]:
        """Send a re-INVITE, now or when it is possible."""
        self._waiting = (sdp,)
        return self.proceed(now)

    def proceed(self, now: float) -> list[Effect]:
        """Send the offer that waits, if nothing is in its way."""
        session = self._session
        if self._waiting is None or self._busy or session.dialog is None:
            return []
        (sdp,) = self._waiting
        self._waiting = None
        request, flow = self._agent.in_dialog(session.dialog, "INVITE", sdp)
        session.expiry.ask(request.headers)
        _assert_identity(session, request)
        transaction, effects = self._agent.send(request, flow, session, now)
        self._outgoing = (transaction, request)
        return effects

    def retry(self, now: float) -> list[Effect]:
        """The glare timer fired."""
        self._glare = False
        return self.proceed(now)

    # Refreshes (RFC 4028 §7.4, §10)

    def refresh(self, now: float) -> list[Effect]:
        """Refresh the session: by UPDATE without an offer where the peer takes it, else by a re-INVITE with
        the description that holds. One that finds something else under way comes a little later."""
        session = self._session
        if session.state is SessionState.ENDED or session.dialog is None:
            return []
        if self._busy or self._waiting is not None or self._refreshing is not None:
            session.set_timer(SessionTimer.REFRESH, now + REFRESH_AGAIN_S)
            return []
        if "UPDATE" not in session.peer_allows:
            return self.offer(session.local_sdp, now) if session.local_sdp is not None else []
        request, flow = self._agent.in_dialog(session.dialog, "UPDATE")
        session.expiry.ask(request.headers)
        _assert_identity(session, request)
        self._refreshing, effects = self._agent.send(request, flow, session, now)
        return effects

    def update_answered(self, transaction: ClientTransaction, response: Response, now: float) -> list[Effect]:
        """The final answer to a refresh by UPDATE."""
        session = self._session
        if transaction is not self._refreshing:
            return []
        self._refreshing = None
        if session.state is SessionState.ENDED or session.dialog is None:
            return []
        if response.status < 300:
            session.dialog.refresh_target(response)
            session.agreed(response, now)
            return []
        if response.status in (408, 481):
            return session.peer_lost(response.status, now)
        if response.status in (405, 501):
            session.peer_allows -= {"UPDATE"}
            return self.refresh(now)
        if response.status == 422 and session.expiry.refused(response):
            return self.refresh(now)
        self._refresh_later(now)
        return []

    def update_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """No answer to a refresh by UPDATE; a broken connection does not end the call."""
        if transaction is not self._refreshing:
            return []
        self._refreshing = None
        if status == 408:
            return self._session.peer_lost(status, now)
        if self._session.state is not SessionState.ENDED:
            self._refresh_later(now)
        return []

    def _refresh_later(self, now: float) -> None:
        """Where the session has to be refreshed at all: who is only told something is told once."""
        if self._session.expiry.refresh_at(now) is not None:
            self._session.set_timer(SessionTimer.REFRESH, now + REFRESH_AGAIN_S)

    def sent_again(self, before: ClientTransaction, after: ClientTransaction) -> None:
        """A request of ours was challenged: another transaction has it now."""
        if self._outgoing is not None and self._outgoing[0] is before:
            self._outgoing = (after, after.request)
        if self._refreshing is before:
            self._refreshing = after

    # The answers to our offers

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """The answer to our re-INVITE."""
        if response.status < 200:
            return []
        if response.status < 300:
            return self._succeeded(transaction, response, now)
        if self._outgoing is None or self._outgoing[0] is not transaction:
            return []
        request = self._outgoing[1]
        self._outgoing = None
        if response.status == 491:
            return self._met_glare(request, now)
        if response.status == 422 and self._session.expiry.refused(response):
            return self.offer(request.body or None, now)
        if response.status in (408, 481):
            return self._session.peer_lost(response.status, now)
        return [*self._failed(response.status), *self.proceed(now)]

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """No answer to our re-INVITE; a broken connection does not end the call."""
        if self._outgoing is None or self._outgoing[0] is not transaction:
            return []
        self._outgoing = None
        if status == 408:
            return self._session.peer_lost(status, now)
        return [*self._failed(status), *self.proceed(now)]

    def _failed(self, status: int) -> list[Effect]:
        over = self._session.state is SessionState.ENDED
        return [] if over else [OfferFailed(self._session, status)]

    def _succeeded(self, transaction: ClientTransaction, response: Response, now: float) -> list[Effect]:
        session = self._session
        number = response.cseq.number
        if self._outgoing is None or self._outgoing[0] is not transaction:
            # A copy: its ACK was lost.
            return [self._ack[1]] if self._ack is not None and self._ack[0] == number else []
        request = self._outgoing[1]
        self._outgoing = None
        if session.dialog is not None:
            session.dialog.refresh_target(response)
        sdp = sdp_of(response.content_type, response.body)
        if session.state is SessionState.ENDED:
            return [self._acknowledge(request, None)]
        session.local_sdp = request.body or session.local_sdp
        session.agreed(response, now)
        if request.body or sdp is None:
            ack = self._acknowledge(request, None)
            return [ack, OfferAnswered(session, sdp), *self.proceed(now)]
        self._owed = request
        return [OfferReceived(session, sdp, request)]

    def _acknowledge(self, request: Request, sdp: bytes | None) -> Transmit:
        dialog = self._session.dialog
        if dialog is None:
            raise RuntimeError("a re-INVITE without a dialog")
        ack = self._agent.acknowledge(dialog, request, sdp)
        self._ack = (request.cseq.number, ack)
        return ack

    def _met_glare(self, request: Request, now: float) -> list[Effect]:
        """Both offered at once: who made the call waits longer (§14.1). A newer offer goes instead."""
        session = self._session
        if session.state is not SessionState.CONFIRMED:
            return []
        if self._waiting is None:
            self._waiting = (request.body or None,)
        low, span = (2.1, 1.9) if session.role == "uac" else (0.0, 2.0)
        self._glare = True
        session.set_timer(SessionTimer.GLARE, now + low + round(span * self._agent.chance(), 2))
        return []

    # The peer's offers

    def update_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        """An UPDATE of the peer: a refresh, or an offer that is answered at once (RFC 3311 §5.2)."""
        session = self._session
        if too_short(request, self._agent.settings.least_session_expires_s):
            return self._refuse_short(transaction, request, now)
        if not request.body:
            if session.dialog is not None:
                session.dialog.refresh_target(request)
            return [*session.send_updated(transaction, request, None, now), *session.follow(request)]
        if session.state is not SessionState.CONFIRMED and self._incoming is None:
            # Offers in calls that are not answered yet are not taken: the one of the INVITE is open.
            return self._agent.respond(transaction, request, 500, now, headers=self._later())
        return self._offered(transaction, request, now)

    def received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        """A re-INVITE of the peer, CSeq in order."""
        if too_short(request, self._agent.settings.least_session_expires_s):
            return self._refuse_short(transaction, request, now)
        return self._offered(transaction, request, now)

    def _refuse_short(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        headers = Headers(("Min-SE", str(self._agent.settings.least_session_expires_s)))
        return self._agent.respond(transaction, request, 422, now, headers=headers)

    def _later(self) -> Headers:
        return Headers(("Retry-After", str(int(10 * self._agent.chance()))))

    def _offered(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        session = self._session
        if self._incoming is not None:
            # §14.2: the one before has no final answer yet.
            return self._agent.respond(transaction, request, 500, now, headers=self._later())
        ours = self._outgoing is not None or self._owed is not None or session.awaits_answer
        if ours or session.state is not SessionState.CONFIRMED:
            return self._agent.respond(transaction, request, 491, now)
        transaction.user = session
        self._incoming = (transaction, request)
        offered = OfferReceived(session, sdp_of(request.content_type, request.body), request)
        if request.method == "UPDATE":
            return [offered]
        return [*self._agent.respond(transaction, request, 100, now), offered]

    def answer(self, sdp: bytes, now: float) -> list[Effect]:
        """Our answer to the open offer (or our offer, when the re-INVITE had none)."""
        session = self._session
        if self._owed is not None:
            owed, self._owed = self._owed, None
            session.local_sdp = sdp
            return [self._acknowledge(owed, sdp), *self.proceed(now)]
        if self._incoming is None:
            return []
        transaction, request = self._incoming
        self._incoming = None
        if session.dialog is not None:
            session.dialog.refresh_target(request)
        changed = session.follow(request)
        if request.method == "UPDATE":
            return [*session.send_updated(transaction, request, sdp, now), *changed, *self.proceed(now)]
        return [*session.send_2xx(transaction, request, sdp, now), *changed]

    def reject(self, status: int, now: float) -> list[Effect]:
        """Refuse the open offer. One that came in a 200 can only be acknowledged without an answer."""
        if self._owed is not None:
            owed, self._owed = self._owed, None
            return [self._acknowledge(owed, None), *self.proceed(now)]
        return self._refuse(status, now) + self.proceed(now)

    def cancelled(self, transaction: ServerTransaction, now: float) -> list[Effect]:
        """The peer took its re-INVITE back."""
        if self._incoming is None or self._incoming[0] is not transaction:
            return []
        return self._refuse(487, now) + self.proceed(now)

    def _refuse(self, status: int, now: float) -> list[Effect]:
        if self._incoming is None:
            return []
        transaction, request = self._incoming
        self._incoming = None
        return self._agent.respond(transaction, request, status, now)

    def close(self, now: float) -> list[Effect]:
        """The session ends: nothing waits any more, and the peer's open re-INVITE gets its 487 (§15.1.2)."""
        self._waiting = None
        self._glare = False
        if self._outgoing is not None:
            self._session.set_timer(SessionTimer.CANCEL, now + 64 * self._agent.settings.timers.t1)
        effects = self._refuse(487, now)
        if self._owed is not None:
            effects.append(self._acknowledge(self._owed, None))
            self._owed = None
        return effects

    def abandon(self) -> None:
        """Forget a re-INVITE that outlived the call: a peer that is gone after its 100 never answers it."""
        if self._outgoing is not None:
            self._agent.layer.abandon(self._outgoing[0])
            self._outgoing = None
