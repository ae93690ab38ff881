#!/usr/bin/env python
"""Take the pictures of the meeting page in docs/pictures, from the real command with people in a meeting.

usage: .venv/bin/python scripts/screenshots.py [FOLDER]
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, Playwright, sync_playwright  # noqa: E402

from ringback.quality.tones import make_tones  # noqa: E402
from tests.wire.browser import Browser  # noqa: E402
from tests.wire.server import RingbackServer  # noqa: E402
from tests.wire.sip_phone import SipPhone  # noqa: E402

DESK = {"viewport": {"width": 1024, "height": 768}, "device_scale_factor": 1.5}
HAND = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}


class Studio:
    """A server, people, and where the pictures go."""

    def __init__(self, playwright: Playwright, folder: Path, work: Path, closing: ExitStack) -> None:
        self._playwright, self._folder, self._work, self._closing = playwright, folder, work, closing
        self.server = RingbackServer(work / "server").start()
        closing.callback(self.server.stop)

    def browser(self, name: str, **settings: object) -> Browser:
        """Somebody with a browser."""
        browser = Browser(self._work / name, name, **settings)  # type: ignore[arg-type]
        self._closing.callback(browser.stop)
        return browser.start(self._playwright)

    def phone(self, number: str, target: str, tone_hz: float = 0) -> None:
        """Somebody with a phone in a meeting."""
        phone = SipPhone(self.server.udp, number)
        self._closing.callback(phone.close)
        call = phone.dial(target)
        call.media.speak(make_tones(8000, 2, [tone_hz] if tone_hz else []))

    def take(self, page: Page, name: str) -> None:
        """One picture, when the page has come to rest."""
        page.mouse.move(0, 0)
        time.sleep(0.6)
        path = self._folder / f"{name}.png"
        page.screenshot(path=path)
        print(path)


def take_all(studio: Studio) -> None:
    """Preflight, lobby, meeting and host, on a desk and in the hand, light and dark."""
    meeting = studio.server.ask("meeting", "add", "Weekly", "--admission", "lobby")
    ada = studio.browser("Ada", tone_hz=440, level_dbfs=-20, context=DESK)
    ada.open(meeting["link"])
    ada.page.get_by_label("Your name").fill("Ada")
    ada.page.get_by_text("Your level").wait_for()
    time.sleep(1)
    studio.take(ada.page, "preflight")
    ada.press("Join")
    ada.page.get_by_role("heading", name="The host will let you in").wait_for()
    studio.take(ada.page, "lobby")

    host = studio.browser("Mira", context={**DESK, "color_scheme": "dark"})
    host.join(meeting["host_link"])
    host.wait_inside()
    target = f"{meeting['number']}*{meeting['guest_pin']}"
    studio.phone("12025550101", target, 1090)
    studio.phone("12025550127", target)
    host.page.get_by_role("button", name="Admit all").wait_for()
    studio.take(host.page, "host-dark")
    host.press("Admit all")
    studio.server.wait_participants(meeting["number"], 4)
    studio.phone("12025550163", target)
    host.page.get_by_role("button", name="Admit", exact=True).wait_for()
    host.page.emulate_media(color_scheme="light")
    studio.take(host.page, "host")

    ada.wait_inside()
    time.sleep(6)
    dot = ada.page.get_by_role("button", name=re.compile("^Connection of Mira"))
    dot.click()
    studio.take(ada.page, "meeting")
    dot.click()
    ada.page.emulate_media(color_scheme="dark")
    studio.take(ada.page, "meeting-dark")

    hand = studio.browser("Noor", context={**HAND, "color_scheme": "dark"})
    hand.open(meeting["link"])
    hand.page.get_by_label("Your name").fill("Noor")
    studio.take(hand.page, "phone-size-preflight-dark")
    hand.press("Join")
    hand.page.get_by_role("heading", name="The host will let you in").wait_for()
    host.press("Admit all")
    hand.wait_inside()
    hand.page.emulate_media(color_scheme="light")
    studio.take(hand.page, "phone-size")

    deaf = studio.browser("deaf", microphone="denied", context=DESK)
    deaf.open(meeting["link"])
    deaf.page.get_by_label("Your name").fill("Ada")
    deaf.press("Join")
    deaf.page.get_by_text("This page may not use your microphone").first.wait_for()
    studio.take(deaf.page, "no-permission")


def main() -> None:
    """Take them all into the folder named, or docs/pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as work, ExitStack() as closing:
        take_all(Studio(playwright, folder, Path(work), closing))


if __name__ == "__main__":
    main()
