"""The greetings of a mailbox: heard, recorded anew, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ringback.voicemail.mailbox import GreetingKind, Voice
from ringback.voicemail.script import Item
from ringback.voicemail.taking import Taking

if TYPE_CHECKING:
    from ringback.voicemail.check import CheckMessages

_KINDS: Final[dict[str, GreetingKind]] = {"1": "no-answer", "2": "busy", "3": "away", "4": "name"}


class Greetings:
    """Which greeting, then what is to be done with it: 1 record, 2 listen, 3 remove, * back."""

    def __init__(self, visit: CheckMessages, now: float) -> None:
        self._visit = visit
        self._kind: GreetingKind | None = None
        self._taking: Taking | None = None
        self._taken: Voice | None = None
        self._saying = False
        self._deadline = 0.0
        visit.script.say(self._menu(), now)

    def digit(self, digit: str, now: float) -> None:
        """A key acts on what is chosen so far."""
        if self._taking is not None:
            if digit == "#":
                self._taking.digit(now)
        elif self._saying:
            if digit == "#":
                self._visit.script.stop()
                self._record()
        elif self._taken is not None:
            self._review(self._taken, digit, now)
        elif self._kind is not None:
            self._act(self._kind, digit, now)
        elif digit in _KINDS:
            self._kind = _KINDS[digit]
            self._visit.script.say(self._menu(), now)
        elif digit == "*":
            self._visit.menu(now)
        else:
            self._visit.script.say(self._menu(), now)

    def said(self, now: float) -> None:
        """Record, or wait for a key."""
        if self._saying:
            self._record()
            return
        self._deadline = now + self._visit.office.patience.first_digit_s
        self._visit.office.alarm.wake(self._deadline, self._visit)

    def played(self, play: int, now: float) -> None:
        """The tone is over."""
        if self._taking is not None:
            self._taking.play_ended(play, now)

    def expire(self, now: float) -> None:
        """Silence while recording, or patience."""
        if self._taking is not None:
            self._taking.expire(now)
        elif not self._visit.script.speaking and now >= self._deadline:
            self._visit.idle(self._menu(), now)

    def end(self, now: float) -> None:
        """What was not kept is dropped."""
        if self._taking is not None:
            self._taking.stop(now)
        self._drop()

    def _menu(self) -> list[Item]:
        if self._taken is not None:
            return ["prompt:vm-review"]
        return ["prompt:vm-greeting"] if self._kind is not None else ["prompt:vm-greetings"]

    def _act(self, kind: GreetingKind, digit: str, now: float) -> None:
        visit = self._visit
        assert visit.box is not None
        # As it is now, not as it was when the call began.
        box = visit.office.desk.box(visit.box.extension) or visit.box
        match digit:
            case "1":
                self._saying = True
                visit.script.say([f"prompt:vm-say-{kind}"], now)
            case "2":
                heard = box.greetings.get(kind)
                visit.script.say([heard or "prompt:vm-default", *self._menu()], now)
            case "3":
                visit.office.desk.greet(visit.box, kind, None, self._removed)
            case "*":
                self._kind = None
                visit.script.say(self._menu(), now)
            case _:
                visit.script.say(self._menu(), now)

    def _record(self) -> None:
        visit = self._visit
        assert visit.box is not None
        self._saying = False
        self._taking = Taking(
            visit.leg, visit.box, "greeting", visit.office.desk, visit.office.alarm, visit, self._recorded
        )
        self._taking.begin()

    def _recorded(self, voice: Voice | None, failed: bool, now: float) -> None:
        self._taking = None
        self._taken = voice
        if self._visit.gone:
            self._drop()
        elif voice is None:
            why = "prompt:not-possible" if failed else "prompt:vm-too-short"
            self._visit.script.say([why, *self._menu()], now)
        else:
            self._visit.script.say(self._menu(), now)

    def _review(self, voice: Voice, digit: str, now: float) -> None:
        visit = self._visit
        if digit in ("1", "#") and self._kind is not None and visit.box is not None:
            self._taken = None
            visit.office.desk.greet(visit.box, self._kind, voice, self._kept)
        elif digit == "2":
            visit.script.say([voice, *self._menu()], now)
        elif digit == "3":
            self._drop()
            visit.script.stop()
            self._record()
        elif digit == "*":
            self._drop()
            visit.script.say(self._menu(), now)

    def _kept(self, done: bool, now: float) -> None:
        self._done("prompt:vm-sent" if done else "prompt:not-possible", now)

    def _removed(self, done: bool, now: float) -> None:
        self._done("prompt:vm-deleted" if done else "prompt:not-possible", now)

    def _done(self, word: str, now: float) -> None:
        if not self._visit.gone and self._visit.scene is self:
            self._kind = None
            self._visit.script.say([word, *self._menu()], now)

    def _drop(self) -> None:
        taken, self._taken = self._taken, None
        if taken is not None:
            self._visit.office.desk.drop(taken)
