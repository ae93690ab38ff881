"""Voicemail without network, store or engine: real applications and legs, a desk in memory, our clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.leg import Leg, Refinement
from ringback.call.party import LegState, Party
from ringback.call.records import CallLog
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.media.stream_messages import PlayStream
from ringback.quality.leg_history import LegHistory
from ringback.routing.steps import Outcome
from ringback.sip.flow import Flow
from ringback.store.plan.target import Target
from ringback.voicemail.check import CheckMessages
from ringback.voicemail.desk import Listener, Shut
from ringback.voicemail.guard import MailboxGuard
from ringback.voicemail.leave import LeaveMessage
from ringback.voicemail.mailbox import (
    Box,
    GreetingKind,
    Message,
    MessageState,
    Voice,
    VoiceKind,
    in_order,
)
from ringback.voicemail.office import Office

EXTENSION = "1001"
PIN = "274113"
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class Counter:
    """Time, callers, mailboxes, and what everybody hears."""

    def __init__(self) -> None:
        self.now = 100.0
        self.refinement = Refinement()
        self.history = LegHistory()
        self.calls = CallLog()
        self.commands: list[object] = []
        self.alarms: list[tuple[float, Application]] = []
        self.box_now: Box | None = Box("b1", EXTENSION, has_pin=True)
        self.pin = PIN
        self.kept: list[Message] = []
        self.dropped: list[str] = []
        self.callers: dict[str, Private[str]] = {}
        """Who a place in the vault was made for, by its voice."""
        self.replaced: set[str] = set()
        """Greetings that were recorded and are not in use any more."""
        self.gone: set[str] = set()
        """Messages that were deleted."""
        self.recording: dict[str, tuple[Listener, float]] = {}
        self.onward: list[tuple[Outcome, Target | None]] = []
        self.leads_on = False
        self.works = True
        self.guard = MailboxGuard()
        self.office = Office(desk=self, alarm=self, guard=self.guard)
        self._plays, self._legs, self._voices = count(1), count(1), count(1)
        self._later: list[Callable[[], None]] = []

    # What legs ask for

    def media(self, command: object) -> None:
        self.commands.append(command)

    def sip(self, effects: list[object]) -> None:
        raise AssertionError("these legs have no session")

    def local_media(self, flow: Flow, rtp_port: int, rtcp_port: int) -> object:
        raise AssertionError("these legs negotiate nothing")

    def changed(self, leg: Leg) -> None:
        """Nobody watches here."""

    def may_record(self, leg: Leg, room: int) -> bool:
        return True

    def moved(self, leg: Leg) -> None:
        """Nobody records here."""

    def answered(self, leg: Leg) -> None:
        raise AssertionError("these legs are connected from the start")

    def next_play(self) -> int:
        return next(self._plays)

    def wake(self, at: float, application: Application) -> None:
        self.alarms.append((at, application))

    # The desk

    def box(self, extension: str) -> Box | None:
        return self.box_now if extension == EXTENSION else None

    def local(self, at: datetime | None = None) -> datetime:
        return at or NOON

    def play(self, leg: Leg, voice: Voice, from_ms: int = 0) -> int:
        play = leg.play_stream(voice.rate, from_ms)
        self.commands.append(("voice", leg.id, voice.id, from_ms))
        return play

    def reserve(
        self, leg: Leg, box: Box, kind: VoiceKind, then: Callable[[Voice | None, float], None]
    ) -> None:
        voice = Voice(f"v{next(self._voices)}", 8000, 0) if self.works else None
        if voice is not None:
            self.callers[voice.id] = leg.party.number
        self.later(lambda: then(voice, self.now))

    def record(self, leg: Leg, voice: Voice, listener: Listener) -> None:
        self.recording[voice.id] = listener, self.now
        leg.join(7)

    def stop(self, voice: Voice) -> None:
        self.end_recording(voice.id)

    def end_recording(self, voice_id: str, *, fails: bool = False) -> None:
        if voice_id in self.recording:
            listener, since = self.recording.pop(voice_id)
            voice = Voice(voice_id, 8000, round((self.now - since) * 1000))
            self.later(lambda: listener.over(None if fails else voice, self.now))

    def drop(self, voice: Voice) -> None:
        self.dropped.append(voice.id)

    def deliver(self, voice: Voice, box: Box, *, urgent: bool, then: Callable[[bool, float], None]) -> None:
        received = NOON + timedelta(seconds=self.now - 100)
        self.kept.append(Message(voice.id, voice, received, self.callers[voice.id], urgent))
        self.later(lambda: then(True, self.now))

    def greet(
        self, box: Box, kind: GreetingKind, voice: Voice | None, then: Callable[[bool, float], None]
    ) -> None:
        assert self.box_now is not None
        self.replaced |= {one.id for name, one in self.box_now.greetings.items() if name == kind}
        greetings = {name: one for name, one in self.box_now.greetings.items() if name != kind}
        if voice is not None:
            greetings[kind] = voice
        self.box_now = replace(self.box_now, greetings=greetings)
        self.later(lambda: then(True, self.now))

    def open(
        self, extension: str, pin: Private[str] | None, then: Callable[[Box | Shut, float], None]
    ) -> None:
        if not self.works:
            self.later(lambda: then(Shut.AWAY, self.now))
            return
        right = extension == EXTENSION and (pin is None or pin.reveal() == self.pin)
        self.later(lambda: then((self.box_now if right else None) or Shut.WRONG, self.now))

    def choose_pin(self, box: Box, pin: Private[str], then: Callable[[bool, float], None]) -> None:
        good = len(pin.reveal()) >= 6 and pin.reveal() != "111111"
        if good:
            self.pin = pin.reveal()
        self.later(lambda: then(good, self.now))

    def messages(self, box: Box, then: Callable[[list[Message], float], None]) -> None:
        self.later(lambda: then(in_order(self.kept), self.now))

    def mark(self, message: Message, state: MessageState) -> None:
        self.kept = [replace(one, state=state) if one.id == message.id else one for one in self.kept]

    def delete(self, messages: list[Message]) -> None:
        self.gone |= {message.id for message in messages}
        self.kept = [one for one in self.kept if one.id not in self.gone]

    # What the test does

    def later(self, act: Callable[[], None]) -> None:
        self._later.append(act)

    def settle(self) -> None:
        """Let the store answer."""
        while self._later:
            self._later.pop(0)()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        self.settle()
        while due := [alarm for alarm in self.alarms if alarm[0] <= end]:
            alarm = min(due, key=lambda a: a[0])
            self.alarms.remove(alarm)
            self.now = max(self.now, alarm[0])
            alarm[1].expire(self.now)
            self.settle()
        self.now = end

    def _way(self, leg: Leg, outcome: Outcome, now: float, target: Target | None = None, **_: object) -> bool:
        self.onward.append((outcome, target))
        return self.leads_on

    def caller(self, why: Outcome = Outcome.NO_ANSWER, number: str = "5550100") -> Caller:
        """Somebody who is to leave a message."""
        return self._connect(LeaveMessage(self.office, EXTENSION, why, self._way), number)

    def holder(
        self, extension: str | None = EXTENSION, *, own: bool = True, account: str = EXTENSION
    ) -> Caller:
        """Somebody who wants to hear messages."""
        return self._connect(CheckMessages(self.office, extension, own=own), account, account)

    def _connect(self, application: Application, number: str, account: str | None = None) -> Caller:
        flow = Flow("udp", ("192.0.2.254", 5060), ("192.0.2.1", 5060))
        party = Party(Private(number), account=account)
        leg = Leg(next(self._legs), self, party, application, flow, self.now)  # type: ignore[arg-type]
        leg.state = LegState.CONNECTED
        application.offered(leg, self.now)
        if not leg.over:
            application.connected(leg, self.now)
        self.settle()
        return Caller(self, leg)

    def message(
        self, name: str, at: datetime = NOON, *, urgent: bool = False, state: MessageState = "new", s: int = 5
    ) -> Message:
        """A message that lies there already."""
        made = Message(name, Voice(name, 8000, 1000 * s), at, Private("5550100"), urgent, state)
        self.kept.append(made)
        return made


class Caller:
    """Somebody on the phone."""

    def __init__(self, counter: Counter, leg: Leg) -> None:
        self.counter, self.leg = counter, leg

    def press(self, keys: str) -> Caller:
        for key in keys:
            self.leg.application.digit(self.leg, key, self.counter.now)
            self.counter.settle()
        return self

    def hears(self) -> list[str]:
        """What is being played now; a voice of the vault by its name."""
        for index in range(len(self.counter.commands) - 1, -1, -1):
            command = self.counter.commands[index]
            if isinstance(command, tuple) and command[1] == self.leg.id:
                return [f"voice:{command[2]}"]
            if isinstance(command, PlayStream) and command.leg == self.leg.id:
                continue
            if isinstance(command, media.StopPlay) and command.leg == self.leg.id:
                return []
            if isinstance(command, media.Play) and command.leg == self.leg.id:
                return [sound.removeprefix("prompt:") for sound in command.sounds]
        return []

    def listen(self, parts: int = 1) -> Caller:
        """Hear what is being played to its end, so many parts of it."""
        for _ in range(parts):
            assert self.leg.playing is not None
            self.leg.application.play_ended(self.leg, self.leg.playing, self.counter.now)
            self.counter.settle()
        return self

    def speak(self, seconds: float) -> Caller:
        """Say something; whoever records hears it."""
        ((listener, _),) = self.counter.recording.values()
        listener.speaking(True, self.counter.now)
        self.counter.wait(seconds)
        for listener, _ in self.counter.recording.values():
            listener.speaking(False, self.counter.now)
        return self

    def hang_up(self) -> None:
        self.leg.finish(self.counter.now)
        for voice in list(self.counter.recording):
            self.counter.end_recording(voice)
        self.counter.settle()

    @property
    def gone(self) -> bool:
        return self.leg.over
