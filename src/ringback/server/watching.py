"""What accounts may watch of each other: calls (busy lamps), mailboxes; and what phones publish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringback.call.leg import Leg
from ringback.call.park import ParkingLot
from ringback.call.switchboard import Switchboard
from ringback.routing.numbers import number_in
from ringback.sip.dialog_info import (
    DIALOG_INFO,
    DialogState,
    State,
    gone,
    read_dialog_info,
    write_dialog_info,
)
from ringback.sip.effects import Effect, RequestArrived
from ringback.sip.endpoint import Endpoint
from ringback.sip.message import NameAddr, Request, Response, SipUri
from ringback.sip.message_summary import MESSAGE_SUMMARY, Mailbox, write_message_summary
from ringback.sip.publication import Publications
from ringback.sip.subscription import Notifier
from ringback.sip.uri import escape_user
from ringback.store.directory import Directory

DIALOG: Final = "dialog"
MAILBOX: Final = "message-summary"

FindMailbox = Callable[[str], Mailbox | None]


class DialogPackage:
    """The calls of an extension (RFC 4235), as every account may see them: that somebody rings or talks.

    With whom, and the names of the dialogs, by which they could be taken over, only the extension's own
    devices are told.
    """

    name = DIALOG
    content_type = DIALOG_INFO

    def __init__(
        self,
        switchboard: Switchboard,
        published: Publications[list[DialogState]],
        directory: Callable[[], Directory],
    ) -> None:
        self.lot: ParkingLot | None = None
        self._switchboard = switchboard
        self._published = published
        self._directory = directory

    def picture(self, resource: str, watcher: str) -> tuple[DialogState, ...] | None:
        """What the extension's legs are doing, and what its devices publish of calls that we do not know."""
        directory = self._directory()
        if self.lot is not None and resource in self.lot.slots and _enabled(directory, watcher):
            return _slot_state(self.lot, resource)
        if not _enabled(directory, resource) or not _enabled(directory, watcher):
            return None
        own = resource == watcher
        legs = [leg for leg in self._switchboard.legs_of(resource) if not leg.over]
        known = {leg.session.call_id for leg in legs if leg.session is not None}
        states = [_state_of(leg, own) for leg in legs]
        for tag, dialogs in self._published.of(resource):
            states += [
                _published(tag, dialog, own)
                for dialog in dialogs
                if dialog.state != "terminated" and dialog.call_id not in known
            ]
        return tuple(states)

    def document(
        self,
        entity: SipUri,
        version: int,
        before: tuple[DialogState, ...] | None,
        picture: tuple[DialogState, ...],
    ) -> bytes:
        """All of the state; calls that are over are in it once."""
        return write_dialog_info(entity, version, [*picture, *gone(before or (), picture)])


class MailboxPackage:
    """An account's own mailbox (RFC 3842); whoever keeps mailboxes sets `find`, and says what changes."""

    name = MAILBOX
    content_type = MESSAGE_SUMMARY

    def __init__(self, directory: Callable[[], Directory]) -> None:
        self.find: FindMailbox | None = None
        self._directory = directory

    def picture(self, resource: str, watcher: str) -> tuple[Mailbox | None] | None:
        """What lies there."""
        allowed = resource == watcher and _enabled(self._directory(), resource)
        if not allowed:
            return None
        return (self.find(resource) if self.find is not None else None,)

    def document(
        self,
        entity: SipUri,
        version: int,
        before: tuple[Mailbox | None] | None,
        picture: tuple[Mailbox | None],
    ) -> bytes:
        """The counts."""
        del version, before
        return write_message_summary(entity, picture[0])


class Watching:
    """Serves SUBSCRIBE and PUBLISH of accounts, and tells watchers what has changed; sans-IO."""

    def __init__(
        self, endpoint: Endpoint, switchboard: Switchboard, directory: Callable[[], Directory]
    ) -> None:
        self._switchboard = switchboard
        self._directory = directory
        self._published: Publications[list[DialogState]] = Publications(
            DIALOG, DIALOG_INFO, read_dialog_info, endpoint.agent.new_token
        )
        self.mailboxes = MailboxPackage(directory)
        self.dialogs = DialogPackage(switchboard, self._published, directory)
        self.notifier = Notifier(endpoint, (self.dialogs, self.mailboxes))
        self._changed: set[str] = set()

    def subscribe(self, arrived: RequestArrived, account: str, now: float) -> list[Effect]:
        """A SUBSCRIBE of an authenticated account that begins a subscription."""
        return self.notifier.subscribe(arrived, account, _user_of(arrived.request), now)

    def publish(self, request: Request, account: str, now: float) -> Response:
        """The answer to a PUBLISH of an authenticated account, which speaks for itself alone."""
        response = self._published.publish(request, account, now)
        self._changed.add(account)
        return response

    def speaks_for(self, request: Request, account: str) -> bool:
        """Whether a PUBLISH is about the account itself."""
        return _user_of(request) == account and _enabled(self._directory(), account)

    def settled(self, now: float) -> list[Effect]:
        """Something has happened and is over: who watches those whom it concerned is told."""
        changed = self._switchboard.take_touched()
        if self._changed:
            changed = changed | self._changed
            self._changed = set()
        if not changed:
            return []
        effects: list[Effect] = []
        for account in changed:
            effects += self.notifier.changed(DIALOG, account, now)
        return effects

    def mailbox_changed(self, account: str, now: float) -> list[Effect]:
        """A mailbox has other counts than before."""
        return self.notifier.changed(MAILBOX, account, now)

    def review(self, now: float) -> list[Effect]:
        """The directory has changed: who may not watch any more is told."""
        return self.notifier.review(now)

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        times = [at for at in (self.notifier.deadline(), self._published.deadline()) if at is not None]
        return min(times, default=None)

    def expire(self, now: float) -> list[Effect]:
        """Do all that is due."""
        self._changed |= self._published.expire(now)
        return [*self.settled(now), *self.notifier.expire(now)]


def _enabled(directory: Directory, number: str) -> bool:
    extension = directory.extension(number)
    return extension is not None and extension.enabled


def _slot_state(lot: ParkingLot, slot: str) -> tuple[DialogState, ...]:
    """A slot is as an extension that talks while somebody is parked there."""
    parked = lot.at(slot)
    return () if parked is None else (DialogState(str(parked.leg.id), "confirmed", False),)


def _user_of(request: Request) -> str:
    return request.uri.username if isinstance(request.uri, SipUri) else ""


def _state_of(leg: Leg, own: bool) -> DialogState:
    """A leg as its phone sees it: our tags are the remote ones there."""
    session = leg.session
    called_by_us = session is None or session.role == "uac"
    state: State = "confirmed" if leg.answered_at is not None else "early" if leg.rings else "trying"
    if session is None or not own:
        return DialogState(str(leg.id), state, not called_by_us)
    if called_by_us:
        remote = NameAddr(session.request.from_.uri, session.request.from_.display)
    else:
        # Not as it was dialled: a PIN may be in that.
        called = number_in(session.request.uri)
        host = session.request.uri.host if isinstance(session.request.uri, SipUri) else ""
        remote = NameAddr(SipUri(user=escape_user(called.number) if called else None, host=host))
    return DialogState(
        id=str(leg.id),
        state=state,
        initiator=not called_by_us,
        call_id=session.call_id,
        local_tag=session.remote_tag if called_by_us else session.request.from_.tag,
        remote_tag=session.local_tag,
        remote=remote,
    )


def _published(tag: str, dialog: DialogState, own: bool) -> DialogState:
    remote = dialog.remote if own else None
    return DialogState(f"{tag}-{dialog.id}", dialog.state, dialog.initiator, remote=remote)
