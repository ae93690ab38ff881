"""Counts of what is neither SIP nor media, flow by flow, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from ringback.diagnosis.capture.captured import Endpoints, Nanoseconds, OtherFlow, OtherKind
from ringback.diagnosis.capture.handshakes import HandshakeFacts
from ringback.diagnosis.capture.internet import address_text
from ringback.diagnosis.capture.stun import StunFacts

MOST_FLOWS: Final = 20_000
"""That are told one by one: the largest. Up to twice as many are held until they are chosen from."""

FlowKey = bytes
"""Source and destination address, then source and destination port, as they stand in the packet."""


def reverse_key(key: FlowKey) -> FlowKey:
    """The way back."""
    half = (len(key) - 4) // 2
    return key[half:-4] + key[:half] + key[-2:] + key[-4:-2]


def endpoints_of(key: FlowKey) -> Endpoints:
    """A key's addresses, read."""
    half = (len(key) - 4) // 2
    sport, dport = key[-4] << 8 | key[-3], key[-2] << 8 | key[-1]
    return Endpoints(address_text(key[:half]), sport, address_text(key[half:-4]), dport)


@dataclass(slots=True)
class Flow:
    """One kind of packets, one way."""

    kind: OtherKind
    transport: Literal["udp", "tcp"]
    key: FlowKey
    began_ns: Nanoseconds
    ended_ns: Nanoseconds
    packets: int = 0
    octets: int = 0
    facts: StunFacts | HandshakeFacts | None = None
    detail: str = ""

    def count(self, at_ns: Nanoseconds, octets: int) -> None:
        """One packet more."""
        self.packets += 1
        self.octets += octets
        self.ended_ns = max(self.ended_ns, at_ns)

    def add(self, other: Flow) -> None:
        """The packets of another."""
        self.packets += other.packets
        self.octets += other.octets
        self.began_ns = min(self.began_ns, other.began_ns)
        self.ended_ns = max(self.ended_ns, other.ended_ns)
        self.detail = self.detail or other.detail
        self.facts = self.facts or other.facts


_FAX_OR_NOT: Final[tuple[OtherKind, OtherKind]] = "t38", "unknown"
_FEWEST_FAX_PACKETS: Final = 3
"""That nothing but their form makes a fax."""

_Place = tuple[OtherKind, Literal["udp", "tcp"], FlowKey]


class Flows:
    """All such flows of a capture point."""

    def __init__(self, most: int = MOST_FLOWS) -> None:
        self.dropped_packets = 0
        """Of flows that were too many and too small."""
        self._most = most
        self._flows: dict[_Place, Flow] = {}

    def find(self, kind: OtherKind, transport: Literal["udp", "tcp"], key: FlowKey) -> Flow | None:
        """The flow, if there was a packet of it."""
        return self._flows.get((kind, transport, key))

    def note(
        self,
        kind: OtherKind,
        transport: Literal["udp", "tcp"],
        key: FlowKey,
        at_ns: Nanoseconds,
        octets: int,
    ) -> Flow:
        """Count a packet with that many octets of payload; its flow."""
        flow = self._flows.get((kind, transport, key))
        if flow is None:
            flow = Flow(kind, transport, key, at_ns, at_ns)
            self.take(flow)
        flow.count(at_ns, octets)
        return flow

    def take(self, flow: Flow) -> None:
        """Add a flow that was counted elsewhere; to one that is there already its packets are added."""
        place = flow.kind, flow.transport, flow.key
        known = self._flows.get(place)
        if known is not None:
            known.add(flow)
            return
        if len(self._flows) >= 2 * self._most:
            self._prune()
        self._flows[place] = flow

    def finish(self, fax_ports: Iterable[tuple[str, int]]) -> tuple[OtherFlow, ...]:
        """All flows by their beginning. What nothing else explains is a fax at the ports of one."""
        self._name_faxes(frozenset(fax_ports))
        if len(self._flows) > self._most:
            self._prune()
        flows = sorted(self._flows.values(), key=lambda flow: flow.began_ns)
        return tuple(
            OtherFlow(
                flow.kind,
                endpoints_of(flow.key),
                flow.transport,
                flow.packets,
                flow.octets,
                flow.began_ns,
                flow.ended_ns,
                self._detail(flow),
            )
            for flow in flows
        )

    def _name_faxes(self, ports: frozenset[tuple[str, int]]) -> None:
        """Decide for whole flows what single packets only look like: fax or not, by SDP or by their most."""
        keys = dict.fromkeys(key for kind, over, key in self._flows if kind in _FAX_OR_NOT and over == "udp")
        for key in keys:
            faxes, others = (self._flows.pop((kind, "udp", key), None) for kind in _FAX_OR_NOT)
            src, sport, dst, dport = endpoints_of(key)
            signalled = (src, sport) in ports or (dst, dport) in ports
            alike, unlike = (flow.packets if flow is not None else 0 for flow in (faxes, others))
            is_fax = signalled or (alike >= _FEWEST_FAX_PACKETS and alike > unlike)
            for flow in (faxes, others):
                if flow is not None:
                    flow.kind = "t38" if is_fax else "unknown"
                    if is_fax:
                        flow.detail = "at a port that SDP named" if signalled else "by its form alone"
                    self.take(flow)

    def _detail(self, flow: Flow) -> str:
        if isinstance(flow.facts, StunFacts):
            return flow.facts.text()
        if isinstance(flow.facts, HandshakeFacts):
            back = self.find(flow.kind, flow.transport, reverse_key(flow.key))
            facts = back.facts if back is not None else None
            return flow.facts.text(facts if isinstance(facts, HandshakeFacts) else None)
        return flow.detail

    def _prune(self) -> None:
        """Keep the largest, and of those alike the earlier."""
        kept = heapq.nlargest(self._most, self._flows.items(), key=lambda item: item[1].packets)
        self.dropped_packets += sum(flow.packets for flow in self._flows.values())
        self.dropped_packets -= sum(flow.packets for _, flow in kept)
        self._flows = dict(kept)
