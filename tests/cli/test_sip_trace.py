"""`ringback sip trace` on a server that has a few messages to tell."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from ringback.web.operations import Missed, SipMessage

BYE = b"BYE sip:xx02@192.0.2.1 SIP/2.0\r\nCSeq: 2 BYE\r\n\r\n"


def message(status: int | None = None, data: bytes = BYE) -> SipMessage:
    return SipMessage(
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        direction="in" if status is None else "out",
        transport="udp",
        local=("192.0.2.1", 5060),
        remote=("192.0.2.20", 5062),
        call_id="a84b4c76e66710",
        method="BYE",
        status=status,
        reason="OK" if status else "",
        cseq=2,
        from_user="xx01",
        to_user="xx02",
        data=data,
    )


async def telling() -> AsyncIterator[SipMessage | Missed]:
    yield message()
    yield Missed(4)
    yield message(200, b"\xff\x1b[31m")


@pytest.fixture
def told(server):
    server.operations.tell = telling
    return server.operations


def test_a_ladder_for_people(ringback, told, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = ringback("sip", "trace")
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "watching; Ctrl-C ends it\n")
    assert lines[0].startswith("── #1 · xx01 → xx02 · a84b4c76e66710 ──")
    assert "─ BYE 2 ───" in lines[2]
    assert lines[3].startswith("4 messages are missing here")
    assert "─ 200 OK · BYE 2 ─" in lines[4]
    assert "\x1b" not in done.out, "no colours where there is no terminal"


def test_whole_messages_cannot_drive_the_terminal(ringback, told):
    out = ringback("sip", "trace", "--messages").out
    assert "    BYE sip:xx02@192.0.2.1 SIP/2.0\n    CSeq: 2 BYE\n" in out
    assert "    \N{REPLACEMENT CHARACTER}[31m\n" in out


def test_lines_of_json_for_programs(ringback, told):
    done = ringback("sip", "trace", "--json", "--count", "1")
    assert [json.loads(line)["method"] for line in done.out.splitlines()] == ["BYE"]
    lines = [json.loads(line) for line in ringback("sip", "trace", "--json").out.splitlines()]
    assert lines[1] == {"missed": 4}
    assert (lines[2]["status"], lines[2]["message_base64"]) == (200, "/xtbMzFt")


def test_options_reach_the_server(ringback, told):
    ringback("sip", "trace", "--number", "1001", "--call", "a b", "--source", "[::1]:5060", "--method", "BYE")
    ringback("sip", "trace", "--last", "5m", "--reveal")
    ringback("sip", "trace", "--last", "90", "--follow")
    (wanted, *first), (_, *second), (_, *third) = told.traces
    assert (wanted.call, wanted.source, wanted.method) == ("a b", "[::1]:5060", "BYE")
    assert wanted.number.reveal() == "1001"
    assert (first, second, third) == ([0.0, True, False], [300.0, False, True], [90.0, True, False])


def test_a_capture_file(ringback, told, tmp_path):
    path = tmp_path / "calls.pcap"
    done = ringback("sip", "trace", "--pcap", str(path))
    assert done.err.endswith(f"2 messages, masked, in {path}\n")
    assert BYE in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    failed = ringback("sip", "trace", "--pcap", str(tmp_path / "no" / "where"))
    assert (failed.code, failed.err.endswith("No such file or directory\n")) == (1, True)


def test_what_does_not_work_says_why(ringback, data_dir):
    assert ringback("sip", "trace", "--last", "soon").code == 2
    away = ringback("sip", "trace")
    assert away.code == 3
    assert "no server runs" in away.err
