"""Leaving a message: greeting, tone, what is said, a look at it if wanted, and the word that it is kept."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import Final

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.onward import Onward
from ringback.call.party import LegState
from ringback.routing.steps import Outcome
from ringback.store.plan.target import Target
from ringback.voicemail.check import CheckMessages
from ringback.voicemail.mailbox import Box, Voice
from ringback.voicemail.office import Office
from ringback.voicemail.prompts import greeting
from ringback.voicemail.script import Item, Script
from ringback.voicemail.taking import Taking

REVIEW_S: Final = 10.0
"""Who chooses nothing for so long is content with the message."""
TRIES: Final = 3


class Phase(Enum):
    """Where the caller stands."""

    GREETING = "hears the greeting"
    TALKING = "hears the tone, or speaks"
    REVIEW = "may hear, change or send the message"
    SENDING = "waits for the message to be kept"
    LEAVING = "hears how it ended"
    GONE = "not here any more"


class LeaveMessage(Application):
    """Takes a message of one caller for one mailbox; sans-IO.

    `#` ends greeting or message, `0` leads to the operator, `*` in the greeting lets the holder in with the
    PIN. Whatever was said is kept when the caller hangs up.
    """

    def __init__(self, office: Office, extension: str, why: Outcome, onward: Onward) -> None:
        self.phase = Phase.GREETING
        self._office = office
        self._extension = extension
        self._why = why
        self._onward = onward
        self._box: Box
        self._leg: Leg
        self._script: Script
        self._taking: Taking | None = None
        self._voice: Voice | None = None
        self._urgent = False
        self._tries = 0
        self._deadline = 0.0
        self._operator = False

    # What happens to the leg

    def offered(self, leg: Leg, now: float) -> None:
        """Answer, where there is a mailbox."""
        box = self._office.desk.box(self._extension)
        if box is not None:
            self._box = box
            leg.answer(now)
        elif self._onward(leg, Outcome.UNREACHABLE, now):
            return
        elif leg.state is LegState.CONNECTED:
            leg.hangup(now, "No mailbox")
        else:
            leg.reject(480, now, "No mailbox")

    def connected(self, leg: Leg, now: float) -> None:
        """Begin with the greeting."""
        self._leg = leg
        self._script = Script(leg, self._office.desk)
        items = greeting(self._box, self._why)
        if self._box.full:
            self._office.counts.left["full"] += 1
            self._part([*items[:-1], "prompt:vm-full", "prompt:goodbye"], now)
        else:
            self._script.say(items, now)

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """Keys mean something in the greeting, while speaking and in the review."""
        if digit == "0" and self.phase in (Phase.GREETING, Phase.TALKING, Phase.REVIEW):
            self._to_operator(now)
        elif self.phase is Phase.GREETING and digit == "#":
            self._script.stop()
            self._take(now)
        elif self.phase is Phase.GREETING and digit == "*":
            self._let_in(now)
        elif self.phase is Phase.TALKING and digit == "#" and self._taking is not None:
            self._taking.digit(now)
        elif self.phase is Phase.REVIEW:
            self._review(digit, now)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """On to the tone, to patience, or to the end."""
        if self.phase is Phase.TALKING and self._taking is not None:
            self._taking.play_ended(play, now)
        elif self.phase is not Phase.GONE and self._script.ended(play, now):
            if self.phase is Phase.GREETING:
                self._take(now)
            elif self.phase is Phase.REVIEW:
                self._deadline = now + REVIEW_S
                self._office.alarm.wake(self._deadline, self)
            elif self.phase is Phase.LEAVING:
                self._end(now)

    def expire(self, now: float) -> None:
        """Silence, too much speech, or patience with the review."""
        if self.phase is Phase.TALKING and self._taking is not None:
            self._taking.expire(now)
        elif self.phase is Phase.REVIEW and not self._script.speaking and now >= self._deadline:
            self._send(now)

    def stand_in(self, old: Leg, new: Leg, now: float) -> bool:
        """Another begins anew with the greeting; what `old` has said so far is kept as a message."""
        if self.phase is Phase.GONE:
            return False
        fresh = LeaveMessage(self._office, self._extension, self._why, self._onward)
        fresh._box = self._office.desk.box(self._extension) or self._box
        new.application = fresh
        new.leave_room()
        fresh.connected(new, now)
        return True

    def ended(self, leg: Leg, now: float) -> None:
        """The caller is gone: what was said is kept."""
        phase, self.phase = self.phase, Phase.GONE
        if phase is Phase.TALKING and self._taking is not None:
            self._taking.stop(now)
        elif phase is Phase.REVIEW:
            self._keep(now)

    # Speaking

    def _take(self, now: float) -> None:
        self.phase = Phase.TALKING
        self._taking = Taking(
            self._leg, self._box, "message", self._office.desk, self._office.alarm, self, self._taken
        )
        self._taking.begin()

    def _taken(self, voice: Voice | None, failed: bool, now: float) -> None:
        self._taking = None
        self._voice = voice
        if voice is None:
            self._office.counts.left["failed" if failed else "empty"] += 1
        if self.phase is Phase.GONE or self._leg.over:
            self._keep(now)
        elif self._operator:
            self._keep(now)
            self._call_operator(now)
        elif failed:
            self._part(["prompt:not-possible", "prompt:goodbye"], now)
        elif voice is None:
            self._tries += 1
            if self._tries >= TRIES:
                self._part(["prompt:vm-too-short", "prompt:goodbye"], now)
            else:
                self.phase = Phase.GREETING
                self._script.say(["prompt:vm-too-short", "prompt:vm-intro"], now)
        else:
            self._ask([], now)

    def _ask(self, before: list[Item], now: float) -> None:
        self.phase = Phase.REVIEW
        urgent: list[Item] = [] if self._urgent else ["prompt:vm-review-urgent"]
        self._script.say([*before, "prompt:vm-review", *urgent], now)

    def _review(self, digit: str, now: float) -> None:
        if digit in ("1", "#"):
            self._send(now)
        elif digit == "2" and self._voice is not None:
            self._ask([self._voice], now)
        elif digit == "3":
            self._drop()
            self._script.stop()
            self._take(now)
        elif digit == "4":
            self._urgent = not self._urgent
            self._ask(["prompt:vm-is-urgent" if self._urgent else "prompt:vm-not-urgent"], now)
        elif digit == "*":
            self._office.counts.left["dropped"] += 1
            self._drop()
            self._part(["prompt:vm-deleted", "prompt:goodbye"], now)

    # The end

    def _send(self, now: float) -> None:
        self.phase = Phase.SENDING
        self._script.stop()
        self._keep(now, told=True)

    def _keep(self, now: float, *, told: bool = False) -> None:
        voice, self._voice = self._voice, None
        if voice is not None:
            then = partial(self._kept, told)
            self._office.desk.deliver(voice, self._box, urgent=self._urgent, then=then)

    def _kept(self, told: bool, kept: bool, now: float) -> None:
        self._office.counts.left["kept" if kept else "delayed"] += 1
        if told and self.phase is Phase.SENDING:
            self._part(["prompt:vm-sent" if kept else "prompt:not-possible", "prompt:goodbye"], now)

    def _drop(self) -> None:
        voice, self._voice = self._voice, None
        if voice is not None:
            self._office.desk.drop(voice)

    def _part(self, items: list[Item], now: float) -> None:
        self.phase = Phase.LEAVING
        self._script.say(items, now)

    def _end(self, now: float) -> None:
        self.phase = Phase.GONE
        self._leg.leave_room()
        if not self._onward(self._leg, Outcome.DONE, now):
            self._leg.hangup(now)

    def _to_operator(self, now: float) -> None:
        if not self._box.operator or self._operator:
            return
        self._script.stop()
        if self.phase is Phase.TALKING and self._taking is not None:
            # What was said so far is kept, once its file is complete.
            self._operator = True
            self._taking.stop(now)
            return
        self._keep(now)
        self._call_operator(now)

    def _call_operator(self, now: float) -> None:
        self._operator = False
        self.phase = Phase.GONE
        self._leg.leave_room()
        if not self._onward(self._leg, Outcome.DONE, now, Target.parse(self._box.operator)):
            self._part(["prompt:vm-no-operator", "prompt:goodbye"], now)

    def _let_in(self, now: float) -> None:
        """The holder calls from outside: the PIN is asked for."""
        self._script.stop()
        self.phase = Phase.GONE
        check = CheckMessages(self._office, self._extension, own=False)
        self._leg.application = check
        check.connected(self._leg, now)
