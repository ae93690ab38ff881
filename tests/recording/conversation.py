"""A call of two phones under a recording policy; what the engine and the archive do is told by the test."""

from __future__ import annotations

from collections.abc import Callable

from ringback.call.leg import Leg
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.media.protocol import RecordingEnded, RecordingEndReason
from ringback.recording.archive import Beginning, Begun, ConsentLine, Speaker
from ringback.recording.desk import RecordingDesk
from ringback.recording.talk import Talk
from ringback.store.directory import Directory
from ringback.store.plan.plan import Plan
from ringback.store.plan.voice import RecordingPolicy
from tests.call.office import Office

KEY = Private(bytes(32))


def policy(**values: object) -> RecordingPolicy:
    fixed: dict[str, object] = {"name": "p", "everybody": True, "approved_by": "ann", "notice": "Recorded."}
    return RecordingPolicy(**{**fixed, **values})  # type: ignore[arg-type]


def directory(*policies: RecordingPolicy) -> Directory:
    return Directory.of(plan=Plan.of(policies))


class Tape:
    """An archive that does everything at once, or what the test says."""

    def __init__(self) -> None:
        self.speaks_words = True
        self.away = False
        self.lines: list[ConsentLine] = []
        self.begun: list[Beginning] = []
        self.joined: list[tuple[str, int]] = []
        self.finished: list[tuple[str, str | None, bool]] = []
        self.withdrawn: list[str] = []
        self.forbidden: list[str] = []
        self.waiting: list[Callable[[Begun | str, float], None]] = []

    def sounds(self, text: str) -> list[str] | None:
        return [f"words:{text}"] if self.speaks_words else None

    def consent(self, line: ConsentLine) -> None:
        self.lines.append(line)

    def begin(self, beginning: Beginning, then: Callable[[Begun | str, float], None]) -> None:
        self.begun.append(beginning)
        self.waiting.append(then)

    def speaks(self, voice: str, speaker: Speaker) -> None:
        self.joined.append((voice, speaker.leg))

    def finish(self, voice: str, ended: RecordingEnded | None, *, keep: bool) -> None:
        self.finished.append((voice, ended.reason if ended else None, keep))

    def forbid(self, voice: str) -> None:
        self.forbidden.append(voice)

    def withdraw(self, voice: str) -> None:
        self.withdrawn.append(voice)


class Conversation:
    """Two who are connected; legs 1 (the caller) and 2."""

    def __init__(
        self,
        *policies: RecordingPolicy,
        talk: bool = True,
        emergency_number: str = "112",
        tone_every_s: int = 0,
    ) -> None:
        self.office = Office()
        self.tape = Tape()
        self.directory = directory(*policies)
        self.desk = RecordingDesk(
            self.office.switchboard,
            self.tape,
            lambda: self.directory,
            lambda leg: "call",
            emergency_numbers=(emergency_number,),
            tone_every_s=tone_every_s,
        )
        self.office.switchboard.overhearing = self.desk
        self.caller = self.office.desk("192.0.2.1")
        self.callee = self.office.desk("192.0.2.2", device=True)
        if talk:
            self.caller.call(self.office)
            self.run(0.5)

    def run(self, seconds: float) -> None:
        self.office.run(seconds)
        assert self.office.faults == []

    def leg(self, leg: int) -> Leg:
        return self.office.switchboard.legs[leg]

    @property
    def talk(self) -> Talk:
        (talk,) = self.desk.talks.values()
        return talk

    def words(self, leg: int) -> list[str]:
        """What was said to a leg, in order."""
        plays = [one for one in self.office.given(media.Play) if one.leg == leg]  # type: ignore[attr-defined]
        return [sound.removeprefix("words:") for one in plays for sound in one.sounds]  # type: ignore[attr-defined]

    def play_ends(self, leg: int, reason: str = "finished") -> None:
        """What is played to a leg comes to its end."""
        play = [one.play for one in self.office.given(media.Play) if one.leg == leg][-1]  # type: ignore[attr-defined]
        self.office.media_says(media.PlayEnded(leg=leg, play=play, reason=reason))  # type: ignore[arg-type]

    def all_hear(self) -> None:
        """Both hear the notice to its end, and have had their time to answer."""
        for leg in (1, 2):
            self.play_ends(leg)
        self.run(3.2)

    def key(self, leg: int, digits: str) -> None:
        for digit in digits:
            self.office.media_says(media.Digit(leg=leg, digit=digit, duration_ms=100))

    def row_is_there(self, voice: str = "0123456789abcdef") -> None:
        """The archive has made its row."""
        self._then(Begun(voice, f"/voices/{voice}", KEY))

    def database_is_away(self) -> None:
        self._then("the database is away")

    def _then(self, result: Begun | str) -> None:
        now = self.office.server.now
        self.desk.settle(now)
        self.tape.waiting.pop(0)(result, now)
        self.office.server.do(self.office.flush())

    def recording(self) -> int:
        """The number of the recording that was begun last."""
        return self.office.given(media.StartRecording)[-1].recording  # type: ignore[attr-defined,no-any-return]

    def started(self) -> None:
        self.office.media_says(media.RecordingStarted(recording=self.recording()))

    def ended(self, reason: RecordingEndReason = "stopped") -> None:
        self.office.media_says(
            media.RecordingEnded(
                recording=self.recording(), reason=reason, frames=50, dropped_frames=0, legs=[1, 2]
            )
        )

    def in_file(self) -> dict[int, bool]:
        """Of whom something is recorded now, by the commands that the engine was given."""
        recorded: dict[int, bool] = {}
        for command in self.office.commands:
            match command:
                case media.OpenLeg(leg=leg):
                    recorded[leg] = True
                case media.SetVoice(leg=leg, recorded=on):
                    recorded[leg] = on
        return recorded
