"""What the start message shows, and where secrets go."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from ringback.server.welcome import (
    Listening,
    show_country_hint,
    show_first_start,
    show_lan_hint,
    show_listening,
    show_meetings,
    show_role_hint,
)

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


def test_the_line_for_the_lan_is_the_one_that_was_typed_and_three_addresses() -> None:
    out = io.StringIO()
    show_lan_hint(
        Console(file=out, width=30, highlight=False), "192.0.2.7", "ringback serve --data-dir '/a [b]'"
    )
    bind = "RINGBACK_SIP__BIND=0.0.0.0 RINGBACK_MEDIA__BIND=0.0.0.0 RINGBACK_WEB__BIND=0.0.0.0"
    assert f"  {bind} ringback serve --data-dir '/a [b]'\n" in out.getvalue()


def test_links_of_meetings_are_shown_to_a_person_and_not_to_a_log() -> None:
    links = [(f"Meeting {n}", f"http://127.0.0.1:8080/m/{n}#token") for n in range(5)]
    out, log = io.StringIO(), io.StringIO()
    show_meetings(Console(file=out, force_terminal=True, no_color=True, highlight=False), links)
    assert "Meeting 0  http://127.0.0.1:8080/m/0#token" in out.getvalue()
    assert "and 2 more: ringback meeting list" in out.getvalue()
    show_meetings(Console(file=log), links)
    assert log.getvalue() == ""


def test_what_is_not_restricted_is_said_with_what_to_do() -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)
    show_country_hint(console)
    show_role_hint(console)
    assert "routing.country is not set" in out.getvalue()
    assert 'country = "US" under [routing]' in out.getvalue()
    assert "ringback plan set role standard classes=national" in out.getvalue()
