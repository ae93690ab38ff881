"""What a section's payload types mean, also those of codecs that we do not speak (RFC 3551, RFC 8866)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ringback.diagnosis.stream.formats import STATIC
from ringback.diagnosis.stream.measured import PayloadFormat
from ringback.sdp.description import MediaDescription, SessionDescription

# Other spellings met on the wire.
_SPELLINGS: Final = {
    "g711u": "pcmu", "ulaw": "pcmu", "g711a": "pcma", "alaw": "pcma", "g729a": "g729", "g729b": "g729",
    "g729ab": "g729", "g7231": "g723", "g723.1": "g723", "amrwb": "amr-wb", "comfort-noise": "cn",
}  # fmt: skip
NOT_AUDIO: Final = frozenset({"telephone-event", "cn", "red", "tone", "rtx", "ulpfec", "flexfec-03"})
"""Formats that are no codec: what two sides must share beside these to hear each other."""

_RTPMAP = re.compile(
    r"([0-9]{1,3})[ \t]+([^ \t/]{1,64})[ \t]*/[ \t]*([0-9]{1,6})(?:[ \t]*/[ \t]*([0-9]{1,2}))?"
)
_FMTP = re.compile(r"([0-9]{1,3})[ \t]+(.{1,512})")
_MILLISECONDS = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,3})?")


def read_formats(session: SessionDescription, media: MediaDescription) -> dict[int, PayloadFormat]:
    """The formats of an RTP section by payload type, in its order; empty for T.38 and the like.

    A type that rtpmap does not explain has its static meaning (RFC 3551, 6), or is `unknown`.
    """
    if "RTP" not in media.protocol.upper():
        return {}
    ptime_ms = read_ptime_ms(session, media)
    maps = {int(match[1]): match for value in media.values("rtpmap") if (match := _RTPMAP.match(value))}
    parameters = {int(match[1]): match[2] for value in media.values("fmtp") if (match := _FMTP.match(value))}
    formats: dict[int, PayloadFormat] = {}
    for text in media.formats:
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 127):
            continue
        payload_type = int(text)
        fmtp = parameters.get(payload_type, "")
        if (mapped := maps.get(payload_type)) is not None:
            name = mapped[2].lower()
            name, rate = _SPELLINGS.get(name, name), int(mapped[3])
            formats[payload_type] = PayloadFormat(name, rate, int(mapped[4] or 1), ptime_ms, "sdp", fmtp)
        elif (known := STATIC.get(payload_type)) is not None:
            formats[payload_type] = replace(known, ptime_ms=ptime_ms, parameters=fmtp)
        else:
            formats[payload_type] = PayloadFormat("unknown", 0, 1, ptime_ms, "unknown", fmtp)
    return formats


def read_ptime_ms(session: SessionDescription, media: MediaDescription) -> float:
    """The packet time that is asked for; 0 where none is (RFC 8866, 6.4)."""
    match = _MILLISECONDS.match((media.value("ptime") or session.value("ptime") or "").strip())
    return float(match[0]) if match is not None else 0.0


def names(formats: Mapping[int, PayloadFormat], order: tuple[int, ...]) -> tuple[str, ...]:
    """The codecs' names in order, each once."""
    return tuple(dict.fromkeys(formats[number].name for number in order if number in formats))
