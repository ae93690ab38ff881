"""The way into a meeting: number and PIN by phone, the door, and the keys once inside; by browser a visit."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.collect import TERMINATOR, DigitCollector
from ringback.call.leg import Leg
from ringback.conference.keys import Act, StarKeys
from ringback.conference.meetings import EntryTimings, Meetings, role_of
from ringback.conference.participant import Participant, Presence
from ringback.conference.pin_guard import PinGuard
from ringback.conference.prompts import say_others
from ringback.conference.roles import Permission, Role, may
from ringback.conference.room import Room
from ringback.conference.visits import Visit
from ringback.governance.private import Private
from ringback.store.directory import Meeting

NUMBER_LENGTH: Final = 9
PIN_LENGTH: Final = 6


# Meetings by number, as they are at the time of asking: PINs change while callers key them in.
FindMeeting = Callable[[str], Meeting | None]


class Alarm(Protocol):
    """Asks for `Application.expire` at a time."""

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""


class Phase(Enum):
    """Where the caller stands."""

    NUMBER = "asked for the number"
    PIN = "asked for the PIN"
    CHECKING = "waiting for the answer to the PIN"
    ANNOUNCING = "hearing how many are there"
    LOBBY = "waiting for the host"
    IN = "in the meeting"
    LEAVING = "hearing why it ends"
    GONE = "hung up"


class Entry(Application):
    """Steers one leg from its answer to its end; sans-IO."""

    def __init__(
        self,
        *,
        meetings: Meetings,
        find_meeting: FindMeeting,
        guard: PinGuard,
        alarm: Alarm,
        timings: EntryTimings,
        meeting: Meeting | None,
        pin: Private[str] | None,
        visit: Visit | None = None,
        role: Role | None = None,
    ) -> None:
        """`visit` has a right link: no PIN is asked for, and its role counts. With `role` it was
        decided before that the leg may come in: its call has become the meeting."""
        self.phase = Phase.NUMBER
        self.participant: Participant | None = None
        self._meetings = meetings
        self._find_meeting = find_meeting
        self._guard = guard
        self._alarm = alarm
        self._timings = timings
        self._meeting = meeting
        self._pin = pin
        self._visit = visit
        self._role = role
        self._room: Room | None = None
        self._tries = 0
        self._collector: DigitCollector | None = None
        self._keys = StarKeys()
        self._verdict_at = 0.0
        self._leg: Leg

    @property
    def media_room(self) -> int:
        """The meeting's, if the caller dialled one."""
        return self._meetings.media_room(self._meeting.number) if self._meeting is not None else 0

    # What happens to the leg

    def offered(self, leg: Leg, now: float) -> None:
        """Answer at once: everything else is said in the call."""
        if self._guard.may_wait(leg.source, leg.id):
            leg.answer(now)
        else:
            leg.turn_away(now, "too many calls at the door")

    def connected(self, leg: Leg, now: float) -> None:
        """Begin with whatever the dial string left open."""
        self._leg = leg
        if self._visit is not None:
            self._welcome(self._visit, now)
        elif self._role is not None:
            self._knock(self._role, now)
        elif self._meeting is None:
            self._ask(Phase.NUMBER, ["prompt:enter-number"], now)
        elif self._pin is None:
            self._ask(Phase.PIN, ["prompt:enter-pin"], now)
        else:
            self._check(self._pin, now)

    def digit(self, leg: Leg, digit: str, now: float) -> None:
        """Keys go to the question that is open, or to the meeting."""
        if self.phase is Phase.IN:
            self._act(self._keys.receive(digit, now), now)
            if self._keys.deadline is not None:
                self._alarm.wake(self._keys.deadline, self)
            return
        # A `#` after number or PIN that were complete already: what is being said now goes on.
        if digit == TERMINATOR and not (self._collector is not None and self._collector.digits):
            return
        if self.phase is Phase.ANNOUNCING:
            self._leg.stop_play()
            self._join(now)
        elif self._collector is not None:
            self._leg.stop_play()
            self._collected(self._collector.receive(digit, now), now)
            if self._collector is not None:
                self._alarm.wake(self._collector.deadline, self)

    def play_ended(self, leg: Leg, play: int, now: float) -> None:
        """A prompt is over: patience starts, the newcomer joins, or the call ends."""
        if play != self._leg.playing:
            return
        if self.phase is Phase.ANNOUNCING:
            self._join(now)
        elif self.phase is Phase.LEAVING:
            leg.hangup(now)
        elif self._collector is not None and not self._collector.digits:
            self._collector.deadline = now + self._timings.first_digit_s
            self._alarm.wake(self._collector.deadline, self)

    def ended(self, leg: Leg, now: float) -> None:
        """The caller is gone, from wherever it stood."""
        # An answer to a PIN that was held back is not given any more: nobody is there to come in.
        self.phase = Phase.GONE
        self._pin = None
        self._collector = None
        self._keys.deadline = None
        self._guard.no_longer_waits(leg.source, leg.id)
        self._leave_room()
        if self._visit is not None and self.participant is not None:
            self._visit.stand_up(self.participant, now)

    def expire(self, now: float) -> None:
        """Patience with a question, with a lone star, or the held-back answer to a PIN."""
        if self.phase is Phase.CHECKING and now >= self._verdict_at and self._pin is not None:
            self._judge(self._pin, now)
        elif self.phase is Phase.IN:
            self._act(self._keys.expire(now), now)
        elif self._collector is not None:
            self._collected(self._collector.expire(now), now)

    # Number and PIN

    def _ask(self, phase: Phase, sounds: list[str], now: float) -> None:
        self.phase = phase
        self._collector = DigitCollector(
            length=NUMBER_LENGTH if phase is Phase.NUMBER else PIN_LENGTH,
            now=now,
            first_digit_s=self._timings.first_digit_s,
            between_digits_s=self._timings.between_digits_s,
        )
        self._leg.play(sounds)
        self._alarm.wake(self._collector.deadline, self)

    def _collected(self, digits: str | None, now: float) -> None:
        if digits is None:
            return
        self._collector = None
        if self.phase is Phase.PIN:
            self._check(Private(digits), now)
            return
        self._meeting = self._find_meeting(digits)
        if self._meeting is not None:
            self._ask(Phase.PIN, ["prompt:enter-pin"], now)
        else:
            self._failed_try(Phase.NUMBER, ["prompt:wrong-number"] if digits else [], now)

    def _check(self, pin: Private[str], now: float) -> None:
        assert self._meeting is not None
        self._pin = pin
        self.phase = Phase.CHECKING
        delay_s = self._guard.delay_s(self._leg.source, self._meeting.number, now)
        self._verdict_at = now + delay_s
        if delay_s > 0:
            self._leg.play(["prompt:one-moment"])
            self._alarm.wake(self._verdict_at, self)
        else:
            self._judge(pin, now)

    def _judge(self, pin: Private[str], now: float) -> None:
        assert self._meeting is not None
        self._pin = None
        if self._guard.refuses(self._leg.source, now):
            self._dismiss(["prompt:too-many-tries", "prompt:goodbye"])
            return
        known, self._meeting = self._meeting, self._find_meeting(self._meeting.number)
        if self._meeting is None or self._meeting.id != known.id:
            self._dismiss(["prompt:wrong-number", "prompt:goodbye"])
            return
        role = role_of(self._meeting, pin)
        if role is not None:
            self._knock(role, now)
            return
        if not pin.reveal():
            self._failed_try(Phase.PIN, [], now)
            return
        self._guard.wrong(self._leg.source, self._meeting.number, now)
        self._failed_try(Phase.PIN, ["prompt:wrong-pin"], now)

    def _failed_try(self, phase: Phase, why: list[str], now: float) -> None:
        self._tries += 1
        if self._tries >= self._timings.pin_tries:
            self._dismiss([*why, "prompt:goodbye"])
            return
        question = "prompt:enter-pin" if phase is Phase.PIN else "prompt:enter-number"
        self._ask(phase, [*why, question], now)

    # The door

    def _welcome(self, visit: Visit, now: float) -> None:
        self._meeting = self._find_meeting(visit.number)
        if self._meeting is None or self._meeting.id != visit.meeting_id:
            self._dismiss(["prompt:wrong-number", "prompt:goodbye"])
        else:
            self._knock(visit.role, now)

    def _knock(self, role: Role, now: float) -> None:
        assert self._meeting is not None
        self._guard.no_longer_waits(self._leg.source, self._leg.id)
        self._room = self._meetings.open(self._meeting)
        self.participant = Participant(self._leg, role, self, now)
        self._room.arrive(self.participant)
        if self._visit is not None:
            self._visit.sit_down(self.participant, now)
        match self._room.door(self.participant):
            case Presence.GONE:
                self._find_locked()
            case Presence.LOBBY:
                self.phase = Phase.LOBBY
                self._leg.play(["prompt:wait-for-host", "music"])
                self._room.wait(self.participant)
            case _ if self._visit is not None or self._role is not None:
                # The page shows who is there, or all were together before: nothing need be said.
                self._join(now)
            case _:
                self.phase = Phase.ANNOUNCING
                self._leg.play(say_others(len(self._room.present())))

    def admitted(self, now: float) -> None:
        """The host let the caller in from the lobby."""
        self._leg.stop_play()
        self._join(now)

    def refused(self, why: str, now: float) -> None:
        """The host sent the caller out, or the meeting is no more."""
        if self._visit is not None:
            self._visit.dismiss("refused" if why == "removed" and self.phase is Phase.LOBBY else why)
        self._dismiss([f"prompt:{why}", "prompt:goodbye"])

    def replaced(self, now: float) -> None:
        """The same visitor is at the door again: this call is of no use any more."""
        self._leave_room()
        self.phase = Phase.GONE
        self._leg.hangup(now, "came back by another call")

    def _join(self, now: float) -> None:
        assert self._room is not None
        assert self.participant is not None
        # The door may have been shut while the announcement was playing.
        if self.phase is Phase.ANNOUNCING and self._room.door(self.participant) is Presence.GONE:
            self._find_locked()
            return
        self.phase = Phase.IN
        self._room.join(self.participant, now)

    def _find_locked(self) -> None:
        self._leave_room()
        if self._visit is not None:
            self._visit.dismiss("locked")
        self._dismiss(["prompt:locked", "prompt:goodbye"])

    def _dismiss(self, sounds: list[str]) -> None:
        self.phase = Phase.LEAVING
        self._collector = None
        self._leg.play(sounds)

    def _leave_room(self) -> None:
        if self._room is not None and self.participant is not None:
            self._room.leave(self.participant)
            self._meetings.close_if_empty(self._room)
        self._room = None

    # Keys inside

    def _act(self, act: Act | None, now: float) -> None:
        if act is None or self._room is None or self.participant is None:
            return
        person, room = self.participant, self._room
        match act:
            case Act.MENU:
                host = may(person.role, Permission.LOCK)
                self._leg.play(["prompt:menu-host" if host else "prompt:menu-guest"], stop_on_digit=True)
            case Act.TOGGLE_MUTE:
                room.mute([person], not person.muted)
                self._leg.play(["prompt:muted" if person.muted else "prompt:unmuted"])
            case Act.TOGGLE_HAND:
                room.raise_hand(person, not person.hand)
                self._leg.play(["prompt:hand-raised" if person.hand else "prompt:hand-lowered"])
            case Act.TOGGLE_LOCK if may(person.role, Permission.LOCK):
                room.lock(not room.locked)
            case _:
                self._leg.play(["tone:error"])
