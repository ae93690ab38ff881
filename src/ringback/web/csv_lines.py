"""Lines of CSV that spreadsheets show and do not run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any, Final

CSV: Final = "text/csv; charset=utf-8; header=present"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_line(values: Iterable[Any]) -> str:
    """One row with its end."""
    out = io.StringIO()
    csv.writer(out).writerow([_cell(value) for value in values])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = str(value)
    # A caller's name that a spreadsheet would run.
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) and not _number(text) else text


def _number(text: str) -> bool:
    return text[1:].isdecimal()
