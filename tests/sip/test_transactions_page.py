"""The documentation of the transactions is drawn from their tables."""

from __future__ import annotations

from pathlib import Path

from ringback.sip.transaction.page import MACHINES, transactions_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sip-transactions.md"


def test_the_page_is_that_of_the_tables() -> None:
    assert PAGE.read_text() == transactions_page(), "run: make docs"


def test_every_row_of_every_table_is_on_it() -> None:
    page = transactions_page()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    arrows = [line for line in page.splitlines() if " --> " in line and "[*]" not in line]
    transitions = {(kind, state, row[0]) for _, kind in MACHINES for (state, _), row in kind.table.items()}
    # Four heads of tables, and the timers with theirs.
    assert len(rows) == sum(len(kind.table) for _, kind in MACHINES) + 4 + 12 + 1
    assert len(arrows) == len(transitions)
