"""Extensions call each other and the echo test, through the real command."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.quality.silence import longest_gap_ms
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import CallFailed, SipPhone
from tests.wire.test_meeting import TONES_HZ, check_who_is_heard

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
MakePhone = Callable[..., SipPhone]
MakeServer = Callable[..., RingbackServer]
ECHO = "600"


def register_two(
    server: RingbackServer, make_baresip: MakeBaresip, numbers: tuple[str, str], **settings: str
) -> list[Baresip]:
    """Two registered phones, the second answers by itself."""
    phones = []
    for number, tone, answer in zip(numbers, TONES_HZ, ("manual", "auto"), strict=False):
        password = server.add_extension(number)
        phone = make_baresip(
            number, tone_hz=tone, server=server.udp, password=password, answer=answer, **settings
        )
        phone.register()
        phones.append(phone)
    return phones


def test_101_calls_102_and_both_hear_each_other(make_server: MakeServer, make_baresip: MakeBaresip) -> None:
    server = make_server()
    phones = []
    for number, tone, answer in zip(("101", "102"), TONES_HZ, ("manual", "auto"), strict=False):
        password = password_of(server, number)
        phone = make_baresip(number, tone_hz=tone, server=server.udp, password=password, answer=answer)
        phone.register()
        phones.append(phone)
    phones[0].dial(server.uri("102"))
    time.sleep(6)
    phones[0].hang_up_and_wait()
    phones[1].wait_event("CALL_CLOSED", 5)
    check_who_is_heard(phones, TONES_HZ[:2], 4)


def password_of(server: RingbackServer, number: str) -> str:
    """What the first start wrote for a phone: its number and, on the same line, its password."""
    for line in (server.data / "first-start.txt").read_text().splitlines():
        words = line.replace(",", " ").split()
        if number in words and "password" in words:
            return words[words.index("password") + 1]
    raise AssertionError(f"the first start says no password of {number}:\n{server.first_start()}")


@pytest.mark.parametrize("codec", ["g722", "opus"])
def test_wide_codecs_pass_between_extensions(
    server: RingbackServer, make_baresip: MakeBaresip, codec: str
) -> None:
    numbers = {"g722": ("2001", "2002"), "opus": ("2003", "2004")}[codec]
    phones = register_two(server, make_baresip, numbers, codec=codec)
    phones[0].dial(server.uri(numbers[1]))
    time.sleep(5)
    phones[0].hang_up_and_wait()
    phones[1].wait_event("CALL_CLOSED", 5)
    check_who_is_heard(phones, TONES_HZ[:2], 3)


def test_phones_on_tcp_are_called_over_their_connection(
    server: RingbackServer, make_baresip: MakeBaresip
) -> None:
    phones = register_two(server, make_baresip, ("2007", "2008"), transport="tcp")
    phones[0].dial(server.uri("2008", "tcp"))
    time.sleep(4)
    phones[0].hang_up_and_wait()
    phones[1].wait_event("CALL_CLOSED", 5)
    check_who_is_heard(phones, TONES_HZ[:2], 2)
    for phone in phones:
        assert "SIP/2.0/TCP" in phone.log()
        assert "SIP/2.0/UDP" not in phone.log()


def test_phones_on_tls_are_encrypted_by_aes_gcm_on_both_sides(
    server: RingbackServer, make_baresip: MakeBaresip
) -> None:
    phones = []
    for number, tone, answer in zip(("2005", "2006"), TONES_HZ, ("manual", "auto"), strict=False):
        password = server.add_extension(number)
        account = {"password": password, "transport": "tls", "srtp": True, "answer": answer}
        phones.append(make_baresip(number, tone_hz=tone, server=server.tls, **account))
        phones[-1].register()
    phones[0].dial(server.uri("2006", "tls"))
    time.sleep(5)
    phones[0].hang_up_and_wait()
    phones[1].wait_event("CALL_CLOSED", 5)
    check_who_is_heard(phones, TONES_HZ[:2], 3)
    answered = re.findall(r"a=crypto:\d+ (\S+) ", phones[0].log())
    assert answered[-1] == answered[0], "the suite that the phone likes best is taken"
    offered = re.findall(r"a=crypto:\d+ (\S+) ", phones[1].log())
    assert offered[:2] == ["AEAD_AES_256_GCM", "AEAD_AES_128_GCM"]
    assert offered[-1] == "AEAD_AES_256_GCM", "and of ours it takes the first"


def test_either_side_hangs_up(server: RingbackServer, make_baresip: MakeBaresip) -> None:
    caller, called = register_two(server, make_baresip, ("2011", "2012"))
    caller.dial(server.uri("2012"))
    called.wait_event("CALL_ESTABLISHED")
    called.hang_up_and_wait()
    caller.wait_event("CALL_CLOSED", 3)


def test_a_caller_who_gives_up_stops_the_ringing(
    server: RingbackServer, make_baresip: MakeBaresip, make_phone: MakePhone
) -> None:
    password = server.add_extension("2021")
    called = make_baresip("2021", server=server.udp, password=password, answer="manual")
    called.register()
    caller = make_baresip("2022", server=server.udp, password=server.add_extension("2022"))
    caller.register()
    caller.dial(server.uri("2021"), wait=False)
    caller.wait_event("CALL_RINGING")
    called.wait_event("CALL_INCOMING")
    caller.hang_up()
    called.wait_event("CALL_CLOSED", 3)
    caller.wait_event("CALL_CLOSED", 3)


def test_a_phone_that_is_not_registered_is_said_to_be_away(
    server: RingbackServer, make_phone: MakePhone
) -> None:
    phone = make_phone(server, "2031", server.add_extension("2031"))
    server.add_extension("2032")
    with pytest.raises(CallFailed) as failed:
        phone.dial("2032")
    assert failed.value.status == 480


def test_the_small_phone_registers_and_is_called(
    server: RingbackServer, make_phone: MakePhone, make_baresip: MakeBaresip
) -> None:
    phone = make_phone(server, "2041", server.add_extension("2041"))
    assert phone.register().status == 200
    caller = make_baresip("2042", tone_hz=440, server=server.udp, password=server.add_extension("2042"))
    caller.register()
    caller.dial(server.uri("2041"), wait=False)
    call = phone.answer()
    caller.wait_event("CALL_ESTABLISHED")
    time.sleep(1.5)
    assert tone_levels(call.media.heard(0.8), 8000, [440])[0] == pytest.approx(-12, abs=1)
    call.hang_up()
    caller.wait_event("CALL_CLOSED", 3)


def test_a_wrong_password_does_not_register(server: RingbackServer, make_phone: MakePhone) -> None:
    server.add_extension("2051")
    assert make_phone(server, "2051", "wrong").register().status == 401
    # The shared server's limits are off for loopback: other tests go on.


@pytest.mark.parametrize("codec", ["pcmu", "g722", "opus"])
def test_the_echo_test_speaks_back(server: RingbackServer, make_baresip: MakeBaresip, codec: str) -> None:
    number = {"pcmu": "2061", "g722": "2062", "opus": "2063"}[codec]
    password = server.add_extension(number)
    phone = make_baresip(number, codec=codec, tone_hz=440, server=server.udp, password=password)
    phone.register()
    phone.dial(server.uri(ECHO))
    # The prompt that explains it comes first; a key would end it.
    time.sleep(1)
    phone.press("1")
    time.sleep(4)
    phone.hang_up_and_wait()
    heard = phone.heard(2, trim_s=0.5)
    assert tone_levels(heard, phone.rate, [440])[0] == pytest.approx(-12, abs=3)
    # Other tests run beside it; sound without any gap is asserted where a test runs alone.
    assert longest_gap_ms(heard, phone.rate) <= 200


def test_hold_is_silent_and_resume_is_not(server: RingbackServer, make_phone: MakePhone) -> None:
    caller = make_phone(server, "2071", server.add_extension("2071"))
    called = make_phone(server, "2072", server.add_extension("2072"))
    assert called.register().status == 200
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(called.answer)
        call = caller.dial("2072")
        other = answering.result()
    call.media.speak(make_tones(8000, 2, [440]))
    other.media.speak(make_tones(8000, 2, [1090]))
    time.sleep(1.5)
    assert tone_levels(call.media.heard(0.6), 8000, [1090])[0] > -15
    held = call.reinvite("sendonly")
    assert held.status == 200
    assert "a=recvonly" in held.body or "a=inactive" in held.body
    resumed = call.reinvite("sendrecv")
    assert resumed.status == 200
    time.sleep(1.5)
    assert tone_levels(call.media.heard(0.6), 8000, [1090])[0] > -15
    call.hang_up()
    other.wait_ended(3)
