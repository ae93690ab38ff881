"""SIPp refers its call to somebody else, and is told how that goes (RFC 3515, RFC 3420)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.sipp import Sipp, challenged, expect, holds, in_dialog, request

pytestmark = pytest.mark.wire
MakePhone = Callable[..., SipPhone]
MakeSipp = Callable[..., Sipp]


def test_sipp_refers_its_call_and_hears_of_the_outcome(
    server: RingbackServer, make_sipp: MakeSipp, make_phone: MakePhone
) -> None:
    called, target = (make_phone(server, number, server.add_extension(number)) for number in ("2801", "2802"))
    for phone in (called, target):
        assert phone.register().status == 200
    scenario = challenged("INVITE", "2803", server.add_extension("2803"), sdp=True)
    scenario += expect(180, optional=True) + expect(200, rrs="true") + request("ACK", 2)
    scenario += request(
        "REFER", 3, f"Refer-To: <{server.uri('2802')}>", "Referred-By: <sip:2803@[remote_ip]>"
    )
    scenario += expect(202)
    for line, state in (("100 Trying", "active"), ("180 Ringing", "active"), ("200 OK", "terminated")):
        told = [holds(f"SIP/2.0 {line}"), holds(f"Subscription-State: {state}"), holds("refer", "Event")]
        scenario += expect("NOTIFY", *told) + in_dialog("200 OK")
    scenario += expect("BYE") + in_dialog("200 OK")
    transferor = make_sipp(server, "-s", "2801", scenario=scenario, user="2803")
    at_called = called.answer()
    at_target = target.answer()
    transferor.finish(10)
    at_target.hang_up()
    at_called.wait_ended(3)
