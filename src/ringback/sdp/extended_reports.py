"""Extended RTCP reports in a media section: what is asked of each other (RFC 3611 §5)."""

from __future__ import annotations

import re
from typing import Final

from ringback.sdp.description import Attribute, MediaDescription, SessionDescription

_ASKED: Final = "voip-metrics stat-summary=loss,dup,jitt"
"""What we like to be told of the audio that we send."""
_ROUND_TRIP: Final = "rcvr-rtt=all"
_WITH_ROUND_TRIPS: Final = Attribute("rtcp-xr", f"{_ROUND_TRIP} {_ASKED}")
_WITHOUT: Final = Attribute("rtcp-xr", _ASKED)
_ROUND_TRIP_ASKED = re.compile(r"rcvr-rtt=(all|sender)(:[0-9]{1,10})?", re.IGNORECASE)


def asks_for_reports(session: SessionDescription, media: MediaDescription) -> bool:
    """Whether the peer speaks of extended reports at all."""
    return media.has("rtcp-xr") or session.has("rtcp-xr")


def measures_round_trips(session: SessionDescription, media: MediaDescription) -> bool:
    """Whether the peer sends or answers reference times, by which who sends no audio measures the way."""
    stated = media.value("rtcp-xr") if media.has("rtcp-xr") else session.value("rtcp-xr")
    return stated is not None and any(_ROUND_TRIP_ASKED.fullmatch(word) for word in stated.split())


def reports_attribute(*, round_trips: bool) -> Attribute:
    """What we ask for, and whether reference times are exchanged."""
    return _WITH_ROUND_TRIPS if round_trips else _WITHOUT
