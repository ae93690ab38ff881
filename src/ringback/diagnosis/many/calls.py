"""One row a call: when, the groups that it belongs to, and what of it was good or bad."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from ringback.governance.shown import fit_to_show

DIMENSIONS: Final = ("site", "trunk", "device", "network", "direction", "hour")
"""What calls are compared by; `network` is Wi-Fi or wired, `hour` the hour of the day on the site's clock."""
MEASURES: Final = (
    "mos",
    "mos_wideband",
    "mos_fullband",
    "loss_percent",
    "late_percent",
    "jitter_ms",
    "setup_ms",
)
"""`mos` is narrowband: scores of different scales are never put together."""

_SHOWN: Final[Mapping[str, tuple[str, str]]] = {
    "mos": ("MOS", ""),
    "mos_wideband": ("wideband MOS", ""),
    "mos_fullband": ("fullband MOS", ""),
    "loss_percent": ("loss", " %"),
    "late_percent": ("late at 50 ms", " %"),
    "jitter_ms": ("jitter", " ms"),
    "setup_ms": ("set-up", " ms"),
}

BAD_MOS: Final = 3.6
"""Below it many users are dissatisfied (ITU-T G.107, table B.1: R below 70)."""
BAD_LOSS_PERCENT: Final = 3.0
UNKNOWN: Final = "unknown"

_TIMES: Final = ("start", "time", "start_time", "calldate", "date")
_FAILED: Final = frozenset({"failed", "congestion"})
"""As call detail records have it. Busy and unanswered calls are nobody's fault."""


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call. `groups` has a value for each of DIMENSIONS that is known; `measures` those of MEASURES.

    `failed` means that it was never connected through a fault; who does not answer has not failed. `start`
    is aware of its zone.
    """

    start: datetime
    groups: Mapping[str, str]
    measures: Mapping[str, float] = field(default_factory=dict)
    failed: bool = False
    one_way: bool = False

    @property
    def bad(self) -> bool:
        """Whether somebody would have complained: it failed, was one-way, sounded bad, or lost much."""
        return (
            self.failed
            or self.one_way
            or any(self.measures.get(name, math.inf) < BAD_MOS for name in MEASURES if name.startswith("mos"))
            or self.measures.get("loss_percent", 0.0) >= BAD_LOSS_PERCENT
        )

    def group(self, dimension: str) -> str:
        """Its value of a dimension."""
        return self.groups.get(dimension, UNKNOWN)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A line of a table of calls that could not be used, from 1, and why, without what it held."""

    line: int
    reason: str


def read_rows(text: str, zone: tzinfo | None) -> tuple[list[CallRow], list[RowProblem]]:
    """The calls of a CSV table with a line of names first.

    A column `start` (ISO 8601, or seconds since 1970) is needed; columns named as DIMENSIONS and MEASURES
    are taken, and `outcome` (or `disposition`) and `one_way`. Times without a zone are of `zone`, None for
    that of this machine; hours are those of the time's own zone. Other columns are passed over.
    """
    reader = csv.DictReader(io.StringIO(text, newline=None), dialect=dialect_of(text))
    try:
        names = {name.strip().lower(): name for name in reader.fieldnames or () if name}
    except csv.Error:
        return [], [RowProblem(1, "this is no table of comma-separated values")]
    time_name = next((names[name] for name in _TIMES if name in names), None)
    if time_name is None:
        return [], [RowProblem(1, f"no column of times: one of {', '.join(_TIMES)} is needed")]
    rows: list[CallRow] = []
    problems: list[RowProblem] = []
    for values in lines_of(reader, problems):
        start = read_time(values.get(time_name) or "", zone)
        if start is None:
            problems.append(RowProblem(reader.line_num, "its time cannot be read"))
            continue
        rows.append(_row(values, names, start))
    return rows, problems


def read_time(text: str, zone: tzinfo | None) -> datetime | None:
    """A time as tables have it: ISO 8601, or seconds since 1970; None for anything else.

    What has no zone of its own is of `zone`, None for that of this machine.
    """
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return None
        if when.tzinfo is not None:
            return when
        return when.astimezone() if zone is None else when.replace(tzinfo=zone)
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return None


def with_hour(row_groups: Mapping[str, str], start: datetime) -> dict[str, str]:
    """The groups of a call with the hour that it began in, such as `14`, if it has none."""
    return {"hour": f"{start.hour:02d}", **row_groups}


def dialect_of(text: str) -> type[csv.Dialect]:
    """What separates the columns of a table."""
    try:
        return csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        return csv.excel


def lines_of(reader: csv.DictReader[str], problems: list[RowProblem]) -> Iterator[Mapping[str, str | None]]:
    """The lines, up to one at which the table itself breaks (a field without end, a NUL)."""
    try:
        yield from reader
    except csv.Error:
        problems.append(RowProblem(reader.line_num, "the table breaks here: what follows was not read"))


def _row(values: Mapping[str, str | None], names: Mapping[str, str], start: datetime) -> CallRow:
    def text(name: str) -> str:
        return (values.get(names.get(name, ""), "") or "").strip()

    measures = {}
    for name in MEASURES:
        number = _number(text(name))
        if number is not None:
            measures[name] = number
    groups = {name: fit_to_show(text(name)) for name in DIMENSIONS}
    groups = {name: group for name, group in groups.items() if group}
    return CallRow(
        start=start,
        groups=with_hour(groups, start),
        measures=measures,
        failed=(text("outcome") or text("disposition")).lower() in _FAILED,
        one_way=text("one_way").lower() in {"1", "true", "yes"},
    )


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def named(measure: str) -> str:
    """What is compared, in words; `bad` is the share of bad calls."""
    return "bad calls" if measure == "bad" else f"median {_SHOWN[measure][0]}"


def figure(measure: str, value: float) -> str:
    """A value of a measure with its unit; of `bad` it is a share."""
    return percent(value) if measure == "bad" else f"{value:.4g}{_SHOWN[measure][1]}"


def percent(share: float) -> str:
    """A share of 0 to 1: `12.1 %`."""
    return f"{100 * share:.1f} %"


def values_of(rows: Sequence[CallRow], measure: str) -> list[float]:
    """A measure of the calls that have it."""
    return [row.measures[measure] for row in rows if measure in row.measures]
