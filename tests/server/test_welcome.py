"""What the start message shows, and where secrets go."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from ringback.server.welcome import Listening, show_first_start, show_listening

ROWS = [("Administrator", "http://127.0.0.1:8080/setup#tok[en]"), ("Extension 101", "password abcd-efgh")]


def test_on_a_terminal_secrets_are_shown_unbroken(tmp_path: Path) -> None:
    out = io.StringIO()
    show_first_start(
        Console(file=out, force_terminal=True, width=30, no_color=True, highlight=False), ROWS, tmp_path / "f"
    )
    assert "http://127.0.0.1:8080/setup#tok[en]" in out.getvalue()
    assert "password abcd-efgh" in out.getvalue()
    assert not (tmp_path / "f").exists()


def test_in_a_log_they_are_not_shown_but_kept_for_their_owner(tmp_path: Path) -> None:
    out = io.StringIO()
    file = tmp_path / "first-start.txt"
    show_first_start(Console(file=out, width=200), ROWS, file)
    assert "abcd-efgh" not in out.getvalue()
    assert "tok[en]" not in out.getvalue()
    assert str(file) in out.getvalue()
    assert "abcd-efgh" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_port_that_moved_is_said() -> None:
    out = io.StringIO()
    moved = Listening("SIP UDP", "127.0.0.1:5062", "port 5060 is taken")
    show_listening(Console(file=out, width=200), "1.0", [moved])
    assert "127.0.0.1:5062  port 5060 is taken" in out.getvalue()
