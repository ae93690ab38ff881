"""/api/v1/recordings: which there are, playing them, legal holds, deletion; all of it is written down."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field

from ringback.governance.roles import Identity, Permission, Role
from ringback.governance.sealing import SealingError
from ringback.governance.vault import VaultError
from ringback.store.call_record import call_id_of
from ringback.store.errors import NotFoundError
from ringback.store.plan.document import document
from ringback.store.plan.voice import RecordingPolicy
from ringback.store.recordings import StoredRecording
from ringback.web.api import API, PROBLEMS
from ringback.web.audio import wav_answer
from ringback.web.context import Context, Needs, WebContext
from ringback.web.kept_out import KeptOut
from ringback.web.plan_views import ShownPlan, ValueView
from ringback.web.problems import ProblemError
from ringback.web.recording_views import (
    ConsentView,
    DeedView,
    PartVerdict,
    Reason,
    RecordingDetails,
    RecordingPage,
    RecordingView,
    Rotated,
    StillInBackups,
    Verdict,
)
from ringback.web.shapes import Body

MIX: Final = "mix"
ONE_HEARING: Final = timedelta(minutes=10)
_SHORTEST_REASON: Final = 3
router = APIRouter(prefix=f"{API}/recordings", tags=["recordings"], responses=PROBLEMS)

Player = Annotated[Identity, Depends(Needs(Permission.RECORDINGS_PLAY))]
Reader = Annotated[Identity, Depends(Needs(Permission.RECORDINGS_READ))]
Holder = Annotated[Identity, Depends(Needs(Permission.RECORDINGS_HOLD))]
Approver = Annotated[Identity, Depends(Needs(Permission.RECORDING_POLICIES_APPROVE))]
Deleter = Annotated[Identity, Depends(Needs(Permission.RECORDINGS_DELETE))]
WhyHeader = Annotated[
    str, Header(alias="X-Reason", max_length=600, description="Why, percent-encoded. No URL holds reasons.")
]


def _players(context: WebContext, recording: StoredRecording) -> tuple[str, ...]:
    """Who may play it: as the policy says today, or said then where there is none of that name any more.

    Of one that waits for its approval those only who could before.
    """
    policy = context.store.directory.plan.get(RecordingPolicy, recording.policy)
    if policy is None:
        return recording.players
    if policy.approved_by:
        return policy.players
    return tuple(role for role in policy.players if role in recording.players)


def _may_play(context: WebContext, recording: StoredRecording, viewer: Identity) -> bool:
    """Whether the policy names the role; everybody has the role user, which plays what it spoke in itself."""
    if viewer.role.value not in _players(context, recording):
        return False
    voices = {track.extension for track in recording.tracks}
    held = context.store.call_records.held(viewer.extensions)
    return viewer.role is not Role.USER or any(
        one.extension in voices and one.since <= recording.voice.created_at for one in held
    )


def _view(context: WebContext, recording: StoredRecording, viewer: Identity) -> RecordingView:
    playable = _may_play(context, recording, viewer)
    return RecordingView.of(recording, _players(context, recording), viewer, playable=playable)


async def _of(context: WebContext, recording: str) -> StoredRecording:
    found = await context.store.recordings.get(recording)
    if found.voice.state == "deleted":
        raise NotFoundError("this recording has been deleted")
    return found


def _reason(text: str) -> str:
    reason = unquote(text).strip()
    if len(reason) < _SHORTEST_REASON or not reason.isprintable():
        raise ProblemError(422, "say why, in the header X-Reason: it is written down")
    return reason


class RecordingSearch(Body):
    """Which recordings, and which page of them."""

    extension: str | None = Field(default=None, max_length=15, description="Those with its voice.")
    call: str | None = Field(default=None, max_length=64, description="Those of this call's record.")
    before: str | None = Field(default=None, max_length=64, description="Those older than this one.")
    limit: int = Field(default=100, ge=1, le=1000)


@router.get("", dependencies=[Depends(KeptOut("extension", instead=f"{API}/recordings/search"))])
async def list_recordings(
    context: Context,
    viewer: Player,
    call: Annotated[str | None, Query(description="Those of this call's record.")] = None,
    before: Annotated[str | None, Query(description="Those older than this one.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RecordingPage:
    """Recordings, the newest first: all for who may see that, otherwise those that you may play."""
    return await _found(RecordingSearch(call=call, before=before, limit=limit), context, viewer)


@router.post("/search")
async def search_recordings(body: RecordingSearch, context: Context, viewer: Player) -> RecordingPage:
    """Recordings with the voice of an extension, the newest first."""
    return await _found(body, context, viewer)


async def _found(asked: RecordingSearch, context: WebContext, viewer: Identity) -> RecordingPage:
    older = await context.store.voices.get(asked.before) if asked.before is not None else None
    # What names no call has no recording.
    of_call = None if asked.call is None else call_id_of(asked.call) or 0
    limit = asked.limit
    found = await context.store.recordings.all(
        extension=asked.extension, call_id=of_call, before=older, limit=limit
    )
    views = [_view(context, recording, viewer) for recording in found]
    if not viewer.may(Permission.RECORDINGS_READ):
        views = [view for view in views if view.playable]
    return RecordingPage(items=views, next=found[-1].voice.id if len(found) == limit else None)


@router.get("/{recording}")
async def show_recording(recording: str, context: Context, viewer: Reader) -> RecordingDetails:
    """One with its ledger: who consented to what, who played it, and why."""
    found = await context.store.recordings.get(recording)
    consents = await context.store.recordings.consents(found.call_id)
    deeds = await context.store.voices.deeds(recording)
    return RecordingDetails(
        **_view(context, found, viewer).model_dump(),
        consents=[ConsentView.of(line) for line in consents],
        deeds=[DeedView.of(deed) for deed in deeds],
    )


@router.get(
    "/{recording}/audio",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"audio/wav": {}}, "description": "All of it."},
        206: {"content": {"audio/wav": {}}, "description": "The range that was asked for."},
        416: {"description": "The recording is shorter."},
    },
)
async def play_recording(
    recording: str,
    request: Request,
    context: Context,
    who: Player,
    track: Annotated[str, Query(pattern=r"^(mix|leg-[0-9]{1,19})$")] = MIX,
    x_reason: WhyHeader = "",
) -> Response:
    """Listen to it, for the roles that its policy names. Who, when and why is written down before."""
    found = await _of(context, recording)
    if not _may_play(context, found, who):
        await context.store.voices.note(recording, who.name, "refused")
        may = ", ".join(_players(context, found)) or "nobody"
        raise ProblemError(
            403,
            f"the role {who.role.value} may not play this recording; its policy names: {may}"
            + ("; users play those with their own voice" if who.role is Role.USER else ""),
        )
    reason = f"{track}: {_reason(x_reason)}"
    try:
        reader = await context.store.voices.open(recording, track)
    except VaultError as error:
        raise ProblemError(409, str(error)) from None
    try:
        if not await _goes_on(context, recording, who.name, reason):
            await context.store.voices.note(recording, who.name, "played", reason)
    except BaseException:
        reader.close()
        raise
    return wav_answer(request, reader, found.voice.rate)


async def _goes_on(context: WebContext, recording: str, who: str, reason: str) -> bool:
    """Whether this is the next range of what was begun a moment ago: one line is enough for all of them."""
    deeds = await context.store.voices.deeds(recording)
    since = datetime.now(UTC) - ONE_HEARING
    return any(
        (one.who, one.act, one.reason) == (who, "played", reason[:200]) for one in deeds if one.at > since
    )


@router.post("/{recording}/hold")
async def hold_recording(recording: str, body: Reason, context: Context, who: Holder) -> RecordingView:
    """Keep it, whatever its policy says and whoever wants it deleted, until it is released."""
    await context.store.voices.hold((await _of(context, recording)).voice.id, who.name, body.reason)
    return _view(context, await _of(context, recording), who)


@router.post("/{recording}/release")
async def release_recording(recording: str, body: Reason, context: Context, who: Holder) -> RecordingView:
    """End a legal hold; what was to be deleted meanwhile is deleted then."""
    await context.store.voices.release((await _of(context, recording)).voice.id, who.name, body.reason)
    return _view(context, await _of(context, recording), who)


@router.delete(
    "/{recording}",
    status_code=204,
    response_class=Response,
    responses={202: {"model": StillInBackups, "description": "Deleted here, and waits in backups."}},
)
async def delete_recording(
    recording: str, context: Context, who: Deleter, x_reason: WhyHeader = ""
) -> Response:
    """Delete it for good, its key first; 409 under a legal hold. 202 while a folder of backups is away."""
    reason = _reason(x_reason)
    found = await _of(context, recording)
    waiting = await context.store.voices.delete(found.voice.id, who.name, reason)
    if not waiting:
        return Response(status_code=204)
    return JSONResponse(StillInBackups(still_in_backups=waiting).model_dump(), 202)


@router.post("/{recording}/verify")
async def verify_recording(recording: str, context: Context, who: Holder) -> Verdict:
    """Whether every file is as it was written; nothing of it is heard."""
    found = await _of(context, recording)
    parts = [await _verified(context, found, part) for part in (MIX, *(t.part for t in found.tracks))]
    sound = not any(part.problem for part in parts)
    await context.store.voices.note(recording, who.name, "verified", "sound" if sound else "not as written")
    return Verdict(sound=sound, parts=parts)


async def _verified(context: WebContext, found: StoredRecording, part: str) -> PartVerdict:
    seconds, problem = 0.0, ""
    try:
        reader = await context.store.voices.open(found.voice.id, part)
        try:
            seconds = round(reader.size / 2 / found.voice.rate, 3)
            await asyncio.to_thread(reader.verify)
        finally:
            reader.close()
    except VaultError as error:
        problem = str(error)
    return PartVerdict(part=part, seconds=seconds, problem=problem)


@router.post("/policies/{name}/approve")
async def approve_policy(name: str, context: Context, who: Approver) -> ValueView:
    """Approve a recording policy as it is; 422 for who wrote it. Nothing is recorded by it before.

    Its notice has been spoken when this answers; 503 where it cannot be.
    """
    objects = context.store.objects
    entry = objects.get("recording-policy", name)
    policy = entry.value
    assert isinstance(policy, RecordingPolicy)
    if policy.mode != "off" and context.speak is not None and not await context.speak(policy.notice):
        why = "the notice cannot be spoken, and nothing is recorded without it"
        raise ProblemError(503, f"{why}: install espeak-ng on the server, then approve it again")
    fields = {**document(entry.value), "approved_by": who.name[:80]}
    approved = await objects.put("recording-policy", name, fields, who.name[:80], entry.revision)
    return ValueView.of(approved, ShownPlan(who))


@router.post("/rotate-key")
async def rotate_key(context: Context, _: Deleter) -> Rotated:
    """Make a new vault key and wrap all data keys by it; files are not touched. Asked again, it goes on."""
    try:
        return Rotated(voices=await context.store.voices.rotate(context.settings.vault_key_file))
    except (SealingError, VaultError) as error:
        raise ProblemError(409, str(error)) from None
