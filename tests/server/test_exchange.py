"""The driver when something of ours is broken: it costs one request, and everything else goes on."""

from __future__ import annotations

import asyncio
from itertools import count

from ringback.call.effects import Notice
from ringback.call.switchboard import Switchboard
from ringback.media import protocol as media
from ringback.sdp.negotiated import Local
from ringback.server.exchange import Exchange
from ringback.sip.effects import Effect, IncomingCall, RequestArrived
from ringback.sip.endpoint import Endpoint, EndpointSettings
from ringback.sip.flow import Flow
from ringback.sip.message import Response, SipUri
from ringback.sip.parse import parse_message

PEER = Flow("udp", ("192.0.2.254", 5060), ("192.0.2.1", 5060))


class Broken:
    """A policy with a bug."""

    def call(self, event: IncomingCall, now: float) -> list[Effect]:
        raise RuntimeError("a fault of ours")

    def request(self, event: RequestArrived, now: float) -> list[Effect]:
        raise RuntimeError("a fault of ours")


class Desk:
    """An exchange, and what it sent."""

    def __init__(self) -> None:
        self.sent: list[Response] = []
        self.notices: list[str] = []
        tokens = count()
        self.endpoint = Endpoint(
            EndpointSettings(
                user_agent="Test",
                contact_for=lambda _: SipUri(host="192.0.2.254"),
                allow=("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"),
            ),
            new_token=lambda: f"token{next(tokens)}",
        )
        self.switchboard = Switchboard(self.endpoint, self._local)
        self.exchange = Exchange(
            endpoint=self.endpoint,
            switchboard=self.switchboard,
            send=self._send,
            keep_open=lambda flow: None,
            to_media=lambda command: None,
            resolve=lambda sounds: sounds,
            publish=self._publish,
            on_talking=lambda event: None,
            on_statistics=lambda event: None,
        )
        self.exchange.policy = Broken()

    def _local(self, flow: Flow, rtp_port: int, rtcp_port: int) -> Local:
        return Local(address="192.0.2.254", rtp_port=rtp_port, rtcp_port=rtcp_port, codecs=("PCMU",))

    def _send(self, flow: Flow, data: bytes) -> None:
        message = parse_message(data)
        assert isinstance(message, Response)
        self.sent.append(message)

    def _publish(self, notice: Notice) -> None:
        self.notices.append(notice.kind)
        if notice.kind == "broken":
            raise RuntimeError("a fault of ours")

    def receive(self, method: str) -> int:
        text = (
            f"{method} sip:481516234*274113@192.0.2.254 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK{method}\r\n"
            "Max-Forwards: 70\r\nFrom: <sip:101@example.com>;tag=a\r\nTo: <sip:102@example.com>\r\n"
            f"Call-ID: {method}\r\nCSeq: 1 {method}\r\nContact: <sip:101@192.0.2.1>\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        message = parse_message(text.encode())
        self.exchange.on_message(message, PEER)
        return self.sent[-1].status


async def test_a_request_that_meets_a_fault_is_answered_all_the_same() -> None:
    desk = Desk()
    assert desk.receive("OPTIONS") == 500
    assert desk.receive("INVITE") == 500
    assert desk.endpoint.sessions == 0
    # Time goes on: the 500 to the INVITE is repeated until its ACK.
    sent = len(desk.sent)
    await asyncio.sleep(0.7)
    assert len(desk.sent) > sent


async def test_an_effect_that_fails_does_not_swallow_those_after_it() -> None:
    desk = Desk()
    desk.switchboard.tell("broken")
    desk.switchboard.tell("next")
    desk.exchange.on_media_event(media.PlayEnded(leg=1, play=1, reason="finished"))
    assert desk.notices == ["broken", "next"]
