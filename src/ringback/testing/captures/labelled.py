"""A capture whose cause is known, because it was made from that cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StreamTruth:
    """What one capture point really saw of one RTP stream, counted while it was made.

    `sent` counts packets that left the sender; `expected`, `unique`, `lost`, `duplicates` and `reordered`
    are at the point, over the extended sequence numbers seen there. `far_lost` is what the receiver missed
    of all that was sent, whatever the point saw.
    """

    point: str
    src: str
    sport: int
    dst: str
    dport: int
    ssrc: int
    sent: int
    expected: int
    unique: int
    lost: int
    duplicates: int
    reordered: int
    far_lost: int


@dataclass(frozen=True, slots=True)
class LabelledCapture:
    """Capture files by the name of their point, and why the call in them was bad.

    `label` is a cause's kebab-case name, `none` for a call without fault, or `refuse` where no cause can be
    defended. `acceptable` holds the label and what says the same of this capture just as well. `complaint`
    is when somebody complained, in ns since 1970, `facts` are numbers of the model for people.
    """

    label: str
    seed: int
    severity: float
    description: str
    points: Mapping[str, bytes]
    acceptable: frozenset[str]
    streams: tuple[StreamTruth, ...]
    complaint: tuple[int, int] | None = None
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def pcap(self) -> bytes:
        """The file of the first point."""
        return next(iter(self.points.values()))
