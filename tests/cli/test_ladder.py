"""The ladder as it is read in a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringback.cli.ladder import Ladder

ALICE, BOB = ("192.0.2.17", 5060, "udp"), ("2001:db8::14", 50_621, "tls")
LONG = "2001:db8:1111:2222:3333:4444:5555:6666"
CALL, LEG = "a84b4c76e66710@192.0.2.17", "7f2d0c1b9e55"


def told(
    ms: int, direction: str, peer: tuple[str, int, str], call: str, cseq: int | None, method: str, **more: Any
) -> dict[str, Any]:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(milliseconds=ms)
    return {
        "at": at.isoformat(),
        "direction": direction,
        "transport": peer[2],
        "local": ["192.0.2.1", 5060],
        "remote": list(peer[:2]),
        "call_id": call,
        "method": method,
        "cseq": cseq,
        "reason": "",
        "from_user": "xx01",
        "to_user": "xx02",
        **more,
    }


MESSAGES = [
    told(0, "in", ALICE, CALL, 1, "INVITE", described=True),
    told(1, "out", ALICE, CALL, 1, "INVITE", status=401, reason="Unauthorized"),
    told(2, "in", ALICE, CALL, 1, "ACK"),
    told(12, "in", ALICE, CALL, 2, "INVITE", described=True),
    told(13, "out", ALICE, CALL, 2, "INVITE", status=100, reason="Trying"),
    told(14, "out", BOB, LEG, 1, "INVITE", described=True),
    told(514, "in", ALICE, CALL, 2, "INVITE", described=True, again=True),
    told(600, "in", BOB, LEG, 1, "INVITE", status=183, reason="Session Progress", described=True),
    told(700, "in", BOB, LEG, None, "", fault="bad request line"),
]

AT_80 = """\
── #1 · xx01 → xx02 · a84b4c76e66710@192.0.2.17 ──────────────────────────────
             192.0.2.17:5060 udp         ringback
#1     0.000 │─ INVITE 1 SDP ───────────────▶│                               │
#1     0.001 │◀─ 401 Unauthoriz… · INVITE 1 ─│                               │
#1     0.002 │─ ACK 1 ──────────────────────▶│                               │
#1     0.012 │─ INVITE 2 SDP ───────────────▶│                               │
#1     0.013 │◀────── 100 Trying · INVITE 2 ─│                               │
── #2 · xx01 → xx02 · 7f2d0c1b9e55 ───────────────────────────────────────────
             192.0.2.17:5060 udp         ringback     [2001:db8::14]:50621 tls
#2     0.000 │                               │─ INVITE 1 SDP ───────────────▶│
#1     0.514 │─ INVITE 2 SDP again ─────────▶│                               │
#2     0.586 │                               │◀─ 183 Sessio… · INVITE 1 SDP ─│
#2     0.686 │                               │◀────────────────── malformed ─│
             malformed: bad request line
"""

ANSWER_AT_120 = "#1     0.001 │◀──────────────────── 401 Unauthorized · INVITE 1 ─│" + 51 * " " + "│"
PROGRESS_AT_120 = "#2     0.586 │" + 51 * " " + "│◀──────────── 183 Session Progress · INVITE 1 SDP ─│"


def drawn(width: int, messages: list[dict[str, Any]]) -> list[str]:
    ladder = Ladder(width)
    return ["".join(text for text, _ in line) for message in messages for line in ladder.draw(message)]


def test_a_call_through_us_at_80_columns() -> None:
    assert "\n".join(drawn(80, MESSAGES)) + "\n" == AT_80


def test_a_call_through_us_at_120_columns() -> None:
    lines = drawn(120, MESSAGES)
    assert {ANSWER_AT_120, PROGRESS_AT_120} <= set(lines)


@pytest.mark.parametrize("width", [10, 60, 80, 81, 120, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    messages = [
        *MESSAGES,
        told(9_999_999, "out", (LONG, 65_535, "wss"), "x" * 200, 2**31 - 1, "SUBSCRIBE", again=True),
        told(9_999_999, "in", (LONG, 65_535, "wss"), "y", 1, "SUBSCRIBE", status=481, reason="z" * 80),
    ]
    lengths = {len(line) for line in drawn(width, messages)}
    assert max(lengths) <= max(60, width)


def test_every_kind_has_its_colour() -> None:
    def style(**more: Any) -> str:
        message = told(0, "in", ALICE, CALL, 1, more.pop("method", "BYE"), **more)
        return next(line[2][1] or line[4][1] for line in Ladder(80).draw(message) if len(line) > 2)

    styles = [style(method="INVITE"), style(), style(status=180), style(status=200), style(status=302)]
    styles += [style(status=404)]
    assert len(set(styles)) == len(styles)
    assert style(status=401) == style(status=180) != style(status=403)
    assert style(again=True) == f"dim {style()}"


def test_a_new_peer_of_a_side_gets_a_heading_and_a_call_seen_late_the_right_side() -> None:
    answer = told(0, "in", BOB, LEG, 1, "BYE", status=200, reason="OK")
    other = told(5, "in", ("192.0.2.99", 5060, "udp"), "other", 1, "OPTIONS")
    lines = drawn(80, [answer, other, told(9, "in", ALICE, CALL, 1, "OPTIONS")])
    assert lines[2].endswith("│                               │◀───────────── 200 OK · BYE 1 ─│")
    assert "192.0.2.99:5060 udp" in lines[4]
    assert "192.0.2.17:5060 udp" in lines[7]


def test_what_is_missing_is_said() -> None:
    assert Ladder(80).missed(12)[0][0].startswith("12 messages are missing here")
