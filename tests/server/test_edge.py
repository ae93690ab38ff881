"""What the edge learns of a source from its messages and from what they are answered."""

from __future__ import annotations

import pytest

from ringback.governance.sources import Ban, SipSources
from ringback.governance.throttle import SourceList
from ringback.server.edge import Edge
from ringback.sip.effects import Transmit
from ringback.sip.flow import Flow, Transport
from ringback.sip.message import Request
from ringback.sip.parse import parse_message

SERVER = ("192.0.2.254", 5060)


def request(
    agent: str = "Desk phone", from_: str = "<sip:101@example.com>", method: str = "REGISTER"
) -> Request:
    message = parse_message(
        (
            f"{method} sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\r\n"
            f"From: {from_};tag=a\r\nTo: <sip:101@example.com>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n"
            f"User-Agent: {agent}\r\nContent-Length: 0\r\n\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


class Watched:
    def __init__(self) -> None:
        self.told: list[Ban] = []
        self.sources = SipSources(SourceList(), on_ban=lambda ban, _now: self.told.append(ban))
        self.edge = Edge(self.sources)

    def answer(self, message: Request, flow: Flow, status: int) -> None:
        self.edge.answered(message, flow, [Transmit(flow, f"SIP/2.0 {status} No\r\n\r\n".encode())], 0.0)


def flow(transport: Transport = "udp") -> Flow:
    return Flow(transport, SERVER, ("198.51.100.1", 5060), 0 if transport == "udp" else 1)


@pytest.mark.parametrize(
    "message",
    [
        request("friendly-scanner"),
        request("Friendly-Scanner 2.0"),
        request("sipcli/v1.8"),
        request(from_='"sipvicious" <sip:100@1.1.1.1>'),
    ],
)
def test_a_scanner_by_its_own_word_is_not_answered(message: Request) -> None:
    watched = Watched()
    assert not watched.edge.admits(message, flow(), 0.0)
    assert [(ban.reason, ban.proven) for ban in watched.told] == [("scanner", False)]


@pytest.mark.parametrize(
    "message", [request("Desk phone"), request(from_='"Ada sipvicious fan" <sip:101@example.com>')]
)
def test_a_phone_is_answered(message: Request) -> None:
    watched = Watched()
    assert watched.edge.admits(message, flow(), 0.0)
    assert not watched.told


def test_what_calls_itself_a_scanner_and_has_an_account_is_a_phone() -> None:
    watched = Watched()
    watched.sources.proved(flow().remote, 0.0)
    assert watched.edge.admits(request("friendly-scanner"), flow(), 0.0)


@pytest.mark.parametrize(("transport", "proven"), [("udp", False), ("tcp", True), ("wss", True)])
@pytest.mark.parametrize(("status", "reason"), [(401, "accounts"), (405, "requests"), (400, "requests")])
def test_many_refusals_shut_a_source_out(
    transport: Transport, proven: bool, status: int, reason: str
) -> None:
    watched = Watched()
    for _ in range(150):
        watched.answer(request(), flow(transport), status)
    assert [(ban.reason, ban.proven) for ban in watched.told] == [(reason, proven)]


@pytest.mark.parametrize("status", [100, 200, 403, 480, 486, 503])
def test_what_phones_are_answered_counts_for_nothing(status: int) -> None:
    watched = Watched()
    for _ in range(500):
        watched.answer(request(), flow("tcp"), status)
    assert not watched.told
