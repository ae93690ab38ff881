"""A self-signed certificate of our own, made at the first start when none is configured (RFC 5280)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME: Final = timedelta(days=397)
RENEW_BEFORE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class CertificatePaths:
    """Where a certificate chain and its private key are, both PEM."""

    certificate: Path
    key: Path


def own_certificate(
    directory: Path, names: Iterable[str] = (), now: datetime | None = None
) -> CertificatePaths:
    """The self-signed certificate in a directory: the one that is there, or a new one.

    It names localhost, this host, the loopback addresses and `names` (DNS names or IP addresses). A new one
    is made when there is none that can be read, when it lacks one of `names`, or has under 30 days left.
    The key file is readable by its owner only. OSError when the directory cannot be written.
    """
    now = now or datetime.now(UTC)
    paths = CertificatePaths(directory / "certificate.pem", directory / "key.pem")
    wanted = list(names)
    if not _usable(paths, wanted, now):
        directory.mkdir(parents=True, exist_ok=True)
        _make(paths, wanted, now)
    return paths


def expires_at(certificate: Path) -> datetime:
    """When a PEM certificate runs out; OSError or ValueError when it cannot be read."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def _usable(paths: CertificatePaths, names: list[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(paths.certificate.read_bytes())
        key = serialization.load_pem_private_key(paths.key.read_bytes(), password=None)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return (
        certificate.public_key() == key.public_key()
        and certificate.not_valid_before_utc <= now
        and certificate.not_valid_after_utc - now >= RENEW_BEFORE
        and all(_general_name(name) in named for name in names)
    )


def _make(paths: CertificatePaths, names: list[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname()
    every = dict.fromkeys(["localhost", host, "127.0.0.1", "::1", *names])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64] or "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of phones are often behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME - timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in every if name]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(paths.key, pem, 0o600)
    _write(paths.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode() if not name.isascii() else name)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Put a file in place whole: under another name with its mode first, then renamed."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
