"""SIPp as caller and as phone: its own scenarios, credentials, losses, and RFC 3262, 3311 and 4028."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.wire.ports import free_ports
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.sipp import (
    THERE,
    Sipp,
    SippError,
    challenged,
    expect,
    holds,
    in_dialog,
    label,
    pause,
    request,
    response,
)

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakePhone = Callable[..., SipPhone]
MakeSipp = Callable[..., Sipp]
HANG_UP = request("BYE", 9) + expect(200)
ANSWERED = expect(180, optional=True) + expect(200, rrs="true")


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


def registers(server: RingbackServer, make_sipp: MakeSipp, number: str) -> Sipp:
    """SIPp registers as an extension; its port is where it will be called."""
    password = server.add_extension(number)
    scenario = challenged("REGISTER", number, password, "Expires: 120") + expect(200)
    run = make_sipp(server, "-s", number, scenario=scenario, user=number)
    run.finish(10)
    return run


def test_its_own_caller_in_a_meeting(server: RingbackServer, make_sipp: MakeSipp) -> None:
    meeting = server.add_meeting()
    number = f"{meeting['number']}*{meeting['guest_pin']}"
    make_sipp(server, "-s", number, "-d", "500", "-r", "5", builtin="uac", calls=5).finish(20)
    server.wait_participants(meeting["number"], 0)


def test_its_own_phone_is_called(server: RingbackServer, make_sipp: MakeSipp, make_phone: MakePhone) -> None:
    registered = registers(server, make_sipp, "2401")
    called = make_sipp(server, builtin="uas", port=registered.port, user="2401")
    call = make_phone(server, "2402", server.add_extension("2402")).dial("2401")
    time.sleep(0.3)
    call.hang_up()
    called.finish(10)


def test_its_controller_joins_two_calls(server: RingbackServer, make_sipp: MakeSipp) -> None:
    meeting = server.add_meeting()
    number = f"{meeting['number']}*{meeting['guest_pin']}"
    port = free_ports()
    other = make_sipp(server, "-s", number, "-3pcc", f"127.0.0.1:{port}", builtin="3pcc-C-B")
    wait_for(lambda: any(f":{port:04X} " in Path("/proc/net", kind).read_text() for kind in ("tcp", "tcp6")))
    one = make_sipp(server, "-s", number, "-3pcc", f"127.0.0.1:{port}", builtin="3pcc-C-A")
    one.finish(15)
    other.finish(15)


def test_an_account_calls_with_credentials(server: RingbackServer, make_sipp: MakeSipp) -> None:
    password = server.add_extension("2411")
    scenario = challenged("INVITE", "2411", password, sdp=True)
    scenario += ANSWERED + request("ACK", 2) + pause(300) + HANG_UP
    make_sipp(server, "-s", "600", scenario=scenario, user="2411").finish(10)
    wrong = challenged("INVITE", "2411", "wrong", sdp=True)
    wrong += expect(401) + request("ACK", 2, uri=THERE, via="[last_Via:]")
    make_sipp(server, "-s", "600", scenario=wrong, user="2411").finish(10)


def test_no_call_fails_where_a_tenth_is_lost_both_ways(server: RingbackServer, make_sipp: MakeSipp) -> None:
    calls = 30
    meeting = server.add_meeting()
    number = f"{meeting['number']}*{meeting['guest_pin']}"
    guests = make_sipp(
        server, *("-s", number, "-lost", "10", "-r", "5", "-d", "1000"), builtin="uac", calls=calls
    )
    registered = registers(server, make_sipp, "2421")
    answers = expect("INVITE") + label(1) + response("180 Ringing") + response("200 OK", sdp=True)
    answers += expect("INVITE", optional=True, next="1") + expect("ACK", optional=True)
    answers += expect("BYE") + in_dialog("200 OK") + '<timewait milliseconds="4000"/>'
    phone = make_sipp(server, "-lost", "10", scenario=answers, port=registered.port, user="2421", calls=calls)
    scenario = challenged("INVITE", "2422", server.add_extension("2422"), sdp=True)
    scenario += ANSWERED + request("ACK", 2) + pause(1000) + HANG_UP
    caller = make_sipp(server, "-s", "2421", "-r", "5", scenario=scenario, user="2422", calls=calls)
    for run in (guests, caller):
        run.finish(60)
    try:
        phone.finish(60)
    except SippError:
        # Gone back to its 180 for a repeated INVITE while its 200 goes again by a timer, SIPp gives the call
        # up when the ACK to that comes before it has sent: what it got was right. Anything else is our fault.
        aborted = re.findall(r"Aborting call .*?: (while .*?), received '(\w+)", phone.errors())
        assert aborted
        assert set(aborted) == {("while sending (index 1)", "ACK")}
    server.wait_participants(meeting["number"], 0)


def test_reliable_ringing_goes_again_until_prack(
    server: RingbackServer, make_sipp: MakeSipp, make_phone: MakePhone
) -> None:
    phone = make_phone(server, "2431", server.add_extension("2431"))
    assert phone.register().status == 200
    scenario = challenged("INVITE", "2432", server.add_extension("2432"), "Require: 100rel", sdp=True)
    ringing = expect(180, holds("Require: 100rel"), holds("[0-9]+", "RSeq"), rrs="true")
    scenario += ringing + pause(700) + request("PRACK", 3, "RAck:[$seen] 2 INVITE") + expect(200)
    scenario += expect(200, rrs="true") + request("ACK", 2) + HANG_UP
    caller = make_sipp(server, "-s", "2431", scenario=scenario, user="2432")
    wait_for(lambda: "200 OK" in caller.messages().partition("PRACK sip:")[2])
    phone.answer().wait_ended(5)
    caller.finish(10)
    rung = re.findall(r"^RSeq: (\d+)", caller.messages(), re.M)
    assert len(rung) > 1
    assert len(set(rung)) == 1


def test_early_media_of_a_phone_is_acknowledged(
    server: RingbackServer, make_sipp: MakeSipp, make_phone: MakePhone
) -> None:
    registered = registers(server, make_sipp, "2433")
    scenario = expect("INVITE", holds("Supported: .*100rel"))
    scenario += response("183 Session Progress", "Require: 100rel", "RSeq: 17", sdp=True)
    scenario += expect("PRACK", holds("RAck: 17 1 INVITE")) + in_dialog("200 OK")
    scenario += expect("CANCEL") + in_dialog("200 OK")
    called = make_sipp(server, port=registered.port, scenario=scenario, user="2433")
    phone = make_phone(server, "2434", server.add_extension("2434"))
    call = phone.new_call("2433")
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(phone.attempt, call)
        phone.cancel(call)
        assert calling.result().status == 487
    called.finish(10)


def test_session_timers_and_update(server: RingbackServer, make_sipp: MakeSipp) -> None:
    meeting = server.add_meeting()
    asks = ("Supported: timer", "Allow: INVITE, ACK, BYE, CANCEL, UPDATE")
    scenario = request("INVITE", 1, *asks, "Session-Expires: 60", uri=THERE, sdp=True)
    scenario += expect(100, optional=True) + expect(422, holds("Min-SE: 90"))
    scenario += request("ACK", 1, uri=THERE, via="[last_Via:]")
    longer = "Session-Expires: 90;refresher=uac"
    scenario += request("INVITE", 2, *asks, longer, "Min-SE: 90", uri=THERE, sdp=True)
    scenario += expect(100, optional=True)
    scenario += expect(200, holds(longer), holds("Require: timer"), rrs="true") + request("ACK", 2)
    scenario += request("UPDATE", 3, *asks, longer) + expect(200, holds(longer))
    scenario += request("UPDATE", 4, *asks, longer, sdp=True) + expect(200, holds("m=audio"))
    number = f"{meeting['number']}*{meeting['guest_pin']}"
    make_sipp(server, "-s", number, scenario=scenario + HANG_UP).finish(10)
