"""A house without sockets: the front door with queues, menus, mailboxes, keys, parking and recording."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from itertools import count
from typing import Any

from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.in_call import KeyFeatures
from ringback.call.leg import Leg
from ringback.call.onward import Onward, nowhere
from ringback.call.park import ParkingLot
from ringback.call.records import Call as Record
from ringback.call.records import CallLog
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.media.stream_messages import PlayStream
from ringback.queueing.queues import Queues
from ringback.queueing.waiting import Waiting
from ringback.recording.archive import Begun
from ringback.recording.desk import RecordingDesk
from ringback.routing.steps import Asked, CheckMessages, Feature, LeaveMessage, Ring, Round, Wait
from ringback.server.attending import Attendants
from ringback.server.company import party_named
from ringback.server.destinations import Call, Refusal
from ringback.server.dialled import Dialled
from ringback.server.recording import kind_of
from ringback.sip.effects import Effect
from ringback.store.directory import Directory
from ringback.store.plan.groups import Queue
from ringback.store.plan.target import Target
from ringback.voicemail.check import CheckMessages as Listening
from ringback.voicemail.desk import Listener
from ringback.voicemail.leave import LeaveMessage as Leaving
from ringback.voicemail.mailbox import Voice
from ringback.voicemail.office import Office as VoicemailOffice
from tests.recording.conversation import KEY, Tape
from tests.server.door import Door
from tests.voicemail.counter import EXTENSION, Counter

SLOTS = ("701", "702")


class Counters(Counter):
    """The desk of voicemail; each caller speaks in a room of its own."""

    house: House

    def record(self, leg: Leg, voice: Voice, listener: Listener) -> None:
        self.recording[voice.id] = listener, self.now
        leg.join(next(self.house.switchboard.media_rooms))


class Engine:
    """What the media engine knows: the room of each leg, and which rooms are recorded."""

    def __init__(self) -> None:
        self.rooms: dict[int, int | None] = {}
        self.recorded: dict[int, int] = {}
        """The room of each recording that goes on."""
        self.plays: dict[int, int] = {}
        """What is being played to each leg."""
        self.endless: set[int] = set()
        """Plays that do not end by themselves."""
        self.wrong: list[str] = []

    def take(self, command: media.Command) -> list[media.Event]:
        """Do as told, and say what follows at once."""
        leg = getattr(command, "leg", None)
        if leg is not None and leg not in self.rooms and not isinstance(command, media.OpenLeg):
            self.wrong.append(f"{type(command).__name__} for leg {leg}, which is not open")
            return []
        match command:
            case media.OpenLeg(leg=leg):
                if leg in self.rooms:
                    self.wrong.append(f"leg {leg} is opened twice")
                self.rooms[leg] = None
            case media.JoinRoom(leg=leg, room=room):
                self.rooms[leg] = room
            case media.LeaveRoom(leg=leg):
                self.rooms[leg] = None
            case media.CloseLeg(leg=leg):
                del self.rooms[leg]
                self.plays.pop(leg, None)
            case media.Play(leg=leg, play=play) | PlayStream(leg=leg, play=play):
                before = self.plays.get(leg)
                self.plays[leg] = play
                if isinstance(command, media.Play) and (command.loop or command.sounds[-1:] == ["music"]):
                    self.endless.add(play)
                if before is not None:
                    return [media.PlayEnded(leg=leg, play=before, reason="replaced")]
            case media.StopPlay(leg=leg):
                before = self.plays.pop(leg, None)
                if before is not None:
                    return [media.PlayEnded(leg=leg, play=before, reason="stopped")]
            case media.StartRecording(recording=number, room=room):
                if room in self.recorded.values():
                    return [media.RecordingFailed(recording=number, reason="this room is recorded already")]
                self.recorded[number] = room
                return [media.RecordingStarted(recording=number)]
            case media.StopRecording(recording=number) if number in self.recorded:
                del self.recorded[number]
                return [_ended(number, "stopped")]
        return self._empty()

    def _empty(self) -> list[media.Event]:
        empty = [number for number, room in self.recorded.items() if room not in self.rooms.values()]
        for number in empty:
            del self.recorded[number]
        return [_ended(number, "room_ended") for number in empty]


def _ended(number: int, reason: media.RecordingEndReason) -> media.RecordingEnded:
    return media.RecordingEnded(recording=number, reason=reason, frames=50, dropped_frames=0, legs=[])


class Background:
    """Work that waits for nothing is done at once."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            work.send(None)
        except StopIteration:
            return
        raise AssertionError("it waits for something")


class House(Door):
    """The server with all its parts, of which those that need a store have it in memory."""

    def __init__(self, directory: Directory) -> None:
        self.engine = Engine()
        self.begun: list[Record] = []
        self._later: list[Callable[[float], None]] = []
        self._voices = count(1)
        super().__init__()
        self.directory = directory
        board = self.switchboard
        board.calls = Calls(self.begun)
        board.calls.on_news = lambda: None
        self.lot = ParkingLot(board, SLOTS, self.come_back, back_after_s=20)
        self.keys = board.in_call = KeyFeatures(board, self, self.lot)
        self.queues = Queues(board, self, self.ring_agents)
        self.tape = Tape()
        self.desk = board.overhearing = RecordingDesk(
            board, self.tape, lambda: self.directory, kind_of, emergency_numbers=("112",)
        )
        self.counter = Counters()
        self.counter.house = self
        self.office = VoicemailOffice(self.counter, board, self.counter.guard)
        dialled = Dialled(
            switchboard=board,
            lot=self.lot,
            directory=lambda: self.directory,
            plans=lambda: self,
            agents=self,
            acts=self,
            background=Background(),  # type: ignore[arg-type]
            pick_up_all=True,
        )
        Attendants(board, lambda: self.directory).register(self.destinations)
        self.destinations.register(Feature, dialled.build)
        self.destinations.register(Wait, self._wait)
        self.destinations.register(LeaveMessage, self._leave)
        self.destinations.register(CheckMessages, self._check)

    # What parts ask for

    def may_use_keys(self, leg: Leg) -> bool:
        return leg.party.account is not None and not leg.call.emergency

    def come_back(self, account: str, leg: Leg, label: str, now: float) -> Application | None:
        return self._ring((account,), 45.0, Target("extension", account), leg, label, now)

    def meet(self, leg: Leg, now: float) -> bool:
        return False

    def busy(self, extension: str) -> bool:
        return any(not leg.over for leg in self.switchboard.legs_of(extension))

    def reachable(self, extension: str) -> bool:
        return bool(self.registrar.bindings(extension, self.phone.now))

    def do_not_disturb(self, extension: str) -> bool:
        return False

    def ring_agents(
        self, agents: tuple[str, ...], for_s: float, leg: Leg, queue: Queue, now: float
    ) -> Bridge:
        made = self._ring(agents, for_s, Target("queue", queue.name), leg, queue.name, now)
        assert isinstance(made, Bridge)
        return made

    def _ring(
        self, numbers: tuple[str, ...], for_s: float, called: Target, leg: Leg, label: str, now: float
    ) -> Application | None:
        step = Ring(rounds=(Round(numbers, for_s),), called=called, call_waiting=called.kind != "queue")
        asked = Asked(Private(numbers[0]), leg.party.number, leg.party.account, leg.party.trunk)
        call = Call(asked, party_named(leg.party, label, self.directory), leg.flow)
        made = self.destinations.build(step, call, nowhere, now)
        return None if isinstance(made, Refusal) else made

    def act(self, operation: Callable[[float], int]) -> int:
        self._later.append(operation)  # type: ignore[arg-type]
        return 1

    async def put(self, kind: str, name: str, fields: Mapping[str, Any], by: str) -> object:
        raise OSError("the database is away")

    async def set_agent(self, agent: str, there: bool) -> bool:
        self._later.append(lambda now: (self.queues.log_in if there else self.queues.log_out)(agent, now))
        return True

    def _wait(self, step: Wait, call: Call, onward: Onward, now: float) -> Waiting:
        return self.queues.wait(step.queue, onward)

    def _leave(self, step: LeaveMessage, call: Call, onward: Onward, now: float) -> Leaving:
        return Leaving(self.office, EXTENSION, step.why, onward)

    def _check(self, step: CheckMessages, call: Call, onward: Onward, now: float) -> Listening:
        return Listening(self.office, EXTENSION, own=call.asked.account == step.extension)

    # What happens

    def _flush(self) -> list[Effect]:
        sent: list[Effect] = []
        while True:
            seen = len(self.commands)
            sent += super()._flush()
            self._playing.clear()
            events = [event for command in self.commands[seen:] for event in self.engine.take(command)]
            if not events and not self._later:
                return sent
            later, self._later = self._later, []
            now = self.phone.now
            for event in events:
                self.switchboard.media_event(event, now)
            for operation in later:
                operation(now)

    def says(self, event: media.Event) -> None:
        """The engine says something."""
        self.switchboard.media_event(event, self.phone.now)
        self.phone.do(self._flush())

    def pass_time(self, seconds: float) -> None:
        """Let everything happen that happens in this time."""
        end = self.phone.now + seconds
        while True:
            alarm = self.switchboard.deadline()
            until = end if alarm is None else min(max(alarm, self.phone.now), end)
            self.network.run(until - self.phone.now)
            self.counter.now = self.phone.now
            self.counter.settle()
            self.switchboard.expire(self.phone.now)
            self.switchboard.sip(self.watching.expire(self.phone.now))
            self.phone.do(self._flush())
            if until >= end:
                return

    def rows_are_there(self, *, away: bool = False) -> None:
        """The store has made the rows of recordings that are to begin."""
        while self.tape.waiting:
            then, now = self.tape.waiting.pop(0), self.phone.now
            voice = f"{next(self._voices):016x}"
            self.desk.settle(now)
            then("the database is away" if away else Begun(voice, f"/voices/{voice}", KEY), now)
            self.desk.settle(now)
            self.phone.do(self._flush())


class Calls(CallLog):
    """Remembers every call that began."""

    def __init__(self, begun: list[Record]) -> None:
        super().__init__()
        self._begun = begun

    def begin(self, now: float) -> Record:
        call = super().begin(now)
        self._begun.append(call)
        return call
