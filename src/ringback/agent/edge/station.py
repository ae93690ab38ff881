"""What many agents share: the SIP sockets, one media engine, one timer (RFC 3261 §18, RFC 5923)."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
import secrets
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from ringback.agent.account import Account
from ringback.agent.edge.media import Media
from ringback.agent.edge.sound import Lending
from ringback.agent.errors import AgentError
from ringback.agent.line import Line
from ringback.agent.outputs import Output, ToMedia
from ringback.media.protocol import Event, LegStatistics
from ringback.net.dns import Resolver
from ringback.net.limits import Limits
from ringback.net.tls import client_context
from ringback.net.transports import SipTransports
from ringback.quality.leg_history import LegHistory
from ringback.sip.effects import Transmit
from ringback.sip.flow import UNBOUND, Address, Flow, Targets
from ringback.sip.headers import MAGIC_COOKIE
from ringback.sip.locate import Location
from ringback.sip.message import Message, Request, Response, SipUri, encode, make_response
from ringback.sip.parse import Malformed
from ringback.sip.transaction.server import response_flow, stamp_via

EVERYWHERE = "0.0.0.0"  # noqa: S104 - a phone is reached on any interface
MEDIA_PORTS = (40_000, 59_999)
_STREAMS = Limits(connections_per_source=4_000, connecting=2_000)

log = logging.getLogger(__name__)


class Member(Protocol):
    """An agent on a station."""

    def take(self, output: Output) -> None:
        """Something happened on its line."""

    async def close(self) -> None:
        """Hang up, and take the registration back."""


class Station:
    """Sockets, engine and clock of any number of agents in this process.

    Used as `async with Station() as station:`; agents given `station=` share it. `bind` is the address that
    signalling and media use, of IPv4 or of IPv6; by default the IPv4 one that the system takes towards each
    peer, with `::` the IPv6 one.
    `port` is the UDP port of signalling, 0 for any. TLS verifies the servers against the system's
    authorities, or those in the PEM file `ca`; with `verify=False` against none, which is for tests alone.
    """

    def __init__(
        self,
        *,
        bind: str = EVERYWHERE,
        port: int = 0,
        media_ports: tuple[int, int] = MEDIA_PORTS,
        ca: Path | str | None = None,
        verify: bool = True,
    ) -> None:
        self.history = LegHistory()
        """How the lines of all calls were, second by second."""
        self.media = Media(self._on_media_event)
        self._bind, self._port, self._media_ports = bind, port, media_ports
        self._context = client_context(Path(ca) if ca is not None else None)
        if not verify:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        self._transports = SipTransports(
            self._on_message, self._on_connection_lost, _STREAMS, tls_client=self._context
        )
        self._resolver: Resolver | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: dict[int, tuple[Line, Member]] = {}
        self._users: dict[str, int] = {}
        self._calls: dict[int, int] = {}
        self._numbers, self._call_numbers, self._plays = (itertools.count(1) for _ in range(3))
        self._due: list[tuple[float, int]] = []
        self._armed: dict[int, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._lending: Lending | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Open sockets and start the engine; OSError when `bind` is no address of ours."""
        await self._transports.open(self._bind, udp_port=self._port)
        await self.media.start(self._bind, self._media_ports)
        self._lending = Lending(self.media.thread.shelf)

    async def close(self) -> None:
        """End all calls and registrations, then what was opened."""
        await asyncio.gather(*(member.close() for _, member in list(self._lines.values())))
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await self._transports.close()
        await self.media.stop()

    @property
    def port(self) -> int:
        """The UDP port of signalling."""
        return self._transports.addresses["udp"][1]

    @property
    def lending(self) -> Lending:
        """Sounds on their way to the engine."""
        if self._lending is None:
            raise AgentError("the station is not open: use `async with Station() as station:`")
        return self._lending

    # What agents ask for

    def join(self, account: Account, member: Member, *, follow_transfers: bool) -> tuple[int, Line]:
        """A line for an account; `member` is told what happens on it."""
        if self._lending is None:
            raise AgentError("the station is not open: use `async with Station() as station:`")
        number = next(self._numbers)
        user = account.aor.user or ""
        contact_user = user if user not in self._users else f"{user}-{number}"
        line = Line(
            account,
            contact_user=contact_user,
            local_for=self._local_for,
            next_call=lambda: self._next_call(number),
            # Answers, and requests in our dialogs, tell by this whose they are.
            new_token=lambda: f"{number}.{secrets.token_hex(10)}",
            codecs=self.media.codecs,
            follow_transfers=follow_transfers,
        )
        self._lines[number] = line, member
        self._users[contact_user] = number
        return number, line

    def leave(self, number: int) -> None:
        """A line is not used any more."""
        line, _ = self._lines.pop(number)
        self._users.pop(line.contact_user, None)
        for call in list(line.calls):
            self._calls.pop(call, None)

    def act(self, number: int, verb: Callable[[Line, float], object]) -> None:
        """Let a line do something, and carry out what follows."""
        if number in self._lines:
            verb(self._lines[number][0], time.monotonic())
            self.settle(number)

    def forget_call(self, number: int, call: int) -> None:
        """A call and its leg are gone."""
        self._calls.pop(call, None)
        if number in self._lines:
            self._lines[number][0].forget(call)

    def next_play(self) -> int:
        """A number for something to be played."""
        return next(self._plays)

    async def locate(self, uri: SipUri) -> Targets:
        """Where requests for a URI go, the best first (RFC 3263); AgentError when nothing is found."""
        location = Location(uri, random.random, ("A",))
        targets = await self._names().locate(uri) if location.questions() else location.targets
        if not targets:
            raise AgentError("the server's name leads to no IPv4 address: is it spelled right?")
        return targets

    # Inputs

    def _on_message(self, message: Message | Malformed, flow: Flow) -> None:
        if flow.id:
            self._transports.trust(flow)
        number = self._owner_of(message)
        if number is None:
            self._refuse(message, flow)
            return
        self._run(number, lambda line, now: line.receive(message, flow, now))

    def _on_connection_lost(self, flow: Flow) -> None:
        for number in list(self._lines):
            self._run(number, lambda line, now: line.connection_lost(flow, now))

    def _on_media_event(self, event: Event) -> None:
        if isinstance(event, LegStatistics):
            self.history.take(event, time.monotonic())
            return
        call = getattr(event, "leg", None)
        number = self._calls.get(call) if isinstance(call, int) else None
        if number is not None and call is not None:
            self._run(number, lambda line, now: line.media_event(call, event, now))

    def _run(self, number: int, act: Callable[[Line, float], object]) -> None:
        """Let a line take something in; a fault of ours costs that alone."""
        try:
            self.act(number, act)
        except Exception:
            log.exception("an agent met a fault of ours")

    def _owner_of(self, message: Message | Malformed) -> int | None:
        """Whose a message is: by a token of ours in it, or by whom it is for."""
        if isinstance(message, Malformed):
            return None
        if isinstance(message, Response):
            branch = message.top_via.branch or ""
            return self._number_in(branch.removeprefix(MAGIC_COOKIE))
        number = self._number_in(message.to.tag or "")
        if number is not None:
            return number
        uri = message.uri
        return self._users.get(uri.user or "") if isinstance(uri, SipUri) else None

    def _number_in(self, token: str) -> int | None:
        text = token.partition(".")[0]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
        return number if number in self._lines else None

    def _refuse(self, message: Message | Malformed, flow: Flow) -> None:
        """Nobody here by that name; without state, so the tag is always the same (§8.2.7)."""
        if isinstance(message, Request) and message.method != "ACK":
            response = make_response(message, 404, to_tag="nobody")
            self._transports.send(response_flow(stamp_via(message, flow), flow), encode(response))

    # Outputs and time

    def settle(self, number: int) -> None:
        """Carry out what a line wants done."""
        line, member = self._lines[number]
        while outputs := line.drain():
            for output in outputs:
                self._carry_out(member, output)
        at = line.deadline()
        if at is not None and at < self._armed.get(number, float("inf")):
            self._armed[number] = at
            heapq.heappush(self._due, (at, number))
            self._arm()

    def _carry_out(self, member: Member, output: Output) -> None:
        match output:
            case Transmit(flow=flow, data=data):
                self._send(flow, data)
            case ToMedia(command=command):
                self.media.send(command)
            case _:
                member.take(output)

    def _next_call(self, line: int) -> int:
        call = next(self._call_numbers)
        self._calls[call] = line
        return call

    def _local_for(self, flow: Flow) -> Address:
        # Nobody connects to us: on streams peers use the connection that we made.
        return self._transports.contact_address(Flow("udp", UNBOUND, flow.remote))

    def _send(self, flow: Flow, data: bytes) -> None:
        if flow.named:
            task = asyncio.get_running_loop().create_task(self._send_to_name(flow, data))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif not self._transports.send(flow, data) and flow.reliable:
            # Told later: the line is in the middle of something.
            asyncio.get_running_loop().call_soon(self._on_connection_lost, flow)

    async def _send_to_name(self, flow: Flow, data: bytes) -> None:
        """Requests in a call go to the host that its Contact or Record-Route names."""
        opened = await self._names().open(flow)
        if opened is None or not self._transports.send(opened, data):
            self._on_connection_lost(flow)

    def _names(self) -> Resolver:
        if self._resolver is None:
            # Of the family that media is of, too.
            self._resolver = Resolver(families=("AAAA" if ":" in self._bind else "A",))
        return self._resolver

    def _arm(self) -> None:
        if self._timer is not None:
            if self._timer.when() <= self._due[0][0]:
                return
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._due[0][0] - time.monotonic()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            at, number = heapq.heappop(self._due)
            if self._armed.get(number) != at:
                continue
            del self._armed[number]
            self._run(number, lambda line, now: line.expire(now))
        if self._due:
            self._arm()
