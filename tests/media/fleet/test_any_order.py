"""Whatever happens in whatever order, every leg is with one worker, which knows all that was said of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ringback.media.engine import Engine
from ringback.media.protocol import (
    CloseLeg,
    Codec,
    Command,
    CommandFailed,
    Direction,
    JoinRoom,
    LeaveRoom,
    LegOpened,
    OpenLeg,
    Play,
    PlayEnded,
    PlayToRoom,
    SetMedia,
    SetVoice,
    StopPlay,
)
from tests.media.world import PAYLOAD_TYPES, AudioFormat

from .town import Town

ROOMS = st.integers(1, 3)
PICK = st.integers(0, 1000)
COLUMNS = (
    "ready",
    "send_codec",
    "send_payload_type",
    "event_payload_type",
    "signalled_ip",
    "signalled_port",
    "remote_ip",
    "remote_port",
    "rtcp_port",
    "sends",
    "receives",
    "muted",
    "deaf",
    "echo",
    "gain",
    "secure",
    "webrtc",
)


def state(engine: Engine, leg: int) -> dict[str, Any]:
    """What an engine was told of a leg."""
    slot = engine.legs.slots[leg]
    room = int(engine.legs.room[slot])
    playback = engine.hearing.playbacks.get(slot)
    return {
        **{name: getattr(engine.legs, name)[slot].item() for name in COLUMNS},
        "formats": engine.legs.formats[slot].tobytes(),
        "room": int(engine.rooms.identifier[room]) if room >= 0 else None,
        "play": playback.play if playback else None,
    }


class AnyOrder(RuleBasedStateMachine):
    size = 2

    def __init__(self) -> None:
        super().__init__()
        self.town = Town(self.size)
        self.alone = Engine(lambda pair: (50000 + 2 * pair, 50001 + 2 * pair))
        self.legs: list[int] = []
        self.next_leg = 1
        self.next_play = 1
        self.next_port = 1024
        self.ended: set[PlayEnded] = set()

    def give(self, command: Command) -> None:
        """The same to the many and to the one."""
        self.town.fleet.command(command, self.town.now)
        self.alone.apply(command, self.town.now_ns)

    def one(self, pick: int) -> int:
        return self.legs[pick % len(self.legs)]

    def opened(self) -> list[int]:
        told = {event.leg for event in self.town.of(LegOpened)}
        return [leg for leg in self.legs if leg in told]

    # What the control process says

    @rule(hint=st.integers(0, 3), known=st.booleans(), join=st.booleans())
    def open(self, hint: int, known: bool, join: bool) -> None:
        leg, self.next_leg, port = self.next_leg, self.next_leg + 1, self.next_port
        address = {"remote_ip": "10.0.0.1", "remote_port": port} if known else {}
        self.give(OpenLeg(leg=leg, group=hint, **address))  # type: ignore[arg-type]
        self.legs.append(leg)
        if join and hint:
            self.town.settle()
            self.negotiate(leg, "PCMU", "sendrecv", port)
            self.give(JoinRoom(leg=leg, room=hint))

    def negotiate(self, leg: int, codec: Codec, direction: Direction, port: int) -> None:
        form = AudioFormat(codec=codec, payload_type=PAYLOAD_TYPES[codec])
        self.next_port = max(self.next_port, port + 2)
        self.give(
            SetMedia(
                leg=leg,
                send=form,
                receive=[form],
                telephone_event=101,
                remote_ip="10.0.0.1",
                remote_port=port,
                remote_rtcp_port=port + 1,
                direction=direction,
            )
        )

    @precondition(lambda self: self.opened())
    @rule(
        pick=PICK,
        codec=st.sampled_from(["PCMU", "G722"]),
        direction=st.sampled_from(["sendrecv", "inactive"]),
    )
    def set_media(self, pick: int, codec: Codec, direction: Direction) -> None:
        opened = self.opened()
        self.negotiate(opened[pick % len(opened)], codec, direction, self.next_port)

    @precondition(lambda self: self.legs)
    @rule(pick=PICK, room=ROOMS)
    def join(self, pick: int, room: int) -> None:
        self.give(JoinRoom(leg=self.one(pick), room=room))

    @precondition(lambda self: self.legs)
    @rule(pick=PICK, what=st.sampled_from([LeaveRoom, StopPlay, CloseLeg]))
    def undo(self, pick: int, what: Any) -> None:
        leg = self.one(pick)
        self.give(what(leg=leg))
        if what is CloseLeg:
            self.legs.remove(leg)

    @precondition(lambda self: self.legs)
    @rule(pick=PICK, muted=st.booleans(), deaf=st.booleans())
    def voice(self, pick: int, muted: bool, deaf: bool) -> None:
        self.give(SetVoice(leg=self.one(pick), muted=muted, deaf=deaf))

    @precondition(lambda self: self.legs)
    @rule(pick=PICK)
    def play(self, pick: int) -> None:
        self.give(Play(leg=self.one(pick), play=self.next_play, sounds=["tone:entry"]))
        self.next_play += 1

    @rule(room=ROOMS)
    def play_to_room(self, room: int) -> None:
        self.give(PlayToRoom(room=room, sounds=["tone:chime"]))

    # What happens to it on the way

    @rule(pick=PICK, events=st.booleans(), count=st.integers(1, 5))
    def let(self, pick: int, events: bool, count: int) -> None:
        workers = sorted(self.town.processes)
        for _ in range(count if workers else 0):
            worker = workers[pick % len(workers)]
            process = self.town.processes[worker]
            if events and process.events:
                self.town.let_event(worker)
            elif not events and process.commands:
                self.town.let_command(worker)

    @precondition(lambda self: self.town.processes)
    @rule(pick=PICK)
    def die(self, pick: int) -> None:
        workers = sorted(self.town.processes)
        # Not so often that the legs are taken for the cause.
        self.town.now_ns += 16_000_000_000
        self.town.die(workers[pick % len(workers)])

    @precondition(lambda self: len(self.town.processes) < self.size)
    @rule(pick=PICK)
    def start(self, pick: int) -> None:
        down = sorted(set(range(self.size)) - set(self.town.processes))
        self.town.start(down[pick % len(down)])

    @precondition(lambda self: self.town.processes)
    @rule(pick=PICK, busy=st.sampled_from([0.1, 0.97, 0.97]))
    def report(self, pick: int, busy: float) -> None:
        self.town.now_ns += 1_000_000_000
        for worker in list(self.town.processes):
            self.town.say_statistics(worker, busy if worker == pick % self.size else 0.1)

    # What holds

    @invariant()
    def a_leg_is_with_one_worker_at_most(self) -> None:
        for leg in self.legs:
            assert len(self.town.where(leg)) <= 1
        ports = [port for process in self.town.processes.values() for port in process.ports.values()]
        assert len(ports) == len(set(ports))

    @rule()
    def all_arrives(self) -> None:
        if not self.town.processes:
            self.town.start(0)
        self.town.settle()
        failed = [event for event in self.town.of(CommandFailed) if event.command != "PlayToRoom"]
        assert failed == []
        assert set(self.town.lost_legs) == set()
        for leg in self.legs:
            (worker,) = self.town.where(leg)
            assert state(self.town.processes[worker].engine, leg) == state(self.alone, leg), leg
        for process in self.town.processes.values():
            assert set(process.engine.legs.slots) <= set(self.legs)
        rooms = {room for process in self.town.processes.values() for room in process.engine.rooms.slots}
        assert rooms == set(self.alone.rooms.slots)
        self.ended |= {event for event in self.alone.events() if isinstance(event, PlayEnded)}
        # Who closed a leg does not ask for what was played to it.
        assert {event for event in self.ended if event.leg in self.legs} <= set(self.town.of(PlayEnded))
        ports = {self.town.opened(leg).rtp_port for leg in self.legs}
        held = {port for process in self.town.processes.values() for port in process.ports.values()}
        assert ports <= held == self.town.bound

    def teardown(self) -> None:
        self.all_arrives()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_any_order(size: int) -> None:
    machine = type("AnyOrder", (AnyOrder,), {"size": size})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
