"""The report as one HTML page that opens offline: no request leaves it, and nothing in it is loaded later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final

from ringback import __version__
from ringback.diagnosis.causes.verdict import Window
from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis
from ringback.diagnosis.many.rows import with_many
from ringback.diagnosis.report.findings import standing_chip, verdict_card
from ringback.diagnosis.report.ladder import ladder
from ringback.diagnosis.report.many import many_section
from ringback.diagnosis.report.markup import Child, Markup, tag
from ringback.diagnosis.report.method import method
from ringback.diagnosis.report.points import points_section
from ringback.diagnosis.report.policy import asset, content_security_policy
from ringback.diagnosis.report.tables import interval_table, offer_table, stream_table, table
from ringback.diagnosis.report.timeline import axis_of, counter_figure, stream_figures, time_axis
from ringback.diagnosis.report.what_if import what_if_sections
from ringback.diagnosis.shown import (
    at,
    call_name,
    clock,
    count,
    length,
    outcome,
    overview,
    sentences,
    start_of,
    who,
)
from ringback.diagnosis.signalling.call import Side

_FROM: Final[Mapping[Side, str]] = {"caller": "From the caller", "called": "From the called side"}
MOST_SECTIONS: Final = 300
"""Calls that have a section of their own, the worst ones; a browser opens what they take."""

MOST_ROWS: Final = 5_000
FEW: Final = 12
"""So many calls of which nothing is wrong have all their numbers; of more, only those with trouble have the
numbers of each ten seconds."""


def report_html(
    diagnosis: Diagnosis, *, show_numbers: bool = False, zone: tzinfo | None = None
) -> Iterator[str]:
    """The page in pieces: of each call the curves are in memory only while it is written.

    Times are of `zone`, None for that of this machine. Numbers, names and Call-IDs are masked unless shown.
    """
    diagnosis = with_many(diagnosis, zone)
    ranked = diagnosis.worst_first()
    title = title_of(ranked)
    if diagnosis.many is not None and not ranked:
        title = diagnosis.many.headline()
    yield "<!doctype html>\n"
    yield '<html lang="en">'
    yield tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=content_security_policy()),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="description", content=title),
        tag("meta", name="generator", content=f"Ringback {__version__}"),
        tag("title", f"{sentences(title)[0]} · Diagnosis"),
        tag("style", Markup(asset("page.css"))),
    )
    yield "\n<body>"
    yield tag("a", "To the verdict", href="#verdict", class_="skip")
    yield _header(diagnosis, zone)
    yield '<main id="verdict">'
    first, *rest = sentences(title)
    yield tag("h1", first)
    if rest:
        yield tag("p", " ".join(rest), class_="lead")
    several = len(ranked) > 1
    if several:
        yield _overview(ranked, diagnosis.window, show_numbers, zone)
    if diagnosis.many is not None:
        yield many_section(diagnosis.many, titled=bool(ranked))
    if diagnosis.comparison is not None:
        yield points_section(diagnosis.comparison)
    for number, call in enumerate(ranked[:MOST_SECTIONS]):
        full = call.standing != "good" or len(ranked) <= FEW
        yield _call(diagnosis, call, number, several, full, show_numbers, zone)
    if len(ranked) > MOST_SECTIONS:
        left = count(len(ranked) - MOST_SECTIONS, "more call")
        yield tag("p", f"{left}, no worse than these, stand in the table alone; JSON has all.", class_="soft")
    yield method(diagnosis)
    yield "</main>"
    yield tag("footer", f"Made by Ringback {__version__}. ", _masked(show_numbers))
    if several:
        yield tag("script", Markup(asset("page.js")))
    yield "</body></html>\n"


def title_of(ranked: Sequence[DiagnosedCall]) -> str:
    """What it all comes to."""
    if not ranked:
        return "There is neither a call nor a voice stream in this capture."
    return ranked[0].verdict.summary if len(ranked) == 1 else overview(ranked)


def _header(diagnosis: Diagnosis, zone: tzinfo | None) -> Markup:
    facts = what_was_read(diagnosis, zone)
    return tag("header", tag("p", tag("strong", "Diagnosis"), *(tag("span", fact) for fact in facts)))


def what_was_read(diagnosis: Diagnosis, zone: tzinfo | None) -> list[str]:
    """Files, packets and times, in words."""
    names = [name for capture in diagnosis.captures for name in capture.files]
    what = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    packets = sum(capture.packets for capture in diagnosis.captures)
    facts = [what, f"{packets:,} packets"]
    window = diagnosis.window
    if packets:
        facts.append(f"{at(window.began_ns, zone):%Y-%m-%d %H:%M:%S %Z}")
        facts.append(length((window.ended_ns - window.began_ns) / 1e9))
    elif diagnosis.many is not None:
        facts = [diagnosis.many.source, f"{diagnosis.many.calls:,} calls"]
        facts += [f"{diagnosis.many.began[:16]} to {diagnosis.many.ended[:16]}"]
    if diagnosis.complaint is not None:
        began, ended = diagnosis.complaint.began_ns, diagnosis.complaint.ended_ns
        facts.append(f"complaint {clock(began, zone)} to {clock(ended, zone)}")
    if diagnosis.problems:
        facts.append(f"{count(len(diagnosis.problems), 'problem')} in the files")
    return facts


def _masked(show_numbers: bool) -> str:
    return "Nothing is masked." if show_numbers else "Numbers, names and Call-IDs are masked."


def _overview(
    ranked: Sequence[DiagnosedCall], window: Window, show_numbers: bool, zone: tzinfo | None
) -> Markup:
    rows: list[list[Child]] = []
    for number, call in enumerate(ranked[:MOST_ROWS]):
        record = call.record
        mos, start = call.lowest_mos, start_of(call, window, zone)
        rows.append([
            tag("a", start, href=f"#call-{number}") if number < MOST_SECTIONS else start,
            who(call, show_numbers),
            "no signalling" if record is None else outcome(record),
            ", ".join(dict.fromkeys(s.measured.codec.name for s in call.streams if s.measured.codec.name)),
            _lost(call),
            "" if mos is None else f"{mos:.1f}",
            standing_chip(call.standing),
            call.verdict.causes[0].cause if call.verdict.causes else "",
        ])  # fmt: skip
    head = ["Start", "Who", "Outcome", "Codec", "Lost", "Lowest MOS", "Verdict", "Likeliest cause"]
    box = tag(
        "form",
        tag("label", tag("span", "Filter"), tag("input", type="search", id="filter", autocomplete="off",
            placeholder="number, host, cause …"), for_="filter"),
        tag("p", role="status", id="matching", class_="soft"),
        class_="filter", role="search", hidden=True,
    )  # fmt: skip
    return tag(
        "section",
        tag("h2", f"{count(len(ranked), 'call')}, worst first", id="overview"),
        box,
        table("Calls", head, rows),
        class_="overview",
        aria_labelledby="overview",
    )


def _lost(call: DiagnosedCall) -> str:
    shares = [s.measured.lost / s.measured.expected for s in call.streams if s.measured.expected]
    return f"{100 * max(shares):.1f} %" if shares else ""


def _call(
    diagnosis: Diagnosis,
    call: DiagnosedCall,
    number: int,
    several: bool,
    full: bool,
    show_numbers: bool,
    zone: tzinfo | None,
) -> Markup:
    heading = tag("h2", who(call, show_numbers), id=f"call-{number}")
    facts = [tag("li", fact) for fact in facts_of(call, show_numbers, zone)]
    parts: list[Child] = [heading, tag("ul", *facts, class_="facts")]
    # The summary of the only call is the page's title already.
    parts.append(verdict_card(call, with_summary=several))
    if call.streams:
        parts += [tag("h3", "Over time"), *_curves(diagnosis, call, zone)]
        names = stream_names(call.streams)
        parts += [tag("h3", "Numbers"), stream_table(names)]
        if full:
            parts += [
                tag(
                    "details",
                    tag("summary", f"Each ten seconds: {name}"),
                    interval_table(stream.measured, zone),
                )
                for name, stream in names.items()
            ]
        parts += what_if_sections(diagnosis, call, number, names)
    if call.record is not None and call.record.messages:
        parts += [tag("h3", "Signalling"), ladder(call.record)]
        if call.record.media:
            offers = offer_table(call.record.media, call.record.start_ns)
            parts.append(tag("details", tag("summary", "Offers and answers (SDP)"), offers))
    if several:
        parts.append(tag("p", tag("a", "Back to all calls", href="#overview"), class_="back"))
    return tag("section", *parts, class_="call", aria_labelledby=f"call-{number}")


def facts_of(call: DiagnosedCall, show_numbers: bool, zone: tzinfo | None) -> list[str]:
    """When it was, how it went, and between which devices."""
    record = call.record
    facts = [f"{at(call.began_ns, zone):%Y-%m-%d %H:%M:%S}"]
    if record is None:
        facts.append("without signalling")
    else:
        facts.append(outcome(record))
        if record.answered_ns is not None and record.ended_ns is not None:
            facts.append(length((record.ended_ns - record.answered_ns) / 1e9))
        if record.setup_ms is not None:
            facts.append(f"set-up {record.setup_ms / 1000:.1f} s")
        if record.ended_by is not None:
            facts.append(f"ended by the {record.ended_by}")
        facts += [", ".join(record.negotiated)] if record.negotiated else []
        facts += [f"{side}: {agent}" for side, agent in record.user_agents.items() if agent]
        facts.append(f"Call-ID {call_name(record, show_numbers)}" if show_numbers else f"call {record.label}")
    return facts


def _curves(diagnosis: Diagnosis, call: DiagnosedCall, zone: tzinfo | None) -> Iterator[Markup]:
    axis = axis_of(call.streams, zone, diagnosis.complaint, diagnosis.marks)
    if axis.complaint is not None:
        yield tag("p", tag("span", class_="swatch"), "when it was complained of", class_="soft key")
    yield from stream_figures(stream_names(call.streams), axis)
    yield counter_figure(diagnosis.counters, axis)
    yield time_axis(axis)


def stream_names(streams: Sequence[DiagnosedStream]) -> Mapping[str, DiagnosedStream]:
    """A name for each stream of a call that tells them apart: `From the caller`, `From the caller, 2`."""
    found: dict[str, DiagnosedStream] = {}
    for stream in streams:
        base = _FROM[stream.sent_by] if stream.sent_by else f"From {stream.measured.key.src}"
        if stream.point:
            base += f", at {stream.point}"
        name, number = base, 2
        while name in found:
            name, number = f"{base}, {number}", number + 1
        found[name] = stream
    return found
