"""The shapes of the API for visitors: what the holder of a link sends and sees."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Literal

from pydantic import Field

from ringback.governance.private import mask_name, mask_number
from ringback.store.directory import Admission
from ringback.web import operations, visiting
from ringback.web.shapes import Body, View

LONGEST_NAME = 80


class VisitRequest(Body):
    """The token of a meeting's link, and who comes."""

    meeting: str = Field(pattern=r"^[0-9]{9}$", examples=["481516234"])
    token: str = Field(max_length=128, description="What follows # in the meeting's link.")
    name: str = Field("", max_length=LONGEST_NAME, examples=["Ada Example"])
    seat: str | None = Field(
        None, max_length=128, description="The secret of an earlier visit: its name, mute, hand come back."
    )


class SipAccountView(View):
    """A SIP account for one page: for a meeting alone, or for an extension."""

    uri: str = Field(examples=["sip:v-5f0c...@127.0.0.1"])
    username: str
    password: str
    realm: str
    expires_in_s: float
    target: str = Field(examples=["sip:481516234@127.0.0.1"], description="The meeting, or oneself.")
    echo_target: str = Field(examples=["sip:600@127.0.0.1"], description="What to call to hear oneself.")


class VisitedMeetingView(View):
    """The meeting, and how to get in by phone instead; `host_pin` for hosts alone."""

    number: str = Field(examples=["481516234"])
    name: str = Field(examples=["Weekly"])
    admission: Admission
    dial_in: str = Field(examples=["sip:481516234@127.0.0.1:5060"])
    guest_pin: str = Field(examples=["274113"])
    host_pin: str | None = None


class VisitView(View):
    """A visit; `secret` is the bearer token for its other routes."""

    visit: str
    secret: str
    sip: SipAccountView
    meeting: VisitedMeetingView
    role: Literal["host", "guest"]
    name: str


class RenewalView(View):
    """How long the visit's account is good now."""

    expires_in_s: float


class VisitAct(Body):
    """What to do, and to whom where that is not oneself."""

    act: visiting.Act
    participant: str | None = Field(None, examples=["7"])


class YouView(View):
    """The visitor; `id` is among the participants' while in the meeting."""

    id: str | None
    name: str
    role: Literal["host", "guest"]
    state: Literal["outside", "prompt", "lobby", "in"]
    muted: bool
    hand: bool
    why: str = Field(
        description="What ended the last call, if not the visitor: "
        '"removed", "refused" (in the lobby), "locked", "ended" (the meeting was deleted) or "".'
    )


class ReceivedView(View):
    """One direction of a line; null for what is not known (yet)."""

    lost_percent: float | None
    jitter_ms: float | None


class QualityView(View):
    """`received` is what we hear of the participant, `sent` what it reports to hear of us."""

    received: ReceivedView
    sent: ReceivedView
    round_trip_ms: float | None


class VisibleParticipantView(View):
    """Somebody in the meeting as everybody in it sees them."""

    id: str
    name: str
    number: str | None = Field(description="Masked.", examples=["••01"])
    role: Literal["host", "guest"]
    state: Literal["prompt", "lobby", "in"]
    muted: bool
    hand: bool
    talking: bool
    level: int | None = Field(description="dBFS while talking, else null.", examples=[-23])
    via: Literal["phone", "browser"]
    codec: str | None
    quality: QualityView

    @classmethod
    def of(cls, someone: operations.Participant) -> VisibleParticipantView:
        """A participant as others in the meeting may see them."""
        return cls(
            id=someone.id,
            name=mask_name(someone.name),
            number=mask_number(someone.number.reveal()) if someone.number is not None else None,
            role=someone.role,
            state=someone.state,
            muted=someone.muted,
            hand=someone.hand,
            talking=someone.talking,
            level=None if someone.level_dbfs is None else round(someone.level_dbfs),
            via=someone.via,
            codec=someone.codec,
            quality=QualityView(
                received=_line(someone.received),
                sent=_line(someone.sent),
                round_trip_ms=_tenths(someone.round_trip_ms),
            ),
        )


class StateView(View):
    """The whole picture: who is in, and for hosts who waits."""

    you: YouView
    locked: bool
    participants: list[VisibleParticipantView]
    waiting: list[VisibleParticipantView]


def state_json(state: visiting.VisitState) -> str:
    """A StateView as JSON; what is the same for all viewers of a moment is written once."""
    you, room = state.you, state.room
    own = YouView(
        id=you.participant,
        name=you.name,
        role=you.role,
        state=you.state,
        muted=you.muted,
        hand=you.hand,
        why=you.why,
    )
    inside = you.state == "in"
    present, waiting = _people_json(room) if inside else ("[]", "[]")
    waiting = waiting if you.role == "host" else "[]"
    locked = json.dumps(room.locked)
    return f'{{"you":{own.model_dump_json()},"locked":{locked},"participants":{present},"waiting":{waiting}}}'


@lru_cache(maxsize=64)
def _people_json(room: visiting.RoomPicture) -> tuple[str, str]:
    present, waiting = (
        ",".join(VisibleParticipantView.of(someone).model_dump_json() for someone in people)
        for people in (room.present, room.waiting)
    )
    return f"[{present}]", f"[{waiting}]"


def _line(line: operations.LineQuality) -> ReceivedView:
    return ReceivedView(lost_percent=_tenths(line.lost_percent), jitter_ms=_tenths(line.jitter_ms))


def _tenths(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
