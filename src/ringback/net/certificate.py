"""An authority of our own and the server certificate it signs, made when none is configured (RFC 5280)."""

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
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME: Final = timedelta(days=397)
RENEW_BEFORE: Final = timedelta(days=30)
AUTHORITY_LIFETIME: Final = timedelta(days=3653)

# Clocks of phones are often behind.
_BACKDATED: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CertificatePaths:
    """Where a certificate chain and its private key are, and the authority if it is our own; all PEM."""

    certificate: Path
    key: Path
    authority: Path | None = None


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What people compare: names, the SHA-256 fingerprint (RFC 4572 style), and the time it is valid for."""

    subject: str
    names: tuple[str, ...]
    sha256: str
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def own_certificate(
    directory: Path, names: Iterable[str] = (), now: datetime | None = None
) -> CertificatePaths:
    """The server certificate in a directory, signed by the authority there; either is made when it lacks.

    It names localhost, this host, the loopback addresses and `names` (DNS names or IP addresses). A new one
    is made when there is none that can be read, when it lacks one of `names`, or has under 30 days left.
    The authority is kept for ten years, so that who trusted it once need not do so again; a new one is made
    when there is none that can be used. Its chain file ends with the authority. Files with keys are readable
    by their owner only. OSError when the directory cannot be read or written.
    """
    now = now or datetime.now(UTC)
    paths = CertificatePaths(directory / "certificate.pem", directory / "key.pem", authority_path(directory))
    wanted = list(names)
    authority = _authority(directory, now)
    if not _usable(paths, authority, wanted, now):
        _make(paths, authority, wanted, now)
    return paths


def authority_path(directory: Path) -> Path:
    """Where the certificate of the authority of a directory is, made or not."""
    return directory / "ca.pem"


def expires_at(certificate: Path) -> datetime:
    """When a PEM certificate runs out; OSError or ValueError when it cannot be read."""
    return read_facts(certificate).valid_until


def read_facts(certificate: Path) -> CertificateFacts:
    """About the first certificate of a PEM file; OSError or ValueError when it cannot be read."""
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        named = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(str(name.value) for name in named)
    except x509.ExtensionNotFound:
        names = ()
    return CertificateFacts(
        subject=read.subject.rfc4514_string(),
        names=names,
        sha256=read.fingerprint(hashes.SHA256()).hex(":").upper(),
        valid_from=read.not_valid_before_utc,
        valid_until=read.not_valid_after_utc,
    )


def _authority(directory: Path, now: datetime) -> _Pair:
    certificate, key = authority_path(directory), directory / "ca-key.pem"
    pair = _read_pair(certificate, key)
    # What it signs must not outlive it.
    if pair is not None and _in_time(pair.certificate, now, LIFETIME) and _may_sign(pair.certificate):
        return pair
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    pair = _make_authority(now)
    _write(key, _pem(pair.key), 0o600)
    _write(certificate, pair.certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return pair


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _read_pair(certificate: Path, key: Path) -> _Pair | None:
    """A certificate with its key; None without one that fits. OSError if it cannot be read."""
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or read.public_key() != private.public_key():
        return None
    return _Pair(read, private)


def _in_time(certificate: x509.Certificate, now: datetime, left: timedelta) -> bool:
    return certificate.not_valid_before_utc <= now and certificate.not_valid_after_utc - now >= left


def _usable(paths: CertificatePaths, authority: _Pair, names: list[str], now: datetime) -> bool:
    pair = _read_pair(paths.certificate, paths.key)
    if pair is None or not _in_time(pair.certificate, now, RENEW_BEFORE):
        return False
    try:
        pair.certificate.verify_directly_issued_by(authority.certificate)
        named = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return all(_general_name(name) in named for name in names)


def _make_authority(now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # The serial in the name tells two authorities of one host apart in a browser's list.
    serial = x509.random_serial_number()
    subject = _name(f"Ringback on {socket.gethostname()[:40]} ({serial % 0x10000:04x})")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now - _BACKDATED + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    return _Pair(certificate, key)


def _make(paths: CertificatePaths, authority: _Pair, names: list[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname()
    every = dict.fromkeys(["localhost", host, "127.0.0.1", "::1", *names])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(host[:64] or "localhost"))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now - _BACKDATED + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in every if name]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False
        )
        .sign(authority.key, hashes.SHA256())
    )
    chain = b"".join(
        one.public_bytes(serialization.Encoding.PEM) for one in (certificate, authority.certificate)
    )
    _write(paths.key, _pem(key), 0o600)
    _write(paths.certificate, chain, 0o644)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


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
