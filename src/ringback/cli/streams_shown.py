"""In a terminal: what a change would have made of streams, and what lies between capture points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ringback.cli.output import print_rich, print_table
from ringback.diagnosis.diagnosed import Diagnosis
from ringback.diagnosis.points.segments import Comparison, Path, Segment
from ringback.diagnosis.replayed import BETTER, best
from ringback.diagnosis.shown import count, percent, place
from ringback.diagnosis.what_if import Outcome

WIDEST: Final = 100
MOST_STREAMS: Final = 6
MOST_PATHS: Final = 10


def print_what_if(diagnosis: Diagnosis) -> None:
    """Each stream that was played again."""
    print()
    _put(Text("What if", style="bold"))
    if not diagnosis.what_if:
        _put(Text("There is no stream that could be played again."))
        return
    # What was heard least first.
    ranked = sorted(diagnosis.what_if.items(), key=lambda one: -one[1][0].failed_share)
    for (point, key), outcomes in ranked[:MOST_STREAMS]:
        seen = f", at {point}" if point else ""
        _put(Text(f"{place(key.src, key.sport)} → {place(key.dst, key.dport)}{seen}", style="dim"))
        _print_outcomes(outcomes)
    more = len(diagnosis.what_if) - MOST_STREAMS
    if more > 0:
        _put(Text(f"{count(more, 'stream')} more: --report or --json has them."))
    note = f"* best of its scale, by {BETTER} at least; scores of different scales cannot be compared."
    _put(Text(note, style="dim"))


def _print_outcomes(outcomes: Sequence[Outcome]) -> None:
    listening, conversing = best(outcomes)
    rows = []
    for place_, outcome in enumerate(outcomes):
        rows.append({
            "change": outcome.change.name,
            "failed": f"{100 * outcome.failed_share:.1f} %",
            "delay": f"{outcome.delay_ms:.0f} ms",
            "scale": outcome.mos.scale if outcome.mos.value is not None else None,
            "listening": _score(outcome.mos.value, outcome, place_ in listening),
            "conversation": _score(outcome.conversational, outcome, place_ in conversing),
            "rate": None if outcome.kbit_s is None else f"{outcome.kbit_s:.0f}",
        })  # fmt: skip
    columns = {"Change": "change", "Not played": "failed", "Delay added": "delay", "Scale": "scale"}
    columns |= {"Listening": "listening", "Conversation": "conversation", "kbit/s": "rate"}
    print_table(rows, columns, "")


def _score(value: float | None, outcome: Outcome, is_best: bool) -> str:
    if value is None:
        return "none"
    about = "about " if outcome.mos.grounding == "provisional" else ""
    return f"{about}{value:.1f}{' *' if is_best else ''}"


def print_points(comparison: Comparison) -> None:
    """The way of each stream from point to point, the lossiest first, and the clocks."""
    print()
    _put(Text("From point to point", style="bold"))
    ranked = sorted(comparison.paths, key=lambda path: -(path.worst.loss if path.worst else 0.0))
    for path in ranked[:MOST_PATHS]:
        _print_path(path)
    if len(ranked) > MOST_PATHS:
        _put(Text(f"{count(len(ranked) - MOST_PATHS, 'stream')} more: --report or --json has them."))
    if not ranked:
        _put(Text("No stream was seen at more than one point."))
    if comparison.alone:
        _put(Text(f"{count(len(comparison.alone), 'stream')} passed one point only.", style="dim"))
    for clock in comparison.clocks:
        _put(Text(clock.words()))


def _print_path(path: Path) -> None:
    key = path.sights[0][1]
    known = "" if path.order_known_by != "given" else "  (points in the order given: nothing tells it)"
    _put(Text(f"{place(key.src, key.sport)} → {place(key.dst, key.dport)}{known}", style="dim"))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for segment in path.segments:
        worst = segment is path.worst
        mark = Text("✗ " if worst else "  ", style="bold red")
        mark.append(f"{segment.source} → {segment.target}", style="bold" if worst else "")
        table.add_row(mark, Text(_done(segment)))
    _put(Padding(table, (0, 0, 0, 2)))


def _done(segment: Segment) -> str:
    _, p95, p99, most = segment.delay.above_least
    said = [f"{percent(segment.lost, segment.sent)} of {segment.sent:,} lost"]
    said.append(f"delay above the quickest {p95:.1f} ms (p95), {p99:.1f} (p99), {most:.1f} at most")
    if segment.delay.least is not None:
        said.append(f"at least {max(segment.delay.least, 0):.1f} ms, if both ways are equally long")
    said += [
        f"DSCP {before} → {after} in {packets:,}"
        for (before, after), packets in sorted(segment.dscp.items())
        if before != after
    ]
    if segment.hops is not None:
        said.append(count(segment.hops, "router"))
    if segment.reordered:
        said.append(f"{segment.reordered:,} out of order")
    if segment.duplicated:
        said.append(f"{segment.duplicated:,} doubled")
    if segment.numbers_changed:
        said.append("numbered anew by a relay")
    elif segment.addresses_changed:
        said.append("addresses rewritten")
    return "; ".join(said)


def _put(shown: Text | Table | Padding) -> None:
    print_rich(shown, WIDEST)
