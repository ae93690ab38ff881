"""The certificate that browsers find our media by: made anew with every start, signed by itself (RFC 8827
6.5)."""

from __future__ import annotations

import datetime
import secrets
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ringback.webrtc.fingerprint import fingerprint

VALID_DAYS = 3650


@dataclass(frozen=True, slots=True)
class DtlsCertificate:
    """A certificate and its private key, both DER (PKCS #8 the key)."""

    der: bytes
    private_key: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """As SDP gives it: "sha-256 AB:CD:..."."""
        return "sha-256 " + fingerprint(self.der)


def make_certificate(wall_s: float) -> DtlsCertificate:
    """An ECDSA P-256 key and a certificate for it; `wall_s` is the time since 1970."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, secrets.token_hex(8))])
    now = datetime.datetime.fromtimestamp(wall_s, datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    return DtlsCertificate(
        certificate.public_bytes(Encoding.DER),
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    )
