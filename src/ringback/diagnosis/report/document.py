"""The report as a PDF, set by Typst (the optional extra `pdf`): verdicts, curves and numbers on paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, Final

from ringback import __version__
from ringback.diagnosis.causes.verdict import Cause, Window
from ringback.diagnosis.diagnosed import DiagnosedCall, Diagnosis
from ringback.diagnosis.report.markup import Markup, tag
from ringback.diagnosis.report.method import LIMITS, METHOD
from ringback.diagnosis.report.page import facts_of, stream_names, title_of, what_was_read
from ringback.diagnosis.report.policy import asset
from ringback.diagnosis.report.tables import stream_rows
from ringback.diagnosis.report.timeline import Axis, axis_of, counter_panels, stream_panels, ticks
from ringback.diagnosis.shown import outcome, place, sentences, start_of, sure, who

MISSING: Final = (
    "PDF needs an optional part: pip install 'ringback[pdf]'; or print the report (--report) from a browser"
)
MOST_CALLS: Final = 50
"""Calls whose verdict and curves are printed; the page has more."""

MOST_MESSAGES: Final = 40
_HEIGHTS: Final = {"high": 70, "low": 30, "strip": 24}
_WIDTH: Final = 700
_STYLE: Final = """
.loss{fill:#b3372e}.band,.level{fill:#1c6a5e;fill-opacity:.25}
.curve{fill:none;stroke:#1c6a5e;stroke-width:1.5;vector-effect:non-scaling-stroke}
.complaint{fill:#a86508;fill-opacity:.15}.mark{stroke:#5c6570;stroke-dasharray:3 3}
.cell{stroke:#fff}.good{fill:#cfe8da}.fair{fill:#f6e2bf}.poor{fill:#f6cfca}.none{fill:#efece6}
text{font-family:Libertinus Serif;font-size:10px;fill:#5c6570}text.in-cell{fill:#1f2328}
.frame{fill:none;stroke:#dfdcd6}
"""


class PdfMissingError(RuntimeError):
    """Typst is not installed; the message says how it is."""


def report_pdf(diagnosis: Diagnosis, *, show_numbers: bool = False, zone: tzinfo | None = None) -> bytes:
    """The document, of the 50 worst calls; raises PdfMissingError without the extra `pdf`."""
    try:
        import typst  # noqa: PLC0415 - optional
    except ImportError:
        raise PdfMissingError(MISSING) from None
    data = json.dumps(document(diagnosis, show_numbers=show_numbers, zone=zone), allow_nan=False)
    made: bytes = typst.compile(asset("document.typ").encode(), format="pdf", sys_inputs={"data": data})
    return made


def document(diagnosis: Diagnosis, *, show_numbers: bool, zone: tzinfo | None) -> dict[str, Any]:
    """All that the document says, as its template takes it."""
    ranked = diagnosis.worst_first()
    first, *rest = sentences(title_of(ranked))
    masked = "Nothing is masked." if show_numbers else "Numbers, names and Call-IDs are masked."
    return {
        "title": first,
        "lead": " ".join(rest),
        "facts": what_was_read(diagnosis, zone),
        "footer": f"Made by Ringback {__version__}. {masked}",
        "overview": _overview(ranked, diagnosis.window, show_numbers, zone) if len(ranked) > 1 else [],
        "calls": [
            _call(diagnosis, call, len(ranked) > 1, show_numbers, zone) for call in ranked[:MOST_CALLS]
        ],
        "method": [*METHOD, *LIMITS],
        "problems": [
            ["File", "At byte", "Problem"],
            *([p.file, f"{p.offset:,}" if p.offset >= 0 else "", p.problem] for p in diagnosis.problems[:50]),
        ],
    }


def _overview(
    ranked: Sequence[DiagnosedCall], window: Window, show_numbers: bool, zone: tzinfo | None
) -> list[list[str]]:
    rows = [["Start", "Who", "Outcome", "Lowest MOS", "Likeliest cause"]]
    for call in ranked[: 2 * MOST_CALLS]:
        mos = call.lowest_mos
        rows.append([
            start_of(call, window, zone),
            who(call, show_numbers),
            "no signalling" if call.record is None else outcome(call.record),
            "" if mos is None else f"{mos:.1f}",
            call.verdict.causes[0].cause if call.verdict.causes else "",
        ])  # fmt: skip
    return rows


def _call(
    diagnosis: Diagnosis, call: DiagnosedCall, several: bool, show_numbers: bool, zone: tzinfo | None
) -> dict[str, Any]:
    verdict = call.verdict
    names = stream_names(call.streams)
    axis = axis_of(call.streams, zone, diagnosis.complaint, diagnosis.marks) if call.streams else None
    return {
        "who": who(call, show_numbers),
        "facts": facts_of(call, show_numbers, zone),
        "standing": call.standing,
        "summary": verdict.summary if several else "",
        "refused": verdict.refused or "",
        "causes": [_cause(cause) for cause in verdict.causes[:1]],
        "others": ", ".join(f"{cause.cause} {sure(cause)}" for cause in verdict.causes[1:4]),
        "figures": [] if axis is None else _figures(diagnosis, call, axis),
        "ticks": "" if axis is None else _drawing(ticks(axis), 40 if axis.marks else 18, framed=False),
        "numbers": [["", *names], *([str(cell or "") for cell in row] for row in stream_rows(names))]
        if names
        else [],
        "messages": _messages(call),
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "cause": cause.cause,
        "sure": f"{sure(cause)} sure",
        "for": list(cause.for_),
        "against": list(cause.against),
        "missing": list(cause.missing),
        "next": cause.next_step,
        "useless": list(cause.useless),
    }


def _figures(diagnosis: Diagnosis, call: DiagnosedCall, axis: Axis) -> list[dict[str, Any]]:
    figures = stream_panels(stream_names(call.streams), axis)
    counters = counter_panels(diagnosis.counters, axis)
    if counters:
        figures["Counters"] = counters
    return [
        {
            "name": name,
            "panels": [
                {"name": panel.name, "said": panel.said, "svg": _drawing(panel.inside, _HEIGHTS[panel.size])}
                for panel in panels
            ],
        }
        for name, panels in figures.items()
    ]


def _drawing(inside: Markup, height: int, *, framed: bool = True) -> str:
    frame = tag("rect", width=_WIDTH, height=height, class_="frame") if framed else None
    style = tag("style", Markup(_STYLE))
    return tag(
        "svg", style, inside, frame,
        xmlns="http://www.w3.org/2000/svg", width=_WIDTH, height=height, viewBox=f"0 0 {_WIDTH} {height}",
    )  # fmt: skip


def _messages(call: DiagnosedCall) -> list[list[str]]:
    rows = [["s", "From", "To", "Message"]]
    if call.record is not None:
        for message in call.record.messages[:MOST_MESSAGES]:
            rows.append([
                f"{(message.at_ns - call.record.start_ns) / 1e9:.3f}",
                place(*message.endpoints[:2]),
                place(*message.endpoints[2:]),
                message.label + (" again" if message.retransmission else ""),
            ])  # fmt: skip
    return rows
