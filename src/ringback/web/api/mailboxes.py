"""/api/v1/voicemail: mailboxes, and for their holders the messages in them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import Field

from ringback.governance.private import Private
from ringback.governance.roles import Identity, Permission
from ringback.store.mailboxes import StoredMessage
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs, WebContext, bearer, identify
from ringback.web.events import Event
from ringback.web.operations import UnavailableError
from ringback.web.problems import ProblemError
from ringback.web.ranges import UnsatisfiableRangeError, byte_range
from ringback.web.shapes import Body, View, shown_number
from ringback.web.voicemailing import Kept, MailboxState, Voicemailing

router = APIRouter(prefix=f"{API}/voicemail", tags=["voicemail"], responses=PROBLEMS)
archives = APIRouter(prefix=f"{API}/voicemail-archives", tags=["voicemail"], responses=PROBLEMS)

_SHORTEST_REASON: Final = 8
_NOT_YOURS: Final = (
    "only who holds the extension hears its messages; with the permission voicemail:reveal send the header "
    "X-Reason: it is written down, and everybody who watches the system is told"
)


class MailboxView(View):
    """How a mailbox is."""

    id: str = Field(description="Of the extension: what does for it in a URL.")
    extension: str = Field(examples=["1001"])
    has_pin: bool
    new: int
    old: int
    new_urgent: int
    old_urgent: int
    most_messages: int
    greetings: list[str] = Field(examples=[["busy", "name"]])
    told_by_mail: Literal["no", "notice", "audio"]

    @classmethod
    def of_state(cls, state: MailboxState, context: WebContext) -> MailboxView:
        """Counts, and nothing that was said."""
        counts = state.counts
        return cls(
            id=context.store.extensions.get(state.extension).id,
            extension=state.extension,
            has_pin=state.has_pin,
            new=counts.new,
            old=counts.old,
            new_urgent=counts.new_urgent,
            old_urgent=counts.old_urgent,
            most_messages=state.most_messages,
            greetings=list(state.greetings),
            told_by_mail=state.told_by_mail,
        )


class MessageView(View):
    """A message, without what was said."""

    id: str = Field(examples=["8f14e45fceea167a"])
    state: Literal["new", "old", "saved", "deleted"]
    urgent: bool
    caller: str = Field(description="Empty where the number is not known.", examples=["5550100"])
    received_at: datetime
    seconds: float
    deleted_at: datetime | None

    @classmethod
    def of_message(cls, message: StoredMessage, viewer: Identity, *, own: bool) -> MessageView:
        """A message as the viewer may see it: who it is for sees who called."""
        caller = message.caller.reveal() if own else shown_number(message.caller, viewer)
        state = message.state if message.state != "taking" else "new"
        return cls(
            id=message.id,
            state=state,
            urgent=message.urgent,
            caller=caller or "",
            received_at=message.received_at,
            seconds=message.length_ms / 1000,
            deleted_at=message.deleted_at,
        )


class MessageChange(Body):
    """What a message is to be."""

    state: Kept


class NewPin(Body):
    """A PIN for one's own mailbox."""

    pin: str = Field(max_length=32, description="Digits; not one that would be guessed first.")


class ArchiveView(View):
    """What a former holder of an extension left behind."""

    id: str
    extension: str = Field(examples=["1001"])
    archived_at: datetime
    messages: int


Reason = Annotated[str, Header(alias="X-Reason", max_length=200, description="Why, for who reads it later.")]


def _door(context: WebContext) -> Voicemailing:
    if context.voicemail is None:
        raise UnavailableError("voicemail is not running")
    return context.voicemail


def _who(
    request: Request,
    context: Context,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Identity:
    return identify(request, context, credentials)


Anybody = Annotated[Identity, Depends(_who)]
Writer = Annotated[Identity, Depends(Needs(Permission.VOICEMAIL_WRITE))]
Archivist = Annotated[Identity, Depends(Needs(Permission.VOICEMAIL_ARCHIVES))]


def _see(viewer: Identity, extension: str) -> None:
    """Whether somebody may know that there are messages; raises 403."""
    if not (viewer.owns(extension) or viewer.may(Permission.VOICEMAIL_READ)):
        raise ProblemError(403, "only who holds the extension sees its mailbox")


def _own(viewer: Identity, extension: str) -> None:
    if not viewer.owns(extension):
        raise ProblemError(403, "only who holds the extension changes its messages")


def _break_glass(context: WebContext, viewer: Identity, extension: str, reason: str) -> str:
    """Why somebody who is not the holder hears or lists messages; everybody is told. Raises 403."""
    if viewer.owns(extension):
        return "by web"
    if not viewer.may(Permission.VOICEMAIL_REVEAL) or len(reason.strip()) < _SHORTEST_REASON:
        raise ProblemError(403, _NOT_YOURS)
    told = {"extension": extension, "by": viewer.name}
    context.operations.events.publish(Event("voicemail.revealed", details=told))
    return f"break-glass: {reason.strip()}"


@router.get("")
async def list_mailboxes(context: Context, viewer: Anybody) -> list[MailboxView]:
    """The mailboxes that you may know of: your own, or with the permission voicemail:read all."""
    boxes = _door(context).boxes()
    if not viewer.may(Permission.VOICEMAIL_READ):
        boxes = [box for box in boxes if viewer.owns(box.extension)]
    return [MailboxView.of_state(box, context) for box in boxes]


@router.get("/{extension}")
async def get_mailbox(extension: str, context: Context, viewer: Anybody) -> MailboxView:
    """One mailbox: counts, whether it has a PIN, which greetings were recorded."""
    _see(viewer, extension)
    return MailboxView.of_state(_door(context).box(extension), context)


@router.put("/{extension}/pin", status_code=204, response_class=Response)
async def set_pin(extension: str, body: NewPin, context: Context, viewer: Anybody) -> None:
    """Choose another PIN for your own mailbox."""
    _own(viewer, extension)
    await _door(context).set_pin(extension, Private(body.pin))


@router.delete("/{extension}/pin", status_code=204, response_class=Response)
async def clear_pin(extension: str, context: Context, _viewer: Writer) -> None:
    """Forget the PIN of a mailbox: its holder chooses another one at the extension's own phone."""
    await _door(context).clear_pin(extension)


@router.get("/{extension}/messages")
async def list_messages(
    extension: str, context: Context, viewer: Anybody, reason: Reason = ""
) -> list[MessageView]:
    """The messages, in the order in which they are listened to."""
    own = viewer.owns(extension)
    why = _break_glass(context, viewer, extension, reason)
    door = _door(context)
    found = await door.messages(extension)
    if not own:
        for message in found:
            await context.store.voices.note(message.id, viewer.name, "listed", why)
    return [MessageView.of_message(message, viewer, own=own) for message in found]


@router.get("/{extension}/messages/{message}/audio", response_class=Response)
async def hear_message(
    extension: str, message: str, request: Request, context: Context, viewer: Anybody, reason: Reason = ""
) -> Response:
    """What was said, as WAV: decrypted while it is sent, and kept nowhere. Ranges of octets are served."""
    why = _break_glass(context, viewer, extension, reason)
    sound = await _door(context).sound(extension, message, viewer.name, why)
    headers = {"Cache-Control": "no-store", "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    try:
        part = byte_range(request.headers.get("range"), sound.size)
    except UnsatisfiableRangeError:
        raise ProblemError(
            416, "the message is shorter", {"Content-Range": f"bytes */{sound.size}"}
        ) from None
    start, end = part or (0, sound.size)
    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{sound.size}"
    return StreamingResponse(sound.pieces(start, end), 206 if part is not None else 200, headers, "audio/wav")


@router.patch("/{extension}/messages/{message}")
async def change_message(
    extension: str, message: str, body: MessageChange, context: Context, viewer: Anybody
) -> MessageView:
    """Make a message of your own new, old or saved."""
    _own(viewer, extension)
    changed = await _door(context).mark(extension, message, body.state)
    return MessageView.of_message(changed, viewer, own=True)


@router.delete("/{extension}/messages/{message}", status_code=204, response_class=Response)
async def delete_message(extension: str, message: str, context: Context, viewer: Anybody) -> None:
    """Delete a message of your own; for a quarter of an hour it can be had back."""
    _own(viewer, extension)
    await _door(context).delete(extension, message)


@router.post("/{extension}/messages/{message}/restore")
async def restore_message(extension: str, message: str, context: Context, viewer: Anybody) -> MessageView:
    """Have a message of your own back that was deleted just now."""
    _own(viewer, extension)
    restored = await _door(context).mark(extension, message, "old")
    return MessageView.of_message(restored, viewer, own=True)


@archives.get("")
async def list_archives(context: Context, _viewer: Archivist) -> list[ArchiveView]:
    """What former holders of extensions left behind; nobody hears it any more."""
    return [ArchiveView.model_validate(archive) for archive in await _door(context).archives()]


@archives.delete("/{archive}", status_code=204, response_class=Response)
async def delete_archive(archive: str, context: Context, viewer: Archivist, reason: Reason = "") -> None:
    """Delete what a former holder left behind before its time, for good."""
    await _door(context).delete_archive(archive, viewer.name, reason.strip() or "by hand")
