"""Desk phones that others wrote, at groups, queues, menus and hours: who is rung, who waits, what is said."""

from __future__ import annotations

import pytest

from tests.wire.desk_office import (
    CAT,
    CLOSED_WORDS,
    LONGER_S,
    MENU_WORDS,
    DeskOffice,
    calling,
    dials,
    gone,
    hears_music,
    lets_ring,
    talk_and_part,
)
from tests.wire.desk_phone import SmallPhone, check_both_hear, meet, wait_for
from tests.wire.spoken import check_says

pytestmark = [pytest.mark.wire, pytest.mark.slow]


@pytest.fixture
def office(shared_desk_office: DeskOffice) -> DeskOffice:
    """The office in which nobody is in a call."""
    shared_desk_office.rest()
    return shared_desk_office


# Groups


@pytest.mark.long
def test_groups_that_ring_all(office: DeskOffice) -> None:
    desk, ann, ben, cat = office.desk, office.ann, office.ben, office.cat
    desk.start_call("271")
    ringing = ann.sip.wait_ringing()
    ben.answer()
    desk.wait_talking()
    ringing.wait_ended(5)
    assert ringing.end_reason == "CANCEL"
    talk_and_part(desk, ben)
    with calling(cat, "270"):
        desk.wait_ringing()
        ringing = ann.sip.wait_ringing()
        desk.answer()
    ringing.wait_ended(5)
    talk_and_part(cat, desk)
    with calling(cat, "270"):
        desk.wait_ringing()
        ann.answer()
    gone(desk)
    assert 'text="Call completed elsewhere"' in desk.log(), "it shows no missed call"
    talk_and_part(cat, ann)


@pytest.mark.long
def test_groups_that_ring_in_order(office: DeskOffice) -> None:
    desk, ann, ben = office.desk, office.ann, office.ben
    with calling(ann, "280"):
        desk.wait_ringing()
        assert not ben.sip.incoming
        ben.answer(LONGER_S)
    gone(desk)
    talk_and_part(ann, ben)
    with calling(ann, "281"):
        lets_ring(ben)
        desk.answer()
    talk_and_part(ann, desk)
    desk.start_call("282")
    lets_ring(ann)
    ben.answer()
    desk.wait_talking()
    talk_and_part(desk, ben)


@pytest.mark.long
def test_groups_that_ring_in_turn(office: DeskOffice) -> None:
    desk, ann, ben, cat = office.desk, office.ann, office.ben, office.cat
    before = desk.times_rung
    for called in (desk, ben, desk):
        with calling(cat, "290"):
            called.answer()
        talk_and_part(cat, called)
    assert desk.times_rung == before + 2
    for called in (ann, ben):
        desk.start_call("291")
        called.answer()
        desk.wait_talking()
        talk_and_part(desk, called)
        assert not office.ann.sip.incoming


# Queues


@pytest.mark.long
def test_it_waits_in_a_queue_and_leaves_it_by_a_key(office: DeskOffice) -> None:
    desk, ann, ben, cat = office.desk, office.ann, office.ben, office.cat
    meet(ann, ben)
    cat.call("803")
    check_says(office.server, desk, "prompt:caller-number", lambda: desk.call("803"))
    hears_music(desk)
    ann.hang_up()
    ben.answer()
    check_both_hear(cat, ben)
    check_says(office.server, desk, "prompt:you-are-next", patience_s=25)
    hears_music(desk)
    cat.hang_up()
    ben.answer()
    talk_and_part(desk, ben)
    meet(ann, ben)
    desk.call("803")
    hears_music(desk)
    desk.press("0")
    cat.answer()
    check_both_hear(ann, ben)
    talk_and_part(desk, cat)
    talk_and_part(ann, ben)


@pytest.mark.long
def test_it_is_the_agent_who_logs_in_takes_a_call_and_is_left_alone(office: DeskOffice) -> None:
    desk, ann, ben, cat = office.desk, office.ann, office.ben, office.cat

    def state() -> str:
        (queue,) = (one for one in office.server.api("GET", "/queues") if one["name"] == "desk")
        return str(queue["agents"][0]["state"])

    dials(office, "*23", "prompt:logged-out")
    assert state() == "logged out"
    before = desk.times_rung
    with calling(ann, "804"):
        cat.answer()
    talk_and_part(ann, cat)
    assert desk.times_rung == before
    dials(office, "*22", "prompt:logged-in")
    assert state() == "free"
    ann.call("804")
    assert "Support" in desk.wait_ringing().name
    desk.answer()
    check_both_hear(ann, desk)
    ben.call("804")
    hears_music(ben)
    check_both_hear(ann, desk)
    ann.hang_up()
    gone(desk)
    wait_for(lambda: state() == "wrap-up", f"it is {state()}")
    hears_music(ben)
    desk.answer(LONGER_S)
    talk_and_part(ben, desk)


# Menus and hours


@pytest.mark.long
def test_it_chooses_in_a_menu_by_its_keys(office: DeskOffice) -> None:
    desk, ann, ben, cat = office.desk, office.ann, office.ben, office.cat
    check_says(office.server, desk, f"words:{MENU_WORDS}", lambda: desk.call("800"))
    desk.press("2")
    ben.answer()
    talk_and_part(desk, ben)
    desk.call("800")
    check_says(office.server, desk, "prompt:wrong-extension", lambda: desk.press("*"))
    desk.press(f"{CAT}#")
    cat.answer()
    talk_and_part(desk, cat)
    check_says(office.server, desk, f"words:{CLOSED_WORDS}", lambda: desk.call("801"))
    desk.press("#")
    cat.answer()
    talk_and_part(desk, cat)
    ann.call("800")
    check_says(office.server, ann, f"words:{MENU_WORDS}")
    ann.press("1")
    desk.answer()
    talk_and_part(ann, desk)


@pytest.mark.long
def test_it_calls_while_it_is_open_and_closed_and_switches_the_night_on(office: DeskOffice) -> None:
    desk, ann, ben, cat = office.desk, office.ann, office.ben, office.cat

    def comes_to(called: SmallPhone) -> None:
        desk.start_call("802")
        called.answer()
        desk.wait_talking()
        talk_and_part(desk, called)

    comes_to(ben)
    dials(office, "*28802", "prompt:closed")
    comes_to(cat)
    dials(office, "*28802", "prompt:by-the-clock")
    comes_to(ben)
    with calling(ann, "805"):
        desk.answer()
    talk_and_part(ann, desk)
    check_says(office.server, desk, f"words:{CLOSED_WORDS}", lambda: desk.call("806"))
    desk.press("#")
    cat.answer()
    talk_and_part(desk, cat)
