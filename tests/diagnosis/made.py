"""Diagnoses made by hand: what the parts that show them are tested with, whatever the other parts find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ringback.diagnosis.capture.captured import (
    Capture,
    Endpoints,
    FileProblem,
    Fragmentation,
    Packets,
    SipPacket,
    StoredStream,
    StreamKey,
)
from ringback.diagnosis.causes.verdict import Cause, Mark, Verdict, Window
from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis
from ringback.diagnosis.signalling.call import CallRecord, Finding, LadderMessage, MediaOffer, OtherDialogs
from ringback.diagnosis.stream.measured import (
    Bursts,
    Interval,
    Jitter,
    Late,
    Measured,
    Mos,
    PayloadFormat,
    Phase,
    Sound,
)
from ringback.governance.private import Private

SECOND = 10**9
BEGAN = 1_767_362_400 * SECOND
"""2026-01-02 14:00:00 UTC."""

PHONE, SERVER = "192.0.2.17", "192.0.2.1"
PCMA = PayloadFormat("pcma", 8000, ptime_ms=20.0, source="sdp")
NUMBER, OTHER_NUMBER = "+15550123401", "1001"
CALL_ID = "a84b4c76e66710@15550123401.example.com"
NO_BURSTS = Bursts(0, 0.0, 0.0, 0.0, 0.0, 0, {}, 0.0, 0.0)


def packets(seconds: int = 60, began_ns: int = BEGAN, *, bad: bool = True, seed: int = 1) -> Packets:
    """G.711 at 20 ms; if it is bad a queue grows from 20 to 32 s, and overflows."""
    rng = np.random.default_rng(seed)
    count = seconds * 50
    at_s = np.arange(count) * 0.02
    transit_s = 0.02 + rng.exponential(0.0008, count)
    kept = np.ones(count, bool)
    if bad:
        crowded = (at_s >= 20) & (at_s < 32)
        queue_s = np.interp(at_s, [20, 24, 30, 32], [0, 0.14, 0.16, 0])
        transit_s += np.where(crowded, queue_s, 0) + np.where(crowded, rng.exponential(0.006, count), 0)
        kept &= ~(crowded & (queue_s > 0.1) & (rng.random(count) < 0.12))
    arrived = np.maximum.accumulate(at_s + transit_s)
    speaking = np.sin(at_s * 0.9) > -0.2
    level = np.where(speaking, -22 + rng.normal(0, 3, count), -64 + rng.normal(0, 1, count))
    n = int(kept.sum())
    return Packets(
        arrived_ns=(began_ns + arrived[kept] * 1e9).astype(np.int64),
        sequence=(np.arange(count) + 65_000).astype(np.uint16)[kept],
        timestamp=(np.arange(count) * 160).astype(np.uint32)[kept],
        payload_type=np.full(n, 8, np.uint8),
        marker=np.zeros(n, bool),
        payload_bytes=np.full(n, 160, np.uint16),
        wire_bytes=np.full(n, 200, np.uint16),
        dscp=np.zeros(n, np.uint8),
        ttl=np.full(n, 63, np.uint8),
        ip_id=np.arange(n).astype(np.uint16),
        level_dbov=level[kept].astype(np.float32),
        clipped=np.zeros(n, np.uint16),
    )


def mos(value: float | None, scale: str = "narrowband", grounding: str = "published") -> Mos:
    return Mos(scale, value, None if value is None else value * 20, 0.0, 4.3, grounding, "ITU-T G.113")  # type: ignore[arg-type]


def stream(
    key: StreamKey,
    *,
    bad: bool = True,
    call: str | None = "3f9a1c",
    sent_by: str | None = "caller",
    seed: int = 1,
) -> DiagnosedStream:
    """A stream of a minute with its numbers, the interval's roughly right."""
    held = packets(bad=bad, seed=seed)
    numbers = np.unwrap(held.sequence.astype(float), period=65536).astype(int)
    expected, unique = int(numbers[-1] - numbers[0] + 1), len(held)
    intervals = []
    for place in range(6):
        inside = (numbers - numbers[0]) // 500 == place
        lost = 500 - int(inside.sum())
        score = round(4.4 - 0.2 * (lost / 5) ** 0.9 if lost else 4.4, 2)
        intervals.append(
            Interval(
                began_ns=BEGAN + place * 10 * SECOND,
                seconds=10.0,
                expected=500,
                unique=500 - lost,
                lost=lost,
                duplicates=0,
                reordered=0,
                late=Late(lost * 3, 0, lost),
                jitter_ms=Jitter(1.0 + lost / 10, 2.0 + lost / 5),
                max_delta_ms=21.0 + lost,
                longest_lost=min(lost, 3),
                mos=mos(max(score, 1.0)),
                level_dbov=-22.0,
                silent_share=0.3,
                clipped_share=0.0,
            )
        )
    lost = expected - unique
    measured = Measured(
        key=key,
        began_ns=int(held.arrived_ns[0]),
        ended_ns=int(held.arrived_ns[-1]),
        payload_types={8: unique},
        formats={8: PCMA},
        codec=PCMA,
        expected=expected,
        received=unique,
        unique=unique,
        lost=lost,
        duplicates=0,
        reordered=0,
        late=Late(lost * 4, 0, lost),
        discarded=Late(lost * 4, 0, lost),
        jitter_ms=Jitter(1.9, 8.25) if bad else Jitter(0.4, 1.1),
        wireshark_jitter_ms=Jitter(1.8, 8.125) if bad else Jitter(0.4, 1.1),
        max_delta_ms=92.5 if bad else 23.5,
        mean_delta_ms=20.0,
        wireshark_max_delta_ms=92.4375 if bad else 23.5,
        bursts=Bursts(2, 0.21, 840.0, 0.001, 9000.0, 3, {1: 20, 2: 6, 3: 1}, 0.25, 0.002)
        if bad
        else NO_BURSTS,
        mos=mos(3.1 if bad else 4.4),
        dscp={0: unique},
        ttl={63: unique},
        ptime_ms=20.0,
        skew_ppm=float("nan") if bad else 12.5,
        silence_suppressed=False,
        event_packets=0,
        sound=Sound(-22.0, -12.0, 0.3, 0.0, 0.0),
        phases=(Phase(BEGAN, BEGAN + 60 * SECOND, 8, 65_000, "start"),),
        intervals=tuple(intervals),
    )
    return DiagnosedStream(measured, StoredStream(key, held), call, sent_by)  # type: ignore[arg-type]


def message(
    ms: int, label: str, *, back: bool = False, again: bool = False, sdp: bool = False
) -> LadderMessage:
    ends = Endpoints(PHONE, 5060, SERVER, 5060)
    ends = ends.reverse if back else ends
    status = int(label[:3]) if label[:3].isdigit() else 0
    at_ns = BEGAN - 3 * SECOND + ms * 10**6
    packet = SipPacket(at_ns, ends, "udp", f"{label} sip:{OTHER_NUMBER}@example.com".encode(), frame=ms + 1)
    method = "INVITE" if status else label
    return LadderMessage(at_ns, ends, "udp", label, method, status, 1, again, sdp, packet)


def record(label: str = "3f9a1c", **changed: object) -> CallRecord:
    """An answered call of a minute."""
    offer = MediaOffer(
        BEGAN - 3 * SECOND, "caller", "audio", PHONE, 40_000, 40_001, PHONE, "sendrecv", {8: PCMA}, (8,),
        20.0, "RTP/AVP", answers=False, accepted=True, in_dialog=False,
    )  # fmt: skip
    made = CallRecord(
        call_id=Private(CALL_ID),
        label=label,
        from_=Private(f'"Alice Example" <sip:{NUMBER}@example.com>;tag=1'),
        to=Private(f"<sip:{OTHER_NUMBER}@example.com>"),
        caller=Endpoints(PHONE, 5060, SERVER, 5060),
        start_ns=BEGAN - 3 * SECOND,
        answered_ns=BEGAN - SECOND,
        ended_ns=BEGAN + 60 * SECOND,
        outcome="answered",
        status=200,
        reason="OK",
        setup_ms=2000.0,
        post_dial_ms=180.0,
        ended_by="caller",
        messages=(
            message(0, "INVITE", sdp=True),
            message(500, "INVITE", sdp=True, again=True),
            message(510, "100 Trying", back=True),
            message(680, "180 Ringing", back=True),
            message(2000, "200 OK", back=True, sdp=True),
            message(2010, "ACK"),
            message(63_000, "BYE"),
            message(63_020, "200 OK", back=True),
        ),
        media=(offer,),
        offered=("pcma", "pcmu"),
        negotiated=("pcma",),
        retransmissions={"INVITE": 1},
        session_expires_s=1800,
        refresher="caller",
        user_agents={"caller": "Example Phone 1.0"},
        findings=(
            Finding("retransmitted-invite", "The first INVITE was sent twice.", BEGAN, "warning", {"n": 1}),
        ),
        complete=True,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


CONGESTION = Cause(
    "congestion",
    0.91,
    (
        "Delay grew by 140 ms over 4 s before the first packet was lost, as a queue does that fills.",
        "11.8 % of packets were lost from 14:00:22 to 14:00:31, and none while the delay was low.",
    ),
    ("The other direction lost nothing.",),
    ("No counters of the queue's drops.",),
    "Look at the uplink's output drops from 14:00:20 to 14:00:32, and give EF a priority queue there.",
    ("A larger jitter buffer: the packets did not come late, they did not come.",),
)
MARKING = Cause(
    "qos-marking-missing-at-source", 0.55, ("All packets carry DSCP 0.",), (), (), "Mark voice EF there."
)  # fmt: skip
BAD = Verdict(
    "For 12 seconds the line from 192.0.2.17 was full: packets queued 160 ms and 1.7 % were lost.",
    (CONGESTION, MARKING),
    None,
)
GOOD = Verdict("Nothing is wrong with this call.", (), None)
REFUSED = Verdict(
    "The capture cannot tell why the call was bad.",
    (),
    "The complaint is of a time that the capture does not hold.",
)
FORTH = StreamKey(PHONE, 40_000, SERVER, 20_000, 0x343FFA34)
BACK = StreamKey(SERVER, 20_000, PHONE, 40_000, 0x0000ABCD)


def capture(
    *streams: DiagnosedStream, problems: tuple[FileProblem, ...] = (), packets: int = 6000
) -> Capture:
    return Capture(
        point="",
        files=("bad-call.pcap",),
        packets=packets,
        octets=1_300_000,
        began_ns=BEGAN - 3 * SECOND,
        ended_ns=BEGAN + 61 * SECOND,
        streams=tuple(stream.source for stream in streams),
        uncertain=frozenset(),
        signalling=(),
        control=(),
        other=(),
        notices=(),
        fragmentation=Fragmentation(),
        problems=problems,
    )


NO_OTHER = OtherDialogs({"REGISTER": 2}, {"REGISTER 401": 1}, (), 0)
CUT = FileProblem("bad-call.pcap", 1_299_000, "the file ends inside a packet", 1)


def diagnosis(
    verdict: Verdict = BAD, problems: tuple[FileProblem, ...] = (CUT,), **changed: object
) -> Diagnosis:
    """One call with a bad and a good direction, and streams that no signalling explains."""
    forth, back = stream(FORTH), stream(BACK, bad=False, sent_by="called", seed=2)
    lonely = stream(StreamKey("198.51.100.7", 30_000, SERVER, 20_010, 7), bad=False, call=None, sent_by=None)
    made = Diagnosis(
        (capture(forth, back, lonely, problems=problems),),
        (DiagnosedCall(record(), verdict, (forth, back)),),
        (DiagnosedCall(None, GOOD, (lonely,)),),
        NO_OTHER,
        Window(BEGAN + 22 * SECOND, BEGAN + 30 * SECOND),
        (),
        (Mark(BEGAN + 20 * SECOND, "backup started"),),
    )
    return replace(made, **changed)  # type: ignore[arg-type]
