"""Serves the application inside the server's own event loop: on TCP, and on the control socket.

HTTP/1.1 by h11; WebSockets (RFC 6455) on TCP only.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, Final

import h11
import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from ringback.config import Settings
from ringback.governance.throttle import SourceList, source_key
from ringback.web.context import LocalIdentity, WebContext
from ringback.web.control_socket import listen

PORTS_TRIED: Final = 100
HEADER_PATIENCE_S: Final = 10.0
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_CONNECTIONS: Final = 1024
CONNECTIONS_PER_SOURCE: Final = 100
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_FRAGMENTS: Final = 256
PING_EVERY_S: Final = 20.0
MAX_HANDSHAKES: Final = 256
SHUTDOWN_PATIENCE_S: Final = 10.0
_DATE_EVERY_S: Final = 1.0

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Ends as soon as it is told to; uvicorn's own looks for that, and keeps time, ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def end(self) -> None:
        """Answer what is being asked, and serve no more."""
        self.should_exit = True
        self._told.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the server's, not the web's."""
        yield

    async def main_loop(self) -> None:
        """Keep the date that answers carry until the end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_EVERY_S):
                    await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything; uvicorn gives those who are connected a tenth of a second at least."""
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()


class Crowd:
    """How many connections each source has, so that none takes the places of all others."""

    def __init__(self, allow: SourceList) -> None:
        """Those of `allow` are not counted."""
        self._allow = allow
        self._connections: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Whether one more connection from an address may stay; it then has to `leave`."""
        if address in self._allow:
            return True
        key = source_key(address)
        if self._connections[key] >= CONNECTIONS_PER_SOURCE:
            return False
        self._connections[key] += 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was let in is closed."""
        key = source_key(address)
        if self._connections[key] > 1:
            self._connections[key] -= 1
        else:
            del self._connections[key]


class TlsDoor:
    """Accepts connections for TLS; each is counted from the start, not only when its handshake is done.

    A server's own `ssl` would give handshakes a minute, and any number of places.
    """

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext, server: _Server, crowd: Crowd) -> None:
        """The connections of a listening socket become the server's."""
        self.tls = tls
        self._listener = listener
        self._server = server
        self._crowd = crowd
        self._handshakes: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Accept until cancelled; the listener is closed then."""
        loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        try:
            while True:
                try:
                    connection, peer = await loop.sock_accept(self._listener)
                except OSError as error:
                    # The peer went away already, or there is no file descriptor just now.
                    log.warning("connection not accepted", reason=error.strerror)
                    await asyncio.sleep(0.05)
                    continue
                if len(self._handshakes) >= MAX_HANDSHAKES or not self._crowd.enter(peer[0]):
                    connection.close()
                    continue
                task = loop.create_task(self._shake_hands(connection, peer[0]))
                self._handshakes.add(task)
                task.add_done_callback(self._handshakes.discard)
        finally:
            self._listener.close()
            for task in self._handshakes:
                task.cancel()

    async def _shake_hands(self, connection: socket.socket, address: str) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self.tls,
                ssl_handshake_timeout=HEADER_PATIENCE_S,
                ssl_shutdown_timeout=SHUTDOWN_PATIENCE_S,
            )
        except (OSError, TimeoutError):
            # Plain HTTP, a certificate that is not trusted, an end too old: theirs to know.
            connection.close()
        finally:
            # From here on the protocol counts it.
            self._crowd.leave(address)

    def _protocol(self) -> asyncio.Protocol:
        protocol: Any = self._server.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self._server.config, server_state=self._server.server_state, app_state={}
        )
        return made


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that holds little: one message at a time is read, and none while what we wrote waits."""

    leave: Callable[[], None] | None = None

    def data_received(self, data: bytes) -> None:
        """Read on only while our answers are taken: pings are answered before any route sees them."""
        super().data_received(data)
        if not self.writable.is_set():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        """Take the next piece of a message; empty pieces add nothing to its size and are counted too."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many pieces")
            self.handle_parser_exception()

    def shutdown(self) -> None:
        """Say goodbye; who is leaving already is told nothing more and not waited for."""
        if self.transport.is_closing():
            self.stop_keepalive()
            # A TLS transport of Python 3.11.2, Debian 12's, that was closed twice has nothing to abort with.
            with contextlib.suppress(AttributeError):
                self.transport.abort()
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place of the connection free."""
        super().connection_lost(exc)
        if self.leave is not None:
            self.leave()
            self.leave = None


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes connections on which no request is complete within the patience."""

    crowd: ClassVar[Crowd]
    _hurry: asyncio.TimerHandle | None = None
    _address: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request, if the source does not have too many connections."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            if not self.crowd.enter(peer[0]):
                transport.abort()
                return
            self._address = peer[0]
        self._hurry = self.loop.call_later(HEADER_PATIENCE_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Wait on only while a request's header is incomplete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._calm()
        elif self._hurry is None:
            self._hurry = self.loop.call_later(HEADER_PATIENCE_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._calm()
        if self._address is not None:
            self.crowd.leave(self._address)
            self._address = None
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close when all is answered; who is idle on TLS is not waited for to agree to that."""
        super().shutdown()
        if self.scheme == "https" and self.transport.is_closing():
            self.transport.abort()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over, together with its place among those of its source."""
        super().handle_websocket_upgrade(event)
        successor = self.transport.get_protocol()
        if isinstance(successor, SocketProtocol) and self._address is not None:
            successor.leave = partial(self.crowd.leave, self._address)
            self._address = None

    def _should_upgrade(self) -> bool:
        # One too many goes on as an ordinary request, and those get 503.
        return super()._should_upgrade() and len(self.connections) < MAX_CONNECTIONS

    def _calm(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _give_up(self) -> None:
        self._hurry = None
        if self.conn.their_state is h11.IDLE:
            self.transport.abort()


def _uvicorn(app: ASGIApp, settings: Settings, *, websockets: bool) -> _Server:
    # A class, not an object, is what uvicorn takes.
    crowd = Crowd(SourceList(settings.security.allow_sources))
    protocol = type("Protocol", (PatientProtocol,), {"crowd": crowd})
    return _Server(
        uvicorn.Config(
            app,
            loop="none",
            # h11 bounds the header of a request, httptools does not.
            http=protocol,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ws=SocketProtocol if websockets else "none",
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_ping_interval=PING_EVERY_S,
            ws_ping_timeout=PING_EVERY_S,
            # SIP's messages are short, and to inflate what strangers send costs more than it saves.
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
        )
    )


class WebServer:
    """The web on its sockets; `address` is known after `start`."""

    def __init__(self, app: FastAPI, settings: Settings, tls: ssl.SSLContext | None = None) -> None:
        """With a server's TLS context its TCP is HTTPS and nothing else."""
        self.address: tuple[str, int] = (settings.web.bind, settings.web.port)
        self._app = app
        self._settings = settings
        self._servers = (
            _uvicorn(app, settings, websockets=True),
            _uvicorn(LocalIdentity(app), settings, websockets=False),
        )
        self._tls = tls
        self._door: TlsDoor | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Bind and serve; raises AlreadyRunningError, or OSError if no port can be had."""
        control = listen(self._settings.control_socket)
        try:
            tcp = bind_next_free(self._settings.web.bind, self._settings.web.port)
        except OSError:
            control.close()
            raise
        self.address = tcp.getsockname()[:2]
        listeners = [[tcp] if self._tls is None else [], [control]]
        for server, sockets in zip(self._servers, listeners, strict=True):
            self._tasks.append(asyncio.create_task(server.serve(sockets=sockets)))
        while not all(server.started for server in self._servers):
            for task in self._tasks:
                if task.done():
                    await task
            await asyncio.sleep(0.005)
        if self._tls is not None:
            crowd = Crowd(SourceList(self._settings.security.allow_sources))
            self._door = TlsDoor(tcp, self._tls, self._servers[0], crowd)
            self._accepting = asyncio.create_task(self._door.run())

    def renew(self, tls: ssl.SSLContext) -> None:
        """Use another context for connections from now on; nothing happens where the web is plain HTTP."""
        if self._door is not None:
            self._door.tls = tls

    async def stop(self) -> None:
        """Answer what is being asked, close everything, remove the control socket."""
        context: WebContext = self._app.state.context
        # Event streams would otherwise hold the end up.
        context.operations.events.close()
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        for server in self._servers:
            server.end()
        await asyncio.gather(*self._tasks)
        self._settings.control_socket.unlink(missing_ok=True)


def bind_next_free(host: str, port: int) -> socket.socket:
    """A TCP socket on `port` or the next free one; port 0 takes any. Raises OSError if there is none."""
    family: Any = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        # Connections inherit it. Header and body are written apart: without it each answer waits 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(512)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return listener
    raise OSError(errno.EADDRINUSE, f"no free TCP port from {port} on {host}")
