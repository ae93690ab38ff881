"""The harness itself, without the server: two baresip call each other, and are heard."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ringback.quality.silence import longest_gap_ms
from ringback.quality.tones import tone_levels
from tests.wire.baresip import Baresip

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
        assert longest_gap_ms(heard, phone.rate) == 0


def test_keys_are_received(make_baresip: MakePhone) -> None:
    alice = make_baresip("alice", tone_hz=440)
    bob = make_baresip("bob", tone_hz=1090, answer="auto")
    alice.dial(bob.uri)
    time.sleep(0.5)
    alice.press("159*0#")
    time.sleep(0.5)
    keys = [event["param"] for event in bob.events if event["type"] == "CALL_DTMF_START"]
    assert "".join(keys) == "159*0#"
