"""The messages of a call as a ladder: a table whose rows are arrows between hosts (RFC 3261, figure 1)."""

from __future__ import annotations

from typing import Final

from ringback.diagnosis.report.markup import Markup, joined, tag
from ringback.diagnosis.report.tables import scrolling
from ringback.diagnosis.shown import place
from ringback.diagnosis.signalling.call import CallRecord, LadderMessage

MOST_LANES: Final = 5
"""Hosts side by side; with more, each row names them."""

MOST_ROWS: Final = 200
GAP_MS: Final = 1000.0
"""From here on the time since the message before is remarkable."""


def ladder(record: CallRecord) -> Markup:
    """All messages in the order of the capture; after the first 200 it says how many there are more."""
    lanes = list(
        dict.fromkeys(
            (host, port)
            for message in record.messages
            for host, port in (message.endpoints[:2], message.endpoints[2:])
        )
    )
    narrow = len(lanes) > MOST_LANES
    rows = []
    before = record.start_ns
    for message in record.messages[:MOST_ROWS]:
        since_ms = (message.at_ns - record.start_ns) / 1e6
        gap_ms = (message.at_ns - before) / 1e6
        before = message.at_ns
        cells = [
            tag("td", f"{since_ms / 1000:.3f}", class_="time"),
            tag("td", _gap(gap_ms), class_="time gap" if gap_ms >= GAP_MS else "time"),
        ]
        cells += [_words(message)] if narrow else _arrow(message, lanes)
        rows.append(tag("tr", *cells, class_="again" if message.retransmission else None))
    left = len(record.messages) - len(rows)
    more = tag("p", f"{left:,} more messages are not shown.", class_="soft") if left > 0 else None
    table = tag("table", _head(lanes, narrow), tag("tbody", *rows), class_="ladder")
    return joined(scrolling(table, "Ladder of messages"), more)


def _head(lanes: list[tuple[str, int]], narrow: bool) -> Markup:
    times = [tag("th", "s", class_="time", scope="col"), tag("th", "gap", class_="time", scope="col")]
    if narrow:
        return tag("thead", tag("tr", *times, tag("th", "Message", scope="col")))
    hosts = [tag("span", place(host, port)) for host, port in lanes]
    spans = max(len(lanes) - 1, 1)
    return tag("thead", tag("tr", *times, tag("th", *hosts, colspan=spans, class_="hosts", scope="colgroup")))


def _arrow(message: LadderMessage, lanes: list[tuple[str, int]]) -> list[Markup]:
    start, end = lanes.index(message.endpoints[:2]), lanes.index(message.endpoints[2:])
    first, last = min(start, end), max(start, end)
    spans = max(len(lanes) - 1, 1)
    if first == last:
        return [tag("td", _label(message), colspan=spans)]
    direction = "to-right" if start < end else "to-left"
    ends = f" from {place(*message.endpoints[:2])} to {place(*message.endpoints[2:])}"
    cells = [tag("td", class_="lane") for _ in range(first)]
    cells.append(
        tag("td", tag("span", _label(message), tag("span", ends, class_="unseen"), class_="label"),
            colspan=last - first, class_=f"arrow {direction} {kind(message)}")
    )  # fmt: skip
    cells += [tag("td", class_="lane") for _ in range(spans - last)]
    return cells


def _words(message: LadderMessage) -> Markup:
    ends = f"{place(*message.endpoints[:2])} → {place(*message.endpoints[2:])}  "
    return tag("td", tag("span", ends, class_="soft"), _label(message), class_=kind(message))


def _label(message: LadderMessage) -> Markup:
    marks = [tag("small", "SDP")] if message.has_sdp else []
    if message.retransmission:
        marks.append(tag("small", "again"))
    if message.packet.fragments > 1:
        marks.append(tag("small", f"{message.packet.fragments} fragments"))
    if message.packet.cut:
        marks.append(tag("small", "cut"))
    note = tag("em", f" {message.note}") if message.note else None
    return joined(message.label, *(joined(" ", mark) for mark in marks), note)


def kind(message: LadderMessage) -> str:
    """The class of a message, which gives it its colour."""
    status = message.status
    if not status:
        return "request"
    if status < 200 or status in {401, 407}:
        return "provisional"
    return "success" if status < 300 else "redirect" if status < 400 else "failure"


def _gap(gap_ms: float) -> str:
    return f"+{gap_ms / 1000:.1f} s" if abs(gap_ms) >= GAP_MS else f"+{gap_ms:.0f} ms"
