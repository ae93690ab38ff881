"""The documentation of the command line is that of the command line."""

from __future__ import annotations

import re
from pathlib import Path

from ringback.cli.page import command_line_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"


def test_every_verb_is_documented_as_it_is() -> None:
    assert PAGE.read_text() == command_line_page(), "run: python -m ringback.cli.page > docs/command-line.md"


def test_options_that_the_guide_of_diagnosis_names_are_there() -> None:
    guide = (PAGE.parent / "diagnosis.md").read_text()
    entry = command_line_page().partition("## `ringback diagnose")[2].partition("\n## ")[0]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", guide)) - {"--role", "--json"}
    assert len(named) > 6
    assert {option for option in named if f"`{option}" not in entry} == set()
