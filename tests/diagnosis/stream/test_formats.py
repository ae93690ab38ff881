"""What payload types mean where nobody says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ringback.diagnosis.stream.formats import complete
from ringback.diagnosis.stream.measured import PayloadFormat
from tests.diagnosis.stream.streams import packets


@pytest.mark.parametrize(
    ("number", "name", "clock"),
    [(0, "pcmu", 8000), (9, "g722", 8000), (11, "l16", 44_100), (18, "g729", 8000)],
)
def test_static_types(number: int, name: str, clock: int) -> None:
    known = complete(packets(range(3), payload_type=number), {})[number]
    assert (known.name, known.clock_rate, known.source) == (name, clock, "static")


def test_signalling_knows_better() -> None:
    told = PayloadFormat("pcma", 8000, source="sdp")
    assert complete(packets(range(3), payload_type=[0, 96, 0]), {0: told, 96: told})[0] is told


def dynamic(clock: int, ptime_ms: float, jitter_ms: float = 0.0, **columns: Any) -> PayloadFormat:
    n = np.arange(200)
    random = np.random.default_rng(3)
    made = packets(
        n,
        payload_type=96,
        timestamp=7 + (clock * ptime_ms / 1000 * n).astype(np.int64),
        arrived_ms=ptime_ms * n + random.uniform(0, jitter_ms, len(n)),
        **columns,
    )
    return complete(made, {})[96]


@pytest.mark.parametrize("clock", [8000, 16_000, 24_000, 32_000, 48_000, 90_000])
@pytest.mark.parametrize(("ptime", "jitter"), [(10, 0), (20, 4), (20, 15), (30, 10), (60, 30)])
def test_the_clock_is_guessed_by_time_stamps_and_time(clock: int, ptime: float, jitter: float) -> None:
    known = dynamic(clock, ptime, jitter)
    assert (known.clock_rate, known.source) == (clock, "guessed")


def test_a_clock_of_48_khz_is_opus() -> None:
    assert dynamic(48_000, 20).name == "opus"
    assert dynamic(16_000, 20).name == "unknown"


def test_a_clock_that_is_none_in_use_stays_unknown() -> None:
    known = dynamic(64_000, 20)
    assert (known.clock_rate, known.source) == (0, "unknown")


def test_one_packet_tells_no_clock() -> None:
    assert complete(packets([1], payload_type=96), {})[96] == PayloadFormat("unknown", 0)


def test_events_are_known_by_time_stamps_that_stand_still() -> None:
    kinds = [0] * 5 + [101] * 5 + [0] * 5
    stamps = [*(160 * np.arange(5)), *[800] * 5, *(1600 + 160 * np.arange(5))]
    sizes = [160] * 5 + [4] * 5 + [160] * 5
    made = packets(range(15), payload_type=kinds, timestamp=stamps, payload_bytes=sizes)
    assert complete(made, {})[101] == PayloadFormat("telephone-event", 8000, source="guessed")


def test_events_without_any_audio() -> None:
    made = packets(range(8), payload_type=101, timestamp=np.repeat([800, 8000], 4), payload_bytes=4)
    assert complete(made, {})[101].name == "telephone-event"
