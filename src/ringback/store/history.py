"""The history of all that is set up: the plan, people, extensions, devices, trunks and meetings; and back."""

from __future__ import annotations

from collections.abc import Collection

from ringback.store.changes import ACCOUNT_KINDS, Changes, Undoes, Undone
from ringback.store.devices import Devices
from ringback.store.errors import NotFoundError
from ringback.store.extensions import Extensions
from ringback.store.logins import Logins
from ringback.store.mailboxes import Mailboxes
from ringback.store.meetings import Meetings
from ringback.store.objects import Objects
from ringback.store.people import People
from ringback.store.plan.plan import KINDS
from ringback.store.revisions import Revision
from ringback.store.second_factors import SecondFactors
from ringback.store.trunks import Trunks


class History:
    """What was changed, whatever it was, in one order; and taking it back."""

    def __init__(
        self,
        changes: Changes,
        objects: Objects,
        people: People,
        extensions: Extensions,
        devices: Devices,
        trunks: Trunks,
        meetings: Meetings,
        logins: Logins,
        second_factors: SecondFactors,
        mailboxes: Mailboxes,
    ) -> None:
        self._changes = changes
        self._objects = objects
        self._parts: dict[str, Undoes] = {
            "person": people,
            "extension": extensions,
            "device": devices,
            "trunk": trunks,
            "meeting": meetings,
        }
        self._extensions = extensions
        self._people = people
        self._logins = logins
        self._second_factors = second_factors
        self._mailboxes = mailboxes

    async def page(
        self,
        kinds: Collection[str],
        kind: str = "",
        name: str = "",
        before: int | None = None,
        limit: int = 100,
    ) -> list[Revision]:
        """Changes of the plan, and of those of `ACCOUNT_KINDS` that are in `kinds`; the last one first.

        Of one kind or one thing, if that is said; raises NotFoundError for a kind that there is not.
        """
        if kind and kind not in KINDS and kind not in ACCOUNT_KINDS:
            known = ", ".join((*ACCOUNT_KINDS, *KINDS))
            raise NotFoundError(f"there is no kind of that name; kinds are {known}")
        found: list[Revision] = []
        accounts = [each for each in kinds if kind in ("", each)]
        if accounts:
            found += await self._changes.page(accounts, name, before, limit)
        if not kind or kind in KINDS:
            found += await self._objects.history(kind, name, before, limit)
        return sorted(found, key=lambda revision: -revision.id)[:limit]

    async def kind_of(self, revision: int) -> str:
        """What a revision is a change of; raises NotFoundError."""
        change = await self._changes.find(revision)
        if change is not None:
            return change.revision.kind
        return (await self._objects.revision(revision)).kind

    async def undo(self, revision: int, by: str) -> Undone:
        """Put back what was before a revision, which is a change, too.

        Raises NotFoundError, or ConflictError that says why it cannot be.
        """
        change = await self._changes.find(revision)
        if change is None:
            known = await self._objects.revision(revision)
            await self._objects.undo(revision, by)
            value = known.before or known.after or {}
            return Undone(known.kind, known.name, str(value.get("title") or known.name))
        undone = await self._parts[change.revision.kind].undo(change, by)
        if change.revision.after is None:
            await self._follow(undone, change.revision)
        return undone

    async def _follow(self, undone: Undone, revision: Revision) -> None:
        """What goes with somebody or something that came back."""
        numbers: tuple[str, ...] = ()
        if undone.kind == "person":
            await self._logins.reload()
            await self._second_factors.reload()
            numbers = self._people.numbers(undone.name)
        elif undone.kind == "extension":
            numbers = (undone.name,)
        for number in numbers:
            extension = self._extensions.get(number)
            await self._mailboxes.give_back(extension.id, extension.person_id, revision.changed_at)
