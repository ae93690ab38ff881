"""A running system without phones: participants put in by the test, for the web and its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

from ringback.web.events import Event, EventHub
from ringback.web.operations import (
    Ban,
    Call,
    LineSeries,
    MediaWorker,
    Metric,
    Missed,
    OperationError,
    Participant,
    ProcessIds,
    QueueStatus,
    ReceivedSeries,
    Registration,
    RemoteSeries,
    SentSeries,
    SipMessage,
    Status,
    TollUsage,
    TraceFilter,
    TrunkLine,
    UnknownCallError,
    UnknownParticipantError,
    UnknownSourceError,
)

STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


NOTHING_MEASURED = LineSeries(
    at=[],
    seconds=[],
    received=ReceivedSeries(*([] for _ in fields(ReceivedSeries))),
    sent=SentSeries([], [], []),
    remote=RemoteSeries(*([] for _ in fields(RemoteSeries))),
)


@dataclass(slots=True)
class FakeOutside:
    """Implements `web.operations.OutsideLines`: every trunk that was put in is up when it is asked."""

    lines: dict[str, TrunkLine] = field(default_factory=dict)
    counts: list[TollUsage] = field(default_factory=list)

    def trunks(self) -> list[TrunkLine]:
        """The trunks put in."""
        return list(self.lines.values())

    def check(self, name: str) -> None:
        """It answers."""
        self.lines[name] = TrunkLine(name, True, "", STARTED_AT, calls=0)

    def checking(self, name: str) -> bool:
        """Answers are there at once."""
        return False

    def usage(self) -> list[TollUsage]:
        """The counts put in."""
        return list(self.counts)

    def reset(self, account: str | None) -> int:
        """Take counts away."""
        before = len(self.counts)
        self.counts = [count for count in self.counts if account not in (None, count.account)]
        return before - len(self.counts)


@dataclass(slots=True)
class FakeOperations:
    """Implements `web.operations.Operations` on plain lists that a test fills."""

    events: EventHub = field(default_factory=EventHub)
    people: dict[str, list[Participant]] = field(default_factory=dict)
    locks: dict[str, bool] = field(default_factory=dict)
    calls_now: list[Call] = field(default_factory=list)
    queues_now: list[QueueStatus] = field(default_factory=list)
    devices: list[Registration] = field(default_factory=list)
    waiting_for: tuple[str, ...] = ()
    counted: tuple[Metric, ...] = ()
    tell: Callable[[], AsyncIterator[SipMessage | Missed]] | None = None
    traces: list[tuple[TraceFilter, float, bool, bool]] = field(default_factory=list)
    lines: dict[str, LineSeries] = field(default_factory=dict)
    banned: dict[str, Ban] = field(default_factory=dict)
    outside: FakeOutside = field(default_factory=FakeOutside)

    def status(self) -> Status:
        """A system that has run for a minute."""
        return Status(
            version="0.0.0",
            started_at=STARTED_AT,
            uptime_s=60.0,
            pids=ProcessIds(control=1, media=(2,)),
            addresses={"udp": "127.0.0.1:5060"},
            calls=len(self.calls_now),
            legs=sum(map(len, self.people.values())),
            meetings=len(self.people),
            registrations=len(self.devices),
            waiting_for=self.waiting_for,
            media=(MediaWorker(2, 4, 0.25),),
            takeovers=3,
            trunks=tuple(self.outside.trunks()),
        )

    def participants(self, meeting: str) -> list[Participant]:
        """Who was put into the meeting."""
        return list(self.people.get(meeting, []))

    def locked(self, meeting: str) -> bool:
        """Whether it was locked."""
        return self.locks.get(meeting, False)

    def admit(self, meeting: str, participant: str | None) -> int:
        """Let in from the lobby."""
        return self._change(
            meeting,
            participant,
            lambda someone: replace(someone, state="in") if someone.state == "lobby" else someone,
        )

    def mute(self, meeting: str, participant: str | None) -> int:
        """Mute one, or all but the hosts."""
        return self._change(
            meeting,
            participant,
            lambda someone: (
                someone if participant is None and someone.role == "host" else replace(someone, muted=True)
            ),
        )

    def unmute(self, meeting: str, participant: str | None) -> int:
        """Unmute."""
        return self._change(meeting, participant, lambda someone: replace(someone, muted=False))

    def remove(self, meeting: str, participant: str | None) -> int:
        """Take out."""
        return self._change(meeting, participant, lambda _: None)

    def lock(self, meeting: str, locked: bool) -> None:
        """Lock or unlock if somebody is there."""
        if not self.people.get(meeting):
            raise OperationError("nobody is in this meeting")
        self.locks[meeting] = locked

    def bans(self) -> list[Ban]:
        """The bans put in."""
        return list(self.banned.values())

    def ban(self, source: str, minutes: float) -> Ban:
        """Put one in, whatever it is."""
        ban = Ban(source, "operator", proven=True, until=STARTED_AT + timedelta(minutes=minutes))
        self.banned[source] = ban
        return ban

    def lift(self, source: str) -> None:
        """Take it out."""
        if self.banned.pop(source, None) is None:
            raise UnknownSourceError(f"{source} is not banned")

    def queues(self) -> list[QueueStatus]:
        """The queues put in."""
        return list(self.queues_now)

    def make_meeting(self, call: str) -> None:
        """Raises UnknownCallError for a call that was not put in."""
        if call not in {one.id for one in self.calls_now}:
            raise UnknownCallError("no call has that id")

    def calls(self) -> list[Call]:
        """The calls put in."""
        return list(self.calls_now)

    def participant_quality(self, meeting: str, participant: str, seconds: float) -> LineSeries:
        """The line put in, of somebody who is there."""
        if participant not in {someone.id for someone in self.people.get(meeting, [])}:
            raise UnknownParticipantError(f"nobody with the id {participant} is in this meeting")
        return self._line(participant)

    def call_quality(self, call: str, seconds: float) -> LineSeries:
        """The line put in, of a call that is there."""
        if call not in {one.id for one in self.calls_now}:
            raise UnknownCallError("no call has that id")
        return self._line(call)

    def _line(self, leg: str) -> LineSeries:
        return self.lines.get(leg) or NOTHING_MEASURED

    def registrations(self) -> list[Registration]:
        """The devices put in."""
        return list(self.devices)

    def metrics(self) -> Iterable[Metric]:
        """The metrics put in."""
        return self.counted

    def trace(
        self, wanted: TraceFilter, *, last_s: float = 0.0, follow: bool = True, reveal: bool = False
    ) -> AsyncIterator[SipMessage | Missed]:
        """What the test tells; what was asked for is noted in `traces`."""
        self.traces.append((wanted, last_s, follow, reveal))
        if self.tell is None:
            raise OperationError("there is nothing to tell")
        return self.tell()

    def _change(
        self, meeting: str, participant: str | None, change: Callable[[Participant], Participant | None]
    ) -> int:
        before = self.people.get(meeting, [])
        if participant is not None and participant not in {someone.id for someone in before}:
            raise UnknownParticipantError(f"nobody with the id {participant} is in this meeting")
        after: list[Participant] = []
        count = 0
        for someone in before:
            changed = change(someone) if participant in {None, someone.id} else someone
            count += changed != someone
            if changed is not None:
                after.append(changed)
        self.people[meeting] = after
        self.events.publish(Event("participants.changed", meeting=meeting, details={"count": count}))
        return count
