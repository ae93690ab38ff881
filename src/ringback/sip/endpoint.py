"""The user agent core: one object between the transports and the application (RFC 3261 §8, §12 to §15).

Feed it messages and time; it returns what to send and what happened. It owns the transactions, the dialogs
and the INVITE sessions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from ringback.sip.acceptance import refusal
from ringback.sip.agent import Agent, EndpointSettings, InDialog, add_all, attach
from ringback.sip.authentication import ClientAuthentication
from ringback.sip.dialog import Dialog, dialog_key_of, route
from ringback.sip.effects import (
    Answered,
    Confirmed,
    Effect,
    Ended,
    Failed,
    IncomingCall,
    InfoReceived,
    InviteRefused,
    OfferAnswered,
    OfferFailed,
    OfferReceived,
    ReferProgress,
    ReferReceived,
    RequestArrived,
    RequestTimedOut,
    ResponseArrived,
    Ringing,
    Transmit,
)
from ringback.sip.failover import Attempts, first_of
from ringback.sip.flow import Flow, Targets
from ringback.sip.headers import is_via
from ringback.sip.identity import strip_identity, tells_identity
from ringback.sip.incoming import IncomingSession, find_replaced
from ringback.sip.message import (
    REASONS,
    Headers,
    NameAddr,
    OtherUri,
    Request,
    Response,
    SipUri,
    encode,
    make_response,
)
from ringback.sip.outgoing import OutgoingSession
from ringback.sip.parse import Malformed
from ringback.sip.replaces import Replaces
from ringback.sip.session import InviteSession
from ringback.sip.session_expiry import too_short
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.machine import Transaction
from ringback.sip.transaction.server import (
    ServerKey,
    ServerTransaction,
    response_flow,
    server_key,
    stamp_via,
)

__all__ = [
    "Answered",
    "Confirmed",
    "Effect",
    "Ended",
    "Endpoint",
    "EndpointSettings",
    "Failed",
    "IncomingCall",
    "InfoReceived",
    "InviteSession",
    "OfferAnswered",
    "OfferFailed",
    "OfferReceived",
    "ReferProgress",
    "ReferReceived",
    "RequestArrived",
    "RequestTimedOut",
    "ResponseArrived",
    "Ringing",
    "Transmit",
]

# How long a caller is asked to wait when there is no room (§21.5.4), in seconds.
_RETRY_AFTER = "5"


class Endpoint:
    """A SIP user agent without sockets and clock.

    `new_token` returns unguessable strings of token characters (at least 64 bits each); tests inject
    predictable ones. All times are seconds of one monotonic clock.
    """

    def __init__(self, settings: EndpointSettings, new_token: Callable[[], str]) -> None:
        self.settings = settings
        self._agent = Agent(settings, new_token)
        self._layer = self._agent.layer
        # The application's answer to a request outside of dialogs that needs no transaction (§8.2.7).
        self.answer_without_state: Callable[[Request, Flow, float], Response | None] = lambda *_: None

    @property
    def agent(self) -> Agent:
        """What sessions share, for others who have dialogs, such as notifiers."""
        return self._agent

    # From the transports

    def receive(self, message: Request | Response | Malformed, flow: Flow, now: float) -> list[Effect]:
        """Take a message that came by `flow`."""
        if isinstance(message, Malformed):
            return self._refuse_malformed(message, flow)
        if tells_identity(message.headers) and not self.settings.trusts(flow):
            strip_identity(message.headers)
        if isinstance(message, Request):
            return self._receive_request(message, flow, now)
        if message.headers.count("Via") != 1:
            # §8.1.3.3: it was not meant for us.
            return []
        return self._layer.receive_response(message, now)

    def connection_lost(self, flow: Flow, now: float) -> list[Effect]:
        """A connection closed: requests under way fail with 503, dialogs go on by a new connection."""
        self._agent.connection_lost(flow)
        return self._layer.connection_lost(flow, now)

    # From the application

    def invite(
        self,
        *,
        target: SipUri,
        to: NameAddr,
        from_: NameAddr,
        flow: Flow | Targets,
        now: float,
        sdp: bytes | None,
        headers: Headers | None = None,
        route_set: tuple[NameAddr, ...] = (),
        credentials: ClientAuthentication | None = None,
        max_forwards: int = 70,
    ) -> tuple[InviteSession, list[Effect]]:
        """Call `target` by `flow`. `sdp` None asks the callee for the offer; `headers` are added.

        Of several targets (see `failover`) the first that answers takes the call. A tag on `from_` is kept,
        one is made otherwise. `credentials` answer challenges to the INVITE and to all that follows in the
        call; without, or when they do not help, a challenge is a failed call. `max_forwards` is less for a
        call that came in from elsewhere (§16.6).
        """
        agent = self._agent
        uri, routes = route(target, route_set)
        first = first_of(flow)
        fields = {"Via": [agent.via(first)]}
        if routes:
            fields["Route"] = [str(value) for value in routes]
        fields["Max-Forwards"] = [str(max_forwards)]
        fields["From"] = [str(from_ if from_.tag else from_.with_tag(agent.new_token()))]
        fields["To"] = [str(to)]
        fields["Call-ID"] = [agent.new_token()]
        fields["CSeq"] = ["1 INVITE"]
        fields["Contact"] = [agent.contact(first)]
        fields["Allow"] = list(self.settings.allow)
        fields["Supported"] = list(self.settings.option_tags)
        fields["User-Agent"] = [self.settings.user_agent]
        described = Headers.of(fields)
        if headers is not None:
            add_all(described, headers)
        request = Request("INVITE", uri, described)
        attach(request, sdp)
        session = OutgoingSession(agent, request, flow, now, credentials)
        return session, session.begin(now)

    def request(
        self,
        request: Request,
        flow: Flow | Targets,
        now: float,
        *,
        credentials: ClientAuthentication | None = None,
    ) -> tuple[str, list[Effect]]:
        """Send a request other than INVITE outside of dialogs; returns the id of its transaction.

        Of several targets (see `failover`) the first that answers takes it.

        What is missing of Via, Max-Forwards, Call-ID, CSeq, the From tag and User-Agent is put in. With
        `credentials` challenges are answered, each by the request with the next CSeq (RFC 3261 §22.2); only
        one that they do not answer arrives.
        """
        agent = self._agent
        headers = request.headers
        if "Via" not in headers:
            headers.prepend("Via", agent.via(first_of(flow)))
        if request.from_.tag is None:
            headers.replace_first("From", str(request.from_.with_tag(agent.new_token())))
        defaults = {
            "Max-Forwards": "70",
            "Call-ID": agent.new_token(),
            "CSeq": f"1 {request.method}",
            "User-Agent": self.settings.user_agent,
        }
        for name, value in defaults.items():
            if name not in headers:
                headers.add(name, value)
        transaction_id = agent.new_token()
        if credentials is not None:
            credentials.authorize(request)
        user = _Plain(transaction_id, agent, credentials)
        return transaction_id, Attempts(agent, request, flow, user).begin(now)

    def respond(self, transaction_id: str, response: Response, now: float) -> list[Effect]:
        """Answer a RequestArrived; nothing happens when its time is over. Adds Server and a To tag."""
        transaction = self._layer.by_id(transaction_id)
        if transaction is None:
            return []
        headers = response.headers
        if "Server" not in headers:
            headers.add("Server", self.settings.user_agent)
        if response.status > 100 and response.to.tag is None:
            headers.replace_first("To", str(response.to.with_tag(self._agent.new_token())))
        return self._layer.respond(transaction, response, now)

    def session_of(self, replaces: Replaces) -> InviteSession | None:
        """The session whose dialog that is, early or confirmed."""
        found = self._agent.dialogs.get(replaces.key)
        return found[1] if found is not None and isinstance(found[1], InviteSession) else None

    # Clock

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        return self._agent.queue.deadline()

    def expire(self, now: float) -> list[Effect]:
        """Do all that is due at `now`."""
        effects: list[Effect] = []
        while (item := self._agent.queue.pop_due(now)) is not None:
            if isinstance(item, Transaction):
                effects += self._layer.expire(item, now)
            elif isinstance(item, InviteSession | Attempts):
                effects += item.expire(now)
        return effects

    # What is in progress, for limits, metrics and tests

    @property
    def transactions(self) -> int:
        """How many transactions there are, those that only absorb copies included."""
        return len(self._layer)

    @property
    def retransmissions(self) -> tuple[int, int]:
        """How many requests and final responses came again, and how many messages of ours went again."""
        return self._layer.copies, self._layer.resent

    @property
    def unanswered(self) -> int:
        """How many requests of ours wait for their final response."""
        return self._layer.unanswered

    @property
    def sessions(self) -> int:
        """How many sessions have not ended."""
        return len(self._agent.live)

    @property
    def dialogs(self) -> int:
        """How many dialogs take requests."""
        return len(self._agent.dialogs)

    # Requests

    def _receive_request(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        via = stamp_via(request, flow)
        if request.method == "ACK":
            return self._receive_ack(request, now)
        key = server_key(request, request.method)
        known = self._layer.find_server(key)
        if known is not None:
            return self._receive_copy(known, request, flow, now)
        if self._layer.is_full(request):
            headers = Headers(("Retry-After", _RETRY_AFTER))
            return [self._stateless(request, 503, response_flow(via, flow), headers)]
        if request.method == "CANCEL":
            return self._receive_cancel(key, request, flow, now)
        refused = refusal(request, self.settings)
        begins = request.to.tag is None
        found = None if begins else self._agent.dialogs.get(dialog_key_of(request))
        answered = None
        if found is None or request.method == "REGISTER":
            answered = self._answer_without_state(request, refused, flow, now)
        if answered is not None:
            sent = self._without_state(answered, request, response_flow(via, flow))
            return [sent, *(self._told(request, answered.status, flow) if refused is not None else ())]
        transaction = self._layer.open_server(key, request, flow, now)
        if begins and self._layer.is_merged(transaction):
            return self._refuse(transaction, request, 482, now)
        if refused is not None:
            status, headers = refused
            return self._refuse(transaction, request, status, now, headers)
        if found is not None and request.method != "REGISTER":
            return self._receive_in_dialog(*found, transaction, request, flow, now)
        if request.method == "INVITE":
            return self._receive_invite(transaction, request, flow, now)
        return [RequestArrived(transaction.id, request, flow)]

    def _receive_copy(
        self, transaction: ServerTransaction, request: Request, flow: Flow, now: float
    ) -> list[Effect]:
        """A request again: on a stream because the connection broke before its answer was there."""
        moved = flow.reliable and flow != transaction.flow
        effects = self._layer.repeated(transaction, flow, now)
        found = self._agent.dialogs.get(dialog_key_of(request)) if moved else None
        if found is None:
            return effects
        dialog, user = found
        self._agent.heard_by(dialog, user, flow)
        return effects + user.moved(transaction)

    def _receive_invite(
        self, transaction: ServerTransaction, request: Request, flow: Flow, now: float
    ) -> list[Effect]:
        if self.sessions >= self.settings.max_sessions:
            full = self._refuse(transaction, request, 503, now, Headers(("Retry-After", _RETRY_AFTER)))
            return [*full, *self._told(request, 503, flow)]
        least_s = self.settings.least_session_expires_s
        if too_short(request, least_s):
            return self._refuse(transaction, request, 422, now, Headers(("Min-SE", str(least_s))))
        replaced = None
        if "replaces" in self.settings.supported:
            replaced = find_replaced(request, self._agent)
        if isinstance(replaced, int):
            return [*self._refuse(transaction, request, replaced, now), *self._told(request, replaced, flow)]
        trying = self._agent.respond(transaction, request, 100, now)
        session = IncomingSession(self._agent, transaction, request, flow, now)
        transaction.user = session
        return [*trying, IncomingCall(session, request, flow, replaced)]

    def _receive_in_dialog(
        self,
        dialog: Dialog,
        user: InDialog,
        transaction: ServerTransaction,
        request: Request,
        flow: Flow,
        now: float,
    ) -> list[Effect]:
        if not dialog.accepts(request.cseq.number):
            return self._refuse(transaction, request, 500, now)
        self._agent.heard_by(dialog, user, flow)
        if request.method not in user.served:
            return [RequestArrived(transaction.id, request, flow)]
        return user.request_received(transaction, request, now)

    def _receive_ack(self, request: Request, now: float) -> list[Effect]:
        transaction = self._layer.find_server(server_key(request, "INVITE"))
        if transaction is not None:
            for_session, effects = self._layer.acknowledged(transaction, now)
            if not for_session:
                return effects
        found = self._agent.dialogs.get(dialog_key_of(request))
        return [] if found is None else found[1].ack_received(request, now)

    def _receive_cancel(self, key: ServerKey, request: Request, flow: Flow, now: float) -> list[Effect]:
        """§9.2: 200 when there is an INVITE to cancel, whatever becomes of that."""
        invite = self._layer.find_server(server_key(request, "INVITE"))
        if invite is None:
            back = response_flow(request.top_via, flow)
            return [self._stateless(request, 481, back, Headers())]
        transaction = self._layer.open_server(key, request, flow, now)
        user = invite.user
        tag = user.local_tag if isinstance(user, InviteSession) else self._agent.new_token()
        effects = self._agent.respond(transaction, request, 200, now, to_tag=tag)
        return effects if user is None else effects + user.cancelled(invite, now)

    # Refusals

    def _refuse(
        self,
        transaction: ServerTransaction,
        request: Request,
        status: int,
        now: float,
        headers: Headers | None = None,
    ) -> list[Effect]:
        tag = self._agent.new_token()
        return self._agent.respond(transaction, request, status, now, to_tag=tag, headers=headers)

    def _refuse_malformed(self, message: Malformed, flow: Flow) -> list[Effect]:
        """Answer without state what can be answered; the rest is dropped, responses among it (§8.1.3)."""
        via = message.top_via
        if not message.answerable or via is None or message.headers is None:
            return []
        headers = message.headers.copy()
        headers.set("Via", str(via))
        for value in message.headers.get_all("Via")[1:]:
            if is_via(value):
                headers.add("Via", value)
        for name in ("From", "To", "Call-ID", "CSeq"):
            if (first := headers.get(name)) is not None:
                headers.set(name, first)
        request = Request(message.method or "", message.uri or OtherUri("", ""), headers)
        back = response_flow(stamp_via(request, flow), flow)
        sent = self._stateless(request, message.status, back, Headers())
        return [sent, *self._told(request, message.status, flow, malformed=True)]

    def _told(
        self, request: Request, status: int, flow: Flow, *, malformed: bool = False
    ) -> tuple[InviteRefused, ...]:
        """What the application is told of a call that is refused here."""
        begins = request.method == "INVITE" and ";tag=" not in (request.headers.get("To") or "")
        if not begins or not self.settings.tells_refused:
            return ()
        return (InviteRefused(request, flow, status, REASONS.get(status, ""), malformed),)

    def _answer_without_state(
        self, request: Request, refused: tuple[int, Headers] | None, flow: Flow, now: float
    ) -> Response | None:
        """The answer to a request in no dialog that leads to nothing: who sends many of them costs no memory
        (§8.2.7)."""
        in_dialog = request.to.tag is not None and request.method != "REGISTER"
        if refused is not None:
            status, headers = refused
            response = make_response(request, status)
            add_all(response.headers, headers)
            return response
        if in_dialog or request.method in _NEEDS_DIALOG:
            return make_response(request, 481)
        return self.answer_without_state(request, flow, now)

    def _stateless(self, request: Request, status: int, flow: Flow, headers: Headers) -> Transmit:
        response = self._agent.response(request, status, None, _tag_without_state(request))
        add_all(response.headers, headers)
        return Transmit(flow, encode(response))

    def _without_state(self, response: Response, request: Request, flow: Flow) -> Transmit:
        if response.to.tag is None:
            tag = _tag_without_state(request)
            response.headers.replace_first("To", str(response.to.with_tag(tag)))
        response.headers.add("Server", self.settings.user_agent)
        return Transmit(flow, encode(response))


def _tag_without_state(request: Request) -> str:
    """§8.2.7: it comes from the request alone, so that each copy gets the same."""
    fields = repr([request.headers.get(name) for name in ("Via", "Call-ID", "CSeq")])
    return hashlib.blake2b(fields.encode("utf-8", "replace"), digest_size=8).hexdigest()


# Without a dialog these have no meaning: 481 (§12.2.2, §15.1.2).
_NEEDS_DIALOG = frozenset({"BYE", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY"})


class _Plain:
    """Turns the answers to a request of the application into effects."""

    def __init__(self, transaction_id: str, agent: Agent, credentials: ClientAuthentication | None) -> None:
        self._id = transaction_id
        self._agent = agent
        self._credentials = credentials

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        again = self._agent.challenged(transaction, response, self._credentials, now)
        if again is not None:
            return again[1]
        return [ResponseArrived(self._id, response)]

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        del transaction, now
        return [RequestTimedOut(self._id, status)]

    def goes_on(self, request: Request, flow: Flow) -> bool:
        del request, flow
        return True
