"""Streams of real captures, against counts made independently of ours and times by Wireshark's rule."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ringback.diagnosis.capture.captured import Capture, Packets, StreamKey
from ringback.diagnosis.capture.read import read_capture
from ringback.diagnosis.signalling.follow import follow
from ringback.diagnosis.signalling.media import assign
from ringback.diagnosis.stream.curves import curves
from ringback.diagnosis.stream.measure import measure
from ringback.diagnosis.stream.measured import Measured, PayloadFormat

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "captures"
INDEX = FOLDER / "INDEX.json"

if not INDEX.exists():
    pytest.skip("the captures are not beside the checkout", allow_module_level=True)

STREAMS: list[tuple[str, dict[str, Any]]] = [
    (entry["file"], stream)
    for entry in json.loads(INDEX.read_text())["captures"]
    for stream in entry["rtp_streams"]
    if "independent" in stream
]
BY_STREAM = pytest.mark.parametrize(
    ("file", "stream"), STREAMS, ids=[f"{file}-{stream['ssrc']}" for file, stream in STREAMS]
)


@cache
def captured(file: str) -> tuple[Capture, dict[StreamKey, Any]]:
    capture = read_capture([FOLDER / file])
    return capture, dict(assign(follow(capture.signalling).calls, capture.streams))


def taken(file: str, stream: dict[str, Any]) -> tuple[StreamKey, Packets, dict[int, PayloadFormat]]:
    key = StreamKey(stream["src"], stream["sport"], stream["dst"], stream["dport"], int(stream["ssrc"], 16))
    capture, contexts = captured(file)
    (found,) = (each for each in capture.streams if each.key == key)
    packets, context = found.packets(), contexts.get(key)
    if file == "fax-t38.pcap":
        # T.38 was offered and refused, and the audio goes on; Wireshark takes that for broken T.38, and the
        # counts were made of what it took for RTP.
        packets = packets.take(packets.arrived_ns - capture.began_ns <= round(stream["end"] * 1e9))
    return key, packets, dict(context.formats) if context is not None else {}


def measured(file: str, stream: dict[str, Any]) -> Measured:
    return measure(*taken(file, stream))


@BY_STREAM
def test_counts(file: str, stream: dict[str, Any]) -> None:
    of, wanted = measured(file, stream), stream["independent"]
    counts = ("expected", "unique", "lost", "duplicates", "reordered")
    assert {name: getattr(of, name) for name in counts} == {name: wanted[name] for name in counts}
    assert of.received == stream["pkts"]
    assert of.bursts.runs == {int(length): times for length, times in wanted["loss_runs"].items()}
    assert of.payload_types == {int(number): times for number, times in wanted["payload_types"].items()}


@BY_STREAM
def test_jitter_and_delta_by_wireshark_s_rule(file: str, stream: dict[str, Any]) -> None:
    """Also where the rule was not worked out beside it: there the figures are Wireshark's own."""
    of = measured(file, stream)
    wanted = stream["independent"].get("wireshark_formula", stream)
    assert of.wireshark_max_delta_ms == pytest.approx(wanted["max_delta_ms"], abs=0.01)
    assert of.wireshark_jitter_ms.mean == pytest.approx(wanted["mean_jitter_ms"], abs=0.01)
    assert of.wireshark_jitter_ms.max == pytest.approx(wanted["max_jitter_ms"], abs=0.01)


@BY_STREAM
def test_curves_and_intervals_add_up(file: str, stream: dict[str, Any]) -> None:
    key, packets, formats = taken(file, stream)
    of, series = measure(key, packets, formats), curves(packets, formats)
    assert len(series.lost) == of.expected
    assert int(series.lost.sum()) == of.lost
    assert sum(interval.expected for interval in of.intervals) == of.expected
    assert sum(interval.lost for interval in of.intervals) == of.lost


def test_what_they_are_known_for() -> None:
    of = {(file, stream["ssrc"]): measured(file, stream) for file, stream in STREAMS}
    assert of["ptime40.pcap", "0xD500CA81"].ptime_ms == 40
    assert of["dtmf-rfc2833.cap", "0x5711BF84"].event_packets == 35
    assert of["dtmf-rfc2833.cap", "0x5711BF84"].codec.name == "pcma"
    assert of["ulaw-dtmf.pcap", "0x34D01D16"].event_packets == 120
    assert of["opus-call.pcap", "0x0EEF0001"].codec == of["opus-call.pcap", "0x0EEF0001"].formats[96]
    assert of["opus-call.pcap", "0x0EEF0001"].codec.source == "sdp"
    assert of["opus-fec-loss.pcapng", "0x3760BFAA"].codec.source == "guessed"
    assert of["sip-tcp.pcap", "0x5A3361B3"].silence_suppressed
    assert of["g722-oneway.pcap", "0x043DAABA"].mos.scale == "wideband"
    assert of["g729-oneway.pcap", "0x044559A1"].mos.value == pytest.approx(4.10, abs=0.01)
    # Nothing was sent to this side for 34 s, while the fax went the other way.
    assert of["fax-t38.pcap", "0x0EAF0EAF"].bursts.longest_lost == 1712
