"""A call that comes in: the callee's part of RFC 3261 §13.3."""

from __future__ import annotations

from typing import ClassVar, Literal

from ringback.sip.agent import Agent
from ringback.sip.dialog import Dialog
from ringback.sip.effects import Effect
from ringback.sip.flow import Flow
from ringback.sip.message import REASONS, Headers, Request, Response
from ringback.sip.session import InviteSession
from ringback.sip.session_state import SessionState, SessionTimer
from ringback.sip.transaction.server import ServerTransaction

# §13.3.1.1: a provisional response goes again each minute so that no proxy on the path gives up.
_PROVISIONAL_INTERVAL = 60.0
_LONGEST_EXPIRES = 7 * 86_400


class IncomingSession(InviteSession):
    """A call to us, from its INVITE to its end."""

    role: ClassVar[Literal["uac", "uas"]] = "uas"

    def __init__(
        self, agent: Agent, transaction: ServerTransaction, request: Request, flow: Flow, now: float
    ) -> None:
        super().__init__(agent, request, flow, agent.new_token(), now)
        self._transaction = transaction
        self._provisional: Response | None = None
        self.dialog = Dialog.of_server(request, self.local_tag, flow)
        agent.enlist(self.dialog, self)
        expires = request.headers.get("Expires") or ""
        if expires.isascii() and expires.isdigit() and len(expires) < 10 and int(expires) < _LONGEST_EXPIRES:
            self.set_timer(SessionTimer.EXPIRES, now + int(expires))

    def ring(self, now: float, status: int = 180, sdp: bytes | None = None) -> list[Effect]:
        """Send a provisional response, with `sdp` for early media; it is repeated each minute."""
        if self.state is SessionState.ENDED:
            return []
        self._need(SessionState.INCOMING, SessionState.RINGING)
        self.state = SessionState.RINGING
        response = self._dialog_response(self.request, status, self._transaction.flow, sdp)
        self._provisional = response
        self.set_timer(SessionTimer.PROVISIONAL, now + _PROVISIONAL_INTERVAL)
        return self._agent.layer.respond(self._transaction, response, now)

    def accept(self, sdp: bytes, now: float, headers: Headers | None = None) -> list[Effect]:
        """Answer with 200, repeated until the ACK; Confirmed follows, or Ended by timeout."""
        if self.state is SessionState.ENDED:
            return []
        self._need(SessionState.INCOMING, SessionState.RINGING)
        self.state = SessionState.ACCEPTED
        self.stop_timer(SessionTimer.PROVISIONAL)
        self.stop_timer(SessionTimer.EXPIRES)
        return self.send_2xx(self._transaction, self.request, sdp, now, headers)

    def reject(
        self, status: int, now: float, reason: str | None = None, headers: Headers | None = None
    ) -> list[Effect]:
        """Refuse the call; it ends at once."""
        if self.state is SessionState.ENDED:
            return []
        self._need(SessionState.INCOMING, SessionState.RINGING)
        effects = self._refuse(status, now, reason, headers)
        return effects + self._end("us", status, reason or REASONS.get(status, ""))

    def cancelled(self, transaction: ServerTransaction, now: float) -> list[Effect]:
        """The caller gave up: 487 (§9.2)."""
        if transaction is not self._transaction:
            return super().cancelled(transaction, now)
        if self.state not in (SessionState.INCOMING, SessionState.RINGING):
            return []
        return [*self._refuse(487, now), *self._end("peer", 487, "cancelled")]

    def _timer_fired(self, timer: SessionTimer, now: float) -> list[Effect]:
        if timer is SessionTimer.PROVISIONAL and self._provisional is not None:
            self.set_timer(timer, now + _PROVISIONAL_INTERVAL)
            return self._agent.layer.respond(self._transaction, self._provisional, now)
        if timer is SessionTimer.EXPIRES:
            return [*self._refuse(487, now), *self._end("timeout", 487, "not answered in time")]
        return super()._timer_fired(timer, now)

    def _refuse(
        self, status: int, now: float, reason: str | None = None, headers: Headers | None = None
    ) -> list[Effect]:
        self._forget()
        return self._agent.respond(
            self._transaction,
            self.request,
            status,
            now,
            reason=reason,
            to_tag=self.local_tag,
            headers=headers,
        )

    def _left_by_peer(self, now: float) -> list[Effect]:
        early = self.state in (SessionState.INCOMING, SessionState.RINGING)
        return self._refuse(487, now) if early else []

    def _hang_up_early(self, now: float) -> list[Effect]:
        return self._refuse(480, now)

    def _hang_up_accepted(self, now: float) -> list[Effect]:
        # Not before the ACK, or until it is clear that none will come (§15).
        self._bye_owed = True
        return self._negotiation.close(now)
