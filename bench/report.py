"""How soon a browser shows the first page of a large report: `python -m bench report`.

A capture of many calls is diagnosed, its report written, and opened in Chromium from the disk. What is told
is Chromium's own first contentful paint (W3C Paint Timing) and when all of it stood, from the start of
navigation.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Page, sync_playwright

from bench.captures import write_capture
from tests.wire.browser import CHROMIUM, FLAGS
from tests.wire.server import COMMAND

SIZES: Final = ((300_000, 100), (1_200_000, 300))
"""Packets and calls: a report of some 10 MB, and one as large as reports become (300 calls have sections)."""
OPENED: Final = 5
_PAINT: Final = """() => new Promise((done) => {
  const told = () => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    const whole = performance.getEntriesByType("navigation")[0].loadEventEnd;
    if (!paint || !whole) return setTimeout(told, 20);
    done([paint.startTime, whole]);
  };
  told();
})"""


def measure() -> Iterator[str]:
    """A line for each size."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        for packets, calls in SIZES:
            capture, report = Path(folder) / "calls.pcap", Path(folder) / "calls.html"
            write_capture(capture, packets, calls)
            subprocess.run(
                [COMMAND, "diagnose", str(capture), "--report", str(report)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            opened = list(_open(report))
            paints, wholes = zip(*opened, strict=True)
            yield (
                f"{report.stat().st_size / 1e6:.1f} MB, {calls} calls, opened {OPENED} times: "
                f"first page after {median(paints):.0f} ms (slowest {max(paints):.0f}; aim: under 1,000), "
                f"all after {median(wholes):.0f} ms"
            )


def _open(report: Path) -> Iterator[tuple[float, float]]:
    """First paint and end of loading in ms, each in a browser that has just started."""
    with sync_playwright() as playwright:
        for _ in range(OPENED):
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=list(FLAGS), chromium_sandbox=False
            )
            page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(report.as_uri(), wait_until="load")
            paint, whole = page.evaluate(_PAINT)
            browser.close()
            yield float(paint), float(whole)
