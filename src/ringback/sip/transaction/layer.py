"""The transaction layer: finds the transaction of a message, keeps all and their timers (RFC 3261 §17)."""

from __future__ import annotations

from itertools import count

from ringback.sip.effects import Effect, Transmit
from ringback.sip.flow import Flow
from ringback.sip.message import Request, Response
from ringback.sip.timers import TimerQueue, Timers
from ringback.sip.transaction.client import ClientTransaction, ClientUser, client_key
from ringback.sip.transaction.invite_client import InviteClientTransaction
from ringback.sip.transaction.invite_server import InviteServerTransaction
from ringback.sip.transaction.machine import Input, Outcome, State, Transaction
from ringback.sip.transaction.non_invite_client import NonInviteClientTransaction
from ringback.sip.transaction.non_invite_server import NonInviteServerTransaction
from ringback.sip.transaction.server import ServerKey, ServerTransaction

_TERMINATED, _TRANSMIT = State.TERMINATED, Outcome.TRANSMIT


class TransactionLayer:
    """All transactions of an endpoint.

    At most `limit` server transactions begin calls; what belongs to a call (BYE, CANCEL, ...) has as much
    room again, so that calls can still end when no more can begin.
    """

    def __init__(self, timing: Timers, queue: TimerQueue, limit: int) -> None:
        self.timing = timing
        self.limit = limit
        # Messages that came again, and those sent again by timers or for such copies.
        self.copies = 0
        self.resent = 0
        self._queue = queue
        self._clients: dict[tuple[str, ...], ClientTransaction] = {}
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._by_id: dict[str, ServerTransaction] = {}
        # Requests in progress as §8.2.2.2 sees them, and transactions by their connection.
        self._arrived: dict[tuple[str, str, str], ServerTransaction] = {}
        self._by_connection: dict[Flow, set[Transaction]] = {}
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    @property
    def unanswered(self) -> int:
        """How many requests of ours wait for their final response."""
        return sum(client.status < 200 for client in self._clients.values())

    # Server side

    def find_server(self, key: ServerKey) -> ServerTransaction | None:
        """The transaction that a request is a copy of (or belongs to, with the key of another method)."""
        return self._servers.get(key)

    def by_id(self, transaction_id: str) -> ServerTransaction | None:
        """The transaction that a RequestArrived named, as long as it can still be answered."""
        return self._by_id.get(transaction_id)

    def is_merged(self, transaction: ServerTransaction) -> bool:
        """True when the same request had come by another path before (RFC 3261 §8.2.2.2)."""
        return self._arrived.get(transaction.index) is not transaction

    def is_full(self, request: Request) -> bool:
        """True when there is no room for a transaction of this request."""
        if len(self._servers) < self.limit:
            return False
        begins = request.method != "CANCEL" and request.to.tag is None
        return len(self._servers) >= (self.limit if begins else 2 * self.limit)

    def open_server(self, key: ServerKey, request: Request, flow: Flow, now: float) -> ServerTransaction:
        """Begin the server transaction of a request that has none; `key` is its own."""
        transaction_id = str(next(self._numbers))
        transaction: ServerTransaction
        if request.method == "INVITE":
            transaction = InviteServerTransaction(key, request, flow, self.timing, transaction_id)
        else:
            transaction = NonInviteServerTransaction(key, request, flow, self.timing, transaction_id)
            transaction.begin(now)
            self._by_id[transaction_id] = transaction
            self._queue.update(transaction)
        self._servers[key] = transaction
        self._arrived.setdefault(transaction.index, transaction)
        self._enlist(transaction)
        return transaction

    def repeated(self, transaction: ServerTransaction, flow: Flow, now: float) -> list[Effect]:
        """A copy of the transaction's request came, on a stream perhaps by a new connection."""
        if flow.reliable and flow != transaction.flow:
            self._leave(transaction)
            transaction.flow = flow
            self._enlist(transaction)
        self.copies += 1
        outcomes = transaction.step(Input.REQUEST, now)
        self.resent += len(outcomes)
        return self._settle(transaction, outcomes, now)

    def acknowledged(self, transaction: ServerTransaction, now: float) -> tuple[bool, list[Effect]]:
        """An ACK matched an INVITE's transaction; True when it is for a 2xx and so the session's."""
        outcomes = transaction.step(Input.ACK, now)
        for_session = any(outcome is Outcome.DELIVER for outcome, _ in outcomes)
        return for_session, self._settle(transaction, outcomes, now)

    def respond(
        self, transaction: ServerTransaction, response: Response, now: float, data: bytes | None = None
    ) -> list[Effect]:
        """Send a response within its transaction; `data` is the response where it is encoded already."""
        return self._settle(transaction, transaction.respond(response, now, data), now)

    # Client side

    def send(
        self, request: Request, flow: Flow, user: ClientUser, now: float
    ) -> tuple[ClientTransaction, list[Effect]]:
        """Begin a client transaction; the request has its Via with branch already."""
        kind = InviteClientTransaction if request.method == "INVITE" else NonInviteClientTransaction
        transaction = kind(request, flow, self.timing, user)
        self._clients[transaction.key] = transaction
        self._enlist(transaction)
        return transaction, self._settle(transaction, transaction.begin(now), now)

    def receive_response(self, response: Response, now: float) -> list[Effect]:
        """Hand a response to its transaction; one that matches none is dropped (RFC 3261 §18.1.2)."""
        key = client_key(response.top_via.branch or "", response.cseq.method)
        transaction = self._clients.get(key)
        if transaction is None:
            return []
        again = _is_again(transaction, response)
        effects = self._settle(transaction, transaction.receive(response, now), now)
        if again:
            self.copies += 1
            # The ACK.
            self.resent += sum(isinstance(effect, Transmit) for effect in effects)
        return effects

    def abandon(self, transaction: ClientTransaction) -> None:
        """Forget a client transaction whose answer nobody waits for."""
        transaction.abandon()
        self._forget(transaction)

    # Both

    def expire(self, transaction: Transaction, now: float) -> list[Effect]:
        """Fire the timers of one transaction."""
        outcomes = transaction.expire(now)
        for outcome, _ in outcomes:
            # No timer sends anything for the first time.
            self.resent += outcome is Outcome.TRANSMIT
        return self._settle(transaction, outcomes, now)

    def connection_lost(self, flow: Flow, now: float) -> list[Effect]:
        """Client transactions of a broken connection fail, server transactions answer by a new one."""
        effects: list[Effect] = []
        for transaction in self._by_connection.pop(flow, ()):
            if isinstance(transaction, ServerTransaction):
                transaction.connection_lost()
            else:
                effects += self._settle(transaction, transaction.step(Input.TRANSPORT_ERROR, now), now)
        return effects

    def _settle(
        self, transaction: Transaction, outcomes: list[tuple[Outcome, bytes]], now: float
    ) -> list[Effect]:
        """Turn outcomes into effects, asking the user where it is told; keep or forget the transaction."""
        flow = transaction.flow
        if transaction.state is _TERMINATED:
            self._forget(transaction)
        else:
            self._queue.update(transaction)
        effects: list[Effect] = []
        for outcome, data in outcomes:
            if outcome is _TRANSMIT:
                effects.append(Transmit(flow, data))
            elif isinstance(transaction, ClientTransaction):
                effects += _tell(transaction, outcome, now)
                transaction.response = None
        return effects

    def _enlist(self, transaction: Transaction) -> None:
        if transaction.flow.transport != "udp" or transaction.flow.named:
            self._by_connection.setdefault(transaction.flow, set()).add(transaction)

    def _forget(self, transaction: Transaction) -> None:
        if isinstance(transaction, ClientTransaction):
            self._clients.pop(transaction.key, None)
        elif isinstance(transaction, ServerTransaction):
            self._servers.pop(transaction.key, None)
            self._by_id.pop(transaction.id, None)
            if self._arrived.get(transaction.index) is transaction:
                del self._arrived[transaction.index]
        self._leave(transaction)
        self._queue.update(transaction)

    def _leave(self, transaction: Transaction) -> None:
        siblings = self._by_connection.get(transaction.flow) if self._by_connection else None
        if siblings is not None:
            siblings.discard(transaction)
            if not siblings:
                del self._by_connection[transaction.flow]


def _tell(transaction: ClientTransaction, outcome: Outcome, now: float) -> list[Effect]:
    if outcome is Outcome.DELIVER:
        response = transaction.response
        return [] if response is None else transaction.user.response_received(transaction, response, now)
    return transaction.user.request_failed(transaction, 408 if outcome is Outcome.TIMEOUT else 503, now)


def _is_again(transaction: ClientTransaction, response: Response) -> bool:
    """Whether a final response has come before; that of another fork has not."""
    return (
        transaction.state in (State.COMPLETED, State.ACCEPTED)
        and response.status >= 200
        and transaction.answered_by == response.headers.get("To")
    )
