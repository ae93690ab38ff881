"""Several addresses, both families, keep-alives, and who proves what on TLS; real sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.net.bind import LocalAddresses
from ringback.net.certificate import CertificatePaths, own_certificate
from ringback.net.tls import client_context
from ringback.net.transports import SipTransports
from ringback.sip.flow import UNBOUND, Address, Flow
from ringback.sip.message import Request
from tests.net.test_transports import Server, answer, options, until

BOTH = ("127.0.0.1", "::1")


@contextlib.asynccontextmanager
async def listening(**settings: object) -> AsyncIterator[Server]:
    server = Server()
    await server.transports.open(BOTH, udp_port=0, tcp_port=0, **settings)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        await server.transports.close()


def address(transports: SipTransports, transport: str, host: str) -> Address:
    return next(one for one in transports.listening[transport] if one[0] == host)  # type: ignore[index]


@contextlib.contextmanager
def datagrams(host: str) -> AsyncIterator[socket.socket]:  # type: ignore[misc]
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.setblocking(False)
        yield sock


async def received(sock: socket.socket) -> tuple[bytes, Address]:
    data, source = await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(sock, 9_000), 5.0)
    return data, source[:2]


@pytest.mark.parametrize("host", BOTH)
async def test_each_address_answers_from_itself(host: str) -> None:
    async with listening() as server:
        ours = address(server.transports, "udp", host)
        with datagrams(host) as sock:
            sock.sendto(options(), ours)
            data, source = await received(sock)
            assert data.startswith(b"SIP/2.0 200")
            assert source == ours
            flow = server.messages[0][1]
            assert server.transports.contact_address(flow) == ours
        reader, writer = await asyncio.open_connection(*address(server.transports, "tcp", host))
        writer.write(options())
        assert (await answer(reader)).startswith(b"SIP/2.0 200")
        flow = server.messages[1][1]
        assert server.transports.contact_address(flow) == address(server.transports, "tcp", host)
        writer.close()


@pytest.mark.parametrize("host", BOTH)
async def test_what_we_begin_leaves_by_the_family_of_the_target(host: str) -> None:
    async with listening() as server:
        with datagrams(host) as sock:
            flow = Flow("udp", UNBOUND, sock.getsockname()[:2])
            assert server.transports.send(flow, options())
            _, source = await received(sock)
            assert (
                source == address(server.transports, "udp", host) == server.transports.contact_address(flow)
            )


def test_of_two_addresses_of_a_family_the_one_on_the_way_is_named() -> None:
    local = LocalAddresses([("127.0.0.2", 5060), ("127.0.0.1", 5060), ("::1", 5060)])
    assert local.towards("127.0.0.1") == ("127.0.0.1", 5060)
    assert local.socket_for(("127.0.0.2", 5060), "127.0.0.1") == ("127.0.0.2", 5060)
    assert local.towards("::1") == ("::1", 5060)
    assert local.towards("sip.example.com")[0] in ("127.0.0.1", "127.0.0.2")


async def test_stun_keep_alives_are_answered_and_nobody_is_flooded_by_the_answers() -> None:
    async with listening() as server:
        ours = address(server.transports, "udp", "127.0.0.1")
        request = bytes.fromhex("00010000 2112a442") + b"transaction1"
        with datagrams("127.0.0.1") as sock:
            sock.sendto(request, ours)
            data, source = await received(sock)
            assert (data[:2], data[8:20], source) == (b"\x01\x01", b"transaction1", ours)
            count = 2_000
            for _ in range(count):
                sock.sendto(request, ours)
                await asyncio.sleep(0)
            sock.sendto(options(), ours)
            answers = 0
            while not (await received(sock))[0].startswith(b"SIP/2.0"):
                answers += 1
            assert 0 < answers < count / 2
        assert server.transports.counts().ignored > count / 2


class TestClientCertificates:
    @pytest.fixture
    def ours(self, tmp_path: Path) -> CertificatePaths:
        return own_certificate(tmp_path / "ours")

    @pytest.fixture
    def theirs(self, tmp_path: Path) -> CertificatePaths:
        return own_certificate(tmp_path / "theirs")

    async def ask(self, server: Server, trusted: CertificatePaths, own: CertificatePaths | None) -> bytes:
        context = client_context(trusted.authority)
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        try:
            reader, writer = await asyncio.open_connection(
                *address(server.transports, "tls", "127.0.0.1"), ssl=context
            )
            writer.write(options())
            got = await asyncio.wait_for(reader.read(12), 5.0)
            writer.close()
        except (ssl.SSLError, ConnectionError):
            return b"refused"
        return got or b"refused"

    async def test_who_must_show_one_and_has_none_or_a_strangers_is_refused(
        self, ours: CertificatePaths, theirs: CertificatePaths, tmp_path: Path
    ) -> None:
        stranger = own_certificate(tmp_path / "stranger")
        async with listening(
            tls_port=0,
            certificate=ours,
            client_authorities=theirs.authority,
            require_client_certificate=True,
        ) as server:
            assert await self.ask(server, ours, theirs) == b"SIP/2.0 200 "
            assert await self.ask(server, ours, None) == b"refused"
            assert await self.ask(server, ours, stranger) == b"refused"
            assert len(server.messages) == 1
            server.transports.reload_certificate(theirs)
            assert await self.ask(server, theirs, None) == b"refused"

    async def test_who_may_show_one_need_not(self, ours: CertificatePaths, theirs: CertificatePaths) -> None:
        async with listening(tls_port=0, certificate=ours, client_authorities=theirs.authority) as server:
            assert await self.ask(server, ours, None) == b"SIP/2.0 200 "
            assert await self.ask(server, ours, theirs) == b"SIP/2.0 200 "

    async def test_we_show_ours_when_we_connect(
        self, ours: CertificatePaths, theirs: CertificatePaths
    ) -> None:
        async with (
            listening(
                tls_port=0,
                certificate=theirs,
                client_authorities=ours.authority,
                require_client_certificate=True,
            ) as peer,
            listening(tls_port=0, certificate=ours, client_authorities=theirs.authority) as server,
        ):
            flow = Flow("tls", UNBOUND, address(peer.transports, "tls", "127.0.0.1"))
            assert server.transports.send(flow, options())
            await until(lambda: server.messages)
            assert isinstance(peer.messages[0][0], Request)

    async def test_a_server_proves_the_name_that_it_was_found_by(
        self, ours: CertificatePaths, theirs: CertificatePaths
    ) -> None:
        async with (
            listening(tls_port=0, certificate=theirs) as peer,
            listening(tls_port=0, certificate=ours, client_authorities=theirs.authority) as server,
        ):
            where = address(peer.transports, "tls", "127.0.0.1")
            wrong = Flow("tls", UNBOUND, where, 0, "sip.example.com")
            assert server.transports.send(wrong, options())
            await until(lambda: server.lost == [wrong])
            right = Flow("tls", UNBOUND, where, 0, "localhost")
            assert server.transports.send(right, options())
            await until(lambda: server.messages)
            assert len(peer.messages) == 1
