"""Visits joined to the running system: what visitors see of their meeting, and what they do in it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final, Literal

from ringback.call.effects import Notice
from ringback.conference.meetings import Meetings
from ringback.conference.participant import Participant, Presence
from ringback.conference.roles import Permission, Role, may
from ringback.conference.room import Room
from ringback.conference.visits import Visit, Visits
from ringback.governance.identity import SIP_REALM
from ringback.governance.private import Private
from ringback.governance.throttle import SourceList
from ringback.server.exchange import Exchange
from ringback.server.operations import participant_view
from ringback.store.directory import Meeting
from ringback.web.operations import OperationError, UnknownParticipantError
from ringback.web.visiting import (
    Act,
    NewVisit,
    NotAllowedError,
    RoomPicture,
    TooManyError,
    VisitState,
    You,
)

_EMPTY: Final = RoomPicture()
_STATES: Final[dict[Presence, Literal["prompt", "lobby", "in"]]] = {
    Presence.ARRIVING: "prompt",
    Presence.LOBBY: "lobby",
    Presence.IN: "in",
}


def make_visits(allow: SourceList) -> Visits:
    """Visits with names, passwords and secrets of 128 random bits."""
    return Visits(lambda: secrets.token_hex(16), allow)


class ServerVisits:
    """Implements the web's `Visiting`; acts go through the exchange, which carries their effects out."""

    def __init__(
        self,
        visits: Visits,
        meetings: Meetings,
        exchange: Exchange,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._visits = visits
        self._meetings = meetings
        self._exchange = exchange
        self._clock = clock
        # By meeting: set and replaced when something changes. A picture is good until its event is set.
        self._changes: dict[str, asyncio.Event] = {}
        self._pictures: dict[str, tuple[asyncio.Event, RoomPicture]] = {}

    # Coming

    def open(
        self,
        meeting: Meeting,
        role: Literal["host", "guest"],
        name: str,
        source: str,
        seat: Private[str] | None,
    ) -> NewVisit:
        """Let somebody with a right link in as far as the door; raises TooManyError."""
        now = self._clock()
        as_role = Role.HOST if role == "host" else Role.GUEST
        opened = self._visits.open(meeting, as_role, name, source, now, seat)
        if opened is None:
            raise TooManyError("too many people are on their way in; try again in a minute")
        sitting = opened.replaced.participant if opened.replaced is not None else None
        if sitting is not None:
            self._do(sitting.guidance.replaced)
        visit = opened.visit
        return NewVisit(
            id=visit.id,
            secret=visit.secret,
            password=opened.password,
            realm=SIP_REALM,
            expires_in_s=visit.expires_at - now,
            name=visit.name,
        )

    def knows(self, visit: str, secret: Private[str]) -> bool:
        """Whether there is such a visit with this secret."""
        return self._visits.find(visit, secret, self._clock()) is not None

    def renew(self, visit: str) -> float:
        """Begin its time anew; seconds until it is over."""
        return self._need(visit).renew(self._clock())

    # Seeing

    def state(self, visit: str) -> VisitState | None:
        """What its visitor may see now; None when it is over."""
        known = self._visits.account(visit, self._clock())
        if known is None:
            return None
        return VisitState(_you(known), self._picture(known.number))

    def changed(self, visit: str) -> asyncio.Event:
        """Set when something in its meeting changes after this call."""
        known = self._visits.account(visit, self._clock())
        return self._change_of(known.number) if known is not None else asyncio.Event()

    def note(self, notice: Notice) -> None:
        """Something happened: in a meeting, it is told to its visitors."""
        meeting = notice.facts.get("meeting")
        if isinstance(meeting, str):
            self.touch(meeting)

    def touch(self, number: str) -> None:
        """Something in a meeting changed."""
        self._pictures.pop(number, None)
        change = self._changes.pop(number, None)
        if change is not None:
            change.set()

    def touch_all(self) -> None:
        """Something changed that is seen in every meeting."""
        for number in list(self._changes):
            self.touch(number)

    def _change_of(self, number: str) -> asyncio.Event:
        return self._changes.setdefault(number, asyncio.Event())

    def _picture(self, number: str) -> RoomPicture:
        room = self._meetings.rooms.get(number)
        if room is None:
            return _EMPTY
        change = self._change_of(number)
        known = self._pictures.get(number)
        if known is not None and known[0] is change:
            return known[1]
        picture = RoomPicture(
            locked=room.locked,
            present=tuple(participant_view(person) for person in room.present()),
            waiting=tuple(participant_view(person) for person in room.waiting()),
        )
        self._pictures[number] = change, picture
        return picture

    # Doing

    def act(self, visit: str, act: Act, participant: str | None) -> None:
        """Do what the visitor asks for; raises OperationError, NotAllowedError, UnknownParticipantError."""
        known = self._need(visit)
        person = known.participant
        room = self._meetings.rooms.get(known.number)
        if person is None or room is None or person.id not in room.people:
            raise OperationError("you are not in the meeting")
        if act in _OF_ONESELF:
            self._do(lambda now: _act_on_oneself(room, person, act, now))
            return
        if not may(person.role, _NEEDS[act]) or person.presence is not Presence.IN:
            raise NotAllowedError("only a host in the meeting may do this")
        if act in ("lock", "unlock"):
            self._do(lambda _: room.lock(act == "lock"))
            return
        chosen = room.waiting() if act == "admit_all" else room.select(participant or "")
        if not chosen and act != "admit_all":
            raise UnknownParticipantError("nobody in this meeting has that id")
        self._do(lambda now: _act_on_others(room, chosen, act, now))

    def _do(self, operation: Callable[[float], object]) -> None:
        def counted(now: float) -> int:
            operation(now)
            return 1

        self._exchange.act(counted)

    def _need(self, visit: str) -> Visit:
        known = self._visits.account(visit, self._clock())
        if known is None:
            raise UnknownParticipantError("this visit is over; open the link again")
        return known


_OF_ONESELF: Final = frozenset({"mute", "unmute", "hand", "lower", "leave"})
_NEEDS: Final[dict[str, Permission]] = {
    "admit": Permission.ADMIT,
    "admit_all": Permission.ADMIT,
    "mute_other": Permission.MUTE_OTHERS,
    "remove": Permission.REMOVE,
    "lock": Permission.LOCK,
    "unlock": Permission.LOCK,
}


def _act_on_oneself(room: Room, person: Participant, act: Act, now: float) -> None:
    match act:
        case "mute" | "unmute":
            room.mute([person], act == "mute")
        case "hand" | "lower":
            if person.hand is not (act == "hand"):
                room.raise_hand(person, act == "hand")
        case _:
            person.leg.hangup(now, "left")


def _act_on_others(room: Room, people: list[Participant], act: Act, now: float) -> None:
    match act:
        case "admit" | "admit_all":
            room.admit(people, now)
        case "mute_other":
            room.mute(people, True)
        case _:
            room.remove(people, now)


def _you(visit: Visit) -> You:
    role: Literal["host", "guest"] = "host" if visit.role is Role.HOST else "guest"
    person = visit.participant
    state = _STATES.get(person.presence) if person is not None else None
    if person is None or state is None:
        return You(visit.name, role, "outside", why=visit.why)
    return You(visit.name, role, state, person.id, person.muted, person.hand, visit.why)
