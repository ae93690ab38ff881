"""Several capture points in the report: the way of each stream, and what each segment did to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ringback.diagnosis.points.segments import Comparison, Path, Segment
from ringback.diagnosis.report.markup import Child, Markup, joined, tag
from ringback.diagnosis.shown import count, percent, place

MOST_PATHS: Final = 100

_KNOWN_BY: Final = {
    "addresses": "The order of the points is known by the addresses: the next sends what the one before got.",
    "ttl": "The order of the points is known by the TTL, which falls at each router.",
    "loss": "The order of the points is known by what only the first of them saw.",
    "given": "The order of the points is that in which they were given; nothing in the packets tells it.",
}


def points_section(comparison: Comparison) -> Markup:
    """All paths, the lossiest first, and the clocks."""
    ranked = sorted(comparison.paths, key=lambda path: -(path.worst.loss if path.worst else 0.0))
    parts: list[Child] = [tag("h2", "From point to point", id="points")]
    parts += [path_figure(path) for path in ranked[:MOST_PATHS]]
    if len(ranked) > MOST_PATHS:
        parts.append(tag("p", f"{len(ranked) - MOST_PATHS} more streams are not shown.", class_="soft"))
    if not ranked:
        parts.append(tag("p", "No stream was seen at more than one point."))
    if comparison.alone:
        parts.append(tag("p", _alone(comparison), class_="soft"))
    if comparison.clocks:
        items = [tag("li", clock.words()) for clock in comparison.clocks]
        parts += [tag("h3", "Clocks"), tag("ul", *items)]
    return tag("section", *parts, class_="points", aria_labelledby="points")


def _alone(comparison: Comparison) -> str:
    return f"{count(len(comparison.alone), 'stream')} more passed one point only."


def path_figure(path: Path) -> Markup:
    """One stream from point to point; what lies between stands between."""
    key = path.sights[0][1]
    name = f"{place(key.src, key.sport)} → {place(key.dst, key.dport)}"
    caption = tag(
        "figcaption",
        tag("strong", name),
        tag("span", f"SSRC 0x{key.ssrc:08X}", class_="soft ends"),
    )
    steps: list[Child] = []
    worst = path.worst
    after = {(segment.source, segment.first_key): segment for segment in path.segments}
    for point, seen in path.sights:
        where = tag(
            "span", f"{place(seen.src, seen.sport)} → {place(seen.dst, seen.dport)}", class_="soft ends"
        )
        changed = where if seen != key else None
        steps.append(tag("li", tag("strong", point), changed, class_="point"))
        segment = after.get((point, seen))
        if segment is not None:
            said = "lost here" if len(path.segments) == 1 else "loses most"
            steps.append(_segment(segment, said if segment is worst else ""))
    known = tag("p", _KNOWN_BY.get(path.order_known_by, ""), class_="soft known")
    return tag("figure", caption, tag("ol", *steps, class_="path"), known, class_="way")


def _segment(segment: Segment, worst: str) -> Markup:
    lost = percent(segment.lost, segment.sent)
    chip = tag("span", worst, class_="chip bad") if worst else None
    heading = tag("p", tag("strong", f"{lost} lost"), f" of {segment.sent:,} ", chip)
    facts = [tag("li", fact) for fact in _facts(segment)]
    return tag("li", heading, tag("ul", *facts), class_="segment worst" if worst else "segment")


def _facts(segment: Segment) -> Iterator[Child]:
    delay = segment.delay
    p50, p95, p99, most = delay.above_least
    if delay.least is not None and delay.uncertain is not None:
        yield f"takes {max(delay.least, 0.0):.1f} ms at least, if both ways are equally long"
    yield f"above the quickest: {p50:.1f} / {p95:.1f} / {p99:.1f} ms (p50, p95, p99), {most:.1f} at most"
    for (before, after), packets in sorted(segment.dscp.items(), key=lambda item: -item[1])[:4]:
        if before != after:
            yield joined(tag("strong", f"DSCP {before} → {after}"), f" in {count(packets, 'packet')}")
        elif len(segment.dscp) == 1:
            yield f"DSCP {before} stays"
    if segment.hops is not None:
        yield count(segment.hops, "router") + " between"
    if segment.reordered:
        yield f"{count(segment.reordered, 'packet')} out of order"
    if segment.duplicated:
        yield f"{count(segment.duplicated, 'packet')} doubled"
    if segment.addresses_changed:
        yield "addresses are rewritten (a NAT or a relay)"
    if segment.numbers_changed:
        yield "numbered anew: a relay; found by the sound"
