"""What no request may exceed and every answer carries: body size, patience, security headers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.web.problems import problem_response

MAX_BODY_BYTES: Final = 256 * 1024
BODY_PATIENCE_S: Final = 20.0

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Limits:
    """ASGI middleware: refuses large bodies (413), gives up on slow ones (408), adds the security headers."""

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int = MAX_BODY_BYTES,
        patience_s: float = BODY_PATIENCE_S,
        larger: Mapping[str, int] | None = None,
    ):
        """`larger` has paths whose routes take larger bodies, piece by piece, with how large these may be."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._patience_s = patience_s
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        read, complete = 0, False
        most = self._larger.get(scope["path"], self._max_body_bytes)
        too_large = f"the body is larger than {most} bytes"

        async def bounded_receive() -> Message:
            nonlocal read, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout(self._patience_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the body took too long", _CLOSE) from None
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if read > most:
                raise HTTPException(413, too_large, _CLOSE)
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if _announced(scope) > most:
            await problem_response(413, too_large, _CLOSE)(scope, receive, send_with_headers)
        else:
            await self._app(scope, bounded_receive, send_with_headers)


# The rest of the body is not read: the connection cannot be used again.
_CLOSE: Final = {"Connection": "close"}


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
