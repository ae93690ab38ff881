"""The shapes of recordings in the API."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from ringback.governance.roles import Identity
from ringback.store.call_record import call_name
from ringback.store.recordings import StoredConsent, StoredRecording
from ringback.store.voices import VoiceDeed
from ringback.web.shapes import Body, View, shown_number


class TrackView(View):
    """One voice of a recording."""

    part: str = Field(description="Its name for `track`.", examples=["leg-17"])
    extension: str | None
    trunk: str | None
    number: str | None = Field(description="Masked for who may not see numbers.")


class RecordingView(View):
    """A recording."""

    id: str = Field(examples=["8f14e45fceea167a"])
    call: str = Field(description="The call's record.", examples=["3443fa1c9d000a00"])
    started_at: datetime
    ended_at: datetime | None
    seconds: float
    cut: bool = Field(description="Whether a crash, a full disk or the like ended it.")
    end_reason: str
    policy: str
    mode: str
    direction: str
    players: list[str] = Field(description="Roles that may play it.")
    playable: bool = Field(description="Whether you may.")
    keep_until: datetime | None
    held: bool = Field(description="Whether a legal hold keeps it.")
    tracks: list[TrackView]

    @classmethod
    def of(
        cls, recording: StoredRecording, players: tuple[str, ...], viewer: Identity, *, playable: bool
    ) -> RecordingView:
        """A recording as the viewer may see it; `players` are those of today."""
        voice = recording.voice
        return cls(
            id=voice.id,
            call=call_name(recording.call_id),
            started_at=voice.created_at,
            ended_at=recording.ended_at,
            seconds=round(voice.seconds, 3),
            cut=voice.state == "cut",
            end_reason=recording.end_reason,
            policy=recording.policy,
            mode=recording.mode,
            direction=recording.direction,
            players=list(players),
            playable=playable,
            keep_until=voice.keep_until,
            held=voice.legal_hold,
            tracks=[
                TrackView(
                    part=track.part,
                    extension=track.extension,
                    trunk=track.trunk,
                    number=shown_number(track.number, viewer),
                )
                for track in recording.tracks
            ],
        )


class RecordingPage(View):
    """Some recordings, the newest first."""

    items: list[RecordingView]
    next: str | None = Field(description="Give it as `before` for those that follow.")


class ConsentView(View):
    """What somebody said to being recorded."""

    at: datetime
    part: str = Field(description="Whose voice: a track's name.")
    extension: str | None
    trunk: str | None
    policy: str
    mode: str
    notice: str
    state: str = Field(examples=["agreed", "refused", "silent"])
    how: str = Field(examples=["pressed 9"])

    @classmethod
    def of(cls, line: StoredConsent) -> ConsentView:
        """A line of the ledger."""
        return cls(
            at=line.at,
            part=f"leg-{line.leg}",
            extension=line.extension,
            trunk=line.trunk,
            policy=line.policy,
            mode=line.mode,
            notice=line.notice,
            state=line.state,
            how=line.how,
        )


class DeedView(View):
    """Something that was done with a recording."""

    at: datetime
    who: str
    act: str = Field(examples=["played"])
    reason: str

    @classmethod
    def of(cls, deed: VoiceDeed) -> DeedView:
        """A line of what was done."""
        return cls(at=deed.at, who=deed.who, act=deed.act, reason=deed.reason)


class RecordingDetails(RecordingView):
    """A recording with all that is known of it."""

    consents: list[ConsentView]
    deeds: list[DeedView]


class Reason(Body):
    """Why something is done; it is written down with it."""

    reason: str = Field(min_length=3, max_length=200, examples=["Complaint of 12 March"])


class PartVerdict(View):
    """Whether a file is as it was written."""

    part: str
    seconds: float
    problem: str = Field(description="Empty: it is.")


class Verdict(View):
    """Whether all of a recording is as it was written."""

    sound: bool
    parts: list[PartVerdict]


class Rotated(View):
    """The key-encryption key was changed."""

    voices: int = Field(description="How many data keys are wrapped by the new one.")


class StillInBackups(View):
    """It is deleted here; in the backups of these folders it will be once they can be reached."""

    still_in_backups: list[str]
