"""Fifty thousand phones that register, and again every minute: memory, and whether all are answered soon."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import rig
from bench.memory import pss_kb
from ringback.config.settings import load_settings
from ringback.governance.private import Private
from ringback.sip.digest import Challenge, authorize, parse_challenge
from ringback.sip.uri import SipUri
from ringback.store.extensions import insert_extension, new_extension
from ringback.store.store import open_store
from tests.wire.server import RingbackServer

PHONES = 50_000
FIRST = 10_000
EVERY_S = 60
ROUNDS = 3
LATE_S = 0.5
_PASSWORD = Private("correct-horse-battery-staple")


def measure() -> Iterator[str]:
    """Make the accounts, let all register, then refresh for some minutes."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        server = RingbackServer(Path(folder))
        asyncio.run(_accounts(server.data))
        server.start()
        try:
            pid = int(server.ask("status")["pids"]["control"])
            yield f"{PHONES} accounts, none registered: {pss_kb(pid) / 1024:.0f} MB"
            crowd = Crowd(server.udp)
            for number in range(1 + ROUNDS):
                before = rig.cpu_s(pid)
                late, lost = asyncio.run(crowd.register())
                used = (rig.cpu_s(pid) - before) / EVERY_S
                what = "first time" if number == 0 else f"refresh {number}"
                yield (
                    f"{what}: {PHONES} in {EVERY_S} s, {late} answered after {LATE_S} s, {lost} not at all, "
                    f"{used:.0%} of a core, {pss_kb(pid) / 1024:.0f} MB (aim: under 300)"
                )
        finally:
            server.stop()


async def _accounts(data: Path) -> None:
    store = await open_store(load_settings(data_dir=data, environ={}))
    try:
        async with store.database.write() as connection:
            for number in range(FIRST, FIRST + PHONES):
                extension, _ = new_extension(str(number), password=_PASSWORD)
                await insert_extension(connection, store.sealer, extension)
    finally:
        await store.close()


class Crowd(asyncio.DatagramProtocol):
    """All phones behind one socket, each with its account; every one keeps its nonce for the next time."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._nonces: dict[int, tuple[Challenge, int]] = {}
        self._sent: dict[int, float] = {}
        self._sequence = dict.fromkeys(range(PHONES), 0)
        self._late = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_194_304)

    async def register(self) -> tuple[int, int]:
        """All of them, evenly over a minute: how many were answered late, and how many not at all."""
        self._late = 0
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket.dup())
        began = time.monotonic()
        for phone in range(PHONES):
            ahead = began + EVERY_S * phone / PHONES - time.monotonic()
            if ahead > 0.01:
                await asyncio.sleep(ahead)
            self._send(phone)
        await asyncio.sleep(2)
        self._transport.close()
        lost, self._sent = len(self._sent), {}
        return self._late, lost

    def _send(self, phone: int) -> None:
        assert self._transport is not None
        self._sequence[phone] += 1
        number, (host, port) = FIRST + phone, self._socket.getsockname()
        uri = SipUri("sip", host=self._server[0])
        proof = ""
        if phone in self._nonces:
            challenge, count = self._nonces[phone]
            self._nonces[phone] = challenge, count + 1
            value = authorize(challenge, "REGISTER", uri, str(number), _PASSWORD, nonce_count=count + 1)
            proof = f"Authorization: {value}\r\n"
        sequence = self._sequence[phone]
        message = (
            f"REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{phone}x{sequence}\r\n"
            f"From: <sip:{number}@{host}>;tag={phone}\r\nTo: <sip:{number}@{host}>\r\nCall-ID: {phone}\r\n"
            f"CSeq: {sequence} REGISTER\r\nContact: <sip:{number}@{host}:{port}>\r\nExpires: 120\r\n"
            f"Max-Forwards: 70\r\n{proof}Content-Length: 0\r\n\r\n"
        )
        self._sent.setdefault(phone, time.monotonic())
        self._transport.sendto(message.encode(), self._server)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        """An answer: the challenge is taken up, a 200 counted."""
        del addr
        text = data.decode()
        phone = int(text.partition("Call-ID: ")[2].partition("\r\n")[0])
        if " 401 " in text[:16]:
            challenge = parse_challenge(text.partition("WWW-Authenticate: ")[2].partition("\r\n")[0])
            assert challenge is not None
            self._nonces[phone] = challenge, 0
            self._send(phone)
        elif " 200 " in text[:16] and (sent := self._sent.pop(phone, None)) is not None:
            self._late += time.monotonic() - sent > LATE_S
