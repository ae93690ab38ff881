"""Certificates that change while the server runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.config.settings import Settings, SipSettings
from ringback.net.certificate import LIFETIME, CertificatePaths, own_certificate, read_facts
from ringback.server import certificates
from ringback.server.certificates import CertificateKeeper
from tests.net.test_transports import until


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "CHECKED_EVERY_S", 0.05)


@asynccontextmanager
async def keeping(settings: Settings) -> AsyncIterator[tuple[CertificateKeeper, list[CertificatePaths]]]:
    used: list[CertificatePaths] = []
    keeper = CertificateKeeper(settings, sip=used.append, web=used.append)
    await keeper.start()
    try:
        yield keeper, used
    finally:
        await keeper.stop()


async def test_files_that_are_replaced_are_used_and_others_left_alone(tmp_path: Path) -> None:
    paths, new = own_certificate(tmp_path / "ours"), own_certificate(tmp_path / "new")
    settings = Settings(
        data_dir=tmp_path, sip=SipSettings(certificate=paths.certificate, private_key=paths.key)
    )
    async with keeping(settings) as (keeper, used):
        keeper._wake.set()
        assert used == []
        os.replace(new.key, paths.key)
        os.replace(new.certificate, paths.certificate)
        await until(lambda: used)
        assert {one.certificate for one in used} == {paths.certificate}
        used.clear()
        keeper.reload()
        await until(lambda: used)


async def test_our_own_certificate_is_renewed_while_running(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with keeping(settings) as (_, used):
        for path in settings.tls_dir.glob("*.pem"):
            path.unlink()
        # One with less than thirty days left.
        names = certificates.certified_names(settings)
        old = own_certificate(settings.tls_dir, names, datetime.now(UTC) - LIFETIME + timedelta(days=20))
        ends = read_facts(old.certificate).valid_until
        await until(lambda: used and read_facts(used[-1].certificate).valid_until > ends)


async def test_a_certificate_that_cannot_be_used_is_said_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = own_certificate(tmp_path / "ours")
    settings = Settings(
        data_dir=tmp_path, sip=SipSettings(certificate=paths.certificate, private_key=paths.key)
    )

    def refuse(paths: CertificatePaths) -> None:
        raise OSError("it does not fit")

    tried: list[int] = []
    keeper = CertificateKeeper(settings, sip=lambda paths: (tried.append(1), refuse(paths))[1], web=refuse)
    await keeper.start()
    try:
        paths.key.write_text("broken")
        await until(lambda: tried)
        # The watch goes on.
        paths.key.write_text("broken otherwise")
        await until(lambda: len(tried) == 2)
    finally:
        await keeper.stop()
