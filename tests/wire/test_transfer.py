"""Transfers and take-overs with real audio: after each of them the right two people hear each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, CallFailed, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
MakePhone = Callable[..., SipPhone]

RINGBACK_HZ = [440, 480]


def phones(server: RingbackServer, make_phone: MakePhone, *numbers: str) -> list[SipPhone]:
    """Registered small phones of new extensions."""
    made = [make_phone(server, number, server.add_extension(number)) for number in numbers]
    for phone in made:
        assert phone.register().status == 200
    return made


def connect(caller: SipPhone, called: SipPhone) -> tuple[Call, Call]:
    """One calls, the other answers."""
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(called.answer)
        call = caller.dial(called.user)
        return call, answering.result()


def check_both_hear(one: Call, other: Call) -> None:
    """Each hears the other's tone, within a second or so."""
    one.media.speak(make_tones(8000, 2, [600]))
    other.media.speak(make_tones(8000, 2, [1090]))
    wait_for(lambda: hears(one, [1090]) and hears(other, [600]))


def hears(call: Call, tones_hz: list[int]) -> bool:
    """Whether all these tones are in the last 0.4 s that the phone of this call heard."""
    heard = call.media.heard(0.4)
    return len(heard) >= 3200 and all(level > -30 for level in tone_levels(heard, 8000, tones_hz))


def wait_for(condition: Callable[[], bool], patience_s: float = 5) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


def test_a_phone_sends_its_caller_to_a_colleague(server: RingbackServer, make_phone: MakePhone) -> None:
    alice, bob, carol = phones(server, make_phone, "3101", "3102", "3103")
    at_alice, at_bob = connect(alice, bob)
    check_both_hear(at_alice, at_bob)
    assert at_bob.refer("3103").status == 202
    wait_for(lambda: hears(at_alice, RINGBACK_HZ))
    at_carol = carol.answer()
    assert at_carol.invite is not None
    assert "3101" in at_carol.invite.get("From")
    at_bob.wait_ended(5)
    assert at_bob.progress[-2:] == [180, 200]
    check_both_hear(at_alice, at_carol)
    at_alice.hang_up()
    at_carol.wait_ended(5)


def test_a_transfer_that_fails_gives_the_call_back(server: RingbackServer, make_phone: MakePhone) -> None:
    alice, bob = phones(server, make_phone, "3111", "3112")
    server.add_extension("3113")
    at_alice, at_bob = connect(alice, bob)
    assert at_alice.refer("9999999").status == 404
    check_both_hear(at_alice, at_bob)
    assert at_alice.refer("3113").status == 202
    wait_for(lambda: at_alice.progress[-1:] == [480])
    check_both_hear(at_alice, at_bob)
    at_alice.hang_up()
    at_bob.wait_ended(5)


def test_two_calls_of_a_phone_become_one_of_the_others(server: RingbackServer, make_phone: MakePhone) -> None:
    alice, bob, carol = phones(server, make_phone, "3121", "3122", "3123")
    first, at_bob = connect(alice, bob)
    assert first.reinvite("sendonly").status == 200
    second, at_carol = connect(alice, carol)
    check_both_hear(second, at_carol)
    assert first.refer("3123", second).status == 202
    first.wait_ended(5)
    second.wait_ended(5)
    assert first.progress[-1] == 200
    check_both_hear(at_bob, at_carol)
    at_carol.hang_up()
    at_bob.wait_ended(5)


def test_another_device_of_the_extension_takes_the_call_over(
    server: RingbackServer, make_phone: MakePhone
) -> None:
    alice, bob, stranger = phones(server, make_phone, "3131", "3132", "3133")
    at_alice, at_bob = connect(alice, bob)
    with pytest.raises(CallFailed) as refused:
        stranger.dial("3132", (f"Replaces: {at_bob.replaces}",))
    assert refused.value.status == 403
    mobile = make_phone(server, "3132", bob.password)
    at_mobile = mobile.dial("3131", (f"Replaces: {at_bob.replaces}",))
    at_bob.wait_ended(5)
    check_both_hear(at_alice, at_mobile)
    at_mobile.hang_up()
    at_alice.wait_ended(5)


def test_baresip_transfers_its_call(
    server: RingbackServer, make_phone: MakePhone, make_baresip: MakeBaresip
) -> None:
    bob, carol = phones(server, make_phone, "3142", "3143")
    alice = make_baresip("3141", server=server.udp, password=server.add_extension("3141"))
    alice.register()
    alice.dial(server.uri("3142"), wait=False)
    at_bob = bob.answer()
    alice.wait_event("CALL_ESTABLISHED")
    alice.command("transfer", server.uri("3143"))
    at_carol = carol.answer()
    alice.wait_event("CALL_CLOSED")
    check_both_hear(at_bob, at_carol)
    at_bob.hang_up()
    at_carol.wait_ended(5)
