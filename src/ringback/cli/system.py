"""What the verbs work on: the running server through its control socket, or the store while it is stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Final, Protocol

from ringback.cli.errors import UNREACHABLE, CliError
from ringback.config import Settings
from ringback.governance.private import Private

STARTUP_PATIENCE_S: Final = 10.0

Json = dict[str, Any]


class System(Protocol):
    """What can be asked, running or stopped; answers are as the API gives them."""

    def add_extension(
        self, number: str, display_name: str, password: Private[str] | None, digest: str
    ) -> Json:
        """A new extension with its password."""

    def extensions(self) -> list[Json]:
        """All extensions."""

    def set_password(self, number: str, password: Private[str] | None) -> Json:
        """An extension with a new password."""

    def change_extension(self, number: str, given: Json) -> Json:
        """An extension with what is given changed."""

    def remove_extension(self, number: str, for_good: bool) -> int | None:
        """Delete an extension; the revision to undo."""

    def add_meeting(self, name: str, admission: str) -> Json:
        """A new meeting."""

    def meetings(self) -> list[Json]:
        """All meetings."""

    def meeting(self, number: str) -> Json:
        """One meeting."""

    def rotate_pin(self, number: str, which: str) -> Json:
        """A meeting with new PINs."""

    def change_meeting(self, number: str, given: Json) -> Json:
        """A meeting with what is given changed."""

    def remove_meeting(self, number: str, for_good: bool) -> int | None:
        """Delete a meeting; the revision to undo."""

    def add_trunk(self, given: Json) -> Json:
        """A new trunk: `given` is its name, its host, and what else is to be said of it."""

    def trunks(self) -> list[Json]:
        """All trunks."""

    def trunk(self, name: str) -> Json:
        """One trunk."""

    def change_trunk(self, name: str, given: Json) -> Json:
        """A trunk with what is given changed."""

    def remove_trunk(self, name: str, for_good: bool) -> int | None:
        """Delete a trunk; the revision to undo."""

    def simulate(self, asked: Json) -> Json:
        """Where a call would go."""

    def call_records(self, asked: Json) -> Json:
        """A page of calls that are over: `items`, and `next` for `after`."""

    def call_record(self, call: str) -> Json:
        """One of them, whole."""

    def add_token(self, role: str, name: str, valid_days: int | None) -> Json:
        """A new token."""

    def tokens(self) -> list[Json]:
        """All tokens, without what they are."""

    def revoke_token(self, token_id: str) -> None:
        """Make a token useless."""

    def ask(
        self, method: str, path: str, body: Json | str | None = None, *, revision: int | None = None
    ) -> Any:
        """What the API answers below /api/v1: JSON or text. `revision` is what the value must still have."""

    def setup_link(self, name: str) -> Json:
        """A one-time link for an administrator."""


@contextlib.contextmanager
def open_system(settings: Settings, *, creates: bool) -> Iterator[System]:
    """The running server, or the store while none runs; `creates` allows a new data folder.

    While a server starts or stops, waits until it is one or the other.
    """
    from ringback.cli.running import connect, serve_command  # noqa: PLC0415 - each way in loads only what it needs

    patience = time.monotonic() + STARTUP_PATIENCE_S
    while True:
        running = connect(settings)
        if running is not None:
            with running:
                yield running
            return
        if not creates and not settings.data_dir.is_dir():
            raise CliError(
                f"there is nothing in {settings.data_dir} yet; start it: {serve_command(settings)}"
            )
        lock = _lock(settings)
        if lock is not None:
            break
        if time.monotonic() > patience:
            raise CliError(f"the server on {settings.data_dir} starts or stops; try again", UNREACHABLE)
        time.sleep(0.1)
    from ringback.cli.stopped import StoppedSystem  # noqa: PLC0415

    with lock, StoppedSystem(settings) as stopped:
        yield stopped


def _lock(settings: Settings) -> contextlib.AbstractContextManager[object] | None:
    from ringback.store.lock import DataDirLock  # noqa: PLC0415

    try:
        return DataDirLock(settings.data_dir)
    except BlockingIOError:
        return None


class Asks(Protocol):
    """What answers as the API does."""

    def ask(self, method: str, path: str, body: Json | str | None = None) -> Any:
        """The answer."""


def delete(system: Asks, path: str, kind: str, name: str, for_good: bool) -> int | None:
    """Delete something; the revision to undo, None if that is not kept."""
    system.ask("DELETE", f"{path}?for_good=true" if for_good else path)
    if for_good:
        return None
    found = system.ask("POST", "/history/search", {"kind": kind, "name": name, "limit": 1})
    return int(found[0]["revision_id"]) if found else None
