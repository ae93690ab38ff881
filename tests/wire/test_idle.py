"""What an idle server has loaded: its size is a promise, so what only some calls need waits for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wire.server import RingbackServer

pytestmark = pytest.mark.wire


def loaded(pid: int) -> str:
    """The paths of all files that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return "\n".join(sorted({line.split(maxsplit=5)[5] for line in lines if line.count("/")}))


def test_neither_process_has_loaded_what_the_other_one_is_for(
    make_server: Callable[..., RingbackServer],
) -> None:
    server = make_server()
    for start in ("the first", "the second"):
        pids = server.ask("status")["pids"]
        media, control = loaded(pids["media"][0]), loaded(pids["control"])
        for library in ("numpy", "opus"):
            assert library in media
            assert library not in control, f"{start} start"
        for library in ("cryptography", "libssl", "pylibsrtp", "pydantic", "sqlite"):
            assert library not in media, f"{start} start"
        if start == "the first":
            assert server.stop() == 0
            server.start()
