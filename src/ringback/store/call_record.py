"""A call as it is kept: what went on between its beginning and its end, and how each leg's line was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

Direction = Literal["internal", "inbound", "outbound", "transit"]
Outcome = Literal[
    "answered", "abandoned", "busy", "no-answer", "cancelled", "refused", "failed", "interrupted"
]  # fmt: skip
"""`abandoned`: the caller left a queue before anybody answered; `interrupted`: the server ended in the middle
of the call, and what came after is not known."""
Side = Literal["caller", "called", "system"]
DeviceKind = Literal["phone", "browser", "trunk"]
Encryption = Literal["", "sdes", "dtls"]
Quality = Literal["high", "medium", "low", "poor"]
"""Satisfaction as in ITU-T G.109, by the worst direction of the call: R of 80, 70, 60 on G.107's scale."""
QUALITIES: Final[tuple[Quality, ...]] = ("poor", "low", "medium", "high")
"""Worst first."""

ID_SHIFT: Final = 21
"""An identifier has the time of the call's begin in ms since 1970 above these bits: it sorts by time."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a leg's line was: packets and frames counted over the call, the rest as it stood at its end.

    `mos` is of what we heard of the peer, `remote_mos` of what the peer heard of us, by the E-model on the
    scale of the codec, or by the peer's own word; None for what is not known.
    """

    received: int = 0
    expected: int = 0
    late: int = 0
    concealed: int = 0
    sent: int = 0
    jitter_ms: float | None = None
    round_trip_ms: float | None = None
    remote_lost_percent: float | None = None
    remote_jitter_ms: float | None = None
    mos: float | None = None
    remote_mos: float | None = None

    @property
    def lost_percent(self) -> float | None:
        """Packets that never came, of those that the peer sent."""
        if not self.expected:
            return None
        return round(100 * max(1 - self.received / self.expected, 0.0), 2)


class CallLeg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One leg of a call; times are ms after the call's begin, None for what did not happen.

    `extension` is the account that was proved or called, `trunk` the one that the other end is beyond.
    `status` is the SIP status that ended it, `reason` the cause of RFC 3326 as `Q.850;cause=16`, `words` what
    was said with it.
    """

    number: str = ""
    name: str = ""
    extension: str = ""
    trunk: str = ""
    incoming: bool = False
    device: DeviceKind = "phone"
    transport: str = ""
    family: Literal["ipv4", "ipv6"] = "ipv4"
    began_ms: int = 0
    rang_ms: int | None = None
    answered_ms: int | None = None
    ended_ms: int | None = None
    ended_by: Literal["peer", "us", "timeout", "error", ""] = ""
    status: int | None = None
    reason: str = ""
    words: str = ""
    offered: tuple[str, ...] = ()
    negotiated: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    encryption: Encryption = ""
    line: Line | None = None

    def __repr__(self) -> str:
        # The rest says who talked to whom.
        return f"CallLeg({self.device})"


class Passed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule of the plan that the call passed on its way, and what it did."""

    kind: str
    name: str
    said: str = ""

    def __repr__(self) -> str:
        return f"Passed({self.kind})"


class Happening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was done to the call: `kind` as `transferred`, `parked`, `picked-up`, `forwarded`.

    `by` and `to` are numbers or targets, `call` the identifier of another call that it has to do with.
    """

    at_ms: int
    kind: str
    by: str = ""
    to: str = ""
    call: int = 0
    said: str = ""

    def __repr__(self) -> str:
        return f"Happening({self.kind})"


class CallRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call from its begin to its end; times are ms after the begin, which the identifier tells.

    `caller` is whose number was shown, `extension` its account. `called` is what the number led to, as a
    target (`extension:1001`, `group:sales`, `outside:+14155550100`). `cause` is the SIP status that the
    caller's side ended with (200: hung up after it was answered), `reason` and `words` as of a leg.
    `answered_by` is the position of the leg that answered, `waited_ms` how long the caller waited in queues;
    `mos` is the worst score of all legs, and `quality` the word for it.
    """

    id: int
    direction: Direction = "internal"
    outcome: Outcome = "interrupted"
    caller: str = ""
    caller_name: str = ""
    extension: str = ""
    dialled: str = ""
    called: str = ""
    rang_ms: int | None = None
    answered_ms: int | None = None
    ended_ms: int | None = None
    answered_by: int | None = None
    waited_ms: int | None = None
    ended_by: Side | None = None
    cause: int = 0
    reason: str = ""
    words: str = ""
    mos: float | None = None
    quality: Quality | None = None
    emergency: bool = False
    recorded: bool = False
    path: tuple[Passed, ...] = ()
    happenings: tuple[Happening, ...] = ()
    legs: tuple[CallLeg, ...] = ()

    def __repr__(self) -> str:
        # The rest says who talked to whom.
        return f"CallRecord({call_name(self.id)})"

    @property
    def began_at(self) -> datetime:
        """When the first INVITE came."""
        return time_of(self.id)


def call_name(call_id: int) -> str:
    """An identifier as it is shown: 16 hexadecimal digits."""
    return f"{call_id:016x}"


def call_id_of(name: str) -> int | None:
    """The identifier that is shown so, None for anything else."""
    try:
        value = int(name, 16)
    except ValueError:
        return None
    return value if call_name(value) == name and value < 1 << 63 else None


def time_of(call_id: int) -> datetime:
    """When the call with that identifier began."""
    return datetime.fromtimestamp((call_id >> ID_SHIFT) / 1000, UTC)


def first_id_at(moment: datetime) -> int:
    """The least identifier that a call of that moment can have."""
    return max(int(moment.timestamp() * 1000), 0) << ID_SHIFT
