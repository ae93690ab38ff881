"""`ringback diagnose` as it is used: what it says, how it fails, what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import pytest

from ringback.cli.main import run
from ringback.cli.verdict import print_diagnosis
from tests.diagnosis import made


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "name a capture: ringback diagnose calls.pcap"),
        (["missing.pcap"], 1, "there is no file missing.pcap"),
        (["."], 1, "there is no capture in the folder . (names end with .pcap or .pcapng)"),
        (["a.pcap", "--complaint", "yesterday"], 2, "say it as 14:02:10-14:02:40"),
        (["a.pcap", "--complaint", "25:00-26:00"], 2, "hours go from 00 to 23"),
        (["a.pcap", "--time-zone", "Mars"], 2, "there is no time zone 'Mars'; take UTC or"),
        (["a.pcap", "--time-zone", "../etc"], 2, "there is no time zone"),
        (["--point", "wan"], 2, "--point wants NAME=FILE, as in --point wan=router.pcap"),
        (["a.pcap", "--report", "nowhere/out.html"], 1, "nowhere to write out.html to"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if "a.pcap" in arguments:
        (tmp_path / "a.pcap").write_bytes(b"")
    assert run(["diagnose", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("ringback: ")
    assert said in told.err
    assert run(["diagnose", *arguments, "--json"]) == code
    assert said in json.loads(capsys.readouterr().out)["error"]


def test_the_verdict_comes_first_and_then_its_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    print_diagnosis(made.diagnosis(), False, UTC, None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "bad-call.pcap · 6,000 packets · 64.0 s from 2026-01-02 13:59:57 UTC · 1 call, 3 streams",
        "1 of 2 calls and conversations have trouble: congestion (1).",
        "",
        "13:59:57  ••••••••••01 → ••01",
        "✗ For 12 seconds the line from 192.0.2.17 was full: packets queued 160 ms and 1.7 % were lost.",
    ]
    assert "  Cause      congestion, 91 % sure" in lines
    assert "  Less likely: qos-marking-missing-at-source 55 %" in lines
    assert lines.index("Calls") < lines.index("Streams") < lines.index("Problems of the files")
    assert "bad-call.pcap  1299000  the file ends inside a packet" in lines
    assert lines[-1] == "A report has the curves and the ladder: --report OUT.html"
    assert all(line == line.rstrip() for line in lines)


def test_a_refusal_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    print_diagnosis(made.diagnosis(made.REFUSED), False, UTC, None)
    told = capsys.readouterr().out
    assert "? The capture cannot tell why the call was bad.\n" in told
    assert "  The complaint is of a time that the capture does not hold.\n" in told


def test_numbers_are_shown_to_who_asks(capsys: pytest.CaptureFixture[str]) -> None:
    print_diagnosis(made.diagnosis(), True, UTC, None)
    assert made.NUMBER in capsys.readouterr().out


def test_it_loads_nothing_of_the_server() -> None:
    script = "import sys; from ringback.cli.main import run; run(['diagnose', 'no']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    unwanted = {
        "fastapi",
        "uvicorn",
        "sqlalchemy",
        "numpy",
        "cryptography",
        "ringback.server",
        "ringback.store.store",
    }
    assert unwanted & set(loaded.split()) == set()
