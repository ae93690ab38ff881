"""All TCP and TLS connections: accepted ones, opened ones, and who may stay (RFC 3261 §18, RFC 5923)."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

from ringback.governance.sources import Offence, SipSources
from ringback.net.bind import address_of, bind_socket
from ringback.net.connection import StreamConnection
from ringback.net.limits import Admission, Limits
from ringback.net.tls import TlsCipher
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message import Message
from ringback.sip.parse import Malformed
from ringback.sip.tap import Hear

_SWEEP_S: Final = 1.0
_MOST_ALIASES: Final = 64

# Where a connection goes, and the name that was proved there: it is used for that name only (RFC 5923 §9.3).
Peer = tuple[Transport, Address, str]


@dataclass(slots=True)
class _Opening:
    """A connection on its way: what waits for it, bounded in bytes, and the flows it was asked by."""

    waiting: list[bytes] = field(default_factory=list)
    size: int = 0
    flows: set[Flow] = field(default_factory=set)


class Streams:
    """The stream transports. `deliver` and `on_lost` are called for messages and for ends of connections."""

    def __init__(
        self,
        limits: Limits,
        sources: SipSources,
        deliver: Callable[[Message | Malformed, Flow], None],
        on_lost: Callable[[Flow], None],
        clock: Callable[[], float],
        hear: Hear,
    ) -> None:
        self.limits = limits
        self.client_context: Callable[[], ssl.SSLContext] | None = None
        self.server_context: ssl.SSLContext | None = None
        self.refused = 0
        self.displaced = 0
        self.expired = 0
        self._sources = sources
        self._deliver = deliver
        self._on_lost = on_lost
        self._clock = clock
        self._hear = hear
        self._numbers = itertools.count(1)
        self._admission: Admission[StreamConnection] = Admission(limits)
        self._connections: dict[int, StreamConnection] = {}
        self._by_remote: dict[Peer, StreamConnection] = {}
        self._opening: dict[Peer, _Opening] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._connections)

    async def listen(self, transport: Transport, host: str, port: int) -> Address:
        """Accept connections (the next free port if this one is taken); returns the address.

        TLS takes the `server_context` that there is when a connection comes.
        """
        sock = bind_socket(host, port, socket.SOCK_STREAM)
        server = await asyncio.get_running_loop().create_server(
            lambda: StreamConnection(self, transport, cipher=self._server_cipher(transport)), sock=sock
        )
        if not self._servers:
            self._spawn(self._sweep())
        self._servers.append(server)
        return address_of(sock.getsockname())

    def _server_cipher(self, transport: Transport) -> TlsCipher | None:
        context = self.server_context
        return TlsCipher(context) if transport == "tls" and context is not None else None

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send on a flow's connection; with number 0 on one to its remote, which is opened if need be."""
        if flow.id:
            connection = self._connections.get(flow.id)
            return connection is not None and connection.write(data)
        key = _peer(flow)
        connection = self._by_remote.get(key)
        if connection is not None:
            if len(connection.aliases) < _MOST_ALIASES:
                connection.aliases.add(flow)
            return connection.write(data)
        return self._enqueue(key, flow, data)

    def trust(self, flow: Flow) -> bool:
        """Keep a connection open however silent it is; False when it is gone. Without a number it is the one
        to the flow's remote.
        """
        if flow.id:
            connection = self._connections.get(flow.id)
        else:
            connection = self._by_remote.get((flow.transport, flow.remote, flow.name))
        if connection is not None:
            connection.trusted = True
        return connection is not None

    def close_flow(self, flow: Flow) -> None:
        """Close one connection after what was written to it is sent."""
        connection = self._connections.get(flow.id)
        if connection is not None:
            connection.close()

    async def close(self) -> None:
        """Stop listening and close every connection, at most about two seconds after it was asked."""
        self._closed = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.close()
        for _ in range(20):
            if not self._connections:
                break
            await asyncio.sleep(0.1)
        for connection in list(self._connections.values()):
            connection.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Lets the loop run the ends of what was aborted.
        await asyncio.sleep(0)

    # What connections tell (see ConnectionOwner)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock()

    def opened(self, connection: StreamConnection, address: str) -> int | None:
        """Give a connection its number, or None when there are too many."""
        if self._closed:
            return None
        if not connection.outgoing:
            if self._sources.shuts_out(address, self._clock()):
                self.refused += 1
                return None
            admitted, displaced = self._admission.admit(connection, address)
            for other in displaced:
                self.displaced += 1
                other.abort()
            if not admitted:
                self.refused += 1
                return None
        number = next(self._numbers)
        self._connections[number] = connection
        return number

    def deliver(self, connection: StreamConnection, message: Message | Malformed) -> None:
        """Pass a message on; a connection that brought a good one is reused for what goes to its remote.

        One whose source is shut out, or sends too much, is closed.
        """
        if not connection.outgoing and not self._sources.admits(
            connection.flow.remote, self._clock(), connected=True
        ):
            connection.abort()
            return
        if isinstance(message, Malformed) and not message.answerable:
            self._sources.offended(connection.flow.remote, Offence.NOISE, self._clock(), connected=True)
            return
        if connection.proven:
            self._admission.prove(connection)
            self._by_remote.setdefault(_peer(connection.flow), connection)
        self._deliver(message, connection.flow)

    def hear(self, connection: StreamConnection, data: bytes, message: Message | Malformed) -> None:
        """Tell of a message as it was on the wire."""
        self._hear(data, connection.flow, message)

    def lost(self, connection: StreamConnection) -> None:
        """Forget a connection and tell of its end."""
        self._admission.forget(connection)
        self._connections.pop(connection.flow.id, None)
        key = _peer(connection.flow)
        if self._by_remote.get(key) is connection:
            del self._by_remote[key]
        if connection.usable:
            for flow in (connection.flow, *connection.aliases):
                self._on_lost(flow)

    # Opening connections

    def _enqueue(self, key: Peer, flow: Flow, data: bytes) -> bool:
        opening = self._opening.get(key)
        if opening is None:
            if self._closed or (key[0] == "tls" and self.client_context is None):
                return False
            if len(self._opening) >= self.limits.connecting:
                return False
            opening = self._opening[key] = _Opening()
            self._spawn(self._connect(key, opening))
        if opening.size + len(data) > self.limits.write_buffer_bytes or len(opening.flows) >= _MOST_ALIASES:
            return False
        opening.waiting.append(data)
        opening.size += len(data)
        opening.flows.add(flow)
        return True

    async def _connect(self, key: Peer, opening: _Opening) -> None:
        transport, (host, port), name = key
        connection: StreamConnection | None = None
        try:
            cipher: TlsCipher | None = None
            if transport == "tls" and self.client_context is not None:
                cipher = TlsCipher(self.client_context(), server_name=name or host)
            connected = connection = StreamConnection(
                self, transport, outgoing=True, cipher=cipher, name=name
            )
            async with asyncio.timeout(self.limits.connect_s):
                await asyncio.get_running_loop().create_connection(lambda: connected, host, port)
                await connected.settled.wait()
        except (OSError, TimeoutError):
            if connection is not None:
                connection.abort()
        finally:
            del self._opening[key]
        if connection is None or connection.flow.id not in self._connections or not connection.usable:
            for flow in opening.flows:
                self._on_lost(flow)
            return
        connection.aliases |= opening.flows
        self._by_remote.setdefault(key, connection)
        for data in opening.waiting:
            connection.write(data)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = self._clock()
            for connection in list(self._connections.values()):
                if connection.overdue(now):
                    self.expired += 1
                    connection.abort()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _peer(flow: Flow) -> Peer:
    return (flow.transport, flow.remote, flow.name if flow.transport == "tls" else "")
