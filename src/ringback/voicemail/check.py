"""Checking messages: who calls, the PIN, the first PIN, then the menus; each is a scene."""

from __future__ import annotations

from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.governance.private import Private
from ringback.voicemail.asking import LONGEST_PIN, Asking, ChoosingPin
from ringback.voicemail.desk import Shut
from ringback.voicemail.mailbox import Box, Message
from ringback.voicemail.menu import MainMenu
from ringback.voicemail.office import Office
from ringback.voicemail.prompts import say_counts
from ringback.voicemail.script import Item, Script

_LONGEST_NUMBER: Final = 6
_IDLE_TRIES: Final = 3


class Scene(Protocol):
    """One thing that the caller is asked or told."""

    def digit(self, digit: str, now: float) -> None:
        """A key was pressed."""

    def said(self, now: float) -> None:
        """What was to be said is over."""

    def played(self, play: int, now: float) -> None:
        """Something else that was played to the leg is over."""

    def expire(self, now: float) -> None:
        """A time asked for has come."""

    def end(self, now: float) -> None:
        """The call is over."""


class CheckMessages(Application):
    """Lets the holder of a mailbox in and steers from scene to scene; sans-IO.

    `extension` is whose mailbox it is, None asks for it; `own`: that extension's own phone asked for it.
    """

    def __init__(self, office: Office, extension: str | None, *, own: bool) -> None:
        self.office = office
        self.box: Box | None = None
        self.leg: Leg
        self.script: Script
        self.scene: Scene | None = None
        self.deleted: dict[str, Message] = {}
        """What is deleted when the call ends, by id; until then it can be had back."""
        self._extension = extension
        self._own = own
        self._leaving = False
        self._tries = 0
        self._idle = 0
        self._pin: Private[str] | None = None
        self._verdict_at = 0.0

    # What happens to the leg

    def offered(self, leg: Leg, now: float) -> None:
        """Answer: everything else is said in the call."""
        leg.answer(now)

    def connected(self, leg: Leg, now: float) -> None:
        """Begin with what is not known yet."""
        self.leg = leg
        self.script = Script(leg, self.office.desk)
        # Not whom the holder transfers here.
        self._own = self._own and leg.party.account == self._extension
        box = self.office.desk.box(self._extension) if self._extension is not None else None
        if self._extension is None:
            self.scene = Asking(self, ["prompt:vm-mailbox"], _LONGEST_NUMBER, self._number, now)
        elif self._own and box is None:
            self.goodbye(["prompt:not-possible"], now)
        elif self._own and box is not None and (box.trusts_own_phone or not box.has_pin):
            # Its own phone is the only place where the first PIN can be chosen.
            self.office.desk.open(self._extension, None, self._opened)
        else:
            self._ask_pin([], now)

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """Keys are for the scene."""
        if self.scene is not None and not self._leaving:
            self._idle = 0
            self.scene.digit(digit, now)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """What was said is over; then the scene waits, or the call ends."""
        if self.script.ended(play, now):
            if self._leaving:
                leg.hangup(now)
            elif self.scene is not None:
                self.scene.said(now)
        elif self.scene is not None:
            self.scene.played(play, now)

    def expire(self, now: float) -> None:
        """The answer to a PIN that was held back, or patience."""
        if self._pin is not None and now >= self._verdict_at:
            pin, self._pin = self._pin, None
            self._judge(pin, now)
        elif self.scene is not None and not self._leaving:
            self.scene.expire(now)

    def ended(self, leg: Leg, now: float) -> None:
        """What was deleted is deleted now."""
        scene, self.scene = self.scene, None
        self._leaving, self._pin = True, None
        if scene is not None:
            scene.end(now)
        if self.deleted:
            self.office.desk.delete(list(self.deleted.values()))

    # For scenes

    @property
    def gone(self) -> bool:
        """Whether nobody is there any more to answer to."""
        return self._leaving or self.leg.over

    def show(self, scene: Scene) -> None:
        """Go on with another scene, which has begun to speak."""
        self.scene = scene

    def idle(self, again: list[Item], now: float) -> None:
        """Nothing was pressed for long: say it again, in the end goodbye."""
        self._idle += 1
        if self._idle >= _IDLE_TRIES:
            self.goodbye([], now)
        else:
            self.script.say(again, now)

    def goodbye(self, items: list[Item], now: float) -> None:
        """Say this, then end."""
        scene, self.scene = self.scene, None
        if scene is not None:
            scene.end(now)
        self._leaving = True
        self.script.say([*items, "prompt:goodbye"], now)

    def menu(self, now: float, before: list[Item] | None = None) -> None:
        """The main menu."""
        self.scene = MainMenu(self, before or [], now)

    # Who is it

    def _number(self, digits: str, now: float) -> None:
        if not digits:
            self._failed([], now)
            return
        self._extension = digits
        self._ask_pin([], now)

    def _ask_pin(self, before: list[Item], now: float) -> None:
        self.scene = Asking(self, [*before, "prompt:vm-password"], LONGEST_PIN, self._check, now)

    def _check(self, digits: str, now: float) -> None:
        assert self._extension is not None
        self.scene = None
        self._pin = Private(digits)
        delay_s = self.office.guard.delay_s(self.leg.source, self._extension, now)
        self._verdict_at = now + delay_s
        if delay_s > 0:
            self.script.say(["prompt:one-moment"], now)
            self.office.alarm.wake(self._verdict_at, self)
        else:
            self.expire(now)

    def _judge(self, pin: Private[str], now: float) -> None:
        assert self._extension is not None
        if self.office.guard.refuses(self.leg.source, self._extension, now, own=self._own):
            self.office.counts.logins["refused"] += 1
            self.goodbye(["prompt:too-many-tries"], now)
        elif not pin.reveal():
            self._failed([], now)
        else:
            self.office.desk.open(self._extension, pin, self._opened)

    def _opened(self, box: Box | Shut, now: float) -> None:
        if self.gone:
            return
        assert self._extension is not None
        if box is Shut.AWAY:
            self.office.counts.logins["away"] += 1
            self.goodbye(["prompt:not-possible"], now)
            return
        if isinstance(box, Shut):
            self.office.counts.logins["wrong"] += 1
            self.office.guard.wrong(self.leg.source, self._extension, now, own=self._own)
            self._failed(["prompt:vm-incorrect"], now)
            return
        self.office.counts.logins["opened"] += 1
        self.box = box
        if box.has_pin or (self._own and box.trusts_own_phone):
            self.office.desk.messages(box, self._in)
        else:
            self.scene = ChoosingPin(self, [], now, self._chosen)

    def _chosen(self, now: float) -> None:
        assert self.box is not None
        self.office.desk.messages(self.box, self._in)

    def _failed(self, why: list[Item], now: float) -> None:
        self._tries += 1
        if self._tries >= self.office.patience.pin_tries:
            self.goodbye(why, now)
        elif self._extension is None:
            self.scene = Asking(self, ["prompt:vm-mailbox"], _LONGEST_NUMBER, self._number, now)
        else:
            self._ask_pin(why, now)

    def _in(self, messages: list[Message], now: float) -> None:
        if self.gone:
            return
        new = sum(message.state == "new" for message in messages)
        self.menu(now, list(say_counts(new, len(messages) - new)))
