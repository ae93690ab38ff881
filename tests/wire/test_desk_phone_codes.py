"""Codes that are dialled at desk phones that others wrote, and at our agent: who is rung then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.wire.desk_phone import Caller, DeskPhone, SmallPhone, check_voice
from tests.wire.desk_staff import (
    Staff,
    desk_phone,
    finish,
    hear,
    waits,
)
from tests.wire.sip_phone import CallFailed

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(240)]


def dial_code(desk: DeskPhone, code: str) -> None:
    """Dial a code, and hear what is said."""
    desk.call(code)
    check_voice(desk)
    desk.wait_calls(0)


def reaches(caller: SmallPhone, number: str, called: DeskPhone | SmallPhone) -> None:
    """Who calls a number talks with this one."""
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(called.answer)
        caller.call(number)
        answering.result()
    hear(caller, called)
    caller.hang_up()
    if isinstance(called, SmallPhone):
        called.wait_over()
    else:
        called.wait_calls(0)


@pytest.mark.long
def test_do_not_disturb_and_forwarding_by_codes(staff: Staff) -> None:
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    dial_code(desk, "*78")
    with pytest.raises(CallFailed) as refused:
        bob.call(desk.number)
    assert refused.value.status == 486
    dial_code(desk, "*79")
    reaches(bob, desk.number, desk)
    dial_code(desk, f"*72{carol.number}")
    reaches(bob, desk.number, carol)
    dial_code(desk, "*73")
    reaches(bob, desk.number, desk)


@pytest.mark.long
def test_conditional_forwarding_by_codes(staff: Staff, tmp_path: Path) -> None:
    """Busy, where it declines; no answer; no phone is reachable."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    dial_code(desk, f"*90{carol.number}")
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(bob.call, desk.number)
        desk.wait_ringing()
        desk.hang_up()
        carol.answer()
        calling.result()
    hear(bob, carol)
    finish(bob, carol)
    dial_code(desk, "*91")
    dial_code(desk, f"*92{carol.number}")
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(bob.call, desk.number)
        desk.wait_ringing()
        carol.answer()
        calling.result()
    hear(bob, carol)
    finish(bob, carol)
    desk.wait_calls(0)
    dial_code(desk, "*93")
    reaches(bob, desk.number, desk)

    erin = desk_phone(staff.server, staff.program, f"{staff.digits}05", tmp_path)
    try:
        erin.register()
        dial_code(erin, f"*94{carol.number}")
        reaches(bob, erin.number, erin)
        # It says that it goes, as it ends.
        erin.stop()
        reaches(bob, erin.number, carol)
        erin = desk_phone(staff.server, staff.program, f"{staff.digits}05", tmp_path / "again")
        erin.register()
        dial_code(erin, "*95")
        reaches(bob, erin.number, erin)
    finally:
        erin.stop()


@pytest.mark.long
def test_night_switch_and_agent_by_codes(staff: Staff) -> None:
    desk, bob, carol, dave = staff.desk, staff.bob, staff.carol, staff.dave
    office, support = f"8{staff.digits}2", f"8{staff.digits}3"
    dial_code(desk, f"*28{office}")
    reaches(dave, office, carol)
    dial_code(desk, f"*28{office}")
    reaches(dave, office, bob)
    dial_code(desk, "*23")
    with pytest.raises(CallFailed) as refused:
        bob.call(support)
    assert refused.value.status == 480, "no agent is there"
    dial_code(desk, "*22")
    bob.call(support)
    assert desk.wait_ringing() == Caller("Support: Bob Builder", bob.number)
    waits(bob)
    desk.answer()
    hear(desk, bob)
    bob.hang_up()
    desk.wait_calls(0)
