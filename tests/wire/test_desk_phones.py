"""What people do in a call at desk phones that others wrote, and at our agent: who hears whom then.

The phone that acts is `desk`: baresip, linphone or the agent; those who talk with it are the tests' own.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.quality.tones import make_tones
from ringback.store.store import open_store
from tests.wire.agent_phone import AgentPhone
from tests.wire.baresip import Baresip
from tests.wire.desk_phone import (
    Caller,
    DeskPhone,
    SmallPhone,
    check_both_hear,
    check_hears,
    check_voice,
    meet,
    wait_for,
)
from tests.wire.linphone import Linphone
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import CallFailed, SipPhone
from tests.wire.sound_files import write_wav
from tests.wire.test_lamps import lamp

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(240)]

DESK_HZ, BOB_HZ, CAROL_HZ, DAVE_HZ, MUSIC_HZ = 850.0, 1090.0, 1500.0, 1870.0, 2300.0
DIAL_HZ, RINGING_HZ = 350.0, 480.0
TONES = (DESK_HZ, BOB_HZ, CAROL_HZ, DAVE_HZ, MUSIC_HZ)
PROGRAMS = {"baresip": "11", "linphone": "12", "agent": "13"}
"""The desk phones, and how their extensions and those of their partners begin."""
PARTNERS = {"Bob Builder": BOB_HZ, "Carol Carter": CAROL_HZ, "Dave Dyer": DAVE_HZ}
PARK_RETURN_S = 20
PATIENCE_S = 30.0
PLAN = """
[group.office{digits}]
members = ["{digits}01", "{digits}02"]

[hours.office{digits}]
number = "8{digits}2"
spans = [{{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", to = "24:00" }}]
open = "extension:{digits}02"
closed = "extension:{digits}03"

[queue.support{digits}]
number = "8{digits}3"
title = "Support"
agents = ["{digits}01"]
ring_s = 30
wrap_up_s = 0

[answering.{digits}01]
no_answer_after_s = 5
"""


async def prepare(folder: Path) -> None:
    store = await open_store(load_settings(data_dir=folder, environ={}))
    for digits in PROGRAMS.values():
        for last, name in enumerate(("Desk", *PARTNERS, "Erin Ersatz"), 1):
            number = f"{digits}0{last}"
            await store.extensions.add(number, display_name=name, password=Private(f"secret-of-{number}"))
    await store.objects.apply("\n".join(PLAN.format(digits=each) for each in PROGRAMS.values()), "test")
    await store.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RingbackServer]:
    """A server with extensions and a plan; its music is a tone."""
    folder = tmp_path_factory.mktemp("desk-phones")
    music = write_wav(folder / "music.wav", make_tones(16_000, 5, [MUSIC_HZ], -15), 16_000)
    settings = {
        "RINGBACK_CALLING__MUSIC": str(music),
        "RINGBACK_CALLING__PARK_RETURN_S": str(PARK_RETURN_S),
        "RINGBACK_SIP__SESSION_EXPIRES_S": "90",
    }
    server = RingbackServer(folder / "server", settings=settings)
    asyncio.run(prepare(server.data))
    server.start()
    yield server
    server.kill_all()


Program = Baresip | Linphone | AgentPhone


def desk_phone(server: RingbackServer, program: str, number: str, folder: Path) -> Program:
    """A desk phone that has started."""
    account: dict[str, Any] = {"password": f"secret-of-{number}", "tone_hz": DESK_HZ}
    if program == "baresip":
        return Baresip(folder, number, server=server.udp, **account).start()
    if program == "linphone":
        return Linphone(folder / number, number, server=server, codec="pcmu", **account).start()
    return AgentPhone(number, server=server, **account).start()


class Staff:
    """A desk phone of one program, and the three it talks with."""

    def __init__(self, server: RingbackServer, program: str, folder: Path) -> None:
        self.server, self.program, self.folder = server, program, folder
        self.digits = PROGRAMS[program]
        self._started = desk_phone(server, program, f"{self.digits}01", folder)
        self.desk: DeskPhone = self._started
        self._small = []
        for last, tone in enumerate(PARTNERS.values(), 2):
            number = f"{self.digits}0{last}"
            phone = SipPhone(server.udp, number, f"secret-of-{number}")
            assert phone.register(expires=3600).status == 200
            self._small.append(SmallPhone(phone, make_tones(8000, 2, [tone]), tone))
        self.bob, self.carol, self.dave = self._small
        self.desk.register()

    def hang_up(self) -> None:
        """End what a test left."""
        for phone in self._small:
            for call in phone.sip.calls.values():
                with suppress(AssertionError):
                    call.hang_up()
                call.media.stop()
            phone.sip.calls.clear()
            phone.sip.incoming.clear()
        for _ in range(3):
            with suppress(AssertionError):
                self.desk.wait_calls(0, 1)
                return
            with suppress(AssertionError):
                self.desk.hang_up()
        self.desk.wait_calls(0)

    def close(self) -> None:
        for phone in self._small:
            phone.sip.close()
        self._started.stop()


@pytest.fixture(scope="module", params=["baresip", "linphone", pytest.param("agent", marks=pytest.mark.long)])
def everybody(
    request: pytest.FixtureRequest, office: RingbackServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Staff]:
    """All phones of one program's tests, registered once."""
    staff = Staff(office, request.param, tmp_path_factory.mktemp(request.param))
    yield staff
    staff.close()


@pytest.fixture
def staff(everybody: Staff) -> Iterator[Staff]:
    """All phones, in no call."""
    yield everybody
    everybody.hang_up()


def hear(*people: DeskPhone | SmallPhone) -> None:
    """All of these hear each other, and nothing else."""
    check_both_hear(*people, others=TONES)


def waits(*people: DeskPhone | SmallPhone) -> None:
    """These hear music and nobody."""
    for one in people:
        check_hears(one, {MUSIC_HZ}, TONES)


def consult(desk: DeskPhone, colleague: SmallPhone) -> None:
    """The desk phone calls a second time, and the colleague answers."""
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(colleague.answer)
        desk.call(colleague.number)
        answering.result()


def finish(one: SmallPhone, other: SmallPhone) -> None:
    """One hangs up, and so the other's call ends."""
    one.hang_up()
    other.wait_over()


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
    meet(desk, bob)
    desk.transfer("711")
    desk.wait_calls(0)
    waits(bob)
    carol.call("711")
    hear(bob, carol)
    finish(bob, carol)


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
    meet(desk, bob)
    desk.press("##710#")
    desk.wait_calls(0)
    waits(bob)
    carol.call("710")
    hear(bob, carol)
    finish(bob, carol)


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
    meet(desk, bob)
    desk.press("*7")
    check_voice(desk)
    desk.wait_calls(0)
    waits(bob)
    carol.call("701")
    hear(bob, carol)
    finish(bob, carol)


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
