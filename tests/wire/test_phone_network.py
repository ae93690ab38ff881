"""Phones whose address changes in a call: told by a re-INVITE, or by nothing but where packets come from."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.linphone import Linphone
from tests.wire.sip_phone import Call, SipPhone
from tests.wire.site import SERVER, Site

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeLinphone = Callable[..., Linphone]
MakePhone = Callable[..., SipPhone]
Measured = Callable[[str], None]
MOVED_HZ, OTHER_HZ = 440.0, 1090.0
BACK_S = 3.0


def hears(call: Call, tone_hz: float, since: int) -> bool:
    """Whether a tone is in the last 0.2 s of what came after so many packets."""
    packets = call.media.received[since:]
    if len(packets) < 12:
        return False
    return bool(tone_levels(call.media.heard(0.2), 8000, [tone_hz])[0] > -20)


def wait_back(heard: Callable[[], bool], what: str) -> float:
    """Wait until somebody is heard again; how long it took. Raises after BACK_S."""
    began = time.monotonic()
    while not heard():
        assert time.monotonic() - began < BACK_S, f"{what}: not back after {BACK_S} s"
        time.sleep(0.02)
    return time.monotonic() - began


def wait_both(moved: Call, other: Call) -> float:
    """Wait until both hear each other by packets that come from now on; how long it took."""
    since = len(moved.media.received), len(other.media.received)
    return wait_back(
        lambda: hears(moved, OTHER_HZ, since[0]) and hears(other, MOVED_HZ, since[1]), "both ways"
    )


def test_a_call_goes_on_where_the_phone_moves_to(
    site: Site, make_phone: MakePhone, measured: Measured
) -> None:
    server, host = site.server, site.wifi.interface.host
    phone = make_phone(
        server,
        *("2601", server.add_extension("2601")),
        server=(SERVER, server.udp_port),
        local="10.1.0.2",
        inside=host.entered,
    )
    assert server.host is not None
    other = make_phone(server, "2602", server.add_extension("2602"), inside=server.host.entered)
    for one in (phone, other):
        assert one.register().status == 200
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(phone.dial, "2602")
        at_other = other.answer()
        call = calling.result()
    call.media.speak(make_tones(8000, 2, [MOVED_HZ]))
    at_other.media.speak(make_tones(8000, 2, [OTHER_HZ]))
    wait_both(call, at_other)

    # Another network, said by a re-INVITE and a REGISTER from there.
    site.wifi.go()
    site.cellular.come()
    phone.move("10.2.0.2")
    answer = phone.attempt(call)
    assert answer.status == 200
    call.start_media(answer.body)
    back_s = wait_both(call, at_other)
    measured(f"a phone at another address: both heard {back_s:.2f} s after its re-INVITE")
    assert phone.register().status == 200

    # Other ports, and nothing said: what a router does that forgot the call.
    with host.entered():
        call.media.move("10.2.0.2")
    back_s = wait_both(call, at_other)
    measured(f"a phone at another port, without a word: both heard {back_s:.2f} s later")

    # The other side hangs up: its BYE finds the phone where it is now.
    at_other.hang_up()
    call.wait_ended(3)


def test_linphone_goes_over_to_another_network(
    site: Site, make_linphone: MakeLinphone, make_phone: MakePhone, measured: Measured
) -> None:
    server, host = site.server, site.wifi.interface.host
    assert server.host is not None
    other = make_phone(server, "2604", server.add_extension("2604"), inside=server.host.entered)
    assert other.register().status == 200
    linphone = make_linphone(server, "2603", host=host, address=SERVER, tone_hz=MOVED_HZ)
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(other.answer)
        linphone.dial("2604")
        call = answering.result()
    call.media.speak(make_tones(8000, 2, [OTHER_HZ]))
    wait_back(lambda: hears(call, MOVED_HZ, 0), "before the change")
    after, gone = linphone.said, time.monotonic()
    site.wifi.go()
    site.cellular.come()
    # It looks for a change every five seconds.
    linphone.expect("Media streams established", 15, after=after)
    noticed, since = time.monotonic(), len(call.media.received)
    back_s = wait_back(lambda: hears(call, MOVED_HZ, since), "linphone")
    time.sleep(1)
    linphone.hang_up()
    heard, rate = linphone.heard(0.6, trim_s=0.1)
    assert tone_levels(heard, rate, [OTHER_HZ])[0] == pytest.approx(-12, abs=2)
    call.wait_ended(3)
    measured(f"linphone noticed after {noticed - gone:.1f} s, and was heard {back_s:.2f} s later")
