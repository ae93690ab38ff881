"""User agents on real sockets that know names: an endpoint, the transports, the server's name service."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from ringback.config.settings import Settings, SipSettings
from ringback.net.transports import SipTransports
from ringback.server.names import NameService
from ringback.sip.effects import Effect, IncomingCall, Transmit
from ringback.sip.endpoint import Endpoint, EndpointSettings
from ringback.sip.flow import Flow
from ringback.sip.message import Message, SipUri
from ringback.sip.parse import Malformed

ANSWER = b"v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\n"

E = TypeVar("E")


class Agent:
    """Answers calls at once, as `contact` if that is given; remembers what happened, and by which flow."""

    def __init__(self, name_servers: Iterable[str] = (), contact: SipUri | None = None) -> None:
        self.events: list[Effect] = []
        self.heard: list[tuple[str, Flow]] = []
        self.contact = contact
        self.transports = SipTransports(self._received, self._lost)
        settings = Settings(sip=SipSettings(dns_servers=tuple(name_servers)))
        self.names = NameService(settings, self.transports.send, self._lost)
        self.endpoint = Endpoint(
            EndpointSettings("Test", self._contact_for), new_token=lambda: secrets.token_hex(8)
        )

    def _contact_for(self, flow: Flow) -> SipUri:
        if self.contact is not None:
            return self.contact
        host, port = self.transports.contact_address(flow)
        return SipUri(host=host, port=port, params={} if flow.transport == "udp" else {"transport": "tcp"})

    def do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Transmit):
                (self.names if effect.flow.named else self.transports).send(effect.flow, effect.data)
                continue
            self.events.append(effect)
            if isinstance(effect, IncomingCall):
                self.do(effect.session.accept(ANSWER, time.monotonic()))

    def told(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def _received(self, message: Message | Malformed, flow: Flow) -> None:
        self.heard.append((getattr(message, "method", ""), flow))
        self.do(self.endpoint.receive(message, flow, time.monotonic()))

    def _lost(self, flow: Flow) -> None:
        for lost in (flow, *self.names.connection_lost(flow)):
            self.do(self.endpoint.connection_lost(lost, time.monotonic()))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.do(self.endpoint.expire(time.monotonic()))


@contextlib.asynccontextmanager
async def agent(
    *, tcp: bool = True, udp_port: int = 0, name_servers: Iterable[str] = (), contact: SipUri | None = None
) -> AsyncIterator[Agent]:
    """A running agent on loopback."""
    made = Agent(name_servers, contact)
    await made.transports.open("127.0.0.1", udp_port=udp_port)
    if tcp:
        # The same port, as a large request is sent to it.
        port = made.transports.addresses["udp"][1]
        await made.transports.open("127.0.0.1", tcp_port=port)
    clock = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        clock.cancel()
        await made.names.close()
        await made.transports.close()
