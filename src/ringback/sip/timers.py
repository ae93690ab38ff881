"""The timers of RFC 3261 §17 and appendix A by their letters, and a queue of what is due next."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Timers:
    """Values in seconds. T1: round-trip estimate; T2: longest retransmit interval; T4: life of a message."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0

    def timer_a(self) -> float:
        """First wait before an INVITE goes again; doubles each time."""
        return self.t1

    def timer_b(self) -> float:
        """How long an INVITE may go without any answer."""
        return 64 * self.t1

    def timer_d(self, reliable: bool) -> float:
        """How long retransmitted failure answers to our INVITE are still acknowledged."""
        return 0.0 if reliable else max(32.0, 64 * self.t1)

    def timer_e(self) -> float:
        """First wait before a request other than INVITE goes again; doubles up to T2."""
        return self.t1

    def timer_f(self) -> float:
        """How long a request other than INVITE may go without a final answer."""
        return 64 * self.t1

    def timer_g(self) -> float:
        """First wait before a failure answer to an INVITE goes again; doubles up to T2."""
        return self.t1

    def timer_h(self) -> float:
        """How long to wait for the ACK to a failure answer."""
        return 64 * self.t1

    def timer_i(self, reliable: bool) -> float:
        """How long further copies of that ACK are absorbed."""
        return 0.0 if reliable else self.t4

    def timer_j(self, reliable: bool) -> float:
        """How long copies of an answered request get the same answer."""
        return 0.0 if reliable else 64 * self.t1

    def timer_k(self, reliable: bool) -> float:
        """How long copies of the final answer to our request are absorbed."""
        return 0.0 if reliable else self.t4

    def timer_l(self) -> float:
        """How long copies of an accepted INVITE are absorbed (RFC 6026)."""
        return 64 * self.t1

    def timer_m(self) -> float:
        """How long further 2xx to our INVITE are passed on (RFC 6026)."""
        return 64 * self.t1


_FEW_TICKETS = 1_000

# When an item is next looked at, and the number of its place in the queue.
Ticket = tuple[float, int]


class Timed(Protocol):
    """What the queue holds; `scheduled` belongs to the queue and starts as None."""

    scheduled: Ticket | None

    def deadline(self) -> float | None:
        """When it next wants `expire`, or None."""


class TimerQueue:
    """A heap with lazy deletion: an item that was put off is noticed only when its turn comes.

    The heap holds tickets, not items, so that what is done can be freed long before its turn.
    """

    def __init__(self) -> None:
        self._heap: list[Ticket] = []
        self._items: dict[int, Timed] = {}
        self._numbers = count()

    def update(self, item: Timed) -> None:
        """Take note of the item's deadline; call it after each change of it."""
        when = item.deadline()
        ticket = item.scheduled
        if ticket is not None:
            if when is not None and ticket[0] <= when:
                return
            del self._items[ticket[1]]
            item.scheduled = None
            if len(self._heap) > 2 * len(self._items) + _FEW_TICKETS:
                self._sweep()
        if when is not None:
            ticket = item.scheduled = (when, next(self._numbers))
            self._items[ticket[1]] = item
            heapq.heappush(self._heap, ticket)

    def deadline(self) -> float | None:
        """The earliest deadline of all, or None."""
        while self._heap:
            when, number = self._heap[0]
            item = self._items.get(number)
            if item is None:
                heapq.heappop(self._heap)
                continue
            actual = item.deadline()
            if actual is not None and actual <= when:
                return actual
            heapq.heappop(self._heap)
            del self._items[number]
            item.scheduled = None
            self.update(item)
        return None

    def pop_due(self, now: float) -> Timed | None:
        """Take out one item whose deadline has come; the caller expires it and calls `update`."""
        when = self.deadline()
        if when is None or when > now:
            return None
        item = self._items.pop(heapq.heappop(self._heap)[1])
        item.scheduled = None
        return item

    def _sweep(self) -> None:
        """Drop the tickets of what is done when they are the most: calls end long before their timers."""
        self._heap = [ticket for ticket in self._heap if ticket[1] in self._items]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)
