"""Sound over IPv6: phones that have nothing else, and calls between them and those on IPv4."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.browser import Browser
from tests.wire.linphone import Linphone
from tests.wire.namespaces import skip_without_namespaces
from tests.wire.rtp_stream import encode_ulaw
from tests.wire.sip_phone import Call, SipPhone
from tests.wire.two_families import OTHER_6, PHONE_4, PHONE_6, SERVER_4, SERVER_6, TwoFamilies, made_families

pytestmark = pytest.mark.wire
MakeBaresip = Callable[..., Baresip]
MakeBrowser = Callable[..., Browser]
MakeLinphone = Callable[..., Linphone]
MakePhone = Callable[..., SipPhone]
MakeFamilies = Callable[..., TwoFamilies]
ONE_HZ, OTHER_HZ, THIRD_HZ = 440.0, 1_090.0, 1_870.0
SERVER_46, PHONE_46 = "10.6.0.1", "10.6.0.2"
FALSE_HZ = 1_850.0
"""Whole waves in a packet."""
PATIENCE_S = 10


@pytest.fixture
def make_families(tmp_path: Path) -> Iterator[MakeFamilies]:
    """Servers on both families, each with a host of IPv6 and one of IPv4."""
    skip_without_namespaces()
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(made_families(tmp_path, settings))


def hears(phone: Baresip, *tones_hz: float) -> bool:
    """Whether a phone hears these tones now."""
    audio, rate = phone.listen(0.3)
    return len(audio) > 0 and bool((tone_levels(audio, rate, list(tones_hz)) > -25).all())


def wait_heard(phone: Baresip, *tones_hz: float) -> None:
    """Wait until a phone hears these tones."""
    assert any(hears(phone, *tones_hz) for _ in range(12)), f"{phone.name} does not hear {tones_hz} Hz"


def phone_of_ipv6(made: TwoFamilies, make_baresip: MakeBaresip, number: str, **settings: object) -> Baresip:
    """A phone that has IPv6 alone, registered."""
    password = made.server.add_extension(number)
    phone = make_baresip(
        number, server=made.udp_6, password=password, host=made.six, local=PHONE_6, **settings
    )
    phone.register()
    return phone


def phone_of_ipv4(made: TwoFamilies, make_baresip: MakeBaresip, number: str, **settings: object) -> Baresip:
    """A phone that has IPv4 alone, registered."""
    password = made.server.add_extension(number)
    phone = make_baresip(
        number, server=made.udp_4, password=password, host=made.four, local=PHONE_4, **settings
    )
    phone.register()
    return phone


def small_phone(made: TwoFamilies, make_phone: MakePhone, number: str) -> SipPhone:
    """A small phone on IPv6, registered."""
    password = made.server.add_extension(number)
    phone = make_phone(
        made.server, number, password, server=made.udp_6, local=PHONE_6, inside=made.six.entered
    )
    assert phone.register().status == 200
    return phone


def wait_tone(call: Call, *tones_hz: float) -> None:
    """Wait until a small phone hears these tones in what comes from now on."""
    deadline, before = time.monotonic() + PATIENCE_S, len(call.media.received)
    while True:
        if len(call.media.received) - before > 15:
            levels = tone_levels(call.media.heard(0.25), 8_000, list(tones_hz))
            if (levels > -25).all():
                return
        assert time.monotonic() < deadline, f"{tones_hz} Hz are not heard"
        time.sleep(0.02)


@pytest.mark.parametrize("plain", ["", pytest.param("1", marks=pytest.mark.long)])
def test_a_phone_of_ipv4_and_one_of_ipv6_alone_hear_each_other(
    make_families: MakeFamilies,
    make_baresip: MakeBaresip,
    plain: str,
) -> None:
    # With 1 the engine works without its compiled part.
    made = make_families(RINGBACK_PLAIN=plain)
    six = phone_of_ipv6(made, make_baresip, "2701", tone_hz=ONE_HZ)
    four = phone_of_ipv4(made, make_baresip, "2702", tone_hz=OTHER_HZ)
    four.start_call("2701")
    six.answer()
    four.wait_talking()
    wait_heard(six, OTHER_HZ)
    wait_heard(four, ONE_HZ)
    four.hang_up_and_wait()


@pytest.mark.long
def test_a_meeting_of_both_families_with_encrypted_media(
    make_families: MakeFamilies, make_baresip: MakeBaresip
) -> None:
    made = make_families()
    meeting = made.server.add_meeting()
    target = f"{meeting['number']}*{meeting['guest_pin']}"
    number = "2711"
    password = made.server.add_extension(number)
    secure = make_baresip(
        number,
        server=(SERVER_6, made.server.tls_port),
        password=password,
        host=made.six,
        local=PHONE_6,
        tone_hz=ONE_HZ,
        codec="opus",
        transport="tls",
        srtp=True,
    )
    secure.register()
    plain = make_baresip(
        "plain", server=made.udp_6, host=made.six, local=OTHER_6, tone_hz=OTHER_HZ, codec="g722"
    )
    four = phone_of_ipv4(made, make_baresip, "2712", tone_hz=THIRD_HZ)
    for phone in (secure, plain, four):
        phone.call(target)
    made.server.wait_participants(meeting["number"], 3)
    wait_heard(secure, OTHER_HZ, THIRD_HZ)
    wait_heard(plain, ONE_HZ, THIRD_HZ)
    wait_heard(four, ONE_HZ, OTHER_HZ)


@pytest.mark.long
def test_linphone_on_ipv6_and_a_phone_on_ipv4(
    make_families: MakeFamilies, make_linphone: MakeLinphone, make_baresip: MakeBaresip
) -> None:
    made = make_families()
    linphone = make_linphone(
        made.server, "2721", host=made.six, address=SERVER_6, tone_hz=ONE_HZ, codec="pcmu"
    )
    four = phone_of_ipv4(made, make_baresip, "2722", tone_hz=OTHER_HZ, answer="auto")
    linphone.dial("2722")
    wait_heard(four, ONE_HZ)
    audio, rate = linphone.listen(1)
    assert tone_levels(audio, rate, [OTHER_HZ])[0] > -25


@pytest.mark.long
def test_a_trunk_over_ipv6_is_called_and_calls(
    make_families: MakeFamilies, make_baresip: MakeBaresip
) -> None:
    made = make_families()
    carrier = make_baresip("15550199", host=made.six, local=PHONE_6, tone_hz=ONE_HZ, answer="auto")
    made.server.ask(
        *("trunk", "add", "carrier", PHONE_6, "--port", str(carrier.sip_port)),
        *("--prefix", "1", "--did", "+15550100=2731"),
    )
    inside = phone_of_ipv4(made, make_baresip, "2731", tone_hz=OTHER_HZ, answer="auto")
    inside.call("15550199")
    wait_heard(inside, ONE_HZ)
    wait_heard(carrier, OTHER_HZ)
    inside.hang_up_and_wait()

    carrier.dial(f"sip:+15550100@[{SERVER_6}]:{made.server.udp_port}")
    wait_heard(inside, ONE_HZ)
    wait_heard(carrier, OTHER_HZ)


@pytest.mark.long
def test_what_others_on_ipv6_throw_at_a_call_is_not_heard(
    make_families: MakeFamilies, make_phone: MakePhone, make_baresip: MakeBaresip
) -> None:
    made = make_families()
    four = phone_of_ipv4(made, make_baresip, "2742", tone_hz=OTHER_HZ, answer="auto")
    call = small_phone(made, make_phone, "2741").dial("2742")
    call.media.speak(make_tones(8_000, 2, [ONE_HZ]))
    wait_tone(call, OTHER_HZ)
    wait_heard(four, ONE_HZ)

    # Of what the real phone sends, a copy with other sound, from another address and another port.
    remote, stop = call.media._remote, threading.Event()
    assert remote is not None
    with made.six.entered():
        strangers = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(8)]
    for at, stranger in enumerate(strangers):
        stranger.bind((OTHER_6 if at % 2 else PHONE_6, 0))
    packet = bytes([0x80, 0, 0, 1]) + bytes(8) + encode_ulaw(make_tones(8_000, 0.02, [FALSE_HZ])).tobytes()

    def throw() -> None:
        number = 0
        while not stop.wait(0.005):
            for stranger in strangers:
                number = number + 1 & 0xFFFF
                stranger.sendto(packet[:2] + number.to_bytes(2, "big") + packet[4:], remote)

    thread = threading.Thread(target=throw)
    thread.start()
    try:
        time.sleep(2)
        audio, rate = four.listen(1)
        wait_tone(call, OTHER_HZ)
    finally:
        stop.set()
        thread.join()
        for stranger in strangers:
            stranger.close()
    levels = tone_levels(audio, rate, [ONE_HZ, FALSE_HZ])
    assert levels[0] > -25
    assert levels[1] < -45
    deadline = time.monotonic() + PATIENCE_S
    while not call.media.rtcp_received:
        assert time.monotonic() < deadline, "no report (RTCP) comes by IPv6"
        time.sleep(0.05)


@pytest.mark.long
def test_a_call_on_ipv6_goes_on_with_another_media_process(
    make_families: MakeFamilies, make_phone: MakePhone, make_baresip: MakeBaresip
) -> None:
    made = make_families(RINGBACK_MEDIA__WORKERS="2")
    four = phone_of_ipv4(made, make_baresip, "2752", tone_hz=OTHER_HZ, answer="auto")
    call = small_phone(made, make_phone, "2751").dial("2752")
    call.media.speak(make_tones(8_000, 2, [ONE_HZ]))
    wait_tone(call, OTHER_HZ)
    wait_heard(four, ONE_HZ)
    # Behind a router its media comes from another port than it said: that is known to the next process.
    with made.six.entered():
        call.media.move(PHONE_6)
    wait_tone(call, OTHER_HZ)

    (victim,) = [each["pid"] for each in made.server.ask("status")["media"] if each["legs"]]
    before = len(made.server.output())
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while "media worker died" not in made.server.output()[before:]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    wait_tone(call, OTHER_HZ)
    wait_heard(four, ONE_HZ)
    assert not call.ended.is_set()


def check_hear_each_other(browser: Browser, phone: Baresip, since: float) -> None:
    """The page speaks ONE_HZ, the phone OTHER_HZ."""
    wait_heard(phone, ONE_HZ)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        sound = browser.heard(since)
        last = sound.audio[-sound.rate // 2 :]
        if len(last) and tone_levels(last, sound.rate, [OTHER_HZ])[0] > -30:
            return
        assert time.monotonic() < deadline, browser.words()
        time.sleep(0.2)


def meet(made: TwoFamilies, make_browser: MakeBrowser, make_baresip: MakeBaresip) -> None:
    """A phone on IPv4 and a browser that goes to the meeting's page by IPv6 hear each other there."""
    meeting = made.server.add_meeting()
    four = phone_of_ipv4(made, make_baresip, "2761", tone_hz=OTHER_HZ)
    four.call(f"{meeting['number']}*{meeting['guest_pin']}")
    browser = make_browser("Ada", tone_hz=ONE_HZ, context={"ignore_https_errors": True}, host=made.six)
    link = re.sub(r"//.*?:(\d+)/", rf"//[{SERVER_6}]:\1/", meeting["link"])
    began = browser.join(link)
    browser.wait_inside()
    check_hear_each_other(browser, four, began)


@pytest.mark.long
def test_a_browser_on_ipv6_alone_meets_a_phone_on_ipv4(
    make_families: MakeFamilies, make_browser: MakeBrowser, make_baresip: MakeBaresip
) -> None:
    meet(make_families(RINGBACK_WEB__BIND="::"), make_browser, make_baresip)


def with_both(made: TwoFamilies) -> None:
    """Give the host of IPv6 an address of IPv4 as well."""
    assert made.server.host is not None
    ends = made.network.cable(made.server.host, made.six, "eth46", other_name="eth1")
    for end, address in zip(ends, (SERVER_46, PHONE_46), strict=True):
        end.add(f"{address}/24")
    # What is told outside is told to the phone on IPv4, too.
    made.four.ip("route", "add", SERVER_46, "via", SERVER_4)


@pytest.mark.long
def test_a_browser_whose_network_lets_no_datagram_of_ipv6_out_is_heard_by_ipv4(
    make_families: MakeFamilies, make_browser: MakeBrowser, make_baresip: MakeBaresip
) -> None:
    made = make_families(RINGBACK_WEB__BIND="::", RINGBACK_MEDIA__PUBLIC_ADDRESS=SERVER_46)
    with_both(made)
    made.six.ip("-6", "rule", "add", "ipproto", "udp", "unreachable")
    meet(made, make_browser, make_baresip)


@pytest.mark.long
def test_a_phone_goes_over_from_ipv6_to_ipv4_in_a_call(
    make_families: MakeFamilies, make_phone: MakePhone, make_baresip: MakeBaresip
) -> None:
    made = make_families(RINGBACK_MEDIA__PUBLIC_ADDRESS=SERVER_46)
    with_both(made)
    four = phone_of_ipv4(made, make_baresip, "2772", tone_hz=OTHER_HZ, answer="auto")
    six = small_phone(made, make_phone, "2771")
    call = six.dial("2772")
    call.media.speak(make_tones(8_000, 2, [ONE_HZ]))
    wait_tone(call, OTHER_HZ)
    wait_heard(four, ONE_HZ)
    six.media_local = PHONE_46
    with made.six.entered():
        call.media.move(PHONE_46)
    answer = six.attempt(call)
    assert answer.status == 200
    assert f"c=IN IP4 {SERVER_46}" in answer.body
    call.start_media(answer.body)
    wait_tone(call, OTHER_HZ)
    wait_heard(four, ONE_HZ)
