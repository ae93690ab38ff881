"""The programs of docs/agent.md run as they stand, but for the server's address."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ringback import agent
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "agent.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def extensions(server: RingbackServer) -> RingbackServer:
    """The server with the extensions that the page names."""
    for number in ("4201", "4202", "4203"):
        assert server.add_extension(number) == f"secret-of-{number}"
    return server


@pytest.mark.parametrize("program", PROGRAMS, ids=["call", "phones", "many"])
def test_a_program_runs(extensions: RingbackServer, program: str, tmp_path: Path) -> None:
    host, port = extensions.udp
    file = tmp_path / "program.py"
    file.write_text(program.replace("192.0.2.10", f"{host}:{port}"))
    done = subprocess.run(
        [sys.executable, file], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def test_every_error_and_event_is_on_the_page() -> None:
    for name in agent.__all__:
        assert re.search(rf"\b{name}\b", PAGE) or name in ("Call", "CallEvent"), name
