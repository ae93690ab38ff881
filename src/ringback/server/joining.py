"""Joins what carries calls out: the register of destinations with what the server itself has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ringback.call.switchboard import Switchboard
from ringback.conference.meetings import EntryTimings, Meetings
from ringback.conference.pin_guard import PinGuard
from ringback.governance.throttle import SourceList
from ringback.routing.numbering import ServiceNumbers
from ringback.routing.steps import GoOut, Refuse, Ring
from ringback.server.destinations import Destinations
from ringback.server.emergencies import Emergencies, EmergencyNotice
from ringback.server.entrances import Entrances
from ringback.server.outside import Outside
from ringback.server.phones import Phones
from ringback.server.routed import PlanRouting, Ways
from ringback.sip.flow import Flow
from ringback.sip.registration import Registrar
from ringback.sip.uri import SipUri
from ringback.store.directory import Directory


@dataclass(frozen=True, slots=True)
class Reach:
    """What phones, trunks and meetings are reached by."""

    switchboard: Switchboard
    registrar: Registrar
    meetings: Meetings
    outside: Outside
    guard: PinGuard
    timings: EntryTimings
    directory: Callable[[], Directory]
    contact_for: Callable[[Flow], SipUri]
    trusted_peers: SourceList
    notify: Callable[[EmergencyNotice], None] = lambda notice: None  # noqa: ARG005 - nobody else is told

    def entrances(self) -> Entrances:
        """The doors of meetings."""
        return Entrances(
            meetings=self.meetings,
            guard=self.guard,
            switchboard=self.switchboard,
            timings=self.timings,
            directory=self.directory,
        )


def own_ways(
    reach: Reach, destinations: Destinations, services: ServiceNumbers, clock: Callable[[], datetime]
) -> Ways:
    """The ways of calls, with what needs no other part registered: phones, trunks, meetings, the echo."""
    phones = Phones(
        switchboard=reach.switchboard,
        registrar=reach.registrar,
        directory=reach.directory,
        contact_for=reach.contact_for,
        trusted_peers=reach.trusted_peers,
    )
    entrances = reach.entrances()
    emergencies = Emergencies(reach.switchboard, phones, reach.contact_for, reach.directory, reach.notify)
    destinations.register(Ring, emergencies.ring)
    destinations.register(GoOut, emergencies.telling(reach.outside.go_out))
    destinations.register(Refuse, emergencies.refuse)
    entrances.register(destinations)
    return Ways(PlanRouting(reach.directory, services, clock, phones.turns), destinations)
