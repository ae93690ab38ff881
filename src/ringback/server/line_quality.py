"""What was measured of the legs, as the web shows it: series of one leg, and sums for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from ringback.quality.leg_history import Histogram, LegHistory
from ringback.web.operations import LineSeries, Metric, ReceivedSeries, RemoteSeries, SentSeries


def line_series(history: LegHistory, leg: int, seconds: float, now: float) -> LineSeries:
    """The last seconds of a leg; `now` is on the history's clock."""
    kept = history.series(leg, seconds)
    wall = datetime.now(UTC)
    count, value = kept.count, kept.value
    return LineSeries(
        at=[wall - timedelta(seconds=now - at) for at in kept.at.tolist()],
        seconds=kept.seconds.tolist(),
        received=ReceivedSeries(
            expected=count("expected").tolist(),
            received=count("received").tolist(),
            lost=(count("expected") - count("received")).tolist(),
            late=count("late").tolist(),
            duplicates=count("duplicates").tolist(),
            reordered=count("reordered").tolist(),
            discarded_frames=count("discarded").tolist(),
            refused=count("refused").tolist(),
            concealed_frames=count("concealed").tolist(),
            stretched_frames=count("stretched").tolist(),
            jitter_ms=_rounded(value("jitter_ms"), 2),
            level_dbfs=_rounded(value("level_dbfs"), 1),
            clipped_percent=_rounded(100 * value("clipped"), 3),
            buffer_ms=_rounded(value("buffer_ms"), 1),
        ),
        sent=SentSeries(
            packets=count("sent").tolist(),
            octets=count("sent_octets").tolist(),
            level_dbfs=_rounded(value("sent_level_dbfs"), 1),
        ),
        remote=RemoteSeries(
            lost_percent=_rounded(100 * value("remote_lost"), 2),
            jitter_ms=_rounded(value("remote_jitter_ms"), 2),
            round_trip_ms=_rounded(value("round_trip_ms"), 1),
            jitter_peak_ms=_rounded(value("remote_jitter_peak_ms"), 2),
            discarded_percent=_rounded(100 * value("remote_discarded"), 2),
            delay_ms=_rounded(value("remote_delay_ms"), 0),
            r_factor=_rounded(value("remote_r_factor"), 0),
            mos=_rounded(value("remote_mos"), 1),
        ),
    )


def _rounded(values: NDArray[np.float64], digits: int) -> list[float | None]:
    return [round(value, digits) if value == value else None for value in values.tolist()]  # noqa: PLR0124


def line_metrics(history: LegHistory) -> Iterable[Metric]:
    """Sums over all legs since the start, and how their seconds are spread."""
    sums = history.sums
    for name, description, value in (
        ("packets_expected", "RTP packets that the peers' counts say were sent to us.", sums["expected"]),
        ("packets_received", "RTP packets received, each once.", sums["received"]),
        ("packets_lost", "RTP packets expected and never received.", history.lost),
        ("packets_late", "RTP packets that came after their time to be heard.", sums["late"]),
        ("packets_duplicate", "RTP packets that came again.", sums["duplicates"]),
        ("packets_reordered", "RTP packets that came after a later one.", sums["reordered"]),
        ("packets_refused", "Packets that were not taken: forged, malformed, unwanted.", sums["refused"]),
        ("packets_sent", "RTP packets sent.", sums["sent"]),
        ("octets_sent", "Octets of audio sent, without headers.", sums["sent_octets"]),
        ("frames_concealed", "Frames of 20 ms made up for what did not come in time.", sums["concealed"]),
        ("frames_discarded", "Frames of 20 ms thrown away unheard by full buffers.", sums["discarded"]),
        ("frames_stretched", "Times that a buffer's delay was made longer or shorter.", sums["stretched"]),
    ):
        yield Metric(f"ringback_media_{name}", "counter", description, (({}, float(value)),))
    for name, description, histogram, scale in (
        ("jitter_seconds", "Jitter of each leg in each second (RFC 3550).", history.jitter_ms, 0.001),
        ("round_trip_seconds", "Round trip of each leg in each second.", history.round_trip_ms, 0.001),
        ("loss_ratio", "Loss of each leg in each second, before concealment.", history.loss, 1.0),
    ):
        yield _histogram(f"ringback_media_{name}", description, histogram, scale)


def _histogram(name: str, description: str, histogram: Histogram, scale: float) -> Metric:
    bounds = (*(f"{bound * scale:g}" for bound in histogram.bounds), "+Inf")
    buckets = tuple(({"le": bound}, float(n)) for bound, n in zip(bounds, histogram.counts, strict=True))
    return Metric(name, "histogram", description, buckets, sum=histogram.sum * scale)
