"""The API of what is kept, answered without a server: the very routes, called in this process (ASGI)."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import unquote

from starlette.types import Message

from ringback.config import Settings
from ringback.governance.throttle import SourceGuard, SourceList
from ringback.server.provisioning import PhoneFiles
from ringback.store.store import Store
from ringback.web import problems
from ringback.web.context import LocalIdentity, WebContext
from ringback.web.links import Links
from ringback.web.operations import Operations, UnavailableError
from ringback.web.subjects import Application

_SUBJECTS: Final = ("plan", "history", "people", "holdings", "devices", "logins", "second_factor")


class _NoServer:
    """In the place of a running system: nothing can be asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise UnavailableError("no server runs")


class LocalApi:
    """Takes requests as the local administrator's."""

    def __init__(self, settings: Settings, store: Store) -> None:
        links = Links.of(settings)
        app = Application(_SUBJECTS, openapi_url=None)
        app.state.context = WebContext(
            store,
            cast("Operations", _NoServer()),
            settings,
            links,
            SourceGuard(SourceList()),
            provisioning=PhoneFiles(settings, lambda: store.directory, lambda: links.web),
        )
        problems.install(app)
        self._app = LocalIdentity(app)

    async def request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        """The status, the content type without parameters, and the body of an answer."""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": None,
            "server": ("localhost", 80),
        }
        status, content_type, content = 500, "", b""

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, content_type, content
            if message["type"] == "http.response.start":
                status = message["status"]
                found = dict(message["headers"]).get(b"content-type", b"").decode()
                content_type = found.partition(";")[0]
            else:
                content += message.get("body", b"")

        await self._app(scope, receive, send)
        return status, content_type, content
