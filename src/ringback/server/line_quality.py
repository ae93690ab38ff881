"""What was measured of the legs, as the web shows it: series of one leg, and sums for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from ringback.quality.leg_history import Histogram, LegHistory
from ringback.web.operations import LineSeries, Metric, ReceivedSeries, RemoteSeries, SentSeries


def line_series(history: LegHistory, leg: int, seconds: float, now: float) -> LineSeries:
    """The last seconds of a leg; `now` is on the history's clock."""
    rows = history.series(leg, seconds)
    wall = datetime.now(UTC)

    def count(name: str) -> list[int]:
        return [row.count(name) for row in rows]

    def value(name: str, digits: int, scale: float = 1.0) -> list[float | None]:
        known = (row.value(name) for row in rows)
        return [None if one is None else round(scale * one, digits) for one in known]

    expected, received = count("expected"), count("received")
    return LineSeries(
        at=[wall - timedelta(seconds=now - row.at) for row in rows],
        seconds=[row.seconds for row in rows],
        received=ReceivedSeries(
            expected=expected,
            received=received,
            lost=[one - other for one, other in zip(expected, received, strict=True)],
            late=count("late"),
            duplicates=count("duplicates"),
            reordered=count("reordered"),
            discarded_frames=count("discarded"),
            refused=count("refused"),
            concealed_frames=count("concealed"),
            stretched_frames=count("stretched"),
            jitter_ms=value("jitter_ms", 2),
            level_dbfs=value("level_dbfs", 1),
            clipped_percent=value("clipped", 3, 100),
            buffer_ms=value("buffer_ms", 1),
        ),
        sent=SentSeries(
            packets=count("sent"),
            octets=count("sent_octets"),
            level_dbfs=value("sent_level_dbfs", 1),
        ),
        remote=RemoteSeries(
            lost_percent=value("remote_lost", 2, 100),
            jitter_ms=value("remote_jitter_ms", 2),
            round_trip_ms=value("round_trip_ms", 1),
            jitter_peak_ms=value("remote_jitter_peak_ms", 2),
            discarded_percent=value("remote_discarded", 2, 100),
            delay_ms=value("remote_delay_ms", 0),
            r_factor=value("remote_r_factor", 0),
            mos=value("remote_mos", 1),
        ),
    )


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
        ("buffer_seconds", "Sound that waits in each leg's jitter buffer.", history.buffer_ms, 0.001),
        ("round_trip_seconds", "Round trip of each leg in each second.", history.round_trip_ms, 0.001),
        ("loss_ratio", "Loss of each leg in each second, before concealment.", history.loss, 1.0),
    ):
        yield _histogram(f"ringback_media_{name}", description, histogram, scale)


def _histogram(name: str, description: str, histogram: Histogram, scale: float) -> Metric:
    bounds = (*(f"{bound * scale:g}" for bound in histogram.bounds), "+Inf")
    buckets = tuple(({"le": bound}, float(n)) for bound, n in zip(bounds, histogram.counts, strict=True))
    return Metric(name, "histogram", description, buckets, sum=histogram.sum * scale)
