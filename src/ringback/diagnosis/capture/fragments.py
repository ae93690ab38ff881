"""Fragments of IP packets put together again, within limits of memory and time (RFC 791, RFC 8200 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ringback.diagnosis.capture.captured import Fragmentation, Nanoseconds
from ringback.diagnosis.capture.internet import IpPacket, address_text, beyond_extensions

GIVEN_UP_NS: Final = 30_000_000_000
"""After which a receiver no longer waits for a part; systems take 15 to 60 s."""
MOST_PENDING: Final = 4_096
MOST_HELD_BYTES: Final = 16 << 20
MOST_BROKEN_TOLD: Final = 1_000
_LARGEST: Final = 65_535
_MOST_PARTS: Final = 256
"""Of one packet: as many as 65,535 octets have in the smallest MTU of old, and twice that."""
_DONE_NS: Final = 250_000_000
"""In which another fragment of a packet that is whole is a copy: mirror ports often show everything twice."""
_MOST_DONE: Final = 4_096

_Key = tuple[bytes, bytes, int, int]


class Broken(NamedTuple):
    """A packet of which a part never came: what there is of it from its beginning, and when that was seen."""

    at_ns: Nanoseconds
    frame: int
    packet: IpPacket


@dataclass(slots=True)
class _Pending:
    began_ns: Nanoseconds
    frame: int
    parts: dict[int, IpPacket] = field(default_factory=dict)
    end: int = -1
    """Of the whole, once the last fragment told it."""
    received: int = 0
    held: int = 0


class Fragments:
    """Fragments of one capture point in the order of its time.

    Parts that overlap make their packet worthless (RFC 5722; and systems do so for IPv4, too); copies of a
    part change nothing.
    """

    def __init__(self) -> None:
        self.given_up_for_room = 0
        """Packets that were dropped only because too many were waiting."""
        self._pending: dict[_Key, _Pending] = {}
        self._done: dict[_Key, Nanoseconds] = {}
        self._held = 0
        self._broken: list[Broken] = []
        self._whole = self._broken_count = self._largest = 0
        self._broken_flows: list[tuple[Nanoseconds, bytes, bytes]] = []

    def add(self, at_ns: Nanoseconds, frame: int, part: IpPacket) -> IpPacket | None:
        """Take one fragment; the whole packet when this was the last that it lacked."""
        self._expire(at_ns)
        key = part.src, part.dst, part.protocol if len(part.src) == 4 else -1, part.identification
        done = self._done.get(key)
        if done is not None:
            if 0 <= at_ns - done < _DONE_NS:
                return None
            del self._done[key]
        pending = self._pending.get(key)
        if pending is None:
            self._make_room()
            pending = self._pending[key] = _Pending(at_ns, frame)
        if not _fits(pending, part):
            self._give_up(key, at_ns)
            return None
        self._keep(pending, part)
        if pending.received != pending.end:
            return None
        del self._pending[key]
        self._held -= pending.held
        self._remember(key, at_ns)
        whole = _join(pending)
        self._whole += 1
        self._largest = max(self._largest, (20 if len(part.src) == 4 else 40) + pending.end)
        return beyond_extensions(whole) if len(whole.src) == 16 else whole

    def take_broken(self) -> list[Broken]:
        """Those given up since the last time, of which the beginning is there."""
        broken, self._broken = self._broken, []
        return broken

    def finish(self) -> None:
        """Nothing will come any more: what waits is broken."""
        for key in list(self._pending):
            self._give_up(key)

    def counted(self) -> Fragmentation:
        """What came of all."""
        flows = tuple((at, address_text(src), address_text(dst)) for at, src, dst in self._broken_flows)
        return Fragmentation(self._whole, self._broken_count, flows, self._largest)

    def _keep(self, pending: _Pending, part: IpPacket) -> None:
        known = pending.parts.get(part.offset)
        if known is not None and known.missing <= part.missing:
            return
        held = len(part.payload) - (len(known.payload) if known else 0)
        pending.held += held
        self._held += held
        if known is None:
            pending.received += len(part.payload) + part.missing
        pending.parts[part.offset] = part
        if not part.more:
            pending.end = part.offset + len(part.payload) + part.missing

    def _expire(self, now_ns: Nanoseconds) -> None:
        while self._pending:
            key, oldest = next(iter(self._pending.items()))
            if now_ns - oldest.began_ns < GIVEN_UP_NS:
                return
            self._give_up(key)

    def _make_room(self) -> None:
        while len(self._pending) >= MOST_PENDING or self._held > MOST_HELD_BYTES:
            self.given_up_for_room += 1
            pending = self._pending.pop(next(iter(self._pending)))
            self._held -= pending.held

    def _give_up(self, key: _Key, at_ns: Nanoseconds | None = None) -> None:
        """Count it as broken; with `at_ns` what still comes of it is passed over."""
        pending = self._pending.pop(key)
        self._held -= pending.held
        self._broken_count += 1
        if len(self._broken_flows) < MOST_BROKEN_TOLD:
            self._broken_flows.append((pending.began_ns, key[0], key[1]))
        if at_ns is not None:
            self._remember(key, at_ns)
        if 0 in pending.parts:
            packet = _join(pending)
            beginning = beyond_extensions(packet) if len(packet.src) == 16 else packet
            if beginning is not None:
                self._broken.append(Broken(pending.began_ns, pending.frame, beginning))

    def _remember(self, key: _Key, at_ns: Nanoseconds) -> None:
        if len(self._done) >= _MOST_DONE:
            del self._done[next(iter(self._done))]
        self._done[key] = at_ns


def _fits(pending: _Pending, part: IpPacket) -> bool:
    """Whether the part agrees with those before it: a copy of one of them, or in a place that was free."""
    start, size = part.offset, len(part.payload) + part.missing
    end = start + size
    if size == 0 or end > _LARGEST or (part.more and size % 8) or len(pending.parts) >= _MOST_PARTS:
        return False
    if pending.end >= 0 and (end > pending.end or (not part.more and end != pending.end)):
        return False
    for other in pending.parts.values():
        other_end = other.offset + len(other.payload) + other.missing
        if (other.offset, other_end) == (start, end):
            return other.more == part.more
        if (start < other_end and other.offset < end) or (not part.more and other_end > end):
            return False
    return True


def _join(pending: _Pending) -> IpPacket:
    """The packet up to the first octet that is not there; it ends there if not known otherwise."""
    whole = bytearray()
    for offset in sorted(pending.parts):
        part = pending.parts[offset]
        if offset != len(whole):
            break
        whole += part.payload
    reached = max(part.offset + len(part.payload) + part.missing for part in pending.parts.values())
    return pending.parts[0]._replace(
        payload=bytes(whole),
        # Where the end never came it is at least one octet.
        missing=pending.end - len(whole) if pending.end >= 0 else max(1, reached - len(whole)),
        wire_bytes=sum(part.wire_bytes for part in pending.parts.values()),
        offset=0,
        more=False,
        fragments=len(pending.parts),
    )
