"""How the numbers of a report were made, what they cannot say, and what was wrong with the files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from ringback.diagnosis.capture.captured import OtherFlow
from ringback.diagnosis.diagnosed import Diagnosis
from ringback.diagnosis.report.many import MANY, MANY_LIMITS
from ringback.diagnosis.report.markup import Markup, tag
from ringback.diagnosis.report.tables import table
from ringback.diagnosis.shown import count

METHOD = (
    "Loss is counted over extended sequence numbers: what was expected less the distinct packets seen. "
    "Duplicates do not hide it, and a count that begins anew is none.",
    "Jitter and gaps between packets follow RFC 3550 over every packet. The JSON has Wireshark's sums beside "
    "them, which leave some packets out.",
    "Too late is what a jitter buffer of fixed 50 ms, of fixed 200 ms, or one that adapts up to 500 ms would "
    "not have played. Real phones differ.",
    "Bursts are those of RFC 3611, section 4.7.2, with a Gmin of 16.",
    "MOS is computed by the E-model (ITU-T G.107, G.107.1, G.107.2) from codec, loss and its burstiness. It "
    "knows no echo and no noise. Scores of different scales cannot be compared. About means that a constant "
    "was guessed, because nobody published one.",
    "Confidence says how well the evidence fits a cause and no other one; it is not a frequency.",
)
LIMITS = (
    "A capture shows what passed the place where it was made. What is lost behind it is not seen; what was "
    "lost before it is seen as lost, wherever that was.",
    "Clocks of sender and capture are not one: delay is told above its smallest value, never whole.",
    "Of encrypted audio neither level nor content is known; loss, delay and order are.",
)


def method(diagnosis: Diagnosis) -> Markup:
    """The last section of the page."""
    return tag(
        "section",
        tag("h2", "How this was found", id="method"),
        *_said("Method", METHOD if diagnosis.captures else (), MANY if diagnosis.many else ()),
        *_said("Limits", LIMITS if diagnosis.captures else (), MANY_LIMITS if diagnosis.many else ()),
        *(_files(diagnosis) if diagnosis.captures else ()),
        class_="method",
        aria_labelledby="method",
    )


def _said(title: str, *texts: tuple[str, ...]) -> Iterator[Markup]:
    items = [tag("li", text) for some in texts for text in some]
    yield tag("details", tag("summary", title), tag("ul", *items))


def _files(diagnosis: Diagnosis) -> Iterator[Markup]:
    yield tag("h2", "Files", id="files")
    rows = []
    for capture in diagnosis.captures:
        beside = ", ".join(
            f"{flow_count:,} {kind}" for kind, flow_count in sorted(_others(capture.other).items())
        )
        rows.append([
            capture.point or "",
            ", ".join(capture.files),
            f"{capture.packets:,}",
            count(len(capture.streams), "stream"),
            f"{len(capture.signalling):,}",
            beside,
            f"{capture.snap_length:,} bytes a packet" if capture.snap_length else "",
        ])  # fmt: skip
    head = ["Point", "Files", "Packets", "Voice", "SIP messages", "Beside", "Cut at"]
    yield table("Files", head, rows)
    if diagnosis.problems:
        yield tag("h3", "What was wrong with them")
        problems = [
            [p.file, f"{p.offset:,}" if p.offset >= 0 else "", p.problem, f"{p.packets_affected:,}"]
            for p in diagnosis.problems
        ]
        yield table("Problems", ["File", "At byte", "Problem", "Packets"], problems)


def _others(flows: Iterable[OtherFlow]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for flow in flows:
        counts[flow.kind] += flow.packets
    return counts
