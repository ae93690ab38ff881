"""Follows who is in which media room, and looks after the conversations that a policy applies to; sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from typing import Literal

from ringback.call.leg import Leg
from ringback.call.party import LegState
from ringback.recording.archive import Archive
from ringback.recording.policies import is_stricter, policy_for
from ringback.recording.talk import Consent, Line, Talk
from ringback.store.directory import Directory
from ringback.store.plan.voice import RecordingPolicy

Kind = Literal["call", "meeting"]
KindOf = Callable[[Leg], Kind | None]
"""What a leg is in; None where nothing is recorded by policy."""


class RecordingDesk:
    """Implements `call.overhearing.Overhearing`."""

    def __init__(
        self,
        line: Line,
        archive: Archive,
        directory: Callable[[], Directory],
        kind_of: KindOf,
        *,
        emergency_numbers: Container[str] = (),
        tone_every_s: float = 0.0,
    ) -> None:
        self.talks: dict[int, Talk] = {}
        self._line = line
        self._archive = archive
        self._directory = directory
        self._kind_of = kind_of
        self._emergency_numbers = emergency_numbers
        self._tone_every_s = tone_every_s
        self._rooms: dict[int, dict[int, Leg]] = {}
        self._where: dict[int, int] = {}
        self._moved: dict[int, Leg] = {}
        # What somebody has answered to a notice, for as long as the leg is there.
        self._answers: dict[int, tuple[str, str, Consent]] = {}

    def may_record(self, leg: Leg, room: int) -> bool:
        """Whether nothing is recorded there, or the leg has agreed to just that before."""
        talk = self.talks.get(room)
        return talk is None or talk.may_record(self._answer(leg, talk.policy))

    def moved(self, leg: Leg) -> None:
        """Note it: what follows waits until the switchboard is done with what happened."""
        self._moved[leg.id] = leg

    def settle(self, now: float) -> None:
        """Follow all who have moved."""
        while self._moved:
            self._follow(self._moved.pop(next(iter(self._moved))), now)

    def digit(self, leg: Leg, digit: str, now: float) -> bool:
        """A key; True where it answered a notice."""
        talk = self._talk(leg)
        return talk is not None and talk.keyed(leg, digit, now)

    def play_ended(
        self, leg: Leg, play: int, reason: Literal["finished", "stopped", "replaced", "digit"], now: float
    ) -> bool:
        """What was played has ended; True where it was a notice."""
        talk = self._talk(leg)
        return talk is not None and talk.played(leg, play, reason == "finished", now)

    def _talk(self, leg: Leg) -> Talk | None:
        room = self._where.get(leg.id)
        return None if room is None else self.talks.get(room)

    def _follow(self, leg: Leg, now: float) -> None:
        before = self._where.pop(leg.id, None)
        # Before the answer a caller may hear what is beyond a trunk: that is no conversation yet.
        after = leg.room if leg.state is LegState.CONNECTED else None
        if before is not None and before != after:
            self._left(leg, before, now)
        if leg.over:
            self._answers.pop(leg.id, None)
        if after is None:
            return
        self._where[leg.id] = after
        here = self._rooms.setdefault(after, {})
        if leg.id not in here:
            here[leg.id] = leg
            self._joined(leg, after, here, now)
        elif (talk := self.talks.get(after)) is not None:
            talk.review(now)

    def _left(self, leg: Leg, room: int, now: float) -> None:
        here = self._rooms.get(room, {})
        here.pop(leg.id, None)
        if not here:
            self._rooms.pop(room, None)
        talk = self.talks.get(room)
        if talk is None:
            return
        answer = talk.left(leg, now)
        if answer is not None and not leg.over:
            self._answers[leg.id] = (talk.policy.name, talk.policy.notice, answer)
        if not here:
            # Its recording ends with the room; what is left to do the talk does by itself.
            del self.talks[room]

    def _joined(self, leg: Leg, room: int, here: dict[int, Leg], now: float) -> None:
        talk = self.talks.get(room)
        if talk is not None:
            stricter = self._stricter(talk, here.values())
            if stricter is not None:
                talk.adopt(stricter, {one: self._answer(there, stricter) for one, there in here.items()}, now)
            talk.joined(leg, self._answer(leg, talk.policy), now)
            return
        if len(here) < 2:
            return
        kind = self._kind_of(leg)
        if kind is None:
            return
        policy = policy_for(here.values(), self._directory(), self._emergency_numbers)
        if policy is None:
            return
        talk = self.talks[room] = Talk(
            self._line,
            self._archive,
            room,
            policy,
            in_call=kind == "call",
            tone_every_s=self._tone_every_s,
        )
        for one in list(here.values()):
            talk.joined(one, self._answer(one, policy), now)

    def _stricter(self, talk: Talk, legs: Collection[Leg]) -> RecordingPolicy | None:
        """The policy that somebody has brought along, where it is stricter than what the talk goes by."""
        directory = self._directory()
        if len(directory.plan.all(RecordingPolicy)) < 2:
            return None
        policy = policy_for(legs, directory, self._emergency_numbers)
        return policy if policy is not None and is_stricter(policy, talk.policy) else None

    def _answer(self, leg: Leg, policy: RecordingPolicy) -> Consent | None:
        name, notice, answer = self._answers.get(leg.id, ("", "", Consent.UNTOLD))
        return answer if (name, notice) == (policy.name, policy.notice) else None
