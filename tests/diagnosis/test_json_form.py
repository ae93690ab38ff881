"""The JSON of a diagnosis: its fixed names, its times, what it masks, and that it is JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from ringback.diagnosis.json_form import as_json
from tests.diagnosis import made


class MeanMax(msgspec.Struct):
    mean: float | None
    max: float | None


class LateJson(msgspec.Struct):
    fixed_50: int
    fixed_200: int
    adaptive: int


class MosJson(msgspec.Struct):
    scale: str
    value: float | None
    grounding: str


class CauseJson(msgspec.Struct):
    cause: str
    confidence: float
    for_: list[str] = msgspec.field(name="for")
    against: list[str]
    missing: list[str]
    next_step: str


class VerdictJson(msgspec.Struct):
    summary: str
    causes: list[CauseJson]
    refused: str | None


class CodecsJson(msgspec.Struct):
    offered: list[str]
    negotiated: list[str]
    sent: list[str]


class CallJson(msgspec.Struct):
    call_id: str
    from_: str = msgspec.field(name="from")
    to: str
    start: str
    outcome: str
    setup_ms: float | None
    codecs: CodecsJson
    findings: list[dict[str, Any]]
    verdict: VerdictJson


class StreamJson(msgspec.Struct):
    call_id: str | None
    src: str
    sport: int
    dst: str
    dport: int
    ssrc: str
    payload_types: list[int]
    codec: str
    expected: int
    received: int
    unique: int
    lost: int
    duplicates: int
    reordered: int
    late: LateJson
    jitter_ms: MeanMax
    max_delta_ms: float | None
    dscp: dict[str, int]
    bursts: dict[str, Any]
    mos: MosJson
    intervals: list[dict[str, Any]]


class DiagnosisJson(msgspec.Struct):
    calls: list[CallJson]
    streams: list[StreamJson]
    file_problems: list[dict[str, Any]]


def read(**options: Any) -> tuple[DiagnosisJson, str]:
    text = json.dumps(as_json(made.diagnosis(), **options), allow_nan=False, ensure_ascii=False)
    return msgspec.json.decode(text.encode(), type=DiagnosisJson), text


def test_it_has_the_fixed_names() -> None:
    found, _ = read()
    call = found.calls[0]
    assert (call.start, call.outcome, call.setup_ms) == ("2026-01-02T13:59:57.000000Z", "answered", 2000.0)
    assert (call.codecs.offered, call.codecs.negotiated, call.codecs.sent) == (
        ["pcma", "pcmu"],
        ["pcma"],
        ["pcma"],
    )
    assert [cause.cause for cause in call.verdict.causes] == ["congestion", "qos-marking-missing-at-source"]
    assert call.verdict.causes[0].confidence == 0.91
    assert call.verdict.refused is None
    assert call.findings[0]["code"] == "retransmitted-invite"
    assert found.file_problems[0]["problem"] == "the file ends inside a packet"


def test_a_stream_is_found_by_its_source_and_its_call() -> None:
    found, _ = read()
    by_source = {stream.ssrc: stream for stream in found.streams}
    assert set(by_source) == {"0x343FFA34", "0x0000ABCD", "0x00000007"}
    assert by_source["0x343FFA34"].call_id == by_source["0x0000ABCD"].call_id == found.calls[0].call_id
    assert by_source["0x00000007"].call_id is None
    assert by_source["0x343FFA34"].payload_types == [8]
    assert by_source["0x343FFA34"].dscp == {"0": by_source["0x343FFA34"].received}


def test_jitter_and_delta_are_those_of_wiresharks_rule_with_the_rfcs_beside_them() -> None:
    stream = next(s for s in as_json(made.diagnosis())["streams"] if s["ssrc"] == "0x343FFA34")
    assert (stream["jitter_ms"], stream["max_delta_ms"]) == ({"mean": 1.8, "max": 8.125}, 92.4375)
    assert stream["rfc3550"]["jitter_ms"] == {"mean": 1.9, "max": 8.25}


def test_streams_without_signalling_have_their_own_verdict() -> None:
    streams = {stream["ssrc"]: stream for stream in as_json(made.diagnosis())["streams"]}
    assert streams["0x00000007"]["verdict"]["summary"] == "Nothing is wrong with this call."
    assert streams["0x343FFA34"]["verdict"] is None


def test_what_is_not_known_is_null() -> None:
    stream = next(s for s in as_json(made.diagnosis())["streams"] if s["ssrc"] == "0x343FFA34")
    assert stream["skew_ppm"] is None


def test_times_are_utc() -> None:
    _, text = read()
    times = re.findall(r'"(20\d\d-[^"]*)"', text)
    assert len(times) > 20
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time) for time in times)


@pytest.mark.parametrize("private", ["15550123401", "1555012", "Alice", "1001@", made.CALL_ID, "a84b4c"])
def test_numbers_names_and_call_ids_are_masked(private: str) -> None:
    assert private not in read()[1]


def test_of_a_number_the_last_digits_stay() -> None:
    call = read()[0].calls[0]
    assert (call.from_, call.to) == ("sip:••••••••••01@example.com", "sip:••01@example.com")
    assert call.call_id == "3f9a1c"


def test_who_asks_sees_numbers() -> None:
    call = read(show_numbers=True)[0].calls[0]
    assert call.from_ == '"Alice Example" <sip:+15550123401@example.com>;tag=1'
    assert call.call_id == made.CALL_ID


def test_a_refusal_is_said() -> None:
    call = as_json(made.diagnosis(made.REFUSED))["calls"][0]
    assert call["verdict"]["causes"] == []
    assert call["verdict"]["refused"] == "The complaint is of a time that the capture does not hold."


def test_a_capture_with_nothing_in_it() -> None:
    empty = replace(
        made.diagnosis(), captures=(made.capture(packets=0),), calls=(), unsignalled=(), complaint=None
    )
    told = as_json(empty)
    assert (told["calls"], told["streams"], told["file_problems"]) == ([], [], [])
    assert (told["began"], told["ended"]) == (None, None)
