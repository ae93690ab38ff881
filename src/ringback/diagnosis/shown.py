"""How a diagnosis is put in words: numbers of phones masked unless asked otherwise, times, counts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from ringback.diagnosis.causes.verdict import Cause, Window
from ringback.diagnosis.diagnosed import DiagnosedCall
from ringback.diagnosis.signalling.call import CallRecord
from ringback.diagnosis.stream.measured import Mos
from ringback.governance.private import Private, mask_number
from ringback.governance.shown import fit_to_show

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ADDRESS: Final = re.compile(r"(sips?|tel):(?:([^@<>\s\"]*)@)?([^;?@<>\s\"]*)", re.IGNORECASE)
# What follows in a user part may be a PIN or a parameter (RFC 3966), which no digit may be seen of.
_AFTER_NUMBER: Final = re.compile(r"[*#,;:%].*", re.DOTALL)
_LONGEST: Final = 200
DAY_S: Final = 86_400


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


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return re.split(r"(?<=[.!?]) +(?=[A-Z])", text)


def start_of(call: DiagnosedCall, window: Window, zone: tzinfo | None) -> str:
    """When a call began: the time, after the day where the captures are of several."""
    began = at(call.began_ns, zone)
    several = at(window.began_ns, zone).date() != at(window.ended_ns, zone).date()
    return began.strftime("%m-%d %H:%M:%S" if several else "%H:%M:%S")


def count(number: int, noun: str) -> str:
    """`1 call`, `1,200 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """`0`, `3 (0.2 %)`: the count and its share."""
    return f"{part:,} ({100 * part / whole:.1f} %)" if part and whole else f"{part:,}"


def finite(value: float | None, digits: int = 4) -> float | None:
    """A figure as JSON has it: rounded, None where there is none."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


def length(seconds: float) -> str:
    """`16.9 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    if seconds >= 2 * DAY_S:
        return f"{seconds / DAY_S:.0f} days"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"


def sure(cause: Cause) -> str:
    """`91 %`: how sure a cause is."""
    return f"{100 * cause.confidence:.0f} %"


def score(mos: Mos) -> str:
    """`4.1 wideband`, with `about` where a constant was guessed; `none` where nobody published one."""
    if mos.value is None:
        return "none"
    return f"{'about ' if mos.grounding == 'provisional' else ''}{mos.value:.1f} {mos.scale}"


def place(address: str, port: int) -> str:
    """`192.0.2.1:5060`, `[2001:db8::1]:5060`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def outcome(record: CallRecord) -> str:
    """How a call ended, with the status where it failed: `failed (486)`."""
    plain = record.outcome == "answered" or record.status is None
    return record.outcome if plain else f"{record.outcome} ({record.status})"


def who(call: DiagnosedCall, show_numbers: bool) -> str:
    """Who calls whom; of streams alone, the hosts."""
    if call.record is None:
        key = call.streams[0].measured.key
        return f"{key.src} ⇄ {key.dst}"
    return f"{short_address(call.record.from_, show_numbers)} → {short_address(call.record.to, show_numbers)}"


def overview(ranked: Sequence[DiagnosedCall]) -> str:
    """Several calls in one sentence: `2 of 12 calls have trouble: congestion (2).`"""
    standings = Counter(call.standing for call in ranked)
    noun = "calls" if all(call.record is not None for call in ranked) else "calls and conversations"
    causes = Counter(call.verdict.causes[0].cause for call in ranked if call.standing == "bad")
    if causes:
        named = ", ".join(f"{cause} ({number})" for cause, number in causes.most_common(3))
        named += f" and {count(len(causes) - 3, 'other cause')}" if len(causes) > 3 else ""
        said = f"{standings['bad']} of {len(ranked)} {noun} have trouble: {named}"
    else:
        said = f"No cause of trouble was found in {len(ranked)} {noun}"
    if standings["unclear"]:
        said += f"; of {standings['unclear']} the capture cannot tell why"
    if standings["artefact"]:
        said += f"; {standings['artefact']} only look bad in this capture"
    return said + "."
