"""/metrics for Prometheus: counts only, no number and no name in a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.web.operations import Metric, Operations, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _of_status(status: Status) -> Iterable[Metric]:
    def gauge(name: str, description: str, value: float) -> Metric:
        return Metric(f"ringback_{name}", "gauge", description, (({}, value),))

    yield gauge("ready", "1 while calls can be taken.", 0.0 if status.waiting_for else 1.0)
    yield gauge("uptime_seconds", "Seconds since the start.", status.uptime_s)
    yield gauge("calls", "Calls in progress.", status.calls)
    yield gauge("legs", "SIP dialogs with media.", status.legs)
    yield gauge("meetings", "Meetings that somebody is in.", status.meetings)
    yield gauge("registrations", "Devices that can be called.", status.registrations)
    yield gauge("media_workers", "Media processes that run.", len(status.pids.media))
    version = (({"version": status.version}, 1.0),)
    yield Metric("ringback_build_info", "gauge", "The version that runs, as a label.", version)


class Metrics:
    """What is counted of one application, and of the system behind it."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self.requests: Counter[tuple[str, str, str]] = Counter()
        """Answers by method, route and status."""

    def text(self) -> bytes:
        """Everything in the text format."""
        # Prometheus' library is loaded for who asks, not for every start.
        from ringback.web.exposition import exposed  # noqa: PLC0415

        return exposed(
            (*_of_status(self._operations.status()), *self._operations.metrics(), self._answered())
        )

    def _answered(self) -> Metric:
        samples = tuple(
            ({"method": method, "route": route, "status": status}, float(count))
            for (method, route, status), count in self.requests.items()
        )
        description = "Answered HTTP requests by method, route and status."
        return Metric("ringback_http_requests", "counter", description, samples)


class CountRequests:
    """ASGI middleware that counts answers by the route's pattern, never by the path that was asked for."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def counting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.requests[method, route, str(message["status"])] += 1
            await send(message)

        await self._app(scope, receive, counting_send if scope["type"] == "http" else send)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
