"""Call records as files: CSV with a row a call or a row a leg, JSON lines with a call and its legs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from ringback.web.csv_lines import csv_line
from ringback.web.record_views import CallRecordView, LegView, LineView

Format = Literal["csv", "jsonl"]
Rows = Literal["calls", "legs"]

CALL_COLUMNS: Final = tuple(name for name in CallRecordView.model_fields if name != "legs")
LEG_COLUMNS: Final = (
    "call",
    "leg",
    *(name for name in LegView.model_fields if name != "line"),
    *LineView.model_fields,
)
MEDIA_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/jsonl",
}


def head(form: Format, rows: Rows) -> str:
    """What the file begins with."""
    return csv_line(CALL_COLUMNS if rows == "calls" else LEG_COLUMNS) if form == "csv" else ""


def lines(calls: Iterable[CallRecordView], form: Format, rows: Rows) -> Iterator[str]:
    """Its lines, each with its end."""
    for call in calls:
        shown = call.model_dump(mode="json")
        if form == "jsonl":
            yield json.dumps(shown, ensure_ascii=False, separators=(",", ":")) + "\n"
        elif rows == "calls":
            yield csv_line(shown[name] for name in CALL_COLUMNS)
        else:
            for n, leg in enumerate(shown["legs"] or ()):
                values = {**leg, **(leg["line"] or {}), "call": shown["id"], "leg": n}
                # What is sent has two names: packets of the line, codecs of the leg.
                values["sent"] = leg["sent"]
                yield csv_line(values.get(name) for name in LEG_COLUMNS)
