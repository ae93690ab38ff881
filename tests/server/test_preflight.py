"""Starts that cannot work: one line that names the setting, and nothing left behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.wire.server import COMMAND, RingbackServer

NOT_OURS = "203.0.113.9"


def start(tmp_path: Path, **settings: str) -> tuple[subprocess.CompletedProcess[str], RingbackServer]:
    server = RingbackServer(tmp_path / "server", settings=settings)
    done = subprocess.run(
        [COMMAND, "serve", "--data-dir", server.data],
        env=server._environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done, server


@pytest.mark.parametrize("section", ["sip", "web", "media"])
def test_an_address_that_is_not_ours_is_named(tmp_path: Path, section: str) -> None:
    done, server = start(tmp_path, **{f"RINGBACK_{section.upper()}__BIND": NOT_OURS})
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert f"{section}.bind {NOT_OURS}" in line
    assert not (server.data / "first-start.txt").exists()


@pytest.mark.parametrize("section", ["sip", "web"])
def test_a_certificate_that_is_not_there_is_named(tmp_path: Path, section: str) -> None:
    given = {"CERTIFICATE": "/nowhere/tls.pem", "PRIVATE_KEY": "/nowhere/tls.key"}
    settings = {f"RINGBACK_{section.upper()}__{name}": path for name, path in given.items()}
    done, _ = start(tmp_path, **settings)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert f"{section}.certificate /nowhere/tls.pem" in line


def test_a_first_start_that_fails_creates_nothing_that_is_shown_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The folder for our own certificate cannot be made: SIP does not open.
    broken = RingbackServer(tmp_path / "server")
    broken.data.mkdir(mode=0o700)
    (broken.data / "tls").write_text("in the way")
    done = subprocess.run(
        [COMMAND, "serve", "--data-dir", broken.data],
        env=broken._environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    (broken.data / "tls").unlink()
    broken.start()
    try:
        assert "host PIN" in broken.first_start()
    finally:
        broken.stop()
