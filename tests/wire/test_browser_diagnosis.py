"""Diagnosis in a browser: the page that takes captures, and the report by itself, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from ringback.diagnosis import report_html
from ringback.testing.captures import make
from tests.diagnosis import made
from tests.wire.browser import Browser, serious
from tests.wire.server import RingbackServer

pytestmark = [pytest.mark.wire, pytest.mark.slow]
MakeBrowser = Callable[..., Browser]


def test_a_capture_is_dropped_and_its_report_read(
    server: RingbackServer, make_browser: MakeBrowser, tmp_path: Path
) -> None:
    capture = tmp_path / "bad call.pcap"
    capture.write_bytes(make("congestion", 1).pcap)
    token = server.ask("token", "add", "--role", "admin", "--name", "Ada")["token"]
    browser = make_browser("Ada")
    browser.open(f"http://127.0.0.1:{server.web_port}/diagnose")
    page = browser.page
    assert serious(browser) == []
    page.get_by_label("Capture").set_input_files(capture)
    page.get_by_text("bad call.pcap").wait_for()
    page.get_by_label("Token of an administrator").fill("wrong")
    browser.press("Diagnose")
    page.get_by_text("this token is unknown").wait_for()
    page.get_by_label("Token of an administrator").fill(token)
    browser.press("Diagnose")
    report = page.frame_locator("iframe")
    report.get_by_role("heading", level=1).wait_for(timeout=30_000)
    assert "bad call.pcap" in report.locator("header").inner_text()
    assert report.locator("svg[role=img]").count() >= 2
    assert report.locator("body").evaluate("one => getComputedStyle(one).margin") == "0px", "it has its style"
    assert serious(browser) == []
    with page.expect_download() as download:
        browser.press("Save as JSON")
    assert json.loads(download.value.path().read_text())["captures"][0]["files"] == ["bad call.pcap"]
    browser.press("Delete it, and take another")
    page.get_by_role("heading", name="Why was the call bad?").wait_for()
    assert [said for said in browser.console if said.startswith("error") and "401" not in said] == []
    assert token not in str(browser.requests)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_a_report_opens_offline_and_axe_finds_nothing_serious(
    make_browser: MakeBrowser, tmp_path: Path, scheme: str
) -> None:
    report = tmp_path / "report.html"
    refused = replace(made.diagnosis(made.REFUSED).calls[0], record=made.record("77aa01"))
    diagnosis = made.diagnosis()
    diagnosis = replace(diagnosis, calls=(*diagnosis.calls, refused))
    with report.open("w") as file:
        file.writelines(report_html(diagnosis, zone=UTC))
    for context in ({}, {"viewport": {"width": 390, "height": 844}}):
        browser = make_browser("Ada", context={"color_scheme": scheme, "offline": True, **context})
        browser.open(report.as_uri())
        browser.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert serious(browser) == []
        assert browser.requests == [report.as_uri()]
        assert browser.console == []
        width = browser.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, "nothing but tables scrolls sideways"
    rows = browser.page.locator(".overview tbody tr:visible")
    assert rows.count() == 3
    browser.page.get_by_label("Filter").fill("congestion")
    assert rows.count() == 1
    assert browser.page.get_by_role("status").inner_text() == "1 of 3"
