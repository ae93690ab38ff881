"""What INVITE and other server transactions share: their key and where their responses go (§17.2)."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from ringback.sip.effects import Effect
from ringback.sip.flow import DEFAULT_PORT, Flow
from ringback.sip.headers import MAGIC_COOKIE, Via
from ringback.sip.message import Request, Response, encode
from ringback.sip.timers import Timers
from ringback.sip.transaction.machine import Input, Outcome, State, Transaction


class ServerUser(Protocol):
    """Who answers an INVITE."""

    def cancelled(self, transaction: ServerTransaction, now: float) -> list[Effect]:
        """A CANCEL came for it while it had no final answer."""


ServerKey = tuple[str, ...]


def server_key(request: Request, method: str) -> ServerKey:
    """What a request is matched by (RFC 3261 §17.2.3): branch, sent-by, method; RFC 2543 by its fields.

    `method` is the one looked for: INVITE for an ACK or a CANCEL. A request of another Call-ID is never a
    copy: two clients that chose the same branch, which they must not, both get their answers.
    """
    via = request.top_via
    branch = via.branch or ""
    if branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        return (branch, via.sent_by, request.call_id, method)
    return (
        "RFC 2543",
        str(request.uri),
        request.from_.tag or "",
        request.call_id,
        str(request.cseq.number),
        request.headers.get("Via") or "",
        method,
    )


def stamp_via(request: Request, flow: Flow) -> Via:
    """Write where the request came from into its topmost Via (RFC 3261 §18.2.1, RFC 3581 §4)."""
    via = request.top_via
    address, port = flow.remote
    params: dict[str, str | None] = {}
    if "rport" in via.params:
        params = {"rport": str(port), "received": address}
    elif via.host.strip("[]").lower() != address.lower():
        params = {"received": address}
    if params:
        via = via.with_params(**params)
        request.headers.replace_first("Via", str(via))
    return via


def response_flow(via: Via, flow: Flow) -> Flow:
    """Where responses go (RFC 3261 §18.2.2): the connection, or the source address with the right port.

    A maddr parameter is not followed: it would let a datagram choose whom we write to.
    """
    port = via.port or DEFAULT_PORT["udp"]
    if flow.reliable or "rport" in via.params or port == flow.remote[1]:
        return flow
    return replace(flow, remote=(flow.remote[0], port))


class ServerTransaction(Transaction):
    """A request of a peer and our answer to it; a merged copy of the request has its `index` (§8.2.2.2)."""

    __slots__ = ("id", "index", "method", "sent_by_port", "user")

    def __init__(
        self, key: ServerKey, request: Request, flow: Flow, timing: Timers, transaction_id: str
    ) -> None:
        via = request.top_via
        super().__init__(key, response_flow(via, flow), timing)
        self.id = transaction_id
        self.method = request.method
        self.index = (request.call_id, request.from_.tag or "", request.headers.get("CSeq") or "")
        self.sent_by_port = via.port or DEFAULT_PORT[flow.transport]
        self.user: ServerUser | None = None

    def respond(
        self, response: Response, now: float, data: bytes | None = None
    ) -> list[tuple[Outcome, bytes]]:
        """Send a response of our user; one that the state does not allow any more is dropped. `data` is the
        response where it is encoded already."""
        if response.status < 200:
            event = Input.SEND_1XX
        else:
            # Nothing can be cancelled any more; transactions outlive their calls, so let go of those.
            self.user = None
            event = Input.SEND_2XX if response.status < 300 else Input.SEND_FAILURE
        outcomes = self.step(event, now, encode(response) if data is None else data)
        if self.state is State.ACCEPTED:
            # Repeating a 2xx is the session's (§13.3.1.4).
            self.last = b""
        return outcomes

    def connection_lost(self) -> None:
        """From now on answer by a new connection to the sent-by port (RFC 3261 §18.2.2)."""
        self.flow = replace(self.flow, remote=(self.flow.remote[0], self.sent_by_port), id=0)
