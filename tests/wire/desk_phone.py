"""What every desk phone can do, so that a scenario is written once for all of them, and what they heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ringback.quality.tones import tone_levels
from tests.wire.rtp_stream import RATE
from tests.wire.sip_phone import Call, SipPhone

HEARD_DBFS = -30.0
UNHEARD_DBFS = -42.0
LISTEN_S = 0.4
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Caller:
    """What the display of a phone shows of who calls; the name is empty where none came."""

    name: str
    number: str


class Ear(Protocol):
    """Whatever hears a call."""

    name: str

    def listen(self, seconds: float) -> tuple[NDArray[np.float32], int]:
        """What comes from now on, and its rate in Hz; shorter where less came in that time."""
        ...


class DeskPhone(Ear, Protocol):
    """A phone with up to two calls, of which one is talked in. Its methods fail in `AssertionError`s."""

    number: str
    tone_hz: float
    """What it speaks."""

    def register(self) -> None:
        """Wait until the server knows it."""

    def start_call(self, number: str) -> None:
        """Dial; a call that is talked in is held first."""

    def call(self, number: str) -> None:
        """As `start_call`, until somebody answers."""

    def wait_talking(self) -> None:
        """Wait until the call that was dialled is answered."""

    def wait_ringing(self, timeout: float = PATIENCE_S) -> Caller:
        """Wait for the next call; who calls."""
        ...

    def answer(self, timeout: float = PATIENCE_S) -> None:
        """Take the call that rings, after waiting for one; a call that is talked in is held."""

    def press(self, keys: str) -> None:
        """Press keys one after another (RFC 4733)."""

    def hold(self) -> None:
        """Hold the call by re-INVITE."""

    def resume(self) -> None:
        """Talk on in the call that is held."""

    def switch(self) -> None:
        """Hold the call that is talked in, and talk in the other."""

    def hang_up(self) -> None:
        """End the call that is talked in, or the only one."""

    def wait_calls(self, count: int, timeout: float = PATIENCE_S) -> None:
        """Wait until it has so many calls."""

    def transfer(self, number: str) -> None:
        """Send who is talked to there, by REFER (RFC 3515)."""

    def transfer_to_other(self) -> None:
        """Connect who is held with who is talked to, by REFER with Replaces (RFC 3891)."""


class SmallPhone:
    """The tests' own SIP phone, as far as a partner needs it: it speaks its tone in every call."""

    def __init__(self, phone: SipPhone, tone: NDArray[np.float32], tone_hz: float) -> None:
        self._phone, self._tone = phone, tone
        self.name = self.number = phone.user
        self.tone_hz = tone_hz
        self._call: Call | None = None

    @property
    def sip(self) -> SipPhone:
        """The phone itself."""
        return self._phone

    @property
    def talk(self) -> Call:
        """The latest call."""
        assert self._call is not None, f"{self.name} is in no call"
        return self._call

    def call(self, number: str) -> Call:
        """Dial until somebody answers."""
        return self.adopt(self._phone.dial(number))

    def answer(self, timeout: float = PATIENCE_S) -> Call:
        """Take the next call."""
        return self.adopt(self._phone.answer(timeout))

    def adopt(self, call: Call) -> Call:
        """Go on in this call, and speak the tone."""
        self._call = call
        call.media.speak(self._tone)
        return call

    def press(self, keys: str) -> None:
        """Press keys one after another."""
        self.talk.press(keys)

    def hang_up(self) -> None:
        """End the latest call."""
        self.talk.hang_up()

    def wait_over(self) -> None:
        """Wait until the other side has ended the latest call."""
        self.talk.wait_ended(PATIENCE_S)

    def listen(self, seconds: float) -> tuple[NDArray[np.float32], int]:
        """What comes in the latest call from now on."""
        media, wanted = self.talk.media, round(seconds * RATE)
        before = len(media.heard())
        deadline = time.monotonic() + seconds + 0.3
        while len(media.heard()) < before + wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        return media.heard()[before:][:wanted], RATE


def meet(caller: DeskPhone | SmallPhone, called: DeskPhone | SmallPhone) -> None:
    """One calls, the other answers, and both hear each other."""
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(called.answer)
        caller.call(called.number)
        answering.result()
    check_both_hear(caller, called)


def levels(ear: Ear, tones_hz: Iterable[float], seconds: float = LISTEN_S) -> dict[float, float]:
    """How loud each tone comes from now on, dBFS; what does not come is silent."""
    tones = list(tones_hz)
    audio, rate = ear.listen(seconds)
    audio = np.concatenate([audio, np.zeros(max(0, round(seconds * rate) - len(audio)), np.float32)])
    return dict(zip(tones, map(float, tone_levels(audio, rate, tones)), strict=True))


def check_hears(ear: Ear, wanted: Iterable[float], others: Iterable[float] = ()) -> None:
    """Within some seconds all that are wanted are heard at once, and none of the others."""
    wanted = set(wanted)
    others = set(others) - wanted
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = levels(ear, [*wanted, *others])
        if all(found[tone] > HEARD_DBFS for tone in wanted) and all(
            found[tone] < UNHEARD_DBFS for tone in others
        ):
            return
        heard = ", ".join(f"{tone:.0f} Hz {level:.0f} dBFS" for tone, level in found.items())
        assert time.monotonic() < deadline, f"{ear.name} is to hear {sorted(wanted)} alone, but: {heard}"


def check_both_hear(*people: DeskPhone | SmallPhone, others: Iterable[float] = ()) -> None:
    """Each hears all the rest, and neither itself nor any of the others."""
    with ThreadPoolExecutor(len(people)) as pool:
        tones = {one: {other.tone_hz for other in people if other is not one} for one in people}
        unwanted = {one: {one.tone_hz, *others} for one in people}
        done = [pool.submit(check_hears, one, tones[one], unwanted[one]) for one in people]
        for each in done:
            each.result()


def check_voice(ear: Ear) -> None:
    """Somebody speaks, or a tone is played, within some seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        audio, _ = ear.listen(LISTEN_S)
        if len(audio) and np.sqrt(np.mean(np.square(audio, dtype=np.float64))) > 10 ** (-45 / 20):
            return
        assert time.monotonic() < deadline, f"{ear.name} hears nobody"


def wait_for(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
