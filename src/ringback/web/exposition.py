"""Metrics in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from ringback.web.operations import Metric


class _Given(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Family]:
        for metric in self._metrics:
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


def exposed(metrics: Iterable[Metric]) -> bytes:
    """These, and those of this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(metrics))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
