"""What keys in a call need to know of accounts, devices and meetings: who may use them, whom they reach."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import chain
from typing import Any, Final, Protocol

import structlog
from msgspec.structs import replace

from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.effects import Notice
from ringback.call.leg import Leg
from ringback.call.onward import nowhere
from ringback.call.party import Party
from ringback.call.prompts import say_digits
from ringback.call.three_way import ThreeWay
from ringback.conference.entry import Entry
from ringback.conference.roles import Role
from ringback.governance.private import Private
from ringback.routing.steps import Asked, Ring, Round
from ringback.server.destinations import Call, Destinations, Refusal
from ringback.store.directory import Directory, Meeting
from ringback.store.meetings import Meetings
from ringback.store.plan.target import Target
from ringback.store.values import Values

RING_AGAIN_S: Final = 45.0
"""How long a call that comes back rings."""
_MADE: Final = "meetings-made-of-calls"
_NAME: Final = "Meeting made of a call"

log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], object]
MakeEntry = Callable[[Meeting, Role], Entry]


class Acts(Protocol):
    """What runs an act within the exchange, so that its effects are carried out."""

    def act(self, what: Callable[[float], int]) -> int:
        """Do it now."""


class Background:
    """Work that waits for the store while calls go on; its errors are logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def stop(self) -> None:
        """Let what was begun come to its end."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work for a call failed", exc_info=error)


class ServerCompany:
    """The `Company` of keys in a call, and of parked calls that come back."""

    def __init__(
        self,
        *,
        destinations: Destinations,
        directory: Callable[[], Directory],
        from_trunks: bool,
        meetings: Meetings,
        values: Values,
        entry: MakeEntry,
        acts: Acts,
        background: Background,
    ) -> None:
        self._destinations = destinations
        self._directory = directory
        self._from_trunks = from_trunks
        self._meetings = meetings
        self._values = values
        self._entry = entry
        self._acts = acts
        self._background = background
        self._made: set[str] = set()
        self._becoming: set[int] = set()

    def may_use_keys(self, leg: Leg) -> bool:
        """Whether keys of this leg are for us: those of our extensions, and of trunks where that is set.
        In an emergency call they are for nobody but who helps."""
        if leg.call.emergency:
            return False
        if leg.party.trunk is not None:
            return self._from_trunks
        return leg.party.account is not None and self._directory().extension(leg.party.account) is not None

    def come_back(self, account: str, leg: Leg, label: str, now: float) -> Application | None:
        """What rings the account's devices for the leg, whose name is shown behind the label."""
        extension = self._directory().extension(account)
        if extension is None or not extension.enabled:
            return None
        party = party_named(leg.party, label, self._directory())
        step = Ring(rounds=(Round((account,), RING_AGAIN_S),), called=Target("extension", account))
        asked = Asked(Private(account), leg.party.number, leg.party.account, leg.party.trunk)
        made = self._destinations.build(step, Call(asked, party, leg.flow), nowhere, now)
        return None if isinstance(made, Refusal) else made

    # A meeting made of a call

    def meet(self, leg: Leg, now: float) -> bool:
        """Make a meeting of whom the leg talks with."""
        del now
        if len(_together(leg)) < 2 or any(one.id in self._becoming for one in _together(leg)):
            return False
        self._becoming.add(leg.id)
        self._background.spawn(self._meet(leg))
        return True

    def host_of(self, leg: Leg) -> Leg:
        """Who of a call is to be the host of its meeting: somebody with an extension, if there is one."""
        ours = (one for one in _together(leg) if one.party.account is not None)
        return next(ours, leg)

    async def _meet(self, leg: Leg) -> None:
        try:
            meeting = await self._meetings.add(_NAME)
            self._made.add(meeting.number)
            await self._values.set(_MADE, sorted(self._made))
        except Exception:
            log.exception("a call could not be made a meeting")
            self._acts.act(lambda _: _refuse(leg))
            return
        finally:
            self._becoming.discard(leg.id)
        self._acts.act(lambda now: self._move(leg, meeting, now))

    def _move(self, leader: Leg, meeting: Meeting, now: float) -> int:
        """Move all of the call into the meeting, in which who asked for it is the host."""
        legs = _together(leader)
        if leader.over or len(legs) < 2:
            self._background.spawn(self._remove(meeting.number))
            return 0
        leader.call.note("meeting", now, by=leader.party, to=meeting.number)
        # The host first: it is the one who may let others in.
        legs.sort(key=lambda leg: leg is not leader)
        for leg in legs:
            application = leg.application
            if isinstance(application, Bridge | ThreeWay):
                application.let_go(leg)
            leg.stop_play()
            entry = self._entry(meeting, Role.HOST if leg is leader else Role.GUEST)
            leg.application = entry
            entry.connected(leg, now)
        leader.play(
            [
                *("prompt:meeting-number", *say_digits(meeting.number)),
                *("prompt:meeting-pin", *say_digits(meeting.guest_pin.reveal())),
            ],
            stop_on_digit=True,
        )
        return len(legs)

    def note(self, notice: Notice) -> None:
        """A meeting that was made of a call is gone with its last participant."""
        if notice.kind != "meeting.ended":
            return
        number = str(notice.facts.get("meeting"))
        if number in self._made:
            self._background.spawn(self._remove(number))

    async def restore(self) -> None:
        """Remove what was left when the server ended in the middle of such a meeting."""
        for number in await self._values.get(_MADE) or ():
            await self._remove(number)

    async def _remove(self, number: str) -> None:
        self._made.discard(number)
        if self._directory().meeting(number) is not None:
            await self._meetings.remove(number)
        await self._values.set(_MADE, sorted(self._made))


def _together(leg: Leg) -> list[Leg]:
    """All who talk in the call of this leg."""
    application = leg.application
    if isinstance(application, ThreeWay):
        return [one for one in application.legs if not one.over]
    other = application.partner(leg) if isinstance(application, Bridge) else None
    return list(chain([leg] if not leg.over else [], [other] if other is not None else []))


def _refuse(leg: Leg) -> int:
    leg.play(["tone:error"])
    return 1


def party_named(party: Party, label: str, directory: Directory) -> Party:
    """A caller whose name is shown behind a label; of who is hidden only the label is.

    The name is that of the extension, else what the caller says, else the number.
    """
    extension = directory.extension(party.account or "")
    said = party.name.reveal() if party.name is not None else ""
    name = (extension.display_name if extension is not None else "") or said or party.number.reveal()
    return replace(party, account=None, name=Private(label if party.hidden else f"{label}: {name}"))
