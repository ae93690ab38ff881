"""The first start: an administrator, two extensions and a meeting, so that there is something to call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.governance.private import Private
from ringback.store.directory import Extension, Meeting
from ringback.store.extensions import insert_extension, new_extension
from ringback.store.logins import FIRST_ADMINISTRATOR, renew_link
from ringback.store.meetings import insert_meeting, new_meeting
from ringback.store.store import Store
from ringback.store.values import read_value, write_value

FIRST_EXTENSIONS: Final = ("101", "102")
FIRST_MEETING: Final = "Demo"
_DONE = "first-start-done"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start made, to be shown once: passwords and the link cannot be read again."""

    administrator: str
    setup_secret: Private[str]
    extensions: tuple[tuple[Extension, Private[str]], ...]
    meeting: Meeting


async def bootstrap(store: Store) -> FirstStart | None:
    """Make what a first start needs, all or nothing; None if that has been done before.

    Numbers that were given to extensions before the first start are left alone.
    """
    directory = store.directory
    taken = directory.extensions.keys() | directory.plan.numbers.keys() | store.reserved_numbers
    extensions = tuple(
        new_extension(number, f"Extension {number}") for number in FIRST_EXTENSIONS if number not in taken
    )
    meeting = new_meeting(FIRST_MEETING, "direct", taken | directory.meetings.keys())
    async with store.database.write() as connection:
        if await read_value(connection, _DONE):
            return None
        secret = await renew_link(connection, FIRST_ADMINISTRATOR)
        for extension, _ in extensions:
            await insert_extension(connection, store.sealer, extension)
        await insert_meeting(connection, store.sealer, meeting)
        await write_value(connection, _DONE, True)
    await store.reload()
    return FirstStart(FIRST_ADMINISTRATOR, secret, extensions, meeting)
