"""A menu (IVR): it says what can be chosen, and a key or an extension's number leads there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.onward import Onward, nowhere
from ringback.routing.steps import Outcome
from ringback.store.plan.menu import Menu
from ringback.store.plan.target import Target

BETWEEN_DIGITS_S: Final = 2.5
"""How long a key that may begin an extension's number waits for the next digit."""
LONGEST_EXTENSION: Final = 6

Extensions = Callable[[str], bool]
"""Whether an extension has exactly this number."""


class Alarm(Protocol):
    """Asks for `Application.expire` at a time."""

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""


class Asking(Application):
    """Asks one caller; sans-IO. A key interrupts what is being said."""

    def __init__(self, menu: Menu, alarm: Alarm, is_extension: Extensions, onward: Onward = nowhere) -> None:
        self._menu = menu
        self._alarm = alarm
        self._is_extension = is_extension
        self._onward = onward
        self._leg: Leg | None = None
        self._digits = ""
        self._tries = 0
        self._speaking = False
        self._deadline = 0.0

    def offered(self, leg: Leg, now: float) -> None:
        """Answer at once: everything is said in the call."""
        leg.answer(now)

    def connected(self, leg: Leg, now: float) -> None:
        """Ask."""
        self._leg = leg
        self._ask(leg, [])

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """A key: where it leads, the beginning of a number, or a wrong one."""
        if self._leg is None:
            return
        leg.stop_play()
        self._speaking = False
        chosen = self._menu.keys.get(digit)
        if not self._menu.dial_extensions:
            self._choose(leg, chosen, now)
            return
        if digit == "#" and self._digits:
            self._dialled(leg, now)
            return
        if not digit.isdecimal():
            self._choose(leg, chosen if not self._digits else None, now)
            return
        self._digits += digit
        if len(self._digits) == LONGEST_EXTENSION:
            self._dialled(leg, now)
        else:
            self._wait(now, BETWEEN_DIGITS_S)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """The words have been said: now the caller's time runs."""
        if self._leg is not None and play == leg.playing and self._speaking:
            self._speaking = False
            self._wait(now, self._menu.wait_s)

    def expire(self, now: float) -> None:
        """No key came, or no further digit."""
        leg = self._leg
        if leg is None or self._speaking or now < self._deadline:
            return
        if self._digits:
            self._dialled(leg, now)
        else:
            self._failed(leg, [], now)

    def ended(self, leg: Leg, now: float) -> None:
        """Nobody is there to be asked."""
        self._leg = None

    def _ask(self, leg: Leg, before: list[str]) -> None:
        self._digits = ""
        self._speaking = True
        leg.play([*before, f"words:{self._menu.words}"])

    def _wait(self, now: float, seconds: float) -> None:
        self._deadline = now + seconds
        self._alarm.wake(self._deadline, self)

    def _dialled(self, leg: Leg, now: float) -> None:
        """No more digits come: a single one is a key, more are an extension's number."""
        digits, self._digits = self._digits, ""
        chosen = self._menu.keys.get(digits)
        if chosen is None and self._is_extension(digits):
            chosen = f"extension:{digits}"
        self._choose(leg, chosen, now)

    def _choose(self, leg: Leg, chosen: str | None, now: float) -> None:
        target = Target.parse(chosen) if chosen else None
        if target is None:
            self._failed(leg, ["prompt:wrong-extension"], now)
        elif target.kind == "hangup":
            self._leg = None
            leg.hangup(now)
        else:
            self._go(leg, target, now)

    def _failed(self, leg: Leg, why: list[str], now: float) -> None:
        self._tries += 1
        if self._tries < self._menu.tries:
            self._ask(leg, why)
        else:
            self._go(leg, None, now)

    def _go(self, leg: Leg, target: Target | None, now: float) -> None:
        """On to a key's target, or with None to what comes when nothing was chosen."""
        self._leg = None
        leg.stop_play()
        ends = target is None and self._menu.otherwise in ("", "hangup")
        if ends or not self._onward(leg, Outcome.DONE, now, target):
            leg.hangup(now)
