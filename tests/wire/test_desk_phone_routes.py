"""Desk phones that others wrote, where calls go by a plan: who is heard by whom before and after.

Each make calls, forwards, is forwarded to, waits, answers, is asked and is recorded. The other side is a
small phone, or one beyond a carrier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from ringback.quality.tones import make_tones, tone_track
from tests.wire.desk_office import (
    ANN,
    BEN,
    CAT,
    CLOSED_WORDS,
    COUNTER,
    DESK,
    DID,
    MAILBOX,
    MENU_WORDS,
    MUSIC_HZ,
    OUTSIDE,
    RAY,
    TONES,
    Desk,
    DeskOffice,
    Make,
    declines,
    desk_office,
    desk_phone,
    hears_music,
    lets_ring,
    refused,
    set_plan,
)
from tests.wire.desk_phone import Ear, SmallPhone, check_both_hear, check_hears, check_voice, meet, wait_for
from tests.wire.mailboxes import LampWatch
from tests.wire.recorded_office import RecordedOffice
from tests.wire.rtp_stream import RATE
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.spoken import check_says
from tests.wire.two_carriers import taken

pytestmark = [pytest.mark.wire, pytest.mark.slow]

MAKES = ("baresip", "linphone")
BEEP_HZ = 1000.0
PIN = "735162"
VOICE_RATE = 16_000
NOTICE = (
    "This call is recorded. If you do not want that, press nine now. If you agree, press one. "
    "Thank you for listening until the end."
)
LONGER_S = 20.0
"""For a phone that rings only after somebody else's has."""


@pytest.fixture(scope="module", params=MAKES)
def shared_office(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskOffice]:
    make = cast("Make", request.param)
    with desk_office(tmp_path_factory.mktemp(make), make) as office:
        yield office


@pytest.fixture
def office(shared_office: DeskOffice) -> DeskOffice:
    """The office in which nobody is in a call."""
    shared_office.rest()
    return shared_office


# What people do


@contextmanager
def calling(caller: SmallPhone, number: str) -> Iterator[None]:
    """It dials; what is done meanwhile makes somebody answer."""
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(caller.call, number)
        yield
        call.result()


def gone(phone: Desk | SmallPhone) -> None:
    """Its call is over."""
    if isinstance(phone, SmallPhone):
        phone.wait_over()
    else:
        phone.wait_calls(0)


def talk_and_part(one: Desk | SmallPhone, other: Desk | SmallPhone) -> None:
    """Both hear each other, and no music; then the call ends."""
    check_both_hear(one, other, others={MUSIC_HZ})
    one.hang_up()
    gone(other)
    if not isinstance(one, SmallPhone):
        gone(one)


def reaches(caller: SmallPhone, called: Desk | SmallPhone) -> None:
    """A call to somebody's number comes to that phone."""
    with calling(caller, called.number):
        called.answer()
    talk_and_part(caller, called)


def dials(office: DeskOffice, code: str, says: str, phone: Desk | None = None) -> None:
    """The desk phone dials a code, hears that it is done, and is left alone."""
    desk = phone or office.desk
    check_says(office.server, desk, says, lambda: desk.call(code))
    gone(desk)


def beeps(ear: Ear, act: Callable[[], object]) -> None:
    """After `act` the tone is heard, and is over."""
    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(ear.listen, 4)
        act()
        audio, rate = listening.result()
    heard = tone_track(audio, rate, [BEEP_HZ], 100)[:, 0] > -25
    assert heard.any(), f"{ear.name} hears no tone"
    assert not heard[-1], f"{ear.name} hears the tone without end"


def messages(server: RingbackServer, extension: str) -> tuple[int, int]:
    """New and old messages in a mailbox."""
    counts = server.api("GET", f"/voicemail/{extension}")
    return counts["new"], counts["old"]


# In the suite that everybody runs


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


@pytest.mark.long
@pytest.mark.timeout(240)
def test_calls_are_transferred_into_a_queue_and_a_mailbox(office: DeskOffice) -> None:
    desk, ann, ben = office.desk, office.ann, office.ben
    new, _ = messages(office.server, MAILBOX)
    # By the desk phone's own transfer; first to who forwards.
    meet(ann, desk)
    desk.transfer("3110")
    ben.answer()
    gone(desk)
    talk_and_part(ann, ben)
    meet(ann, desk)
    desk.transfer("803")
    ringing = ben.sip.wait_ringing()
    hears_music(ann)
    gone(desk)
    ben.sip.incoming.insert(0, ringing)
    ben.answer()
    talk_and_part(ann, ben)
    meet(ann, desk)
    check_says(office.server, ann, "prompt:vm-intro", lambda: desk.transfer(MAILBOX))
    gone(desk)
    leaves_a_message(office, ann)
    wait_for(lambda: messages(office.server, MAILBOX)[0] == new + 1, "the message did not come")
    # The desk phone is sent there.
    meet(desk, ann)
    assert ann.talk.refer("803").status == 202
    ringing = ben.sip.wait_ringing()
    hears_music(desk)
    ben.sip.incoming.insert(0, ringing)
    ben.answer()
    talk_and_part(desk, ben)
    meet(desk, ann)
    check_says(office.server, desk, "prompt:vm-intro", lambda: ann.talk.refer(MAILBOX))
    leaves_a_message(office, desk)
    wait_for(lambda: messages(office.server, MAILBOX)[0] == new + 2, "the message did not come")


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


# Voicemail


def leaves_a_message(office: DeskOffice, phone: Desk | SmallPhone) -> None:
    """Whoever hears the greeting speaks after the tone, sends the message and hears that it is kept."""
    beeps(phone, lambda: phone.press("#"))
    phone.listen(2)
    check_says(office.server, phone, "prompt:vm-review", lambda: phone.press("#"))
    check_says(office.server, phone, "prompt:vm-sent", lambda: phone.press("1"))
    gone(phone)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_it_leaves_a_message_and_hears_its_own_by_keys_and_deletes_them(office: DeskOffice) -> None:
    desk, counter, server = office.desk, office.counter, office.server
    watcher = SipPhone(server.udp, COUNTER, f"secret-of-{COUNTER}")
    lamp = LampWatch(watcher)
    assert lamp.shows() == "0/0 (0/0)"
    meet(desk, counter)
    talk_and_part(desk, counter)
    desk.start_call(COUNTER)
    counter.wait_ringing()
    counter.hang_up()
    check_says(server, desk, "prompt:vm-intro")
    leaves_a_message(office, desk)
    lamp.wait_for("1/0 (0/0)")
    # The first call chooses a PIN.
    check_says(server, counter, "prompt:vm-new-pin", lambda: counter.call("*97"))
    check_says(server, counter, "prompt:vm-pin-again", lambda: counter.press(f"{PIN}#"))
    check_says(server, counter, "prompt:vm-menu", lambda: counter.press(f"{PIN}#"), patience_s=30)
    check_says(server, counter, "prompt:vm-received", lambda: counter.press("1"))
    counter.press("#")
    check_hears(counter, {TONES[DESK]}, {TONES[COUNTER], MUSIC_HZ})
    check_says(server, counter, "prompt:vm-keys")
    lamp.wait_for("0/1 (0/0)")
    check_says(server, counter, "prompt:vm-saved", lambda: counter.press("9"))
    counter.hang_up()
    gone(counter)
    # Now the PIN is asked for.
    check_says(server, counter, "prompt:vm-password", lambda: counter.call("*97"))
    check_says(server, counter, "prompt:vm-menu", lambda: counter.press(f"{PIN}#"), patience_s=30)
    counter.press("1")
    check_says(server, counter, "prompt:vm-deleted", lambda: counter.press("7"))
    lamp.wait_for("0/1 (0/0)")
    counter.hang_up()
    gone(counter)
    lamp.wait_for("0/0 (0/0)")
    watcher.close()
    meet(desk, counter)
    talk_and_part(desk, counter)


# Recording


@pytest.mark.long
@pytest.mark.timeout(240)
def test_it_hears_the_notice_agrees_refuses_and_withdraws_by_keys(office: DeskOffice) -> None:
    desk, ray = office.desk, office.ray
    recorded = RecordedOffice(office.server)

    def begin(keys: str = "") -> None:
        """They are connected; the desk phone hears the notice, and presses keys in it."""

        def connect() -> None:
            desk.start_call(RAY)
            ray.answer()
            ray.talk.media.speak(np.zeros(RATE))
            desk.wait_talking()

        check_says(office.server, desk, f"words:{NOTICE}", connect)
        desk.press(keys)
        ray.talk.media.speak(make_tones(RATE, 2, [ray.tone_hz]))

    def running(tracks: int) -> None:
        """What is recorded now has so many tracks."""

        def there() -> bool:
            folders = set(recorded.voices.glob("*")) - known
            return any(len(list(folder.glob("leg-*.rbv"))) == tracks for folder in folders)

        wait_for(there, f"nothing with {tracks} tracks is recorded", 20)

    def end() -> dict[str, Any]:
        """They talk a little and part; the new recording."""
        desk.listen(1.5)
        check_both_hear(desk, ray)
        before = {one["id"] for one in recorded.recordings()}
        talk_and_part(desk, ray)
        wait_for(lambda: len(recorded.recordings()) > len(before), "there is no recording")
        (found,) = (one for one in recorded.recordings() if one["id"] not in before)
        return dict(found)

    def heard(found: dict[str, Any]) -> dict[str, tuple[bool, bool]]:
        """Whether the desk phone and Ray are in the mix, and in each one's track."""
        parts = {"mix": "mix", **{track["extension"]: track["part"] for track in found["tracks"]}}
        audio = {name: recorded.track(found["id"], part) for name, part in parts.items()}
        return {name: (has(one, TONES[DESK]), has(one, TONES[RAY])) for name, one in audio.items()}

    def answers(found: dict[str, Any]) -> set[tuple[str, str, str]]:
        details = recorded.ask("carl", "GET", f"/recordings/{found['id']}")
        assert {one["notice"] for one in details["consents"]} == {NOTICE}
        return {(one["extension"], one["state"], one["how"]) for one in details["consents"]}

    whom = {"everybody": False, "extensions": [RAY], "players": ["auditor"], "notice": NOTICE}
    recorded.write_policy(mode="opt-out", **whom)
    known = set(recorded.voices.glob("*"))
    begin()
    running(2)
    found = end()
    assert heard(found) == {"mix": (True, True), DESK: (True, False), RAY: (False, True)}
    assert answers(found) == {(who, "agreed", "did not refuse") for who in (DESK, RAY)}
    # It refuses, and the call goes on.
    known = set(recorded.voices.glob("*"))
    begin("9")
    running(1)
    found = end()
    assert heard(found) == {"mix": (False, True), RAY: (False, True)}
    assert (DESK, "refused", "pressed 9") in answers(found)
    # It is recorded, and then withdraws.
    known = set(recorded.voices.glob("*"))
    begin()
    running(2)
    desk.press("*9")
    running(1)
    found = end()
    assert heard(found) == {"mix": (False, True), RAY: (False, True)}
    # Only who agrees.
    recorded.write_policy(mode="opt-in", **whom)
    known = set(recorded.voices.glob("*"))
    begin("1")
    running(1)
    found = end()
    assert heard(found) == {"mix": (True, False), DESK: (True, False)}
    assert (DESK, "agreed", "pressed 1") in answers(found)


def has(samples: np.ndarray, frequency: float) -> bool:
    """Whether this tone is anywhere in a track."""
    return bool((tone_track(samples, VOICE_RATE, [frequency]) > -30).any())


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
