"""What a server under test tells Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.wire.server import RingbackServer


def samples(server: RingbackServer, name: str) -> list[Sample]:
    """The samples of one family, all workers'; raises LookupError where there is none, which is not 0."""
    for family in text_string_to_metric_families(server.fetch("/metrics")):
        if family.name == name:
            return list(family.samples)
    raise LookupError(f"the server tells nothing of {name}")


def total(server: RingbackServer, name: str) -> float:
    """The sum of a counter over all workers; raises LookupError."""
    return sum(sample.value for sample in samples(server, name) if sample.name.endswith("_total"))
