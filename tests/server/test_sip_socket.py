"""Pages' connections as SIP flows, without a web."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ringback.server import sip_socket
from ringback.server.sip_socket import SipSockets
from ringback.sip.flow import Flow
from ringback.sip.message import Message, Request
from ringback.sip.parse import Malformed

OPTIONS = (
    b"OPTIONS sip:192.0.2.254 SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"To: <sip:192.0.2.254>\r\nFrom: <sip:v-1@192.0.2.254>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
)


class Doorway:
    def __init__(self) -> None:
        self.messages: list[tuple[Message | Malformed, Flow]] = []
        self.lost: list[Flow] = []
        self.sent: list[tuple[int, bytes]] = []
        self.closed: list[int] = []
        self.sockets = SipSockets(
            lambda message, flow: self.messages.append((message, flow)),
            self.lost.append,
            lambda: ("192.0.2.254", 443),
        )

    def page(self, host: str = "192.0.2.7") -> int | None:
        name = len(self.closed) + len(self.sent) + len(self.sockets) + 1
        return self.sockets.connected(
            (host, 50_000),
            True,
            lambda data: self.sent.append((name, data)),
            lambda: self.closed.append(name),
        )


def test_a_frame_is_a_message_and_answers_go_back_the_same_way() -> None:
    doorway = Doorway()
    page = doorway.page()
    assert page is not None
    doorway.sockets.received(page, OPTIONS)
    ((message, flow),) = doorway.messages
    assert isinstance(message, Request)
    assert (flow.transport, flow.secure, flow.remote) == ("wss", True, ("192.0.2.7", 50_000))
    assert doorway.sockets.send(flow, b"SIP/2.0 200 OK")
    assert [data for _, data in doorway.sent] == [b"SIP/2.0 200 OK"]
    doorway.sockets.closed(page)
    assert doorway.lost == [flow]
    assert not doorway.sockets.send(flow, b"SIP/2.0 200 OK")
    doorway.sockets.received(page, OPTIONS)
    assert len(doorway.messages) == 1


def test_one_connection_is_cut_and_no_other_that_has_its_number() -> None:
    doorway = Doorway()
    doorway.page()
    page = doorway.page()
    assert page is not None
    doorway.sockets.received(page, OPTIONS)
    flow = doorway.messages[0][1]
    doorway.sockets.cut(replace(flow, remote=("192.0.2.9", 1)))
    doorway.sockets.cut(replace(flow, id=99))
    assert doorway.closed == []
    doorway.sockets.cut(flow)
    assert doorway.closed == [2]


def test_keep_alives_are_answered_and_nothing_else_that_is_no_sip() -> None:
    doorway = Doorway()
    page = doorway.page()
    assert page is not None
    for frame in (b"\r\n\r\n", b"\r\n", b"", b"hello", b"\x00" * 100, b"SIP/2.0 200 OK\r\n\r\n"):
        doorway.sockets.received(page, frame)
    assert [data for _, data in doorway.sent] == [b"\r\n"]
    assert doorway.messages == []


def test_one_source_does_not_take_all_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_socket, "SOCKETS_PER_SOURCE", 3)
    doorway = Doorway()
    first = doorway.page()
    assert first is not None
    doorway.sockets.received(first, OPTIONS)
    doorway.page()
    doorway.page()
    # The oldest that never said anything gives way; those who speak stay.
    fourth = doorway.page()
    assert fourth is not None
    assert doorway.closed == [2]
    assert doorway.page("192.0.2.8") is not None


def test_a_fault_with_one_message_is_not_the_connections(caplog: pytest.LogCaptureFixture) -> None:
    doorway = Doorway()
    page = doorway.page()
    assert page is not None

    def fail(message: Message | Malformed, flow: Flow) -> None:
        raise RuntimeError("a fault of ours")

    doorway.sockets._on_message = fail
    doorway.sockets.received(page, OPTIONS)
    assert len(doorway.sockets) == 1


def test_a_tap_hears_every_frame_that_is_no_keep_alive() -> None:
    heard: list[tuple[bytes, Flow, Message | Malformed]] = []
    sockets = SipSockets(
        lambda _message, _flow: None,
        lambda _flow: None,
        lambda: ("192.0.2.254", 443),
        hear=lambda *told: heard.append(told),
    )
    page = sockets.connected(("192.0.2.7", 50_000), True, lambda _data: None, lambda: None)
    assert page is not None
    for frame in (OPTIONS, b"\r\n\r\n", b"no SIP at all"):
        sockets.received(page, frame)
    assert [data for data, _, _ in heard] == [OPTIONS, b"no SIP at all"]
    assert [type(message) for *_, message in heard] == [Request, Malformed]
    assert {flow.transport for _, flow, _ in heard} == {"wss"}
