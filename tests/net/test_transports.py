from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ringback.governance.throttle import SourceList
from ringback.net.certificate import CertificatePaths, own_certificate
from ringback.net.limits import Limits
from ringback.net.tls import client_context
from ringback.net.transports import SipTransports
from ringback.sip.flow import Flow
from ringback.sip.message import Message, Request, Response, encode, make_response
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


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5.0):
        return await reader.readuntil(b"\r\n\r\n")


@pytest.fixture
def udp() -> AsyncIterator[socket.socket]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HERE, 0))
    sock.setblocking(False)
    with sock:
        yield sock  # type: ignore[misc]


class TestUdp:
    async def test_a_request_is_answered_where_it_came_from(self, server: Server, udp: socket.socket) -> None:
        udp.sendto(options(), (HERE, server.port("udp")))
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(udp, 9_000), 5.0)
        assert data.startswith(b"SIP/2.0 200 OK\r\n")
        message, flow = server.messages[0]
        assert isinstance(message, Request)
        assert flow == Flow("udp", (HERE, server.port("udp")), udp.getsockname())

    async def test_garbage_changes_nothing(self, server: Server, udp: socket.socket) -> None:
        rng = random.Random(1)
        target = (HERE, server.port("udp"))
        good = options()
        for _ in range(1_000):
            udp.sendto(rng.randbytes(rng.randrange(0, 1_200)), target)
            cut = bytearray(good[: rng.randrange(len(good))])
            for _ in range(3):
                if cut:
                    cut[rng.randrange(len(cut))] = rng.randrange(256)
            udp.sendto(bytes(cut), target)
            await asyncio.sleep(0)
        await until(lambda: server.transports.counts().datagrams >= 2_000)
        server.messages.clear()
        udp.sendto(good, target)
        await until(lambda: server.messages)
        assert server.transports.counts().failures == 0

    async def test_keep_alives_are_no_messages(self, server: Server, udp: socket.socket) -> None:
        for data in (b"\r\n\r\n", b"\0\0\0\0", b"", b"\r\n"):
            udp.sendto(data, (HERE, server.port("udp")))
        await until(lambda: server.transports.counts().ignored == 4)
        assert server.messages == []

    async def test_thousands_of_messages_a_second(self, server: Server, udp: socket.socket) -> None:
        count, start, data = 4_000, time.perf_counter(), options()
        for _ in range(count):
            udp.sendto(data, (HERE, server.port("udp")))
            if _ % 50 == 0:
                await asyncio.sleep(0)
        await until(lambda: len(server.messages) == count, 20.0)
        rate = count / (time.perf_counter() - start)
        print(f"\nUDP: {rate:,.0f} messages/s received, parsed and answered")
        assert rate > 1_000

    async def test_what_cannot_be_sent_is_told(self, server: Server) -> None:
        local = ("127.0.0.1", server.port("udp"))
        assert not server.transports.send(Flow("udp", local, (HERE, 9)), b"x" * 70_000)
        assert not server.transports.send(Flow("udp", local, ("2001:db8::1", 5060)), b"x")
        assert not server.transports.send(Flow("udp", local, (HERE, 99_999)), b"x")
        assert server.transports.counts().unsent == 3

    async def test_a_handler_that_fails_costs_one_message(self, server: Server, udp: socket.socket) -> None:
        good = server.transports.on_message

        def fail(message: Message | Malformed, flow: Flow) -> None:
            server.transports.on_message = good
            raise RuntimeError("a broken invariant")

        server.transports.on_message = fail
        for _ in range(2):
            udp.sendto(options(), (HERE, server.port("udp")))
        await until(lambda: len(server.messages) == 1)
        assert server.transports.counts().failures == 1

    async def test_bound_to_everything_the_flow_names_the_address_the_peer_sees(
        self, udp: socket.socket
    ) -> None:
        server = Server()
        await server.transports.open("0.0.0.0", udp_port=0)
        udp.sendto(options(), (HERE, server.port("udp")))
        await until(lambda: server.messages)
        assert server.messages[0][1].local == (HERE, server.port("udp"))
        await server.transports.close()


class TestTcp:
    async def test_a_byte_at_a_time_and_all_at_once(self, server: Server) -> None:
        reader, writer = await asyncio.open_connection(HERE, server.port("tcp"))
        for byte in options(1, b"hello"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert b"Call-ID: 1\r\n" in await answer(reader)
        writer.write(b"".join(options(number, b"x" * number) for number in range(2, 60)))
        for number in range(2, 60):
            assert f"Call-ID: {number}\r\n".encode() in await answer(reader)
        flows = {flow for _, flow in server.messages}
        assert len(flows) == 1
        assert next(iter(flows)).id > 0
        writer.close()
        await until(lambda: server.lost == list(flows))

    async def test_a_ping_gets_a_pong(self, server: Server) -> None:
        reader, writer = await asyncio.open_connection(HERE, server.port("tcp"))
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 5.0) == b"\r\n"
        writer.write(options())
        assert (await answer(reader)).startswith(b"SIP/2.0 200")
        writer.close()

    async def test_a_header_of_ten_megabytes_ends_its_connection_only(self, server: Server) -> None:
        other_reader, other = await asyncio.open_connection(HERE, server.port("tcp"))
        _, writer = await asyncio.open_connection(HERE, server.port("tcp"))
        writer.write(options()[:-2] + b"X-Long: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(160):
                writer.write(b"x" * 65_536)
                await writer.drain()
        await until(lambda: len(server.lost) == 1)
        other.write(options(7))
        assert b"Call-ID: 7" in await answer(other_reader)
        writer.close()
        other.close()

    async def test_lost_framing_gets_one_answer_and_the_end(self, server: Server) -> None:
        reader, writer = await asyncio.open_connection(HERE, server.port("tcp"))
        writer.write(options().replace(b"Content-Length: 0", b"Content-Length: -1") + options(2))
        data = await asyncio.wait_for(reader.read(), 5.0)
        assert data.startswith(b"SIP/2.0 400")
        assert data.count(b"SIP/2.0") == 1
        writer.close()
        await until(lambda: len(server.lost) == 1)

    async def test_a_body_too_long_is_413(self, server: Server) -> None:
        reader, writer = await asyncio.open_connection(HERE, server.port("tcp"))
        writer.write(options().replace(b"Content-Length: 0", b"Content-Length: 99999999"))
        assert (await asyncio.wait_for(reader.read(), 5.0)).startswith(b"SIP/2.0 413")
        writer.close()

    async def test_noise_on_a_stream_is_dropped(self, server: Server) -> None:
        for seed in range(20):
            _, writer = await asyncio.open_connection(HERE, server.port("tcp"))
            writer.write(random.Random(seed).randbytes(2_000) + b"\r\n\r\n")
            await writer.drain()
        await until(lambda: len(server.lost) == 20)
        assert server.messages == []

    async def test_slow_and_silent_connections_end_and_trusted_ones_stay(self) -> None:
        async with serving(Limits(message_s=0.3, idle_s=0.8)) as server:
            _, silent = await asyncio.open_connection(HERE, server.port("tcp"))
            _, slow = await asyncio.open_connection(HERE, server.port("tcp"))
            streams = [await asyncio.open_connection(HERE, server.port("tcp")) for _ in range(2)]
            for number, (reader, writer) in enumerate(streams, 1):
                writer.write(options(number))
                await answer(reader)
            trusted = next(flow for message, flow in server.messages if message.call_id == "1")  # type: ignore[union-attr]
            assert server.transports.trust(trusted)
            for byte in options()[:60]:
                with contextlib.suppress(ConnectionError):
                    slow.write(bytes([byte]))
                await asyncio.sleep(0.05)
            await until(lambda: len(server.lost) == 3)
            assert trusted not in server.lost
            assert server.transports.counts().expired == 3
            reader, writer = streams[0]
            writer.write(options(3))
            assert b"Call-ID: 3" in await answer(reader)
            for one in (silent, slow, writer, streams[1][1]):
                one.close()

    async def test_half_open_connections_in_bulk_keep_nobody_out(self) -> None:
        async with serving(Limits(connections=60, connections_per_source=50)) as server:
            reader, writer = await asyncio.open_connection(HERE, server.port("tcp"))
            writer.write(options(1))
            await answer(reader)
            idle = [await asyncio.open_connection(HERE, server.port("tcp")) for _ in range(300)]
            assert server.transports.counts().connections <= 51
            fresh_reader, fresh = await asyncio.open_connection(HERE, server.port("tcp"))
            fresh.write(options(2))
            assert b"Call-ID: 2" in await answer(fresh_reader)
            writer.write(options(3))
            assert b"Call-ID: 3" in await answer(reader)
            assert server.transports.counts().displaced > 200
            for _, one in [*idle, (reader, writer), (fresh_reader, fresh)]:
                one.close()

    async def test_exempt_sources_are_not_counted(self) -> None:
        limits = Limits(connections_per_source=2, allow=SourceList(["127.0.0.0/8"]))
        async with serving(limits) as server:
            streams = [await asyncio.open_connection(HERE, server.port("tcp")) for _ in range(20)]
            for number, (reader, writer) in enumerate(streams):
                writer.write(options(number))
                assert f"Call-ID: {number}".encode() in await answer(reader)
                writer.close()

    async def test_who_does_not_read_is_cut_off(self) -> None:
        async with serving(Limits(write_buffer_bytes=100_000)) as server:
            _, writer = await asyncio.open_connection(HERE, server.port("tcp"))
            writer.write(options(1))
            await until(lambda: server.messages)
            flow = server.messages[0][1]
            sent = 0
            while server.transports.send(flow, b"x" * 50_000):
                sent += 1
                assert sent < 1_000
            await until(lambda: server.lost == [flow])
            assert not server.transports.send(flow, b"x")
            writer.close()


class TestConnecting:
    async def test_a_connection_is_opened_once_and_used_again(self, server: Server) -> None:
        async with serving() as other:
            flow = Flow("tcp", (HERE, 0), (HERE, other.port("tcp")))
            for number in range(1, 4):
                assert server.transports.send(flow, options(number))
            await until(lambda: len(server.messages) == 3)
            assert server.transports.send(flow, options(4))
            await until(lambda: len(server.messages) == 4)
            assert all(isinstance(message, Response) for message, _ in server.messages)
            assert len({flow.id for _, flow in other.messages}) == 1
            assert other.transports.counts().connections == 1
            # The other side reaches us by the connection we opened.
            theirs = other.messages[0][1]
            assert other.transports.send(Flow("tcp", theirs.local, theirs.remote), options(5))
            await until(lambda: len(other.messages) == 5)
            assert other.transports.counts().connections == 1
        await until(lambda: flow in server.lost)
        assert any(lost.id > 0 for lost in server.lost)

    async def test_nobody_there_is_told(self, server: Server) -> None:
        with socket.socket() as taken:
            taken.bind((HERE, 0))
            flow = Flow("tcp", (HERE, 0), taken.getsockname())
            assert server.transports.send(flow, options())
            await until(lambda: server.lost == [flow])

    async def test_what_waits_for_a_connection_is_bounded(self) -> None:
        async with serving(Limits(write_buffer_bytes=1_000)) as server:
            flow = Flow("tcp", (HERE, 0), (HERE, server.port("tcp")))
            assert server.transports.send(flow, b"x" * 900)
            assert not server.transports.send(flow, b"x" * 900)

    async def test_other_transports_are_not_ours(self, server: Server) -> None:
        assert not server.transports.send(Flow("wss", (HERE, 0), (HERE, 1)), b"x")


class TestPorts:
    async def test_a_taken_port_gives_way_to_the_next_free_one(self, server: Server) -> None:
        second = Server()
        await second.transports.open(HERE, udp_port=server.port("udp"), tcp_port=server.port("tcp"))
        for transport in ("udp", "tcp"):
            assert server.port(transport) < second.port(transport) < server.port(transport) + 100
        await second.transports.close()

    async def test_an_address_that_is_not_ours_is_an_error_and_leaves_nothing_open(self) -> None:
        server = Server()
        with pytest.raises(OSError, match=r".*"):
            await server.transports.open("192.0.2.1", udp_port=0, tcp_port=0)
        assert server.transports.addresses == {}

    async def test_closing_ends_everything_and_frees_the_ports(self) -> None:
        async with serving() as server:
            ports = server.port("udp"), server.port("tcp")
            reader, writer = await asyncio.open_connection(HERE, ports[1])
            writer.write(options())
            await answer(reader)
        assert await reader.read() == b""
        again = Server()
        await again.transports.open(HERE, udp_port=ports[0], tcp_port=ports[1])
        assert (again.port("udp"), again.port("tcp")) == ports
        await again.transports.close()
        writer.close()


class TestTls:
    def trusting(self, certificate: CertificatePaths) -> ssl.SSLContext:
        return client_context(certificate.certificate)

    async def connect(
        self, server: Server, certificate: CertificatePaths
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HERE, server.port("tls"), ssl=self.trusting(certificate))

    async def test_a_verifying_client_is_served(self, certificate: CertificatePaths) -> None:
        async with serving(certificate=certificate) as server:
            reader, writer = await self.connect(server, certificate)
            for number in range(20):
                writer.write(options(number, b"x" * 3_000))
                assert f"Call-ID: {number}\r\n".encode() in await answer(reader)
            assert server.messages[0][1].transport == "tls"
            assert server.messages[0][1].secure
            writer.close()
            await until(lambda: len(server.lost) == 1)

    async def test_what_comes_with_the_handshake_is_answered_inside_it(
        self, certificate: CertificatePaths
    ) -> None:
        """Sent by a blocking client at once after its Finished, before the server has its transport."""
        context = self.trusting(certificate)
        async with serving(certificate=certificate) as server:

            def talk() -> bytes:
                with (
                    socket.create_connection((HERE, server.port("tls")), 5.0) as raw,
                    context.wrap_socket(raw, server_hostname=HERE) as sock,
                ):
                    sock.sendall(options(1) + options(2))
                    data = b""
                    while data.count(b"\r\n\r\n") < 2:
                        data += sock.recv(9_000)
                    return data

            for _ in range(10):
                assert (await asyncio.to_thread(talk)).count(b"SIP/2.0 200") == 2

    async def test_openssl_s_client_and_old_versions(self, certificate: CertificatePaths) -> None:
        async with serving(certificate=certificate) as server:
            target = f"{HERE}:{server.port('tls')}"

            async def s_client(version: str) -> bytes:
                process = await asyncio.create_subprocess_exec(
                    "openssl", "s_client", "-connect", target, version, "-quiet", "-ign_eof",
                    "-CAfile", str(certificate.certificate), "-verify_return_error",
                    stdin=-1, stdout=-1, stderr=-3,
                )  # fmt: skip
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(options())
                try:
                    return await asyncio.wait_for(process.stdout.read(12), 5.0)
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()

            assert await s_client("-tls1_2") == b"SIP/2.0 200 "
            assert await s_client("-tls1_3") == b"SIP/2.0 200 "
            assert await s_client("-tls1_1") == b""

    async def test_half_open_handshakes_are_counted_and_end(self, certificate: CertificatePaths) -> None:
        limits = Limits(connections_per_source=30, handshake_s=0.5)
        async with serving(limits, certificate) as server:
            held = [await asyncio.open_connection(HERE, server.port("tls")) for _ in range(100)]
            for _, writer in held[::2]:
                writer.write(b"\x16\x03\x01")
            await until(lambda: server.transports.counts().connections <= 30)
            assert server.transports.counts().displaced == 70
            reader, writer = await self.connect(server, certificate)
            writer.write(options())
            assert (await answer(reader)).startswith(b"SIP/2.0 200")
            await until(lambda: server.transports.counts().connections == 1)
            for _, one in [*held, (reader, writer)]:
                one.close()

    async def test_plain_text_on_the_tls_port_harms_nothing(self, certificate: CertificatePaths) -> None:
        async with serving(certificate=certificate) as server:
            for _ in range(5):
                reader, writer = await asyncio.open_connection(HERE, server.port("tls"))
                writer.write(options())
                await asyncio.wait_for(reader.read(), 5.0)
                writer.close()
            await until(lambda: server.transports.counts().connections == 0)
            assert server.messages == []

    async def test_a_new_certificate_is_used_without_a_restart(
        self, certificate: CertificatePaths, tmp_path: Path
    ) -> None:
        fresh = own_certificate(tmp_path)
        async with serving(certificate=certificate) as server:
            reader, writer = await self.connect(server, certificate)
            server.transports.reload_certificate(fresh)
            with pytest.raises(ssl.SSLError):
                await self.connect(server, certificate)
            _, second = await self.connect(server, fresh)
            writer.write(options())
            assert (await answer(reader)).startswith(b"SIP/2.0 200")
            broken = CertificatePaths(fresh.certificate, certificate.key)
            with pytest.raises(OSError, match=r".*"):
                server.transports.reload_certificate(broken)
            _, third = await self.connect(server, fresh)
            for one in (writer, second, third):
                one.close()

    async def test_we_verify_whom_we_connect_to(self, certificate: CertificatePaths) -> None:
        async with (
            serving(certificate=certificate) as peer,
            serving(tls_client=self.trusting(certificate)) as trusting,
            serving() as careful,
        ):
            flow = Flow("tls", (HERE, 0), (HERE, peer.port("tls")))
            assert trusting.transports.send(flow, options())
            await until(lambda: trusting.messages)
            assert careful.transports.send(flow, options())
            await until(lambda: careful.lost == [flow])
            assert len(peer.messages) == 1


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
