"""RTP header extensions in a media section: the peer's audio level, and no other (RFC 8285, RFC 6464)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from ringback.sdp.description import Attribute, MediaDescription, SessionDescription

AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
OFFERED: Final = 1
"""The identifier in our own offers."""

_EXTMAP = re.compile(r"([0-9]{1,4})(?:/(sendrecv|sendonly|recvonly|inactive))? +([^ ]+)(?: .*)?")
_SENDS = frozenset({"sendrecv", "sendonly"})
_LAST: Final = 255
_RESERVED: Final = 15
_REMEMBERED: Final = 1_000


def offered_audio_level(session: SessionDescription, media: MediaDescription) -> int:
    """The identifier under which the peer would send its audio level, 0 if it would not.

    An identifier that also means something else is passed over; those above 255 are only held in reserve by
    their offerer (RFC 8285 §7).
    """
    return _identifier(_values(session, media), sends=True)


def accepted_audio_level(ours: MediaDescription, session: SessionDescription, media: MediaDescription) -> int:
    """The identifier that an answer keeps of our offer, 0 if it does not."""
    offered = _identifier(ours.values("extmap"), sends=False)
    return offered if offered and offered_audio_level(session, media) == offered else 0


def audio_level_attribute(identifier: int) -> Attribute:
    """What we say of it: we listen, and send none of our own."""
    return Attribute("extmap", f"{identifier}/recvonly {AUDIO_LEVEL}")


def kept_audio_level(before: MediaDescription | None) -> int:
    """The identifier to offer: the one in use, which must keep its meaning (RFC 8285 §7)."""
    used = _identifier(before.values("extmap"), sends=False) if before is not None else 0
    return used or OFFERED


def _values(session: SessionDescription, media: MediaDescription) -> list[str]:
    of_session = [a.value for a in session.attributes if a.name == "extmap" and a.value is not None]
    return media.values("extmap") + of_session


def _identifier(values: list[str], *, sends: bool) -> int:
    if not values:
        return 0
    # Phones of one kind say the same in every call; longer ones are not worth the memory.
    read = _read_identifier if sum(map(len, values)) <= _REMEMBERED else _read_identifier.__wrapped__
    return read(tuple(values), sends)


@lru_cache(maxsize=256)
def _read_identifier(values: tuple[str, ...], sends: bool) -> int:
    meanings: dict[int, set[str]] = {}
    found: list[int] = []
    for value in values:
        match = _EXTMAP.fullmatch(value)
        if match is None:
            continue
        number, direction, uri = int(match[1]), match[2] or "sendrecv", match[3]
        meanings.setdefault(number, set()).add(uri)
        if uri == AUDIO_LEVEL and (direction in _SENDS or not sends):
            found.append(number)
    usable = (n for n in found if 0 < n <= _LAST and n != _RESERVED and len(meanings[n]) == 1)
    return next(usable, 0)
