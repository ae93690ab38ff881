"""What each codec costs in the E-model: Ie and Bpl, on which scale, and who says so (ITU-T G.113 and others).

Published are the values of ITU-T G.113. Where nobody published one, a guess stands in with its source and the
grade `provisional`; where there is not even a guess there is none, with the reason. Values of one scale mean
nothing on another: a wideband Ie counts from a rating of 129, a narrowband one from 93.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from ringback.quality.emodel import Scale

Grounding = Literal["published", "provisional", "none"]


@dataclass(frozen=True, slots=True)
class Impairment:
    """Ie and Bpl of a codec on `scale`; None for what nobody gave.

    `grounding` is that of the pair: an Ie that is published with a Bpl that is guessed is `provisional`.
    `look_ahead_ms` is the encoder's, for delay.
    """

    codec: str
    scale: Scale
    ie: float | None
    bpl: float | None
    grounding: Grounding
    source: str
    look_ahead_ms: float = 0.0
    why_not: str = ""


_G113 = "ITU-T G.113, Appendix I"
_NO_BPL = f"Ie: {_G113}; Bpl: none published, guessed"

G711_NO_PLC: Final = Impairment("G.711 without concealment", "narrowband", 0, 4.3, "published", _G113, 0.125)
G711: Final = Impairment(
    "G.711 with concealment", "narrowband", 0, 25.1, "published", f"{_G113}, with concealment assumed", 0.125
)
G729A: Final = Impairment("G.729A with VAD", "narrowband", 11, 19, "published", _G113, 5)
G729: Final = Impairment("G.729", "narrowband", 10, 19, "provisional", f"{_NO_BPL} as that of G.729A", 5)
G723_63: Final = Impairment("G.723.1 6.3 kbit/s with VAD", "narrowband", 15, 16.1, "published", _G113, 7.5)
G723_53: Final = Impairment(
    "G.723.1 5.3 kbit/s", "narrowband", 19, 16.1, "provisional", f"{_NO_BPL} as that of 6.3 kbit/s", 7.5
)
GSM_EFR: Final = Impairment("GSM EFR", "narrowband", 5, 10, "published", _G113)
AMR_122: Final = Impairment("AMR 12.2 kbit/s, which is GSM EFR", "narrowband", 5, 10, "published", _G113, 5)
AMR_WB: Final = Impairment(
    "AMR-WB 12.65 kbit/s", "wideband", 20, 4.3, "published", "ITU-T G.113 (wideband, heard with both ears)", 5
)
AMR_WB_OTHER: Final = Impairment(
    "AMR-WB", "wideband", 20, 4.3, "provisional", "ITU-T G.113 for 12.65 kbit/s; for other rates a guess", 5
)
G722_SOURCE: Final = (
    "Ie: ITU-T G.113 (wideband); Bpl: none published, guessed as that of AMR-WB, the only one"
)
G722: Final = Impairment("G.722 64 kbit/s", "wideband", 13, 4.3, "provisional", G722_SOURCE, 1.5)
G722_56: Final = Impairment("G.722 56 kbit/s", "wideband", 20, 4.3, "provisional", G722_SOURCE, 1.5)
G722_48: Final = Impairment("G.722 48 kbit/s", "wideband", 31, 4.3, "provisional", G722_SOURCE, 1.5)
_OPUS = "nothing from the ITU; a guess that other tools use"
OPUS: Final = Impairment("Opus", "wideband", 5, 15, "provisional", _OPUS, 6.5)
OPUS_NARROWBAND: Final = Impairment("Opus at 8 kHz", "narrowband", 0, 28, "provisional", _OPUS, 6.5)

TABLE: Final = (
    G711,
    G711_NO_PLC,
    G729A,
    G729,
    G723_63,
    G723_53,
    GSM_EFR,
    AMR_122,
    AMR_WB,
    AMR_WB_OTHER,
    G722,
    G722_56,
    G722_48,
    OPUS,
    OPUS_NARROWBAND,
)
"""All that have values."""

_WIDE_CLOCK: Final = 16_000
_AMR_122_BYTES: Final = (32, 33)
_AMR_WB_1265_BYTES: Final = (33, 34)
"""A payload of one frame, bandwidth-efficient or octet-aligned (RFC 4867, 4.3, 4.4)."""
_PLAYED_AT_8_KHZ: Final = re.compile(r"maxplaybackrate *= *8000\b")
_BY_NAME: Final[dict[str, Impairment]] = {
    "pcmu": G711,
    "pcma": G711,
    "g729": G729A,
    "g729a": G729A,
    "gsm-efr": GSM_EFR,
    "g722": G722,
}


def impairment(
    name: str, *, clock_rate: int = 8000, payload_bytes: int = 0, parameters: str = ""
) -> Impairment:
    """What a codec costs, by its name in SDP (in lower case).

    `payload_bytes` is the usual size of a payload, which tells the rate of G.723.1 (RFC 3551, 4.5.3) and AMR.
    `parameters` is its fmtp; an Opus that is played at 8 kHz only is a narrowband one (RFC 7587, 6.1). G.711
    counts as concealed, since nearly every receiver does that. What SDP calls G729 is taken for G.729A with
    VAD: devices encode by Annex A, and Annex B is the default (RFC 4856, 2.1.9).
    """
    if name == "opus":
        return OPUS_NARROWBAND if _PLAYED_AT_8_KHZ.search(parameters) else OPUS
    if name == "g723":
        return G723_53 if payload_bytes and payload_bytes % 24 and not payload_bytes % 20 else G723_63
    if name == "amr-wb":
        return AMR_WB if payload_bytes in _AMR_WB_1265_BYTES else AMR_WB_OTHER
    if name == "amr" and payload_bytes in _AMR_122_BYTES:
        return AMR_122
    known = _BY_NAME.get(name)
    if known is not None:
        return known
    scale: Scale = "narrowband" if clock_rate < _WIDE_CLOCK else "wideband"
    named = name if name not in {"", "unknown"} else "a codec that nothing names"
    return Impairment(named, scale, None, None, "none", "", why_not=f"no Ie and Bpl are known for {named}")
