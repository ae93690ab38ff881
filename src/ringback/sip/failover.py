"""One request sent to one target after another until one answers (RFC 3263 §4.3, RFC 3261 §18.1.1)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from ringback.sip.dialog import Dialog
from ringback.sip.effects import Effect, Transmit
from ringback.sip.flow import Address, Flow, Targets, Transport
from ringback.sip.message import Headers, NameAddr, Request, Response, SipUri, encode
from ringback.sip.timers import Ticket
from ringback.sip.transaction.client import ClientTransaction

if TYPE_CHECKING:
    from ringback.sip.agent import Agent

PATIENCE_S: Final = 2.0
"""How long a target may be silent before the next one is tried."""
AVOIDED_S: Final = 60.0
"""How long a target that failed comes after the others."""
LARGEST_DATAGRAM: Final = 1_300
"""Bytes of a request above which UDP is left for TCP where we may choose (RFC 3261 §18.1.1)."""

_MOST_AVOIDED: Final = 1_024
_MOST_TARGETS: Final = 16


class Avoided:
    """Targets that failed lately, so that the next call need not wait for them; bounded."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[Transport, Address], float] = OrderedDict()

    def note(self, flow: Flow, now: float) -> None:
        """A target did not answer, or said that it cannot."""
        key = (flow.transport, flow.remote)
        self._until.pop(key, None)
        self._until[key] = now + AVOIDED_S
        if len(self._until) > _MOST_AVOIDED:
            self._until.popitem(last=False)

    def clear(self, flow: Flow) -> None:
        """A target answered."""
        self._until.pop((flow.transport, flow.remote), None)

    def order(self, targets: Targets, now: float) -> Targets:
        """The targets with those that failed lately at the end, else as they were."""
        return tuple(
            sorted(targets, key=lambda flow: self._until.get((flow.transport, flow.remote), 0) > now)
        )


class AttemptUser(Protocol):
    """Who sent the request: a `ClientUser` that is told where it goes."""

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """As of a `ClientUser`; of targets that were given up nothing is told."""

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """As of a `ClientUser`, once no target is left."""

    def goes_on(self, request: Request, flow: Flow) -> bool:
        """The request, changed for that, may go to the next target; False when nobody wants it any more."""


class Attempts:
    """A request on its way through its targets; `transaction` and `flow` are those of the present one.

    The next target's turn comes after a transport error, a 503, or silence of `PATIENCE_S`. A flow instead of
    targets is the only one, and is used as it is.
    """

    def __init__(self, agent: Agent, request: Request, where: Flow | Targets, user: AttemptUser) -> None:
        self.request = request
        self.scheduled: Ticket | None = None
        self._agent = agent
        self._user = user
        self._where = where
        self._rest: list[Flow] = []
        self._impatient_at: float | None = None
        self.flow = first_of(where)
        self.transaction: ClientTransaction | None = None

    def begin(self, now: float) -> list[Effect]:
        """Send the request to the first target."""
        if isinstance(self._where, Flow):
            return self._send(now)
        size = len(encode(self.request))
        wanted = _by_size(self._where[:_MOST_TARGETS], size)
        first, *self._rest = self._agent.avoided.order(wanted, now)
        if first != self.flow:
            self._redirect(first)
            self._user.goes_on(self.request, first)
        return self._send(now)

    def _send(self, now: float) -> list[Effect]:
        if self._rest:
            self._impatient_at = now + PATIENCE_S
            self._agent.queue.update(self)
        else:
            self._be_patient()
        self.transaction, effects = self._agent.layer.send(self.request, self.flow, self, now)
        return effects

    # The present transaction's answers

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """A response of the present target; the transaction layer calls this."""
        self._be_patient()
        if response.status == 503:
            effects = self._next(now)
            if effects is not None:
                return effects
        elif not isinstance(self._where, Flow):
            self._agent.avoided.clear(self.flow)
        return self._user.response_received(transaction, response, now)

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """No answer of the present target; the transaction layer calls this."""
        self._be_patient()
        effects = self._next(now)
        return self._user.request_failed(transaction, status, now) if effects is None else effects

    def _be_patient(self) -> None:
        if self._impatient_at is not None:
            self._impatient_at = None
            self._agent.queue.update(self)

    # Clock

    def deadline(self) -> float | None:
        """When the present target has been silent for too long."""
        return self._impatient_at

    def expire(self, now: float) -> list[Effect]:
        """Try the next target; what the silent one may still say finds nobody but `Late`."""
        self._be_patient()
        silent, request, flow = self.transaction, self.request, self.flow
        effects = self._next(now)
        if effects is None or silent is None:
            return []
        silent.stop_repeating()
        silent.user = Late(self._agent, request, flow)
        self._agent.queue.update(silent)
        return effects

    def _next(self, now: float) -> list[Effect] | None:
        """Send the request to the next target; None when there is none, or nobody who wants it."""
        if isinstance(self._where, Flow):
            return None
        self._agent.avoided.note(self.flow, now)
        if not self._rest:
            return None
        request, flow = self.request, self.flow
        self._redirect(self._rest[0])
        if not self._user.goes_on(self.request, self.flow):
            self.request, self.flow, self._rest = request, flow, []
            return None
        del self._rest[0]
        return self._send(now)

    def _redirect(self, flow: Flow) -> None:
        """The same request for another target: only Via is new, and our own address in Contact."""
        before = self._agent.settings.contact_for(self.flow)
        after = self._agent.settings.contact_for(flow)
        headers = self.request.headers.copy()
        headers.set("Via", self._agent.via(flow))
        _readdress(headers, before, after)
        self.request = Request(self.request.method, self.request.uri, headers, self.request.body)
        self.flow = flow


class Late:
    """Takes what comes of a request that has gone to another target: a call set up there is ended."""

    def __init__(self, agent: Agent, request: Request, flow: Flow) -> None:
        self._agent = agent
        self._request = request
        self._flow = flow
        self._cancelled = False
        # The ACK for each 2xx by To tag.
        self._acks: dict[str, Transmit] = {}

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """It answers after all: cancel, or acknowledge and end (RFC 3261 §9.1, §13.2.2.4)."""
        if transaction.method != "INVITE":
            return []
        if response.status < 200:
            if self._cancelled:
                return []
            self._cancelled = True
            return self._agent.layer.send(cancel_of(self._request), self._flow, Unwanted(), now)[1]
        if response.status >= 300:
            return []
        tag = response.to.tag or ""
        if tag in self._acks:
            return [self._acks[tag]]
        self._acks[tag], effects = end_unwanted(self._agent, self._request, response, self._flow, now)
        return effects

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """As was thought."""
        del transaction, status, now
        return []


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


def first_of(where: Flow | Targets) -> Flow:
    """The flow that is tried first."""
    return where if isinstance(where, Flow) else where[0]


def cancel_of(invite: Request) -> Request:
    """The CANCEL for an INVITE: its fields, its branch (RFC 3261 §9.1)."""
    source = invite.headers
    headers = Headers()
    headers.prepend("Via", source.get("Via") or "")
    headers.copy_from(source, "Route", "Max-Forwards", "From", "To", "Call-ID")
    headers.add("CSeq", f"{invite.cseq.number} CANCEL")
    headers.copy_from(source, "User-Agent")
    return Request("CANCEL", invite.uri, headers)


def end_unwanted(
    agent: Agent, invite: Request, response: Response, flow: Flow, now: float
) -> tuple[Transmit, list[Effect]]:
    """Acknowledge and end a call that a 2xx made and nobody wants (RFC 3261 §13.2.2.4); its ACK, and all."""
    dialog = Dialog.of_client(invite, response, flow)
    ack = agent.acknowledge(dialog, invite)
    bye, by = agent.in_dialog(dialog, "BYE")
    return ack, [ack, *agent.send(bye, by, Unwanted(), now)[1]]


def _by_size(targets: Targets, size: int) -> Targets:
    """The targets for a request of so many bytes: a large one tries TCP before UDP at the same address."""
    if size <= LARGEST_DATAGRAM:
        return targets
    wanted: dict[Flow, None] = {}
    for flow in targets:
        if flow.transport == "udp":
            wanted[replace(flow, transport="tcp")] = None
        wanted[flow] = None
    return tuple(wanted)


def _readdress(headers: Headers, before: SipUri, after: SipUri) -> None:
    """Where Contact names our address by one flow, name that by another."""
    values = headers.get_all("Contact")
    if before == after or not values:
        return
    headers.remove("Contact")
    for value in values:
        headers.add("Contact", _moved(value, before, after))


def _moved(value: str, before: SipUri, after: SipUri) -> str:
    if value == "*":
        return value
    contact = NameAddr.parse(value)
    uri = contact.uri
    if not isinstance(uri, SipUri) or (uri.host, uri.port) != (before.host, before.port):
        return value
    params = {name: text for name, text in uri.params.items() if name != "transport"}
    if "transport" in after.params:
        params["transport"] = after.params["transport"]
    return str(replace(contact, uri=replace(uri, host=after.host, port=after.port, params=params)))
