"""What people do by keys while they talk: transfer, consult, hold, park, three-way, meeting; sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Protocol

from ringback.call.application import Application
from ringback.call.bridge import Bridge, Line
from ringback.call.collect import TERMINATOR, DigitCollector
from ringback.call.consultation import Consultation, SentOn
from ringback.call.keys import SEQUENCES, WAIT_S, Act, SequenceKeys
from ringback.call.leg import Leg
from ringback.call.park import ParkingLot
from ringback.call.prompts import say_digits
from ringback.call.three_way import ThreeWay
from ringback.call.told import Told
from ringback.call.transfer import Unasked
from ringback.governance.private import Private
from ringback.sip.uri import NameAddr, SipUri, escape_user

FIRST_DIGIT_S: Final = 10.0
BETWEEN_DIGITS_S: Final = 3.0
LONGEST_NUMBER: Final = 24

_TALKING: Final = frozenset(
    {Act.BLIND_TRANSFER, Act.ATTENDED_TRANSFER, Act.HOLD, Act.MEETING, Act.PARK},
)
_CONSULTING: Final = frozenset({Act.BACK, Act.THREE_WAY})
_THREE: Final = frozenset({Act.MEETING})


class KeyLine(Line, Protocol):
    """What is asked of the switchboard."""

    media_rooms: count[int]

    def play_to_room(self, room: int, sounds: list[str]) -> None:
        """Play sounds once to everybody in the media room."""

    def tell(self, kind: str, **facts: object) -> None:
        """Say what happened; no private data."""


class Company(Protocol):
    """What is asked of who knows accounts and meetings."""

    def may_use_keys(self, leg: Leg) -> bool:
        """Whether keys of this leg are for us."""

    def come_back(self, account: str, leg: Leg, label: str, now: float) -> Application | None:
        """What rings the account's devices for the leg, whose name is shown behind the label."""

    def meet(self, leg: Leg, now: float) -> bool:
        """Make a meeting of whom the leg talks with; False where that cannot be."""


@dataclass(slots=True)
class _Person:
    """One leg that may use keys: what it has begun."""

    leg: Leg
    keys: dict[frozenset[Act], SequenceKeys] = field(default_factory=dict)
    other: Leg | None = None
    collector: DigitCollector | None = None
    asks_for: Act = Act.BLIND_TRANSFER
    holds: bool = False
    consultation: Consultation | None = None


class KeyFeatures(Application):
    """Takes the keys of all who are connected; it is an application only to be woken."""

    def __init__(
        self,
        line: KeyLine,
        company: Company,
        lot: ParkingLot,
        sequences: Mapping[str, Act] = SEQUENCES,
        wait_s: float = WAIT_S,
    ) -> None:
        self._line = line
        self._company = company
        self._lot = lot
        self._sequences = sequences
        self._wait_s = wait_s
        self._people: dict[int, _Person] = {}

    # What happens

    def keyed(self, application: Application, leg: Leg, other: Leg | None, digit: str, now: float) -> None:
        """Take a key of `leg`, which `other` hears if it means nothing here."""
        person = self._people.get(leg.id)
        if person is None:
            if not self._company.may_use_keys(leg):
                if other is not None:
                    other.send_digit(digit)
                return
            person = self._people[leg.id] = _Person(leg)
            leg.when_over.append(lambda now: self._gone(leg, now))
        person.other = other
        if person.collector is not None:
            self._collected(person, person.collector, digit, now)
            return
        keys = self._keys(person, application)
        act, passed_on = keys.receive(digit, now)
        if other is not None and passed_on:
            other.send_digit(passed_on)
        if keys.held:
            self._line.wake(keys.deadline, self)
        if act is not None:
            self._act(person, act, now)

    def leaves(self, leg: Leg, now: float) -> None:
        """Somebody hangs up: who waits meanwhile goes on with a queue or a mailbox that was asked."""
        consultation = self._consultation(leg)
        if consultation is not None and not isinstance(consultation.third, Bridge):
            consultation.pass_on(now)

    def left(self, bridge: Bridge, leg: Leg, other: Leg | None, now: float) -> bool:
        """Somebody who was connected is gone: whether who is left is looked after here."""
        consultation = self._consultation(leg)
        if consultation is not None and consultation.third is bridge:
            return consultation.complete(now)
        consultation = self._consultation(other) if other is not None else None
        if consultation is not None and consultation.third is bridge:
            bridge.let_go(leg)
            consultation.left_by_third(now)
            return True
        return False

    def expire(self, now: float) -> None:
        """A key was not followed by another, or no more digits of a number came."""
        for person in list(self._people.values()):
            if person.leg.over:
                continue
            if person.collector is not None:
                number = person.collector.expire(now)
                if number is not None:
                    self._dial(person, number, now)
                continue
            for keys in person.keys.values():
                act, passed_on = keys.expire(now)
                # Only to who was there when they were pressed.
                if passed_on and person.other is not None and _partner(person.leg) is person.other:
                    person.other.send_digit(passed_on)
                if act is not None:
                    self._act(person, act, now)

    def give_back(self, account: str | None, leg: Leg, now: float) -> None:
        """Nobody took a leg that an account sent on: that account is rung for it."""
        if leg.over:
            return
        back = self._company.come_back(account, leg, "Back", now) if account is not None else None
        if back is None:
            leg.hangup(now, "Nobody to go back to")
        else:
            back.take_over(leg, _LastWay(leg), now)

    def _gone(self, leg: Leg, now: float) -> None:
        person = self._people.pop(leg.id, None)
        if person is not None and person.consultation is not None and not person.consultation.over:
            person.consultation.abandoned(now)

    def _consultation(self, leg: Leg) -> Consultation | None:
        person = self._people.get(leg.id)
        consultation = person.consultation if person is not None else None
        if consultation is None or consultation.over or not consultation.waits:
            return None
        return consultation

    def _keys(self, person: _Person, application: Application) -> SequenceKeys:
        """The keys that mean something where the person is just now."""
        acts = _THREE if isinstance(application, ThreeWay) else _TALKING
        if self._consultation(person.leg) is not None:
            acts = _CONSULTING
        if acts not in person.keys:
            known = {keys: act for keys, act in self._sequences.items() if act in acts}
            person.keys[acts] = SequenceKeys(known, self._wait_s)
        return person.keys[acts]

    # What is asked for

    def _act(self, person: _Person, act: Act, now: float) -> None:
        leg, consultation = person.leg, self._consultation(person.leg)
        bridge = leg.application
        if act is Act.BACK and consultation is not None:
            consultation.back(now)
        elif act is Act.THREE_WAY and consultation is not None:
            self._three(leg, consultation, now)
        elif act is Act.MEETING:
            if not self._company.meet(leg, now):
                leg.play(["tone:error"])
        elif isinstance(bridge, Bridge) and (other := bridge.partner(leg)) is not None:
            # Alone it waits for somebody, and what it hears is not to be cut.
            if act is Act.PARK:
                self._park(leg, other, bridge, now)
            elif act is Act.HOLD:
                self._hold(person, other, bridge, now)
            else:
                self._ask_number(person, act, other, bridge, now)

    def _three(self, leg: Leg, consultation: Consultation, now: float) -> None:
        legs = consultation.joined()
        if legs is None:
            leg.play(["tone:error"])
        else:
            ThreeWay(self._line, legs, next(self._line.media_rooms))
            self._line.tell("call.three_way", leg=leg.id)
            leg.call.note("three-way", now, by=leg.party)

    def _hold(self, person: _Person, other: Leg, bridge: Bridge, now: float) -> None:
        person.holds = not person.holds
        if person.holds:
            bridge.part(other)
            person.leg.play(["tone:exit"])
        else:
            bridge.resume(now)
            person.leg.play(["tone:entry"])

    def _park(self, leg: Leg, other: Leg, bridge: Bridge, now: float) -> None:
        slot = self._lot.free()
        if slot is None:
            leg.play(["tone:error"])
            return
        bridge.let_go(other)
        self._lot.park(other, leg.party.account, slot, now)
        bridge.let_go(leg)
        Told(say_digits(slot)).tell(leg)

    # Transfers

    def _ask_number(self, person: _Person, act: Act, other: Leg, bridge: Bridge, now: float) -> None:
        bridge.part(other)
        person.holds = False
        person.asks_for = act
        person.collector = DigitCollector(
            LONGEST_NUMBER, now, first_digit_s=FIRST_DIGIT_S, between_digits_s=BETWEEN_DIGITS_S
        )
        person.leg.play(["tone:dial"], stop_on_digit=True)
        self._line.wake(person.collector.deadline, self)

    def _collected(self, person: _Person, collector: DigitCollector, digit: str, now: float) -> None:
        person.leg.stop_play()
        number = collector.receive(digit, now)
        if digit == "*" or (digit == TERMINATOR and not collector.digits):
            # Who has changed its mind talks on.
            number = ""
        if number is not None:
            self._dial(person, number, now)
        else:
            self._line.wake(collector.deadline, self)

    def _dial(self, person: _Person, number: str, now: float) -> None:
        leg, bridge = person.leg, person.leg.application
        person.collector = None
        other = bridge.partner(leg) if isinstance(bridge, Bridge) else None
        if not isinstance(bridge, Bridge) or other is None:
            return
        blind = person.asks_for is Act.BLIND_TRANSFER
        # Who is beyond a trunk acts in the name of who it talks to.
        by = leg if leg.party.account is not None else other
        target: Application | int = 404
        if number:
            address = NameAddr(SipUri(user=escape_user(number), host="localhost"))
            target = self._line.destination(by, other if blind else leg, address, now)
        if isinstance(target, int):
            bridge.resume(now)
            leg.play(["tone:error"])
        elif blind:
            way = SentOn(self, by.party.account, leg, other, bridge)
            bridge.lend(other, way)
            other.dialled = Private(number)
            leg.play(["tone:ringback"], loop=True)
            target.take_over(other, way, now)
        else:
            person.consultation = Consultation(self, bridge, leg, other, number)
            bridge.lend(leg, person.consultation)
            target.take_over(leg, person.consultation, now)


def _partner(leg: Leg) -> Leg | None:
    application = leg.application
    return application.partner(leg) if isinstance(application, Bridge) else None


class _LastWay(Unasked):
    """Behind this there is nobody."""

    def __init__(self, leg: Leg) -> None:
        self._leg = leg

    def failed(self, status: int, now: float) -> None:
        """Nobody answers."""
        self._leg.hangup(now, "Nobody answers")
