"""How long a person waits for the console's lists: 10,000 people, in Chromium, by what is on the page."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

from tests.wire.browser import Browser
from tests.wire.console import log_in, make_somebody
from tests.wire.server import RingbackServer

PEOPLE: Final = 10_000
TIMES: Final = 15
LISTS: Final = ("people", "extensions")
AIM: Final = "aim: under 300 ms"

SHOWN = """
([path, text]) => new Promise((shown, failed) => {
  const began = performance.now();
  const seen = () => {
    const rows = [...document.querySelectorAll("table.rows tbody tr")];
    const passed = performance.now() - began;
    if (rows.length && rows.every((row) => row.textContent.includes(text))) shown(passed);
    else if (passed > 10000) failed(new Error("nothing was shown"));
    else requestAnimationFrame(seen);
  };
  if (path) document.querySelector(`nav a[href="${path}"]`).click();
  else {
    const field = document.querySelector("input[type=search]");
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  requestAnimationFrame(seen);
})
"""
"""Choose a page by its link, or put text into the list's field; the ms until each row has the text."""


def measure() -> Iterator[str]:
    """Median and worst of a list that is opened, and of its hits after the last letter."""
    with tempfile.TemporaryDirectory(prefix="ringback-lists-") as folder, sync_playwright() as playwright:
        server = RingbackServer(Path(folder) / "server").start()
        browser = Browser(Path(folder) / "browser", "Root")
        try:
            admin = make_somebody(server, "Root", "100000", role="admin")
            table = Path(folder) / "people.csv"
            rows = (f"Person {number:05d},{200_000 + number}" for number in range(PEOPLE))
            table.write_text("\n".join(["name,extension", *rows]) + "\n")
            server.ask("person", "import", str(table))
            page = browser.start(playwright).page
            log_in(browser, server, admin, "/console/trunks")
            draw = random.Random(4)
            for name in LISTS:
                yield f"{name}, {PEOPLE:,} of them: {_opened(page, name)}"
                yield f"{name}, hits after the last letter: {_searched(page, draw)}"
        finally:
            browser.stop()
            server.stop()


def _opened(page: Page, name: str) -> str:
    took = []
    for _ in range(TIMES):
        page.evaluate("() => document.querySelector('nav a[href=\"/console/trunks\"]').click()")
        page.locator("table.rows").wait_for(state="detached")
        took.append(page.evaluate(SHOWN, [f"/console/{name}", ""]))
    return _said(took)


def _searched(page: Page, draw: random.Random) -> str:
    took = []
    for _ in range(TIMES):
        wanted = str(200_000 + draw.randrange(PEOPLE))
        took.append(page.evaluate(SHOWN, ["", wanted]))
        page.get_by_role("searchbox").fill("")
        page.locator("table.rows tbody tr").nth(20).wait_for(state="attached")
    return _said(took)


def _said(took: list[float]) -> str:
    return f"median {statistics.median(took):.0f} ms, worst {max(took):.0f} ms of {len(took)} ({AIM})"
