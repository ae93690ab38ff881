"""What the web shows of the sources of SIP: who is shut out, and how much was turned away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ringback.governance import sources
from ringback.web.operations import Ban, Metric


def ban_view(ban: sources.Ban, started_at: datetime, started: float) -> Ban:
    """A ban as the web is told, by one moment as both clocks had it."""
    until = started_at + timedelta(seconds=ban.until - started)
    return Ban(source=ban.source, reason=ban.reason, proven=ban.proven, until=until)


def ban_metrics(known: sources.SipSources, now: float) -> Iterable[Metric]:
    """What was turned away at the edge, by why; no address is a label."""
    bans = known.bans(now)
    yield Metric(
        "ringback_sip_banned_sources",
        "gauge",
        "Sources of SIP that are shut out, or hushed because of datagrams that prove nothing.",
        tuple(
            ({"state": state}, float(sum(ban.proven is proven for ban in bans)))
            for state, proven in (("banned", True), ("hushed", False))
        ),
    )
    yield Metric(
        "ringback_sip_bans",
        "counter",
        "Bans and hushes that began, by what led to them.",
        tuple(({"reason": reason}, float(count)) for reason, count in sorted(known.begun.items())),
    )
    yield Metric(
        "ringback_sip_messages_dropped",
        "counter",
        "SIP messages that were not read, by why.",
        tuple(({"why": why}, float(count)) for why, count in sorted(known.dropped.items())),
    )
