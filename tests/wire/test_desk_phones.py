"""Transfers and parking at desk phones that others wrote, and at our agent: who hears whom then.

The phone that acts is `desk`: baresip, linphone or the agent; those who talk with it are the tests' own.
"""

from __future__ import annotations

import pytest

from tests.wire.desk_phone import Caller, check_hears, check_voice, meet
from tests.wire.desk_staff import (
    DIAL_HZ,
    PARK_RETURN_S,
    PATIENCE_S,
    RINGING_HZ,
    TONES,
    Staff,
    check_parks,
    consult,
    finish,
    hear,
    waits,
)

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(240)]


def test_connects_two_calls_and_parks(staff: Staff) -> None:
    """Attended transfer and transfer to a slot by the phone's own keys; who dials the slot."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(bob, desk)
    consult(desk, carol)
    waits(bob)
    hear(desk, carol)
    desk.transfer_to_other()
    hear(bob, carol)
    desk.wait_calls(0)
    finish(carol, bob)
    check_parks(staff, "711", lambda: desk.transfer("711"))


@pytest.mark.long
def test_asks_transfers_and_parks_by_keys(staff: Staff) -> None:
    """`*2` and hanging up; `##` to a slot, and who dials the slot."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(bob, desk)
    desk.press(f"*2{carol.number}#")
    carol.answer()
    hear(desk, carol)
    waits(bob)
    desk.hang_up()
    hear(bob, carol)
    finish(carol, bob)
    check_parks(staff, "710", lambda: desk.press("##710#"))


@pytest.mark.long
def test_transfers_and_parks_by_keys(staff: Staff) -> None:
    """`##` to a colleague, and `*7`, which says the slot."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(desk, bob)
    desk.press(f"##{carol.number}#")
    carol.answer()
    hear(bob, carol)
    desk.wait_calls(0)
    finish(bob, carol)

    def park() -> None:
        desk.press("*7")
        check_voice(desk)

    check_parks(staff, "701", park)


@pytest.mark.long
def test_transfers_by_its_own_key(staff: Staff) -> None:
    """Blind, by REFER, as caller and as called, also while it holds the call; the ringing is heard."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    for caller, called, holds in ((desk, bob, False), (bob, desk, False), (desk, bob, True)):
        meet(caller, called)
        if holds:
            desk.hold()
            waits(bob)
        desk.transfer(carol.number)
        check_hears(bob, {RINGING_HZ}, TONES)
        carol.answer()
        hear(bob, carol)
        desk.wait_calls(0)
        finish(bob, carol)


@pytest.mark.long
def test_a_transfer_by_its_own_key_that_fails(staff: Staff) -> None:
    """The call goes on; baresip 1.0 hangs up by itself then."""
    desk, bob = staff.desk, staff.bob
    meet(desk, bob)
    desk.transfer("9999")
    if staff.program != "baresip":
        hear(desk, bob)
        desk.hang_up()
    bob.wait_over()


@pytest.mark.long
def test_connects_two_calls_by_its_own_key(staff: Staff) -> None:
    """Attended, by REFER with Replaces: those it leaves hear each other."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    for caller, called in ((desk, bob), (bob, desk)):
        meet(caller, called)
        consult(desk, carol)
        waits(bob)
        hear(desk, carol)
        desk.transfer_to_other()
        hear(bob, carol)
        desk.wait_calls(0)
        finish(carol, bob)


@pytest.mark.long
def test_is_transferred_by_others(staff: Staff) -> None:
    """Blind and attended, and notices nothing of it: who calls is another, and is heard."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(desk, bob)
    assert bob.talk.refer(carol.number).status == 202
    check_hears(desk, {RINGING_HZ}, TONES)
    carol.answer()
    hear(desk, carol)
    carol.hang_up()
    desk.wait_calls(0)
    # The colleague who is asked is the desk phone.
    meet(bob, carol)
    first = bob.talk
    assert first.reinvite("sendonly").status == 200
    meet(bob, desk)
    assert first.refer(desk.number, bob.talk).status == 202
    hear(desk, carol)
    desk.hang_up()
    carol.wait_over()


@pytest.mark.long
def test_transfers_by_keys_also_to_where_nobody_is(staff: Staff) -> None:
    """A tone asks for the number; a wrong one and `*` give the call back; so does who does not answer."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(desk, bob)
    desk.press("##")
    check_hears(desk, {DIAL_HZ}, TONES)
    waits(bob)
    desk.press("9999#")
    hear(desk, bob)
    desk.press("##")
    waits(bob)
    desk.press("*")
    hear(desk, bob)
    # Without `#` the number ends by itself.
    desk.press(f"##{carol.number}")
    ringing = carol.sip.wait_ringing(PATIENCE_S)
    desk.wait_calls(0)
    check_hears(bob, {RINGING_HZ}, TONES)
    assert ringing.invite is not None
    carol.sip.respond(ringing.invite, 486, "Busy Here", tag=ringing.local_tag)
    assert desk.wait_ringing() == Caller("Back: Bob Builder", bob.number)
    desk.answer()
    hear(desk, bob)
    desk.hang_up()
    bob.wait_over()


@pytest.mark.long
def test_parks_and_gets_back_by_its_own_keys(staff: Staff) -> None:
    """By transfer to a slot and to `*68`, taken by dialling; one that nobody takes rings who parked it."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    for target, taken_by in (("705", "705"), ("*68706", "*88706")):
        meet(bob, desk)
        desk.transfer(target)
        desk.wait_calls(0)
        waits(bob)
        desk.call(taken_by)
        hear(desk, bob)
        desk.hang_up()
        bob.wait_over()
    meet(carol, desk)
    desk.transfer("707")
    desk.wait_calls(0)
    waits(carol)
    assert desk.wait_ringing(PARK_RETURN_S + PATIENCE_S) == Caller("Park 707: Carol Carter", carol.number)
    desk.answer()
    hear(desk, carol)
    desk.hang_up()
    carol.wait_over()


@pytest.mark.long
def test_connects_a_call_that_waited(staff: Staff) -> None:
    """The second call came in: attended transfer of both, by REFER with Replaces."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(bob, desk)
    meet(carol, desk)
    waits(bob)
    desk.transfer_to_other()
    hear(bob, carol)
    desk.wait_calls(0)
    finish(bob, carol)
