"""A call that comes in: the callee's part of RFC 3261 §13.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ringback.sip.agent import Agent
from ringback.sip.dialog import Dialog
from ringback.sip.effects import Effect
from ringback.sip.errors import SipSyntaxError
from ringback.sip.flow import Flow
from ringback.sip.message import REASONS, Headers, Request, Response
from ringback.sip.replaces import Replaces
from ringback.sip.session import InviteSession
from ringback.sip.session_state import SessionState, SessionTimer
from ringback.sip.transaction.server import ServerTransaction

# §13.3.1.1: a provisional response goes again each minute so that no proxy on the path gives up.
_PROVISIONAL_INTERVAL = 60.0
_LONGEST_EXPIRES = 7 * 86_400


_LARGEST_FIRST_RSEQ = 2**31 - 2


@dataclass(slots=True)
class Reliable:
    """A provisional response that goes again until its PRACK comes; `described`: it holds SDP."""

    rseq: int
    response: Response
    described: bool
    interval: float
    gives_up_at: float

    def named_by(self, prack: Request, invite: int) -> bool:
        """Whether a PRACK is of this response (RFC 3262 §7.2: RSeq, CSeq number and method)."""
        words = (prack.headers.get("RAck") or "").split()
        return words == [str(self.rseq), str(invite), "INVITE"]


def _required(invite: Request) -> bool:
    return any(tag.lower() == "100rel" for tag in invite.headers.get_all("Require"))


def _supported(invite: Request) -> bool:
    return any(tag.lower() == "100rel" for tag in invite.headers.get_all("Supported"))


class IncomingSession(InviteSession):
    """A call to us, from its INVITE to its end."""

    role: ClassVar[Literal["uac", "uas"]] = "uas"

    def __init__(
        self, agent: Agent, transaction: ServerTransaction, request: Request, flow: Flow, now: float
    ) -> None:
        super().__init__(agent, request, flow, agent.new_token(), now)
        self._transaction = transaction
        self._provisional: Response | None = None
        self._reliable: Reliable | None = None
        self._next_rseq = 0
        self._ringing: tuple[int, bytes | None] | None = None
        self._accepting: tuple[bytes, Headers | None] | None = None
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
        if self._reliable is not None:
            # One at a time, in order (RFC 3262 §3): the latest waits for the PRACK.
            self._ringing = status, sdp
            return []
        response = self._dialog_response(self.request, status, self._transaction.flow, sdp)
        self.set_timer(SessionTimer.PROVISIONAL, now + _PROVISIONAL_INTERVAL)
        if _required(self.request) or (sdp is not None and _supported(self.request)):
            self._make_reliable(response, now)
        else:
            self._provisional = response
        return self._agent.layer.respond(self._transaction, response, now)

    def _make_reliable(self, response: Response, now: float) -> None:
        # The first is random (RFC 3262 §3).
        self._next_rseq = self._next_rseq or 1 + int(self._agent.chance() * _LARGEST_FIRST_RSEQ)
        response.headers.add("Require", "100rel")
        response.headers.set("RSeq", str(self._next_rseq))
        timers = self._agent.settings.timers
        described = bool(response.body)
        self._reliable = Reliable(self._next_rseq, response, described, timers.t1, now + 64 * timers.t1)
        self._next_rseq += 1
        self.set_timer(SessionTimer.RELIABLE, now + timers.t1)

    def _prack_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        """The caller has our provisional response: what waited for that goes on (RFC 3262 §3)."""
        waiting = self._reliable
        if waiting is None or not waiting.named_by(request, self.request.cseq.number):
            return self._agent.respond(transaction, request, 481, now)
        if request.body:
            # A new offer before the call is answered: the one of the INVITE holds.
            return self._agent.respond(transaction, request, 488, now)
        effects = self._agent.respond(transaction, request, 200, now)
        self._reliable = None
        self.stop_timer(SessionTimer.RELIABLE)
        if self._accepting is not None:
            (sdp, headers), self._accepting = self._accepting, None
            self._ringing = None
            return [*effects, *self.accept(sdp, now, headers)]
        if self._ringing is not None:
            (status, described), self._ringing = self._ringing, None
            effects += self.ring(now, status, described)
        return effects

    def _repeat_reliable(self, now: float) -> list[Effect]:
        """No PRACK yet: once more, at doubling intervals, for 64*T1 in all; then the call fails (§3)."""
        waiting = self._reliable
        if waiting is None:
            return []
        if now >= waiting.gives_up_at:
            return [*self._refuse(504, now), *self._end("timeout", 504, "no PRACK")]
        waiting.interval *= 2
        self.set_timer(SessionTimer.RELIABLE, min(now + waiting.interval, waiting.gives_up_at))
        self._agent.layer.resent += 1
        return self._agent.layer.respond(self._transaction, waiting.response, now)

    def accept(self, sdp: bytes, now: float, headers: Headers | None = None) -> list[Effect]:
        """Answer with 200, repeated until the ACK; Confirmed follows, or Ended by timeout."""
        if self.state is SessionState.ENDED:
            return []
        self._need(SessionState.INCOMING, SessionState.RINGING)
        if self._reliable is not None and self._reliable.described:
            # Not before the caller has said that it has our description (RFC 3262 §3).
            self._accepting = sdp, headers
            return []
        self._reliable = None
        self.stop_timer(SessionTimer.RELIABLE)
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
        if timer is SessionTimer.RELIABLE:
            return self._repeat_reliable(now)
        if timer is SessionTimer.PROVISIONAL and _required(self.request):
            return self.ring(now, self._rings_with())
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

    def _rings_with(self) -> int:
        return self._provisional.status if self._provisional is not None else 180

    def _left_by_peer(self, now: float) -> list[Effect]:
        early = self.state in (SessionState.INCOMING, SessionState.RINGING)
        return self._refuse(487, now) if early else []

    def _hang_up_early(self, now: float) -> list[Effect]:
        return self._refuse(480, now)

    def _hang_up_accepted(self, now: float) -> list[Effect]:
        # Not before the ACK, or until it is clear that none will come (§15).
        self._bye_owed = True
        return self._end_offers(now)


def find_replaced(request: Request, agent: Agent) -> InviteSession | int | None:
    """The session that an INVITE asks to replace, or the status that refuses it (RFC 3891 §3)."""
    values = request.headers.get_all("Replaces")
    if not values:
        return None
    if len(values) > 1:
        return 400
    try:
        wanted = Replaces.parse(values[0])
    except SipSyntaxError:
        return 400
    found = agent.dialogs.get(wanted.key)
    session = found[1] if found is not None else None
    if not isinstance(session, InviteSession):
        return 481
    if session.state is SessionState.ENDED:
        return 603
    if session.state in (SessionState.ACCEPTED, SessionState.CONFIRMED):
        return 486 if wanted.early_only else session
    # An early dialog can only be taken by who is called by us: ours to ring are not given away.
    return session if session.role == "uac" else 481
