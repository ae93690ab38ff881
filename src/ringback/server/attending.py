"""Menus and announcements as the server has them; the words of the plan are spoken before anybody calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ringback.attendant.announcement import Announcing
from ringback.attendant.menu import Asking
from ringback.call.onward import Onward
from ringback.call.switchboard import Switchboard
from ringback.routing.steps import Ask, Say
from ringback.server.destinations import Call, Destinations
from ringback.store.directory import Directory
from ringback.store.plan.menu import Announcement, Menu
from ringback.store.plan.plan import Plan


class Attendants:
    """Carries out `Ask` and `Say`."""

    def __init__(self, switchboard: Switchboard, directory: Callable[[], Directory]) -> None:
        self._switchboard = switchboard
        self._directory = directory

    def register(self, destinations: Destinations) -> None:
        """Say what is carried out here."""
        destinations.register(Ask, self.ask)
        destinations.register(Say, self.say)

    def ask(self, step: Ask, call: Call, onward: Onward, now: float) -> Asking:
        """A menu for one caller."""
        del call, now
        return Asking(step.menu, self._switchboard, self._is_extension, onward)

    def say(self, step: Say, call: Call, onward: Onward, now: float) -> Announcing:
        """An announcement for one caller."""
        del call, now
        return Announcing(step.announcement, onward)

    def _is_extension(self, number: str) -> bool:
        extension = self._directory().extension(number)
        return extension is not None and extension.enabled


def words_of(plan: Plan) -> Iterator[str]:
    """All that menus and announcements say."""
    for menu in plan.all(Menu).values():
        yield menu.words
    for announcement in plan.all(Announcement).values():
        yield announcement.words
