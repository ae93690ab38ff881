"""UDP that is no RTP, counted flow by flow in columns; the first packets of a flow are looked at besides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Endpoints, OtherFlow
from ringback.diagnosis.capture.keys import KeyTable
from ringback.diagnosis.capture.records import Octets
from ringback.diagnosis.capture.rows import endpoints
from ringback.diagnosis.capture.streams import stable_order

LOOKED_AT: Final = 64
"""Packets of a flow of unknown kind that are looked at; the others are only counted."""
MOST_LOOKED_AT: Final = 200_000
"""Of all such flows together, so that a flood of addresses costs no more."""
MOST_FLOWS: Final = 1 << 16
_ALWAYS_LOOKED_AT: Final = frozenset({"stun", "turn", "dtls"})
"""Kinds that are known by a look in columns: what was only counted is none of them."""
_DNS_PORTS: Final = frozenset({53, 5353, 5355})


class _Counts(NamedTuple):
    """Of each flow: packets that were looked at; of those that were not, their number, octets and times."""

    looked_at: NDArray[np.int64]
    packets: NDArray[np.int64]
    octets: NDArray[np.int64]
    began_ns: NDArray[np.int64]
    ended_ns: NDArray[np.int64]


class DatagramCounts:
    """The flows of a capture point."""

    def __init__(self) -> None:
        self.uncounted = 0
        """Packets of flows that were too many to be told apart."""
        self._table = KeyTable()
        self._counts = _Counts(*(np.zeros(0, np.int64) for _ in _Counts._fields))
        self._looked_at = 0

    def add(
        self, keys: Octets, unknown: NDArray[np.bool_], octets: NDArray[np.uint16], at_ns: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Count the datagrams with keys uint8[n, 40]; which of them are to be looked at instead: bool[n].

        `unknown` says for each whether it may be.
        """
        look = np.zeros(len(keys), np.bool_)
        if not len(keys):
            return look
        if len(self._table) > MOST_FLOWS:
            self._forget()
        numbers = self._table.number(keys)
        self._grow(len(self._table))
        order = stable_order(numbers)
        sorted_numbers = numbers[order]
        starts = np.flatnonzero(np.concatenate(([True], sorted_numbers[1:] != sorted_numbers[:-1])))
        sizes = np.diff(np.append(starts, len(order)))
        flows = sorted_numbers[starts]
        place = np.arange(len(order)) - np.repeat(starts, sizes)
        early = place + np.repeat(self._counts.looked_at[flows], sizes) < LOOKED_AT
        look[order] = early & unknown[order]
        look &= np.cumsum(look) <= MOST_LOOKED_AT - self._looked_at
        self._looked_at += int(look.sum())
        looked = look[order]
        counts = self._counts
        counts.looked_at[flows] += np.add.reduceat(looked.astype(np.int64), starts)
        counts.packets[flows] += np.add.reduceat((~looked).astype(np.int64), starts)
        counts.octets[flows] += np.add.reduceat(np.where(looked, 0, octets[order].astype(np.int64)), starts)
        first = np.minimum.reduceat(at_ns[order], starts)
        counts.began_ns[flows] = np.minimum(counts.began_ns[flows], first)
        last = np.maximum.reduceat(at_ns[order], starts)
        counts.ended_ns[flows] = np.maximum(counts.ended_ns[flows], last)
        return look

    def merged(self, sorted_flows: Iterable[OtherFlow]) -> tuple[OtherFlow, ...]:
        """The flows that were found by looking at packets, and what was counted here added to them."""
        counted: dict[Endpoints, tuple[int, int, int, int]] = {}
        keys = self._table.keys
        for number in np.flatnonzero(self._counts.packets[: len(keys)]).tolist():
            values = (int(column[number]) for column in self._counts[1:])
            counted[endpoints(keys[number].tobytes())] = tuple(values)  # type: ignore[assignment]
        flows = []
        for flow in sorted_flows:
            counts = flow.transport == "udp" and flow.kind not in _ALWAYS_LOOKED_AT
            more = counted.pop(flow.endpoints, None) if counts else None
            if more is not None:
                packets, octets, began, ended = more
                flow = replace(  # noqa: PLW2901
                    flow,
                    packets=flow.packets + packets,
                    octets=flow.octets + octets,
                    began_ns=min(flow.began_ns, began),
                    ended_ns=max(flow.ended_ns, ended),
                )
            flows.append(flow)
        for place, numbers in counted.items():
            dns = place.sport in _DNS_PORTS or place.dport in _DNS_PORTS
            flows.append(OtherFlow("dns" if dns else "unknown", place, "udp", *numbers))
        return tuple(sorted(flows, key=lambda flow: flow.began_ns))

    def _grow(self, size: int) -> None:
        missing = size - len(self._counts.packets)
        if missing > 0:
            missing = max(missing, size)
            fresh = [np.zeros(missing, np.int64) for _ in _Counts._fields]
            fresh[3] += np.iinfo(np.int64).max
            fresh[4] += np.iinfo(np.int64).min
            self._counts = _Counts(*(np.concatenate(pair) for pair in zip(self._counts, fresh, strict=True)))

    def _forget(self) -> None:
        """Make room: the smallest flows go."""
        n = len(self._table)
        packets = self._counts.packets[:n] + self._counts.looked_at[:n]
        kept = np.zeros(n, np.bool_)
        kept[np.argsort(-packets, kind="stable")[: MOST_FLOWS // 2]] = True
        self.uncounted += int(self._counts.packets[:n][~kept].sum())
        self._table.keep(kept)
        self._counts = _Counts(*(column[:n][kept] for column in self._counts))
