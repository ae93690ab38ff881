"""Desk phones that others wrote, where calls go by a plan: forwarding, do not disturb, carriers.

Each make calls, forwards, is forwarded to and answers; who is heard by whom before and after. The other side
is a small phone, or one beyond a carrier.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.quality.tones import make_tones
from tests.wire.desk_office import (
    ANN,
    BEN,
    CAT,
    COUNTER,
    DESK,
    DID,
    LONGER_S,
    OUTSIDE,
    TONES,
    DeskOffice,
    Make,
    calling,
    declines,
    desk_phone,
    dials,
    gone,
    reaches,
    refused,
    set_plan,
    talk_and_part,
)
from tests.wire.desk_phone import SmallPhone, check_both_hear, check_voice, meet, wait_for
from tests.wire.rtp_stream import RATE
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.two_carriers import taken

pytestmark = [pytest.mark.wire, pytest.mark.slow]

MAKES = ("baresip", "linphone")


@pytest.fixture
def office(shared_desk_office: DeskOffice) -> DeskOffice:
    """The office in which nobody is in a call."""
    shared_desk_office.rest()
    return shared_desk_office


@pytest.mark.parametrize("make", MAKES)
def test_a_desk_phone_calls_who_forwards_and_answers_for_its_group(
    server: RingbackServer, make: Make, tmp_path: Path
) -> None:
    first = {"baresip": 6400, "linphone": 6410}[make]
    number, other, forwarder, group = (str(first + place) for place in range(4))
    for extension in (number, other, forwarder):
        server.api("POST", "/extensions", {"number": extension, "password": f"secret-of-{extension}"})
    server.api("PUT", f"/plan/answering/{forwarder}", {"always": f"extension:{other}"})
    server.api("PUT", f"/plan/group/{make}", {"number": group, "members": [number]})
    sip = SipPhone(server.udp, other, f"secret-of-{other}")
    small = SmallPhone(sip, make_tones(RATE, 2, [TONES[BEN]]), TONES[BEN])
    desk = desk_phone(make, server, number, f"secret-of-{number}", TONES[DESK], tmp_path / "desk")
    try:
        assert sip.register().status == 200
        desk.start()
        desk.register()
        desk.start_call(forwarder)
        small.answer()
        desk.wait_talking()
        talk_and_part(desk, small)
        with calling(small, group):
            desk.answer()
        talk_and_part(small, desk)
    finally:
        desk.stop()
        sip.close()


# Forwarding


@pytest.mark.long
def test_it_calls_who_forwards(office: DeskOffice) -> None:
    desk, ben, cat = office.desk, office.ben, office.cat
    # Always, and where no phone is registered.
    for number in ("3110", "3140"):
        desk.start_call(number)
        ben.answer()
        desk.wait_talking()
        talk_and_part(desk, ben)
    for busy in (True, False):
        desk.start_call(CAT)
        if busy:
            declines(cat)
        else:
            ringing = cat.sip.wait_ringing()
        ben.answer(LONGER_S)
        desk.wait_talking()
        talk_and_part(desk, ben)
    assert ringing.end_reason == "CANCEL"


@pytest.mark.long
def test_calls_are_forwarded_to_it(office: DeskOffice) -> None:
    desk, ann, ben = office.desk, office.ann, office.ben
    for number in ("3111", "3141"):
        with calling(ann, number):
            desk.answer()
        talk_and_part(ann, desk)
    for busy in (True, False):
        with calling(ben, ANN):
            if busy:
                declines(ann)
            else:
                ringing = ann.sip.wait_ringing()
            shown = desk.wait_ringing(LONGER_S)
            assert shown.number == BEN
            desk.answer()
        talk_and_part(ben, desk)
    assert ringing.end_reason == "CANCEL"


@pytest.mark.long
def test_it_forwards_by_its_codes(office: DeskOffice) -> None:
    desk, ann, ben = office.desk, office.ann, office.ben

    def nothing() -> None:
        pass

    def is_busy() -> None:
        desk.wait_ringing()
        desk.hang_up()

    for on, off, says, does in (
        ("*72", "*73", "prompt:forward-always", nothing),
        ("*90", "*91", "prompt:forward-busy", is_busy),
        ("*92", "*93", "prompt:forward-no-answer", desk.wait_ringing),
    ):
        reaches(ann, desk)
        dials(office, on + BEN, says)
        before = desk.times_rung
        with calling(ann, DESK):
            does()
            ben.answer(LONGER_S)
        assert desk.times_rung == before + (does is not nothing)
        gone(desk)
        talk_and_part(ann, ben)
        dials(office, off, says)
    reaches(ann, desk)


@pytest.mark.long
def test_it_forwards_while_it_is_switched_off(office: DeskOffice) -> None:
    ann, ben = office.ann, office.ben
    reaches(ann, office.desk)
    dials(office, "*94" + BEN, "prompt:forward-unreachable")
    office.desk.stop()
    with calling(ann, DESK):
        ben.answer(LONGER_S)
    talk_and_part(ann, ben)
    office.start_desk()
    reaches(ann, office.desk)
    dials(office, "*95", "prompt:forward-unreachable")


# Do not disturb, call waiting


@pytest.mark.long
def test_it_is_not_disturbed_and_goes_on_from_who_is_not(office: DeskOffice) -> None:
    desk, ann, ben = office.desk, office.ann, office.ben
    reaches(ann, desk)
    dials(office, "*78", "prompt:do-not-disturb")
    before = desk.times_rung
    assert refused(ann, DESK) == 486
    assert desk.times_rung == before
    dials(office, "*79", "prompt:do-not-disturb")
    reaches(ann, desk)
    for number in (ANN, CAT):
        set_plan(office, "answering", number, do_not_disturb=True)
    desk.start_call(CAT)
    ben.answer()
    desk.wait_talking()
    talk_and_part(desk, ben)
    with calling(ben, ANN):
        desk.answer()
    talk_and_part(ben, desk)
    for number in (ANN, CAT):
        set_plan(office, "answering", number, do_not_disturb=False)
    reaches(ben, office.cat)


@pytest.mark.long
def test_who_talks_and_wants_no_second_call_has_none(office: DeskOffice) -> None:
    desk, ann, ben, cat = office.desk, office.ann, office.ben, office.cat
    for number, next_ in ((DESK, CAT), (ANN, DESK), (CAT, BEN)):
        set_plan(office, "answering", number, call_waiting=False, busy=f"extension:{next_}")
    # The desk phone talks, and is not disturbed.
    meet(ann, desk)
    before = desk.times_rung
    with calling(ben, DESK):
        cat.answer()
    check_both_hear(ben, cat)
    check_both_hear(ann, desk)
    assert desk.times_rung == before
    ben.hang_up()
    talk_and_part(ann, desk)
    # Ann does, and the call comes to the desk phone.
    meet(ben, ann)
    with calling(cat, ANN):
        desk.answer()
    check_both_hear(ben, ann)
    talk_and_part(cat, desk)
    talk_and_part(ben, ann)
    # Cat does, and the desk phone, which calls, comes to Ben.
    meet(ann, cat)
    desk.start_call(CAT)
    ben.answer()
    desk.wait_talking()
    check_both_hear(ann, cat)
    talk_and_part(desk, ben)
    for number in (DESK, ANN, CAT):
        set_plan(office, "answering", number, call_waiting=True)
    set_plan(office, "answering", DESK, busy="")


# Carriers


@pytest.mark.long
def test_it_calls_out_by_a_trunk_and_is_called_by_its_number_there(office: DeskOffice) -> None:
    desk, outside = office.desk, office.outside
    wait_for(lambda: bool(office.server.api("GET", "/trunks/gamma")["up"]), "gamma is not there", 20)
    desk.call(OUTSIDE)
    assert taken(office.alpha)[-1].startswith(f"{OUTSIDE} from +15550177 ")
    talk_and_part(desk, outside)
    outside.dial(f"sip:{DID}@127.0.0.1:{office.gamma.port}", wait=False)
    assert desk.wait_ringing().number.endswith(OUTSIDE)
    desk.answer()
    talk_and_part(desk, outside)


@pytest.mark.long
def test_calls_are_forwarded_outside_by_the_carrier(office: DeskOffice) -> None:
    desk, ann, outside = office.desk, office.ann, office.outside
    desk.call("3145")
    assert taken(office.alpha)[-1].startswith(f"{OUTSIDE} from +15550177 diverted by <sip:3145@")
    talk_and_part(desk, outside)
    reaches(ann, desk)
    dials(office, f"*72{OUTSIDE}", "prompt:forward-always")
    before = desk.times_rung
    ann.call(DESK)
    assert taken(office.alpha)[-1].startswith(f"{OUTSIDE} from +15550177 diverted by <sip:{DID}@")
    talk_and_part(ann, outside)
    assert desk.times_rung == before
    dials(office, "*73", "prompt:forward-always")
    reaches(ann, desk)


@pytest.mark.long
def test_a_device_with_an_account_of_its_own_is_its_extension(office: DeskOffice) -> None:
    counter, ann = office.counter, office.ann
    counter.start_call(ANN)
    (ringing,) = (ann.sip.wait_ringing(),)
    assert ringing.invite is not None
    assert f"sip:{COUNTER}@" in ringing.invite.get("From")
    ann.sip.incoming.insert(0, ringing)
    ann.answer()
    counter.wait_talking()
    talk_and_part(counter, ann)
    reaches(ann, counter)


@pytest.mark.long
def test_it_calls_for_help_whatever_its_role_says(office: DeskOffice) -> None:
    desk, counter, cat, outside = office.desk, office.counter, office.cat, office.outside
    desk.call(OUTSIDE)
    talk_and_part(desk, outside)
    set_plan(office, "role", "standard", classes=[])
    try:
        desk.start_call(OUTSIDE)
        wait_for(lambda: "SIP/2.0 403" in desk.log(), "it is not refused")
        gone(desk)
        # From a device whose place is known.
        counter.start_call("911")
        told = cat.sip.wait_ringing()
        assert told.invite is not None
        assert "EMERGENCY" in told.invite.get("From")
        counter.wait_talking()
        assert taken(office.alpha)[-1].startswith("911 from +15550190 ")
        check_both_hear(counter, outside)
        cat.sip.incoming.insert(0, told)
        cat.answer()
        check_voice(cat)
        cat.hang_up()
        talk_and_part(counter, outside)
        # From one whose place is not.
        desk.call("911")
        assert taken(office.alpha)[-1].startswith("911 from ")
        talk_and_part(desk, outside)
    finally:
        set_plan(office, "role", "standard", classes=["national"])
    desk.call(OUTSIDE)
    talk_and_part(desk, outside)
