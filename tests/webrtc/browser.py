"""A browser as the engine sees it: ICE checks, a DTLS client, SRTP; from the RFCs, not from our own code."""

from __future__ import annotations

import binascii
import datetime
import hashlib
import hmac
import os
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from pylibsrtp import Error, Policy, Session

from ringback.media.browsers import LoadDtls
from ringback.media.engine import Engine
from ringback.media.protocol import (
    Codec,
    JoinRoom,
    LegOpened,
    OpenLeg,
    SetMedia,
    UseCertificate,
    WebRtcKeys,
)
from ringback.webrtc.certificate import make_certificate
from ringback.webrtc.dtls import DtlsContext
from tests.media.world import EVENT_TYPE, Peer, World

COOKIE = 0x2112A442
GCM, CM = b"SRTP_AEAD_AES_128_GCM", b"SRTP_AES128_CM_SHA1_80"
GCM256 = b"SRTP_AEAD_AES_256_GCM"
SRTP = {
    GCM: (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    GCM256: (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    CM: (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}
CERTIFICATE = make_certificate(1_800_000_000)
USE_CERTIFICATE = UseCertificate(certificate=CERTIFICATE.der, private_key=CERTIFICATE.private_key)


def stun(
    kind: int, attributes: list[tuple[int, bytes]], password: str | None, transaction: bytes | None = None
) -> bytes:
    """A STUN message with FINGERPRINT, and MESSAGE-INTEGRITY if there is a password (RFC 8489)."""
    transaction = transaction or os.urandom(12)
    body = b""
    for attribute, value in attributes:
        body += struct.pack("!HH", attribute, len(value)) + value + bytes(-len(value) % 4)
    if password is not None:
        head = struct.pack("!HHI", kind, len(body) + 24, COOKIE) + transaction
        body += struct.pack("!HH", 8, 20) + hmac.new(password.encode(), head + body, hashlib.sha1).digest()
    head = struct.pack("!HHI", kind, len(body) + 8, COOKIE) + transaction
    return head + body + struct.pack("!HHI", 0x8028, 4, binascii.crc32(head + body) ^ 0x5354554E)


def stun_attributes(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    position = 20
    while position < len(datagram):
        kind, size = struct.unpack_from("!HH", datagram, position)
        yield kind, datagram[position + 4 : position + 4 + size]
        position += 4 + size + -size % 4


def check(
    ours: tuple[str, str],
    theirs: tuple[str, str],
    nominate: bool = True,
    password: str | None = "",
    extra: list[tuple[int, bytes]] | None = None,
    controlling: bool = True,
) -> bytes:
    """A connectivity check of a full agent (RFC 8445 7.2.2); credentials are (ufrag, pwd)."""
    attributes = [
        (0x0006, f"{theirs[0]}:{ours[0]}".encode()),
        (0x0024, struct.pack("!I", 1853693695)),
        (0x802A if controlling else 0x8029, os.urandom(8)),
        *(extra or []),
    ]
    if nominate:
        attributes.append((0x0025, b""))
    return stun(1, attributes, theirs[1] if password == "" else password)


class Browser(Peer):
    """A peer that must check, shake hands and encrypt before it is heard."""

    def __init__(
        self, leg: int, frequency: float = 440.0, codec: Codec = "OPUS", profiles: bytes = GCM + b":" + CM
    ) -> None:
        super().__init__(leg, codec, frequency)
        self.ip, self.port = 0x0A000100 + leg, 50000 + leg
        self.ours = (f"br{leg:04d}", f"browser-password-{leg:08d}")
        self.theirs = (f"rb{leg:04d}", f"ringback-password-{leg:07d}")
        self.passwords = [self.theirs[1]]
        self.names: dict[bytes, str] = {}
        self.answers = True
        self.probes = 0
        self.nominate = True
        self.checks = True
        self.mapped: list[tuple[int, int]] = []
        self.errors: list[int] = []
        self.closed = False
        self.secured = False
        self.failed = False
        self.received_control: list[bytes] = []
        self._next_check = 0.0
        self._retry_at = 0.0
        self._flight: list[bytes] = []
        self._queue: list[bytes] = []
        self._started = False
        self._connection, self.fingerprint = self._client(profiles)

    @staticmethod
    def _client(profiles: bytes) -> tuple[SSL.Connection, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WebRTC")])
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_tlsext_use_srtp(profiles)
        connection = SSL.Connection(context, None)
        connection.set_connect_state()
        connection.set_ciphertext_mtu(1200)
        digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
        return connection, digest.hex(":").upper()

    def restart(self) -> None:
        """New credentials on both sides."""
        self.names[f"{self.ours[0]}:{self.theirs[0]}".encode()] = self.ours[1]
        self.ours, self.theirs = ("new1", "n" * 22), (f"newours{self.leg}", "o" * 22)
        self.passwords.append(self.theirs[1])

    def keys(self, fingerprint: str | None = None) -> WebRtcKeys:
        return WebRtcKeys(
            local_ufrag=self.theirs[0],
            local_pwd=self.theirs[1],
            remote_ufrag=self.ours[0],
            remote_pwd=self.ours[1],
            remote_fingerprints=[("sha-256", fingerprint or self.fingerprint)],
        )

    def media(self, fingerprint: str | None = None) -> SetMedia:
        return SetMedia(
            leg=self.leg,
            send=self.format(),
            receive=[self.format()],
            telephone_event=EVENT_TYPE,
            remote_ip="",
            remote_port=0,
            remote_rtcp_port=0,
            webrtc=self.keys(fingerprint),
        )

    def drive(self, now: float) -> list[bytes]:
        """What it sends of its own accord: checks, and handshake flights, again if unanswered."""
        if self.checks and now >= self._next_check:
            self._next_check = now + (0.2 if not self.mapped else 2.5)
            self._queue.append(check(self.ours, self.theirs, self.nominate))
        if self.mapped and not self._started:
            self._started = True
            self._shake(now)
        elif self._flight and not self.secured and now >= self._retry_at:
            self._retry_at = now + 0.3
            self._queue += self._flight
        elif self._started and not self.secured and self._connection.DTLSv1_get_timeout() == 0:
            self._connection.DTLSv1_handle_timeout()
            self._shake(now)
        queue, self._queue = self._queue, []
        return queue

    def _shake(self, now: float | None = None) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            self.failed = True
        else:
            if not self.secured:
                self._secure()
        self._collect()
        if now is not None:
            self._retry_at = now + 0.3

    def _collect(self) -> None:
        try:
            out = self._connection.bio_read(65536)
        except SSL.Error:
            return
        # Several records in a datagram, as browsers send them.
        self._flight, start, end = [], 0, 0
        while end < len(out):
            following = end + 13 + int.from_bytes(out[end + 11 : end + 13], "big")
            if following - start > 1200:
                self._flight.append(out[start:end])
                start = end
            end = following
        self._flight.append(out[start:end])
        self._queue += self._flight

    def _secure(self) -> None:
        profile, key, salt = SRTP[self._connection.get_selected_srtp_profile()]
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        self.outbound = Session(Policy(key=client, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self.inbound = Session(Policy(key=server, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        self.secured = True

    def speak(self) -> bytes:
        return self.outbound.protect(super().speak()) if self.secured else b""

    def hear(self, datagram: bytes) -> None:
        if datagram[0] < 4:
            self._stun(datagram)
        elif datagram[0] < 64:
            self.received_control.append(datagram)
            self._connection.bio_write(datagram)
            if self.secured:
                try:
                    self._connection.recv(2000)
                except SSL.ZeroReturnError:
                    self.closed = True
                except SSL.Error:
                    pass
            else:
                self._shake()
        elif self.secured:
            try:
                plain = self.inbound.unprotect(datagram)
            except Error:
                return
            super().hear(plain)

    def _stun(self, datagram: bytes) -> None:
        attributes = dict(stun_attributes(datagram))
        if datagram[:2] == b"\0\1":
            assert attributes[0x0006] in {f"{self.ours[0]}:{self.theirs[0]}".encode(), *self.names}
            self.probes += 1
            if self.answers:
                mapped = (0x0020, b"\0\1" + bytes(6))
                password = self.names.get(attributes[0x0006], self.ours[1])
                self._queue.append(stun(0x0101, [mapped], password, datagram[8:20]))
        elif datagram[:2] == b"\x01\x01":
            covered = datagram[: datagram.index(attributes[8]) - 4]
            covered = covered[:2] + struct.pack("!H", len(covered) + 4) + covered[4:]
            digests = [hmac.new(p.encode(), covered, hashlib.sha1).digest() for p in self.passwords]
            assert attributes[8] in digests
            _, family, port, ip = struct.unpack("!BBHI", attributes[0x20])
            assert family == 1
            self.mapped.append((ip ^ COOKIE, port ^ COOKIE >> 16))
        else:
            self.errors.append(attributes[9][2] * 100 + attributes[9][3])


class Browsing(World):
    """What a world needs so that browsers come into it."""

    browsers: list[Browser]
    loss: float

    @property
    def now(self) -> float:
        return self.now_ns / 1e9

    def browse(self, browser: Browser, room: int | None = 1, fingerprint: str | None = None) -> Browser:
        self.apply(OpenLeg(leg=browser.leg, webrtc=True))
        opened = [event for event in self.of(LegOpened) if event.leg == browser.leg][-1]
        browser.to_pair = (opened.rtp_port - 20000) // 2
        self.apply(browser.media(fingerprint))
        if room is not None:
            self.apply(JoinRoom(leg=browser.leg, room=room))
        self.peers[browser.leg] = browser
        self.delay[browser.leg] = lambda _at: 0.0 if browser.secured else None
        self._next_send[browser.leg] = self.now_ns + browser.phase_ns
        self.browsers.append(browser)
        return browser

    def tick(self) -> None:
        for browser in self.browsers:
            for datagram in browser.drive(self.now):
                if not self.loss or self.random.random() >= self.loss:
                    self.throw(datagram, 2 * browser.to_pair, browser.ip, browser.port)
        super().tick()

    def _deliver(self, batch):  # type: ignore[no-untyped-def]
        if self.loss:
            keep = np.array([self.random.random() >= self.loss for _ in range(len(batch))], np.bool_)
            for name in ("data", "length", "socket", "ip", "port"):
                setattr(batch, name, getattr(batch, name)[keep])
        super()._deliver(batch)


class Office(Browsing):
    """A world into which browsers come too."""

    def __init__(self, seed: int = 1, load_dtls: LoadDtls = DtlsContext) -> None:
        super().__init__(seed)
        self.engine = Engine(self._open_pair, random_bits=self.random.getrandbits, load_dtls=load_dtls)
        self.apply(USE_CERTIFICATE)
        self.browsers = []
        self.loss = 0.0


@pytest.fixture
def office() -> Office:
    return Office()
