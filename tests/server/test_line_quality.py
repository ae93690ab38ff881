"""What the web is told of lines: series of one leg, and sums in the text format of Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringback.config import load_settings
from ringback.media.measured import BUFFER_MS, JITTER_MS
from ringback.media.protocol import Histogram
from ringback.quality.leg_history import LegHistory
from ringback.server.app import Server
from ringback.server.line_quality import line_series
from ringback.store.store import open_store
from ringback.web.metrics import Metrics
from tests.quality.measures import told


def test_a_series_has_a_value_a_second_in_every_column() -> None:
    history = LegHistory()
    for second in (1, 2):
        row = {"expected": 50, "received": 40 + 5 * second, "clipped": 0.25, "remote_lost": 0.5}
        history.take(told({1: row | {"jitter_ms": 2.5, "sent": 50}}), second)
    series = line_series(history, 1, 60, 3)
    assert series.received.expected == [50, 50]
    assert series.received.lost == [5, 0]
    assert series.received.clipped_percent == [25, 25]
    assert series.received.jitter_ms == [2.5, 2.5]
    assert series.received.level_dbfs == [None, None]
    assert series.sent.packets == [50, 50]
    assert series.remote.lost_percent == [50, 50]
    assert (datetime.now(UTC) - series.at[1]).total_seconds() == pytest.approx(1, abs=0.5)
    assert (series.at[1] - series.at[0]).total_seconds() == pytest.approx(1, abs=0.001)


async def test_sums_and_histograms_are_shown_to_prometheus(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, environ={})
    store = await open_store(settings)
    try:
        server = Server(settings, store)
        line = {"expected": 50, "received": 40, "late": 3, "concealed": 13}
        jitter = Histogram(counts=[0] * 4 + [1] * (len(JITTER_MS) - 3), sum=12.0)
        buffer = Histogram(counts=[1] + [2] * len(BUFFER_MS), sum=10.0)
        told_of = told({1: line, 2: {"expected": 50, "received": 50}}, jitter_ms=jitter, buffer_ms=buffer)
        server.switchboard.media_event(told_of, 1.0)
        shown = Metrics(server.operations).text().decode().splitlines()
    finally:
        await store.close()
    assert "ringback_media_packets_expected_total 100.0" in shown
    assert "ringback_media_packets_received_total 90.0" in shown
    assert "ringback_media_packets_lost_total 10.0" in shown
    assert "ringback_media_packets_late_total 3.0" in shown
    assert "ringback_media_frames_concealed_total 13.0" in shown
    assert 'ringback_media_jitter_seconds_bucket{le="0.01"} 0.0' in shown
    assert 'ringback_media_jitter_seconds_bucket{le="0.02"} 1.0' in shown
    assert "ringback_media_jitter_seconds_count 1.0" in shown
    assert "ringback_media_jitter_seconds_sum 0.012" in shown
    assert 'ringback_media_buffer_seconds_bucket{le="0.005"} 1.0' in shown
    assert "ringback_media_buffer_seconds_count 2.0" in shown
    assert "ringback_media_buffer_seconds_sum 0.01" in shown
    assert 'ringback_media_loss_ratio_bucket{le="+Inf"} 0.0' in shown
