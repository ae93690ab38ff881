"""Streams against the grain, to a running server: odd pieces, wrong lengths, silence (RFC 3261 §18.3)."""

from __future__ import annotations

import asyncio
import random
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import websockets

from tests.wire.server import RingbackServer
from tests.wire.stream_peer import StreamPeer, options

pytestmark = [pytest.mark.wire]

BOTH = pytest.mark.parametrize("transport", ["tcp", "tls"])
NOISE = random.Random(5)
IDLE_CONNECTIONS = 1_000
SLOWEST_S = 10.0
"""What a peer has for a handshake, for its first message, and for the rest of one that has begun."""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RingbackServer]:
    """A server that counts connections of loopback like any other's."""
    server = RingbackServer(tmp_path_factory.mktemp("strict"), limits=True).start()
    yield server
    assert "Traceback" not in server.output()
    server.stop()


def serves(server: RingbackServer, source: str = "127.0.80.1") -> None:
    """See that newcomers are answered by both transports."""
    for transport in ("tcp", "tls"):
        with StreamPeer(server, transport, source) as peer:
            peer.send(options(1))
            assert peer.message().status == 200


def memory_mb(server: RingbackServer) -> float:
    """What the control process holds."""
    assert server.process is not None
    with open(f"/proc/{server.process.pid}/statm") as pages:
        return int(pages.read().split()[1]) * resource.getpagesize() / 1e6


@BOTH
def test_a_byte_at_a_time(server: RingbackServer, transport: str) -> None:
    with StreamPeer(server, transport) as peer:
        for byte in options(1, b"hello") + options(2):
            peer.send(bytes([byte]))
        assert [(peer.message().status, number) for number in (1, 2)] == [(200, 1), (200, 2)]


@BOTH
def test_many_in_one_segment_are_answered_in_order(server: RingbackServer, transport: str) -> None:
    with StreamPeer(server, transport) as peer:
        peer.send(b"".join(options(number, b"x" * (number % 7)) for number in range(500)))
        answers = [peer.message() for _ in range(500)]
    assert [int(answer.get("Call-ID")) for answer in answers] == list(range(500))
    assert {answer.status for answer in answers} == {200}


@BOTH
@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("", 400),
        ("Content-Length: -5\r\n", 400),
        ("Content-Length: 5x\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 5\r\nl: 6\r\n", 400),
        ("Content-Length: 99999999999999999999999\r\n", 400),
        ("Content-Length: 900000000\r\n", 413),
    ],
    ids=["missing", "negative", "letters", "hexadecimal", "empty", "two", "no number", "huge"],
)
def test_a_length_that_cannot_be_gets_one_answer_and_the_end(
    server: RingbackServer, transport: str, length: str, status: int
) -> None:
    with StreamPeer(server, transport) as peer:
        # What is behind it could be anything, so it is not looked at.
        peer.send(options(1, b"hello", length) + options(2))
        assert [answer.status for answer in peer.rest()] == [status]
    serves(server)


@BOTH
def test_a_length_too_small_makes_the_rest_another_message(server: RingbackServer, transport: str) -> None:
    with StreamPeer(server, transport) as peer:
        peer.send(options(1, b"hello", "Content-Length: 3\r\n") + options(2) + options(3))
        # "loOPTIONS" is no method that anybody knows; where it ends is clear.
        assert [peer.message().status for _ in range(3)] == [200, 501, 200]


@BOTH
def test_a_length_too_large_swallows_what_follows(server: RingbackServer, transport: str) -> None:
    hidden = options(2)
    with StreamPeer(server, transport) as peer:
        peer.send(options(1, b"hello", f"Content-Length: {5 + len(hidden)}\r\n"))
        assert peer.silent(0.3)
        peer.send(hidden + options(3))
        assert [peer.message().get("Call-ID") for _ in range(2)] == ["1", "3"]


@BOTH
def test_the_same_length_twice_is_one(server: RingbackServer, transport: str) -> None:
    with StreamPeer(server, transport) as peer:
        peer.send(options(1, b"hello", "Content-Length: 5\r\nl: 5\r\n") + options(2))
        assert [peer.message().status for _ in range(2)] == [200, 200]


@BOTH
def test_a_head_of_64_kib_is_read_and_a_longer_one_refused(server: RingbackServer, transport: str) -> None:
    line = "X-Long: " + "a" * 990 + "\r\n"
    with StreamPeer(server, transport) as peer:
        peer.send(options(1, more=line * 64) + options(2))
        assert [peer.message().status for _ in range(2)] == [200, 200]
    with StreamPeer(server, transport) as peer:
        peer.send(options(1, more=line * 70) + options(2))
        assert [answer.status for answer in peer.rest()] == [400]
    with StreamPeer(server, transport) as peer:
        peer.send(options(1, more="X-Much: " + "a" * 1_000_000))
        assert [answer.status for answer in peer.rest()] == [400]
    serves(server)


@BOTH
def test_each_ping_gets_a_pong(server: RingbackServer, transport: str) -> None:
    with StreamPeer(server, transport) as peer:
        for piece in (b"\r\n", b"\r\n", b"\r\n\r\n", b"\r", b"\n\r\n"):
            peer.send(piece)
            time.sleep(0.02)
        assert peer.read(6) == b"\r\n" * 3
        peer.send(b"\r\n\r\n" * 1_000 + options(1))
        assert peer.read(2_000) == b"\r\n" * 1_000
        assert peer.message().status == 200
        peer.send(b"\r\n")
        assert peer.silent(0.2)


@BOTH
@pytest.mark.parametrize(
    "garbage",
    [NOISE.randbytes(200_000), b"\r\nX", b"\r\n\r\n" * 9 + b"\n"],
    ids=["noise", "half a ping", "a bare LF"],
)
def test_garbage_after_a_right_message_ends_the_connection(
    server: RingbackServer, transport: str, garbage: bytes
) -> None:
    with StreamPeer(server, transport) as peer:
        peer.send(options(1) + garbage + b"\r\n\r\n")
        assert [answer.status for answer in peer.rest(SLOWEST_S + 3)] == [200]
    serves(server)


@pytest.mark.parametrize(
    "hello",
    [
        NOISE.randbytes(300),
        options(1),
        b"\x16\x03\x01\xff\xff" + bytes(20_000),
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
    ],
    ids=["noise", "plain SIP", "a record too long", "an empty hello"],
)
def test_what_is_no_client_hello_ends_the_connection(server: RingbackServer, hello: bytes) -> None:
    with socket.create_connection(server.tls, 5) as connection:
        connection.sendall(hello)
        connection.settimeout(SLOWEST_S + 3)
        with suppress(ConnectionError):
            while connection.recv(4_096):
                pass
    serves(server)


def test_who_is_slow_is_closed_in_time_and_others_are_served(strict: RingbackServer) -> None:
    with ExitStack() as stack:
        slow = []
        for transport in ("tcp", "tls"):
            for begun in (b"", options(1)[:40], options(1, b"hello")[:-2]):
                peer = stack.enter_context(StreamPeer(strict, transport))
                peer.send(options(0) + begun if begun else b"")
                if begun:
                    assert peer.message().status == 200
                slow.append(peer)
        handshakes = [stack.enter_context(socket.create_connection(strict.tls, 5)) for _ in range(50)]
        for handshake in handshakes:
            handshake.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        began = time.monotonic()
        serves(strict)
        for peer in slow:
            assert peer.rest(began + SLOWEST_S + 5 - time.monotonic()) == []
        for handshake in handshakes:
            handshake.settimeout(max(0.1, began + SLOWEST_S + 5 - time.monotonic()))
            with suppress(ConnectionResetError):
                assert handshake.recv(1) == b""
    serves(strict)


def test_a_thousand_idle_connections_keep_nobody_out(strict: RingbackServer) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4 * IDLE_CONNECTIONS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * IDLE_CONNECTIONS, hard), hard))
    before = memory_mb(strict)
    with ExitStack() as stack:
        # Each has brought a message, so that none gives way to newcomers for being unknown.
        peers = []
        for number in range(IDLE_CONNECTIONS):
            source = f"127.0.{81 + number % 20}.1"
            peer = stack.enter_context(StreamPeer(strict, "tls" if number % 10 == 9 else "tcp", source))
            peer.send(options(number))
            peers.append(peer)
        assert {peer.message().status for peer in peers} == {200}
        serves(strict)
        # The largest message that may be begun and never ended, from each of a source's.
        for peer in peers[::20]:
            peer.send(options(1, more="X-Long: " + "a" * 60_000))
        serves(strict)
        assert memory_mb(strict) - before < 100
        assert all(peer.silent(0.001) for peer in peers[1:9])
    serves(strict)


# WebSocket


def talk(server: RingbackServer, **options: object) -> websockets.connect:
    """Connect as a page of the server's does, but for `options`."""
    return websockets.connect(
        f"ws://127.0.0.1:{server.web_port}/sip",
        **{
            "subprotocols": ["sip"],
            "origin": f"http://127.0.0.1:{server.web_port}",
            "compression": None,
            "open_timeout": 5,
        }
        | options,
    )


def status(text: object) -> int:
    return int(str(text).split()[1])


async def test_frames_whole_in_pieces_text_and_binary(server: RingbackServer) -> None:
    text = options(1).decode()
    octets = text.encode()
    one_by_one = [octets[at : at + 1] for at in range(len(octets))]
    async with talk(server) as page, asyncio.timeout(5):
        for way in (text, octets, [text[:9], "", text[9:50], text[50:]], one_by_one):
            await page.send(way)
            assert status(await page.recv()) == 200
        await page.send("\r\n\r\n")
        assert await page.recv() == "\r\n"


@pytest.mark.parametrize(
    "frame",
    ["", "\r\n", "\0", "hello", b"\xff\xfe\xfd", "INVITE sip:x SIP/2.0\r\n\r\n", NOISE.randbytes(60_000)],
    ids=["empty", "a pong", "NUL", "a word", "no UTF-8", "no header", "noise"],
)
async def test_a_frame_that_is_no_sip_is_passed_over(server: RingbackServer, frame: str | bytes) -> None:
    async with talk(server) as page, asyncio.timeout(5):
        await page.send(frame)
        await page.send(options(2).decode())
        assert status(await page.recv()) == 200


@pytest.mark.parametrize(
    "frame", ["a" * 65_537, b"a" * 10_000_000, ["a" * 40_000] * 3], ids=["text", "binary", "pieces"]
)
async def test_a_message_over_64_kib_ends_the_connection(server: RingbackServer, frame: object) -> None:
    before = memory_mb(server)
    async with talk(server) as page, asyncio.timeout(5):
        with pytest.raises(websockets.ConnectionClosed) as closed:  # noqa: PT012 - either of them may notice
            await page.send(frame)  # type: ignore[arg-type]
            await page.recv()
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
    assert memory_mb(server) - before < 20
    async with talk(server) as page, asyncio.timeout(5):
        await page.send(options(1))
        assert status(await page.recv()) == 200


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"subprotocols": ["mqtt"]}, 400),
        ({"subprotocols": None}, 400),
        ({"origin": "https://example.com"}, 403),
        ({"origin": None}, 403),
    ],
    ids=["another protocol", "none", "another page", "no page"],
)
async def test_who_is_not_our_page_is_refused(
    server: RingbackServer, wrong: dict[str, object], refusal: int
) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await talk(server, **wrong)
    assert refused.value.response.status_code == refusal
