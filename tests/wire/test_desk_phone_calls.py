"""Calls of desk phones that others wrote, and of our agent: held, two at a time, in threes, picked up."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.quality.tones import make_tones
from tests.wire.agent_phone import AgentPhone
from tests.wire.desk_phone import Caller, SmallPhone, check_hears, meet, wait_for
from tests.wire.desk_staff import (
    CAROL_HZ,
    DAVE_HZ,
    PARTNERS,
    PATIENCE_S,
    TONES,
    Staff,
    finish,
    hear,
    waits,
)
from tests.wire.linphone import Linphone
from tests.wire.sip_phone import SipPhone
from tests.wire.test_lamps import lamp

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.long
def test_holds_with_music_and_resumes(staff: Staff) -> None:
    """By the phone's own key, from either side, whoever called; and both at once."""
    desk, bob = staff.desk, staff.bob
    for caller, called in ((desk, bob), (bob, desk)):
        meet(caller, called)
        for _ in range(2):
            desk.hold()
            waits(bob)
            desk.resume()
            hear(desk, bob)
        assert bob.talk.reinvite("sendonly").status == 200
        waits(desk)
        assert bob.talk.reinvite("sendrecv").status == 200
        hear(desk, bob)
        # Both hold at once.
        desk.hold()
        assert bob.talk.reinvite("sendonly").status == 200
        assert bob.talk.reinvite("sendrecv").status == 200
        waits(bob)
        desk.resume()
        hear(desk, bob)
        desk.hang_up()
        bob.wait_over()


@pytest.mark.long
def test_asks_by_keys_goes_back_and_talks_in_threes(staff: Staff) -> None:
    """`*2`, `*0`, `*3`, and who hangs up leaves two others."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(bob, desk)
    desk.press(f"*2{carol.number}#")
    carol.answer()
    hear(desk, carol)
    waits(bob)
    desk.press("*0")
    carol.wait_over()
    hear(desk, bob)
    desk.press(f"*2{carol.number}#")
    carol.answer()
    hear(desk, carol)
    desk.press("*3")
    hear(desk, bob, carol)
    desk.hang_up()
    hear(bob, carol)
    finish(bob, carol)


@pytest.mark.long
def test_holds_by_keys_and_makes_a_meeting(staff: Staff) -> None:
    """`*4`, `*4`, keys that are for the other side, `*5`, and a fourth who dials in."""
    desk, bob, carol, dave = staff.desk, staff.bob, staff.carol, staff.dave
    meet(desk, bob)
    desk.press("*4")
    waits(bob)
    desk.press("*4")
    hear(desk, bob)
    desk.press(f"*2{carol.number}#")
    carol.answer()
    desk.press("*3")
    hear(desk, bob, carol)
    desk.press("*5")

    def made() -> list[dict[str, str]]:
        meetings = staff.server.api("GET", "/meetings")
        return [one for one in meetings if one["name"] == "Meeting made of a call"]

    wait_for(lambda: bool(made()), "no meeting was made")
    (meeting,) = made()
    staff.server.wait_participants(meeting["number"], 3)
    dave.call(f"{meeting['number']}*{meeting['guest_pin']}")
    hear(desk, bob, carol, dave)
    desk.hang_up()
    hear(bob, carol, dave)
    for phone in (bob, carol, dave):
        phone.hang_up()
    wait_for(lambda: not made(), "the meeting is still there")


@pytest.mark.long
def test_picks_up_what_rings_at_a_colleague(staff: Staff) -> None:
    """`*8` and `**` with the number."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    for code in ("*8", f"**{bob.number}"):
        with ThreadPoolExecutor(1) as pool:
            calling = pool.submit(carol.call, bob.number)
            ringing = bob.sip.wait_ringing(PATIENCE_S)
            desk.call(code)
            calling.result()
        hear(desk, carol)
        ringing.wait_ended(PATIENCE_S)
        assert ringing.end_reason == "CANCEL"
        desk.hang_up()
        carol.wait_over()


@pytest.mark.long
@pytest.mark.parametrize("everybody", ["linphone", "agent"], indirect=True)
def test_takes_over_what_its_lamp_shows(staff: Staff) -> None:
    """By Replaces, as the lamp of its own extension tells it (RFC 4235): a call at another of its devices."""
    desk, bob = staff.desk, staff.bob
    assert isinstance(desk, Linphone | AgentPhone)
    phone = SipPhone(staff.server.udp, desk.number, f"secret-of-{desk.number}")
    mobile = SmallPhone(phone, make_tones(8000, 2, [CAROL_HZ]), CAROL_HZ)
    try:
        assert phone.register().status == 200
        watch = phone.subscribe(desk.number)
        meet(bob, mobile)
        desk.wait_calls(0)
        wait_for(lambda: lamp(watch) == ["confirmed"], "the lamp is not lit")
        told = dict(re.findall(r'(call-id|local-tag|remote-tag)="([^"]+)"', watch.requests[-1].body))
        tags = f"to-tag={told['remote-tag']};from-tag={told['local-tag']}"
        desk.pick_up(desk.number, f"{told['call-id']};{tags}")
        hear(desk, bob)
        mobile.wait_over()
        desk.hang_up()
        bob.wait_over()
    finally:
        phone.register(expires=0)
        phone.close()


@pytest.mark.long
def test_a_second_call_waits_and_both_are_talked_in(staff: Staff) -> None:
    """Call waiting: who is talked to notices nothing until it is answered; then to and fro, and one ends."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(bob, desk)
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(carol.call, desk.number)
        assert desk.wait_ringing() == Caller("Carol Carter", carol.number)
        hear(desk, bob)
        desk.answer()
        calling.result()
    hear(desk, carol)
    waits(bob)
    for _ in range(2):
        desk.switch()
        hear(desk, bob)
        waits(carol)
        desk.switch()
        hear(desk, carol)
        waits(bob)
    desk.hang_up()
    carol.wait_over()
    desk.resume()
    hear(desk, bob)
    desk.hang_up()
    bob.wait_over()


@pytest.mark.long
def test_shows_who_calls(staff: Staff) -> None:
    """Name and number: of a caller, of whoever is transferred by keys and by REFER."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol

    def shown(caller: SmallPhone, begin: Callable[[], object]) -> None:
        begin()
        name = next(name for name, tone in PARTNERS.items() if tone == caller.tone_hz)
        assert desk.wait_ringing() == Caller(name, caller.number)
        desk.answer()
        hear(desk, caller)
        desk.hang_up()
        caller.wait_over()

    with ThreadPoolExecutor(1) as pool:
        shown(bob, lambda: pool.submit(bob.call, desk.number))
    meet(carol, bob)
    shown(carol, lambda: bob.press(f"##{desk.number}#"))
    meet(bob, carol)
    shown(bob, lambda: carol.talk.refer(desk.number))


@pytest.mark.long
def test_hears_what_is_played_before_the_answer(staff: Staff) -> None:
    """Early media of a carrier (183 with SDP), and the same person after the answer."""
    desk = staff.desk
    carrier = SipPhone(staff.server.udp, "carrier")
    prefix = f"9{staff.digits}"
    where = ("127.0.0.1", "--port", str(carrier.port))
    staff.server.ask("trunk", "add", f"carrier-{staff.program}", *where, "--prefix", prefix)
    outside = SmallPhone(carrier, make_tones(8000, 2, [CAROL_HZ]), CAROL_HZ)
    try:
        desk.start_call(f"{prefix}5550177")
        ringing = carrier.wait_ringing(PATIENCE_S)
        assert ringing.invite is not None
        carrier.respond(ringing.invite, 183, "Session Progress", ringing.sdp(), tag=ringing.local_tag)
        ringing.start_media(ringing.invite.body)
        ringing.media.speak(make_tones(8000, 2, [DAVE_HZ]))
        check_hears(desk, {DAVE_HZ}, TONES)
        carrier.respond(ringing.invite, 200, "OK", ringing.sdp(), tag=ringing.local_tag)
        outside.adopt(ringing)
        desk.wait_talking()
        hear(desk, outside)
        desk.hang_up()
        outside.wait_over()
    finally:
        carrier.close()


@pytest.mark.long
def test_the_call_goes_on_after_all_of_it(staff: Staff) -> None:
    """Held, resumed, a colleague asked, and past the refresh of the session (RFC 4028): both are heard."""
    desk, bob, carol = staff.desk, staff.bob, staff.carol
    meet(bob, desk)
    desk.hold()
    waits(bob)
    desk.resume()
    desk.press(f"*2{carol.number}#")
    carol.answer()
    hear(desk, carol)
    desk.press("*0")
    hear(desk, bob)
    for _ in range(6):
        time.sleep(15)
        hear(desk, bob)
    desk.hang_up()
    bob.wait_over()
