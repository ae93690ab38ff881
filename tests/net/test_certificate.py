from __future__ import annotations

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ringback.net.certificate import expires_at, own_certificate, read_facts
from ringback.net.tls import client_context, server_context


def test_a_first_start_makes_a_certificate_and_the_next_keeps_it(tmp_path: Path) -> None:
    paths = own_certificate(tmp_path / "new", ["192.0.2.1", "voice.example.com"])
    assert stat.S_IMODE(paths.key.stat().st_mode) == 0o600
    before = paths.certificate.read_bytes()
    assert own_certificate(tmp_path / "new", ["192.0.2.1"]) == paths
    assert paths.certificate.read_bytes() == before
    server_context(paths.certificate, paths.key)
    assert list(paths.certificate.parent.glob("*.new")) == []


def test_openssl_agrees_about_what_it_is(tmp_path: Path) -> None:
    paths = own_certificate(tmp_path, ["192.0.2.1", "voice.example.com"])
    text = subprocess.run(
        ["openssl", "x509", "-in", paths.certificate, "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "prime256v1" in text
    for name in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"):
        assert name in text
    assert "IP Address:192.0.2.1" in text
    assert "DNS:voice.example.com" in text
    assert timedelta(days=390) < expires_at(paths.certificate) - datetime.now(UTC) < timedelta(days=398)


def test_it_is_renewed_in_time(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    paths = own_certificate(tmp_path, now=start)
    first = paths.certificate.read_bytes()
    own_certificate(tmp_path, now=start + timedelta(days=360))
    assert paths.certificate.read_bytes() == first
    own_certificate(tmp_path, now=start + timedelta(days=370))
    assert paths.certificate.read_bytes() != first


def test_a_broken_or_foreign_pair_and_a_missing_name_are_made_good(tmp_path: Path) -> None:
    paths = own_certificate(tmp_path)
    other = own_certificate(tmp_path / "other")
    paths.key.write_bytes(other.key.read_bytes())
    server_context(*_pair(tmp_path))
    paths.certificate.write_text("rubbish")
    server_context(*_pair(tmp_path))
    first = paths.certificate.read_bytes()
    own_certificate(tmp_path, ["192.0.2.9"])
    assert paths.certificate.read_bytes() != first
    assert stat.S_IMODE(paths.key.stat().st_mode) == 0o600


def test_the_authority_stays_when_what_it_signed_is_renewed(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    paths = own_certificate(tmp_path, now=start)
    assert paths.authority is not None
    assert stat.S_IMODE((tmp_path / "ca-key.pem").stat().st_mode) == 0o600
    authority = paths.authority.read_bytes()
    for names in ([], ["192.0.2.9"], ["voice.example.com"]):
        own_certificate(tmp_path, names, now=start + timedelta(days=370))
        assert paths.authority.read_bytes() == authority
        later = str(int((start + timedelta(days=370)).timestamp()))
        verified = subprocess.run(
            [
                *("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", later),
                *("-CAfile", str(paths.authority), str(paths.certificate)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert verified.returncode == 0, verified.stderr
    # A new one in time, so that it never ends before what it signed.
    own_certificate(tmp_path, now=start + timedelta(days=3_400))
    assert paths.authority.read_bytes() != authority


def test_a_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    paths = own_certificate(tmp_path)
    first = paths.certificate.read_bytes()
    (tmp_path / "ca-key.pem").unlink()
    own_certificate(tmp_path)
    assert paths.certificate.read_bytes() != first
    assert paths.authority is not None
    done = subprocess.run(["openssl", "verify", "-CAfile", paths.authority, paths.certificate], check=False)
    assert done.returncode == 0


def test_what_people_compare(tmp_path: Path) -> None:
    paths = own_certificate(tmp_path, ["192.0.2.1", "voice.example.com"])
    facts = read_facts(paths.certificate)
    assert {"192.0.2.1", "voice.example.com", "localhost", "::1"} <= set(facts.names)
    told = subprocess.run(
        ["openssl", "x509", "-in", paths.certificate, "-noout", "-fingerprint", "-sha256"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert facts.sha256 in told


def test_clients_verify_unless_told_otherwise() -> None:
    assert client_context().check_hostname


def _pair(directory: Path) -> tuple[Path, Path]:
    paths = own_certificate(directory)
    return paths.certificate, paths.key
