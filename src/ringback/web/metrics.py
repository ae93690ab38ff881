"""/metrics for Prometheus: counts only, no number and no name in a label."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from starlette.requests import Request
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


class _System(Collector):
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def collect(self) -> Iterable[Family]:
        for metric in (*_of_status(self._operations.status()), *self._operations.metrics()):
            if metric.kind == "histogram":
                buckets = [(labels["le"], value) for labels, value in metric.samples]
                yield HistogramMetricFamily(metric.name, metric.description, buckets, metric.sum)
                continue
            names = sorted({name for labels, _ in metric.samples for name in labels})
            kind = GaugeMetricFamily if metric.kind == "gauge" else CounterMetricFamily
            family = kind(metric.name, metric.description, labels=names)
            for labels, value in metric.samples:
                family.add_metric([labels.get(name, "") for name in names], value)
            yield family


class Metrics:
    """The registry of one application."""

    def __init__(self, operations: Operations) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_System(operations))
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "ringback_http_requests",
            "Answered HTTP requests by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Everything in the text format."""
        return generate_latest(self._registry)


class CountRequests:
    """ASGI middleware that counts answers by the route's pattern, never by the path that was asked for."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def counting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(Request(scope).scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.requests.labels(method, route, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counting_send if scope["type"] == "http" else send)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
