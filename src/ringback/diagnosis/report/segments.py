"""What lies between capture points, as tables: what each segment lost, delayed and marked anew."""

from __future__ import annotations

from ringback.diagnosis.points.clocks import ClockOffset
from ringback.diagnosis.points.segments import Comparison, Segment
from ringback.diagnosis.report.markup import Child, Markup, tag
from ringback.diagnosis.report.tables import table
from ringback.diagnosis.shown import count, percent, place

MOST_SEGMENTS = 500


def segments_section(comparison: Comparison) -> Markup:
    """All streams that more than one point saw, those with most loss on a segment first."""
    segments = sorted(
        (segment for path in comparison.paths for segment in path.segments), key=lambda one: -one.loss
    )
    head = ["Stream", "Segment", "Went in", "Lost", "Least delay", "95 % within", "DSCP", "Hops", "Rewritten"]
    shown = [_row(segment) for segment in segments[:MOST_SEGMENTS]]
    notes = [tag("li", _clock(clock)) for clock in comparison.clocks]
    if comparison.alone:
        notes.append(tag("li", f"{count(len(comparison.alone), 'stream')} was seen at one point only"))
    return tag(
        "section",
        tag("h2", "Between the capture points", id="points"),
        table("Segments", head, shown) if shown else tag("p", "No stream was seen at more than one point."),
        tag("ul", *notes, class_="facts") if notes else None,
        aria_labelledby="points",
    )


def _row(segment: Segment) -> list[Child]:
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
