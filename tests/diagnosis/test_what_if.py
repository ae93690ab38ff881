"""The recorded arrivals played again: what a change mends is mended, what it cannot is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.diagnosis.capture.captured import Packets, StreamKey
from ringback.diagnosis.stream.curves import curves
from ringback.diagnosis.stream.measure import measure
from ringback.diagnosis.what_if import (
    CODECS,
    Change,
    Outcome,
    WhatIfError,
    play_again,
    read_change,
    standard_changes,
)

KEY = StreamKey("192.0.2.1", 4000, "192.0.2.2", 5000, 7)


def stream(delays_ms: np.ndarray[tuple[int], np.dtype[np.float64]], lost: list[int] | None = None) -> Packets:
    """A PCMU stream of 20 ms packets that took so long each, in the order of arrival."""
    count = len(delays_ms)
    numbers = np.arange(count)
    arrived = 10**18 + np.round((numbers * 20 + delays_ms) * 1e6).astype(np.int64)
    packets = Packets(
        arrived_ns=arrived,
        sequence=(numbers % 65_536).astype(np.uint16),
        timestamp=(numbers * 160).astype(np.uint32),
        payload_type=np.zeros(count, np.uint8),
        marker=np.zeros(count, np.bool_),
        payload_bytes=np.full(count, 160, np.uint16),
        wire_bytes=np.full(count, 200, np.uint16),
        dscp=np.zeros(count, np.uint8),
        ttl=np.full(count, 64, np.uint8),
        ip_id=numbers.astype(np.uint16),
        level_dbov=np.full(count, -20.0, np.float32),
        clipped=np.zeros(count, np.uint16),
    )
    kept = np.setdiff1d(numbers, lost or [])
    return packets.take(kept[np.argsort(arrived[kept], kind="stable")])


def played(packets: Packets, *changes: Change, network_ms: float = 0.0) -> list[Outcome]:
    measured = measure(KEY, packets, {})
    series = curves(packets, measured.formats)
    return list(play_again(measured, series, changes, network_ms=network_ms))


def test_a_deeper_buffer_mends_jitter_and_costs_delay() -> None:
    chance = np.random.default_rng(1)
    packets = stream(5 + chance.exponential(25, 3_000))
    small, deep = played(packets, read_change("buffer=20"), read_change("buffer=200"))
    assert small.failed_share > 0.1
    assert deep.failed_share < 0.01
    assert small.mos.value is not None
    assert deep.mos.value is not None
    assert deep.mos.value > small.mos.value + 0.5
    assert deep.delay_ms == pytest.approx(small.delay_ms + 180, abs=1)
    assert deep.conversational is not None
    assert deep.conversational < deep.mos.value


def test_no_buffer_mends_loss() -> None:
    lost = list(range(10, 2_990, 20))
    small, deep = played(
        stream(np.full(3_000, 5.0), lost), read_change("buffer=50"), read_change("buffer=500")
    )
    assert small.lost == deep.lost == len(lost)
    assert small.mos.value == deep.mos.value


def test_a_copy_in_the_next_packet_mends_single_losses_not_runs() -> None:
    single = list(range(10, 2_990, 20))
    (mended,) = played(stream(np.full(3_000, 5.0), single), read_change("fec=1 buffer=60"))
    assert (mended.lost, mended.recovered) == (0, len(single))
    runs = [at + k for at in range(10, 2_900, 100) for k in range(4)]
    one, three = played(
        stream(np.full(3_000, 5.0), runs), read_change("fec=1 buffer=100"), read_change("fec=3 buffer=100")
    )
    assert one.lost == 3 * len(runs) // 4
    assert three.lost == len(runs) // 4


def test_a_copy_that_comes_after_its_time_is_no_help() -> None:
    (outcome,) = played(
        stream(np.full(3_000, 5.0), list(range(10, 2_990, 20))), read_change("fec=1 buffer=10")
    )
    assert outcome.lost == 0
    assert outcome.discarded > 100
    assert outcome.recovered == 0


def test_longer_packets_lose_more_sound_at_once() -> None:
    chance = np.random.default_rng(3)
    lost = np.flatnonzero(chance.uniform(size=6_000) < 0.03).tolist()
    as_it_was, longer, shorter = played(
        stream(np.full(6_000, 5.0), lost), Change(), read_change("ptime=40"), read_change("ptime=10")
    )
    # The share stays what the network did; of the sound as much is missing, in pieces of other lengths.
    assert longer.expected == pytest.approx(3_000, abs=2)
    assert shorter.expected == pytest.approx(12_000, abs=4)
    for outcome in (longer, shorter):
        assert outcome.failed_share == pytest.approx(as_it_was.failed_share, abs=0.01)
    assert longer.kbit_s == pytest.approx(72)
    assert shorter.kbit_s == pytest.approx(96)


def test_another_codec_is_scored_on_its_own_scale() -> None:
    packets = stream(np.full(3_000, 5.0), list(range(10, 2_990, 33)))
    narrow, wide = played(packets, Change(), Change(codec="opus"))
    assert (narrow.mos.scale, wide.mos.scale) == ("narrowband", "wideband")
    assert wide.mos.grounding == "provisional"
    assert wide.kbit_s == pytest.approx(40)


def test_the_way_itself_counts_for_conversation_only() -> None:
    packets = stream(np.full(500, 5.0))
    (near,) = played(packets, Change())
    (far,) = played(packets, Change(), network_ms=300)
    assert near.mos.value == far.mos.value
    assert near.conversational is not None
    assert far.conversational is not None
    assert far.conversational < near.conversational - 0.5


def test_as_it_was_agrees_with_what_was_measured() -> None:
    chance = np.random.default_rng(5)
    lost = np.flatnonzero(chance.uniform(size=3_000) < 0.02).tolist()
    packets = stream(5 + chance.exponential(8, 3_000), [n for n in lost if 0 < n < 2_999])
    measured = measure(KEY, packets, {})
    outcomes = played(packets, Change(), read_change("buffer=50"), read_change("buffer=200"))
    assert [outcome.lost for outcome in outcomes] == [measured.lost] * 3
    assert [outcome.discarded for outcome in outcomes] == [
        measured.discarded.adaptive,
        measured.discarded.fixed_50,
        measured.discarded.fixed_200,
    ]
    assert outcomes[0].mos.value == pytest.approx(measured.mos.value, abs=1e-6)


def test_the_standard_changes_can_all_be_played() -> None:
    packets = stream(np.full(300, 5.0))
    changes = standard_changes(measure(KEY, packets, {}))
    assert [outcome.change.name for outcome in played(packets, *changes)] == [c.name for c in changes]
    assert all(change.name for change in changes)


@pytest.mark.parametrize(
    "text", ["buffer", "buffer=-1", "ptime=0", "codec=tin", "fec=99", "wish=1", "fec=1.5"]
)
def test_a_change_that_cannot_be_is_refused_in_words(text: str) -> None:
    with pytest.raises(WhatIfError, match="buffer=0 to 1000"):
        read_change(text)


def test_a_stream_without_a_clock_is_refused() -> None:
    with pytest.raises(WhatIfError, match="too few packets"):
        played(stream(np.full(1, 5.0)), Change())


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 300),
    share=st.floats(0, 0.9),
    codec=st.sampled_from([None, *CODECS]),
    ptime=st.sampled_from([None, 5.0, 10.0, 30.0, 60.0, 120.0]),
    fec=st.integers(0, 8),
)
def test_what_was_expected_is_played_lost_or_discarded(
    seed: int, count: int, share: float, codec: str | None, ptime: float | None, fec: int
) -> None:
    chance = np.random.default_rng(seed)
    lost = (1 + np.flatnonzero(chance.uniform(size=max(count - 2, 0)) < share)).tolist()
    packets = stream(chance.exponential(60, count), lost)
    if len(packets) < 2:
        return
    measured = measure(KEY, packets, {})
    if measured.ptime_ms <= 0:
        return
    (outcome,) = played(packets, Change(ptime_ms=ptime, codec=codec, fec=fec))
    assert 0 <= outcome.lost + outcome.discarded <= outcome.expected
    assert outcome.recovered <= outcome.expected - outcome.lost
