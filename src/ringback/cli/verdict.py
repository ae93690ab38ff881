"""A diagnosis in a terminal: the verdict first, then evidence, calls, streams, problems of the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ringback.cli.many_shown import print_many
from ringback.cli.output import print_rich, print_table
from ringback.cli.streams_shown import print_points, print_what_if
from ringback.diagnosis.causes.verdict import Cause, Window
from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis, Standing
from ringback.diagnosis.many.summary import ManyCalls
from ringback.diagnosis.shown import (
    at,
    count,
    length,
    outcome,
    overview,
    percent,
    place,
    score,
    short_address,
    start_of,
    sure,
    who,
)

WIDEST: Final = 100
"""Columns of running text, which is hard to read in longer lines."""

MOST_VERDICTS: Final = 3
"""Calls whose evidence is shown; the report has that of all."""

MOST_ROWS: Final = 20

_MARKS: Final[dict[Standing, tuple[str, str]]] = {
    "bad": ("✗", "bold red"),
    "unclear": ("?", "bold yellow"),
    "artefact": ("○", "bold cyan"),
    "good": ("✓", "bold green"),
}


def print_diagnosis(
    diagnosis: Diagnosis,
    show_numbers: bool,
    zone: tzinfo | None,
    report: Path | None,
    *,
    asked_what_if: bool = False,
) -> None:
    """Print it all; times are of the zone, None for that of this machine."""
    ranked = diagnosis.worst_first()
    if diagnosis.many is not None and not diagnosis.captures:
        _print_records(diagnosis.many, report)
        return
    _put(Text(_what_was_read(diagnosis, zone), style="dim"))
    verdicts = _print_verdicts(diagnosis, ranked, show_numbers, zone)
    _print_tables(diagnosis, ranked, show_numbers, zone)
    _print_beside(diagnosis, asked_what_if)
    _print_problems(diagnosis)
    hints = list(_hints(ranked, verdicts, report, show_numbers))
    if hints:
        print()
    for hint in hints:
        _put(Text(hint, style="dim"))


def _print_verdicts(
    diagnosis: Diagnosis, ranked: Sequence[DiagnosedCall], show_numbers: bool, zone: tzinfo | None
) -> int:
    """What it comes to, and the evidence for the worst calls; of how many that was."""
    if not ranked:
        _put(Text("There is neither a call nor a voice stream in it."))
    elif len(ranked) > 1:
        _put(Text(overview(ranked), style="bold"))
    shown = [call for call in ranked if call.standing != "good"][:MOST_VERDICTS]
    if not shown and len(ranked) == 1:
        shown = list(ranked)
    for call in shown:
        print()
        heading = _who(call, diagnosis.window, show_numbers, zone) if len(ranked) > 1 else ""
        _print_verdict(call, heading)
    return len(shown)


def _print_tables(
    diagnosis: Diagnosis, ranked: Sequence[DiagnosedCall], show_numbers: bool, zone: tzinfo | None
) -> None:
    """Calls and streams in the order of time, of many the worst."""
    calls = list(diagnosis.calls)
    if len(calls) > MOST_ROWS:
        _print_section(f"The worst {MOST_ROWS} calls")
        calls = [call for call in ranked if call.record is not None]
    elif calls:
        _print_section("Calls")
    if calls:
        _print_calls(calls, diagnosis.window, show_numbers, zone)
    streams = list(diagnosis.streams)
    if len(streams) > MOST_ROWS:
        _print_section(f"{MOST_ROWS} streams of the worst calls")
        streams = [stream for call in ranked for stream in call.streams]
    elif streams:
        _print_section("Streams")
    if streams:
        _print_streams(streams)


def _print_records(many: ManyCalls, report: Path | None) -> None:
    """Calls of a table, of which nothing is known but that."""
    _put(Text(f"{many.source} · {many.began[:16]} to {many.ended[:16]}", style="dim"))
    print_many(many)
    if report is not None:
        print()
        _put(Text(f"The report is in {report}.", style="dim"))


def _print_beside(diagnosis: Diagnosis, asked_what_if: bool) -> None:
    """What several points, many calls, and changes tell."""
    if diagnosis.comparison is not None:
        print_points(diagnosis.comparison)
    if diagnosis.many is not None:
        print_many(diagnosis.many)
    if asked_what_if:
        print_what_if(diagnosis)


def _print_problems(diagnosis: Diagnosis) -> None:
    if not diagnosis.problems:
        return
    _print_section("Problems of the files")
    rows = [
        {"file": p.file, "at": p.offset if p.offset >= 0 else None, "problem": p.problem}
        for p in diagnosis.problems[:MOST_ROWS]
    ]
    print_table(rows, {"File": "file", "At": "at", "Problem": "problem"}, "")


def _put(shown: Text | Table | Padding) -> None:
    print_rich(shown, WIDEST)


def _what_was_read(diagnosis: Diagnosis, zone: tzinfo | None) -> str:
    names = [name for capture in diagnosis.captures for name in capture.files]
    what = names[0] if len(names) == 1 else f"{len(names)} files"
    packets = sum(capture.packets for capture in diagnosis.captures)
    window = diagnosis.window
    began = at(window.began_ns, zone)
    seconds = (window.ended_ns - window.began_ns) / 1e9
    return (
        f"{what} · {packets:,} packets · {length(seconds)} from {began:%Y-%m-%d %H:%M:%S %Z}"
        f" · {count(len(diagnosis.calls), 'call')}, {count(sum(1 for _ in diagnosis.streams), 'stream')}"
    )


def _who(call: DiagnosedCall, window: Window, show_numbers: bool, zone: tzinfo | None) -> str:
    unsignalled = ", without signalling" if call.record is None else ""
    return f"{start_of(call, window, zone)}  {who(call, show_numbers)}{unsignalled}"


def _print_verdict(call: DiagnosedCall, heading: str) -> None:
    mark, style = _MARKS[call.standing]
    if heading:
        _put(Text(heading, style="dim"))
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(mark, style=style), Text(call.verdict.summary, style="bold"))
    _put(table)
    if call.verdict.refused and call.verdict.refused != call.verdict.summary:
        _put(Padding(Text(call.verdict.refused), (0, 0, 0, 2)))
    if call.verdict.causes:
        _print_cause(call.verdict.causes[0])
    others = [f"{cause.cause} {sure(cause)}" for cause in call.verdict.causes[1:4]]
    if others:
        _put(Padding(Text("Less likely: " + ", ".join(others), style="dim"), (0, 0, 0, 2)))


def _print_cause(cause: Cause) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Cause", Text(f"{cause.cause}, {sure(cause)} sure"))
    for name, sentences in (
        ("For", cause.for_),
        ("Against", cause.against),
        ("Missing", cause.missing),
        ("Next step", (cause.next_step,)),
        ("No use", cause.useless),
    ):
        for number, sentence in enumerate(filter(None, sentences)):
            table.add_row(name if not number else "", Text(sentence))
    _put(Padding(table, (0, 0, 0, 2)))


def _print_section(title: str) -> None:
    print()
    _put(Text(title, style="bold"))


def _print_calls(
    calls: Sequence[DiagnosedCall], window: Window, show_numbers: bool, zone: tzinfo | None
) -> None:
    rows = []
    for call in calls[:MOST_ROWS]:
        record = call.record
        if record is None:
            continue
        rows.append({
            "mark": _MARKS[call.standing][0],
            "start": start_of(call, window, zone),
            "from": short_address(record.from_, show_numbers),
            "to": short_address(record.to, show_numbers),
            "outcome": outcome(record),
            "setup": None if record.setup_ms is None else f"{record.setup_ms:.0f} ms",
            "codec": ", ".join(record.negotiated),
            "cause": call.verdict.causes[0].cause if call.verdict.causes else None,
        })  # fmt: skip
    columns = {"": "mark", "Start": "start", "From": "from", "To": "to", "Outcome": "outcome"}
    print_table(rows, {**columns, "Set-up": "setup", "Codec": "codec", "Likeliest cause": "cause"}, "")


def _print_streams(streams: Sequence[DiagnosedStream]) -> None:
    rows = []
    for stream in streams[:MOST_ROWS]:
        found = stream.measured
        key = found.key
        rows.append({
            "point": stream.point,
            "from": place(key.src, key.sport),
            "to": place(key.dst, key.dport),
            "codec": found.codec.name or "unknown",
            "packets": f"{found.unique:,}",
            "lost": percent(found.lost, found.expected),
            "late": percent(found.late.fixed_50, found.expected),
            "jitter": f"{found.jitter_ms.mean:.1f}/{found.jitter_ms.max:.1f} ms",
            "dscp": ", ".join(map(str, sorted(found.dscp))),
            "mos": score(found.mos),
        })  # fmt: skip
    point = {"Point": "point"} if any(stream.point for stream in streams) else {}
    columns = {**point, "From": "from", "To": "to", "Codec": "codec", "Packets": "packets", "Lost": "lost"}
    print_table(
        rows, {**columns, "Late at 50 ms": "late", "Jitter": "jitter", "DSCP": "dscp", "MOS": "mos"}, ""
    )


def _hints(
    ranked: Sequence[DiagnosedCall], verdicts: int, report: Path | None, show_numbers: bool
) -> Iterator[str]:
    troubled = sum(call.standing != "good" for call in ranked)
    if report is not None:
        yield f"The report is in {report}{', with nothing masked' if show_numbers else ''}."
    elif troubled > verdicts or len(ranked) > MOST_ROWS:
        yield "This is the worst of it; a report has every call and stream: --report OUT.html"
    elif troubled:
        yield "A report has the curves and the ladder: --report OUT.html"
