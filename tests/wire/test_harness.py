"""The harness itself, without the server: two baresip call each other, and are heard."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ringback.quality.silence import longest_gap_ms
from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.rtp_stream import decode_ulaw, encode_ulaw
from tests.wire.sip_phone import SipPhone

pytestmark = pytest.mark.wire
MakePhone = Callable[..., Baresip]


@pytest.mark.parametrize("codec", ["pcmu", "g722", "opus"])
def test_two_baresip_hear_each_other(make_baresip: MakePhone, codec: str) -> None:
    alice = make_baresip("alice", codec=codec, tone_hz=440)
    bob = make_baresip("bob", codec=codec, tone_hz=1090, answer="auto")
    alice.dial(bob.uri)
    time.sleep(3)
    alice.hang_up_and_wait()
    bob.wait_event("CALL_CLOSED")
    for phone, own, other in ((alice, 0, 1), (bob, 1, 0)):
        heard = phone.heard(2, trim_s=0.2)
        levels = tone_levels(heard, phone.rate, [440, 1090])
        assert levels[other] == pytest.approx(-12, abs=1)
        assert levels[own] < -50
        assert longest_gap_ms(heard, phone.rate) <= 200


def test_keys_are_received(make_baresip: MakePhone) -> None:
    alice = make_baresip("alice", tone_hz=440)
    bob = make_baresip("bob", tone_hz=1090, answer="auto")
    alice.dial(bob.uri)
    time.sleep(0.5)
    alice.press("159*0#")
    time.sleep(0.5)
    keys = [event["param"] for event in bob.events if event["type"] == "CALL_DTMF_START"]
    assert "".join(keys) == "159*0#"


def test_the_small_phone_and_baresip_hear_each_other(make_baresip: MakePhone) -> None:
    bob = make_baresip("bob", tone_hz=1090, answer="auto")
    phone = SipPhone(("127.0.0.1", bob.sip_port))
    try:
        call = phone.dial("bob")
        call.media.speak(make_tones(8000, 2, [440], -12))
        time.sleep(2)
        call.press("12#")
        call.hang_up()
        bob.wait_event("CALL_CLOSED")
        heard = call.media.heard(1)
        assert tone_levels(heard, 8000, [440, 1090])[1] == pytest.approx(-12, abs=0.5)
        assert longest_gap_ms(heard, 8000) <= 200
        assert tone_levels(bob.heard(1, trim_s=0.6), 8000, [440, 1090])[0] == pytest.approx(-12, abs=0.5)
        keys = [event["param"] for event in bob.events if event["type"] == "CALL_DTMF_START"]
        assert "".join(keys) == "12#"
    finally:
        phone.close()


def test_baresip_calls_the_small_phone(make_baresip: MakePhone) -> None:
    alice = make_baresip("alice", tone_hz=440)
    phone = SipPhone(("127.0.0.1", alice.sip_port))
    try:
        alice.dial(f"sip:guest@127.0.0.1:{phone.port}", wait=False)
        call = phone.answer()
        alice.wait_event("CALL_ESTABLISHED")
        time.sleep(1)
        alice.hang_up_and_wait()
        call.wait_ended(2)
        assert tone_levels(call.media.heard(0.6), 8000, [440])[0] == pytest.approx(-12, abs=0.5)
    finally:
        phone.close()


def test_ulaw_round_trip_is_that_of_the_standard() -> None:
    codes = bytes(range(256))
    decoded = decode_ulaw(codes)
    again = encode_ulaw(decoded)
    # 0x7F and 0xFF are both zero.
    assert bytes(again[:127]) + bytes(again[128:]) == codes[:127] + codes[128:]
    assert decoded[0x80] == pytest.approx(32124 / 32768)
