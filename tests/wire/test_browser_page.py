"""The meeting page in Chromium: what it says when something is wrong, who can use it, and what it fetches."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.wire.browser import Browser, serious
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBrowser = Callable[..., Browser]
MakePhone = Callable[..., SipPhone]
Measured = Callable[[str], None]

PAGE_BYTES = 150_000


def test_no_microphone_is_said_with_what_to_do(server: RingbackServer, make_browser: MakeBrowser) -> None:
    meeting = server.add_meeting()
    browser = make_browser("Ada", microphone="none")
    browser.join(meeting["link"])
    browser.page.get_by_text("No microphone was found").first.wait_for()
    words = browser.words()
    assert "Plug in a microphone" in words
    assert "Dial in instead" in words
    assert not server.participants(meeting["number"])


def test_permission_denied_is_said_with_what_to_do(server: RingbackServer, make_browser: MakeBrowser) -> None:
    meeting = server.add_meeting()
    browser = make_browser("Ada", microphone="denied")
    browser.join(meeting["link"])
    browser.page.get_by_text("This page may not use your microphone").first.wait_for()
    words = browser.words()
    assert "icon left of the address" in words
    assert "your browser will ask" not in words
    assert words.count("This page may not use your microphone") == 2, "on the page, and for who listens"
    digits = words.replace(" ", "")
    assert meeting["guest_pin"] in digits
    assert meeting["number"] in digits


def test_a_microphone_pulled_out_is_said_and_the_call_goes_on(
    server: RingbackServer, make_browser: MakeBrowser
) -> None:
    meeting = server.add_meeting()
    browser = make_browser("Ada", tone_hz=440)
    browser.join(meeting["link"])
    browser.wait_inside()
    server.wait_participants(meeting["number"], 1)
    browser.unplug()
    browser.page.get_by_text("Your microphone was unplugged").first.wait_for()
    time.sleep(2)
    assert len(server.participants(meeting["number"])) == 1
    browser.leave()
    browser.page.get_by_text("You left the meeting").first.wait_for()


def test_a_wrong_link_is_said(server: RingbackServer, make_browser: MakeBrowser) -> None:
    meeting = server.add_meeting()
    browser = make_browser("Ada")
    browser.open(meeting["link"].partition("#")[0] + "#wrong")
    browser.page.get_by_text("This link is not valid").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_axe_finds_nothing_serious(
    server: RingbackServer, make_browser: MakeBrowser, make_phone: MakePhone, scheme: str
) -> None:
    meeting = server.ask("meeting", "add", "Weekly", "--admission", "lobby")
    guest = make_browser("Ada", context={"color_scheme": scheme})
    guest.open(meeting["link"])
    guest.page.get_by_label("Your name").wait_for()
    assert serious(guest) == []
    guest.join(meeting["link"])
    guest.page.get_by_role("heading", name="The host will let you in").wait_for()
    assert serious(guest) == []
    host = make_browser("Grace", context={"color_scheme": scheme, "viewport": {"width": 390, "height": 844}})
    host.join(meeting["host_link"])
    host.wait_inside()
    host.page.get_by_role("button", name="Admit", exact=True).wait_for()
    assert serious(host) == []
    host.press("Admit")
    guest.wait_inside()
    assert serious(guest) == []


def test_the_keyboard_is_enough(server: RingbackServer, make_browser: MakeBrowser) -> None:
    meeting = server.add_meeting()
    browser = make_browser("Ada")
    browser.open(meeting["link"])
    name = browser.page.get_by_label("Your name")
    name.wait_for()
    for _ in range(10):
        browser.page.keyboard.press("Tab")
        if name.evaluate("(box) => box === document.activeElement"):
            break
    browser.page.keyboard.type("Ada")
    browser.page.keyboard.press("Enter")
    browser.wait_inside()
    browser.page.keyboard.press("m")
    browser.page.get_by_role("button", name="Unmute", exact=True).wait_for()
    for _ in range(20):
        browser.page.keyboard.press("Tab")
        if browser.page.evaluate("() => document.activeElement.innerText") == "Leave":
            break
    browser.page.keyboard.press("Enter")
    browser.page.get_by_text("You left the meeting").first.wait_for()


def test_it_fetches_little_and_from_nobody_else(
    server: RingbackServer, make_browser: MakeBrowser, measured: Measured
) -> None:
    meeting = server.add_meeting()
    browser = make_browser("Ada")
    sizes: list[int] = []
    browser.page.on("requestfinished", lambda one: sizes.append(one.sizes()["responseBodySize"]))
    browser.open(meeting["link"])
    browser.page.get_by_label("Your name").wait_for()
    browser.page.wait_for_load_state("networkidle")
    measured(f"the meeting page: {sum(sizes) / 1000:.0f} kB over the wire (aim: under 150 kB)")
    assert sum(sizes) < PAGE_BYTES
    browser.join(meeting["link"])
    browser.wait_inside()
    own = urlsplit(meeting["link"]).netloc
    assert {urlsplit(url).netloc for url in browser.requests if not url.startswith(("blob:", "data:"))} == {
        own
    }
    assert not [line for line in browser.console if "Content Security Policy" in line], browser.console
