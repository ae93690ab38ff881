"""The shapes of the API: what is sent and what comes back, for HTTP and for the command line alike."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from ringback.governance.private import Private, mask_name
from ringback.governance.roles import Identity, Permission
from ringback.store.directory import Admission, Digest, Extension, Meeting
from ringback.store.tokens import Token
from ringback.web import operations
from ringback.web.events import Event, Scalar
from ringback.web.links import Links
from ringback.web.shapes import View, shown_number


class ExtensionView(View):
    """A number that devices register to."""

    id: str = Field(examples=["8f14e45fceea167a"])
    number: str = Field(examples=["1001"])
    display_name: str = Field(examples=["Ada Example"])
    person_id: str | None = None
    enabled: bool
    digest: Digest
    sip_address: str = Field(examples=["sip:1001@127.0.0.1:5060"])
    created_at: datetime

    @classmethod
    def of(cls, extension: Extension, links: Links) -> ExtensionView:
        """An extension without its secrets."""
        return cls(
            id=extension.id,
            number=extension.number,
            display_name=extension.display_name,
            person_id=extension.person_id,
            enabled=extension.enabled,
            digest=extension.digest,
            sip_address=links.dial_in(extension.number),
            created_at=extension.created_at,
        )


class ExtensionsView(View):
    """Extensions by number; `next` is the `after` of the next page, null at the end."""

    items: list[ExtensionView]
    total: int
    next: str | None


class ExtensionWithPassword(ExtensionView):
    """A new extension, or one with a new password, which is shown this once."""

    password: str = Field(
        description="Shown once: only digests of it are kept.", examples=["k7mq-w3xe-9tzn-4hcb"]
    )

    @classmethod
    def shown(cls, extension: Extension, password: Private[str], links: Links) -> ExtensionWithPassword:
        """An extension with its password."""
        return cls(**ExtensionView.of(extension, links).model_dump(), password=password.reveal())


class MeetingNowView(View):
    """What goes on in a meeting."""

    people: int = Field(description="Who are in it.")
    waiting: int = Field(description="Who wait in its lobby.")
    locked: bool


class MeetingView(View):
    """A meeting and how to get in; PINs and links are null for those who may not see them."""

    id: str = Field(examples=["8f14e45fceea167a"])
    number: str = Field(examples=["481516234"])
    name: str = Field(examples=["Weekly"])
    admission: Admission
    guest_pin: str | None = Field(examples=["274113"])
    host_pin: str | None = Field(examples=["908327"])
    link: str | None = Field(examples=["http://127.0.0.1:8080/m/481516234#vR2m..."])
    host_link: str | None = Field(examples=["http://127.0.0.1:8080/m/481516234#Qy8e..."])
    dial_in: str = Field(examples=["sip:481516234@127.0.0.1:5060"])
    created_at: datetime
    now: MeetingNowView | None = Field(
        None, description="Null while no server runs, or for who may not see it."
    )

    @classmethod
    def of(
        cls, meeting: Meeting, links: Links, viewer: Identity, now: MeetingNowView | None = None
    ) -> MeetingView:
        """A meeting as the viewer may see it."""
        secrets = viewer.may(Permission.MEETING_SECRETS_READ)
        return cls(
            id=meeting.id,
            number=meeting.number,
            name=meeting.name,
            admission=meeting.admission,
            guest_pin=meeting.guest_pin.reveal() if secrets else None,
            host_pin=meeting.host_pin.reveal() if secrets else None,
            link=links.meeting(meeting) if secrets else None,
            host_link=links.host(meeting) if secrets else None,
            dial_in=links.dial_in(meeting.number),
            created_at=meeting.created_at,
            now=now,
        )


class BanView(View):
    """A source of SIP that is shut out."""

    source: str = Field(
        description="An address, or the /64 of an IPv6 one.", examples=["192.0.2.7", "2001:db8::/64"]
    )
    reason: Literal["passwords", "accounts", "requests", "noise", "scanner", "operator"]
    proven: bool = Field(
        description="False: by datagrams that anybody may have sent; it still gets an answer a second."
    )
    until: datetime


class TokenView(View):
    """An API token, without the token itself."""

    id: str = Field(examples=["8f14e45fceea167a"])
    name: str = Field(examples=["ticket system"])
    role: Literal["admin", "helpdesk", "auditor", "user"]
    created_at: datetime
    expires_at: datetime | None = None


class TokenWithSecret(TokenView):
    """A new token, shown this once."""

    token: str = Field(description="Shown once: only a hash of it is kept.", examples=["rb_Zk3v..."])


def token_view(token: Token) -> TokenView:
    """A token as JSON."""
    return TokenView(
        id=token.id,
        name=token.name,
        role=token.role.value,
        created_at=token.created_at,
        expires_at=token.expires_at,
    )


def new_token_view(token: Token, secret: Private[str]) -> TokenWithSecret:
    """A new token with its secret."""
    return TokenWithSecret(**token_view(token).model_dump(), token=secret.reveal())


class LineQualityView(View):
    """One direction of somebody's audio."""

    lost_percent: float | None = None
    jitter_ms: float | None = None


class ParticipantView(View):
    """Somebody in a meeting, or on the way into it."""

    id: str = Field(examples=["7"])
    name: str = Field(examples=["Ada Example"])
    number: str | None = Field(examples=["1001"], description="Masked for roles that may not see numbers.")
    role: Literal["host", "guest"]
    state: Literal["prompt", "lobby", "in"]
    muted: bool
    hand: bool
    talking: bool
    level_dbfs: float | None
    codec: str | None = Field(examples=["G722"])
    joined_at: datetime | None
    via: Literal["phone", "browser"]
    received: LineQualityView = Field(description="What we hear of the participant.")
    sent: LineQualityView = Field(description="What the participant reports to hear of us.")
    round_trip_ms: float | None

    @classmethod
    def of(cls, participant: operations.Participant, viewer: Identity) -> ParticipantView:
        """A participant as the viewer may see it."""
        plain = {name: getattr(participant, name) for name in cls.model_fields if name != "number"}
        if not viewer.may(Permission.NUMBERS_READ):
            plain["name"] = mask_name(participant.name)
        return cls.model_validate({**plain, "number": shown_number(participant.number, viewer)})


class ReceivedSeriesView(View):
    """What came of somebody, a value a second; docs/statistics.md defines each."""

    expected: list[int]
    received: list[int]
    lost: list[int] = Field(description="Negative where packets of the second before came late.")
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


class SentSeriesView(View):
    """What was sent to somebody, a value a second."""

    packets: list[int]
    octets: list[int]
    level_dbfs: list[float | None]


class RemoteSeriesView(View):
    """What somebody's device last reported of what it receives, as it stood in each second."""

    lost_percent: list[float | None]
    jitter_ms: list[float | None]
    round_trip_ms: list[float | None]
    jitter_peak_ms: list[float | None]
    discarded_percent: list[float | None]
    delay_ms: list[float | None]
    r_factor: list[float | None]
    mos: list[float | None]


class LineSeriesView(View):
    """The last seconds of one line, oldest first; every list has a value a second."""

    at: list[datetime] = Field(description="When each second ended.")
    seconds: list[float] = Field(description="How long each was, in seconds.")
    received: ReceivedSeriesView
    sent: SentSeriesView
    remote: RemoteSeriesView


class CallView(View):
    """A call in progress."""

    id: str = Field(examples=["12"])
    state: Literal["ringing", "answered"]
    from_name: str = Field(description="Empty for roles that may not see numbers.")
    from_number: str | None = Field(
        examples=["1001"], description="Masked for roles that may not see numbers."
    )
    to_number: str | None = Field(examples=["102"], description="Masked for roles that may not see numbers.")
    started_at: datetime
    answered_at: datetime | None
    codec: str | None

    @classmethod
    def of(cls, call: operations.Call, viewer: Identity) -> CallView:
        """A call as the viewer may see it."""
        return cls(
            id=call.id,
            state=call.state,
            from_name=call.from_name if viewer.may(Permission.NUMBERS_READ) else "",
            from_number=shown_number(call.from_number, viewer),
            to_number=shown_number(call.to_number, viewer),
            started_at=call.started_at,
            answered_at=call.answered_at,
            codec=call.codec,
        )


class RegistrationView(View):
    """A device that can be called."""

    number: str = Field(examples=["1001"])
    transport: str = Field(examples=["udp"])
    contact: str | None = Field(description="Null for roles that may not see numbers.")
    user_agent: str
    expires_at: datetime

    @classmethod
    def of(cls, registration: operations.Registration, viewer: Identity) -> RegistrationView:
        """A registration as the viewer may see it."""
        return cls(
            number=registration.number,
            transport=registration.transport,
            contact=registration.contact.reveal() if viewer.may(Permission.NUMBERS_READ) else None,
            user_agent=registration.user_agent,
            expires_at=registration.expires_at,
        )


class PidsView(View):
    """The processes of the system."""

    control: int
    media: list[int]


class MediaWorkerView(View):
    """One media process."""

    pid: int | None = Field(description="Null while it is being replaced.")
    legs: int
    busy_fraction: float = Field(description="Share of its time that it works; near 1 it is full.")


class TrunkStateView(View):
    """How a trunk is."""

    name: str = Field(examples=["carrier"])
    up: bool | None = Field(description="Null until it is known.")
    reason: str = Field(description="What is wrong, and what to do about it.")
    since: datetime


class StatusView(View):
    """How the system is doing."""

    version: str
    ready: bool = Field(description="Whether calls can be taken.")
    waiting_for: list[str] = Field(description="What is missing until then.")
    started_at: datetime
    uptime_s: float
    pids: PidsView
    addresses: dict[str, str] = Field(examples=[{"udp": "127.0.0.1:5060", "http": "127.0.0.1:8080"}])
    calls: int
    legs: int
    meetings: int = Field(description="Meetings that somebody is in.")
    registrations: int
    media: list[MediaWorkerView]
    takeovers: int = Field(description="Legs that went on in another media process after theirs had died.")
    trunks: list[TrunkStateView]

    @classmethod
    def of(cls, status: operations.Status) -> StatusView:
        """The status as JSON."""
        made = {"ready", "pids", "media", "trunks"}
        plain = {name: getattr(status, name) for name in cls.model_fields if name not in made}
        pids = {"control": status.pids.control, "media": list(status.pids.media)}
        media = [
            MediaWorkerView(pid=each.pid, legs=each.legs, busy_fraction=each.busy_fraction)
            for each in status.media
        ]
        trunks = [TrunkStateView.model_validate(each) for each in status.trunks]
        ready = not status.waiting_for
        return cls.model_validate({**plain, "ready": ready, "pids": pids, "media": media, "trunks": trunks})


class EventView(View):
    """Something that happened."""

    kind: str = Field(examples=["participant.joined"])
    at: datetime
    meeting: str | None = None
    participant: ParticipantView | None = None
    call: CallView | None = None
    details: dict[str, Scalar] = Field(default_factory=dict)

    @classmethod
    def of(cls, event: Event, viewer: Identity) -> EventView:
        """An event as the viewer may see it."""
        return cls(
            kind=event.kind,
            at=event.at,
            meeting=event.meeting,
            participant=ParticipantView.of(event.participant, viewer) if event.participant else None,
            call=CallView.of(event.call, viewer) if event.call else None,
            details=dict(event.details),
        )
