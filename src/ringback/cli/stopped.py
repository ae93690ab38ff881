"""The store of a stopped server, changed directly; the answers are those the server would give."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from ringback.cli.errors import CliError
from ringback.cli.running import decoded, encoded
from ringback.cli.system import Json
from ringback.config import Settings
from ringback.governance.private import Private
from ringback.governance.roles import LOCAL_ADMINISTRATOR
from ringback.store.changes import AccountKind
from ringback.store.directory import Meeting, Trunk
from ringback.store.errors import InvalidError
from ringback.store.store import Store, open_store
from ringback.web.links import Links
from ringback.web.record_views import CallDetailView, PagedSearch, PageView, Reader
from ringback.web.shapes import View
from ringback.web.trunk_views import TrunkView
from ringback.web.views import ExtensionView, ExtensionWithPassword, MeetingView, new_token_view, token_view

if TYPE_CHECKING:
    from ringback.cli.local_api import LocalApi

_T = TypeVar("_T")
_ALL = Reader.of(LOCAL_ADMINISTRATOR)
_BY = LOCAL_ADMINISTRATOR.name


class StoppedSystem:
    """Implements `System` on the store; hold the data folder's lock while it is open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._links = Links.of(settings)
        self._api: LocalApi | None = None
        self._runner = asyncio.Runner()
        self._store: Store = self._run(open_store(settings))

    def __enter__(self) -> StoppedSystem:
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._store.close())
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(work)

    def add_extension(
        self, number: str, display_name: str, password: Private[str] | None, digest: str
    ) -> Json:
        """A new extension with its password."""
        extension, shown = self._run(
            self._store.extensions.add(number, display_name=display_name, password=password, digest=digest)
        )
        return _json(ExtensionWithPassword.shown(extension, shown, self._links))

    def extensions(self) -> list[Json]:
        """All extensions."""
        return [_json(ExtensionView.of(e, self._links)) for e in self._store.extensions.all()]

    def set_password(self, number: str, password: Private[str] | None) -> Json:
        """An extension with a new password."""
        shown = self._run(self._store.extensions.set_password(number, password))
        return _json(ExtensionWithPassword.shown(self._store.extensions.get(number), shown, self._links))

    def change_extension(self, number: str, given: Json) -> Json:
        """An extension with what is given changed."""
        changed = self._run(self._store.extensions.change(number, **given, by=_BY))
        return _json(ExtensionView.of(changed, self._links))

    def remove_extension(self, number: str, for_good: bool) -> int | None:
        """Delete an extension; the revision to undo."""
        self._run(self._store.extensions.remove(number, _BY, for_good=for_good))
        return None if for_good else self._latest("extension", number)

    def add_meeting(self, name: str, admission: str) -> Json:
        """A new meeting."""
        return self._view(self._run(self._store.meetings.add(name, admission)))

    def meetings(self) -> list[Json]:
        """All meetings."""
        return [self._view(meeting) for meeting in self._store.meetings.all()]

    def meeting(self, number: str) -> Json:
        """One meeting."""
        return self._view(self._store.meetings.get(number))

    def rotate_pin(self, number: str, which: str) -> Json:
        """A meeting with new PINs."""
        return self._view(self._run(self._store.meetings.rotate_pin(number, which)))

    def change_meeting(self, number: str, given: Json) -> Json:
        """A meeting with what is given changed."""
        return self._view(self._run(self._store.meetings.change(number, _BY, **given)))

    def remove_meeting(self, number: str, for_good: bool) -> int | None:
        """Delete a meeting; the revision to undo."""
        meeting = self._store.meetings.get(number)
        self._run(self._store.meetings.remove(number, _BY, for_good=for_good))
        return None if for_good else self._latest("meeting", meeting.id)

    def add_trunk(self, given: Json) -> Json:
        """A new trunk."""
        name, password, details = _parts(given)
        return _trunk_view(self._run(self._store.trunks.add(name, details, password)))

    def trunks(self) -> list[Json]:
        """All trunks."""
        return [_trunk_view(trunk) for trunk in self._store.trunks.all()]

    def trunk(self, name: str) -> Json:
        """One trunk."""
        return _trunk_view(self._store.trunks.get(name))

    def change_trunk(self, name: str, given: Json) -> Json:
        """A trunk with what is given changed."""
        _, password, details = _parts(given)
        return _trunk_view(self._run(self._store.trunks.change(name, details, password, _BY)))

    def remove_trunk(self, name: str, for_good: bool) -> int | None:
        """Delete a trunk; the revision to undo."""
        self._run(self._store.trunks.remove(name, _BY, for_good=for_good))
        return None if for_good else self._latest("trunk", name)

    def simulate(self, asked: Json) -> Json:
        """Where a call would go, by the settings that are given."""
        from pydantic import ValidationError  # noqa: PLC0415 - what other verbs do not need

        from ringback.web.problems import in_words  # noqa: PLC0415
        from ringback.web.route_views import Simulation, simulate  # noqa: PLC0415

        try:
            simulation = Simulation.model_validate(asked)
        except ValidationError as error:
            raise InvalidError(in_words(error.errors(), 0)) from None
        now = datetime.now().astimezone()
        return _json(simulate(self._store.directory, self._settings, simulation, LOCAL_ADMINISTRATOR, now))

    def call_records(self, asked: Json) -> Json:
        """Calls that are over."""
        try:
            search = PagedSearch.model_validate(asked)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise CliError(f"{where}: {error.errors()[0]['msg']}") from None
        found = self._store.call_records.find(search.query(), before=search.before(), limit=search.limit)
        return _json(PageView.of(self._run(found), _ALL, legs=search.legs))

    def call_record(self, call: str) -> Json:
        """One of them, whole."""
        return _json(CallDetailView.of(self._run(self._store.call_records.get(call)), _ALL))

    def add_token(self, role: str, name: str, valid_days: int | None) -> Json:
        """A new token."""
        token, secret = self._run(self._store.tokens.add(role, name=name, valid_days=valid_days))
        return _json(new_token_view(token, secret))

    def tokens(self) -> list[Json]:
        """All tokens, without what they are."""
        return [_json(token_view(token)) for token in self._store.tokens.all()]

    def revoke_token(self, token_id: str) -> None:
        """Make a token useless."""
        self._run(self._store.tokens.revoke(token_id))

    def ask(
        self, method: str, path: str, body: Json | str | None = None, *, revision: int | None = None
    ) -> Any:
        """What the API answers below /api/v1; raises CliError for a problem."""
        if self._api is None:
            # FastAPI is loaded for the verbs that need it.
            from ringback.cli.local_api import LocalApi  # noqa: PLC0415

            self._api = LocalApi(self._settings, self._store)
        content, headers = encoded(body, revision)
        return decoded(*self._run(self._api.request(method, f"/api/v1{path}", content or b"", headers)))

    def setup_link(self, name: str) -> Json:
        """A one-time link for an administrator."""
        return {"link": self._links.setup(self._run(self._store.logins.administrator_link(name)))}

    def _latest(self, kind: AccountKind, name: str) -> int | None:
        found = self._run(self._store.history.page([kind], kind, name, limit=1))
        return found[0].id if found else None

    def _view(self, meeting: Meeting) -> Json:
        return _json(MeetingView.of(meeting, self._links, LOCAL_ADMINISTRATOR))


def _parts(given: Json) -> tuple[str, Private[str] | None, Json]:
    """Name, password and all else that was given of a trunk."""
    details = {key: value for key, value in given.items() if key not in {"name", "password"}}
    password = given.get("password")
    return given.get("name", ""), None if password is None else Private(password), details


def _trunk_view(trunk: Trunk) -> Json:
    return TrunkView.of(trunk).model_dump(mode="json", by_alias=True)


def _json(view: View) -> Json:
    return view.model_dump(mode="json")
