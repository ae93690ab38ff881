"""The main menu of a mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.voicemail.asking import ChoosingPin
from ringback.voicemail.greetings import Greetings
from ringback.voicemail.listening import listen
from ringback.voicemail.mailbox import Message
from ringback.voicemail.script import Item

if TYPE_CHECKING:
    from ringback.voicemail.check import CheckMessages


class MainMenu:
    """1 messages, 2 greetings, 3 PIN, 0 help, * the end."""

    def __init__(self, visit: CheckMessages, before: list[Item], now: float) -> None:
        self._visit = visit
        self._deadline = 0.0
        visit.script.say([*before, "prompt:vm-menu"], now)

    def digit(self, digit: str, now: float) -> None:
        """Go where the key leads."""
        visit = self._visit
        match digit:
            case "1":
                visit.script.stop()
                assert visit.box is not None
                visit.office.desk.messages(visit.box, self._listen)
            case "2":
                visit.show(Greetings(visit, now))
            case "3":
                done: list[Item] = ["prompt:vm-pin-kept"]
                visit.show(ChoosingPin(visit, [], now, lambda at: visit.menu(at, done), leavable=True))
            case "*":
                visit.goodbye([], now)
            case _:
                visit.script.say(["prompt:vm-menu"], now)

    def said(self, now: float) -> None:
        """Wait for a key."""
        self._deadline = now + self._visit.office.patience.first_digit_s
        self._visit.office.alarm.wake(self._deadline, self._visit)

    def played(self, play: int, now: float) -> None:
        """Nothing else is played here."""

    def expire(self, now: float) -> None:
        """Say it again, not for ever."""
        if not self._visit.script.speaking and now >= self._deadline:
            self._visit.idle(["prompt:vm-menu"], now)

    def end(self, now: float) -> None:
        """Nothing is kept of it."""

    def _listen(self, messages: list[Message], now: float) -> None:
        if self._visit.scene is self and not self._visit.gone:
            listen(self._visit, messages, now)
