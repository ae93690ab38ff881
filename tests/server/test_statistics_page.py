"""The documentation defines every column of a line's statistics, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringback.web.shapes import View
from ringback.web.views import ReceivedSeriesView, RemoteSeriesView, SentSeriesView

PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"


@pytest.mark.parametrize(
    ("part", "view"),
    [("received", ReceivedSeriesView), ("sent", SentSeriesView), ("remote", RemoteSeriesView)],
)
def test_every_column_is_defined_and_every_defined_one_exists(part: str, view: type[View]) -> None:
    section = PAGE.read_text().split(f"\n## `{part}`")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(view.model_fields)
