"""Listening to messages: what is said before each, the message itself, and the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ringback.voicemail.mailbox import Message, MessageState
from ringback.voicemail.prompts import say_counts, say_message
from ringback.voicemail.script import Item

if TYPE_CHECKING:
    from ringback.voicemail.check import CheckMessages

_BACK_MS: Final = 1_000
"""After a pause a little is heard again."""


def listen(visit: CheckMessages, messages: list[Message], now: float) -> None:
    """Begin with the first message, or say that there is none."""
    if messages:
        scene = Listening(visit, messages)
        visit.show(scene)
        scene.begin(now)
    else:
        visit.menu(now, list(say_counts(0, 0)))


class Listening:
    """One message after the other: 5 repeats, 7 deletes or undeletes, 9 saves, 4 and 6 go back and on, 3
    pauses, # skips what is said before, 0 helps, * goes to the menu."""

    def __init__(self, visit: CheckMessages, messages: list[Message]) -> None:
        self._visit = visit
        self._messages = messages
        self._at = 0
        self._states: dict[str, MessageState] = {message.id: message.state for message in messages}
        self._paused_ms: int | None = None
        self._deadline = 0.0

    @property
    def _message(self) -> Message:
        return self._messages[self._at]

    def begin(self, now: float) -> None:
        """Say when the message came, then the message."""
        desk, message = self._visit.office.desk, self._message
        before = say_message(message, desk.local(message.received_at), desk.local())
        self._say([*before, message.voice, "prompt:vm-keys"], now)

    def digit(self, digit: str, now: float) -> None:
        """A key acts at once, whatever is being said."""
        position = self._visit.script.position_ms(now)
        if digit in ("4", "6", "7", "9"):
            self._mark("old")
        match digit:
            case "1" | "5":
                self.begin(now)
            case "3":
                self._pause(position, now)
            case "#" if position is None:
                # Not when it came: the message itself.
                self._say([self._message.voice, "prompt:vm-keys"], now)
            case "4" | "6":
                self._go(-1 if digit == "4" else 1, now)
            case "7":
                self._delete(now)
            case "9":
                self._visit.deleted.pop(self._message.id, None)
                self._mark("saved")
                self._say(["prompt:vm-message", "prompt:vm-saved"], now)
            case "*":
                self._visit.menu(now)
            case _:
                self._say(["prompt:vm-keys"], now)

    def said(self, now: float) -> None:
        """The message was heard; wait for a key."""
        self._deadline = now + self._visit.office.patience.first_digit_s
        self._visit.office.alarm.wake(self._deadline, self._visit)

    def played(self, play: int, now: float) -> None:
        """A part of what is said is over: once the message is, it is no new one any more."""
        if self._visit.script.heard == self._message.voice:
            self._mark("old")

    def expire(self, now: float) -> None:
        """Say the keys again, not for ever."""
        if not self._visit.script.speaking and self._paused_ms is None and now >= self._deadline:
            self._visit.idle(["prompt:vm-keys"], now)

    def end(self, now: float) -> None:
        """Whoever hangs up after the half of a message has heard it."""
        position = self._visit.script.position_ms(now)
        if position is not None and 2 * position > self._message.voice.length_ms:
            self._mark("old")

    def _say(self, items: list[Item], now: float) -> None:
        self._paused_ms = None
        self._visit.script.say(items, now)

    def _go(self, step: int, now: float) -> None:
        if 0 <= self._at + step < len(self._messages):
            self._at += step
            self.begin(now)
        else:
            self._say(["prompt:vm-no-more"], now)

    def _delete(self, now: float) -> None:
        deleted, message = self._visit.deleted, self._message
        if deleted.pop(message.id, None) is not None:
            self._say(["prompt:vm-undeleted"], now)
        else:
            deleted[message.id] = message
            self._say(["prompt:vm-deleted"], now)

    def _pause(self, position: int | None, now: float) -> None:
        if position is not None:
            self._visit.script.stop()
            self._paused_ms = max(0, position - _BACK_MS)
        elif self._paused_ms is not None:
            from_ms, self._paused_ms = self._paused_ms, None
            self._visit.script.say([self._message.voice, "prompt:vm-keys"], now, from_ms)

    def _mark(self, state: MessageState) -> None:
        """Keep what a message has become; saved ones stay saved."""
        message = self._message
        known = self._states[message.id]
        if state == known or (state == "old" and known != "new"):
            return
        self._states[message.id] = state
        self._visit.office.desk.mark(message, state)
