"""Phones on IPv6, and certificates that are replaced under a call, through the real command."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ringback.net.certificate import CertificatePaths, own_certificate
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone

pytestmark = pytest.mark.wire
MakeBaresip = Callable[..., Baresip]
MakeServer = Callable[..., RingbackServer]
ECHO = "600"
TONE_HZ = 440.0


def test_a_phone_on_ipv6_registers_calls_and_is_called(make_server: MakeServer) -> None:
    server = make_server(
        settings={
            "RINGBACK_SIP__BIND": "127.0.0.1,::1",
            "RINGBACK_SECURITY__ALLOW_SOURCES": "127.0.0.0/8,::1/128",
        }
    )
    assert f"[::1]:{server.udp_port}" in server.ask("status")["addresses"]["udp"]
    passwords = {number: server.add_extension(number) for number in ("2301", "2302")}
    new = SipPhone(("::1", server.udp_port), "2301", passwords["2301"], local="::1")
    old = SipPhone(server.udp, "2302", passwords["2302"])
    try:
        for phone in (new, old):
            assert phone.register().status == 200
        call = new.dial(ECHO)
        assert f"[::1]:{server.udp_port}" in call.target
        call.media.speak(make_tones(8_000, 2, [TONE_HZ], -12.0))
        # A key ends the prompt.
        time.sleep(1)
        call.press("#")
        time.sleep(3)
        assert tone_levels(call.media.heard(1.0), 8_000, [TONE_HZ])[0] > -20, "no echo"
        call.hang_up()

        outgoing = old.new_call("2301")
        with ThreadPoolExecutor(1) as pool:
            answered = pool.submit(old.attempt, outgoing)
            incoming = new.answer()
            assert answered.result(20).status == 200
        assert f"[::1]:{server.udp_port}" in incoming.target
        incoming.hang_up()
        outgoing.wait_ended(10)
    finally:
        new.close()
        old.close()


def shown(server: RingbackServer) -> bytes:
    """The certificate that a new connection sees."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(server.tls, 5) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as sock,
    ):
        found = sock.getpeercert(binary_form=True)
        assert found is not None
        return found


@pytest.mark.long
def test_a_call_on_tls_goes_on_while_new_connections_see_the_new_certificate(
    make_server: MakeServer, make_baresip: MakeBaresip, tmp_path: Path
) -> None:
    def replace(new: CertificatePaths) -> None:
        for name in ("certificate", "key"):
            fresh = tmp_path / f"{name}.new"
            fresh.write_bytes(getattr(new, name).read_bytes())
            fresh.replace(tmp_path / f"{name}.pem")

    first, second = own_certificate(tmp_path / "first"), own_certificate(tmp_path / "second")
    replace(first)
    server = make_server(
        settings={
            "RINGBACK_SIP__CERTIFICATE": str(tmp_path / "certificate.pem"),
            "RINGBACK_SIP__PRIVATE_KEY": str(tmp_path / "key.pem"),
        }
    )
    password = server.add_extension("2311")
    phone = make_baresip(
        "2311", tone_hz=TONE_HZ, server=server.tls, password=password, transport="tls", srtp=True
    )
    phone.register()
    phone.dial(server.uri(ECHO, "tls"))
    before = ssl.DER_cert_to_PEM_cert(shown(server))
    assert before in first.certificate.read_text()

    replace(second)
    server.ask("certificate", "reload")
    deadline = time.monotonic() + 10
    while ssl.DER_cert_to_PEM_cert(shown(server)) not in second.certificate.read_text():
        assert time.monotonic() < deadline, server.output()
        time.sleep(0.1)
    assert "certificate loaded" in server.output()
    assert server.ask("status")["calls"] == 1
    # Requests in the call go by the connection that it has.
    phone.hang_up_and_wait()
    deadline = time.monotonic() + 5
    while server.ask("status")["calls"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_clients_have_to_show_a_certificate_where_that_is_set(
    make_server: MakeServer, tmp_path: Path
) -> None:
    theirs = own_certificate(tmp_path / "theirs")
    server = make_server(
        settings={
            "RINGBACK_SIP__CLIENT_AUTHORITIES": str(theirs.authority),
            "RINGBACK_SIP__REQUIRE_CLIENT_CERTIFICATE": "true",
        }
    )

    def ask(own: CertificatePaths | None) -> bytes:
        context = ssl.create_default_context(cafile=str(server.data / "tls" / "ca.pem"))
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        try:
            with (
                socket.create_connection(server.tls, 5) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as sock,
            ):
                sock.sendall(
                    b"OPTIONS sip:localhost SIP/2.0\r\nVia: SIP/2.0/TLS localhost;branch=z9hG4bK1\r\n"
                    b"From: <sip:a@localhost>;tag=a\r\nTo: <sip:localhost>\r\nCall-ID: 1\r\n"
                    b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
                )
                return sock.recv(11)
        except (ssl.SSLError, ConnectionError):
            return b"refused"

    assert ask(theirs) == b"SIP/2.0 200"
    assert ask(None) in (b"refused", b"")
