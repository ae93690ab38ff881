"""How a call ended: by whom, when, with what reason (RFC 3261, 15; RFC 3326)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.signalling.call import Finding, Side
from ringback.diagnosis.signalling.findings import finding
from ringback.diagnosis.signalling.reading import Seen
from ringback.diagnosis.signalling.tracing import SECOND, Traced, Transaction
from ringback.governance.shown import fit_to_show

_CAUSE: Final = re.compile(r"[ \t]*(SIP|Q\.850)\b.*?;[ \t]*cause[ \t]*=[ \t]*([0-9]{1,3})\b", re.IGNORECASE)
_TEXT: Final = re.compile(r';[ \t]*text[ \t]*=[ \t]*(?:"([^"]{0,200})"|([^;\s]{1,200}))', re.IGNORECASE)
_NO_MEDIA: Final = re.compile(
    r"\b(?:rtp|media|audio)\b.*\b(?:time-?\s?out|inactiv|lost|loss|absent|not? received)|no (?:rtp|media)",
    re.IGNORECASE,
)
_TIMER: Final = re.compile(r"session.{0,12}(?:timer|expire|interval)|refresh", re.IGNORECASE)
# The causes that people meet (ITU-T Q.850, table 1).
_Q850: Final = {
    1: "unallocated number", 3: "no route to destination", 16: "normal call clearing", 17: "user busy",
    18: "no user responding", 19: "no answer from user", 20: "subscriber absent", 21: "call rejected",
    22: "number changed", 27: "destination out of order", 28: "invalid number format",
    31: "normal, unspecified", 34: "no circuit available", 38: "network out of order",
    41: "temporary failure", 42: "switching equipment congestion", 44: "requested channel not available",
    47: "resource unavailable", 57: "bearer capability not authorised", 58: "bearer capability not available",
    65: "bearer capability not implemented", 79: "service not implemented", 88: "incompatible destination",
    102: "recovery on timer expiry", 111: "protocol error", 127: "interworking",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ending:
    """`at_ns` None while the call is not over in the capture; `why` is the Reason header's text."""

    at_ns: Nanoseconds | None = None
    by: Side | Literal["network"] | None = None
    cancelled: bool = False
    reason: str = ""
    cause: str = ""
    why: str = ""

    @property
    def names_media(self) -> bool:
        """Whether the reason is that no media came."""
        return _NO_MEDIA.search(self.why) is not None

    @property
    def names_timer(self) -> bool:
        """Whether the reason is the session timer."""
        return _TIMER.search(self.why) is not None


def ending_of(traced: Traced, begun: list[Transaction], answer: Seen | None) -> Ending:
    """The end of a call: its first BYE, else its CANCEL, else the final answer that refused it."""
    byes = [t for t in traced.of("BYE") if t.request is not None]
    if byes:
        first = min(byes, key=lambda t: t.began_ns)
        request = first.request
        if request is not None:
            by: Side | Literal["network"] = "network" if _from_between(traced, byes) else first.side
            # A caller may also give up an early dialog by BYE (RFC 3261, 15).
            rang = any(r.status > 100 for t in begun for r in t.provisional)
            early = answer is None and rang and not traced.one_sided and first.side == "caller"
            return _with_reason(request, first.began_ns, by, cancelled=early)
    if traced.of("BYE"):
        answered = traced.of("BYE")[0]
        return Ending(answered.began_ns, answered.side)
    # A proxy takes back the other branches of a fork by CANCEL, too: the caller's own counts.
    hop = begun[0].hop if begun else None
    cancels = [t for t in traced.of("CANCEL", hop=hop) if not _of_renewal(traced, t)]
    final = begun[-1].final if begun else None
    if (
        cancels
        and answer is None
        and (final is None or final.status == 487 or final.at_ns > cancels[0].began_ns)
    ):
        asked = cancels[0].request
        if asked is not None:
            return _with_reason(asked, cancels[0].began_ns, "caller", cancelled=True)
        return Ending(cancels[0].began_ns, "caller", cancelled=True)
    if final is not None and final.status >= 300:
        told = _with_reason(final, final.at_ns, "called")
        return Ending(final.at_ns, None, cause=told.cause, why=told.why)
    return Ending()


def _of_renewal(traced: Traced, cancel: Transaction) -> bool:
    """Whether a CANCEL takes back a re-INVITE only."""
    return any(t.side == cancel.side and t.in_dialog for t in traced.numbered("INVITE", cancel.cseq))


def _from_between(traced: Traced, byes: list[Transaction]) -> bool:
    """Whether each side was told BYE in the other's name by somebody on the way."""
    hops = {side: {t.hop for t in byes if t.side == side} for side in ("caller", "called")}
    if traced.hops < 2 or not hops["caller"] or not hops["called"]:
        return False
    return 0 not in hops["caller"] and 0 in hops["called"]


def _with_reason(
    seen: Seen, at_ns: Nanoseconds, by: Side | Literal["network"], *, cancelled: bool = False
) -> Ending:
    values = seen.headers.get_all("Reason")
    value = ", ".join(values)[:1_000]
    match = _CAUSE.search(value)
    text = _TEXT.search(value)
    why = fit_to_show((text[1] or text[2] or "") if text is not None else "")
    # Some put a number only, which says nothing.
    why = re.sub(r"[0-9]", "x", why) if any(character.isalpha() for character in why) else ""
    cause = f"{match[1].upper()} {int(match[2])}" if match is not None else ""
    meaning = _Q850.get(int(match[2]), "") if match is not None and match[1].upper() == "Q.850" else ""
    reason = why or meaning
    return Ending(at_ns, by, cancelled, f"{cause} {reason}".strip(), cause, why)


def ending_findings(traced: Traced, ending: Ending, *, begins: bool) -> Iterator[Finding]:
    """What is remarkable about a call's end, and about where the capture begins and ends."""
    first, last = traced.messages[0], traced.messages[-1]
    if not begins:
        yield finding("begins-in-the-call", first.at_ns, "The capture begins after the call did.")
    if ending.at_ns is None:
        yield finding("ends-in-the-call", last.at_ns, "The end of the call is not in the capture.")
        return
    if ending.by == "network":
        text = "Both sides were told BYE by somebody between them."
        yield finding("ended-by-network", ending.at_ns, text, cause=ending.cause)
    if ending.names_media and ending.by is not None:
        seconds = (ending.at_ns - first.at_ns) / SECOND
        text = f"The {_named(ending.by)} ended the call because no media came ({ending.why})."
        yield finding("ended-by-media-timeout", ending.at_ns, text, by=ending.by, seconds=round(seconds, 3))
    elif ending.cause:
        who = f"The {_named(ending.by)} ended the call" if ending.by else "The call was refused"
        yield finding(
            "ended-with-reason",
            ending.at_ns,
            f"{who} with the reason {' '.join(filter(None, (ending.cause, ending.why)))}.",
            by=ending.by or "",
            cause=ending.cause,
        )


def _named(by: Side | Literal["network"] | None) -> str:
    return {"caller": "caller", "called": "called side"}.get(by or "", "network")
