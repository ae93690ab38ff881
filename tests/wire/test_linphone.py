"""linphone registers, calls and is called, holds and resumes, and dials into a meeting."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.linphone import Linphone
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone
from tests.wire.test_meeting import TONES_HZ

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeLinphone = Callable[..., Linphone]
MakePhone = Callable[..., SipPhone]
ITS_HZ, OUR_HZ, _ = TONES_HZ
TALK_S = 1.0
PATIENCE_S = 10


def talk(call: Call) -> None:
    """Both speak for a moment; the small phone hears linphone, and its own voice does not come back."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        heard = call.media.heard(0.4)
        its, ours = tone_levels(heard, 8000, [ITS_HZ, OUR_HZ]) if len(heard) == 3200 else (-99, -99)
        if abs(its + 12) < 2 and ours < -45:
            break
        assert time.monotonic() < deadline, (
            f"linphone is heard at {its:.0f} dBFS, our own voice at {ours:.0f}"
        )
        time.sleep(0.1)
    time.sleep(TALK_S)


def check_heard(phone: Linphone) -> None:
    """The end of what linphone recorded is our voice, and not its own."""
    heard, rate = phone.heard(0.8, trim_s=0.1)
    its, ours = tone_levels(heard, rate, [ITS_HZ, OUR_HZ])
    assert ours == pytest.approx(-12, abs=2)
    assert its < -45


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_linphone_calls_holds_resumes_and_is_called(
    server: RingbackServer, make_linphone: MakeLinphone, make_phone: MakePhone, transport: str
) -> None:
    number, other = {"udp": ("2201", "2202"), "tcp": ("2203", "2204"), "tls": ("2205", "2206")}[transport]
    linphone = make_linphone(
        server, number, transport=transport, srtp=transport == "tls", tone_hz=ITS_HZ, answers=True
    )
    phone = make_phone(server, other, server.add_extension(other))
    assert phone.register().status == 200
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(phone.answer)
        linphone.dial(other)
        call = answering.result()
    call.media.speak(make_tones(8000, 2, [OUR_HZ]))
    talk(call)
    linphone.hold()
    check_heard(linphone)
    linphone.resume()
    talk(call)
    after = linphone.said
    call.hang_up()
    linphone.expect("ended", after=after)
    check_heard(linphone)

    call = phone.dial(number)
    call.media.speak(make_tones(8000, 2, [OUR_HZ]))
    talk(call)
    linphone.hang_up()
    call.wait_ended(3)
    check_heard(linphone)
    encrypted = re.findall(r"a=crypto:1 (\S+) ", linphone.log())
    assert bool(encrypted) is (transport == "tls")


@pytest.mark.long
def test_linphone_dials_into_a_meeting_with_the_pin_by_keys(
    server: RingbackServer, make_linphone: MakeLinphone, make_phone: MakePhone
) -> None:
    meeting = server.add_meeting()
    linphone = make_linphone(server, "2207", tone_hz=ITS_HZ)
    guest = make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}")
    guest.media.speak(make_tones(8000, 2, [OUR_HZ]))
    linphone.dial(meeting["number"])
    time.sleep(0.5)
    linphone.press(f"{meeting['guest_pin']}#")
    server.wait_participants(meeting["number"], 2)
    talk(guest)
    linphone.hang_up()
    check_heard(linphone)
    guest.hang_up()


def test_linphone_hears_itself_in_the_echo_test(server: RingbackServer, make_linphone: MakeLinphone) -> None:
    linphone = make_linphone(server, "2208", tone_hz=ITS_HZ)
    linphone.dial("600")
    time.sleep(0.5)
    linphone.press("1")
    time.sleep(2)
    linphone.hang_up()
    heard, rate = linphone.heard(0.8, trim_s=0.1)
    assert tone_levels(heard, rate, np.array([ITS_HZ]))[0] == pytest.approx(-12, abs=3)


def test_linphone_gives_up_and_is_refused(
    server: RingbackServer, make_linphone: MakeLinphone, make_phone: MakePhone
) -> None:
    linphone = make_linphone(server, "2209")
    phone = make_phone(server, "2210", server.add_extension("2210"))
    assert phone.register().status == 200
    linphone.command(f"call {linphone.uri('2210')}")
    linphone.expect("ringing")
    linphone.hang_up()
    phone.incoming[0].wait_ended(3)
    assert phone.incoming[0].end_reason == "CANCEL"
    after = linphone.said
    linphone.command(f"call {linphone.uri('2299')}")
    linphone.expect("error|ended", after=after)
    assert "SIP/2.0 404" in linphone.log()
