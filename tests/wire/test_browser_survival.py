"""Browsers over HTTPS, and through a restart of the server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from ringback.quality.tones import make_tones, tone_levels
from tests.wire.browser import Browser
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBrowser = Callable[..., Browser]
MakePhone = Callable[..., SipPhone]
MakeServer = Callable[..., RingbackServer]


def hears(browser: Browser, tone_hz: float, timeout: float = 15) -> None:
    """Wait until a browser hears a tone."""
    deadline = time.monotonic() + timeout
    while True:
        began = time.time()
        time.sleep(1)
        sound = browser.heard()
        audio = sound.since(began)
        if len(audio) > sound.rate // 2 and tone_levels(audio, sound.rate, [tone_hz])[0] > -20:
            return
        assert time.monotonic() < deadline, f"{browser.name} should hear {tone_hz:.0f} Hz: {browser.words()}"


@pytest.mark.long
def test_a_browser_joins_over_https(
    make_server: MakeServer, make_browser: MakeBrowser, make_phone: MakePhone
) -> None:
    server = make_server(settings={"RINGBACK_WEB__BIND": "0.0.0.0"})
    meeting = server.add_meeting()
    phone = make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}")
    phone.media.speak(make_tones(8000, 2, [440]))
    browser = make_browser("Ada", context={"ignore_https_errors": True})
    link = urlsplit(meeting["link"])
    assert link.scheme == "https"
    browser.join(link._replace(netloc=f"localhost:{server.web_port}").geturl())
    browser.wait_inside()
    hears(browser, 440)


def test_a_browser_comes_back_after_a_restart_of_the_server(
    make_server: MakeServer, make_browser: MakeBrowser, make_phone: MakePhone
) -> None:
    server = make_server()
    meeting = server.add_meeting()
    browser = make_browser("Grace")
    browser.join(meeting["host_link"])
    browser.wait_inside()
    server.kill_all()
    browser.page.get_by_text(re.compile("Reconnecting|The connection was lost")).first.wait_for()
    server.start()
    people = server.wait_participants(meeting["number"], 1, timeout=40)
    assert (people[0]["name"], people[0]["role"]) == ("Grace", "host")
    phone = make_phone(server).dial(f"{meeting['number']}*{meeting['guest_pin']}")
    phone.media.speak(make_tones(8000, 2, [440]))
    hears(browser, 440)
