"""What the SIP edge counted, for Prometheus: no label can be chosen by a peer."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from ringback.net.transports import TransportCounts
from ringback.sip.endpoint import Endpoint
from ringback.sip.tap import ANSWER_BOUNDS_S, Tap
from ringback.web.operations import Metric


def sip_metrics(
    tap: Tap, endpoint: Endpoint, transports: TransportCounts, websockets: int
) -> Iterable[Metric]:
    """Messages, retransmissions, what is in progress, connections, and the time to the first answer."""
    yield Metric(
        "ringback_sip_messages",
        "counter",
        "SIP messages by direction, method, code (empty for requests) and transport.",
        tuple(
            ({"direction": name, "method": method, "code": code, "transport": transport}, float(count))
            for name, counts in (("in", tap.received), ("out", tap.sent))
            for (method, code, transport), count in sorted(counts.items())
        ),
    )
    yield Metric(
        "ringback_sip_malformed",
        "counter",
        "Messages that could not be used, by transport.",
        tuple(({"transport": name}, float(count)) for name, count in sorted(tap.malformed.items())),
    )
    copies, resent = endpoint.retransmissions
    yield Metric(
        "ringback_sip_retransmissions",
        "counter",
        "Messages that came or went again, by direction.",
        (({"direction": "in"}, float(copies)), ({"direction": "out"}, float(resent))),
    )
    for name, description, value in (
        (
            "transactions",
            "SIP transactions, also those that only absorb copies.",
            endpoint.transactions,
        ),
        ("dialogs", "SIP dialogs that take requests.", endpoint.dialogs),
        ("unanswered_requests", "Requests of ours that wait for a final response.", endpoint.unanswered),
    ):
        yield Metric(f"ringback_sip_{name}", "gauge", description, (({}, float(value)),))
    yield Metric(
        "ringback_sip_connections",
        "gauge",
        "Connections that carry SIP: TCP and TLS, and pages' WebSockets.",
        (({"kind": "stream"}, float(transports.connections)), ({"kind": "websocket"}, float(websockets))),
    )
    yield Metric(
        "ringback_sip_connections_ended",
        "counter",
        "TCP and TLS connections that were not let in or closed by us, by why.",
        (
            ({"why": "refused"}, float(transports.refused)),
            ({"why": "displaced"}, float(transports.displaced)),
            ({"why": "expired"}, float(transports.expired)),
        ),
    )
    for name, description, value in (
        ("datagrams", "UDP datagrams received.", transports.datagrams),
        ("ignored_datagrams", "UDP datagrams that were keep-alives or no SIP.", transports.ignored),
        ("unsent_messages", "Messages of ours that had nowhere to go.", transports.unsent),
    ):
        yield Metric(f"ringback_sip_{name}", "counter", description, (({}, float(value)),))
    bounds = (*(f"{bound:g}" for bound in ANSWER_BOUNDS_S), "+Inf")
    yield Metric(
        "ringback_sip_answer_seconds",
        "histogram",
        "Time from an INVITE to our first answer other than 100.",
        tuple(
            ({"le": bound}, float(count))
            for bound, count in zip(bounds, accumulate(tap.answer_counts), strict=True)
        ),
        sum=tap.answer_sum_s,
    )
