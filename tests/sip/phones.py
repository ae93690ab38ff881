"""Phones made of real endpoints, on a link that may be bad, on a clock that obeys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from ringback.sip.endpoint import Effect, Endpoint, EndpointSettings, InviteSession, Transmit
from ringback.sip.flow import Flow, Transport
from ringback.sip.message import Headers, NameAddr, Request, Response, SipUri
from ringback.sip.parse import parse_message
from ringback.testing.fake_clock import FakeClock
from ringback.testing.lossy_link import Address, LinkQuality, LossyLink

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=offer\r\n"
ANSWER = b"v=0\r\no=- 2 1 IN IP4 192.0.2.2\r\ns=answer\r\n"

E = TypeVar("E")


@dataclass
class Sent:
    """A message as it went out, with when."""

    at: float
    flow: Flow
    message: Request | Response

    @property
    def name(self) -> str:
        """`INVITE`, or `200 INVITE` for a response."""
        if isinstance(self.message, Request):
            return self.message.method
        return f"{self.message.status} {self.message.cseq.method}"


class Phone:
    """An endpoint with an address; remembers what it sent and what it was told."""

    def __init__(
        self,
        network: Network,
        address: Address,
        transport: Transport = "udp",
        on_event: Callable[[Phone, Effect], list[Effect]] | None = None,
        **settings: object,
    ) -> None:
        numbers = count(1)
        name = address[0].replace(".", "-")
        self.network = network
        self.address = address
        self.transport = transport
        self.events: list[Effect] = []
        self.sent: list[Sent] = []
        self.on_event = on_event
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        contact = SipUri(user="phone", host=host, port=address[1])
        # Phones show what their server says.
        settings.setdefault("trusts", lambda _: True)
        self.endpoint = Endpoint(
            EndpointSettings(user_agent="Test", contact_for=lambda _: contact, **settings),  # type: ignore[arg-type]
            new_token=lambda: f"{name}-{next(numbers)}",
        )
        network.link.attach(address, self._receive)

    @property
    def now(self) -> float:
        return self.network.clock.now

    def flow_to(self, other: Phone | Address) -> Flow:
        remote = other.address if isinstance(other, Phone) else other
        return Flow(self.transport, self.address, remote, 0 if self.transport == "udp" else 7)

    def call(
        self, other: Phone | Address, sdp: bytes | None = OFFER, headers: Headers | None = None
    ) -> InviteSession:
        host, port = other.address if isinstance(other, Phone) else other
        session, effects = self.endpoint.invite(
            target=SipUri(user="101", host=host, port=port),
            to=NameAddr(SipUri(user="101", host="example.com")),
            from_=NameAddr(SipUri(user="102", host="example.com"), "Alice"),
            flow=self.flow_to(other),
            now=self.now,
            sdp=sdp,
            headers=headers,
        )
        self.do(effects)
        return session

    def do(self, effects: list[Effect]) -> None:
        """Carry out effects; what is not a Transmit becomes an event, and may cause more."""
        for effect in effects:
            if isinstance(effect, Transmit):
                message = parse_message(effect.data)
                assert isinstance(message, Request | Response), message
                self.sent.append(Sent(self.now, effect.flow, message))
                self.network.link.send(effect.data, self.address, effect.flow.remote)
            else:
                self.events.append(effect)
                if self.on_event is not None:
                    self.do(self.on_event(self, effect))

    def _receive(self, data: bytes, source: Address, destination: Address) -> None:
        assert destination == self.address
        self.do(self.endpoint.receive(parse_message(data), self.flow_to(source), self.now))

    def told(self, kind: type[E]) -> list[E]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def names(self) -> list[str]:
        """What was sent so far, in order."""
        return [sent.name for sent in self.sent]

    def assert_idle(self) -> None:
        endpoint = self.endpoint
        assert endpoint.sessions == 0
        assert endpoint.dialogs == 0
        assert endpoint.transactions == 0
        assert endpoint.deadline() is None
        # Nor do the tables beside them remember anything.
        for owner in (endpoint._agent, endpoint._layer, endpoint._agent.queue):
            assert not [
                name for name, kept in vars(owner).items() if isinstance(kept, dict | set | list) and kept
            ]


class Network:
    """A link, its clock, and the phones on it."""

    def __init__(self, seed: int = 0, quality: LinkQuality | None = None) -> None:
        self.clock = FakeClock()
        self.link: LossyLink[bytes] = LossyLink(self.clock, seed, quality)
        self.phones: list[Phone] = []

    def phone(self, host: str, **options: object) -> Phone:
        phone = Phone(self, (host, 5060), **options)  # type: ignore[arg-type]
        self.phones.append(phone)
        return phone

    def run(self, seconds: float) -> None:
        """Let everything happen that happens in this time."""
        end = self.clock.now + seconds
        for _ in range(1_000_000):
            moments = [self.link.deadline(), *(phone.endpoint.deadline() for phone in self.phones)]
            due = [moment for moment in moments if moment is not None]
            if not due or min(due) > end:
                self.clock.move_to(end)
                return
            self.clock.move_to(max(self.clock.now, min(due)))
            self.link.deliver_due()
            for phone in self.phones:
                phone.do(phone.endpoint.expire(self.clock.now))
        raise AssertionError("the network never comes to rest")

    def settle(self) -> None:
        """Run until every timer of RFC 3261 has had its time, and see that nothing is left."""
        self.run(300)
        for phone in self.phones:
            phone.assert_idle()
