"""The real command opened to the LAN: one authority for pages and phones, and words on how to trust it."""

from __future__ import annotations

import socket
import ssl
import stat
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.config import load_settings
from ringback.server.certificates import certified_names
from tests.wire.server import RingbackServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RingbackServer]:
    # All of 127.0.0.0/8 and nothing else would be plain: the wildcard is what people set.
    server = RingbackServer(tmp_path / "server", settings={"RINGBACK_WEB__BIND": "0.0.0.0"})
    server.start(wait=False)
    yield server
    server.stop()


def wait_ready(server: RingbackServer) -> ssl.SSLContext:
    """A client that trusts the authority of a server, once it is ready."""
    deadline = time.monotonic() + 30
    while True:
        try:
            context = ssl.create_default_context(cafile=str(server.data / "tls" / "ca.pem"))
            url = f"https://localhost:{server.web_port}/readyz"
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                assert answer.status == 200
                return context
        except OSError:
            assert time.monotonic() < deadline, server.output()
            time.sleep(0.1)


def test_one_authority_covers_pages_and_phones_and_stays(server: RingbackServer) -> None:
    context = wait_ready(server)
    for port in (server.web_port, server.tls_port):
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            assert secured.version() in {"TLSv1.2", "TLSv1.3"}
    folder = server.data / "tls"
    assert stat.S_IMODE((folder / "ca-key.pem").stat().st_mode) == 0o600
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    server.stop()
    server.start(wait=False)
    wait_ready(server)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_pages_and_phones_see_a_renewed_certificate_without_a_restart(server: RingbackServer) -> None:
    context = wait_ready(server)

    def shown(port: int) -> bytes | None:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            return secured.getpeercert(binary_form=True)

    ports = (server.web_port, server.tls_port)
    before = {shown(port) for port in ports}
    (server.data / "tls" / "certificate.pem").unlink()
    server.ask("certificate", "reload")
    deadline = time.monotonic() + 10
    while before & {shown(port) for port in ports}:
        assert time.monotonic() < deadline, server.output()
        time.sleep(0.1)
    assert len({shown(port) for port in ports}) == 1


def test_it_says_how_to_trust_it_and_its_links_are_https(server: RingbackServer) -> None:
    wait_ready(server)
    (line,) = [line for line in server.output().splitlines() if "ringback certificate show" in line]
    assert str(server.data / "tls" / "ca.pem") in line
    assert server.add_meeting()["link"].startswith("https://")
    told = server.ask("certificate", "show")
    assert told["authority"]["path"] == str(server.data / "tls" / "ca.pem")
    assert told["web"]["sha256"] == told["sip"]["sha256"] != told["authority"]["sha256"]
    assert "127.0.0.1" in told["web"]["names"]
    words = server.run("certificate", "show").stdout
    assert told["authority"]["sha256"] in words
    for system in ("Debian", "Windows", "macOS", "Firefox"):
        assert system in words


def test_names_cover_every_way_in(tmp_path: Path) -> None:
    environ = {
        "RINGBACK_WEB__BIND": "0.0.0.0",
        "RINGBACK_WEB__PUBLIC_URL": "https://meet.example.com:8443/voice",
        "RINGBACK_SIP__DOMAIN": "sip.example.com",
        "RINGBACK_SIP__BIND": "192.0.2.7",
    }
    names = certified_names(load_settings(environ=environ, data_dir=tmp_path))
    assert {"meet.example.com", "sip.example.com", "192.0.2.7", "127.0.0.1"} <= set(names)
    assert "0.0.0.0" not in names
