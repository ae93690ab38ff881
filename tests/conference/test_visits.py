"""Visits by a meeting's link: accounts, their time, and seats that are kept."""

from __future__ import annotations

from itertools import count

import pytest

from ringback.call.leg import Leg
from ringback.call.party import LegState, Party
from ringback.conference import visits as rules
from ringback.conference.entry import Entry
from ringback.conference.meetings import EntryTimings
from ringback.conference.roles import Role
from ringback.conference.visits import LIFETIME_S, SEAT_KEPT_S, Visit, Visits
from ringback.governance.private import Private
from ringback.sip.digest import make_ha1
from ringback.sip.flow import Flow

from .stage import HOST_PIN, NUMBER, Caller, Stage, meeting


class Lobby(Stage):
    """A stage that pages come to."""

    def __init__(self, admission: str = "direct") -> None:
        super().__init__(meeting(admission=admission))
        tokens = count(1)
        self.visits = Visits(lambda: f"token{next(tokens)}")

    def visit(
        self, name: str = "Ada", role: Role = Role.GUEST, seat: Visit | None = None, source: str = "192.0.2.7"
    ) -> Visit:
        known = self.directory.meeting(NUMBER)
        assert known is not None
        secret = seat.secret if seat is not None else None
        opened = self.visits.open(known, role, name, source, self.now, secret)
        assert opened is not None
        if opened.replaced is not None and opened.replaced.participant is not None:
            opened.replaced.participant.guidance.replaced(self.now)
        return opened.visit

    def come(self, visit: Visit) -> Caller:
        entry = Entry(
            meetings=self.meetings,
            find_meeting=lambda number: self.directory.meeting(number),  # noqa: PLW0108 - it may change
            guard=self.guard,
            alarm=self,
            timings=EntryTimings(),
            meeting=self.directory.meeting(NUMBER),
            pin=None,
            visit=visit,
        )
        flow = Flow("wss", ("192.0.2.254", 443), ("192.0.2.7", 5060), 1)
        leg = Leg(next(self._legs), self, Party(Private("")), entry, flow, self.now)  # type: ignore[arg-type]
        leg.state = LegState.CONNECTED
        entry.connected(leg, self.now)
        return Caller(self, leg, entry)

    def waiting(self) -> int:
        return len(self.meetings.rooms[NUMBER].waiting()) if NUMBER in self.meetings.rooms else 0


def test_a_visitor_hears_the_room_at_once() -> None:
    stage = Lobby()
    ada = stage.come(stage.visit())
    assert ada.in_room
    assert ada.hears() == []


def test_the_door_is_the_same_as_for_phones() -> None:
    stage = Lobby("lobby")
    host = stage.come(stage.visit(role=Role.HOST))
    assert host.in_room
    ada = stage.come(stage.visit())
    assert not ada.in_room
    assert ada.hears() == ["prompt:wait-for-host", "music"]
    assert host.hears() == ["tone:chime"]
    room = stage.meetings.rooms[NUMBER]
    room.admit(room.select(None), stage.now)
    assert ada.in_room
    room.lock(True)
    visit = stage.visit("Eve")
    eve = stage.come(visit)
    assert eve.hears() == ["prompt:locked", "prompt:goodbye"]
    assert visit.why == "locked"


def test_phones_and_pages_share_one_lobby() -> None:
    stage = Lobby("lobby")
    host = stage.call(pin=HOST_PIN).listen()
    stage.come(stage.visit())
    assert stage.waiting() == 1
    assert host.hears() == ["tone:chime"]


def test_a_meeting_that_is_gone_cannot_be_visited() -> None:
    stage = Lobby()
    visit = stage.visit()
    stage.directory = stage.directory.without_meeting(NUMBER)
    ada = stage.come(visit)
    assert not ada.in_room
    assert ada.hears() == ["prompt:wrong-number", "prompt:goodbye"]


def test_who_drops_out_finds_the_seat_as_it_was() -> None:
    stage = Lobby("lobby")
    stage.come(stage.visit(role=Role.HOST))
    first = stage.visit()
    ada = stage.come(first)
    room = stage.meetings.rooms[NUMBER]
    room.admit(room.select(str(ada.leg.id)), stage.now)
    room.mute(room.select(str(ada.leg.id)), True)
    room.raise_hand(room.select(str(ada.leg.id))[0], True)
    ada.hang_up()
    room.lock(True)
    stage.wait(SEAT_KEPT_S - 1)
    second = stage.visit(name="", seat=first)
    back = stage.come(second)
    assert second.name == "Ada"
    assert back.in_room
    assert back.muted
    assert room.people[str(back.leg.id)].hand


def test_a_seat_is_not_kept_for_ever() -> None:
    stage = Lobby("lobby")
    stage.come(stage.visit(role=Role.HOST))
    first = stage.visit()
    ada = stage.come(first)
    room = stage.meetings.rooms[NUMBER]
    room.admit(room.select(None), stage.now)
    ada.hang_up()
    stage.wait(SEAT_KEPT_S + 1)
    assert not stage.come(stage.visit(seat=first)).in_room


def test_who_was_removed_has_no_seat() -> None:
    stage = Lobby("lobby")
    stage.come(stage.visit(role=Role.HOST))
    first = stage.visit()
    ada = stage.come(first)
    room = stage.meetings.rooms[NUMBER]
    room.admit(room.select(None), stage.now)
    room.remove(room.select(str(ada.leg.id)), stage.now)
    assert first.why == "removed"
    ada.hang_up()
    assert not stage.come(first).in_room
    assert not stage.come(stage.visit(seat=first)).in_room


def test_it_is_told_apart_whether_the_host_refused_or_the_meeting_is_no_more() -> None:
    stage = Lobby("lobby")
    waiting, other = stage.visit(), stage.visit(role=Role.HOST)
    ada = stage.come(waiting)
    stage.come(other)
    room = stage.meetings.rooms[NUMBER]
    room.remove(room.select(str(ada.leg.id)), stage.now)
    assert waiting.why == "refused"
    stage.meetings.follow(lambda _number: None, stage.now)
    assert other.why == "ended"


def test_the_link_decides_the_role_and_not_the_seat() -> None:
    stage = Lobby()
    host = stage.visit(role=Role.HOST)
    stage.come(host)
    assert stage.visit(seat=host).role is Role.GUEST


def test_a_second_call_takes_the_place_of_the_first_in_the_same_room() -> None:
    stage = Lobby()
    visit = stage.visit(role=Role.HOST)
    first = stage.come(visit)
    stage.meetings.rooms[NUMBER].lock(True)
    second = stage.come(visit)
    first.hang_up()
    assert second.in_room
    assert first.gone
    assert [p.leg for p in stage.meetings.rooms[NUMBER].present()] == [second.leg]
    assert stage.meetings.rooms[NUMBER].locked
    assert visit.participant is not None
    assert visit.participant.leg is second.leg


def test_an_account_ends_with_its_time_unless_it_is_renewed_or_in_the_meeting() -> None:
    stage = Lobby()
    idle, renewed, talking = stage.visit(), stage.visit(), stage.visit()
    ada = stage.come(talking)
    stage.wait(LIFETIME_S - 1)
    renewed.renew(stage.now)
    stage.wait(2)
    alive = [visit for visit in (idle, renewed, talking) if stage.visits.account(visit.id, stage.now)]
    assert alive == [renewed, talking]
    ada.hang_up()
    stage.wait(LIFETIME_S + 1)
    assert stage.visits.account(talking.id, stage.now) is None


def test_only_its_secret_opens_a_visit_and_nothing_private_is_printed() -> None:
    stage = Lobby()
    visit = stage.visit()
    assert stage.visits.find(visit.id, visit.secret, stage.now) is visit
    assert stage.visits.find(visit.id, Private("guess"), stage.now) is None
    assert stage.visits.find("v-nobody", visit.secret, stage.now) is None
    known = stage.directory.meeting(NUMBER)
    assert known is not None
    opened = stage.visits.open(known, Role.GUEST, "Ada", "192.0.2.7", stage.now)
    assert opened is not None
    assert opened.password.reveal() not in repr(opened)
    assert opened.visit.secret.reveal() not in repr(opened)
    expected = make_ha1(opened.visit.id, "ringback", opened.password.reveal())
    assert opened.visit.credential.ha1_md5 == expected


def test_one_source_cannot_crowd_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "VISITS_PER_SOURCE", 5)
    monkeypatch.setattr(rules, "MAX_VISITS", 8)
    stage = Lobby()
    inside = stage.visit()
    stage.come(inside)
    other = stage.visit(source="192.0.2.8")
    for _ in range(50):
        stage.visit()
    assert len(stage.visits) == 6
    for visit in (inside, other):
        assert stage.visits.account(visit.id, stage.now) is visit
