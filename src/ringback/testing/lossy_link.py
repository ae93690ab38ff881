"""A network that loses, doubles, delays and reorders, on a fake clock and without sockets."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from ringback.testing.fake_clock import FakeClock

T = TypeVar("T")
Address = tuple[str, int]
Receiver = Callable[[T, Address, Address], None]


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """How bad the network is: `loss` and `duplication` are probabilities, delays are seconds.

    A packet takes `delay` plus up to `jitter`; different draws of it are what reorders packets.
    """

    loss: float = 0.0
    duplication: float = 0.0
    delay: float = 0.01
    jitter: float = 0.0


class LossyLink(Generic[T]):
    """Carries packets between addresses; everything random comes from `seed`.

    `deliver_due` hands what has arrived by the clock's time to the receivers, which may send more.
    `sent` and `lost` count packets.
    """

    def __init__(self, clock: FakeClock, seed: int = 0, quality: LinkQuality | None = None) -> None:
        self.clock = clock
        self.quality = quality or LinkQuality()
        self.sent = 0
        self.lost = 0
        self._random = random.Random(seed)
        self._receivers: dict[Address, Receiver[T]] = {}
        self._under_way: list[tuple[float, int, T, Address, Address]] = []
        self._numbers = count()

    def attach(self, address: Address, receiver: Receiver[T]) -> None:
        """Let `receiver(packet, source, destination)` have what is sent to `address`."""
        self._receivers[address] = receiver

    def send(self, packet: T, source: Address, destination: Address) -> None:
        """Put a packet on the way; one to an address where nobody is gets lost."""
        self.sent += 1
        copies = 2 if self._random.random() < self.quality.duplication else 1
        for _ in range(copies):
            if self._random.random() < self.quality.loss:
                self.lost += 1
                continue
            arrival = self.clock.now + self.quality.delay + self._random.random() * self.quality.jitter
            entry = (arrival, next(self._numbers), packet, source, destination)
            heapq.heappush(self._under_way, entry)

    def deadline(self) -> float | None:
        """When the next packet arrives, or None."""
        return self._under_way[0][0] if self._under_way else None

    def deliver_due(self) -> int:
        """Hand over all that has arrived; returns how many packets."""
        delivered = 0
        while self._under_way and self._under_way[0][0] <= self.clock.now:
            _, _, packet, source, destination = heapq.heappop(self._under_way)
            receiver = self._receivers.get(destination)
            if receiver is not None:
                delivered += 1
                receiver(packet, source, destination)
        return delivered
