"""HTTPS and WSS with real clients that trust nothing but the server's own authority."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from socket import create_connection

import httpx
import pytest
import websockets
from fastapi import WebSocket

from ringback.config import Settings, SettingsError, load_settings
from ringback.net.certificate import own_certificate
from ringback.net.tls import server_context
from ringback.store.store import open_store
from ringback.testing.fake_operations import FakeOperations
from ringback.web import serving
from ringback.web.app import announce, create_app
from ringback.web.links import Links
from ringback.web.serving import WebServer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {"RINGBACK_WEB__PORT": "0", "RINGBACK_WEB__BIND": "0.0.0.0"}
    return load_settings(environ=environ, data_dir=tmp_path / "data")


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[WebServer]:
    store = await open_store(settings)
    operations = FakeOperations()
    app = create_app(store, operations, settings)

    async def answer(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(f"{socket.url.scheme} {await socket.receive_text()}")
        await socket.close()

    app.add_api_websocket_route("/talk", answer)
    paths = own_certificate(settings.tls_dir)
    web = WebServer(app, settings, server_context(paths.certificate, paths.key))
    await web.start()
    announce(app, web_port=web.address[1], sip_port=5060)
    yield web
    operations.events.close()
    await web.stop()
    await store.close()


@pytest.fixture
def trusting(server: WebServer, settings: Settings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(settings.tls_dir / "ca.pem"))


def client(server: WebServer, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
    url = f"https://localhost:{server.address[1]}"
    return httpx.AsyncClient(base_url=url, verify=verify, trust_env=False)


async def test_who_trusts_the_authority_is_served_and_finds_it_on_the_page(server, settings, trusting):
    async with client(server, trusting) as browser:
        assert (await browser.get("/healthz")).json() == {"status": "ok"}
        answer = await browser.get("/ca.pem")
    assert answer.headers["content-type"] == "application/x-x509-ca-cert"
    assert answer.content == (settings.tls_dir / "ca.pem").read_bytes()
    assert b"PRIVATE" not in answer.content


async def test_who_does_not_trust_it_goes_no_further(server):
    async with client(server, True) as browser:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await browser.get("/healthz")


async def test_websockets_run_over_tls(server, trusting):
    url = f"wss://localhost:{server.address[1]}/talk"
    async with websockets.connect(url, ssl=trusting) as socket:
        await socket.send("OPTIONS")
        assert await socket.recv() == "wss OPTIONS"


async def test_who_leaves_slowly_does_not_disturb_the_end_of_the_server(server, trusting):
    address = ("localhost", server.address[1])

    def leave() -> ssl.SSLSocket:
        socket = trusting.wrap_socket(create_connection(address, timeout=5), server_hostname="localhost")
        socket.sendall(
            b"GET /talk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b" 101 " in socket.recv(4096)
        # Goodbye by WebSocket; TLS's own goodbye is never answered, as when the network is gone.
        socket.sendall(b"\x88\x80\0\0\0\0")
        assert socket.recv(4096).startswith(b"\x88")
        return socket

    leaving = await asyncio.to_thread(leave)
    async with asyncio.timeout(serving.SHUTDOWN_PATIENCE_S / 2):
        await server.stop()
    leaving.close()


async def test_nothing_is_said_in_the_clear(server, trusting):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.address[1])
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert b"HTTP" not in await asyncio.wait_for(reader.read(), 5)
    writer.close()
    async with client(server, trusting) as browser:
        assert (await browser.get("/healthz")).status_code == 200


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_tls_is_refused(server, trusting):
    trusting.minimum_version = ssl.TLSVersion.TLSv1
    trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    trusting.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("localhost", server.address[1], ssl=trusting)


async def test_handshakes_that_never_come_take_few_places_and_end(server, trusting, monkeypatch):
    monkeypatch.setattr(serving, "HEADER_PATIENCE_S", 1.0)
    opened = [
        await asyncio.open_connection("127.0.0.1", server.address[1], local_addr=("127.0.0.77", 0))
        for _ in range(150)
    ]
    await asyncio.sleep(0.3)
    assert sum(not reader.at_eof() for reader, _ in opened) == serving.CONNECTIONS_PER_SOURCE
    async with client(server, trusting) as browser:
        assert (await browser.get("/healthz")).status_code == 200
    for reader, writer in opened:
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_stopping_closes_connections_and_the_port(server, trusting):
    async with client(server, trusting) as browser:
        await browser.get("/healthz")
        async with asyncio.timeout(1.5):
            await server.stop()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", server.address[1])


@pytest.mark.parametrize(
    ("bind", "start"),
    [("127.0.0.1", "http://127.0.0.1:8080"), ("::1", "http://[::1]:8080"), ("0.0.0.0", "https://")],
)
def test_links_say_what_is_spoken(tmp_path, bind, start):
    settings = load_settings(environ={"RINGBACK_WEB__BIND": bind}, data_dir=tmp_path)
    assert Links.of(settings).web.startswith(start)


def test_a_certificate_of_ones_own_is_given_with_its_key(tmp_path):
    with pytest.raises(SettingsError, match=r"web\.certificate and web\.private_key"):
        load_settings(environ={"RINGBACK_WEB__CERTIFICATE": "/tls.pem"}, data_dir=tmp_path)
    given = {"RINGBACK_WEB__CERTIFICATE": "/tls.pem", "RINGBACK_WEB__PRIVATE_KEY": "/tls.key"}
    assert load_settings(environ=given, data_dir=tmp_path).web.secure


async def test_plain_http_has_no_authority_to_trust(tmp_path):
    settings = load_settings(environ={"RINGBACK_WEB__PORT": "0"}, data_dir=tmp_path / "data")
    store = await open_store(settings)
    app = create_app(store, FakeOperations(), settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as stranger:
        assert (await stranger.get("/ca.pem")).status_code == 404
    await store.close()
