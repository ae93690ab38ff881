"""Asks for a number where it was not dialled behind a code, then does what the code is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.collect import DigitCollector
from ringback.call.leg import Leg
from ringback.call.told import Told

LONGEST: Final = 24
FIRST_DIGIT_S: Final = 10.0
BETWEEN_DIGITS_S: Final = 4.0

Act = Callable[[str, Told], None]
"""Does it with a number, and says in the end what came of it."""


class Alarm(Protocol):
    """Asks for `Application.expire` at a time."""

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""


class AskNumber(Told):
    """Answers, asks for a number if there is none, and is told what came of it."""

    def __init__(self, alarm: Alarm, act: Act, number: str | None) -> None:
        """`number` None: it is asked for."""
        super().__init__()
        self._alarm = alarm
        self._act = act
        self._number = number
        self._collector: DigitCollector | None = None

    def connected(self, leg: Leg, now: float) -> None:
        """Ask, or do it."""
        super().connected(leg, now)
        if self._number is not None:
            self._act(self._number, self)
            return
        self._collector = DigitCollector(
            LONGEST, now, first_digit_s=FIRST_DIGIT_S, between_digits_s=BETWEEN_DIGITS_S
        )
        leg.play(["prompt:enter-number-to-call"], stop_on_digit=True)
        self._alarm.wake(self._collector.deadline, self)

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """A digit of the number; `#` ends it."""
        if self._collector is None:
            return
        self._collected(self._collector.receive(digit, now))
        if self._collector is not None:
            self._alarm.wake(self._collector.deadline, self)

    def expire(self, now: float) -> None:
        """No more digits come."""
        if self._collector is not None:
            self._collected(self._collector.expire(now))

    def ended(self, leg: Leg, now: float) -> None:
        """Who hangs up before the number is complete has changed its mind."""
        self._collector = None
        super().ended(leg, now)

    def _collected(self, number: str | None) -> None:
        if number is None:
            return
        self._collector = None
        if number:
            self._act(number, self)
        else:
            self.say(["prompt:not-possible"])
