"""The phone page: calls and is called, with sound in both directions through hold and transfer."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.baresip import Baresip
from tests.wire.browser import Browser
from tests.wire.console import log_in, make_somebody
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import Call, SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBaresip = Callable[..., Baresip]
MakeBrowser = Callable[..., Browser]
MakePhone = Callable[..., SipPhone]

PAGE_HZ, PHONE_HZ = 440.0, 1090.0


def wait_for(condition: Callable[[], bool], patience_s: float = 8) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.1)


def page_hears(browser: Browser, hz: float = PHONE_HZ) -> bool:
    """Whether the page heard that tone in the last 0.6 s."""
    sound = browser.heard(time.time() - 0.6)
    return len(sound.audio) > 0.4 * sound.rate and bool(tone_levels(sound.audio, sound.rate, [hz])[0] > -35)


def phone_hears(call: Call, hz: float = PAGE_HZ) -> bool:
    """Whether the phone of this call did."""
    heard = call.media.heard(0.4)
    return len(heard) >= 3200 and bool(tone_levels(heard, 8000, [hz])[0] > -35)


def check_both_hear(browser: Browser, call: Call) -> None:
    """Each hears the other's tone."""
    call.media.speak(make_tones(8000, 6, [PHONE_HZ]))
    wait_for(lambda: page_hears(browser) and phone_hears(call))


def test_a_page_calls_a_phone_and_both_hear_each_other(
    server: RingbackServer, make_browser: MakeBrowser, make_baresip: MakeBaresip
) -> None:
    ada = make_somebody(server, "Ada", "5201")
    password = server.add_extension("5202")
    phone = make_baresip(
        "5202", server=server.udp, password=password, tone_hz=PHONE_HZ, answer="auto", codec="g722"
    )
    phone.register()
    browser = make_browser("Ada", tone_hz=PAGE_HZ)
    log_in(browser, server, ada)
    browser.page.get_by_text("Ready", exact=True).wait_for()
    browser.page.get_by_label("Name or number").fill("5202")
    browser.page.get_by_label("Name or number").press("Enter")
    browser.page.get_by_role("button", name="Hang up").wait_for()
    wait_for(lambda: page_hears(browser))
    time.sleep(1)
    browser.press("Hang up")
    phone.wait_event("CALL_CLOSED")
    assert tone_levels(phone.heard(1, trim_s=0.2), phone.rate, [PAGE_HZ])[0] > -35

    browser.page.get_by_role("link", name="Calls", exact=True).click()
    row = browser.page.get_by_role("row").filter(has_text="5202").first
    row.get_by_text("Answered by 5202").wait_for()
    row.get_by_role("link").click()
    browser.page.get_by_role("heading", name="What happened").wait_for()
    assert "dials 5202" in browser.words()


def test_a_page_is_called_holds_and_transfers(
    server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone
) -> None:
    grace = make_somebody(server, "Grace", "5203")
    caller, colleague = (make_phone(server, n, server.add_extension(n)) for n in ("5204", "5205"))
    for phone in (caller, colleague):
        assert phone.register().status == 200
    browser = make_browser("Grace", tone_hz=PAGE_HZ)
    log_in(browser, server, grace)
    browser.page.get_by_text("Ready", exact=True).wait_for()
    with ThreadPoolExecutor(1) as pool:
        dialling = pool.submit(caller.dial, "5203")
        browser.press("Answer")
        call = dialling.result()
    check_both_hear(browser, call)
    browser.press("Hold")
    wait_for(lambda: not page_hears(browser))
    browser.press("Hold")
    check_both_hear(browser, call)
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(colleague.answer)
        browser.press("Transfer")
        browser.page.get_by_label("Name or number").first.fill("5205")
        browser.page.get_by_role("button", name="Transfer").last.click()
        there = answering.result()
    browser.page.get_by_text("Transferred").wait_for()
    there.media.speak(make_tones(8000, 3, [600]))
    call.media.speak(make_tones(8000, 3, [PHONE_HZ]))
    wait_for(lambda: phone_hears(there, PHONE_HZ) and phone_hears(call, 600))

    browser.page.get_by_label("Do not disturb").check()
    browser.page.get_by_text("You are not disturbed").wait_for()
    assert server.api("GET", "/plan/answering/5203")["value"]["do_not_disturb"] is True

    # Who does not hold the extension any more is no phone of it, though the page stays open.
    def registered() -> bool:
        return any(one["number"] == "5203" for one in server.api("GET", "/registrations"))

    assert registered()
    server.api("PATCH", "/extensions/5203", {"person_id": None})
    wait_for(lambda: not registered(), 3)


def test_two_calls_of_a_page_become_one_of_those_it_talked_with(
    server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone
) -> None:
    ada = make_somebody(server, "Ada", "5211")
    phones = [make_phone(server, n, server.add_extension(n)) for n in ("5212", "5213")]
    browser = make_browser("Ada", tone_hz=PAGE_HZ)
    page = browser.page
    log_in(browser, server, ada)
    page.get_by_text("Ready", exact=True).wait_for()
    calls: list[Call] = []
    with ThreadPoolExecutor(1) as pool:
        for phone in phones:
            assert phone.register().status == 200
            answering = pool.submit(phone.answer)
            page.get_by_label("Name or number").fill(phone.user)
            page.get_by_label("Name or number").press("Enter")
            calls.append(answering.result())
            check_both_hear(browser, calls[-1])
    page.get_by_text("on hold", exact=True).wait_for()
    assert not phone_hears(calls[0])
    page.get_by_role("button", name="Transfer").first.click()
    browser.press("To 5213")
    wait_for(lambda: page.get_by_role("button", name="Hang up").count() == 0)
    calls[0].media.speak(make_tones(8000, 4, [600]))
    calls[1].media.speak(make_tones(8000, 4, [PHONE_HZ]))
    wait_for(lambda: phone_hears(calls[0], PHONE_HZ) and phone_hears(calls[1], 600))


def test_calls_go_on_to_a_group_that_is_found_by_its_name_and_it_is_called_by_it(
    server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone
) -> None:
    lise = make_somebody(server, "Lise", "5221")
    desk = make_phone(server, "5222", server.add_extension("5222"))
    assert desk.register().status == 200
    group = {"title": "Front desk", "number": "5223", "members": ["5222"], "otherwise": "busy"}
    server.api("PUT", "/plan/group/front", group)
    browser = make_browser("Lise", tone_hz=PAGE_HZ)
    page, keyboard = browser.page, browser.page.keyboard
    log_in(browser, server, lise)
    page.get_by_text("Ready", exact=True).wait_for()
    page.get_by_label("When busy", exact=True).focus()
    keyboard.type("To a name")
    keyboard.press("Tab")
    keyboard.type("desk")
    page.get_by_role("option", name="Front desk group · 5223").wait_for()
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    page.get_by_text("When busy: Group front").wait_for()
    assert server.api("GET", "/plan/answering/5221")["value"]["busy"] == "group:front"
    # A number that is something's in the house means that, and is shown by its name again.
    page.get_by_label("Always", exact=True).focus()
    keyboard.type("To a name")
    keyboard.press("Tab")
    keyboard.type("5223")
    page.get_by_role("option", name="Front desk group · 5223").wait_for()
    keyboard.press("Escape")
    browser.press("Set")
    page.get_by_text("Always: Group front").wait_for()
    page.reload()
    wait_for(lambda: "Front desk" in page.get_by_label("Always: name or number").input_value())

    page.get_by_label("Name or number", exact=True).fill("front")
    page.get_by_role("option", name="Front desk group · 5223").wait_for()
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(desk.answer)
        keyboard.press("Enter")
        check_both_hear(browser, answering.result())
    assert [url for url in browser.requests if "5223" in url or "desk" in url] == []
