"""The whole way from files to the answer: real captures to their numbers, made ones to their cause."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.cli.main import run
from ringback.diagnosis import as_json, complaint_from, diagnose, report_html
from ringback.testing.captures import make

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "captures"


def entries() -> list[dict[str, Any]]:
    index = FOLDER / "INDEX.json"
    return json.loads(index.read_text())["captures"] if index.exists() else []


@pytest.mark.skipif(not entries(), reason="the captures are not beside the checkout")
def test_real_captures_come_to_their_numbers_in_json() -> None:
    compared = 0
    for entry in entries():
        diagnosis = diagnose([FOLDER / entry["file"]])
        told = json.loads(json.dumps(as_json(diagnosis), allow_nan=False))
        assert "".join(report_html(diagnosis)).endswith("</html>\n")
        streams = {(s["src"], s["sport"], s["dst"], s["dport"], s["ssrc"]): s for s in told["streams"]}
        for wanted in entry["rtp_streams"]:
            counts = wanted.get("independent")
            # Of the fax they are of what Wireshark took for RTP: see stream/test_captures.py.
            if counts is None or entry["file"] == "fax-t38.pcap":
                continue
            key = tuple(wanted[name] for name in ("src", "sport", "dst", "dport", "ssrc"))
            found = streams[key]
            for name in ("expected", "unique", "lost", "duplicates", "reordered"):
                assert found[name] == counts[name], (entry["file"], key, name)
            formula = counts.get("wireshark_formula", wanted)
            assert found["max_delta_ms"] == pytest.approx(formula["max_delta_ms"], abs=0.01)
            assert found["jitter_ms"]["mean"] == pytest.approx(formula["mean_jitter_ms"], abs=0.01)
            assert found["jitter_ms"]["max"] == pytest.approx(formula["max_jitter_ms"], abs=0.01)
            compared += 1
    assert compared > 20


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("captures")

    def written(label: str) -> Path:
        path = folder / f"{label}.pcap"
        path.write_bytes(make(label, 9, 0.7).pcap)
        return path

    return written


def test_a_cause_is_named_in_the_terminal_in_json_and_on_the_page(
    write: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture, page = write("congestion"), tmp_path / "out.html"
    assert run(["diagnose", str(capture), "--report", str(page)]) == 0
    assert "\n  Cause      congestion, " in capsys.readouterr().out
    assert run(["diagnose", str(capture), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["calls"][0]["verdict"]["causes"][0]["cause"] == "congestion"
    assert {stream["call_id"] for stream in told["streams"]} == {told["calls"][0]["call_id"]}
    assert "<code>congestion</code>" in page.read_text()


def test_a_complaint_of_another_time_is_not_explained_by_the_loss(write: Callable[[str], Path]) -> None:
    capture = write("congestion")
    whole = diagnose([capture]).window
    complaint = complaint_from("2001-01-01T10:00-2001-01-01T10:05")
    (call,) = diagnose([capture], complaint=complaint).calls
    assert call.verdict.refused is not None
    assert whole == diagnose([capture]).window


def test_a_call_without_fault_is_said_to_be_fine(write: Callable[[str], Path]) -> None:
    (call,) = diagnose([write("none")]).calls
    assert (call.standing, call.verdict.causes, call.verdict.refused) == ("good", (), None)


def test_two_captures_of_one_place_follow_each_other(write: Callable[[str], Path]) -> None:
    diagnosis = diagnose([write("congestion"), write("none")])
    assert len(diagnosis.calls) == 2
    assert len(diagnosis.captures) == 1


def test_two_points_tell_one_call_and_what_lies_between(write: Callable[[str], Path]) -> None:
    capture = write("none")
    diagnosis = diagnose([], points={"phone": [capture], "trunk": [capture]})
    (call,) = diagnosis.calls
    assert {stream.point for stream in call.streams} == {"phone", "trunk"}
    assert diagnosis.comparison is not None
    assert all(segment.lost == 0 for path in diagnosis.comparison.paths for segment in path.segments)
    assert [len(path["segments"]) for path in as_json(diagnosis)["points"]["paths"]] == [1, 1]


def test_progress_is_told_to_its_end(write: Callable[[str], Path]) -> None:
    told: list[tuple[str, int, int]] = []
    diagnose([write("none")], progress=lambda *words: told.append(words))
    assert {what for what, _, _ in told} == {"reading", "judging"}
    assert [done == total for what, done, total in told if what == "judging"][-1]
    assert told[0][2] == write("none").stat().st_size


@pytest.mark.parametrize(
    ("content", "said"), [(b"GIF89a" * 20, "no capture"), (b"", "empty")], ids=["picture", "empty"]
)
def test_what_is_no_capture_is_said(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    assert run(["diagnose", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("ringback: x.pcap: ")
    assert said in error
