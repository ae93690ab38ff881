"""A diagnosis in a terminal: the verdict first, then evidence, calls, streams, problems of the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ringback.cli.output import print_rich, print_table
from ringback.diagnosis.causes.verdict import Cause
from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis, Standing
from ringback.diagnosis.shown import at, clock, short_address
from ringback.diagnosis.signalling.call import CallRecord
from ringback.diagnosis.stream.measured import Measured

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
    diagnosis: Diagnosis, show_numbers: bool, zone: tzinfo | None, report: Path | None
) -> None:
    """Print it all; times are of the zone, None for that of this machine."""
    ranked = diagnosis.worst_first()
    _put(Text(_what_was_read(diagnosis, zone), style="dim"))
    if len(ranked) > 1:
        _put(Text(overview(ranked), style="bold"))
    shown = [call for call in ranked if call.standing != "good"][:MOST_VERDICTS]
    if not shown and len(ranked) == 1:
        shown = ranked
    for call in shown:
        print()
        _print_verdict(call, _who(call, show_numbers, zone) if len(ranked) > 1 else "")
    if diagnosis.calls:
        _print_section("Calls")
        _print_calls(diagnosis.calls, show_numbers, zone)
    streams = list(diagnosis.streams)
    if streams:
        _print_section("Streams")
        _print_streams(streams)
    if not ranked:
        _put(Text("There is neither a call nor a voice stream in it."))
    if diagnosis.problems:
        _print_section("Problems of the files")
        print_table(
            [
                {"file": p.file, "at": p.offset if p.offset >= 0 else None, "problem": p.problem}
                for p in diagnosis.problems[:MOST_ROWS]
            ],
            {"File": "file", "At": "at", "Problem": "problem"},
            "",
        )
    hints = list(_hints(ranked, len(shown), len(streams), report, show_numbers))
    if hints:
        print()
    for hint in hints:
        _put(Text(hint, style="dim"))


def _put(shown: Text | Table | Padding) -> None:
    print_rich(shown, WIDEST)


def overview(ranked: Sequence[DiagnosedCall]) -> str:
    """Several calls in one sentence: `2 of 12 calls have trouble: congestion (2).`"""
    counts = Counter(call.standing for call in ranked)
    signalled = all(call.record is not None for call in ranked)
    noun = "calls" if signalled else "calls and conversations"
    causes = Counter(call.verdict.causes[0].cause for call in ranked if call.standing == "bad")
    if not causes:
        said = f"No cause of trouble was found in {len(ranked)} {noun}"
    else:
        named = ", ".join(f"{cause} ({count})" for cause, count in causes.most_common())
        said = f"{counts['bad']} of {len(ranked)} {noun} have trouble: {named}"
    if counts["unclear"]:
        said += f"; of {counts['unclear']} the capture cannot tell why"
    if counts["artefact"]:
        said += f"; {counts['artefact']} only look bad in this capture"
    return said + "."


def _what_was_read(diagnosis: Diagnosis, zone: tzinfo | None) -> str:
    names = [name for capture in diagnosis.captures for name in capture.files]
    what = names[0] if len(names) == 1 else f"{len(names)} files"
    packets = sum(capture.packets for capture in diagnosis.captures)
    window = diagnosis.window
    began = at(window.began_ns, zone)
    seconds = (window.ended_ns - window.began_ns) / 1e9
    return (
        f"{what} · {packets:,} packets · {length(seconds)} from {began:%Y-%m-%d %H:%M:%S %Z}"
        f" · {_count(len(diagnosis.calls), 'call')}, {_count(sum(1 for _ in diagnosis.streams), 'stream')}"
    )


def length(seconds: float) -> str:
    """`16.9 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _who(call: DiagnosedCall, show_numbers: bool, zone: tzinfo | None) -> str:
    if call.record is None:
        key = call.streams[0].measured.key
        return f"{clock(call.began_ns, zone)}  {key.src} ⇄ {key.dst}, without signalling"
    record = call.record
    caller, called = short_address(record.from_, show_numbers), short_address(record.to, show_numbers)
    return f"{clock(call.began_ns, zone)}  {caller} → {called}"


def _print_verdict(call: DiagnosedCall, who: str) -> None:
    mark, style = _MARKS[call.standing]
    if who:
        _put(Text(who, style="dim"))
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(mark, style=style), Text(call.verdict.summary, style="bold"))
    _put(table)
    if call.verdict.refused:
        _put(Padding(Text(call.verdict.refused), (0, 0, 0, 2)))
    if call.verdict.causes:
        _print_cause(call.verdict.causes[0])
    others = [f"{cause.cause} {_sure(cause)}" for cause in call.verdict.causes[1:4]]
    if others:
        _put(Padding(Text("Less likely: " + ", ".join(others), style="dim"), (0, 0, 0, 2)))


def _print_cause(cause: Cause) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Cause", Text(f"{cause.cause}, {_sure(cause)} sure"))
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


def _sure(cause: Cause) -> str:
    return f"{cause.confidence * 100:.0f} %"


def _print_section(title: str) -> None:
    print()
    _put(Text(title, style="bold"))


def _print_calls(calls: Sequence[DiagnosedCall], show_numbers: bool, zone: tzinfo | None) -> None:
    rows = []
    for call in calls[:MOST_ROWS]:
        record = call.record
        if record is None:
            continue
        rows.append({
            "mark": _MARKS[call.standing][0],
            "start": clock(record.start_ns, zone),
            "from": short_address(record.from_, show_numbers),
            "to": short_address(record.to, show_numbers),
            "outcome": _outcome(record),
            "setup": None if record.setup_ms is None else f"{record.setup_ms:.0f} ms",
            "codec": ", ".join(record.negotiated),
            "cause": call.verdict.causes[0].cause if call.verdict.causes else None,
        })  # fmt: skip
    columns = {"": "mark", "Start": "start", "From": "from", "To": "to", "Outcome": "outcome"}
    print_table(rows, {**columns, "Set-up": "setup", "Codec": "codec", "Likeliest cause": "cause"}, "")


def _outcome(record: CallRecord) -> str:
    plain = record.outcome == "answered" or record.status is None
    return record.outcome if plain else f"{record.outcome} ({record.status})"


def _print_streams(streams: Sequence[DiagnosedStream]) -> None:
    rows = []
    for stream in streams[:MOST_ROWS]:
        found = stream.measured
        key = found.key
        rows.append({
            "from": f"{_host(key.src)}:{key.sport}",
            "to": f"{_host(key.dst)}:{key.dport}",
            "codec": found.codec.name or "unknown",
            "packets": f"{found.unique:,}",
            "lost": percent(found.lost, found.expected),
            "late": percent(found.late.fixed_50, found.expected),
            "jitter": f"{found.jitter_ms.mean:.1f}/{found.jitter_ms.max:.1f} ms",
            "dscp": ", ".join(map(str, sorted(found.dscp))),
            "mos": score(found),
        })  # fmt: skip
    columns = {"From": "from", "To": "to", "Codec": "codec", "Packets": "packets", "Lost": "lost"}
    print_table(
        rows, {**columns, "Late at 50 ms": "late", "Jitter": "jitter", "DSCP": "dscp", "MOS": "mos"}, ""
    )


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def percent(part: int, whole: int) -> str:
    """`0`, `3 (0.2 %)`: the count and its share."""
    return f"{part:,} ({part / whole:.1%})".replace("%)", " %)") if part and whole else f"{part:,}"


def score(found: Measured) -> str:
    """`4.1 wideband`, with `about` where a constant was guessed; why there is none, otherwise."""
    mos = found.mos
    if mos.value is None:
        return "none"
    about = "about " if mos.grounding == "provisional" else ""
    return f"{about}{mos.value:.1f} {mos.scale}"


def _hints(
    ranked: Sequence[DiagnosedCall], verdicts: int, streams: int, report: Path | None, show_numbers: bool
) -> Iterator[str]:
    troubled = sum(call.standing != "good" for call in ranked)
    if report is not None:
        yield f"The report is in {report}{', with nothing masked' if show_numbers else ''}."
    elif troubled > verdicts or streams > MOST_ROWS or len(ranked) > MOST_ROWS:
        yield "This is the worst of it; a report has every call and stream: --report OUT.html"
    elif troubled:
        yield "A report has the curves and the ladder: --report OUT.html"
