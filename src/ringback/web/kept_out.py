"""What URLs do not hold: they are kept by logs, proxies and histories, so names and numbers go in bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback.store.directory import Directory, Extension
from ringback.store.store import Store
from ringback.web.api import API
from ringback.web.problems import ProblemError

NAMED_BY_EXTENSION: Final = frozenset({"extension", "answering", "mailbox"})
"""What is named by an extension's number."""
_BY_ID: Final = re.compile(
    rf"({API}/(?:extensions|voicemail|plan/answering|plan/mailbox)/)([0-9a-f]{{16}})(?=/|$)"
)


class KeptOut:
    """A dependency that refuses parameters which would put something private into a URL."""

    def __init__(self, *names: str, instead: str) -> None:
        """`instead` is where they are asked for by POST."""
        self._names = names
        self._instead = instead

    def __call__(self, request: Request) -> None:
        """Raise 422 for one that is there."""
        for name in self._names:
            if name in request.query_params:
                raise ProblemError(
                    422,
                    f"{name}: names and numbers do not belong in a URL, which logs and histories keep; "
                    f"send the same as JSON: POST {self._instead}",
                )


class ExtensionIds:
    """The identifiers of extensions, which do in URLs in place of their numbers."""

    def __init__(self) -> None:
        self._of: Mapping[str, Extension] | None = None
        self._numbers: dict[str, str] = {}

    def number(self, text: str, directory: Directory) -> str:
        """The number of the extension with that identifier; any other text as it is."""
        if self._of is not directory.extensions:
            self._numbers = {one.id: one.number for one in directory.extensions.values()}
            self._of = directory.extensions
        return self._numbers.get(text, text)


class ByExtensionId:
    """Wraps the application: paths may name extensions by their identifier."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self._app = app
        self._store = store
        self._ids = ExtensionIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the number in its path."""
        match = _BY_ID.match(scope.get("path", "")) if scope["type"] == "http" else None
        if match is not None:
            number = self._ids.number(match[2], self._store.directory)
            path = match[1] + number + scope["path"][match.end() :]
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
