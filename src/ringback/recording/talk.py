"""One conversation under a recording policy: everybody is told, answers, and is recorded or not; sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.leg import Leg
from ringback.call.voice_recordings import RecordingEvent, VoiceRecordings
from ringback.media.protocol import RecordingEnded, RecordingStarted
from ringback.recording.archive import Archive, Beginning, Begun, ConsentLine, ConsentState, Speaker
from ringback.recording.policies import directions_of
from ringback.store.call_record import call_name
from ringback.store.plan.voice import RecordingPolicy

ANSWER_S: Final = 3.0
"""How long after the notice somebody may still answer by one key before recording begins."""
RETRY_S: Final = 1.0
SPEECHLESS_S: Final = 5.0
MOST_FAILURES: Final = 3

REFUSE, AGREE, PAUSE, STAR = "9", "1", "8", "*"
_NOT_RECORDED: Final = "You are not recorded."
_RECORDED: Final = "You are recorded from now on."
_PAUSED: Final = "Recording is paused."
_GOES_ON: Final = "Recording goes on."
TEXTS: Final = (_NOT_RECORDED, _RECORDED, _PAUSED, _GOES_ON)
"""What is said beside the notices."""


class Line(Protocol):
    """What is asked of the switchboard."""

    recordings: VoiceRecordings

    def wake(self, at: float, application: Application) -> None:
        """Call `application.expire` at `at` or soon after."""

    def tell(self, kind: str, **facts: object) -> None:
        """Say what happened; no private data."""

    def play_to_room(self, room: int, sounds: list[str]) -> None:
        """Play sounds once to everybody in a media room."""


class Consent(Enum):
    """How far somebody is with the question; the value is shown to people."""

    UNTOLD = "has not heard the notice"
    ASKED = "may answer"
    AGREED = "agreed"
    REFUSED = "refused"
    SILENT = "did not answer"


_OPEN: Final = (Consent.UNTOLD, Consent.ASKED)
_STATES: Final[Mapping[Consent, ConsentState]] = {
    Consent.AGREED: "agreed",
    Consent.REFUSED: "refused",
    Consent.SILENT: "silent",
}


class Phase(Enum):
    """Where the recording is."""

    IDLE = "not recorded"
    BEGINNING = "about to be recorded"
    RUNNING = "recorded"
    ENDING = "recording ends"


@dataclass(slots=True)
class Person:
    """One leg and its answer."""

    leg: Leg
    consent: Consent = Consent.UNTOLD
    play: int | None = None
    again_at: float = 0.0
    answer_until: float = 0.0
    starred: bool = False
    plays: set[int] = field(default_factory=set)

    def hear(self, sounds: list[str]) -> int:
        """Play something to it."""
        play = self.leg.play(sounds)
        self.plays.add(play)
        return play

    @property
    def speaker(self) -> Speaker:
        """Whose voice it is."""
        party = self.leg.party
        return Speaker(self.leg.id, party.account, party.trunk, party.number)


class Talk(Application):
    """The legs of one media room; an application only to be woken.

    Nobody is recorded who has not heard the notice to its end, has refused, or did not agree where that is
    asked for; nothing is recorded at all before everybody who is there has been told. Who withdraws later is
    in no file: what was recorded until then is deleted.
    """

    def __init__(
        self,
        line: Line,
        archive: Archive,
        room: int,
        policy: RecordingPolicy,
        *,
        in_call: bool,
        tone_every_s: float = 0.0,
    ) -> None:
        self.room = room
        self.policy = policy
        self.people: dict[int, Person] = {}
        self.phase = Phase.IDLE
        self.paused = False
        self._stays_paused = False
        self._line = line
        self._archive = archive
        self._in_call = in_call
        self._tone_every_s = tone_every_s
        self._tone_at = 0.0
        self._speechless = False
        self._call = ""
        self._voice: str | None = None
        self._recording: int | None = None
        self._keep = True
        self._kept: list[str] = []
        self._named: set[int] = set()
        self._failures = 0
        self._not_before = 0.0
        self._look_at = 0.0

    # Who is there

    def joined(self, leg: Leg, known: Consent | None, now: float) -> None:
        """A leg is in the room; `known` is what it has answered in the same call before."""
        person = self.people[leg.id] = Person(leg)
        if known is not None:
            person.consent = known
        self.review(now)

    def left(self, leg: Leg, now: float) -> Consent | None:
        """A leg is in it no more; returns its answer, None while that is open."""
        person = self.people.pop(leg.id, None)
        self.review(now)
        return None if person is None or person.consent in _OPEN else person.consent

    def adopt(self, policy: RecordingPolicy, known: Mapping[int, Consent | None], now: float) -> None:
        """A stricter policy counts from now on: what was recorded until now stays under the one before, and
        everybody is told anew. `known` is what legs have answered to just that notice before.
        """
        self.policy = policy
        self._speechless = False
        self._stays_paused = self.paused
        for person in self.people.values():
            person.consent = known.get(person.leg.id) or Consent.UNTOLD
            person.play, person.again_at = None, now
        if self.phase is Phase.BEGINNING:
            self._keep = False
        else:
            self._stop()
        self.review(now)

    def may_record(self, consent: Consent | None) -> bool:
        """Whether a leg with that answer may be recorded from the moment it joins."""
        return self.phase is Phase.IDLE or (consent is Consent.AGREED and not self.paused)

    # What happens

    def played(self, leg: Leg, play: int, heard: bool, now: float) -> bool:
        """What was played to a leg has ended; False where that was none of ours."""
        person = self.people.get(leg.id)
        if person is None or play not in person.plays:
            return False
        person.plays.discard(play)
        if person.play != play:
            return True
        person.play = None
        if heard and not self._on_hold(person):
            self._heard(person, now)
        else:
            # Something else was more urgent: the notice is spoken again, from its beginning.
            person.again_at = now + RETRY_S
            self._line.wake(person.again_at, self)
        return True

    def _heard(self, person: Person, now: float) -> None:
        if self.policy.mode == "always":
            self._settle(person, Consent.AGREED, "heard the notice to its end", now)
            return
        person.consent = Consent.ASKED
        person.answer_until = now + ANSWER_S
        self._line.wake(person.answer_until, self)

    def keyed(self, leg: Leg, digit: str, now: float) -> bool:
        """A key; True where it answered the question."""
        person = self.people.get(leg.id)
        if person is None:
            return False
        if person.consent in _OPEN:
            if self.policy.mode == "opt-out" and digit == REFUSE:
                self._answered(person, Consent.REFUSED, digit, now)
                return True
            if self.policy.mode == "opt-in" and digit == AGREE:
                self._answered(person, Consent.AGREED, digit, now)
                return True
        starred, person.starred = person.starred, digit == STAR
        if starred and self._in_call:
            self._starred(person, digit, now)
        return False

    def _starred(self, person: Person, digit: str, now: float) -> None:
        """Keys behind a star, which the other side may hear: they are for later in the call."""
        if digit == PAUSE and person.leg.party.account is not None and self.phase is Phase.RUNNING:
            self._pause(person, now)
        elif self.policy.mode == "always":
            return
        elif digit == REFUSE and person.consent is not Consent.REFUSED:
            self._answered(person, Consent.REFUSED, STAR + digit, now)
        elif digit == AGREE and person.consent is not Consent.AGREED and person.consent not in _OPEN:
            self._answered(person, Consent.AGREED, STAR + digit, now)

    def _answered(self, person: Person, consent: Consent, keys: str, now: float) -> None:
        person.play = None
        withdrawn = person.consent is Consent.AGREED
        agreed = consent is Consent.AGREED
        self._say(person, _RECORDED if agreed else _NOT_RECORDED)
        if withdrawn:
            # Its voice is in the files already: none of them stays.
            kept, self._kept = self._kept, []
            for voice in kept:
                self._archive.withdraw(voice)
            if self._voice is not None:
                self._archive.forbid(self._voice)
            self._keep = False
            self._stop()
        self._settle(person, consent, f"pressed {keys}", now)

    def _pause(self, person: Person, now: float) -> None:
        self.paused = not self.paused
        self._say(person, _PAUSED if self.paused else _GOES_ON)
        kind = "recording.paused" if self.paused else "recording.resumed"
        self._line.tell(kind, room=self.room, call=self._call)
        self.review(now)

    def _say(self, person: Person, text: str) -> None:
        sounds = self._archive.sounds(text)
        if sounds is not None:
            person.hear(sounds)

    def _settle(self, person: Person, consent: Consent, how: str, now: float) -> None:
        person.consent = consent
        policy = self.policy
        self._archive.consent(
            ConsentLine(
                person.leg.call.id,
                person.speaker,
                policy.name,
                policy.mode,
                policy.notice,
                _STATES[consent],
                how,
            )
        )
        self.review(now)

    def expire(self, now: float) -> None:
        """A time has come: for the notice once more, for who has not answered, for the tone."""
        for person in list(self.people.values()):
            if person.consent is Consent.ASKED and now >= person.answer_until:
                if self.policy.mode == "opt-out":
                    self._settle(person, Consent.AGREED, "did not refuse", now)
                else:
                    self._settle(person, Consent.SILENT, "did not agree", now)
        if self.phase is Phase.RUNNING and self._tone_every_s and now >= self._tone_at:
            self._tone_at = now + self._tone_every_s
            self._line.play_to_room(self.room, ["tone:chime"])
            self._line.wake(self._tone_at, self)
        self.review(now)

    # What follows

    def review(self, now: float) -> None:
        """Do what the state of everybody asks for."""
        self._tell(now)
        people = self.people.values()
        agreed = [person for person in people if person.consent is Consent.AGREED]
        if self.phase is Phase.RUNNING:
            self._give_tracks(agreed)
            for person in people:
                person.leg.record(person.consent is Consent.AGREED and self._is_heard(person))
            if not agreed and self.people:
                self._stop()
        elif (
            self.phase is Phase.IDLE
            and agreed
            and len(people) > 1
            and now >= self._not_before
            and not any(person.consent in _OPEN for person in people)
        ):
            self._begin(agreed)

    def _give_tracks(self, agreed: list[Person]) -> None:
        """Name those who were not among the first."""
        for person in agreed:
            if person.leg.id not in self._named and self._voice is not None:
                self._named.add(person.leg.id)
                self._archive.speaks(self._voice, person.speaker)

    def _tell(self, now: float) -> None:
        """Speak the notice to who has not heard it and can hear it."""
        untold = [p for p in self.people.values() if p.consent is Consent.UNTOLD and p.play is None]
        if not untold or (len(self.people) < 2 and self.phase is Phase.IDLE):
            return
        notice = self._archive.sounds(self.policy.notice)
        if notice is None:
            if not self._speechless:
                self._speechless = True
                self._say_failed("the notice cannot be spoken", now)
            self._look_again(now + SPEECHLESS_S, now)
            return
        for person in untold:
            if self._on_hold(person):
                person.again_at = now + RETRY_S
            if now < person.again_at:
                self._look_again(person.again_at, now)
            else:
                person.play = person.hear(notice)

    def _look_again(self, at: float, now: float) -> None:
        """Ask for one time at once: of each that comes all who still wait ask for the next."""
        if not now < self._look_at <= at:
            self._look_at = at
            self._line.wake(at, self)

    def _on_hold(self, person: Person) -> bool:
        """Whether it holds, and hears nothing; in a call also whether it is held, and hears music."""
        if self._in_call:
            return any(one.leg.on_hold for one in self.people.values())
        return person.leg.on_hold

    def _is_heard(self, person: Person) -> bool:
        """Whether others could hear it: who is alone or on hold talks to nobody here."""
        return not self.paused and len(self.people) > 1 and not self._on_hold(person)

    def _begin(self, agreed: list[Person]) -> None:
        self.phase = Phase.BEGINNING
        self._keep = True
        self.paused, self._stays_paused = self._stays_paused, False
        legs = [person.leg for person in self.people.values()]
        policy = self.policy
        self._call = call_name(legs[0].call.id)
        self._named = {person.leg.id for person in agreed}
        self._archive.begin(
            Beginning(
                legs[0].call.id,
                policy.name,
                policy.mode,
                "+".join(sorted(directions_of(legs))),
                policy.keep_days,
                policy.players,
                tuple(person.speaker for person in agreed),
            ),
            self._begun,
        )

    def _begun(self, begun: Begun | str, now: float) -> None:
        if isinstance(begun, str):
            self._failed(begun, now)
            return
        if not self._keep or len(self.people) < 2:
            # Somebody has refused or gone meanwhile.
            self._archive.finish(begun.voice, None, keep=False)
            self.phase = Phase.IDLE
            self.review(now)
            return
        self._voice = begun.voice
        for person in self.people.values():
            person.leg.record(person.consent is Consent.AGREED and self._is_heard(person))
        self._recording = self._line.recordings.start(
            self.room, Path(begun.folder), begun.voice, begun.data_key, self._told
        )

    def _told(self, event: RecordingEvent, now: float) -> None:
        if isinstance(event, RecordingStarted):
            self.phase = Phase.RUNNING
            for person in self.people.values():
                person.leg.call.recorded = True
            self._line.tell("recording.started", room=self.room, call=self._call, voice=self._voice)
            if not self._keep:
                self._stop()
            elif self._tone_every_s:
                self._tone_at = now
                self._line.wake(now, self)
            self.review(now)
            return
        voice, self._voice, self._recording = self._voice, None, None
        assert voice is not None
        if isinstance(event, RecordingEnded):
            self._archive.finish(voice, event, keep=self._keep)
            if self._keep:
                self._kept.append(voice)
            self._line.tell(
                "recording.stopped", room=self.room, call=self._call, voice=voice, reason=event.reason
            )
            if event.reason in ("disk_full", "disk_slow", "failed"):
                self._failed(event.reason.replace("_", " "), now)
                return
            self.phase = Phase.IDLE
            self.review(now)
        else:
            self._archive.finish(voice, None, keep=False)
            self._failed(event.reason, now)

    def _failed(self, reason: str, now: float) -> None:
        """Say so; the call goes on, and a few times it is tried again."""
        self.phase = Phase.IDLE
        if not self.people:
            return
        self._failures += 1
        self._not_before = now + RETRY_S if self._failures < MOST_FAILURES else float("inf")
        self._say_failed(reason, now)
        if self._failures < MOST_FAILURES:
            self._line.wake(self._not_before, self)

    def _say_failed(self, reason: str, now: float) -> None:
        """Tell those who watch, and the records of the calls that are here."""
        self._line.tell("recording.failed", room=self.room, reason=reason)
        for call in {person.leg.call.id: person.leg.call for person in self.people.values()}.values():
            call.note("not-recorded", now, said=reason)

    def _stop(self) -> None:
        if self.phase is Phase.RUNNING and self._recording is not None:
            self.phase = Phase.ENDING
            self._line.recordings.stop(self._recording)
