"""What the web and the command line may ask of the running system, answered from what the parts know."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from ringback import __version__
from ringback.call.effects import Notice
from ringback.call.leg import Leg
from ringback.call.switchboard import Switchboard
from ringback.conference import participant as people
from ringback.conference.meetings import Meetings
from ringback.conference.roles import Role
from ringback.conference.room import Room
from ringback.governance.private import Private
from ringback.governance.shown import fit_to_show
from ringback.governance.sources import SipSources
from ringback.server.bans import ban_metrics, ban_view
from ringback.server.exchange import Exchange
from ringback.server.features import Features
from ringback.server.line_quality import line_metrics, line_series
from ringback.server.media_pool import MediaPool
from ringback.server.outside_operations import OutsideOperations
from ringback.server.sip_trace import SipTrace
from ringback.sip.registration import Registrar
from ringback.web.events import Event, EventHub
from ringback.web.operations import (
    Ban,
    Call,
    InvalidSourceError,
    LineQuality,
    LineSeries,
    MediaWorker,
    Metric,
    Missed,
    OperationError,
    Participant,
    ProcessIds,
    QueueStatus,
    Registration,
    SipMessage,
    Status,
    TraceFilter,
    UnknownCallError,
    UnknownParticipantError,
    UnknownSourceError,
)

# Happenings an administrator has to know of; their facts hold nothing private.
_WARNINGS = frozenset(
    {
        "media.refused", "trunk.down", "toll.refused", "source.banned", "recording.failed",
        "records.database_away", "records.spool_failed", "records.lost", "records.interrupted",
        "backup.failed", "backup.damaged",
    }
)  # fmt: skip
_NEWS = frozenset(
    {
        "trunk.up", "records.database_back", "records.spool_back",
        "recording.started", "recording.stopped", "recording.discarded",
        "backup.made", "backup.verified",
    }
)  # fmt: skip

log = structlog.get_logger(__name__)


class ServerOperations:
    """Implements the web's `Operations`; acts go through the exchange, which carries their effects out."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        switchboard: Switchboard,
        meetings: Meetings,
        registrar: Registrar,
        media: MediaPool,
        sources: SipSources,
        addresses: Callable[[], Mapping[str, str]],
        sip_metrics: Callable[[], Iterable[Metric]],
        sip_trace: SipTrace,
        outside: OutsideOperations,
        record_metrics: Callable[[], Iterable[Metric]],
        voicemail_metrics: Callable[[], Iterable[Metric]],
        features: Callable[[], Features],
    ) -> None:
        self.waiting_for: tuple[str, ...] = ("start",)
        self._features = features
        self._exchange = exchange
        self._switchboard = switchboard
        self._meetings = meetings
        self._registrar = registrar
        self._media = media
        self._sources = sources
        self._addresses = addresses
        self._sip_metrics = sip_metrics
        self._record_metrics = record_metrics
        self._voicemail_metrics = voicemail_metrics
        self._sip_trace = sip_trace
        self.outside = outside
        self._events = EventHub()
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self._counted: dict[str, int] = {}

    @property
    def events(self) -> EventHub:
        """Where the system tells what happens."""
        return self._events

    # What is

    def status(self) -> Status:
        """How it is doing."""
        now = time.monotonic()
        waiting = self.waiting_for if self._media.ready else (*self.waiting_for, "media worker")
        return Status(
            version=__version__,
            started_at=self._started_at,
            uptime_s=now - self._started,
            pids=ProcessIds(os.getpid(), tuple(self._media.pids)),
            addresses=dict(self._addresses()),
            calls=len(self._incoming()),
            legs=len(self._switchboard.legs),
            meetings=len(self._meetings.rooms),
            registrations=sum(len(self._registrar.bindings(user, now)) for user in self._registrar.users()),
            waiting_for=waiting,
            media=tuple(MediaWorker(load.pid, load.legs, load.busy_fraction) for load in self._media.loads),
            takeovers=self._media.takeovers,
            trunks=tuple(self.outside.trunks()),
        )

    def participants(self, meeting: str) -> list[Participant]:
        """Who is in a meeting, in the order of arrival; empty while nobody is."""
        room = self._meetings.rooms.get(meeting)
        return [participant_view(person) for person in room.people.values()] if room else []

    def locked(self, meeting: str) -> bool:
        """Whether the meeting is locked."""
        room = self._meetings.rooms.get(meeting)
        return room is not None and room.locked

    def calls(self) -> list[Call]:
        """The calls in progress, oldest first."""
        return [_call(leg) for leg in self._incoming()]

    def make_meeting(self, call: str) -> None:
        """Make a meeting of a call; raises UnknownCallError, or OperationError where nobody talks."""
        leg = self._leg_of_call(call)
        company = self._features().company
        if not self._exchange.act(lambda now: int(company.meet(company.host_of(leg), now))):
            raise OperationError("nobody talks in this call, or it becomes a meeting already")

    def queues(self) -> list[QueueStatus]:
        """How all queues do, by name."""
        return self._features().queues.shown()

    def participant_quality(self, meeting: str, participant: str, seconds: float) -> LineSeries:
        """The last seconds of a participant's line; raises UnknownParticipantError."""
        room, chosen = self._chosen(meeting, participant)
        if room is None:
            raise UnknownParticipantError("nobody in this meeting has that id")
        return line_series(self._switchboard.history, chosen[0].leg.id, seconds, time.monotonic())

    def call_quality(self, call: str, seconds: float) -> LineSeries:
        """The last seconds of a call's line; raises UnknownCallError."""
        leg = self._leg_of_call(call)
        return line_series(self._switchboard.history, leg.id, seconds, time.monotonic())

    def _leg_of_call(self, call: str) -> Leg:
        leg = next((leg for leg in self._incoming() if str(leg.id) == call), None)
        if leg is None:
            raise UnknownCallError("no call has that id")
        return leg

    def registrations(self) -> list[Registration]:
        """The devices that can be called now."""
        now, clock = datetime.now(UTC), time.monotonic()
        return [
            Registration(
                number=user,
                transport=binding.flow.transport,
                contact=Private(fit_to_show(str(binding.uri), 200)),
                user_agent=fit_to_show(binding.user_agent),
                expires_at=now + timedelta(seconds=binding.expires_at - clock),
            )
            for user in self._registrar.users()
            for binding in self._registrar.bindings(user, clock)
        ]

    def bans(self) -> list[Ban]:
        """The sources that are shut out now, longest first."""
        bans = self._sources.bans(time.monotonic())
        return [ban_view(ban, self._started_at, self._started) for ban in bans]

    def metrics(self) -> Iterable[Metric]:
        """What the parts count, beside what is in `status`."""
        yield Metric(
            "ringback_happenings",
            "counter",
            "Things that happened, by kind: legs, meetings, participants.",
            tuple(({"kind": kind}, float(count)) for kind, count in sorted(self._counted.items())),
        )
        yield Metric(
            "ringback_media_restarts",
            "counter",
            "Media workers that died and were replaced.",
            (({}, float(self._media.restarts)),),
        )
        yield from ban_metrics(self._sources, time.monotonic())
        yield from self._sip_metrics()
        yield from line_metrics(self._switchboard.history)
        yield from self.outside.metrics()
        yield from self._record_metrics()
        yield from self._voicemail_metrics()
        yield Metric(
            "ringback_media_takeovers",
            "counter",
            "Legs that went on in another media worker after theirs had died.",
            (({}, float(self._media.takeovers)),),
        )
        yield Metric(
            "ringback_media_moves",
            "counter",
            "Groups of legs that moved from a media worker to another.",
            (({}, float(self._media.moves)),),
        )
        loads = [({"worker": str(number)}, load) for number, load in enumerate(self._media.loads)]
        yield Metric(
            "ringback_media_legs",
            "gauge",
            "Legs that a media worker has.",
            tuple((worker, float(load.legs)) for worker, load in loads),
        )
        yield Metric(
            "ringback_media_busy_ratio",
            "gauge",
            "Share of its time that a media worker works; near 1 it is full.",
            tuple((worker, load.busy_fraction) for worker, load in loads),
        )
        yield Metric(
            "ringback_media_late_ticks",
            "counter",
            "20 ms ticks that a media worker began late.",
            tuple((worker, float(load.late_ticks)) for worker, load in loads),
        )
        yield Metric(
            "ringback_media_overdue_ticks",
            "counter",
            "Times that a tick of a media worker began more than 40 ms late.",
            tuple((worker, float(load.overdue_ticks)) for worker, load in loads),
        )
        yield Metric(
            "ringback_media_sockets",
            "gauge",
            "UDP sockets that a media worker has open.",
            tuple((worker, float(load.sockets)) for worker, load in loads),
        )

    def trace(
        self, wanted: TraceFilter, *, last_s: float = 0.0, follow: bool = True, reveal: bool = False
    ) -> AsyncIterator[SipMessage | Missed]:
        """SIP messages as they come and go."""
        return self._sip_trace.messages(wanted, last_s=last_s, follow=follow, reveal=reveal, now=time.time())

    # What is done

    def ban(self, source: str, minutes: float) -> Ban:
        """Shut a source out; raises OperationError for what is no address or one free of limits."""
        now = time.monotonic()
        try:
            made = self._sources.ban(source, now + 60.0 * minutes, now)
        except ValueError as error:
            raise InvalidSourceError(str(error)) from None
        return ban_view(made, self._started_at, self._started)

    def lift(self, source: str) -> None:
        """End a ban; raises UnknownSourceError."""
        if not self._sources.lift(source, time.monotonic()):
            raise UnknownSourceError(f"{fit_to_show(source)} is not banned")

    def admit(self, meeting: str, participant: str | None) -> int:
        """Let one (None: all) in from the lobby; how many were."""
        room, chosen = self._chosen(meeting, participant)
        return self._exchange.act(lambda now: room.admit(chosen, now)) if room else 0

    def mute(self, meeting: str, participant: str | None) -> int:
        """Mute one, or all but the hosts; how many were."""
        room, chosen = self._chosen(meeting, participant)
        if participant is None:
            chosen = [person for person in chosen if person.role is not Role.HOST]
        return self._exchange.act(lambda _: room.mute(chosen, True)) if room else 0

    def unmute(self, meeting: str, participant: str | None) -> int:
        """Unmute one or all; how many were."""
        room, chosen = self._chosen(meeting, participant)
        return self._exchange.act(lambda _: room.mute(chosen, False)) if room else 0

    def remove(self, meeting: str, participant: str | None) -> int:
        """End the call of one or all; how many were."""
        room, chosen = self._chosen(meeting, participant)
        return self._exchange.act(lambda now: room.remove(chosen, now)) if room else 0

    def lock(self, meeting: str, locked: bool) -> None:
        """Lock or unlock a meeting in progress."""
        room = self._meetings.rooms.get(meeting)
        if room is None:
            raise OperationError("nobody is in this meeting: there is nothing to lock")

        def act(_: float) -> int:
            room.lock(locked)
            return 1

        self._exchange.act(act)

    def publish(self, notice: Notice) -> None:
        """Count a happening and pass it to whoever listens."""
        if notice.kind in _WARNINGS:
            log.warning(notice.kind, **notice.facts)
        elif notice.kind in _NEWS:
            log.info(notice.kind, **notice.facts)
        self._counted[notice.kind] = self._counted.get(notice.kind, 0) + 1
        if not len(self._events):
            return
        facts = dict(notice.facts)
        meeting, person = facts.pop("meeting", None), facts.pop("participant", None)
        room = self._meetings.rooms.get(str(meeting)) if meeting is not None else None
        known = room.people.get(str(person)) if room is not None and person is not None else None
        details = {k: v for k, v in facts.items() if isinstance(v, str | int | float | bool) or v is None}
        if known is None and person is not None:
            details["participant"] = str(person)
        self._events.publish(
            Event(
                notice.kind,
                meeting=str(meeting) if meeting is not None else None,
                participant=participant_view(known) if known is not None else None,
                details=details,
            )
        )

    # Looking things up

    def _incoming(self) -> list[Leg]:
        return [leg for leg in self._switchboard.legs.values() if leg.dialled is not None]

    def _chosen(self, meeting: str, participant: str | None) -> tuple[Room | None, list[people.Participant]]:
        room = self._meetings.rooms.get(meeting)
        chosen = room.select(participant) if room is not None else []
        if participant is not None and not chosen:
            raise UnknownParticipantError("nobody in this meeting has that id")
        return room, chosen


def participant_view(person: people.Participant) -> Participant:
    """A participant as the web is told."""
    leg = person.leg
    line = leg.line
    return Participant(
        id=person.id,
        role="host" if person.role is Role.HOST else "guest",
        state=_STATES.get(person.presence, "prompt"),
        name=leg.party.name.reveal() if leg.party.name else "",
        # Visitors have none.
        number=leg.party.number if leg.party.number.reveal() else None,
        muted=person.muted,
        hand=person.hand,
        talking=person.talking,
        level_dbfs=person.level_dbfs if person.talking else None,
        codec=leg.media.send.codec if leg.media else None,
        joined_at=_wall_clock(person.since),
        via="browser" if leg.webrtc else "phone",
        received=LineQuality(lost_percent=line.lost_percent, jitter_ms=line.jitter_ms),
        sent=LineQuality(lost_percent=line.remote_lost_percent, jitter_ms=line.remote_jitter_ms),
        round_trip_ms=line.round_trip_ms,
    )


_STATES: Mapping[people.Presence, Literal["prompt", "lobby", "in"]] = {
    people.Presence.ARRIVING: "prompt",
    people.Presence.LOBBY: "lobby",
    people.Presence.IN: "in",
}


def _call(leg: Leg) -> Call:
    answered = leg.answered_at
    return Call(
        id=str(leg.id),
        state="answered" if answered is not None else "ringing",
        started_at=_wall_clock(leg.created),
        from_number=leg.party.number,
        to_number=leg.dialled or Private(""),
        from_name=leg.party.name.reveal() if leg.party.name else "",
        answered_at=_wall_clock(answered) if answered is not None else None,
        codec=leg.media.send.codec if leg.media else None,
    )


def _wall_clock(monotonic: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - monotonic)
