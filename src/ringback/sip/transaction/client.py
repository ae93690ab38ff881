"""What INVITE and other client transactions share: their request, their user, their responses (§17.1)."""

from __future__ import annotations

from typing import ClassVar, Protocol

from ringback.sip.effects import Effect
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response, encode
from ringback.sip.timers import Timers
from ringback.sip.transaction.machine import Action, Input, Outcome, Transaction


class ClientUser(Protocol):
    """Who sent a request and gets its answers."""

    def response_received(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> list[Effect]:
        """A response that is not a retransmission (except 2xx to INVITE, which are all passed on)."""

    def request_failed(self, transaction: ClientTransaction, status: int, now: float) -> list[Effect]:
        """No answer: 408 after a timeout, 503 when the connection broke (RFC 3261 §8.1.3.1)."""


def client_key(branch: str, method: str) -> tuple[str, ...]:
    """What a response is matched by (RFC 3261 §17.1.3)."""
    return (branch, method)


class ClientTransaction(Transaction):
    """A request of ours on its way; `method` is the request's."""

    first: ClassVar[tuple[Action, ...]]

    __slots__ = ("_request", "answered_by", "method", "request", "response", "status", "tries", "user")

    def __init__(self, request: Request, flow: Flow, timing: Timers, user: ClientUser) -> None:
        self.method = request.method
        self.request = request
        # How many challenges the request has answered (§22.2).
        self.tries = 0
        super().__init__(client_key(request.top_via.branch or "", request.method), flow, timing)
        self.user = user
        # Only while it is being delivered, for transactions outlive their answers by far; what is kept is the
        # last one's status (0 before any), and To of the final one.
        self.response: Response | None = None
        self.status = 0
        self.answered_by: str | None = None
        self._request: bytes = encode(request)

    def begin(self, now: float) -> list[tuple[Outcome, bytes]]:
        """Send the request for the first time."""
        return self._enter((self.initial, self.first), now, self._request)

    def receive(self, response: Response, now: float) -> list[tuple[Outcome, bytes]]:
        """Take a response that matched; for DELIVER outcomes it is then found in `response`."""
        self.response = response
        self.status = response.status
        if response.status < 200:
            event = Input.RECEIVE_1XX
        else:
            self.answered_by = response.headers.get("To")
            event = Input.RECEIVE_2XX if response.status < 300 else Input.RECEIVE_FAILURE
        return self.step(event, now)
