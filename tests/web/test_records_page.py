"""The documentation defines every column of call records, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from ringback.store import schema
from ringback.web.record_rows import CALL_COLUMNS, LEG_COLUMNS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "records.md").read_text()


def named(section: str) -> set[str]:
    table = PAGE.split(f"\n## {section}")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_column_of_the_files_is_defined_and_every_defined_one_exists() -> None:
    assert named("A call") == set(CALL_COLUMNS)
    assert named("A leg") == set(LEG_COLUMNS)


def test_every_column_of_the_database_is_said_to_be_in_clear_or_not() -> None:
    rows = re.findall(r"^\| `(call_records|call_details|call_legs)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    for table in (schema.call_records, schema.call_details, schema.call_legs):
        told = {name for where, cell in rows if where == table.name for name in re.findall(r"`(\w+)`", cell)}
        assert told == {column.name for column in table.columns}
