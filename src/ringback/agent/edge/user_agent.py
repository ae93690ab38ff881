"""A user agent: one account that registers, calls and is called."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from ringback.agent.account import make_account
from ringback.agent.edge.call import Call
from ringback.agent.edge.station import EVERYWHERE, Station
from ringback.agent.errors import AgentError, PatienceError, RegistrationFailedError
from ringback.agent.line import Line
from ringback.agent.outputs import CallArrived, MediaGone, Output, PlayOver, Told
from ringback.agent.registration import RegistrationChanged, RegistrationState
from ringback.governance.private import Private
from ringback.media.protocol import Codec
from ringback.sdp.negotiated import SrtpPolicy
from ringback.sip.flow import Transport
from ringback.sip.headers import Headers

PATIENCE_S = 35.0
"""How long a server may take to answer a REGISTER: a little longer than timer F of RFC 3261."""
_CLOSE_S = 5.0


class UserAgent:
    """One account; see docs/agent.md.

    `uri` is the address of record, `sip:101@example.com`. `password` is that of the account, `username` the
    digest's where it is not the number, `realm` whom the password is for where it is known before. `proxy`
    is the host (and port) that everything is sent to, otherwise the URI's. `srtp` is "required" over TLS,
    "refused" elsewhere, unless given. `codecs` in the order of preference.

    Agents given the same `station` share sockets and engine; one without it has its own, made with `bind`,
    `ca` and `verify` (see Station). An agent that `follow_transfers` calls whom its peer sends it to.
    """

    def __init__(
        self,
        uri: str,
        *,
        password: Private[str] | str | None = None,
        username: str | None = None,
        realm: str | None = None,
        display_name: str = "",
        transport: Transport | None = None,
        proxy: str | None = None,
        srtp: SrtpPolicy | None = None,
        codecs: Sequence[Codec] = ("OPUS", "G722", "PCMU", "PCMA"),
        expires_s: int = 600,
        follow_transfers: bool = True,
        station: Station | None = None,
        bind: str = EVERYWHERE,
        ca: Path | str | None = None,
        verify: bool = True,
    ) -> None:
        self.account = make_account(
            uri,
            password=password,
            username=username,
            realm=realm,
            display_name=display_name,
            transport=transport,
            proxy=proxy,
            srtp=srtp,
            codecs=tuple(codecs),
            expires_s=expires_s,
        )
        self._own_station = station is None
        self.station = station if station is not None else Station(bind=bind, ca=ca, verify=verify)
        self._follow_transfers = follow_transfers
        self._number = 0
        self._line: Line | None = None
        self._calls: dict[int, Call] = {}
        self._arrived: asyncio.Queue[Call] = asyncio.Queue()
        self._registration: RegistrationChanged | None = None
        self._told = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
        if self._own_station:
            await self.station.close()

    async def open(self) -> None:
        """Join the station; AgentError when the server's name is unknown."""
        if self._own_station:
            await self.station.open()
        server = await self.station.locate(self.account.server)
        self._number, self._line = self.station.join(
            self.account, self, follow_transfers=self._follow_transfers
        )
        # One address is kept to for all of a call; of several the first that answers is taken.
        self._line.server = server if len(server) > 1 else server[0]

    async def close(self) -> None:
        """Hang up all calls and take the registration back."""
        if self._line is None:
            return
        await asyncio.gather(*(call.hangup() for call in list(self._calls.values())), return_exceptions=True)
        with contextlib.suppress(AgentError):
            await self.unregister(timeout_s=_CLOSE_S)
        if self._line is not None:
            self._line = None
            self.station.leave(self._number)

    @property
    def registered(self) -> bool:
        """Whether the server has us."""
        return self._line is not None and self._line.registration.state is RegistrationState.REGISTERED

    @property
    def calls(self) -> list[Call]:
        """The calls that have not ended."""
        return [call for call in self._calls.values() if not call.over]

    # Registration

    async def register(self, timeout_s: float = PATIENCE_S) -> None:
        """Register and stay so; raises RegistrationFailedError with the server's answer, or PatienceError."""
        self._act(lambda line, now: line.registration.begin(now))
        await self._registration_told(timeout_s)
        changed = self._registration
        if changed is not None and changed.state is RegistrationState.FAILED:
            raise RegistrationFailedError(changed.status, changed.reason)

    async def unregister(self, timeout_s: float = PATIENCE_S) -> None:
        """Take the registration back; nothing happens when there is none."""
        if self._line is None:
            return
        registered = self.registered
        self._act(lambda line, now: line.registration.end(now))
        if registered:
            await self._registration_told(timeout_s)

    async def _registration_told(self, timeout_s: float) -> None:
        self._told.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._told.wait()
        except TimeoutError:
            raise PatienceError(f"the server did not answer in {timeout_s:g} s") from None

    # Calls

    async def call(
        self, to: str, *, headers: Sequence[tuple[str, str]] = (), codecs: Sequence[Codec] | None = None
    ) -> Call:
        """Call a number at our server or a SIP URI; the call is on its way when this returns."""
        line = self._need_line()
        target = self.account.target(to)
        usable = line.usable(codecs if codecs is not None else self.account.codecs)
        hop = self.account.hop(target)
        where = line.server if hop == self.account.server else await self.station.locate(hop)
        conversation = line.call(target, where, Headers(*headers), usable)
        self.station.settle(self._number)
        return self._call(conversation.id)

    async def next_call(self, timeout_s: float | None = None) -> Call:
        """The next call that comes in; it rings, and wants `answer` or `reject`. Raises PatienceError."""
        self._need_line()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._arrived.get()
        except TimeoutError:
            raise PatienceError(f"nobody called in {timeout_s:g} s") from None

    # What the station tells

    def take(self, output: Output) -> None:
        """Something happened on our line; the station calls this."""
        match output:
            case CallArrived(call=number):
                self._arrived.put_nowait(self._call(number))
            case Told(call=number, event=event):
                self._call(number).take(event)
            case PlayOver(call=number, play=play):
                self._call(number).play_over(play)
            case MediaGone(call=number):
                self._call(number).media_gone()
                self._calls.pop(number, None)
                self.station.forget_call(self._number, number)
            case RegistrationChanged():
                self._registration = output
                self._told.set()
            case _:
                return

    def _call(self, number: int) -> Call:
        call = self._calls.get(number)
        if call is None:
            line = self._need_line()
            conversation = line.calls[number]
            call = Call(self.station, self._number, conversation, self.account, self._call, line.usable)
            self._calls[number] = call
        return call

    def _need_line(self) -> Line:
        if self._line is None:
            raise AgentError("the agent is not open: use `async with UserAgent(...) as phone:`")
        return self._line

    def _act(self, verb: Callable[[Line, float], object]) -> None:
        self._need_line()
        self.station.act(self._number, verb)
