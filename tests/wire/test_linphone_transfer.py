"""linphone transfers calls, blind and attended: those it leaves hear each other (RFC 3515, RFC 3891)."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.linphone import Linphone
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeLinphone = Callable[..., Linphone]
MakePhone = Callable[..., SipPhone]
ONE_HZ, OTHER_HZ = 1090.0, 1870.0
PATIENCE_S = 10


def phone_of(server: RingbackServer, make_phone: MakePhone, number: str) -> SipPhone:
    """A registered small phone of a new extension."""
    phone = make_phone(server, number, server.add_extension(number))
    assert phone.register().status == 200
    return phone


def call_of(linphone: Linphone, phone: SipPhone) -> Call:
    """linphone calls the phone, which answers."""
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(phone.answer)
        linphone.dial(phone.user)
        return answering.result()


def check_both_hear(one: Call, other: Call) -> None:
    """Each of the small phones hears the other's tone, and linphone's no more."""
    one.media.speak(make_tones(8000, 2, [ONE_HZ]))
    other.media.speak(make_tones(8000, 2, [OTHER_HZ]))
    deadline = time.monotonic() + PATIENCE_S
    while not (hears_only(one, OTHER_HZ) and hears_only(other, ONE_HZ)):
        assert time.monotonic() < deadline, "they do not hear each other"
        time.sleep(0.1)


def hears_only(call: Call, tone_hz: float) -> bool:
    """Whether the last 0.4 s were this tone, and not that of linphone."""
    heard = call.media.heard(0.4)
    wanted, linphones = tone_levels(heard, 8000, [tone_hz, 440]) if len(heard) == 3200 else (-99, 0)
    return bool(wanted > -15 and linphones < -40)


def test_linphone_sends_its_call_to_a_colleague(
    server: RingbackServer, make_linphone: MakeLinphone, make_phone: MakePhone
) -> None:
    linphone = make_linphone(server, "2701", tone_hz=440)
    one, colleague = phone_of(server, make_phone, "2702"), phone_of(server, make_phone, "2703")
    at_one = call_of(linphone, one)
    after = linphone.said
    linphone.command(f"transfer {linphone.uri('2703')}")
    at_colleague = colleague.answer()
    linphone.expect("ended", after=after)
    check_both_hear(at_one, at_colleague)
    assert "NOTIFY sip:" in linphone.log()
    at_one.hang_up()
    at_colleague.wait_ended(3)


def test_linphone_asks_its_colleague_first(
    server: RingbackServer, make_linphone: MakeLinphone, make_phone: MakePhone
) -> None:
    linphone = make_linphone(server, "2704", tone_hz=440)
    one, colleague = phone_of(server, make_phone, "2705"), phone_of(server, make_phone, "2706")
    at_one = call_of(linphone, one)
    linphone.hold()
    at_colleague = call_of(linphone, colleague)
    after = linphone.said
    linphone.command("transfer 1 --to-call 2")
    check_both_hear(at_one, at_colleague)
    linphone.expect("Call 2 .* ended", after=after)
    at_one.hang_up()
    at_colleague.wait_ended(3)
