"""Session timers as a capture shows them: what was agreed, which refreshes came, what ran out (RFC 4028)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.signalling.call import Finding, Side
from ringback.diagnosis.signalling.ending import Ending
from ringback.diagnosis.signalling.findings import Figures, finding
from ringback.diagnosis.signalling.tracing import OTHER, SECOND, Traced, Transaction
from ringback.sip.session_expiry import SessionExpires

_SLACK_S: Final = 3.0
_HALF_SLACK_S: Final = 1.5
_LONG_S: Final = 180
"""Of shorter timers a call ends at the half by chance."""
_SIDES: Final = {"caller": "caller", "called": "called side", None: "side that refreshes"}


@dataclass(frozen=True, slots=True)
class Timer:
    """What a 2xx granted: the interval, who is to refresh, and from when it runs."""

    at_ns: Nanoseconds
    seconds: int
    refresher: Side | None


def _timers(traced: Traced) -> list[Timer]:
    """All that were granted, at the hop nearest to the caller that has any, in order."""
    granted: list[tuple[int, Timer]] = []
    for transaction in traced.of("INVITE", "UPDATE"):
        final = transaction.final
        if final is None or final.status >= 300:
            continue
        told = SessionExpires.parse(final.headers.get("Session-Expires") or "")
        if told is None or not told.seconds:
            continue
        sides: dict[str | None, Side] = {"uac": transaction.side, "uas": OTHER[transaction.side]}
        granted.append((transaction.hop, Timer(final.at_ns, told.seconds, sides.get(told.refresher))))
    lowest = min((hop for hop, _ in granted), default=0)
    return sorted((timer for hop, timer in granted if hop == lowest), key=lambda timer: timer.at_ns)


def agreed_timer(traced: Traced) -> Timer | None:
    """The session timer that was agreed on last; None for a call without one."""
    timers = _timers(traced)
    return timers[-1] if timers else None


def timer_findings(traced: Traced, ending: Ending) -> Iterator[Finding]:
    """Whether the timer was refreshed in time, and whether the call ended because it was not.

    Who waits for a refresh ends the call a little before the interval is over (section 10): by a third of it
    or 32 s, whichever is less. Some give up at its half, when the refresh is due.
    """
    timer = agreed_timer(traced)
    if timer is None:
        return
    renewed_ns = max((at for t in traced.renewals if (at := _renewed(t)) is not None), default=timer.at_ns)
    since_ns = max(timer.at_ns, renewed_ns)
    failed = _failed(traced, since_ns)
    if failed is not None:
        yield _failure(failed, timer)
    last_ns = ending.at_ns if ending.at_ns is not None else traced.until_ns
    seconds = (last_ns - since_ns) / SECOND
    expires = timer.seconds
    data: Figures = {
        "refresher": timer.refresher or "",
        "seconds": round(seconds, 3),
        "session_expires_s": expires,
    }
    ran_out = expires - min(32.0, expires / 3) - _SLACK_S <= seconds <= expires + _SLACK_S
    at_half = expires >= _LONG_S and 0 <= seconds - expires / 2 <= _HALF_SLACK_S
    if ending.by is not None and not ending.cancelled and (ran_out or at_half or ending.names_timer):
        if ending.names_timer or not (at_half and failed is not None):
            whose = _SIDES[timer.refresher]
            text = (
                f"The call ended {seconds:.0f} s after its last refresh (timer: {expires} s): "
                f"the {whose} did not refresh it."
            )
            yield finding("session-timer-expired", last_ns, text, by=ending.by, **data)
    elif seconds > expires + _SLACK_S:
        text = f"No refresh came for {seconds:.0f} s, with a session timer of {expires} s; the call went on."
        yield finding("session-refresh-missing", since_ns + expires * SECOND, text, **data)


def _renewed(transaction: Transaction) -> Nanoseconds | None:
    final = transaction.final
    return final.at_ns if final is not None and final.status < 300 else None


def _failed(traced: Traced, since_ns: Nanoseconds) -> Transaction | None:
    """A refresh after the last good one that was refused or not answered; challenges are no refusal."""
    tried = [
        t
        for t in traced.renewals
        if t.began_ns > since_ns
        and t.request is not None
        and "Session-Expires" in t.request.headers
        and _came_to_nothing(t)
    ]
    return tried[-1] if tried else None


def _came_to_nothing(transaction: Transaction) -> bool:
    final = transaction.final
    if final is None:
        return bool(transaction.repeats)
    return final.status >= 300 and final.status not in (401, 407, 422, 491)


def _failure(transaction: Transaction, timer: Timer) -> Finding:
    status = transaction.final.status if transaction.final is not None else 0
    how = f"refused ({status})" if status else "not answered"
    name = "re-INVITE" if transaction.method == "INVITE" else transaction.method
    text = f"The session refresh ({name}) of the {_SIDES[transaction.side]} was {how}."
    return finding(
        "session-refresh-failed",
        transaction.began_ns,
        text,
        by=transaction.side,
        status=status,
        session_expires_s=timer.seconds,
        refresher=timer.refresher or "",
    )
