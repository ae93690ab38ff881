"""Routing by numbers alone, until the plan decides."""

from __future__ import annotations

from collections.abc import Callable

from ringback.call.bridge import RING_PATIENCE_S
from ringback.routing.dialplan import (
    ToDialIn,
    ToEcho,
    ToExtension,
    ToMeeting,
    ToOutside,
    route,
)
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.steps import (
    Asked,
    Decision,
    Echo,
    EnterMeeting,
    GoOut,
    Outcome,
    Refuse,
    Ring,
    Round,
    Step,
)
from ringback.store.directory import Directory
from ringback.store.plan.target import Target


class PlainRouting:
    """Decides as the dial plan does."""

    def __init__(self, directory: Callable[[], Directory], services: ServiceNumbers) -> None:
        self._directory = directory
        self._services = services

    def first(self, asked: Asked) -> Decision:
        """The first step of a call."""
        return Decision(self._step(asked))

    def next(self, asked: Asked, target: Target, path: tuple[Target, ...], why: Outcome) -> Decision:
        """Nothing follows."""
        del asked, target, path, why
        return Decision(Refuse(status=480, why="nowhere"))

    def _step(self, asked: Asked) -> Step:
        match route(asked.dialled, self._directory(), self._services):
            case ToMeeting(meeting=meeting):
                return EnterMeeting(meeting=meeting)
            case ToDialIn():
                return EnterMeeting(meeting=None)
            case ToEcho():
                return Echo()
            case ToExtension(extension=extension):
                ring_round = Round((extension.number,), RING_PATIENCE_S)
                return Ring(rounds=(ring_round,), called=Target("extension", extension.number))
            case ToOutside(ways=ways):
                return GoOut(ways=ways, emergency=any(way.emergency for way in ways))
            case _:
                return Refuse(status=404, why="no such number")
