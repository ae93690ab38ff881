"""SIP over the pages' WebSockets (RFC 7118): frames become messages on flows, and the other way round."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

import structlog

from ringback.governance.sources import Offence, SipSources
from ringback.governance.throttle import SourceList
from ringback.net.limits import Admission, Limits
from ringback.sip.flow import Address, Flow
from ringback.sip.message import Message
from ringback.sip.parse import Malformed, parse_message
from ringback.sip.tap import Hear

MAX_SOCKETS: Final = 800
SOCKETS_PER_SOURCE: Final = 80

_PING: Final = b"\r\n\r\n"
_PONG: Final = b"\r\n"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Socket:
    flow: Flow
    send: Callable[[bytes], None]
    close: Callable[[], None]


class SipSockets:
    """The `SipDoor` of the web, and the transport of flows by `ws` and `wss`; nothing here waits.

    Where there are too many, those that never brought a SIP message give way to newcomers.
    """

    def __init__(
        self,
        on_message: Callable[[Message | Malformed, Flow], None],
        on_lost: Callable[[Flow], None],
        local: Callable[[], Address],
        hear: Hear = lambda _data, _flow, _message: None,
        allow: SourceList | None = None,
        sources: SipSources | None = None,
    ) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._local = local
        self._sources = sources or SipSources(SourceList())
        self._hear = hear
        self._sockets: dict[int, _Socket] = {}
        self._numbers = count(1)
        self._admission: Admission[int] = Admission(
            Limits(
                connections=MAX_SOCKETS,
                connections_per_source=SOCKETS_PER_SOURCE,
                allow=allow or SourceList(),
            )
        )

    def __len__(self) -> int:
        return len(self._sockets)

    # What the web tells

    def connected(
        self, remote: Address, secure: bool, send: Callable[[bytes], None], close: Callable[[], None]
    ) -> int | None:
        """A page has connected: the number of its connection, None when there are too many already."""
        if self._sources.shuts_out(remote[0], time.monotonic()):
            return None
        number = next(self._numbers)
        admitted, displaced = self._admission.admit(number, remote[0])
        if not admitted:
            return None
        for other in displaced:
            self._sockets[other].close()
        flow = Flow("wss" if secure else "ws", self._local(), remote, number)
        self._sockets[number] = _Socket(flow, send, close)
        return number

    def received(self, connection: int, data: bytes) -> None:
        """A frame came: one message, or a keep-alive (RFC 7118 §6)."""
        socket = self._sockets.get(connection)
        if socket is None:
            return
        if not data.strip(b"\r\n"):
            if data == _PING:
                socket.send(_PONG)
            return
        remote, now = socket.flow.remote, time.monotonic()
        if not self._sources.admits(remote, now, connected=True):
            socket.close()
            return
        message = parse_message(data)
        self._hear(data, socket.flow, message)
        if isinstance(message, Malformed):
            if not message.answerable:
                self._sources.offended(remote, Offence.NOISE, now, connected=True)
                return
        else:
            self._admission.prove(connection)
        try:
            self._on_message(message, socket.flow)
        except Exception:
            log.exception("a SIP message could not be handled")

    def closed(self, connection: int) -> None:
        """The connection is gone: calls over it live on by their media, until the page is back or is not."""
        self._admission.forget(connection)
        socket = self._sockets.pop(connection, None)
        if socket is not None:
            try:
                self._on_lost(socket.flow)
            except Exception:
                log.exception("the loss of a page's connection could not be handled")

    # What the exchange asks for

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send to a page that is connected; False when it is not: only pages can connect."""
        socket = self._sockets.get(flow.id)
        if socket is None or socket.flow != flow:
            return False
        socket.send(data)
        return True

    def cut(self, flow: Flow) -> None:
        """Close the connection of a page, if it is there."""
        socket = self._sockets.get(flow.id)
        if socket is not None and socket.flow == flow:
            socket.close()

    def close(self) -> None:
        """Close every connection, after what was sent is written."""
        for socket in list(self._sockets.values()):
            socket.close()
