"""A customer's trunk at a registrar that does as it is told, on a fake network and clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from ringback.governance.private import Private
from ringback.sip.digest import Accepted, Credential, DigestAuthenticator, make_ha1
from ringback.sip.effects import Effect, RequestArrived, RequestTimedOut, ResponseArrived
from ringback.sip.flow import Flow, Transport
from ringback.sip.message import Request, Response, SipUri, make_response
from ringback.store.directory import Directory, Trunk
from ringback.trunk.lines import TrunkLines
from ringback.trunk.watch import Surroundings, TrunkState
from tests.sip.phones import Network, Phone

HOST, FIRST, SECOND = "192.0.2.254", "192.0.2.1", "192.0.2.2"
REALM = "carrier.example"


def trunk(**details: object) -> Trunk:
    made = Trunk(
        id="t1",
        name="carrier",
        host="sip.example.com",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        username="alice",
        password=Private("secret"),
        register=True,
        expires_s=600,
    )
    return replace(made, **details)  # type: ignore[arg-type]


Manner = Callable[[Request], Response | None]


class FakeRegistrar:
    """Challenges REGISTER and grants `grants_s`, unless `manner` answers; `silent` says nothing at all."""

    def __init__(self, network: Network, host: str = FIRST) -> None:
        self.network = network
        self.grants_s: int | None = None
        self.manner: Manner | None = None
        self.digest = DigestAuthenticator(REALM)
        self.algorithm = "MD5"
        self.requests: list[tuple[float, Request]] = []
        self.bound: dict[str, int] = {}
        self.phone = network.phone(host, on_event=self._on_event, allow=("REGISTER", "OPTIONS", "INVITE"))
        self.silent = False

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if not isinstance(event, RequestArrived) or self.silent:
            return []
        self.requests.append((phone.now, event.request))
        response = self.manner(event.request) if self.manner is not None else None
        return phone.endpoint.respond(
            event.transaction_id, response or self._answer(event.request), phone.now
        )

    def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return make_response(request, 200)
        value = self.digest.find(request.headers.get_all("Authorization"))
        credential = Credential(
            "alice", make_ha1("alice", REALM, "secret"), make_ha1("alice", REALM, "secret", "SHA-256")
        )
        now = self.network.clock.now
        if value is not None:
            verdict = self.digest.check(value, "REGISTER", request.uri, lambda _: credential, now)
            if isinstance(verdict, Accepted):
                return self._bind(request)
        response = make_response(request, 401)
        response.headers.add("WWW-Authenticate", self.digest.challenge(now, algorithm=self.algorithm))  # type: ignore[arg-type]
        return response

    def _bind(self, request: Request) -> Response:
        (contact,) = request.contacts
        asked = int(request.headers.get("Expires") or "0")
        self.bound[str(contact.uri)] = asked
        if not asked:
            del self.bound[str(contact.uri)]
        response = make_response(request, 200)
        granted = min(asked, self.grants_s or asked)
        response.headers.add(
            "Contact", f"<sip:somebody@192.0.2.9>;expires=9999, <{contact.uri}>;expires={granted}"
        )
        return response

    def times(self, method: str = "REGISTER") -> list[float]:
        return [at for at, request in self.requests if request.method == method]


class Customer:
    """Our side: an endpoint and its trunks; `found` is what a look-up of the host gives."""

    def __init__(self, network: Network, transport: Transport = "udp") -> None:
        tokens = count(1)
        self.network = network
        self.told: list[tuple[str, dict[str, object]]] = []
        self.found: tuple[Flow, ...] | str = self.flows(FIRST, transport=transport)
        self.kept: list[Flow] = []
        self._looking: list[Trunk] = []
        self.phone = network.phone(HOST, on_event=self._on_event)
        self.lines = TrunkLines(
            self.phone.endpoint,
            Surroundings(lambda flow: SipUri(host=HOST, port=5060), lambda: f"t{next(tokens)}", lambda: 0.5),
            locate=self._looking.append,
            keep_open=self.kept.append,
            tell=lambda kind, **facts: self.told.append((kind, facts)),
        )

    @staticmethod
    def flows(*hosts: str, transport: Transport = "udp") -> tuple[Flow, ...]:
        return tuple(Flow(transport, (HOST, 0), (host, 5060)) for host in hosts)

    def _on_event(self, phone: Phone, event: Effect) -> list[Effect]:
        if isinstance(event, ResponseArrived | RequestTimedOut):
            return self._after(self.lines.answered(event, phone.now))
        return []

    def _after(self, effects: list[Effect]) -> list[Effect]:
        """Look-ups are answered at once."""
        while self._looking:
            effects = effects + self.lines.located(self._looking.pop(0), self.found, self.phone.now)
        return effects

    def follow(self, *trunks: Trunk) -> None:
        self.phone.do(self._after(self.lines.follow(Directory.of(trunks=trunks), self.phone.now)))

    def stop(self) -> None:
        self.phone.do(self._after(self.lines.stop(self.phone.now)))

    def check(self) -> None:
        self.phone.do(self._after(self.lines.check("carrier", self.phone.now)))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.network.run(0.1)
            if (at := self.lines.deadline()) is not None and at <= self.phone.now:
                self.phone.do(self._after(self.lines.expire(self.phone.now)))

    @property
    def state(self) -> TrunkState:
        return self.lines.state(trunk(), self.phone.now)
