"""SIPp and our agent follow who they talk to (RFC 4916): they are told after a transfer, the call goes on.
baresip 1.0 and linphone 5.1 do not say `from-change`, and are told nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.wire.agent_phone import AgentPhone
from tests.wire.desk_phone import check_both_hear, meet
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.sipp import Sipp, challenged, expect, holds, in_dialog, request
from tests.wire.test_transfer import phones, wait_for

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakePhone = Callable[..., SipPhone]
MakeSipp = Callable[..., Sipp]

FOLLOWS = "Supported: from-change"
BY_UPDATE = pytest.param("UPDATE", id="by UPDATE")
BY_INVITE = pytest.param("INVITE", id="by re-INVITE", marks=pytest.mark.long)


def allow(method: str) -> str:
    """What it takes: who does not take UPDATE is told by re-INVITE."""
    return "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS" + (", UPDATE" if method == "UPDATE" else "")


def told_of(method: str, number: str) -> str:
    """It is told that it talks to that number now, in From and asserted, and takes it."""
    who = f"sip:{number}@"
    answer = expect(method, holds(who, "From"), holds(who, "P-Asserted-Identity"))
    if method == "UPDATE":
        return answer + in_dialog("200 OK")
    return answer + in_dialog("200 OK", sdp=True) + expect("ACK")


def calls(server: RingbackServer, user: str, method: str) -> str:
    """A call that is answered."""
    words = challenged("INVITE", user, server.add_extension(user), FOLLOWS, allow(method), sdp=True)
    answered = expect(180, optional=True) + expect(183, optional=True) + expect(200, rrs="true")
    return words + answered + request("ACK", 2)


OVER = expect("BYE") + in_dialog("200 OK")


@pytest.mark.parametrize("method", [BY_UPDATE, BY_INVITE])
@pytest.mark.parametrize("attended", [True, pytest.param(False, marks=pytest.mark.long)])
def test_it_is_told_to_whom_it_was_transferred(
    server: RingbackServer, make_sipp: MakeSipp, make_phone: MakePhone, method: str, attended: bool
) -> None:
    base = 2850 + 10 * (method == "INVITE") + 4 * attended
    one, two, three = (str(base + place) for place in range(3))
    bob, carol = phones(server, make_phone, two, three)
    sipp = make_sipp(
        server, "-s", two, scenario=calls(server, one, method) + told_of(method, three) + OVER, user=one
    )
    at_bob = bob.answer()
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(carol.answer)
        if attended:
            consultation = bob.dial(three)
            answering.result()
            assert at_bob.refer(three, consultation).status == 202
        else:
            assert at_bob.refer(three).status == 202
        at_carol = answering.result()
    at_bob.wait_ended(5)
    # It is hung up only after it was told, for its scenario has that order.
    told = f"{method} sip:{one}@"
    wait_for(lambda: told in sipp.messages().partition("ACK sip:")[2], 10)
    at_carol.hang_up()
    sipp.finish(10)


def test_our_agent_shows_who_it_talks_to_and_hears_them(server: RingbackServer) -> None:
    one, two, three = "2891", "2892", "2893"
    phones = [
        AgentPhone(number, server=server, password=server.add_extension(number), tone_hz=tone_hz).start()
        for number, tone_hz in ((one, 600.0), (two, 1090.0), (three, 1870.0))
    ]
    ada, bob, carol = phones
    try:
        for phone in phones:
            phone.register()
        meet(ada, bob)
        meet(bob, carol)
        assert (ada.talks_to, carol.talks_to) == (two, two)
        bob.transfer_to_other()
        check_both_hear(ada, carol)
        wait_for(lambda: (ada.talks_to, carol.talks_to) == (three, one), 10)
        carol.transfer(two)
        bob.answer()
        check_both_hear(ada, bob)
        wait_for(lambda: ada.talks_to == two, 10)
        # The dialog has the new names, and ends as any other.
        ada.hang_up()
        bob.wait_calls(0)
    finally:
        for phone in phones:
            phone.stop()
