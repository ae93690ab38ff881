"""Busy lamps and the message lamp of a real phone at a real server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.wire.baresip import Baresip
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, CallFailed, SipPhone
from tests.wire.test_transfer import check_both_hear, connect, phones, wait_for

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
MakePhone = Callable[..., SipPhone]

STARTS = 8
"""At one start of three baresip's module for mailboxes sends SUBSCRIBE without end and reads nothing."""


def lamp(watch: Call) -> list[str]:
    """The states of the dialogs that were told last."""
    told = [request for request in watch.requests if request.method == "NOTIFY"]
    return re.findall(r"<state>(\w+)</state>", told[-1].body) if told else ["nothing"]


def test_a_lamp_goes_on_when_somebody_talks_and_off_again(
    server: RingbackServer, make_phone: MakePhone
) -> None:
    alice, bob, carol = phones(server, make_phone, "3201", "3202", "3203")
    watch = carol.subscribe("3201")
    wait_for(lambda: lamp(watch) == [])
    call, at_bob = connect(alice, bob)
    wait_for(lambda: lamp(watch) == ["confirmed"])
    assert "3202" not in watch.requests[-1].body
    call.hang_up()
    at_bob.wait_ended(5)
    wait_for(lambda: lamp(watch) in ([], ["terminated"]))
    with pytest.raises(CallFailed) as refused:
        carol.subscribe("9999999")
    assert refused.value.status == 403


def test_another_device_picks_up_the_call_that_its_lamp_shows(
    server: RingbackServer, make_phone: MakePhone
) -> None:
    alice, desk = phones(server, make_phone, "3221", "3222")
    mobile = make_phone(server, "3222", desk.password)
    watch = mobile.subscribe("3222")
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(alice.dial, "3222")
        wait_for(lambda: lamp(watch) == ["early"])
        told = dict(re.findall(r'(call-id|local-tag|remote-tag)="([^"]+)"', watch.requests[-1].body))
        replaces = f"{told['call-id']};to-tag={told['remote-tag']};from-tag={told['local-tag']};early-only"
        at_mobile = mobile.dial("3222", (f"Replaces: {replaces}",))
        at_alice = calling.result()
    check_both_hear(at_alice, at_mobile)
    assert desk.incoming[0].end_reason == "CANCEL"
    at_alice.hang_up()
    at_mobile.wait_ended(5)


def test_the_message_lamp_of_baresip_is_served(server: RingbackServer, make_baresip: MakeBaresip) -> None:
    account = {"server": server.udp, "password": server.add_extension("3211")}
    for _ in range(STARTS):
        phone = make_baresip("3211", mwi=True, **account)
        # It tells nothing of this on its control connection; what it shows is in its log.
        if shows_its_mailbox(phone):
            break
        phone.stop()
    shown = phone.log().partition("----- MWI for")[2]
    assert "Messages-Waiting: no" in shown.splitlines()[1]


def shows_its_mailbox(phone: Baresip) -> bool:
    deadline = time.monotonic() + 2
    while "----- MWI for" not in phone.log():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
