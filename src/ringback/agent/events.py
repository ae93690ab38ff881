"""What happens in a call, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ringback.media.protocol import Codec

EndedBy = Literal["us", "peer", "timeout", "error"]


@dataclass(frozen=True, slots=True)
class Ringing:
    """Our call rings there (180 and others up to 199); with `early_media` its sound comes already."""

    status: int
    early_media: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The call stands: both sides hear each other."""


@dataclass(frozen=True, slots=True)
class Held:
    """The peer has put us on hold, or taken us back."""

    held: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A new agreement holds: what we send now, whether it is encrypted, and whether the offer was ours."""

    codec: Codec
    encrypted: bool
    ours: bool


@dataclass(frozen=True, slots=True)
class ChangeFailed:
    """The peer refused what we offered within the call."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """The peer pressed a key: 0-9 * # A-D (RFC 4733)."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How the call fares that the peer makes because we transferred it; `done` is the last word."""

    status: int
    reason: str
    done: bool


@dataclass(frozen=True, slots=True)
class Transferred:
    """The peer has sent us on: the call with this number takes the place of this one."""

    call: int


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """Somebody else talks there now, after a transfer for instance (RFC 4916): `Call.peer` says who."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over; always the last event. `status` is 0 where the peer or we hung up."""

    by: EndedBy
    status: int
    reason: str


CallEvent = (
    Ringing
    | Answered
    | Held
    | Changed
    | ChangeFailed
    | DigitReceived
    | TransferProgress
    | Transferred
    | PeerChanged
    | Ended
)
