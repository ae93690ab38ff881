"""DTLS-SRTP, server side: a handshake, and its keys once the peer's certificate is the signalled one (RFC
5764, RFC 8122).

OpenSSL does the protocol over memory; datagrams and the time come from outside. OpenSSL would read the
clock for its retransmissions, so flights that go unanswered are sent again from here, as the datagrams they
were: to the peer that is a network that duplicates, which DTLS is made for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from OpenSSL import SSL, crypto

from ringback.webrtc.fingerprint import Fingerprints, fingerprint, is_trusted
from ringback.webrtc.records import MTU, RECORD_BYTES, split_records

RETRY_S = 0.4
MAX_RETRY_S = 3.2
MAX_READ_BYTES = 65536
_DTLS_1_2 = 0xFEFD
_EXPORTER = b"EXTRACTOR-dtls_srtp"
_CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"

Suite = Literal["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"]
State = Literal["handshake", "connected", "failed", "closed"]
Failure = Literal["dtls", "fingerprint"]


class _Profile(NamedTuple):
    suite: Suite
    key_bytes: int
    salt_bytes: int


_PROFILES: dict[bytes, _Profile] = {
    b"SRTP_AEAD_AES_128_GCM": _Profile("AEAD_AES_128_GCM", 16, 12),
    b"SRTP_AEAD_AES_256_GCM": _Profile("AEAD_AES_256_GCM", 32, 12),
    b"SRTP_AES128_CM_SHA1_80": _Profile("AES_CM_128_HMAC_SHA1_80", 16, 14),
}
"""SRTP protection profiles by OpenSSL's names (RFC 7714 14.2, RFC 5764 4.1.2); the first that the peer has is
taken, whatever its order: AES-128 in GCM costs least, and is what browsers prefer."""


@dataclass(frozen=True, slots=True)
class DtlsKeys:
    """What the handshake made: master key and salt joined, for each direction."""

    suite: Suite
    local_key: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)


@dataclass(slots=True)
class _Expected:
    """What the verification callback is told and tells; apart from the association, to make no cycle."""

    fingerprints: Fingerprints
    matched: bool = False
    mismatched: bool = False


class DtlsContext:
    """The certificate and settings that all legs of a worker share."""

    def __init__(self, certificate: bytes, private_key: bytes) -> None:
        """Both are DER, the key as PKCS #8; ValueError for what is no key for ECDSA and its certificate."""
        key = load_der_private_key(private_key, password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError("not a key for ECDSA")
        context = SSL.Context(SSL.DTLS_SERVER_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(
            SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION
        )
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_cipher_list(_CIPHERS)
        context.use_certificate(x509.load_der_x509_certificate(certificate))
        context.use_privatekey(key)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
        context.set_tlsext_use_srtp(b":".join(_PROFILES))
        self.context = context

    def associate(self, fingerprints: Fingerprints) -> DtlsServer:
        """A new association with a peer whose certificate must have one of these fingerprints."""
        return DtlsServer(self, fingerprints)


def _verify(connection: SSL.Connection, certificate: Any, _error: int, depth: int, _ok: int) -> bool:
    """Take the peer's own certificate if it is the one that signalling named, whoever signed it."""
    expected: _Expected = connection.get_app_data()
    if depth == 0:
        # As it came: what parses a certificate may stumble over one that was made for it.
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        expected.matched = any(
            is_trusted(algorithm) and fingerprint(der, algorithm) == value
            for algorithm, value in expected.fingerprints
        )
        expected.mismatched = not expected.matched
    return not expected.mismatched


class DtlsServer:
    """One association. Nothing that the peer sends raises; a broken handshake is `state` "failed"."""

    def __init__(self, context: DtlsContext, fingerprints: Fingerprints) -> None:
        """`fingerprints` as signalled: (hash in lower case, upper case hex with colons)."""
        self._expected = _Expected(tuple(fingerprints))
        self._connection = SSL.Connection(context.context, None)
        self._connection.set_app_data(self._expected)
        self._connection.set_accept_state()
        self._connection.set_ciphertext_mtu(MTU)
        self.state: State = "handshake"
        self.failure: Failure | None = None
        self.keys: DtlsKeys | None = None
        """There when connected, which is after the fingerprint was found right."""
        self._flight: list[bytes] = []
        self._retry_s = RETRY_S
        self._retry_at: float | None = None

    def receive(self, datagram: bytes, now: float) -> list[bytes]:
        """Take a datagram of a validated source; returns the datagrams to send."""
        if self.state in ("failed", "closed") or len(datagram) <= RECORD_BYTES:
            return []
        try:
            self._connection.bio_write(datagram)
            if self.state == "handshake":
                self._handshake()
            else:
                self._read()
        except SSL.Error:
            # Also what a forged record in the clear can do: the leg may begin again.
            self.state = "failed"
            self.failure = "fingerprint" if self._expected.mismatched else "dtls"
        return self._flush(now)

    def _handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        profile = _PROFILES.get(self._connection.get_selected_srtp_profile())
        if profile is None or not self._expected.matched:
            self.state = "failed"
            self.failure = "fingerprint" if profile is not None else "dtls"
            return
        key, salt = profile.key_bytes, profile.salt_bytes
        material = self._connection.export_keying_material(_EXPORTER, 2 * (key + salt))
        # The client's key, the server's, the client's salt, the server's (RFC 5764 4.2); we are the server.
        remote = material[:key] + material[2 * key : 2 * key + salt]
        local = material[key : 2 * key] + material[2 * key + salt :]
        self.keys = DtlsKeys(profile.suite, local, remote)
        self.state = "connected"

    def _read(self) -> None:
        """After the handshake: alerts, and a Finished that comes again, which OpenSSL answers."""
        try:
            while True:
                self._connection.recv(MTU)
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.state = "closed"

    def _flush(self, now: float) -> list[bytes]:
        try:
            written = self._connection.bio_read(MAX_READ_BYTES)
        except SSL.Error:
            written = b""
        datagrams = split_records(written)
        if self.state != "handshake":
            # Our last flight is sent again when the peer sends its own again.
            self._flight, self._retry_at = [], None
        elif datagrams:
            self._flight, self._retry_s, self._retry_at = datagrams, RETRY_S, now + RETRY_S
        return datagrams

    def deadline(self) -> float | None:
        """When a flight is to be sent again."""
        return self._retry_at

    def expire(self, now: float) -> list[bytes]:
        """The datagrams to send again, if it is time."""
        if self._retry_at is None or now < self._retry_at:
            return []
        self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)
        self._retry_at = now + self._retry_s
        return self._flight

    def close(self, now: float) -> list[bytes]:
        """End the association: close_notify, if it ever was up."""
        if self.state != "connected":
            self.state = "closed"
            return []
        self.state = "closed"
        try:
            self._connection.shutdown()
        except SSL.Error:
            return []
        return self._flush(now)
