"""Calls that want to be answered by the phone itself, as of intercoms (RFC 5373, and what is used for it)."""

from __future__ import annotations

import re
from typing import Final, Literal

from ringback.sip.headers import Headers

ANSWER_MODE_TAG: Final = "answermode"
_AUTO: Final = re.compile(r"[ \t]*auto[ \t]*(;.*)?", re.IGNORECASE)
_IN_ITS_PLACE: Final = re.compile(r"answer-after[ \t]*=|info[ \t]*=[ \t]*\"?alert-autoanswer", re.IGNORECASE)


def wanted_answer(headers: Headers) -> Literal["manual", "auto", "auto or nothing"]:
    """What a caller wants: that somebody answers, or that the phone does, or that it does or refuses.

    `Priv-Answer-Mode` overrules a phone's do not disturb, for which nobody has the right here: it counts as
    no more than `Answer-Mode`.
    """
    for name in ("Priv-Answer-Mode", "Answer-Mode"):
        value = headers.get(name) or ""
        if _AUTO.fullmatch(value):
            required = ";require" in value.replace(" ", "").replace("\t", "").lower()
            return "auto or nothing" if required else "auto"
    hints = (*headers.get_all("Call-Info"), *headers.get_all("Alert-Info"))
    return "auto" if any(_IN_ITS_PLACE.search(hint) for hint in hints) else "manual"


def ask_to_answer(headers: Headers, host: str) -> None:
    """Ask a phone to answer by itself, in the two ways that phones understand."""
    headers.set("Answer-Mode", "Auto")
    headers.set("Call-Info", f"<sip:{host}>;answer-after=0")
