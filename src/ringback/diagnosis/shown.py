"""How private things and times of a diagnosis are shown: numbers masked unless asked otherwise."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from ringback.diagnosis.signalling.call import CallRecord
from ringback.governance.private import Private, mask_number
from ringback.governance.shown import fit_to_show

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ADDRESS: Final = re.compile(r"(sips?|tel):(?:([^@<>\s\"]*)@)?([^;?@<>\s\"]*)", re.IGNORECASE)
# What follows in a user part may be a PIN or a parameter (RFC 3966), which no digit may be seen of.
_AFTER_NUMBER: Final = re.compile(r"[*#,;:%].*", re.DOTALL)
_LONGEST: Final = 200


def shown_address(address: Private[str], show_numbers: bool) -> str:
    """Who called or was called, from a From or To field or a URI of it: `sip:••••01@example.com`.

    Unmasked it is the text as it came, without what drives terminals.
    """
    text = address.reveal()
    if show_numbers:
        return fit_to_show(text, _LONGEST)
    match = _ADDRESS.search(text)
    if match is None:
        return _masked(text)
    scheme, user, host = match[1].lower(), match[2], match[3]
    if scheme == "tel":
        return f"tel:{_masked(user or host)}"
    return f"{scheme}:{_masked(user)}@{_host(host)}" if user else f"{scheme}:{_host(host)}"


def short_address(address: Private[str], show_numbers: bool) -> str:
    """The user part alone, for tables: `••••01`; the host where there is no user."""
    match = _ADDRESS.search(address.reveal())
    if match is None:
        return shown_address(address, show_numbers)
    user = match[2] or (match[3] if match[1].lower() == "tel" else "")
    if not user:
        return _host(match[3])
    return fit_to_show(user, 40) if show_numbers else _masked(user)


def call_name(record: CallRecord, show_numbers: bool) -> str:
    """The Call-ID, which often holds a number or a name; or the label that stands for it."""
    return fit_to_show(record.call_id.reveal(), _LONGEST) if show_numbers else record.label


def _masked(user: str) -> str:
    return fit_to_show(mask_number(_AFTER_NUMBER.sub("", user)), 40)


def _host(text: str) -> str:
    return fit_to_show(text, 100)


def moment(at_ns: int) -> str:
    """ISO 8601 in UTC with microseconds: `2026-01-02T14:02:10.250000Z`."""
    return at(at_ns).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def at(at_ns: int, zone: tzinfo | None = UTC) -> datetime:
    """A time of the capture in a zone; None is that of this machine."""
    found = _EPOCH + timedelta(microseconds=int(at_ns) // 1000)
    return found if zone is UTC else found.astimezone(zone)


def clock(at_ns: int, zone: tzinfo | None = UTC) -> str:
    """The time of day to the second: `14:02:10`."""
    return at(at_ns, zone).strftime("%H:%M:%S")
