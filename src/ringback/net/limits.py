"""How many connections there may be and for how long, and which one gives way to a newcomer."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from ringback.governance.throttle import SourceList, source_key

_C = TypeVar("_C", bound=Hashable)

DEFAULT_CONNECTIONS: Final = 4_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the SIP transports; sizes in bytes, times in seconds.

    `message_s` is the time for a first message to come and for any begun message to be complete. `idle_s` is
    for connections that are not trusted (see SipTransports.trust). Sources in `allow` are not counted.
    """

    connections: int = DEFAULT_CONNECTIONS
    connections_per_source: int = 100
    connecting: int = 200
    header_bytes: int = 65_536
    body_bytes: int = 262_144
    write_buffer_bytes: int = 1_048_576
    handshake_s: float = 10.0
    message_s: float = 10.0
    idle_s: float = 600.0
    connect_s: float = 10.0
    allow: SourceList = field(default_factory=SourceList)


class Admission(Generic[_C]):
    """Keeps connections within the limits by count.

    A connection is unproven until it brought a SIP message. Where a limit is reached a newcomer takes the
    place of the oldest unproven one (of its source, or of all), so that those who only open connections
    cannot keep others out; if all are proven the newcomer is refused.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sources: dict[str, dict[_C, bool]] = {}
        self._source_of: dict[_C, str] = {}
        self._unproven: dict[_C, None] = {}

    def __len__(self) -> int:
        return len(self._source_of)

    def admit(self, connection: _C, address: str) -> tuple[bool, list[_C]]:
        """Whether a connection from an address may stay, and those to be closed for it."""
        if address in self._limits.allow:
            return True, []
        source = source_key(address)
        displaced: list[_C] = []
        of_source = self._sources.get(source, {})
        if len(of_source) >= self._limits.connections_per_source:
            oldest = next((other for other, proven in of_source.items() if not proven), None)
            if oldest is None:
                return False, []
            displaced.append(oldest)
        elif len(self._source_of) >= self._limits.connections:
            oldest = next(iter(self._unproven), None)
            if oldest is None:
                return False, []
            displaced.append(oldest)
        for other in displaced:
            self.forget(other)
        self._sources.setdefault(source, {})[connection] = False
        self._source_of[connection] = source
        self._unproven[connection] = None
        return True, displaced

    def prove(self, connection: _C) -> None:
        """A connection brought a message: it gives way to nobody any more."""
        source = self._source_of.get(connection)
        if source is not None:
            self._sources[source][connection] = True
            self._unproven.pop(connection, None)

    def forget(self, connection: _C) -> None:
        """A connection is closed."""
        source = self._source_of.pop(connection, None)
        self._unproven.pop(connection, None)
        if source is not None:
            of_source = self._sources[source]
            of_source.pop(connection, None)
            if not of_source:
                del self._sources[source]
