"""Transfer of a call by REFER, in both roles, with its implicit subscription (RFC 3515, 3892, 3420, 4488)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ringback.sip.agent import Agent
from ringback.sip.effects import Effect, ReferProgress, ReferReceived
from ringback.sip.errors import SessionStateError, SipSyntaxError
from ringback.sip.event import Event, SubscriptionState
from ringback.sip.message import REASONS, Headers, NameAddr, OtherUri, Request, Response, SipUri
from ringback.sip.replaces import replaces_of_uri
from ringback.sip.session_state import SessionState, SessionTimer
from ringback.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from ringback.sip.dialog import Dialog
    from ringback.sip.session import InviteSession

SIPFRAG: Final = "message/sipfrag"
LONGEST_TRANSFER_S: Final = 180
"""How long a peer may expect to hear how its transfer goes."""

_STATUS_LINE: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]{0,200}))?(?:\r?\n|$)")


@dataclass(slots=True)
class Asked:
    """The peer's REFER, and what it is still to be told of it."""

    transaction: ServerTransaction
    request: Request
    accepted: bool = False
    # One NOTIFY at a time, or the network could turn their order; the latest status waits. The last one does
    # not: what it overtakes is void, and the call may end with it.
    notifying: bool = False
    waiting: tuple[int, str] | None = None


class Referral:
    """The transfers of one session: at most one that we asked for and one that the peer asked for."""

    def __init__(self, session: InviteSession, agent: Agent) -> None:
        self._session = session
        self._agent = agent
        # The CSeq number of our REFER until its outcome is known: its subscription's id (RFC 3515 §2.4.6).
        self._sent: int | None = None
        self._asked: Asked | None = None

    # We ask

    def refer(
        self, dialog: Dialog, refer_to: NameAddr, now: float, referred_by: NameAddr | None
    ) -> list[Effect]:
        """Send a REFER."""
        if self._sent is not None:
            raise SessionStateError("a transfer is under way")
        request, flow = self._agent.in_dialog(dialog, "REFER")
        request.headers.add("Refer-To", str(refer_to))
        if referred_by is not None:
            request.headers.add("Referred-By", str(referred_by))
        self._sent = request.cseq.number
        return self._agent.send(request, flow, self._session, now)[1]

    def sent_again(self, before: Request, after: Request) -> None:
        """A request of ours was challenged, and has another number now."""
        if before.method == "REFER" and before.cseq.number == self._sent:
            self._sent = after.cseq.number

    def answered(self, response: Response, now: float) -> list[Effect]:
        """The final answer to our REFER."""
        if response.cseq.number != self._sent or self._session.state is SessionState.ENDED:
            return []
        if response.status < 300 and not _without_subscription(response.headers):
            # The first NOTIFY is due at once (RFC 6665 §4.1.2.4, timer N).
            self._session.set_timer(SessionTimer.REFER, now + 64 * self._agent.settings.timers.t1)
            return []
        reason = response.reason or REASONS.get(response.status, "")
        effects = self._done(response.status, reason)
        return effects + (self._session.peer_lost(481, now) if response.status == 481 else [])

    def failed(self, status: int) -> list[Effect]:
        """Our REFER had no answer, or no NOTIFY came in time."""
        over = self._sent is None or self._session.state is SessionState.ENDED
        return [] if over else self._done(status, REASONS[status])

    def _done(self, status: int, reason: str) -> list[Effect]:
        self._sent = None
        self._session.stop_timer(SessionTimer.REFER)
        return [ReferProgress(self._session, status, reason, done=True)]

    def notified(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        """The peer tells how far it is."""
        refusal = self._unwanted(request)
        if refusal is not None:
            status, headers = refusal
            return self._agent.respond(transaction, request, status, now, headers=headers)
        effects = self._agent.respond(transaction, request, 200, now)
        status, reason = status_of(request.body) or (100, "")
        subscription = _subscription_of(request, status)
        if subscription.terminated:
            return [*effects, *self._done(status, reason)]
        lasts_s = min(subscription.expires_s or LONGEST_TRANSFER_S, LONGEST_TRANSFER_S)
        self._session.set_timer(SessionTimer.REFER, now + lasts_s)
        return [*effects, ReferProgress(self._session, status, reason, done=False)]

    def _unwanted(self, request: Request) -> tuple[int, Headers] | None:
        try:
            event = Event.parse(request.headers.get("Event") or "")
            _subscription_of(request, 0)
        except SipSyntaxError:
            return 400, Headers()
        if event.package != "refer":
            return 489, Headers(("Allow-Events", "refer"))
        if self._sent is None or event.id not in (None, str(self._sent)):
            return 481, Headers()
        if request.content_type != SIPFRAG:
            return 415, Headers(("Accept", SIPFRAG))
        return None if status_of(request.body) is not None else (400, Headers())

    # The peer asks

    def received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        """A REFER: refused when it cannot be read or comes in the wrong moment, else told."""
        asked = _read(request)
        if isinstance(asked, int):
            return self._agent.respond(transaction, request, asked, now)
        if self._session.state not in (SessionState.ACCEPTED, SessionState.CONFIRMED):
            return self._agent.respond(transaction, request, 403, now, reason="No call to transfer")
        if self._asked is not None:
            return self._agent.respond(transaction, request, 491, now)
        self._asked = Asked(transaction, request)
        refer_to, referred_by = asked
        return [ReferReceived(self._session, refer_to, referred_by, replaces_of_uri(refer_to.uri))]

    def accept(self, now: float) -> list[Effect]:
        """Answer the REFER with 202, and begin to tell."""
        asked = self._asked
        if asked is None or asked.accepted:
            return []
        headers = Headers(("Contact", self._agent.contact(asked.transaction.flow)))
        asked.accepted = True
        if _without_subscription(asked.request.headers):
            headers.add("Refer-Sub", "false")
            self._asked = None
        answered = self._agent.respond(asked.transaction, asked.request, 202, now, headers=headers)
        return [*answered, *self.notify(100, REASONS[100], now)]

    def reject(self, status: int, now: float, reason: str | None) -> list[Effect]:
        """Refuse the REFER."""
        asked = self._asked
        if asked is None or asked.accepted:
            return []
        self._asked = None
        return self._agent.respond(asked.transaction, asked.request, status, now, reason=reason)

    def notify(self, status: int, reason: str, now: float) -> list[Effect]:
        """Tell the peer a status of the call that it asked for; from 200 on it is the last."""
        asked = self._asked
        if asked is None or not asked.accepted:
            return []
        asked.waiting = status, reason
        return self._proceed(asked, now)

    def _proceed(self, asked: Asked, now: float) -> list[Effect]:
        dialog = self._session.dialog
        if asked.waiting is None or dialog is None or (asked.notifying and asked.waiting[0] < 200):
            return []
        (status, reason), asked.waiting = asked.waiting, None
        asked.notifying = True
        if status >= 200:
            self._asked = None
            state = SubscriptionState("terminated", reason="noresource")
        else:
            state = SubscriptionState("active", expires_s=LONGEST_TRANSFER_S)
        request, flow = self._agent.in_dialog(dialog, "NOTIFY")
        request.headers.add("Event", str(Event("refer", str(asked.request.cseq.number))))
        request.headers.add("Subscription-State", str(state))
        request.headers.add("Content-Type", f"{SIPFRAG};version=2.0")
        request.body = f"SIP/2.0 {status} {reason}\r\n".encode("utf-8", "replace")
        return self._agent.send(request, flow, self._session, now)[1]

    def notify_answered(self, status: int, now: float) -> list[Effect]:
        """The final answer to a NOTIFY of ours: the next may go; who refuses one wants no more."""
        asked = self._asked
        if asked is None:
            return []
        if status >= 300:
            self._asked = None
            return []
        asked.notifying = False
        return self._proceed(asked, now)


def status_of(sipfrag: bytes) -> tuple[int, str] | None:
    """The status line that a `message/sipfrag` body begins with (RFC 3420 §2); None when it does not."""
    match = _STATUS_LINE.match(sipfrag)
    return None if match is None else (int(match[1]), (match[2] or b"").decode("utf-8", "replace"))


def _subscription_of(request: Request, status: int) -> SubscriptionState:
    """Phones older than RFC 6665 leave Subscription-State out: a final status is the end then."""
    value = request.headers.get("Subscription-State")
    if value is None:
        return SubscriptionState("terminated" if status >= 200 else "active")
    return SubscriptionState.parse(value)


def _read(request: Request) -> tuple[NameAddr, NameAddr | None] | int:
    """Refer-To and Referred-By of a REFER; the status that refuses it when that is not what it should be."""
    to, by = request.headers.get_all("Refer-To"), request.headers.get_all("Referred-By")
    if len(to) != 1 or len(by) > 1:
        # RFC 3515 §2.4.2, RFC 3892 §2.3.
        return 400
    try:
        refer_to = NameAddr.parse(to[0])
        referred_by = NameAddr.parse(by[0]) if by else None
        replaces_of_uri(refer_to.uri)
    except SipSyntaxError:
        return 400
    if isinstance(refer_to.uri, OtherUri):
        return 416
    method = refer_to.uri.params.get("method") if isinstance(refer_to.uri, SipUri) else None
    return 403 if (method or "INVITE").upper() != "INVITE" else (refer_to, referred_by)


def _without_subscription(headers: Headers) -> bool:
    """Whether it was said that no NOTIFY is to come (RFC 4488 §4)."""
    return (headers.get("Refer-Sub") or "").partition(";")[0].strip(" \t").lower() == "false"
