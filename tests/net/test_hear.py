"""What a tap is told: every message with its own bytes, whatever carried it, also what nobody answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.net.certificate import own_certificate
from ringback.net.transports import SipTransports
from ringback.sip.flow import Flow
from ringback.sip.message import Message, Request
from ringback.sip.parse import Malformed

HERE = "127.0.0.1"
# Compact, folded, with odd spaces: as no encoder of ours would write it.
OPTIONS = (
    b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nv: SIP/2.0/TCP 127.0.0.1:5062 ;branch=z9hG4bK1\r\n"
    b"f:<sip:101@example.com>;tag=a\r\nt :\r\n <sip:127.0.0.1>\r\ni: 1\r\nCSeq: 1\tOPTIONS\r\nl: 3\r\n\r\nabc"
)
ACK_WITHOUT_ANYTHING = b"ACK sip:127.0.0.1 SIP/2.0\r\nContent-Length: 0\r\n\r\n"
NO_SIP = b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
STREAM = OPTIONS + b"\r\n\r\n" + ACK_WITHOUT_ANYTHING + NO_SIP


async def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_every_message_is_told_as_it_was(transport: str, tmp_path: Path) -> None:
    heard: list[tuple[bytes, Flow, Message | Malformed]] = []
    delivered: list[Message | Malformed] = []
    transports = SipTransports(
        lambda message, _: delivered.append(message), hear=lambda *told: heard.append(told)
    )
    addresses = await transports.open(
        HERE, udp_port=0, tcp_port=0, tls_port=0, certificate=own_certificate(tmp_path)
    )
    address = addresses[transport]  # type: ignore[index]
    try:
        if transport == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for data in (OPTIONS, b"\r\n\r\n", ACK_WITHOUT_ANYTHING, NO_SIP):
                    sock.sendto(data, address)
        else:
            context = ssl._create_unverified_context() if transport == "tls" else None
            _, writer = await asyncio.open_connection(*address, ssl=context)
            for at in range(0, len(STREAM), 11):
                writer.write(STREAM[at : at + 11])
                await writer.drain()
        await until(lambda: len(heard) == 3)
    finally:
        await transports.close()
    assert [data for data, _, _ in heard] == [OPTIONS, ACK_WITHOUT_ANYTHING, NO_SIP]
    assert {flow.transport for _, flow, _ in heard} == {transport}
    assert {flow.local for _, flow, _ in heard} == {address}
    assert [type(message) for *_, message in heard] == [Request, Malformed, Malformed]
    assert [type(message) for message in delivered] == [Request]


async def test_a_fault_of_the_tap_costs_no_message() -> None:
    delivered: list[Message | Malformed] = []

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    transports = SipTransports(lambda message, _: delivered.append(message), hear=fail)
    addresses = await transports.open(HERE, udp_port=0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(OPTIONS, addresses["udp"])
        await until(lambda: delivered)
    finally:
        await transports.close()
    assert transports.counts().failures == 1
