"""A call as a program holds it: verbs to await, sound to hear and play, events to follow."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from ringback.agent.account import Account
from ringback.agent.conversation import Conversation, ConversationState
from ringback.agent.edge.heard import RATE, Heard
from ringback.agent.edge.sound import Sound
from ringback.agent.edge.station import Station
from ringback.agent.errors import (
    AgentError,
    CallEndedError,
    CallFailedError,
    ChangeRefusedError,
    PatienceError,
    TransferFailedError,
)
from ringback.agent.events import (
    Answered,
    CallEvent,
    Changed,
    ChangeFailed,
    DigitReceived,
    Ended,
    Ringing,
    TransferProgress,
    Transferred,
)
from ringback.governance.private import Private
from ringback.media.protocol import Codec, Direction, LegTotals
from ringback.media.taps import Tap
from ringback.quality.leg_history import Lately, Row
from ringback.sip.message import NameAddr

DIGIT_S = 0.15
"""What a key takes: pressed for 100 ms, 50 ms to the next (RFC 4733)."""
KEYS = frozenset("0123456789*#ABCD")
MOST_EVENTS = 100_000
"""What is kept of a call's events; what a peer makes happen after that is not told."""
_PATIENCE_S = 35.0
_RING_S = 120.0

E = TypeVar("E")


class Call:
    """One call. Whatever waits raises CallEndedError when the call ends meanwhile, and PatienceError when
    nothing happens in `timeout_s` seconds."""

    def __init__(
        self,
        station: Station,
        line: int,
        conversation: Conversation,
        account: Account,
        find: Callable[[int], Call],
        usable: Callable[[Sequence[Codec]], tuple[Codec, ...]],
    ) -> None:
        self._station = station
        self._line = line
        self._conversation = conversation
        self._account = account
        self._find = find
        self._usable = usable
        self._history: list[CallEvent] = []
        self._happened = asyncio.Event()
        self._gone = asyncio.Event()
        self._playing: dict[int, str] = {}
        self._taken_digits = 0

    def __repr__(self) -> str:
        return f"<call {self._conversation.id} {self._conversation.state.value}>"

    # What is known

    @property
    def number(self) -> int:
        """Its number on the station."""
        return self._conversation.id

    @property
    def peer(self) -> Private[NameAddr]:
        """Who called, or whom we called; who talks there since, where the peer tells that (RFC 4916)."""
        return Private(self._conversation.peer)

    @property
    def incoming(self) -> bool:
        """Whether it came in."""
        return self._conversation.incoming

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._conversation.over

    @property
    def talking(self) -> bool:
        """Whether it is answered, and not over."""
        return self._conversation.state is ConversationState.TALKING

    @property
    def held(self) -> bool:
        """Whether the peer has put us on hold."""
        return self._conversation.held

    @property
    def codec(self) -> Codec | None:
        """What we send; None before there is an agreement."""
        media = self._conversation.media
        return None if media is None else media.send.codec

    @property
    def encrypted(self) -> bool:
        """Whether media goes by SRTP."""
        media = self._conversation.media
        return media is not None and media.srtp is not None

    @property
    def history(self) -> tuple[CallEvent, ...]:
        """All that has happened so far."""
        return tuple(self._history)

    @property
    def end(self) -> Ended | None:
        """Who ended it and how; None while it is not over."""
        last = self._history[-1] if self._history else None
        return last if isinstance(last, Ended) else None

    @property
    def quality(self) -> Lately:
        """How the line was in the last ten seconds, both ways."""
        return self._station.history.lately(self._conversation.id)

    @property
    def seconds(self) -> list[Row]:
        """How the line was second by second, for five minutes (docs/statistics.md)."""
        return self._station.history.series(self._conversation.id)

    @property
    def totals(self) -> LegTotals | None:
        """What was sent and received in all; None until `hangup` or `ended` has returned."""
        return self._conversation.totals

    # Setting up and ending

    async def ringing(self, timeout_s: float = _PATIENCE_S) -> Ringing:
        """Wait until it rings there."""
        await self._until(lambda: self._last(Ringing) is not None or self._was(Answered), timeout_s, "ring")
        return self._last(Ringing) or Ringing(200, early_media=False)

    async def answered(self, timeout_s: float = _RING_S) -> None:
        """Wait until the call is answered; raises CallFailedError when it is not."""
        try:
            await self._until(lambda: self._was(Answered), timeout_s, "be answered")
        except CallEndedError as error:
            raise CallFailedError(error.status, error.reason) from None

    async def answer(self, timeout_s: float = _PATIENCE_S) -> None:
        """Answer a call that came in."""
        self._act(lambda conversation, now: conversation.answer(now))
        await self.answered(timeout_s)

    async def reject(self, status: int = 486) -> None:
        """Refuse a call that came in: 486 busy, 603 declined, 480 nobody there, any other from 400."""
        if not 400 <= status <= 699:
            raise ValueError("a call is refused with a status from 400 to 699")
        self._act(lambda conversation, now: conversation.reject(status, now))
        await self._done(_PATIENCE_S)

    async def hangup(self, timeout_s: float = _PATIENCE_S) -> None:
        """End the call, whatever its state; `totals` are there afterwards."""
        self._act(lambda conversation, now: conversation.hangup(now))
        await self._done(timeout_s)

    async def ended(self, timeout_s: float | None = None) -> Ended:
        """Wait until the peer hangs up (or whoever does); how it ended."""
        await self._done(timeout_s)
        end = self.end
        assert end is not None
        return end

    # Sound

    async def play(self, sound: Sound, *, loop: bool = False, wait: bool = True) -> None:
        """Play samples (16 kHz, float32 or int16), a .wav or .g722 file, `tone:NAME` or `music`, in place of
        what is being played; returns at its end, unless `loop` or not to `wait`. SoundError says what is
        wrong with it."""
        self._need_media()
        name = await self._station.lending.lend(sound)
        if self.over:
            self._station.lending.release(name)
            raise self._end_error()
        play = self._station.next_play()
        self._playing[play] = name
        self._act(lambda conversation, _: conversation.play(play, [name], loop=loop))
        if wait and not loop:
            await self._until(lambda: play not in self._playing, None, "play")

    async def stop_playing(self) -> None:
        """Be silent."""
        self._act(lambda conversation, _: conversation.stop_play())

    async def record(self, seconds: float) -> Heard:
        """What is heard from now on for so long; less where the call ends before. It may run while something
        is played, and any number of times at once."""
        self._need_media()
        full = asyncio.Event()
        loop = asyncio.get_running_loop()
        tap = Tap(self.number, round(seconds * RATE), lambda: _tell(loop, full))
        began = time.monotonic()
        self._station.media.tap(tap)
        try:
            await full.wait()
        finally:
            tap.end()
        if tap.began_ns is not None:
            began = tap.began_ns / 1e9
        return Heard(tap.samples(), began)

    async def send_dtmf(self, digits: str) -> None:
        """Press keys, one after the other (RFC 4733); returns when they are out."""
        keys = digits.upper()
        if not keys or not set(keys) <= KEYS:
            raise ValueError("keys are 0 to 9, *, # and A to D")
        self._need_media()
        media = self._conversation.media
        if media is None or media.telephone_event is None:
            raise AgentError("the peer takes no key presses: it did not agree to telephone-event (RFC 4733)")
        self._act(lambda conversation, _: conversation.press(keys))
        await asyncio.sleep(DIGIT_S * len(keys))

    async def read_digits(self, count: int, timeout_s: float = 10.0) -> str:
        """The next so many keys that the peer presses, those that nobody has read yet included."""
        await self._until(lambda: len(self._digits()) >= self._taken_digits + count, timeout_s, "press keys")
        digits = self._digits()[self._taken_digits : self._taken_digits + count]
        self._taken_digits += count
        return "".join(digits)

    # Changes

    async def hold(self) -> None:
        """Put the peer on hold; ChangeRefusedError when it does not take that."""
        await self._offer(direction="sendonly")

    async def resume(self) -> None:
        """Take the peer back."""
        await self._offer(direction="sendrecv")

    async def reinvite(
        self, *, codecs: Sequence[Codec] | None = None, direction: Direction | None = None
    ) -> None:
        """Offer other codecs or another direction within the call."""
        await self._offer(direction=direction, codecs=codecs)

    async def transfer(self, to: str, timeout_s: float = 60.0) -> None:
        """Send the peer to a number or SIP URI (RFC 3515); our call ends when it got through. Raises
        TransferFailedError with the status that it met; the call goes on then."""
        target, by = NameAddr(self._account.target(to)), self._account.address
        await self._refer(lambda conversation, now: conversation.refer(target, by, now), timeout_s)

    async def transfer_to(self, other: Call, timeout_s: float = 60.0) -> None:
        """Join the peer with that of another call of ours (RFC 3891); both calls end when that is done."""
        await self._refer(
            lambda c, now: c.refer_to(other._conversation, self._account.address, now), timeout_s
        )
        await other.hangup()

    async def transferred(self, timeout_s: float = _PATIENCE_S) -> Call:
        """Wait until the peer sends us on; the call that takes the place of this one."""
        await self._until(lambda: self._was(Transferred), timeout_s, "be transferred")
        told = self._last(Transferred)
        assert told is not None
        return self._find(told.call)

    async def events(self) -> AsyncIterator[CallEvent]:
        """All that happens, from the beginning to Ended."""
        position = 0
        while True:
            while position < len(self._history):
                event = self._history[position]
                position += 1
                yield event
                if isinstance(event, Ended):
                    return
            await self._happened.wait()

    # What the agent tells

    def take(self, event: CallEvent) -> None:
        """Something happened; the agent calls this."""
        if len(self._history) < MOST_EVENTS or isinstance(event, Ended):
            self._history.append(event)
        if isinstance(event, Ended):
            for play in list(self._playing):
                self._release(play)
        self._pulse()

    def play_over(self, play: int) -> None:
        """What was being played ended; the agent calls this."""
        self._release(play)
        self._pulse()

    def media_gone(self) -> None:
        """Nothing more comes of this call; the agent calls this."""
        self._gone.set()
        self._pulse()

    # Waiting

    async def _offer(
        self, *, direction: Direction | None = None, codecs: Sequence[Codec] | None = None
    ) -> None:
        self._need_media()
        usable = None if codecs is None else self._usable(codecs)
        before = len(self._history)
        self._act(lambda conversation, now: conversation.offer(now, direction=direction, codecs=usable))

        def outcome() -> Changed | ChangeFailed | None:
            told = (event for event in self._history[before:] if isinstance(event, Changed | ChangeFailed))
            return next((event for event in told if isinstance(event, ChangeFailed) or event.ours), None)

        await self._until(lambda: outcome() is not None, _PATIENCE_S, "answer the offer")
        failed = outcome()
        if isinstance(failed, ChangeFailed):
            raise ChangeRefusedError(failed.status, failed.reason)

    async def _refer(self, verb: Callable[[Conversation, float], None], timeout_s: float) -> None:
        self._need_media()
        before = len(self._history)
        self._act(verb)

        def last_word() -> TransferProgress | None:
            told = (e for e in self._history[before:] if isinstance(e, TransferProgress) and e.done)
            return next(told, None)

        await self._until(lambda: last_word() is not None or self.over, timeout_s, "follow the transfer")
        outcome = last_word()
        if outcome is not None and outcome.status >= 300:
            raise TransferFailedError(outcome.status, outcome.reason)
        await self.hangup()

    async def _until(self, holds: Callable[[], bool], timeout_s: float | None, what: str) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    if self.over:
                        raise self._end_error()
                    await self._happened.wait()
        except TimeoutError:
            raise PatienceError(f"the peer did not {what} in {timeout_s:g} s") from None

    async def _done(self, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._gone.wait()
        except TimeoutError:
            raise PatienceError(f"the call did not end in {timeout_s:g} s") from None

    def _act(self, verb: Callable[[Conversation, float], None]) -> None:
        self._station.act(self._line, lambda _, now: verb(self._conversation, now))

    def _pulse(self) -> None:
        happened, self._happened = self._happened, asyncio.Event()
        happened.set()

    def _release(self, play: int) -> None:
        name = self._playing.pop(play, None)
        if name is not None:
            self._station.lending.release(name)

    def _need_media(self) -> None:
        if self.over:
            raise self._end_error()
        if self._conversation.media is None:
            raise AgentError("the call is not answered yet: `await call.answered()` or `call.answer()` first")

    def _end_error(self) -> CallEndedError:
        end = self.end
        return CallEndedError(end.status if end else 0, end.reason if end else "")

    def _was(self, kind: type[CallEvent]) -> bool:
        return any(isinstance(event, kind) for event in self._history)

    def _last(self, kind: type[E]) -> E | None:
        return next((event for event in reversed(self._history) if isinstance(event, kind)), None)

    def _digits(self) -> list[str]:
        return [event.digit for event in self._history if isinstance(event, DigitReceived)]


def _tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event from another thread; a loop that is closed waits for nothing."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(event.set)
