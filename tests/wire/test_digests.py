"""A phone that knows SHA-256 (linphone) logs in by each digest, and by no other than is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire.linphone import Linphone
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow]


@pytest.mark.parametrize(
    ("digest", "number", "used"),
    [("md5", "2291", "MD5"), ("sha-256", "2292", "SHA-256"), ("both", "2293", "SHA-256")],
)
def test_linphone_logs_in(
    server: RingbackServer, tmp_path: Path, digest: str, number: str, used: str
) -> None:
    password = server.add_extension(number)
    server.ask("extension", "set", number, "--digest", digest)
    phone = Linphone(tmp_path / "linphone", number, server=server, password=password)
    try:
        phone.start().register()
    finally:
        phone.stop()
    said = [line for line in phone.log().splitlines() if line.startswith("Authorization:")]
    assert said
    assert all(f"algorithm={used}," in line.replace('"', "").replace(", ", ",") + "," for line in said), said
