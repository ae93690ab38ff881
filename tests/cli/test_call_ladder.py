"""`ringback diagnose --ladder`: arrows and findings of the worst calls, numbers masked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.cli.call_ladder import print_ladders
from tests.diagnosis import made
from tests.diagnosis.signalling.scene import Scene


def test_the_messages_of_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    diagnosis = made.diagnosis()
    record = Scene().invite().response(1, 404, reason="Not Found").request(1.1, "ACK").record()
    calls = (replace(diagnosis.calls[0], record=record),)
    print_ladders(replace(diagnosis, calls=calls, unsignalled=()))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "",
        "            192.0.2.10                                   198.51.100.20",
        "     0.000  │─ INVITE SDP ──────────────────────────────▶│",
        "     1.000  │◀─────────────────────────── 404 Not Found ─│",
        "     1.100  │─ ACK ─────────────────────────────────────▶│",
        "  Nobody has the dialled number there (404).",
    ]


def test_a_capture_without_calls(capsys: pytest.CaptureFixture[str]) -> None:
    print_ladders(replace(made.diagnosis(), calls=()))
    assert capsys.readouterr().out == "No SIP of a call is in the capture.\n"
