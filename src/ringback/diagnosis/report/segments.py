"""What lies between capture points, as tables: what each segment lost, delayed and marked anew."""

from __future__ import annotations

from typing import Final

from ringback.diagnosis.points.clocks import ClockOffset
from ringback.diagnosis.points.segments import Comparison, Segment
from ringback.diagnosis.report.markup import Markup, tag
from ringback.diagnosis.report.tables import table
from ringback.diagnosis.shown import count, percent, place

MOST_SEGMENTS: Final = 500
HEAD: Final = (
    "Stream", "Segment", "Went in", "Lost", "Least delay", "95 % within", "DSCP", "Hops", "Rewritten",
)  # fmt: skip


def segments_section(comparison: Comparison) -> Markup:
    """All streams that more than one point saw, those with most loss on a segment first."""
    shown = segment_rows(comparison)[:MOST_SEGMENTS]
    notes = [tag("li", note) for note in clock_notes(comparison)]
    return tag(
        "section",
        tag("h2", "Between the capture points", id="points"),
        table("Segments", HEAD, shown) if shown else tag("p", "No stream was seen at more than one point."),
        tag("ul", *notes, class_="facts") if notes else None,
        aria_labelledby="points",
    )


def segment_rows(comparison: Comparison) -> list[list[str]]:
    """A row for each stream and segment, as HEAD has it; those with most loss first."""
    segments = (segment for path in comparison.paths for segment in path.segments)
    return [_row(segment) for segment in sorted(segments, key=lambda one: -one.loss)]


def clock_notes(comparison: Comparison) -> list[str]:
    """How the clocks of the points lie, and what only one of them saw."""
    notes = [_clock(clock) for clock in comparison.clocks]
    if comparison.alone:
        notes.append(f"Seen at one point only: {count(len(comparison.alone), 'stream')}.")
    return notes


def _row(segment: Segment) -> list[str]:
    delay = segment.delay
    changed = [f"{before} → {after}" for before, after in segment.dscp if before != after]
    rewritten = [
        name
        for name, was in (("addresses", segment.addresses_changed), ("numbers", segment.numbers_changed))
        if was
    ]
    key = segment.first_key
    return [
        f"{place(key.src, key.sport)} → {place(key.dst, key.dport)}",
        f"{segment.source} → {segment.target}",
        f"{segment.sent:,}",
        percent(segment.lost, segment.sent),
        "" if delay.least is None else f"{delay.least:.1f} ms ± {delay.uncertain or 0:.1f}",
        f"+{delay.above_least[1]:.1f} ms",
        ", ".join(changed) or ", ".join(str(before) for before, _ in segment.dscp),
        "" if segment.hops is None else str(segment.hops),
        ", ".join(rewritten),
    ]


def _clock(clock: ClockOffset) -> str:
    ahead_ms = clock.ahead_ns / 1e6
    way = "ahead of" if ahead_ms >= 0 else "behind"
    if clock.uncertain_ns is None:
        return f"Packets went one way only: clocks of {clock.first} and {clock.second} cannot be compared."
    return (
        f"The clock of {clock.second} is {abs(ahead_ms):.1f} ms {way} that of {clock.first}, "
        f"± {clock.uncertain_ns / 1e6:.1f} ms."
    )
