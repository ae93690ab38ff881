from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable

import pytest

from ringback.net.certificate import CertificatePaths, own_certificate
from ringback.net.limits import Limits
from ringback.net.tls import client_context
from ringback.net.transports import SipTransports
from ringback.sip.flow import Flow
from ringback.sip.message import Message, Request, encode, make_response
from ringback.sip.parse import Malformed

HERE = "127.0.0.1"


def options(number: int = 1, body: bytes = b"") -> bytes:
    head = (
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/TCP 127.0.0.1:5062;branch=z9hG4bK{number}\r\n"
        "From: <sip:101@example.com>;tag=a\r\n"
        "To: <sip:127.0.0.1>\r\n"
        f"Call-ID: {number}\r\n"
        "CSeq: 1 OPTIONS\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Server:
    """Answers every request with 200 and every malformed one with what it deserves, on its flow."""

    def __init__(self, limits: Limits | None = None, tls_client: ssl.SSLContext | None = None) -> None:
        self.messages: list[tuple[Message | Malformed, Flow]] = []
        self.lost: list[Flow] = []
        self.transports = SipTransports(self.receive, self.lost.append, limits, tls_client=tls_client)

    def receive(self, message: Message | Malformed, flow: Flow) -> None:
        self.messages.append((message, flow))
        if isinstance(message, Request):
            if message.method == "OPTIONS":
                self.transports.send(flow, encode(make_response(message, 200, to_tag="t")))
        elif isinstance(message, Malformed):
            self.transports.send(flow, f"SIP/2.0 {message.status} Bad\r\nContent-Length: 0\r\n\r\n".encode())

    def port(self, transport: str) -> int:
        return self.transports.addresses[transport][1]  # type: ignore[index]


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(
    limits: Limits | None = None,
    certificate: CertificatePaths | None = None,
    tls_client: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    server = Server(limits, tls_client)
    await server.transports.open(
        HERE, udp_port=0, tcp_port=0, tls_port=0 if certificate else None, certificate=certificate
    )
    try:
        yield server
    finally:
        await server.transports.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificatePaths:
    return own_certificate(tmp_path_factory.mktemp("tls"))


def test_it_runs_on_uvloop_too(certificate: CertificatePaths) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def scenario() -> None:
        limits = Limits(connections_per_source=30, handshake_s=0.5, message_s=5.0)
        async with serving(limits, certificate, client_context(certificate.certificate)) as server:
            half_open = [await asyncio.open_connection(HERE, server.port("tls")) for _ in range(40)]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.sendto(options(1), (HERE, server.port("udp")))
            for transport in ("tcp", "tls"):
                context = client_context(certificate.certificate) if transport == "tls" else None
                reader, writer = await asyncio.open_connection(HERE, server.port(transport), ssl=context)
                writer.write(options(2) + options(3))
                for _ in range(2):
                    assert (await answer(reader)).startswith(b"SIP/2.0 200")
                assert server.transports.send(
                    Flow(transport, (HERE, 0), (HERE, server.port(transport))), options(4)
                )  # type: ignore[arg-type]
                writer.close()
            await until(lambda: len(server.messages) >= 9)
            for _, writer in half_open:
                writer.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
