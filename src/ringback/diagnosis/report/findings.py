"""The verdict of a call in HTML: what was wrong, how sure that is, and what speaks for it and against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringback.diagnosis.causes.verdict import Cause
from ringback.diagnosis.diagnosed import LIKELY, DiagnosedCall, Standing
from ringback.diagnosis.report.markup import Child, Markup, joined, tag
from ringback.diagnosis.shown import sure
from ringback.diagnosis.signalling.call import Finding

ACTED_ON: Final = 0.8
"""From this confidence on a cause can be acted on."""

STANDINGS: Final[dict[Standing, str]] = {
    "bad": "Cause found",
    "unclear": "Cannot be told",
    "artefact": "Only the capture",
    "good": "Nothing wrong",
}


def verdict_card(call: DiagnosedCall, *, with_summary: bool) -> Markup:
    """Summary, the likeliest cause with its evidence, and the others to be opened."""
    verdict = call.verdict
    parts: list[Child] = [
        tag("p", standing_chip(call.standing), class_="standing"),
        tag("p", verdict.summary, class_="summary") if with_summary else None,
    ]
    if verdict.refused and (verdict.refused != verdict.summary or not with_summary):
        parts.append(tag("p", tag("strong", "Why there is no answer: "), verdict.refused, class_="refused"))
    if verdict.causes:
        parts.append(_cause(verdict.causes[0]))
    if len(verdict.causes) > 1:
        others = [
            tag("details", tag("summary", _named(cause)), _evidence(cause)) for cause in verdict.causes[1:]
        ]
        parts.append(tag("div", tag("h4", "Less likely"), *others, class_="others"))
    if call.findings:
        parts.append(_findings(call.findings))
    return tag("div", *parts, class_=f"card verdict {call.standing}")


def standing_chip(standing: Standing) -> Markup:
    """What the verdict comes to, in two or three words."""
    return tag("span", STANDINGS[standing], class_=f"chip {standing}")


def _cause(cause: Cause) -> Markup:
    return tag("div", tag("p", _named(cause), class_="cause"), _evidence(cause))


def _named(cause: Cause) -> Markup:
    return joined(tag("code", cause.cause), " ", _confidence(cause))


def _confidence(cause: Cause) -> Markup:
    """A bar and words: a figure alone says nothing of what may be done with it."""
    if cause.confidence > ACTED_ON:
        meaning = "sure enough to act on"
    elif cause.confidence >= LIKELY:
        meaning = "likely"
    else:
        meaning = "one of several"
    bar = tag(
        "svg",
        tag("rect", width="100%", height=8, rx=4, class_="track"),
        tag("rect", width=f"{100 * cause.confidence:.0f}%", height=8, rx=4, class_="filled"),
        width=72,
        height=8,
        class_="confidence",
        aria_hidden="true",
    )
    return tag("span", bar, " ", f"{sure(cause)}, {meaning}", class_="soft sure")


def _evidence(cause: Cause) -> Markup:
    return joined(
        _sentences("For", "for", cause.for_),
        _sentences("Against", "against", cause.against),
        _sentences("Missing", "missing", cause.missing),
        tag("p", tag("strong", "Next step: "), cause.next_step, class_="next") if cause.next_step else None,
        _sentences("Would not help", "useless", cause.useless),
    )


def _sentences(title: str, kind: str, sentences: Sequence[str]) -> Markup | None:
    if not sentences:
        return None
    items = [tag("li", sentence) for sentence in sentences]
    return tag("div", tag("h4", title), tag("ul", *items), class_=f"evidence {kind}")


def _findings(findings: Sequence[Finding]) -> Markup:
    items = [
        tag("li", finding.text, class_=finding.severity)
        for finding in sorted(findings, key=lambda finding: finding.at_ns)
    ]
    title = "1 thing is remarkable" if len(items) == 1 else f"{len(items)} things are remarkable"
    return tag("details", tag("summary", f"{title} about the signalling"), tag("ul", *items))
