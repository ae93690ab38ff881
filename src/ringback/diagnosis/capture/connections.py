"""TCP connections of a capture: which carry SIP, plain or over WebSocket, which TURN, and which neither."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final, Literal

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.capture.datagram_framing import DatagramFraming, is_framed_stun, is_turn
from ringback.diagnosis.capture.flows import Flow, FlowKey, Flows, reverse_key
from ringback.diagnosis.capture.handshakes import HandshakeFacts, is_tls
from ringback.diagnosis.capture.internet import IpPacket
from ringback.diagnosis.capture.reassembly import Reader, Reassembly, Seen, distance
from ringback.diagnosis.capture.sip_framing import SipFraming, TakeMessage, find_start_line
from ringback.diagnosis.capture.websocket import (
    WebSocketReader,
    ends_head,
    is_frame_with_sip,
    is_http,
    is_upgrade,
)

MOST_DIRECTIONS: Final = 20_000
"""Connections count twice. When there are more, those that have been silent longest are closed."""
MOST_HELD_BYTES: Final = 64 << 20
"""Of segments that wait for others, messages in work, and beginnings that are not recognised yet, of all."""
_OPENING_BYTES: Final = 65_536
_OPENING_PIECES: Final = 512
_BINARY_BYTES: Final = 4_096
_BINARY_PIECES: Final = 8
"""After so many without a sign of SIP nothing is expected of a connection."""
_TLS_PIECES: Final = 16
"""Segments of TLS that are looked into: a handshake is at the beginning."""
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_RELIEF: Final = 1_024
"""Segments after which what is held is added up."""
_SIP: Final = b"SIP/2.0"
_DNS_PORT: Final = b"\0\x35"

State = Literal["new", "sip", "ws", "datagrams", "refused"]
TakeSip = Callable[[Literal["tcp", "ws"], FlowKey, bytes, Seen, bool], None]
"""Is given how it came, from where to where, the message, its last packet, and whether it is cut."""
TakePayload = Callable[[FlowKey, bytes, Seen], None]


class _Direction:
    """One way of a connection. Until it is known what it carries its first bytes are kept."""

    __slots__ = ("answered", "attempts", "flow", "opening", "peer", "reassembly", "reset", "state")

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.state: State = "new"
        self.peer: _Direction | None = None
        self.reassembly: Reassembly | None = None
        self.opening: _Opening | None = None
        self.attempts = 0
        self.answered = self.reset = False


class _Opening:
    """Reads the beginning of a direction until it is recognised, and keeps it for who reads it then."""

    def __init__(self, recognise: Callable[[_Opening, bytes], None]) -> None:
        self.head = bytearray()
        self.pieces: list[tuple[bytes, Seen] | None] = []
        self._recognise: Callable[[_Opening, bytes], None] | None = recognise

    @property
    def held_bytes(self) -> int:
        """What is kept, twice."""
        return 2 * len(self.head)

    def feed(self, data: bytes, seen: Seen) -> None:
        """Take bytes, and look whether they are known now."""
        if self._recognise is not None:
            self.head += data
            self.pieces.append((data, seen))
            self._recognise(self, data)

    def gap(self) -> None:
        """Take note that some are missing here."""
        if self._recognise is not None:
            self.pieces.append(None)

    def finish(self) -> None:
        """Forget them."""
        self._recognise = None
        self.head.clear()
        self.pieces.clear()

    def replay(self, reader: Reader) -> None:
        """Hand all on to its reader."""
        pieces = list(self.pieces)
        self.finish()
        for piece in pieces:
            if piece is None:
                reader.gap()
            else:
                reader.feed(*piece)


class _TlsReader:
    """Looks at the handshake of one direction, and says when that was enough."""

    def __init__(self, facts: HandshakeFacts, enough: Callable[[], None]) -> None:
        self._facts = facts
        self._enough = enough
        self._pieces = 0

    @property
    def held_bytes(self) -> int:
        """Nothing is kept."""
        return 0

    def feed(self, data: bytes, seen: Seen) -> None:
        """Take a segment."""
        self._facts.note_segment(data)
        self._pieces += 1
        if self._pieces == _TLS_PIECES:
            self._enough()

    def gap(self) -> None:
        """Pass over it: records are looked for at the beginning of segments."""

    def finish(self) -> None:
        """Nothing is kept."""


class Connections:
    """All directions of all connections of one capture point, in the order of the capture."""

    def __init__(self, flows: Flows, take_sip: TakeSip, take_datagram: TakePayload) -> None:
        self.problems: Counter[str] = Counter()
        self._flows = flows
        self._take_sip = take_sip
        self._take_datagram = take_datagram
        self._directions: dict[FlowKey, _Direction] = {}
        self._until_relief = _RELIEF

    def passes_over(self, key: FlowKey, flags: int, octets: int, at_ns: Nanoseconds) -> bool:
        """Count a segment of which nothing is expected; False where it is one that `segment` has to take."""
        way = self._directions.get(key)
        if way is None or way.state != "refused" or flags & (_SYN | _RST):
            return False
        way.flow.count(at_ns, octets)
        return True

    def segment(self, packet: IpPacket, at_ns: Nanoseconds, frame: int) -> None:
        """Take one segment."""
        data = packet.payload
        header = data[12] >> 2 & 0x3C if len(data) >= 20 else 0
        if header < 20 or len(data) < header:
            self.problems["TCP headers that are cut or make no sense"] += 1
            return
        key = packet.src + packet.dst + data[:4]
        way = self._directions.get(key) or self._open(key, at_ns)
        octets = len(data) - header + packet.missing
        way.flow.count(at_ns, octets)
        flags = data[13]
        sequence = int.from_bytes(data[4:8], "big")
        if flags & (_SYN | _RST):
            self._note_flags(way, flags, sequence)
        if way.state == "refused":
            return
        if octets:
            self._relieve()
            reassembly = way.reassembly or self._begin(way)
            first = sequence + 1 if flags & _SYN else sequence
            reassembly.segment(
                first & 0xFFFFFFFF, data[header:], packet.missing, Seen(at_ns, frame, packet.dscp)
            )
        peer = way.peer
        if flags & _ACK and peer is not None and peer.reassembly is not None and peer.reassembly.held_bytes:
            peer.reassembly.acknowledged(int.from_bytes(data[8:12], "big"), at_ns)

    def finish(self) -> None:
        """End all connections; what was of no use to us goes to the flows."""
        for key in list(self._directions):
            self._close(key)

    def _open(self, key: FlowKey, at_ns: Nanoseconds) -> _Direction:
        if len(self._directions) >= MOST_DIRECTIONS:
            silent = heapq.nsmallest(
                MOST_DIRECTIONS // 4, self._directions.items(), key=lambda item: item[1].flow.ended_ns
            )
            for old, _ in silent:
                self._close(old)
        way = self._directions[key] = _Direction(Flow("unknown", "tcp", key, at_ns, at_ns))
        peer = self._directions.get(reverse_key(key))
        if peer is not None and peer is not way:
            way.peer, peer.peer = peer, way
        return way

    def _begin(self, way: _Direction) -> Reassembly:
        """Read a direction from here on."""
        way.state = "new"
        way.opening = _Opening(partial(self._recognise, way))
        way.reassembly = Reassembly(way.opening)
        if way.peer is not None and way.peer.state == "sip":
            self._decide(way, "sip", self._sip_reader(way))
        return way.reassembly

    def _note_flags(self, way: _Direction, flags: int, sequence: int) -> None:
        if flags & _RST:
            way.reset = True
            return
        if not flags & _ACK:
            way.attempts += 1
        elif way.peer is not None:
            way.peer.answered = True
        first = (sequence + 1) & 0xFFFFFFFF
        expected = way.reassembly.expected if way.reassembly is not None else None
        # One of the same number is a repetition, or was overtaken; else this is another connection.
        if expected is None or abs(distance(first, expected)) > _OPENING_BYTES:
            self._end(way)
            self._begin(way).begin(first)

    def _recognise(self, way: _Direction, opening: _Opening, piece: bytes) -> None:
        """Look at what there is of a direction's beginning; `piece` is the last of it."""
        head = opening.head
        if is_tls(piece):
            way.flow.kind = "tls"
            way.flow.facts = facts = HandshakeFacts()
            self._decide(way, "new", _TlsReader(facts, partial(self._refuse, way)))
        elif is_turn(piece) or is_framed_stun(piece):
            self._decide(way, "datagrams", self._datagram_reader(way, lengths=not is_turn(piece)))
        elif is_upgrade(head) or is_frame_with_sip(piece):
            reader = WebSocketReader(self._sip_sink("ws", way), in_handshake=is_http(head))
            self._decide(way, "ws", reader)
        elif is_http(head):
            if ends_head(head) or len(head) > _OPENING_BYTES:
                self._give_up(way)
        elif find_start_line(head, known=len(head) - len(piece)) >= 0:
            self._decide(way, "sip", self._sip_reader(way))
        elif (
            len(head) > _OPENING_BYTES
            or len(opening.pieces) > _OPENING_PIECES
            or (len(opening.pieces) > _BINARY_PIECES and len(head) > _BINARY_BYTES and _SIP not in head)
        ):
            self._give_up(way)

    def _decide(self, way: _Direction, state: State, reader: Reader) -> None:
        """Go on with a reader of what was recognised; the other way is looked at with other eyes then."""
        way.state = state
        if way.reassembly is not None:
            way.reassembly.reader = reader
        if way.opening is not None:
            opening, way.opening = way.opening, None
            opening.replay(reader)
        peer = way.peer
        if peer is not None and state != "new" and peer.state in ("new", "refused"):
            if peer.state == "refused" and peer.flow.kind == "unknown":
                self._begin(peer)
            elif state == "sip" and peer.opening is not None:
                self._decide(peer, "sip", self._sip_reader(peer))

    def _give_up(self, way: _Direction) -> None:
        """Expect nothing of a direction, unless it answers one that is known."""
        peer = way.peer
        if peer is not None and peer.state == "ws":
            websocket = WebSocketReader(self._sip_sink("ws", way), in_handshake=False)
            # It is in the middle of something.
            websocket.gap()
            self._decide(way, "ws", websocket)
        elif peer is not None and peer.state == "datagrams" and peer.reassembly is not None:
            known = peer.reassembly.reader
            datagrams = self._datagram_reader(way, lengths=getattr(known, "lengths", False))
            datagrams.gap()
            self._decide(way, "datagrams", datagrams)
        else:
            self._refuse(way)

    def _refuse(self, way: _Direction) -> None:
        way.state = "refused"
        if way.opening is not None:
            way.opening.finish()
        way.opening = way.reassembly = None

    def _end(self, way: _Direction) -> None:
        """No more bytes come of what was read until now."""
        reassembly = way.reassembly
        if reassembly is not None:
            reassembly.skip_all()
            reassembly.reader.finish()
            if isinstance(reassembly.reader, WebSocketReader):
                self._note_websocket(way, reassembly.reader)
        way.opening = way.reassembly = None

    def _note_websocket(self, way: _Direction, reader: WebSocketReader) -> None:
        if reader.unreadable:
            self.problems["WebSocket messages compressed by what is not in the capture"] += reader.unreadable
        if not reader.messages:
            way.flow.detail = "WebSocket, " + ("unreadable" if reader.unreadable else "without SIP")

    def _close(self, key: FlowKey) -> None:
        way = self._directions.pop(key)
        self._end(way)
        flow, peer = way.flow, way.peer
        if way.state in ("sip", "datagrams") or (way.state == "ws" and not flow.detail):
            return
        if peer is not None and not flow.octets:
            if peer.state in ("sip", "datagrams", "ws"):
                return
            flow.kind = peer.flow.kind
        if way.attempts and not way.answered:
            refused = peer is not None and peer.reset
            flow.detail = (
                f"connection {'refused' if refused else 'without an answer'}, asked {way.attempts} times"
            )
        if flow.kind == "unknown" and _DNS_PORT in (key[-4:-2], key[-2:]):
            flow.kind = "dns"
        self._flows.take(flow)

    def _relieve(self) -> None:
        """Now and then, give up what was kept for long where it is too much."""
        self._until_relief -= 1
        if self._until_relief:
            return
        self._until_relief = _RELIEF
        ways = self._directions.values()
        held = sum(_held(way) for way in ways)
        if held <= MOST_HELD_BYTES:
            return
        for way in sorted(ways, key=_held, reverse=True):
            if held <= MOST_HELD_BYTES // 2:
                return
            held -= _held(way)
            if way.reassembly is not None:
                way.reassembly.skip_all()
            if way.opening is not None:
                self._refuse(way)
            elif way.reassembly is not None:
                way.reassembly.reader.gap()

    def _sip_sink(self, transport: Literal["tcp", "ws"], way: _Direction) -> TakeMessage:
        return partial(self._take_sip, transport, way.flow.key)

    def _sip_reader(self, way: _Direction) -> SipFraming:
        return SipFraming(self._sip_sink("tcp", way))

    def _datagram_reader(self, way: _Direction, *, lengths: bool) -> DatagramFraming:
        return DatagramFraming(partial(self._take_datagram, way.flow.key), lengths=lengths)


def _held(way: _Direction) -> int:
    """What is kept of a direction, in octets."""
    reassembly = way.reassembly
    return reassembly.held_bytes + reassembly.reader.held_bytes if reassembly is not None else 0
