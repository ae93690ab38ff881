"""Desk phones that others wrote, whose voices are kept: messages left and heard, calls that are recorded."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from ringback.quality.tones import make_tones, tone_track
from tests.wire.desk_office import (
    COUNTER,
    DESK,
    MAILBOX,
    MUSIC_HZ,
    RAY,
    TONES,
    Desk,
    DeskOffice,
    gone,
    hears_music,
    talk_and_part,
)
from tests.wire.desk_phone import Ear, SmallPhone, check_both_hear, check_hears, meet, wait_for
from tests.wire.mailboxes import LampWatch
from tests.wire.recorded_office import RecordedOffice
from tests.wire.rtp_stream import RATE
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.spoken import check_says

pytestmark = [pytest.mark.wire, pytest.mark.slow]

BEEP_HZ = 1000.0
PIN = "735162"
VOICE_RATE = 16_000
NOTICE = (
    "This call is recorded. If you do not want that, press nine now. If you agree, press one. "
    "Thank you for listening until the end."
)


@pytest.fixture
def office(shared_desk_office: DeskOffice) -> DeskOffice:
    """The office in which nobody is in a call."""
    shared_desk_office.rest()
    return shared_desk_office


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


def leaves_a_message(office: DeskOffice, phone: Desk | SmallPhone) -> None:
    """Whoever hears the greeting speaks after the tone, sends the message and hears that it is kept."""
    beeps(phone, lambda: phone.press("#"))
    phone.listen(2)
    check_says(office.server, phone, "prompt:vm-review", lambda: phone.press("#"))
    check_says(office.server, phone, "prompt:vm-sent", lambda: phone.press("1"))
    gone(phone)


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
