"""Random calls through the whole house: whatever people do, nothing raises, and nothing stays behind.

Phones call, answer, refuse, hang up, press keys, hold, transfer, park, wait in queues and leave messages, in
any order. `RINGBACK_RANDOM_CALLS` says for how many seconds seeds are tried (5), `RINGBACK_RANDOM_SEED` with
which one it begins.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.consultation import Consultation
from ringback.call.leg import Leg
from ringback.call.park import Parked
from ringback.call.party import LegState
from ringback.call.recorded import records_of
from ringback.call.three_way import ThreeWay
from ringback.governance.private import Private
from ringback.media import protocol as media
from ringback.queueing.waiting import Waiting
from ringback.sip.authentication import ClientAuthentication
from ringback.sip.effects import Effect, IncomingCall, OfferReceived
from ringback.sip.errors import SessionStateError
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.replaces import Replaces
from ringback.sip.session import InviteSession
from ringback.sip.session_state import SessionState
from ringback.store.directory import Directory
from ringback.store.plan.answering import Answering
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.plan import Plan
from ringback.store.plan.voice import MailboxPlan, RecordingPolicy
from tests.call.office import offer
from tests.conference.stage import GUEST_PIN, NUMBER, meeting
from tests.server.door import SERVER, Visitor, extension
from tests.server.house import EXTENSION, House
from tests.server.test_outside import CARRIER, trunk

NUMBERS = (EXTENSION, "101", "102", "103", "104", "105", "106")
SECONDS = float(os.environ.get("RINGBACK_RANDOM_CALLS", "5"))
FIRST_SEED = int(os.environ.get("RINGBACK_RANDOM_SEED", "0"))
STEPS = 150

PLAN = (
    Group(name="sales", number="810", members=("102", "103"), strategy="all", otherwise="queue:support"),
    Queue(
        name="support", number="800", agents=("103", "104"), ring_s=6, wrap_up_s=3, max_waiting=3,
        max_wait_s=25, announce_every_s=10, leave_by="0", otherwise=f"mailbox:{EXTENSION}",
    ),
    Queue(name="other", number="801", agents=("104", "105"), strategy="all", ring_s=5, wrap_up_s=2),
    Menu(
        name="main", number="820", words="Press something.", tries=2, wait_s=2, dial_extensions=True,
        keys={
            "1": "extension:102", "2": "queue:support", "3": f"mailbox:{EXTENSION}",
            "4": "announcement:closed",
        },
        otherwise="group:sales",
    ),
    Announcement(name="closed", number="830", words="We are closed.", then="menu:main"),
    Answering(name="105", no_answer="queue:other", no_answer_after_s=6, busy="extension:106"),
    Answering(name="106", always="extension:101"),
    MailboxPlan(name=EXTENSION, max_messages=5),
    RecordingPolicy(name="mild", everybody=True, mode="opt-out", approved_by="ann", notice="Recorded."),
    RecordingPolicy(name="strict", extensions=("101",), mode="always", approved_by="ann", notice="Strictly."),
)  # fmt: skip
DIALLED = (
    *NUMBERS, *NUMBERS, "810", "800", "800", "801", "820", "830", NUMBER, f"{NUMBER}*{GUEST_PIN}", "*97",
    "*98", "*43", "*8", "**102", "*68", "*88701", "701", "702", "*22", "*23", "*72103", "112",
    "+15559999", "9999",
)  # fmt: skip
KEYS = ("0", "1", "2", "3", "5", "9", "#", "*9", "*8", "*1", "*4", "*4", "*7", "*7", "*0", "*3", "*5")
SEQUENCES = ("##", "*2")


class Person:
    """A phone, and what it is in."""

    def __init__(self, house: House, host: str, number: str, rng: random.Random) -> None:
        self.house, self.host, self.number, self.rng = house, host, number, rng
        self.sessions: list[InviteSession] = []
        self.credentials = ClientAuthentication(number, Private("secret"))
        visitor = Visitor(house, host)
        self.phone = visitor.phone
        self.phone.on_event = self._on_event
        if number in NUMBERS:
            assert visitor.register(number) == 200

    def _on_event(self, phone: object, event: Effect) -> list[Effect]:
        now = self.phone.now
        if isinstance(event, OfferReceived) and event.sdp is not None:
            return event.session.answer_offer(offer(self.host), now)
        if not isinstance(event, IncomingCall):
            return []
        self.sessions.append(event.session)
        manner = self.rng.random()
        if manner < 0.4:
            return event.session.accept(offer(self.host), now)
        if manner < 0.85:
            return event.session.ring(now)
        return event.session.reject(self.rng.choice([480, 486, 488, 503, 603]), now)

    def of(self, *states: SessionState) -> list[InviteSession]:
        self.sessions = [one for one in self.sessions if one.state is not SessionState.ENDED]
        return [one for one in self.sessions if one.state in states]

    def dial(self, number: str) -> None:
        session, effects = self.phone.endpoint.invite(
            target=SipUri(user=number, host=SERVER),
            to=NameAddr(SipUri(user=number, host=SERVER)),
            from_=NameAddr(SipUri(user=self.number, host=SERVER)),
            flow=self.phone.flow_to(self.house.phone),
            now=self.phone.now,
            sdp=offer(self.host) if self.rng.random() < 0.9 else None,
            credentials=self.credentials,
        )
        self.sessions.append(session)
        self.phone.do(effects)

    def refer(self, session: InviteSession, target: str, consulted: InviteSession | None) -> None:
        uri = SipUri(user=target, host=SERVER)
        if consulted is not None:
            uri = Replaces.of(consulted).in_uri(uri)
        # One transfer at a time.
        with suppress(SessionStateError):
            self.phone.do(session.refer(NameAddr(uri), self.phone.now))


class Town:
    """Everybody, and what they do next."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = rng = random.Random(seed)
        extensions = [extension(number) for number in NUMBERS]
        self.house = House(Directory.of(extensions, [meeting()], plan=Plan.of(PLAN)))
        self.people = [Person(self.house, f"192.0.2.{n}", number, rng) for n, number in enumerate(NUMBERS, 1)]
        self.carrier = Person(self.house, CARRIER, "+15551234", rng)
        self.house.with_trunk(trunk(prefixes=("",), dids={"+15550100": "800", "+15550101": "102"}))
        self.done: list[str] = []
        self.acts: list[Callable[[], str]] = [
            *[self.dial] * 4, *[self.answer] * 4, self.refuse, *[self.hang_up] * 3, *[self.press] * 5,
            *[self.hold] * 2, *[self.refer] * 2, *[self.wait] * 4, *[self.sound_ends] * 5,
            *[self.consult] * 2, *[self.consulted] * 2, *[self.rows] * 3, self.agents,
            self.lose_media, self.message,
        ]  # fmt: skip

    def somebody(self) -> Person:
        return self.rng.choice([*self.people, self.carrier])

    def session(self, *states: SessionState) -> tuple[Person, InviteSession] | None:
        found = [(who, one) for who in (*self.people, self.carrier) for one in who.of(*states)]
        return self.rng.choice(found) if found else None

    # What people do

    def step(self) -> None:
        act = self.rng.choice(self.acts)
        self.done.append(f"{act.__name__} {act()}")
        self.house.phone.do(self.house._flush())
        self.house.pass_time(self.rng.choice([0.0, 0.05, 0.3]))

    def dial(self) -> str:
        who = self.somebody()
        number = self.rng.choice(["+15550100", "+15550101"] if who is self.carrier else DIALLED)
        who.dial(number)
        return f"{who.number} {number}"

    def answer(self) -> str:
        found = self.session(SessionState.RINGING)
        if found is None:
            return ""
        who, session = found
        who.phone.do(session.accept(offer(who.host), who.phone.now))
        return who.number

    def refuse(self) -> str:
        found = self.session(SessionState.RINGING)
        if found is None:
            return ""
        who, session = found
        who.phone.do(session.reject(self.rng.choice([486, 603, 480]), who.phone.now))
        return who.number

    def hang_up(self) -> str:
        found = self.session(*SessionState)
        if found is None or found[1].state is SessionState.ENDED:
            return ""
        who, session = found
        who.phone.do(session.hangup(who.phone.now))
        return f"{who.number} {session.state.value}"

    def press(self) -> str:
        legs = [leg for leg in self.house.switchboard.legs.values() if leg.state is LegState.CONNECTED]
        if not legs:
            return ""
        # Who talks with somebody has more to press.
        talking = [leg for leg in legs if isinstance(leg.application, Bridge | ThreeWay)]
        leg = self.rng.choice(talking or legs)
        keys = self.rng.choice(KEYS)
        if self.rng.random() < 0.6:
            number = self.rng.choice(DIALLED).replace("*", "")
            keys = self.rng.choice(SEQUENCES) + number[: self.rng.choice([1, 9, 9, 9, 9, 9])] + "#"
        for key in keys:
            self.house.says(media.Digit(leg=leg.id, digit=key, duration_ms=100))
            self.house.pass_time(self.rng.choice([0.0, 0.1, 0.1, 2.0]))
        return f"{leg.party.number.reveal()} {keys}"

    def consult(self) -> str:
        """Somebody who talks asks a colleague, a queue or a mailbox."""
        legs = self.house.switchboard.legs.values()
        talking = [
            leg for leg in legs if leg.state is LegState.CONNECTED and isinstance(leg.application, Bridge)
        ]
        if not talking:
            return ""
        leg = self.rng.choice(talking)
        number = self.rng.choice([*NUMBERS, "800", "810"])
        for key in f"*2{number}#":
            self.house.says(media.Digit(leg=leg.id, digit=key, duration_ms=100))
        self.house.pass_time(0.3)
        return f"{leg.party.number.reveal()} {number}, answered by {self.answer()}, then {self.consulted()}"

    def consulted(self) -> str:
        """Who asks a third makes up its mind."""
        asking = [
            person.leg
            for person in self.house.keys._people.values()
            if person.consultation is not None and not person.consultation.over and not person.leg.over
        ]
        if not asking:
            return ""
        leg = self.rng.choice(asking)
        keys = self.rng.choice(["*3", "*3", "*0", "*5", ""])
        for key in keys:
            self.house.says(media.Digit(leg=leg.id, digit=key, duration_ms=100))
        if not keys and leg.session is not None:
            leg.hangup(self.house.phone.now)
        return f"{leg.party.number.reveal()} {keys}"

    def hold(self) -> str:
        found = self.session(SessionState.CONFIRMED)
        if found is None:
            return ""
        who, session = found
        direction = self.rng.choice(["sendonly", "sendrecv", "inactive"])
        who.phone.do(session.reinvite(offer(who.host, direction=direction), who.phone.now))
        return f"{who.number} {direction}"

    def refer(self) -> str:
        found = self.session(SessionState.CONFIRMED)
        if found is None:
            return ""
        who, session = found
        others = [one for one in who.of(SessionState.CONFIRMED) if one is not session]
        consulted = self.rng.choice(others) if others and self.rng.random() < 0.5 else None
        number = self.rng.choice(DIALLED)
        who.refer(session, number, consulted)
        return f"{who.number} {number} {'attended' if consulted else 'blind'}"

    def wait(self) -> str:
        seconds = self.rng.choice([0.5, 1.6, 3.2, 7.0, 15.0])
        self.house.pass_time(seconds)
        return f"{seconds} s"

    def sound_ends(self) -> str:
        engine = self.house.engine
        playing = [(leg, play) for leg, play in engine.plays.items() if play not in engine.endless]
        for leg, play in playing if self.rng.random() < 0.5 else playing[:1]:
            if engine.plays.get(leg) == play:
                del engine.plays[leg]
                reason = self.rng.choice(["finished", "finished", "finished", "digit"])
                self.house.says(media.PlayEnded(leg=leg, play=play, reason=reason))  # type: ignore[arg-type]
        return str(len(playing))

    def rows(self) -> str:
        away = self.rng.random() < 0.2
        self.house.rows_are_there(away=away)
        return "away" if away else ""

    def agents(self) -> str:
        agent, there = self.rng.choice(["103", "104"]), self.rng.random() < 0.7
        queues = self.house.queues
        (queues.log_in if there else queues.log_out)(agent, self.house.phone.now)
        return f"{agent} {there}"

    def lose_media(self) -> str:
        legs = list(self.house.switchboard.legs)
        if not legs or self.rng.random() < 0.5:
            return ""
        lost = self.rng.sample(legs, 1)
        self.house.switchboard.media_lost(lost, self.house.phone.now)
        return str(lost)

    def message(self) -> str:
        """Somebody speaks into a mailbox, or the recording breaks off."""
        for voice, (listener, _) in list(self.house.counter.recording.items())[:1]:
            listener.speaking(self.rng.random() < 0.5, self.house.phone.now)
            if self.rng.random() < 0.1:
                self.house.counter.end_recording(voice, fails=True)
        return ""

    def everybody_goes(self) -> None:
        """All hang up, what is left gives up, and the engine and the store are done."""
        for who in (*self.people, self.carrier):
            for session in who.of(*SessionState):
                who.phone.do(session.hangup(who.phone.now))
        for _ in range(40):
            self.house.rows_are_there()
            self.sound_ends()
            self.house.pass_time(2.0)
            for who in (*self.people, self.carrier):
                for session in who.of(*SessionState):
                    who.phone.do(session.hangup(who.phone.now))
            if not self.house.switchboard.legs:
                break
        self.house.pass_time(130.0)

    # What has to be so

    def wrong(self) -> Iterator[str]:
        """What is not as it should be, at any time."""
        house = self.house
        yield from (f"fault {fault.leg}: {fault.error!r}" for fault in house.faults)
        yield from house.engine.wrong
        board = house.switchboard
        for leg in board.legs.values():
            if leg.over:
                continue
            if not _has(leg.application, leg):
                kind = type(leg.application).__name__
                yield f"leg {leg.id} ({leg.state.value}) is with a {kind} that has it not"
            if _is_stranded(leg):
                yield f"leg {leg.id} waits for nobody"
            if house.engine.rooms.get(leg.id) != leg.room:
                yield f"leg {leg.id} should be in room {leg.room}, is in {house.engine.rooms.get(leg.id)}"
        gone = set(house.engine.rooms) - set(board.legs)
        if gone:
            yield f"the engine has legs that are gone: {gone}"

    def left_over(self) -> Iterator[str]:
        """What stays behind when everybody has gone."""
        house = self.house
        board = house.switchboard
        board.calls.overdue(house.phone.now, 0.0)
        kept = {
            "legs": board.legs, "sessions": board._by_session, "accounts": board._by_account,
            "dialled": board._dialling, "trunks": +board._on_trunk, "engine": house.engine.rooms,
            "recordings": house.engine.recorded, "told": board.recordings._told, "calls": board.calls.live,
            "talks": house.desk.talks, "rooms": house.desk._rooms, "where": house.desk._where,
            "answers": house.desk._answers, "keys": house.keys._people, "slots": house.lot._parked,
            "voices": house.counter.recording,
        }  # fmt: skip
        yield from (f"{name}: {value}" for name, value in kept.items() if value)
        for name, line in house.queues._lines.items():
            if line.waiting or any(agent.ringing for agent in line.agents._agents.values()):
                yield f"queue {name}: {line.waiting} {line.agents._agents}"
        voices = Counter(voice for voice, *_ in house.tape.finished)
        for number, _ in enumerate(house.tape.begun, 1):
            if voices[f"{number:016x}"] > 1:
                yield f"recording {number} is finished {voices[f'{number:016x}']} times"
        over = board.calls.take_over()
        if Counter(call.id for call in over) != Counter(call.id for call in house.begun):
            yield f"{len(house.begun)} calls, {len(over)} records"
        for record in records_of(over):
            if record.outcome == "interrupted" or not record.legs or record.ended_ms is None:
                yield f"the record of call {record.id} has no end: {record.outcome}"


def _is_stranded(leg: Leg) -> bool:
    """Whether nobody will ever talk with a leg that is in a bridge, alone of three, or in a queue."""
    bridge = leg.application
    if isinstance(bridge, ThreeWay):
        return all(one.over for one in bridge.legs if one is not leg)
    if isinstance(bridge, Waiting) and bridge.leg is leg:
        return bridge.attempt is not None and not bridge.attempt._ringing
    if not isinstance(bridge, Bridge) or leg.state is not LegState.CONNECTED:
        return False
    others = [one for one in (bridge._caller, bridge._callee) if one is not None and one is not leg]
    away = bridge._transfer
    if isinstance(away, Consultation):
        others.append(away.leg)
    elif away is not None:
        # Who was sent on comes back, or who asked for it goes.
        return False
    return not bridge._ringing and all(one.over for one in others)


def _has(application: Application, leg: Leg) -> bool:
    """Whether an application knows the leg that is with it."""
    match application:
        case Bridge():
            return leg in (application._caller, application._callee) or leg.id in application._ringing
        case Waiting() if leg.state is LegState.CONNECTED:
            return application.leg is leg
        case Parked():
            return application.leg is leg
        case ThreeWay():
            return leg in application.legs
    return type(application) is not Application


def live(seed: int) -> None:
    """One seed: a while of random calls, then everybody goes."""
    town = Town(seed)
    for _ in range(STEPS):
        town.step()
        check(town, town.wrong())
    town.everybody_goes()
    check(town, town.wrong())
    check(town, town.left_over())


def check(town: Town, wrong: Iterator[str]) -> None:
    found = list(wrong)
    if not found:
        return
    for fault in town.house.faults:
        raise AssertionError(f"seed {town.seed}, after {town.done[-12:]}") from fault.error
    pytest.fail(f"seed {town.seed}, after {town.done[-12:]}: {found}")


def test_whatever_people_do_nothing_raises_and_nothing_stays_behind() -> None:
    end, seed = time.monotonic() + SECONDS, FIRST_SEED
    while time.monotonic() < end or seed == FIRST_SEED:
        live(seed)
        seed += 1
    print(f"{seed - FIRST_SEED} seeds from {FIRST_SEED}")


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_same_for_longer() -> None:
    end, seed = time.monotonic() + 120, 10_000
    while time.monotonic() < end:
        live(seed)
        seed += 1
    print(f"{seed - 10_000} seeds")
