"""The event stream: what happens, told to all who listen; a slow listener misses some and is told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ringback.web.operations import Call, Participant

BACKLOG: Final = 1000
"""Events kept for a listener that does not read."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, with the state of what it happened to.

    `kind` is a dotted name such as "participant.joined"; `details` holds nothing private.
    """

    kind: str
    meeting: str | None = None
    participant: Participant | None = None
    call: Call | None = None
    details: Mapping[str, Scalar] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class EventHub:
    """Passes events on; publishing never waits."""

    def __init__(self, backlog: int = BACKLOG) -> None:
        self._backlog = backlog
        self._listeners: set[_Listener] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    @property
    def closed(self) -> bool:
        """Whether nothing will be told any more."""
        return self._closed

    def publish(self, event: Event) -> None:
        """Tell everybody who listens now."""
        for listener in self._listeners:
            listener.put(event)

    def close(self) -> None:
        """End all subscriptions."""
        self._closed = True
        for listener in self._listeners:
            listener.wake.set()

    def subscribe(self) -> AsyncIterator[Event]:
        """Events from this call on, until the hub is closed; close the iterator when done."""
        listener = _Listener(self._backlog)
        self._listeners.add(listener)
        return self._listen(listener)

    async def _listen(self, listener: _Listener) -> AsyncIterator[Event]:
        try:
            while not self._closed:
                for event in listener.take():
                    yield event
                await listener.wake.wait()
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self, backlog: int) -> None:
        self.wake = asyncio.Event()
        self._backlog = backlog
        self._waiting: list[Event] = []
        self._missed = 0

    def put(self, event: Event) -> None:
        if len(self._waiting) >= self._backlog:
            self._missed += 1
        else:
            self._waiting.append(event)
        self.wake.set()

    def take(self) -> list[Event]:
        self.wake.clear()
        taken, self._waiting = self._waiting, []
        if self._missed:
            taken.append(Event("events.missed", details={"count": self._missed}))
            self._missed = 0
        return taken
