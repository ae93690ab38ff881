"""Why a request or response was sent: the Reason header (RFC 3326), as far as it is fit to be kept."""

from __future__ import annotations

import re
from typing import Final

from ringback.sip.headers import Headers

_CAUSE: Final = re.compile(r"^\s*(Q\.850|SIP)\s*(?:;[^,]*?)?;\s*cause\s*=\s*(\d{1,3})\b", re.IGNORECASE)
_LONGEST: Final = 1_000


def reason_of(headers: Headers) -> str:
    """The cause as `Q.850;cause=16` or `SIP;cause=200`, that of Q.850 before others; empty if none is told.

    The text beside it is the peer's own and is not kept: it may say anything.
    """
    if not headers.fields.get("Reason"):
        return ""
    found = ""
    for value in headers.get_all("Reason"):
        match = _CAUSE.match(value[:_LONGEST])
        if match is None:
            continue
        protocol = "Q.850" if match[1].upper() == "Q.850" else "SIP"
        if not found or protocol == "Q.850":
            found = f"{protocol};cause={int(match[2])}"
    return found
