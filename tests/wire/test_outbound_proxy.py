"""Phones behind a proxy: every request of a call takes the way that the proxy asked for (RFC 3261 16.12)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.kamailio import Kamailio
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipMessage, SipPhone
from tests.wire.test_meeting import TONES_HZ

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
MakePhone = Callable[..., SipPhone]
MakeKamailio = Callable[..., Kamailio]
ITS_HZ, OUR_HZ, _ = TONES_HZ
PATIENCE_S = 10

# What the proxy adds to INVITEs so that it sees all of the call: as it does, or as a router of RFC 2543.
LOOSE = "record_route();"
STRICT = r'insert_hf("Record-Route: <sip:$Ri:$Rp>\r\n");'
ROUTING = """\
request_route {{
    xlog("L_NOTICE", "WAY $rm $ru\\n");
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) t_relay();
        else if (is_method("ACK") && t_check_trans()) t_relay();
        else if (!is_method("ACK")) sl_send_reply("404", "Not On This Way");
        exit;
    }}
    loose_route();
    if (is_method("REGISTER")) add_path();
    if (is_method("INVITE")) {{
        {record}
        {fork}
    }}
    t_relay();
}}
"""


def passed(proxy: Kamailio, method: str) -> list[str]:
    """The request lines' URIs of all requests of a method that the proxy has seen."""
    return re.findall(rf"WAY {method} (\S+)", proxy.log())


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


def hears(call: Call, tone_hz: float, own_hz: float) -> bool:
    """Whether the last 0.6 s of a small phone were the other's tone, and not its own."""
    heard = call.media.heard(0.6)
    other, own = tone_levels(heard, 8000, [tone_hz, own_hz]) if len(heard) == 4800 else (-99, 0)
    return bool(abs(other + 12) < 2 and own < -45)


def check_heard(call: Call) -> None:
    """The small phone hears the one behind the proxy, and not itself; for a moment both are to be heard."""
    wait_for(lambda: hears(call, ITS_HZ, OUR_HZ))
    time.sleep(1)


@pytest.mark.parametrize(
    ("record", "transport"),
    [(LOOSE, "tcp"), (LOOSE, "udp"), (STRICT, "udp")],
    ids=["loose tcp", "loose", "strict"],
)
def test_calls_stay_on_the_way_of_a_proxy(
    server: RingbackServer,
    make_kamailio: MakeKamailio,
    make_baresip: MakeBaresip,
    make_phone: MakePhone,
    record: str,
    transport: str,
) -> None:
    first = {"tcp": 2301, "udp": 2303}[transport] + 4 * (record is STRICT)
    number, other = str(first), str(first + 1)
    proxy = make_kamailio(ROUTING, record=record, fork="")
    behind = make_baresip(
        number,
        server=server.udp,
        proxy=proxy.address,
        password=server.add_extension(number),
        transport=transport,
        tone_hz=ITS_HZ,
    )
    behind.register()
    phone = make_phone(server, other, server.add_extension(other))
    assert phone.register().status == 200

    # To the phone: it answers, holds, resumes; the other side hangs up.
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(phone.dial, number)
        behind.answer()
        call = calling.result()
    call.media.speak(make_tones(8000, 2, [OUR_HZ]))
    check_heard(call)
    for step in (behind.hold, behind.resume):
        before = len(passed(proxy, "ACK"))
        step()
        wait_for(lambda: len(passed(proxy, "ACK")) > before)  # noqa: B023
    check_heard(call)
    after = len(behind.events)
    call.hang_up()
    behind.wait_event("CALL_CLOSED", 3, after=after)
    (bye,) = passed(proxy, "BYE")
    assert (f":{proxy.port}" in bye) is (record is STRICT), "a router of RFC 2543 is named in the first line"

    # From the phone, which hangs up.
    after = len(behind.events)
    behind.dial(server.uri(other), wait=False)
    call = phone.answer()
    call.media.speak(make_tones(8000, 2, [OUR_HZ]))
    behind.wait_event("CALL_ESTABLISHED", after=after)
    check_heard(call)
    behind.hang_up_and_wait()
    call.wait_ended(3)
    assert len(passed(proxy, "BYE")) == 2
    heard = tone_levels(behind.heard(1, trim_s=0.3), behind.rate, [ITS_HZ, OUR_HZ])
    assert heard[1] == pytest.approx(-12, abs=2)
    assert heard[0] < -45


def test_who_gives_up_is_heard_behind_the_proxy(
    server: RingbackServer, make_kamailio: MakeKamailio, make_phone: MakePhone
) -> None:
    # The phone knows the server by a name that only the proxy can place.
    place = f'if ($rd == "pbx.example.com") {{ $rd = "127.0.0.1"; $rp = "{server.udp_port}"; }}'
    proxy = make_kamailio(ROUTING, record=LOOSE, fork=place)
    behind = make_phone(server, "2311", server.add_extension("2311"), proxy=proxy.address)
    phone = make_phone(server, "2312", server.add_extension("2312"))
    for one in (behind, phone):
        assert one.register().status == 200
    for caller, called, target in (
        (phone, behind, "2311"),
        (behind, phone, "sip:2312@pbx.example.com"),
    ):
        call = caller.new_call(target)
        with ThreadPoolExecutor(1) as pool:
            calling = pool.submit(caller.attempt, call)
            ringing = called.wait_ringing()
            caller.cancel(call)
            assert calling.result().status == 487
        ringing.wait_ended(3)
        assert ringing.end_reason == "CANCEL"
    assert len(passed(proxy, "CANCEL")) == 2


class Deaf(SipPhone):
    """A phone whose owner answers in the moment when its call is taken back."""

    def _cancelled(self, message: SipMessage, call: Call) -> None:
        self.respond(message, 200, "OK")
        assert call.invite is not None
        self.respond(call.invite, 200, "OK", call.sdp(), tag=call.local_tag)


@pytest.mark.parametrize("second", [SipPhone, Deaf], ids=["rings", "answers too"])
def test_a_proxy_forks_a_call_to_two_phones(
    server: RingbackServer, make_kamailio: MakeKamailio, make_phone: MakePhone, second: type[SipPhone]
) -> None:
    number, caller_number = ("2321", "2322") if second is SipPhone else ("2323", "2324")
    quiet = second(server.udp, "2329")
    fork = f'if ($rU == "{number}") append_branch("sip:2329@127.0.0.1:{quiet.port}");'
    proxy = make_kamailio(ROUTING, record=LOOSE, fork=fork)
    quiet._next_hop = proxy.address
    answers = make_phone(server, number, server.add_extension(number), proxy=proxy.address)
    caller = make_phone(server, caller_number, server.add_extension(caller_number))
    for one in (answers, caller):
        assert one.register().status == 200
    try:
        with ThreadPoolExecutor(1) as pool:
            calling = pool.submit(caller.dial, number)
            other = quiet.wait_ringing()
            taken = answers.answer()
            call = calling.result()
        other.wait_ended(3)
        assert other.end_reason.startswith("BYE" if second is Deaf else "CANCEL")
        taken.media.speak(make_tones(8000, 2, [ITS_HZ]))
        call.media.speak(make_tones(8000, 2, [OUR_HZ]))
        check_heard(call)
        assert hears(taken, OUR_HZ, ITS_HZ)
        call.hang_up()
        taken.wait_ended(3)
    finally:
        quiet.close()
