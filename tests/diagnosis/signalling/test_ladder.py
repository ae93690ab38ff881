"""The ladder: rows, lines, and nothing private in them."""

from __future__ import annotations

from ringback.diagnosis.signalling.ladder import draw, ladder, masked_text
from tests.diagnosis.signalling.scene import CALLED, CALLER, Scene, sdp


def test_a_call_drawn() -> None:
    scene = Scene().invite().request(0.5, "INVITE", repeat=True, in_dialog=False).answered(2.0).bye(10.0)
    lines = draw(ladder(scene.record()), 60)
    assert lines[0] == "            192.0.2.10                                   198.51.100.20"
    assert lines[1] == "     0.000  │─ INVITE SDP ──────────────────────────────▶│"
    assert "     0.500  │─ INVITE (again) ──────────────────────────▶│" in lines
    assert lines[-1] == "    10.020  │◀────────────────────────────────── 200 OK ─│"


def test_columns_are_hosts_in_the_order_of_the_way() -> None:
    drawn = ladder(Scene().invite().answered().bye(5, "called").record())
    assert drawn.columns == (CALLER[0], CALLED[0])
    assert [(row.source, row.target) for row in drawn.rows] == [
        (0, 1), (1, 0), (1, 0), (1, 0), (0, 1), (1, 0), (0, 1),
    ]  # fmt: skip
    assert drawn.rows[3].label == "200 OK SDP"


def test_on_one_machine_ports_are_columns() -> None:
    scene = Scene(caller=("::1", 5060), called=("::1", 5070)).invite(0, "").response(1, 486)
    assert ladder(scene.record()).columns == ("[::1]:5060", "[::1]:5070")


def test_numbers_and_names_are_masked() -> None:
    scene = Scene().invite(
        0, sdp(CALLER[0], 4000, "0"), 'P-Asserted-Identity: "Alice" <sip:5550177@example.com>'
    )
    call = scene.response(1, 404, reason="no 5550101 here").request(1.1, "ACK").record()
    text = "\n".join([*draw(ladder(call)), *(masked_text(message) for message in call.messages)])
    for private in ("5550100", "5550101", "5550177", "Alice"):
        assert private not in text
    assert "m=audio 4000 RTP/AVP 0" in text
