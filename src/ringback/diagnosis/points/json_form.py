"""Several capture points as JSON: clocks, and the path of each stream with its segments."""

from __future__ import annotations

from typing import Any

from ringback.diagnosis.capture.captured import StreamKey
from ringback.diagnosis.points.clocks import ClockOffset
from ringback.diagnosis.points.segments import Comparison, Path, Segment
from ringback.diagnosis.shown import finite

Json = dict[str, Any]


def points_as_json(comparison: Comparison) -> Json:
    """What stands under `points`."""
    return {
        "clocks": [_clock(clock) for clock in comparison.clocks],
        "paths": [_path(path) for path in comparison.paths],
        "alone": [_sight(point, key) for point, key in comparison.alone],
    }


def _clock(clock: ClockOffset) -> Json:
    return {
        "first": clock.first,
        "second": clock.second,
        "ahead_ms": finite(clock.ahead_ns / 1e6),
        "uncertain_ms": None if clock.uncertain_ns is None else finite(clock.uncertain_ns / 1e6),
        "drift_ppm": finite(clock.drift_ppm),
        "packets": clock.packets,
        "text": clock.words(),
    }


def _path(path: Path) -> Json:
    return {
        "points": [_sight(point, key) for point, key in path.sights],
        "order_known_by": path.order_known_by,
        "segments": [_segment(segment, segment is path.worst) for segment in path.segments],
    }


def _sight(point: str, key: StreamKey) -> Json:
    return {
        "point": point,
        "src": key.src,
        "sport": key.sport,
        "dst": key.dst,
        "dport": key.dport,
        "ssrc": f"0x{key.ssrc:08X}",
    }


def _segment(segment: Segment, worst: bool) -> Json:
    delay = segment.delay
    return {
        "from": segment.source,
        "to": segment.target,
        "sent": segment.sent,
        "lost": segment.lost,
        "loses_most": worst,
        "duplicated": segment.duplicated,
        "reordered": segment.reordered,
        "delay_ms": {
            "least": finite(delay.least),
            "uncertain": finite(delay.uncertain),
            "above_least": {
                name: finite(value)
                for name, value in zip(("p50", "p95", "p99", "max"), delay.above_least, strict=True)
            },
        },
        "dscp": [
            {"before": before, "after": after, "packets": count}
            for (before, after), count in sorted(segment.dscp.items())
        ],
        "hops": segment.hops,
        "addresses_changed": segment.addresses_changed,
        "numbers_changed": segment.numbers_changed,
        "text": list(segment.words()),
    }
