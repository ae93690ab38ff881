"""Our own agent (`ringback.agent`) as a desk phone, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ringback.agent import Call, Station, UserAgent
from ringback.quality.tones import make_tones
from ringback.sip.uri import SipUri
from tests.wire.desk_phone import PATIENCE_S, Caller, wait_for
from tests.wire.server import RingbackServer

RATE = 16_000
T = TypeVar("T")


class AgentPhone:
    """One agent with one account: it speaks `tone_hz` in all its calls, and has one codec, PCMU."""

    def __init__(self, number: str, *, server: RingbackServer, password: str, tone_hz: float) -> None:
        self.name = self.number = number
        self.tone_hz = tone_hz
        self._server, self._password = server, password
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._calls: list[Call] = []
        self._talked: Call | None = None
        self._waiting: list[Call] = []

    def start(self) -> AgentPhone:
        """Open it."""
        self._thread.start()
        self._run(self._open())
        return self

    async def _open(self) -> None:
        self._station = Station(bind="127.0.0.1", verify=False)
        await self._station.open()
        self._agent = UserAgent(
            self._server.uri(self.number), password=self._password, station=self._station, codecs=["PCMU"]
        )
        await self._agent.open()
        self._tasks = [asyncio.create_task(self._listen_for_calls())]

    def stop(self) -> None:
        """Close it; twice does no harm."""
        if self._thread.is_alive():
            self._run(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._agent.close()
        await self._station.close()

    def _run(self, verb: Coroutine[Any, Any, T], timeout: float = 30) -> T:
        return asyncio.run_coroutine_threadsafe(verb, self._loop).result(timeout)

    async def _listen_for_calls(self) -> None:
        while True:
            call = await self._agent.next_call()
            self._calls.append(call)
            self._waiting.append(call)

    @property
    def calls(self) -> list[Call]:
        """Its calls that are not over."""
        return [call for call in self._calls if not call.over]

    @property
    def _now(self) -> Call:
        """The call that is talked in, else the one that is left."""
        if self._talked is None or self._talked.over:
            self._talked = self.calls[-1]
        return self._talked

    @property
    def talks_to(self) -> str:
        """The number that its display shows."""
        uri = self._now.peer.reveal().uri
        return (uri.user or "") if isinstance(uri, SipUri) else ""

    # What a person does

    def register(self) -> None:
        """Register at the server."""
        self._run(self._agent.register())

    def start_call(self, number: str) -> None:
        """Dial; a call that is talked in is held first."""
        if self.calls:
            self.hold()
        self._talked = self._run(self._agent.call(number))
        self._calls.append(self._talked)

    def pick_up(self, number: str, replaces: str) -> None:
        """Take over a call of that number, which Replaces names (RFC 3891)."""
        self._talked = self._run(self._agent.call(number, headers=[("Replaces", replaces)]))
        self._calls.append(self._talked)
        self.wait_talking()

    def call(self, number: str) -> None:
        """As `start_call`, until somebody answers."""
        self.start_call(number)
        self.wait_talking()

    def wait_talking(self) -> None:
        """Wait until the call that was dialled is answered."""
        self._run(self._now.answered(PATIENCE_S))
        self._speak()

    def _speak(self) -> None:
        tone = make_tones(RATE, 5, [self.tone_hz])
        self._run(self._now.play(tone, loop=True, wait=False))

    def wait_ringing(self, timeout: float = PATIENCE_S) -> Caller:
        """Wait for the next call; who calls."""
        wait_for(lambda: any(not call.over for call in self._waiting), f"{self.name} does not ring", timeout)
        self._waiting = [call for call in self._waiting if not call.over]
        peer = self._waiting.pop(0).peer.reveal()
        assert isinstance(peer.uri, SipUri)
        return Caller(peer.display, peer.uri.user)

    def answer(self, timeout: float = PATIENCE_S) -> None:
        """Take the call that rings, after waiting for one; a call that is talked in is held."""
        ringing = [call for call in self.calls if call.incoming and not call.talking]
        if not ringing:
            self.wait_ringing(timeout)
            ringing = [call for call in self.calls if call.incoming and not call.talking]
        self._waiting = [call for call in self._waiting if call is not ringing[0]]
        if len(self.calls) > 1:
            self.hold()
        self._talked = ringing[0]
        self._run(self._talked.answer())
        self._speak()

    def press(self, keys: str) -> None:
        """Press keys one after another."""
        self._run(self._now.send_dtmf(keys))

    def hold(self) -> None:
        """Hold the call."""
        self._run(self._now.hold())

    def resume(self) -> None:
        """Talk on in the call that is held."""
        self._run(self._now.resume())

    def switch(self) -> None:
        """Hold the call that is talked in, and talk in the other."""
        (other,) = [call for call in self.calls if call is not self._now]
        self.hold()
        self._talked = other
        self.resume()

    def hang_up(self) -> None:
        """End the call, or refuse the one that rings."""
        call = self._now
        self._run(call.hangup() if call.talking or not call.incoming else call.reject())

    def wait_calls(self, count: int, timeout: float = PATIENCE_S) -> None:
        """Wait until it has so many calls."""
        wait_for(lambda: len(self.calls) == count, f"{self.name} has {len(self.calls)} calls", timeout)

    def transfer(self, number: str) -> None:
        """Send who is talked to there, by REFER; what becomes of it is not waited for."""
        self._begin(self._now.transfer(number))

    def transfer_to_other(self) -> None:
        """Connect who is held with who is talked to, by REFER with Replaces."""
        (held,) = [call for call in self.calls if call is not self._now]
        self._begin(held.transfer_to(self._now))

    def _begin(self, verb: Coroutine[Any, Any, None]) -> None:
        self._loop.call_soon_threadsafe(lambda: self._tasks.append(self._loop.create_task(verb)))

    def listen(self, seconds: float) -> tuple[NDArray[np.float32], int]:
        """What it hears from now on."""
        return self._run(self._now.record(seconds)).samples, RATE
