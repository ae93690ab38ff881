"""SIP servers by name: finds them for new requests, and sends what goes to a name (RFC 3263)."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ringback.config import Settings
from ringback.sip.flow import Flow, Targets
from ringback.sip.locate import Family
from ringback.sip.message import SipUri

if TYPE_CHECKING:
    from ringback.net.dns import Resolver

_MOST_WAITING: Final = 100
_MOST_MESSAGES: Final = 20
_MOST_KNOWN: Final = 1_000
# Copies of a request go where the first one went (64*T1).
_KNOWN_S: Final = 32.0


@dataclass(slots=True)
class _Known:
    flow: Flow
    until: float


@dataclass(slots=True)
class _Waiting:
    messages: list[bytes] = field(default_factory=list)


class NameService:
    """Looks names up outside of the call path; `send` is the transports', `on_lost` the exchange's."""

    def __init__(
        self, settings: Settings, send: Callable[[Flow, bytes], bool], on_lost: Callable[[Flow], None]
    ) -> None:
        self._settings = settings
        self._send = send
        self._on_lost = on_lost
        self._resolver: Resolver | None = None
        self._waiting: dict[Flow, _Waiting] = {}
        self._known: OrderedDict[Flow, _Known] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def locate(self, uri: SipUri) -> Targets:
        """Where requests for a URI go, the best first; none when nothing is found within about 3 s."""
        return await self._by().locate(uri)

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send to a flow whose host is a name, once that is looked up; `on_lost` tells when it cannot be."""
        known = self._known.get(flow)
        if known is not None and known.until > time.monotonic():
            return self._send(known.flow, data)
        waiting = self._waiting.get(flow)
        if waiting is None:
            if len(self._waiting) >= _MOST_WAITING:
                self._give_up(flow)
                return False
            waiting = self._waiting[flow] = _Waiting()
            self._spawn(self._look_up(flow, waiting))
        if len(waiting.messages) >= _MOST_MESSAGES:
            return False
        waiting.messages.append(data)
        return True

    def connection_lost(self, flow: Flow) -> list[Flow]:
        """The flows to names that went by a connection that is lost."""
        return [named for named, known in self._known.items() if known.flow == flow] if not flow.id else []

    async def close(self) -> None:
        """Look nothing up any more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _by(self) -> Resolver:
        if self._resolver is None:
            # Takes 5 MB, which servers without trunks need not have.
            from ringback.net.dns import Resolver  # noqa: PLC0415

            sip = self._settings.sip
            families: dict[Family, None] = {}
            for address in sip.bind:
                families["AAAA" if ":" in address else "A"] = None
            self._resolver = Resolver(sip.dns_addresses, families=tuple(families))
        return self._resolver

    async def _look_up(self, flow: Flow, waiting: _Waiting) -> None:
        try:
            opened = await self._by().open(flow)
        finally:
            del self._waiting[flow]
        if opened is None:
            self._on_lost(flow)
            return
        self._known[flow] = _Known(opened, time.monotonic() + _KNOWN_S)
        self._known.move_to_end(flow)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        sent = [self._send(opened, data) for data in waiting.messages]
        if not any(sent):
            self._on_lost(flow)

    def _give_up(self, flow: Flow) -> None:
        # Not in the middle of an act.
        asyncio.get_running_loop().call_soon(self._on_lost, flow)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
