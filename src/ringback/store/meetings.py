"""Meetings: number, PINs and links stay the same until they are rotated; the secrets are sealed.

They can be taken back with all of them: what is kept of a deleted one is its row, sealed as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringback.governance.private import Private
from ringback.governance.sealing import Sealer
from ringback.store import schema
from ringback.store.changes import Change, Changes, Undone, gone, put_back, taken
from ringback.store.database import Database
from ringback.store.directory import Admission, Meeting
from ringback.store.errors import ConflictError, InvalidError, NotFoundError
from ringback.store.holder import DirectoryHolder
from ringback.store.objects import Objects
from ringback.store.rules import checked_name, new_id, new_meeting_number, new_pin, new_secret

PinRole = Literal["guest", "host", "both"]
_SEALED = ("guest_pin", "host_pin", "link_token", "host_link_token")


class Meetings:
    """The meetings; every change shows in the directory as soon as it is committed."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        holder: DirectoryHolder,
        objects: Objects,
        changes: Changes,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._holder = holder
        self._objects = objects
        self._changes = changes

    async def add(self, name: str, admission: str = "direct") -> Meeting:
        """A new meeting with a random number and PINs; raises InvalidError."""
        name, checked = checked_name(name), _checked_admission(admission)
        async with self._database.write() as connection:
            meeting = new_meeting(name, checked, self._taken)
            await insert_meeting(connection, self._sealer, meeting)
        self._holder.replace(self._holder.current.with_meeting(meeting))
        return meeting

    def all(self) -> list[Meeting]:
        """All meetings, oldest first."""
        return sorted(
            self._holder.current.meetings.values(), key=lambda meeting: (meeting.created_at, meeting.number)
        )

    def get(self, number_or_id: str) -> Meeting:
        """One meeting; raises NotFoundError."""
        meeting = self._holder.current.meeting(number_or_id) or self._by_id(number_or_id)
        if meeting is None:
            raise NotFoundError(f"there is no meeting {number_or_id}")
        return meeting

    def _by_id(self, meeting_id: str) -> Meeting | None:
        every = self._holder.current.meetings.values()
        return next((meeting for meeting in every if meeting.id == meeting_id), None)

    async def change(
        self,
        number: str,
        by: str = "",
        *,
        name: str | None = None,
        admission: str | None = None,
        undoes: int | None = None,
    ) -> Meeting:
        """Another name or admission; what is not given stays."""
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = checked_name(name)
        if admission is not None:
            changes["admission"] = _checked_admission(admission)
        return await self._update(number, lambda meeting: replace(meeting, **changes), by, undoes)

    async def rotate_pin(self, number: str, which: str = "both") -> Meeting:
        """New PINs for guests, hosts or both; the number and the links stay."""
        if which not in get_args(PinRole):
            raise InvalidError("the PIN to rotate is one of: guest, host, both")

        def rotated(meeting: Meeting) -> Meeting:
            guest, host = meeting.guest_pin, meeting.host_pin
            if which in {"guest", "both"}:
                guest = new_pin(guest, host)
            if which in {"host", "both"}:
                host = new_pin(guest, host)
            return replace(meeting, guest_pin=guest, host_pin=host)

        return await self._update(number, rotated)

    async def remove(self, number: str, by: str = "", *, for_good: bool = False) -> None:
        """Delete a meeting; raises NotFoundError, or ConflictError that names what needs it.

        It can be taken back for a while, unless it is `for_good`.
        """
        table = schema.meetings
        async with self._database.write() as connection:
            meeting = self.get(number)
            self._objects.check_unused("meeting", meeting.number)
            if for_good:
                await self._changes.forget(connection, "meeting", meeting.id)
            else:
                rows = await taken(connection, table, table.c.id == meeting.id)
                await self._changes.note(
                    connection, "meeting", meeting.id, _shown(meeting), None, by, rows=rows
                )
            await connection.execute(delete(table).where(table.c.id == meeting.id))
        self._holder.replace(self._holder.current.without_meeting(meeting.number))

    async def undo(self, change: Change, by: str) -> Undone:
        """Take a change back; raises ConflictError or NotFoundError that say why it cannot be."""
        revision = change.revision
        known = revision.before or revision.after or {}
        undone = Undone("meeting", revision.name, str(known.get("name", "")))
        if revision.before is None:
            await self.remove(revision.name, by)
            return undone
        if revision.after is not None:
            try:
                await self.change(revision.name, by, **change.fields, undoes=revision.id)
            except NotFoundError:
                raise gone("meeting", undone.title) from None
            return undone
        table = schema.meetings
        async with self._database.write() as connection:
            if self._by_id(revision.name) is not None:
                raise ConflictError("this cannot be put back: the meeting is there")
            number = str(known["number"])
            if number in self._taken:
                raise ConflictError(f"this cannot be put back: {number} is something else now")
            await put_back(connection, table, change.rows)
            row = (await connection.execute(select(table).where(table.c.id == revision.name))).one()
            meeting = _meeting(self._sealer, row)
            await self._changes.note(
                connection, "meeting", meeting.id, None, _shown(meeting), by, undoes=revision.id
            )
        self._holder.replace(self._holder.current.with_meeting(meeting))
        return undone

    async def _update(
        self,
        number: str,
        changed: Callable[[Meeting], Meeting],
        by: str = "",
        undoes: int | None = None,
    ) -> Meeting:
        async with self._database.write() as connection:
            # Read inside the transaction: two changes at once must not undo each other.
            before = self.get(number)
            meeting = changed(before)
            statement = update(schema.meetings).where(schema.meetings.c.id == meeting.id)
            await connection.execute(statement.values(_values(self._sealer, meeting)))
            await self._changes.note(
                connection, "meeting", meeting.id, _shown(before), _shown(meeting), by, undoes=undoes
            )
        self._holder.replace(self._holder.current.with_meeting(meeting))
        return meeting

    @property
    def _taken(self) -> frozenset[str]:
        directory = self._holder.current
        taken = directory.meetings.keys() | directory.extensions.keys() | directory.plan.numbers.keys()
        return self._objects.fixed.services | taken


def new_meeting(name: str, admission: Admission, taken: Container[str]) -> Meeting:
    """A meeting that is not stored yet, with a number that is not among `taken`."""
    guest_pin = new_pin()
    return Meeting(
        id=new_id(),
        number=new_meeting_number(taken),
        name=name,
        admission=admission,
        guest_pin=guest_pin,
        host_pin=new_pin(guest_pin),
        link_token=new_secret(),
        host_link_token=new_secret(),
        created_at=datetime.now(UTC),
    )


async def insert_meeting(connection: AsyncConnection, sealer: Sealer, meeting: Meeting) -> None:
    """Store a new meeting."""
    await connection.execute(insert(schema.meetings).values(_values(sealer, meeting)))


async def load_meetings(connection: AsyncConnection, sealer: Sealer) -> list[Meeting]:
    """All meetings with their secrets opened."""
    return [_meeting(sealer, row) for row in await connection.execute(select(schema.meetings))]


def _checked_admission(admission: str) -> Admission:
    for known in get_args(Admission):
        if admission == known:
            return cast("Admission", known)
    raise InvalidError("the admission is one of: " + ", ".join(get_args(Admission)))


def _shown(meeting: Meeting) -> dict[str, Any]:
    """What the history says of a meeting: nothing that lets anybody in."""
    return {name: getattr(meeting, name) for name in ("number", "name", "admission")}


def _values(sealer: Sealer, meeting: Meeting) -> dict[str, Any]:
    plain = ("id", "number", "name", "admission", "created_at")
    values: dict[str, Any] = {column: getattr(meeting, column) for column in plain}
    for column in _SEALED:
        values[column] = sealer.seal(getattr(meeting, column), "meetings", column, meeting.id)
    return values


def _meeting(sealer: Sealer, row: Row[Any]) -> Meeting:
    opened: dict[str, Private[str]] = {
        column: sealer.open(getattr(row, column), "meetings", column, row.id) for column in _SEALED
    }
    return Meeting(
        id=row.id,
        number=row.number,
        name=row.name,
        admission=_checked_admission(row.admission),
        created_at=row.created_at,
        **opened,
    )
