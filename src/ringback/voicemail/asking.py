"""Scenes in which the holder of a mailbox keys something in: a number, a PIN, a new PIN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ringback.call.collect import TERMINATOR, DigitCollector
from ringback.governance.private import Private
from ringback.voicemail.script import Item

if TYPE_CHECKING:
    from ringback.voicemail.check import CheckMessages

LONGEST_PIN: Final = 12


class Answer(Protocol):
    """Told the digits, "" for none."""

    def __call__(self, digits: str, now: float) -> None:
        """What was keyed in."""


class Then(Protocol):
    """Told that it is done."""

    def __call__(self, now: float) -> None:
        """It is done."""


class Asking:
    """A scene that collects digits, up to `#` or a pause."""

    def __init__(
        self, visit: CheckMessages, question: list[Item], length: int, answer: Answer, now: float
    ) -> None:
        self._visit = visit
        self._answer = answer
        patience = visit.office.patience
        self._first_digit_s = patience.first_digit_s
        self._collector = DigitCollector(
            length=length,
            now=now,
            first_digit_s=patience.first_digit_s,
            between_digits_s=patience.between_digits_s,
        )
        visit.script.say(question, now)
        self._wake()

    def digit(self, digit: str, now: float) -> None:
        """A key cuts the question short; a `#` before any digit says nothing."""
        if digit == TERMINATOR and not self._collector.digits:
            return
        self._visit.script.stop()
        self._collected(self._collector.receive(digit, now), now)

    def said(self, now: float) -> None:
        """Patience begins with the end of the question."""
        if not self._collector.digits:
            self._collector.deadline = now + self._first_digit_s
            self._wake()

    def played(self, play: int, now: float) -> None:
        """Nothing else is played here."""

    def expire(self, now: float) -> None:
        """Whoever stops pressing keys has finished."""
        if not self._visit.script.speaking:
            self._collected(self._collector.expire(now), now)

    def end(self, now: float) -> None:
        """Nothing is kept of it."""

    def _collected(self, digits: str | None, now: float) -> None:
        if digits is None:
            self._wake()
        else:
            self._answer(digits, now)

    def _wake(self) -> None:
        self._visit.office.alarm.wake(self._collector.deadline, self._visit)


class ChoosingPin:
    """A new PIN, keyed in twice; the scene in between is an `Asking`."""

    def __init__(
        self, visit: CheckMessages, before: list[Item], now: float, then: Then, *, leavable: bool = False
    ) -> None:
        """`leavable`: whoever keys in nothing keeps the PIN that there is."""
        self._visit = visit
        self._then = then
        self._leavable = leavable
        self._first = ""
        self._tries = 0
        self._asking = self._ask(before, now)

    def _ask(self, before: list[Item], now: float) -> Asking:
        return Asking(self._visit, [*before, "prompt:vm-new-pin"], LONGEST_PIN, self._chosen, now)

    def digit(self, digit: str, now: float) -> None:
        """For the question."""
        self._asking.digit(digit, now)

    def said(self, now: float) -> None:
        """For the question."""
        self._asking.said(now)

    def played(self, play: int, now: float) -> None:
        """Nothing else is played here."""

    def expire(self, now: float) -> None:
        """For the question."""
        self._asking.expire(now)

    def end(self, now: float) -> None:
        """Nothing is kept of it."""
        self._first = ""

    def _chosen(self, digits: str, now: float) -> None:
        if not digits and self._leavable:
            self._then(now)
            return
        self._first = digits
        self._asking = Asking(self._visit, ["prompt:vm-pin-again"], LONGEST_PIN, self._repeated, now)

    def _repeated(self, digits: str, now: float) -> None:
        first, self._first = self._first, ""
        if digits != first:
            self._again("prompt:vm-pin-differs", now)
        elif self._visit.box is not None:
            self._visit.office.desk.choose_pin(self._visit.box, Private(digits), self._kept)

    def _kept(self, kept: bool, now: float) -> None:
        if self._visit.gone:
            return
        if not kept:
            self._again("prompt:vm-pin-refused", now)
            return
        self._then(now)

    def _again(self, why: str, now: float) -> None:
        self._tries += 1
        if self._tries >= self._visit.office.patience.pin_tries:
            self._visit.goodbye([why], now)
        else:
            self._asking = self._ask([why], now)
