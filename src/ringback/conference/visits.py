"""Visits: how the holder of a meeting's link gets in by browser, with an account for this meeting alone.

A visit is a short-lived SIP account and a secret that steers it in the web's API. Who drops out keeps the
seat for a while: name, mute, hand and admission come back with the secret of the earlier visit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ringback.conference.participant import Participant
from ringback.conference.roles import Role
from ringback.governance.identity import SIP_REALM
from ringback.governance.private import Private, same_secret
from ringback.governance.throttle import SourceList, source_key
from ringback.sip.digest import Credential, make_ha1
from ringback.store.directory import Meeting

LIFETIME_S: Final = 600.0
"""How long a visit lives without a renewal; in the meeting it does not age."""

SEAT_KEPT_S: Final = 300.0
"""How long somebody who dropped out finds everything as it was."""

MAX_VISITS: Final = 5_000
VISITS_PER_SOURCE: Final = 200
PREFIX: Final = "v-"
NAMELESS: Final = "Guest"


@dataclass(frozen=True, slots=True)
class Seat:
    """What a participant had when leaving, at a time in seconds."""

    muted: bool
    hand: bool
    admitted: bool
    left_at: float


@dataclass(slots=True, eq=False)
class Visit:
    """One page on its way into a meeting, or in it.

    `why` says what ended its last call, if that was not the visitor: "removed", "refused" (in the
    lobby), "locked" or "ended" (the meeting was deleted).
    """

    id: str
    secret: Private[str]
    credential: Credential
    meeting_id: str
    number: str
    role: Role
    name: str
    source: str
    expires_at: float
    participant: Participant | None = None
    why: str = ""
    _seat: Seat | None = None

    def alive(self, now: float) -> bool:
        """Whether it is in the meeting or its time is not over."""
        return self.participant is not None or now < self.expires_at

    def renew(self, now: float) -> float:
        """Begin its time anew; returns how long that is."""
        self.expires_at = now + LIFETIME_S
        return LIFETIME_S

    def sit_down(self, participant: Participant, now: float) -> None:
        """The participant is at the door: whoever sat here before goes, what was left here is taken up."""
        earlier, seat = self.participant, self.seat(now)
        self.participant = participant
        self.why = ""
        if earlier is not None:
            earlier.guidance.replaced(now)
        if seat is not None:
            participant.muted = seat.muted
            participant.hand = seat.hand
            participant.admitted = seat.admitted

    def stand_up(self, participant: Participant, now: float) -> None:
        """The participant is gone; the seat is kept, unless another one has taken it or it was taken away."""
        if participant is not self.participant:
            return
        self._seat = None if self.why else _seat_of(participant, now)
        self.participant = None
        self.renew(now)

    def dismiss(self, why: str) -> None:
        """Somebody sent the visitor away: the seat is not kept."""
        self.why = why
        self._seat = None

    def seat(self, now: float) -> Seat | None:
        """What comes back with this visit now."""
        if self.participant is not None:
            return None if self.why else _seat_of(self.participant, now)
        if self._seat is None or now - self._seat.left_at > SEAT_KEPT_S:
            return None
        return self._seat

    def inherit(self, earlier: Visit, now: float) -> None:
        """Take over what an earlier visit of the same person had."""
        self._seat = earlier.seat(now)


@dataclass(frozen=True, slots=True)
class Opened:
    """A new visit, its SIP password, of which only a digest is kept, and the visit it takes the place of."""

    visit: Visit
    password: Private[str]
    replaced: Visit | None


class Visits:
    """All visits; bounded, also by source: who makes too many loses the oldest that is not in a meeting."""

    def __init__(self, new_token: Callable[[], str], allow: SourceList | None = None) -> None:
        """`new_token` gives unguessable texts of letters and digits; sources in `allow` are not counted."""
        self._new_token = new_token
        self._allow = allow or SourceList()
        self._by_id: dict[str, Visit] = {}
        self._by_secret: dict[Private[str], Visit] = {}
        self._of_source: dict[str, dict[str, Visit]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def open(
        self,
        meeting: Meeting,
        role: Role,
        name: str,
        source: str,
        now: float,
        seat: Private[str] | None = None,
    ) -> Opened | None:
        """A visit for somebody with a right link; None when there are too many.

        `seat` is the secret of an earlier visit to this meeting: the new one takes its place. The role is
        always the link's.
        """
        if not self._make_room(source, now):
            return None
        visit_id, password = PREFIX + self._new_token(), self._new_token()
        visit = Visit(
            id=visit_id,
            secret=Private(self._new_token()),
            credential=Credential(visit_id, make_ha1(visit_id, SIP_REALM, password)),
            meeting_id=meeting.id,
            number=meeting.number,
            role=role,
            name=name or NAMELESS,
            source=source,
            expires_at=now + LIFETIME_S,
        )
        earlier = self._by_secret.get(seat) if seat is not None else None
        if earlier is not None and earlier.meeting_id == meeting.id and earlier.alive(now):
            visit.inherit(earlier, now)
            visit.name = name or earlier.name
            self._forget(earlier)
        else:
            earlier = None
        self._by_id[visit.id] = visit
        self._by_secret[visit.secret] = visit
        self._of_source.setdefault(source_key(source), {})[visit.id] = visit
        return Opened(visit, Private(password), earlier)

    def find(self, visit_id: str, secret: Private[str], now: float) -> Visit | None:
        """The visit with this id, for who knows its secret."""
        visit = self.account(visit_id, now)
        return visit if visit is not None and same_secret(secret, visit.secret) else None

    def account(self, username: str, now: float) -> Visit | None:
        """The visit whose SIP account this is, while it lives."""
        visit = self._by_id.get(username)
        return visit if visit is not None and visit.alive(now) else None

    def _make_room(self, source: str, now: float) -> bool:
        of_source = self._of_source.get(source_key(source), {})
        if len(of_source) >= VISITS_PER_SOURCE and source not in self._allow:
            return self._forget_oldest(of_source, now)
        return len(self._by_id) < MAX_VISITS or self._forget_oldest(self._by_id, now)

    def _forget_oldest(self, visits: dict[str, Visit], now: float) -> bool:
        """Forget all that are over, else the oldest that is not in a meeting; False if all are."""
        over = [visit for visit in visits.values() if not visit.alive(now)]
        if not over:
            over = [visit for visit in visits.values() if visit.participant is None][:1]
        for visit in over:
            self._forget(visit)
        return bool(over)

    def _forget(self, visit: Visit) -> None:
        self._by_id.pop(visit.id, None)
        self._by_secret.pop(visit.secret, None)
        key = source_key(visit.source)
        of_source = self._of_source.get(key, {})
        of_source.pop(visit.id, None)
        if not of_source:
            self._of_source.pop(key, None)


def _seat_of(participant: Participant, now: float) -> Seat:
    return Seat(participant.muted, participant.hand, participant.admitted, now)
