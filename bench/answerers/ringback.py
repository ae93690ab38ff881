"""Our SIP core on its own UDP socket: `python -m bench.answerers.ringback PORT`."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time

from bench.answerers.answer import ANSWER
from ringback.net.transports import SipTransports
from ringback.sip.agent import EndpointSettings
from ringback.sip.effects import Effect, IncomingCall, Transmit
from ringback.sip.endpoint import Endpoint
from ringback.sip.flow import Flow
from ringback.sip.message import Message
from ringback.sip.parse import Malformed
from ringback.sip.uri import SipUri


class Answerer:
    """Endpoint, transports and one timer."""

    def __init__(self, port: int) -> None:
        contact = SipUri("sip", host="127.0.0.1", port=port)
        self.endpoint = Endpoint(
            EndpointSettings("bench", contact_for=lambda _: contact, session_expires_s=1800),
            new_token=lambda: secrets.token_hex(12),
        )
        self.transports = SipTransports(self.take)
        self._timer: asyncio.TimerHandle | None = None

    def take(self, message: Message | Malformed, flow: Flow) -> None:
        """A message came."""
        now = time.monotonic()
        self._do(self.endpoint.receive(message, flow, now), now)
        if self._timer is None:
            self._arm()

    def _do(self, effects: list[Effect], now: float) -> None:
        for effect in effects:
            if isinstance(effect, Transmit):
                self.transports.send(effect.flow, effect.data)
            elif isinstance(effect, IncomingCall):
                self._do(effect.session.accept(ANSWER, now), now)

    def _arm(self) -> None:
        at = self.endpoint.deadline()
        if at is not None:
            wait = max(at - time.monotonic(), 0.005)
            self._timer = asyncio.get_running_loop().call_later(wait, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = time.monotonic()
        self._do(self.endpoint.expire(now), now)
        self._arm()


async def serve(port: int) -> None:
    """Answer until killed."""
    answerer = Answerer(port)
    await answerer.transports.open("127.0.0.1", udp_port=port)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
