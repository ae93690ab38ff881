"""What can be entered alone: meetings, and the echo test."""

from __future__ import annotations

from collections.abc import Callable

from ringback.call.echo import EchoTest
from ringback.call.onward import Onward
from ringback.call.switchboard import Switchboard
from ringback.conference.entry import Entry
from ringback.conference.meetings import EntryTimings, Meetings
from ringback.conference.pin_guard import PinGuard
from ringback.conference.roles import Role
from ringback.routing.steps import Echo, EnterMeeting
from ringback.server.destinations import Call, Destinations
from ringback.store.directory import Directory, Meeting


class Entrances:
    """Carries out `EnterMeeting`, `Echo` and `Refuse`."""

    def __init__(
        self,
        *,
        meetings: Meetings,
        guard: PinGuard,
        switchboard: Switchboard,
        timings: EntryTimings,
        directory: Callable[[], Directory],
    ) -> None:
        self._meetings = meetings
        self._guard = guard
        self._switchboard = switchboard
        self._timings = timings
        self._directory = directory

    def register(self, destinations: Destinations) -> None:
        """Say what is carried out here."""
        destinations.register(EnterMeeting, self.enter)
        destinations.register(Echo, _echo)

    def enter(self, step: EnterMeeting, call: Call, onward: Onward, now: float) -> Entry:
        """The meeting's door."""
        del onward, now
        return Entry(
            meetings=self._meetings,
            find_meeting=lambda number: self._directory().meeting(number),
            guard=self._guard,
            alarm=self._switchboard,
            timings=self._timings,
            meeting=step.meeting,
            pin=call.pin if step.meeting is not None else None,
            visit=call.visit,
        )

    def let_in(self, meeting: Meeting, role: Role) -> Entry:
        """The meeting's door for somebody whose call has become the meeting."""
        return Entry(
            meetings=self._meetings,
            find_meeting=lambda number: self._directory().meeting(number),
            guard=self._guard,
            alarm=self._switchboard,
            timings=self._timings,
            meeting=meeting,
            pin=None,
            role=role,
        )


def _echo(step: Echo, call: Call, onward: Onward, now: float) -> EchoTest:
    del step, call, onward, now
    return EchoTest()
