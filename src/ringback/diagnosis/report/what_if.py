"""What if, in the report: what other buffers, packets, codecs and FEC would have made of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis
from ringback.diagnosis.replayed import BETTER, MOST_CALLS, best, replayed, worst_stream
from ringback.diagnosis.report.markup import Child, Markup, tag
from ringback.diagnosis.report.tables import table
from ringback.diagnosis.what_if import Outcome


def what_if_sections(
    diagnosis: Diagnosis, call: DiagnosedCall, rank: int, names: Mapping[str, DiagnosedStream]
) -> Iterator[Markup]:
    """For each stream that was asked about; else for the worst stream of the worst calls, to be opened.

    `rank` is the place of the call among the worst, from 0.
    """
    asked = False
    for name, stream in names.items():
        outcomes = diagnosis.what_if.get((stream.point, stream.measured.key), ())
        if outcomes:
            asked = True
            yield _section(name, outcomes, opened=True)
    worst = worst_stream(call)
    if asked or diagnosis.what_if or call.standing != "bad" or rank >= MOST_CALLS or worst is None:
        return
    outcomes = replayed(worst)
    if outcomes:
        name = next(name for name, stream in names.items() if stream is worst)
        yield _section(name, outcomes, opened=False)


def _section(name: str, outcomes: Sequence[Outcome], *, opened: bool) -> Markup:
    note = tag(
        "p",
        "The recorded arrivals, played again. What was lost on the way stays lost unless a copy came; "
        "a change that would itself change the network is not foreseen. Scores of different scales cannot "
        f"be compared: on each the best is marked, if it is better by {BETTER}.",
        class_="soft",
    )
    summary = tag("summary", f"What if: {name}")
    return tag("details", summary, note, outcome_table(outcomes), open=opened, class_="what-if")


def outcome_table(outcomes: Sequence[Outcome]) -> Markup:
    """Each change with what would have been heard."""
    listening, conversing = best(outcomes)
    rows: list[list[Child]] = []
    for place, outcome in enumerate(outcomes):
        mos = outcome.mos
        about = "about " if mos.grounding == "provisional" else ""
        rows.append([
            outcome.change.name,
            f"{100 * outcome.failed_share:.1f} %",
            f"{outcome.lost:,} / {outcome.discarded:,}",
            f"{outcome.delay_ms:.0f} ms",
            mos.scale if mos.value is not None else "",
            _marked(mos.value, about, place in listening),
            _marked(outcome.conversational, about, place in conversing),
            f"{outcome.kbit_s:.0f} kbit/s" if outcome.kbit_s is not None else "",
        ])  # fmt: skip
    head = ["Change", "Not played", "Lost / late", "Delay added", "Scale", "MOS, listening"]
    head += ["in conversation", "On the wire"]
    return table("What if", head, rows, first_is_head=True)


def _marked(value: float | None, about: str, is_best: bool) -> Markup | str:
    if value is None:
        return "none"
    text = f"{about}{value:.1f}"
    return tag("span", tag("strong", text), " ", tag("span", "best", class_="chip good")) if is_best else text
