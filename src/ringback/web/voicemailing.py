"""What the web needs of mailboxes: counts for who runs the system, messages for who they are for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from ringback.governance.private import Private
from ringback.store.mailboxes import Archive, Counts, StoredMessage

Kept = Literal["new", "old", "saved"]


@dataclass(frozen=True, slots=True)
class MailboxState:
    """How a mailbox is; `greetings` are the kinds that were recorded."""

    extension: str
    has_pin: bool
    counts: Counts
    most_messages: int
    greetings: tuple[str, ...]
    told_by_mail: Literal["no", "notice", "audio"]


@dataclass(frozen=True, slots=True)
class Sound:
    """A message as WAV: its size, and its octets from one up to another, never written anywhere."""

    size: int
    pieces: Callable[[int, int], AsyncIterator[bytes]]


class Voicemailing(Protocol):
    """The mailboxes of a running system. All raise NotFoundError for what is not there, or not any more."""

    def boxes(self) -> list[MailboxState]:
        """The mailboxes that the plan knows, by extension."""

    def box(self, extension: str) -> MailboxState:
        """One of them."""

    async def messages(self, extension: str) -> list[StoredMessage]:
        """What lies there, new ones first as by phone."""

    async def message(self, extension: str, message: str) -> StoredMessage:
        """One message; deleted ones too, as long as they can be had back."""

    async def mark(self, extension: str, message: str, state: Kept) -> StoredMessage:
        """Make it new, old or saved; one that was deleted is had back by that."""

    async def delete(self, extension: str, message: str) -> None:
        """Delete it; for a quarter of an hour it can be had back, then it is gone for good."""

    async def sound(self, extension: str, message: str, who: str, reason: str) -> Sound:
        """The message for somebody to hear, which is written down before."""

    async def set_pin(self, extension: str, pin: Private[str]) -> None:
        """Another PIN; raises InvalidError."""

    async def clear_pin(self, extension: str) -> None:
        """No PIN: the next one is chosen at the extension's own phone."""

    async def archives(self) -> list[Archive]:
        """What former holders left behind, which nobody hears any more."""

    async def delete_archive(self, archive: str, who: str, reason: str) -> None:
        """Delete what a former holder left behind."""
