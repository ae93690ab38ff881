"""Who is at the other end of a leg, and what the leg does."""

from __future__ import annotations

from enum import Enum

import msgspec

from ringback.governance.private import Private


class Party(msgspec.Struct, frozen=True):
    """Who is at the other end, as far as is known: `account` where credentials proved it, `device` with the
    name of an account of the phone's own, `trunk` beyond which it is; `hidden` from who is called."""

    number: Private[str]
    name: Private[str] | None = None
    account: str | None = None
    trunk: str | None = None
    hidden: bool = False
    device: str = ""


class LegState(Enum):
    """A leg's life; ENDED is final."""

    OPENING = "opening"
    OFFERED = "offered"
    DIALLING = "dialling"
    ANSWERED = "answered"
    CONNECTED = "connected"
    ENDING = "ending"
    ENDED = "ended"
