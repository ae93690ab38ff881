"""What a verb prints: JSON for programs, calm tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

PIPE_WIDTH: Final = 1000
"""Lines are not broken for a program that reads them."""


def print_json(value: Any) -> None:
    """One JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], nothing: str) -> None:
    """Rows as a table; `columns` maps headings to keys, `nothing` is said when there are no rows."""
    if not rows:
        print(nothing)
        return
    from rich.table import Table  # noqa: PLC0415 - not loaded for JSON
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_word(row.get(key))) for key in columns.values()))
    print_rich(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values, one pair a line; what is None or empty is left out."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in {None, ""}:
            table.add_row(name, Text(_word(value)))
    print_rich(table)


def print_rich(shown: Any, widest: int | None = None) -> None:
    """Something of rich's, as wide as the terminal or at most `widest` columns."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    with console.capture() as capture:
        console.print(shown, width=None if widest is None else min(widest, console.width))
    # Tables fill their last column with spaces, which get in the way when they are copied.
    for line in capture.get().splitlines():
        print(line.rstrip())


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list):
        return " ".join(map(_word, value))
    return str(value)
