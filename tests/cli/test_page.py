"""The documentation of the command line is that of the command line."""

from __future__ import annotations

from pathlib import Path

from ringback.cli.page import command_line_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"


def test_every_verb_is_documented_as_it_is() -> None:
    assert PAGE.read_text() == command_line_page(), "run: python -m ringback.cli.page > docs/command-line.md"
