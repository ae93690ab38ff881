"""DTLS with a real client: keys on both sides agree, another certificate gets none, loss is made up for."""

from __future__ import annotations

import pytest
from OpenSSL import SSL

from ringback.rtp.srtp import key_length
from ringback.webrtc.dtls import RETRY_S, DtlsContext
from ringback.webrtc.fingerprint import fingerprint
from ringback.webrtc.records import MTU, begins_handshake, split_records
from tests.webrtc.browser import CERTIFICATE, CM, GCM, GCM256, Browser

CONTEXT = DtlsContext(CERTIFICATE.der, CERTIFICATE.private_key)


class Line:
    """A client and a server, and what is between them."""

    def __init__(self, profiles: bytes = GCM + b":" + CM, expected: str | None = None) -> None:
        self.browser = Browser(1, profiles=profiles)
        self.browser.mapped = [(1, 1)]
        self.browser.checks = False
        self.server = CONTEXT.associate([("sha-256", expected or self.browser.fingerprint)])
        self.now = 0.0

    def turn(self, to_server: bool = True, to_client: bool = True) -> list[bytes]:
        """The client's datagrams go over, and the answers back; returns the answers."""
        answers = []
        for datagram in self.browser.drive(self.now):
            if to_server:
                answers += self.server.receive(datagram, self.now)
        self.deliver(answers if to_client else [])
        return answers

    def deliver(self, answers: list[bytes]) -> None:
        for datagram in answers:
            self.browser.hear(datagram)


@pytest.mark.parametrize(
    ("profiles", "suite"),
    [
        (GCM, "AEAD_AES_128_GCM"),
        (GCM256, "AEAD_AES_256_GCM"),
        (CM, "AES_CM_128_HMAC_SHA1_80"),
        (CM + b":" + GCM256, "AEAD_AES_256_GCM"),
        (CM + b":" + GCM256 + b":" + GCM, "AEAD_AES_128_GCM"),
    ],
)
def test_both_sides_have_the_same_keys(profiles: bytes, suite: str) -> None:
    line = Line(profiles)
    line.turn()
    line.turn()
    assert line.server.state == "connected"
    assert line.browser.secured
    keys = line.server.keys
    assert keys is not None
    assert keys.suite == suite
    assert len(keys.local_key) == len(keys.remote_key) == key_length(keys.suite)
    assert keys.local_key != keys.remote_key
    assert "key" not in repr(keys)


def test_our_datagrams_fit_any_path() -> None:
    line = Line()
    answers = line.turn() + line.turn()
    assert max(map(len, answers)) <= MTU


def test_another_certificate_gets_no_keys() -> None:
    line = Line(expected=":".join(["00"] * 32))
    for _ in range(3):
        line.turn()
    assert line.server.state == "failed"
    assert line.server.failure == "fingerprint"
    assert line.server.keys is None
    assert line.browser.failed


def test_a_flight_that_is_lost_is_sent_again() -> None:
    line = Line()
    first = line.turn(to_client=False)
    assert line.server.deadline() == RETRY_S
    assert line.server.expire(RETRY_S / 2) == []
    again = line.server.expire(RETRY_S)
    assert again == first
    assert line.server.deadline() == pytest.approx(3 * RETRY_S)
    line.deliver(again)
    line.turn()
    assert line.browser.secured
    assert line.server.deadline() is None


def test_the_clients_own_retries_do_no_harm() -> None:
    line = Line()
    line.turn(to_client=False)
    line.now = 1.0
    line.turn(to_client=False)
    line.deliver(line.server.expire(2.0))
    line.turn()
    assert line.browser.secured


def test_a_client_without_use_srtp_gets_nothing() -> None:
    line = Line()
    context = line.browser._connection.get_context()
    plain = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    plain.set_options(SSL.OP_NO_QUERY_MTU)
    del context
    connection = SSL.Connection(plain, None)
    connection.set_connect_state()
    connection.set_ciphertext_mtu(1200)
    line.browser._connection = connection
    for _ in range(3):
        line.turn()
    assert line.server.state == "failed"
    assert line.server.keys is None


def test_close_notify_goes_over_both_ways() -> None:
    line = Line()
    line.turn()
    line.turn()
    for datagram in line.server.close(1.0):
        line.browser.hear(datagram)
    assert line.browser.closed
    other = Line()
    other.turn()
    other.turn()
    other.browser._connection.shutdown()
    other.browser._collect()
    other.turn()
    assert other.server.state == "closed"


def test_rubbish_breaks_a_handshake_at_most() -> None:
    for octet in range(0, 200, 7):
        line = Line()
        hello = line.browser.drive(0.0)[0]
        wrong = bytearray(hello)
        wrong[octet] ^= 0xFF
        line.server.receive(bytes(wrong), 0.0)
        line.server.receive(hello[:octet], 0.0)
        assert line.server.keys is None


def test_only_a_client_hello_begins() -> None:
    hello = Line().browser.drive(0.0)[0]
    assert begins_handshake(hello)
    assert not begins_handshake(hello[:13])
    assert not begins_handshake(b"\x17" + hello[1:])
    assert not begins_handshake(hello[:13] + b"\x0b" + hello[14:])
    assert not begins_handshake(b"")


def test_records_are_packed_into_datagrams() -> None:
    def record(size: int) -> bytes:
        return b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size)

    stream = record(100) + record(400) + record(100) + record(500)
    datagrams = split_records(stream)
    assert b"".join(datagrams) == stream
    assert list(map(len, datagrams)) == [526, 113, 513]
    assert split_records(b"") == []


def test_fingerprints_are_upper_case_with_colons() -> None:
    assert fingerprint(b"", "sha-256").startswith("E3:B0:C4:42")
    name, value = CERTIFICATE.fingerprint.split()
    assert name == "sha-256"
    assert len(value) == 95
