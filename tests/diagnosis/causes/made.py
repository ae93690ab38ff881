"""Evidence made from columns: a stream of packets that a small model of a way loses, delays or marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.diagnosis.capture.captured import Endpoints, SipPacket, StreamKey
from ringback.diagnosis.causes.verdict import Evidence, StreamEvidence, Window
from ringback.diagnosis.signalling.call import CallRecord, Finding, MediaOffer, Side
from ringback.diagnosis.stream.measured import (
    Bursts,
    Jitter,
    Late,
    Measured,
    Mos,
    PayloadFormat,
    Phase,
    Series,
    Sound,
)
from ringback.governance.private import Private

START_NS = 1_790_000_000 * 1_000_000_000
PCMU = PayloadFormat("pcmu", 8000, 1, 20.0, "static")
SPEECH = Sound(-26.0, -15.0, 0.4, 0.0, 0.0)
CALLER = StreamKey("192.0.2.10", 4000, "198.51.100.20", 6000, 0x1111)
CALLED = StreamKey("198.51.100.20", 6000, "192.0.2.10", 4000, 0x2222)


def stream(
    transit_ms: NDArray[np.float64],
    lost: NDArray[np.bool_] | None = None,
    *,
    key: StreamKey = CALLER,
    side: Side | None = "caller",
    began_s: float = 0.0,
    ptime_ms: float = 20.0,
    **measured: Any,
) -> StreamEvidence:
    """A stream with a delay a packet (NaN is not allowed) and the packets that are lost."""
    count = len(transit_ms)
    lost = np.zeros(count, np.bool_) if lost is None else lost.copy()
    lost[0] = lost[-1] = False
    sent_ms = began_s * 1000 + np.arange(count) * ptime_ms
    arrived = START_NS + ((sent_ms + transit_ms) * 1e6).astype(np.int64)
    transit = np.where(lost, np.nan, transit_ms)
    series = Series(
        arrived_ns=np.where(lost, 0, arrived),
        lost=lost,
        transit_ms=transit - np.nanmin(transit),
        payload_type=np.zeros(count, np.uint8),
        payload_bytes=np.where(lost, 0, 160).astype(np.uint16),
        level_dbov=np.full(count, -26, np.float32),
    )
    return StreamEvidence(_measured(series, arrived[~lost], key, ptime_ms, measured), series, side)


def _measured(
    series: Series, arrived: NDArray[np.int64], key: StreamKey, ptime_ms: float, others: Mapping[str, Any]
) -> Measured:
    lost = series.lost
    unique = int((~lost).sum())
    transit = series.transit_ms[~lost]
    # As a buffer of that length does that starts with the first packet.
    late = [int((transit > transit[0] + buffer).sum()) for buffer in (50, 200)]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], lost, [False])).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    counts = Late(late[0], late[1], late[1])
    made = Measured(
        key=key,
        began_ns=int(arrived.min()),
        ended_ns=int(arrived.max()),
        payload_types={0: unique},
        formats={0: PCMU},
        codec=PCMU,
        expected=len(lost),
        received=unique,
        unique=unique,
        lost=int(lost.sum()),
        duplicates=0,
        reordered=0,
        late=counts,
        discarded=counts,
        jitter_ms=Jitter(0.1, 0.5),
        wireshark_jitter_ms=Jitter(0.1, 0.5),
        max_delta_ms=float(np.diff(np.sort(arrived)).max()) / 1e6,
        mean_delta_ms=ptime_ms,
        wireshark_max_delta_ms=ptime_ms,
        bursts=Bursts(0, 0, 0, 0, 0, int(lengths.max(initial=0)), {}, 0, 0),
        mos=Mos("narrowband", 4.4, 93.2, 0.0, 25.1, "published", "ITU-T G.113"),
        dscp={46: unique},
        ttl={62: unique},
        ptime_ms=ptime_ms,
        skew_ppm=0.0,
        silence_suppressed=False,
        event_packets=0,
        sound=SPEECH,
        phases=(Phase(int(arrived.min()), int(arrived.max()), 0, 0, "start"),),
        intervals=(),
    )
    return replace(made, **others)


def quiet(seconds: float, seed: int = 1) -> NDArray[np.float64]:
    """The delay of a way on which nothing happens: 20 ms, and less than 1 ms of jitter."""
    return 20 + np.random.default_rng(seed).gamma(1.3, 0.1, int(seconds * 50))


def queue(seconds: float, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Sawtooths of a queue of 90 ms that others fill, and what it drops when it is full."""
    random = np.random.default_rng(seed)
    delay, lost = quiet(seconds, seed), np.zeros(int(seconds * 50), np.bool_)
    for at in np.arange(4, seconds - 4, 6):
        begin, ramp = int((at + random.uniform(0, 2)) * 50), int(random.integers(40, 80))
        rise = np.linspace(0, 90, ramp)
        fall = np.linspace(90, 0, ramp // 2)
        delay[begin : begin + len(rise)] += rise
        delay[begin + ramp : begin + ramp + len(fall)] += fall
        lost[begin + ramp - 2 : begin + ramp + 4] |= random.random(6) < 0.5
    return delay, lost


def retries(seconds: float, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A radio link: a packet is held for 60 to 160 ms, those behind it come with it, some are given up."""
    random = np.random.default_rng(seed)
    delay, lost = quiet(seconds, seed), np.zeros(int(seconds * 50), np.bool_)
    for at in np.arange(2, seconds - 2, 2.5):
        begin, hold = int((at + random.uniform(0, 1)) * 50), random.uniform(60, 160)
        if random.random() < 0.5:
            lost[begin - 3 : begin] = True
        for number in range(int(hold // 20) + 1):
            delay[begin + number] = max(delay[begin + number], 20 + hold - 20 * number + 0.5 * number)
    return delay, lost


def chance(seconds: float, share: float, seed: int = 1) -> NDArray[np.bool_]:
    """Independent losses."""
    return np.random.default_rng(seed).random(int(seconds * 50)) < share


def call(seconds: float = 60.0, findings: tuple[Finding, ...] = (), **changes: Any) -> CallRecord:
    """An answered call that begins and ends with its media."""
    both = tuple(offer(side, 0.0) for side in ("caller", "called"))
    record = CallRecord(
        call_id=Private("a@example.com"),
        label="c0ffee",
        from_=Private("+15555550100"),
        to=Private("+15555550101"),
        caller=Endpoints("192.0.2.10", 5060, "198.51.100.20", 5060),
        start_ns=START_NS - 3_000_000_000,
        answered_ns=START_NS,
        ended_ns=START_NS + int(seconds * 1e9),
        outcome="answered",
        status=200,
        reason="OK",
        setup_ms=3000.0,
        post_dial_ms=800.0,
        ended_by="caller",
        messages=(),
        media=both,
        offered=("pcmu",),
        negotiated=("pcmu",),
        retransmissions={},
        session_expires_s=None,
        refresher=None,
        user_agents={},
        findings=findings,
        complete=True,
    )
    return replace(record, **changes)


def offer(side: Side, at_s: float, direction: str = "sendrecv", **changes: Any) -> MediaOffer:
    """What a side says of its audio."""
    key = CALLER if side == "caller" else CALLED
    made = MediaOffer(
        at_ns=START_NS + int(at_s * 1e9),
        by=side,
        kind="audio",
        address=key.src,
        port=key.sport,
        rtcp_port=key.sport + 1,
        signalled_from=key.src,
        direction=direction,  # type: ignore[arg-type]
        formats={0: PCMU},
        order=(0,),
        ptime_ms=20.0,
        protocol="RTP/AVP",
        answers=side == "called",
        accepted=True,
        in_dialog=at_s > 0,
    )
    return replace(made, **changes)


def evidence(*streams: StreamEvidence, record: CallRecord | None = None, **others: Any) -> Evidence:
    """All of it; the capture lasts from the call's start (or the first packet) to the last."""
    ends = [s.measured.ended_ns for s in streams] + ([record.ended_ns] if record and record.ended_ns else [])
    begins = [s.measured.began_ns for s in streams] + ([record.start_ns] if record else [])
    capture = Window(min(begins, default=START_NS), max(ends, default=START_NS))
    return Evidence(**({"call": record, "streams": tuple(streams), "capture": capture} | others))


def back(seconds: float, **others: Any) -> StreamEvidence:
    """A whole stream of the called side."""
    return stream(quiet(seconds, 7), key=CALLED, side="called", **others)


def message(label: str, src: str, dscp: int = 0) -> SipPacket:
    """A SIP packet of which only place and mark matter."""
    return SipPacket(START_NS, Endpoints(src, 5060, "198.51.100.20", 5060), "udp", label.encode(), dscp)
