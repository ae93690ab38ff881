"""Phones whose address changes in a call: told by a re-INVITE, or by nothing but where packets come from."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.sip_phone import Call, SipPhone
from tests.wire.site import SERVER, Site

pytestmark = [pytest.mark.wire, pytest.mark.slow]
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


def wait_both(moved: Call, other: Call, timeout: float) -> float:
    """Wait until both hear each other by packets that come from now on; how long it took."""
    began = time.monotonic()
    since = len(moved.media.received), len(other.media.received)
    while not (hears(moved, OTHER_HZ, since[0]) and hears(other, MOVED_HZ, since[1])):
        heard = [len(one.media.received) - count for one, count in zip((moved, other), since, strict=True)]
        assert time.monotonic() - began < timeout, f"not back after {timeout} s; packets since: {heard}"
        time.sleep(0.02)
    return time.monotonic() - began


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
    wait_both(call, at_other, 10)

    # Another network, said by a re-INVITE and a REGISTER from there.
    site.wifi.go()
    site.cellular.come()
    phone.move("10.2.0.2")
    answer = phone.attempt(call)
    assert answer.status == 200
    call.start_media(answer.body)
    back_s = wait_both(call, at_other, BACK_S)
    measured(f"a phone at another address: both heard {back_s:.2f} s after its re-INVITE")
    assert phone.register().status == 200

    # Other ports, and nothing said: what a router does that forgot the call.
    with host.entered():
        call.media.move("10.2.0.2")
    back_s = wait_both(call, at_other, BACK_S)
    measured(f"a phone at another port, without a word: both heard {back_s:.2f} s later")

    # The other side hangs up: its BYE finds the phone where it is now.
    at_other.hang_up()
    call.wait_ended(3)
