"""Diagnosed calls made into rows to be compared: where they were, by what device, which way, how good."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from ringback.diagnosis.diagnosed import LIKELY, DiagnosedCall, DiagnosedStream, Diagnosis
from ringback.diagnosis.many.calls import CallRow, with_hour
from ringback.diagnosis.many.places import Places
from ringback.diagnosis.many.summary import MANY, summed_up
from ringback.diagnosis.signalling.call import CallRecord

SOURCE: Final = "the captures"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PRODUCT: Final = re.compile(r"[A-Za-z0-9][\w .+-]{0,30}?(?=[/(\[]|\s+v?[0-9]|$)")
_SCALES: Final = {"narrowband": "mos", "wideband": "mos_wideband", "fullband": "mos_fullband"}


def rows_of(calls: Sequence[DiagnosedCall], places: Places, zone: tzinfo | None) -> list[CallRow]:
    """A row for each call and each conversation without signalling; hours are those of `zone`
    (None: this machine's)."""
    return [_row(call, places, zone) for call in calls]


def with_many(diagnosis: Diagnosis, zone: tzinfo | None) -> Diagnosis:
    """The diagnosis with its calls summed up, where they are many."""
    if diagnosis.many is not None or len(diagnosis.calls) + len(diagnosis.unsignalled) < MANY:
        return diagnosis
    return replace(diagnosis, many=summed_up(rows_of_all(diagnosis, zone), SOURCE))


def rows_of_all(diagnosis: Diagnosis, zone: tzinfo | None) -> list[CallRow]:
    """A row for each call of a diagnosis, in the order of time."""
    calls = sorted((*diagnosis.calls, *diagnosis.unsignalled), key=lambda call: call.began_ns)
    return rows_of(calls, diagnosis.places, zone)


def _row(call: DiagnosedCall, places: Places, zone: tzinfo | None) -> CallRow:
    start = (_EPOCH + timedelta(microseconds=call.began_ns // 1000)).astimezone(zone)
    record = call.record
    groups = dict(_groups(call, places))
    measures = dict(_measures(call.streams))
    if record is not None and record.setup_ms is not None:
        measures["setup_ms"] = record.setup_ms
    return CallRow(
        start=start,
        groups=with_hour(groups, start),
        measures=measures,
        failed=record is not None and _is_fault(record),
        one_way=any(c.cause == "one-way-media" and c.confidence >= LIKELY for c in call.verdict.causes),
    )


def _is_fault(record: CallRecord) -> bool:
    """Whether the call failed by a fault: busy, declined and wrong numbers are nobody's."""
    if record.outcome == "unanswered":
        return any(finding.code == "invite-unanswered" for finding in record.findings)
    if record.outcome != "failed":
        return False
    return record.status is None or record.status not in {404, 484, 486, 487, 600, 603, 604}


def _groups(call: DiagnosedCall, places: Places) -> Iterator[tuple[str, str]]:
    """The groups of a call. Of several sites and trunks the caller's side counts."""
    ends = _ends(call)
    found: dict[str, str] = {}
    for address in ends:
        for name, value in places.of(address).items():
            found.setdefault(name, value)
    yield from found.items()
    if len(ends) == 2:
        inside = [places.is_inside(address) for address in ends]
        yield (
            "direction",
            {
                (True, True): "internal",
                (True, False): "outbound",
                (False, True): "inbound",
                (False, False): "transit",
            }[inside[0], inside[1]],
        )
    if call.record is not None:
        agents = call.record.user_agents
        # The device is the phone's: of the side that is at a site, else the caller's.
        side = "called" if len(ends) == 2 and not places.is_inside(ends[0]) else "caller"
        agent = agents.get("called" if side == "called" else "caller", "")
        product = _PRODUCT.match(agent.strip())
        if product is not None:
            yield "device", product[0].strip()


def _ends(call: DiagnosedCall) -> tuple[str, ...]:
    """Addresses of the caller's and the called side."""
    if call.record is not None:
        return call.record.caller.src, call.record.caller.dst
    first = call.streams[0].measured.key
    return first.src, first.dst


def _measures(streams: Sequence[DiagnosedStream]) -> Iterator[tuple[str, float]]:
    """The worst stream's figures, each scale for itself."""
    scores: dict[str, float] = {}
    for stream in streams:
        mos = stream.measured.mos
        if mos.value is not None:
            name = _SCALES[mos.scale]
            scores[name] = min(mos.value, scores.get(name, mos.value))
    yield from scores.items()
    measured = [stream.measured for stream in streams if stream.measured.expected > 1]
    if measured:
        yield "loss_percent", max(100 * one.lost / one.expected for one in measured)
        yield "late_percent", max(100 * one.late.fixed_50 / one.expected for one in measured)
        yield "jitter_ms", max(one.jitter_ms.mean for one in measured)
