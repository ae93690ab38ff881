"""What the web needs from the running system: implemented by the server, which alone knows all the parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from ringback.governance.private import Private
from ringback.web.events import EventHub


class OperationError(Exception):
    """Something that is not possible now; the message is one sentence for a person.

    OperationError 409
    ├── UnknownParticipantError 404
    ├── UnknownCallError 404
    ├── UnknownSourceError 404
    ├── InvalidSourceError 422
    └── UnavailableError 503
    """

    status = 409


class UnknownParticipantError(OperationError):
    """Nobody in the meeting has this id."""

    status = 404


class UnknownCallError(OperationError):
    """No call has this id."""

    status = 404


class UnknownSourceError(OperationError):
    """This source is not banned."""

    status = 404


class InvalidSourceError(OperationError):
    """This cannot be banned."""

    status = 422


class UnavailableError(OperationError):
    """The part that would do it is not running."""

    status = 503


@dataclass(frozen=True, slots=True)
class ProcessIds:
    """The processes of the system."""

    control: int
    media: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MediaWorker:
    """One media process: how many legs it has, and the share of its time that it works; `pid` is None while
    it is being replaced."""

    pid: int | None
    legs: int
    busy_fraction: float


@dataclass(frozen=True, slots=True)
class TrunkLine:
    """How a trunk is: `up` is None until it is known, `reason` says what is wrong and what to do about it."""

    name: str
    up: bool | None
    reason: str
    since: datetime
    calls: int
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TollUsage:
    """What was called by trunks today: by whom (`trunk:NAME` for calls that came in by one), and what."""

    account: str
    call_class: str
    calls: int
    minutes: float
    most_calls: int | None
    most_minutes: int | None


class OutsideLines(Protocol):
    """The trunks of a running system."""

    def trunks(self) -> list[TrunkLine]:
        """How all trunks are, by name."""

    def check(self, name: str) -> None:
        """Ask a trunk's other side now; the answer shows in `trunks`."""

    def checking(self, name: str) -> bool:
        """Whether an answer to that is still waited for."""

    def usage(self) -> list[TollUsage]:
        """What was called today, by account and class."""

    def reset(self, account: str | None) -> int:
        """Let one (None: all) begin the day anew; returns how many counts that were."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the system is doing; `addresses` maps udp, tcp, tls, http to host:port as bound,
    several with commas between.

    `waiting_for` says in words what is missing until calls can be taken; empty means ready. `takeovers`
    counts legs that went on in another media process after theirs had died.
    """

    version: str
    started_at: datetime
    uptime_s: float
    pids: ProcessIds
    addresses: Mapping[str, str]
    calls: int
    legs: int
    meetings: int
    registrations: int
    waiting_for: tuple[str, ...] = ()
    media: tuple[MediaWorker, ...] = ()
    takeovers: int = 0
    trunks: tuple[TrunkLine, ...] = ()


@dataclass(frozen=True, slots=True)
class LineQuality:
    """One direction of a participant's audio; None for what is not known (yet)."""

    lost_percent: float | None = None
    jitter_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody in a meeting, or on the way into it.

    `received` is what we hear of the participant, `sent` what the participant reports to hear of us (RTCP).
    """

    id: str
    role: Literal["host", "guest"]
    state: Literal["prompt", "lobby", "in"]
    name: str = ""
    number: Private[str] | None = None
    muted: bool = False
    hand: bool = False
    talking: bool = False
    level_dbfs: float | None = None
    codec: str | None = None
    joined_at: datetime | None = None
    via: Literal["phone", "browser"] = "phone"
    received: LineQuality = LineQuality()
    sent: LineQuality = LineQuality()
    round_trip_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ReceivedSeries:
    """What came of a participant, a value a second; docs/statistics.md defines each."""

    expected: list[int]
    received: list[int]
    lost: list[int]
    late: list[int]
    duplicates: list[int]
    reordered: list[int]
    discarded_frames: list[int]
    refused: list[int]
    concealed_frames: list[int]
    stretched_frames: list[int]
    jitter_ms: list[float | None]
    level_dbfs: list[float | None]
    clipped_percent: list[float | None]
    buffer_ms: list[float | None]


@dataclass(frozen=True, slots=True)
class SentSeries:
    """What was sent to a participant, a value a second."""

    packets: list[int]
    octets: list[int]
    level_dbfs: list[float | None]


@dataclass(frozen=True, slots=True)
class RemoteSeries:
    """What a participant's device last reported of what it receives (RTCP), as it stood in each second."""

    lost_percent: list[float | None]
    jitter_ms: list[float | None]
    round_trip_ms: list[float | None]
    jitter_peak_ms: list[float | None]
    discarded_percent: list[float | None]
    delay_ms: list[float | None]
    r_factor: list[float | None]
    mos: list[float | None]


@dataclass(frozen=True, slots=True)
class LineSeries:
    """Seconds of one line, oldest first: when each ended and how long it was, and what was counted in it."""

    at: list[datetime]
    seconds: list[float]
    received: ReceivedSeries
    sent: SentSeries
    remote: RemoteSeries


@dataclass(frozen=True, slots=True)
class Call:
    """A call in progress, from whoever to wherever."""

    id: str
    state: Literal["ringing", "answered"]
    started_at: datetime
    from_number: Private[str]
    to_number: Private[str]
    from_name: str = ""
    answered_at: datetime | None = None
    codec: str | None = None


@dataclass(frozen=True, slots=True)
class QueueCaller:
    """Somebody who waits: the call, for how long, and whether an agent is being rung for it."""

    call: str
    waited_s: float
    ringing: bool


@dataclass(frozen=True, slots=True)
class QueueAgent:
    """An agent of a queue: `state` is free, ringing, busy, wrap-up, did not answer, do not disturb,
    unreachable or logged out; `calls` are those of this queue."""

    extension: str
    state: str
    calls: int


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """How a queue does; counts are since the start, `average_wait_s` is of the last 50 calls that an agent
    answered, None before the first."""

    name: str
    title: str
    waiting: tuple[QueueCaller, ...]
    agents: tuple[QueueAgent, ...]
    answered: int
    abandoned: int
    left: int
    longest_wait_s: float
    average_wait_s: float | None


@dataclass(frozen=True, slots=True)
class Registration:
    """A device that can be called: one binding of an extension."""

    number: str
    transport: str
    contact: Private[str]
    user_agent: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Ban:
    """A source of SIP that is shut out; `proven` is False for one that is only hushed."""

    source: str
    reason: Literal["passwords", "accounts", "requests", "noise", "scanner", "operator"]
    proven: bool
    until: datetime


@dataclass(frozen=True, slots=True)
class Metric:
    """Numbers for Prometheus, each with its labels; no phone number and no name may be a label.

    The samples of a histogram are how many observations were at most each bound, which is the label `le`, the
    last of them "+Inf"; `sum` is that of all observations.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    description: str
    samples: tuple[tuple[Mapping[str, str], float], ...] = field(default_factory=tuple)
    sum: float = 0.0


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which SIP messages are shown: those that all of these choose; what is empty chooses all.

    `call` is how the Call-ID begins; `number` that of the Request-URI, From or To; `source` the peer's
    address, with or without port; `method` that of a request and of the responses to it.
    """

    call: str = ""
    number: Private[str] = field(default_factory=lambda: Private(""))
    source: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A SIP message as it was on the wire, decrypted; masked unless the trace is to reveal.

    `data` is as long as the message was. `status` is None for requests; `method` of a response is that of its
    request. `fault` says what the parser found wrong; `again`: the same message has been there before.
    """

    at: datetime
    direction: Literal["in", "out"]
    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    call_id: str
    method: str
    status: int | None
    reason: str
    cseq: int | None
    from_user: str
    to_user: str
    data: bytes
    described: bool = False
    again: bool = False
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """So many messages came and are not shown, because the watcher is too slow."""

    count: int


class Operations(Protocol):
    """The running system. None of the methods waits: they act on what the control process knows."""

    @property
    def events(self) -> EventHub:
        """Where the system tells what happens."""

    @property
    def outside(self) -> OutsideLines:
        """The trunks."""

    def status(self) -> Status:
        """How it is doing."""

    def participants(self, meeting: str) -> list[Participant]:
        """Who is in a meeting, in the order of arrival; empty while nobody is."""

    def locked(self, meeting: str) -> bool:
        """Whether the meeting is locked; one that nobody is in never is."""

    def admit(self, meeting: str, participant: str | None) -> int:
        """Let one (None: all) in from the lobby; how many were. Raises UnknownParticipantError."""

    def mute(self, meeting: str, participant: str | None) -> int:
        """Mute one, or all but the hosts; how many were. Raises UnknownParticipantError."""

    def unmute(self, meeting: str, participant: str | None) -> int:
        """Unmute one or all; how many were. Raises UnknownParticipantError."""

    def remove(self, meeting: str, participant: str | None) -> int:
        """End the call of one or all; how many were. Raises UnknownParticipantError."""

    def lock(self, meeting: str, locked: bool) -> None:
        """Lock or unlock a meeting in progress; raises OperationError if nobody is in it."""

    def calls(self) -> list[Call]:
        """The calls in progress, oldest first."""

    def make_meeting(self, call: str) -> None:
        """Make a meeting of a call; raises UnknownCallError, or OperationError where nobody talks."""

    def queues(self) -> list[QueueStatus]:
        """How all queues do, by name."""

    def participant_quality(self, meeting: str, participant: str, seconds: float) -> LineSeries:
        """The last seconds of a participant's line, at most five minutes. Raises UnknownParticipantError."""

    def call_quality(self, call: str, seconds: float) -> LineSeries:
        """The last seconds of a call's line, at most five minutes. Raises UnknownCallError."""

    def registrations(self) -> list[Registration]:
        """The devices that can be called now."""

    def bans(self) -> list[Ban]:
        """The sources that are shut out now, longest first."""

    def ban(self, source: str, minutes: float) -> Ban:
        """Shut a source out for some minutes; raises InvalidSourceError."""

    def lift(self, source: str) -> None:
        """End a ban; raises UnknownSourceError."""

    def metrics(self) -> Iterable[Metric]:
        """What the parts count, beside what is in `status`."""

    def trace(
        self, wanted: TraceFilter, *, last_s: float = 0.0, follow: bool = True, reveal: bool = False
    ) -> AsyncIterator[SipMessage | Missed]:
        """SIP messages from this call on, after those of the last seconds as far as they are kept.

        Without `follow` it ends after the kept ones. Close the iterator when done.
        """
