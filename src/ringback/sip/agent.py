"""What all sessions of an endpoint share: settings, tokens, transactions, timers, the table of dialogs."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from ringback.sip.authentication import ClientAuthentication, credentials_of
from ringback.sip.dialog import Dialog, DialogKey
from ringback.sip.effects import Effect, Transmit
from ringback.sip.failover import Avoided
from ringback.sip.flow import DEFAULT_PORT, UNBOUND, Flow, Transport
from ringback.sip.headers import MAGIC_COOKIE
from ringback.sip.message import Headers, Request, Response, SipUri, encode, make_response
from ringback.sip.timers import TimerQueue, Timers
from ringback.sip.transaction.client import ClientTransaction, ClientUser
from ringback.sip.transaction.layer import TransactionLayer
from ringback.sip.transaction.server import ServerTransaction

SDP = "application/sdp"
CORE_TAGS = ("timer", "100rel", "norefersub")
"""Extensions that sessions implement by themselves (RFC 4028, RFC 3262, RFC 4488)."""
# Requests that say anew where we are: RFC 3261 §12.2.1.1, RFC 3311 §5.1, RFC 3515 §2.2, RFC 6665 §3.1.2.
_TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY"})


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """How an endpoint presents itself, and its limits.

    `contact_for` gives our Contact for messages by a flow; its host and port are also the sent-by of Via.
    `allow` are the methods served: those beyond the call's own reach the application as RequestArrived.
    So do those in `screened`, which are not served: who has proved an account is told so by it.
    `supported` are option tags that the application implements, such as `replaces` (RFC 3891): without it
    that header field is not looked at. `next_hop`, when given, chooses the flow
    of a request within a dialog from its next hop's URI and the flow the peer was last heard by; without
    it that flow is used. From flows that are not in `trusts` nobody learns what a message says of identities.
    With `tells_refused` an InviteRefused comes of each call that is refused here.
    """

    user_agent: str
    contact_for: Callable[[Flow], SipUri]
    allow: tuple[str, ...] = (
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "INFO",
        "UPDATE",
        "PRACK",
        "REFER",
        "NOTIFY",
    )
    screened: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("sip", "sips", "tel")
    timers: Timers = field(default_factory=Timers)
    max_transactions: int = 100_000
    max_sessions: int = 10_000
    next_hop: Callable[[SipUri, Flow], Flow] | None = None
    trusts: Callable[[Flow], bool] = lambda _: False
    session_expires_s: int = 0
    least_session_expires_s: int = 90
    tells_refused: bool = False
    option_tags: tuple[str, ...] = field(init=False)
    """What we support: the core's own extensions, then the application's."""

    def __post_init__(self) -> None:
        own = (tag for tag in self.supported if tag not in CORE_TAGS)
        object.__setattr__(self, "option_tags", (*CORE_TAGS, *own))


class InDialog(Protocol):
    """Who owns a dialog and takes the requests within it."""

    @property
    def served(self) -> frozenset[str]:
        """The methods that it takes; others go to the application."""

    def request_received(self, transaction: ServerTransaction, request: Request, now: float) -> list[Effect]:
        """A request whose CSeq is in order."""

    def ack_received(self, request: Request, now: float) -> list[Effect]:
        """An ACK to one of our 2xx."""

    def moved(self, transaction: ServerTransaction) -> list[Effect]:
        """The request of this transaction came again, by a new connection."""


class Agent:
    """The shared part of an endpoint; sessions send through it."""

    def __init__(self, settings: EndpointSettings, new_token: Callable[[], str]) -> None:
        self.settings = settings
        self.new_token = new_token
        self.queue = TimerQueue()
        self.layer = TransactionLayer(settings.timers, self.queue, settings.max_transactions)
        self.dialogs: dict[DialogKey, tuple[Dialog, InDialog]] = {}
        # Sessions that have not ended: what `max_sessions` counts.
        self.live: set[str] = set()
        self.avoided = Avoided()
        self._by_connection: dict[Flow, set[DialogKey]] = {}

    # Dialogs

    def enlist(self, dialog: Dialog, user: InDialog) -> None:
        """Let requests of this dialog reach `user`."""
        self.dialogs[dialog.key] = (dialog, user)
        if dialog.flow.id:
            self._by_connection.setdefault(dialog.flow, set()).add(dialog.key)

    def forget(self, dialog: Dialog) -> None:
        """Requests of this dialog are 481 from now on."""
        self.dialogs.pop(dialog.key, None)
        self._leave(dialog)

    def heard_by(self, dialog: Dialog, user: InDialog, flow: Flow) -> None:
        """The peer's last request came by `flow`: ours go there (it may have a new address or connection)."""
        if flow is not dialog.flow and flow != dialog.flow:
            self._leave(dialog)
            dialog.flow = flow
            self.enlist(dialog, user)

    def connection_lost(self, flow: Flow) -> None:
        """Dialogs over this connection live on; their requests go by a new one to the next hop.

        The host stays the one that the connection came from: a Contact may name any host and port, also such
        as only we can reach, and anybody may send one.
        """
        for key in self._by_connection.pop(flow, ()):
            if key in self.dialogs:
                dialog = self.dialogs[key][0]
                hop = flow_to(_first_hop(dialog), flow)
                port = hop.remote[1] or DEFAULT_PORT[hop.transport]
                dialog.flow = replace(hop, remote=(flow.remote[0], port), name=flow.name)

    def follow_route(self, dialog: Dialog) -> None:
        """Send the dialog's requests to its next hop (§12.2.1.1), for a peer that we found by RFC 3263.

        A private address that a public peer names is one that only it can reach: the flow is kept then.
        """
        flow = dialog.flow
        hop = flow_to(_first_hop(dialog), flow)
        same = hop.remote[0] in (flow.remote[0], flow.name) and hop.remote[1] in (0, flow.remote[1])
        if (same and hop.transport == flow.transport) or _is_hidden(hop, flow):
            return
        dialog.flow = replace(hop, local=UNBOUND)

    def _leave(self, dialog: Dialog) -> None:
        keys = self._by_connection.get(dialog.flow) if self._by_connection else None
        if keys is not None:
            keys.discard(dialog.key)
            if not keys:
                del self._by_connection[dialog.flow]

    # Sending

    def via(self, flow: Flow) -> str:
        """A new Via with a new branch for a request by `flow`; asks for rport (RFC 3581)."""
        contact = self.settings.contact_for(flow)
        port = "" if contact.port is None else f":{contact.port}"
        sent_by = f"SIP/2.0/{flow.transport.upper()} {contact.host}{port}"
        return f"{sent_by};branch={MAGIC_COOKIE}{self.new_token()};rport"

    def contact(self, flow: Flow) -> str:
        """Our Contact value."""
        return f"<{self.settings.contact_for(flow)}>"

    def flow_of(self, dialog: Dialog) -> Flow:
        """The flow that a request of ours within the dialog takes."""
        choose = self.settings.next_hop
        return dialog.flow if choose is None else choose(_first_hop(dialog), dialog.flow)

    def describe(self, headers: Headers) -> None:
        """Add Allow and Supported."""
        headers.extend("Allow", self.settings.allow)
        headers.extend("Supported", self.settings.option_tags)

    def in_dialog(self, dialog: Dialog, method: str, sdp: bytes | None = None) -> tuple[Request, Flow]:
        """The next request of ours within a dialog, and its flow; with Contact when that is refreshed."""
        flow = self.flow_of(dialog)
        request = dialog.request(method, self.via(flow))
        if method in _TARGET_REFRESH:
            request.headers.add("Contact", self.contact(flow))
            self.describe(request.headers)
        request.headers.add("User-Agent", self.settings.user_agent)
        if dialog.credentials is not None:
            dialog.credentials.authorize(request)
        attach(request, sdp)
        return request, flow

    def send(
        self, request: Request, flow: Flow, user: ClientUser, now: float
    ) -> tuple[ClientTransaction, list[Effect]]:
        """Begin the client transaction of a complete request."""
        return self.layer.send(request, flow, user, now)

    def challenged(
        self,
        transaction: ClientTransaction,
        response: Response,
        credentials: ClientAuthentication | None,
        now: float,
        dialog: Dialog | None = None,
    ) -> tuple[ClientTransaction, list[Effect]] | None:
        """Send a request that was refused with 401 or 407 once more, with credentials, as a transaction of
        its own (§22.2); None when the refusal stands."""
        request = transaction.request
        headers = None if credentials is None else credentials.answer(request, response, transaction.tries)
        if headers is None:
            return None
        number = request.cseq.number + 1
        if dialog is not None:
            dialog.local_cseq = number = max(number, dialog.local_cseq + 1)
        headers.set("Via", self.via(transaction.flow))
        headers.set("CSeq", f"{number} {request.method}")
        again = Request(request.method, request.uri, headers, request.body)
        sent, effects = self.send(again, transaction.flow, transaction.user, now)
        sent.tries = transaction.tries + 1
        return sent, effects

    def acknowledge(self, dialog: Dialog, invite: Request, sdp: bytes | None = None) -> Transmit:
        """The ACK to a 2xx: a message of its own, sent again for each copy of that 2xx (§13.2.2.4)."""
        flow = self.flow_of(dialog)
        ack = dialog.acknowledgement(invite.cseq.number, self.via(flow))
        credentials_of(invite, ack)
        attach(ack, sdp)
        return Transmit(flow, encode(ack))

    def response(self, request: Request, status: int, reason: str | None, to_tag: str | None) -> Response:
        """A response of ours with Server."""
        response = make_response(request, status, reason, to_tag=to_tag)
        response.headers.add("Server", self.settings.user_agent)
        return response

    def respond(
        self,
        transaction: ServerTransaction,
        request: Request,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        to_tag: str | None = None,
        headers: Headers | None = None,
    ) -> list[Effect]:
        """Send a response without body; `headers` are added to it."""
        response = self.response(request, status, reason, to_tag)
        if headers is not None:
            add_all(response.headers, headers)
        return self.layer.respond(transaction, response, now)

    def chance(self) -> float:
        """A number in [0, 1) from the injected randomness."""
        digest = hashlib.blake2b(self.new_token().encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") / 2**32


def attach(message: Request | Response, sdp: bytes | None) -> None:
    """Give the message an SDP body, if there is one."""
    if sdp is not None:
        message.headers.set("Content-Type", SDP)
        message.body = sdp


def add_all(headers: Headers, more: Headers) -> None:
    """Append all of `more`, list fields value by value."""
    for name, value in more.items():
        headers.add(name, value)


def flow_to(uri: SipUri, like: Flow) -> Flow:
    """A flow with id 0 to the address in `uri`, its transport from there or as `like` had it.

    A host that is a name stays one, with port 0 where `uri` has none: who sends looks it up.
    """
    transport: Transport = like.transport
    for name in DEFAULT_PORT:
        if uri.transport == name:
            transport = name
    if uri.scheme == "sips" and transport in ("tcp", "udp"):
        transport = "tls"
    address = uri.params.get("maddr") or uri.address
    flow = replace(like, transport=transport, remote=(address, uri.port or 0), id=0)
    if flow.named:
        return replace(flow, name=address)
    return replace(flow, remote=(address, uri.port or DEFAULT_PORT[transport]))


def _is_hidden(hop: Flow, flow: Flow) -> bool:
    try:
        inner, outer = ipaddress.ip_address(hop.remote[0]), ipaddress.ip_address(flow.remote[0])
    except ValueError:
        return False
    return outer.is_global and not inner.is_global


def _first_hop(dialog: Dialog) -> SipUri:
    first = dialog.route_set[0].uri if dialog.route_set else dialog.target
    return first if isinstance(first, SipUri) else dialog.target
